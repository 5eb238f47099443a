//! The same content as a JSON object, for engines that hand splits on as JSON: fields that a person can read, and a checksum in it.
//!
//! Who passes it on may order and indent it anew, leave out what is null, and add fields of its own. The checksum is therefore not one of the
//! text: it names the fields that it is about, and is taken of those alone, sorted by name, without blanks and without members that are null.

use std::collections::HashSet;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde::ser::{Serialize, Serializer};
use serde::{Deserialize, Serialize as Derive};
use serde_json::{Map, Value};

use super::{Content, checksum, wrong};
use crate::error::{Error, Kind, Result};

const FORMAT: &str = "maxstorage.session";
/// What a person looks for stands first.
const FIRST: [&str; 9] =
    ["format", "version", "project", "schema", "table", "instance", "splits", "first_split", "expires_at_ms"];

/// What the checksum is about, and the checksum in hexadecimal digits.
#[derive(Derive, Deserialize)]
struct Seal {
    of: Vec<String>,
    sha256: String,
}

/// The text of a content with so many splits.
pub(super) fn write(version: u8, content: &Content, splits: i64) -> Result<Vec<u8>> {
    let unwritable = |error| Error::new(Kind::Internal, format!("the session cannot be written: {error}"));
    let Value::Object(mut fields) = without_nulls(serde_json::to_value(content).map_err(unwritable)?) else {
        return Err(Error::new(Kind::Internal, "the session is no JSON object"));
    };
    fields.insert("format".to_owned(), FORMAT.into());
    fields.insert("version".to_owned(), version.into());
    fields.insert("splits".to_owned(), splits.into());
    let seal = Seal { of: fields.keys().cloned().collect(), sha256: sum(&fields)? };
    serde_json::to_vec(&Document { fields, seal }).map_err(unwritable)
}

/// The version and the content of a text.
pub(super) fn read(text: &[u8]) -> Result<(u8, Content)> {
    let unreadable = |error: serde_json::Error| wrong(&format!("cannot be read: {error}"));
    let Head { format, checksum } = serde_json::from_slice(text).map_err(unreadable)?;
    if format.as_deref() != Some(FORMAT) {
        return Err(wrong("is a JSON object, and not one of ms_session_serialize_json"));
    }
    let seal = checksum.ok_or_else(|| wrong("has no checksum"))?;
    let mut text = serde_json::Deserializer::from_slice(text);
    let taken = Covered(seal.of.iter().map(String::as_str).collect()).deserialize(&mut text).map_err(unreadable)?;
    let Value::Object(fields) = without_nulls(Value::Object(taken)) else {
        return Err(Error::new(Kind::Internal, "an object is an object"));
    };
    let version = fields.get("version").and_then(Value::as_u64).and_then(|version| u8::try_from(version).ok());
    let version = version.ok_or_else(|| wrong("has no version"))?;
    super::check_version(version)?;
    if sum(&fields)? != seal.sha256 {
        return Err(super::damaged());
    }
    Ok((version, serde_json::from_value(Value::Object(fields)).map_err(unreadable)?))
}

/// What tells whether the rest is worth reading.
#[derive(Deserialize)]
struct Head {
    format: Option<String>,
    checksum: Option<Seal>,
}

/// Keeps the fields of these names. Those of others are left out of account, and of memory.
struct Covered<'a>(HashSet<&'a str>);

impl<'de> DeserializeSeed<'de> for Covered<'_> {
    type Value = Map<String, Value>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> std::result::Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Covered<'_> {
    type Value = Map<String, Value>;
    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut all: A) -> std::result::Result<Self::Value, A::Error> {
        let mut kept = Map::new();
        while let Some(name) = all.next_key::<String>()? {
            if self.0.contains(name.as_str()) {
                kept.insert(name, all.next_value()?);
            } else {
                all.next_value::<IgnoredAny>()?;
            }
        }
        Ok(kept)
    }
}

/// The checksum of fields, whose names are in order.
fn sum(fields: &Map<String, Value>) -> Result<String> {
    let text = serde_json::to_vec(fields);
    let text = text.map_err(|error| Error::new(Kind::Internal, format!("a checksum cannot be taken: {error}")))?;
    Ok(checksum(&text).iter().map(|byte| format!("{byte:02x}")).collect())
}

fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let kept = fields.into_iter().filter(|(_, value)| !value.is_null());
            Value::Object(kept.map(|(name, value)| (name, without_nulls(value))).collect())
        }
        Value::Array(values) => Value::Array(values.into_iter().map(without_nulls).collect()),
        other => other,
    }
}

/// Fields in an order for people, and the checksum.
struct Document {
    fields: Map<String, Value>,
    seal: Seal,
}

impl Serialize for Document {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let seal = serde_json::to_value(&self.seal).map_err(serde::ser::Error::custom)?;
        let first = FIRST.iter().filter_map(|name| self.fields.get_key_value(*name));
        let others = self.fields.iter().filter(|(name, _)| !FIRST.contains(&name.as_str()));
        let name = "checksum".to_owned();
        serializer.collect_map(first.chain(others).chain([(&name, &seal)]))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{instance, read as read_any, several, with_policies};
    use super::super::{Plans, write_json};
    use super::*;
    use crate::session::plan::{Cut, Plan, sample};

    fn text(plans: &[Plan]) -> String {
        String::from_utf8(write_json(Plans::All(plans.to_vec())).unwrap()).unwrap()
    }

    fn kinds() -> Vec<Vec<Plan>> {
        let residual =
            Plan { residual: Some("`b` = 'x\u{1f}é'".into()), hidden: vec!["b".into()], ..sample(Cut::Splits(3)) };
        vec![vec![sample(Cut::Splits(3))], vec![residual], vec![instance()], several(), with_policies(several())]
    }

    #[test]
    fn what_is_written_is_read_and_a_person_can_read_it() {
        for plans in kinds() {
            assert_eq!(read_any(text(&plans).as_bytes()).unwrap(), plans);
        }
        let text = text(&several());
        let start =
            r#"{"format":"maxstorage.session","version":3,"project":"p","schema":"default","table":"t","splits":5,"#;
        assert!(text.starts_with(start), "{text}");
        assert!(!text.contains("null"), "{text}");
    }

    #[test]
    fn who_passes_it_on_may_order_it_anew_and_add_to_it() {
        for plans in kinds() {
            let value: Value = serde_json::from_str(&text(&plans)).unwrap();
            let mut fields = value.as_object().unwrap().clone();
            for (name, value) in [("@type", "split".into()), ("estimated", 7.5.into()), ("rows", Value::Null)] {
                fields.entry(name).or_insert(value);
            }
            let turned: Vec<String> =
                fields.iter().rev().map(|(name, value)| format!("{:?} : {value:#}", name.as_str())).collect();
            let passed_on = format!("{{\n{}\n}}\n", turned.join(" ,\n"));
            assert_eq!(read_any(passed_on.as_bytes()).unwrap(), plans, "{passed_on}");
        }
    }

    #[test]
    fn fields_of_later_versions_of_the_library_are_left_out_of_account() {
        let Value::Object(mut fields) = serde_json::from_str(&text(&several())).unwrap() else { panic!("no object") };
        fields.remove("checksum");
        fields.insert("of_tomorrow".to_owned(), serde_json::json!({"b": [1, null, {"z": null, "a": "x"}], "a": true}));
        let seal = Seal { of: fields.keys().cloned().collect(), sha256: String::new() };
        let Value::Object(kept) = without_nulls(Value::Object(fields.clone())) else { panic!("no object") };
        let seal = Seal { sha256: sum(&kept).unwrap(), ..seal };
        let later = serde_json::to_vec(&Document { fields: fields.clone(), seal }).unwrap();
        assert_eq!(read_any(&later).unwrap(), several());
        let version = |version: u64| {
            let mut fields = fields.clone();
            fields.insert("version".to_owned(), version.into());
            let seal = Seal { of: fields.keys().cloned().collect(), sha256: sum(&fields).unwrap() };
            serde_json::to_vec(&Document { fields, seal }).unwrap()
        };
        for number in [0, 200, 1 << 40] {
            let error = read_any(&version(number)).unwrap_err();
            assert!(error.message().contains("version"), "{error}");
        }
    }

    /// A change of one letter is noticed, unless it changes no meaning: then it is the same session.
    #[test]
    fn every_change_is_noticed() {
        for plans in kinds() {
            let text = text(&plans);
            for at in 0..text.len() {
                for flip in [1, 0x20] {
                    let mut changed = text.clone().into_bytes();
                    changed[at] ^= flip;
                    match read_any(&changed) {
                        Ok(read) => assert_eq!(read, plans, "byte {at}"),
                        Err(error) => assert_eq!(error.kind(), Kind::InvalidArgument, "byte {at}"),
                    }
                }
                assert_eq!(read_any(&text.as_bytes()[..at]).unwrap_err().kind(), Kind::InvalidArgument, "length {at}");
            }
            let Value::Object(fields) = serde_json::from_str(&text).unwrap() else { panic!("no object") };
            for (name, value) in &fields {
                let mut fields = fields.clone();
                fields.remove(name);
                let removed = serde_json::to_vec(&fields).unwrap();
                assert!(read_any(&removed).is_err(), "without {name}");
                // Not even out of what the checksum is about.
                if let Some(of) = fields.get_mut("checksum").and_then(|seal| seal["of"].as_array_mut()) {
                    of.retain(|covered| covered != name);
                    fields.insert(name.clone(), value.clone());
                    assert!(read_any(&serde_json::to_vec(&fields).unwrap()).is_err(), "{name} not covered");
                }
            }
        }
    }

    #[test]
    fn other_objects_are_no_tokens() {
        for text in ["{", "{}", r#"{"format":"maxstorage.session"}"#, r#"{"format":7,"checksum":{}}"#, "[]", " {}"] {
            assert_eq!(read_any(text.as_bytes()).unwrap_err().kind(), Kind::InvalidArgument, "{text}");
        }
        let deep = format!(r#"{{"format":"maxstorage.session","x":{}"#, "[".repeat(1 << 20));
        assert_eq!(read_any(deep.as_bytes()).unwrap_err().kind(), Kind::InvalidArgument);
    }

    #[test]
    fn tokens_are_as_long_as_they_are_read_and_no_longer() {
        let text = text(&several());
        let longer = |bytes: usize| format!(r#"{{"x":"{}",{}"#, "x".repeat(bytes - text.len() - 7), &text[1..]);
        let most = super::super::MAX_JSON_BYTES;
        assert_eq!(longer(most).len(), most);
        assert_eq!(read_any(longer(most).as_bytes()).unwrap(), several());
        assert!(read_any(longer(most + 1).as_bytes()).unwrap_err().message().contains("too long"));
        let endless = Plan { residual: Some("x".repeat(most)), ..sample(Cut::Splits(3)) };
        let error = write_json(Plans::All(vec![endless.clone()])).unwrap_err();
        assert!(error.kind() == Kind::Unsupported && error.message().contains("ms_session_serialize_split"), "{error}");
        super::super::write(Plans::All(vec![endless])).unwrap();
    }
}
