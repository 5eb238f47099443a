//! Expressions: columns, literals, arithmetic, CAST, constructors of nested values, COUNT(*).

use std::cell::Cell;

use super::ast::{Expr, ExprKind};
use super::cursor::Cursor;
use super::define::data_type;
use super::error::{Position, SqlError};
use super::lexer::Token;
use crate::datum::Datum;
use crate::types::temporal::{parse_date, parse_instant};

/// Nesting of expressions accepted.
const MAX_DEPTH: usize = 64;

/// Operators that one expression may have, for the same reason: each makes the tree one level deeper, wherever in the
/// brackets it stands.
const MAX_OPERATORS: usize = 512;

/// How far into an expression its reader is.
#[derive(Clone, Copy)]
struct Extent<'a> {
    /// Brackets, signs and calls around the place.
    depth: usize,
    /// Operators read so far, in the expression as a whole.
    operators: &'a Cell<usize>,
}

impl Extent<'_> {
    fn deeper(self) -> Self {
        Extent { depth: self.depth + 1, ..self }
    }

    fn count_operator(self, cursor: &Cursor<'_>) -> Result<(), SqlError> {
        self.operators.set(self.operators.get() + 1);
        match self.operators.get() > MAX_OPERATORS {
            true => cursor.unsupported(&format!("an expression of more than {MAX_OPERATORS} operators")),
            false => Ok(()),
        }
    }
}

/// Reads an expression.
pub fn expression(cursor: &mut Cursor<'_>) -> Result<Expr, SqlError> {
    sum(cursor, Extent { depth: 0, operators: &Cell::new(0) })
}

/// Reads an expression that must be constant.
pub fn constant(cursor: &mut Cursor<'_>) -> Result<Datum, SqlError> {
    fold(expression(cursor)?)
}

/// The value of a constant expression.
pub fn fold(expr: Expr) -> Result<Datum, SqlError> {
    let at = expr.at;
    match expr.kind {
        ExprKind::Literal(value) => Ok(value),
        ExprKind::Cast(inner, ty) => fold(*inner)?.cast(&ty).map_err(|why| SqlError::semantic(at, why)),
        ExprKind::Column(name) => Err(SqlError::semantic(at, format_args!("column {name} cannot be resolved here"))),
        ExprKind::Arithmetic(..) | ExprKind::CountStar => {
            Err(SqlError::parse(at, "only literals, CAST and constructors are supported here by this server"))
        }
    }
}

fn sum(cursor: &mut Cursor<'_>, extent: Extent<'_>) -> Result<Expr, SqlError> {
    let mut left = product(cursor, extent)?;
    while let Some(op) = ["+", "-"].into_iter().find(|op| cursor.is_symbol(op)) {
        extent.count_operator(cursor)?;
        cursor.skip();
        left = arithmetic(op, left, product(cursor, extent)?);
    }
    Ok(left)
}

fn product(cursor: &mut Cursor<'_>, extent: Extent<'_>) -> Result<Expr, SqlError> {
    let mut left = primary(cursor, extent)?;
    while let Some(op) = ["*", "/", "%"].into_iter().find(|op| cursor.is_symbol(op)) {
        extent.count_operator(cursor)?;
        cursor.skip();
        left = arithmetic(op, left, primary(cursor, extent)?);
    }
    Ok(left)
}

fn arithmetic(op: &str, left: Expr, right: Expr) -> Expr {
    let at = left.at;
    let op = op.chars().next().unwrap_or('+');
    Expr { kind: ExprKind::Arithmetic(op, Box::new(left), Box::new(right)), at }
}

fn primary(cursor: &mut Cursor<'_>, extent: Extent<'_>) -> Result<Expr, SqlError> {
    let at = cursor.position();
    if extent.depth > MAX_DEPTH {
        return Err(SqlError::parse(at, format_args!("expressions are nested deeper than {MAX_DEPTH} levels")));
    }
    let literal = |value| Ok(Expr { kind: ExprKind::Literal(value), at });
    if cursor.accept_symbol("(") {
        let inner = sum(cursor, extent.deeper())?;
        cursor.expect_symbol(")")?;
        return Ok(inner);
    }
    if cursor.accept_symbol("-") {
        let inner = primary(cursor, extent.deeper())?;
        return match inner.kind {
            ExprKind::Literal(value) => match value.negate() {
                Some(value) => literal(value),
                None => Err(SqlError::semantic(at, "only numbers have a sign")),
            },
            _ => Ok(arithmetic("-", Expr { kind: ExprKind::Literal(Datum::int(0)), at }, inner)),
        };
    }
    match cursor.peek().cloned() {
        Some(Token::Text(text)) => {
            cursor.skip();
            literal(Datum::Text(text))
        }
        Some(Token::Number(digits)) => match Datum::number(&digits) {
            Some(value) => {
                cursor.skip();
                literal(value)
            }
            None => cursor.unexpected("a number in range"),
        },
        Some(Token::Binary(digits)) => match hexadecimal(&digits) {
            Some(bytes) => {
                cursor.skip();
                literal(Datum::Bytes(bytes))
            }
            None => cursor.unexpected("hexadecimal digits"),
        },
        Some(Token::Word(word)) => named(cursor, &word, at, extent),
        Some(Token::Name(_)) => column(cursor, at),
        _ => cursor.unexpected("an expression"),
    }
}

/// What begins with a word: a keyword literal, a function, or a column.
fn named(cursor: &mut Cursor<'_>, word: &str, at: Position, extent: Extent<'_>) -> Result<Expr, SqlError> {
    let literal = |value| Ok(Expr { kind: ExprKind::Literal(value), at });
    let lower = word.to_ascii_lowercase();
    let is_call = matches!(cursor.ahead(1), Some(Token::Symbol(symbol)) if symbol == "(");
    if is_call {
        cursor.skip();
        return call(cursor, &lower, at, extent);
    }
    match lower.as_str() {
        "null" | "true" | "false" => {
            cursor.skip();
            return literal(if lower == "null" { Datum::Null } else { Datum::Bool(lower == "true") });
        }
        "case" | "exists" | "distinct" => return cursor.unsupported(&word.to_uppercase()),
        _ => {}
    }
    if let Some(Token::Text(text)) = cursor.ahead(1).cloned() {
        if let Some(value) = typed(&lower, &text) {
            let Some(value) = value else {
                return Err(SqlError::semantic(at, format_args!("'{text}' is not a {lower}")));
            };
            (0..2).for_each(|_| cursor.skip());
            return literal(value);
        }
        if lower == "interval" {
            cursor.skip();
            return interval(cursor, at);
        }
    }
    if word.starts_with(|c: char| c.is_ascii_digit())
        && let Some(value) = suffixed(&lower)
    {
        cursor.skip();
        return literal(value);
    }
    column(cursor, at)
}

/// A column, perhaps behind the name of its table.
fn column(cursor: &mut Cursor<'_>, at: Position) -> Result<Expr, SqlError> {
    let mut name = cursor.identifier()?;
    while cursor.accept_symbol(".") {
        name = cursor.identifier()?;
    }
    Ok(Expr { kind: ExprKind::Column(name), at })
}

fn call(cursor: &mut Cursor<'_>, function: &str, at: Position, extent: Extent<'_>) -> Result<Expr, SqlError> {
    let literal = |value| Ok(Expr { kind: ExprKind::Literal(value), at });
    cursor.expect_symbol("(")?;
    if function == "cast" {
        let inner = sum(cursor, extent.deeper())?;
        cursor.expect(&["as"])?;
        let ty = data_type(cursor)?;
        cursor.expect_symbol(")")?;
        return Ok(Expr { kind: ExprKind::Cast(Box::new(inner), ty), at });
    }
    if function == "count" {
        if !cursor.accept_symbol("*") && cursor.integer::<i64>().is_err() {
            return cursor.unsupported("COUNT of anything but *");
        }
        cursor.expect_symbol(")")?;
        return Ok(Expr { kind: ExprKind::CountStar, at });
    }
    if !matches!(function, "array" | "map" | "struct" | "named_struct") {
        return Err(SqlError::semantic(at, format_args!("function {function} cannot be resolved by this server")));
    }
    let mut items = Vec::new();
    while !cursor.accept_symbol(")") {
        if !items.is_empty() {
            cursor.expect_symbol(",")?;
        }
        items.push(fold(sum(cursor, extent.deeper())?)?);
    }
    match function {
        "array" => literal(Datum::List(items)),
        "struct" => literal(Datum::Struct(items)),
        _ if items.len() % 2 != 0 => Err(SqlError::semantic(at, format_args!("{function} takes pairs"))),
        _ => {
            let pairs = items.chunks_exact(2).filter_map(|pair| Some((pair.first()?.clone(), pair.last()?.clone())));
            match function {
                "map" => literal(Datum::Map(pairs.collect())),
                _ => literal(Datum::Struct(pairs.map(|(_, value)| value).collect())),
            }
        }
    }
}

/// `DATE '..'` and the like: `None` for other words, `Some(None)` for text that is none.
fn typed(word: &str, text: &str) -> Option<Option<Datum>> {
    match word {
        "date" => Some(parse_date(text).map(Datum::Date)),
        "datetime" | "timestamp" | "timestamp_ntz" => Some(parse_instant(text).map(Datum::Instant)),
        "binary" => Some(Some(Datum::Bytes(text.as_bytes().to_vec()))),
        "x" => Some(hexadecimal(text).map(Datum::Bytes)),
        _ => None,
    }
}

/// `7L`, `7Y`, `7S`, `2.5BD`, `2.5D`, `2.5F`.
fn suffixed(word: &str) -> Option<Datum> {
    for suffix in ["bd", "l", "y", "s"] {
        if let Some(Datum::Number { unscaled, scale, .. }) = word.strip_suffix(suffix).and_then(Datum::number) {
            return Some(Datum::Number { unscaled, scale });
        }
    }
    ["d", "f"].into_iter().find_map(|suffix| word.strip_suffix(suffix)?.parse().ok().map(Datum::Double))
}

/// `'10-2' YEAR TO MONTH`, `'1 02:03:04.5' DAY TO SECOND`, `'3' DAY`.
fn interval(cursor: &mut Cursor<'_>, at: Position) -> Result<Expr, SqlError> {
    const SECOND: i128 = 1_000_000_000;
    let text = cursor.text()?;
    let (sign, digits) = text.strip_prefix('-').map_or((1, text.as_str()), |rest| (-1, rest));
    let unit = cursor.identifier()?.to_ascii_lowercase();
    let end = if cursor.accept(&["to"]) { cursor.identifier()?.to_ascii_lowercase() } else { unit.clone() };
    let whole = |text: &str| text.trim().parse::<i128>().ok();
    let value = match (unit.trim_end_matches('s'), end.trim_end_matches('s')) {
        ("year", "month") => digits.split_once('-').and_then(|(years, months)| {
            let months = whole(months)?;
            Some(Datum::Months(sign * (whole(years)? * 12 + months)))
        }),
        ("year", "year") => whole(digits).map(|years| Datum::Months(sign * years * 12)),
        ("month", "month") => whole(digits).map(|months| Datum::Months(sign * months)),
        ("day", "second") => digits.split_once(' ').and_then(|(days, time)| {
            let time = parse_instant(&format!("1970-01-01 {time}"))?;
            Some(Datum::Duration(sign * (whole(days)? * 86_400 * SECOND + time)))
        }),
        ("day", "day") => whole(digits).map(|n| Datum::Duration(sign * n * 86_400 * SECOND)),
        ("hour", "hour") => whole(digits).map(|n| Datum::Duration(sign * n * 3600 * SECOND)),
        ("minute", "minute") => whole(digits).map(|n| Datum::Duration(sign * n * 60 * SECOND)),
        ("second", "second") => whole(digits).map(|n| Datum::Duration(sign * n * SECOND)),
        _ => None,
    };
    match value {
        Some(value) => Ok(Expr { kind: ExprKind::Literal(value), at }),
        None => Err(SqlError::semantic(at, format_args!("'{text}' is not an interval {unit} to {end}"))),
    }
}

/// Bytes from digits; an odd number of them gets a leading 0.
fn hexadecimal(digits: &str) -> Option<Vec<u8>> {
    let even = if digits.len().is_multiple_of(2) { digits.to_string() } else { format!("0{digits}") };
    (0..even.len()).step_by(2).map(|i| u8::from_str_radix(even.get(i..i + 2)?, 16).ok()).collect()
}
