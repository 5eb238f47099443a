//! Answers that say no: JSON on the Storage API, XML on the service endpoint, anything from a gateway.

use std::time::Duration;

use serde::Deserialize;

use super::xml::Element;
use crate::error::{Error, Kind, ServerFacts};

/// An answer whose status is not a success.
#[derive(Debug, Default)]
pub struct Failure<'a> {
    /// HTTP status.
    pub status: u16,
    /// `x-odps-request-id`, empty if absent.
    pub request_id: &'a str,
    /// `Retry-After` in seconds.
    pub retry_after: Option<u64>,
    /// Body, possibly cut short.
    pub body: &'a [u8],
}

#[derive(Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "PascalCase", default)]
struct Body {
    code: String,
    message: String,
    request_id: String,
    hold_client_millis: serde_json::Value,
}

impl Failure<'_> {
    /// The error that stands for this answer.
    pub fn into_error(self) -> Error {
        let body = self.parse();
        let hold = body.hold_client_millis.as_u64().or_else(|| body.hold_client_millis.as_str()?.parse().ok());
        let retry_after = hold.map(Duration::from_millis).or(self.retry_after.map(Duration::from_secs));
        let request_id = if self.request_id.is_empty() { body.request_id } else { self.request_id.to_owned() };
        let message = match (body.message.trim(), body.code.as_str()) {
            ("", "") => format!("the service answered HTTP {} without an explanation", self.status),
            ("", code) => format!("the service answered HTTP {} {code}", self.status),
            (text, _) => text.to_owned(),
        };
        Error::new(kind(self.status, &body.code, &message), message).with_server(ServerFacts {
            code: body.code,
            request_id,
            http_status: self.status,
            retry_after,
        })
    }

    fn parse(&self) -> Body {
        if let Ok(body) = serde_json::from_slice::<Body>(self.body) {
            return body;
        }
        parse_xml(self.body).unwrap_or_default()
    }
}

/// Reads `<Error><Code>…</Code><Message>…</Message>…</Error>`; `None` if the text is something else.
fn parse_xml(text: &[u8]) -> Option<Body> {
    let root = Element::parse(text).filter(|root| root.name() == "Error")?;
    let of = |name| root.child(name).map(|child| child.text().to_owned()).unwrap_or_default();
    let body = Body { code: of("Code"), message: of("Message"), request_id: of("RequestId"), ..Body::default() };
    (!body.code.is_empty()).then_some(body)
}

/// The kind of a failure: by code first, by status if the code is not known.
fn kind(status: u16, code: &str, message: &str) -> Kind {
    kind_of_code(code, message).unwrap_or(match status {
        401 => Kind::Unauthenticated,
        403 => Kind::PermissionDenied,
        404 => Kind::NotFound,
        408 => Kind::Timeout,
        409 => Kind::WrongState,
        429 => Kind::Throttled,
        501 => Kind::Unsupported,
        400..=499 => Kind::InvalidArgument,
        _ => Kind::Unavailable,
    })
}

/// Whether a code is one that the Storage API uses, so that who sends it speaks the protocol.
pub(super) fn is_known(code: &str) -> bool {
    kind_of_code(code, "").is_some()
}

fn kind_of_code(code: &str, message: &str) -> Option<Kind> {
    Some(match code {
        "Unauthorized"
        | "AuthorizationRequired"
        | "MissingAuthorization"
        | "InvalidAuthorization"
        | "SignatureNotMatch"
        | "SignatureDoesNotMatch"
        | "InvalidSignature"
        | "InvalidAccessKeyId"
        | "RequestTimeTooSkewed"
        | "RequestTimeTooSkewd"
        | "AuthenticationRequestExpired"
        | "SecurityTokenExpired"
        | "InvalidSecurityToken" => Kind::Unauthenticated,
        "NoPermission" | "AccessDenied" if names_quota(message) => Kind::QuotaDenied,
        "NoPermission" | "AccessDenied" => Kind::PermissionDenied,
        "NoSuchObject" | "NoSuchProject" | "NoSuchSchema" | "NoSuchTable" | "NoSuchPartition" | "NoSuchData"
        | "InvalidColumnSpec" => Kind::NotFound,
        "ObjectAlreadyExists" => Kind::AlreadyExists,
        "NoSuchDownload" | "NoSuchUpload" | "StatusConflict" => Kind::SessionExpired,
        "TableModified" | "SchemaModified" | "ObjectModified" | "DataVersionConflict" => Kind::TableChanged,
        "MethodNotAllowed" => Kind::TableKindUnsupported,
        "NotImplemented" => Kind::Unsupported,
        "FlowExceeded" | "SlotExceeded" | "QPSExceeded" | "RequestQuotaExceeded" => Kind::Throttled,
        "RequestTimeOut" => Kind::Timeout,
        _ => return numeric_kind(code),
    })
}

/// Whether a refusal is about a quota: the message names the right or the resource.
fn names_quota(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    message.contains("odps:usage") || message.contains("quotas/")
}

/// The kind of a code such as `ODPS-0420111` or `ODPS-0420111: Project not found`.
fn numeric_kind(code: &str) -> Option<Kind> {
    let number = code.strip_prefix("ODPS-")?.get(..7)?;
    match number {
        _ if number.starts_with("0410") => Some(Kind::Unauthenticated),
        "0130013" | "0420095" => Some(Kind::PermissionDenied),
        "0130131" | "0420111" => Some(Kind::NotFound),
        "0110141" => Some(Kind::TableChanged),
        "0010000" | "0420153" | "0430055" => Some(Kind::Unavailable),
        "0130161" | "0420031" | "0420041" | "0420051" | "0420061" | "0420411" => Some(Kind::InvalidArgument),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_body() {
        let body = br#"{"Code":"SlotExceeded","Message":"Your slot quota\nis exceeded.","HoldClientMillis":"1000"}"#;
        let error = Failure { status: 429, request_id: "R", retry_after: Some(7), body }.into_error();
        assert_eq!(error.kind(), Kind::Throttled);
        assert_eq!(error.message(), "Your slot quota is exceeded.");
        assert_eq!(error.server().retry_after, Some(Duration::from_millis(1000)));
        assert_eq!(error.server().request_id, "R");
    }

    #[test]
    fn xml_body_with_cdata_and_entities() {
        for message in ["<![CDATA[ODPS-1: a < b & c]]>", "ODPS-1: a &lt; b &amp; &#99;"] {
            let body = format!(
                "<?xml version=\"1.0\"?>\n<Error><Code>NoSuchObject</Code><Message>{message}</Message>\
                 <RequestId>X1</RequestId><HostId>h</HostId></Error>"
            );
            let error = Failure { status: 404, body: body.as_bytes(), ..Failure::default() }.into_error();
            assert_eq!((error.kind(), error.message()), (Kind::NotFound, "ODPS-1: a < b & c"));
            assert_eq!(error.server().request_id, "X1");
        }
    }

    #[test]
    fn bodies_of_strangers_fall_back_to_the_status() {
        for (status, expected) in
            [(502, Kind::Unavailable), (404, Kind::NotFound), (308, Kind::Unavailable), (418, Kind::InvalidArgument)]
        {
            for body in [
                &b""[..],
                b"<html><body>Bad Gateway</body></html>",
                b"\xff\xfe",
                b"[1,2",
                b"<Error><Code>",
                b"null",
                b"3",
            ] {
                let error = Failure { status, body, ..Failure::default() }.into_error();
                assert_eq!(error.kind(), expected, "{}", String::from_utf8_lossy(body));
                assert!(error.message().contains(&status.to_string()));
            }
        }
    }

    #[test]
    fn quota_and_other_permissions_are_told_apart() {
        let of = |body: &[u8]| Failure { status: 403, body, ..Failure::default() }.into_error().kind();
        assert_eq!(
            of(br#"{"Code":"NoPermission","Message":"no odps:Usage on quotas/pay-as-you-go"}"#),
            Kind::QuotaDenied
        );
        assert_eq!(
            of(br#"{"Code":"NoPermission","Message":"no Select on table quota_usage"}"#),
            Kind::PermissionDenied
        );
    }

    #[test]
    fn numeric_codes_are_known() {
        for (code, expected) in [
            ("ODPS-0410031", Kind::Unauthenticated),
            ("ODPS-0130131: Table not found", Kind::NotFound),
            ("ODPS-9999999", Kind::InvalidArgument),
            ("ODPS-04", Kind::InvalidArgument),
        ] {
            let body = format!(r#"{{"Code":"{code}","Message":"x"}}"#);
            let error = Failure { status: 400, body: body.as_bytes(), ..Failure::default() }.into_error();
            assert_eq!(error.kind(), expected, "{code}");
        }
    }
}
