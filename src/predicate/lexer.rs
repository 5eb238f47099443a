//! Cuts predicate text into tokens.

use super::parser::Wrong;

/// A piece of predicate text.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    /// A bare word: keyword or name.
    Word(String),
    /// A name in back-quotes.
    Name(String),
    /// Digits, fraction, exponent and suffix as written, without a sign.
    Number(String),
    /// A text, without its quotes and escapes.
    Text(String),
    /// An operator, bracket or comma.
    Symbol(&'static str),
}

/// Symbols, longest first, so that the first hit is the right one.
const SYMBOLS: [&str; 18] =
    ["<=>", "<=", ">=", "<>", "!=", "==", "||", "&&", "(", ")", ",", "=", "<", ">", "+", "-", ".", "*"];

/// The tokens, each with its place in characters from 1.
pub(super) fn tokens(text: &str) -> Result<Vec<(Token, usize)>, Wrong> {
    let mut lexer = Lexer { rest: text, at: 1 };
    let mut found = Vec::new();
    while let Some(token) = lexer.next()? {
        found.push(token);
    }
    Ok(found)
}

struct Lexer<'a> {
    rest: &'a str,
    at: usize,
}

impl Lexer<'_> {
    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn second(&self) -> Option<char> {
        self.rest.chars().nth(1)
    }

    fn take(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let taken = chars.next()?;
        self.rest = chars.as_str();
        self.at += 1;
        Some(taken)
    }

    fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> String {
        let mut taken = String::new();
        while let Some(c) = self.peek().filter(|c| wanted(*c)) {
            taken.push(c);
            self.take();
        }
        taken
    }

    fn next(&mut self) -> Result<Option<(Token, usize)>, Wrong> {
        self.take_while(char::is_whitespace);
        let start = self.at;
        let token = match self.peek() {
            None => return Ok(None),
            Some('`') => Token::Name(self.quoted('`')?),
            Some(quote @ ('\'' | '"')) => Token::Text(self.quoted(quote)?),
            Some('.') if self.second().is_some_and(|c| c.is_ascii_digit()) => Token::Number(self.number()),
            Some(c) if c.is_ascii_digit() => Token::Number(self.number()),
            Some(c) if is_word(c) => Token::Word(self.take_while(is_word)),
            Some(c) => {
                let Some(symbol) = SYMBOLS.into_iter().find(|symbol| self.rest.starts_with(symbol)) else {
                    return Err(Wrong::malformed(format!("unexpected character {c:?}"), start));
                };
                for _ in symbol.chars() {
                    self.take();
                }
                Token::Symbol(symbol)
            }
        };
        Ok(Some((token, start)))
    }

    /// What stands in quotes. Two quotes are one; a backslash escapes in texts, not in names.
    fn quoted(&mut self, quote: char) -> Result<String, Wrong> {
        let start = self.at;
        self.take();
        let mut text = String::new();
        while let Some(c) = self.take() {
            match c {
                '\\' if quote != '`' => match self.take() {
                    Some('n') => text.push('\n'),
                    Some('r') => text.push('\r'),
                    Some('t') => text.push('\t'),
                    Some('0') => text.push('\0'),
                    Some(escaped @ ('\'' | '"' | '\\')) => text.push(escaped),
                    Some(other) => text.extend(['\\', other]),
                    None => break,
                },
                c if c == quote && self.peek() == Some(quote) => {
                    self.take();
                    text.push(quote);
                }
                c if c == quote => return Ok(text),
                c => text.push(c),
            }
        }
        Err(Wrong::malformed(format!("{quote} is not closed"), start))
    }

    fn number(&mut self) -> String {
        let is_digit = |c: char| c.is_ascii_digit();
        let mut number = self.take_while(is_digit);
        if self.peek() == Some('.') && self.second().is_none_or(|c| !is_word(c) || is_digit(c)) {
            number.extend(self.take());
            number.push_str(&self.take_while(is_digit));
        }
        let mut behind = self.rest.chars();
        if matches!(behind.next(), Some('e' | 'E')) {
            let next = behind.next();
            let signed = matches!(next, Some('+' | '-'));
            let first = if signed { behind.next() } else { next };
            if first.is_some_and(is_digit) {
                number.extend(self.take());
                if signed {
                    number.extend(self.take());
                }
                number.push_str(&self.take_while(is_digit));
            }
        }
        number.push_str(&self.take_while(is_word));
        number
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '$')
}
