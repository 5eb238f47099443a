//! Connections: accepting them, and closing those whose request never comes.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::idle::Impatient;
use super::unparsed::Named;

/// The other end of a connection, as an extension of its requests.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub SocketAddr);

/// Marks an answer that is not to be sent: the connection is closed instead.
#[derive(Clone, Copy, Debug)]
pub struct HangUp;

/// Pause after a failed accept, which means that the process has no file descriptors left.
const PAUSE: Duration = Duration::from_millis(50);

/// Most bytes of an answer that the system holds before it sends them: as many as go at once. Without a bound it takes megabytes for each
/// client that is slower than the service; and on one machine it sends them on the time of the client, whenever that reads.
const UNSENT_BYTES: u32 = 64 << 10;

/// Serves connections until `stop` is done, then lets running answers end. A connection is closed if the head of its
/// next request is not complete within `head_timeout`, or if it has taken nothing of an answer for `reader_idle`.
///
/// With `tls`, a connection begins with a handshake, which may take as long as a head.
pub async fn accept(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    router: Router,
    head_timeout: Duration,
    reader_idle: Option<Duration>,
    stop: impl Future<Output = ()>,
) {
    let connections = GracefulShutdown::new();
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(head_timeout);
    let mut stop = pin!(stop);
    loop {
        let (stream, peer) = tokio::select! {
            next = next(&listener) => next,
            () = &mut stop => break,
        };
        let set = stream.set_nodelay(true).and_then(|()| SockRef::from(&stream).set_tcp_notsent_lowat(UNSENT_BYTES));
        if let Err(error) = set {
            tracing::debug!("the options of a connection cannot be set: {error}");
        }
        let stream = Impatient::new(stream, reader_idle);
        let router = TowerToHyperService::new(router.clone());
        let service = service_fn(move |request| answer(router.clone(), request, peer));
        let (http, tls, watcher) = (http.clone(), tls.clone(), connections.watcher());
        tokio::spawn(async move {
            let ended = match tls {
                None => watcher.watch(http.serve_connection(TokioIo::new(Named::new(stream)), service)).await,
                Some(tls) => match tokio::time::timeout(head_timeout, tls.accept(stream)).await {
                    Ok(Ok(stream)) => {
                        watcher.watch(http.serve_connection(TokioIo::new(Named::new(stream)), service)).await
                    }
                    Ok(Err(error)) => {
                        tracing::debug!(%peer, "no TLS handshake: {error}");
                        return;
                    }
                    Err(_) => return,
                },
            };
            if let Err(error) = ended {
                tracing::debug!("a connection ended: {error}");
            }
        });
    }
    drop(listener);
    connections.shutdown().await;
}

/// Passes one request on.
async fn answer(
    router: TowerToHyperService<Router>,
    mut request: Request<Incoming>,
    peer: SocketAddr,
) -> io::Result<Response> {
    request.extensions_mut().insert(Peer(peer));
    let Ok(response) = router.call(request).await;
    match response.extensions().get::<HangUp>() {
        Some(HangUp) => Err(io::ErrorKind::ConnectionAborted.into()),
        None => Ok(response),
    }
}

async fn next(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) => {
                tracing::warn!("cannot accept a connection: {error}");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}
