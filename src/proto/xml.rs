//! Small XML documents as trees: what the service endpoint answers with.

use quick_xml::XmlVersion;
use quick_xml::events::{BytesStart, Event};

/// Deepest nesting that is followed.
const MAX_DEPTH: usize = 32;

/// An element.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Element {
    name: String,
    attributes: Vec<(String, String)>,
    text: String,
    children: Vec<Element>,
}

impl Element {
    /// The root of a document; `None` if the text is not one.
    pub fn parse(text: &[u8]) -> Option<Element> {
        let mut reader = quick_xml::Reader::from_str(std::str::from_utf8(text).ok()?);
        let mut open: Vec<Element> = Vec::new();
        loop {
            let closed = match reader.read_event().ok()? {
                Event::Start(start) => {
                    open.push(begun(&start)?);
                    if open.len() > MAX_DEPTH {
                        return None;
                    }
                    continue;
                }
                Event::Empty(start) => begun(&start)?,
                Event::End(_) => open.pop()?,
                Event::Text(text) => {
                    append(&mut open, &text);
                    continue;
                }
                Event::CData(text) => {
                    append(&mut open, &text);
                    continue;
                }
                Event::GeneralRef(reference) => {
                    let resolved = match reference.resolve_char_ref().ok()? {
                        Some(character) => character.to_string(),
                        None => quick_xml::escape::resolve_xml_entity(&reference)?.to_owned(),
                    };
                    append(&mut open, &resolved);
                    continue;
                }
                Event::Eof => return None,
                _ => continue,
            };
            match open.last_mut() {
                Some(parent) => parent.children.push(closed),
                None => return Some(closed),
            }
        }
    }

    /// Name without its prefix.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Text directly inside the element.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The first child of that name.
    pub fn child(&self, name: &str) -> Option<&Element> {
        self.children(name).next()
    }

    /// All children of that name.
    pub fn children(&self, name: &str) -> impl Iterator<Item = &Element> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The text of the first child of that name without blanks around it; empty if there is none.
    pub fn text_of(&self, name: &str) -> &str {
        self.child(name).map(|child| child.text.trim()).unwrap_or_default()
    }

    /// The value of an attribute.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

fn begun(start: &BytesStart<'_>) -> Option<Element> {
    let attributes = start.attributes().map(|attribute| {
        let attribute = attribute.ok()?;
        let value = attribute.normalized_value(XmlVersion::Implicit1_0).ok()?.into_owned();
        Some((attribute.key.local_name().as_ref().to_owned(), value))
    });
    Some(Element {
        name: start.local_name().as_ref().to_owned(),
        attributes: attributes.collect::<Option<Vec<_>>>()?,
        ..Element::default()
    })
}

fn append(open: &mut [Element], text: &str) {
    if let Some(element) = open.last_mut() {
        element.text.push_str(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_attributes_and_every_way_to_write_text() {
        let root = Element::parse(
            b"<?xml version=\"1.0\"?>\n<L><Marker/><P n='a&amp;b'><Name> x &lt;<![CDATA[&y]]>&#33; </Name></P><P n=\"2\"/></L>",
        )
        .unwrap();
        assert_eq!((root.name(), root.text_of("Marker"), root.text_of("None")), ("L", "", ""));
        let parts: Vec<_> =
            root.children("P").map(|part| (part.attribute("n").unwrap(), part.text_of("Name"))).collect();
        assert_eq!(parts, [("a&b", "x <&y!"), ("2", "")]);
    }

    #[test]
    fn what_is_not_a_complete_document_is_none() {
        let deep = "<a>".repeat(100) + &"</a>".repeat(100);
        for text in ["", "x", "<a>", "<a></b>", "</a>", "<a>&unknown;</a>", "<a b='1></a>", deep.as_str(), "{}"] {
            assert_eq!(Element::parse(text.as_bytes()), None, "{text}");
        }
        assert_eq!(Element::parse(b"\xff<a/>"), None);
    }
}
