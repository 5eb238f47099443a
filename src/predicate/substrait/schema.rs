//! The columns that a message names, and the functions that it declares.

use std::collections::HashMap;
use std::vec::IntoIter;

use super::wire::{Message, malformed};
use super::{MAX_LEVELS, too_deep, unsupported};
use crate::error::Result;
use crate::predicate::Column;

/// A column or a field of a struct, with the fields in it.
struct Field<'a> {
    name: &'a str,
    fields: Vec<Field<'a>>,
}

/// Whether the fields of structs in lists and maps have names.
#[derive(Clone, Copy, PartialEq)]
enum Elements {
    Named,
    Nameless,
}

/// The rows that an expression is about: `base_schema`.
pub(super) struct Schema<'a>(Vec<Field<'a>>);

impl<'a> Schema<'a> {
    /// Reads a named struct: the names of the columns and of the fields in them, each before what is in it. Arrow names no fields of
    /// structs in lists and maps, which nothing can refer to; which way it is shows in the number of names.
    pub(super) fn read(named: &Message<'a>) -> Result<Self> {
        let types = named.message(2)?.ok_or_else(|| malformed("no types of columns"))?;
        let names: Vec<&str> = named.texts(1).collect::<Result<_>>()?;
        let read = |elements| {
            let mut names = names.clone().into_iter();
            let columns = fields(&types, &mut names, elements, 0)?;
            if names.next().is_some() {
                return Err(malformed("more names than columns"));
            }
            Ok(Schema(columns))
        };
        read(Elements::Named).or_else(|failure| read(Elements::Nameless).map_err(|_| failure))
    }

    /// The column of a field reference.
    pub(super) fn column(&self, reference: &Message<'a>) -> Result<Column> {
        if let Some(root) = reference.numbers().find(|number| ![1, 2, 4].contains(number)) {
            return Err(unsupported(match root {
                3 => "a field of an expression",
                5 => "a column of an outer query",
                6 => "a parameter of a lambda",
                _ => "a reference to something else than a column",
            }));
        }
        let mut segment = reference.message(1)?.ok_or_else(|| unsupported("a masked reference"))?;
        let mut names = Vec::new();
        let mut known = &self.0;
        loop {
            let field = segment.message(2)?.ok_or_else(|| unsupported("an element of a list or a map"))?;
            let index = field.int(1)?;
            let found = usize::try_from(index).ok().and_then(|index| known.get(index));
            let found = found
                .ok_or_else(|| malformed(&format!("a reference to the field {index}, which is not in its schema")))?;
            names.push(found.name.to_owned());
            known = &found.fields;
            match field.message(2)? {
                Some(child) => segment = child,
                None => break,
            }
        }
        let name = names.remove(0);
        Ok(Column::new(name, names))
    }
}

/// The fields of a struct type.
fn fields<'a>(
    types: &Message<'a>,
    names: &mut IntoIter<&'a str>,
    elements: Elements,
    level: usize,
) -> Result<Vec<Field<'a>>> {
    let named = |kind: Result<Message<'a>>| {
        let name = names.next().filter(|name| !name.is_empty()).ok_or_else(|| malformed("a column without a name"))?;
        Ok(Field { name, fields: inner(&kind?, names, elements, level)? })
    };
    types.messages(1).map(named).collect()
}

/// The fields in a type.
fn inner<'a>(
    kind: &Message<'a>,
    names: &mut IntoIter<&'a str>,
    elements: Elements,
    level: usize,
) -> Result<Vec<Field<'a>>> {
    if level > MAX_LEVELS {
        return Err(too_deep());
    }
    if let Some(structure) = kind.message(25)? {
        return fields(&structure, names, elements, level + 1);
    }
    if elements == Elements::Nameless {
        return Ok(Vec::new());
    }
    for (number, parts) in [(27, &[1][..]), (28, &[1, 2])] {
        let Some(container) = kind.message(number)? else { continue };
        for part in parts {
            if let Some(element) = container.message(*part)? {
                inner(&element, names, elements, level + 1)?;
            }
        }
    }
    Ok(Vec::new())
}

/// The functions that a message declares, by the numbers that it calls them by.
pub(super) struct Functions<'a>(HashMap<u32, Function<'a>>);

/// A function.
#[derive(Clone, Copy)]
pub(super) struct Function<'a> {
    /// Its name, without the types of its arguments.
    pub(super) name: &'a str,
    /// The extension that has it, by URN or URI; empty if the message names none.
    pub(super) of: &'a str,
}

impl Function<'_> {
    /// Whether it is one of those that Substrait itself describes, in the extension of this name. Some producers leave out where
    /// their functions come from; their names are Substrait's.
    pub(super) fn is_standard(&self, extension: &str) -> bool {
        let urn = self.of.strip_prefix("extension:io.substrait:");
        let ours = |place: &str| place.is_empty() || place.contains("substrait.io") || place.contains("substrait-io");
        let file = self.of.rsplit_once('/').filter(|(place, _)| ours(place));
        let name = urn.or(file.map(|(_, name)| name.strip_suffix(".yaml").unwrap_or(name)));
        self.of.is_empty() || name == Some(extension)
    }
}

impl<'a> Functions<'a> {
    /// Reads the extensions of a message.
    pub(super) fn read(message: &Message<'a>) -> Result<Self> {
        let (urns, uris) = (places(message, 8)?, places(message, 1)?);
        let mut functions = HashMap::new();
        for declaration in message.messages(2) {
            let Some(function) = declaration?.message(3)? else { continue };
            let (urn, uri) = (function.reference(4)?, function.reference(1)?);
            let of = match urns.get(&urn).or(uris.get(&uri)) {
                Some(of) => *of,
                // Those who do not say where their functions come from refer to nothing, or to the largest number.
                None if [urn, uri].iter().all(|number| [0, u32::MAX].contains(number)) => "",
                None => return Err(malformed("a function of an extension that it does not declare")),
            };
            let name = function.text(3)?;
            let name = name.split_once(':').map_or(name, |(name, _)| name);
            if functions.insert(function.reference(2)?, Function { name, of }).is_some() {
                return Err(malformed("two functions of the same number"));
            }
        }
        Ok(Functions(functions))
    }

    /// The function that a call refers to.
    pub(super) fn of(&self, call: &Message<'a>) -> Result<Function<'a>> {
        let number = call.reference(1)?;
        self.0
            .get(&number)
            .copied()
            .ok_or_else(|| malformed(&format!("a call of the function {number}, which it does not declare")))
    }
}

/// Where extensions come from, by the numbers they are referred to by.
fn places<'a>(message: &Message<'a>, number: u32) -> Result<HashMap<u32, &'a str>> {
    message.messages(number).map(|place| place.and_then(|place| Ok((place.reference(1)?, place.text(2)?)))).collect()
}
