//! What tells two readings of the same rows apart: their number, and sums over every cell, with and without the order of the rows.

use arrow_array::cast::AsArray;
use arrow_array::types::{ArrowPrimitiveType, Date32Type, Decimal128Type, Float64Type, Int32Type, Int64Type};
use arrow_array::{Array, ArrayRef, PrimitiveArray, RecordBatch};
use arrow_schema::DataType;

use crate::Result;

/// Odd, so that no row loses its weight.
const BASE: u64 = 0x9e37_79b9_7f4a_7c15;
const NULL: u64 = 0x6e75_6c6c;

/// Rows in the order in which they were added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest {
    pub rows: u64,
    /// The same for the same rows in any order.
    pub sum: u128,
    /// A polynomial over the rows, so that those of consecutive parts can be put together.
    ordered: u64,
    /// `BASE` to the power of `rows`.
    weight: u64,
}

impl Default for Digest {
    fn default() -> Self {
        Digest { rows: 0, sum: 0, ordered: 0, weight: 1 }
    }
}

impl Digest {
    /// Takes the rows of a batch in.
    pub fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        let mut rows = vec![0u64; batch.num_rows()];
        for column in batch.columns() {
            add_column(&mut rows, column)?;
        }
        for row in rows {
            let row = mix(row, BASE);
            self.then(&Digest { rows: 1, sum: row.into(), ordered: row, weight: BASE });
        }
        Ok(())
    }

    /// Puts the rows of `next` behind these.
    pub fn then(&mut self, next: &Digest) {
        self.rows += next.rows;
        self.sum = self.sum.wrapping_add(next.sum);
        self.ordered = self.ordered.wrapping_mul(next.weight).wrapping_add(next.ordered);
        self.weight = self.weight.wrapping_mul(next.weight);
    }

    /// Whether both are of the same rows in any order.
    pub fn has_the_rows_of(&self, other: &Digest) -> bool {
        (self.rows, self.sum) == (other.rows, other.sum)
    }
}

fn add_column(rows: &mut [u64], column: &ArrayRef) -> Result<()> {
    match column.data_type() {
        DataType::Int32 => add_numbers::<Int32Type>(rows, column, |value| value as u64),
        DataType::Int64 => add_numbers::<Int64Type>(rows, column, |value| value as u64),
        DataType::Date32 => add_numbers::<Date32Type>(rows, column, |value| value as u64),
        DataType::Float64 => add_numbers::<Float64Type>(rows, column, f64::to_bits),
        DataType::Decimal128(..) => {
            add_numbers::<Decimal128Type>(rows, column, |value| mix(value as u64, (value >> 64) as u64 ^ BASE));
        }
        DataType::Utf8 => {
            for (row, text) in rows.iter_mut().zip(column.as_string::<i32>()) {
                *row = mix(*row ^ text.map_or(NULL, text_number), BASE);
            }
        }
        other => return Err(format!("columns of {other} are not summed up").into()),
    }
    Ok(())
}

fn add_numbers<T: ArrowPrimitiveType>(rows: &mut [u64], column: &ArrayRef, number: fn(T::Native) -> u64) {
    let values: &PrimitiveArray<T> = column.as_primitive();
    for (row, value) in rows.iter_mut().zip(values) {
        *row = mix(*row ^ value.map_or(NULL, number), BASE);
    }
}

fn text_number(text: &str) -> u64 {
    let start = text.len() as u64;
    text.as_bytes().chunks(8).fold(start, |sum, chunk| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        mix(sum ^ u64::from_le_bytes(word), BASE)
    })
}

/// Spreads every bit of the product over the result.
fn mix(value: u64, by: u64) -> u64 {
    let product = u128::from(value ^ 0x2545_f491_4f6c_dd1d) * u128::from(by);
    product as u64 ^ (product >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::{Int64Array, StringArray};
    use std::sync::Arc;

    fn digest(rows: &[(i64, Option<&str>)]) -> Digest {
        let numbers: Int64Array = rows.iter().map(|(number, _)| *number).collect();
        let texts: StringArray = rows.iter().map(|(_, text)| *text).collect();
        let columns: Vec<(&str, ArrayRef)> = vec![("a", Arc::new(numbers)), ("s", Arc::new(texts))];
        let mut digest = Digest::default();
        digest.add(&RecordBatch::try_from_iter(columns).unwrap()).unwrap();
        digest
    }

    #[test]
    fn parts_are_the_whole_and_every_cell_and_place_counts() {
        let rows = [(1, Some("a")), (2, None), (3, Some("a longer text")), (0, Some(""))];
        let whole = digest(&rows);
        for cut in 0..=rows.len() {
            let mut parts = digest(&rows[..cut]);
            parts.then(&digest(&rows[cut..]));
            assert_eq!(parts, whole);
        }
        let turned = digest(&[rows[1], rows[0], rows[2], rows[3]]);
        assert!(turned != whole && turned.has_the_rows_of(&whole));
        for (at, other) in [(0, (1, Some("b"))), (1, (2, Some(""))), (2, (3, Some("a longer texT"))), (3, (0, None))] {
            let mut changed = rows;
            changed[at] = other;
            assert!(!digest(&changed).has_the_rows_of(&whole), "{other:?}");
        }
        assert!(!digest(&rows[1..]).has_the_rows_of(&whole));
    }
}
