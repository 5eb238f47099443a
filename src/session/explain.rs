//! How a read was planned, for a person.

use serde_json::{Value, json};

use super::parts::State;
use super::plan::{Cut, Plan};
use super::{Session, SplitInfo};

/// Splits that are told one by one.
const MAX_SPLITS: i64 = 10_000;

/// One JSON object.
pub(super) fn text(session: &Session) -> String {
    let first = session.parts.first();
    // Asked before the splits are counted, of which there may be more in a moment.
    let state = session.parts.state();
    let count = session.split_count();
    let base = session.parts.base();
    let told = (count - base).min(MAX_SPLITS);
    let object = json!({
        "source": first.source.to_string(),
        "protocol": first.version,
        "data_endpoint": first.data_endpoint,
        "sessions": session.parts.all().map(|(plan, lease)| json!({
            "id": plan.session_id,
            "splits": plan.split_count(),
            "rows": plan.addressed_rows(),
            "partitions": plan.partitions,
            "expires_at_ms": lease.expires_at_ms(),
        })).collect::<Vec<Value>>(),
        "planning_ms": session.clock.as_ref().map(|clock| u64::try_from(clock.time().as_millis()).unwrap_or(u64::MAX)),
        "plan_complete": matches!(state, State::Whole),
        "plan_failure": match state {
            State::Failed(failure) => Some(failure.to_string()),
            State::Whole | State::Planning | State::Excerpt(_) => None,
        },
        "expires_at_ms": session.expires_at_ms(),
        "estimated_rows": session.estimated_rows(),
        "estimated_bytes": session.estimated_bytes(),
        "columns": columns(first),
        "filter": session.conjuncts.iter().map(|conjunct| json!({
            "text": conjunct.text,
            "pushed": conjunct.pushed,
            "exactness": conjunct.exactness.name(),
            "reason": conjunct.reason,
        })).collect::<Vec<Value>>(),
        "types": {
            "timestamp_unit": first.units.timestamp_unit,
            "datetime_unit": first.units.datetime_unit,
            "timestamp_overflow": first.policies.timestamp_overflow,
            "decimal": first.policies.decimal,
            "char_padding": first.policies.char_padding,
            "map_duplicate_keys": first.policies.map_duplicate_keys,
            "string_view": first.policies.string_view,
            "large_offsets": first.policies.large_offsets,
            "dictionary": first.policies.dictionary,
            "time_zone": first.policies.time_zone,
        },
        "split_count": count,
        "splits_by": match first.cut { Cut::Splits(_) => "service", Cut::Rows { .. } => "rows" },
        "splits": (base..base + told).filter_map(|index| split(session, index)).collect::<Vec<Value>>(),
        "splits_left_out": count - base - told,
    });
    object.to_string()
}

fn columns(plan: &Plan) -> Vec<Value> {
    let data = plan.columns.data_columns.len() + plan.columns.system_columns.len();
    let column = |(index, column): (usize, &crate::proto::answer::Column)| {
        json!({
            "name": column.name,
            "type": column.type_text,
            "nullable": column.nullable,
            "partition_key": index >= data,
        })
    };
    plan.columns.columns().enumerate().map(column).collect()
}

/// What a split covers.
fn split(session: &Session, index: i64) -> Option<Value> {
    let (plan, local) = session.parts.locate(index)?;
    let info = SplitInfo::of(&session.parts, index)?;
    Some(json!({
        "index": index,
        "session": plan.session_id,
        "index_in_session": local,
        "start_row": info.start_row,
        "rows": info.rows,
        "partition": info.partition,
        "bucket": info.bucket,
        "weight": info.weight,
    }))
}
