//! Effects on bodies, as streams over streams. None holds more than a piece, or one Arrow message where it edits one.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use futures::stream::unfold;
use futures::{Stream, StreamExt};

use super::arrow::{Editor, falsify_schema, spoil_text};
use super::effect::Effect;
use super::state::Shot;

/// The pieces of a body.
pub type Pieces = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>;

/// Bytes of the end marker of an Arrow stream.
const MARKER_BYTES: usize = 8;
/// Time for what came before a cut to reach the socket: a cut throws away what still waits in the connection.
const FLUSH: Duration = Duration::from_millis(50);
/// A drip is cut into pieces of at least this time.
const DRIP: Duration = Duration::from_millis(20);

/// Why a body ended: on purpose.
#[derive(Debug)]
struct BrokenOff;

impl fmt::Display for BrokenOff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cut off by a fault rule")
    }
}

impl std::error::Error for BrokenOff {}

/// Puts the effect of a shot on a body. Effects that are about no body change nothing.
pub fn warp(body: Body, shot: Shot) -> Body {
    let pieces: Pieces = Box::pin(body.into_data_stream().map(|piece| piece.map_err(io::Error::other)));
    let changed = match shot.effect.clone() {
        Effect::Delay { ms, after_bytes: Some(at), .. } => at_offset(pieces, at, Act::Pause(ms), shot),
        Effect::Stall { after_bytes: Some(at), .. } => at_offset(pieces, at, Act::Stall, shot),
        Effect::Cut { after_bytes: Some(at), .. } => at_offset(pieces, at, Act::Cut, shot),
        Effect::EndEarly { after_bytes: Some(at) } => at_offset(pieces, at, Act::End, shot),
        Effect::EndEarly { after_bytes: None } => without_marker(pieces, shot),
        Effect::FlipBit { at_byte, bit, .. } => flipped(pieces, at_byte, bit, shot),
        Effect::Drip { bytes_per_second, after_bytes, .. } => dripping(pieces, bytes_per_second, after_bytes, shot),
        Effect::WrongSchema { change } => edited(pieces, Editor::new(move |m| falsify_schema(m, change)), shot),
        Effect::InvalidUtf8 {} => edited(pieces, Editor::new(spoil_text()), shot),
        _ => pieces,
    };
    Body::from_stream(changed)
}

/// A stream that can be read up to an offset.
struct Cursor {
    pieces: Pieces,
    /// The part of a piece that was not asked for yet.
    rest: Bytes,
    offset: u64,
}

impl Cursor {
    fn new(pieces: Pieces) -> Cursor {
        Cursor { pieces, rest: Bytes::new(), offset: 0 }
    }

    /// The next bytes, none of them at or beyond `end`.
    async fn next(&mut self, end: u64) -> Option<io::Result<Bytes>> {
        while self.rest.is_empty() {
            match self.pieces.next().await? {
                Ok(piece) => self.rest = piece,
                Err(error) => return Some(Err(error)),
            }
        }
        let room = usize::try_from(end.saturating_sub(self.offset)).unwrap_or(usize::MAX);
        let piece = self.rest.split_to(room.min(self.rest.len()));
        self.offset += piece.len() as u64;
        Some(Ok(piece))
    }
}

/// What happens once at an offset.
enum Act {
    Pause(u64),
    Stall,
    Cut,
    End,
}

fn at_offset(pieces: Pieces, at: u64, act: Act, shot: Shot) -> Pieces {
    let state = (Cursor::new(pieces), Some((act, shot)));
    Box::pin(unfold(state, move |(mut cursor, mut pending)| async move {
        if cursor.offset >= at
            && let Some((act, shot)) = pending.take()
        {
            shot.fired();
            match act {
                Act::Pause(ms) => tokio::time::sleep(Duration::from_millis(ms)).await,
                Act::Stall => std::future::pending().await,
                Act::Cut => {
                    tokio::time::sleep(FLUSH).await;
                    cursor.pieces = Box::pin(futures::stream::empty());
                    cursor.rest = Bytes::new();
                    return Some((Err(io::Error::other(BrokenOff)), (cursor, None)));
                }
                Act::End => return None,
            }
        }
        let end = if pending.is_some() { at } else { u64::MAX };
        let piece = cursor.next(end).await?;
        Some((piece, (cursor, pending)))
    }))
}

/// Holds back the last bytes for good.
fn without_marker(pieces: Pieces, shot: Shot) -> Pieces {
    let state = (pieces, BytesMut::new(), shot);
    Box::pin(unfold(state, |(mut pieces, mut held, shot)| async move {
        loop {
            match pieces.next().await {
                Some(Ok(piece)) => {
                    held.extend_from_slice(&piece);
                    if held.len() > MARKER_BYTES {
                        let ready = held.split_to(held.len() - MARKER_BYTES).freeze();
                        return Some((Ok(ready), (pieces, held, shot)));
                    }
                }
                Some(Err(error)) => return Some((Err(error), (pieces, held, shot))),
                None => {
                    shot.fired();
                    return None;
                }
            }
        }
    }))
}

fn flipped(pieces: Pieces, at: u64, bit: u8, shot: Shot) -> Pieces {
    let mut offset = 0u64;
    Box::pin(pieces.map(move |piece| {
        let piece = piece?;
        let begin = offset;
        offset += piece.len() as u64;
        if !(begin..offset).contains(&at) {
            return Ok(piece);
        }
        let mut changed = BytesMut::from(&*piece);
        if let Some(byte) = usize::try_from(at - begin).ok().and_then(|i| changed.get_mut(i)) {
            *byte ^= 1 << bit;
            shot.fired();
        }
        Ok(changed.freeze())
    }))
}

fn dripping(pieces: Pieces, rate: u64, after: u64, shot: Shot) -> Pieces {
    // At least one byte at a time, however slow.
    let step = (rate as u128 * DRIP.as_millis() / 1000).clamp(1, 1 << 20) as u64;
    let state = (Cursor::new(pieces), false);
    Box::pin(unfold(state, move |(mut cursor, mut begun)| {
        let shot = shot.clone();
        async move {
            if cursor.offset < after {
                let piece = cursor.next(after).await?;
                return Some((piece, (cursor, begun)));
            }
            let piece = cursor.next(cursor.offset.saturating_add(step)).await?;
            if !begun {
                shot.fired();
                begun = true;
            }
            let length = piece.as_ref().map_or(0, Bytes::len);
            tokio::time::sleep(Duration::from_secs_f64(length as f64 / rate as f64)).await;
            Some((piece, (cursor, begun)))
        }
    }))
}

/// Lets an editor see the Arrow messages of a body until it has changed one.
fn edited(pieces: Pieces, editor: Editor, shot: Shot) -> Pieces {
    let state = (pieces, Some(editor), shot);
    Box::pin(unfold(state, |(mut pieces, mut editor, shot)| async move {
        loop {
            let piece = match (pieces.next().await, &mut editor) {
                (Some(Ok(piece)), Some(current)) => {
                    let out = current.push(&piece);
                    if current.is_done() {
                        if current.has_changed() {
                            shot.fired();
                        }
                        editor = None;
                    }
                    Ok(out)
                }
                (Some(other), _) => other,
                // What is left of a message that never became whole.
                (None, Some(current)) => {
                    let out = current.rest();
                    editor = None;
                    Ok(out)
                }
                (None, None) => return None,
            };
            if piece.as_ref().is_ok_and(Bytes::is_empty) {
                continue;
            }
            return Some((piece, (pieces, editor, shot)));
        }
    }))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ::arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
    use ::arrow::ipc::CompressionType;
    use ::arrow::ipc::reader::StreamReader;
    use ::arrow::ipc::writer::{IpcWriteOptions, StreamWriter};

    use super::super::parse_effect;
    use super::*;

    /// Sends pieces of `size` bytes through an effect; the flag says whether the body ended well.
    async fn run(bytes: &[u8], size: usize, effect: &str) -> (Vec<u8>, bool) {
        let pieces: Vec<io::Result<Bytes>> = bytes.chunks(size).map(|c| Ok(Bytes::copy_from_slice(c))).collect();
        let body = Body::from_stream(futures::stream::iter(pieces));
        let mut stream = warp(body, Shot::asked(parse_effect(effect).unwrap())).into_data_stream();
        let mut out = Vec::new();
        while let Some(piece) = stream.next().await {
            match piece {
                Ok(piece) => out.extend_from_slice(&piece),
                Err(_) => return (out, false),
            }
        }
        (out, true)
    }

    #[tokio::test(start_paused = true)]
    async fn offsets_are_exact_whatever_the_pieces() {
        let bytes: Vec<u8> = (0..100).collect();
        for size in [1, 7, 64, 100] {
            for at in [0, 1, 7, 63, 64, 99, 100] {
                let prefix = (bytes[..at].to_vec(), false);
                let effect = |kind: &str| format!(r#"{{"kind": "{kind}", "after_bytes": {at}}}"#);
                assert_eq!(run(&bytes, size, &effect("cut")).await, prefix, "cut at {at}, pieces of {size}");
                assert_eq!(run(&bytes, size, &effect("end_early")).await, (bytes[..at].to_vec(), true));
                let stalled =
                    tokio::time::timeout(Duration::from_secs(3600), run(&bytes, size, &effect("stall"))).await;
                assert!(stalled.is_err(), "stall at {at}");
            }
            for at in [101, u64::MAX] {
                for kind in ["cut", "end_early", "stall"] {
                    let effect = format!(r#"{{"kind": "{kind}", "after_bytes": {at}}}"#);
                    assert_eq!(run(&bytes, size, &effect).await, (bytes.clone(), true), "{kind} beyond the end");
                }
            }
            let mut flipped = bytes.clone();
            flipped[42] ^= 0x20;
            assert_eq!(run(&bytes, size, r#"{"kind": "flip_bit", "at_byte": 42, "bit": 5}"#).await, (flipped, true));
            assert_eq!(run(&bytes, size, r#"{"kind": "end_early"}"#).await, (bytes[..92].to_vec(), true));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn time_passes_as_told() {
        let bytes = vec![7; 1000];
        let begin = tokio::time::Instant::now();
        assert!(run(&bytes, 100, r#"{"kind": "delay", "ms": 5000, "after_bytes": 500}"#).await.1);
        assert_eq!(begin.elapsed().as_secs(), 5);
        for (effect, seconds) in [
            (r#"{"kind": "drip", "bytes_per_second": 100}"#, 10),
            (r#"{"kind": "drip", "bytes_per_second": 1, "after_bytes": 990}"#, 10),
            (r#"{"kind": "drip", "bytes_per_second": 18446744073709551615}"#, 0),
        ] {
            let begin = tokio::time::Instant::now();
            assert_eq!(run(&bytes, 64, effect).await, (bytes.clone(), true));
            assert!(begin.elapsed().as_secs().abs_diff(seconds) <= 1, "{effect}: {:?}", begin.elapsed());
        }
    }

    fn stream(compression: Option<CompressionType>) -> Vec<u8> {
        let ids: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
        let names: ArrayRef = Arc::new(StringArray::from(vec![None, Some(""), Some("text")]));
        let batch = RecordBatch::try_from_iter([("id", ids), ("name", names)]).unwrap();
        let options = IpcWriteOptions::default().try_with_compression(compression).unwrap();
        let mut writer = StreamWriter::try_new_with_options(Vec::new(), &batch.schema(), options).unwrap();
        writer.write(&batch).unwrap();
        writer.write(&batch).unwrap();
        writer.finish().unwrap();
        writer.into_inner().unwrap()
    }

    #[tokio::test]
    async fn schemas_are_falsified_and_nothing_else() {
        let good = stream(None);
        let schema = |bytes: &[u8]| StreamReader::try_new(bytes, None).unwrap().schema();
        for (change, differs) in [("type", "a type"), ("name", "a name"), ("count", "the count")] {
            for size in [3, 10_000] {
                let effect = format!(r#"{{"kind": "wrong_schema", "change": "{change}"}}"#);
                let (bad, complete) = run(&good, size, &effect).await;
                assert!(complete && schema(&bad) != schema(&good), "{differs}");
            }
        }
        let fields = |bytes: &[u8]| schema(bytes).fields().len();
        let (bad, _) = run(&good, 10_000, r#"{"kind": "wrong_schema", "change": "count"}"#).await;
        assert_eq!((fields(&good), fields(&bad)), (2, 3));
    }

    #[tokio::test]
    async fn text_is_spoiled_in_every_compression() {
        for compression in [None, Some(CompressionType::LZ4_FRAME), Some(CompressionType::ZSTD)] {
            let good = stream(compression);
            for size in [5, 10_000] {
                let (bad, complete) = run(&good, size, r#"{"kind": "invalid_utf8"}"#).await;
                assert!(complete);
                let mut reader = StreamReader::try_new(bad.as_slice(), None).unwrap();
                let why = reader.next().unwrap().unwrap_err().to_string();
                assert!(why.to_lowercase().contains("utf"), "{why}");
            }
        }
    }

    #[tokio::test]
    async fn what_is_no_arrow_stays_as_it_is() {
        let long = vec![0xff; 5000];
        for bytes in [&b"{\"a\": 1}"[..], b"", b"\xff\xff\xff\xff", b"\xff\xff\xff\xff\x10\0\0\0abc", &long] {
            for effect in [r#"{"kind": "wrong_schema"}"#, r#"{"kind": "invalid_utf8"}"#] {
                assert_eq!(run(bytes, 2, effect).await, (bytes.to_vec(), true));
            }
        }
    }
}
