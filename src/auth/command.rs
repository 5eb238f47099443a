//! The words of a command line, without a shell.

use crate::error::{Error, Kind, Result};

/// Cuts a command line at blanks. Blanks inside single or double quotes stay, a backslash keeps the character after it; nothing else
/// has a meaning.
pub fn words(line: &str) -> Result<Vec<String>> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        match (letter, quote) {
            (_, Some(open)) if letter == open => quote = None,
            ('\'' | '"', None) => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            ('\\', None | Some('"')) => {
                let next = letters.next().ok_or_else(|| wrong("ends with a backslash"))?;
                word.get_or_insert_default().push(next);
            }
            (blank, None) if blank.is_whitespace() => words.extend(word.take()),
            (letter, _) => word.get_or_insert_default().push(letter),
        }
    }
    if quote.is_some() {
        return Err(wrong("has a quote that is not closed"));
    }
    words.extend(word);
    if words.first().is_none_or(String::is_empty) {
        return Err(wrong("names no program"));
    }
    Ok(words)
}

fn wrong(what: &str) -> Error {
    Error::new(Kind::InvalidOption, format!("credentials.process {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_backslashes() {
        for (line, expected) in [
            ("a", &["a"][..]),
            ("  /bin/a  -b   c ", &["/bin/a", "-b", "c"]),
            (r#"a 'b c' "d \" e" f\ g '' "$HOME;x|y""#, &["a", "b c", "d \" e", "f g", "", "$HOME;x|y"]),
            (r"a 'b\'", &["a", r"b\"]),
        ] {
            assert_eq!(words(line).unwrap(), expected, "{line}");
        }
    }

    #[test]
    fn what_is_not_a_command_line() {
        for line in ["", "  ", "'a", "a \"b", "a\\", "''"] {
            assert_eq!(words(line).unwrap_err().kind(), Kind::InvalidOption, "{line}");
        }
    }
}
