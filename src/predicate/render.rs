//! The text of a predicate: what is read back as the same tree.

use std::fmt;

use super::calendar::{write_date, write_time};
use super::{Literal, Node, Predicate};

impl fmt::Display for Predicate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.node() {
            Node::And(parts) => joined(f, parts, " AND ", |node| matches!(node, Node::Or(_))),
            Node::Or(parts) => joined(f, parts, " OR ", |_| false),
            Node::Not(part) => write!(f, "NOT ({part})"),
            Node::Compare { column, op, value } => write!(f, "{column} {} {value}", op.symbol()),
            Node::In { column, negated, values } => {
                write!(f, "{column} {}IN (", if *negated { "NOT " } else { "" })?;
                for (index, value) in values.iter().enumerate() {
                    write!(f, "{}{value}", if index > 0 { ", " } else { "" })?;
                }
                f.write_str(")")
            }
            Node::IsNull { column, negated } => {
                write!(f, "{column} IS {}NULL", if *negated { "NOT " } else { "" })
            }
        }
    }
}

fn joined(f: &mut fmt::Formatter<'_>, parts: &[Predicate], by: &str, bracketed: fn(&Node) -> bool) -> fmt::Result {
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            f.write_str(by)?;
        }
        if bracketed(part.node()) { write!(f, "({part})")? } else { write!(f, "{part}")? }
    }
    Ok(())
}

/// Times out of the years with four digits are shown by their number, which is not read back.
impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = |f: &mut fmt::Formatter<'_>, word: &str, text: Option<String>, number: i128| match text {
            Some(text) => write!(f, "{word}'{text}'"),
            None => write!(f, "{word}'{number}'"),
        };
        match self {
            Literal::Null => f.write_str("NULL"),
            Literal::Bool(value) => write!(f, "{value}"),
            Literal::Decimal { unscaled, scale: 0 } => write!(f, "{unscaled}"),
            Literal::Decimal { unscaled, scale } => write!(f, "{}BD", digits(*unscaled, *scale)),
            Literal::Fraction { unscaled, scale } => f.write_str(&digits(*unscaled, *scale)),
            Literal::Double(value) => f.write_str(&match value.get() {
                value if value.is_nan() => "NaN".to_owned(),
                f64::INFINITY => "Infinity".to_owned(),
                f64::NEG_INFINITY => "-Infinity".to_owned(),
                value => format!("{value:e}"),
            }),
            Literal::Text(text) => f.write_str(&quoted(text)),
            Literal::Binary(bytes) => f.write_str(&hex(bytes)),
            Literal::Date(days) => time(f, "DATE", write_date(*days), i128::from(*days)),
            Literal::Instant(nanos) => time(f, "TIMESTAMP", write_time(*nanos), *nanos),
            Literal::Clock(nanos) => time(f, "TIMESTAMP_NTZ", write_time(*nanos), *nanos),
        }
    }
}

/// `unscaled * 10^-scale` with all of its digits.
pub(super) fn digits(unscaled: i128, scale: u8) -> String {
    let sign = if unscaled < 0 { "-" } else { "" };
    let scale = usize::from(scale);
    let all = format!("{:0>width$}", unscaled.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = all.split_at(all.len() - scale);
    if scale == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

/// A text in single quotes. Escaped is what ends it or cannot be seen: MaxCompute SQL reads these escapes.
pub(super) fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('\'');
    for c in text.chars() {
        match c {
            '\'' => quoted.push_str("\\'"),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\0' => quoted.push_str("\\0"),
            c => quoted.push(c),
        }
    }
    quoted.push('\'');
    quoted
}

/// Bytes in hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("X'{digits}'")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::test_runner::{Config, RngSeed};

    use super::super::{Column, Op, Real};
    use super::*;

    fn literal() -> impl Strategy<Value = Literal> {
        let number = prop_oneof![any::<i64>().prop_map(i128::from), -(10i128.pow(38) - 1)..10i128.pow(38)];
        prop_oneof![
            Just(Literal::Null),
            any::<bool>().prop_map(Literal::Bool),
            (number.clone(), 0u8..=38).prop_map(|(unscaled, scale)| Literal::Decimal { unscaled, scale }),
            (number, 1u8..=38).prop_map(|(unscaled, scale)| Literal::Fraction { unscaled, scale }),
            any::<u64>().prop_map(|bits| Literal::Double(Real::new(f64::from_bits(bits)))),
            "[\\PC'\"\\\\\n\r\t\0]{0,8}".prop_map(Literal::Text),
            prop::collection::vec(any::<u8>(), 0..5).prop_map(Literal::Binary),
            (-719_528i64..=2_932_896).prop_map(Literal::Date),
            (-719_528i128 * super::super::calendar::DAY..2_932_897 * super::super::calendar::DAY)
                .prop_flat_map(|nanos| prop_oneof![Just(Literal::Instant(nanos)), Just(Literal::Clock(nanos))]),
        ]
    }

    fn column() -> impl Strategy<Value = Column> {
        let name = prop_oneof![Just("a".to_owned()), Just("and".to_owned()), Just("x".to_owned()), "[\\PC`. ]{1,5}"];
        (name.clone(), prop::collection::vec(name, 0..2)).prop_map(|(name, fields)| Column::new(name, fields))
    }

    fn predicate() -> impl Strategy<Value = Predicate> {
        let leaf = prop_oneof![
            (column(), 0..6usize, literal()).prop_map(|(column, op, value)| Predicate::compare(
                column,
                Op::ALL[op],
                value
            )),
            (column(), any::<bool>(), prop::collection::vec(literal(), 0..4))
                .prop_map(|(column, negated, values)| Predicate::in_set(column, negated, values)),
            (column(), any::<bool>()).prop_map(|(column, negated)| Predicate::is_null(column, negated)),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            let some = prop::collection::vec(inner.clone(), 1..4);
            prop_oneof![
                some.clone().prop_map(|parts| Predicate::and(parts).unwrap()),
                some.prop_map(|parts| Predicate::or(parts).unwrap()),
                inner.prop_map(|part| part.negated().unwrap()),
            ]
        })
    }

    proptest! {
        #![proptest_config(Config { cases: 1000, rng_seed: RngSeed::Fixed(7), failure_persistence: None, ..Config::default() })]
        #[test]
        fn what_is_written_is_read(predicate in predicate()) {
            let text = predicate.to_string();
            let back = Predicate::parse(&text);
            prop_assert!(back.as_ref().is_ok_and(|back| *back == predicate), "{text}\n{back:?}");
        }
    }
}
