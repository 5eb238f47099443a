//! The one error type of the library: a kind for programs, a sentence for people, the request id for support.

use std::fmt;
use std::time::Duration;

/// Result of everything that can fail in this crate.
pub type Result<T> = std::result::Result<T, Error>;

macro_rules! kinds {
    ($($name:ident = $number:literal, $constant:literal, $retryable:literal, $meaning:literal, $remedy:literal;)*) => {
        /// What went wrong. The numbers are those of the C constants and never change.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(i32)]
        pub enum Kind {
            $(#[doc = $meaning] $name = $number,)*
        }

        impl Kind {
            /// Every kind, in the order of the numbers.
            pub const ALL: &'static [Kind] = &[$(Kind::$name,)*];

            /// Name of the C constant, for example `MS_NOT_FOUND`.
            pub const fn constant(self) -> &'static str {
                match self { $(Kind::$name => $constant,)* }
            }

            /// NUL-terminated form of [`Kind::constant`].
            pub const fn constant_c(self) -> &'static str {
                match self { $(Kind::$name => concat!($constant, "\0"),)* }
            }

            /// Whether trying again at a higher level makes sense.
            pub const fn is_retryable(self) -> bool {
                match self { $(Kind::$name => $retryable,)* }
            }

            /// One sentence that says what the status means.
            pub const fn meaning(self) -> &'static str {
                match self { $(Kind::$name => $meaning,)* }
            }

            /// One sentence that says what to do about it.
            pub const fn remedy(self) -> &'static str {
                match self { $(Kind::$name => $remedy,)* }
            }
        }
    };
}

kinds! {
    InvalidArgument = 100, "MS_INVALID_ARGUMENT", false, "An argument of the call, or a value in the request, is wrong.", "Correct the argument that the message names.";
    InvalidOption = 101, "MS_INVALID_OPTION", false, "An option has an unknown key or a bad value, or a required option is missing.", "See docs/options.md; the message suggests the nearest key.";
    Busy = 102, "MS_BUSY", false, "Another thread is inside a call on this handle.", "Give each handle that is not const to one thread at a time.";
    WrongState = 103, "MS_WRONG_STATE", false, "The call is not possible in the present state, for example from inside a callback.", "Follow the order the header comment gives.";
    Unsupported = 104, "MS_UNSUPPORTED", false, "The feature is part of the interface but not of this version or deployment.", "Do without it, or use a version that has it.";
    Forked = 105, "MS_FORKED", false, "The handle was made in the parent process before fork.", "Open a new client in the child process.";
    Unauthenticated = 200, "MS_UNAUTHENTICATED", false, "The service does not accept the credentials, the signature or the clock.", "Check access key, secret, token and the clock of this machine.";
    PermissionDenied = 201, "MS_PERMISSION_DENIED", false, "The caller is known but not allowed to do this.", "Ask for the right that the message names.";
    QuotaDenied = 202, "MS_QUOTA_DENIED", false, "The caller may not use the quota that the options name.", "Have a tenant role with odps:List and odps:Usage on the quota granted, or name another quota.";
    NotFound = 300, "MS_NOT_FOUND", false, "A project, schema, table, partition or column does not exist.", "Check the name that the message gives.";
    AlreadyExists = 301, "MS_ALREADY_EXISTS", false, "The thing to be made exists already.", "Use another name, or the existing thing.";
    SessionExpired = 302, "MS_SESSION_EXPIRED", false, "The session is unknown to the service or its life is over.", "Open a new session.";
    TableChanged = 303, "MS_TABLE_CHANGED", false, "The table was dropped or changed while it was being read.", "Open a new session on the table as it is now.";
    TableKindUnsupported = 304, "MS_TABLE_KIND_UNSUPPORTED", false, "External tables and logical views cannot be read through the Storage API.", "Read the table behind the view, or store the result in a table.";
    Unavailable = 400, "MS_UNAVAILABLE", true, "The service could not answer for the moment.", "Try again later; raise retry.budget_ms if outages are longer.";
    Throttled = 401, "MS_THROTTLED", true, "The service refused the request because too many are running.", "Use fewer concurrent splits, or a larger quota.";
    Timeout = 402, "MS_TIMEOUT", true, "Nothing arrived for the time that the options allow.", "Try again; raise connect_timeout_ms, read_idle_timeout_ms or plan_timeout_ms if the network is slow.";
    Connection = 403, "MS_CONNECTION", true, "The connection could not be made, or broke.", "Check the endpoint, the network and the proxy.";
    ResourceExhausted = 404, "MS_RESOURCE_EXHAUSTED", true, "A limit of this process was reached, for example its memory or its threads.", "Free resources, or raise the limit that the message names.";
    CorruptData = 500, "MS_CORRUPT_DATA", false, "The data that arrived is incomplete or malformed.", "Read the split again; report the request id if it stays.";
    SchemaMismatch = 501, "MS_SCHEMA_MISMATCH", false, "The data that arrived does not have the schema of the session.", "Open a new session; report the request id if it stays.";
    ValueOutOfRange = 502, "MS_VALUE_OUT_OF_RANGE", false, "A value does not fit the type that was asked for.", "Choose another unit or type policy.";
    CommitConflict = 503, "MS_COMMIT_CONFLICT", false, "Another writer committed first.", "Read the state of the table and write again.";
    CommitUnknown = 504, "MS_COMMIT_UNKNOWN", false, "It is not known whether the commit took effect.", "Ask for the state of the write session before writing again.";
    Cancelled = 600, "MS_CANCELLED", false, "The handle was cancelled.", "Nothing: the caller asked for it.";
    DeadlineExceeded = 601, "MS_DEADLINE_EXCEEDED", false, "The deadline of the call passed.", "Allow more time.";
    Internal = 900, "MS_INTERNAL", false, "A defect of this library; the handle cannot be used any more.", "Free the handle and report the message.";
}

/// What the service said with a failure.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServerFacts {
    /// Symbolic code, for example `NoSuchTable`; empty if there was none.
    pub code: String,
    /// Value of `x-odps-request-id`; empty if there was none.
    pub request_id: String,
    /// HTTP status; 0 if no answer arrived.
    pub http_status: u16,
    /// How long the service asked the client to wait before it tries again.
    pub retry_after: Option<Duration>,
}

/// An attempt that failed and was followed by another one.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// Its number, from 1.
    pub number: u32,
    /// Since the first one began.
    pub after: Duration,
    /// How it failed.
    pub error: Error,
}

/// A failure, with everything that was known where it happened.
#[derive(Debug, Clone)]
pub struct Error(Box<Inner>);

#[derive(Debug, Clone)]
struct Inner {
    kind: Kind,
    message: String,
    server: ServerFacts,
    attempts: u32,
    earlier: Vec<Attempt>,
    trace_parent: String,
}

impl Error {
    /// A failure of `kind`; the message is one sentence without the kind's name and without secrets.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        let message = one_line(message.into());
        let (server, trace_parent) = (ServerFacts::default(), String::new());
        Error(Box::new(Inner { kind, message, server, attempts: 0, earlier: Vec::new(), trace_parent }))
    }

    /// The failure that stands for a caught panic; `payload` is what it carried.
    pub fn from_panic(payload: &(dyn std::any::Any + Send)) -> Self {
        let text = payload.downcast_ref::<&str>().copied();
        let text = text.or(payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("no text");
        Error::new(Kind::Internal, format!("the library panicked: {text}"))
    }

    /// Adds what the service said.
    pub fn with_server(mut self, server: ServerFacts) -> Self {
        self.0.server = server;
        self
    }

    /// The same failure seen as one of another kind.
    pub fn with_kind(mut self, kind: Kind) -> Self {
        self.0.kind = kind;
        self
    }

    /// Adds the request id of the answer in which the failure showed.
    pub fn with_request_id(mut self, request_id: &str) -> Self {
        if self.0.server.request_id.is_empty() {
            self.0.server.request_id = request_id.to_owned();
        }
        self
    }

    /// Says how many requests were made before giving up.
    pub fn with_attempts(mut self, attempts: u32) -> Self {
        self.0.attempts = attempts;
        self
    }

    /// Says how attempts before this one failed.
    pub fn with_earlier(mut self, earlier: Vec<Attempt>) -> Self {
        self.0.earlier = earlier;
        self
    }

    /// Says for which trace it was done.
    pub fn with_trace_parent(mut self, parent: &str) -> Self {
        parent.clone_into(&mut self.0.trace_parent);
        self
    }

    /// Puts `context` and a colon before the message.
    pub fn context(mut self, context: impl fmt::Display) -> Self {
        self.0.message = format!("{context}: {}", self.0.message);
        self
    }

    /// What went wrong.
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// The sentence for people.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// What the service said.
    pub fn server(&self) -> &ServerFacts {
        &self.0.server
    }

    /// How many requests were made; 0 if the failure came before the first.
    pub fn attempts(&self) -> u32 {
        self.0.attempts
    }

    /// How the attempts before the last one failed, oldest first; of many only the last ones.
    pub fn earlier(&self) -> &[Attempt] {
        &self.0.earlier
    }

    /// The `traceparent` for which it was done; empty for none.
    pub fn trace_parent(&self) -> &str {
        &self.0.trace_parent
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.kind.constant(), self.0.message)?;
        if !self.0.server.code.is_empty() {
            write!(f, " [{}]", self.0.server.code)?;
        }
        if !self.0.server.request_id.is_empty() {
            write!(f, " (request id {})", self.0.server.request_id)?;
        }
        if !self.0.trace_parent.is_empty() {
            write!(f, " (trace {})", self.0.trace_parent)?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

/// A sentence is one line, whatever a library or a service put into it.
fn one_line(text: String) -> String {
    if text.contains(char::is_control) {
        text.replace(char::is_control, " ").split_whitespace().collect::<Vec<_>>().join(" ")
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_keep_to_their_bands_and_are_unique() {
        let mut numbers: Vec<i32> = Kind::ALL.iter().map(|kind| *kind as i32).collect();
        assert!(numbers.iter().all(|number| (100..1000).contains(number)));
        let count = numbers.len();
        numbers.dedup();
        assert_eq!(numbers.len(), count);
        assert!(numbers.is_sorted());
    }

    #[test]
    fn only_the_temporary_band_is_retryable() {
        for kind in Kind::ALL {
            assert_eq!(kind.is_retryable(), (400..500).contains(&(*kind as i32)), "{}", kind.constant());
        }
    }

    #[test]
    fn a_sentence_is_one_line_whatever_it_was_made_of() {
        let error = Error::new(Kind::CorruptData, "the metadata is malformed:\n\tunion tag\r\n at 7");
        assert_eq!(error.message(), "the metadata is malformed: union tag at 7");
    }

    #[test]
    fn display_is_one_line_with_code_sentence_and_request_id() {
        let error = Error::new(Kind::NotFound, "table x does not exist").context("opening a session").with_server(
            ServerFacts { code: "NoSuchTable".into(), request_id: "R1".into(), http_status: 404, retry_after: None },
        );
        assert_eq!(
            error.to_string(),
            "MS_NOT_FOUND: opening a session: table x does not exist [NoSuchTable] (request id R1)"
        );
    }
}
