//! Sessions as bytes: `MSST`, version, JSON content, checksum.
//!
//! A token names the table and the session at the service and says how to read its splits. It holds no credentials: whoever
//! attaches brings a client of its own.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::plan::{Cut, Plan};
use crate::error::{Error, Kind, Result};
use crate::proto::TableName;
use crate::proto::v1::{ArrowOptions, DataSchema};

const MAGIC: &[u8; 4] = b"MSST";
const VERSION: u8 = 1;
const CHECKSUM_BYTES: usize = 8;
/// Longest token that is read: tables may have 1,200 columns with long types.
const MAX_BYTES: usize = 16 << 20;

/// The JSON content of version 1. Its keys never change; later versions of the library may add some.
#[derive(Serialize, Deserialize)]
struct Content {
    project: String,
    schema: String,
    table: String,
    endpoint: String,
    session: String,
    cut: Cut,
    filtered: bool,
    columns: DataSchema,
    units: ArrowOptions,
    expires_at_ms: Option<i64>,
    rows: Option<i64>,
    bytes: Option<i64>,
}

pub(super) fn write(plan: &Plan) -> Result<Vec<u8>> {
    let plan = plan.clone();
    let content = Content {
        project: plan.table.project,
        schema: plan.table.schema,
        table: plan.table.table,
        endpoint: plan.data_endpoint,
        session: plan.session_id,
        cut: plan.cut,
        filtered: plan.filtered,
        columns: plan.columns,
        units: plan.units,
        expires_at_ms: plan.expires_at_ms,
        rows: plan.estimated_rows,
        bytes: plan.estimated_bytes,
    };
    let mut token = MAGIC.to_vec();
    token.push(VERSION);
    serde_json::to_writer(&mut token, &content)
        .map_err(|error| Error::new(Kind::Internal, format!("the session cannot be written: {error}")))?;
    let checksum = checksum(&token);
    token.extend(checksum);
    Ok(token)
}

pub(super) fn read(token: &[u8]) -> Result<Plan> {
    let wrong = |what: &str| Error::new(Kind::InvalidArgument, format!("the session token {what}"));
    if token.len() > MAX_BYTES {
        return Err(wrong("is too long"));
    }
    let (version, content) = match token.strip_prefix(MAGIC).and_then(|rest| rest.split_first()) {
        Some((version, rest)) if rest.len() >= CHECKSUM_BYTES => (*version, rest),
        _ => return Err(wrong("is not one of ms_session_serialize")),
    };
    if version != VERSION {
        return Err(wrong(&format!("has version {version}; this library reads version {VERSION}")));
    }
    let (signed, sum) = token.split_at(token.len() - CHECKSUM_BYTES);
    if checksum(signed) != sum {
        return Err(wrong("is damaged: its checksum does not match"));
    }
    let content = content.get(..content.len() - CHECKSUM_BYTES).unwrap_or_default();
    let content: Content =
        serde_json::from_slice(content).map_err(|error| wrong(&format!("cannot be read: {error}")))?;
    let legal = match content.cut {
        Cut::Splits(count) => count >= 0,
        Cut::Rows { total, per_split } => total >= 0 && per_split > 0,
    };
    if !legal {
        return Err(wrong("has negative counts"));
    }
    Ok(Plan {
        table: TableName { project: content.project, schema: content.schema, table: content.table },
        data_endpoint: content.endpoint,
        session_id: content.session,
        cut: content.cut,
        filtered: content.filtered,
        columns: content.columns,
        units: content.units,
        expires_at_ms: content.expires_at_ms,
        estimated_rows: content.rows,
        estimated_bytes: content.bytes,
    })
}

fn checksum(bytes: &[u8]) -> Vec<u8> {
    Sha256::digest(bytes).iter().take(CHECKSUM_BYTES).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::super::plan::sample;
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for cut in [Cut::Splits(3), Cut::Rows { total: 10, per_split: 4 }] {
            let plan = sample(cut);
            assert_eq!(read(&write(&plan).unwrap()).unwrap(), plan);
        }
    }

    #[test]
    fn version_1_stays_readable() {
        let text = br#"MSST{"project":"p","schema":"default","table":"t","endpoint":"http://h:1","session":"S1","cut":{"Splits":3},"filtered":true,"columns":{"DataColumns":[{"Name":"a","Type":"bigint","Nullable":true}],"PartitionColumns":[{"Name":"pt","Type":"bigint","Nullable":true}]},"units":{"TimestampUnit":"nano","DatetimeUnit":"milli"},"expires_at_ms":1795425619000,"rows":null,"bytes":7}"#;
        let (magic, json) = text.split_at(4);
        let mut token = [magic, &[1], json].concat();
        token.extend(checksum(&token));
        assert_eq!(read(&token).unwrap(), sample(Cut::Splits(3)));
        assert_eq!(write(&sample(Cut::Splits(3))).unwrap(), token);
    }

    #[test]
    fn every_damage_is_noticed() {
        let token = write(&sample(Cut::Splits(3))).unwrap();
        for at in 0..token.len() {
            let mut damaged = token.clone();
            damaged[at] ^= 0x20;
            assert_eq!(read(&damaged).unwrap_err().kind(), Kind::InvalidArgument, "byte {at}");
            assert_eq!(read(&token[..at]).unwrap_err().kind(), Kind::InvalidArgument, "length {at}");
        }
    }
}
