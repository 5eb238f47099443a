//! A batch as Arrow's C struct, with a handful of allocations for all of its columns together: arrow-rs makes several for each.

use std::ffi::c_void;
use std::ptr::{fn_addr_eq, null, null_mut};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, RecordBatch, downcast_primitive_array};
use arrow_data::ffi::FFI_ArrowArray;
use arrow_schema::DataType;

use crate::ffi::gate::quiet;

/// `struct ArrowArray` of the Arrow C data interface, as arrow-rs has it, with open fields.
#[repr(C)]
struct Struct {
    length: i64,
    null_count: i64,
    offset: i64,
    n_buffers: i64,
    n_children: i64,
    buffers: *mut *const c_void,
    children: *mut *mut Struct,
    dictionary: *mut Struct,
    release: Option<Release>,
    private_data: *mut c_void,
}

const _: () = assert!(size_of::<Struct>() == size_of::<FFI_ArrowArray>());

type Release = unsafe extern "C" fn(*mut Struct);

const RELEASE_COLUMN: Release = release_column;

/// What the structs of a batch point into. Each of them that is not released counts as one that holds it, so a column may be moved
/// out and outlive its batch.
struct Exported {
    _columns: Vec<ArrayRef>,
    _buffers: Vec<*const c_void>,
    _children: Vec<Struct>,
    _pointers: Vec<*mut Struct>,
}

// SAFETY: nothing is read or written through it: it is only kept, and dropped by whoever is last. The structs in it belong to the host.
unsafe impl Send for Exported {}
// SAFETY: as above.
unsafe impl Sync for Exported {}

/// Most buffers of a column without children: validity, offsets, values.
const MOST_BUFFERS: usize = 3;

/// Exports a batch as a struct array, whose children are the columns.
pub(in crate::ffi) fn export_batch(batch: RecordBatch) -> FFI_ArrowArray {
    let (_, columns, rows) = batch.into_parts();
    // Nothing below makes these grow, so what points into them stays right.
    let mut buffers = Vec::with_capacity(1 + MOST_BUFFERS * columns.len());
    let mut children = Vec::with_capacity(columns.len());
    let mut pointers = Vec::with_capacity(columns.len());
    buffers.push(null());
    for column in &columns {
        let first = buffers.len();
        children.push(match flat(column) {
            Some(parts) => {
                buffers.extend(parts.into_iter().flatten());
                let mut child = Struct::new(column.len(), column.null_count());
                child.n_buffers = (buffers.len() - first) as i64;
                // SAFETY: `first` is within the capacity.
                child.buffers = unsafe { buffers.as_mut_ptr().add(first) };
                child.release = Some(RELEASE_COLUMN);
                child
            }
            None => nested(column),
        });
    }
    let all: *mut Struct = children.as_mut_ptr();
    // SAFETY: as many as there are.
    pointers.extend((0..children.len()).map(|index| unsafe { all.add(index) }));
    let mut parent = Struct::new(rows, 0);
    (parent.n_buffers, parent.buffers) = (1, buffers.as_mut_ptr());
    (parent.n_children, parent.children) = (children.len() as i64, pointers.as_mut_ptr());
    parent.release = Some(release_batch);
    let exported =
        Arc::new(Exported { _columns: columns, _buffers: buffers, _children: children, _pointers: pointers });
    for index in 0..parent.n_children as usize {
        // SAFETY: the children lie where they lay before they went into `exported`, and nobody else knows them yet.
        let child = unsafe { &mut *all.add(index) };
        if child.private_data.is_null() {
            child.private_data = Arc::into_raw(Arc::clone(&exported)).cast_mut().cast();
        }
    }
    parent.private_data = Arc::into_raw(exported).cast_mut().cast();
    // SAFETY: both are the struct of the C data interface.
    unsafe { std::mem::transmute::<Struct, FFI_ArrowArray>(parent) }
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

/// The buffers of a column that has no children and whose bits begin at the start of a byte; `None` for others.
fn flat(column: &ArrayRef) -> Option<[Option<*const c_void>; MOST_BUFFERS]> {
    let validity = match column.nulls() {
        None => null(),
        Some(nulls) if nulls.offset() == 0 => nulls.buffer().as_ptr().cast(),
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
        Some(offsets) => [Some(validity), Some(offsets.cast()), Some(values.cast())],
        None => [Some(validity), Some(values.cast()), None],
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
        unsafe { release(column) }
    });
}

unsafe extern "C" fn release_batch(batch: *mut Struct) {
    quiet((), || {
        // SAFETY: as in `release_column`. Children that were moved out are marked as released where they lay.
        unsafe {
            let Some(parent) = batch.as_ref() else { return };
            for index in 0..parent.n_children as usize {
                let child = *parent.children.add(index);
                match (*child).release {
                    // One of ours needs no second fence.
                    Some(own) if fn_addr_eq(own, RELEASE_COLUMN) => release(child),
                    Some(other) => other(child),
                    None => {}
                }
            }
            release(batch);
        }
    });
}

/// Marks a struct of ours as released and lets go of what it holds.
///
/// # Safety
/// `array` is NULL, released, or a live struct of this file.
unsafe fn release(array: *mut Struct) {
    // SAFETY: by the contract of this function.
    unsafe {
        let Some(array) = array.as_mut() else { return };
        let held = std::mem::replace(&mut array.private_data, null_mut());
        array.release = None;
        if !held.is_null() {
            drop(Arc::from_raw(held.cast::<Exported>()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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
        let moved = unsafe { FFI_ArrowArray::from_raw(std::ptr::from_ref(exported.child(0)).cast_mut()) };
        drop(exported);
        assert!(watched.upgrade().is_some());
        assert_eq!(import(moved, &DataType::Int64).as_primitive::<types::Int64Type>().value(99), 99);
        assert!(watched.upgrade().is_none());
    }
}
