//! `SELECT` and `INSERT`.

use super::ast::{AsOf, Change, Insert, Item, Order, OrderBy, Select, Source};
use super::cursor::Cursor;
use super::define::name_list;
use super::error::{Position, SqlError};
use super::expr::{constant, expression};
use super::lexer::Token;
use super::parser::spec;
use crate::datum::Datum;
use crate::types::Type;

/// Keywords that end a list of columns or a condition.
const CLAUSES: [&str; 17] = [
    "from",
    "where",
    "group",
    "having",
    "order",
    "limit",
    "union",
    "intersect",
    "except",
    "minus",
    "lateral",
    "cluster",
    "distribute",
    "sort",
    "window",
    "qualify",
    "offset",
];

/// Keys of `ORDER BY` at most.
const MAX_KEYS: usize = 1000;

/// Reads a `SELECT` over at most one table.
pub fn select(cursor: &mut Cursor<'_>) -> Result<Select, SqlError> {
    let at = cursor.position();
    cursor.expect(&["select"])?;
    if cursor.is_word("distinct") {
        return cursor.unsupported("SELECT DISTINCT");
    }
    let _ = cursor.accept(&["all"]);
    let mut items = vec![item(cursor)?];
    while cursor.accept_symbol(",") {
        items.push(item(cursor)?);
    }
    let mut select =
        Select { items, from: None, as_of: None, filter: None, order: Vec::new(), offset: 0, limit: None, at };
    if cursor.accept(&["from"]) {
        if cursor.is_symbol("(") {
            return cursor.unsupported("a subquery");
        }
        select.from = Some(cursor.name()?);
        select.as_of = as_of(cursor)?;
        let is_alias = |token: &Token| match token {
            Token::Name(_) => true,
            Token::Word(word) => !is_clause(word) && !is_join(word),
            _ => false,
        };
        if cursor.accept(&["as"]) || cursor.peek().is_some_and(is_alias) {
            cursor.identifier()?;
        }
        if cursor.is_symbol(",") || matches!(cursor.peek(), Some(Token::Word(word)) if is_join(word)) {
            return cursor.unsupported("a join");
        }
    }
    select.filter = condition(cursor)?;
    if cursor.accept(&["order", "by"]) {
        select.order.push(order(cursor)?);
        while cursor.accept_symbol(",") {
            if select.order.len() == MAX_KEYS {
                return Err(SqlError::semantic(
                    cursor.position(),
                    format_args!("ORDER BY has more than {MAX_KEYS} keys"),
                ));
            }
            select.order.push(order(cursor)?);
        }
    }
    if cursor.accept(&["limit"]) {
        let first = cursor.integer()?;
        if cursor.accept_symbol(",") {
            (select.offset, select.limit) = (first, Some(cursor.integer()?));
        } else {
            select.limit = Some(first);
            if cursor.accept(&["offset"]) {
                select.offset = cursor.integer()?;
            }
        }
    }
    match cursor.peek() {
        Some(Token::Word(word)) if is_clause(word) => {
            let what = format!("{} in a SELECT", word.to_uppercase());
            cursor.unsupported(&what)
        }
        _ => Ok(select),
    }
}

/// `VERSION AS OF 3`, `TIMESTAMP AS OF datetime'2026-01-02 03:04:05'`.
fn as_of(cursor: &mut Cursor<'_>) -> Result<Option<(AsOf, Position)>, SqlError> {
    let at = cursor.position();
    if cursor.accept(&["version", "as", "of"]) {
        return Ok(Some((AsOf::Version(cursor.integer()?), at)));
    }
    if !cursor.accept(&["timestamp", "as", "of"]) {
        return Ok(None);
    }
    match constant(cursor)?.cast(&Type::Timestamp) {
        Ok(Datum::Instant(ns)) => {
            let ms = i64::try_from(ns.div_euclid(1_000_000)).unwrap_or(i64::MAX);
            Ok(Some((AsOf::Time(ms), at)))
        }
        _ => Err(SqlError::semantic(at, "TIMESTAMP AS OF needs a point in time")),
    }
}

/// `WHERE ..`: the text of the condition and where it starts.
fn condition(cursor: &mut Cursor<'_>) -> Result<Option<(String, Position)>, SqlError> {
    if !cursor.accept(&["where"]) {
        return Ok(None);
    }
    let (start, at) = (cursor.offset(), cursor.position());
    skip_condition(cursor);
    let text = cursor.slice(start, cursor.offset());
    if text.is_empty() { cursor.unexpected("a condition") } else { Ok(Some((text, at))) }
}

/// Reads what follows `UPDATE`.
pub fn update(cursor: &mut Cursor<'_>) -> Result<Change, SqlError> {
    let name = cursor.name()?;
    cursor.expect(&["set"])?;
    let mut set = Vec::new();
    loop {
        let column = cursor.identifier()?;
        cursor.expect_symbol("=")?;
        set.push((column, expression(cursor)?));
        if !cursor.accept_symbol(",") {
            break;
        }
    }
    Ok(Change { name, set: Some(set), filter: condition(cursor)? })
}

/// Reads what follows `DELETE`.
pub fn delete(cursor: &mut Cursor<'_>) -> Result<Change, SqlError> {
    cursor.expect(&["from"])?;
    Ok(Change { name: cursor.name()?, set: None, filter: condition(cursor)? })
}

fn is_clause(word: &str) -> bool {
    CLAUSES.iter().any(|clause| clause.eq_ignore_ascii_case(word))
}

fn is_join(word: &str) -> bool {
    ["join", "inner", "left", "right", "full", "cross", "natural", "tablesample", "pivot", "unpivot"]
        .iter()
        .any(|join| join.eq_ignore_ascii_case(word))
}

/// Goes to the first token outside brackets that ends a condition.
fn skip_condition(cursor: &mut Cursor<'_>) {
    let mut depth = 0i32;
    while let Some(token) = cursor.peek() {
        match token {
            Token::Symbol(symbol) if symbol == "(" => depth += 1,
            Token::Symbol(symbol) if symbol == ")" => depth -= 1,
            Token::Symbol(symbol) if symbol == ";" => return,
            Token::Word(word) if depth == 0 && is_clause(word) => return,
            _ => {}
        }
        if depth < 0 {
            return;
        }
        cursor.skip();
    }
}

fn item(cursor: &mut Cursor<'_>) -> Result<Item, SqlError> {
    if cursor.accept_symbol("*") {
        return Ok(Item::Star);
    }
    // `t.*`
    if matches!(cursor.ahead(1), Some(Token::Symbol(s)) if s == ".")
        && matches!(cursor.ahead(2), Some(Token::Symbol(s)) if s == "*")
    {
        (0..3).for_each(|_| cursor.skip());
        return Ok(Item::Star);
    }
    let expr = expression(cursor)?;
    let is_alias = match cursor.peek() {
        Some(Token::Name(_)) => true,
        Some(Token::Word(word)) => !is_clause(word) && !word.eq_ignore_ascii_case("as"),
        _ => false,
    };
    let alias = if cursor.accept(&["as"]) || is_alias { Some(cursor.identifier()?) } else { None };
    Ok(Item::Expr { expr, alias })
}

fn order(cursor: &mut Cursor<'_>) -> Result<Order, SqlError> {
    let at = cursor.position();
    let by = match cursor.peek() {
        Some(Token::Number(_)) => OrderBy::Number(cursor.integer()?),
        _ => {
            let name = cursor.name()?;
            OrderBy::Name(name.parts.last().cloned().unwrap_or_default())
        }
    };
    let descending = cursor.accept(&["desc"]);
    let _ = !descending && cursor.accept(&["asc"]);
    let nulls_first = match cursor.accept(&["nulls"]) {
        false => !descending,
        true => {
            let first = cursor.accept(&["first"]);
            if !first {
                cursor.expect(&["last"])?;
            }
            first
        }
    };
    Ok(Order { by, ascending: !descending, nulls_first, at })
}

/// Reads what follows `INSERT`.
pub fn insert(cursor: &mut Cursor<'_>) -> Result<Insert, SqlError> {
    let overwrite = cursor.accept(&["overwrite"]);
    if !overwrite {
        cursor.expect(&["into"])?;
    }
    let _ = cursor.accept(&["table"]);
    let name = cursor.name()?;
    let mut spec_of = Vec::new();
    let mut columns = Vec::new();
    if cursor.is_word("partition") {
        spec_of = spec(cursor)?;
    }
    if cursor.is_symbol("(") {
        columns = name_list(cursor)?;
    }
    let source = if cursor.accept(&["values"]) {
        let mut rows = vec![cursor.list(constant)?];
        while cursor.accept_symbol(",") {
            rows.push(cursor.list(constant)?);
        }
        Source::Values(rows)
    } else if cursor.is_word("select") {
        Source::Select(select(cursor)?)
    } else {
        return cursor.unexpected("VALUES or SELECT");
    };
    Ok(Insert { name, overwrite, spec: spec_of, columns, source })
}
