//! Decimals as text.

/// The unscaled value of `text` in a decimal of that precision and scale. Digits behind the scale are rounded, a half
/// towards zero; `None` if the text is no number or has too many digits before the point.
pub fn parse(text: &str, precision: u8, scale: i8) -> Option<i128> {
    let text = text.trim();
    let (negative, text) = match text.as_bytes().first()? {
        b'-' => (true, text.get(1..)?),
        b'+' => (false, text.get(1..)?),
        _ => (false, text),
    };
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() && fraction.is_empty() || mantissa.len() > 512 {
        return None;
    }
    let digits: Vec<u8> = whole.bytes().chain(fraction.bytes()).collect();
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    // Digits that the value has behind the scale, or lacks.
    let surplus = i64::try_from(fraction.len()).ok()? - i64::from(exponent) - i64::from(scale);
    let kept = (digits.len() as i64 - surplus.max(0)).max(0) as usize;
    let (kept, dropped) = digits.split_at(kept.min(digits.len()));
    let mut value = 0i128;
    for digit in kept {
        value = value.checked_mul(10)?.checked_add(i128::from(digit - b'0'))?;
    }
    // More digits were dropped than there are: the value is far below a half.
    if surplus <= digits.len() as i64 && is_more_than_half(dropped) {
        value = value.checked_add(1)?;
    }
    if value != 0 {
        for _ in surplus..0 {
            value = value.checked_mul(10)?;
        }
    }
    let limit = 10i128.checked_pow(u32::from(precision))?;
    (value < limit).then_some(if negative { -value } else { value })
}

fn is_more_than_half(dropped: &[u8]) -> bool {
    match dropped.split_first() {
        Some((b'5', rest)) => rest.iter().any(|digit| *digit != b'0'),
        Some((first, _)) => *first > b'5',
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_as_python_and_java_write_them() {
        let cases = [
            ("1.5", Some(150)),
            ("-0.07", Some(-7)),
            ("1E+1", Some(1000)),
            ("0E-18", Some(0)),
            ("0E+400", Some(0)),
            ("12.345", Some(1234)),
            ("12.3451", Some(1235)),
            ("-12.349", Some(-1235)),
            ("0.005", Some(0)),
            ("0.0051", Some(1)),
            ("1e-9", Some(0)),
            ("999.99", Some(99_999)),
            ("999.996", None),
            ("1000", None),
            ("1E30", None),
            ("", None),
            (".", None),
            ("x", None),
            ("NaN", None),
            ("+.5", Some(50)),
        ];
        for (text, value) in cases {
            assert_eq!(parse(text, 5, 2), value, "{text}");
        }
        let wide = "99999999999999999999999999999999999999";
        assert_eq!(parse(wide, 38, 0), wide.parse().ok());
    }
}
