//! Blobs: uploads of bytes, references to them in cells, and answers that carry them (storage-api-v2-v3.md section 5).

mod body;
mod crc;
mod file;
mod frames;
mod reference;
mod store;

pub use body::Upload;
pub use crc::CrcBlocks;
pub use file::open as open_blob;
pub use frames::{FrameReader, Payload, UploadHeader};
pub use reference::{blob_id, reference, references};
pub use store::PendingBlobs;
