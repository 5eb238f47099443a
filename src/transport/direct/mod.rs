//! Downloads over plain HTTP/1.1 without a layer in between: the socket is read straight into the memory that a batch will lie
//! in. TLS, proxies and all small calls go through the HTTP library.

mod body;
mod head;
mod socket;
mod wake;

use std::collections::HashMap;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

pub(super) use body::DirectBody;
pub use body::Need;
pub(super) use head::Head;
use socket::Socket;
pub use wake::wake_sockets_with;

use super::dial::{dial, fits};
use crate::error::{Error, Kind, Result};
use crate::proto::Method;

/// A connection that nobody used for longer may have been forgotten by something on the way, which nobody would tell.
const MAX_IDLE: Duration = Duration::from_secs(60);

/// Makes requests and keeps connections for the next one.
#[derive(Debug)]
pub(super) struct Direct {
    connections: Arc<Connections>,
    local: Option<IpAddr>,
    connect_timeout: Duration,
    idle_timeout: Duration,
}

/// Connections without a request, by authority, and since when. They belong to no worker meanwhile.
type Parked = HashMap<String, Vec<(std::net::TcpStream, Instant)>>;

/// Connections that are kept for the next request.
#[derive(Debug)]
struct Connections {
    idle: Mutex<Parked>,
    /// Idle connections kept per authority.
    kept: usize,
}

impl Connections {
    /// A connection that looks alive and has nothing to say: bytes that nobody asked for belong to no answer of ours.
    fn take(&self, authority: &str) -> Option<TcpStream> {
        let mut idle = self.idle();
        let connections = idle.get_mut(authority)?;
        connections.retain(|(_, since)| since.elapsed() < MAX_IDLE);
        while let Some((stream, _)) = connections.pop() {
            let silent = stream.peek(&mut [0]).is_err_and(|error| error.kind() == ErrorKind::WouldBlock);
            if silent {
                return TcpStream::from_std(stream).ok();
            }
        }
        None
    }

    fn put_back(&self, authority: &str, stream: TcpStream) {
        let Ok(stream) = stream.into_std() else { return };
        let mut idle = self.idle();
        let connections = idle.entry(authority.to_owned()).or_default();
        if connections.len() < self.kept {
            connections.push((stream, Instant::now()));
        }
    }

    /// Drops what is kept for an authority.
    fn forget(&self, authority: &str) {
        self.idle().remove(authority);
    }

    fn idle(&self) -> MutexGuard<'_, Parked> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Direct {
    /// `local` is the address that connections are made from, `kept` how many are kept for later per authority.
    pub(super) fn new(local: Option<IpAddr>, connect_timeout: Duration, idle_timeout: Duration, kept: usize) -> Self {
        let connections = Arc::new(Connections { idle: Mutex::default(), kept });
        Direct { connections, local, connect_timeout, idle_timeout }
    }

    /// Makes a request for `url`, which must begin with `http://`, and reads the head of the answer. Asking twice for rows is
    /// harmless, whatever the method.
    pub(super) async fn ask(
        &self,
        method: Method,
        url: &str,
        headers: &[(String, String)],
        body: &[u8],
    ) -> Result<(Head, DirectBody)> {
        let rest = url.strip_prefix("http://").unwrap_or(url);
        let (authority, target) = match rest.find(['/', '?']) {
            Some(at) => rest.split_at(at),
            None => (rest, "/"),
        };
        let request = head::request(method, authority, target, headers, body);
        // A kept connection may be dead, which shows only now: then a new one gets its chance.
        while let Some(stream) = self.connections.take(authority) {
            match self.exchange(stream, authority, &request).await {
                Err(error) if error.kind() == Kind::Connection => {}
                // Silence says that the others are no better.
                Err(error) if error.kind() == Kind::Timeout => self.connections.forget(authority),
                answer => return answer,
            }
        }
        let stream = self.connect(authority).await?;
        self.exchange(stream, authority, &request).await
    }

    /// Connects to the first address of a host that answers; each gets its share of the time.
    async fn connect(&self, authority: &str) -> Result<TcpStream> {
        let named = match authority.rsplit_once(':') {
            Some((_, port)) if !port.ends_with(']') => authority.to_owned(),
            _ => format!("{authority}:80"),
        };
        let what = format!("no connection to http://{authority}");
        let found = timeout(self.connect_timeout, lookup_host(named)).await;
        let addresses: Vec<SocketAddr> = match found {
            Ok(found) => {
                found.map_err(|error| broken(&what, &error))?.filter(|address| fits(self.local, address)).collect()
            }
            Err(_) => return Err(self.too_slow(&what)),
        };
        let share = self.connect_timeout / u32::try_from(addresses.len().max(1)).unwrap_or(u32::MAX);
        let mut failure = Error::new(Kind::Connection, format!("{what}: the name has no address that fits"));
        for address in addresses {
            match timeout(share, dial(self.local, address)).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => failure = broken(&what, &error),
                Err(_) => failure = self.too_slow(&what),
            }
        }
        Err(failure)
    }

    fn too_slow(&self, what: &str) -> Error {
        Error::new(Kind::Timeout, format!("{what} within {} ms", self.connect_timeout.as_millis()))
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
