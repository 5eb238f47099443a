//! Values as text, the way query results show them.

use super::Datum;
use crate::types::Type;
use crate::types::temporal::{DAY_NANOS, civil_from_days};

const SECOND: i128 = 1_000_000_000;

impl Datum {
    /// The text of a value that has the form of `ty`. Nested values are JSON; NULL is the empty text.
    pub fn text(&self, ty: &Type) -> String {
        match (self, ty) {
            (Datum::Null, _) => String::new(),
            (Datum::Bool(value), _) => value.to_string(),
            (Datum::Number { unscaled, scale }, _) => decimal(*unscaled, *scale),
            (Datum::Double(value), Type::Float) => floating(&(*value as f32).to_string()),
            (Datum::Double(value), _) => floating(&value.to_string()),
            (Datum::Text(text), _) => text.clone(),
            (Datum::Bytes(bytes), _) => String::from_utf8_lossy(bytes).into_owned(),
            (Datum::Date(days), _) => date(*days),
            (Datum::Instant(nanos), ty) => instant(*nanos, ty),
            (Datum::Months(months), _) => {
                let sign = if *months < 0 { "-" } else { "" };
                format!("{sign}{}-{}", months.abs() / 12, months.abs() % 12)
            }
            (Datum::Duration(nanos), _) => {
                let sign = if *nanos < 0 { "-" } else { "" };
                let (days, rest) = (nanos.abs() / DAY_NANOS, nanos.abs() % DAY_NANOS);
                format!("{sign}{days} {}", clock(rest, 9))
            }
            (Datum::List(_) | Datum::Map(_) | Datum::Struct(_), ty) => self.json(ty),
        }
    }

    /// The value inside JSON.
    fn json(&self, ty: &Type) -> String {
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        match (self, ty) {
            (Datum::Null, _) => "null".into(),
            (Datum::Bool(_) | Datum::Number { .. }, _) => self.text(ty),
            (Datum::Double(value), _) if value.is_finite() => self.text(ty),
            (Datum::List(items), Type::Array(item)) => {
                let items: Vec<String> = items.iter().map(|value| value.json(item)).collect();
                format!("[{}]", items.join(","))
            }
            (Datum::Map(pairs), Type::Map(key, value)) => {
                let pairs: Vec<String> =
                    pairs.iter().map(|(k, v)| format!("{}:{}", quoted(&k.text(key)), v.json(value))).collect();
                format!("{{{}}}", pairs.join(","))
            }
            (Datum::Struct(values), Type::Struct(fields)) => {
                let pairs: Vec<String> = values
                    .iter()
                    .zip(fields)
                    .map(|(value, (name, ty))| format!("{}:{}", quoted(name), value.json(ty)))
                    .collect();
                format!("{{{}}}", pairs.join(","))
            }
            _ => quoted(&self.text(ty)),
        }
    }
}

fn decimal(unscaled: i128, scale: u32) -> String {
    if scale == 0 {
        return unscaled.to_string();
    }
    let sign = if unscaled < 0 { "-" } else { "" };
    let digits = format!("{:0>width$}", unscaled.unsigned_abs(), width = scale as usize + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale as usize);
    format!("{sign}{whole}.{fraction}")
}

/// Floating numbers always show that they are some.
fn floating(text: &str) -> String {
    match text {
        "inf" => "Infinity".into(),
        "-inf" => "-Infinity".into(),
        _ if text.bytes().all(|b| b.is_ascii_digit() || b == b'-') => format!("{text}.0"),
        _ => text.into(),
    }
}

fn date(days: i64) -> String {
    let (year, month, day) = civil_from_days(days);
    format!("{year:04}-{month:02}-{day:02}")
}

/// Time of day with exactly `digits` digits of a fraction, or none at all if it is zero digits.
fn clock(nanos: i128, digits: usize) -> String {
    let seconds = nanos / SECOND;
    let time = format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    match digits {
        0 => time,
        _ => format!("{time}.{}", format!("{:09}", nanos % SECOND).get(..digits).unwrap_or_default()),
    }
}

/// DATETIME shows no milliseconds unless there are some (service-behaviour.md 5.1); TIMESTAMP shows what is not zero.
fn instant(nanos: i128, ty: &Type) -> String {
    let (days, rest) = (nanos.div_euclid(DAY_NANOS), nanos.rem_euclid(DAY_NANOS));
    let fraction = format!("{:09}", rest % SECOND);
    let used = fraction.trim_end_matches('0').len();
    let digits = match (ty, used) {
        (_, 0) => 0,
        (Type::Datetime, _) => 3,
        (_, used) => used,
    };
    format!("{} {}", date(days as i64), clock(rest, digits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_read_as_results_show_them() {
        let text = |value: Datum, ty: &str| value.text(&ty.parse().unwrap());
        assert_eq!(text(Datum::Number { unscaled: -5, scale: 2 }, "decimal(10,2)"), "-0.05");
        assert_eq!(text(Datum::Double(1.0), "double"), "1.0");
        assert_eq!(text(Datum::Double(f64::INFINITY), "double"), "Infinity");
        assert_eq!(text(Datum::Double(0.1f32.into()), "float"), "0.1");
        assert_eq!(text(Datum::Date(-1), "date"), "1969-12-31");
        assert_eq!(text(Datum::Instant(1_500_000_000), "datetime"), "1970-01-01 00:00:01.500");
        assert_eq!(text(Datum::Instant(SECOND), "timestamp"), "1970-01-01 00:00:01");
        assert_eq!(text(Datum::Instant(-1), "timestamp"), "1969-12-31 23:59:59.999999999");
        assert_eq!(text(Datum::Months(-14), "interval_year_month"), "-1-2");
        assert_eq!(text(Datum::Duration(DAY_NANOS + SECOND), "interval_day_time"), "1 00:00:01.000000000");
        let nested = Datum::Map(vec![(Datum::int(1), Datum::List(vec![Datum::Text("a\"".into()), Datum::Null]))]);
        assert_eq!(text(nested, "map<bigint,array<string>>"), r#"{"1":["a\"",null]}"#);
    }
}
