//! The wire format of Protocol Buffers: a message as its bytes, whose fields are read when they are asked for, so that it takes no memory,
//! whatever is in it.
//!
//! By hand, because the generated readers have one limit of depth for all, a hundred messages in each other, and three of them make
//! one level of a condition: thirty-three terms that an engine has joined by AND one by one would be too many. Without the limit the
//! depth of the stack would be the sender's to choose. Here a level is read when the condition comes to it, which counts them.

use crate::error::{Error, Kind, Result};

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Value<'a> {
    /// Whole numbers and booleans.
    Varint(u64),
    /// Eight bytes, such as a double.
    Eight([u8; 8]),
    /// Four bytes, such as a float.
    Four([u8; 4]),
    /// Text, bytes, a message.
    Bytes(&'a [u8]),
}

/// A message: bytes that are fields with their numbers, one after the other.
#[derive(Debug, Clone, Copy)]
pub(super) struct Message<'a>(&'a [u8]);

impl<'a> Message<'a> {
    /// A message whose fields all have their defaults.
    pub(super) fn empty() -> Self {
        Message(&[])
    }

    /// Looks at the fields of a message, but not at the messages in it.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self> {
        let mut rest = bytes;
        while !rest.is_empty() {
            field(&mut rest)?;
        }
        Ok(Message(bytes))
    }

    /// The fields, which were looked at.
    fn fields(&self) -> impl Iterator<Item = (u32, Value<'a>)> + use<'a> {
        let mut rest = self.0;
        std::iter::from_fn(move || if rest.is_empty() { None } else { field(&mut rest).ok() })
    }

    /// The numbers of the fields that are there.
    pub(super) fn numbers(&self) -> impl Iterator<Item = u32> + use<'a> {
        self.fields().map(|(number, _)| number)
    }

    /// Every message under a number.
    pub(super) fn messages(&self, number: u32) -> impl Iterator<Item = Result<Message<'a>>> + use<'a> {
        self.values(number).map(|value| Message::read(as_bytes(value)?))
    }

    /// Every text under a number.
    pub(super) fn texts(&self, number: u32) -> impl Iterator<Item = Result<&'a str>> + use<'a> {
        self.values(number).map(as_text)
    }

    /// The message under a number, if there is one.
    pub(super) fn message(&self, number: u32) -> Result<Option<Message<'a>>> {
        self.only(number)?.map(|value| Message::read(as_bytes(value)?)).transpose()
    }

    /// The text under a number; empty if there is none.
    pub(super) fn text(&self, number: u32) -> Result<&'a str> {
        self.only(number)?.map_or(Ok(""), as_text)
    }

    /// The bytes under a number; none if it is not there.
    pub(super) fn bytes(&self, number: u32) -> Result<&'a [u8]> {
        self.only(number)?.map_or(Ok(&[]), as_bytes)
    }

    /// The whole number under a number; zero if there is none. Negative numbers have 64 bits, also those of a smaller type.
    pub(super) fn whole(&self, number: u32) -> Result<i64> {
        match self.only(number)? {
            None => Ok(0),
            Some(Value::Varint(value)) => Ok(value.cast_signed()),
            Some(_) => Err(wrong_kind()),
        }
    }

    /// The whole number under a number, of at most 32 bits.
    pub(super) fn int(&self, number: u32) -> Result<i32> {
        i32::try_from(self.whole(number)?).map_err(|_| malformed("a number that does not fit its type"))
    }

    /// The reference under a number, an unsigned number of 32 bits.
    pub(super) fn reference(&self, number: u32) -> Result<u32> {
        u32::try_from(self.whole(number)?).map_err(|_| malformed("a number that does not fit its type"))
    }

    /// The float under a number.
    pub(super) fn single(&self, number: u32) -> Result<f32> {
        match self.only(number)? {
            None => Ok(0.0),
            Some(Value::Four(bytes)) => Ok(f32::from_le_bytes(bytes)),
            Some(_) => Err(wrong_kind()),
        }
    }

    /// The double under a number.
    pub(super) fn double(&self, number: u32) -> Result<f64> {
        match self.only(number)? {
            None => Ok(0.0),
            Some(Value::Eight(bytes)) => Ok(f64::from_le_bytes(bytes)),
            Some(_) => Err(wrong_kind()),
        }
    }

    fn values(&self, number: u32) -> impl Iterator<Item = Value<'a>> + use<'a> {
        self.fields().filter(move |(found, _)| *found == number).map(|(_, value)| value)
    }

    /// A field that may be there once. Readers differ in what they take where it is twice, so it is refused.
    fn only(&self, number: u32) -> Result<Option<Value<'a>>> {
        let mut values = self.values(number);
        match (values.next(), values.next()) {
            (found, None) => Ok(found),
            _ => Err(malformed(&format!("the field {number} twice"))),
        }
    }
}

/// Takes a field from the front of `bytes`.
fn field<'a>(bytes: &mut &'a [u8]) -> Result<(u32, Value<'a>)> {
    let key = varint(bytes)?;
    let number = u32::try_from(key >> 3).ok().filter(|number| *number > 0).ok_or_else(|| malformed("a bad tag"))?;
    let value = match key & 7 {
        0 => Value::Varint(varint(bytes)?),
        1 => Value::Eight(fixed(bytes)?),
        5 => Value::Four(fixed(bytes)?),
        2 => {
            let length = usize::try_from(varint(bytes)?).unwrap_or(usize::MAX);
            let (content, rest) = bytes.split_at_checked(length).ok_or_else(cut)?;
            *bytes = rest;
            Value::Bytes(content)
        }
        _ => return Err(malformed("a bad wire type")),
    };
    Ok((number, value))
}

/// A failure for bytes that are no message.
pub(super) fn malformed(what: &str) -> Error {
    Error::new(Kind::InvalidArgument, format!("the Substrait message is malformed: it has {what}"))
}

fn cut() -> Error {
    malformed("a field that ends behind the end")
}

fn wrong_kind() -> Error {
    malformed("a value of another kind than its field has")
}

fn as_bytes(value: Value<'_>) -> Result<&[u8]> {
    match value {
        Value::Bytes(bytes) => Ok(bytes),
        _ => Err(wrong_kind()),
    }
}

fn as_text(value: Value<'_>) -> Result<&str> {
    std::str::from_utf8(as_bytes(value)?).map_err(|_| malformed("text that is not UTF-8"))
}

fn fixed<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N]> {
    let (value, rest) = bytes.split_first_chunk().ok_or_else(cut)?;
    *bytes = rest;
    Ok(*value)
}

/// Seven bits in each byte, the lowest first; at most ten bytes.
fn varint(bytes: &mut &[u8]) -> Result<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first().ok_or_else(cut)?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(malformed("a number of more than ten bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_by_number() {
        let message = Message::read(b"\x08\x96\x01\x12\x02hi\x1d\0\0\x80\x3f\x21\0\0\0\0\0\0\xf0\x3f\x12\x00").unwrap();
        assert_eq!(message.numbers().collect::<Vec<_>>(), [1, 2, 3, 4, 2]);
        assert_eq!((message.int(1).unwrap(), message.single(3).unwrap(), message.double(4).unwrap()), (150, 1.0, 1.0));
        assert_eq!(message.texts(2).collect::<Result<Vec<_>>>().unwrap(), ["hi", ""]);
        assert_eq!((message.int(9).unwrap(), message.text(9).unwrap()), (0, ""));
        assert!(message.message(9).unwrap().is_none());
        let negative = Message::read(b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01").unwrap();
        assert_eq!(negative.int(1).unwrap(), -1);
        assert!(negative.reference(1).is_err());
        assert_eq!(Message::read(b"").unwrap().numbers().count(), 0);
    }

    #[test]
    fn what_is_no_message_is_refused() {
        let all = b"\x08\x96\x01\x12\x02hi\x1d\0\0\x80\x3f";
        let whole = [0, 3, 7, 12];
        for end in 0..=all.len() {
            assert_eq!(Message::read(&all[..end]).is_ok(), whole.contains(&end), "cut at {end}");
        }
        for bad in [
            &b"\x0b"[..],
            b"\x00\x00",
            b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
            b"\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        ] {
            assert_eq!(Message::read(bad).unwrap_err().kind(), Kind::InvalidArgument, "{bad:?}");
        }
        let twice = Message::read(b"\x08\x01\x08\x02\x12\x01\xff").unwrap();
        assert!(twice.int(1).unwrap_err().message().contains("the field 1 twice"));
        assert!(twice.text(2).unwrap_err().message().contains("UTF-8"));
        assert!(twice.int(2).is_err() && twice.double(2).is_err() && twice.message(1).is_err());
    }
}
