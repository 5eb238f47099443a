//! The floor of decompression: the C codec alone, one context, from the buffers of a body into one destination.

use arrow_ipc::root_as_message;
use lz4_sys::{
    LZ4F_VERSION, LZ4F_createDecompressionContext, LZ4F_decompress, LZ4F_freeDecompressionContext,
    LZ4F_resetDecompressionContext, LZ4FDecompressOptions, LZ4FDecompressionContext,
};

use super::Result;

/// Decompresses every buffer of the body of an answer; prints the CPU seconds it took and the bytes it gave.
pub fn run(body: &[u8], compression: &str, times: u32) -> Result<()> {
    let buffers = buffers(body)?;
    let largest = buffers.iter().map(|(_, size)| *size).max().ok_or("the body has no compressed buffer")?;
    // As large as a batch, as the library has it: every buffer of a batch has a place of its own there.
    let mut target = vec![0u8; largest.max(1 << 20)];
    let mut codec = Codec::new(compression)?;
    let begin = cpu_seconds()?;
    let (mut bytes, mut at) = (0, 0);
    for (source, size) in std::iter::repeat_n(&buffers, times as usize).flatten() {
        if at + size > target.len() {
            at = 0;
        }
        codec.decompress(source, &mut target[at..at + size])?;
        (bytes, at) = (bytes + size, at + size.next_multiple_of(64));
    }
    println!("{{\"seconds\": {:.6}, \"decoded\": {bytes}}}", cpu_seconds()? - begin);
    Ok(())
}

/// Time that this thread was on a core, as Linux counts it in nanoseconds.
fn cpu_seconds() -> Result<f64> {
    let figures = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    Ok(figures.split(' ').next().unwrap_or_default().parse::<f64>()? / 1e9)
}

/// The compressed buffers of a stream and their sizes.
fn buffers(mut stream: &[u8]) -> Result<Vec<(&[u8], usize)>> {
    let mut found = Vec::new();
    loop {
        let (prefix, rest) = stream.split_first_chunk::<8>().ok_or("the body has no end marker")?;
        let length = u32::from_le_bytes([prefix[4], prefix[5], prefix[6], prefix[7]]) as usize;
        if length == 0 {
            return Ok(found);
        }
        let (metadata, rest) = rest.split_at(length);
        let message = root_as_message(metadata).map_err(|error| error.to_string())?;
        let (body, rest) = rest.split_at(message.bodyLength() as usize);
        stream = rest;
        let Some(batch) = message.header_as_record_batch() else { continue };
        for buffer in batch.buffers().ok_or("a batch has no buffers")? {
            let bytes = &body[buffer.offset() as usize..][..buffer.length() as usize];
            let Some((size, source)) = bytes.split_first_chunk() else { continue };
            let size = i64::from_le_bytes(*size);
            if size > 0 {
                found.push((source, size as usize));
            }
        }
    }
}

enum Codec {
    Lz4(LZ4FDecompressionContext),
    Zstd(zstd::bulk::Decompressor<'static>),
}

impl Codec {
    fn new(compression: &str) -> Result<Self> {
        match compression {
            "lz4" => {
                let mut context = LZ4FDecompressionContext(std::ptr::null_mut());
                // SAFETY: the library fills the pointer with a context that lives until it is freed.
                match unsafe { LZ4F_createDecompressionContext(&mut context, LZ4F_VERSION) } {
                    0 => Ok(Codec::Lz4(context)),
                    code => Err(format!("no lz4 context: {code}").into()),
                }
            }
            "zstd" => Ok(Codec::Zstd(zstd::bulk::Decompressor::new()?)),
            other => Err(format!("{other} is not compressed").into()),
        }
    }

    fn decompress(&mut self, source: &[u8], target: &mut [u8]) -> Result<()> {
        let written = match self {
            Codec::Zstd(context) => context.decompress_to_buffer(source, target)?,
            Codec::Lz4(context) => {
                let (mut written, mut read) = (target.len(), source.len());
                // The destination does not move, so the codec need not keep a copy of its own.
                let options = LZ4FDecompressOptions { stable_dst: 1, reserved: [0; 3] };
                // SAFETY: both slices are as long as their sizes say, and the context is live.
                let left = unsafe {
                    let (to, from) = (target.as_mut_ptr(), source.as_ptr());
                    let left = LZ4F_decompress(*context, to, &mut written, from, &mut read, &options);
                    LZ4F_resetDecompressionContext(*context);
                    left
                };
                if left != 0 || read != source.len() {
                    return Err(format!("an lz4 frame was not decompressed at once: {left}").into());
                }
                written
            }
        };
        if written != target.len() {
            return Err(format!("{written} bytes instead of {}", target.len()).into());
        }
        Ok(())
    }
}

impl Drop for Codec {
    fn drop(&mut self) {
        if let Codec::Lz4(context) = self {
            // SAFETY: it was created by this codec and is freed once.
            unsafe { LZ4F_freeDecompressionContext(*context) };
        }
    }
}
