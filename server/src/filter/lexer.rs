//! Cuts predicate text into tokens.

use super::FilterError;

/// Longest accepted predicate text in bytes (service-behaviour.md 2.2).
const MAX_BYTES: usize = 1 << 20;

/// A piece of predicate text.
#[derive(Clone, Debug, PartialEq)]
pub enum Token {
    /// A bare word: keyword or name.
    Word(String),
    /// A back-quoted name.
    Quoted(String),
    /// Digits, fraction, exponent and suffix as written, without a sign.
    Number(String),
    /// Quoted text with its escapes resolved.
    Text(String),
    /// An operator or bracket, such as `<=` or `(`.
    Symbol(&'static str),
}

/// A token and where it starts, in characters from 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Spanned {
    pub token: Token,
    pub position: usize,
}

/// Symbols, longest first so that the first hit is the right one.
const SYMBOLS: [&str; 21] =
    ["<=>", "<=", ">=", "<>", "!=", "==", "||", "&&", "(", ")", ",", "=", "<", ">", "+", "-", "*", "/", "%", ".", "|"];

/// Reads the whole text.
pub fn tokens(text: &str) -> Result<Vec<Spanned>, FilterError> {
    if text.len() > MAX_BYTES {
        return Err(FilterError::Malformed { what: format!("longer than {MAX_BYTES} bytes"), position: 1 });
    }
    let mut lexer = Lexer { chars: text.chars().collect(), at: 0 };
    let mut found = Vec::new();
    while let Some(spanned) = lexer.next()? {
        found.push(spanned);
    }
    Ok(found)
}

struct Lexer {
    chars: Vec<char>,
    at: usize,
}

impl Lexer {
    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    fn error<T>(&self, what: impl Into<String>, position: usize) -> Result<T, FilterError> {
        Err(FilterError::Malformed { what: what.into(), position: position + 1 })
    }

    fn next(&mut self) -> Result<Option<Spanned>, FilterError> {
        while self.peek(0).is_some_and(char::is_whitespace) {
            self.at += 1;
        }
        let start = self.at;
        let Some(c) = self.peek(0) else { return Ok(None) };
        let fraction_only = c == '.' && self.peek(1).is_some_and(|d| d.is_ascii_digit());
        let token = if c == '`' {
            self.at += 1;
            Token::Quoted(self.back_quoted(start)?)
        } else if c == '\'' || c == '"' {
            self.at += 1;
            Token::Text(self.quoted(c, start)?)
        } else if c.is_ascii_digit() || fraction_only {
            Token::Number(self.number())
        } else if c.is_alphabetic() || c == '_' {
            Token::Word(self.take_while(|c| c.is_alphanumeric() || c == '_' || c == '$'))
        } else {
            Token::Symbol(self.symbol(start)?)
        };
        Ok(Some(Spanned { token, position: start + 1 }))
    }

    fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> String {
        let start = self.at;
        while self.peek(0).is_some_and(&wanted) {
            self.at += 1;
        }
        self.chars.get(start..self.at).unwrap_or_default().iter().collect()
    }

    fn back_quoted(&mut self, start: usize) -> Result<String, FilterError> {
        let mut name = String::new();
        while let Some(c) = self.peek(0) {
            self.at += 1;
            match (c, self.peek(0)) {
                ('`', Some('`')) => {
                    self.at += 1;
                    name.push('`');
                }
                ('`', _) => return Ok(name),
                _ => name.push(c),
            }
        }
        self.error("back-quote is not closed", start)
    }

    /// Text up to the closing quote. A backslash escapes the next character; a doubled quote is one quote.
    fn quoted(&mut self, quote: char, start: usize) -> Result<String, FilterError> {
        let mut text = String::new();
        while let Some(c) = self.peek(0) {
            self.at += 1;
            if c == '\\' {
                let Some(escaped) = self.peek(0) else { break };
                self.at += 1;
                match escaped {
                    'n' => text.push('\n'),
                    't' => text.push('\t'),
                    'r' => text.push('\r'),
                    '0' => text.push('\0'),
                    // Java escapes the quote only, so a lone backslash before another character is meant as itself.
                    '\'' | '"' | '\\' => text.push(escaped),
                    other => text.extend(['\\', other]),
                }
            } else if c == quote {
                if self.peek(0) != Some(quote) {
                    return Ok(text);
                }
                self.at += 1;
                text.push(quote);
            } else {
                text.push(c);
            }
        }
        self.error("text literal is not closed", start)
    }

    fn number(&mut self) -> String {
        let mut number = self.take_while(|c| c.is_ascii_digit());
        if self.peek(0) == Some('.') && self.peek(1).is_none_or(|c| !c.is_alphabetic() && c != '_') {
            self.at += 1;
            number.push('.');
            number.push_str(&self.take_while(|c| c.is_ascii_digit()));
        }
        let signed = matches!(self.peek(1), Some('+' | '-')) && self.peek(2).is_some_and(|c| c.is_ascii_digit());
        let exponent =
            matches!(self.peek(0), Some('e' | 'E')) && (signed || self.peek(1).is_some_and(|c| c.is_ascii_digit()));
        if exponent {
            number.push('e');
            self.at += 1;
            if signed {
                number.extend(self.peek(0));
                self.at += 1;
            }
            number.push_str(&self.take_while(|c| c.is_ascii_digit()));
        }
        number.push_str(&self.take_while(|c| c.is_alphanumeric() || c == '_'));
        number
    }

    fn symbol(&mut self, start: usize) -> Result<&'static str, FilterError> {
        for symbol in SYMBOLS {
            if symbol.chars().enumerate().all(|(i, c)| self.peek(i) == Some(c)) {
                self.at += symbol.len();
                return Ok(symbol);
            }
        }
        let found = self.peek(0).unwrap_or(' ');
        self.error(format!("unexpected character '{found}'"), start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Vec<Token> {
        tokens(text).unwrap().into_iter().map(|s| s.token).collect()
    }

    #[test]
    fn reads_quotes_and_escapes() {
        assert_eq!(all(r"`a``b`"), [Token::Quoted("a`b".into())]);
        assert_eq!(all(r"'it\'s' 'it''s'"), [Token::Text("it's".into()), Token::Text("it's".into())]);
        assert_eq!(all(r#""a\\b" 'a\d'"#), [Token::Text("a\\b".into()), Token::Text("a\\d".into())]);
        assert!(tokens(r"'ends in \'").is_err());
        assert!(tokens("`open").is_err());
    }

    #[test]
    fn reads_numbers_and_symbols() {
        assert_eq!(all("1.0E10"), [Token::Number("1.0e10".into())]);
        assert_eq!(all("1.5BD"), [Token::Number("1.5BD".into())]);
        assert_eq!(all("a>=1"), [Token::Word("a".into()), Token::Symbol(">="), Token::Number("1".into())]);
        assert_eq!(
            tokens("a # b").unwrap_err().to_string(),
            "malformed FilterPredicate at character 3: unexpected character '#'"
        );
    }
}
