//! Each policy at its limits, at every depth.

use std::collections::HashMap;
use std::task::Poll;

use arrow_array::builder::{Int64Builder, MapBuilder, MapFieldNames, StringBuilder};
use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, Int32Type, Int64Type, TimestampNanosecondType};
use arrow_array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Decimal128Array, DictionaryArray, Int64Array, ListArray, MapArray,
    StringArray, StructArray, TimestampMillisecondArray, TimestampNanosecondArray,
};
use arrow_buffer::OffsetBuffer;
use arrow_schema::{DataType, Field, Fields};

use super::*;
use crate::arrow::fresh::{claim_fresh, each_buffer};
use crate::arrow::{TYPE_KEY, data_type};
use crate::memory::{Account, Ahead, Allowance, Budget};

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    let fields: Vec<Field> = columns
        .iter()
        .enumerate()
        .map(|(index, (type_text, array))| {
            let metadata = HashMap::from([(TYPE_KEY.to_owned(), (*type_text).to_owned())]);
            assert_eq!(*array.data_type(), data_type(type_text, Units::default()).unwrap(), "{type_text}");
            Field::new(format!("c{index}"), array.data_type().clone(), true).with_metadata(metadata)
        })
        .collect();
    let arrays = columns.into_iter().map(|(_, array)| array).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap()
}

/// The batch after both kinds of policies, and what was touched.
fn treated(policies: Policies, batch: RecordBatch) -> Result<(RecordBatch, Touched)> {
    let mut touched = Touched::default();
    let values = policies.of_values(&batch.schema())?;
    assert_eq!(*values.schema(), batch.schema(), "policies of values keep the type");
    let form = policies.of_form(values.schema())?;
    let batch = values.apply(batch, &mut touched)?;
    let batch = form.apply(batch, &mut touched)?;
    assert_eq!(batch.schema(), *form.schema());
    Ok((batch, touched))
}

fn chars(char_padding: Padding) -> Policies {
    Policies { char_padding, ..Policies::default() }
}

fn decimals(decimal: DecimalForm) -> Policies {
    Policies { decimal, ..Policies::default() }
}

fn maps(map_duplicate_keys: Duplicates) -> Policies {
    Policies { map_duplicate_keys, ..Policies::default() }
}

fn texts(values: &[Option<&str>]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

fn decimal(precision: u8, scale: i8, values: &[Option<i128>]) -> ArrayRef {
    Arc::new(Decimal128Array::from(values.to_vec()).with_precision_and_scale(precision, scale).unwrap())
}

/// One row per item: a list of the values, or NULL.
fn list(type_text: &str, rows: &[Option<usize>], values: ArrayRef) -> ArrayRef {
    let DataType::List(field) = data_type(type_text, Units::default()).unwrap() else { panic!("a list") };
    let offsets = OffsetBuffer::from_lengths(rows.iter().map(|row| row.unwrap_or(0)));
    let nulls: Vec<bool> = rows.iter().map(Option::is_some).collect();
    Arc::new(ListArray::new(field, offsets, values, Some(nulls.into())))
}

fn structure(type_text: &str, columns: Vec<ArrayRef>, valid: Vec<bool>) -> ArrayRef {
    let DataType::Struct(fields) = data_type(type_text, Units::default()).unwrap() else { panic!("a struct") };
    Arc::new(StructArray::new(fields, columns, Some(valid.into())))
}

/// A map of texts to numbers, or NULL.
type MapRow<'a> = Option<&'a [(&'a str, Option<i64>)]>;

fn map(rows: &[MapRow<'_>]) -> ArrayRef {
    let names = MapFieldNames { entry: "entries".into(), key: "key".into(), value: "value".into() };
    let mut builder = MapBuilder::new(Some(names), StringBuilder::new(), Int64Builder::new());
    for row in rows {
        for (key, value) in row.unwrap_or_default() {
            builder.keys().append_value(key);
            builder.values().append_option(*value);
        }
        builder.append(row.is_some()).unwrap();
    }
    Arc::new(builder.finish())
}

#[test]
fn without_a_policy_nothing_is_looked_at() {
    let one = batch(vec![("char(5)", texts(&[Some("a ")])), ("decimal(5,2)", decimal(5, 2, &[Some(100)]))]);
    assert!(Policies::default().of_values(&one.schema()).unwrap().is_idle());
    assert!(Policies::default().of_form(&one.schema()).unwrap().is_idle());
    let policies = Policies { map_duplicate_keys: Duplicates::Error, ..chars(Padding::Pad) };
    let other = batch(vec![("bigint", Arc::new(Int64Array::from(vec![1]))), ("varchar(5)", texts(&[Some("a ")]))]);
    assert!(policies.of_values(&other.schema()).unwrap().is_idle(), "no column is of a type that it is about");
    let (same, touched) = treated(policies, other.clone()).unwrap();
    assert!(Arc::ptr_eq(same.column(1), other.column(1)) && touched == Touched::default());
}

#[test]
fn char_is_stripped_and_padded() {
    let values = [Some("ab"), Some("ab   "), None, Some(""), Some("     "), Some(" äb"), Some("abcdefg")];
    let of = |padding| {
        let (batch, touched) = treated(chars(padding), batch(vec![("CHAR(5)", texts(&values))])).unwrap();
        let values = batch.column(0).as_string::<i32>().iter().map(|text| text.map(str::to_owned)).collect::<Vec<_>>();
        (values, touched.chars)
    };
    let some = |texts: [&str; 7]| texts.map(|text| (text != "NULL").then(|| text.to_owned())).to_vec();
    assert_eq!(of(Padding::Strip), (some(["ab", "ab", "NULL", "", "", " äb", "abcdefg"]), 2));
    assert_eq!(of(Padding::Pad), (some(["ab   ", "ab   ", "NULL", "     ", "     ", " äb  ", "abcdefg"]), 3));
    assert_eq!(of(Padding::Keep), (values.map(|text| text.map(str::to_owned)).to_vec(), 0));
    let same = batch(vec![("char(2)", texts(&[Some("ab"), None]))]);
    for padding in [Padding::Strip, Padding::Pad] {
        let (kept, _) = treated(chars(padding), same.clone()).unwrap();
        assert!(Arc::ptr_eq(kept.column(0), same.column(0)), "nothing to change, nothing copied");
    }
}

#[test]
fn char_inside_of_everything() {
    let inner = "struct<a:char(3),b:array<char(2)>>";
    let column = structure(
        inner,
        vec![
            texts(&[Some("x"), None, Some("hid")]),
            list("array<char(2)>", &[Some(2), Some(0), None], texts(&[Some("y"), None])),
        ],
        vec![true, true, false],
    );
    let (got, touched) = treated(chars(Padding::Pad), batch(vec![(inner, column)])).unwrap();
    let got = got.column(0).as_struct();
    assert_eq!(got.column(0).as_string::<i32>().value(0), "x  ");
    assert!(got.is_null(2) && got.column(0).is_null(1));
    let lists = got.column(1).as_list::<i32>();
    assert_eq!((lists.value(0).as_string::<i32>().value(0), lists.value(0).is_null(1)), ("y ", true));
    assert_eq!((lists.value_length(1), lists.is_null(2), touched.chars), (0, true, 2));
}

const MOST: i128 = 10i128.pow(38) - 1;

#[test]
fn decimals_become_wide_or_say_why_not() {
    let column = decimal(10, 2, &[Some(9_999_999_999), Some(-1), None]);
    let (got, touched) = treated(decimals(DecimalForm::Wide), batch(vec![("decimal(10,2)", column)])).unwrap();
    assert_eq!(*got.column(0).data_type(), DataType::Decimal128(38, 18));
    let values = got.column(0).as_primitive::<Decimal128Type>();
    assert_eq!((values.value_as_string(0), values.value(1)), ("99999999.990000000000000000".into(), -(10i128.pow(16))));
    assert!(values.is_null(2) && touched.decimals == 2);

    // 20 digits in front of the point is what decimal(38,18) has.
    let fits = 10i128.pow(20) - 1;
    for (value, good) in [(fits, true), (-fits, true), (fits + 1, false), (MOST, false)] {
        let made = treated(decimals(DecimalForm::Wide), batch(vec![("decimal(38,0)", decimal(38, 0, &[Some(value)]))]));
        assert_eq!(made.is_ok(), good, "{value}");
        if let Err(error) = made {
            assert_eq!(error.kind(), Kind::ValueOutOfRange);
            assert!(error.message().contains("column c0") && error.message().contains(&value.to_string()), "{error}");
        }
    }
    // Digits behind the 18th are not lost in silence.
    for (value, good) in [(10i128.pow(20), true), (10i128.pow(20) + 1, false)] {
        let made =
            treated(decimals(DecimalForm::Wide), batch(vec![("decimal(38,38)", decimal(38, 38, &[Some(value)]))]));
        assert_eq!(made.is_ok(), good, "{value}");
    }
    let same = batch(vec![("decimal", decimal(38, 18, &[Some(MOST)]))]);
    assert!(decimals(DecimalForm::Wide).of_form(&same.schema()).unwrap().is_idle(), "wide already");
}

#[test]
fn decimals_as_text_have_every_digit() {
    let column = decimal(38, 18, &[Some(MOST), Some(-MOST), Some(1), Some(0), None]);
    let (got, touched) = treated(decimals(DecimalForm::Text), batch(vec![("decimal", column)])).unwrap();
    let got: Vec<_> = got.column(0).as_string::<i32>().iter().collect();
    let expected = [
        Some("99999999999999999999.999999999999999999"),
        Some("-99999999999999999999.999999999999999999"),
        Some("0.000000000000000001"),
        Some("0.000000000000000000"),
        None,
    ];
    assert_eq!((got.as_slice(), touched.decimals), (&expected[..], 4));
}

#[test]
fn values_that_nobody_sees_do_no_harm() {
    let type_text = "struct<d:decimal(38,0)>";
    let column = structure(type_text, vec![decimal(38, 0, &[Some(MOST), Some(7)])], vec![false, true]);
    let (got, touched) = treated(decimals(DecimalForm::Wide), batch(vec![(type_text, column)])).unwrap();
    assert_eq!((got.column(0).is_null(0), touched.decimals), (true, 1));
    let column = list("array<decimal(3,1)>", &[None, Some(0), Some(1)], decimal(3, 1, &[Some(15)]));
    let (got, _) = treated(decimals(DecimalForm::Text), batch(vec![("array<decimal(3,1)>", column)])).unwrap();
    let lists = got.column(0).as_list::<i32>();
    assert_eq!((lists.is_null(0), lists.value_length(1)), (true, 0));
    assert_eq!(lists.value(2).as_string::<i32>().value(0), "1.5");
}

/// Values that lie below a list or a struct that is NULL, as the wire may have them.
#[test]
fn values_below_what_is_null_do_no_harm_either() {
    let DataType::List(item) = data_type("array<decimal(38,0)>", Units::default()).unwrap() else { panic!("a list") };
    let offsets = OffsetBuffer::from_lengths([1, 1]);
    for seen in [false, true] {
        let nulls = Some(vec![seen, true].into());
        let values = decimal(38, 0, &[Some(MOST), Some(7)]);
        let column: ArrayRef = Arc::new(ListArray::new(Arc::clone(&item), offsets.clone(), values, nulls));
        let made = treated(decimals(DecimalForm::Wide), batch(vec![("array<decimal(38,0)>", column)]));
        assert_eq!(made.is_err(), seen);
        if let Ok((got, touched)) = made {
            assert_eq!((got.column(0).is_null(0), touched.decimals), (true, 1));
        }
        let type_text = "struct<m:map<string,bigint>>";
        let twice = map(&[Some(&[("a", Some(1)), ("a", Some(2))]), Some(&[])]);
        let column = structure(type_text, vec![twice], vec![seen, true]);
        assert_eq!(treated(maps(Duplicates::Error), batch(vec![(type_text, column)])).is_err(), seen);
    }
}

fn entries(map: &MapArray, row: usize) -> Vec<(String, Option<i64>)> {
    let row = map.value(row);
    let (keys, values) = (row.column(0).as_string::<i32>(), row.column(1).as_primitive::<Int64Type>());
    keys.iter().map(|key| key.unwrap().to_owned()).zip(values.iter()).collect()
}

#[test]
fn the_last_value_of_a_key_stays_in_the_first_place() {
    let rows: &[Option<&[_]>] = &[
        Some(&[("a", Some(1)), ("b", Some(2)), ("a", Some(3))]),
        None,
        Some(&[]),
        Some(&[("a", Some(4)), ("a", None)]),
        Some(&[("b", None)]),
    ];
    let column = map(rows);
    let whole = batch(vec![("map<string,bigint>", column)]);
    let (got, touched) = treated(maps(Duplicates::Last), whole.clone()).unwrap();
    let got = got.column(0).as_map();
    assert_eq!(entries(got, 0), [("a".into(), Some(3)), ("b".into(), Some(2))]);
    assert!(got.is_null(1) && got.value_length(2) == 0);
    assert_eq!((entries(got, 3), entries(got, 4)), (vec![("a".into(), None)], vec![("b".into(), None)]));
    assert_eq!(touched.map_entries, 2);
    // A batch that begins in the middle, as after a resume.
    let (got, touched) = treated(maps(Duplicates::Last), whole.slice(3, 2)).unwrap();
    assert_eq!((entries(got.column(0).as_map(), 0).len(), touched.map_entries), (1, 1));
    let error = treated(maps(Duplicates::Error), whole.clone()).unwrap_err();
    assert!(error.kind() == Kind::ValueOutOfRange && error.message().contains("twice"), "{error}");
    assert!(treated(maps(Duplicates::Error), whole.slice(1, 2)).is_ok(), "no key is there twice");
    let (kept, _) = treated(maps(Duplicates::Keep), whole.clone()).unwrap();
    assert_eq!(kept, whole);
}

#[test]
fn keys_of_every_type_are_compared() {
    let one = |type_text: &str, keys: ArrayRef| {
        let DataType::Map(field, _) = data_type(type_text, Units::default()).unwrap() else { panic!("a map") };
        let DataType::Struct(fields) = field.data_type().clone() else { panic!("entries") };
        let values: ArrayRef = Arc::new(Int64Array::from_iter_values(0..keys.len() as i64));
        let pairs = StructArray::new(fields, vec![keys, values], None);
        let offsets = OffsetBuffer::from_lengths([pairs.len()]);
        let column: ArrayRef = Arc::new(MapArray::new(field, offsets, pairs, None, false));
        treated(maps(Duplicates::Last), batch(vec![(type_text, column)])).unwrap().1.map_entries
    };
    assert_eq!(one("map<bigint,bigint>", Arc::new(Int64Array::from(vec![1, 256, 1, 0, 1]))), 2);
    assert_eq!(one("map<boolean,bigint>", Arc::new(BooleanArray::from(vec![true, false, true]))), 1);
    assert_eq!(one("map<binary,bigint>", Arc::new(BinaryArray::from(vec![&b"a"[..], b"", b"a\0", b""]))), 1);
    assert_eq!(one("map<decimal(5,2),bigint>", decimal(5, 2, &[Some(1), Some(2), Some(1)])), 1);
}

#[test]
fn maps_inside_of_lists_and_of_maps_are_treated() {
    let type_text = "array<map<string,bigint>>";
    let column = list(type_text, &[Some(1), None], map(&[Some(&[("a", Some(1)), ("a", Some(2))])]));
    let (got, touched) = treated(maps(Duplicates::Last), batch(vec![(type_text, column)])).unwrap();
    let inner = got.column(0).as_list::<i32>().value(0);
    assert_eq!((entries(inner.as_map(), 0), touched.map_entries), (vec![("a".into(), Some(2))], 1));
}

#[test]
fn views_share_the_buffer_of_the_strings() {
    let long = "longer than twelve bytes";
    let strings = texts(&[Some(long), Some("short"), None, Some("")]);
    let place = strings.as_string::<i32>().value_data().as_ptr();
    let bytes: ArrayRef = Arc::new(BinaryArray::from_opt_vec(vec![Some(b"\0\xff"), None, None, None]));
    let lists = list("array<string>", &[Some(1), None, Some(0), Some(1)], texts(&[Some(long), None]));
    let policies = Policies { string_view: true, ..Policies::default() };
    let whole = batch(vec![("string", strings), ("binary", bytes), ("array<string>", lists)]);
    let (got, touched) = treated(policies, whole).unwrap();
    let views = got.column(0).as_string_view();
    assert_eq!(views.iter().collect::<Vec<_>>(), [Some(long), Some("short"), None, Some("")]);
    assert_eq!(views.data_buffers()[0].as_ptr(), place, "nothing was copied");
    assert_eq!(got.column(1).as_binary_view().iter().collect::<Vec<_>>(), [Some(&b"\0\xff"[..]), None, None, None]);
    assert_eq!(got.column(2).as_list::<i32>().value(0).as_string_view().value(0), long);
    assert_eq!(touched.views, 5);
    let fields: Fields = got.schema().fields().clone();
    assert_eq!((fields[0].data_type(), fields[1].data_type()), (&DataType::Utf8View, &DataType::BinaryView));
}

#[test]
fn large_offsets_are_at_every_depth_and_share_the_values() {
    let texts = texts(&[Some("a"), Some("long enough to be told from a view"), None, Some("")]);
    let place = texts.as_string::<i32>().value_data().as_ptr();
    let bytes: ArrayRef = Arc::new(BinaryArray::from_opt_vec(vec![Some(b"\0\xff"), None, Some(b""), None]));
    let numbers = list("array<bigint>", &[Some(2), None, Some(0), Some(1)], Arc::new(Int64Array::from(vec![1, 2, 3])));
    let inner = list("array<string>", &[Some(1), None, Some(2)], self::texts(&[Some("x"), None, Some("y")]));
    let nested = list("array<array<string>>", &[Some(1), Some(0), Some(2), None], inner);
    let maps = map(&[Some(&[("k", Some(1))]), None, Some(&[]), Some(&[("l", None)])]);
    let parts = "struct<s:string,b:binary,n:bigint>";
    let numbered: ArrayRef = Arc::new(Int64Array::from(vec![1; 4]));
    let structs =
        structure(parts, vec![Arc::clone(&texts), Arc::clone(&bytes), numbered], vec![true, false, true, true]);
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("string", Arc::clone(&texts)),
        ("binary", bytes),
        ("array<bigint>", numbers),
        ("array<array<string>>", nested),
        ("map<string,bigint>", maps),
        (parts, structs),
        ("decimal(3,1)", decimal(3, 1, &[Some(15), None, Some(-1), Some(0)])),
        ("bigint", Arc::new(Int64Array::from(vec![1; 4]))),
    ];
    let policies = Policies { large_offsets: true, decimal: DecimalForm::Text, ..Policies::default() };
    let whole = batch(columns);
    let (got, touched) = treated(policies.clone(), whole.clone()).unwrap();
    let types: Vec<String> = got.schema().fields().iter().map(|field| field.data_type().to_string()).collect();
    assert!(!types.iter().any(|text| text.replace("LargeUtf8", "").contains("Utf8")), "{types:?}");
    assert_eq!((&types[0], &types[1], &types[7]), (&"LargeUtf8".into(), &"LargeBinary".into(), &"Int64".into()));
    assert!(Arc::ptr_eq(got.column(7), whole.column(7)), "a column without offsets is not touched");
    let strings = got.column(0).as_string::<i64>();
    assert_eq!(strings.value_data().as_ptr(), place, "no value was copied");
    assert!(strings.iter().eq(texts.as_string::<i32>()));
    assert_eq!(
        got.column(1).as_binary::<i64>().iter().collect::<Vec<_>>(),
        [Some(&b"\0\xff"[..]), None, Some(b""), None]
    );
    let numbers = got.column(2).as_list::<i64>();
    assert_eq!(numbers.value(0).as_primitive::<Int64Type>().values().as_ref(), [1, 2]);
    assert_eq!((numbers.is_null(1), numbers.value_length(2), numbers.value_length(3)), (true, 0, 1));
    let outer = got.column(3).as_list::<i64>().value(2);
    let outer = outer.as_list::<i64>();
    assert!(outer.is_null(0) && outer.value(1).as_string::<i64>().iter().eq([None, Some("y")]));
    let DataType::Map(entries, _) = got.column(4).data_type() else { panic!("maps have 32 bits always") };
    assert!(entries.data_type().to_string().contains("LargeUtf8"), "{entries}");
    assert_eq!(got.column(4).as_map().value(0).column(0).as_string::<i64>().value(0), "k");
    assert!(got.column(5).as_struct().column(0).as_string::<i64>().iter().eq(texts.as_string::<i32>()));
    assert!(got.column(6).as_string::<i64>().iter().eq([Some("1.5"), None, Some("-0.1"), Some("0.0")]));
    // What is there of strings 3, binary 2, lists 3, nested ones 3 + 2 with 2 strings, keys 2, parts 3 + 2.
    assert_eq!((touched.offsets, touched.decimals), (22, 3));
    // The cut of a batch, as after a resume.
    let (cut, _) = treated(policies, whole.slice(1, 3)).unwrap();
    assert_eq!(cut.columns(), got.slice(1, 3).columns());
}

fn dictionaries(columns: &[&str]) -> Policies {
    Policies { dictionary: columns.iter().map(|name| (*name).to_owned()).collect(), ..Policies::default() }
}

fn keyed(array: &ArrayRef) -> &DictionaryArray<Int32Type> {
    array.as_any().downcast_ref().expect("a dictionary")
}

#[test]
fn strings_become_dictionaries_of_the_form_of_strings() {
    let cities = [Some("Bern"), None, Some("Ulm"), Some("Bern"), Some("Bern"), Some("")];
    let char_like = texts(&[Some("a  "), Some("a"), None, None, Some("a "), Some("b")]);
    let lists = list("array<string>", &[Some(1); 6], texts(&[Some("x"); 6]));
    let numbers = decimal(3, 1, &[Some(15); 6]);
    let columns = vec![
        ("string", texts(&cities)),
        ("varchar(9)", texts(&cities)),
        ("char(3)", char_like),
        ("array<string>", lists),
        ("decimal(3,1)", numbers),
    ];
    let whole = batch(columns);
    let strip = Policies { char_padding: Padding::Strip, decimal: DecimalForm::Text, ..dictionaries(&["*"]) };
    for (policies, values) in [
        (strip.clone(), DataType::Utf8),
        (Policies { string_view: true, ..strip.clone() }, DataType::Utf8View),
        (Policies { large_offsets: true, ..strip.clone() }, DataType::LargeUtf8),
    ] {
        let (got, touched) = treated(policies.clone(), whole.clone()).unwrap();
        let expected = DataType::Dictionary(Box::new(DataType::Int32), Box::new(values.clone()));
        for column in 0..3 {
            assert_eq!(*got.column(column).data_type(), expected);
            got.column(column).to_data().validate_full().unwrap();
        }
        for column in 0..2 {
            let keyed = keyed(got.column(column));
            assert_eq!(keyed.keys().iter().collect::<Vec<_>>(), [Some(0), None, Some(1), Some(0), Some(0), Some(2)]);
            assert_eq!((keyed.values().len(), keyed.values().null_count()), (3, 0));
        }
        // Blanks that a policy takes away make values equal.
        assert_eq!(keyed(got.column(2)).values().len(), 2);
        assert!(matches!(got.column(3).data_type(), DataType::List(_) | DataType::LargeList(_)));
        assert!(
            !matches!(got.column(4).data_type(), DataType::Dictionary(..)),
            "a decimal that became text is no string"
        );
        assert_eq!((touched.encoded, touched.dictionary_values), (14, 8));
        let (cut, _) = treated(policies.clone(), whole.slice(2, 3)).unwrap();
        assert_eq!(keyed(cut.column(0)).values().len(), 2);
        let (empty, _) = treated(policies, whole.slice(0, 0)).unwrap();
        assert_eq!((empty.num_rows(), keyed(empty.column(0)).values().len()), (0, 0));
    }
    // By name, in any case; others stay as they are.
    let (got, touched) = treated(dictionaries(&["C1"]), whole.clone()).unwrap();
    assert!(Arc::ptr_eq(got.column(0), whole.column(0)) && touched.encoded == 5);
    assert_eq!(keyed(got.column(1)).keys().len(), 6);
}

#[test]
fn columns_of_dictionaries_are_checked() {
    let whole = batch(vec![("string", texts(&[Some("a")])), ("bigint", Arc::new(Int64Array::from(vec![1])))]);
    for (names, part) in [(&["c0", "other"][..], "column other is not read"), (&["C1"], "column C1 is bigint")] {
        let error = dictionaries(names).check(&whole.schema()).unwrap_err();
        assert!(error.kind() == Kind::InvalidOption && error.message().contains(part), "{error}");
    }
    dictionaries(&["C0", "*", "c0"]).check(&whole.schema()).unwrap();
}

#[test]
fn instants_name_the_zone_at_every_depth_and_keep_their_values() {
    let times: ArrayRef = Arc::new(TimestampNanosecondArray::from(vec![Some(1), None, Some(-1)]).with_timezone("UTC"));
    let millis: ArrayRef = Arc::new(TimestampMillisecondArray::from(vec![Some(5), Some(6), None]).with_timezone("UTC"));
    let local: ArrayRef = Arc::new(TimestampNanosecondArray::from(vec![Some(1), None, Some(2)]));
    let lists = list("array<datetime>", &[Some(2), None, Some(1)], Arc::clone(&millis));
    let structs = structure(
        "struct<t:timestamp,l:timestamp_ntz>",
        vec![Arc::clone(&times), Arc::clone(&local)],
        vec![true, false, true],
    );
    let columns = vec![
        ("timestamp", Arc::clone(&times)),
        ("datetime", millis),
        ("timestamp_ntz", Arc::clone(&local)),
        ("array<datetime>", lists),
        ("struct<t:timestamp,l:timestamp_ntz>", structs),
    ];
    let whole = batch(columns);
    let zone = TimeZone::parse("Asia/Shanghai").unwrap();
    let policies = Policies { time_zone: zone, ..Policies::default() };
    assert!(policies.of_values(&whole.schema()).unwrap().is_idle(), "filters see UTC");
    assert_eq!(policies.of_form(&whole.schema()).unwrap().most_bytes(&whole.project(&[0, 1, 2]).unwrap()), 0);
    let (got, touched) = treated(policies.clone(), whole.clone()).unwrap();
    let types: Vec<String> = got.schema().fields().iter().map(|field| field.data_type().to_string()).collect();
    assert!(types.iter().all(|text| !text.contains("UTC")), "{types:?}");
    assert_eq!([0, 1, 3, 4].map(|at: usize| types[at].matches("Asia/Shanghai").count()), [1; 4], "{types:?}");
    assert!(Arc::ptr_eq(got.column(2), &local));
    assert_eq!(touched, Touched::default());
    let values = |array: &ArrayRef| array.as_primitive::<TimestampNanosecondType>().clone();
    assert!(values(got.column(0)).iter().eq([Some(1), None, Some(-1)]));
    assert_eq!(values(got.column(0)).values().as_ptr(), values(&times).values().as_ptr(), "nothing is copied");
    assert!(values(got.column(4).as_struct().column(0)).iter().eq([Some(1), None, Some(-1)]));
    got.columns().iter().for_each(|column| column.to_data().validate_full().unwrap());
    let (cut, _) = treated(policies, whole.slice(1, 2)).unwrap();
    assert_eq!(cut.columns(), got.slice(1, 2).columns());
    let utc = Policies { time_zone: TimeZone::parse("UTC").unwrap(), ..Policies::default() };
    assert!(utc.are_default());
}

/// What is asked for is enough, and not much more.
#[test]
fn the_memory_of_what_is_made_is_known_before() {
    let rows = 1000;
    let words: Vec<Option<String>> = (0..rows).map(|row| (row % 5 > 0).then(|| "w".repeat(row % 30))).collect();
    let words: ArrayRef = Arc::new(StringArray::from(words));
    let lists = list("array<string>", &vec![Some(1); rows], Arc::clone(&words));
    let decimals = decimal(10, 2, &(0..rows as i128).map(|row| (row % 3 > 0).then_some(row)).collect::<Vec<_>>());
    let whole = batch(vec![("string", words), ("array<string>", lists), ("decimal(10,2)", decimals)]);
    for policies in [
        Policies { large_offsets: true, ..Policies::default() },
        Policies { large_offsets: true, decimal: DecimalForm::Text, ..Policies::default() },
        Policies { string_view: true, decimal: DecimalForm::Wide, ..Policies::default() },
        // Looking up needs memory as well, which is given back.
        Policies { large_offsets: true, ..dictionaries(&["*"]) },
    ] {
        let scratch =
            if policies.dictionary.is_empty() { 0 } else { 1000 * dictionaries::BYTES_OF_ROW as u64 + 40_000 };
        for part in [whole.clone(), whole.slice(3, 500)] {
            let form = policies.of_form(&part.schema()).unwrap();
            let account = Account::new(&Budget::new(0, None));
            let most = form.most_bytes(&part);
            let Poll::Ready(grant) = account.reserve(most, &Ahead::default()).now() else { panic!("no memory") };
            let allowance = Allowance::new(grant.unwrap());
            let made = form.apply(part.clone(), &mut Touched::default()).unwrap();
            claim_fresh(&part, &made, &allowance);
            drop(allowance);
            let mut buffers = HashMap::new();
            each_buffer(&made, &mut |buffer| {
                buffers.insert(buffer.data_ptr(), buffer.capacity());
            });
            each_buffer(&part, &mut |buffer| {
                buffers.remove(&buffer.data_ptr());
            });
            let taken = buffers.values().sum::<usize>() as u64;
            assert_eq!(account.held(), taken, "{policies:?}: all of it is accounted");
            assert!(taken > 0 && taken <= most && most < 2 * taken + 2000 + scratch, "{policies:?}: {taken} of {most}");
        }
    }
}

#[test]
fn policies_work_together_and_on_batches_without_rows() {
    let policies = Policies {
        char_padding: Padding::Strip,
        decimal: DecimalForm::Text,
        map_duplicate_keys: Duplicates::Last,
        string_view: true,
        large_offsets: false,
        timestamp_overflow: Overflow::Null,
        dictionary: vec![],
        time_zone: TimeZone::default(),
    };
    let whole = batch(vec![
        ("char(4)", texts(&[Some("a   ")])),
        ("decimal(3,1)", decimal(3, 1, &[Some(15)])),
        ("map<string,bigint>", map(&[Some(&[("a", Some(1)), ("a", Some(2))])])),
    ]);
    let (got, touched) = treated(policies.clone(), whole.clone()).unwrap();
    assert_eq!(got.column(0).as_string_view().value(0), "a");
    assert_eq!(*got.column(1).data_type(), DataType::Utf8, "a decimal that became text is no string of the table");
    let entries = got.column(2).as_map().value(0);
    assert_eq!(entries.column(0).as_string_view().value(0), "a");
    assert_eq!((touched.chars, touched.decimals, touched.map_entries, touched.views), (1, 1, 1, 2));
    let (empty, touched) = treated(policies, whole.slice(0, 0)).unwrap();
    assert_eq!((empty.num_rows(), touched), (0, Touched::default()));
}
