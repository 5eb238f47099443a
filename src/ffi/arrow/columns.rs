//! Where the rows of a column lie that an engine wants copied: the C structs as slices of those rows, and of nothing behind them.

use std::ffi::{CStr, c_char, c_void};

use arrow_data::ffi::FFI_ArrowArray;
use arrow_schema::ffi::FFI_ArrowSchema;

use super::batch::Struct;
use crate::arrow::columns::{Bitmap, KeyWidth, Layout, Nulls, Offsets, Strings, Values};
use crate::error::{Error, Kind, Result};

/// Some rows of one column.
pub(in crate::ffi) struct Located<'a> {
    schema: &'a FFI_ArrowSchema,
    array: &'a Struct,
    /// The first row, counted from where the buffers begin.
    first: usize,
    rows: usize,
    outer: Option<Bitmap<'a>>,
    number: i64,
}

/// Finds `rows` rows, from `start` on, of column `number` of an array that has columns below it.
///
/// # Safety
/// `schema` and `array` are NULL, released, or valid structs of the C data interface that stay for `'a`, and `schema` tells the type of `array`.
pub(in crate::ffi) unsafe fn locate<'a>(
    schema: *const FFI_ArrowSchema,
    array: *const FFI_ArrowArray,
    number: i64,
    start: i64,
    rows: i64,
) -> Result<Located<'a>> {
    // SAFETY: by the contract of this function; both are the struct of the C data interface.
    let (schema, array) = unsafe { (schema.as_ref(), array.cast::<Struct>().as_ref()) };
    let schema = schema.ok_or_else(|| invalid("schema is NULL".to_owned()))?;
    let array = array.ok_or_else(|| invalid("array is NULL".to_owned()))?;
    if schema.release().is_none() || array.release.is_none() {
        return Err(invalid("array or schema is released".to_owned()));
    }
    // SAFETY: by the contract of this function.
    unsafe { check_schema(schema)? };
    let is_struct = match schema.format() {
        "+s" => true,
        "+l" | "+L" | "+m" => false,
        other => return Err(invalid(format!("array has no columns: its format is `{other}`"))),
    };
    let count = array.n_children.min(schema.children().size_hint().0 as i64);
    if !(0..count).contains(&number) {
        return Err(invalid(format!("there is no column {number}; the array has {count}")));
    }
    if array.children.is_null() {
        return Err(malformed("its columns are missing"));
    }
    // The child was counted above.
    let column = schema.child(number as usize);
    // SAFETY: by the contract of this function.
    unsafe { check_schema(column)? };
    // SAFETY: within the children, of which there are at least so many by the contract of this function.
    let child = unsafe { array.children.add(number as usize).read().as_ref() };
    let child = child.filter(|child| child.release.is_some()).ok_or_else(|| malformed("a column is released"))?;
    let length = if is_struct { array.length } else { child.length };
    match start.checked_add(rows) {
        Some(end) if start >= 0 && rows >= 0 && end <= length => {}
        _ => return Err(invalid(format!("there are no {rows} rows from row {start} on; the column has {length}"))),
    }
    // The rows of a struct begin somewhere in its columns, the elements of a list or map at their beginning.
    let outer_first = if is_struct { sum(array.offset, start)? } else { start };
    if sum(outer_first, rows)? > child.length {
        return Err(malformed("a column has fewer rows than its struct"));
    }
    let [rows, outer_row] = [place(rows)?, place(outer_first)?];
    Ok(Located {
        schema: column,
        first: place(sum(child.offset, outer_first)?)?,
        array: child,
        rows,
        // SAFETY: the rows are within the array by the checks above.
        outer: if is_struct { unsafe { bitmap(array, outer_row, rows) }? } else { None },
        number,
    })
}

impl<'a> Located<'a> {
    /// How many rows it is.
    pub(in crate::ffi) fn rows(&self) -> usize {
        self.rows
    }

    /// Which of the rows are NULL.
    pub(in crate::ffi) fn nulls(&self) -> Result<Nulls<'a>> {
        self.layout()?;
        // SAFETY: the rows are within the array, as `locate` has checked.
        Ok(Nulls { own: unsafe { bitmap(self.array, self.first, self.rows) }?, outer: self.outer })
    }

    /// Values of the same size each; of a dictionary its keys.
    pub(in crate::ffi) fn values(&self) -> Result<Values<'a>> {
        match self.layout()? {
            Layout::Bits => {
                let bits = buffer(self.array, 1)?;
                // SAFETY: a bit for each row.
                Ok(Values::Bits(unsafe { bits_of(bits, self.first, self.rows) }?))
            }
            // SAFETY: so many bytes for each row.
            Layout::Fixed(width) => Ok(Values::Bytes(unsafe { items(self.array, width, self.first, self.rows) }?)),
            Layout::Nested => Err(self.unsuited("lies in the columns below it, which can be copied one by one")),
            Layout::Offsets32 | Layout::Offsets64 | Layout::Views => {
                Err(self.unsuited("has values of different lengths, which ms_column_copy_strings copies"))
            }
        }
    }

    /// Strings or binary values, also those of a dictionary.
    pub(in crate::ffi) fn strings(&self) -> Result<Strings<'a>> {
        let layout = self.layout()?;
        let Some(dictionary) = self.schema.dictionary() else {
            // SAFETY: the rows are within the array, as `locate` has checked.
            let strings = unsafe { strings(self.array, layout, self.first, self.rows) }?;
            return strings.ok_or_else(|| self.unsuited("has no strings: ms_column_copy_values copies its values"));
        };
        let width = KeyWidth::of(self.schema.format()).ok_or_else(|| self.unsuited("has keys that are no numbers"))?;
        // SAFETY: a key for each row.
        let keys = unsafe { items(self.array, width.bytes, self.first, self.rows) }?;
        // SAFETY: a dictionary is an array as others, or there is none.
        let array = unsafe { self.array.dictionary.as_ref() }.ok_or_else(|| malformed("its dictionary is missing"))?;
        // SAFETY: it lies in a schema that is valid by the contract of `locate`.
        unsafe { check_schema(dictionary)? };
        let [first, rows] = [place(array.offset)?, place(array.length)?];
        // SAFETY: all of the dictionary.
        let bits = unsafe { bitmap(array, first, rows) }?;
        if bits.is_some_and(|bits| (0..rows).any(|row| !bits.is_set(row))) {
            return Err(self.unsuited("has a dictionary with NULLs"));
        }
        let layout = Layout::of(dictionary.format());
        // SAFETY: as above.
        let values = layout.map_or(Ok(None), |layout| unsafe { strings(array, layout, first, rows) })?;
        let values = Box::new(values.ok_or_else(|| self.unsuited("has a dictionary without strings"))?);
        Ok(Strings::Keyed { keys, width, values })
    }

    fn layout(&self) -> Result<Layout> {
        Layout::of(self.schema.format()).ok_or_else(|| self.unsuited("has a format that is not copied"))
    }

    fn unsuited(&self, why: &str) -> Error {
        let name = self.schema.name().unwrap_or_default();
        let (number, format) = (self.number, self.schema.format());
        Error::new(Kind::Unsupported, format!("column {number} ({name}, format `{format}`) {why}"))
    }
}

/// `struct ArrowSchema` of the C data interface, as arrow-rs has it, with open fields.
#[repr(C)]
struct SchemaFields {
    format: *const c_char,
    name: *const c_char,
    metadata: *const c_char,
    flags: i64,
    n_children: i64,
    children: *mut *mut SchemaFields,
    dictionary: *mut SchemaFields,
    release: Option<unsafe extern "C" fn(*mut SchemaFields)>,
    private_data: *mut c_void,
}

const _: () = assert!(size_of::<SchemaFields>() == size_of::<FFI_ArrowSchema>());

/// Fails for a schema that arrow-rs would panic at.
///
/// # Safety
/// `schema` is a struct of the C data interface that was not released; its pointers are NULL or valid.
unsafe fn check_schema(schema: &FFI_ArrowSchema) -> Result<()> {
    let broken = |what: &str| Err(invalid(format!("schema is malformed: {what}")));
    // SAFETY: by the contract of this function; both are the struct of the C data interface.
    unsafe {
        let fields = &*std::ptr::from_ref(schema).cast::<SchemaFields>();
        if fields.release.is_none() {
            return broken("a part of it is released");
        }
        let is_text = |text: *const c_char| CStr::from_ptr(text).to_str().is_ok();
        if fields.format.is_null() || !is_text(fields.format) || !(fields.name.is_null() || is_text(fields.name)) {
            return broken("its format or its name is no text");
        }
        let count = place(fields.n_children)?;
        if count > 0 && (fields.children.is_null() || (0..count).any(|index| (*fields.children.add(index)).is_null())) {
            return broken("its columns are missing");
        }
    }
    Ok(())
}

/// Strings of a layout that has some.
///
/// # Safety
/// `array` is valid and has `rows` rows from `first` on.
unsafe fn strings<'a>(array: &'a Struct, layout: Layout, first: usize, rows: usize) -> Result<Option<Strings<'a>>> {
    // SAFETY: by the contract of this function; an array without rows need not have an offset.
    unsafe {
        let count = if rows == 0 { 0 } else { rows + 1 };
        let offsets = match layout {
            Layout::Offsets32 => Offsets::Narrow(items(array, size_of::<i32>(), first, count)?.as_chunks().0),
            Layout::Offsets64 => Offsets::Wide(items(array, size_of::<i64>(), first, count)?.as_chunks().0),
            Layout::Views => {
                let views = items(array, size_of::<u128>(), first, rows)?.as_chunks().0;
                return Ok(Some(Strings::Views { views, buffers: data_buffers(array)? }));
            }
            _ => return Ok(None),
        };
        let end = if rows == 0 { 0 } else { offsets.end()? };
        Ok(Some(Strings::Between { offsets, bytes: slice(buffer(array, 2)?, 0, end)? }))
    }
}

/// The buffers that views point into. Behind them lies one with their lengths.
///
/// # Safety
/// `array` is valid and one of views.
unsafe fn data_buffers(array: &Struct) -> Result<Vec<&[u8]>> {
    const BEFORE: i64 = 2;
    let count = place(array.n_buffers - BEFORE - 1)?;
    // SAFETY: by the contract of this function.
    unsafe {
        let lengths = slice(buffer(array, array.n_buffers - 1)?, 0, count * size_of::<i64>())?;
        let lengths = lengths.as_chunks().0.iter().map(|length| i64::from_ne_bytes(*length));
        (BEFORE..).zip(lengths).map(|(index, length)| slice(buffer(array, index)?, 0, place(length)?)).collect()
    }
}

/// The bits of the rows that are not NULL; `None` if no row of the array is NULL.
///
/// # Safety
/// As for [`strings`].
unsafe fn bitmap(array: &Struct, first: usize, rows: usize) -> Result<Option<Bitmap<'_>>> {
    if array.null_count == 0 {
        return Ok(None);
    }
    let bits = buffer(array, 0)?;
    if bits.is_null() {
        return Ok(None);
    }
    // SAFETY: by the contract of this function.
    unsafe { bits_of(bits, first, rows) }.map(Some)
}

/// Bits of so many rows.
///
/// # Safety
/// `bits` points to as many bits as there are up to the last of these rows.
unsafe fn bits_of<'a>(bits: *const c_void, first: usize, rows: usize) -> Result<Bitmap<'a>> {
    let (byte, shift) = (first / 8, first % 8);
    // SAFETY: by the contract of this function.
    Ok(Bitmap::new(unsafe { slice(bits, byte, (shift + rows).div_ceil(8)) }?, shift))
}

/// The bytes of `count` items of the values or offsets.
///
/// # Safety
/// `array` is valid and has so many items from `first` on.
unsafe fn items(array: &Struct, width: usize, first: usize, count: usize) -> Result<&[u8]> {
    let [first, count] = [first, count].map(|items| items.checked_mul(width));
    let (Some(first), Some(count)) = (first, count) else { return Err(malformed("it has too many rows")) };
    // SAFETY: by the contract of this function.
    unsafe { slice(buffer(array, 1)?, first, count) }
}

/// A buffer, which may be NULL where it has nothing in it.
fn buffer(array: &Struct, index: i64) -> Result<*const c_void> {
    if !(0..array.n_buffers).contains(&index) || array.buffers.is_null() {
        return Err(malformed("a buffer is missing"));
    }
    // SAFETY: one of the buffers of a valid array.
    Ok(unsafe { array.buffers.add(index as usize).read() })
}

/// Some bytes of a buffer.
///
/// # Safety
/// `buffer` points to as many bytes and stays for `'a`, or is NULL.
unsafe fn slice<'a>(buffer: *const c_void, first: usize, count: usize) -> Result<&'a [u8]> {
    if count == 0 {
        return Ok(&[]);
    }
    match first.checked_add(count) {
        Some(end) if end <= isize::MAX as usize && !buffer.is_null() => {}
        _ => return Err(malformed("a buffer is missing")),
    }
    // SAFETY: by the contract of this function.
    Ok(unsafe { std::slice::from_raw_parts(buffer.cast::<u8>().add(first), count) })
}

fn sum(one: i64, other: i64) -> Result<i64> {
    one.checked_add(other).ok_or_else(|| malformed("its offset is too large"))
}

fn place(number: i64) -> Result<usize> {
    usize::try_from(number).map_err(|_| malformed("a length or an offset is negative"))
}

fn invalid(text: String) -> Error {
    Error::new(Kind::InvalidArgument, text)
}

fn malformed(what: &str) -> Error {
    invalid(format!("array is malformed: {what}"))
}
