//! The bucket of a row of a hash-clustered or primary-key table.
//!
//! The hash is ours and fixed (service-behaviour.md 1.3): files on disk and pruning depend on it. FNV-1a with 64 bits
//! over the cluster columns in their order, each as one byte that tells NULL (0) from a value (1) and then the value;
//! the finalizer of MurmurHash3; modulo the number of buckets. Values as bytes, numbers in little endian:
//!
//! | type | bytes |
//! |---|---|
//! | integers | as int64 |
//! | DECIMAL | the unscaled number as int128 |
//! | FLOAT, DOUBLE | the bits of the float64; -0.0 as 0.0, every NaN as the same |
//! | BOOLEAN | one byte |
//! | STRING, VARCHAR, CHAR, BINARY | the bytes (CHAR without trailing blanks), then their count as uint32 |
//! | DATE | days since the epoch as int64 |
//! | DATETIME, TIMESTAMP, TIMESTAMP_NTZ | nanoseconds since the epoch as int128 |

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    TimeUnit, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
};

use crate::types::Type;

/// A value as the hash sees it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cell<'a> {
    Null,
    Whole(i64),
    /// An unscaled decimal, or nanoseconds.
    Wide(i128),
    Real(f64),
    Bool(bool),
    Bytes(&'a [u8]),
}

/// The hash of a row under way.
#[derive(Clone, Copy, Debug)]
pub struct Hash(u64);

impl Hash {
    /// The hash of no columns.
    pub const START: Hash = Hash(0xcbf2_9ce4_8422_2325);

    /// Adds the next column.
    pub fn add(self, cell: Cell<'_>) -> Hash {
        match cell {
            Cell::Null => self.bytes(&[0]),
            Cell::Whole(v) => self.bytes(&[1]).bytes(&v.to_le_bytes()),
            Cell::Wide(v) => self.bytes(&[1]).bytes(&v.to_le_bytes()),
            Cell::Real(v) => {
                let v = if v.is_nan() { f64::NAN } else { v + 0.0 };
                self.bytes(&[1]).bytes(&v.to_bits().to_le_bytes())
            }
            Cell::Bool(v) => self.bytes(&[1, u8::from(v)]),
            Cell::Bytes(v) => self.bytes(&[1]).bytes(v).bytes(&(v.len() as u32).to_le_bytes()),
        }
    }

    fn bytes(self, bytes: &[u8]) -> Hash {
        Hash(bytes.iter().fold(self.0, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)))
    }

    /// The bucket of the row.
    pub fn bucket(self, buckets: u32) -> u32 {
        let mut hash = self.0;
        hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
        hash ^= hash >> 33;
        (hash % u64::from(buckets.max(1))) as u32
    }
}

/// Whether a column of this type can be hashed.
pub fn is_hashable(ty: &Type) -> bool {
    !matches!(
        ty,
        Type::Json
            | Type::IntervalDayTime
            | Type::IntervalYearMonth
            | Type::Array(_)
            | Type::Map(_, _)
            | Type::Struct(_)
    )
}

/// The bucket of every row, from the cluster columns in their order, in stored layout. `None` if one of them has a type
/// that cannot be hashed.
pub fn buckets(columns: &[&ArrayRef], rows: usize, buckets: u32) -> Option<Vec<u32>> {
    let mut hashes = vec![Hash::START; rows];
    for column in columns {
        add_column(column, &mut hashes)?;
    }
    Some(hashes.into_iter().map(|hash| hash.bucket(buckets)).collect())
}

/// Adds a column to the hashes of its rows.
fn add_column(array: &ArrayRef, hashes: &mut [Hash]) -> Option<()> {
    macro_rules! whole {
        ($ty:ty) => {{
            let values = array.as_primitive::<$ty>();
            add(hashes, array, |i| Cell::Whole(i64::from(values.value(i))))
        }};
    }
    macro_rules! real {
        ($ty:ty) => {{
            let values = array.as_primitive::<$ty>();
            add(hashes, array, |i| Cell::Real(f64::from(values.value(i))))
        }};
    }
    macro_rules! instant {
        ($ty:ty, $nanos:expr) => {{
            let values = array.as_primitive::<$ty>();
            add(hashes, array, |i| Cell::Wide(i128::from(values.value(i)) * $nanos))
        }};
    }
    match array.data_type() {
        DataType::Int8 => whole!(Int8Type),
        DataType::Int16 => whole!(Int16Type),
        DataType::Int32 => whole!(Int32Type),
        DataType::Int64 => whole!(Int64Type),
        DataType::Date32 => whole!(Date32Type),
        DataType::Float32 => real!(Float32Type),
        DataType::Float64 => real!(Float64Type),
        DataType::Decimal128(_, _) => {
            let values = array.as_primitive::<Decimal128Type>();
            add(hashes, array, |i| Cell::Wide(values.value(i)));
        }
        DataType::Boolean => {
            let values = array.as_boolean();
            add(hashes, array, |i| Cell::Bool(values.value(i)));
        }
        DataType::Utf8 => {
            let values = array.as_string::<i32>();
            add(hashes, array, |i| Cell::Bytes(values.value(i).as_bytes()));
        }
        DataType::Binary => {
            let values = array.as_binary::<i32>();
            add(hashes, array, |i| Cell::Bytes(values.value(i)));
        }
        DataType::Timestamp(TimeUnit::Second, _) => instant!(TimestampSecondType, 1_000_000_000),
        DataType::Timestamp(TimeUnit::Millisecond, _) => instant!(TimestampMillisecondType, 1_000_000),
        DataType::Timestamp(TimeUnit::Microsecond, _) => instant!(TimestampMicrosecondType, 1_000),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => instant!(TimestampNanosecondType, 1),
        _ => return None,
    }
    Some(())
}

fn add<'a>(hashes: &mut [Hash], array: &ArrayRef, cell: impl Fn(usize) -> Cell<'a>) {
    for (i, hash) in hashes.iter_mut().enumerate() {
        *hash = hash.add(if array.is_null(i) { Cell::Null } else { cell(i) });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{
        Decimal128Array, Float64Array, Int32Array, Int64Array, StringArray, TimestampNanosecondArray,
        TimestampSecondArray,
    };

    use super::*;

    #[test]
    fn the_hash_is_fixed_for_ever() {
        // Files on disk depend on these numbers: if this fails, change the code back.
        let ids: ArrayRef = Arc::new(Int64Array::from(vec![Some(0), Some(1), Some(-1), None]));
        let names: ArrayRef = Arc::new(StringArray::from(vec!["a", "", "ä", "a"]));
        assert_eq!(buckets(&[&ids], 4, 1000), Some(FIXED[0].to_vec()));
        assert_eq!(buckets(&[&names], 4, 1000), Some(FIXED[1].to_vec()));
        assert_eq!(buckets(&[&ids, &names], 4, 1000), Some(FIXED[2].to_vec()));
    }

    /// Computed by a program of its own from the description above.
    const FIXED: [[u32; 4]; 3] = [[775, 933, 483, 267], [30, 392, 37, 30], [552, 49, 679, 601]];

    #[test]
    fn equal_values_share_a_bucket_whatever_carries_them() {
        let bucket = |array: ArrayRef| buckets(&[&array], array.len(), 1 << 30).unwrap();
        let wide = bucket(Arc::new(Int64Array::from(vec![7, -7])));
        assert_eq!(wide, bucket(Arc::new(Int32Array::from(vec![7, -7]))));
        let zeros = bucket(Arc::new(Float64Array::from(vec![0.0, -0.0, f64::NAN, -f64::NAN])));
        assert_eq!((zeros[0], zeros[2]), (zeros[1], zeros[3]));
        let seconds = bucket(Arc::new(TimestampSecondArray::from(vec![5])));
        assert_eq!(seconds, bucket(Arc::new(TimestampNanosecondArray::from(vec![5_000_000_000]))));
        let decimals: ArrayRef = Arc::new(Decimal128Array::from(vec![1, 2]).with_precision_and_scale(10, 2).unwrap());
        assert_ne!(bucket(decimals.slice(0, 1)), bucket(decimals.slice(1, 1)));
    }

    #[test]
    fn buckets_are_about_even() {
        let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(0..64_000));
        let mut counts = [0; 64];
        for bucket in buckets(&[&ids], 64_000, 64).unwrap() {
            counts[bucket as usize] += 1;
        }
        assert!(counts.iter().all(|count| (850..1150).contains(count)), "{counts:?}");
    }
}
