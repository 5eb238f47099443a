//! The command line with what environment and file say about the options of `serve`.

use std::any::TypeId;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use clap::{Arg, ArgAction, Command, CommandFactory, FromArgMatches};
use toml::Value;

use super::file::{File, beside};
use super::seed::Seed;
use crate::cli::Cli;

/// The name of an option in a file.
pub fn key(arg: &Arg) -> Option<String> {
    arg.get_long().map(|long| long.replace('-', "_"))
}

/// The name of an option in the environment.
pub fn variable(key: &str) -> String {
    format!("MAXSTORAGE_{}", key.to_uppercase())
}

/// Whether a key belongs in a file: not the option that names the file.
pub fn in_file(arg: &Arg) -> bool {
    arg.get_long().is_some_and(|long| long != "config" && long != "help")
}

/// Reads the command line; its mistakes end the process with a usage message. With a file, also says what the root
/// shall contain.
pub fn parse(args: &[OsString]) -> Result<(Cli, Seed)> {
    let (command, seed) = match config_path(args) {
        Some(path) => {
            let mut file = File::read(&path)?;
            let directory = path.parent().unwrap_or(Path::new(""));
            let options = std::mem::take(&mut file.serve);
            let command = command(&options, directory).with_context(|| format!("cannot use {}", path.display()))?;
            (command, file.seed(directory))
        }
        None => (command(&toml::Table::new(), Path::new(""))?, Seed::default()),
    };
    let matches = command.get_matches_from(args);
    Ok((Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit()), seed))
}

/// The file that `serve` is to read. It must be known before the rest can be parsed.
fn config_path(args: &[OsString]) -> Option<PathBuf> {
    let mut args = args.iter().skip(1).skip_while(|arg| arg.to_string_lossy().starts_with("--log-"));
    if args.next()? != "serve" {
        return None;
    }
    while let Some(arg) = args.next() {
        if arg == "--config" {
            return args.next().map(PathBuf::from);
        }
        if let Some(path) = arg.to_str().and_then(|arg| arg.strip_prefix("--config=")) {
            return Some(path.into());
        }
    }
    std::env::var_os(variable("config")).filter(|path| !path.is_empty()).map(PathBuf::from)
}

/// The command line in which options of `serve` fall back to the environment and to a file.
pub fn command(options: &toml::Table, directory: &Path) -> Result<Command> {
    let mut command = Cli::command();
    let serve = command.find_subcommand("serve").ok_or_else(|| anyhow!("there is no serve"))?;
    let mut defaults = Vec::new();
    for (name, value) in options {
        let arg = serve.get_arguments().find(|arg| in_file(arg) && key(arg).as_ref() == Some(name));
        let Some(arg) = arg else {
            let known: Vec<String> = serve.get_arguments().filter(|arg| in_file(arg)).filter_map(key).collect();
            bail!("[serve] has no option {name}; there are {}", known.join(", "));
        };
        let values = values(arg, value, directory).with_context(|| format!("[serve] {name}"))?;
        defaults.push((arg.get_id().clone(), values));
    }
    command = command.mut_subcommand("serve", |serve| {
        serve.mut_args(|arg| {
            let arg = match key(&arg) {
                Some(key) => arg.env(variable(&key)).hide_env(true),
                None => arg,
            };
            match defaults.iter().find(|(id, _)| id == arg.get_id()) {
                // The values may be secrets, so help does not show them.
                Some((_, values)) => {
                    let secret = arg.get_action().takes_values();
                    arg.default_values(values).required(false).hide_default_value(secret)
                }
                None => arg,
            }
        })
    });
    Ok(command)
}

/// The texts that stand for a value on the command line.
fn values(arg: &Arg, value: &Value, directory: &Path) -> Result<Vec<String>> {
    let texts = match value {
        Value::Array(items) if matches!(arg.get_action(), ArgAction::Append) => {
            items.iter().map(text).collect::<Result<Vec<_>>>()?
        }
        Value::Array(_) => bail!("this is one value, not a list"),
        one => vec![text(one)?],
    };
    let is_path = arg.get_value_parser().type_id() == TypeId::of::<PathBuf>();
    let place = |text: String| match is_path {
        true => beside(directory, Path::new(&text)).to_string_lossy().into_owned(),
        false => text,
    };
    let texts: Vec<String> = texts.into_iter().map(place).collect();
    for text in &texts {
        check(arg, text)?;
    }
    Ok(texts)
}

fn text(value: &Value) -> Result<String> {
    Ok(match value {
        Value::String(text) => text.clone(),
        Value::Integer(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Boolean(flag) => flag.to_string(),
        other => bail!("a {} is no value of an option", other.type_str()),
    })
}

/// Refuses what the command line would refuse, before it would be blamed on the command line.
fn check(arg: &Arg, text: &str) -> Result<()> {
    if matches!(arg.get_action(), ArgAction::SetTrue) {
        return match text {
            "true" | "false" => Ok(()),
            other => bail!("\"{other}\" is not true or false"),
        };
    }
    let long = arg.get_long().unwrap_or_default();
    let lone = Command::new("serve").arg(arg.clone().required(false)).disable_help_flag(true);
    match lone.try_get_matches_from(["serve", &format!("--{long}={text}")]) {
        Ok(_) => Ok(()),
        Err(error) => {
            let message = error.render().to_string();
            let first = message.lines().next().unwrap_or_default();
            bail!("{}", first.strip_prefix("error: ").unwrap_or(first))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Command as Chosen, Serve};

    fn serve(options: &str, args: &[&str]) -> Result<Serve> {
        let options: toml::Table = options.parse()?;
        let matches = command(&options, Path::new("/etc/maxstorage"))?
            .try_get_matches_from(["maxstorage-server", "serve"].iter().chain(args))?;
        match Cli::from_arg_matches(&matches)?.command {
            Chosen::Serve(serve) => Ok(*serve),
            other => bail!("{other:?}"),
        }
    }

    #[test]
    fn a_file_sets_what_the_command_line_does_not() {
        let file = r#"
            root = "data"
            listen = "127.0.0.1:7788"
            project = ["a", "b"]
            no_clock_check = true
            session_lifetime_s = 5
        "#;
        let read = serve(file, &[]).unwrap();
        assert_eq!(read.root, Path::new("/etc/maxstorage/data"), "paths count from the file");
        assert_eq!((read.listen.port(), read.no_clock_check, read.session_lifetime_s), (7788, true, 5));
        assert_eq!(read.projects, ["a", "b"]);
        let read = serve(file, &["--listen", "127.0.0.1:1", "--root", "here", "--project", "c"]).unwrap();
        assert_eq!((read.listen.port(), read.root.as_path()), (1, Path::new("here")));
        assert_eq!(read.projects, ["c"]);
        assert!(serve("", &[]).is_err(), "a root is needed");
    }

    #[test]
    fn mistakes_in_a_file_are_told_as_such() {
        for (file, expected) in [
            ("listne = 3", "[serve] has no option listne; there are root, listen"),
            ("config = 'x'", "[serve] has no option config"),
            ("listen = 'nowhere'", "[serve] listen: invalid value 'nowhere'"),
            ("session_lifetime_s = 0", "[serve] session_lifetime_s: invalid value '0'"),
            ("session_lifetime_s = [1, 2]", "[serve] session_lifetime_s: this is one value, not a list"),
            ("no_auth = 'yes'", "[serve] no_auth: \"yes\" is not true or false"),
            ("root = { a = 1 }", "[serve] root: a table is no value of an option"),
        ] {
            let why = format!("{:#}", serve(file, &["--root", "x"]).unwrap_err());
            assert!(why.contains(expected), "{why}");
        }
    }

    #[test]
    fn secrets_of_a_file_are_in_no_help() {
        let options: toml::Table = "account = ['id:very-secret']".parse().unwrap();
        let mut command = command(&options, Path::new("")).unwrap();
        let help = command.find_subcommand_mut("serve").unwrap().render_long_help().to_string();
        assert!(help.contains("--account") && !help.contains("very-secret"));
    }
}
