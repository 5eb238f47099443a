//! The nested form of a schema, with numbers for types: results of instances have it.

use serde::Deserialize;

use super::answer::{Column, DataSchema};

/// Columns in nested form.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct NestedSchema {
    data_columns: Vec<NestedColumn>,
    system_columns: Vec<NestedColumn>,
}

#[derive(Debug, Deserialize)]
struct NestedColumn {
    #[serde(rename = "columnType")]
    column_type: Node,
}

/// A column, or a type inside of its type.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Node {
    #[serde(default)]
    member_name: String,
    #[serde(default = "yes")]
    nullable: bool,
    #[serde(rename = "Type")]
    code: i64,
    #[serde(default)]
    sub_types: Vec<Node>,
    #[serde(default)]
    precision: Option<u32>,
    #[serde(default)]
    scale: Option<u32>,
    #[serde(default)]
    specified_length: Option<u32>,
}

fn yes() -> bool {
    true
}

impl NestedSchema {
    /// The same columns with types as text.
    pub(super) fn into_data_schema(self) -> DataSchema {
        let flat = |columns: Vec<NestedColumn>| {
            let column = |NestedColumn { column_type: node }: NestedColumn| Column {
                type_text: node.type_text(),
                nullable: node.nullable,
                name: node.member_name,
            };
            columns.into_iter().map(column).collect()
        };
        DataSchema {
            data_columns: flat(self.data_columns),
            system_columns: flat(self.system_columns),
            partition_columns: vec![],
        }
    }
}

impl Node {
    /// The type as SQL prints it. Clients take a number that they do not know for a string.
    fn type_text(&self) -> String {
        let children = || self.sub_types.iter().map(Node::type_text).collect::<Vec<_>>().join(",");
        match self.code {
            0 => "bigint".into(),
            1 => "double".into(),
            2 => "boolean".into(),
            3 => "datetime".into(),
            5 => match (self.precision, self.scale) {
                (Some(precision), Some(scale)) => format!("decimal({precision},{scale})"),
                (Some(precision), None) => format!("decimal({precision})"),
                _ => "decimal".into(),
            },
            6 => "tinyint".into(),
            7 => "smallint".into(),
            8 => "int".into(),
            9 => format!("char({})", self.specified_length.unwrap_or_default()),
            10 => format!("varchar({})", self.specified_length.unwrap_or_default()),
            11 => "binary".into(),
            12 => "date".into(),
            13 => "timestamp".into(),
            14 => "float".into(),
            15 => "interval_year_month".into(),
            16 => "interval_day_time".into(),
            17 => format!("array<{}>", children()),
            18 => format!("map<{}>", children()),
            19 => {
                let member = |node: &Node| format!("`{}`:{}", node.member_name, node.type_text());
                format!("struct<{}>", self.sub_types.iter().map(member).collect::<Vec<_>>().join(","))
            }
            20 => "json".into(),
            21 => "timestamp_ntz".into(),
            22 => "blob".into(),
            _ => "string".into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_has_a_type() {
        let types: Vec<String> = (0..24)
            .map(|code| {
                let text = format!(
                    r#"{{"Type":{code},"Precision":10,"Scale":2,"SpecifiedLength":7,"SubTypes":[{{"Type":4,"MemberName":"x"}}]}}"#
                );
                serde_json::from_str::<Node>(&text).unwrap().type_text()
            })
            .collect();
        assert_eq!(
            types,
            [
                "bigint",
                "double",
                "boolean",
                "datetime",
                "string",
                "decimal(10,2)",
                "tinyint",
                "smallint",
                "int",
                "char(7)",
                "varchar(7)",
                "binary",
                "date",
                "timestamp",
                "float",
                "interval_year_month",
                "interval_day_time",
                "array<string>",
                "map<string>",
                "struct<`x`:string>",
                "json",
                "timestamp_ntz",
                "blob",
                "string",
            ]
        );
    }

    #[test]
    fn nested_types_and_nullability() {
        let text = r#"{"DataColumns":[{"comment":"","columnType":{"MemberName":"b","ColumnId":2,"Nullable":false,"Type":18,
            "SubTypes":[{"Type":4},{"MemberName":"value","Type":17,"SubTypes":[{"MemberName":"element","Type":5}]}]}}]}"#;
        let schema = serde_json::from_str::<NestedSchema>(text).unwrap().into_data_schema();
        assert_eq!(
            schema.data_columns,
            [Column { name: "b".into(), type_text: "map<string,array<decimal>>".into(), nullable: false }]
        );
    }
}
