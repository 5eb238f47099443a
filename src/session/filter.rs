//! What a session filters by: what is sent, what is left to the library, and what is said about it.

use crate::arrow::{Units, data_type, time_unit};
use crate::error::{Error, Kind, Result};
use crate::options::{self, Options};
use crate::predicate::{Conjunct, Exactness, Predicate, Pushdown, TypedColumn, columns_of, push};
use crate::proto::call::ReadSession;
use crate::proto::metadata::ColumnEntry;

/// The columns of a table.
#[derive(Debug)]
pub(super) struct TableColumns {
    /// Columns stored in the table.
    pub data: Vec<ColumnEntry>,
    /// Partition keys.
    pub partition: Vec<ColumnEntry>,
}

/// A filter before the columns of the table are known.
#[derive(Debug)]
pub(super) struct Filter {
    /// The option filter.text, which is sent as it is.
    text: Option<String>,
    /// The same, if it is understood.
    parsed: Option<Predicate>,
    /// The predicate of the call.
    built: Option<Predicate>,
    exact: bool,
}

/// What becomes of a filter.
#[derive(Debug, Default)]
pub(super) struct Prepared {
    /// What became of each conjunct.
    pub conjuncts: Vec<Conjunct>,
    /// What the library filters by, as text; `None` for nothing.
    pub residual: Option<String>,
    /// Columns that are read for the filter only.
    pub hidden: Vec<String>,
}

impl Filter {
    /// Fails where rows shall be filtered by a text that is not understood.
    pub fn new(scan: &Options, built: Option<&Predicate>) -> Result<Self> {
        let text = scan.text(&options::FILTER_TEXT).map(str::to_owned);
        let exact = scan.flag(&options::FILTER_EXACT);
        let parsed = match text.as_deref().map(Predicate::parse) {
            Some(Err(error)) if exact => {
                let message = "with filter.exact=true the library must understand filter.text";
                return Err(Error::new(Kind::InvalidOption, format!("{message}: {}", error.message())));
            }
            Some(parsed) => parsed.ok(),
            None => None,
        };
        Ok(Filter { text, parsed, built: built.cloned(), exact })
    }

    /// Whether the columns of the table must be known: for the types of literals, and for the kind of columns that the engine does not
    /// read.
    pub fn needs_table(&self, wanted: &ReadSession) -> bool {
        self.built.is_some() || !self.unread(wanted).is_empty()
    }

    /// Completes the request, given the columns of the table if they are needed and known.
    pub fn prepare(&self, table: Result<Option<TableColumns>>, wanted: &mut ReadSession) -> Result<Prepared> {
        let mut prepared = Prepared::default();
        let mut sent = Vec::new();
        let refused = match &table {
            // Without the right to see the metadata a predicate is not sent, which costs time but no row.
            Err(error) if error.kind() == Kind::PermissionDenied && self.unread(wanted).is_empty() => {
                log::warn!("the filter is not pushed: {error}");
                Some(format!("not pushed, because the columns of the table are not to be seen: {}", error.message()))
            }
            _ => None,
        };
        let table = if refused.is_some() { None } else { table? };
        if let Some(text) = &self.text {
            sent.push(text.clone());
            prepared.conjuncts.extend(self.of_text(text));
        }
        if let Some(built) = &self.built {
            let pushdown = match (&table, refused) {
                (Some(table), _) => push(built, &typed(table, wanted)?)?,
                (None, reason) => not_pushed(built, &reason.unwrap_or_default()),
            };
            if !pushdown.text.is_empty() {
                sent.push(pushdown.text);
            }
            prepared.conjuncts.extend(pushdown.conjuncts);
        }
        wanted.filter = match sent.as_slice() {
            [] => String::new(),
            [only] => only.clone(),
            parts => parts.iter().map(|part| format!("({part})")).collect::<Vec<_>>().join(" AND "),
        };
        if let Some(residual) = self.residual()? {
            prepared.hidden = self.unread(wanted);
            if let Some(table) = &table {
                // Says so where the table lacks one of them.
                columns_of(&residual, &typed(table, wanted)?)?;
                for name in &prepared.hidden {
                    let is_partition = table.partition.iter().any(|column| same(&column.name, name));
                    let list = if is_partition { &mut wanted.partition_columns } else { &mut wanted.data_columns };
                    list.push(name.clone());
                }
            }
            prepared.residual = Some(residual.to_string());
            for conjunct in &mut prepared.conjuncts {
                conjunct.exactness = Exactness::Exact;
                conjunct.reason = format!("the library filters the rows (filter.exact); {}", conjunct.reason);
            }
        }
        Ok(prepared)
    }

    /// What the library filters by.
    fn residual(&self) -> Result<Option<Predicate>> {
        let parts: Vec<Predicate> = self.parsed.iter().chain(&self.built).cloned().collect();
        if !self.exact || parts.is_empty() {
            return Ok(None);
        }
        let residual = Predicate::and(parts)?;
        // Other processes get it as text.
        if Predicate::parse(&residual.to_string()).is_ok_and(|read| read == residual) {
            return Ok(Some(residual));
        }
        let message =
            "with filter.exact=true no literal may lie outside of the years 0000 to 9999, or have more than 38 digits";
        Err(Error::new(Kind::Unsupported, message))
    }

    /// Columns that the library needs for filtering and that the engine does not read.
    fn unread(&self, wanted: &ReadSession) -> Vec<String> {
        let (data, partition) = (&wanted.data_columns, &wanted.partition_columns);
        let mut unread: Vec<String> = Vec::new();
        if !self.exact || (data.is_empty() && partition.is_empty()) {
            return unread;
        }
        for predicate in self.parsed.iter().chain(&self.built) {
            predicate.visit_columns(&mut |column| {
                let name = column.name();
                if !data.iter().chain(partition).chain(&unread).any(|known| same(known, name)) {
                    unread.push(name.to_owned());
                }
            });
        }
        unread
    }

    fn of_text(&self, text: &str) -> Vec<Conjunct> {
        let conjunct = |text: String, reason: &str| Conjunct {
            pushed: Some(text.clone()),
            text,
            exactness: Exactness::Inexact,
            reason: reason.to_owned(),
        };
        match &self.parsed {
            Some(parsed) => {
                let sent = "sent as part of filter.text; the service skips blocks without such rows, and filters none";
                parsed.conjuncts().iter().map(|part| conjunct(part.to_string(), sent)).collect()
            }
            None => vec![conjunct(text.to_owned(), "the library does not understand it; it was sent as it is")],
        }
    }
}

fn not_pushed(predicate: &Predicate, reason: &str) -> Pushdown {
    let conjunct = |part: &Predicate| Conjunct {
        text: part.to_string(),
        pushed: None,
        exactness: Exactness::Unsupported,
        reason: reason.to_owned(),
    };
    Pushdown { text: String::new(), conjuncts: predicate.conjuncts().iter().map(conjunct).collect() }
}

/// The columns of a table with the types in which the session delivers them.
fn typed(table: &TableColumns, wanted: &ReadSession) -> Result<Vec<TypedColumn>> {
    let units = Units {
        timestamp: time_unit(&wanted.units.timestamp_unit)?,
        datetime: time_unit(&wanted.units.datetime_unit)?,
    };
    let column = |column: &ColumnEntry| TypedColumn {
        name: column.name.clone(),
        type_text: column.type_text.clone(),
        delivered: data_type(&column.type_text, units).ok(),
    };
    Ok(table.data.iter().chain(&table.partition).map(column).collect())
}

fn same(one: &str, other: &str) -> bool {
    one.to_lowercase() == other.to_lowercase()
}
