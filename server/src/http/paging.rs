//! Pages of lists: `maxitems`, and a marker that names the last item of the page before.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::query::Query;
use super::xml::element;
use crate::error::ApiError;

/// Items of a page if nobody says, and at most (account-routing-metadata.md 6, 16).
const DEFAULT: usize = 1000;
const MOST: usize = 10_000;

/// Which part of a list is asked for.
pub struct Page {
    /// Name of the last item of the page before.
    pub after: Option<String>,
    pub size: usize,
}

impl Page {
    /// Reads `marker` and `maxitems`.
    pub fn of(query: &Query) -> Result<Page, ApiError> {
        let bad =
            |what: &str| ApiError::new(400, "InvalidParameter", format!("ODPS-0420061:Invalid parameter - {what}"));
        let size = match query.get("maxitems").filter(|text| !text.is_empty()) {
            None => DEFAULT,
            Some(text) => match text.parse::<i64>() {
                Ok(size) if size > 0 => usize::try_from(size).unwrap_or(MOST).min(MOST),
                Ok(_) => DEFAULT,
                Err(_) => return Err(bad("maxitems is no number")),
            },
        };
        let after = match query.get("marker").filter(|text| !text.is_empty()) {
            None => None,
            Some(text) => {
                let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| bad("the marker is none of ours"))?;
                Some(String::from_utf8(bytes).map_err(|_| bad("the marker is none of ours"))?)
            }
        };
        Ok(Page { after, size })
    }

    /// The items of the page, and the elements that precede them in the answer. `name` must be unique; the items must
    /// come in the order of the list.
    pub fn cut<T>(&self, items: Vec<T>, name: impl Fn(&T) -> String) -> (Vec<T>, String) {
        let start = match &self.after {
            None => 0,
            Some(after) => items.iter().position(|item| name(item) == *after).map_or(0, |place| place + 1),
        };
        let mut rest = items.into_iter().skip(start);
        let page: Vec<T> = rest.by_ref().take(self.size).collect();
        let marker = match (rest.next(), page.last()) {
            (Some(_), Some(last)) => URL_SAFE_NO_PAD.encode(name(last)),
            _ => String::new(),
        };
        (page, format!("{}<MaxItems>{}</MaxItems>", element("Marker", &marker), self.size))
    }

    /// The same for a list that is sorted by lower-case name: goes on behind the marker also where its item is gone.
    pub fn cut_sorted<T>(&self, items: Vec<T>, name: impl Fn(&T) -> String) -> (Vec<T>, String) {
        let after = self.after.as_ref().map(|after| after.to_lowercase());
        let rest =
            items.into_iter().filter(|item| after.as_ref().is_none_or(|after| name(item).to_lowercase() > *after));
        Page { after: None, size: self.size }.cut(rest.collect(), name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_each_other() {
        let names = ["a", "B", "c", "d", "e"];
        let mut found: Vec<&str> = Vec::new();
        let mut query = "maxitems=2".to_string();
        for _ in 0..3 {
            let page = Page::of(&Query::parse(&query)).unwrap();
            let (items, head) = page.cut_sorted(names.to_vec(), |name| name.to_string());
            found.extend(items);
            let marker = head.split("</Marker>").next().unwrap().trim_start_matches("<Marker>").to_string();
            query = format!("maxitems=2&marker={marker}");
            assert_eq!(head.starts_with("<Marker/>"), found.len() == names.len());
        }
        assert_eq!(found, names);
        for bad in ["maxitems=x", "marker=%21", "marker=gA"] {
            assert!(Page::of(&Query::parse(bad)).is_err(), "{bad}");
        }
        assert_eq!(Page::of(&Query::parse("maxitems=999999999")).unwrap().size, MOST);
    }
}
