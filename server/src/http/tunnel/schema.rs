//! The schema in answers of the tunnel.

use serde_json::{Value, json};

use crate::catalog::Column;
use crate::error::ApiError;
use crate::types::Type;

/// Refuses columns that the tunnel does not carry.
pub fn demand_carried<'a>(mut columns: impl Iterator<Item = &'a Column>) -> Result<(), ApiError> {
    match columns.find(|column| column.ty == Type::Blob) {
        Some(column) => {
            let message = format!("column {} is of type {}, which the tunnel does not carry", column.name, column.ty);
            Err(ApiError::new(400, "InvalidColumnSpec", message))
        }
        None => Ok(()),
    }
}

/// Columns and partition columns as clients read them.
pub fn schema<'a>(columns: impl Iterator<Item = &'a Column>, keys: impl Iterator<Item = &'a Column>) -> Value {
    json!({
        "columns": columns.map(column).collect::<Vec<_>>(),
        "partitionKeys": keys.map(column).collect::<Vec<_>>(),
        "IsVirtualView": false,
    })
}

fn column(column: &Column) -> Value {
    json!({"name": column.name, "type": type_text(&column.ty), "comment": column.comment, "nullable": column.nullable})
}

/// The type as text. Clients take plain `decimal` for the 54 digits that it had long ago and expect another Arrow layout
/// for it; here it always is `decimal(38,18)`.
fn type_text(ty: &Type) -> String {
    explicit(ty).to_string()
}

fn explicit(ty: &Type) -> Type {
    match ty {
        Type::PlainDecimal => Type::Decimal(38, 18),
        Type::Array(item) => Type::Array(Box::new(explicit(item))),
        Type::Map(key, value) => Type::Map(Box::new(explicit(key)), Box::new(explicit(value))),
        Type::Struct(fields) => Type::Struct(fields.iter().map(|(name, ty)| (name.clone(), explicit(ty))).collect()),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_tell_their_digits() {
        let ty: Type = "array<struct<a:decimal,b:map<string,decimal(3,1)>>>".parse().unwrap();
        assert_eq!(type_text(&ty), "array<struct<a:decimal(38,18),b:map<string,decimal(3,1)>>>");
    }
}
