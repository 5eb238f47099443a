//! Connections whose clients stop reading: the answer is cut, so that its slot is free again.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep};

use super::queues::{Queues, queues};

/// How often a connection that takes nothing is asked again, at most.
const LOOK: Duration = Duration::from_secs(1);

/// After which part of the limit the queues are looked at first; most readers take something before.
const FIRST: u32 = 8;

/// A connection that ends with an error when its client has taken nothing for a while of what waits for it, not even a byte
/// as far as the system knows. As long as nothing waits, no time runs.
pub struct Impatient {
    stream: TcpStream,
    /// `None` waits for ever.
    limit: Option<Duration>,
    waiting: Option<Waiting>,
}

/// Bytes that the client does not take.
struct Waiting {
    since: Instant,
    /// What the system held for the client when it was asked last.
    held: Option<Queues>,
    look: Pin<Box<Sleep>>,
}

impl Impatient {
    pub fn new(stream: TcpStream, limit: Option<Duration>) -> Impatient {
        Impatient { stream, limit, waiting: None }
    }

    /// What came of a write. While it waits, `again` tries it without waiting for the system to say that there is room: it
    /// does so only when a third of its buffer is free, which takes a slow reader long.
    fn watch(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
        again: impl Fn(SockRef<'_>) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        let limit = match (&written, self.limit) {
            (Poll::Pending, Some(limit)) => limit,
            _ => {
                self.waiting = None;
                return written;
            }
        };
        let pause = LOOK.min(limit / 4);
        let fresh = || Waiting { since: Instant::now(), held: None, look: Box::pin(sleep(pause)) };
        let waiting = self.waiting.get_or_insert_with(fresh);
        while waiting.look.as_mut().poll(cx).is_ready() {
            match again(SockRef::from(&self.stream)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                taken => {
                    self.waiting = None;
                    return Poll::Ready(taken);
                }
            }
            let elapsed = waiting.since.elapsed();
            if elapsed >= limit / FIRST && waiting.held.is_none() {
                waiting.held = held(&self.stream, pause);
            }
            if elapsed >= limit {
                let now = held(&self.stream, pause);
                if now != waiting.held {
                    (waiting.since, waiting.held) = (Instant::now(), now);
                    waiting.look.as_mut().reset(Instant::now() + pause);
                    continue;
                }
                let seconds = limit.as_secs_f64();
                tracing::warn!("cut an answer: its client has taken nothing for {seconds} s");
                // What the system holds for the client goes as well. Best effort: without it, it goes later.
                let _ = SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            waiting.look.as_mut().reset(Instant::now() + pause);
        }
        Poll::Pending
    }
}

fn held(stream: &TcpStream, age: Duration) -> Option<Queues> {
    queues(stream.local_addr().ok()?, stream.peer_addr().ok()?, age)
}

impl AsyncRead for Impatient {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Impatient {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.watch(cx, written, |socket| socket.send(bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.watch(cx, written, |socket| socket.send_vectored(slices))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::io::Read;

    use tokio::net::TcpListener;

    use super::*;

    const LIMIT: Duration = Duration::from_millis(400);

    async fn pair(limit: Option<Duration>) -> (Impatient, std::net::TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (Impatient::new(listener.accept().await.unwrap().0, limit), client)
    }

    async fn write(server: &mut Impatient, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let count = poll_fn(|cx| Pin::new(&mut *server).poll_write(cx, bytes)).await?;
            bytes = &bytes[count..];
        }
        Ok(())
    }

    /// Writes until an error; returns its kind and how long the last write took.
    async fn fill(server: &mut Impatient) -> (io::ErrorKind, Duration) {
        loop {
            let start = Instant::now();
            if let Err(error) = write(server, &[0; 64 << 10]).await {
                return (error.kind(), start.elapsed());
            }
        }
    }

    #[tokio::test]
    async fn a_client_that_takes_nothing_is_cut_off() {
        let (mut server, client) = pair(Some(LIMIT)).await;
        let (kind, took) = fill(&mut server).await;
        assert_eq!(kind, io::ErrorKind::TimedOut);
        assert!(took >= LIMIT && took < LIMIT * 20, "{took:?}");
        drop(client);
        let (mut server, _client) = pair(None).await;
        assert!(tokio::time::timeout(LIMIT * 3, fill(&mut server)).await.is_err(), "no limit, no cut");
    }

    #[tokio::test]
    async fn a_slow_client_is_served_and_a_pause_with_nothing_to_take_does_not_count() {
        let (mut server, mut client) = pair(Some(LIMIT)).await;
        SockRef::from(&client).set_recv_buffer_size(16 << 10).unwrap();
        let reader = std::thread::spawn(move || {
            let (mut total, mut buffer, start) = (0, vec![0; 128 << 10], std::time::Instant::now());
            loop {
                match client.read(&mut buffer).unwrap() {
                    0 => return total,
                    count => total += count,
                }
                if start.elapsed() < LIMIT * 4 {
                    std::thread::sleep(LIMIT / 8);
                }
            }
        });
        sleep(LIMIT * 2).await;
        for _ in 0..16 {
            write(&mut server, &vec![7; 1 << 20]).await.unwrap();
        }
        drop(server);
        assert_eq!(reader.join().unwrap(), 16 << 20);
    }

    #[tokio::test]
    async fn a_client_that_takes_a_few_bytes_at_a_time_is_not_cut_off() {
        let (mut server, mut client) = pair(Some(LIMIT)).await;
        let reader = std::thread::spawn(move || {
            let (start, mut total) = (std::time::Instant::now(), 0);
            while start.elapsed() < LIMIT * 6 {
                client.read_exact(&mut [0; 100]).unwrap();
                total += 100;
                std::thread::sleep(LIMIT / 10);
            }
            total + std::io::copy(&mut client, &mut std::io::sink()).unwrap()
        });
        write(&mut server, &vec![7; 16 << 20]).await.unwrap();
        drop(server);
        assert_eq!(reader.join().unwrap(), 16 << 20);
    }
}
