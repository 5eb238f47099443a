//! Partitions of a table.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::UInt32Type;
use arrow_array::{
    ArrayRef, Date32Array, Int8Array, Int16Array, Int32Array, Int64Array, RecordBatch, StringArray, StructArray,
    UInt32Array,
};
use arrow_schema::{DataType, Field, FieldRef, Fields, Schema, SchemaRef};

use super::{times, unfit};
use crate::arrow::{ColumnFacts, Units, expected};
use crate::client::Client;
use crate::error::{Error, Kind, Result};
use crate::predicate::{Literal, Node, Op, Predicate, Selection};
use crate::proto::TableName;
use crate::proto::metadata::{self, ColumnEntry, PartitionEntry};
use crate::transport::Transport;

/// What the value of a partition key is called where the key is NULL.
const NULL_VALUE: &str = "__HIVE_DEFAULT_PARTITION__";

/// The way through the list.
#[derive(Debug)]
pub(super) struct Partitions {
    transport: Arc<Transport>,
    table: TableName,
    keys: Fields,
    filter: Option<Selection>,
    /// Values of the first keys that the filter demands, for the service.
    leading: Vec<(String, String)>,
    marker: Option<String>,
    has_ended: bool,
}

impl Partitions {
    /// The partitions that meet `filter`, a condition on the partition keys.
    pub(super) fn new(
        client: &Client,
        table: TableName,
        keys: &[ColumnEntry],
        filter: Option<&Predicate>,
    ) -> Result<Self> {
        if keys.is_empty() {
            let message = format!("{table} has no partitions: it is not partitioned");
            return Err(Error::new(Kind::InvalidArgument, message));
        }
        let facts = keys.iter().map(|key| ColumnFacts {
            name: &key.name,
            type_text: &key.type_text,
            nullable: true,
            is_partition: true,
        });
        let keys = expected(facts, Units::default())?.fields;
        let selection = filter.map(|filter| Selection::new(filter, &Schema::new(keys.clone())));
        let selection = selection.transpose().map_err(|error| error.context("only partition keys can be filtered"))?;
        Ok(Partitions {
            transport: Arc::clone(client.transport()),
            table,
            leading: filter.map(|filter| leading(filter, &keys)).unwrap_or_default(),
            keys,
            filter: selection,
            marker: None,
            has_ended: false,
        })
    }

    pub(super) fn schema(&self) -> SchemaRef {
        Arc::new(Schema::new(vec![
            Field::new("partition", DataType::Utf8, false),
            Field::new("values", DataType::Struct(self.keys.clone()), false),
            Field::new("size_bytes", DataType::Int64, true),
            Field::new("rows", DataType::Int64, true),
            times::field("created_at"),
            times::field("modified_at"),
        ]))
    }

    /// The partitions of the next page that has some.
    pub(super) async fn next(&mut self) -> Result<Option<RecordBatch>> {
        while !self.has_ended {
            let request = metadata::list_partitions(&self.table, &self.leading, self.marker.as_deref());
            let answer = self.transport.ask_service(request).await;
            let answer = answer.map_err(|error| error.context(format!("listing the partitions of {}", self.table)))?;
            let page = metadata::partitions(&answer.body).map_err(|error| error.with_request_id(&answer.request_id))?;
            self.has_ended = page.next.is_none();
            self.marker = page.next;
            let partitions = self.meeting(page.items)?;
            if !partitions.is_empty() {
                return self.batch(&partitions).map(Some);
            }
        }
        Ok(None)
    }

    /// The partitions that meet the filter.
    fn meeting(&self, partitions: Vec<PartitionEntry>) -> Result<Vec<PartitionEntry>> {
        let Some(filter) = self.filter.as_ref().filter(|_| !partitions.is_empty()) else { return Ok(partitions) };
        // Which rows are left is told by a column with their numbers.
        let numbers: Vec<u32> = (0..).take(partitions.len()).collect();
        let mut columns = self.keys.iter().map(|key| typed(key, &partitions)).collect::<Result<Vec<_>>>()?;
        columns.push(Arc::new(UInt32Array::from(numbers)));
        let number = Arc::new(Field::new("", DataType::UInt32, false));
        let schema = Schema::new(self.keys.iter().cloned().chain([number]).collect::<Vec<_>>());
        let left = filter.apply(&RecordBatch::try_new(Arc::new(schema), columns).map_err(unfit)?)?;
        let mut left: Vec<u32> = match left.columns().last() {
            Some(numbers) => numbers.as_primitive::<UInt32Type>().values().to_vec(),
            None => Vec::new(),
        };
        left.reverse();
        let meets = |number: &u32| left.pop_if(|next| next == number).is_some();
        let kept = (0u32..).zip(partitions).scan(meets, |meets, (number, partition)| Some((meets(&number), partition)));
        Ok(kept.filter_map(|(meets, partition)| meets.then_some(partition)).collect())
    }

    fn batch(&self, partitions: &[PartitionEntry]) -> Result<RecordBatch> {
        let specs = partitions.iter().map(|partition| {
            let pairs: Vec<String> = partition.values.iter().map(|(key, value)| format!("{key}={value}")).collect();
            pairs.join("/")
        });
        let values = self.keys.iter().map(|key| typed(key, partitions)).collect::<Result<Vec<_>>>()?;
        let columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from_iter_values(specs)),
            Arc::new(StructArray::try_new(self.keys.clone(), values, None).map_err(unfit)?),
            Arc::new(partitions.iter().map(|partition| partition.size_bytes).collect::<Int64Array>()),
            Arc::new(partitions.iter().map(|partition| partition.rows).collect::<Int64Array>()),
            times::array(partitions.iter().map(|partition| partition.created)),
            times::array(partitions.iter().map(|partition| partition.modified)),
        ];
        RecordBatch::try_new(self.schema(), columns).map_err(unfit)
    }
}

/// The values that `filter` demands of the first keys: as many as it compares with one value that can be written for the service.
fn leading(filter: &Predicate, keys: &Fields) -> Vec<(String, String)> {
    let parts = match filter.node() {
        Node::And(parts) => parts.as_slice(),
        _ => std::slice::from_ref(filter),
    };
    let demanded = |key: &FieldRef| {
        parts.iter().find_map(|part| match part.node() {
            Node::Compare { column, op: Op::Equal, value } if column.name().eq_ignore_ascii_case(key.name()) => {
                written(value, key.data_type())
            }
            _ => None,
        })
    };
    keys.iter().map_while(|key| Some((key.name().clone(), demanded(key)?))).collect()
}

/// A value as the name of a partition has it; `None` if it could be written in other ways, or not at all.
fn written(value: &Literal, data_type: &DataType) -> Option<String> {
    match (value, data_type) {
        (Literal::Text(text), DataType::Utf8) => {
            let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | ':' | ' ');
            Some(text).filter(|text| !text.is_empty() && text.chars().all(plain)).cloned()
        }
        (Literal::Decimal { unscaled, scale: 0 }, integer) if integer.is_integer() => Some(unscaled.to_string()),
        _ => None,
    }
}

/// The values of one key, as its type.
fn typed(key: &Field, partitions: &[PartitionEntry]) -> Result<ArrayRef> {
    let texts = partitions.iter().map(|partition| {
        let value = partition.values.iter().find(|(name, _)| name.eq_ignore_ascii_case(key.name()));
        let (_, value) = value.ok_or_else(|| {
            Error::new(Kind::CorruptData, format!("a partition has no value of its key {}", key.name()))
        })?;
        Ok(Some(value.as_str()).filter(|value| *value != NULL_VALUE))
    });
    let texts = texts.collect::<Result<Vec<Option<&str>>>>()?;
    fn parsed<T: std::str::FromStr>(key: &Field, texts: &[Option<&str>]) -> Result<Vec<Option<T>>> {
        let parse = |text: &Option<&str>| text.map(|text| text.parse().map_err(|_| not_a_value(key, text))).transpose();
        texts.iter().map(parse).collect()
    }
    Ok(match key.data_type() {
        DataType::Int8 => Arc::new(Int8Array::from(parsed::<i8>(key, &texts)?)),
        DataType::Int16 => Arc::new(Int16Array::from(parsed::<i16>(key, &texts)?)),
        DataType::Int32 => Arc::new(Int32Array::from(parsed::<i32>(key, &texts)?)),
        DataType::Int64 => Arc::new(Int64Array::from(parsed::<i64>(key, &texts)?)),
        DataType::Utf8 => Arc::new(StringArray::from(texts)),
        DataType::Date32 => {
            let day = |text: &Option<&str>| {
                text.map(|text| times::day(text).ok_or_else(|| not_a_value(key, text))).transpose()
            };
            Arc::new(Date32Array::from(texts.iter().map(day).collect::<Result<Vec<_>>>()?))
        }
        other => {
            let message = format!("partition key {} has the type {other}, which partitions cannot have", key.name());
            return Err(Error::new(Kind::SchemaMismatch, message));
        }
    })
}

fn not_a_value(key: &Field, text: &str) -> Error {
    Error::new(Kind::CorruptData, format!("`{text}` of partition key {} is no {}", key.name(), key.data_type()))
}
