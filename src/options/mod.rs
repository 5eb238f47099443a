//! Settings: one table of keys, and the builder that holds values for them.
//!
//! The table is the only place where a key is described; `docs/options.md`, the `MS_OPT_…` constants of the header
//! and the run-time listing are made from it.

mod environment;
mod nearest;
mod provider;
mod read_end;
mod retry_hook;
mod span_hook;
mod table;
mod thread_hooks;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::error::{Error, Kind, Result};
use crate::memory::{Allocator, Hooks};

pub use environment::VARIABLES;
pub use provider::{Grant, Provider, Who};
pub use read_end::{ReadEnd, ReadEndHook};
pub use retry_hook::{Decision, FailedAttempt, RetryHook};
pub use span_hook::{Span, SpanHook, SpanValue};
pub use table::*;
pub use thread_hooks::ThreadHooks;

/// How the text of a value is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// Any text.
    Text,
    /// Any number of texts, in the order in which they were added.
    List,
    /// `true` or `false`.
    Bool,
    /// A whole number within the bounds, both included.
    Integer(u64, u64),
    /// One of the words.
    Choice(&'static [&'static str]),
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Type::Text => "text",
            Type::List => "list of text",
            Type::Bool => "bool",
            Type::Integer(..) => "integer",
            Type::Choice(_) => "choice",
        })
    }
}

/// Which call reads a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// Read by `ms_client_open`: where the service is.
    Connection,
    /// Read by `ms_client_open`: who asks.
    Identity,
    /// Read by `ms_client_open`: what happens after a temporary failure.
    Retry,
    /// Read by `ms_client_open`: what this process may use.
    Limits,
    /// Read by `ms_session_open`: what is read and how it is split.
    Scan,
    /// Read by `ms_session_open`: how values are delivered.
    Types,
    /// Read by `ms_split_open`: how one split is fetched.
    Read,
    /// For tests of the host.
    Debug,
}

impl Group {
    /// The word used in the documentation.
    pub const fn name(self) -> &'static str {
        match self {
            Group::Connection => "connection",
            Group::Identity => "identity",
            Group::Retry => "retry",
            Group::Limits => "limits",
            Group::Scan => "scan",
            Group::Types => "types",
            Group::Read => "read",
            Group::Debug => "debug",
        }
    }
}

/// One row of the table of options.
#[derive(Debug)]
pub struct Key {
    /// Name, for example `split.size_bytes`.
    pub name: &'static str,
    /// Which call reads it.
    pub group: Group,
    /// How its text is read.
    pub kind: Type,
    /// Text of the value when none was set; empty means "none".
    pub default: &'static str,
    /// Whether the value must never be shown.
    pub secret: bool,
    /// What it does, in the words of a header comment.
    pub doc: &'static str,
}

impl Key {
    /// The allowed values as text, empty if anything is allowed.
    pub fn range(&self) -> String {
        match self.kind {
            Type::Text | Type::List => String::new(),
            Type::Bool => "true, false".to_owned(),
            Type::Integer(low, u64::MAX) => format!("{low}..."),
            Type::Integer(low, high) => format!("{low}...{high}"),
            Type::Choice(words) => words.join(", "),
        }
    }

    fn check(&self, value: &str) -> Result<()> {
        let fits = match self.kind {
            Type::Text | Type::List => true,
            Type::Bool => matches!(value, "true" | "false"),
            Type::Integer(low, high) => value.parse::<u64>().is_ok_and(|number| (low..=high).contains(&number)),
            Type::Choice(words) => words.contains(&value),
        };
        if fits {
            return Ok(());
        }
        let shown = if self.secret { "the value".to_owned() } else { format!("`{value}`") };
        Err(Error::new(
            Kind::InvalidOption,
            format!("{} takes {}; {shown} is not one of these", self.name, self.range()),
        ))
    }
}

type Values = Vec<Zeroizing<String>>;

/// Values for keys of the table. Cheap to clone; secrets are wiped when dropped and masked when shown.
#[derive(Clone, Default)]
pub struct Options {
    values: BTreeMap<&'static str, Values>,
    memory_hooks: Option<Hooks>,
    allocator: Option<Allocator>,
    provider: Option<Provider>,
    retry_hook: Option<RetryHook>,
    read_end_hook: Option<ReadEndHook>,
    span_hook: Option<SpanHook>,
    thread_hooks: Option<ThreadHooks>,
}

impl Options {
    /// Options with every key at its default.
    pub fn new() -> Self {
        Self::default()
    }

    /// Replaces the value of `key`. For a list the text is its only item; the empty text clears any key.
    pub fn set(&mut self, key: &str, value: &str) -> Result<()> {
        let key = find(key)?;
        if value.is_empty() {
            self.values.remove(key.name);
            return Ok(());
        }
        key.check(value)?;
        self.values.insert(key.name, vec![Zeroizing::new(value.to_owned())]);
        Ok(())
    }

    /// Adds an item to a list.
    pub fn add(&mut self, key: &str, value: &str) -> Result<()> {
        let key = find(key)?;
        if key.kind != Type::List {
            return Err(Error::new(Kind::InvalidOption, format!("{} holds one value; set it instead", key.name)));
        }
        if value.is_empty() {
            return Err(Error::new(Kind::InvalidOption, format!("an item of {} must not be empty", key.name)));
        }
        self.values.entry(key.name).or_default().push(Zeroizing::new(value.to_owned()));
        Ok(())
    }

    /// Sets every key that is still at its default from the variables of the MaxCompute SDKs (see [`VARIABLES`]).
    /// `read` looks a variable up.
    pub fn load_environment(&mut self, read: impl Fn(&str) -> Option<String>) -> Result<()> {
        environment::load(self, read)
    }

    /// Has the host asked before memory is allocated; `None` for no longer. Read by `ms_client_open`.
    pub fn set_memory_hooks(&mut self, hooks: Option<Hooks>) {
        self.memory_hooks = hooks;
    }

    /// The host's accounting of memory.
    pub fn memory_hooks(&self) -> Option<&Hooks> {
        self.memory_hooks.as_ref()
    }

    /// Has the host provide memory for rows; `None` for no longer. Read by `ms_client_open`.
    pub fn set_allocator(&mut self, allocator: Option<Allocator>) {
        self.allocator = allocator;
    }

    /// The host's memory.
    pub fn allocator(&self) -> Option<&Allocator> {
        self.allocator.as_ref()
    }

    /// Has the threads of the library call functions of the host; `None` for no longer. Read by the first `ms_client_open`.
    pub fn set_thread_hooks(&mut self, hooks: Option<ThreadHooks>) {
        self.thread_hooks = hooks;
    }

    /// What the host does on the threads of the library.
    pub fn thread_hooks(&self) -> Option<&ThreadHooks> {
        self.thread_hooks.as_ref()
    }

    /// Has the host told of the end of each read; `None` for no longer. Read when a client, a session or a read is opened.
    pub fn set_read_end_hook(&mut self, hook: Option<ReadEndHook>) {
        self.read_end_hook = hook;
    }

    /// Who is told of the end of each read.
    pub fn read_end_hook(&self) -> Option<&ReadEndHook> {
        self.read_end_hook.as_ref()
    }

    /// Has the host told of each request; `None` for no longer. Read when a client, a session or a read is opened.
    pub fn set_span_hook(&mut self, hook: Option<SpanHook>) {
        self.span_hook = hook;
    }

    /// Who is told of each request.
    pub fn span_hook(&self) -> Option<&SpanHook> {
        self.span_hook.as_ref()
    }

    /// Has the host decide about further attempts; `None` for no longer. Read by `ms_client_open`.
    pub fn set_retry_hook(&mut self, hook: Option<RetryHook>) {
        self.retry_hook = hook;
    }

    /// Who decides about further attempts besides the retry options.
    pub fn retry_hook(&self) -> Option<&RetryHook> {
        self.retry_hook.as_ref()
    }

    /// Takes credentials from a function instead of from the identity options; `None` for those again.
    pub fn set_provider(&mut self, provider: Option<Provider>) {
        self.provider = provider;
    }

    /// The function that supplies credentials, if one was set.
    pub fn provider(&self) -> Option<&Provider> {
        self.provider.as_ref()
    }

    /// Whether a value was set.
    pub fn is_set(&self, key: &Key) -> bool {
        self.values.contains_key(key.name)
    }

    /// The text that was set, or the default; `None` if that is empty.
    pub fn text(&self, key: &Key) -> Option<&str> {
        let set = self.values.get(key.name).and_then(|values| values.first()).map(|value| value.as_str());
        set.or((!key.default.is_empty()).then_some(key.default))
    }

    /// The text of a key without which nothing can be opened.
    pub fn required(&self, key: &Key) -> Result<&str> {
        self.text(key).ok_or_else(|| Error::new(Kind::InvalidOption, format!("option {} is required", key.name)))
    }

    /// The items of a list, in order.
    pub fn list(&self, key: &Key) -> Vec<String> {
        self.values.get(key.name).into_iter().flatten().map(|value| value.to_string()).collect()
    }

    /// The number of an integer key; all of them have defaults.
    pub fn number(&self, key: &Key) -> u64 {
        self.text(key).and_then(|text| text.parse().ok()).unwrap_or_default()
    }

    /// The number of a `…_ms` key as a duration.
    pub fn duration(&self, key: &Key) -> Duration {
        Duration::from_millis(self.number(key))
    }

    /// The value of a bool key.
    pub fn flag(&self, key: &Key) -> bool {
        self.text(key) == Some("true")
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_map();
        for key in TABLE {
            if let Some(values) = self.values.get(key.name) {
                let shown = values.iter().map(|value| value.as_str()).collect::<Vec<_>>().join(",");
                map.entry(&key.name, if key.secret { &"***" } else { &shown });
            }
        }
        map.finish()
    }
}

/// Finds a row of the table, or says what may have been meant.
pub fn find(name: &str) -> Result<&'static Key> {
    if let Some(key) = TABLE.iter().find(|key| key.name == name) {
        return Ok(key);
    }
    if let Some((_, why)) = IMPOSSIBLE.iter().find(|(key, _)| *key == name) {
        return Err(Error::new(Kind::Unsupported, format!("option {name}: {why}")));
    }
    if PLANNED.contains(&name) {
        return Err(Error::new(
            Kind::Unsupported,
            format!(
                "option {name} belongs to the interface but is not implemented in version {}",
                env!("CARGO_PKG_VERSION")
            ),
        ));
    }
    let hint = nearest::nearest(name, TABLE.iter().map(|key| key.name));
    let hint = hint.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
    Err(Error::new(Kind::InvalidOption, format!("there is no option `{name}`{hint}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_key_suggests_the_nearest() {
        let error = Options::new().set("split.sise_bytes", "1").unwrap_err();
        assert_eq!(error.kind(), Kind::InvalidOption);
        assert!(error.message().contains("did you mean split.size_bytes?"), "{}", error.message());
        let swapped = Options::new().set("tabel", "1").unwrap_err();
        assert!(swapped.message().contains("did you mean table?"), "{}", swapped.message());
        let far = Options::new().set("zzzzzzzzzzzzzzzz", "1").unwrap_err();
        assert!(!far.message().contains("did you mean"), "{}", far.message());
    }

    #[test]
    fn bad_values_fail_at_set_time_and_name_the_range() {
        let mut options = Options::new();
        for (key, value, part) in [
            ("split.mode", "sise", "size, parallelism, row_offset, bucket"),
            ("tls.verify", "yes", "true, false"),
            ("split.parallelism", "0", "1..."),
            ("split.parallelism", "-1", "1..."),
            ("columns", "", ""),
        ] {
            match options.set(key, value) {
                Ok(()) => assert!(value.is_empty()),
                Err(error) => assert!(error.message().contains(part), "{}", error.message()),
            }
        }
    }

    #[test]
    fn planned_keys_say_so() {
        assert_eq!(Options::new().set("write.mode", "batch").unwrap_err().kind(), Kind::Unsupported);
        let error = Options::new().set("snapshot.version", "1").unwrap_err();
        assert_eq!(error.kind(), Kind::Unsupported);
        assert!(error.message().contains("VERSION AS OF"), "{error}");
    }

    #[test]
    fn every_default_is_a_legal_value_and_every_name_is_unique() {
        let mut names: Vec<_> = TABLE
            .iter()
            .map(|key| key.name)
            .chain(PLANNED.iter().copied())
            .chain(IMPOSSIBLE.iter().map(|key| key.0))
            .collect();
        for key in TABLE {
            assert!(key.default.is_empty() || key.check(key.default).is_ok(), "{}", key.name);
            assert!(!key.doc.is_empty());
        }
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn lists_keep_their_order_and_set_replaces() {
        let mut options = Options::new();
        options.add("columns", "b").unwrap();
        options.add("columns", "a").unwrap();
        assert_eq!(options.list(&COLUMNS), ["b", "a"]);
        options.set("columns", "c").unwrap();
        assert_eq!(options.list(&COLUMNS), ["c"]);
        options.set("columns", "").unwrap();
        assert!(options.list(&COLUMNS).is_empty());
        assert_eq!(options.add("endpoint", "x").unwrap_err().kind(), Kind::InvalidOption);
    }

    #[test]
    fn secrets_are_masked_everywhere() {
        let mut options = Options::new();
        for key in TABLE.iter().filter(|key| key.secret) {
            options.set(key.name, "CANARY-SECRET").unwrap();
        }
        assert!(!format!("{options:?}").contains("CANARY"));
        assert!(format!("{options:?}").contains("***"));
    }
}
