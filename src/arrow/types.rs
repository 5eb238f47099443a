//! MaxCompute types and the Arrow types they are delivered as (the mapping table of the product page).

use std::sync::Arc;

use arrow_schema::{DataType, Field, IntervalUnit, TimeUnit};

use crate::error::{Error, Kind, Result};

/// Deepest nesting of a type that is accepted.
const MAX_DEPTH: usize = 64;

/// Arrow units of the time types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Units {
    /// TIMESTAMP and TIMESTAMP_NTZ.
    pub timestamp: TimeUnit,
    /// DATETIME.
    pub datetime: TimeUnit,
}

impl Default for Units {
    /// The units of the product page.
    fn default() -> Self {
        Units { timestamp: TimeUnit::Nanosecond, datetime: TimeUnit::Millisecond }
    }
}

/// The Arrow unit for a word of the protocol.
pub fn time_unit(word: &str) -> Result<TimeUnit> {
    match word {
        "second" => Ok(TimeUnit::Second),
        "milli" => Ok(TimeUnit::Millisecond),
        "micro" => Ok(TimeUnit::Microsecond),
        "nano" => Ok(TimeUnit::Nanosecond),
        other => Err(Error::new(Kind::CorruptData, format!("`{other}` is not a time unit"))),
    }
}

/// A MaxCompute type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MaxType {
    /// CHAR of so many characters.
    Char(u32),
    /// Every other type without parts.
    Plain(DataType),
    /// ARRAY.
    Array(Box<MaxType>),
    /// MAP of keys and values.
    Map(Box<MaxType>, Box<MaxType>),
    /// STRUCT of named parts.
    Struct(Vec<(String, MaxType)>),
}

impl MaxType {
    /// Reads a type text such as `array<decimal(10,2)>`; names in any case.
    pub fn parse(text: &str, units: Units) -> Result<Self> {
        let mut parser = Parser { text, at: 0, units };
        let parsed = parser.parse_type(0)?;
        if parser.peek().is_some() {
            return Err(parser.wrong());
        }
        Ok(parsed)
    }

    /// The Arrow type.
    pub fn arrow(&self) -> DataType {
        match self {
            MaxType::Char(_) => DataType::Utf8,
            MaxType::Plain(data_type) => data_type.clone(),
            MaxType::Array(element) => DataType::List(Arc::new(Field::new("element", element.arrow(), true))),
            MaxType::Map(key, value) => {
                let pair = vec![Field::new("key", key.arrow(), false), Field::new("value", value.arrow(), true)];
                DataType::Map(Arc::new(Field::new("entries", DataType::Struct(pair.into()), false)), false)
            }
            MaxType::Struct(parts) => {
                let field = |(name, part): &(String, MaxType)| Field::new(name, part.arrow(), true);
                DataType::Struct(parts.iter().map(field).collect())
            }
        }
    }
}

/// The Arrow type for a MaxCompute type text.
pub fn data_type(text: &str, units: Units) -> Result<DataType> {
    Ok(MaxType::parse(text, units)?.arrow())
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    units: Units,
}

impl Parser<'_> {
    fn wrong(&self) -> Error {
        let message = format!("`{}` is not a type this version knows (near offset {})", self.text, self.at);
        Error::new(Kind::SchemaMismatch, message)
    }

    /// The next character that is not a blank.
    fn peek(&mut self) -> Option<char> {
        let rest = self.text.get(self.at..)?;
        let trimmed = rest.trim_start();
        self.at += rest.len() - trimmed.len();
        trimmed.chars().next()
    }

    fn take(&mut self, wanted: char) -> Result<()> {
        if self.peek() != Some(wanted) {
            return Err(self.wrong());
        }
        self.at += wanted.len_utf8();
        Ok(())
    }

    fn take_if(&mut self, wanted: char) -> bool {
        self.take(wanted).is_ok()
    }

    fn word(&mut self) -> Result<String> {
        self.peek();
        let rest = self.text.get(self.at..).unwrap_or_default();
        let end = rest.find(|c: char| !c.is_alphanumeric() && !matches!(c, '_' | '$')).unwrap_or(rest.len());
        match rest.get(..end) {
            Some(word) if !word.is_empty() => {
                self.at += end;
                Ok(word.to_owned())
            }
            _ => Err(self.wrong()),
        }
    }

    fn field_name(&mut self) -> Result<String> {
        if !self.take_if('`') {
            return self.word();
        }
        let rest = self.text.get(self.at..).unwrap_or_default();
        let (name, _) = rest.split_once('`').ok_or_else(|| self.wrong())?;
        self.at += name.len() + 1;
        Ok(name.to_owned())
    }

    fn number<T: std::str::FromStr>(&mut self) -> Result<T> {
        let word = self.word()?;
        word.parse().map_err(|_| self.wrong())
    }

    fn parse_type(&mut self, depth: usize) -> Result<MaxType> {
        if depth > MAX_DEPTH {
            return Err(Error::new(
                Kind::SchemaMismatch,
                format!("a type is nested more than {MAX_DEPTH} levels deep"),
            ));
        }
        let name = self.word()?.to_ascii_lowercase();
        Ok(MaxType::Plain(match name.as_str() {
            "tinyint" => DataType::Int8,
            "smallint" => DataType::Int16,
            "int" => DataType::Int32,
            "bigint" => DataType::Int64,
            "float" => DataType::Float32,
            "double" => DataType::Float64,
            "boolean" => DataType::Boolean,
            // The Storage API delivers JSON in results of instances, and in tables only where a service is told to.
            "string" | "json" => DataType::Utf8,
            "char" | "varchar" => {
                self.take('(')?;
                let length = self.number::<u32>()?;
                self.take(')')?;
                if name == "char" {
                    return Ok(MaxType::Char(length));
                }
                DataType::Utf8
            }
            // A cell of type BLOB is the reference to its bytes.
            "binary" | "blob" => DataType::Binary,
            "date" => DataType::Date32,
            "datetime" => DataType::Timestamp(self.units.datetime, Some(Arc::from("UTC"))),
            "timestamp" => DataType::Timestamp(self.units.timestamp, Some(Arc::from("UTC"))),
            "timestamp_ntz" => DataType::Timestamp(self.units.timestamp, None),
            "interval_day_time" => DataType::Interval(IntervalUnit::DayTime),
            "interval_year_month" => DataType::Interval(IntervalUnit::YearMonth),
            "decimal" => self.decimal()?,
            "array" => {
                self.take('<')?;
                let element = self.parse_type(depth + 1)?;
                self.take('>')?;
                return Ok(MaxType::Array(Box::new(element)));
            }
            "map" => {
                self.take('<')?;
                let key = self.parse_type(depth + 1)?;
                self.take(',')?;
                let value = self.parse_type(depth + 1)?;
                self.take('>')?;
                return Ok(MaxType::Map(Box::new(key), Box::new(value)));
            }
            "struct" => return self.structure(depth),
            _ => return Err(self.wrong()),
        }))
    }

    /// DECIMAL without arguments is `decimal(38,18)` in Arrow.
    fn decimal(&mut self) -> Result<DataType> {
        if !self.take_if('(') {
            return Ok(DataType::Decimal128(38, 18));
        }
        let precision = self.number::<u8>()?;
        let scale = if self.take_if(',') { self.number::<i8>()? } else { 0 };
        self.take(')')?;
        match (precision, scale) {
            (54, 18) => Ok(DataType::Decimal128(38, 18)),
            (1..=38, 0..) if i16::from(scale) <= i16::from(precision) => Ok(DataType::Decimal128(precision, scale)),
            _ => Err(self.wrong()),
        }
    }

    fn structure(&mut self, depth: usize) -> Result<MaxType> {
        let mut fields = Vec::new();
        self.take('<')?;
        loop {
            let name = self.field_name()?;
            self.take(':')?;
            fields.push((name, self.parse_type(depth + 1)?));
            if !self.take_if(',') {
                break;
            }
        }
        self.take('>')?;
        Ok(MaxType::Struct(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNITS: Units = Units { timestamp: TimeUnit::Nanosecond, datetime: TimeUnit::Millisecond };

    fn of(text: &str) -> DataType {
        data_type(text, UNITS).unwrap()
    }

    #[test]
    fn the_mapping_table_of_the_product_page() {
        let utc = || Some(Arc::from("UTC"));
        for (text, expected) in [
            ("TINYINT", DataType::Int8),
            ("SMALLINT", DataType::Int16),
            ("INT", DataType::Int32),
            ("BIGINT", DataType::Int64),
            ("FLOAT", DataType::Float32),
            ("DOUBLE", DataType::Float64),
            ("BOOLEAN", DataType::Boolean),
            ("DECIMAL", DataType::Decimal128(38, 18)),
            ("decimal( 10 , 2 )", DataType::Decimal128(10, 2)),
            ("decimal(38,38)", DataType::Decimal128(38, 38)),
            ("decimal(9)", DataType::Decimal128(9, 0)),
            ("decimal(54,18)", DataType::Decimal128(38, 18)),
            ("STRING", DataType::Utf8),
            ("JSON", DataType::Utf8),
            ("BINARY", DataType::Binary),
            ("BLOB", DataType::Binary),
            ("VARCHAR(65535)", DataType::Utf8),
            ("CHAR(8)", DataType::Utf8),
            ("DATETIME", DataType::Timestamp(TimeUnit::Millisecond, utc())),
            ("TIMESTAMP", DataType::Timestamp(TimeUnit::Nanosecond, utc())),
            ("timestamp_ntz", DataType::Timestamp(TimeUnit::Nanosecond, None)),
            ("DATE", DataType::Date32),
            ("INTERVAL_DAY_TIME", DataType::Interval(IntervalUnit::DayTime)),
            ("INTERVAL_YEAR_MONTH", DataType::Interval(IntervalUnit::YearMonth)),
        ] {
            assert_eq!(of(text), expected, "{text}");
        }
    }

    #[test]
    fn nested_types() {
        let DataType::List(element) = of("ARRAY< array<bigint> >") else { panic!("not a list") };
        assert!(matches!(element.data_type(), DataType::List(_)) && element.is_nullable());
        let DataType::Map(entries, false) = of("map<string,struct<a:int,`b c`:array<date>>>") else {
            panic!("not a map")
        };
        let DataType::Struct(pair) = entries.data_type() else { panic!("not a struct") };
        assert!(!entries.is_nullable() && !pair[0].is_nullable() && pair[1].is_nullable());
        let DataType::Struct(fields) = pair[1].data_type() else { panic!("not a struct") };
        assert_eq!(fields[1].name(), "b c");
    }

    #[test]
    fn what_is_not_a_type_is_an_error() {
        let deep = "array<".repeat(70) + "int" + &">".repeat(70);
        for text in [
            "",
            "variant",
            "array",
            "array<>",
            "array<int",
            "map<int>",
            "struct<>",
            "struct<a>",
            "struct<a:int,>",
            "int x",
            "decimal(39,1)",
            "decimal(5,6)",
            "decimal(0,0)",
            "decimal(x)",
            "char",
            "varchar()",
            "struct<`a:int>",
            "ärray<int>",
            deep.as_str(),
        ] {
            assert_eq!(data_type(text, UNITS).unwrap_err().kind(), Kind::SchemaMismatch, "{text}");
        }
    }
}
