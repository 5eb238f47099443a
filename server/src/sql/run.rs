//! Runs a statement.

use super::ast::Statement;
use super::context::Context;
use super::error::SqlError;
use super::parser::{Script, parse, take_settings};
use super::{alter, change, insert, rows, show, tables};
use crate::governance;

/// What became of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Text, which may be empty.
    Text(String),
    /// The rows lie in the table of [`Context::result`].
    Rows,
}

/// Runs the text of an instance. Blocking.
pub fn run(context: &mut Context, text: &str) -> Result<Outcome, SqlError> {
    // Some statements on governance begin with SET; others have settings of SQL before them.
    let (settings, rest) = take_settings(text);
    let behind_settings = (!settings.is_empty()).then_some(rest.as_str());
    for text in [Some(text), behind_settings].into_iter().flatten() {
        if let Some(done) = governance::statement(&context.shared, &context.caller, &context.project, text) {
            return Ok(Outcome::Text(done?.text));
        }
    }
    let Script { settings, statement } = parse(text)?;
    context.settings.extend(settings);
    let Some(statement) = statement else { return Ok(Outcome::Text(String::new())) };
    let done = |()| Outcome::Text(String::new());
    match statement {
        Statement::CreateTable(table) => tables::create(context, *table).map(done),
        Statement::CreateSchema { name, if_not_exists } => {
            tables::create_schema(context, &name, if_not_exists).map(done)
        }
        Statement::DropSchema { name, if_exists } => tables::drop_schema(context, &name, if_exists).map(done),
        Statement::Drop { name, kind, if_exists } => tables::drop(context, &name, kind, if_exists).map(done),
        Statement::Truncate { name, partitions } => tables::truncate(context, &name, &partitions).map(done),
        Statement::Alter { name, action } => alter::alter(context, &name, action).map(done),
        Statement::Insert(insert) => insert::insert(context, *insert).map(done),
        Statement::Change(change) => change::change(context, *change).map(done),
        Statement::Select(select) => rows::keep(context, &select).map(|()| Outcome::Rows),
        Statement::ShowTables { place, like } => show::tables(context, place.as_ref(), like.as_deref()),
        Statement::ShowSchemas { place } => show::schemas(context, place.as_ref()),
        Statement::ShowPartitions { name, spec } => show::partitions(context, &name, &spec),
        Statement::ShowCreate { name } => show::create(context, &name),
        Statement::Describe { name, spec, extended } => show::describe(context, &name, &spec, extended),
        Statement::DescribeSchema { name } => show::describe_schema(context, &name),
    }
}
