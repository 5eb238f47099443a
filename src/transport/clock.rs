//! The time of a request, in the two forms that a signature needs.

use std::time::SystemTime;

/// The `Date` header of a request made at `now`, and the UTC day as `yyyymmdd`.
pub(super) fn date_and_day(now: SystemTime) -> (String, String) {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let date = httpdate::fmt_http_date(now);
    let mut words = date.split(' ').skip(1);
    let (day, month, year) = (words.next(), words.next(), words.next());
    let month = MONTHS.iter().position(|name| Some(*name) == month).map_or(0, |index| index + 1);
    let compact = format!("{}{month:02}{}", year.unwrap_or_default(), day.unwrap_or_default());
    (date, compact)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn both_forms_agree() {
        let of = |seconds| date_and_day(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(of(1_736_929_800), ("Wed, 15 Jan 2025 08:30:00 GMT".into(), "20250115".into()));
        assert_eq!(of(1_735_689_599), ("Tue, 31 Dec 2024 23:59:59 GMT".into(), "20241231".into()));
        assert_eq!(of(1_709_164_800).1, "20240229");
    }
}
