//! `CREATE`: tables of all kinds and schemas.

use super::ast::{CreateTable, Query, Statement};
use super::cursor::Cursor;
use super::error::SqlError;
use super::lexer::Token;
use super::query::select;
use crate::catalog::{Clustering, ClusteringKind, Column, SortColumn, TableKind};
use crate::types::Type;

/// Reads what follows `CREATE`.
pub fn create(cursor: &mut Cursor<'_>) -> Result<Statement, SqlError> {
    if cursor.accept(&["schema"]) {
        let if_not_exists = cursor.accept(&["if", "not", "exists"]);
        let name = cursor.name()?;
        if cursor.accept(&["comment"]) {
            cursor.text()?;
        }
        return Ok(Statement::CreateSchema { name, if_not_exists });
    }
    let or_replace = cursor.accept(&["or", "replace"]);
    let kind = if cursor.accept(&["external", "table"]) {
        TableKind::External
    } else if cursor.accept(&["table"]) {
        TableKind::Managed
    } else if cursor.accept(&["view"]) {
        TableKind::VirtualView
    } else if cursor.accept(&["materialized", "view"]) {
        TableKind::MaterializedView
    } else {
        return cursor.unsupported("this kind of CREATE");
    };
    let if_not_exists = cursor.accept(&["if", "not", "exists"]);
    let mut table = CreateTable {
        name: cursor.name()?,
        kind,
        if_not_exists,
        or_replace,
        columns: Vec::new(),
        renamed: Vec::new(),
        partition_keys: Vec::new(),
        partitioned_on: Vec::new(),
        comment: String::new(),
        lifecycle: None,
        clustering: None,
        primary_key: Vec::new(),
        properties: Vec::new(),
        like: None,
        query: None,
        deferred: false,
    };
    while table.query.is_none() && !cursor.is_at_end() && !cursor.is_symbol(";") {
        clause(cursor, &mut table)?;
    }
    Ok(Statement::CreateTable(Box::new(table)))
}

fn clause(cursor: &mut Cursor<'_>, table: &mut CreateTable) -> Result<(), SqlError> {
    let is_view = matches!(table.kind, TableKind::VirtualView | TableKind::MaterializedView);
    if cursor.is_symbol("(") && is_view {
        table.renamed = cursor.list(|cursor| {
            let name = cursor.identifier()?;
            let comment = if cursor.accept(&["comment"]) { cursor.text()? } else { String::new() };
            Ok((name, comment))
        })?;
    } else if cursor.is_symbol("(") && table.columns.is_empty() {
        (table.columns, table.primary_key) = columns(cursor)?;
    } else if cursor.accept(&["comment"]) {
        table.comment = cursor.text()?;
    } else if cursor.accept(&["partitioned", "by"]) {
        table.partition_keys = columns(cursor)?.0;
    } else if cursor.accept(&["partitioned", "on"]) {
        table.partitioned_on = name_list(cursor)?;
    } else if cursor.is_word("clustered") || cursor.is_word("range") {
        if table.clustering.is_some() {
            return cursor.unexpected("one clustering at most");
        }
        table.clustering = Some(clustering(cursor)?);
    } else if cursor.accept(&["tblproperties"]) {
        table.properties.extend(properties(cursor)?);
    } else if cursor.accept(&["lifecycle"]) {
        table.lifecycle = Some(cursor.integer()?);
    } else if cursor.accept(&["like"]) {
        table.like = Some(cursor.name()?);
    } else if cursor.accept(&["build", "deferred"]) {
        table.deferred = true;
    } else if cursor.accept(&["disable", "rewrite"]) {
        table.properties.push(("enable_auto_substitute".into(), "false".into()));
    } else if cursor.accept(&["enable", "rewrite"]) {
    } else if cursor.accept(&["stored", "by"]) {
        external(cursor, table, "storage_handler")?;
    } else if cursor.accept(&["row", "format", "serde"]) {
        external(cursor, table, "row_format_serde")?;
    } else if cursor.accept(&["with", "serdeproperties"]) {
        table.properties.extend(properties(cursor)?);
    } else if cursor.accept(&["location"]) {
        external(cursor, table, "location")?;
    } else if cursor.accept(&["using"]) {
        external(cursor, table, "resources")?;
    } else if cursor.accept(&["stored", "as"]) {
        let format = cursor.identifier()?;
        table.properties.push(("stored_as".into(), format));
    } else if cursor.accept(&["as"]) {
        table.query = Some(query(cursor, table.kind)?);
    } else if cursor.is_word("auto") || cursor.is_word("into") {
        return cursor.unsupported("this clause of CREATE TABLE");
    } else {
        return cursor.unexpected("a clause of CREATE");
    }
    Ok(())
}

fn external(cursor: &mut Cursor<'_>, table: &mut CreateTable, key: &str) -> Result<(), SqlError> {
    let value = cursor.text()?;
    table.properties.push((key.into(), value));
    Ok(())
}

/// The query behind `AS`. That of a view may be any; it is kept as text.
fn query(cursor: &mut Cursor<'_>, kind: TableKind) -> Result<Query, SqlError> {
    let from = cursor.offset();
    if kind == TableKind::VirtualView {
        if !["select", "with", "from", "("].iter().any(|word| cursor.is_word(word) || cursor.is_symbol(word)) {
            return cursor.unexpected("a query");
        }
        while !cursor.is_at_end() && !cursor.is_symbol(";") {
            cursor.skip();
        }
        return Ok(Query { text: cursor.slice(from, cursor.offset()), select: None });
    }
    let select = select(cursor)?;
    Ok(Query { text: cursor.slice(from, cursor.offset()), select: Some(select) })
}

/// `( column [PRIMARY KEY], .., PRIMARY KEY (..) )`.
pub fn columns(cursor: &mut Cursor<'_>) -> Result<(Vec<Column>, Vec<String>), SqlError> {
    let mut primary_key = Vec::new();
    let columns = cursor.list(|cursor| {
        if cursor.accept(&["primary", "key"]) {
            primary_key = name_list(cursor)?;
            let _ = cursor.accept(&["not", "enforced"]);
            return Ok(None);
        }
        let mut column = column(cursor)?;
        if cursor.accept(&["primary", "key"]) {
            primary_key.push(column.name.clone());
            attributes(cursor, &mut column)?;
        }
        Ok(Some(column))
    })?;
    Ok((columns.into_iter().flatten().collect(), primary_key))
}

/// `name type [NOT NULL] [DEFAULT ..] [COMMENT '..']`.
pub fn column(cursor: &mut Cursor<'_>) -> Result<Column, SqlError> {
    let name = cursor.identifier()?;
    let mut column = Column::new(name, data_type(cursor)?, true);
    attributes(cursor, &mut column)?;
    Ok(column)
}

/// What may follow the type of a column.
fn attributes(cursor: &mut Cursor<'_>, column: &mut Column) -> Result<(), SqlError> {
    loop {
        if cursor.accept(&["not", "null"]) {
            column.nullable = false;
        } else if cursor.accept(&["comment"]) {
            column.comment = cursor.text()?;
        } else if cursor.accept(&["null"]) {
            column.nullable = true;
        } else if cursor.is_word("default") || cursor.is_word("generated") {
            return cursor.unsupported("a DEFAULT of a column");
        } else {
            return Ok(());
        }
    }
}

/// A type: its tokens up to where its brackets close.
pub fn data_type(cursor: &mut Cursor<'_>) -> Result<Type, SqlError> {
    let at = cursor.position();
    let mut text = cursor.identifier()?;
    if text.eq_ignore_ascii_case("interval") {
        // `INTERVAL DAY TO SECOND`, `INTERVAL YEAR TO MONTH`.
        let is_years = cursor.accept(&["year", "to", "month"]);
        return match is_years || cursor.accept(&["day", "to", "second"]) {
            true => Ok(if is_years { Type::IntervalYearMonth } else { Type::IntervalDayTime }),
            false => cursor.unexpected("DAY TO SECOND or YEAR TO MONTH"),
        };
    }
    let mut depth = 0i32;
    loop {
        let opens = cursor.is_symbol("<") || cursor.is_symbol("(");
        if depth == 0 && !opens {
            break;
        }
        match cursor.peek() {
            Some(Token::Symbol(symbol)) => {
                depth += match symbol.as_str() {
                    "<" | "(" => 1,
                    ">" | ")" => -1,
                    ">>" => -2,
                    "<>" => 0,
                    _ => 0,
                };
                text.push_str(symbol);
            }
            Some(Token::Name(name)) => text.push_str(&format!("`{}`", name.replace('`', "``"))),
            Some(Token::Word(word) | Token::Number(word)) => {
                if word.eq_ignore_ascii_case("comment") {
                    return cursor.unsupported("a comment inside a type");
                }
                text.push_str(word);
            }
            _ => return cursor.unexpected("a type"),
        }
        cursor.skip();
    }
    text.parse().map_err(|error| SqlError::parse(at, error))
}

pub fn name_list(cursor: &mut Cursor<'_>) -> Result<Vec<String>, SqlError> {
    cursor.list(Cursor::identifier)
}

/// `('key' = 'value', ..)`.
pub fn properties(cursor: &mut Cursor<'_>) -> Result<Vec<(String, String)>, SqlError> {
    cursor.list(|cursor| {
        let key = if matches!(cursor.peek(), Some(Token::Text(_))) { cursor.text()? } else { dotted(cursor)? };
        cursor.expect_symbol("=")?;
        let value = match cursor.peek() {
            Some(Token::Text(value) | Token::Word(value) | Token::Number(value)) => value.clone(),
            _ => return cursor.unexpected("the value of a property"),
        };
        cursor.skip();
        Ok((key, value))
    })
}

fn dotted(cursor: &mut Cursor<'_>) -> Result<String, SqlError> {
    let mut key = cursor.identifier()?;
    while cursor.accept_symbol(".") {
        key = format!("{key}.{}", cursor.identifier()?);
    }
    Ok(key)
}

/// `[RANGE] CLUSTERED BY (..) [SORTED BY (..)] [INTO n BUCKETS]`.
pub fn clustering(cursor: &mut Cursor<'_>) -> Result<Clustering, SqlError> {
    let kind = if cursor.accept(&["range"]) { ClusteringKind::Range } else { ClusteringKind::Hash };
    cursor.expect(&["clustered", "by"])?;
    let columns = name_list(cursor)?;
    let sort = match cursor.accept(&["sorted", "by"]) {
        false => Vec::new(),
        true => cursor.list(|cursor| {
            let column = cursor.identifier()?;
            let descending = cursor.accept(&["desc"]);
            let _ = !descending && cursor.accept(&["asc"]);
            Ok(SortColumn { column, ascending: !descending })
        })?,
    };
    let buckets = match cursor.accept(&["into"]) {
        false => 0,
        true => {
            let buckets = cursor.integer()?;
            cursor.expect(&["buckets"])?;
            buckets
        }
    };
    Ok(Clustering { kind, columns, sort, buckets })
}
