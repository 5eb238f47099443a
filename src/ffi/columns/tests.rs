//! Random rows of random parts of arrays of every layout, against what they were made of; and arrays that are not what they say.

use std::sync::Arc;

use arrow_array::types::{Int8Type, Int32Type, UInt16Type};
use arrow_array::*;
use arrow_buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{DataType, Field, Fields};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::RngSeed;

use super::super::error::{ms_error_free, ms_error_message};
use super::super::status::*;
use super::*;

/// What is in a buffer before it is written to.
const UNTOUCHED: u8 = 0xA5;

/// A struct of one column, as a host has it, of which the host has cut `offset` rows off and kept `length`.
struct Host {
    schema: FFI_ArrowSchema,
    array: FFI_ArrowArray,
    offset: usize,
    length: usize,
}

impl Host {
    fn new(column: &ArrayRef, outer: Option<Vec<bool>>, (offset, length): (usize, usize)) -> Self {
        let fields = Fields::from(vec![Field::new("c", column.data_type().clone(), true)]);
        let whole = StructArray::new(fields, vec![Arc::clone(column)], outer.map(NullBuffer::from));
        let (mut array, schema) = ffi::to_ffi(&whole.to_data()).unwrap();
        array.numbers()[..3].copy_from_slice(&[length as i64, -1, offset as i64]);
        Host { schema, array, offset, length }
    }

    /// The same without anything special.
    fn plain(column: ArrayRef) -> Self {
        Host::new(&column, None, (0, column.len()))
    }

    fn sizes(&self) -> (usize, Told<usize>) {
        let mut bytes = 7;
        let rows = self.length as i64;
        let told =
            told(|err| unsafe { ms_column_strings_size(&self.schema, &self.array, 0, 0, rows, &mut bytes, err) });
        (bytes, told.map(|()| bytes))
    }
}

/// The numbers that a C struct begins with: length, NULLs, offset, buffers, children.
trait Numbers {
    fn numbers(&mut self) -> &mut [i64; 5];
}

impl Numbers for FFI_ArrowArray {
    fn numbers(&mut self) -> &mut [i64; 5] {
        // SAFETY: the C data interface says that these come first.
        unsafe { &mut *std::ptr::from_mut(self).cast() }
    }
}

/// A status and a sentence, if a call has failed.
type Told<T = ()> = std::result::Result<T, String>;

/// What a call has said.
fn told(call: impl FnOnce(*mut *mut ms_error) -> ms_status) -> Told {
    let mut error = std::ptr::null_mut();
    let status = call(&mut error);
    if status == MS_OK {
        assert!(error.is_null());
        return Ok(());
    }
    // SAFETY: an error of the library, freed once.
    unsafe {
        let text = std::ffi::CStr::from_ptr(ms_error_message(error)).to_str().unwrap().to_owned();
        ms_error_free(error);
        Err(format!("{status}: {text}"))
    }
}

fn values(host: &Host, start: usize, rows: usize, room: &mut [u8]) -> Told {
    let (start, rows) = (start as i64, rows as i64);
    let (to, bytes) = (room.as_mut_ptr().cast(), room.len());
    told(|err| unsafe { ms_column_copy_values(&host.schema, &host.array, 0, start, rows, to, bytes, err) })
}

fn strings(host: &Host, (start, rows): (usize, usize), first: u32, bytes: &mut [u8], ends: &mut [u32]) -> Told {
    let (start, rows) = (start as i64, rows as i64);
    let (to, length, into, count) = (bytes.as_mut_ptr().cast(), bytes.len(), ends.as_mut_ptr(), ends.len());
    told(|err| unsafe {
        ms_column_copy_strings(&host.schema, &host.array, 0, start, rows, first, to, length, into, count, err)
    })
}

/// NULLs as bytes, and as bits, of which there are as many as are counted.
fn nulls(host: &Host, start: usize, rows: usize) -> Vec<bool> {
    let (mut bytes, mut bits) = (vec![UNTOUCHED; rows + 1], vec![UNTOUCHED; rows.div_ceil(8) + 1]);
    let (mut counted, mut also) = (-1, -1);
    let (at, count) = (start as i64, rows as i64);
    let (schema, array) = (&raw const host.schema, &raw const host.array);
    let (to, length) = (bytes.as_mut_ptr(), rows);
    told(|err| unsafe { ms_column_copy_nulls(schema, array, 0, at, count, to, length, &mut counted, err) }).unwrap();
    let (to, length) = (bits.as_mut_ptr(), rows.div_ceil(8));
    told(|err| unsafe { ms_column_copy_validity(schema, array, 0, at, count, to, length, &mut also, err) }).unwrap();
    assert_eq!((bytes.pop(), bits.pop()), (Some(UNTOUCHED), Some(UNTOUCHED)), "nothing behind the end");
    let valid: Vec<bool> = (0..8 * bits.len()).map(|row| bits[row / 8] >> (row % 8) & 1 == 1).collect();
    assert!(valid[rows..].iter().all(|valid| !valid), "bits of no row are 0");
    assert_eq!(bytes, valid[..rows].iter().map(|valid| u8::from(!valid)).collect::<Vec<_>>());
    assert_eq!((counted, also), (bytes.iter().map(|null| i64::from(*null)).sum(), counted));
    bytes.iter().map(|null| *null == 1).collect()
}

/// Which rows a call is about, and which of them are NULL as far as `is_null` and the struct say.
struct Called {
    start: usize,
    rows: usize,
    nulls: Vec<bool>,
}

impl Called {
    fn of(host: &Host, part: Part, is_null: impl Fn(usize) -> bool, outer: Option<&Vec<bool>>) -> Self {
        let (start, rows) = range(part, host.length);
        let at = host.offset + start;
        let hidden = |row: usize| is_null(row) || outer.is_some_and(|outer| !outer[row]);
        Called { start, rows, nulls: (at..at + rows).map(hidden).collect() }
    }
}

fn random<T: std::fmt::Debug>(item: impl Strategy<Value = T>) -> impl Strategy<Value = Vec<T>> {
    prop::collection::vec(item, 0..150)
}

type Part = (Index, Index);

/// Where a part begins, and how much of `length` it has.
fn range(part: Part, length: usize) -> (usize, usize) {
    let (one, other) = (part.0.index(length + 1), part.1.index(length + 1));
    (one.min(other), one.abs_diff(other))
}

fn part() -> impl Strategy<Value = Part> {
    (any::<Index>(), any::<Index>())
}

fn config() -> ProptestConfig {
    ProptestConfig { cases: 300, rng_seed: RngSeed::Fixed(9), failure_persistence: None, ..ProptestConfig::default() }
}

/// The texts in every layout, each with the same NULLs. Where there may be bytes below NULL, there are.
fn layouts(texts: &[(String, bool)]) -> Vec<ArrayRef> {
    let options: Vec<Option<&str>> = texts.iter().map(|(text, valid)| valid.then_some(text.as_str())).collect();
    let raw: Vec<Option<&[u8]>> = options.iter().map(|text| text.map(str::as_bytes)).collect();
    let nulls = NullBuffer::from(texts.iter().map(|(_, valid)| *valid).collect::<Vec<_>>());
    let all = StringArray::from_iter_values(texts.iter().map(|(text, _)| text));
    let wide = LargeStringArray::from_iter_values(texts.iter().map(|(text, _)| text));
    let keys = || 0..texts.len();
    let small: Int8Array = keys().map(|row| texts[row].1.then_some(row as i8 & 7)).collect();
    let words = StringArray::from_iter_values((0..8).map(|word| "word ".repeat(word)));
    let mut layouts: Vec<ArrayRef> = vec![
        Arc::new(StringArray::new(all.offsets().clone(), all.values().clone(), Some(nulls.clone()))),
        Arc::new(LargeStringArray::new(wide.offsets().clone(), wide.values().clone(), Some(nulls))),
        Arc::new(StringArray::from(options.clone())),
        Arc::new(StringViewArray::from(options.clone())),
        Arc::new(BinaryArray::from_opt_vec(raw.clone())),
        Arc::new(LargeBinaryArray::from_opt_vec(raw.clone())),
        Arc::new(BinaryViewArray::from(raw)),
        Arc::new(options.iter().copied().collect::<DictionaryArray<Int32Type>>()),
        Arc::new(options.iter().copied().collect::<DictionaryArray<UInt16Type>>()),
        Arc::new(DictionaryArray::<Int8Type>::new(small, Arc::new(words))),
    ];
    if texts.iter().all(|(_, valid)| *valid) {
        layouts.push(Arc::new(all));
    }
    layouts
}

/// The bytes of a row of any of these.
fn text(array: &ArrayRef, row: usize) -> Vec<u8> {
    use arrow_array::cast::AsArray;
    match array.data_type() {
        DataType::Utf8 => array.as_string::<i32>().value(row).into(),
        DataType::LargeUtf8 => array.as_string::<i64>().value(row).into(),
        DataType::Utf8View => array.as_string_view().value(row).into(),
        DataType::Binary => array.as_binary::<i32>().value(row).into(),
        DataType::LargeBinary => array.as_binary::<i64>().value(row).into(),
        DataType::BinaryView => array.as_binary_view().value(row).into(),
        _ => {
            let keyed = array.as_any_dictionary();
            text(keyed.values(), keyed.normalized_keys()[row])
        }
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn strings_of_every_layout(
        texts in random((".{0,14}", prop::bool::weighted(0.8))),
        (before, cut, called) in (part(), part(), part()),
        outer in prop::option::of(prop::collection::vec(prop::bool::weighted(0.7), 150)),
        first in prop_oneof![Just(0u32), any::<u16>().prop_map(u32::from)],
    ) {
        for array in layouts(&texts) {
            let (from, kept) = range(before, array.len());
            let array = array.slice(from, kept);
            let outer = outer.as_ref().map(|outer| outer[..array.len()].to_vec());
            let host = Host::new(&array, outer.clone(), range(cut, array.len()));
            let Called { start, rows, nulls: hidden } = Called::of(&host, called, |row| array.is_null(row), outer.as_ref());
            prop_assert_eq!(nulls(&host, start, rows), hidden.clone());
            let expected: Vec<Vec<u8>> = hidden
                .iter()
                .enumerate()
                .map(|(row, null)| if *null { vec![] } else { text(&array, host.offset + start + row) })
                .collect();
            let whole = expected.concat();
            let mut size = 7;
            let (at, count) = (start as i64, rows as i64);
            told(|err| unsafe { ms_column_strings_size(&host.schema, &host.array, 0, at, count, &mut size, err) }).unwrap();
            prop_assert_eq!(size, whole.len());
            let (mut bytes, mut ends) = (vec![UNTOUCHED; size + 1], vec![u32::MAX; rows + 1]);
            strings(&host, (start, rows), first, &mut bytes[..size], &mut ends[..rows]).unwrap();
            let mut end = first;
            for (told, expected) in ends.iter().zip(&expected) {
                end += expected.len() as u32;
                prop_assert_eq!(*told, end);
            }
            prop_assert_eq!((bytes.pop(), ends.pop()), (Some(UNTOUCHED), Some(u32::MAX)));
            prop_assert_eq!(bytes, whole);
            // With less room nothing is written.
            if size > 0 {
                let mut bytes = vec![UNTOUCHED; size - 1];
                let error = strings(&host, (start, rows), 0, &mut bytes, &mut vec![0; rows]).unwrap_err();
                prop_assert!(error.contains("out_bytes has") && bytes.iter().all(|byte| *byte == UNTOUCHED), "{}", error);
                let error = strings(&host, (start, rows), 0, &mut vec![0; size], &mut vec![0; rows - 1]).unwrap_err();
                prop_assert!(error.contains("out_ends has"), "{}", error);
                let error = strings(&host, (start, rows), u32::MAX, &mut vec![0; size], &mut vec![0; rows]).unwrap_err();
                prop_assert!(error.contains("do not fit ends of 32 bits"), "{}", error);
            }
        }
    }

    #[test]
    fn values_of_every_width(
        numbers in random(prop::option::weighted(0.8, any::<i64>())),
        (before, cut, called) in (part(), part(), part()),
        outer in prop::option::of(prop::collection::vec(any::<bool>(), 150)),
    ) {
        let some = || numbers.iter().map(|number| number.as_ref());
        let interval = |number: &i64| arrow_array::types::IntervalDayTime::new(*number as i32, (*number >> 32) as i32);
        let words: Vec<Option<String>> = some().map(|n| n.map(|n| n.to_string())).collect();
        let columns: Vec<(ArrayRef, usize)> = vec![
            (Arc::new(some().map(|n| n.map(|n| *n as i8)).collect::<Int8Array>()), 1),
            (Arc::new(some().map(|n| n.map(|n| *n as i16)).collect::<Int16Array>()), 2),
            (Arc::new(some().map(|n| n.map(|n| *n as i32)).collect::<Date32Array>()), 4),
            (Arc::new(some().map(|n| n.map(|n| *n as i32)).collect::<IntervalYearMonthArray>()), 4),
            (Arc::new(some().map(|n| n.map(|n| *n as f32)).collect::<Float32Array>()), 4),
            (Arc::new(some().map(|n| n.copied()).collect::<Int64Array>()), 8),
            (Arc::new(some().map(|n| n.copied()).collect::<TimestampNanosecondArray>().with_timezone("UTC")), 8),
            (Arc::new(some().map(|n| n.map(interval)).collect::<IntervalDayTimeArray>()), 8),
            (Arc::new(some().map(|n| n.map(|n| i128::from(*n) << 20)).collect::<Decimal128Array>()), 16),
            (Arc::new(words.iter().map(|word| word.as_deref()).collect::<DictionaryArray<Int32Type>>()), 4),
        ];
        for (array, width) in columns {
            let (from, kept) = range(before, array.len());
            let array = array.slice(from, kept);
            let outer = outer.as_ref().map(|outer| outer[..array.len()].to_vec());
            let host = Host::new(&array, outer.clone(), range(cut, array.len()));
            let Called { start, rows, nulls: hidden } = Called::of(&host, called, |row| array.is_null(row), outer.as_ref());
            prop_assert_eq!(nulls(&host, start, rows), hidden);
            let data = array.to_data();
            let first = (data.offset() + host.offset + start) * width;
            let expected = &data.buffers()[0].as_slice()[first..first + rows * width];
            let mut room = vec![UNTOUCHED; rows * width + 1];
            values(&host, start, rows, &mut room[..rows * width]).unwrap();
            prop_assert_eq!(room.pop(), Some(UNTOUCHED));
            prop_assert_eq!(&room, expected);
            if rows > 0 {
                room.fill(UNTOUCHED);
                let error = values(&host, start, rows, &mut room[1..]).unwrap_err();
                prop_assert!(error.contains("out_values has") && room.iter().all(|byte| *byte == UNTOUCHED), "{}", error);
            }
        }
    }

    #[test]
    fn booleans_become_bytes(
        flags in random(prop::option::weighted(0.8, any::<bool>())),
        (before, cut, called) in (part(), part(), part()),
    ) {
        let array: ArrayRef = Arc::new(BooleanArray::from(flags.clone()));
        let (from, kept) = range(before, array.len());
        let array = array.slice(from, kept);
        let host = Host::new(&array, None, range(cut, array.len()));
        let Called { start, rows, nulls: hidden } = Called::of(&host, called, |row| array.is_null(row), None);
        prop_assert_eq!(nulls(&host, start, rows), hidden);
        let mut room = vec![UNTOUCHED; rows + 1];
        values(&host, start, rows, &mut room[..rows]).unwrap();
        prop_assert_eq!(room.pop(), Some(UNTOUCHED));
        let first = from + host.offset + start;
        let expected: Vec<u8> = flags[first..first + rows].iter().map(|flag| u8::from(*flag == Some(true))).collect();
        prop_assert_eq!(room, expected);
    }
}

#[test]
fn elements_of_lists_are_rows_of_their_own() {
    let offsets = OffsetBuffer::<i32>::from_lengths([2, 0, 3]);
    let field = Arc::new(Field::new("element", DataType::Utf8, true));
    let texts: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), None, Some("ccc"), Some(""), Some("dd")]));
    let list = ListArray::new(field, offsets, texts, Some(vec![true, false, true].into())).slice(1, 2);
    let (array, schema) = ffi::to_ffi(&list.to_data()).unwrap();
    let host = Host { schema, array, offset: 0, length: 5 };
    // Rows of the list that are cut off leave the numbers of its elements as they are.
    assert_eq!(nulls(&host, 0, 5), [false, true, false, false, false]);
    let (mut bytes, mut ends) = ([0; 5], [0; 3]);
    strings(&host, (2, 3), 10, &mut bytes, &mut ends).unwrap();
    assert_eq!((&bytes, ends), (b"cccdd", [13, 13, 15]));
}

#[test]
fn what_cannot_be_copied_is_said() {
    let texts = Host::plain(Arc::new(StringArray::from(vec!["a", "b"])));
    let numbers = Host::plain(Arc::new(Int32Array::from(vec![1, 2])));
    let nested: ArrayRef = Arc::new(StructArray::new_empty_fields(2, None));
    let nested = Host::plain(nested);
    let mut room = [0; 64];
    let error = values(&texts, 0, 2, &mut room).unwrap_err();
    assert!(error.contains("column 0 (c, format `u`)") && error.contains("ms_column_copy_strings"), "{error}");
    let error = values(&nested, 0, 2, &mut room).unwrap_err();
    assert!(error.contains("columns below it"), "{error}");
    assert_eq!(nulls(&nested, 0, 2), [false, false]);
    let (bytes, error) = numbers.sizes();
    assert!(bytes == 0 && error.unwrap_err().contains("ms_column_copy_values"));
    for (start, rows) in [(0, 3), (2, 1), (3, 0), (usize::MAX, 1), (1, usize::MAX), (i64::MAX as usize, 1)] {
        let error = values(&numbers, start, rows, &mut room).unwrap_err();
        assert!(error.contains("the column has 2"), "{error}");
    }
    for column in [-1, 1, i64::MAX] {
        let (schema, array, to) = (&raw const numbers.schema, &raw const numbers.array, room.as_mut_ptr());
        let error = told(|err| unsafe { ms_column_copy_values(schema, array, column, 0, 1, to.cast(), 64, err) });
        assert!(error.unwrap_err().contains(&format!("no column {column}; the array has 1")));
    }
    values(&numbers, 2, 0, &mut []).unwrap();
    let mut released = Host::plain(Arc::new(Int32Array::from(vec![1])));
    drop(std::mem::replace(&mut released.array, FFI_ArrowArray::empty()));
    assert!(values(&released, 0, 1, &mut room).unwrap_err().contains("released"));
}

#[test]
fn ends_are_aligned() {
    let host = Host::plain(Arc::new(StringArray::from(vec!["a"])));
    let mut ends = [0u32; 3];
    let odd = ends.as_mut_ptr().cast::<u8>().wrapping_add(1).cast::<u32>();
    let mut byte = 0u8;
    let to = (&raw mut byte).cast();
    let error =
        told(|err| unsafe { ms_column_copy_strings(&host.schema, &host.array, 0, 0, 1, 0, to, 1, odd, 1, err) });
    assert!(error.unwrap_err().contains("out_ends is not aligned"));
}

#[test]
fn arrays_and_schemas_without_their_parts_are_refused() {
    let mut host = Host::plain(Arc::new(StringArray::from(vec!["a"])));
    // Words of the C structs: `children` of an array; `format`, `children` and `release` of a schema; the first child of the schema.
    let array = (&raw mut host.array).cast::<usize>();
    let schema = (&raw mut host.schema).cast::<usize>();
    // SAFETY: within the structs, whose children are as many as they say.
    let (places, child) = unsafe {
        let child = schema.add(5).cast::<*mut usize>().read();
        ([array.add(6), schema.add(0), schema.add(5), schema.add(7), child], child.cast::<*mut usize>().read())
    };
    // SAFETY: as above; the format and the release of the child.
    let places = places.into_iter().chain(unsafe { [child.add(0), child.add(7)] });
    for (number, place) in places.enumerate() {
        // SAFETY: as above; what was there is put back before anybody releases it.
        let refused = unsafe {
            let before = place.replace(0);
            let (mut bytes, mut ends) = ([0u8; 8], [0u32; 1]);
            let refused = strings(&host, (0, 1), 0, &mut bytes, &mut ends);
            place.write(before);
            refused
        };
        let error = refused.unwrap_err();
        assert!(error.contains("malformed") || error.contains("is released"), "{number}: {error}");
    }
    let (mut bytes, mut ends) = ([0u8; 8], [0u32; 1]);
    strings(&host, (0, 1), 0, &mut bytes, &mut ends).unwrap();
}

/// Arrays whose numbers say more than they have, as far as it can be found out.
#[test]
fn malformed_arrays_are_refused() {
    let mut room = [0u8; 64];
    let refused = |host: &Host, what: &str| {
        let (mut bytes, mut ends) = ([0u8; 64], [0u32; 8]);
        let error = strings(host, (0, host.length), 0, &mut bytes, &mut ends).unwrap_err();
        assert!(error.contains("malformed") && error.contains(what), "{error}");
        // The size of views is told without a look at where they point.
        let (size, told) = host.sizes();
        match told {
            Ok(_) => assert_eq!(what, "outside"),
            Err(told) => assert_eq!((size, told), (0, error)),
        }
    };
    // SAFETY: not sound for use with Arrow; only this library gets to see them.
    let offsets = |offsets: Vec<i32>| unsafe { OffsetBuffer::new_unchecked(ScalarBuffer::from(offsets)) };
    for (broken, what) in [(vec![0, 3, 1], "ascend"), (vec![-2, 0, 1], "ascend"), (vec![0, 1, -1], "negative")] {
        // SAFETY: as above.
        let array = unsafe { StringArray::new_unchecked(offsets(broken), b"abcd".into(), None) };
        refused(&Host::plain(Arc::new(array)), what);
    }
    for view in [
        u128::from_le_bytes([20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0]),
        u128::from_le_bytes([20, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]),
        u128::from_le_bytes([13, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255]),
    ] {
        let buffers: Arc<[arrow_buffer::Buffer]> = Arc::new([vec![0u8; 24].into()]);
        // SAFETY: as above.
        let array = unsafe { BinaryViewArray::new_unchecked(vec![view].into(), buffers, None) };
        refused(&Host::plain(Arc::new(array)), "outside");
    }
    for keys in [vec![0, 2], vec![-1, 0], vec![i32::MAX, 0]] {
        let words = Arc::new(StringArray::from(vec!["a", "b"]));
        // SAFETY: as above.
        let array = unsafe { DictionaryArray::<Int32Type>::new_unchecked(Int32Array::from(keys), words) };
        refused(&Host::plain(Arc::new(array)), "outside");
    }
    // A column that is shorter than its struct, and numbers that are no numbers of rows.
    let mut short = Host::plain(Arc::new(Int32Array::from(vec![1, 2])));
    short.array.numbers()[0] = 3;
    assert!(values(&short, 0, 3, &mut room).unwrap_err().contains("fewer rows than its struct"));
    values(&short, 0, 2, &mut room).unwrap();
    short.array.numbers()[2] = -1;
    assert!(values(&short, 0, 2, &mut room).unwrap_err().contains("negative"));
    short.array.numbers()[2] = i64::MAX;
    assert!(values(&short, 1, 2, &mut room).unwrap_err().contains("too large"));
    short.array.numbers()[2] = 0;
    short.array.numbers()[4] = 0;
    assert!(values(&short, 0, 1, &mut room).unwrap_err().contains("the array has 0"));
    short.array.numbers()[4] = 1;
    let mut dictionary = Host::plain(Arc::new(DictionaryArray::<Int32Type>::new(
        Int32Array::from(vec![0]),
        Arc::new(StringArray::from(vec![None, Some("a")])),
    )));
    dictionary.length = 1;
    assert!(dictionary.sizes().1.unwrap_err().contains("dictionary with NULLs"));
}
