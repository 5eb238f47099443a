//! Seeds that are no text, made from code: streams of every type in every compression, and answers with them.

use std::path::Path;

use arrow_array::RecordBatch;
use arrow_ipc::CompressionType;

use crate::columns::{TYPES, batch, session_schema};
use crate::support::{ipc, packed};

const CODECS: [(&str, Option<CompressionType>); 3] =
    [("none", None), ("lz4", Some(CompressionType::LZ4_FRAME)), ("zstd", Some(CompressionType::ZSTD))];

/// Writes them below `directory`, into one directory for each target.
pub fn write(directory: &Path) {
    let save = |target: &str, name: &str, bytes: &[u8]| {
        let directory = directory.join(target);
        std::fs::create_dir_all(&directory).expect("a directory");
        std::fs::write(directory.join(name), bytes).expect("a file");
    };
    let all = session_schema(TYPES);
    for (codec, compression) in CODECS {
        for number in 0..TYPES.len() {
            let stream =
                ipc(&[batch(&std::sync::Arc::new(all.project(&[number]).expect("a column")), 9, 1)], compression);
            save("ipc", &format!("c{number}-{codec}"), &stream);
        }
        let stream = ipc(&two_batches(&[3, 9, 19]), compression);
        save("ipc", &format!("several-{codec}"), &stream);
        save("ipc", &format!("packed-{codec}"), &packed(&ipc(&two_batches(&[3, 9]), None), compression));

        let stream = ipc(&two_batches(&[3, 9]), compression);
        save("rows", &format!("whole-{codec}"), &answer(&format!("Content-Length: {}\r\n", stream.len()), &stream));
        save("rows", &format!("chunked-{codec}"), &answer("Transfer-Encoding: chunked\r\n", &chunked(&stream)));
        let stream = packed(&ipc(&two_batches(&[3, 9]), None), compression);
        save("rows", &format!("packed-{codec}"), &answer("Connection: close\r\n", &stream));
    }
    save("rows", "refused", b"HTTP/1.1 429 Too Many\r\nRetry-After: 1\r\nContent-Length: 30\r\n\r\n{\"Code\":\"SlotExceeded\",\"Message\":\"x\"}");
    save("planted", "start", b"x");
}

fn two_batches(numbers: &[usize]) -> [RecordBatch; 2] {
    let schema = std::sync::Arc::new(session_schema(TYPES).project(numbers).expect("columns"));
    [batch(&schema, 5, 1), batch(&schema, 3, 2)]
}

fn answer(headers: &str, body: &[u8]) -> Vec<u8> {
    [b"HTTP/1.1 200 OK\r\nx-odps-request-id: R\r\n", headers.as_bytes(), b"\r\n", body].concat()
}

fn chunked(body: &[u8]) -> Vec<u8> {
    let chunk = |part: &[u8]| [format!("{:x}\r\n", part.len()).as_bytes(), part, b"\r\n"].concat();
    [body.chunks(300).map(chunk).collect::<Vec<_>>().concat(), b"0\r\n\r\n".to_vec()].concat()
}
