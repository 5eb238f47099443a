//! Connections: accepting them, and closing those whose request never comes.

use std::pin::pin;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};

use super::unparsed::Named;

/// Pause after a failed accept, which means that the process has no file descriptors left.
const PAUSE: Duration = Duration::from_millis(50);

/// Serves connections until `stop` is done, then lets running answers end. A connection is closed if the head of its
/// next request is not complete within `head_timeout`.
pub async fn accept(listener: TcpListener, router: Router, head_timeout: Duration, stop: impl Future<Output = ()>) {
    let connections = GracefulShutdown::new();
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(head_timeout);
    let mut stop = pin!(stop);
    loop {
        let stream = tokio::select! {
            stream = next(&listener) => stream,
            () = &mut stop => break,
        };
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!("TCP_NODELAY: {error}");
        }
        let connection =
            http.serve_connection(TokioIo::new(Named::new(stream)), TowerToHyperService::new(router.clone()));
        let connection = connections.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!("a connection ended: {error}");
            }
        });
    }
    drop(listener);
    connections.shutdown().await;
}

async fn next(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            Err(error) => {
                tracing::warn!("cannot accept a connection: {error}");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}
