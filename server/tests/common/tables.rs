//! Tables of every kind, put into the catalogue of a root that no server has open.

use rusqlite::{Connection, params};
use serde_json::{Value, json};

use super::Root;

/// A table to put into a catalogue.
pub struct Declared<'a> {
    pub name: &'a str,
    pub kind: &'a str,
    /// Name, type, and whether NULL is allowed.
    pub columns: &'a [(&'a str, &'a str, bool)],
    pub partition_keys: &'a [(&'a str, &'a str)],
    pub properties: Value,
}

impl<'a> Declared<'a> {
    /// A table with a primary key and change capture.
    pub fn delta(name: &'a str, columns: &'a [(&'a str, &'a str, bool)], key: &str) -> Declared<'a> {
        let extra = json!({"acid.cdc.mode.enable": "true", "write.bucket.num": "4"});
        let properties = json!({"primary_key": [key], "transactional": true, "extra": extra});
        Declared { name, kind: "MANAGED_TABLE", columns, partition_keys: &[], properties }
    }
}

impl Root {
    /// Adds a table to the project `local`.
    pub fn declare(&self, table: &Declared) {
        let database = self.path().join("catalog.sqlite");
        if !database.exists() {
            drop(self.serve(&[]));
        }
        let column =
            |(name, ty, nullable): &(&str, &str, bool)| json!({"name": name, "type": ty, "nullable": nullable});
        let columns: Vec<Value> = table.columns.iter().map(column).collect();
        let keys = table.partition_keys.iter().map(|(name, ty)| json!({"name": name, "type": ty, "nullable": true}));
        let keys: Vec<Value> = keys.collect();
        let connection = Connection::open(database).unwrap();
        let added = connection.execute(
            "insert into tables(project, schema, name, kind, columns, partition_keys, properties, version,
               schema_version, created_ms, modified_ms)
             values ('local', 'default', ?1, ?2, ?3, ?4, ?5, 1, 1, 1000, 1000)",
            params![
                table.name,
                table.kind,
                json!(columns).to_string(),
                json!(keys).to_string(),
                table.properties.to_string()
            ],
        );
        assert_eq!(added.unwrap(), 1);
        let id = connection.last_insert_rowid();
        connection.execute("insert into commits(table_id, version, committed_ms) values (?1, 1, 1000)", [id]).unwrap();
    }
}
