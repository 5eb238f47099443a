//! `ALTER TABLE` and `ALTER MATERIALIZED VIEW`.

use super::ast::{Alter, Name, Spec};
use super::context::{Context, full_values, short, values_of};
use super::error::{Position, SqlError};
use super::insert::refill;
use super::parser::parse;
use super::tables::{check, check_clustering, exists, set_properties};
use crate::catalog::{CommitRefusal, Defined, NewTable, Table, TableKind};

pub fn alter(context: &Context, name: &Name, action: Alter) -> Result<(), SqlError> {
    let (table, allowed) = context.table(name, "Alter")?;
    allowed.whole()?;
    let catalog = &context.shared.catalog;
    let at = name.at;
    match action {
        Alter::AddPartitions { specs, if_not_exists } => {
            let partitions = partitions(&table, &specs, at)?;
            let added =
                catalog.add_partitions(&table.name, &partitions, if_not_exists).map_err(|error| match error
                    .downcast_ref::<CommitRefusal>(
                ) {
                    Some(refusal) => SqlError::semantic(at, refusal),
                    None => SqlError::from(error),
                })?;
            outcome(added, &table, at)
        }
        Alter::DropPartitions { specs, if_exists } => {
            let doomed = matching(context, &table, &specs, if_exists, at)?;
            if doomed.is_empty() { Ok(()) } else { outcome(catalog.drop_partitions(&table.name, &doomed)?, &table, at) }
        }
        Alter::RenamePartition { from, to } => {
            let (from, to) = (full_values(&table, &from, at)?, full_values(&table, &to, at)?);
            outcome(catalog.rename_partition(&table.name, &from, &to)?, &table, at)
        }
        Alter::Rename { to } => {
            let target = to.parts.last().cloned().unwrap_or_default();
            crate::catalog::check_name(&target).map_err(|why| SqlError::semantic(to.at, why))?;
            outcome(catalog.rename_table(&table.name, &target)?, &table, at)
        }
        Alter::Rebuild => rebuild(context, &table, at),
        // Times of change are not kept apart.
        Alter::Touch => Ok(()),
        action => {
            let changed = catalog.alter_table(&table.name, |table, has_rows| change(table, has_rows, action, at))?;
            outcome(changed?, &table, at)
        }
    }
}

fn outcome(defined: Defined, table: &Table, at: Position) -> Result<(), SqlError> {
    match defined {
        Defined::Done => Ok(()),
        Defined::Exists(what) => Err(exists(at, &format!("{what} of {}", short(&table.name)))),
        Defined::Missing(what) => Err(SqlError::no_object(format_args!("{what} of {}", short(&table.name)))),
        Defined::NotEmpty => Err(SqlError::semantic(at, "not empty")),
    }
}

fn partitions(table: &Table, specs: &[Spec], at: Position) -> Result<Vec<Vec<String>>, SqlError> {
    specs.iter().map(|spec| full_values(table, spec, at)).collect()
}

/// The partitions that specs, full or partial, select.
fn matching(
    context: &Context,
    table: &Table,
    specs: &[Spec],
    if_exists: bool,
    at: Position,
) -> Result<Vec<Vec<String>>, SqlError> {
    let all = context.shared.catalog.partitions(table.id)?;
    let mut found = Vec::new();
    for spec in specs {
        let wanted = values_of(table, spec, at)?;
        let before = found.len();
        found.extend(all.iter().map(|partition| partition.values.clone()).filter(|values| {
            values.iter().zip(&wanted).all(|(value, wanted)| wanted.as_ref().is_none_or(|wanted| wanted == value))
        }));
        if found.len() == before && !if_exists {
            let text: Vec<String> = wanted.into_iter().flatten().collect();
            let what = format_args!("partition {} of {}", text.join("/"), short(&table.name));
            return Err(SqlError::no_object(what));
        }
    }
    Ok(found)
}

/// Changes of columns and properties.
fn change(table: &mut Table, has_rows: bool, action: Alter, at: Position) -> Result<(), SqlError> {
    let refuse = |what: String| Err(SqlError::semantic(at, what));
    let missing = |name: &str| SqlError::semantic(at, format_args!("column {name} cannot be resolved"));
    let find = |table: &Table, name: &str| {
        table.columns.iter().position(|column| column.name.eq_ignore_ascii_case(name)).ok_or_else(|| missing(name))
    };
    let is_used = |table: &Table, name: &str| {
        let clustering = table.properties.clustering.iter();
        let names = clustering.flat_map(|c| c.columns.iter().chain(c.sort.iter().map(|sort| &sort.column)));
        names.chain(&table.properties.primary_key).any(|used| used.eq_ignore_ascii_case(name))
    };
    match action {
        Alter::AddColumns { columns, if_not_exists } => {
            for column in columns {
                let taken = table
                    .columns
                    .iter()
                    .chain(&table.partition_keys)
                    .any(|c| c.name.eq_ignore_ascii_case(&column.name));
                match (taken, if_not_exists) {
                    (true, true) => continue,
                    (true, false) => return refuse(format!("column {} already exists", column.name)),
                    (false, _) if !column.nullable => {
                        return refuse(format!(
                            "column {} is NOT NULL, but old rows have no value for it",
                            column.name
                        ));
                    }
                    (false, _) => table.columns.push(column),
                }
            }
        }
        Alter::DropColumns { names } => {
            if has_rows {
                return refuse("columns of a table that has had rows are not dropped by this server".into());
            }
            for name in names {
                let place = find(table, &name)?;
                if is_used(table, &name) {
                    return refuse(format!("column {name} is a key or cluster column"));
                }
                table.columns.remove(place);
            }
        }
        Alter::RenameColumn { name, to } => {
            let place = find(table, &name)?;
            rename(table, place, to, has_rows, at)?;
        }
        Alter::ChangeColumn { name, to } => {
            let place = find(table, &name)?;
            rename(table, place, to.name, has_rows, at)?;
            let Some(column) = table.columns.get_mut(place) else { return Err(missing(&name)) };
            if column.ty != to.ty {
                if has_rows {
                    return refuse(format!(
                        "the type of column {name} is not changed by this server: there have been rows"
                    ));
                }
                column.ty = to.ty;
            }
            if !to.comment.is_empty() {
                column.comment = to.comment;
            }
        }
        Alter::CommentColumn { name, comment } => {
            if let Some(key) = table.partition_keys.iter_mut().find(|key| key.name.eq_ignore_ascii_case(&name)) {
                key.comment = comment;
                return Ok(());
            }
            let place = find(table, &name)?;
            if let Some(column) = table.columns.get_mut(place) {
                column.comment = comment;
            }
        }
        Alter::AllowNull { name } => {
            let place = find(table, &name)?;
            if table.properties.primary_key.iter().any(|key| key.eq_ignore_ascii_case(&name)) {
                return refuse(format!("key column {name} stays NOT NULL"));
            }
            if let Some(column) = table.columns.get_mut(place) {
                column.nullable = true;
            }
        }
        Alter::Comment(comment) => table.properties.comment = comment,
        Alter::Lifecycle(days) => table.properties.lifecycle = (days > 0).then_some(days),
        Alter::Properties(pairs) => {
            let buckets = table.bucket_count();
            set_properties(&mut table.properties, pairs);
            if has_rows && table.bucket_count() != buckets {
                return refuse("write.bucket.num of a table that has had rows is not changed by this server".into());
            }
        }
        Alter::Clustering(clustering) => {
            if let Some(clustering) = &clustering {
                check_clustering(clustering, &table.columns, at)?;
            }
            if has_rows || table.has_primary_key() {
                return refuse("the clustering of a table that has had rows is not changed by this server".into());
            }
            table.properties.clustering = clustering;
        }
        other => return refuse(format!("{other:?} is no change of a definition")),
    }
    let NewTable { .. } = checked(table, at)?;
    Ok(())
}

fn rename(table: &mut Table, place: usize, to: String, has_rows: bool, at: Position) -> Result<(), SqlError> {
    let Some(column) = table.columns.get_mut(place) else { return Ok(()) };
    let from = std::mem::replace(&mut column.name, to.clone());
    // Data files name their columns, without case.
    if has_rows && !from.eq_ignore_ascii_case(&to) {
        let what = format_args!("column {from} is not renamed by this server: there have been rows");
        return Err(SqlError::semantic(at, what));
    }
    let properties = &mut table.properties;
    let clustering = properties.clustering.iter_mut();
    let names = clustering.flat_map(|c| c.columns.iter_mut().chain(c.sort.iter_mut().map(|sort| &mut sort.column)));
    names
        .chain(&mut properties.primary_key)
        .filter(|name| name.eq_ignore_ascii_case(&from))
        .for_each(|name| *name = to.clone());
    Ok(())
}

/// The table as it will be, if that is one that could be created.
fn checked(table: &Table, at: Position) -> Result<NewTable, SqlError> {
    let new = NewTable {
        name: table.name.clone(),
        kind: table.kind,
        columns: table.columns.clone(),
        partition_keys: table.partition_keys.clone(),
        properties: table.properties.clone(),
    };
    check(&new, at)?;
    Ok(new)
}

/// Runs the query of a materialized view again and replaces its rows.
fn rebuild(context: &Context, table: &Table, at: Position) -> Result<(), SqlError> {
    let (TableKind::MaterializedView, Some(text)) = (table.kind, &table.properties.view_text) else {
        return Err(SqlError::semantic(at, format_args!("{} is no materialized view", short(&table.name))));
    };
    match parse(text)?.statement {
        Some(super::ast::Statement::Select(select)) => refill(context, table, &select),
        _ => Err(SqlError::semantic(at, "the query of the view is no SELECT")),
    }
}
