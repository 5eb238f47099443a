//! What a connection holds for its client, as the system tells it. A socket has room again only when the client's system
//! has taken tens of kilobytes; these numbers change with every byte.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::{IpAddr, SocketAddr};

/// Bytes on their way to a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queues {
    /// Sent or waiting here, and not acknowledged by the client's system.
    sent: u64,
    /// Waiting there until the client reads them; known if it runs on this machine.
    received: Option<u64>,
}

/// The queues of the connection between these addresses; `None` where the system does not tell.
pub fn queues(local: SocketAddr, peer: SocketAddr) -> Option<Queues> {
    let table = |path: &str, hex: fn(SocketAddr) -> String| {
        let (here, there) = (hex(local), hex(peer));
        let (mut sent, mut received) = (None, None);
        for line in BufReader::new(File::open(path).ok()?).lines() {
            let line = line.ok()?;
            let mut fields = line.split_ascii_whitespace().skip(1);
            let (Some(own), Some(other)) = (fields.next(), fields.next()) else { continue };
            let Some((tx, rx)) = fields.nth(1).and_then(|queues| queues.split_once(':')) else { continue };
            if own == here && other == there {
                sent = u64::from_str_radix(tx, 16).ok();
            } else if own == there && other == here {
                received = u64::from_str_radix(rx, 16).ok();
            }
        }
        Some((sent, received))
    };
    // A socket of version 6 may carry a connection of version 4, and the other end then is in the other table.
    let of_4 = table("/proc/net/tcp", hex_4).unwrap_or_default();
    let of_6 = table("/proc/net/tcp6", hex_6).unwrap_or_default();
    Some(Queues { sent: of_4.0.or(of_6.0)?, received: of_4.1.or(of_6.1) })
}

/// An address as `/proc/net/tcp` writes it: words of the machine's byte order. Empty, which no line has, if it is of version 6.
fn hex_4(address: SocketAddr) -> String {
    match address.ip().to_canonical() {
        IpAddr::V4(ip) => format!("{:08X}:{:04X}", u32::from_ne_bytes(ip.octets()), address.port()),
        IpAddr::V6(_) => String::new(),
    }
}

/// The same in `/proc/net/tcp6`.
fn hex_6(address: SocketAddr) -> String {
    let ip = match address.ip() {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    };
    let octets = ip.octets();
    let words = octets.chunks_exact(4).filter_map(|word| Some(u32::from_ne_bytes(word.try_into().ok()?)));
    format!("{}:{:04X}", words.map(|word| format!("{word:08X}")).collect::<String>(), address.port())
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn every_byte_that_a_client_reads_shows() {
        for (bind, connect) in [("127.0.0.1:0", "127.0.0.1"), ("[::1]:0", "::1"), ("[::]:0", "127.0.0.1")] {
            let Ok(listener) = TcpListener::bind(bind) else { continue };
            let address = (connect, listener.local_addr().unwrap().port());
            let mut client = TcpStream::connect(address).unwrap();
            let (mut server, peer) = listener.accept().unwrap();
            server.write_all(&[7; 1000]).unwrap();
            client.read_exact(&mut [0; 1]).unwrap();
            let found = || queues(server.local_addr().unwrap(), peer).unwrap();
            assert_eq!(found().received, Some(999), "{bind}");
            client.read_exact(&mut [0; 10]).unwrap();
            assert_eq!(found(), Queues { sent: 0, received: Some(989) }, "{bind}");
        }
    }
}
