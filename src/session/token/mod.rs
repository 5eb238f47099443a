//! Sessions as bytes: `MSST`, version, JSON content, checksum. The same content has a form as a JSON object (`json`).
//!
//! A token names what is read and the session at the service and says how to read its splits. It holds no credentials: whoever
//! attaches brings a client of its own.
//!
//! Version 2 is written, version 3 if there are several sessions at the service, version 4 if there are policies of types: a library that
//! does not know these would deliver another schema; and version 5 for the token of a split, whose numbers begin elsewhere. Version 1, of libraries that spoke version 1 of the Storage API only, is read: it has no key `protocol`.

mod json;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::lease::is_route_token;
use super::plan::{Cut, Plan};
use crate::arrow::policy::Policies;
use crate::error::{Error, Kind, Result};
use crate::proto::answer::DataSchema;
use crate::proto::call::TimeUnits;
use crate::proto::{Source, TableName, Version};

const MAGIC: &[u8; 4] = b"MSST";
const VERSION: u8 = 2;
/// Of tokens with several sessions at the service.
const VERSION_OF_MANY: u8 = 3;
/// Of tokens with policies of types.
const VERSION_OF_POLICIES: u8 = 4;
/// Of tokens of a split.
const VERSION_OF_SPLITS: u8 = 5;
const OLDEST_VERSION: u8 = 1;
const NEWEST_VERSION: u8 = VERSION_OF_SPLITS;
const CHECKSUM_BYTES: usize = 8;
/// Longest token that is read: tables may have 1,200 columns with long types.
const MAX_BYTES: usize = 16 << 20;
/// The same of one in JSON, which takes many times its length while it is read.
const MAX_JSON_BYTES: usize = 4 << 20;

/// The JSON content. The keys of a version never change; later versions of the library may add some that can be left out of
/// account.
#[derive(Serialize, Deserialize)]
struct Content {
    /// Of the Storage API.
    #[serde(default = "protocol_of_version_1")]
    protocol: Version,
    project: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    schema: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    table: String,
    /// In place of schema and table.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    instance: String,
    endpoint: String,
    session: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    route: String,
    cut: Cut,
    filtered: bool,
    /// What the library filters by, and the columns that only it needs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    residual: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    hidden: Vec<String>,
    columns: DataSchema,
    units: TimeUnits,
    #[serde(default, skip_serializing_if = "Policies::are_default")]
    policies: Policies,
    expires_at_ms: Option<i64>,
    rows: Option<i64>,
    bytes: Option<i64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    partitions: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    buckets: Vec<i64>,
    /// In the token of a split: the number of the first split of this session at the service. Others have others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    first_split: Option<i64>,
    /// What is different in the further sessions at the service. A library that does not know the key must not read the token as if it
    /// were all, so a token with it has a version of its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    more: Vec<More>,
}

/// A further session at the service, of other partitions.
#[derive(Serialize, Deserialize)]
struct More {
    session: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    route: String,
    cut: Cut,
    expires_at_ms: Option<i64>,
    rows: Option<i64>,
    bytes: Option<i64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    partitions: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    buckets: Vec<i64>,
}

impl Cut {
    /// Whether the numbers can be those of a plan.
    fn is_legal(self) -> bool {
        match self {
            Cut::Splits(count) => count >= 0,
            Cut::Rows { total, per_split } => total >= 0 && per_split > 0,
        }
    }
}

fn protocol_of_version_1() -> Version {
    Version::V1
}

/// What a token holds.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Plans {
    /// All plans of a read, of which there is at least one.
    All(Vec<Plan>),
    /// One of several, and the number of its first split.
    One(Box<Plan>, i64),
}

/// The token of plans.
pub(super) fn write(plans: Plans) -> Result<Vec<u8>> {
    let (version, content) = content(plans)?;
    let mut token = MAGIC.to_vec();
    token.push(version);
    serde_json::to_writer(&mut token, &content)
        .map_err(|error| Error::new(Kind::Internal, format!("the session cannot be written: {error}")))?;
    let checksum = checksum(&token);
    token.extend(checksum);
    within(MAX_BYTES, token)
}

/// The token as a JSON object.
pub(super) fn write_json(plans: Plans) -> Result<Vec<u8>> {
    let splits = match &plans {
        Plans::All(plans) => plans.iter().map(Plan::split_count).fold(0, i64::saturating_add),
        Plans::One(plan, _) => plan.split_count(),
    };
    let (version, content) = content(plans)?;
    within(MAX_JSON_BYTES, json::write(version, &content, splits)?)
}

/// A token that is not written longer than it is read.
fn within(most: usize, token: Vec<u8>) -> Result<Vec<u8>> {
    if token.len() <= most {
        return Ok(token);
    }
    let length = token.len();
    let message = format!(
        "the session has too many parts for one token: {length} bytes, at most {most} are read; \
                           hand out its splits one by one (ms_session_serialize_split)"
    );
    Err(Error::new(Kind::Unsupported, message))
}

/// The content of a token, and its version.
fn content(plans: Plans) -> Result<(u8, Content)> {
    let (mut plans, first_split) = match plans {
        Plans::All(plans) => (plans, None),
        Plans::One(plan, first_split) => (vec![*plan], Some(first_split)),
    };
    let more = plans.drain(1.min(plans.len())..).map(|plan| More {
        session: plan.session_id,
        route: plan.route_token,
        cut: plan.cut,
        expires_at_ms: plan.expires_at_ms,
        rows: plan.estimated_rows,
        bytes: plan.estimated_bytes,
        partitions: plan.partitions,
        buckets: plan.buckets,
    });
    let more: Vec<More> = more.collect();
    let plan = plans.pop().ok_or_else(|| Error::new(Kind::Internal, "a session without a plan"))?;
    let version = match (plan.policies.are_default(), more.is_empty()) {
        _ if first_split.is_some() => VERSION_OF_SPLITS,
        (false, _) => VERSION_OF_POLICIES,
        (true, false) => VERSION_OF_MANY,
        (true, true) => VERSION,
    };
    let (project, schema, table, instance) = match plan.source {
        Source::Table(TableName { project, schema, table }) => (project, schema, table, String::new()),
        Source::Instance { project, id } => (project, String::new(), String::new(), id),
    };
    let content = Content {
        protocol: plan.version,
        project,
        schema,
        table,
        instance,
        endpoint: plan.data_endpoint,
        session: plan.session_id,
        route: plan.route_token,
        cut: plan.cut,
        filtered: plan.filtered,
        residual: plan.residual,
        hidden: plan.hidden,
        columns: plan.columns,
        units: plan.units,
        policies: plan.policies,
        expires_at_ms: plan.expires_at_ms,
        rows: plan.estimated_rows,
        bytes: plan.estimated_bytes,
        partitions: plan.partitions,
        buckets: plan.buckets,
        first_split,
        more,
    };
    Ok((version, content))
}

/// The plans of a token in either form.
pub(super) fn read(token: &[u8]) -> Result<Plans> {
    let is_json = token.starts_with(b"{");
    if token.len() > if is_json { MAX_JSON_BYTES } else { MAX_BYTES } {
        return Err(wrong("is too long"));
    }
    plans(if is_json { json::read(token)?.1 } else { unpack(token)? })
}

fn wrong(what: &str) -> Error {
    Error::new(Kind::InvalidArgument, format!("the session token {what}"))
}

fn damaged() -> Error {
    wrong("is damaged: its checksum does not match")
}

fn check_version(version: u8) -> Result<()> {
    if (OLDEST_VERSION..=NEWEST_VERSION).contains(&version) {
        return Ok(());
    }
    let message = format!("has version {version}; this library reads versions {OLDEST_VERSION} to {NEWEST_VERSION}");
    Err(wrong(&message))
}

/// The content of a token that is not JSON.
fn unpack(token: &[u8]) -> Result<Content> {
    let (version, content) = match token.strip_prefix(MAGIC).and_then(|rest| rest.split_first()) {
        Some((version, rest)) if rest.len() >= CHECKSUM_BYTES => (*version, rest),
        _ => return Err(wrong("is not one of ms_session_serialize")),
    };
    check_version(version)?;
    let (signed, sum) = token.split_at(token.len() - CHECKSUM_BYTES);
    if checksum(signed) != sum {
        return Err(damaged());
    }
    let content = content.get(..content.len() - CHECKSUM_BYTES).unwrap_or_default();
    serde_json::from_slice(content).map_err(|error| wrong(&format!("cannot be read: {error}")))
}

/// The plans of a content that makes sense.
fn plans(content: Content) -> Result<Plans> {
    if !content.cut.is_legal() || !content.more.iter().all(|more| more.cut.is_legal()) {
        return Err(wrong("has negative counts"));
    }
    if content.table.is_empty() == content.instance.is_empty() {
        return Err(wrong("names neither a table nor an instance, or both"));
    }
    let mut routes = std::iter::once(&content.route).chain(content.more.iter().map(|more| &more.route));
    if routes.any(|route| !route.is_empty() && !is_route_token(route)) {
        return Err(wrong("has a way to the service that cannot be sent"));
    }
    let first_split = content.first_split;
    let is_possible = |first: i64| first >= 0 && first.checked_add(content.cut.split_count()).is_some();
    if first_split.is_some_and(|first| !is_possible(first) || !content.more.is_empty()) {
        return Err(wrong("is of a split that cannot be"));
    }
    let project = content.project;
    let first = Plan {
        source: match content.table.is_empty() {
            true => Source::Instance { project, id: content.instance },
            false => Source::Table(TableName { project, schema: content.schema, table: content.table }),
        },
        data_endpoint: content.endpoint,
        version: content.protocol,
        route_token: content.route,
        session_id: content.session,
        cut: content.cut,
        partitions: content.partitions,
        buckets: content.buckets,
        filtered: content.filtered,
        residual: content.residual,
        hidden: content.hidden,
        columns: content.columns,
        units: content.units,
        policies: content.policies,
        expires_at_ms: content.expires_at_ms,
        estimated_rows: content.rows,
        estimated_bytes: content.bytes,
    };
    let more = content.more.into_iter().map(|more| Plan {
        session_id: more.session,
        route_token: more.route,
        cut: more.cut,
        partitions: more.partitions,
        buckets: more.buckets,
        expires_at_ms: more.expires_at_ms,
        estimated_rows: more.rows,
        estimated_bytes: more.bytes,
        ..first.clone()
    });
    let more: Vec<Plan> = more.collect();
    Ok(match first_split {
        Some(first_split) => Plans::One(Box::new(first), first_split),
        None => Plans::All(std::iter::once(first).chain(more).collect()),
    })
}

fn checksum(bytes: &[u8]) -> Vec<u8> {
    Sha256::digest(bytes).iter().take(CHECKSUM_BYTES).copied().collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::plan::sample;
    use super::*;
    use crate::arrow::policy::{DecimalForm, TimeZone};
    use proptest::prelude::*;
    use proptest::test_runner::RngSeed;

    pub(in super::super) fn write(plans: Vec<Plan>) -> Result<Vec<u8>> {
        super::write(Plans::All(plans))
    }

    /// The plans of a token that has all of them.
    pub(in super::super) fn read(token: &[u8]) -> Result<Vec<Plan>> {
        super::read(token).map(|plans| match plans {
            Plans::All(plans) => plans,
            Plans::One(..) => panic!("the token of a split"),
        })
    }

    #[test]
    fn the_token_of_a_split_has_its_number_and_keeps_older_libraries_out() {
        for plan in [sample(Cut::Splits(3)), instance(), with_policies(several())[0].clone()] {
            let one = Plans::One(Box::new(plan.clone()), 7);
            let token = super::write(one.clone()).unwrap();
            assert_eq!((token[MAGIC.len()], super::read(&token).unwrap()), (5, one.clone()));
            assert_eq!(super::read(&write_json(one.clone()).unwrap()).unwrap(), one);
            let zero = Plans::One(Box::new(plan), 0);
            assert_eq!(super::read(&super::write(zero.clone()).unwrap()).unwrap(), zero, "not taken for all");
        }
        for first in ["-1", "9223372036854775807", "1.5"] {
            let json = VERSION_1.replacen('{', &format!(r#"{{"first_split":{first},"#), 1);
            assert_eq!(super::read(&token(5, &json)).unwrap_err().kind(), Kind::InvalidArgument, "{first}");
        }
        let Plans::One(_, first) = super::read(&token(5, &VERSION_1.replacen('{', r#"{"first_split":4,"#, 1))).unwrap()
        else {
            panic!("all plans")
        };
        assert_eq!(first, 4);
    }

    pub(super) fn instance() -> Plan {
        let source = Source::Instance { project: "p".into(), id: "2026I".into() };
        Plan {
            source,
            version: Version::V3,
            route_token: "node-7/x".into(),
            ..sample(Cut::Rows { total: 10, per_split: 4 })
        }
    }

    pub(super) fn with_policies(plans: Vec<Plan>) -> Vec<Plan> {
        let policies = Policies { decimal: DecimalForm::Text, string_view: true, ..Policies::default() };
        plans.into_iter().map(|plan| Plan { policies: policies.clone(), ..plan }).collect()
    }

    pub(super) fn several() -> Vec<Plan> {
        let first = Plan { partitions: vec!["pt=1".into()], ..sample(Cut::Splits(3)) };
        let second = Plan {
            session_id: "S2".into(),
            route_token: "n2".into(),
            partitions: vec!["pt=2".into()],
            buckets: vec![4, 5],
            expires_at_ms: None,
            estimated_rows: Some(8),
            ..sample(Cut::Splits(2))
        };
        vec![first, second]
    }

    #[test]
    fn what_is_written_is_read() {
        for cut in [Cut::Splits(3), Cut::Rows { total: 10, per_split: 4 }] {
            for version in Version::ALL {
                let plan = Plan { version, ..sample(cut) };
                assert_eq!(read(&write(vec![plan.clone()]).unwrap()).unwrap(), std::slice::from_ref(&plan));
                let plan = Plan { residual: Some("`b` = 'x'".into()), hidden: vec!["b".into()], ..plan };
                assert_eq!(read(&write(vec![plan.clone()]).unwrap()).unwrap(), [plan]);
            }
        }
        assert_eq!(read(&write(vec![instance()]).unwrap()).unwrap(), [instance()]);
        assert_eq!(read(&write(several()).unwrap()).unwrap(), several());
        assert_eq!(write(several()).unwrap()[MAGIC.len()], 3, "older libraries would read the first session only");
    }

    #[test]
    fn policies_are_kept_and_keep_older_libraries_out() {
        let policies = with_policies(several())[0].policies.clone();
        for plans in [with_policies(vec![sample(Cut::Splits(3))]), with_policies(several())] {
            let token = write(plans.clone()).unwrap();
            assert_eq!(token[MAGIC.len()], 4);
            assert_eq!(read(&token).unwrap(), plans);
        }
        // What older libraries do not know is there only where it says something.
        assert!(!String::from_utf8_lossy(&write(vec![sample(Cut::Splits(1))]).unwrap()).contains("time_zone"));
        let text = String::from_utf8_lossy(&write(with_policies(vec![sample(Cut::Splits(1))])).unwrap()).into_owned();
        assert!(text.contains("string_view") && !text.contains("time_zone") && !text.contains("dictionary"), "{text}");
        let zone = TimeZone::parse("+08:00").unwrap();
        let newer = Policies { dictionary: vec!["a".into()], time_zone: zone, ..Policies::default() };
        let plan = Plan { policies: newer, ..sample(Cut::Splits(1)) };
        assert_eq!(read(&write(vec![plan.clone()]).unwrap()).unwrap(), [plan]);
        // Policies that later versions leave out are at their defaults.
        let some = VERSION_1.replacen('{', r#"{"policies":{"decimal":"text","string_view":true},"#, 1);
        assert_eq!(read(&token(4, &some)).unwrap()[0].policies, policies);
        // Of policies that this version does not know it cannot be told what they would change.
        let more = VERSION_1.replacen('{', r#"{"policies":{"of_tomorrow":true},"#, 1);
        assert_eq!(read(&token(4, &more)).unwrap_err().kind(), Kind::InvalidArgument);
    }

    /// A token of any version and content, with a right checksum.
    fn token(version: u8, json: &str) -> Vec<u8> {
        let mut token = [MAGIC, &[version][..], json.as_bytes()].concat();
        token.extend(checksum(&token));
        token
    }

    const VERSION_1: &str = r#"{"project":"p","schema":"default","table":"t","endpoint":"http://h:1","session":"S1","cut":{"Splits":3},"filtered":true,"columns":{"DataColumns":[{"Name":"a","Type":"bigint","Nullable":true}],"PartitionColumns":[{"Name":"pt","Type":"bigint","Nullable":true}]},"units":{"TimestampUnit":"nano","DatetimeUnit":"milli"},"expires_at_ms":1795425619000,"rows":null,"bytes":7}"#;

    #[test]
    fn version_1_stays_readable() {
        assert_eq!(read(&token(1, VERSION_1)).unwrap(), [sample(Cut::Splits(3))]);
    }

    #[test]
    fn version_2_stays_as_it_is() {
        let json = VERSION_1.replacen('{', r#"{"protocol":1,"#, 1);
        assert_eq!(write(vec![sample(Cut::Splits(3))]).unwrap(), token(2, &json));
    }

    #[test]
    fn contents_that_make_no_sense_are_refused() {
        let refused = |version: u8, from: &str, to: &str| {
            let json = VERSION_1.replacen(from, to, 1);
            assert_ne!(json, VERSION_1);
            assert_eq!(read(&token(version, &json)).unwrap_err().kind(), Kind::InvalidArgument, "{to}");
        };
        refused(2, "{", r#"{"protocol":4,"#);
        refused(2, "{", r#"{"protocol":"2","#);
        refused(2, r#""table":"t""#, r#""table":"""#);
        refused(2, "{", r#"{"instance":"i","#);
        refused(4, "{", r#"{"policies":{"decimal":"narrow"},"#);
        refused(4, "{", r#"{"policies":{"time_zone":"UTC+8"},"#);
        refused(2, "{", r#"{"route":"a b","#);
        refused(1, r#""Splits":3"#, r#""Splits":-3"#);
        for version in [0, 6, 255] {
            refused(version, "default", "other");
        }
    }

    #[test]
    fn every_damage_is_noticed() {
        for plans in [vec![sample(Cut::Splits(3))], vec![instance()], several()] {
            let token = write(plans).unwrap();
            for at in 0..token.len() {
                let mut damaged = token.clone();
                damaged[at] ^= 0x20;
                assert_eq!(read(&damaged).unwrap_err().kind(), Kind::InvalidArgument, "byte {at}");
                assert_eq!(read(&token[..at]).unwrap_err().kind(), Kind::InvalidArgument, "length {at}");
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, rng_seed: RngSeed::Fixed(7), failure_persistence: None, ..ProptestConfig::default() })]

        /// Bytes of any kind, with a right checksum, so that it does not keep them out: refused, or a plan that can be written.
        #[test]
        fn forged_tokens_never_panic(
            version in 0u8..6,
            edits in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), ".{0,6}"), 0..4),
        ) {
            let mut json = VERSION_1.replacen('{', r#"{"protocol":2,"route":"n1","#, 1);
            for (from, to, text) in edits {
                let mut places = [from.index(json.len() + 1), to.index(json.len() + 1)];
                places.sort_unstable();
                json.replace_range(places[0]..places[1].min(places[0] + 9), &text);
                json = json.chars().filter(char::is_ascii).collect();
            }
            if let Ok(plans) = read(&token(version, &json)) {
                for plan in &plans {
                    let count = plan.split_count();
                    prop_assert!(count >= 0 && plan.rows(count).is_none());
                }
                prop_assert_eq!(read(&write(plans.clone()).unwrap()).unwrap(), plans);
            }
        }

        #[test]
        fn noise_is_no_token(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(read(&bytes).is_err());
            prop_assert!(read(&[MAGIC, &[2][..], &bytes].concat()).is_err());
        }
    }
}
