//! Names of tables.

use std::fmt;

use crate::error::{Error, Kind, Result};

/// A table with its project and schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableName {
    /// Project.
    pub project: String,
    /// Schema; `default` in projects of two levels.
    pub schema: String,
    /// Table.
    pub table: String,
}

impl TableName {
    /// Reads `TABLE`, `PROJECT.TABLE` or `PROJECT.SCHEMA.TABLE`, filling gaps from the defaults.
    pub fn parse(text: &str, project: Option<&str>, schema: &str) -> Result<Self> {
        let parts: Vec<&str> = text.split('.').collect();
        let (project, schema, table) = match parts.as_slice() {
            [table] => (project.unwrap_or_default(), schema, *table),
            [project, table] => (*project, schema, *table),
            [project, schema, table] => (*project, *schema, *table),
            _ => {
                let message =
                    format!("`{text}` is not a table name: write TABLE, PROJECT.TABLE or PROJECT.SCHEMA.TABLE");
                return Err(Error::new(Kind::InvalidOption, message));
            }
        };
        if project.is_empty() {
            let message = format!("no project for table `{text}`: set option project, or write PROJECT.TABLE");
            return Err(Error::new(Kind::InvalidOption, message));
        }
        for (what, name) in [("project", project), ("schema", schema), ("table", table)] {
            check_name(what, name)?;
        }
        Ok(TableName { project: project.to_owned(), schema: schema.to_owned(), table: table.to_owned() })
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.project, self.schema, self.table)
    }
}

/// Names appear in URLs and in the signed text, so only characters that mean the same in both are let through.
pub fn check_name(what: &str, name: &str) -> Result<()> {
    let legal = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '$');
    if name.is_empty() || !name.chars().all(legal) {
        let message = format!("`{name}` is not a {what} name: letters, digits, `_`, `-` and `$` are allowed");
        return Err(Error::new(Kind::InvalidOption, message));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_all_lengths() {
        for (text, project, expected) in
            [("t", Some("p"), "p.default.t"), ("q.t", Some("p"), "q.default.t"), ("q.s.t", None, "q.s.t")]
        {
            assert_eq!(TableName::parse(text, project, "default").unwrap().to_string(), expected);
        }
    }

    #[test]
    fn what_cannot_be_a_name_is_refused() {
        for text in ["", "t", "a.b.c.d", "a..t", "p.t/x", "p.t?x", "p.t%41", "p. t"] {
            assert_eq!(TableName::parse(text, None, "default").unwrap_err().kind(), Kind::InvalidOption, "{text}");
        }
    }
}
