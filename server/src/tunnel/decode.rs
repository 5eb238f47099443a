//! Records into rows.

use std::io::Read;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, ArrowPrimitiveType, BinaryBuilder, BooleanBuilder, ListArray, MapArray, NullBufferBuilder,
    PrimitiveBuilder, RecordBatch, RecordBatchOptions, StringBuilder, StructArray,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, FieldRef, Fields, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, IntervalDayTime, IntervalDayTimeType, IntervalYearMonthType, SchemaRef, TimestampMillisecondType,
    TimestampNanosecondType,
};
use crc32c::crc32c_append;

use super::decimal;
use super::error::StreamError;
use super::wire::{END_RECORD, META_CHECKSUM, META_COUNT, Source};
use crate::catalog::Column;
use crate::types::Type;

/// A batch ends when it has this many rows or bytes.
const BATCH_ROWS: usize = 4096;
const BATCH_BYTES: u64 = 8 << 20;

/// Where the bytes of a text or the values of a list end.
const OFFSET_BYTES: u64 = size_of::<i32>() as u64;

const NANOS: i64 = 1_000_000_000;

/// Reads the records of a stream to its footer. Blocking; holds one batch.
pub struct RecordReader {
    source: Source,
    schema: SchemaRef,
    columns: Vec<Box<dyn Cells>>,
    /// Bytes that a row takes at least.
    width: u64,
    records: i64,
    total: u32,
    finished: bool,
}

impl RecordReader {
    /// A reader of records of these columns; `schema` is their layout (see [`super::record_schema`]).
    pub fn new(
        input: Box<dyn Read + Send>,
        columns: &[Column],
        schema: SchemaRef,
    ) -> Result<RecordReader, StreamError> {
        let cells = columns.iter().zip(schema.fields()).map(|(column, field)| cells(&column.ty, field.data_type()));
        let columns = cells.collect::<Result<Vec<_>, _>>()?;
        let width = columns.iter().map(|cells| cells.width()).sum();
        Ok(RecordReader { source: Source::new(input), schema, columns, width, records: 0, total: 0, finished: false })
    }

    /// The next rows; `None` after the footer, when all checksums were right.
    pub fn next_batch(&mut self) -> Result<Option<RecordBatch>, StreamError> {
        let (mut rows, mut bytes) = (0, 0);
        while !self.finished && rows < BATCH_ROWS && bytes < BATCH_BYTES {
            if self.record()? {
                rows += 1;
                bytes += self.source.taken();
            }
        }
        if rows == 0 {
            return Ok(None);
        }
        let arrays = self.columns.iter_mut().map(|cells| cells.finish()).collect::<Result<Vec<_>, _>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(self.schema.clone(), arrays, &options);
        batch.map(Some).map_err(|error| StreamError::Malformed(error.to_string()))
    }

    /// Reads a record; false at the footer.
    fn record(&mut self) -> Result<bool, StreamError> {
        let mut seen = vec![false; self.columns.len()];
        self.source.begin();
        // A body without a single byte is a block without records.
        if self.records == 0 && self.source.is_at_end()? {
            self.finished = true;
            return Ok(false);
        }
        self.source.spend(self.width)?;
        loop {
            let number = self.source.field()?;
            match number {
                END_RECORD => break,
                META_COUNT if !seen.contains(&true) => {
                    self.footer()?;
                    return Ok(false);
                }
                _ => {}
            }
            let place = (number as usize).checked_sub(1);
            let (Some(place), Some(cells)) = (place, place.and_then(|place| self.columns.get_mut(place))) else {
                let why = format!("a record has a column {number}, the table has {} columns", seen.len());
                return Err(StreamError::Malformed(why));
            };
            match seen.get_mut(place) {
                Some(seen) if !*seen => *seen = true,
                _ => return Err(StreamError::Malformed(format!("a record has column {number} twice"))),
            }
            self.source.saw_column(number);
            cells.read(&mut self.source).map_err(|error| match error {
                StreamError::Malformed(why) => {
                    let name = self.schema.fields().get(place).map(|field| field.name().as_str()).unwrap_or_default();
                    StreamError::Malformed(format!("column {name} of record {}: {why}", self.records + 1))
                }
                other => other,
            })?;
        }
        let found = self.source.crc();
        let sent = self.source.unsigned()?;
        if found != sent {
            let why = format!("record {} has checksum {found}, it says {sent}", self.records + 1);
            return Err(StreamError::Corrupted(why));
        }
        self.total = crc32c_append(self.total, &found.to_le_bytes());
        self.records += 1;
        for (cells, seen) in self.columns.iter_mut().zip(seen) {
            if !seen {
                cells.null();
            }
        }
        Ok(true)
    }

    fn footer(&mut self) -> Result<(), StreamError> {
        let count = self.source.signed()?;
        if count != self.records {
            let why = format!("it has {} records and says {count}", self.records);
            return Err(StreamError::Corrupted(why));
        }
        if self.source.field()? != META_CHECKSUM {
            return Err(StreamError::Malformed("the footer has no checksum".into()));
        }
        let sent = self.source.unsigned()?;
        if sent != self.total {
            let why = format!("the checksum of all records is {}, it says {sent}", self.total);
            return Err(StreamError::Corrupted(why));
        }
        if !self.source.is_at_end()? {
            return Err(StreamError::Malformed("bytes follow the footer".into()));
        }
        self.finished = true;
        Ok(())
    }
}

/// The values of a column or of a part of one, in the making.
trait Cells: Send {
    /// Reads a value that is not NULL.
    fn read(&mut self, source: &mut Source) -> Result<(), StreamError>;
    fn null(&mut self);
    /// Bytes that every value takes in memory, a NULL as well; what lists and texts hold is not among them.
    fn width(&self) -> u64;
    fn len(&self) -> usize;
    fn finish(&mut self) -> Result<ArrayRef, StreamError>;

    fn read_nullable(&mut self, source: &mut Source) -> Result<(), StreamError> {
        match source.null_flag()? {
            true => {
                self.null();
                Ok(())
            }
            false => self.read(source),
        }
    }
}

fn cells(ty: &Type, layout: &DataType) -> Result<Box<dyn Cells>, StreamError> {
    let mismatch = || StreamError::Malformed(format!("{ty} has no records laid out as {layout}"));
    Ok(match ty {
        Type::TinyInt => numbers::<Int8Type>(layout, |source| narrow(source.long()?)),
        Type::SmallInt => numbers::<Int16Type>(layout, |source| narrow(source.long()?)),
        Type::Int => numbers::<Int32Type>(layout, |source| narrow(source.long()?)),
        Type::BigInt => numbers::<Int64Type>(layout, Source::long),
        Type::Float => numbers::<Float32Type>(layout, Source::float),
        Type::Double => numbers::<Float64Type>(layout, Source::double),
        Type::Date => numbers::<Date32Type>(layout, |source| narrow(source.long()?)),
        Type::Datetime => numbers::<TimestampMillisecondType>(layout, Source::long),
        Type::Timestamp | Type::TimestampNtz => numbers::<TimestampNanosecondType>(layout, instant),
        Type::IntervalDayTime => numbers::<IntervalDayTimeType>(layout, interval),
        Type::IntervalYearMonth => numbers::<IntervalYearMonthType>(layout, |source| narrow(source.long()?)),
        Type::Decimal(..) | Type::PlainDecimal => {
            let (precision, scale) = ty.decimal_shape().ok_or_else(mismatch)?;
            let read = move |source: &mut Source| {
                let bytes = source.text()?;
                let text = String::from_utf8_lossy(&bytes);
                decimal::parse(&text, precision, scale)
                    .ok_or_else(|| StreamError::Malformed(format!("{text:?} is not a decimal({precision},{scale})")))
            };
            numbers::<Decimal128Type>(layout, read)
        }
        Type::Boolean => Box::new(Booleans(BooleanBuilder::new())),
        Type::String | Type::Varchar(_) | Type::Char(_) | Type::Json => Box::new(Texts(StringBuilder::new())),
        Type::Binary => Box::new(Binaries(BinaryBuilder::new())),
        Type::Blob => return Err(mismatch()),
        Type::Array(item) => match layout {
            DataType::List(field) => {
                Box::new(Lists { items: cells(item, field.data_type())?, field: field.clone(), runs: Runs::new() })
            }
            _ => return Err(mismatch()),
        },
        Type::Map(key, value) => match layout {
            DataType::Map(entries, _) => match entries.data_type() {
                DataType::Struct(fields) => {
                    let [key_field, value_field] = fields.as_ref() else { return Err(mismatch()) };
                    Box::new(Maps {
                        keys: cells(key, key_field.data_type())?,
                        values: cells(value, value_field.data_type())?,
                        entries: entries.clone(),
                        fields: fields.clone(),
                        runs: Runs::new(),
                    })
                }
                _ => return Err(mismatch()),
            },
            _ => return Err(mismatch()),
        },
        Type::Struct(types) => match layout {
            DataType::Struct(fields) => Box::new(Structs {
                parts: types
                    .iter()
                    .zip(fields)
                    .map(|((_, ty), field)| cells(ty, field.data_type()))
                    .collect::<Result<_, _>>()?,
                fields: fields.clone(),
                nulls: NullBufferBuilder::new(0),
            }),
            _ => return Err(mismatch()),
        },
    })
}

fn narrow<T: TryFrom<i64>>(value: i64) -> Result<T, StreamError> {
    T::try_from(value).map_err(|_| StreamError::Malformed(format!("{value} does not fit")))
}

fn instant(source: &mut Source) -> Result<i64, StreamError> {
    let (seconds, nanos) = (source.long()?, source.int()?);
    let total = seconds.checked_mul(NANOS).and_then(|base| base.checked_add(i64::from(nanos)));
    total.ok_or_else(|| {
        StreamError::Malformed(format!("the instant {seconds} s since 1970 is not in the years 1678 to 2261"))
    })
}

fn interval(source: &mut Source) -> Result<IntervalDayTime, StreamError> {
    let (seconds, nanos) = (source.long()?, source.int()?);
    let outside = || StreamError::Malformed(format!("an interval of {seconds} s does not fit interval_day_time"));
    // What is below milliseconds is cut.
    let millis = seconds.checked_mul(1000).and_then(|base| base.checked_add(i64::from(nanos) / 1_000_000));
    let millis = millis.ok_or_else(outside)?;
    let days = i32::try_from(millis / 86_400_000).map_err(|_| outside())?;
    Ok(IntervalDayTime::new(days, (millis % 86_400_000) as i32))
}

/// Values of one primitive type, with the way to read one.
struct Numbers<T: ArrowPrimitiveType, F> {
    builder: PrimitiveBuilder<T>,
    read: F,
}

fn numbers<T: ArrowPrimitiveType>(
    layout: &DataType,
    read: impl Fn(&mut Source) -> Result<T::Native, StreamError> + Send + 'static,
) -> Box<dyn Cells> {
    Box::new(Numbers { builder: PrimitiveBuilder::<T>::new().with_data_type(layout.clone()), read })
}

impl<T: ArrowPrimitiveType, F> Cells for Numbers<T, F>
where
    F: Fn(&mut Source) -> Result<T::Native, StreamError> + Send,
{
    fn read(&mut self, source: &mut Source) -> Result<(), StreamError> {
        let value = (self.read)(source)?;
        self.builder.append_value(value);
        Ok(())
    }

    fn null(&mut self) {
        self.builder.append_null();
    }

    fn width(&self) -> u64 {
        size_of::<T::Native>() as u64
    }

    fn len(&self) -> usize {
        arrow::array::ArrayBuilder::len(&self.builder)
    }

    fn finish(&mut self) -> Result<ArrayRef, StreamError> {
        Ok(Arc::new(self.builder.finish()))
    }
}

struct Booleans(BooleanBuilder);
struct Texts(StringBuilder);
struct Binaries(BinaryBuilder);

macro_rules! simple_cells {
    ($name:ident of $width:expr, $source:ident => $value:expr) => {
        impl Cells for $name {
            fn read(&mut self, $source: &mut Source) -> Result<(), StreamError> {
                self.0.append_value($value);
                Ok(())
            }

            fn null(&mut self) {
                self.0.append_null();
            }

            fn width(&self) -> u64 {
                $width
            }

            fn len(&self) -> usize {
                arrow::array::ArrayBuilder::len(&self.0)
            }

            fn finish(&mut self) -> Result<ArrayRef, StreamError> {
                Ok(Arc::new(self.0.finish()))
            }
        }
    };
}

simple_cells!(Booleans of 1, source => source.boolean()?);
simple_cells!(Binaries of OFFSET_BYTES, source => source.text()?);
simple_cells!(Texts of OFFSET_BYTES, source => {
    String::from_utf8(source.text()?).map_err(|_| StreamError::Malformed("a text is not UTF-8".into()))?
});

struct Lists {
    items: Box<dyn Cells>,
    field: FieldRef,
    runs: Runs,
}

/// Reads a count and as many values, if they fit what a record may take.
fn read_items(items: &mut dyn Cells, source: &mut Source) -> Result<u32, StreamError> {
    let count = source.unsigned()?;
    // A NULL struct has one byte on the wire and the width of all its fields in memory.
    source.spend(items.width().saturating_mul(u64::from(count)))?;
    (0..count).try_for_each(|_| items.read_nullable(source))?;
    Ok(count)
}

/// Which values belong to which list or map.
struct Runs {
    offsets: Vec<i32>,
    nulls: NullBufferBuilder,
}

impl Runs {
    fn new() -> Runs {
        Runs { offsets: vec![0], nulls: NullBufferBuilder::new(0) }
    }

    /// Ends a list or map behind the values that are there.
    fn end(&mut self, items: &dyn Cells) -> Result<(), StreamError> {
        let end = i32::try_from(items.len());
        self.offsets.push(end.map_err(|_| StreamError::Malformed("too many values in one batch".into()))?);
        self.nulls.append_non_null();
        Ok(())
    }

    fn null(&mut self) {
        self.offsets.extend_from_within(self.offsets.len() - 1..);
        self.nulls.append_null();
    }

    fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    fn finish(&mut self) -> (OffsetBuffer<i32>, Option<NullBuffer>) {
        (OffsetBuffer::new(std::mem::replace(&mut self.offsets, vec![0]).into()), self.nulls.finish())
    }
}

impl Cells for Lists {
    fn read(&mut self, source: &mut Source) -> Result<(), StreamError> {
        read_items(&mut *self.items, source)?;
        self.runs.end(&*self.items)
    }

    fn null(&mut self) {
        self.runs.null();
    }

    fn width(&self) -> u64 {
        OFFSET_BYTES
    }

    fn len(&self) -> usize {
        self.runs.len()
    }

    fn finish(&mut self) -> Result<ArrayRef, StreamError> {
        let (offsets, nulls) = self.runs.finish();
        let list = ListArray::try_new(self.field.clone(), offsets, self.items.finish()?, nulls);
        list.map(|list| Arc::new(list) as ArrayRef).map_err(|error| StreamError::Malformed(error.to_string()))
    }
}

struct Maps {
    keys: Box<dyn Cells>,
    values: Box<dyn Cells>,
    entries: FieldRef,
    fields: Fields,
    runs: Runs,
}

impl Cells for Maps {
    fn read(&mut self, source: &mut Source) -> Result<(), StreamError> {
        let keys = read_items(&mut *self.keys, source)?;
        let values = read_items(&mut *self.values, source)?;
        if keys != values {
            return Err(StreamError::Malformed(format!("a map has {keys} keys and {values} values")));
        }
        self.runs.end(&*self.keys)
    }

    fn null(&mut self) {
        self.runs.null();
    }

    fn width(&self) -> u64 {
        OFFSET_BYTES
    }

    fn len(&self) -> usize {
        self.runs.len()
    }

    fn finish(&mut self) -> Result<ArrayRef, StreamError> {
        let (offsets, nulls) = self.runs.finish();
        let pairs = vec![self.keys.finish()?, self.values.finish()?];
        let map = StructArray::try_new(self.fields.clone(), pairs, None)
            .and_then(|pairs| MapArray::try_new(self.entries.clone(), offsets, pairs, nulls, false));
        map.map(|map| Arc::new(map) as ArrayRef).map_err(|error| StreamError::Malformed(error.to_string()))
    }
}

struct Structs {
    parts: Vec<Box<dyn Cells>>,
    fields: Fields,
    nulls: NullBufferBuilder,
}

impl Cells for Structs {
    fn read(&mut self, source: &mut Source) -> Result<(), StreamError> {
        self.parts.iter_mut().try_for_each(|part| part.read_nullable(source))?;
        self.nulls.append_non_null();
        Ok(())
    }

    fn null(&mut self) {
        self.parts.iter_mut().for_each(|part| part.null());
        self.nulls.append_null();
    }

    fn width(&self) -> u64 {
        self.parts.iter().map(|part| part.width()).sum()
    }

    fn len(&self) -> usize {
        self.nulls.len()
    }

    fn finish(&mut self) -> Result<ArrayRef, StreamError> {
        let parts = self.parts.iter_mut().map(|part| part.finish()).collect::<Result<Vec<_>, _>>()?;
        let array = StructArray::try_new(self.fields.clone(), parts, self.nulls.finish());
        array.map(|array| Arc::new(array) as ArrayRef).map_err(|error| StreamError::Malformed(error.to_string()))
    }
}
