//! What the values of a column are, as far as comparing goes.

use arrow_schema::{DataType, TimeUnit};

/// A column that predicates may name.
#[derive(Debug, Clone)]
pub struct TypedColumn {
    /// Name.
    pub name: String,
    /// MaxCompute type text.
    pub type_text: String,
    /// How its values are delivered; `None` where only the service's view matters.
    pub delivered: Option<DataType>,
}

/// The values of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Domain {
    /// Whole numbers from .. to, both included.
    Whole(i64, i64),
    /// FLOAT.
    Single,
    /// DOUBLE.
    Double,
    /// Decimals of this precision and scale.
    Decimal(u8, u8),
    /// BOOLEAN.
    Bool,
    /// STRING and VARCHAR: compared byte by byte.
    Text,
    /// CHAR: compared as if padded with blanks.
    Char,
    /// BINARY.
    Binary,
    /// DATE, in days.
    Date,
    /// DATETIME and TIMESTAMP, in units of some nanoseconds. With slack, the engine sees the values cut down to coarser ones.
    Instant {
        /// Nanoseconds of a unit.
        unit: i128,
        /// Nanoseconds by which what is delivered may differ from what is stored.
        slack: i128,
    },
    /// TIMESTAMP_NTZ, as `Instant`.
    Clock {
        /// Nanoseconds of a unit.
        unit: i128,
        /// Nanoseconds by which what is delivered may differ from what is stored.
        slack: i128,
    },
    /// Nothing that is compared.
    Other,
}

/// Which values a predicate is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// Those in the table.
    Stored,
    /// Those in the batches.
    Delivered,
}

impl Domain {
    /// The domain of a MaxCompute type.
    pub(super) fn of(type_text: &str, delivered: Option<&DataType>, view: View) -> Domain {
        let text = type_text.trim().to_ascii_lowercase();
        let (name, arguments) = match text.split_once('(') {
            Some((name, rest)) => (name.trim_end(), rest.trim_end_matches([')', ' '])),
            None => (text.as_str(), ""),
        };
        let numbers: Vec<u8> = arguments.split(',').filter_map(|number| number.trim().parse().ok()).collect();
        let domain = match name {
            "tinyint" => Domain::Whole(i8::MIN.into(), i8::MAX.into()),
            "smallint" => Domain::Whole(i16::MIN.into(), i16::MAX.into()),
            "int" => Domain::Whole(i32::MIN.into(), i32::MAX.into()),
            "bigint" => Domain::Whole(i64::MIN, i64::MAX),
            "float" => Domain::Single,
            "double" => Domain::Double,
            "boolean" => Domain::Bool,
            "string" | "varchar" => Domain::Text,
            "char" => Domain::Char,
            "binary" => Domain::Binary,
            "date" => Domain::Date,
            "datetime" => Domain::Instant { unit: 1_000_000, slack: 0 },
            "timestamp" => Domain::Instant { unit: 1, slack: 0 },
            "timestamp_ntz" => Domain::Clock { unit: 1, slack: 0 },
            "decimal" => match numbers.as_slice() {
                [] | [54, 18] => Domain::Decimal(38, 18),
                [precision] => Domain::Decimal(*precision, 0),
                [precision, scale, ..] => Domain::Decimal(*precision, *scale),
            },
            _ => Domain::Other,
        };
        match delivered {
            Some(delivered) => domain.seen_as(delivered, view),
            None => domain,
        }
    }

    /// The domain of values that are delivered in this Arrow type.
    fn seen_as(self, delivered: &DataType, view: View) -> Domain {
        let in_unit = |stored: i128, unit: &TimeUnit| {
            let seen = nanos(unit);
            match view {
                View::Delivered => (seen, 0),
                View::Stored => (stored, if seen > stored { seen } else { 0 }),
            }
        };
        match (self, delivered) {
            (Domain::Whole(..), DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64)
            | (Domain::Single, DataType::Float32)
            | (Domain::Double, DataType::Float64)
            | (Domain::Bool, DataType::Boolean)
            | (Domain::Text | Domain::Char, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
            | (Domain::Binary, DataType::Binary | DataType::LargeBinary | DataType::BinaryView)
            | (Domain::Date, DataType::Date32) => self,
            (Domain::Decimal(_, scale), DataType::Decimal128(_, seen)) if i8::try_from(scale) == Ok(*seen) => self,
            (Domain::Instant { unit: stored, .. }, DataType::Timestamp(unit, _)) => {
                let (unit, slack) = in_unit(stored, unit);
                Domain::Instant { unit, slack }
            }
            (Domain::Clock { unit: stored, .. }, DataType::Timestamp(unit, _)) => {
                let (unit, slack) = in_unit(stored, unit);
                Domain::Clock { unit, slack }
            }
            // Delivered in a form of its own: the service can still prune by what is stored.
            _ if view == View::Stored => self,
            _ => Domain::Other,
        }
    }

    /// What the literals must be, for a sentence.
    pub(super) fn describe(self) -> &'static str {
        match self {
            Domain::Whole(..) | Domain::Single | Domain::Double | Domain::Decimal(..) => "a number",
            Domain::Bool => "a boolean",
            Domain::Text | Domain::Char => "text",
            Domain::Binary => "binary",
            Domain::Date => "a date",
            Domain::Instant { .. } | Domain::Clock { .. } => "a time",
            Domain::Other => "nothing that can be compared",
        }
    }
}

fn nanos(unit: &TimeUnit) -> i128 {
    match unit {
        TimeUnit::Second => 1_000_000_000,
        TimeUnit::Millisecond => 1_000_000,
        TimeUnit::Microsecond => 1_000,
        TimeUnit::Nanosecond => 1,
    }
}

/// The place and the type text of a field of a struct.
pub(super) fn field_of<'a>(type_text: &'a str, name: &str) -> Option<(usize, &'a str)> {
    let text = type_text.trim();
    let inner = text.get(..6).filter(|word| word.eq_ignore_ascii_case("struct")).and_then(|_| text.get(6..))?;
    let inner = inner.trim().strip_prefix('<')?.strip_suffix('>')?;
    let (mut depth, mut quoted, mut start, mut fields) = (0u32, false, 0, Vec::new());
    for (at, c) in inner.char_indices() {
        match c {
            '`' => quoted = !quoted,
            '<' | '(' if !quoted => depth += 1,
            '>' | ')' if !quoted => depth = depth.saturating_sub(1),
            ',' if !quoted && depth == 0 => {
                fields.push(inner.get(start..at)?);
                start = at + 1;
            }
            _ => {}
        }
    }
    fields.push(inner.get(start..)?);
    fields.into_iter().enumerate().find_map(|(index, field)| {
        let field = field.trim();
        let (found, rest) = match field.strip_prefix('`') {
            Some(rest) => rest.split_once('`')?,
            None => field.split_at(field.find(':')?),
        };
        super::column::same_name(found.trim(), name).then_some((index, rest.trim_start().strip_prefix(':')?.trim()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_have_domains() {
        let of = |text: &str| Domain::of(text, None, View::Stored);
        assert_eq!(of("BIGINT"), Domain::Whole(i64::MIN, i64::MAX));
        assert_eq!(of("decimal( 10 , 2 )"), Domain::Decimal(10, 2));
        assert_eq!((of("decimal"), of("decimal(9)")), (Domain::Decimal(38, 18), Domain::Decimal(9, 0)));
        assert_eq!((of("char(3)"), of("varchar(3)")), (Domain::Char, Domain::Text));
        assert_eq!((of("array<int>"), of("json")), (Domain::Other, Domain::Other));
        let milli = DataType::Timestamp(TimeUnit::Millisecond, None);
        assert_eq!(
            Domain::of("timestamp", Some(&milli), View::Delivered),
            Domain::Instant { unit: 1_000_000, slack: 0 }
        );
        assert_eq!(Domain::of("timestamp", Some(&milli), View::Stored), Domain::Instant { unit: 1, slack: 1_000_000 });
        assert_eq!(Domain::of("bigint", Some(&DataType::Utf8), View::Delivered), Domain::Other);
    }

    #[test]
    fn fields_of_structs_are_found() {
        let text = "struct<a:int, `b c`:map<string,decimal(3,1)>,D:struct<x:char(2)>>";
        assert_eq!(field_of(text, "A"), Some((0, "int")));
        assert_eq!(field_of(text, "b c"), Some((1, "map<string,decimal(3,1)>")));
        assert_eq!(field_of(text, "d"), Some((2, "struct<x:char(2)>")));
        assert_eq!((field_of(text, "x"), field_of("int", "a"), field_of("", "a")), (None, None, None));
    }
}
