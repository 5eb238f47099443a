//! The rows of a `SELECT`.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::compute::{SortColumn, SortOptions, concat_batches, lexsort_to_indices, take_record_batch};
use arrow::datatypes::{Field, Schema, SchemaRef, TimeUnit};

use super::ast::{AsOf, Expr, ExprKind, Item, OrderBy, Select};
use super::context::{Context, short};
use super::error::{Position, SqlError};
use super::tables::demand_rows;
use crate::catalog::{Catalog, Column, NewTable, Snapshot, Table};
use crate::clock::now_ms;
use crate::datum::{self, Datum};
use crate::governance::{Columns, require_exit};
use crate::plan::{CreateRequest, FilterMode, JsonColumns, Limits, Plan, Planner, Reading, SplitMode};
use crate::read::{Rows, batch_size};
use crate::types::{Delivery, Stage, Type, Units, arrow_type, conform};
use crate::write::{Matching, TableWriter, Target, commit_rows};

/// Rows of a batch.
const BATCH_ROWS: usize = 4096;

/// Columns of a result at most.
const MAX_OUTPUTS: usize = 10_000;

/// Rows that ORDER BY may hold at once, in bytes.
const SORT_BYTES: usize = 256 << 20;

/// A `SELECT` whose names are looked up.
pub struct Query<'a> {
    context: &'a Context,
    select: &'a Select,
    table: Option<Table>,
    /// What each column of the result is.
    outputs: Vec<Expr>,
    /// The columns of the result, under names that are all different.
    pub columns: Vec<Column>,
    is_count: bool,
}

impl<'a> Query<'a> {
    /// Looks up the names of a `SELECT`.
    pub fn new(context: &'a Context, select: &'a Select) -> Result<Query<'a>, SqlError> {
        let found = select.from.as_ref().map(|name| context.table(name, "Select")).transpose()?;
        let (table, allowed) = found.map_or((None, Columns::All), |(table, allowed)| (Some(table), allowed));
        if let Some(table) = &table {
            demand_rows(table, select.at)?;
        }
        let mut outputs = Vec::new();
        let mut names: Vec<String> = Vec::new();
        for item in &select.items {
            if outputs.len() > MAX_OUTPUTS {
                break;
            }
            match item {
                Item::Star => {
                    let Some(table) = &table else {
                        return Err(SqlError::semantic(select.at, "* needs a table"));
                    };
                    for column in table.columns.iter().chain(&table.partition_keys) {
                        outputs.push(Expr { kind: ExprKind::Column(column.name.clone()), at: select.at });
                        names.push(column.name.clone());
                    }
                }
                Item::Expr { expr, alias } => {
                    names.push(match (alias, &expr.kind) {
                        (Some(alias), _) => alias.clone(),
                        (None, ExprKind::Column(name)) => name.to_lowercase(),
                        (None, _) => format!("_c{}", names.len()),
                    });
                    outputs.push(expr.clone());
                }
            }
        }
        if outputs.len() > MAX_OUTPUTS {
            let what = format_args!("a SELECT has more than {MAX_OUTPUTS} columns");
            return Err(SqlError::semantic(select.at, what));
        }
        let is_count = outputs.iter().any(|expr| expr.kind == ExprKind::CountStar);
        if is_count
            && let Some(other) =
                outputs.iter().find(|expr| !matches!(expr.kind, ExprKind::CountStar | ExprKind::Literal(_)))
        {
            return Err(SqlError::semantic(other.at, "beside COUNT(*) only literals are supported by this server"));
        }
        let mut query = Query { context, select, table, outputs, columns: Vec::new(), is_count };
        for (place, name) in unique(names).into_iter().enumerate() {
            let expr = query
                .outputs
                .get(place)
                .cloned()
                .unwrap_or(Expr { kind: ExprKind::Literal(Datum::Null), at: select.at });
            let ty = query.type_of(&expr)?;
            query.columns.push(Column::new(name, ty, true));
        }
        let mut used = used_columns(&query.outputs);
        if let Some(table) = &query.table {
            used.extend(predicate_columns(context, table, select.filter.as_ref())?);
        }
        allowed.demand(used.iter().map(String::as_str))?;
        Ok(query)
    }

    fn column(&self, name: &str, at: Position) -> Result<&Column, SqlError> {
        let columns = self.table.iter().flat_map(|table| table.columns.iter().chain(&table.partition_keys));
        let mut columns = columns.filter(|column| column.name.eq_ignore_ascii_case(name));
        columns.next().ok_or_else(|| SqlError::semantic(at, format_args!("column {name} cannot be resolved")))
    }

    fn type_of(&self, expr: &Expr) -> Result<Type, SqlError> {
        Ok(match &expr.kind {
            ExprKind::Column(name) => self.column(name, expr.at)?.ty.clone(),
            ExprKind::Literal(value) => value.natural_type(),
            ExprKind::Cast(inner, ty) => {
                self.type_of(inner)?;
                ty.clone()
            }
            ExprKind::CountStar => Type::BigInt,
            ExprKind::Arithmetic(op, left, right) => {
                let (left, right) = (self.type_of(left)?, self.type_of(right)?);
                arithmetic_type(*op, &left, &right).ok_or_else(|| {
                    SqlError::semantic(expr.at, format_args!("operator {op} does not take {left} and {right}"))
                })?
            }
        })
    }

    /// Refuses to carry rows into another project if they may not leave that of the table.
    pub fn demand_entry(&self, project: &str) -> Result<(), SqlError> {
        match &self.table {
            Some(table) if !table.name.project.eq_ignore_ascii_case(project) => {
                Ok(require_exit(&self.context.shared, &self.context.caller, table, project)?)
            }
            _ => Ok(()),
        }
    }

    /// The layout of the batches that [`Query::run`] hands out.
    pub fn schema(&self) -> SchemaRef {
        let units = Units { datetime: TimeUnit::Millisecond, timestamp: TimeUnit::Nanosecond };
        let fields = self.columns.iter().map(|column| Field::new(&column.name, arrow_type(&column.ty, units), true));
        Arc::new(Schema::new(fields.collect::<Vec<_>>()))
    }

    /// Hands the rows of the result to `sink`, batch by batch.
    pub fn run(&self, mut sink: impl FnMut(RecordBatch) -> Result<(), SqlError>) -> Result<(), SqlError> {
        let Select { offset, limit, .. } = *self.select;
        if self.table.is_none() || self.is_count {
            if self.table.is_none() && self.select.filter.is_some() {
                return Err(SqlError::semantic(self.select.at, "WHERE needs a table"));
            }
            let count = match &self.table {
                Some(table) => {
                    plan(self.context, table, self.select.as_of, self.select.filter.as_ref(), &[])?.row_count()
                }
                None => 1,
            };
            if offset > 0 || limit == Some(0) {
                return Ok(());
            }
            return sink(self.constants(count)?);
        }
        let Some(table) = &self.table else { return Ok(()) };
        let used = used_columns(&self.outputs);
        let plan = plan(self.context, table, self.select.as_of, self.select.filter.as_ref(), &used)?;
        let total = plan.row_count();
        let window = |total: u64| {
            let start = offset.min(total);
            (start, limit.unwrap_or(u64::MAX).min(total - start))
        };
        if self.select.order.is_empty() {
            let (start, count) = window(total);
            return self.read(plan, start, count, &mut sink);
        }
        let keys = self.sort_keys()?;
        let needed = offset.saturating_add(limit.unwrap_or(u64::MAX));
        let mut held: Vec<RecordBatch> = Vec::new();
        let mut bytes = 0;
        self.read(plan, 0, total, |batch| {
            bytes += batch_size(&batch)?;
            held.push(batch);
            if bytes > SORT_BYTES {
                let sorted = self.sorted(&held, &keys, needed)?;
                bytes = batch_size(&sorted)?;
                held = vec![sorted];
                if bytes > SORT_BYTES {
                    let what = format_args!("ORDER BY over more than {} MiB: add a LIMIT", SORT_BYTES >> 20);
                    return Err(SqlError::runtime(what));
                }
            }
            Ok(())
        })?;
        let sorted = self.sorted(&held, &keys, needed)?;
        let (start, count) = window(sorted.num_rows() as u64);
        sink(sorted.slice(start as usize, count as usize))
    }

    fn sort_keys(&self) -> Result<Vec<(usize, SortOptions)>, SqlError> {
        let key = |order: &super::ast::Order| {
            let place = match &order.by {
                OrderBy::Number(number) => number.checked_sub(1).filter(|place| *place < self.columns.len()),
                OrderBy::Name(name) => self.columns.iter().position(|column| column.name.eq_ignore_ascii_case(name)),
            };
            let options = SortOptions { descending: !order.ascending, nulls_first: order.nulls_first };
            match place {
                Some(place) => Ok((place, options)),
                None => Err(SqlError::semantic(order.at, "ORDER BY takes columns of the result in this server")),
            }
        };
        self.select.order.iter().map(key).collect()
    }

    fn sorted(
        &self,
        batches: &[RecordBatch],
        keys: &[(usize, SortOptions)],
        needed: u64,
    ) -> Result<RecordBatch, SqlError> {
        let failed = |error: arrow::error::ArrowError| SqlError::runtime(format_args!("ORDER BY: {error}"));
        let all = concat_batches(&self.schema(), batches).map_err(failed)?;
        let columns: Vec<SortColumn> = keys
            .iter()
            .map(|(place, options)| SortColumn { values: all.column(*place).clone(), options: Some(*options) })
            .collect();
        let order = lexsort_to_indices(&columns, usize::try_from(needed).ok()).map_err(failed)?;
        take_record_batch(&all, &order).map_err(failed)
    }

    /// One row of literals and counts.
    fn constants(&self, count: u64) -> Result<RecordBatch, SqlError> {
        let mut arrays = Vec::new();
        for (expr, column) in self.outputs.iter().zip(&self.columns) {
            let value = match &expr.kind {
                ExprKind::CountStar => Datum::int(count),
                _ => self.value(expr, None, 0)?,
            };
            let value = value.cast(&column.ty).map_err(|why| SqlError::semantic(expr.at, why))?;
            arrays.push(self.conformed(datum::array(&[value], &column.ty)?, column)?);
        }
        self.batch(arrays, 1)
    }

    fn batch(&self, arrays: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch, SqlError> {
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(self.schema(), arrays, &options)
            .map_err(|error| SqlError::runtime(format_args!("the result: {error}")))
    }

    /// The array in the layout of the result.
    fn conformed(&self, array: ArrayRef, column: &Column) -> Result<ArrayRef, SqlError> {
        let units = Units { datetime: TimeUnit::Millisecond, timestamp: TimeUnit::Nanosecond };
        conform(&array, &column.ty, &arrow_type(&column.ty, units), Stage::Wire(Delivery::default()))
            .map_err(|why| SqlError::runtime(format_args!("column {}: {why}", column.name)))
    }

    fn read(
        &self,
        plan: Plan,
        start: u64,
        count: u64,
        mut sink: impl FnMut(RecordBatch) -> Result<(), SqlError>,
    ) -> Result<(), SqlError> {
        let shared = &self.context.shared;
        let Some(range) = plan.rows(start, count) else { return Ok(()) };
        let mut rows = Rows::new(shared.catalog.clone(), shared.footers.clone(), Arc::new(plan), range, BATCH_ROWS);
        while let Some(source) = rows.next_batch()? {
            self.context.check_cancelled()?;
            let mut arrays = Vec::with_capacity(self.outputs.len());
            for (expr, column) in self.outputs.iter().zip(&self.columns) {
                arrays.push(self.evaluate(expr, column, &source)?);
            }
            sink(self.batch(arrays, source.num_rows())?)?;
        }
        Ok(())
    }

    fn evaluate(&self, expr: &Expr, column: &Column, source: &RecordBatch) -> Result<ArrayRef, SqlError> {
        if let ExprKind::Column(name) = &expr.kind
            && let Some(place) = crate::store::column_index(source.schema_ref(), name)
        {
            return self.conformed(source.column(place).clone(), column);
        }
        let mut values = Vec::with_capacity(source.num_rows());
        for row in 0..source.num_rows() {
            let value = self.value(expr, Some(source), row)?;
            values.push(value.cast(&column.ty).map_err(|why| SqlError::runtime(format_args!("row {row}: {why}")))?);
        }
        self.conformed(datum::array(&values, &column.ty)?, column)
    }

    /// The value of an expression in one row.
    fn value(&self, expr: &Expr, source: Option<&RecordBatch>, row: usize) -> Result<Datum, SqlError> {
        match &expr.kind {
            ExprKind::Literal(value) => Ok(value.clone()),
            ExprKind::Column(name) => {
                let source = source.and_then(|batch| {
                    crate::store::column_index(batch.schema_ref(), name).map(|place| batch.column(place))
                });
                match source {
                    Some(array) => Ok(datum::at(array, row)?),
                    None => Err(SqlError::semantic(expr.at, format_args!("column {name} cannot be resolved"))),
                }
            }
            ExprKind::Cast(inner, ty) => self.value(inner, source, row)?.cast(ty).map_err(SqlError::runtime),
            ExprKind::Arithmetic(op, left, right) => {
                let ty = self.type_of(expr)?;
                let (left, right) = (self.value(left, source, row)?, self.value(right, source, row)?);
                arithmetic(*op, left, right, &ty).map_err(|why| SqlError::semantic(expr.at, why))
            }
            ExprKind::CountStar => Err(SqlError::semantic(expr.at, "COUNT(*) stands alone")),
        }
    }
}

/// Makes names differ, without case, by numbers from 2 on behind those that came before.
fn unique(names: Vec<String>) -> Vec<String> {
    let mut taken: HashSet<String> = HashSet::with_capacity(names.len());
    // What is taken stays taken, so the search for the next `name2`, `name3` goes on where the last one ended.
    let mut next: HashMap<String, usize> = HashMap::new();
    let mut unique = Vec::with_capacity(names.len());
    for name in names {
        let lower = name.to_ascii_lowercase();
        if taken.insert(lower.clone()) {
            unique.push(name);
            continue;
        }
        let number = next.entry(lower.clone()).or_insert(2);
        while !taken.insert(format!("{lower}{number}")) {
            *number += 1;
        }
        unique.push(format!("{name}{number}"));
        *number += 1;
    }
    unique
}

/// The columns that expressions name, each once, in the order in which they come.
fn used_columns(exprs: &[Expr]) -> Vec<String> {
    let (mut used, mut seen) = (Vec::new(), HashSet::new());
    exprs.iter().for_each(|expr| collect_columns(expr, &mut used, &mut seen));
    used
}

fn collect_columns(expr: &Expr, used: &mut Vec<String>, seen: &mut HashSet<String>) {
    match &expr.kind {
        ExprKind::Column(name) => {
            if seen.insert(name.to_ascii_lowercase()) {
                used.push(name.clone());
            }
        }
        ExprKind::Cast(inner, _) => collect_columns(inner, used, seen),
        ExprKind::Arithmetic(_, left, right) => {
            collect_columns(left, used, seen);
            collect_columns(right, used, seen);
        }
        ExprKind::Literal(_) | ExprKind::CountStar => {}
    }
}

/// Whole numbers stay whole but for `/`; exact ones stay exact; everything with a floating side is DOUBLE.
fn arithmetic_type(op: char, left: &Type, right: &Type) -> Option<Type> {
    let rank = |ty: &Type| match ty {
        Type::TinyInt | Type::SmallInt | Type::Int => Some(0),
        Type::BigInt => Some(1),
        Type::Decimal(..) | Type::PlainDecimal => Some(2),
        Type::Float | Type::Double => Some(3),
        _ => None,
    };
    let scale = |ty: &Type| ty.decimal_shape().map_or(0, |(_, scale)| scale);
    Some(match (op, rank(left)?.max(rank(right)?)) {
        ('/', _) | (_, 3) => Type::Double,
        (_, 0) => Type::Int,
        (_, 1) => Type::BigInt,
        ('*', _) => Type::Decimal(38, (scale(left) + scale(right)).min(38)),
        _ => Type::Decimal(38, scale(left).max(scale(right))),
    })
}

fn arithmetic(op: char, left: Datum, right: Datum, ty: &Type) -> Result<Datum, String> {
    if left == Datum::Null || right == Datum::Null {
        return Ok(Datum::Null);
    }
    if *ty == Type::Double {
        let (Datum::Double(a), Datum::Double(b)) = (left.cast(ty)?, right.cast(ty)?) else { return Ok(Datum::Null) };
        return Ok(match op {
            '+' => Datum::Double(a + b),
            '-' => Datum::Double(a - b),
            '*' => Datum::Double(a * b),
            '/' if b == 0.0 => Datum::Null,
            '/' => Datum::Double(a / b),
            _ => Datum::Double(a % b),
        });
    }
    let overflow = || format!("the result of {op} is outside the range of {ty}");
    let (Datum::Number { unscaled: a, scale: s }, Datum::Number { unscaled: b, scale: t }) = (left, right) else {
        return Err("no numbers".into());
    };
    if op == '*' {
        return a.checked_mul(b).map(|unscaled| Datum::Number { unscaled, scale: s + t }).ok_or_else(overflow);
    }
    let common = s.max(t);
    let widen = |v: i128, scale: u32| v.checked_mul(10i128.checked_pow(common - scale)?);
    let (a, b) = (widen(a, s).ok_or_else(overflow)?, widen(b, t).ok_or_else(overflow)?);
    let result = match op {
        '+' => a.checked_add(b),
        '-' => a.checked_sub(b),
        _ if b == 0 => return Ok(Datum::Null),
        _ => a.checked_rem(b),
    };
    result.map(|unscaled| Datum::Number { unscaled, scale: common }).ok_or_else(overflow)
}

/// What a condition selects of a table: exactly the rows for which it is true.
pub fn plan(
    context: &Context,
    table: &Table,
    as_of: Option<(AsOf, Position)>,
    filter: Option<&(String, Position)>,
    columns: &[String],
) -> Result<Plan, SqlError> {
    let shared = &context.shared;
    let missing = || SqlError::no_table(Position::START, short(&table.name));
    let newest = shared.catalog.snapshot(&table.name)?.ok_or_else(missing)?;
    let snapshot = match as_of {
        None => newest,
        Some((as_of, at)) => earlier(&shared.catalog, newest, as_of, at)?,
    };
    let (keys, data): (Vec<String>, Vec<String>) = columns
        .iter()
        .cloned()
        .partition(|name| table.partition_keys.iter().any(|key| key.name.eq_ignore_ascii_case(name)));
    let mut request = CreateRequest {
        required_data_columns: data,
        required_partition_columns: keys,
        filter_predicate: filter.map(|(text, _)| text.clone()).unwrap_or_default(),
        ..CreateRequest::default()
    };
    request.split_options.split_mode = SplitMode::RowOffset;
    let reading = Reading { filter: FilterMode::Exact, json: JsonColumns::Utf8, ..Reading::default() };
    let limits = Limits { strict_delta: false, reading, ..shared.limits };
    let planner = Planner { catalog: &shared.catalog, footers: &shared.footers, limits };
    let mut read = predicate_columns(context, table, filter)?;
    read.extend(columns.iter().cloned());
    let plan = planner.plan(snapshot, &request).map_err(|error| match (error.status, filter) {
        (400, Some((_, at))) => SqlError::semantic(*at, format_args!("WHERE: {}", error.message)),
        _ => SqlError::from(error),
    })?;
    context.reads(table, read);
    Ok(plan)
}

/// The columns that a condition reads, which need the same rights as those that are shown.
pub fn predicate_columns(
    context: &Context,
    table: &Table,
    filter: Option<&(String, Position)>,
) -> Result<Vec<String>, SqlError> {
    let Some((text, at)) = filter else { return Ok(Vec::new()) };
    let shared = &context.shared;
    let planner = Planner { catalog: &shared.catalog, footers: &shared.footers, limits: shared.limits };
    let request = CreateRequest { filter_predicate: text.clone(), ..CreateRequest::default() };
    planner.predicate_columns(table, &request).map_err(|error| match error.status {
        400 => SqlError::semantic(*at, format_args!("WHERE: {}", error.message)),
        _ => SqlError::from(error),
    })
}

/// The table as it was, with the columns that it has now.
fn earlier(catalog: &Catalog, newest: Snapshot, as_of: AsOf, at: Position) -> Result<Snapshot, SqlError> {
    let table = &newest.table;
    let name = short(&table.name);
    if !table.properties.transactional && !table.has_primary_key() {
        return Err(SqlError::semantic(at, format_args!("{name} is not transactional and keeps no earlier versions")));
    }
    let version = match as_of {
        AsOf::Version(version) => version,
        AsOf::Time(ms) => catalog.version_at(table.id, ms)?,
    };
    if !(1..=table.version).contains(&version) {
        let message = format!("{name} has the versions 1 to {}, not {version}", table.version);
        return Err(SqlError::semantic(at, message));
    }
    let kept_since = now_ms() - table.history_ms(false);
    let replaced = catalog.commits(table.id, version, table.version)?.first().map(|commit| commit.1);
    if replaced.is_some_and(|ms| ms < kept_since) {
        let message = format!("version {version} of {name} is kept no longer (acid.data.retain.hours)");
        return Err(SqlError::semantic(at, message));
    }
    let files = catalog.files_between(table.id, version, version, kept_since)?;
    Ok(Snapshot { files, ..newest })
}

/// Stores the rows of a `SELECT` as the result of the instance.
pub fn keep(context: &Context, select: &Select) -> Result<(), SqlError> {
    let query = Query::new(context, select)?;
    let catalog = &context.shared.catalog;
    catalog.create_table(&NewTable::plain(&context.result, &query.columns, &[]))?;
    let Some(table) = catalog.table(&context.result)? else {
        return Err(anyhow::anyhow!("the table of a result is gone").into());
    };
    let target = Target { matching: Matching::Position, max_field_bytes: usize::MAX, ..Target::table(table.clone()) };
    let failed = |error: crate::write::WriteError| SqlError::from(crate::error::ApiError::from(error));
    let mut writer = TableWriter::new(catalog, &target, &query.schema()).map_err(failed)?;
    if let Some(source) = &query.table {
        writer = writer.encrypted_like(catalog, &source.name.project).map_err(failed)?;
    }
    query.run(|batch| writer.write(&batch).map_err(failed))?;
    let written = writer.finish().map_err(failed)?;
    commit_rows(catalog, &target.destination(false), &table, written.files)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_names_get_numbers() {
        let names = |names: &[&str]| unique(names.iter().map(|name| name.to_string()).collect());
        assert_eq!(names(&["a", "A", "b", "a"]), ["a", "A2", "b", "a3"]);
        assert_eq!(names(&["a", "a2", "a", "a", "A3", "a2"]), ["a", "a2", "a3", "a4", "A32", "a22"]);
        assert_eq!(names(&["a2", "a", "a", "a2", "a22"]), ["a2", "a", "a3", "a22", "a222"]);
    }

    #[test]
    fn names_are_as_many_comparisons_would_make_them() {
        // Short names of few letters, so that numbers meet names.
        let mut state = 20_261_128_u64;
        let mut pick = |of: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % of
        };
        for _ in 0..200 {
            let given: Vec<String> =
                (0..40).map(|_| ["a", "A", "a2", "a3", "A22", "b"][pick(6) as usize].to_string()).collect();
            let mut expected: Vec<String> = Vec::new();
            for name in &given {
                let (mut free, mut number) = (name.clone(), 2);
                while expected.iter().any(|other| other.eq_ignore_ascii_case(&free)) {
                    free = format!("{name}{number}");
                    number += 1;
                }
                expected.push(free);
            }
            assert_eq!(unique(given), expected);
        }
    }

    #[test]
    fn ten_thousand_equal_names_and_columns_take_no_time() {
        let start = std::time::Instant::now();
        let names = unique(vec!["a".to_string(); 10_000]);
        assert_eq!((names.len(), names[0].as_str(), names[9_999].as_str()), (10_000, "a", "a10000"));
        let column = |number: usize| ExprKind::Column(format!("c{}", number % 5_000));
        let exprs: Vec<Expr> = (0..10_000).map(|i| Expr { kind: column(i), at: Position::START }).collect();
        assert_eq!(used_columns(&exprs).len(), 5_000);
        assert!(start.elapsed() < std::time::Duration::from_secs(2), "{:?}", start.elapsed());
    }
}
