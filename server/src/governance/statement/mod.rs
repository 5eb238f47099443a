//! Statements on governance, as the help pages print them: tokens, a parser, and what each does.

mod kinds;
mod parse;
mod project;
mod run;
mod tenant;
mod tokens;

pub use project::{properties, switches};

use serde_json::{Value, json};

use super::principal::{Caller, Principal};
use crate::catalog::Catalog;
use crate::error::ApiError;
pub use kinds::{SWITCHES, Statement};
use parse::parse;
pub use run::run as run_one;
use tokens::{Token, tokens};

/// What a statement answers.
#[derive(Clone, Debug, PartialEq)]
pub struct Output {
    /// Lines for people.
    pub text: String,
    /// The same for programs.
    pub json: Value,
}

impl Output {
    fn done() -> Output {
        Output { text: "OK".into(), json: json!({"Message": "OK"}) }
    }

    /// One line per entry.
    fn list(key: &str, lines: Vec<String>) -> Output {
        Output { text: lines.join("\n"), json: json!({ key: lines }) }
    }
}

/// Who runs a statement.
#[derive(Clone, Copy)]
pub enum By<'a> {
    /// Somebody whose rights count.
    Caller(&'a Caller),
    /// Somebody in a profile that allows everything.
    Free(&'a Caller),
    /// The command line and the configuration: whoever can write the root.
    Operator,
}

impl By<'_> {
    fn principal(&self) -> Principal {
        match self {
            By::Caller(caller) | By::Free(caller) => caller.principal.clone(),
            By::Operator => Principal::owner(),
        }
    }
}

/// Bytes of a text of statements at most, of any kind.
const MAX_STATEMENT_BYTES: usize = 2 << 20;

/// Refuses a text that is too long to be looked at.
pub fn check_size(text: &str) -> Result<(), ApiError> {
    match text.len() {
        length if length > MAX_STATEMENT_BYTES => {
            Err(syntax(format_args!("the statement has {length} bytes, at most {MAX_STATEMENT_BYTES} are allowed")))
        }
        _ => Ok(()),
    }
}

/// Runs a text of one or more statements, if it is about governance.
pub fn run(catalog: &Catalog, by: By<'_>, project: &str, text: &str) -> Option<Result<Output, ApiError>> {
    if let Err(error) = check_size(text) {
        return Some(Err(error));
    }
    let tokens = match tokens(text) {
        Ok(tokens) => tokens,
        // The text may be SQL that only SQL can read.
        Err(why) => return begins_here(text).then(|| Err(syntax(why))),
    };
    let mut statements = Vec::new();
    for part in tokens.split(|token| *token == Token::Mark(';')).filter(|part| !part.is_empty()) {
        match parse(part) {
            Some(Ok(statement)) => statements.push(statement),
            Some(Err(why)) => return Some(Err(syntax(why))),
            None if statements.is_empty() => return None,
            None => return Some(Err(syntax("statements on governance and on data do not go into one text"))),
        }
    }
    if statements.is_empty() {
        return None;
    }
    let outputs: Result<Vec<Output>, ApiError> =
        statements.into_iter().map(|statement| run::run(catalog, by, project, statement)).collect();
    Some(outputs.map(|mut outputs| match outputs.len() {
        1 => outputs.remove(0),
        _ => Output {
            text: outputs.iter().map(|output| output.text.as_str()).collect::<Vec<_>>().join("\n"),
            json: outputs.into_iter().map(|output| output.json).collect(),
        },
    }))
}

/// A text without the secrets and tokens of the statements in it, as it may be kept and shown.
pub fn masked(text: &str) -> String {
    let Ok(tokens) = tokens(text) else {
        let lower = text.to_lowercase();
        let open = lower.contains("secret") || lower.contains("token");
        return if open { "-- not kept: it may hold a secret".into() } else { text.into() };
    };
    let word = |token: Option<&Token>, wanted: &str| matches!(token, Some(Token::Word(word)) if word.eq_ignore_ascii_case(wanted));
    let both = |pair: &[Token], a: &str, b: &str| word(pair.first(), a) && word(pair.get(1), b);
    if !tokens.windows(2).any(|pair| both(pair, "access", "key") || both(pair, "bearer", "token")) {
        return text.into();
    }
    let mut shown = Vec::new();
    let mut hide = false;
    for token in &tokens {
        shown.push(if hide { "'***'".to_string() } else { parse::show(token) });
        hide = word(Some(token), "secret") || word(Some(token), "token");
    }
    shown.join(" ")
}

/// Whether the first words of a text that cannot be cut are those of a statement on governance.
fn begins_here(text: &str) -> bool {
    let words: Vec<String> = text.split_whitespace().take(3).map(str::to_lowercase).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    matches!(words.as_slice(), ["put", "policy", ..] | ["create", "tenant", "role"] | ["grant" | "revoke", ..])
}

fn syntax(why: impl std::fmt::Display) -> ApiError {
    ApiError::new(400, "ParseError", format!("ODPS-0130161:Parse exception - {why}"))
}

fn missing(what: &str, name: &str) -> ApiError {
    ApiError::new(404, "NoSuchObject", format!("ODPS-0420111:Object not found - there is no {what} {name}"))
}

fn exists(what: &str, name: &str) -> ApiError {
    ApiError::new(409, "ObjectAlreadyExists", format!("ODPS-0420121:Object already exists - {what} {name}"))
}

fn invalid(why: impl std::fmt::Display) -> ApiError {
    ApiError::new(400, "InvalidParameter", format!("ODPS-0420061:Invalid parameter - {why}"))
}

#[cfg(test)]
mod tests;
