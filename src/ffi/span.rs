//! Requests, told to the host as spans of its traces.

use std::collections::BTreeMap;
use std::ffi::{CString, c_char, c_void};
use std::sync::OnceLock;

use super::args::{Context, borrow, c_text, peek, text};
use super::callbacks::call_host;
use super::error::ms_error;
use super::gate::{gate, quiet};
use super::live;
use super::options::ms_options;
use super::status::ms_status;
use crate::options::{Span, SpanHook, SpanValue};

/// A request to the service that is over. It belongs to the library and exists during a call of ms_span_callback only.
pub struct ms_span {
    texts: BTreeMap<&'static str, CString>,
    numbers: BTreeMap<&'static str, i64>,
    span: Span,
    /// Made when somebody asks for it.
    json: OnceLock<CString>,
}

impl ms_span {
    fn new(span: &Span) -> Self {
        let (mut texts, mut numbers) = (BTreeMap::new(), BTreeMap::new());
        for (name, value) in &span.0 {
            match value {
                SpanValue::Text(text) => drop(texts.insert(*name, c_text(text))),
                SpanValue::Number(number) => drop(numbers.insert(*name, *number)),
            }
        }
        ms_span { texts, numbers, span: span.clone(), json: OnceLock::new() }
    }

    fn json(&self) -> &CString {
        self.json.get_or_init(|| {
            let value = |value: &SpanValue| match value {
                SpanValue::Text(text) => serde_json::Value::from(text.as_str()),
                SpanValue::Number(number) => serde_json::Value::from(*number),
            };
            let fields = self.span.0.iter().map(|(name, field)| ((*name).to_owned(), value(field)));
            c_text(&serde_json::Value::Object(fields.collect()).to_string())
        })
    }
}

/// Told of a request to the service that is over, as a span of the caller's trace; docs/tracing.md lists what a span has. It is called once for
/// each request, from any thread, several at once, also from one that frees or cancels; it must return soon, must not throw, and must call
/// nothing of the library but the functions that read a span.
pub type ms_span_callback = Option<unsafe extern "C" fn(context: *mut c_void, span: *const ms_span)>;

/// Has the host told of each request when it is over: those that plan, read, refresh, list, and ask for the endpoint, each attempt by itself,
/// but not those for credentials. The parent of a span is that of trace.parent; without the option each request is a trace of its own. The
/// header traceparent that goes with a request names the span of the request itself, so what the service writes down about it joins up. Where
/// trace.parent says that its trace is not sampled, there are no spans, and the header goes as it is. Without a callback nothing is made for
/// spans.
/// @param[in] options the options. Those of a client hold for everything that is opened through it, those of a session in their place for it and
/// its reads, and those of a split or scan in place of both.
/// @param[in] callback is called; NULL for that of what is above, the session or the client, or for none there.
/// @param[in] context handed to each call; may be NULL. A request may outlast the freeing of everything, so it must live until ms_shutdown or
/// ms_end_callbacks has returned MS_OK, or as long as the process.
/// @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
/// @return MS_OK; MS_INVALID_ARGUMENT for NULL; MS_BUSY.
/// Thread: one call at a time. Blocking: no.
/// @since 0.1
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_options_set_span_callback(
    options: *mut ms_options,
    callback: ms_span_callback,
    context: *mut c_void,
    err: *mut *mut ms_error,
) -> ms_status {
    unsafe {
        gate(err, || {
            let options = borrow(options, "options")?;
            let context = Context(context);
            let hook = callback.map(|callback| SpanHook::new(move |span| tell(callback, context, span)));
            options.change(|options| {
                options.set_span_hook(hook);
                Ok(())
            })
        })
    }
}

fn tell(callback: unsafe extern "C" fn(*mut c_void, *const ms_span), context: Context, span: &Span) {
    let span = ms_span::new(span);
    let _loan = live::lend(&raw const span);
    // SAFETY: the host promises that its callback can be called with its context from any thread. The span outlives the call and is used through
    // shared references only.
    call_host("a span callback", || unsafe { callback(context.0, &raw const span) });
}

/// A text of a span, for example its "trace_id"; docs/tracing.md has the names.
/// @param[in] span may be NULL.
/// @param[in] name the name; may be NULL.
/// @return text owned by `span`; "" for NULL, and where the span has no such text.
/// Thread: that of the callback. Blocking: no.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_span_text(span: *const ms_span, name: *const c_char) -> *const c_char {
    let none = c"".as_ptr();
    let (span, name) = unsafe { (peek(span), text(name, "name")) };
    quiet(none, || match (span, name) {
        (Some(span), Ok(name)) => span.texts.get(name).map_or(none, |text| text.as_ptr()),
        _ => none,
    })
}

/// A number of a span, for example its "start_unix_ns"; docs/tracing.md has the names.
/// @param[in] span may be NULL.
/// @param[in] name the name; may be NULL.
/// @return the number; -1 for NULL, and where the span has no such number.
/// Thread: that of the callback. Blocking: no.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_span_number(span: *const ms_span, name: *const c_char) -> i64 {
    let (span, name) = unsafe { (peek(span), text(name, "name")) };
    quiet(-1, || match (span, name) {
        (Some(span), Ok(name)) => span.numbers.get(name).copied().unwrap_or(-1),
        _ => -1,
    })
}

/// Everything that is known of a span as one JSON object, whose keys are the names of ms_span_text and ms_span_number. Keys are only added.
/// @param[in] span may be NULL.
/// @return text owned by `span`; "" for NULL.
/// Thread: that of the callback. Blocking: no.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_span_json(span: *const ms_span) -> *const c_char {
    let span = unsafe { peek(span) };
    quiet(c"".as_ptr(), || span.map_or(c"".as_ptr(), |span| span.json().as_ptr()))
}
