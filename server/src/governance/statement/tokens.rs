//! Cuts the text of a statement into words, quoted texts, policies and marks.

/// A piece of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Token {
    /// A name, number or keyword: `ALIYUN$a@b.com`, `pay-as-you-go`, `s.t`, `*`. `<x>` and `` `x` `` are `x`.
    Word(String),
    /// A text in quotes.
    Quoted(String),
    /// A document in braces, as written.
    Json(String),
    /// One of `( ) , = ; :`.
    Mark(char),
}

/// All tokens of a text. Comments are skipped, and so are the brackets of the help pages: `for tenant [role] <name>`.
pub fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, length) = if rest.starts_with("--") {
            (None, rest.find('\n').unwrap_or(rest.len()))
        } else {
            match first {
                '[' | ']' => (None, 1),
                '(' | ')' | ',' | '=' | ';' => (Some(Token::Mark(first)), 1),
                '\'' | '"' => {
                    let (content, length) = quoted(rest, first)?;
                    (Some(Token::Quoted(content)), length)
                }
                '<' | '`' => {
                    let close = if first == '<' { '>' } else { '`' };
                    let inner = rest.get(1..).unwrap_or_default();
                    let end = inner.find(close).ok_or_else(|| format!("{first} is not closed"))?;
                    (Some(Token::Word(inner.get(..end).unwrap_or_default().trim().to_string())), end + 2)
                }
                '{' => {
                    let length = braces(rest)?;
                    (Some(Token::Json(rest.get(..length).unwrap_or_default().to_string())), length)
                }
                _ => {
                    let length = word(rest);
                    if length == 0 {
                        return Err(format!("{first} is not expected here"));
                    }
                    (Some(Token::Word(rest.get(..length).unwrap_or_default().to_string())), length)
                }
            }
        };
        tokens.extend(token);
        rest = rest.get(length..).unwrap_or_default().trim_start();
    }
    Ok(tokens)
}

/// The content of a text in quotes, and its length with quotes. A backslash or a second quote escapes.
fn quoted(text: &str, quote: char) -> Result<(String, usize), String> {
    let mut content = String::new();
    let mut chars = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => content.extend(chars.next().map(|(_, escaped)| escaped)),
            c if c == quote => match chars.peek() {
                Some((_, next)) if *next == quote => {
                    content.push(quote);
                    chars.next();
                }
                _ => return Ok((content, at + 1)),
            },
            c => content.push(c),
        }
    }
    Err(format!("a text that begins with {quote} is not closed"))
}

/// The length of a JSON object at the start of a text.
fn braces(text: &str) -> Result<usize, String> {
    let (mut depth, mut in_text, mut escaped) = (0usize, false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if in_text => escaped = true,
            '"' => in_text = !in_text,
            '{' if !in_text => depth += 1,
            '}' if !in_text => {
                depth -= 1;
                if depth == 0 {
                    return Ok(at + 1);
                }
            }
            _ => {}
        }
    }
    Err("a document that begins with { is not closed".into())
}

/// The length of a word at the start of a text. A comment ends it.
fn word(text: &str) -> usize {
    let in_word = |c: char| c.is_alphanumeric() || "_-$@.:/#*%+".contains(c);
    let end = text.find(|c| !in_word(c)).unwrap_or(text.len());
    // Both characters of a comment's mark could be in a word, so no mark goes beyond `end`.
    text.get(..end).and_then(|word| word.find("--")).unwrap_or(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_quotes_documents_and_marks() {
        let text =
            "Add tenant user <Aliyun$a-b@c.com>; -- why\nPUT policy {\"a\":\"}\\\"\"} on `x` [role] 'it''s',(\"q\")=*";
        let word = |text: &str| Token::Word(text.into());
        assert_eq!(
            tokens(text).unwrap(),
            [
                word("Add"),
                word("tenant"),
                word("user"),
                word("Aliyun$a-b@c.com"),
                Token::Mark(';'),
                word("PUT"),
                word("policy"),
                Token::Json("{\"a\":\"}\\\"\"}".into()),
                word("on"),
                word("x"),
                word("role"),
                Token::Quoted("it's".into()),
                Token::Mark(','),
                Token::Mark('('),
                Token::Quoted("q".into()),
                Token::Mark(')'),
                Token::Mark('='),
                word("*"),
            ]
        );
        assert_eq!(tokens("pay-as-you-go--x").unwrap(), [word("pay-as-you-go")]);
        assert_eq!(tokens("a---x\nb- -c d-").unwrap(), [word("a"), word("b-"), word("-c"), word("d-")]);
        for open in ["'a", "{\"a\"", "<a", "`a", "a ?"] {
            assert!(tokens(open).is_err(), "{open}");
        }
    }

    #[test]
    fn a_megabyte_of_words_is_cut_in_one_go() {
        let text = "ab c-d ".repeat((1 << 20) / 7);
        let start = std::time::Instant::now();
        assert_eq!(tokens(&text).unwrap().len(), (1 << 20) / 7 * 2);
        // One look at the rest of the text for each word took minutes.
        assert!(start.elapsed() < std::time::Duration::from_secs(2), "{:?}", start.elapsed());
    }
}
