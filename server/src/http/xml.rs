//! The little XML that answers need.

/// `<name>text</name>` with the text escaped.
pub fn element(name: &str, text: &str) -> String {
    if text.is_empty() {
        return format!("<{name}/>");
    }
    format!("<{name}>{}</{name}>", escape(text))
}

/// Escapes text for element content and attribute values; characters that XML 1.0 forbids become blanks.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\t' | '\n' | '\r' => escaped.push(c),
            c if c < ' ' || c == '\u{fffe}' || c == '\u{ffff}' => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    escaped
}
