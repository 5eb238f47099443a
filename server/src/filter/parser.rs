//! Recursive descent over the tokens. Precedence: NOT binds tighter than AND, AND tighter than OR.

use super::FilterError;
use super::ast::{Expr, Literal, Op, Operand};
use super::lexer::{Spanned, Token, tokens};
use crate::types::temporal::{parse_date, parse_instant};

/// Bracket and NOT nesting accepted (service-behaviour.md 2.2).
const MAX_DEPTH: usize = 256;
/// Items of one set accepted.
const MAX_ITEMS: usize = 10_000;

/// Parses predicate text. `None` for text without a predicate (empty or blank).
pub fn parse(text: &str) -> Result<Option<Expr>, FilterError> {
    let tokens = tokens(text)?;
    if tokens.is_empty() {
        return Ok(None);
    }
    check_depth(&tokens)?;
    let end = text.chars().count() + 1;
    let mut parser = Parser { tokens, at: 0, end };
    let expr = parser.or(0)?;
    match parser.peek() {
        None => Ok(Some(expr)),
        Some(_) => parser.malformed("unexpected text after the predicate"),
    }
}

/// Refuses deep brackets before anything recurses over them.
fn check_depth(tokens: &[Spanned]) -> Result<(), FilterError> {
    let mut depth = 0usize;
    for spanned in tokens {
        match spanned.token {
            Token::Symbol("(") => depth += 1,
            Token::Symbol(")") => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_DEPTH {
            let what = format!("nested deeper than {MAX_DEPTH} levels");
            return Err(FilterError::Malformed { what, position: spanned.position });
        }
    }
    Ok(())
}

struct Parser {
    tokens: Vec<Spanned>,
    at: usize,
    end: usize,
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|s| &s.token)
    }

    fn position(&self) -> usize {
        self.tokens.get(self.at).map_or(self.end, |s| s.position)
    }

    fn malformed<T>(&self, what: impl Into<String>) -> Result<T, FilterError> {
        Err(FilterError::Malformed { what: what.into(), position: self.position() })
    }

    fn is_word(&self, ahead: usize, word: &str) -> bool {
        let token = self.tokens.get(self.at + ahead).map(|s| &s.token);
        matches!(token, Some(Token::Word(w)) if w.eq_ignore_ascii_case(word))
    }

    fn accept_word(&mut self, word: &str) -> bool {
        let found = self.is_word(0, word);
        self.at += usize::from(found);
        found
    }

    fn accept(&mut self, symbol: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Symbol(s)) if *s == symbol);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, symbol: &str) -> Result<(), FilterError> {
        if self.accept(symbol) { Ok(()) } else { self.malformed(format!("expected \"{symbol}\"")) }
    }

    fn or(&mut self, depth: usize) -> Result<Expr, FilterError> {
        let mut items = vec![self.and(depth)?];
        while self.accept_word("or") || self.accept("||") {
            items.push(self.and(depth)?);
        }
        Ok(if items.len() == 1 { items.remove(0) } else { Expr::Or(items) })
    }

    fn and(&mut self, depth: usize) -> Result<Expr, FilterError> {
        let mut items = vec![self.not(depth)?];
        while self.accept_word("and") || self.accept("&&") {
            items.push(self.not(depth)?);
        }
        Ok(if items.len() == 1 { items.remove(0) } else { Expr::And(items) })
    }

    fn not(&mut self, depth: usize) -> Result<Expr, FilterError> {
        if depth > MAX_DEPTH {
            return self.malformed(format!("nested deeper than {MAX_DEPTH} levels"));
        }
        if self.accept_word("not") { Ok(Expr::Not(Box::new(self.not(depth + 1)?))) } else { self.predicate(depth) }
    }

    // The functions on the recursive path (or, and, not, predicate, bracket) are kept small: their frames add up.
    fn predicate(&mut self, depth: usize) -> Result<Expr, FilterError> {
        let position = self.position();
        if !self.accept("(") {
            return self.leaf(position);
        }
        let inner = self.or(depth + 1)?;
        self.expect(")")?;
        self.after_bracket(inner, position)
    }

    fn leaf(&mut self, position: usize) -> Result<Expr, FilterError> {
        let left = self.operand()?;
        self.test(left, position)
    }

    /// What follows a closed bracket: nothing if it held a condition, a test if it held an operand as in `(a) = 1`.
    fn after_bracket(&mut self, inner: Expr, position: usize) -> Result<Expr, FilterError> {
        if let Expr::Truth(operand) = inner {
            let left = self.arithmetic(operand)?;
            return self.test(left, position);
        }
        if self.comparison().is_some() {
            self.operand()?;
            return Ok(unsupported("comparison of a condition", position));
        }
        Ok(inner)
    }

    /// The rest of a leaf after its left operand.
    fn test(&mut self, left: Operand, position: usize) -> Result<Expr, FilterError> {
        if let Some(op) = self.comparison() {
            let right = self.operand()?;
            return Ok(match op {
                Some(op) => Expr::Compare { op, left, right },
                None => unsupported("operator <=>", position),
            });
        }
        if self.accept_word("is") {
            let negated = self.accept_word("not");
            if self.accept_word("null") {
                return Ok(negate(negated, Expr::IsNull(left)));
            }
            if self.accept_word("true") || self.accept_word("false") {
                return Ok(unsupported("IS TRUE and IS FALSE", position));
            }
            return self.malformed("expected NULL after IS");
        }
        let negated = self.accept_word("not");
        if self.accept_word("in") {
            return Ok(negate(negated, self.set(left, position)?));
        }
        if self.accept_word("between") {
            let low = self.operand()?;
            if !self.accept_word("and") {
                return self.malformed("expected AND in BETWEEN");
            }
            let high = self.operand()?;
            return Ok(negate(negated, Expr::Between { operand: left, low, high }));
        }
        for word in ["like", "rlike", "regexp"] {
            if self.accept_word(word) {
                self.operand()?;
                return Ok(unsupported(&format!("operator {}", word.to_uppercase()), position));
            }
        }
        if negated {
            return self.malformed("expected IN, BETWEEN or LIKE after NOT");
        }
        Ok(Expr::Truth(left))
    }

    /// A comparison operator if one is next; `Some(None)` is one that is not supported.
    fn comparison(&mut self) -> Option<Option<Op>> {
        let Some(Token::Symbol(symbol)) = self.peek() else { return None };
        let op = match *symbol {
            "=" | "==" => Some(Op::Equal),
            "!=" | "<>" => Some(Op::NotEqual),
            "<" => Some(Op::Less),
            "<=" => Some(Op::LessOrEqual),
            ">" => Some(Op::Greater),
            ">=" => Some(Op::GreaterOrEqual),
            "<=>" => None,
            _ => return None,
        };
        self.at += 1;
        Some(op)
    }

    fn set(&mut self, operand: Operand, position: usize) -> Result<Expr, FilterError> {
        self.expect("(")?;
        if self.is_word(0, "select") {
            self.skip_brackets()?;
            return Ok(unsupported("subquery", position));
        }
        let mut items = Vec::new();
        if !self.accept(")") {
            loop {
                items.push(self.operand()?);
                if items.len() > MAX_ITEMS {
                    return self.malformed(format!("more than {MAX_ITEMS} items in a set"));
                }
                if !self.accept(",") {
                    break;
                }
            }
            self.expect(")")?;
        }
        Ok(Expr::In { operand, items })
    }

    fn operand(&mut self) -> Result<Operand, FilterError> {
        let first = self.simple_operand()?;
        self.arithmetic(first)
    }

    /// Swallows arithmetic after an operand: it is read, so that the text counts as well-formed, and not evaluated.
    fn arithmetic(&mut self, first: Operand) -> Result<Operand, FilterError> {
        let mut result = first;
        while let Some(symbol) = ["+", "-", "*", "/", "%"].into_iter().find(|s| self.accept(s)) {
            let position = result.position();
            self.simple_operand()?;
            result = Operand::Unsupported { what: format!("arithmetic ({symbol})"), position };
        }
        Ok(result)
    }

    fn simple_operand(&mut self) -> Result<Operand, FilterError> {
        let position = self.position();
        let Some(token) = self.peek().cloned() else { return self.malformed("the predicate ends too early") };
        self.at += 1;
        let literal = |value| Ok(Operand::Literal { value, position });
        match token {
            Token::Text(text) => literal(Literal::Text(text)),
            Token::Number(number) => literal(self.number(&number, false, position)?),
            Token::Quoted(name) => self.column(name, position),
            Token::Word(word) => self.word(word, position),
            Token::Symbol(sign @ ("-" | "+")) => match self.peek().cloned() {
                Some(Token::Number(number)) => {
                    self.at += 1;
                    literal(self.number(&number, sign == "-", position)?)
                }
                Some(Token::Word(word)) if word == "Infinity" => {
                    self.at += 1;
                    literal(Literal::Double(if sign == "-" { f64::NEG_INFINITY } else { f64::INFINITY }))
                }
                _ => self.malformed("expected a number after the sign"),
            },
            Token::Symbol("(") => {
                let inner = self.operand()?;
                self.expect(")")?;
                Ok(inner)
            }
            Token::Symbol(_) => {
                self.at -= 1;
                self.malformed("expected a column or a literal")
            }
        }
    }

    fn word(&mut self, word: String, position: usize) -> Result<Operand, FilterError> {
        let lower = word.to_ascii_lowercase();
        let literal = |value| Ok(Operand::Literal { value, position });
        match (lower.as_str(), self.peek().cloned()) {
            ("true", _) => return literal(Literal::Bool(true)),
            ("false", _) => return literal(Literal::Bool(false)),
            ("null", _) => return literal(Literal::Null),
            ("x", Some(Token::Text(digits))) => {
                self.at += 1;
                return match hex(&digits) {
                    Some(bytes) => literal(Literal::Binary(bytes)),
                    None => self.refuse(position, format!("X'{digits}' is not hexadecimal")),
                };
            }
            ("date", Some(Token::Text(text))) => {
                self.at += 1;
                return match parse_date(&text) {
                    Some(days) => literal(Literal::Date(days)),
                    None => self.refuse(position, format!("'{text}' is not a date")),
                };
            }
            ("datetime" | "timestamp" | "timestamp_ntz", Some(Token::Text(text))) => {
                self.at += 1;
                return match parse_instant(&text) {
                    Some(nanos) => literal(Literal::Instant(nanos)),
                    None => self.refuse(position, format!("'{text}' is not a {lower}")),
                };
            }
            ("case", _) => {
                while self.peek().is_some() {
                    if self.accept_word("end") {
                        return Ok(Operand::Unsupported { what: "CASE".into(), position });
                    }
                    self.at += 1;
                }
                return self.malformed("CASE without END");
            }
            ("interval", Some(Token::Text(_))) => {
                self.at += 1;
                while matches!(self.peek(), Some(Token::Word(w)) if is_interval_word(w)) {
                    self.at += 1;
                }
                return Ok(Operand::Unsupported { what: "interval literal".into(), position });
            }
            ("and" | "or" | "not" | "in" | "is" | "between" | "like", _) => {
                return self.refuse(position, format!("unexpected keyword {}", word.to_uppercase()));
            }
            _ => {}
        }
        if self.accept("(") {
            self.skip_brackets()?;
            return Ok(Operand::Unsupported { what: format!("function {word}"), position });
        }
        self.column(word, position)
    }

    fn column(&mut self, name: String, position: usize) -> Result<Operand, FilterError> {
        if !self.accept(".") {
            return Ok(Operand::Column { name, position });
        }
        while matches!(self.peek(), Some(Token::Word(_) | Token::Quoted(_) | Token::Symbol("."))) {
            self.at += 1;
            if self.is_keyword_next() {
                break;
            }
        }
        Ok(Operand::Unsupported { what: format!("a field of {name}"), position })
    }

    fn is_keyword_next(&self) -> bool {
        ["and", "or", "not", "in", "is", "between", "like"].iter().any(|w| self.is_word(0, w))
    }

    fn refuse<T>(&self, position: usize, what: String) -> Result<T, FilterError> {
        Err(FilterError::Malformed { what, position })
    }

    /// Skips to the bracket that closes the one just read.
    fn skip_brackets(&mut self) -> Result<(), FilterError> {
        let mut open = 1usize;
        while open > 0 {
            match self.peek() {
                Some(Token::Symbol("(")) => open += 1,
                Some(Token::Symbol(")")) => open -= 1,
                Some(_) => {}
                None => return self.malformed("bracket is not closed"),
            }
            self.at += 1;
        }
        Ok(())
    }

    fn number(&self, text: &str, negative: bool, position: usize) -> Result<Literal, FilterError> {
        let body = text.trim_end_matches(|c: char| c.is_alphabetic());
        let sign = if negative { "-" } else { "" };
        let double = || {
            let parsed = format!("{sign}{body}").parse();
            parsed.map(Literal::Double).or_else(|_| self.refuse(position, format!("\"{text}\" is not a number")))
        };
        let suffix = text.get(body.len()..).unwrap_or_default().to_ascii_uppercase();
        match suffix.as_str() {
            "" | "Y" | "S" | "L" | "BD" if body.contains('e') || body.matches('.').count() > 1 => double(),
            "" if body.contains('.') => Ok(Literal::Fraction(format!("{sign}{body}"))),
            "" | "Y" | "S" | "L" | "BD" => Ok(Literal::Number(format!("{sign}{body}"))),
            "D" | "F" => double(),
            _ => self.refuse(position, format!("\"{text}\" is not a number")),
        }
    }
}

fn is_interval_word(word: &str) -> bool {
    ["year", "month", "day", "hour", "minute", "second", "to"].iter().any(|w| word.eq_ignore_ascii_case(w))
}

fn negate(negated: bool, expr: Expr) -> Expr {
    if negated { Expr::Not(Box::new(expr)) } else { expr }
}

fn unsupported(what: &str, position: usize) -> Expr {
    Expr::Unsupported { what: what.to_string(), position }
}

/// Bytes of hexadecimal digits; an odd count gets a leading 0 (service-behaviour.md 5.1).
fn hex(digits: &str) -> Option<Vec<u8>> {
    if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let even = if digits.len().is_multiple_of(2) { digits.to_string() } else { format!("0{digits}") };
    (0..even.len()).step_by(2).map(|i| u8::from_str_radix(even.get(i..i + 2)?, 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binds_not_before_and_before_or() {
        let Some(Expr::Or(items)) = parse("a = 1 or not b = 2 and c = 3").unwrap() else { panic!() };
        assert!(matches!(&items[1], Expr::And(parts) if matches!(parts[0], Expr::Not(_))));
        assert_eq!(parse("  ").unwrap(), None);
    }

    #[test]
    fn reads_what_the_clients_print() {
        for text in [
            "`a` >= 10 and (`s` = 'x' or `s` is null)",
            "`pt` in ('a', 'b')",
            "`c` in ()",
            "not (`a` = 1 and `b` = 2)",
            "(not `x` is null) and `b` not in (1, NULL)",
            "`d` < DATE'2024-01-31' AND ts <= TIMESTAMP '1970-01-01 00:00:01.12'",
            "`f` = -1.0E10 or `f` = -Infinity",
            "b = X'00ff' and flag and c between 1L and 2.5BD",
            "(a) = (1)",
        ] {
            assert!(parse(text).unwrap().is_some(), "{text}");
        }
    }

    #[test]
    fn tells_malformed_from_unsupported() {
        for text in ["a = ", "a = 1 b", "(a = 1", "a in 1", "and", "a = DATE'2024-02-30'", "a is 1", "a = 12abc", "= 1"]
        {
            assert!(matches!(parse(text), Err(FilterError::Malformed { .. })), "{text}");
        }
        for text in ["a like 'x%'", "lower(a) = 'x'", "a + 1 > 2", "s.x = 1", "case when a then 1 end = 1", "a <=> 1"] {
            let printed = format!("{:?}", parse(text).unwrap());
            assert!(printed.contains("Unsupported"), "{text}: {printed}");
        }
        let deep = format!("{}a = 1{}", "(".repeat(300), ")".repeat(300));
        assert!(parse(&deep).is_err());
        let deep = |n: usize| format!("{}a = 1{}", "(not ".repeat(n), ")".repeat(n));
        assert!(parse(&deep(100)).is_ok());
        assert!(parse(&format!("a = {}1{}", "(".repeat(100_000), ")".repeat(100_000))).is_err());
        assert!(parse(&"not ".repeat(100_000)).is_err());
        // Chains stay flat, however long.
        for chain in [" and a = 1", " or a = 1", " + 1"] {
            assert!(parse(&format!("a = 1{}", chain.repeat(100_000))).is_ok(), "{chain}");
        }
    }
}
