//! MaxCompute column types: their text form and what they mean.
//!
//! Source: storage-api-v1.md section 12.1 (grammar) and 12.2 (Arrow mapping).

mod children;
mod convert;
mod delivery;
mod infer;
mod layout;
mod parse;
mod plain;
pub mod temporal;
mod zone;

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use children::inside;
pub use convert::{Stage, conform};
pub use delivery::{CharText, Delivery, Timestamps};
pub use infer::infer;
pub use layout::{Units, arrow_type, finest_unit};
pub use plain::{PlainLayout, plain_type, to_plain};
pub use zone::Zone;

/// A MaxCompute type. Its `Display` form is the lower-case type text of the protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Type {
    TinyInt,
    SmallInt,
    Int,
    BigInt,
    Float,
    Double,
    Boolean,
    String,
    /// At most this many characters, 1 to 65535.
    Varchar(u32),
    /// Exactly this many characters, blank-padded, 1 to 255.
    Char(u32),
    Binary,
    /// A reference to bytes that lie beside the table (storage-api-v2-v3.md section 5).
    Blob,
    Json,
    Date,
    /// An instant with milliseconds.
    Datetime,
    /// An instant with nanoseconds.
    Timestamp,
    /// A wall clock reading with nanoseconds.
    TimestampNtz,
    IntervalDayTime,
    IntervalYearMonth,
    /// Precision 1 to 38 and scale 0 to 38.
    Decimal(u8, i8),
    /// `decimal` without arguments; Arrow carries it as (38,18).
    PlainDecimal,
    Array(Box<Type>),
    Map(Box<Type>, Box<Type>),
    Struct(Vec<(String, Type)>),
}

impl Type {
    /// Precision and scale of the Arrow decimal that carries this type, if it is a decimal.
    pub fn decimal_shape(&self) -> Option<(u8, i8)> {
        match self {
            Type::Decimal(precision, scale) => Some((*precision, *scale)),
            Type::PlainDecimal => Some((38, 18)),
            _ => None,
        }
    }

    /// Whether the type is JSON or contains JSON at any depth.
    pub fn contains_json(&self) -> bool {
        match self {
            Type::Json => true,
            Type::Array(item) => item.contains_json(),
            Type::Map(key, value) => key.contains_json() || value.contains_json(),
            Type::Struct(fields) => fields.iter().any(|(_, ty)| ty.contains_json()),
            _ => false,
        }
    }

    /// Whether the type is BLOB or contains BLOB at any depth.
    pub fn contains_blob(&self) -> bool {
        match self {
            Type::Blob => true,
            Type::Array(item) => item.contains_blob(),
            Type::Map(key, value) => key.contains_blob() || value.contains_blob(),
            Type::Struct(fields) => fields.iter().any(|(_, ty)| ty.contains_blob()),
            _ => false,
        }
    }

    /// How many nodes the type has: itself, and those of items, keys, values and fields.
    pub fn nodes(&self) -> i64 {
        1 + match self {
            Type::Array(item) => item.nodes(),
            Type::Map(key, value) => key.nodes() + value.nodes(),
            Type::Struct(fields) => fields.iter().map(|(_, ty)| ty.nodes()).sum(),
            _ => 0,
        }
    }

    /// Whether a partition column may have this type (service-behaviour.md 1.2).
    pub fn is_partition_type(&self) -> bool {
        matches!(
            self,
            Type::TinyInt | Type::SmallInt | Type::Int | Type::BigInt | Type::String | Type::Varchar(_) | Type::Char(_)
        ) || matches!(self, Type::Date)
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Type::TinyInt => f.write_str("tinyint"),
            Type::SmallInt => f.write_str("smallint"),
            Type::Int => f.write_str("int"),
            Type::BigInt => f.write_str("bigint"),
            Type::Float => f.write_str("float"),
            Type::Double => f.write_str("double"),
            Type::Boolean => f.write_str("boolean"),
            Type::String => f.write_str("string"),
            Type::Varchar(n) => write!(f, "varchar({n})"),
            Type::Char(n) => write!(f, "char({n})"),
            Type::Binary => f.write_str("binary"),
            Type::Blob => f.write_str("blob"),
            Type::Json => f.write_str("json"),
            Type::Date => f.write_str("date"),
            Type::Datetime => f.write_str("datetime"),
            Type::Timestamp => f.write_str("timestamp"),
            Type::TimestampNtz => f.write_str("timestamp_ntz"),
            Type::IntervalDayTime => f.write_str("interval_day_time"),
            Type::IntervalYearMonth => f.write_str("interval_year_month"),
            Type::Decimal(p, s) => write!(f, "decimal({p},{s})"),
            Type::PlainDecimal => f.write_str("decimal"),
            Type::Array(item) => write!(f, "array<{item}>"),
            Type::Map(key, value) => write!(f, "map<{key},{value}>"),
            Type::Struct(fields) => {
                f.write_str("struct<")?;
                for (i, (name, ty)) in fields.iter().enumerate() {
                    if i > 0 {
                        f.write_str(",")?;
                    }
                    let plain = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_');
                    if plain {
                        write!(f, "{name}:{ty}")?;
                    } else {
                        write!(f, "`{}`:{ty}", name.replace('`', "``"))?;
                    }
                }
                f.write_str(">")
            }
        }
    }
}

impl Serialize for Type {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Type {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
