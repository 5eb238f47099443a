//! What can happen to a request.

use serde::{Deserialize, Serialize};

/// Which of the two bodies an effect is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    Request,
    #[default]
    Response,
}

/// How the schema at the head of an Arrow stream is falsified.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SchemaChange {
    /// The first column has another type.
    #[default]
    Type,
    /// The first column has another name.
    Name,
    /// There is one column more than in the batches.
    Count,
}

/// The states a session can pretend to be in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum State {
    Init,
    Critical,
}

/// What happens. Offsets count bytes of a body as they are on the wire inside HTTP's framing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Effect {
    /// A refusal in the words of the protocol. The call is not carried out, unless `late` says that it is, and its
    /// answer replaced.
    Error {
        status: u16,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        code: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after_s: Option<u64>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        hold_client_ms: Option<u64>,
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        late: bool,
    },
    /// 429 with `Retry-After`.
    Throttle {
        #[serde(default = "slot_exceeded")]
        code: String,
        #[serde(default = "one")]
        retry_after_s: u64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        hold_client_ms: Option<u64>,
    },
    /// 308: the slot lies elsewhere.
    Moved {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        location: Option<String>,
    },
    /// A pause: before the call, or inside a body after so many bytes.
    Delay {
        ms: u64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after_bytes: Option<u64>,
        #[serde(default)]
        on: Side,
    },
    /// Silence for ever: no answer at all, or none after so many bytes.
    Stall {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after_bytes: Option<u64>,
        #[serde(default)]
        on: Side,
    },
    /// The connection is closed: without an answer and without carrying out the call, or after so many bytes.
    Cut {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after_bytes: Option<u64>,
        #[serde(default)]
        on: Side,
    },
    /// The body ends as if it were complete: after so many bytes, or just without the end marker of Arrow.
    EndEarly {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after_bytes: Option<u64>,
    },
    /// One bit of the body is the other way round.
    FlipBit {
        at_byte: u64,
        #[serde(default)]
        bit: u8,
        #[serde(default)]
        on: Side,
    },
    /// So many bytes each second, from an offset on.
    Drip {
        bytes_per_second: u64,
        #[serde(default)]
        after_bytes: u64,
        #[serde(default)]
        on: Side,
    },
    /// The Arrow stream begins with a schema that is not the session's.
    WrongSchema {
        #[serde(default)]
        change: SchemaChange,
    },
    /// The first text in the Arrow stream is not UTF-8.
    InvalidUtf8 {},
    /// The session of the request is past its end before the call is looked at.
    ExpireSession {},
    /// The session that the answer describes pretends to be in this state.
    SessionState {
        state: State,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message: Option<String>,
    },
    /// The call is carried out, a commit committed, and the connection closed without an answer.
    LoseAnswer {},
}

fn slot_exceeded() -> String {
    "SlotExceeded".into()
}

fn one() -> u64 {
    1
}

/// Longest time of one effect: a day.
const LONGEST_MS: u64 = 86_400_000;

impl Effect {
    /// Says what is wrong with values that JSON alone does not refuse.
    pub fn check(&self) -> Result<(), String> {
        let coded = |code: &str| {
            let sound = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | ':' | '.' | ' ');
            match !code.is_empty() && code.len() <= 100 && code.chars().all(sound) {
                true => Ok(()),
                false => Err(format!("the code \"{code}\" is not of letters, digits and -_:. only")),
            }
        };
        match self {
            Effect::Error { status, .. } if !(400..=599).contains(status) => {
                Err(format!("the status {status} is not from 400 to 599"))
            }
            Effect::Error { code: Some(code), .. } | Effect::Throttle { code, .. } => coded(code),
            Effect::Moved { location: Some(location) } if !location.chars().all(|c| c.is_ascii_graphic()) => {
                Err(format!("the location {location:?} does not fit into a header"))
            }
            Effect::Delay { ms, .. } if *ms > LONGEST_MS => Err(format!("{ms} ms is longer than a day")),
            Effect::Delay { after_bytes: None, on: Side::Request, .. }
            | Effect::Stall { after_bytes: None, on: Side::Request }
            | Effect::Cut { after_bytes: None, on: Side::Request } => {
                Err("\"on\": \"request\" needs \"after_bytes\": without it the whole call is meant".into())
            }
            Effect::FlipBit { bit, .. } if *bit > 7 => Err(format!("bit {bit} is not from 0 to 7")),
            Effect::Drip { bytes_per_second: 0, .. } => {
                Err("bytes_per_second is 0: \"stall\" is the effect for that".into())
            }
            _ => Ok(()),
        }
    }

    /// The body that the effect changes, if it changes one.
    pub fn body(&self) -> Option<Side> {
        match self {
            Effect::Delay { after_bytes: Some(_), on, .. }
            | Effect::Stall { after_bytes: Some(_), on }
            | Effect::Cut { after_bytes: Some(_), on }
            | Effect::FlipBit { on, .. }
            | Effect::Drip { on, .. } => Some(*on),
            Effect::EndEarly { .. } | Effect::WrongSchema { .. } | Effect::InvalidUtf8 {} => Some(Side::Response),
            _ => None,
        }
    }

    /// The code of an error that names none.
    pub fn usual_code(status: u16) -> &'static str {
        match status {
            400 => "InvalidArgument",
            401 => "Unauthorized",
            403 => "NoPermission",
            404 => "NoSuchObject",
            405 => "MethodNotAllowed",
            408 => "RequestTimeOut",
            409 => "StatusConflict",
            411 => "MissingContentLength",
            413 => "MaxMessageLengthExceeded",
            429 => "SlotExceeded",
            500 => "InternalServerError",
            501 => "NotImplemented",
            503 => "ServiceUnavailable",
            504 => "GatewayTimeout",
            _ if status < 500 => "InvalidArgument",
            _ => "InternalServerError",
        }
    }
}
