//! A place in the tokens of a statement, and the small questions that parsing asks there.

use super::ast::Name;
use super::error::{Position, SqlError};
use super::lexer::{Spanned, Token, tokens};

/// Reads tokens from left to right.
pub struct Cursor<'a> {
    text: &'a str,
    tokens: Vec<Spanned>,
    at: usize,
}

impl<'a> Cursor<'a> {
    pub fn new(text: &'a str) -> Result<Cursor<'a>, SqlError> {
        Ok(Cursor { text, tokens: tokens(text)?, at: 0 })
    }

    pub fn peek(&self) -> Option<&Token> {
        self.ahead(0)
    }

    /// The token `count` places on.
    pub fn ahead(&self, count: usize) -> Option<&Token> {
        self.tokens.get(self.at + count).map(|spanned| &spanned.token)
    }

    pub fn is_at_end(&self) -> bool {
        self.at >= self.tokens.len()
    }

    /// Where the next token starts; behind the last one, where that starts.
    pub fn position(&self) -> Position {
        let found = self.tokens.get(self.at).or(self.tokens.last());
        found.map_or(Position::START, |spanned| spanned.at)
    }

    /// Where the next token starts, in characters.
    pub fn offset(&self) -> usize {
        self.tokens.get(self.at).map_or_else(|| self.text.chars().count(), |spanned| spanned.offset)
    }

    /// The text from one place to another.
    pub fn slice(&self, from: usize, to: usize) -> String {
        let text: String = self.text.chars().skip(from).take(to.saturating_sub(from)).collect();
        text.trim_end().to_string()
    }

    pub fn skip(&mut self) {
        self.at += 1;
    }

    /// "The next token does not belong here."
    pub fn unexpected<T>(&self, wanted: &str) -> Result<T, SqlError> {
        let found = match self.peek() {
            None => "the end of the statement".to_string(),
            Some(Token::Word(word)) => format!("'{word}'"),
            Some(Token::Name(name)) => format!("`{name}`"),
            Some(Token::Text(text) | Token::Binary(text)) => format!("'{text}'"),
            Some(Token::Number(text) | Token::Symbol(text)) => format!("'{text}'"),
        };
        Err(SqlError::parse(self.position(), format_args!("invalid token {found}: expected {wanted}")))
    }

    /// "This server does not do that."
    pub fn unsupported<T>(&self, what: &str) -> Result<T, SqlError> {
        Err(SqlError::parse(self.position(), format_args!("{what} is not supported by this server")))
    }

    pub fn is_word_at(&self, ahead: usize, word: &str) -> bool {
        matches!(self.ahead(ahead), Some(Token::Word(found)) if found.eq_ignore_ascii_case(word))
    }

    pub fn is_word(&self, word: &str) -> bool {
        self.is_word_at(0, word)
    }

    /// Skips these keywords if all of them follow.
    pub fn accept(&mut self, words: &[&str]) -> bool {
        let found = words.iter().enumerate().all(|(i, word)| self.is_word_at(i, word));
        if found {
            self.at += words.len();
        }
        found
    }

    pub fn expect(&mut self, words: &[&str]) -> Result<(), SqlError> {
        for word in words {
            if !self.accept(&[word]) {
                return self.unexpected(&word.to_uppercase());
            }
        }
        Ok(())
    }

    pub fn is_symbol(&self, symbol: &str) -> bool {
        matches!(self.peek(), Some(Token::Symbol(found)) if found == symbol)
    }

    pub fn accept_symbol(&mut self, symbol: &str) -> bool {
        let found = self.is_symbol(symbol);
        self.at += usize::from(found);
        found
    }

    pub fn expect_symbol(&mut self, symbol: &str) -> Result<(), SqlError> {
        if self.accept_symbol(symbol) { Ok(()) } else { self.unexpected(&format!("'{symbol}'")) }
    }

    /// A name, quoted or not.
    pub fn identifier(&mut self) -> Result<String, SqlError> {
        match self.peek() {
            Some(Token::Word(name) | Token::Name(name)) => {
                let name = name.clone();
                self.skip();
                Ok(name)
            }
            _ => self.unexpected("a name"),
        }
    }

    /// A name of up to three parts.
    pub fn name(&mut self) -> Result<Name, SqlError> {
        let at = self.position();
        let mut parts = vec![self.identifier()?];
        while self.accept_symbol(".") {
            parts.push(self.identifier()?);
        }
        if parts.len() > 3 {
            return Err(SqlError::parse(at, "a name has more than three parts"));
        }
        Ok(Name { parts, at })
    }

    pub fn text(&mut self) -> Result<String, SqlError> {
        match self.peek() {
            Some(Token::Text(text)) => {
                let text = text.clone();
                self.skip();
                Ok(text)
            }
            _ => self.unexpected("text in quotes"),
        }
    }

    pub fn integer<T: std::str::FromStr>(&mut self) -> Result<T, SqlError> {
        match self.peek() {
            Some(Token::Number(digits)) => match digits.parse() {
                Ok(value) => {
                    self.skip();
                    Ok(value)
                }
                Err(_) => self.unexpected("a whole number in range"),
            },
            _ => self.unexpected("a whole number"),
        }
    }

    /// `( item, item, .. )` with at least one item.
    pub fn list<T>(&mut self, mut item: impl FnMut(&mut Self) -> Result<T, SqlError>) -> Result<Vec<T>, SqlError> {
        self.expect_symbol("(")?;
        let mut items = vec![item(self)?];
        while self.accept_symbol(",") {
            items.push(item(self)?);
        }
        self.expect_symbol(")")?;
        Ok(items)
    }
}
