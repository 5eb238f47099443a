//! Downloads over plain HTTP/1.1 without a layer in between: the socket is read straight into the memory that a batch will lie
//! in. TLS, proxies and all small calls go through the HTTP library.

mod body;
mod head;
mod socket;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;

pub(super) use body::DirectBody;
pub(super) use head::Head;
use socket::Socket;

use crate::error::{Error, Kind, Result};

/// Connections without a request, by authority.
type Idle = Mutex<HashMap<String, Vec<TcpStream>>>;

/// Makes requests and keeps connections for the next one.
#[derive(Debug)]
pub(super) struct Direct {
    connections: Arc<Connections>,
    connect_timeout: Duration,
    idle_timeout: Duration,
}

#[derive(Debug)]
struct Connections {
    idle: Idle,
    /// Idle connections kept per authority.
    kept: usize,
}

impl Connections {
    fn take(&self, authority: &str) -> Option<TcpStream> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).get_mut(authority)?.pop()
    }

    fn put_back(&self, authority: &str, stream: TcpStream) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let connections = idle.entry(authority.to_owned()).or_default();
        if connections.len() < self.kept {
            connections.push(stream);
        }
    }
}

impl Direct {
    pub(super) fn new(connect_timeout: Duration, idle_timeout: Duration, kept: usize) -> Self {
        Direct { connections: Arc::new(Connections { idle: Idle::default(), kept }), connect_timeout, idle_timeout }
    }

    /// Makes a GET request for `url`, which must begin with `http://`, and reads the head of the answer.
    pub(super) async fn get(&self, url: &str, headers: &[(String, String)]) -> Result<(Head, DirectBody)> {
        let rest = url.strip_prefix("http://").unwrap_or(url);
        let (authority, target) = match rest.find(['/', '?']) {
            Some(at) => rest.split_at(at),
            None => (rest, "/"),
        };
        let request = head::request(authority, target, headers);
        // A connection may have been closed by the peer while nobody used it, which shows only now.
        while let Some(stream) = self.connections.take(authority) {
            match self.exchange(stream, authority, &request).await {
                Err(error) if error.kind() == Kind::Connection => {}
                answer => return answer,
            }
        }
        let stream = self.connect(authority).await?;
        self.exchange(stream, authority, &request).await
    }

    async fn connect(&self, authority: &str) -> Result<TcpStream> {
        let named = match authority.rsplit_once(':') {
            Some((_, port)) if !port.ends_with(']') => authority.to_owned(),
            _ => format!("{authority}:80"),
        };
        match timeout(self.connect_timeout, TcpStream::connect(named.as_str())).await {
            Ok(Ok(stream)) => {
                stream.set_nodelay(true).map_err(|error| broken("no connection", &error))?;
                Ok(stream)
            }
            Ok(Err(error)) => Err(broken(&format!("no connection to http://{authority}"), &error)),
            Err(_) => {
                let message =
                    format!("no connection to http://{authority} within {} ms", self.connect_timeout.as_millis());
                Err(Error::new(Kind::Timeout, message))
            }
        }
    }

    async fn exchange(&self, stream: TcpStream, authority: &str, request: &[u8]) -> Result<(Head, DirectBody)> {
        let mut socket = Socket::new(stream);
        let patience = self.connect_timeout + self.idle_timeout;
        let exchanged = timeout(patience, async {
            socket.write(request).await?;
            head::read(&mut socket).await
        });
        let head = match exchanged.await {
            Ok(head) => head.map_err(|error| error.context(format!("no answer from http://{authority}")))?,
            Err(_) => {
                let message = format!("no answer from http://{authority} within {} ms", patience.as_millis());
                return Err(Error::new(Kind::Timeout, message));
            }
        };
        let home = head.keep_alive.then(|| (Arc::clone(&self.connections), authority.to_owned()));
        let body = DirectBody::new(socket, head.length, self.idle_timeout, home);
        Ok((head, body))
    }
}

fn broken(what: &str, error: &std::io::Error) -> Error {
    Error::new(Kind::Connection, format!("{what}: {error}"))
}
