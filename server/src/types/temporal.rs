//! Calendar arithmetic and the text forms of dates and times. All of it is proleptic Gregorian and UTC.

/// Nanoseconds of one day.
pub const DAY_NANOS: i128 = 86_400_000_000_000;

/// Days since 1970-01-01 of a civil date.
pub fn days_from_civil(year: i64, month: u32, day: u32) -> i64 {
    let shifted = if month <= 2 { year - 1 } else { year };
    let era = shifted.div_euclid(400);
    let year_of_era = shifted.rem_euclid(400);
    let month_index = (i64::from(month) + 9) % 12;
    let day_of_year = (153 * month_index + 2) / 5 + i64::from(day) - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// Year, month and day of a count of days since 1970-01-01.
pub fn civil_from_days(days: i64) -> (i64, u32, u32) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * day_of_year + 2) / 153;
    let day = (day_of_year - (153 * month_index + 2) / 5 + 1) as u32;
    let month = if month_index < 10 { month_index + 3 } else { month_index - 9 } as u32;
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// Reads `YYYY-MM-DD` as days since 1970-01-01; `None` for anything else, also for dates that do not exist.
pub fn parse_date(text: &str) -> Option<i64> {
    let mut parts = text.split('-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || year.len() != 4 || month.len() != 2 || day.len() != 2 {
        return None;
    }
    let (year, month, day) = (i64::from(digits(year)?), digits(month)?, digits(day)?);
    let days = days_from_civil(year, month, day);
    (1..=12).contains(&month).then_some(())?;
    (civil_from_days(days) == (year, month, day)).then_some(days)
}

/// Reads `YYYY-MM-DD[ HH:MM:SS[.fraction]]` as nanoseconds since the epoch in UTC; the fraction has 1 to 9 digits.
pub fn parse_instant(text: &str) -> Option<i128> {
    let Some((date, time)) = text.split_once([' ', 'T']) else {
        return Some(i128::from(parse_date(text)?) * DAY_NANOS);
    };
    let days = parse_date(date)?;
    let (clock, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let mut parts = clock.split(':');
    let (hour, minute, second) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || hour.len() != 2 || minute.len() != 2 || second.len() != 2 || fraction.len() > 9 {
        return None;
    }
    let (hour, minute, second) = (digits(hour)?, digits(minute)?, digits(second)?);
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let scale = 10u32.pow(9 - fraction.len() as u32);
    let nanos = i128::from(digits(fraction)?) * i128::from(scale);
    let seconds = i128::from(hour) * 3600 + i128::from(minute) * 60 + i128::from(second);
    Some(i128::from(days) * DAY_NANOS + seconds * 1_000_000_000 + nanos)
}

/// `YYYY-MM-DDThh:mm:ss.mmmZ` of epoch milliseconds.
pub fn iso_millis(epoch_ms: i64) -> String {
    let (days, rest) = (epoch_ms.div_euclid(86_400_000), epoch_ms.rem_euclid(86_400_000));
    let (year, month, day) = civil_from_days(days);
    let (hour, minute, second, ms) = (rest / 3_600_000, rest / 60_000 % 60, rest / 1000 % 60, rest % 1000);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
}

fn digits(text: &str) -> Option<u32> {
    (!text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn civil_dates_round_trip() {
        for days in (-800_000..3_000_000).step_by(37) {
            let (y, m, d) = civil_from_days(days);
            assert_eq!(days_from_civil(y, m, d), days);
        }
        assert_eq!(days_from_civil(1970, 1, 1), 0);
        assert_eq!(parse_date("1994-01-01"), Some(8766));
        assert_eq!(parse_date("0000-01-01"), Some(-719_528));
        for bad in ["2023-02-29", "2023-13-01", "2023-1-1", "x", "2023-00-10", "2023-01-01-"] {
            assert_eq!(parse_date(bad), None, "{bad}");
        }
    }

    #[test]
    fn instants_carry_fractions() {
        assert_eq!(parse_instant("1970-01-01 00:00:01.12"), Some(1_120_000_000));
        assert_eq!(parse_instant("1969-12-31 23:59:59.999999999"), Some(-1));
        assert_eq!(parse_instant("1970-01-02"), Some(DAY_NANOS));
        assert_eq!(parse_instant("1970-01-01 24:00:00"), None);
        assert_eq!(parse_instant("1970-01-01 00:00:00."), None);
        assert_eq!(iso_millis(-1), "1969-12-31T23:59:59.999Z");
    }
}
