//! What is done to the arrays of a column, at every depth.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Decimal128Type;
use arrow_array::{Array, ArrayRef, LargeListArray, ListArray, MapArray, StructArray};
use arrow_buffer::{NullBuffer, OffsetBuffer};
use arrow_schema::{ArrowError, DataType, Field, FieldRef, Fields};

use super::{
    DecimalForm, Duplicates, Padding, Policies, Touched, chars, decimals, dictionaries, maps, offsets, views, zones,
};
use crate::arrow::cut::array_bytes;
use crate::arrow::slabs::ALIGNMENT;
use crate::arrow::{MaxType, visible};
use crate::error::{Error, Kind, Result};

/// Buffers that an array has of its own at most; each may be larger than needed by what aligns it.
const BUFFERS: usize = 3;
/// Bytes for looking up the first few values of a dictionary.
const SMALLEST_TABLE: usize = 512;
/// The precision and scale of wide decimals.
const WIDE: (u8, i8) = (38, 18);

/// Which policies are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Those that keep the type.
    Values,
    /// Those that change it.
    Form,
}

/// What is done to an array.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Step {
    /// Nothing.
    Keep,
    /// Blanks at the end of CHAR go.
    Strip,
    /// CHAR is filled up to so many characters.
    Pad(usize),
    /// Decimals get another precision and scale.
    Rescale { precision: u8, scale: i8 },
    /// Decimals become text.
    DecimalText { is_large: bool },
    /// Strings and binary values become views.
    View,
    /// Strings and binary values get 64-bit offsets.
    LargeBytes,
    /// Strings become a dictionary, whose values are treated.
    Dictionary(Box<Step>),
    /// Instants get a type that names another zone.
    Label(DataType),
    /// The elements of a list are treated, which may get 64-bit offsets.
    List { element: FieldRef, step: Box<Step>, is_large: bool },
    /// The parts of a struct are treated.
    Struct(Fields, Vec<Step>),
    /// Keys and values of a map are treated, and keys that are there twice.
    Map { entries: FieldRef, sorted: bool, parts: Vec<Step>, duplicates: Duplicates },
}

/// The type of a column after a stage, and what leads there.
pub(super) fn plan(
    policies: &Policies,
    stage: Stage,
    declared: &MaxType,
    arrow: &DataType,
) -> Result<(DataType, Step)> {
    let child = |declared: &MaxType, field: &FieldRef| -> Result<(FieldRef, Step)> {
        let (data_type, step) = plan(policies, stage, declared, field.data_type())?;
        let field = match step {
            Step::Keep => Arc::clone(field),
            _ => Arc::new(Field::clone(field).with_data_type(data_type)),
        };
        Ok((field, step))
    };
    let keep = Ok((arrow.clone(), Step::Keep));
    let form = stage == Stage::Form;
    let is_large = form && policies.large_offsets;
    match (declared, arrow) {
        (MaxType::Char(_), DataType::Utf8) if !form && policies.char_padding == Padding::Strip => {
            Ok((arrow.clone(), Step::Strip))
        }
        (MaxType::Char(length), DataType::Utf8) if !form && policies.char_padding == Padding::Pad => {
            Ok((arrow.clone(), Step::Pad(usize::try_from(*length).unwrap_or(usize::MAX))))
        }
        (_, DataType::Utf8) if form && policies.string_view => Ok((DataType::Utf8View, Step::View)),
        (_, DataType::Binary) if form && policies.string_view => Ok((DataType::BinaryView, Step::View)),
        (_, DataType::Utf8) if is_large => Ok((DataType::LargeUtf8, Step::LargeBytes)),
        (_, DataType::Binary) if is_large => Ok((DataType::LargeBinary, Step::LargeBytes)),
        (_, DataType::Decimal128(precision, scale)) if form => match policies.decimal {
            DecimalForm::Wide if (*precision, *scale) != WIDE => {
                let (precision, scale) = WIDE;
                Ok((DataType::Decimal128(precision, scale), Step::Rescale { precision, scale }))
            }
            DecimalForm::Text => {
                let text = if is_large { DataType::LargeUtf8 } else { DataType::Utf8 };
                Ok((text, Step::DecimalText { is_large }))
            }
            _ => keep,
        },
        (_, DataType::Timestamp(unit, Some(_))) if form && !policies.time_zone.is_utc() => {
            let labelled = DataType::Timestamp(*unit, Some(policies.time_zone.arrow()));
            Ok((labelled.clone(), Step::Label(labelled)))
        }
        (MaxType::Array(element), DataType::List(field)) => match child(element, field)? {
            (_, Step::Keep) if !is_large => keep,
            (element, step) => {
                let list = if is_large { DataType::LargeList } else { DataType::List };
                Ok((list(Arc::clone(&element)), Step::List { element, step: Box::new(step), is_large }))
            }
        },
        (MaxType::Struct(parts), DataType::Struct(fields)) => {
            let parts = parts.iter().zip(fields).map(|((_, declared), field)| child(declared, field));
            let (fields, steps): (Vec<FieldRef>, Vec<Step>) = parts.collect::<Result<Vec<_>>>()?.into_iter().unzip();
            if steps.iter().all(|step| *step == Step::Keep) {
                return keep;
            }
            let fields = Fields::from(fields);
            Ok((DataType::Struct(fields.clone()), Step::Struct(fields, steps)))
        }
        (MaxType::Map(key, value), DataType::Map(entries, sorted)) => {
            let DataType::Struct(pair) = entries.data_type() else { return keep };
            let parts = [key, value].into_iter().zip(pair).map(|(declared, field)| child(declared, field));
            let (fields, steps): (Vec<FieldRef>, Vec<Step>) = parts.collect::<Result<Vec<_>>>()?.into_iter().unzip();
            let duplicates = if form { Duplicates::Keep } else { policies.map_duplicate_keys };
            if duplicates != Duplicates::Keep {
                maps::check_key(pair)?;
            }
            if duplicates == Duplicates::Keep && steps.iter().all(|step| *step == Step::Keep) {
                return keep;
            }
            let entries = Arc::new(Field::clone(entries).with_data_type(DataType::Struct(fields.into())));
            let data_type = DataType::Map(Arc::clone(&entries), *sorted);
            Ok((data_type, Step::Map { entries, sorted: *sorted, parts: steps, duplicates }))
        }
        _ => keep,
    }
}

impl Step {
    /// Treats an array. `hidden` says which of its values no one can see, because what they are part of is NULL.
    pub(super) fn apply(
        &self,
        array: &ArrayRef,
        hidden: Option<&NullBuffer>,
        touched: &mut Touched,
    ) -> Result<ArrayRef> {
        Ok(match self {
            Step::Keep => Arc::clone(array),
            Step::Strip => chars::strip(array, touched),
            Step::Pad(length) => chars::pad(array, *length, touched)?,
            Step::Rescale { precision, scale } => decimals::rescale(array, hidden, *precision, *scale, touched)?,
            Step::DecimalText { is_large: false } => decimals::text::<i32>(array, touched)?,
            Step::DecimalText { is_large: true } => decimals::text::<i64>(array, touched)?,
            Step::View => views::view(array, touched),
            Step::LargeBytes => offsets::widen_bytes(array, touched)?,
            Step::Dictionary(step) => {
                let (keys, values) = dictionaries::encode(array)?;
                touched.encoded += (keys.len() - keys.null_count()) as u64;
                touched.dictionary_values += values.len() as u64;
                let values: ArrayRef = Arc::new(values);
                dictionaries::joined(keys, step.apply(&values, None, touched)?)?
            }
            Step::Label(data_type) => zones::label(array, data_type)?,
            Step::List { element, step, is_large } => {
                let list = array.as_list::<i32>();
                let (offsets, start, length) = own(list.offsets());
                let seen = visible::values(&offsets, NullBuffer::union(hidden, list.nulls()).as_ref(), length);
                let values = step.apply(&list.values().slice(start, length), seen.as_ref(), touched)?;
                let (element, nulls) = (Arc::clone(element), list.nulls().cloned());
                if *is_large {
                    touched.offsets += (list.len() - list.null_count()) as u64;
                    let offsets = offsets::widened(&offsets);
                    Arc::new(LargeListArray::try_new(element, offsets, values, nulls).map_err(unfit)?)
                } else {
                    Arc::new(ListArray::try_new(element, offsets, values, nulls).map_err(unfit)?)
                }
            }
            Step::Struct(fields, steps) => {
                let parts = array.as_struct();
                let seen = NullBuffer::union(hidden, parts.nulls());
                let columns = parts.columns().iter().zip(steps);
                let columns = columns.map(|(column, step)| step.apply(column, seen.as_ref(), touched));
                let columns = columns.collect::<Result<Vec<_>>>()?;
                let nulls = parts.nulls().cloned();
                Arc::new(StructArray::try_new_with_length(fields.clone(), columns, nulls, parts.len()).map_err(unfit)?)
            }
            Step::Map { entries, sorted, parts, duplicates } => {
                let rows = NullBuffer::union(hidden, array.nulls());
                let unique = maps::unique(array.as_map(), rows.as_ref(), *duplicates, touched)?;
                let map = unique.as_ref().unwrap_or(array.as_map());
                let DataType::Struct(fields) = entries.data_type() else { return Ok(Arc::clone(array)) };
                let (offsets, start, length) = own(map.offsets());
                let columns = map.entries().columns().iter().zip(parts);
                let seen = visible::values(&offsets, rows.as_ref(), length);
                let columns =
                    columns.map(|(column, step)| step.apply(&column.slice(start, length), seen.as_ref(), touched));
                let columns = columns.collect::<Result<Vec<_>>>()?;
                let pairs = StructArray::try_new(fields.clone(), columns, None).map_err(unfit)?;
                let nulls = map.nulls().cloned();
                Arc::new(MapArray::try_new(Arc::clone(entries), offsets, pairs, nulls, *sorted).map_err(unfit)?)
            }
        })
    }
}

impl Step {
    /// Bytes that the buffers of the array which it makes take at most, but for those it has in common with `array`.
    pub(super) fn most_bytes(&self, array: &ArrayRef) -> usize {
        let rows = array.len();
        let offsets = (rows + 1) * size_of::<i32>();
        let wide = (rows + 1) * size_of::<i64>();
        let nulls = rows.div_ceil(8);
        let texts = || array.as_string::<i32>().value_data().len() + offsets + nulls;
        let needed = match self {
            Step::Keep | Step::Label(_) => return 0,
            Step::Strip => texts(),
            Step::Pad(length) => texts() + rows.saturating_mul(*length),
            Step::Rescale { .. } => rows * size_of::<i128>(),
            Step::DecimalText { is_large } => {
                let precision = array.as_primitive::<Decimal128Type>().precision();
                rows * decimals::longest_text(precision) + if *is_large { wide } else { offsets } + nulls
            }
            Step::View => rows * size_of::<u128>(),
            Step::LargeBytes => wide,
            Step::Dictionary(step) => {
                let values = usize::try_from(array_bytes(array, 0, rows)).unwrap_or(usize::MAX) + offsets;
                let keys = rows * size_of::<i32>();
                keys + values + rows * dictionaries::BYTES_OF_ROW + SMALLEST_TABLE + step.most_bytes(array)
            }
            Step::List { step, is_large, .. } => {
                let list = array.as_list::<i32>();
                let (_, start, length) = own(list.offsets());
                offsets + if *is_large { wide } else { 0 } + step.most_bytes(&list.values().slice(start, length))
            }
            Step::Struct(_, steps) => {
                array.as_struct().columns().iter().zip(steps).map(|(column, step)| step.most_bytes(column)).sum()
            }
            Step::Map { parts, duplicates, .. } => {
                let map = array.as_map();
                let (_, start, length) = own(map.offsets());
                // Entries are taken into buffers that grow by doubling.
                let unique = if *duplicates == Duplicates::Keep { 0 } else { 2 * array_bytes(array, 0, rows) };
                let parts = map.entries().columns().iter().zip(parts);
                let parts = parts.map(|(column, step)| step.most_bytes(&column.slice(start, length)));
                offsets + usize::try_from(unique).unwrap_or(usize::MAX) + parts.sum::<usize>()
            }
        };
        needed + BUFFERS * ALIGNMENT
    }
}

/// Offsets that begin with 0, and the values that they are about: the first and how many. Rows of a batch that were cut off have left theirs
/// behind.
fn own(offsets: &OffsetBuffer<i32>) -> (OffsetBuffer<i32>, usize, usize) {
    let (first, last) = (offsets.first(), offsets.last());
    let (start, length) = (first as usize, (last - first) as usize);
    if first == 0 {
        return (offsets.clone(), start, length);
    }
    let lengths = offsets.windows(2).map(|pair| match pair {
        [one, next] => (next - one) as usize,
        _ => 0,
    });
    (OffsetBuffer::from_lengths(lengths), start, length)
}

/// The failure for an array of ours that does not fit together.
pub(super) fn unfit(error: ArrowError) -> Error {
    Error::new(Kind::Internal, format!("an array cannot be built: {error}"))
}
