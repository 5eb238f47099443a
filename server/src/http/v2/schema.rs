//! The two schemas of the protocol: the flat one of read sessions, the nested one of everything else
//! (storage-api-v2-v3.md 2.2 to 2.4).

use serde_json::{Map, Value, json};

use crate::catalog::{Column, Table};
use crate::plan::Plan;
use crate::types::Type;
use crate::write::OPERATION;

/// `DataSchema` of a read session. Names are those of the Arrow columns, in their order.
pub fn read_schema(plan: &Plan) -> Value {
    let of_kind = |partition: bool| -> Vec<Value> {
        let columns = plan.columns.iter().filter(|output| output.partition_index.is_some() == partition);
        columns.map(|output| flat(&output.column, output.id)).collect()
    };
    // They belong to no table, so their numbers only have to be others than those of the columns.
    let last = plan.columns.iter().map(|output| output.id + output.column.ty.nodes()).max().unwrap_or(1);
    let system: Vec<Value> = plan.system_columns.iter().zip(last..).map(|(column, id)| flat(column, id)).collect();
    json!({
        "DataColumns": of_kind(false),
        "PartitionColumns": of_kind(true),
        "SystemColumns": system,
    })
}

/// The Java client insists on all five members.
fn flat(column: &Column, id: i64) -> Value {
    json!({
        "Name": column.name.to_lowercase(),
        "Type": column.ty.to_string(),
        "Comment": column.comment,
        "Nullable": column.nullable,
        "ColumnId": id,
    })
}

/// `TableSchema` of a table that takes rows: everything that a row brings, which is the data columns, the partition
/// columns of which `fixed` names no value, and the operation of a primary-key table. The official clients make their
/// rows of `DataColumns` alone and look into `SystemColumns` to tell such a table, so the operation is in both.
pub fn write_schema(table: &Table, fixed: &[Option<String>]) -> Value {
    let mut ids = Ids { next: 1 };
    let is_key =
        |column: &Column| table.properties.primary_key.iter().any(|key| key.eq_ignore_ascii_case(&column.name));
    let mut data: Vec<Value> = table.columns.iter().map(|column| ids.column(column, is_key(column))).collect();
    let operation = Column::new(OPERATION, Type::TinyInt, true);
    let system: Vec<Value> = table.has_primary_key().then(|| ids.column(&operation, false)).into_iter().collect();
    let keys: Vec<Value> = table.partition_keys.iter().map(|key| ids.column(key, false)).collect();
    data.extend(keys.into_iter().zip(fixed).filter(|(_, value)| value.is_none()).map(|(key, _)| key));
    data.extend(system.iter().cloned());
    json!({"DataColumns": data, "SystemColumns": system})
}

/// `TableSchema` of a result.
pub fn result_schema(columns: &[Column]) -> Value {
    let mut ids = Ids { next: 1 };
    let data: Vec<Value> = columns.iter().map(|column| ids.column(column, false)).collect();
    json!({"DataColumns": data, "SystemColumns": []})
}

/// The column ids of all BLOB leaves of a table.
pub fn blob_ids(table: &Table) -> Vec<i64> {
    let mut found = Vec::new();
    let mut next = 1;
    for column in &table.columns {
        collect_blobs(&column.ty, &mut next, &mut found);
    }
    found
}

fn collect_blobs(ty: &Type, next: &mut i64, found: &mut Vec<i64>) {
    if *ty == Type::Blob {
        found.push(*next);
    }
    *next += 1;
    children(ty).iter().for_each(|(_, child, _)| collect_blobs(child, next, found));
}

/// Numbers every node of the columns in pre-order.
struct Ids {
    next: i64,
}

impl Ids {
    fn column(&mut self, column: &Column, is_key: bool) -> Value {
        let mut node = self.node(&column.name.to_lowercase(), &column.ty, column.nullable);
        if is_key {
            node.insert("IsDistributionKey".into(), json!(true));
        }
        json!({"comment": column.comment, "label": "", "columnType": node})
    }

    fn node(&mut self, name: &str, ty: &Type, nullable: bool) -> Map<String, Value> {
        let mut node = Map::new();
        node.insert("MemberName".into(), json!(name));
        node.insert("ColumnId".into(), json!(self.next));
        node.insert("Nullable".into(), json!(nullable));
        node.insert("Type".into(), json!(code(ty)));
        self.next += 1;
        match ty {
            Type::Decimal(precision, scale) => {
                node.insert("Precision".into(), json!(precision));
                node.insert("Scale".into(), json!(scale));
            }
            Type::Varchar(length) | Type::Char(length) => {
                node.insert("SpecifiedLength".into(), json!(length));
            }
            _ => {}
        }
        let children: Vec<Value> =
            children(ty).into_iter().map(|(name, ty, nullable)| Value::Object(self.node(name, ty, nullable))).collect();
        if !children.is_empty() {
            node.insert("SubTypes".into(), Value::Array(children));
        }
        node
    }
}

/// The nodes under a type: name, type, whether it may be NULL.
fn children(ty: &Type) -> Vec<(&str, &Type, bool)> {
    match ty {
        Type::Array(item) => vec![("element", item, true)],
        Type::Map(key, value) => vec![("key", key, false), ("value", value, true)],
        Type::Struct(fields) => fields.iter().map(|(name, ty)| (name.as_str(), ty, true)).collect(),
        _ => Vec::new(),
    }
}

/// The number of a type in the nested schema.
fn code(ty: &Type) -> i64 {
    match ty {
        Type::BigInt => 0,
        Type::Double => 1,
        Type::Boolean => 2,
        Type::Datetime => 3,
        Type::String => 4,
        Type::Decimal(..) | Type::PlainDecimal => 5,
        Type::TinyInt => 6,
        Type::SmallInt => 7,
        Type::Int => 8,
        Type::Char(_) => 9,
        Type::Varchar(_) => 10,
        Type::Binary => 11,
        Type::Date => 12,
        Type::Timestamp => 13,
        Type::Float => 14,
        Type::IntervalYearMonth => 15,
        Type::IntervalDayTime => 16,
        Type::Array(_) => 17,
        Type::Map(..) => 18,
        Type::Struct(_) => 19,
        Type::Json => 20,
        Type::TimestampNtz => 21,
        Type::Blob => 22,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{TableKind, TableProperties};

    #[test]
    fn nodes_are_numbered_in_pre_order() {
        let table = Table {
            id: 1,
            name: "p.t".parse().unwrap(),
            kind: TableKind::Managed,
            columns: vec![
                Column::new("C1", Type::BigInt, false),
                Column::new("c2", "array<struct<f1:blob,f2:decimal(10,2)>>".parse().unwrap(), true),
                Column::new("c3", "map<string,blob>".parse().unwrap(), true),
            ],
            partition_keys: vec![Column::new("pt", Type::String, true)],
            properties: TableProperties { primary_key: vec!["c1".into()], ..TableProperties::default() },
            version: 1,
            schema_version: 1,
            created_ms: 0,
            modified_ms: 0,
        };
        let schema = write_schema(&table, &[None]);
        let node = |path: &str| schema.pointer(path).cloned().unwrap_or_default();
        assert_eq!(node("/DataColumns/0/columnType/MemberName"), "c1");
        assert_eq!(node("/DataColumns/0/columnType/IsDistributionKey"), true);
        assert_eq!(node("/DataColumns/1/columnType/SubTypes/0/MemberName"), "element");
        assert_eq!(node("/DataColumns/1/columnType/SubTypes/0/SubTypes/0/ColumnId"), 4);
        assert_eq!(node("/DataColumns/1/columnType/SubTypes/0/SubTypes/1/Scale"), 2);
        assert_eq!(
            node("/SystemColumns/0/columnType"),
            json!({"MemberName": OPERATION, "ColumnId": 9, "Nullable": true, "Type": 6})
        );
        let names = |fixed: &[Option<String>]| -> Vec<String> {
            let schema = write_schema(&table, fixed);
            let columns = schema["DataColumns"].as_array().unwrap();
            columns.iter().map(|column| column["columnType"]["MemberName"].as_str().unwrap().to_string()).collect()
        };
        assert_eq!(names(&[None]), ["c1", "c2", "c3", "pt", OPERATION]);
        assert_eq!(names(&[Some("x".into())]), ["c1", "c2", "c3", OPERATION]);
        assert_eq!(blob_ids(&table), [4, 8]);
        let (data, keys) = crate::plan::column_ids(&table);
        let columns = schema["DataColumns"].as_array().unwrap().iter();
        let shown: Vec<i64> = columns.filter_map(|column| column.pointer("/columnType/ColumnId")?.as_i64()).collect();
        assert_eq!(shown, [data, keys, vec![9]].concat());
    }
}
