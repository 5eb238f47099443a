//! Heads of requests and answers.

use super::body::Length;
use super::socket::Socket;
use crate::error::{Error, Kind, Result};
use crate::proto::Method;

/// Largest head of an answer.
const MAX_HEAD_BYTES: usize = 64 << 10;
/// Most headers of an answer.
const MAX_HEADERS: usize = 128;

/// The head of an answer.
#[derive(Debug)]
pub(in crate::transport) struct Head {
    pub(in crate::transport) status: u16,
    headers: Vec<(String, String)>,
    pub(super) length: Length,
    /// Whether the connection can be used again.
    pub(super) keep_alive: bool,
}

impl Head {
    /// The value of a header, empty if it is absent.
    pub(in crate::transport) fn header(&self, name: &str) -> &str {
        self.all(name).next().unwrap_or_default()
    }

    /// The values of all headers of that name.
    fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> + use<'a> {
        let name = name.to_ascii_lowercase();
        let named = self.headers.iter().filter(move |(known, _)| known.eq_ignore_ascii_case(&name));
        named.map(|(_, value)| value.as_str())
    }
}

/// A request. The headers were checked when they were made.
pub(super) fn request(
    method: Method,
    authority: &str,
    target: &str,
    headers: &[(String, String)],
    body: &[u8],
) -> Vec<u8> {
    let mut text = format!("{} {target} HTTP/1.1\r\nhost: {authority}\r\naccept: */*\r\n", method.name());
    for (name, value) in headers {
        text.extend([name.as_str(), ": ", value.as_str(), "\r\n"]);
    }
    if method == Method::Post {
        text.push_str(&format!("content-length: {}\r\n", body.len()));
    }
    text.push_str("\r\n");
    let mut request = text.into_bytes();
    request.extend_from_slice(body);
    request
}

/// Reads the head of an answer; interim answers are passed over.
pub(super) async fn read(socket: &mut Socket) -> Result<Head> {
    loop {
        if let Some((head, length)) = parse(socket.ahead())? {
            socket.consume(length);
            if head.status >= 200 {
                return Ok(head);
            }
        } else if socket.fill(MAX_HEAD_BYTES).await? == 0 {
            return Err(Error::new(Kind::Connection, "the connection was closed before the answer"));
        }
    }
}

/// The head at the start of `bytes` and its length; `None` if it is not complete.
fn parse(bytes: &[u8]) -> Result<Option<(Head, usize)>> {
    let mut room = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut answer = httparse::Response::new(&mut room);
    let length = match answer.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(error) => return Err(Error::new(Kind::CorruptData, format!("the answer is not HTTP: {error}"))),
    };
    let text = |value: &[u8]| String::from_utf8_lossy(value).trim().to_owned();
    let headers: Vec<(String, String)> =
        answer.headers.iter().map(|header| (header.name.to_owned(), text(header.value))).collect();
    let status = answer.code.unwrap_or_default();
    let mut head = Head { status, headers, length: Length::UntilClose, keep_alive: false };
    head.length = length_of(&head)?;
    let closes = head.header("connection").to_ascii_lowercase().contains("close");
    // Whoever says both may mean another end of the body than we do.
    let doubtful = !head.header("transfer-encoding").is_empty() && !head.header("content-length").is_empty();
    head.keep_alive = answer.version == Some(1) && !closes && !doubtful && head.length != Length::UntilClose;
    Ok(Some((head, length)))
}

fn length_of(head: &Head) -> Result<Length> {
    if matches!(head.status, 100..200 | 204 | 304) {
        return Ok(Length::Bytes(0));
    }
    let refuse =
        |what: &str, value: &str| Err(Error::new(Kind::CorruptData, format!("the answer has the {what} {value}")));
    let codings = head.all("transfer-encoding").collect::<Vec<_>>();
    match codings.as_slice() {
        [] => {}
        [coding] if coding.eq_ignore_ascii_case("chunked") => return Ok(Length::Chunked),
        codings => return refuse("Transfer-Encoding", &codings.join(", ")),
    }
    let lengths = head.all("content-length").collect::<Vec<_>>();
    let Some(first) = lengths.first() else { return Ok(Length::UntilClose) };
    let number = first.bytes().all(|byte| byte.is_ascii_digit()).then(|| first.parse().ok()).flatten();
    match number {
        Some(number) if lengths.iter().all(|length| length == first) => Ok(Length::Bytes(number)),
        _ => refuse("Content-Length", &lengths.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Option<(Head, usize)>> {
        parse(text.as_bytes())
    }

    #[test]
    fn heads_say_how_long_the_body_is() {
        for (text, length, keep_alive) in [
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", Length::Chunked, true),
            ("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n", Length::Bytes(7), true),
            ("HTTP/1.1 200 OK\r\nContent-Length: 7\r\nConnection: Close\r\n\r\n", Length::Bytes(7), false),
            ("HTTP/1.0 200 OK\r\nContent-Length: 7\r\n\r\n", Length::Bytes(7), false),
            ("HTTP/1.1 200 OK\r\n\r\n", Length::UntilClose, false),
            ("HTTP/1.1 200 OK\r\nContent-Length: 7\r\nContent-Length: 7\r\n\r\n", Length::Bytes(7), true),
            ("HTTP/1.1 200 OK\r\nContent-Length: 7\r\nTransfer-Encoding: chunked\r\n\r\n", Length::Chunked, false),
            ("HTTP/1.1 204 No Content\r\n\r\n", Length::Bytes(0), true),
        ] {
            let (head, taken) = read(text).unwrap().unwrap();
            assert_eq!((head.length, head.keep_alive, taken), (length, keep_alive, text.len()), "{text}");
            assert!(read(&text[..text.len() - 1]).unwrap().is_none());
        }
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        for text in [
            "SSH-2.0-OpenSSH\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: -7\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: +7\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 7\r\nContent-Length: 8\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n\r\n",
        ] {
            assert_eq!(read(text).unwrap_err().kind(), Kind::CorruptData, "{text}");
        }
    }
}
