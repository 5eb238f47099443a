//! Dates and times as text: proleptic Gregorian, UTC, years 0000 to 9999.

/// Nanoseconds of a day.
pub(super) const DAY: i128 = 86_400_000_000_000;
const SECOND: i128 = 1_000_000_000;

/// Days since 1970-01-01 of a civil date.
fn days_of(year: i64, month: i64, day: i64) -> i64 {
    // Years begin in March, so that the leap day is the last one.
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + day_of_year - 719_468
}

/// Year, month and day.
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let day_of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

/// `YYYY-MM-DD`; `None` for years that have no four digits.
pub(super) fn write_date(days: i64) -> Option<String> {
    if !(-719_528..=2_932_896).contains(&days) {
        return None;
    }
    let (year, month, day) = civil(days);
    Some(format!("{year:04}-{month:02}-{day:02}"))
}

/// `YYYY-MM-DD hh:mm:ss` with as many digits of a fraction as there are, nine at most.
pub(super) fn write_time(nanos: i128) -> Option<String> {
    let days = i64::try_from(nanos.div_euclid(DAY)).ok()?;
    let (seconds, fraction) = (nanos.rem_euclid(DAY) / SECOND, nanos.rem_euclid(SECOND));
    let mut text = write_date(days)?;
    text.push_str(&format!(" {:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60));
    if fraction > 0 {
        text.push_str(format!(".{fraction:09}").trim_end_matches('0'));
    }
    Some(text)
}

/// Reads `YYYY-MM-DD`.
pub(super) fn read_date(text: &str) -> Option<i64> {
    let mut parts = text.split('-');
    let (year, month, day) = (digits(parts.next()?, 4)?, digits(parts.next()?, 2)?, digits(parts.next()?, 2)?);
    if parts.next().is_some() || !(1..=12).contains(&month) {
        return None;
    }
    let days = days_of(year, month, day);
    (civil(days) == (year, month, day)).then_some(days)
}

/// Reads `YYYY-MM-DD[ hh:mm:ss[.fraction]]` as nanoseconds since 1970.
pub(super) fn read_time(text: &str) -> Option<i128> {
    let Some((date, time)) = text.split_once([' ', 'T']) else {
        return Some(i128::from(read_date(text)?) * DAY);
    };
    let (clock, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let mut parts = clock.split(':');
    let (hour, minute, second) = (digits(parts.next()?, 2)?, digits(parts.next()?, 2)?, digits(parts.next()?, 2)?);
    if parts.next().is_some() || hour > 23 || minute > 59 || second > 59 || !(1..=9).contains(&fraction.len()) {
        return None;
    }
    let nanos = format!("{fraction:0<9}");
    let seconds = i128::from(hour * 3600 + minute * 60 + second);
    Some(i128::from(read_date(date)?) * DAY + seconds * SECOND + i128::from(digits(&nanos, 9)?))
}

fn digits(text: &str, count: usize) -> Option<i64> {
    (text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_is_written_and_read() {
        for days in (-719_528..=2_932_896).step_by(97) {
            assert_eq!(read_date(&write_date(days).unwrap()), Some(days));
        }
        assert_eq!(write_date(-719_528).as_deref(), Some("0000-01-01"));
        assert_eq!(write_date(2_932_896).as_deref(), Some("9999-12-31"));
        assert_eq!((write_date(-719_529), write_date(2_932_897)), (None, None));
        for bad in ["", "2023-02-29", "2023-13-01", "2023-1-01", "02023-01-01", "2023-01-01-", "+023-01-01"] {
            assert_eq!(read_date(bad), None, "{bad}");
        }
    }

    #[test]
    fn times_before_1970_have_positive_fractions() {
        assert_eq!(write_time(-1).as_deref(), Some("1969-12-31 23:59:59.999999999"));
        assert_eq!(read_time("1969-12-31 23:59:59.999999999"), Some(-1));
        assert_eq!(write_time(-1_500_000_000).as_deref(), Some("1969-12-31 23:59:58.5"));
        assert_eq!(read_time("1970-01-02"), Some(DAY));
        assert_eq!(read_time("1970-01-01T00:00:01.12"), Some(1_120_000_000));
        for bad in ["1970-01-01 24:00:00", "1970-01-01 00:00:00.", "1970-01-01 00:00:00.1234567890", "1970-01-01 00:00"]
        {
            assert_eq!(read_time(bad), None, "{bad}");
        }
    }
}
