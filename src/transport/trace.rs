//! The trace that requests belong to, as W3C Trace Context writes it.

use std::sync::Arc;

use crate::error::{Error, Kind, Result};
use crate::options::{self, Options};

/// A checked `traceparent`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Trace(Arc<str>);

impl Trace {
    /// The trace that options name, if they do.
    pub(super) fn of(options: &Options) -> Result<Option<Self>> {
        let Some(text) = options.text(&options::TRACE_PARENT) else { return Ok(None) };
        if is_trace_parent(text) {
            return Ok(Some(Trace(text.into())));
        }
        let message = format!(
            "{}: `{text}` is no traceparent, which looks like 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            options::TRACE_PARENT.name
        );
        Err(Error::new(Kind::InvalidOption, message))
    }

    pub(super) fn parent(&self) -> &str {
        &self.0
    }

    /// The trace.
    pub(super) fn id(&self) -> &str {
        self.part(1)
    }

    /// The span of the caller.
    pub(super) fn span(&self) -> &str {
        self.part(2)
    }

    pub(super) fn flags(&self) -> &str {
        self.part(3)
    }

    /// Whether the caller may record it: the lowest bit of the flags.
    pub(super) fn is_sampled(&self) -> bool {
        u8::from_str_radix(self.flags(), 16).is_ok_and(|flags| flags & 1 == 1)
    }

    fn part(&self, number: usize) -> &str {
        self.0.split('-').nth(number).unwrap_or_default()
    }
}

/// Version, trace, span and flags in lower-case hexadecimal digits; neither trace nor span is 0, and no version is ff.
fn is_trace_parent(text: &str) -> bool {
    let is_hex = |part: &str, digits: usize| {
        part.len() == digits && part.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
    };
    let is_id = |part: &str, digits| is_hex(part, digits) && part.bytes().any(|byte| byte != b'0');
    match text.split('-').collect::<Vec<_>>().as_slice() {
        [version, trace, span, flags] => {
            is_hex(version, 2) && *version != "ff" && is_id(trace, 32) && is_id(span, 16) && is_hex(flags, 2)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_has_its_parts() {
        let trace = |flags| Trace(format!("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-{flags}").into());
        let sampled = trace("01");
        assert_eq!((sampled.id(), sampled.span()), ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"));
        assert!(sampled.is_sampled() && trace("03").is_sampled());
        assert!(!trace("00").is_sampled() && !trace("02").is_sampled());
    }

    #[test]
    fn only_what_the_recommendation_allows_is_sent() {
        for good in [
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "cc-0000000000000000000000000000000a-000000000000000b-00",
        ] {
            assert!(is_trace_parent(good), "{good}");
        }
        for bad in [
            "",
            "4bf92f3577b34da6a3ce929d0e0e4736",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\nx: y",
        ] {
            assert!(!is_trace_parent(bad), "{bad}");
        }
    }
}
