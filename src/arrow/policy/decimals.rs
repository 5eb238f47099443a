//! Decimals in another form.

use std::sync::Arc;

use arrow_array::builder::GenericStringBuilder;
use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, DecimalType};
use arrow_array::{Array, ArrayRef, Decimal128Array, OffsetSizeTrait};
use arrow_buffer::NullBuffer;

use super::Touched;
use super::steps::unfit;
use crate::error::{Error, Kind, Result};

/// Gives decimals another precision and scale; a value that would lose a digit is an error.
pub(super) fn rescale(
    array: &ArrayRef,
    hidden: Option<&NullBuffer>,
    precision: u8,
    scale: i8,
    touched: &mut Touched,
) -> Result<ArrayRef> {
    let decimals = array.as_primitive::<Decimal128Type>();
    let seen = NullBuffer::union(hidden, decimals.nulls());
    let mut values = vec![0i128; decimals.len()];
    for (row, (target, value)) in values.iter_mut().zip(decimals.values()).enumerate() {
        if seen.as_ref().is_none_or(|seen| seen.is_valid(row)) {
            *target = rescaled(*value, decimals.scale(), precision, scale).ok_or_else(|| {
                let value = Decimal128Type::format_decimal(*value, decimals.precision(), decimals.scale());
                let message =
                    format!("{value} has more digits than decimal({precision},{scale}); see option types.decimal");
                Error::new(Kind::ValueOutOfRange, message)
            })?;
            touched.decimals += 1;
        }
    }
    let array = Decimal128Array::try_new(values.into(), decimals.nulls().cloned()).map_err(unfit)?;
    Ok(Arc::new(array.with_precision_and_scale(precision, scale).map_err(unfit)?))
}

fn rescaled(value: i128, from: i8, precision: u8, to: i8) -> Option<i128> {
    let power = |digits: i8| 10i128.checked_pow(u32::try_from(digits).ok()?);
    let value = if to >= from {
        value.checked_mul(power(to - from)?)?
    } else {
        let divisor = power(from - to)?;
        (value % divisor == 0).then_some(value / divisor)?
    };
    let limit = 10u128.checked_pow(u32::from(precision))?;
    (value.unsigned_abs() < limit).then_some(value)
}

/// Bytes of the longest text of a decimal: its digits, the sign, the point and a zero before it.
pub(super) fn longest_text(precision: u8) -> usize {
    usize::from(precision) + 3
}

/// Decimals as text, every digit of the scale written.
pub(super) fn text<O: OffsetSizeTrait>(array: &ArrayRef, touched: &mut Touched) -> Result<ArrayRef> {
    let decimals = array.as_primitive::<Decimal128Type>();
    let (precision, scale) = (decimals.precision(), decimals.scale());
    let most = decimals.len() * longest_text(precision);
    let mut texts = GenericStringBuilder::<O>::with_capacity(decimals.len(), most);
    for value in decimals {
        match value {
            Some(value) => {
                texts.append_value(Decimal128Type::format_decimal(value, precision, scale));
                touched.decimals += 1;
            }
            None => texts.append_null(),
        }
    }
    Ok(Arc::new(texts.finish()))
}
