//! What a connection holds for its client, as the system tells it. A socket has room again only when the client's system
//! has taken tens of kilobytes; these numbers change with every byte.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Bytes on their way to a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queues {
    /// Sent or waiting here, and not acknowledged by the client's system.
    sent: u64,
    /// Waiting there until the client reads them; known if it runs on this machine.
    received: Option<u64>,
}

/// All connections of the machine as they were once: both ends, and what waits to be sent and to be read.
struct Table {
    read: Instant,
    connections: HashMap<(String, String), (u64, u64)>,
}

/// Shared, because many connections may stall at once and the table is as long as they are many.
static LATEST: Mutex<Option<Arc<Table>>> = Mutex::new(None);

/// The queues of the connection between these addresses, not older than `age`; `None` where the system does not tell.
pub fn queues(local: SocketAddr, peer: SocketAddr, age: Duration) -> Option<Queues> {
    let table = table(age);
    let find = |here: SocketAddr, there: SocketAddr| {
        // A socket of version 6 may carry a connection of version 4, and the other end is in the other table then.
        let keys = [(hex_4(here), hex_4(there)), (hex_6(here), hex_6(there))];
        keys.iter().find_map(|key| table.connections.get(key)).copied()
    };
    Some(Queues { sent: find(local, peer)?.0, received: find(peer, local).map(|(_, received)| received) })
}

fn table(age: Duration) -> Arc<Table> {
    let mut latest = LATEST.lock().unwrap_or_else(PoisonError::into_inner);
    match &*latest {
        Some(table) if table.read.elapsed() < age => table.clone(),
        _ => {
            let read = Instant::now();
            let lines =
                ["/proc/net/tcp", "/proc/net/tcp6"].into_iter().filter_map(|path| std::fs::read_to_string(path).ok());
            let connections = lines.flat_map(|text| text.lines().filter_map(connection).collect::<Vec<_>>()).collect();
            latest.insert(Arc::new(Table { read, connections })).clone()
        }
    }
}

/// A line of the table: number, both ends, state, and the queues as `tx:rx`.
fn connection(line: &str) -> Option<((String, String), (u64, u64))> {
    let mut fields = line.split_ascii_whitespace().skip(1);
    let ends = (fields.next()?.to_string(), fields.next()?.to_string());
    let (sent, received) = fields.nth(1)?.split_once(':')?;
    Some((ends, (u64::from_str_radix(sent, 16).ok()?, u64::from_str_radix(received, 16).ok()?)))
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
            let found = || queues(server.local_addr().unwrap(), peer, Duration::ZERO).unwrap();
            assert_eq!(found().received, Some(999), "{bind}");
            client.read_exact(&mut [0; 10]).unwrap();
            assert_eq!(found(), Queues { sent: 0, received: Some(989) }, "{bind}");
        }
    }
}
