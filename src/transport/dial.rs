//! Connections that are made without the HTTP library.

use std::io;
use std::net::{IpAddr, SocketAddr};

use tokio::net::{TcpSocket, TcpStream};

use crate::error::{Error, Kind, Result};
use crate::options::{self, Options};

/// The address that connections are made from; `None` for whichever the system chooses.
pub(super) fn local_address(options: &Options) -> Result<Option<IpAddr>> {
    let Some(text) = options.text(&options::LOCAL_ADDRESS) else { return Ok(None) };
    let illegal = |_| {
        let message = format!("{}: `{text}` is no IP address", options::LOCAL_ADDRESS.name);
        Error::new(Kind::InvalidOption, message)
    };
    text.parse().map(Some).map_err(illegal)
}

/// Whether a connection from `local` to an address is possible at all: both must be of one family.
pub(super) fn fits(local: Option<IpAddr>, address: &SocketAddr) -> bool {
    local.is_none_or(|local| local.is_ipv4() == address.is_ipv4())
}

/// A connection that notices a peer which is gone.
pub(super) async fn dial(local: Option<IpAddr>, address: SocketAddr) -> io::Result<TcpStream> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_keepalive(true)?;
    if let Some(local) = local {
        let unusable = |error: io::Error| io::Error::new(error.kind(), format!("from {local}: {error}"));
        socket.bind(SocketAddr::new(local, 0)).map_err(unusable)?;
    }
    let stream = socket.connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
