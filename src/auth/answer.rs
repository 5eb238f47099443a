//! JSON objects with credentials in them, as programs, files and services write them.

use std::fmt;
use std::time::SystemTime;

use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use zeroize::Zeroizing;

use super::{checked, time};
use crate::error::{Error, Kind, Result};
use crate::options::{Grant, Who};

/// The fields of an answer. Names are read without regard to case and underscores: `AccessKeyId`, `accessKeyId`, `access_key_id`.
#[derive(Default)]
struct Fields {
    id: String,
    secret: Zeroizing<String>,
    token: Zeroizing<String>,
    bearer: Zeroizing<String>,
    expires: Option<SystemTime>,
    bad_time: bool,
    code: String,
}

/// Reads an object, or the object `Credentials` in it. `what` names the source in failures; they never quote the text.
pub fn read(text: &[u8], what: &str) -> Result<Grant> {
    let mut parser = serde_json::Deserializer::from_slice(text);
    // What a parser says of the place is safe, what it says of the value is not.
    let fields = parser.deserialize_map(ObjectVisitor).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        Error::new(
            Kind::Unauthenticated,
            format!("{what} is not a JSON object with credentials (line {line}, column {column})"),
        )
    })?;
    let Fields { id, secret, token, bearer, expires, bad_time, code } = fields;
    if !code.is_empty() && code != "Success" {
        return Err(Error::new(Kind::Unauthenticated, format!("{what} says {code}")));
    }
    if bad_time {
        return Err(Error::new(Kind::Unauthenticated, format!("{what} has an Expiration that is not a time")));
    }
    let who = match (id.is_empty(), secret.is_empty(), bearer.is_empty()) {
        (false, false, _) => Who::Key { id, secret, token: Some(token).filter(|token| !token.is_empty()) },
        (true, true, false) => Who::Bearer(bearer),
        _ => {
            let message = format!("{what} has no AccessKeyId with an AccessKeySecret");
            return Err(Error::new(Kind::Unauthenticated, message));
        }
    };
    checked(Grant { who, expires })
        .map_err(|error| Error::new(Kind::Unauthenticated, format!("{what}: {}", error.message())))
}

struct ObjectVisitor;

impl<'de> Visitor<'de> for ObjectVisitor {
    type Value = Fields;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Fields, A::Error> {
        let mut fields = Fields::default();
        while let Some(name) = map.next_key::<String>()? {
            let name: String = name.chars().filter(|c| *c != '_').map(|c| c.to_ascii_lowercase()).collect();
            match name.as_str() {
                "accesskeyid" => fields.id = map.next_value::<Option<String>>()?.unwrap_or_default(),
                "accesskeysecret" | "secretaccesskey" => fields.secret = secret(&mut map)?,
                "securitytoken" | "ststoken" | "sessiontoken" => fields.token = secret(&mut map)?,
                "bearertoken" => fields.bearer = secret(&mut map)?,
                "code" => fields.code = map.next_value::<Option<String>>()?.unwrap_or_default(),
                "expiration" | "stsexpiration" => {
                    let text = map.next_value::<Option<String>>()?.unwrap_or_default();
                    fields.expires = time::parse(&text);
                    fields.bad_time = !text.is_empty() && fields.expires.is_none();
                }
                "credentials" => {
                    let inner = map.next_value::<Nested>()?.0;
                    return finish(map, inner);
                }
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(fields)
    }
}

/// The object that `Credentials` holds; the rest of the outer one does not matter.
struct Nested(Fields);

impl<'de> serde::Deserialize<'de> for Nested {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor).map(Nested)
    }
}

fn finish<'de, A: MapAccess<'de>>(mut map: A, inner: Fields) -> std::result::Result<Fields, A::Error> {
    while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
    Ok(inner)
}

fn secret<'de, A: MapAccess<'de>>(map: &mut A) -> std::result::Result<Zeroizing<String>, A::Error> {
    match map.next_value::<Option<Text>>() {
        Ok(text) => Ok(text.map(|text| text.0).unwrap_or_default()),
        // The parser would quote a value of another type.
        Err(_) => Err(A::Error::custom("not a text")),
    }
}

/// A text that is wiped.
struct Text(Zeroizing<String>);

impl<'de> serde::Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        wiped(deserializer).map(Text)
    }
}

/// Reads a text that is wiped.
pub(super) fn wiped<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Zeroizing<String>, D::Error> {
    serde::Deserialize::deserialize(deserializer).map(Zeroizing::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(grant: &Grant) -> (&str, &str, Option<&str>) {
        match &grant.who {
            Who::Key { id, secret, token } => (id, secret, token.as_ref().map(|token| token.as_str())),
            Who::Bearer(_) => panic!("a bearer token"),
        }
    }

    #[test]
    fn every_spelling_of_the_sdks() {
        for text in [
            r#"{"Code":"Success","AccessKeyId":"i","AccessKeySecret":"s","SecurityToken":"t","Expiration":"2030-01-01T00:00:00Z"}"#,
            r#"{"accessKeyId":"i","accessKeySecret":"s","securityToken":"t","expiration":"2030-01-01T00:00:00Z"}"#,
            r#"{"mode":"StsToken","access_key_id":"i","access_key_secret":"s","sts_token":"t","expiration":"2030-01-01T00:00:00Z","x":[1,{}]}"#,
            r#"{"RequestId":"R","Credentials":{"AccessKeyId":"i","AccessKeySecret":"s","SecurityToken":"t","Expiration":"2030-01-01T00:00:00Z"},"After":1}"#,
            r#"{"Version":1,"AccessKeyId":"i","SecretAccessKey":"s","SessionToken":"t","Expiration":"2030-01-01T00:00:00Z"}"#,
        ] {
            let grant = read(text.as_bytes(), "x").unwrap();
            assert_eq!(key(&grant), ("i", "s", Some("t")), "{text}");
            assert_eq!(grant.expires, time::parse("2030-01-01T00:00:00Z"));
        }
        let bearer = read(br#"{"BearerToken":"b"}"#, "x").unwrap();
        assert_eq!(bearer.who, Who::Bearer(Zeroizing::new("b".into())));
    }

    #[test]
    fn failures_name_the_source_and_quote_nothing() {
        for text in [
            "",
            "[]",
            "CANARY",
            r#"{"AccessKeyId":"i"}"#,
            r#"{"AccessKeyId":"i","AccessKeySecret":7}"#,
            r#"{"AccessKeyId":"i","AccessKeySecret":["CANARY"]}"#,
            r#"{"Code":"Failed","AccessKeyId":"i","AccessKeySecret":"CANARY"}"#,
            r#"{"AccessKeyId":"i","AccessKeySecret":"CANARY","Expiration":"soon"}"#,
            r#"{"AccessKeyId":"i","AccessKeySecret":"CANARY"#,
            r#"{"AccessKeyId":"i","AccessKeySecret":"s","SecurityToken":"CANARY CANARY"}"#,
        ] {
            let error = read(text.as_bytes(), "the program").unwrap_err();
            assert_eq!(error.kind(), Kind::Unauthenticated, "{text}");
            assert!(error.message().starts_with("the program") && !error.message().contains("CANARY"), "{error}");
        }
    }
}
