//! Metadata of the service endpoint: projects, schemas, tables, partitions; XML envelopes, with JSON in the one of a table.

use serde_json::{Map, Value};

use super::xml::Element;
use super::{Method, Request, TableName};
use crate::error::{Error, Kind, Result};

/// Items that a page of a list should have.
const PAGE_ITEMS: u32 = 1000;
/// The schema that is meant when none is named.
const DEFAULT_SCHEMA: &str = "default";

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// What the page holds; may be empty although more pages follow.
    pub items: Vec<T>,
    /// Where the next page begins; `None` behind the last.
    pub next: Option<String>,
}

/// An entry of a list of projects, schemas or tables.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Entry {
    /// Name.
    pub name: String,
    /// Owner, empty if it is not told.
    pub owner: String,
    /// Word for its kind, for example `MANAGED_TABLE`; empty if it is not told.
    pub kind: String,
}

/// A partition of a list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PartitionEntry {
    /// Key and value, in the order of the partition keys.
    pub values: Vec<(String, String)>,
    /// Stored bytes.
    pub size_bytes: Option<i64>,
    /// Rows.
    pub rows: Option<i64>,
    /// Time of creation, epoch seconds.
    pub created: Option<i64>,
    /// Time of the last change of its data, epoch seconds.
    pub modified: Option<i64>,
}

/// A column as metadata tell it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ColumnEntry {
    /// Name.
    pub name: String,
    /// MaxCompute type text.
    pub type_text: String,
    /// Comment, may be empty.
    pub comment: String,
    /// Whether values may be NULL.
    pub nullable: bool,
}

fn list(segments: &[&str], marker: Option<&str>) -> Request {
    let request = Request::new(Method::Get, segments.iter().copied()).query("expectmarker", "true");
    let request = request.query("maxitems", PAGE_ITEMS);
    match marker {
        Some(marker) => request.query("marker", marker),
        None => request,
    }
}

/// Adds what is only said of schemas other than the one that is always there.
fn in_schema(request: Request, schema: &str) -> Request {
    if schema.eq_ignore_ascii_case(DEFAULT_SCHEMA) { request } else { request.query("curr_schema", schema) }
}

/// Asks for a page of the projects that the caller may see.
pub fn list_projects(marker: Option<&str>) -> Request {
    list(&["projects"], marker)
}

/// Asks for one project.
pub fn get_project(project: &str) -> Request {
    Request::new(Method::Get, ["projects", project])
}

/// Asks for a page of the schemas of a project.
pub fn list_schemas(project: &str, marker: Option<&str>) -> Request {
    list(&["projects", project, "schemas"], marker)
}

/// Asks for a page of the tables of a schema whose names begin with `prefix`.
pub fn list_tables(project: &str, schema: &str, prefix: &str, marker: Option<&str>) -> Request {
    let request = in_schema(list(&["projects", project, "tables"], marker), schema);
    if prefix.is_empty() { request } else { request.query("name", prefix) }
}

/// Asks for a table, with or without what is only told on demand.
pub fn get_table(table: &TableName, extended: bool) -> Request {
    let request = Request::new(Method::Get, ["projects", &table.project, "tables", &table.table]);
    in_schema(if extended { request.query("extended", "") } else { request }, &table.schema)
}

/// Asks for a page of the partitions of a table that `leading` values select: values of its first partition keys.
pub fn list_partitions(table: &TableName, leading: &[(String, String)], marker: Option<&str>) -> Request {
    let request = list(&["projects", &table.project, "tables", &table.table], marker).query("partitions", "");
    let spec: Vec<String> = leading.iter().map(|(key, value)| format!("{key}='{value}'")).collect();
    let request = if spec.is_empty() { request } else { request.query("partition", spec.join(",")) };
    in_schema(request, &table.schema)
}

/// Reads a page of projects, schemas or tables.
pub fn entries(body: &[u8]) -> Result<Page<Entry>> {
    page(body, &["Project", "Schema", "Table"], |item| {
        Ok(Entry {
            name: item.text_of("Name").to_owned(),
            owner: item.text_of("Owner").to_owned(),
            kind: item.text_of("Type").to_owned(),
        })
    })
}

/// Reads a page of partitions.
pub fn partitions(body: &[u8]) -> Result<Page<PartitionEntry>> {
    page(body, &["Partition"], |item| {
        let values = item.children("Column").map(|column| {
            let of = |name| column.attribute(name).map(str::to_owned);
            of("Name").zip(of("Value")).ok_or_else(|| malformed("a partition has a value without name"))
        });
        let number = |name| item.text_of(name).parse::<i64>().ok().filter(|number| *number >= 0);
        Ok(PartitionEntry {
            values: values.collect::<Result<Vec<_>>>()?,
            size_bytes: number("PartitionSize"),
            rows: number("PartitionRecordCount"),
            created: number("CreationTime"),
            modified: number("LastModifiedTime"),
        })
    })
}

fn page<T>(body: &[u8], names: &[&str], read: impl Fn(&Element) -> Result<T>) -> Result<Page<T>> {
    let root = Element::parse(body)
        .ok_or_else(|| malformed("the list is not XML; does the service endpoint have the path /api?"))?;
    let items = names.iter().flat_map(|name| root.children(name)).map(read).collect::<Result<Vec<_>>>()?;
    let next = Some(root.text_of("Marker")).filter(|marker| !marker.is_empty()).map(str::to_owned);
    Ok(Page { items, next })
}

fn malformed(message: &str) -> Error {
    Error::new(Kind::CorruptData, message)
}

/// What is known about a table: the document that every table has, and what is only told on demand.
#[derive(Debug, Clone, Default)]
pub struct TableDocument {
    /// Word for its kind, for example `MANAGED_TABLE`; empty if it is not told.
    pub kind: String,
    /// Id, empty if it is not told.
    pub id: String,
    /// Time of creation and of the last change, as HTTP dates; empty if they are not told.
    dates: [String; 2],
    facts: Map<String, Value>,
    reserved: Map<String, Value>,
}

impl TableDocument {
    /// Reads an answer to [`get_table`].
    pub fn parse(body: &[u8]) -> Result<Self> {
        let root = Element::parse(body).filter(|root| root.name() == "Table");
        let root = root.ok_or_else(|| malformed("the description of the table is not the XML document of one"))?;
        let facts: Map<String, Value> = serde_json::from_str(root.text_of("Schema"))
            .map_err(|error| malformed(&format!("the description of the table cannot be read: {error}")))?;
        let reserved = match facts.get("Reserved") {
            Some(Value::String(text)) => serde_json::from_str(text).unwrap_or_default(),
            Some(Value::Object(object)) => object.clone(),
            _ => Map::new(),
        };
        Ok(TableDocument {
            kind: root.text_of("Type").to_owned(),
            id: root.text_of("TableId").to_owned(),
            dates: ["CreationTime", "LastModifiedTime"].map(|name| root.text_of(name).to_owned()),
            facts,
            reserved,
        })
    }

    /// Whether the document has the columns; one with the facts on demand may have nothing else.
    pub fn is_complete(&self) -> bool {
        self.facts.contains_key("columns")
    }

    /// Adds what only the other document says.
    pub fn merge(&mut self, other: TableDocument) {
        for (mine, theirs) in [(&mut self.facts, other.facts), (&mut self.reserved, other.reserved)] {
            for (key, value) in theirs {
                mine.entry(key).or_insert(value);
            }
        }
        for (mine, theirs) in [(&mut self.kind, other.kind), (&mut self.id, other.id)] {
            if mine.is_empty() {
                *mine = theirs;
            }
        }
        for (mine, theirs) in self.dates.iter_mut().zip(other.dates) {
            if mine.is_empty() {
                *mine = theirs;
            }
        }
    }

    /// Columns stored in the table.
    pub fn data_columns(&self) -> Result<Vec<ColumnEntry>> {
        columns(self.facts.get("columns"))
    }

    /// Partition keys, in order.
    pub fn partition_keys(&self) -> Result<Vec<ColumnEntry>> {
        columns(self.facts.get("partitionKeys"))
    }

    /// A number; `None` if it is not told, and for negative ones, which stand for unknown.
    pub fn number(&self, key: &str) -> Option<i64> {
        self.fact(key).and_then(as_number).filter(|number| *number >= 0)
    }

    /// Whether a fact is true.
    pub fn flag(&self, key: &str) -> bool {
        match self.fact(key) {
            Some(Value::Bool(flag)) => *flag,
            Some(Value::String(text)) => text.eq_ignore_ascii_case("true"),
            _ => false,
        }
    }

    /// A text, empty if it is not told.
    pub fn text(&self, key: &str) -> &str {
        self.fact(key).and_then(Value::as_str).unwrap_or_default()
    }

    /// A list of names.
    pub fn names(&self, key: &str) -> Vec<String> {
        let items = self.fact(key).and_then(Value::as_array);
        items.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    }

    /// The columns that rows are sorted by within a bucket, and whether each ascends.
    pub fn sort_columns(&self) -> Vec<(String, bool)> {
        let items = self.fact("SortCols").and_then(Value::as_array);
        let sorted = items.into_iter().flatten().filter_map(|item| {
            let column = item.get("col")?.as_str()?.to_owned();
            let descends =
                item.get("order").and_then(Value::as_str).is_some_and(|order| order.eq_ignore_ascii_case("desc"));
            Some((column, !descends))
        });
        sorted.collect()
    }

    /// Epoch seconds of the creation.
    pub fn created(&self) -> Option<i64> {
        self.time("createTime", 0)
    }

    /// Epoch seconds of the last change of data.
    pub fn modified(&self) -> Option<i64> {
        self.time("lastModifiedTime", 1)
    }

    fn time(&self, key: &str, date: usize) -> Option<i64> {
        let told = self.number(key).filter(|seconds| *seconds > 0);
        told.or_else(|| {
            let date = httpdate::parse_http_date(self.dates.get(date)?).ok()?;
            i64::try_from(date.duration_since(std::time::UNIX_EPOCH).ok()?.as_secs()).ok()
        })
    }

    fn fact(&self, key: &str) -> Option<&Value> {
        self.facts.get(key).or_else(|| self.reserved.get(key))
    }
}

fn as_number(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

fn columns(list: Option<&Value>) -> Result<Vec<ColumnEntry>> {
    let items = list.and_then(Value::as_array).into_iter().flatten();
    let column = |item: &Value| {
        let text = |key| item.get(key).and_then(Value::as_str).map(str::to_owned);
        let (name, type_text) = text("name")
            .zip(text("type"))
            .ok_or_else(|| malformed("the description of the table has a column without name or type"))?;
        let nullable = item.get("isNullable").and_then(Value::as_bool).unwrap_or(true);
        Ok(ColumnEntry { name, type_text, comment: text("comment").unwrap_or_default(), nullable })
    };
    items.map(column).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> TableName {
        TableName { project: "p".into(), schema: "s".into(), table: "t".into() }
    }

    #[test]
    fn requests_name_schema_prefix_and_page() {
        assert_eq!(list_projects(None).url(""), "/projects?expectmarker=true&maxitems=1000");
        assert_eq!(
            list_tables("p", "s", "or", Some("m1")).url(""),
            "/projects/p/tables?expectmarker=true&maxitems=1000&marker=m1&curr_schema=s&name=or"
        );
        assert_eq!(list_tables("p", "default", "", None).url(""), "/projects/p/tables?expectmarker=true&maxitems=1000");
        assert_eq!(get_table(&table(), true).url(""), "/projects/p/tables/t?extended&curr_schema=s");
        let leading = [("dt".to_owned(), "1".to_owned()), ("r".to_owned(), "cn".to_owned())];
        assert!(
            list_partitions(&table(), &leading, None)
                .url("")
                .contains("&partitions&partition=dt%3D%271%27%2Cr%3D%27cn%27&")
        );
    }

    #[test]
    fn pages_have_items_and_a_next() {
        let page = entries(
            b"<Tables><Marker>m2</Marker><MaxItems>2</MaxItems><Table><Name>orders</Name><Owner>o</Owner><Type>MANAGED_TABLE</Type></Table>\
              <Table><Name>v</Name></Table></Tables>",
        )
        .unwrap();
        assert_eq!(page.next.as_deref(), Some("m2"));
        assert_eq!(page.items[0], Entry { name: "orders".into(), owner: "o".into(), kind: "MANAGED_TABLE".into() });
        assert_eq!(page.items[1].kind, "");
        assert_eq!(entries(b"<html").unwrap_err().kind(), Kind::CorruptData);
    }

    #[test]
    fn partitions_with_and_without_figures() {
        let page = partitions(
            br#"<Partitions><Marker/><Partition><Column Name="dt" Value="1"/><Column Name="r" Value="a&amp;b"/><CreationTime>7</CreationTime>
                <PartitionSize>1024</PartitionSize><PartitionRecordCount>-1</PartitionRecordCount></Partition></Partitions>"#,
        )
        .unwrap();
        assert_eq!(page.next, None);
        let first = &page.items[0];
        assert_eq!(first.values, [("dt".to_owned(), "1".to_owned()), ("r".to_owned(), "a&b".to_owned())]);
        assert_eq!((first.size_bytes, first.rows, first.created, first.modified), (Some(1024), None, Some(7), None));
    }

    #[test]
    fn a_table_in_one_document_and_in_two() {
        let base = br#"<Table><Name>t</Name><TableId>i</TableId><Type>MANAGED_TABLE</Type>
            <CreationTime>Wed, 15 Jan 2025 08:30:00 GMT</CreationTime>
            <Schema format="Json"><![CDATA[{"columns":[{"name":"a","type":"bigint","comment":"c","isNullable":false},{"name":"b","type":"string"}],
            "partitionKeys":[{"name":"dt","type":"string"}],"size":5,"recordNum":-1,"lastModifiedTime":0}]]></Schema></Table>"#;
        let extended = concat!(
            r#"<Table><Name>t</Name><Schema>{"PhysicalSize":"12","Reserved":"{\"ClusterType\":\"hash\",\"BucketNum\":16,"#,
            r#"\"SortCols\":[{\"col\":\"a\",\"order\":\"asc\"},{\"col\":\"b\",\"order\":\"DESC\"}],\"PrimaryKey\":[\"a\"],"#,
            r#"\"Transactional\":\"TRUE\"}"}</Schema></Table>"#
        );
        let mut document = TableDocument::parse(extended.as_bytes()).unwrap();
        assert!(!document.is_complete());
        document.merge(TableDocument::parse(base).unwrap());
        assert!(document.is_complete());
        let columns = document.data_columns().unwrap();
        assert_eq!((columns[0].nullable, columns[0].comment.as_str(), columns[1].nullable), (false, "c", true));
        assert_eq!(document.partition_keys().unwrap()[0].name, "dt");
        assert_eq!(
            (document.number("PhysicalSize"), document.number("recordNum"), document.number("BucketNum")),
            (Some(12), None, Some(16))
        );
        assert_eq!(document.sort_columns(), [("a".to_owned(), true), ("b".to_owned(), false)]);
        assert_eq!((document.names("PrimaryKey"), document.flag("Transactional")), (vec!["a".to_owned()], true));
        assert_eq!((document.kind.as_str(), document.id.as_str()), ("MANAGED_TABLE", "i"));
        assert_eq!((document.created(), document.modified()), (Some(1_736_929_800), None));
    }

    #[test]
    fn strange_descriptions_are_errors() {
        for body in ["", "<Table/>", "<Table><Schema>[]</Schema></Table>", "<Error><Code>x</Code></Error>"] {
            assert_eq!(TableDocument::parse(body.as_bytes()).unwrap_err().kind(), Kind::CorruptData, "{body}");
        }
        let odd = TableDocument::parse(br#"<Table><Schema>{"columns":[{"name":"a"}]}</Schema></Table>"#).unwrap();
        assert_eq!(odd.data_columns().unwrap_err().kind(), Kind::CorruptData);
    }
}
