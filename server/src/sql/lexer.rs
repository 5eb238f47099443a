//! Statements as tokens. The tokenizer is the crate's; the dialect and the narrower set of tokens are ours.

use sqlparser::dialect::Dialect;
use sqlparser::tokenizer::{Token as Raw, Tokenizer};

use super::error::{Position, SqlError};

/// MaxCompute's lexical rules: back-quoted names, both quotes for text, escapes by backslash.
#[derive(Debug)]
struct MaxCompute;

impl Dialect for MaxCompute {
    fn is_identifier_start(&self, ch: char) -> bool {
        ch.is_alphabetic() || ch == '_' || ch == '$'
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        ch.is_alphanumeric() || ch == '_' || ch == '$'
    }

    fn is_delimited_identifier_start(&self, ch: char) -> bool {
        ch == '`'
    }

    fn supports_string_literal_backslash_escape(&self) -> bool {
        true
    }

    // `7Y`, `2.5BD` and names such as `2024_sales`.
    fn supports_numeric_prefix(&self) -> bool {
        true
    }
}

/// What a token is.
#[derive(Clone, Debug, PartialEq)]
pub enum Token {
    /// A name or keyword; also a number with letters behind it.
    Word(String),
    /// A name in back-quotes, which is never a keyword.
    Name(String),
    Text(String),
    /// Digits with an optional fraction and exponent.
    Number(String),
    Binary(String),
    Symbol(String),
}

/// A token and where it starts.
#[derive(Clone, Debug, PartialEq)]
pub struct Spanned {
    pub token: Token,
    pub at: Position,
    /// In characters of the text.
    pub offset: usize,
}

/// The tokens of a text without blanks and comments.
pub fn tokens(text: &str) -> Result<Vec<Spanned>, SqlError> {
    let raw = Tokenizer::new(&MaxCompute, text).tokenize_with_location().map_err(|error| {
        let at = Position { line: error.location.line, column: error.location.column };
        SqlError::parse(at, error.message)
    })?;
    let mut lines = vec![0];
    lines.extend(text.chars().enumerate().filter(|(_, c)| *c == '\n').map(|(i, _)| i + 1));
    let mut tokens = Vec::with_capacity(raw.len());
    for spanned in raw {
        let start = spanned.span.start;
        let at = Position { line: start.line, column: start.column };
        let line = lines.get((start.line as usize).saturating_sub(1)).copied().unwrap_or_default();
        let token = match spanned.token {
            Raw::Whitespace(_) | Raw::EOF => continue,
            Raw::Word(word) if word.quote_style.is_some() => Token::Name(word.value),
            Raw::Word(word) => Token::Word(word.value),
            Raw::SingleQuotedString(text) | Raw::DoubleQuotedString(text) => Token::Text(text),
            Raw::Number(digits, long) => match long {
                true => Token::Word(format!("{digits}L")),
                false => Token::Number(digits),
            },
            Raw::HexStringLiteral(digits) => Token::Binary(digits),
            symbol => Token::Symbol(symbol.to_string()),
        };
        tokens.push(Spanned { token, at, offset: line + (start.column as usize).saturating_sub(1) });
    }
    Ok(tokens)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str) -> Vec<Token> {
        tokens(text).unwrap().into_iter().map(|spanned| spanned.token).collect()
    }

    #[test]
    fn reads_the_tokens_of_the_dialect() {
        let word = |text: &str| Token::Word(text.into());
        let text = |text: &str| Token::Text(text.into());
        assert_eq!(
            plain("select `a b`, x -- c\n"),
            [word("select"), Token::Name("a b".into()), Token::Symbol(",".into()), word("x")]
        );
        assert_eq!(plain(r#"'it''s' 'it\'s' "a\nb""#), [text("it's"), text("it's"), text("a\nb")]);
        assert_eq!(
            plain("7 7Y 2.5BD 7L 1.5e3"),
            [Token::Number("7".into()), word("7Y"), word("2.5BD"), word("7L"), Token::Number("1.5e3".into())]
        );
        assert_eq!(plain("X'0A1B'"), [Token::Binary("0A1B".into())]);
    }

    #[test]
    fn knows_where_tokens_start() {
        let found = tokens("ä\n  b").unwrap();
        assert_eq!((found[1].at, found[1].offset), (Position { line: 2, column: 3 }, 4));
        assert!(tokens("select 'x").unwrap_err().to_string().starts_with("ODPS-0130161:[1,8]"));
    }
}
