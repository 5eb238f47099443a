//! Choices about values on the wire that the protocol documents leave open.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields};
use serde::{Deserialize, Serialize};

use super::Type;

/// What happens to a TIMESTAMP that the Arrow unit of the session cannot hold, such as the year 3000 in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Timestamps {
    /// The nearest instant that fits.
    #[default]
    Clamp,
    /// The high bits are lost.
    Wrap,
    /// NULL.
    Null,
    /// The answer breaks off.
    Error,
    /// Nothing: TIMESTAMP and TIMESTAMP_NTZ are structs of seconds and nanoseconds.
    Struct,
}

/// The form of CHAR values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum CharText {
    /// As long as the type says, with blanks at the end.
    #[default]
    Padded,
    /// Without blanks at the end.
    Trimmed,
}

/// How values are put on the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Delivery {
    pub timestamps: Timestamps,
    pub char_text: CharText,
}

impl Delivery {
    /// The Arrow layout of `ty`, whose usual layout is `usual`.
    pub fn layout(self, ty: &Type, usual: DataType) -> DataType {
        if self.timestamps != Timestamps::Struct {
            return usual;
        }
        let again = |ty: &Type, field: &Arc<Field>| -> Field {
            field.as_ref().clone().with_data_type(self.layout(ty, field.data_type().clone()))
        };
        match (ty, &usual) {
            (Type::Timestamp | Type::TimestampNtz, _) => DataType::Struct(Fields::from(vec![
                Field::new("sec", DataType::Int64, false),
                Field::new("nano", DataType::Int32, false),
            ])),
            (Type::Array(item), DataType::List(field)) => DataType::List(Arc::new(again(item, field))),
            (Type::Map(key, value), DataType::Map(entries, sorted)) => match entries.data_type() {
                DataType::Struct(fields) => {
                    let pairs = [key, value].into_iter().zip(fields).map(|(ty, field)| again(ty, field));
                    let pairs = DataType::Struct(pairs.collect());
                    DataType::Map(Arc::new(entries.as_ref().clone().with_data_type(pairs)), *sorted)
                }
                _ => usual,
            },
            (Type::Struct(types), DataType::Struct(fields)) => {
                DataType::Struct(types.iter().zip(fields).map(|((_, ty), field)| again(ty, field)).collect())
            }
            _ => usual,
        }
    }

    /// Whether a value of `ty` may become NULL on its way.
    pub fn makes_null(self, ty: &Type) -> bool {
        self.timestamps == Timestamps::Null && matches!(ty, Type::Timestamp | Type::TimestampNtz | Type::Datetime)
    }
}
