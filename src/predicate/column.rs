//! Names of columns in predicates.

use std::fmt;

use crate::error::{Error, Kind, Result};

/// A column, or a field of a struct in it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Column {
    name: String,
    fields: Vec<String>,
}

impl Column {
    /// A column and the way down to a field of it.
    pub fn new(name: impl Into<String>, fields: Vec<String>) -> Self {
        Column { name: name.into(), fields }
    }

    /// Reads a name: `a`, `` `a b` ``, or `a.b` for a field of a struct. In back-quotes two of them stand for one. A text without
    /// dots and back-quotes is a name as it is.
    pub fn parse(text: &str) -> Result<Self> {
        let wrong = || {
            let message = format!("`{text}` is not the name of a column; quote odd names with back-quotes");
            Error::new(Kind::InvalidArgument, message)
        };
        let mut parts = Vec::new();
        let mut rest = text;
        loop {
            let (part, behind) = match rest.strip_prefix('`') {
                Some(quoted) => unquote(quoted).ok_or_else(wrong)?,
                None => {
                    let end = rest.find(['.', '`']).unwrap_or(rest.len());
                    let (part, behind) = rest.split_at(end);
                    (part.to_owned(), behind)
                }
            };
            if part.is_empty() {
                return Err(wrong());
            }
            parts.push(part);
            match behind.strip_prefix('.') {
                Some(more) => rest = more,
                None if behind.is_empty() => break,
                None => return Err(wrong()),
            }
        }
        let name = parts.remove(0);
        Ok(Column { name, fields: parts })
    }

    /// Name of the column.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Names of fields, from the outside to the inside; empty for the column itself.
    pub fn fields(&self) -> &[String] {
        &self.fields
    }
}

/// The text before the closing back-quote, and what follows.
fn unquote(text: &str) -> Option<(String, &str)> {
    let mut part = String::new();
    let mut rest = text;
    loop {
        let (before, behind) = rest.split_once('`')?;
        part.push_str(before);
        match behind.strip_prefix('`') {
            Some(more) => {
                part.push('`');
                rest = more;
            }
            None => return Some((part, behind)),
        }
    }
}

/// Always in back-quotes, which every service and parser takes for a name.
impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.name.replace('`', "``"))?;
        self.fields.iter().try_for_each(|field| write!(f, ".`{}`", field.replace('`', "``")))
    }
}

/// Whether two names mean the same column: case does not matter.
pub(super) fn same_name(one: &str, other: &str) -> bool {
    one == other || one.to_lowercase() == other.to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_written() {
        for (text, name, fields, shown) in [
            ("a", "a", &[][..], "`a`"),
            ("a b", "a b", &[], "`a b`"),
            ("`a``.b`", "a`.b", &[], "`a``.b`"),
            ("s.`x y`.z", "s", &["x y", "z"], "`s`.`x y`.`z`"),
            ("列", "列", &[], "`列`"),
        ] {
            let column = Column::parse(text).unwrap();
            assert_eq!(
                (column.name(), column.fields()),
                (name, &fields.iter().map(|f| f.to_string()).collect::<Vec<_>>()[..])
            );
            assert_eq!(column.to_string(), shown);
            assert_eq!(Column::parse(shown).unwrap(), column);
        }
        for bad in ["", ".", "a.", ".a", "`a", "`a`b", "a`b`", "``"] {
            assert_eq!(Column::parse(bad).unwrap_err().kind(), Kind::InvalidArgument, "{bad}");
        }
    }
}
