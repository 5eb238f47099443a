//! Times as the services write them: `2026-11-28T07:00:00Z`.

use std::time::{Duration, SystemTime};

/// Reads a time; a fraction of a second is dropped, and an offset such as `+08:00` is understood.
pub fn parse(text: &str) -> Option<SystemTime> {
    let text = text.trim();
    let (date, rest) = (text.get(..10)?, text.get(11..)?);
    if !matches!(text.as_bytes().get(10)?, b'T' | b't' | b' ') {
        return None;
    }
    let [year, month, day] = numbers(date, '-')?;
    let [hour, minute, second] = numbers(rest.get(..8)?, ':')?;
    let zone = rest.get(8..)?.trim_start_matches(|c: char| c == '.' || c.is_ascii_digit());
    let offset = match zone.as_bytes().first() {
        None => 0,
        Some(b'Z' | b'z') if zone.len() == 1 => 0,
        Some(sign @ (b'+' | b'-')) => {
            let zone = zone.get(1..)?;
            let (hours, minutes) = zone.split_once(':').or_else(|| zone.split_at_checked(2))?;
            let part = |text: &str, below| text.parse::<i64>().ok().filter(|number| (0..below).contains(number));
            let seconds = (part(hours, 24)? * 60 + part(minutes, 60)?) * 60;
            if *sign == b'+' { seconds } else { -seconds }
        }
        Some(_) => return None,
    };
    let sane = (1970..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && (0..24).contains(&hour)
        && (0..60).contains(&minute)
        && (0..=60).contains(&second);
    let seconds = ((days(year, month, day) * 24 + hour) * 60 + minute) * 60 + second - offset;
    sane.then(|| u64::try_from(seconds).ok())
        .flatten()
        .map(|seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
}

/// Writes a time in UTC, to the second.
pub fn format(time: SystemTime) -> String {
    let seconds = time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs()).cast_signed();
    let (day_number, of_day) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (mut year, mut month) = (1970 + day_number / 366, 1);
    while days(year + 1, 1, 1) <= day_number {
        year += 1;
    }
    while month < 12 && days(year, month + 1, 1) <= day_number {
        month += 1;
    }
    let day = day_number - days(year, month, 1) + 1;
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", of_day / 3600, of_day / 60 % 60, of_day % 60)
}

/// Days since 1970-01-01 in the Gregorian calendar.
fn days(year: i64, month: i64, day: i64) -> i64 {
    // Years begin in March here, so that the leap day is the last one.
    let shifted = if month <= 2 { year - 1 } else { year };
    let month = (month + 9) % 12;
    shifted * 365 + shifted.div_euclid(4) - shifted.div_euclid(100)
        + shifted.div_euclid(400)
        + (month * 153 + 2) / 5
        + day
        - 719_469
}

fn numbers(text: &str, between: char) -> Option<[i64; 3]> {
    let mut parts = text.split(between).map(|part| part.parse::<i64>().ok().filter(|number| *number >= 0));
    let numbers = [parts.next()??, parts.next()??, parts.next()??];
    parts.next().is_none().then_some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn both_directions() {
        for (text, seconds) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2000-02-29T23:59:59Z", 951_868_799),
            ("2024-02-29T00:00:00Z", 1_709_164_800),
            ("2025-01-15T08:30:00Z", 1_736_929_800),
            ("2100-03-01T00:00:00Z", 4_107_542_400),
        ] {
            assert_eq!(parse(text), Some(at(seconds)), "{text}");
            assert_eq!(format(at(seconds)), text);
        }
        for day in 0..80_000 {
            assert_eq!(parse(&format(at(day * 86_400 + 7))), Some(at(day * 86_400 + 7)));
        }
    }

    #[test]
    fn fractions_and_offsets() {
        assert_eq!(parse("2025-01-15T16:30:00.123+08:00"), parse("2025-01-15T08:30:00Z"));
        assert_eq!(parse("2025-01-15 08:30:00-0030"), parse("2025-01-15T09:00:00Z"));
        assert_eq!(parse("2025-01-15T08:30:00"), parse("2025-01-15T08:30:00Z"));
    }

    #[test]
    fn nonsense_is_no_time() {
        for text in [
            "",
            "2025",
            "2025-13-01T00:00:00Z",
            "2025-01-15X08:30:00Z",
            "1936929800000000000",
            "2025-01-15T08:30:00Zulu",
            "2025-01-15T08:30:00+",
            "2025-01-15T08:30:00+08000000000000000:00",
            "2025-01-15T08:30:00+24:00",
            "2025-01-15T08:30:00+08:60",
            "日本語日本語日本語日本語",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
