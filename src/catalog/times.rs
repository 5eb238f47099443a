//! Times of metadata, which are whole seconds.

use std::sync::Arc;

use arrow_array::{ArrayRef, TimestampSecondArray};
use arrow_schema::{DataType, Field, TimeUnit};

const UTC: &str = "UTC";

/// A column of times.
pub(super) fn field(name: &str) -> Field {
    Field::new(name, DataType::Timestamp(TimeUnit::Second, Some(Arc::from(UTC))), true)
}

/// The values of such a column, from epoch seconds.
pub(super) fn array(values: impl Iterator<Item = Option<i64>>) -> ArrayRef {
    Arc::new(values.collect::<TimestampSecondArray>().with_timezone(UTC))
}

/// Days since 1970-01-01 of a date such as `2025-01-15`.
pub(super) fn day(text: &str) -> Option<i32> {
    let mut parts = text.splitn(3, '-').map(|part| part.parse::<i32>().ok());
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    if !(0..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=days_in(year, month)).contains(&day) {
        return None;
    }
    // Years begin in March here, so that the leap day is the last of one.
    let (year, month) = if month < 3 { (year - 1, month + 9) } else { (year, month - 3) };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    Some(365 * year + leap_days + (153 * month + 2) / 5 + day - 1 - 719_468)
}

fn days_in(year: i32, month: i32) -> i32 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::day;

    #[test]
    fn days_of_the_calendar() {
        for (text, days) in [
            ("1970-01-01", 0),
            ("1969-12-31", -1),
            ("2000-02-29", 11_016),
            ("2025-01-15", 20_103),
            ("0001-01-01", -719_162),
            ("9999-12-31", 2_932_896),
        ] {
            assert_eq!(day(text), Some(days), "{text}");
        }
        for text in ["", "2025", "2025-02-29", "2025-13-01", "2025-04-31", "x-01-01", "2025-01-01-1"] {
            assert_eq!(day(text), None, "{text}");
        }
    }
}
