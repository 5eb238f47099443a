//! The documents of tables (account-routing-metadata.md 3.3): base and extended form in one.

use serde_json::{Map, Value, json};

use super::service::{OWNER, http_date};
use super::xml::{element, escape};
use crate::catalog::{ClusteringKind, Column, Table, TableKind};

/// Rows, bytes and files.
#[derive(Clone, Copy, Default)]
pub struct Size {
    pub rows: u64,
    pub bytes: u64,
    pub files: u64,
}

fn column(column: &Column) -> Value {
    json!({"name": column.name, "type": column.ty.to_string(), "comment": column.comment, "label": "",
           "extendedLabels": [], "isNullable": column.nullable, "hasDefaultValue": false, "defaultValue": ""})
}

/// `<Table>` with everything that is known. Two-tier projects are named without schema, which Java takes for a sign.
pub fn document(table: &Table, owner: Option<&str>, size: Size) -> String {
    let owner = owner.unwrap_or(OWNER);
    let schema_name = match table.name.schema.eq_ignore_ascii_case("default") {
        true => String::new(),
        false => element("SchemaName", &table.name.schema),
    };
    let children = [
        element("Name", &table.name.table),
        element("TableId", &format!("{:032x}", table.id)),
        element("Project", &table.name.project),
        schema_name,
        format!("<Schema format=\"Json\">{}</Schema>", escape(&schema(table, owner, size).to_string())),
        element("Comment", &table.properties.comment),
        element("Owner", owner),
        "<TableLabel/><CryptoAlgo/>".to_string(),
        element("CreationTime", &http_date(table.created_ms)),
        element("LastModifiedTime", &http_date(table.modified_ms)),
        "<LastAccessTime/>".to_string(),
        element("Type", table.kind.name()),
    ];
    format!("<Table>{}</Table>", children.concat())
}

/// The entry of a table in a list.
pub fn entry(table: &Table, owner: Option<&str>) -> String {
    let children = [
        element("Name", &table.name.table),
        element("Owner", owner.unwrap_or(OWNER)),
        element("Type", table.kind.name()),
    ];
    format!("<Table>{}</Table>", children.concat())
}

fn schema(table: &Table, owner: &str, size: Size) -> Value {
    let (created, modified) = (table.created_ms / 1000, table.modified_ms / 1000);
    let properties = &table.properties;
    let columns = |columns: &[Column]| columns.iter().map(column).collect::<Vec<_>>();
    // Rows of a primary-key table are known only after merging.
    let rows = if table.has_primary_key() || !table.kind.stores_rows() { -1 } else { size.rows as i64 };
    let mut document = json!({
        "tableName": table.name.table, "owner": owner, "comment": properties.comment, "createTime": created,
        "lastDDLTime": created, "lastModifiedTime": modified, "lastAccessTime": 0,
        "lifecycle": properties.lifecycle.unwrap_or(-1), "hubLifecycle": -1, "tableLabel": "", "extendedLabel": [],
        "isVirtualView": table.kind == TableKind::VirtualView,
        "isMaterializedView": table.kind == TableKind::MaterializedView,
        "isExternal": table.kind == TableKind::External, "isObjectTable": false, "shardExist": false,
        "size": size.bytes, "recordNum": rows,
        "columns": columns(&table.columns), "partitionKeys": columns(&table.partition_keys),
        "IsArchived": false, "PhysicalSize": size.bytes, "FileNum": size.files,
        "Reserved": reserved(table, size).to_string()
    });
    if let Some(map) = document.as_object_mut() {
        by_kind(table, map);
        if !properties.extra.is_empty() {
            map.insert("tableProperties".into(), json!(json!(properties.extra).to_string()));
        }
    }
    document
}

/// Keys that only some kinds of tables have.
fn by_kind(table: &Table, document: &mut Map<String, Value>) {
    let extra = &table.properties.extra;
    if let Some(text) = &table.properties.view_text {
        document.insert("viewText".into(), json!(text));
        document.insert("viewExpandedText".into(), json!(text));
    }
    match table.kind {
        TableKind::MaterializedView => {
            let is_used = extra.get("enable_auto_substitute").is_none_or(|value| !value.eq_ignore_ascii_case("false"));
            document.insert("isMaterializedViewRewriteEnabled".into(), json!(is_used.to_string()));
            let names = ["enable_auto_refresh", "refresh_interval_minutes", "refresh_cron", "enable_auto_substitute"];
            let props: Map<String, Value> =
                names.iter().filter_map(|name| Some((name.to_string(), json!(extra.get(*name)?)))).collect();
            document.insert("props".into(), Value::Object(props));
        }
        TableKind::External => {
            for (key, name) in
                [("storageHandler", "storage_handler"), ("location", "location"), ("resources", "resources")]
            {
                document.insert(key.into(), json!(extra.get(name).cloned().unwrap_or_default()));
            }
            let own = ["storage_handler", "location", "resources", "stored_as", "row_format_serde"];
            let serde: Map<String, Value> = extra
                .iter()
                .filter(|(name, _)| !own.contains(&name.as_str()))
                .map(|(name, value)| (name.clone(), json!(value)))
                .collect();
            document.insert("serDeProperties".into(), json!(Value::Object(serde).to_string()));
        }
        TableKind::Managed | TableKind::VirtualView => {}
    }
}

/// The JSON text inside `Reserved`.
fn reserved(table: &Table, size: Size) -> Value {
    let properties = &table.properties;
    let mut map = Map::new();
    map.insert("schema_version".into(), json!(table.schema_version.to_string()));
    let order = |ascending: bool| if ascending { "asc" } else { "desc" };
    if let Some(clustering) = &properties.clustering {
        let kind = if clustering.kind == ClusteringKind::Hash { "hash" } else { "range" };
        let sort: Vec<Value> =
            clustering.sort.iter().map(|sort| json!({"col": sort.column, "order": order(sort.ascending)})).collect();
        map.insert("ClusterType".into(), json!(kind));
        map.insert("BucketNum".into(), json!(clustering.buckets));
        map.insert("ClusterCols".into(), json!(clustering.columns));
        map.insert("SortCols".into(), json!(sort));
    }
    if table.has_primary_key() || table.properties.transactional {
        map.insert("Transactional".into(), json!("true"));
        let hours = properties.extra.get("acid.data.retain.hours").cloned().unwrap_or_else(|| "24".into());
        map.insert("acid.data.retain.hours".into(), json!(hours));
    }
    if table.has_primary_key() {
        let keys = &properties.primary_key;
        map.insert("PrimaryKey".into(), json!(keys));
        if properties.clustering.is_none() {
            let sort: Vec<Value> = keys.iter().map(|key| json!({"col": key, "order": "asc"})).collect();
            map.insert("ClusterType".into(), json!("hash"));
            map.insert("BucketNum".into(), json!(table.bucket_count()));
            map.insert("ClusterCols".into(), json!(keys));
            map.insert("SortCols".into(), json!(sort));
        }
        map.insert("cdc_size".into(), json!(size.bytes.to_string()));
        map.insert("cdc_record_num".into(), json!(size.rows.to_string()));
        map.insert("cdc_latest_version".into(), json!(table.version.to_string()));
        map.insert("cdc_latest_timestamp".into(), json!((table.modified_ms / 1000).to_string()));
    }
    if table.kind == TableKind::External
        && let Some(format) = properties.extra.get("stored_as")
    {
        map.insert("StoredAs".into(), json!(format));
    }
    Value::Object(map)
}
