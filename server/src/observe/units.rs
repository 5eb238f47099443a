//! Numbers as people read them.

/// Bytes with a binary unit, three digits.
pub fn bytes(value: f64) -> String {
    let mut value = value;
    for unit in ["B", "KiB", "MiB", "GiB", "TiB"] {
        if value < 1000.0 || unit == "TiB" {
            return match unit {
                "B" => format!("{value:.0} B"),
                _ if value < 10.0 => format!("{value:.2} {unit}"),
                _ if value < 100.0 => format!("{value:.1} {unit}"),
                _ => format!("{value:.0} {unit}"),
            };
        }
        value /= 1024.0;
    }
    String::new()
}

/// A count with blanks between thousands.
pub fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// A time span.
pub fn span(seconds: f64) -> String {
    let whole = seconds.max(0.0) as u64;
    match whole {
        0 if seconds < 1.0 => format!("{:.0} ms", seconds.max(0.0) * 1000.0),
        0..60 => format!("{seconds:.1} s"),
        60..3600 => format!("{} min {} s", whole / 60, whole % 60),
        3600..86_400 => format!("{} h {} min", whole / 3600, whole % 3600 / 60),
        _ => format!("{} d {} h", whole / 86_400, whole % 86_400 / 3600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        let texts = [0.0, 999.0, 1000.0, 1048576.0, 1.5e9, 1e16].map(bytes);
        assert_eq!(texts, ["0 B", "999 B", "0.98 KiB", "1.00 MiB", "1.40 GiB", "9095 TiB"]);
        assert_eq!([0, 999, 1000, 1234567].map(count), ["0", "999", "1\u{202f}000", "1\u{202f}234\u{202f}567"]);
        assert_eq!([0.25, 75.0, 7260.0, 90000.0].map(span), ["250 ms", "1 min 15 s", "2 h 1 min", "1 d 1 h"]);
    }
}
