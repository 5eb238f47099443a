//! From text to tree. NOT binds tighter than AND, AND tighter than OR.

use super::calendar::{read_date, read_time};
use super::lexer::{Token, tokens};
use super::tree::MAX_DEPTH;
use super::{Column, Literal, Op, Predicate, Real};
use crate::error::{Error, Kind, Result};

/// Most digits of an exact number.
const MAX_DIGITS: usize = 38;

/// Why a text is not a predicate of ours.
#[derive(Debug)]
pub(super) struct Wrong {
    /// Whether it is a predicate, but with a construct that we do not know.
    foreign: bool,
    what: String,
    at: usize,
}

impl Wrong {
    pub(super) fn malformed(what: impl Into<String>, at: usize) -> Self {
        Wrong { foreign: false, what: what.into(), at }
    }

    fn foreign(what: impl Into<String>, at: usize) -> Self {
        Wrong { foreign: true, what: what.into(), at }
    }
}

impl Predicate {
    /// Reads a predicate in the text form of the service. Text that is none is `MS_INVALID_ARGUMENT`, a construct outside of the
    /// grammar (functions, arithmetic, LIKE, ..) `MS_UNSUPPORTED`; both with the place, in characters from 1.
    pub fn parse(text: &str) -> Result<Self> {
        read(text).map_err(|wrong| {
            let kind = if wrong.foreign { Kind::Unsupported } else { Kind::InvalidArgument };
            let said = if wrong.foreign { "is not supported" } else { "is malformed" };
            Error::new(kind, format!("the predicate {said} at character {}: {}", wrong.at, wrong.what))
        })
    }
}

fn read(text: &str) -> Parsed {
    let mut parser = Parser { tokens: tokens(text)?, next: 0, end: text.chars().count() + 1 };
    let predicate = parser.or(0)?;
    match parser.peek() {
        None => Ok(predicate),
        Some(_) => parser.malformed("unexpected text behind the predicate"),
    }
}

type Parsed<T = Predicate> = std::result::Result<T, Wrong>;

/// One side of a comparison.
enum Operand {
    Column(Column),
    Literal(Literal),
}

/// What stands in brackets, or alone.
enum Term {
    Condition(Predicate),
    Operand(Operand),
}

struct Parser {
    tokens: Vec<(Token, usize)>,
    next: usize,
    end: usize,
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.next).map(|(token, _)| token)
    }

    fn at(&self) -> usize {
        self.tokens.get(self.next).map_or(self.end, |(_, at)| *at)
    }

    fn malformed<T>(&self, what: &str) -> Parsed<T> {
        Err(Wrong::malformed(what, self.at()))
    }

    fn foreign<T>(&self, what: impl Into<String>) -> Parsed<T> {
        Err(Wrong::foreign(what, self.at()))
    }

    fn is_word(&self, word: &str) -> bool {
        matches!(self.peek(), Some(Token::Word(found)) if found.eq_ignore_ascii_case(word))
    }

    fn is_symbol(&self, symbol: &str) -> bool {
        matches!(self.peek(), Some(Token::Symbol(found)) if *found == symbol)
    }

    fn accept_word(&mut self, word: &str) -> bool {
        let found = self.is_word(word);
        self.next += usize::from(found);
        found
    }

    fn accept(&mut self, symbol: &str) -> bool {
        let found = self.is_symbol(symbol);
        self.next += usize::from(found);
        found
    }

    fn or(&mut self, depth: usize) -> Parsed {
        let mut parts = vec![self.and(depth)?];
        while self.accept_word("or") || self.accept("||") {
            parts.push(self.and(depth)?);
        }
        self.joined(parts, Predicate::or)
    }

    fn and(&mut self, depth: usize) -> Parsed {
        let mut parts = vec![self.not(depth)?];
        while self.accept_word("and") || self.accept("&&") {
            parts.push(self.not(depth)?);
        }
        self.joined(parts, Predicate::and)
    }

    fn joined(&self, parts: Vec<Predicate>, join: fn(Vec<Predicate>) -> Result<Predicate>) -> Parsed {
        join(parts).map_err(|error| Wrong::malformed(error.message().to_owned(), self.at()))
    }

    fn not(&mut self, depth: usize) -> Parsed {
        if depth > MAX_DEPTH {
            return self.malformed(&format!("nested deeper than {MAX_DEPTH} levels"));
        }
        if self.accept_word("not") {
            // A bracket behind it makes no further level: that is how a NOT is written.
            let part = self.not(depth + usize::from(!self.is_symbol("(")))?;
            return self.joined(vec![part], |mut part| match part.pop() {
                Some(part) => part.negated(),
                None => Predicate::and(part),
            });
        }
        match self.term(depth)? {
            Term::Condition(condition) => match self.peek() {
                Some(Token::Symbol("=" | "==" | "!=" | "<>" | "<" | "<=" | ">" | ">=" | "<=>")) => {
                    self.foreign("a condition compared with something")
                }
                _ => Ok(condition),
            },
            Term::Operand(left) => self.test(left),
        }
    }

    /// A condition in brackets, or an operand with or without them.
    fn term(&mut self, depth: usize) -> Parsed<Term> {
        if depth > MAX_DEPTH {
            return self.malformed(&format!("nested deeper than {MAX_DEPTH} levels"));
        }
        if !self.accept("(") {
            return Ok(Term::Operand(self.operand()?));
        }
        let start = self.next;
        // An operand in brackets is rare: it is tried first, because it is over at once if it is none.
        if let Ok(operand) = self.operand()
            && self.accept(")")
        {
            return Ok(Term::Operand(operand));
        }
        self.next = start;
        let condition = self.or(depth + 1)?;
        if self.accept(")") { Ok(Term::Condition(condition)) } else { self.malformed("expected \")\"") }
    }

    /// What follows the left operand of a comparison.
    fn test(&mut self, left: Operand) -> Parsed {
        if let Some(Token::Symbol(symbol)) = self.peek() {
            let op = match *symbol {
                "=" | "==" => Some(Op::Equal),
                "!=" | "<>" => Some(Op::NotEqual),
                "<" => Some(Op::Less),
                "<=" => Some(Op::LessOrEqual),
                ">" => Some(Op::Greater),
                ">=" => Some(Op::GreaterOrEqual),
                "<=>" => return self.foreign("the operator <=>"),
                _ => None,
            };
            if let Some(op) = op {
                self.next += 1;
                let right = self.bracketed_operand()?;
                return match (left, right) {
                    (Operand::Column(column), Operand::Literal(value)) => Ok(Predicate::compare(column, op, value)),
                    (Operand::Literal(value), Operand::Column(column)) => {
                        Ok(Predicate::compare(column, op.flipped(), value))
                    }
                    _ => self.foreign("a comparison that is not between a column and a literal"),
                };
            }
        }
        let column = match left {
            Operand::Column(column) => column,
            Operand::Literal(_) if self.peek().is_none() => return self.foreign("a literal as a condition"),
            Operand::Literal(_) => return self.foreign("a test of a literal"),
        };
        if self.accept_word("is") {
            let negated = self.accept_word("not");
            if self.accept_word("null") {
                return Ok(Predicate::is_null(column, negated));
            }
            if self.is_word("true") || self.is_word("false") {
                return self.foreign("IS TRUE and IS FALSE");
            }
            return self.malformed("expected NULL behind IS");
        }
        let negated = self.accept_word("not");
        if self.accept_word("in") {
            return Ok(Predicate::in_set(column, negated, self.set()?));
        }
        if self.accept_word("between") {
            return self.between(column, negated);
        }
        if ["like", "rlike", "regexp"].iter().any(|word| self.is_word(word)) {
            return self.foreign("LIKE and its relatives");
        }
        if negated {
            return self.malformed("expected IN, BETWEEN or LIKE behind NOT");
        }
        // A BOOLEAN that stands alone.
        Ok(Predicate::compare(column, Op::Equal, Literal::Bool(true)))
    }

    fn between(&mut self, column: Column, negated: bool) -> Parsed {
        let low = self.literal()?;
        if !self.accept_word("and") {
            return self.malformed("expected AND in BETWEEN");
        }
        let high = self.literal()?;
        let bounds = vec![
            Predicate::compare(column.clone(), Op::GreaterOrEqual, low),
            Predicate::compare(column, Op::LessOrEqual, high),
        ];
        let range = self.joined(bounds, Predicate::and)?;
        if !negated {
            return Ok(range);
        }
        range.negated().map_err(|error| Wrong::malformed(error.message().to_owned(), self.at()))
    }

    fn set(&mut self) -> Parsed<Vec<Literal>> {
        if !self.accept("(") {
            return self.malformed("expected \"(\"");
        }
        if self.is_word("select") {
            return self.foreign("a subquery");
        }
        let mut values = Vec::new();
        if self.accept(")") {
            return Ok(values);
        }
        loop {
            values.push(self.literal()?);
            if self.accept(")") {
                return Ok(values);
            }
            if !self.accept(",") {
                return self.malformed("expected \",\" or \")\"");
            }
        }
    }

    fn literal(&mut self) -> Parsed<Literal> {
        match self.bracketed_operand()? {
            Operand::Literal(value) => Ok(value),
            Operand::Column(_) => self.foreign("a column where a literal belongs"),
        }
    }

    fn bracketed_operand(&mut self) -> Parsed<Operand> {
        let mut open = 0;
        while self.accept("(") {
            open += 1;
        }
        let operand = self.operand()?;
        for _ in 0..open {
            if !self.accept(")") {
                return self.malformed("expected \")\"");
            }
        }
        Ok(operand)
    }

    fn operand(&mut self) -> Parsed<Operand> {
        let at = self.at();
        let operand = self.simple_operand()?;
        match self.peek() {
            Some(Token::Symbol("+" | "-" | "*")) => Err(Wrong::foreign("arithmetic", at)),
            _ => Ok(operand),
        }
    }

    fn simple_operand(&mut self) -> Parsed<Operand> {
        let at = self.at();
        let Some(token) = self.peek().cloned() else { return self.malformed("the predicate ends too early") };
        self.next += 1;
        let literal = |value| Ok(Operand::Literal(value));
        match token {
            Token::Text(text) => literal(Literal::Text(text)),
            Token::Number(text) => literal(number(&text, false, at)?),
            Token::Name(name) => self.column(name),
            Token::Word(word) => self.word(word, at),
            Token::Symbol(sign @ ("-" | "+")) => match self.peek().cloned() {
                Some(Token::Number(text)) => {
                    self.next += 1;
                    literal(number(&text, sign == "-", at)?)
                }
                Some(Token::Word(word)) if word.eq_ignore_ascii_case("infinity") => {
                    self.next += 1;
                    let value = if sign == "-" { f64::NEG_INFINITY } else { f64::INFINITY };
                    literal(Literal::Double(Real::new(value)))
                }
                _ => self.malformed("expected a number behind the sign"),
            },
            Token::Symbol(_) => Err(Wrong::malformed("expected a column or a literal", at)),
        }
    }

    fn word(&mut self, word: String, at: usize) -> Parsed<Operand> {
        let lower = word.to_ascii_lowercase();
        let literal = |value| Ok(Operand::Literal(value));
        match (lower.as_str(), self.peek().cloned()) {
            ("true", _) => literal(Literal::Bool(true)),
            ("false", _) => literal(Literal::Bool(false)),
            ("null", _) => literal(Literal::Null),
            // Columns of these names must stand in back-quotes.
            ("nan", _) => literal(Literal::Double(Real::new(f64::NAN))),
            ("infinity", _) => literal(Literal::Double(Real::new(f64::INFINITY))),
            ("x" | "date" | "datetime" | "timestamp" | "timestamp_ntz", Some(Token::Text(text))) => {
                self.next += 1;
                let value = match lower.as_str() {
                    "x" => hex(&text).map(Literal::Binary),
                    "date" => read_date(&text).map(Literal::Date),
                    "timestamp_ntz" => read_time(&text).map(Literal::Clock),
                    _ => read_time(&text).map(Literal::Instant),
                };
                match value {
                    Some(value) => literal(value),
                    None => Err(Wrong::malformed(format!("'{text}' does not suit {}", word.to_uppercase()), at)),
                }
            }
            ("and" | "or" | "not" | "in" | "is" | "between" | "like", _) => {
                Err(Wrong::malformed(format!("unexpected keyword {}", word.to_uppercase()), at))
            }
            ("case" | "cast" | "interval", _) => Err(Wrong::foreign(word.to_uppercase(), at)),
            (_, Some(Token::Symbol("("))) => Err(Wrong::foreign(format!("the function {word}"), at)),
            _ => self.column(word),
        }
    }

    fn column(&mut self, name: String) -> Parsed<Operand> {
        let mut fields = Vec::new();
        while self.accept(".") {
            match self.peek().cloned() {
                Some(Token::Word(field) | Token::Name(field)) if !field.is_empty() => {
                    self.next += 1;
                    fields.push(field);
                }
                _ => return self.malformed("expected the name of a field"),
            }
        }
        if name.is_empty() {
            return self.malformed("a name is empty");
        }
        Ok(Operand::Column(Column::new(name, fields)))
    }
}

/// A number as written. Suffixes are those of MaxCompute: `Y S L` whole numbers, `BD` a decimal, `D F` floating.
fn number(text: &str, negative: bool, at: usize) -> Parsed<Literal> {
    let wrong = || Wrong::malformed(format!("{text} is not a number"), at);
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let suffix = text.get(digits.len()..).unwrap_or_default().to_ascii_uppercase();
    if digits.contains(['e', 'E']) || matches!(suffix.as_str(), "D" | "F") {
        let value: f64 = digits.parse().map_err(|_| wrong())?;
        return Ok(Literal::Double(Real::new(if negative { -value } else { value })));
    }
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all = format!("{whole}{fraction}");
    let significant = all.trim_start_matches('0');
    if significant.len() > MAX_DIGITS || fraction.len() > MAX_DIGITS {
        return Err(Wrong::foreign(format!("a number of more than {MAX_DIGITS} digits"), at));
    }
    let unscaled: i128 = if significant.is_empty() { 0 } else { significant.parse().map_err(|_| wrong())? };
    let unscaled = if negative { -unscaled } else { unscaled };
    let scale = u8::try_from(fraction.len()).map_err(|_| wrong())?;
    match (suffix.as_str(), scale) {
        ("", 1..) => Ok(Literal::Fraction { unscaled, scale }),
        ("" | "Y" | "S" | "L", 0) | ("BD", _) => Ok(Literal::Decimal { unscaled, scale }),
        _ => Err(wrong()),
    }
}

fn hex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> String {
        Predicate::parse(text).unwrap().to_string()
    }

    #[test]
    fn the_forms_of_the_grammar() {
        for (text, canonical) in [
            ("a = 1", "`a` = 1"),
            ("5 < A", "`A` > 5"),
            ("a <> 1 AND b == 'x' Or not c >= 2.50", "`a` != 1 AND `b` = 'x' OR NOT (`c` >= 2.50)"),
            ("a = 1 and (b = 2 or c = 3)", "`a` = 1 AND (`b` = 2 OR `c` = 3)"),
            ("(a) = (1)", "`a` = 1"),
            ("((a = 1))", "`a` = 1"),
            ("a is null && b is not null", "`a` IS NULL AND `b` IS NOT NULL"),
            ("a in (1, NULL, -2) or a not in ()", "`a` IN (1, NULL, -2) OR `a` NOT IN ()"),
            ("a between 1 and 3 and b", "`a` >= 1 AND `a` <= 3 AND `b` = true"),
            ("a not between 1 and 3", "NOT (`a` >= 1 AND `a` <= 3)"),
            ("`a``b`.c = \"it's\"", "`a``b`.`c` = 'it\\'s'"),
            ("d > DATE'1969-12-31'", "`d` > DATE'1969-12-31'"),
            ("d > datetime '2024-01-01 00:00:00'", "`d` > TIMESTAMP'2024-01-01 00:00:00'"),
            ("d > TIMESTAMP_NTZ'2024-01-01 00:00:00.5'", "`d` > TIMESTAMP_NTZ'2024-01-01 00:00:00.5'"),
            ("x = X'00fF'", "`x` = X'00ff'"),
            ("f = 1e3 or f = NaN or f = -Infinity or f = 2D", "`f` = 1e3 OR `f` = NaN OR `f` = -Infinity OR `f` = 2e0"),
            ("m = 1.50BD or m = 7L or m = .5", "`m` = 1.50BD OR `m` = 7 OR `m` = 0.5"),
        ] {
            assert_eq!(parsed(text), canonical, "{text}");
            assert_eq!(parsed(canonical), canonical, "{text}");
        }
    }

    #[test]
    fn what_is_no_predicate_is_told_from_what_is_foreign() {
        for text in [
            "",
            "a",
            "a = ",
            "a = 1 b",
            "= 1",
            "a = 'x",
            "(a = 1",
            "a = 1)",
            "a is 1",
            "a not 1",
            "a in 1",
            "a in (1",
            "and",
            "a = DATE'2024-02-30'",
            "x = X'0'",
            "a = 1.5L",
            "a = 1Q",
            "a # 1",
            "`` = 1",
            "a. = 1",
        ] {
            let found = Predicate::parse(text);
            if text == "a" {
                assert!(found.is_ok());
                continue;
            }
            assert_eq!(found.unwrap_err().kind(), Kind::InvalidArgument, "{text}");
        }
        for text in [
            "a like 'x'",
            "length(a) = 1",
            "a + 1 = 2",
            "a = b",
            "1 = 1",
            "a <=> 1",
            "a is true",
            "a in (select 1)",
            "case when a then 1 end = 1",
            "cast(a as int) = 1",
            "(a = 1) = (b = 2)",
            "a = 123456789012345678901234567890123456789",
        ] {
            let error = Predicate::parse(text).unwrap_err();
            assert_eq!(error.kind(), Kind::Unsupported, "{text}: {error}");
        }
        let error = Predicate::parse("a = 1 and b ~ 2").unwrap_err();
        assert!(error.message().contains("character 13"), "{error}");
    }

    #[test]
    fn depth_is_bounded_before_the_stack_is() {
        let nested = |count: usize| format!("{}a = 1{}", "(not ".repeat(count), ")".repeat(count));
        assert!(Predicate::parse(&nested(100)).is_ok());
        assert!(Predicate::parse(&format!("{}a = 1{}", "(".repeat(100_000), ")".repeat(100_000))).is_err());
        assert!(Predicate::parse(&"not ".repeat(200_000)).is_err());
        assert_eq!(Predicate::parse(&format!("a = 1{}", " or a = 1".repeat(50_000))).unwrap().conjuncts().len(), 1);
    }

    #[test]
    fn what_is_read_deep_is_read_again_as_it_is_written() {
        let deep = format!("{}a = 1", "not ".repeat(255));
        let mixed = format!("{}a = 1{}", "not (b = 2 and (c = 3 or ".repeat(80), "))".repeat(80));
        for text in [deep, mixed] {
            let predicate = Predicate::parse(&text).unwrap();
            assert_eq!(Predicate::parse(&predicate.to_string()).unwrap(), predicate);
        }
    }
}
