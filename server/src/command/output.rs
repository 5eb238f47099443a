//! What commands print on stdout.

use std::io::{Write, stdout};

use anyhow::{Context, Result};

/// Prints a line. Unlike `println!` it fails where nobody listens.
pub fn say(line: impl std::fmt::Display) -> Result<()> {
    let mut out = stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).context("cannot write to stdout")
}

/// Prints rows under a heading, in columns that are as wide as they need to be. Numbers are on the right.
pub fn table(heading: &[&str], rows: &[Vec<String>]) -> Result<()> {
    let cells = |i: usize| rows.iter().filter_map(move |row| row.get(i));
    let width =
        |(i, name): (usize, &&str)| cells(i).map(|cell| cell.chars().count()).chain([name.len()]).max().unwrap_or(0);
    let widths: Vec<usize> = heading.iter().enumerate().map(width).collect();
    let numeric: Vec<bool> =
        (0..heading.len()).map(|i| cells(i).all(|cell| cell.parse::<f64>().is_ok() || cell == "NULL")).collect();
    let line = |row: &[String]| {
        let cell = |((cell, width), right): ((&String, &usize), &bool)| {
            let blanks = " ".repeat(width.saturating_sub(cell.chars().count()));
            if *right { format!("{blanks}{cell}") } else { format!("{cell}{blanks}") }
        };
        let cells: Vec<String> = row.iter().zip(&widths).zip(&numeric).map(cell).collect();
        cells.join("  ").trim_end().to_string()
    };
    say(line(&heading.iter().map(ToString::to_string).collect::<Vec<_>>()))?;
    rows.iter().try_for_each(|row| say(line(row)))
}

/// Text on one line: control characters, line breaks among them, are written as escapes.
pub fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { c.escape_default().to_string() } else { c.to_string() }).collect()
}
