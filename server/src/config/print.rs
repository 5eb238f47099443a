//! The commented configuration with all defaults, made from the declaration of the options.

use clap::{Arg, ArgAction, CommandFactory};
use serde_json::{Value, json};

use super::options::{in_file, key, variable};
use crate::cli::Cli;

const HEAD: &str = "\
# Configuration of maxstorage-server: maxstorage-server serve --config FILE
#
# Every option can also be given on the command line and in the environment. The command line comes first, then the
# environment, then this file. Relative paths count from the directory of this file. Options behind one # are the
# defaults; behind ## and without a default they show what kind of value they take.

[serve]
";

const TAIL: &str = r#"
# What the root shall contain. It is brought about at each start, before the first request; what is there already stays
# as it is.

## Projects, their schemas besides "default", and statements that are carried out in them: roles, grants, policies and
## the like, as an SDK would send them as SQL.
#[[project]]
#name = "sales"
#schemas = ["raw"]
#statements = ["CREATE ROLE reader;", "GRANT Select, Describe ON TABLE orders TO ROLE reader;"]

## Statements about the tenant and its quotas.
#[tenant]
#statements = ["ADD TENANT USER RAM$alice;"]

## Access keys of other users than the owner.
#[[account]]
#user = "RAM$alice"
#id = "alice"
#secret = "wonderland"

## Exclusive resource groups.
#[[quota]]
#name = "nightly"
#slots = 50

## Tables with rows from Parquet files. A table or partition that has rows is left alone.
#[[table]]
#name = "sales.default.orders"
#partition = "ds=1"
#files = ["orders.parquet"]
"#;

/// The whole text.
pub fn commented() -> String {
    let mut text = HEAD.to_string();
    for (key, arg) in options() {
        text.push('\n');
        help(&arg).lines().flat_map(|line| wrapped(line, 116)).for_each(|line| text.push_str(&format!("## {line}\n")));
        text.push_str(&format!("## Environment: {}", variable(&key)));
        let choices: Vec<String> = choices(&arg).iter().map(|choice| format!("\"{choice}\"")).collect();
        if !choices.is_empty() {
            text.push_str(&format!("; one of {}", choices.join(", ")));
        }
        match default(&arg) {
            Some(default) => text.push_str(&format!("\n#{key} = {default}\n")),
            None => {
                let example = arg.get_value_names().and_then(|names| names.first()).map_or("", |name| name.as_str());
                text.push_str(&format!("\n## {key} = \"{example}\"\n"));
            }
        }
    }
    text.push_str(TAIL);
    text
}

/// The same options as JSON: key, environment variable, default or null, possible values or none, and what they do.
pub fn described() -> Vec<Value> {
    let value = |(key, arg): (String, Arg)| {
        let default = default(&arg).and_then(|text| toml::from_str::<toml::Table>(&format!("value = {text}")).ok());
        json!({"key": key, "environment": variable(&key), "default": default.as_ref().and_then(|table| table.get("value")),
               "choices": choices(&arg), "help": help(&arg)})
    };
    options().map(value).collect()
}

/// The options of `serve` that a file may have, by their keys.
fn options() -> impl Iterator<Item = (String, Arg)> {
    let command = Cli::command();
    let args: Vec<Arg> =
        command.find_subcommand("serve").into_iter().flat_map(clap::Command::get_arguments).cloned().collect();
    args.into_iter().filter(|arg| in_file(arg) && !arg.is_hide_set()).filter_map(|arg| Some((key(&arg)?, arg)))
}

fn help(arg: &Arg) -> String {
    arg.get_long_help().or(arg.get_help()).map(ToString::to_string).unwrap_or_default()
}

fn choices(arg: &Arg) -> Vec<String> {
    match arg.get_action() {
        ArgAction::SetTrue => Vec::new(),
        _ => arg.get_possible_values().iter().map(|choice| choice.get_name().to_string()).collect(),
    }
}

/// The default of an option in TOML, if it has one.
fn default(arg: &Arg) -> Option<String> {
    let default = arg.get_default_values().first().map(|value| value.to_string_lossy().into_owned());
    match (arg.get_action(), default) {
        (ArgAction::SetTrue, _) => Some("false".into()),
        (ArgAction::Append, None) => Some("[]".into()),
        (_, Some(number)) if number.parse::<f64>().is_ok() => Some(number),
        (_, Some(text)) => Some(toml::Value::String(text).to_string()),
        (_, None) => None,
    }
}

/// Cuts text at blanks into lines of at most `width` characters.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut().filter(|line| line.len() + 1 + word.len() <= width) {
            Some(line) => *line = format!("{line} {word}"),
            None => lines.push(word.to_string()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use clap::FromArgMatches;

    use super::super::file::File;
    use super::super::options::command;
    use super::*;
    use crate::cli::Command;

    /// Takes one # from the lines that have just one.
    fn uncommented(text: &str, keep: impl Fn(&str) -> bool) -> String {
        let line = |line: &str| match line.strip_prefix('#') {
            Some(bare) if !bare.starts_with(['#', ' ']) && !bare.is_empty() && keep(bare) => format!("{bare}\n"),
            _ => format!("{line}\n"),
        };
        text.lines().map(line).collect()
    }

    #[test]
    fn as_printed_it_changes_nothing() {
        let file = File::parse(&commented()).unwrap();
        assert!(file.serve.is_empty() && file.project.is_empty() && file.table.is_empty());
    }

    #[test]
    fn its_values_are_the_defaults() {
        let serve = |options: &toml::Table| {
            let matches = command(options, Path::new(""))
                .unwrap()
                .try_get_matches_from(["maxstorage-server", "serve", "--root", "r"])
                .unwrap();
            match crate::cli::Cli::from_arg_matches(&matches).unwrap().command {
                Command::Serve(serve) => format!("{serve:?}"),
                other => panic!("{other:?}"),
            }
        };
        let text = commented();
        let options = text.split("\n# What the root shall contain").next().unwrap();
        let file = File::parse(&uncommented(options, |_| true)).unwrap();
        assert!(file.serve.len() > 10, "{:?}", file.serve);
        assert_eq!(serve(&file.serve), serve(&toml::Table::new()));
    }

    #[test]
    fn its_examples_can_be_read() {
        let file =
            File::parse(&uncommented(&commented(), |line| !line.contains(" = ") || line.len() > 200)).unwrap_err();
        assert!(format!("{file:#}").contains("missing field"), "keys of the examples are needed: {file:#}");
        let file = File::parse(&uncommented(&commented(), |_| true)).unwrap();
        let counts = (file.project.len(), file.account.len(), file.quota.len(), file.table.len());
        assert_eq!(counts, (1, 1, 1, 1));
    }
}
