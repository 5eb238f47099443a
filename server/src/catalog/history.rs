//! Earlier versions of transactional tables: what they consisted of, when they were committed, how long they are kept.

use anyhow::Result;
use rusqlite::params;

use super::files::{SELECT_FILE, read_file};
use super::{Catalog, DataFile, Table};

const HOUR_MS: i64 = 3_600_000;

/// Hours for which a table keeps its history unless it says something else.
const DEFAULT_HOURS: i64 = 24;

/// Hours at most: a hundred years.
const MAX_HOURS: i64 = 24 * 36_525;

/// Whether a replaced file belongs to a history that is still kept at time `?3`: [`Table::history_ms`] in SQL.
pub(super) const IS_HISTORY: &str = "exists (
  select 1 from tables where tables.id = files.table_id
  and (json_array_length(properties, '$.primary_key') > 0 or json_extract(properties, '$.transactional'))
  and files.dropped_ms > ?3 - 3600000 * min(876600, max(
    coalesce(cast(json_extract(properties, '$.extra.\"acid.data.retain.hours\"') as integer), 24),
    coalesce(cast(json_extract(properties, '$.extra.\"cdc.data.retain.hours\"') as integer), 0))))";

impl Table {
    /// For how long states of the table are kept after they were replaced; changes as such may be kept for longer.
    pub fn history_ms(&self, changes: bool) -> i64 {
        let hours = |name: &str| self.properties.extra.get(name).and_then(|text| text.trim().parse::<i64>().ok());
        let states = hours("acid.data.retain.hours").unwrap_or(DEFAULT_HOURS);
        let hours = if changes { states.max(hours("cdc.data.retain.hours").unwrap_or(0)) } else { states };
        hours.clamp(0, MAX_HOURS) * HOUR_MS
    }
}

impl Catalog {
    /// The files that were part of version `start`, and those that became part of the table until version `end`, in
    /// commit order. What was replaced after `end` looks as if it were not; what was replaced before `kept_since` is
    /// left out.
    pub fn files_between(&self, table_id: i64, start: i64, end: i64, kept_since: i64) -> Result<Vec<DataFile>> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(&format!(
            "{SELECT_FILE} and version <= ?3 and (dropped_version is null or dropped_version > ?2)
             and (dropped_ms is null or dropped_ms >= ?4) order by seq"
        ))?;
        let rows = statement.query_map(params![table_id, start, end, kept_since], read_file)?;
        let mut files: Vec<DataFile> = rows.collect::<Result<_, _>>()?;
        for file in &mut files {
            file.dropped_version = file.dropped_version.filter(|version| *version <= end);
        }
        Ok(files)
    }

    /// The newest version that was committed by a time, 0 if there was none.
    pub fn version_at(&self, table_id: i64, ms: i64) -> Result<i64> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(
            "select coalesce(max(version), 0) from commits where table_id = ?1 and committed_ms <= ?2",
        )?;
        Ok(statement.query_row([table_id, ms], |row| row.get(0))?)
    }

    /// Versions after `start` until `end`, each with the time of its commit.
    pub fn commits(&self, table_id: i64, start: i64, end: i64) -> Result<Vec<(i64, i64)>> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(
            "select version, committed_ms from commits where table_id = ?1 and version > ?2 and version <= ?3
             order by version",
        )?;
        let rows = statement.query_map([table_id, start, end], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Change, Column, IfExists, NewFile, NewTable, TableName};
    use super::*;
    use crate::clock::now_ms;
    use crate::types::Type;

    #[test]
    fn history_is_kept_as_long_as_the_table_says() {
        let root = tempfile::tempdir().unwrap();
        let catalog = Catalog::open(root.path()).unwrap();
        let name: TableName = "p.default.t".parse().unwrap();
        let columns = [Column::new("id", Type::BigInt, false)];
        let mut table = NewTable::plain(&name, &columns, &[]);
        table.properties.primary_key = vec!["id".into()];
        table.properties.extra.insert("acid.data.retain.hours".into(), "48".into());
        let id = catalog.create_table(&table).unwrap().unwrap();
        let replace = |file: &str| {
            let change = Change {
                table: name.clone(),
                columns: columns.to_vec(),
                partition_keys: Vec::new(),
                if_exists: IfExists::Overwrite,
                partition: None,
            };
            std::fs::write(catalog.file_path(file), "x").unwrap();
            let file = NewFile { id: file.into(), partition: Vec::new(), bucket: Some(0), rows: 1, bytes: 1 };
            catalog.commit(&change, &[file]).unwrap();
        };
        replace("old");
        replace("new");
        let files = |start, end, since| {
            let files = catalog.files_between(id, start, end, since).unwrap();
            files.into_iter().map(|file| (file.id, file.version, file.dropped_version)).collect::<Vec<_>>()
        };
        let (old, new) = (("old".to_string(), 2, Some(3)), ("new".to_string(), 3, None));
        assert_eq!(files(0, 3, 0), [old.clone(), new.clone()]);
        assert_eq!(files(2, 3, 0), [old.clone(), new.clone()]);
        assert_eq!(files(3, 3, 0), std::slice::from_ref(&new));
        assert_eq!(files(1, 2, 0), [("old".to_string(), 2, None)]);
        assert_eq!(files(0, 3, i64::MAX), [new]);
        let commits = catalog.commits(id, 0, 9).unwrap();
        assert_eq!(commits.iter().map(|commit| commit.0).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(catalog.version_at(id, 0).unwrap(), 0);
        assert_eq!(catalog.version_at(id, commits[2].1).unwrap(), 3);
        let table = catalog.table(&name).unwrap().unwrap();
        assert_eq!(table.history_ms(false), 48 * HOUR_MS);
        let age = |hours: i64| {
            let dropped = now_ms() - hours * HOUR_MS;
            catalog.lock().execute("update files set dropped_ms = ?1 where id = 'old'", [dropped]).unwrap();
            catalog.collect_garbage(0).unwrap()
        };
        assert_eq!((age(47), age(49)), (0, 1));
    }
}
