//! A batch as Arrow's C struct, with a handful of allocations for all of its columns together: arrow-rs makes several for each.

use std::ffi::c_void;
use std::ptr::{fn_addr_eq, null, null_mut};
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, RecordBatch, downcast_primitive_array};
use arrow_data::ffi::FFI_ArrowArray;
use arrow_schema::DataType;

use crate::ffi::gate::quiet;

/// `struct ArrowArray` of the Arrow C data interface, as arrow-rs has it, with open fields.
#[repr(C)]
pub(super) struct Struct {
    pub(super) length: i64,
    pub(super) null_count: i64,
    pub(super) offset: i64,
    pub(super) n_buffers: i64,
    pub(super) n_children: i64,
    pub(super) buffers: *mut *const c_void,
    pub(super) children: *mut *mut Struct,
    pub(super) dictionary: *mut Struct,
    pub(super) release: Option<Release>,
    pub(super) private_data: *mut c_void,
}

const _: () = assert!(size_of::<Struct>() == size_of::<FFI_ArrowArray>());

pub(super) type Release = unsafe extern "C" fn(*mut Struct);

const RELEASE_COLUMN: Release = release_column;

/// What the structs of a batch point into. Each of them that is not released counts as one that holds it, so a column may be moved
/// out and outlive its batch.
struct Exported {
    holders: AtomicUsize,
    _columns: Vec<ArrayRef>,
    _words: Vec<Word>,
}

/// The structs of the columns, the pointers to them, and the buffers of all lie in one piece: it is all made of pointers.
type Word = *const c_void;

const STRUCT_WORDS: usize = size_of::<Struct>() / size_of::<Word>();
const _: () =
    assert!(STRUCT_WORDS * size_of::<Word>() == size_of::<Struct>() && align_of::<Struct>() == align_of::<Word>());

/// Most buffers of a column without children: validity, offsets, values.
const MOST_BUFFERS: usize = 3;

/// Exports a batch as a struct array, whose children are the columns.
pub(in crate::ffi) fn export_batch(batch: RecordBatch) -> FFI_ArrowArray {
    let (_, columns, rows) = batch.into_parts();
    let count = columns.len();
    let mut words: Vec<Word> = Vec::with_capacity((STRUCT_WORDS + 1 + MOST_BUFFERS) * count + 1);
    let mut parent = Struct::new(rows, 0);
    let holder = Box::into_raw(Box::<Exported>::new_uninit()).cast::<Exported>();
    let mut holders = 1;
    // SAFETY: the words are room for `count` structs, as many pointers, the one buffer of the parent and `MOST_BUFFERS` of each column, in
    // this order, and each is written before its part of the vector counts. Nothing is read through `holder` before it is filled, and
    // nobody else knows any of it yet. The vector does not grow, so what points into it stays right.
    unsafe {
        let children: *mut Struct = words.as_mut_ptr().cast();
        let pointers: *mut *mut Struct = words.as_mut_ptr().add(STRUCT_WORDS * count).cast();
        let mut buffer = words.as_mut_ptr().add((STRUCT_WORDS + 1) * count);
        buffer.write(null());
        (parent.n_buffers, parent.buffers) = (1, buffer);
        (parent.n_children, parent.children) = (count as i64, pointers);
        buffer = buffer.add(1);
        for (index, column) in columns.iter().enumerate() {
            let child = match flat(column) {
                Some((nulls, parts)) => {
                    let mut child = Struct::new(rows, nulls);
                    child.buffers = buffer;
                    for part in parts.into_iter().flatten() {
                        buffer.write(part);
                        buffer = buffer.add(1);
                        child.n_buffers += 1;
                    }
                    (child.release, child.private_data) = (Some(RELEASE_COLUMN), holder.cast());
                    holders += 1;
                    child
                }
                None => nested(column),
            };
            children.add(index).write(child);
            pointers.add(index).write(children.add(index));
        }
        parent.release = Some(release_batch);
        parent.private_data = holder.cast();
        holder.write(Exported { holders: AtomicUsize::new(holders), _columns: columns, _words: words });
        // Both are the struct of the C data interface.
        std::mem::transmute::<Struct, FFI_ArrowArray>(parent)
    }
}

impl Struct {
    fn new(length: usize, nulls: usize) -> Self {
        Struct {
            length: length as i64,
            null_count: nulls as i64,
            offset: 0,
            n_buffers: 0,
            n_children: 0,
            buffers: null_mut(),
            children: null_mut(),
            dictionary: null_mut(),
            release: None,
            private_data: null_mut(),
        }
    }
}

/// How many values of a column are NULL, and its buffers, if it has no children and its bits begin at the start of a byte; `None` for others.
fn flat(column: &ArrayRef) -> Option<(usize, [Option<Word>; MOST_BUFFERS])> {
    let (nulls, validity): (usize, Word) = match column.nulls() {
        None => (0, null()),
        Some(nulls) if nulls.offset() == 0 => (nulls.null_count(), nulls.buffer().as_ptr().cast()),
        Some(_) => return None,
    };
    let (offsets, values): (Option<*const u8>, *const u8) = match column.data_type() {
        DataType::Utf8 => {
            let array = column.as_string::<i32>();
            (Some(array.offsets().inner().inner().as_ptr()), array.values().as_ptr())
        }
        DataType::Binary => {
            let array = column.as_binary::<i32>();
            (Some(array.offsets().inner().inner().as_ptr()), array.values().as_ptr())
        }
        DataType::LargeUtf8 => {
            let array = column.as_string::<i64>();
            (Some(array.offsets().inner().inner().as_ptr()), array.values().as_ptr())
        }
        DataType::LargeBinary => {
            let array = column.as_binary::<i64>();
            (Some(array.offsets().inner().inner().as_ptr()), array.values().as_ptr())
        }
        DataType::Boolean => {
            let bits = column.as_boolean().values();
            (None, (bits.offset() == 0).then(|| bits.inner().as_ptr())?)
        }
        _ => downcast_primitive_array!(
            column => (None, column.values().inner().as_ptr()),
            _ => return None
        ),
    };
    Some(match offsets {
        Some(offsets) => (nulls, [Some(validity), Some(offsets.cast()), Some(values.cast())]),
        None => (nulls, [Some(validity), Some(values.cast()), None]),
    })
}

/// A column as arrow-rs exports it; it holds and releases itself.
fn nested(column: &ArrayRef) -> Struct {
    // SAFETY: both are the struct of the C data interface.
    unsafe { std::mem::transmute::<FFI_ArrowArray, Struct>(FFI_ArrowArray::new(&column.to_data())) }
}

unsafe extern "C" fn release_column(column: *mut Struct) {
    quiet((), || {
        // SAFETY: the C data interface demands a live struct, and that it is released once.
        unsafe {
            if let Some(exported) = column.as_mut().and_then(let_go) {
                release(exported, 1);
            }
        }
    });
}

unsafe extern "C" fn release_batch(batch: *mut Struct) {
    quiet((), || {
        // SAFETY: as in `release_column`. Children that were moved out are marked as released where they lay.
        unsafe {
            let Some(parent) = batch.as_mut() else { return };
            let Some(exported) = let_go(parent) else { return };
            let mut holders = 1;
            for index in 0..parent.n_children as usize {
                let child = *parent.children.add(index);
                match (*child).release {
                    // Those of ours that are still here go with the batch, counted at once.
                    Some(own) if fn_addr_eq(own, RELEASE_COLUMN) && (*child).private_data == exported.cast() => {
                        (*child).release = None;
                        holders += 1;
                    }
                    Some(other) => other(child),
                    None => {}
                }
            }
            release(exported, holders);
        }
    });
}

/// Marks a struct of ours as released; what it held, `None` if it was released already.
fn let_go(array: &mut Struct) -> Option<*mut Exported> {
    array.release = None;
    let held = std::mem::replace(&mut array.private_data, null_mut());
    (!held.is_null()).then(|| held.cast())
}

/// Counts off so many holders; with the last one goes what they held.
///
/// # Safety
/// The caller is that many of the holders, and none of them uses it again.
unsafe fn release(exported: *mut Exported, holders: usize) {
    // SAFETY: it lives as long as it has holders, and what they did before is seen by the one that drops it.
    unsafe {
        if (*exported).holders.fetch_sub(holders, Ordering::AcqRel) == holders {
            drop(Box::from_raw(exported));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use arrow_array::types::Int32Type;
    use arrow_array::*;
    use arrow_schema::ffi::FFI_ArrowSchema;
    use arrow_schema::{Field, Schema};

    fn batch() -> RecordBatch {
        let columns: Vec<ArrayRef> = vec![
            Arc::new((0..20i64).map(|n| (n % 3 > 0).then_some(n)).collect::<Int64Array>()),
            Arc::new((0..20).map(|n| (n % 4 > 0).then(|| "x".repeat(n))).collect::<StringArray>()),
            Arc::new((0..20).map(|n| Some(n % 2 == 0)).collect::<BooleanArray>()),
            Arc::new((0..20u8).map(|n| Some([n; 2])).collect::<BinaryArray>()),
            Arc::new((0..20).map(|n| (n % 4 > 0).then(|| "x".repeat(n))).collect::<LargeStringArray>()),
            Arc::new((0..20u8).map(|n| Some([n; 2])).collect::<LargeBinaryArray>()),
            Arc::new(Decimal128Array::from_iter_values(0..20).with_precision_and_scale(20, 2).unwrap()),
            Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(
                (0..20).map(|n| Some(vec![Some(n); n as usize])),
            )),
        ];
        let fields =
            columns.iter().enumerate().map(|(at, column)| Field::new(at.to_string(), column.data_type().clone(), true));
        RecordBatch::try_new(Arc::new(Schema::new(fields.collect::<Vec<_>>())), columns).unwrap()
    }

    fn import(array: FFI_ArrowArray, data_type: &DataType) -> ArrayRef {
        let schema = FFI_ArrowSchema::try_from(data_type).unwrap();
        // SAFETY: an array of that type.
        make_array(unsafe { ffi::from_ffi(array, &schema) }.unwrap())
    }

    /// Where a column lies, to be written to.
    fn place(array: &FFI_ArrowArray, index: usize) -> *mut FFI_ArrowArray {
        // SAFETY: both are the struct of the C data interface, and there are that many children.
        unsafe { *(*std::ptr::from_ref(array).cast::<Struct>()).children.add(index) }.cast()
    }

    #[test]
    fn what_goes_out_comes_back_in() {
        let whole = batch();
        for part in [whole.clone(), whole.slice(0, 7), whole.slice(8, 5), whole.slice(3, 9)] {
            let data_type = DataType::Struct(part.schema().fields().clone());
            let array = import(export_batch(part.clone()), &data_type);
            array.to_data().validate_full().unwrap();
            assert_eq!(RecordBatch::from(array.as_struct().clone()).columns(), part.columns());
        }
    }

    #[test]
    fn rows_without_columns_are_rows() {
        let options = RecordBatchOptions::new().with_row_count(Some(7));
        let rows = RecordBatch::try_new_with_options(Arc::new(Schema::empty()), vec![], &options).unwrap();
        let array = export_batch(rows);
        assert_eq!((array.len(), array.num_children()), (7, 0));
    }

    #[test]
    fn a_column_that_is_moved_out_outlives_its_batch_and_all_is_released_once() {
        let values: ArrayRef = Arc::new(Int64Array::from_iter_values(0..100));
        let watched = Arc::downgrade(&values);
        let other: ArrayRef = Arc::new(StringArray::from(vec!["a"; 100]));
        let batch = RecordBatch::try_from_iter([("v", values), ("o", other)]).unwrap();
        let exported = export_batch(batch);
        // SAFETY: the first child of a live array; moved out as the interface says.
        let moved = unsafe { FFI_ArrowArray::from_raw(place(&exported, 0)) };
        drop(exported);
        assert!(watched.upgrade().is_some());
        assert_eq!(import(moved, &DataType::Int64).as_primitive::<types::Int64Type>().value(99), 99);
        assert!(watched.upgrade().is_none());
    }

    #[test]
    fn columns_may_go_one_by_one_and_those_of_one_batch_may_lie_in_another() {
        let column = |from: i64| -> ArrayRef { Arc::new(Int64Array::from_iter_values(from..from + 100)) };
        let made: Vec<ArrayRef> = (0..4).map(column).collect();
        let watched: Vec<_> = made.iter().map(Arc::downgrade).collect();
        let gone = || watched.iter().map(|column| column.upgrade().is_none()).collect::<Vec<_>>();
        let mut made = made.into_iter();
        let mut export = || {
            let pair = [("a", made.next().unwrap()), ("b", made.next().unwrap())];
            export_batch(RecordBatch::try_from_iter(pair).unwrap())
        };
        let (one, two) = (export(), export());
        // SAFETY: children of live arrays, moved as the interface says: what is moved out leaves a released struct behind.
        unsafe {
            let first = FFI_ArrowArray::from_raw(place(&one, 0));
            drop(FFI_ArrowArray::from_raw(place(&two, 0)));
            place(&two, 0).write(first);
        }
        drop(one);
        assert_eq!(gone(), [false; 4], "the first column of the first batch still lives in the second");
        assert_eq!(two.child(0).len(), 100);
        drop(two);
        assert_eq!(gone(), [true; 4]);
    }
}
