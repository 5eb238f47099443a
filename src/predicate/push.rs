//! The text by which the service prunes, and what it is worth.
//!
//! What is pushed may keep rows that do not match, never the other way round: the service skips blocks. So a part that cannot be
//! written is left out of an AND, and an OR with such a part is left out as a whole.

use super::bind::{Bound, Place, bind};
use super::calendar::{write_date, write_time};
use super::domain::{Domain, TypedColumn, View};
use super::interval::Value;
use super::render::{digits, hex, quoted};
use super::{Column, Op, Predicate};
use crate::error::Result;

/// Longest text that the service takes.
const MAX_BYTES: usize = 1 << 20;
/// Most items of a set in the service's grammar.
const MAX_ITEMS: usize = 10_000;

/// Which rows arrive with regard to a conjunct.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exactness {
    /// Only rows for which it is true.
    Exact,
    /// Also rows for which it is not true.
    Inexact,
    /// All rows: it has no effect.
    Unsupported,
}

impl Exactness {
    /// The word of the interface.
    pub const fn name(self) -> &'static str {
        match self {
            Exactness::Exact => "EXACT",
            Exactness::Inexact => "INEXACT",
            Exactness::Unsupported => "UNSUPPORTED",
        }
    }
}

/// What became of one of the conditions that a filter demands all of.
#[derive(Debug, Clone, PartialEq)]
pub struct Conjunct {
    /// The condition.
    pub text: String,
    /// What the service prunes by; `None` if nothing of it was sent.
    pub pushed: Option<String>,
    /// Which rows arrive.
    pub exactness: Exactness,
    /// Why it is so, in a sentence.
    pub reason: String,
}

/// A predicate for the service.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Pushdown {
    /// Text to be sent; empty for none.
    pub text: String,
    /// What became of each conjunct.
    pub conjuncts: Vec<Conjunct>,
}

/// Renders a predicate for the service. `MS_NOT_FOUND` for a column that the table lacks.
pub fn push(predicate: &Predicate, columns: &[TypedColumn]) -> Result<Pushdown> {
    let mut pushdown = Pushdown::default();
    for conjunct in predicate.conjuncts() {
        let bound = bind(conjunct, columns, View::Stored)?;
        let mut writer = Writer { columns, left_out: None };
        let mut pushed = writer.write(&bound);
        if let Some(text) = &pushed {
            let separator = if pushdown.text.is_empty() { "" } else { " AND " };
            if pushdown.text.len() + separator.len() + text.len() + 2 > MAX_BYTES {
                writer.left_out =
                    Some(format!("the filter is longer than the {MAX_BYTES} bytes that the service takes"));
                pushed = None;
            } else {
                let bracketed = matches!(&bound, Bound::Any(parts) if !parts.is_empty());
                let (open, close) = if bracketed { ("(", ")") } else { ("", "") };
                pushdown.text.push_str(&format!("{separator}{open}{text}{close}"));
            }
        }
        let (exactness, reason) = match (&pushed, writer.left_out) {
            (Some(_), None) => {
                (Exactness::Inexact, "the service skips blocks without such rows, and filters none".to_owned())
            }
            (Some(_), Some(reason)) => (Exactness::Inexact, format!("pushed in part: {reason}")),
            (None, None) => (Exactness::Exact, "it is true for every row".to_owned()),
            (None, Some(reason)) => (Exactness::Unsupported, format!("not pushed: {reason}")),
        };
        pushdown.conjuncts.push(Conjunct { text: conjunct.to_string(), pushed, exactness, reason });
    }
    Ok(pushdown)
}

struct Writer<'a> {
    columns: &'a [TypedColumn],
    /// Why something was left out.
    left_out: Option<String>,
}

impl Writer<'_> {
    /// The text of a condition; `None` for one that keeps every row.
    fn write(&mut self, bound: &Bound) -> Option<String> {
        match bound {
            Bound::All(parts) => {
                let written: Vec<String> = parts
                    .iter()
                    .filter_map(|part| {
                        let text = self.write(part)?;
                        Some(if matches!(part, Bound::Any(parts) if !parts.is_empty()) {
                            format!("({text})")
                        } else {
                            text
                        })
                    })
                    .collect();
                (!written.is_empty()).then(|| written.join(" AND "))
            }
            Bound::Any(parts) if parts.is_empty() => self.nothing(),
            Bound::Any(parts) => {
                let written: Option<Vec<String>> = parts.iter().map(|part| self.write(part)).collect();
                written.map(|written| written.join(" OR "))
            }
            Bound::Null { place, negated } => {
                let name = self.name(place)?;
                Some(format!("{name} IS {}NULL", if *negated { "NOT " } else { "" }))
            }
            Bound::Compare { place, op, value } => self.compare(place, *op, value),
            Bound::In { place, negated, values } => self.set(place, *negated, values),
            Bound::Foreign(reason) => self.leave_out(reason.clone()),
        }
    }

    fn leave_out(&mut self, reason: String) -> Option<String> {
        self.left_out.get_or_insert(reason);
        None
    }

    /// A condition that no row meets.
    fn nothing(&mut self) -> Option<String> {
        let column = self.columns.first()?;
        let name = Column::new(column.name.clone(), Vec::new());
        Some(format!("{name} IS NULL AND {name} IS NOT NULL"))
    }

    fn name(&mut self, place: &Place) -> Option<String> {
        let column = self.columns.get(place.column)?;
        let name = Column::new(column.name.clone(), Vec::new());
        if place.fields.is_empty() {
            return Some(name.to_string());
        }
        self.leave_out(format!("fields of {name} are not part of the service's grammar"))
    }

    fn not_null(&mut self, place: &Place) -> Option<String> {
        Some(format!("{} IS NOT NULL", self.name(place)?))
    }

    fn compare(&mut self, place: &Place, op: Op, value: &Value) -> Option<String> {
        let name = self.name(place)?;
        match (place.domain, value) {
            // The service's parser does not take the smallest BIGINT. Its neighbour says the same.
            (Domain::Whole(..), Value::Whole(value)) if *value == i128::from(i64::MIN) => {
                let op = match op {
                    Op::Equal | Op::LessOrEqual => Op::Less,
                    Op::NotEqual | Op::Greater => Op::GreaterOrEqual,
                    Op::GreaterOrEqual => return self.not_null(place),
                    Op::Less => return self.nothing(),
                };
                Some(format!("{name} {} {}", op.symbol(), value + 1))
            }
            (Domain::Single | Domain::Double, Value::Real(value)) => self.compare_real(place, &name, op, value.get()),
            (domain, value) => match literal(domain, value) {
                Some(text) => Some(format!("{name} {} {text}", op.symbol())),
                None => self.leave_out(format!("a literal for {name} lies outside of the years 0000 to 9999")),
            },
        }
    }

    /// The grammar has no infinities and no NaN.
    fn compare_real(&mut self, place: &Place, name: &str, op: Op, value: f64) -> Option<String> {
        let largest = if place.domain == Domain::Single { f64::from(f32::MAX) } else { f64::MAX };
        let test = |op: Op, value: f64| Some(format!("{name} {} {value:?}", op.symbol()));
        match op {
            op if value.is_finite() => test(op, value),
            Op::Less if value == f64::INFINITY => test(Op::LessOrEqual, largest),
            Op::GreaterOrEqual | Op::Equal if value == f64::INFINITY => test(Op::Greater, largest),
            Op::LessOrEqual | Op::Equal if value == f64::NEG_INFINITY => test(Op::Less, -largest),
            Op::Greater if value == f64::NEG_INFINITY => test(Op::GreaterOrEqual, -largest),
            Op::Less if value == f64::NEG_INFINITY => self.nothing(),
            Op::Greater if value.is_nan() => self.nothing(),
            // What is told from NaN here is not told in the grammar.
            _ => self.not_null(place),
        }
    }

    fn set(&mut self, place: &Place, negated: bool, values: &[Value]) -> Option<String> {
        let name = self.name(place)?;
        // Values that the grammar lacks, one by one.
        let odd = |value: &Value| match value {
            Value::Whole(value) => matches!(place.domain, Domain::Whole(..)) && *value == i128::from(i64::MIN),
            Value::Real(value) => !value.get().is_finite(),
            _ => false,
        };
        let op = if negated { Op::NotEqual } else { Op::Equal };
        if values.iter().any(odd) {
            let (odd, plain): (Vec<&Value>, Vec<&Value>) = values.iter().partition(|value| odd(value));
            let place = || place.clone();
            let plain: Vec<Value> = plain.into_iter().cloned().collect();
            let mut parts: Vec<Bound> =
                odd.into_iter().map(|value| Bound::Compare { place: place(), op, value: value.clone() }).collect();
            if !plain.is_empty() {
                parts.push(Bound::In { place: place(), negated, values: plain });
            }
            let text = self.write(&if negated { Bound::All(parts) } else { Bound::Any(parts) })?;
            return Some(format!("({text})"));
        }
        let texts: Option<Vec<String>> = values.iter().map(|value| literal(place.domain, value)).collect();
        let Some(texts) = texts else {
            return self.leave_out(format!("a literal for {name} lies outside of the years 0000 to 9999"));
        };
        if texts.len() <= MAX_ITEMS && texts.iter().map(String::len).sum::<usize>() < MAX_BYTES / 2 {
            return Some(format!("{name} {}IN ({})", if negated { "NOT " } else { "" }, texts.join(", ")));
        }
        self.left_out.get_or_insert(format!("the set for {name} is larger than the service takes ({MAX_ITEMS} items)"));
        if negated {
            return self.not_null(place);
        }
        // What lies outside of the range of the set is not in it.
        let (low, high) = range(values)?;
        let (low, high) = (literal(place.domain, low)?, literal(place.domain, high)?);
        Some(format!("{name} >= {low} AND {name} <= {high}"))
    }
}

/// Smallest and largest of values of one kind; `None` for kinds without many values.
fn range(values: &[Value]) -> Option<(&Value, &Value)> {
    let order = |one: &&Value, other: &&Value| match (one, other) {
        (Value::Whole(one), Value::Whole(other)) => one.cmp(other),
        (Value::Real(one), Value::Real(other)) => one.get().total_cmp(&other.get()),
        (Value::Text(one), Value::Text(other)) => one.as_bytes().cmp(other.as_bytes()),
        (Value::Binary(one), Value::Binary(other)) => one.cmp(other),
        _ => std::cmp::Ordering::Equal,
    };
    // CHAR is ordered as if padded, which differs where there are characters below the blank.
    let plain = |value: &Value| !matches!(value, Value::Text(text) if text.bytes().any(|byte| byte < b' '));
    if !values.iter().all(plain) {
        return None;
    }
    Some((values.iter().min_by(order)?, values.iter().max_by(order)?))
}

/// A value as the service writes those of its column; `None` for times that it cannot write.
fn literal(domain: Domain, value: &Value) -> Option<String> {
    let time = |value: i128, unit: i128, word: &str| Some(format!("{word}'{}'", write_time(value.checked_mul(unit)?)?));
    Some(match (domain, value) {
        (Domain::Decimal(_, scale), Value::Whole(unscaled)) if scale > 0 => {
            // Without trailing zeros, as the official client writes decimals.
            digits(*unscaled, scale).trim_end_matches('0').trim_end_matches('.').to_owned()
        }
        (Domain::Date, Value::Whole(days)) => format!("DATE'{}'", write_date(i64::try_from(*days).ok()?)?),
        (Domain::Instant { unit: 1_000_000, .. }, Value::Whole(value)) => time(*value, 1_000_000, "DATETIME")?,
        (Domain::Instant { unit, .. }, Value::Whole(value)) => time(*value, unit, "TIMESTAMP")?,
        (Domain::Clock { unit, .. }, Value::Whole(value)) => time(*value, unit, "TIMESTAMP_NTZ")?,
        (_, Value::Whole(value)) => value.to_string(),
        (_, Value::Real(value)) => format!("{:?}", value.get()),
        (_, Value::Bool(value)) => value.to_string(),
        (_, Value::Text(text)) => quoted(text),
        (_, Value::Binary(bytes)) => hex(bytes),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns() -> Vec<TypedColumn> {
        [
            ("n", "bigint"),
            ("f", "float"),
            ("d", "double"),
            ("m", "decimal(10,2)"),
            ("s", "string"),
            ("b", "boolean"),
            ("y", "binary"),
            ("e", "date"),
            ("u", "datetime"),
            ("t", "timestamp"),
            ("z", "timestamp_ntz"),
            ("r", "struct<x:int>"),
            ("l", "array<int>"),
            ("k", "tinyint"),
        ]
        .into_iter()
        .map(|(name, text)| TypedColumn { name: name.into(), type_text: text.into(), delivered: None })
        .collect()
    }

    fn pushed(text: &str) -> Pushdown {
        push(&Predicate::parse(text).unwrap(), &columns()).unwrap()
    }

    #[test]
    fn every_type_has_its_literals() {
        for (text, sent) in [
            ("N < 3.5 and f = 0.5 and d >= 1e22", "`n` < 4 AND `f` = 0.5 AND `d` >= 1e22"),
            ("m = 1.5BD or m = 200", "(`m` = 1.5 OR `m` = 200)"),
            ("m <= 1.999", "`m` <= 1.99"),
            ("s in ('it''s', '\\\\', '\\n', '😀')", "`s` IN ('it\\'s', '\\\\', '\\n', '😀')"),
            ("b and y = X'00ff'", "`b` = true AND `y` = X'00ff'"),
            (
                "e > '1969-12-31' and e < TIMESTAMP'1970-01-02 12:00:00'",
                "`e` > DATE'1969-12-31' AND `e` <= DATE'1970-01-02'"
                    .replace("<= DATE'1970-01-02'", "< DATE'1970-01-03'")
                    .leak(),
            ),
            ("u >= TIMESTAMP'1970-01-01 00:00:00.0005'", "`u` >= DATETIME'1970-01-01 00:00:00.001'"),
            ("t = '1969-12-31 23:59:59.999999999'", "`t` = TIMESTAMP'1969-12-31 23:59:59.999999999'"),
            ("z < DATE'2024-01-01'", "`z` < TIMESTAMP_NTZ'2024-01-01 00:00:00'"),
            ("not (n = 1 or s is null)", "`n` != 1 AND `s` IS NOT NULL"),
            ("k = 300", "`n` IS NULL AND `n` IS NOT NULL"),
            ("k < 300", "`k` IS NOT NULL"),
            ("n = -9223372036854775808", "`n` < -9223372036854775807"),
            ("n in (1, -9223372036854775808)", "(`n` < -9223372036854775807 OR `n` IN (1))"),
            ("d = NaN", "`d` IS NOT NULL"),
            ("d < Infinity", "`d` <= 1.7976931348623157e308"),
            ("f >= Infinity", "`f` > 3.4028234663852886e38"),
            ("d not in (1e0, NaN)", "(`d` IS NOT NULL AND `d` NOT IN (1.0))"),
        ] {
            let found = pushed(text);
            assert_eq!(found.text, sent, "{text}");
            assert!(found.conjuncts.iter().all(|conjunct| conjunct.exactness == Exactness::Inexact), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_sent_is_left_out_and_told() {
        let found =
            pushed("n = 1 and l = 2 and (s = 'a' or r.x = 1) and (s = 'b' or (n = 2 and l = 3)) and n not in ()");
        assert_eq!(found.text, "`n` = 1 AND (`s` = 'b' OR `n` = 2)");
        let told: Vec<Exactness> = found.conjuncts.iter().map(|conjunct| conjunct.exactness).collect();
        use Exactness::{Exact, Inexact, Unsupported};
        assert_eq!(told, [Inexact, Unsupported, Unsupported, Inexact, Exact]);
        assert!(found.conjuncts[1].reason.contains("`l`") && found.conjuncts[2].reason.contains("fields"));
        assert!(found.conjuncts[3].reason.contains("in part"));
    }

    #[test]
    fn sizes_stay_within_what_the_service_takes() {
        let many = |count: i64| (0..count).map(|n| n.to_string()).collect::<Vec<_>>().join(", ");
        let found = pushed(&format!("n in ({})", many(10_001)));
        assert_eq!(found.text, "`n` >= 0 AND `n` <= 10000");
        assert_eq!(found.conjuncts[0].exactness, Exactness::Inexact);
        assert!(pushed(&format!("n in ({})", many(10_000))).text.starts_with("`n` IN (0, 1,"));
        let long = "x".repeat(400_000);
        let predicate = |text: String| {
            Predicate::compare(Column::parse("s").unwrap(), Op::NotEqual, super::super::Literal::Text(text))
        };
        let all = Predicate::and(vec![
            predicate(long.clone()),
            predicate(long.clone() + "1"),
            predicate(long + "2"),
            predicate("y".into()),
        ]);
        let found = push(&all.unwrap(), &columns()).unwrap();
        assert!(found.text.len() <= MAX_BYTES && found.text.ends_with("'y'"));
        assert_eq!(found.conjuncts[2].exactness, Exactness::Unsupported);
        assert!(found.conjuncts[2].reason.contains("1048576 bytes"));
    }
}
