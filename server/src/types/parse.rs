//! The parser of MaxCompute type text, such as `map<string,array<decimal(10,2)>>`.

use std::str::FromStr;

use super::Type;

/// Nesting deeper than this is refused, so that hostile text cannot exhaust the stack.
const MAX_DEPTH: usize = 32;

/// Why a type text was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} in type text \"{text}\" at character {position}")]
pub struct TypeParseError {
    what: String,
    text: String,
    position: usize,
}

impl FromStr for Type {
    type Err = TypeParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parser = Parser { text, chars: text.chars().collect(), at: 0 };
        let ty = parser.ty(0)?;
        parser.blanks();
        if parser.at < parser.chars.len() {
            return Err(parser.error("unexpected text after the type"));
        }
        Ok(ty)
    }
}

struct Parser<'a> {
    text: &'a str,
    chars: Vec<char>,
    at: usize,
}

impl Parser<'_> {
    fn error(&self, what: impl Into<String>) -> TypeParseError {
        TypeParseError { what: what.into(), text: self.text.to_string(), position: self.at }
    }

    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn blanks(&mut self) {
        while self.peek().is_some_and(char::is_whitespace) {
            self.at += 1;
        }
    }

    fn expect(&mut self, wanted: char) -> Result<(), TypeParseError> {
        self.blanks();
        if self.peek() == Some(wanted) {
            self.at += 1;
            Ok(())
        } else {
            Err(self.error(format!("expected '{wanted}'")))
        }
    }

    fn accept(&mut self, wanted: char) -> bool {
        self.blanks();
        let found = self.peek() == Some(wanted);
        if found {
            self.at += 1;
        }
        found
    }

    fn word(&mut self) -> Result<String, TypeParseError> {
        self.blanks();
        let start = self.at;
        while self.peek().is_some_and(|c| c.is_alphanumeric() || c == '_') {
            self.at += 1;
        }
        if self.at == start {
            return Err(self.error("expected a name"));
        }
        Ok(self.chars.get(start..self.at).unwrap_or_default().iter().collect())
    }

    /// A struct field name, bare or back-quoted.
    fn field_name(&mut self) -> Result<String, TypeParseError> {
        if !self.accept('`') {
            return self.word();
        }
        let mut name = String::new();
        while let Some(c) = self.peek() {
            self.at += 1;
            if c != '`' {
                name.push(c);
            } else if self.peek() == Some('`') {
                self.at += 1;
                name.push('`');
            } else {
                return Ok(name);
            }
        }
        Err(self.error("back-quote is not closed"))
    }

    fn number(&mut self) -> Result<u32, TypeParseError> {
        let word = self.word()?;
        word.parse().map_err(|_| self.error(format!("\"{word}\" is not a length")))
    }

    fn length(&mut self, max: u32) -> Result<u32, TypeParseError> {
        self.expect('(')?;
        let n = self.number()?;
        self.expect(')')?;
        if n == 0 || n > max {
            return Err(self.error(format!("length {n} is outside 1 to {max}")));
        }
        Ok(n)
    }

    fn decimal(&mut self) -> Result<Type, TypeParseError> {
        if !self.accept('(') {
            return Ok(Type::PlainDecimal);
        }
        let precision = self.number()?;
        self.expect(',')?;
        let scale = self.number()?;
        self.expect(')')?;
        match (u8::try_from(precision), i8::try_from(scale)) {
            (Ok(p), Ok(s)) if (1..=38).contains(&p) && s as i32 <= p as i32 => Ok(Type::Decimal(p, s)),
            _ => Err(self.error(format!("decimal({precision},{scale}) is outside 1 to 38 digits"))),
        }
    }

    fn ty(&mut self, depth: usize) -> Result<Type, TypeParseError> {
        if depth > MAX_DEPTH {
            return Err(self.error("nested too deeply"));
        }
        let word = self.word()?.to_ascii_lowercase();
        Ok(match word.as_str() {
            "tinyint" => Type::TinyInt,
            "smallint" => Type::SmallInt,
            "int" => Type::Int,
            "bigint" => Type::BigInt,
            "float" => Type::Float,
            "double" => Type::Double,
            "boolean" => Type::Boolean,
            "string" => Type::String,
            "varchar" => Type::Varchar(self.length(65535)?),
            "char" => Type::Char(self.length(255)?),
            "binary" => Type::Binary,
            "blob" => Type::Blob,
            "json" => Type::Json,
            "date" => Type::Date,
            "datetime" => Type::Datetime,
            "timestamp" => Type::Timestamp,
            "timestamp_ntz" => Type::TimestampNtz,
            "interval_day_time" => Type::IntervalDayTime,
            "interval_year_month" => Type::IntervalYearMonth,
            "decimal" => self.decimal()?,
            "array" => {
                self.expect('<')?;
                let item = self.ty(depth + 1)?;
                self.expect('>')?;
                Type::Array(Box::new(item))
            }
            "map" => {
                self.expect('<')?;
                let key = self.ty(depth + 1)?;
                self.expect(',')?;
                let value = self.ty(depth + 1)?;
                self.expect('>')?;
                Type::Map(Box::new(key), Box::new(value))
            }
            "struct" => {
                self.expect('<')?;
                let mut fields = Vec::new();
                loop {
                    let name = self.field_name()?;
                    self.expect(':')?;
                    fields.push((name, self.ty(depth + 1)?));
                    if !self.accept(',') {
                        break;
                    }
                }
                self.expect('>')?;
                Type::Struct(fields)
            }
            "variant" | "vector" | "geography" => {
                return Err(self.error(format!("type {word} is not implemented, for no Arrow form of it is public")));
            }
            other => return Err(self.error(format!("unknown type \"{other}\""))),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_what_it_reads() {
        for text in [
            "tinyint",
            "decimal",
            "decimal(38,18)",
            "varchar(20)",
            "char(8)",
            "array<string>",
            "map<string,bigint>",
            "struct<a:bigint,b:array<struct<x:int,y:string>>>",
            "struct<`odd name`:int>",
            "interval_day_time",
            "array<blob>",
        ] {
            assert_eq!(text.parse::<Type>().unwrap().to_string(), text);
        }
        assert_eq!(" ARRAY < Decimal ( 10 , 2 ) > ".parse::<Type>().unwrap().to_string(), "array<decimal(10,2)>");
    }

    #[test]
    fn refuses_nonsense() {
        for text in
            ["", "decimal(10)", "decimal(39,0)", "char(0)", "char(256)", "array<int", "foo", "int int", "struct<>"]
        {
            assert!(text.parse::<Type>().is_err(), "{text}");
        }
        let unmapped = "array<VARIANT>".parse::<Type>().unwrap_err().to_string();
        assert!(unmapped.contains("variant is not implemented"), "{unmapped}");
        let deep = format!("{}int{}", "array<".repeat(100), ">".repeat(100));
        assert!(deep.parse::<Type>().is_err());
    }
}
