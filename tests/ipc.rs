//! The decoder against arrow-rs's writer: every type, every compression, chunks of any size; and against malformed streams,
//! which must be errors, never panics and never rows.

#[path = "support/columns.rs"]
mod columns;
mod support;

use std::sync::Arc;

use arrow_array::builder::*;
use arrow_array::*;
use arrow_ipc::CompressionType;
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use columns::{TYPES, batch, session_schema, slab};
use maxstorage::arrow::{
    BytesKind, CheckedBytes, ColumnFacts, Decoder, Frame, Framer, Slabs, Units, behind_the_end, expected,
};
use maxstorage::error::{Kind, Result};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use support::ipc;

const CODECS: [Option<CompressionType>; 3] = [None, Some(CompressionType::LZ4_FRAME), Some(CompressionType::ZSTD)];

/// Takes bytes from the front of `input` until a frame is complete or `input` is empty.
fn next_frame(framer: &mut Framer, input: &mut &[u8]) -> Result<Option<Frame>> {
    while !input.is_empty() {
        let room = framer.room();
        let count = room.len().min(input.len());
        if count == 0 {
            return Err(behind_the_end());
        }
        let (now, later) = input.split_at(count);
        room[..count].copy_from_slice(now);
        *input = later;
        match framer.advance(count)? {
            Some(Frame::Room(length)) => framer.give(slab(length)),
            Some(frame) => return Ok(Some(frame)),
            None => {}
        }
    }
    Ok(None)
}

/// Decodes a whole stream that arrives in the given pieces; complete only with its end marker.
fn decode<'a>(schema: &SchemaRef, pieces: impl Iterator<Item = &'a [u8]>) -> Result<Option<Vec<RecordBatch>>> {
    let (mut framer, mut decoder, mut batches) =
        (Framer::new(&Slabs::default()), Decoder::new(Arc::clone(schema), &Slabs::default()), Vec::new());
    for piece in pieces {
        let mut piece = piece;
        while !piece.is_empty() {
            match next_frame(&mut framer, &mut piece)? {
                Some(Frame::Schema(wire)) => decoder.begin(&wire)?,
                Some(Frame::Batch(encoded)) => batches.push(columns::decode(&mut decoder, &encoded)?),
                Some(Frame::End | Frame::Room(_)) | None => {}
            }
        }
    }
    Ok(framer.has_ended().then_some(batches))
}

#[test]
fn every_type_in_every_compression() {
    let schema = session_schema(TYPES);
    for rows in [0, 1, 7, 64, 1000] {
        let batches = [batch(&schema, rows, 1), batch(&schema, rows + 1, 2)];
        for codec in CODECS {
            let stream = ipc(&batches, codec);
            assert_eq!(decode(&schema, stream.chunks(64 << 10)).unwrap().unwrap(), batches, "{rows} rows, {codec:?}");
        }
    }
}

#[test]
fn uncompressed_buffers_are_slices_of_the_body() {
    let schema = session_schema(&["bigint", "decimal", "string"]);
    let stream = ipc(&[batch(&schema, 500, 1)], None);
    let (mut framer, mut decoder) =
        (Framer::new(&Slabs::default()), Decoder::new(Arc::clone(&schema), &Slabs::default()));
    let mut input = stream.as_slice();
    while let Some(frame) = next_frame(&mut framer, &mut input).unwrap() {
        let Frame::Batch(encoded) = frame else { continue };
        let inside = encoded.body().as_ptr_range();
        let decoded = columns::decode(&mut decoder, &encoded).unwrap();
        for column in decoded.columns() {
            for buffer in column.to_data().buffers() {
                assert!(inside.contains(&buffer.as_ptr()), "{} was copied", column.data_type());
            }
        }
        return;
    }
    panic!("no batch");
}

#[test]
fn decoded_bytes_do_not_depend_on_the_compression() {
    let schema = session_schema(&["bigint", "boolean", "string", "decimal"]);
    let counts = CODECS.map(|codec| {
        let stream = ipc(&[batch(&schema, 3, 1), batch(&schema, 900, 2)], codec);
        let mut input = stream.as_slice();
        let (mut framer, mut decoder) =
            (Framer::new(&Slabs::default()), Decoder::new(Arc::clone(&schema), &Slabs::default()));
        while let Some(frame) = next_frame(&mut framer, &mut input).unwrap() {
            if let Frame::Batch(encoded) = frame {
                columns::decode(&mut decoder, &encoded).unwrap();
            }
        }
        decoder.decoded_bytes()
    });
    assert!(counts[0] > 900 * 24 && counts.iter().all(|count| *count == counts[0]), "{counts:?}");
}

#[test]
fn a_wire_that_aligns_to_8_bytes_is_read_and_counted() {
    let schema = session_schema(&["decimal", "bigint"]);
    let sample = batch(&schema, 5, 0);
    let options = arrow_ipc::writer::IpcWriteOptions::try_new(8, false, arrow_ipc::MetadataVersion::V5).unwrap();
    let mut writer = arrow_ipc::writer::StreamWriter::try_new_with_options(Vec::new(), &schema, options).unwrap();
    writer.write(&sample).unwrap();
    writer.finish().unwrap();
    let stream = writer.into_inner().unwrap();
    let mut input = stream.as_slice();
    let (mut framer, mut decoder) =
        (Framer::new(&Slabs::default()), Decoder::new(Arc::clone(&schema), &Slabs::default()));
    while let Some(frame) = next_frame(&mut framer, &mut input).unwrap() {
        if let Frame::Batch(encoded) = frame {
            assert_eq!(columns::decode(&mut decoder, &encoded).unwrap(), sample);
        }
    }
    assert_eq!(decoder.copied_bytes(), 5 * 16, "the decimals lie behind a NULL bitmap of 8 bytes");
}

#[test]
fn columns_without_rows_and_rows_without_columns() {
    let schema = session_schema(&[]);
    let options = RecordBatchOptions::new().with_row_count(Some(7));
    let counted = RecordBatch::try_new_with_options(Arc::clone(&schema), vec![], &options).unwrap();
    let stream = ipc(&[counted], None);
    let decoded = decode(&schema, stream.chunks(10)).unwrap().unwrap();
    assert_eq!(decoded.iter().map(RecordBatch::num_rows).collect::<Vec<_>>(), [7]);
}

#[test]
fn a_null_in_a_column_without_nulls_is_corrupt() {
    let wire = session_schema(&["bigint"]);
    let stream = ipc(&[batch(&wire, 10, 0)], None);
    let facts = ColumnFacts { name: "c0", type_text: "bigint", nullable: false, is_partition: false };
    let units = Units { timestamp: TimeUnit::Nanosecond, datetime: TimeUnit::Millisecond };
    let schema = Arc::new(expected([facts].into_iter(), units).unwrap());
    assert_eq!(decode(&schema, stream.chunks(stream.len())).unwrap_err().kind(), Kind::CorruptData);
}

#[test]
fn no_prefix_of_a_stream_is_complete() {
    let schema = session_schema(&["bigint", "string"]);
    let batches = [batch(&schema, 5, 1), batch(&schema, 3, 2)];
    for codec in CODECS {
        let stream = ipc(&batches, codec);
        for length in 0..stream.len() {
            assert!(decode(&schema, stream[..length].chunks(100)).unwrap().is_none(), "{length} bytes, {codec:?}");
        }
    }
}

#[test]
fn bytes_after_the_end_marker_are_corrupt() {
    let schema = session_schema(&["bigint"]);
    let mut stream = ipc(&[batch(&schema, 5, 1)], None);
    stream.push(0);
    assert_eq!(decode(&schema, stream.chunks(stream.len())).unwrap_err().kind(), Kind::CorruptData);
}

#[test]
fn other_bytes_are_not_streams() {
    let schema = session_schema(&["bigint"]);
    let huge = [&[0xff; 4][..], &u32::MAX.to_le_bytes()].concat();
    let empty = [&[0xff; 4][..], &[0; 4]].concat();
    for bytes in [&b"<html>oops</html>"[..], &huge, &empty, &[0xff; 64], b"ARROW1\0\0"] {
        assert_eq!(decode(&schema, bytes.chunks(9)).unwrap_err().kind(), Kind::CorruptData);
    }
}

#[test]
fn another_schema_is_a_mismatch() {
    let wire = session_schema(&["int"]);
    let stream = ipc(&[batch(&wire, 5, 1)], None);
    let error = decode(&session_schema(&["bigint"]), stream.chunks(stream.len())).unwrap_err();
    assert_eq!(error.kind(), Kind::SchemaMismatch);
}

#[test]
fn zones_and_child_names_of_the_wire_are_replaced_by_those_of_the_session() {
    let schema = session_schema(&["timestamp", "array<bigint>"]);
    let item = Field::new("item", DataType::Int64, true);
    let mut list = ListBuilder::new(Int64Builder::new()).with_field(item.clone());
    list.append_value([Some(1), None]);
    let wire = Schema::new(vec![
        Field::new("C0", DataType::Timestamp(TimeUnit::Nanosecond, None), true),
        Field::new("C1", DataType::List(Arc::new(item)), true),
    ]);
    let columns: Vec<ArrayRef> = vec![Arc::new(TimestampNanosecondArray::from(vec![7])), Arc::new(list.finish())];
    let stream = ipc(&[RecordBatch::try_new(Arc::new(wire), columns).unwrap()], None);
    let decoded = decode(&schema, stream.chunks(stream.len())).unwrap().unwrap();
    assert_eq!(decoded[0].schema(), schema);
}

/// A shape the property test below found: offsets whose length is no multiple of their width made arrow-rs panic.
#[test]
fn offsets_of_odd_length_are_harmless() {
    let schema = session_schema(&["string"]);
    let stream = ipc(&[batch(&schema, 3, 1)], None);
    for at in 0..stream.len() {
        for flip in [0x01, 0x80] {
            let mut stream = stream.clone();
            stream[at] ^= flip;
            if let Ok(Some(batches)) = decode(&schema, stream.chunks(64)) {
                assert!(batches.iter().all(|batch| batch.column(0).to_data().validate_full().is_ok()));
            }
        }
    }
}

/// The decoder with and without Arrow's second check of strings and bytes: the same arrays, whatever the text.
#[test]
fn checked_byte_arrays_are_those_of_arrow() {
    for seed in 0..5 {
        let schema = session_schema(&["string", "binary"]);
        let sample = batch(&schema, 50, seed);
        for column in sample.columns() {
            let data = column.to_data();
            let offsets = arrow_buffer::ScalarBuffer::new(data.buffers()[0].clone(), 0, 51);
            let kind = if data.data_type() == &DataType::Utf8 { BytesKind::Text } else { BytesKind::Binary };
            let checked = CheckedBytes::check(kind, offsets, data.buffers()[1].clone(), data.nulls().cloned()).unwrap();
            assert_eq!(&checked.clone().validated().unwrap(), column);
            maxstorage::ffi::trust_checked_byte_arrays();
            let sample = std::slice::from_ref(&sample);
            let stream = ipc(sample, None);
            assert_eq!(decode(&schema, stream.chunks(100)).unwrap().unwrap(), sample);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, rng_seed: RngSeed::Fixed(1), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn pieces_of_any_size_give_the_same_rows(sizes in prop::collection::vec(1usize..700, 1..40), codec in 0usize..3) {
        let schema = session_schema(&["bigint", "string", "array<string>"]);
        let batches = [batch(&schema, 30, 1), batch(&schema, 1, 2)];
        let stream = ipc(&batches, CODECS[codec]);
        let mut rest = &stream[..];
        let pieces = sizes.iter().cycle().map_while(|size| {
            let (piece, behind) = rest.split_at(rest.len().min(*size));
            rest = behind;
            (!piece.is_empty()).then_some(piece)
        });
        prop_assert_eq!(decode(&schema, pieces).unwrap().unwrap(), batches);
    }

    #[test]
    fn damaged_streams_never_panic(flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4), codec in 0usize..3) {
        let schema = session_schema(TYPES);
        let mut stream = ipc(&[batch(&schema, 9, 1)], CODECS[codec]);
        for (at, value) in flips {
            let at = at.index(stream.len());
            stream[at] ^= value;
        }
        // Damaged values inside a buffer may decode; what decodes must be valid Arrow, also if nobody checks it but us.
        maxstorage::ffi::trust_checked_byte_arrays();
        if let Ok(Some(batches)) = decode(&schema, stream.chunks(333)) {
            for column in batches.iter().flat_map(RecordBatch::columns) {
                column.to_data().validate_full().unwrap();
            }
        }
    }
}
