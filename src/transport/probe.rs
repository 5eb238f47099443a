//! The steps of a connection one by one, for whoever looks for the one that fails.

use std::net::SocketAddr;
use std::time::SystemTime;

use tokio::net::lookup_host;

use super::dial::{dial, fits};
use super::{Answer, Transport, endpoint};
use crate::error::{Error, Kind, Result};
use crate::proto::discover;
use crate::runtime::within;

/// Whom a connection for an endpoint is made to: the host of the endpoint, or the proxy in front of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remote {
    /// Host and port.
    pub authority: String,
    /// Whether it is a proxy.
    pub is_proxy: bool,
}

impl Transport {
    /// The service endpoint.
    pub fn service_endpoint(&self) -> &str {
        &self.shared.service
    }

    /// The quota that requests name.
    pub fn quota(&self) -> Option<&str> {
        self.shared.quota.as_deref()
    }

    /// Whom connections for an endpoint are made to.
    pub fn remote(&self, endpoint: &str) -> Result<Remote> {
        let proxy = self.shared.http.proxy();
        let illegal = || Error::new(Kind::InvalidOption, "the address has no host and port");
        let url = reqwest::Url::parse(proxy.unwrap_or(endpoint)).map_err(|_| illegal())?;
        let (host, port) = url.host_str().zip(url.port_or_known_default()).ok_or_else(illegal)?;
        Ok(Remote { authority: format!("{host}:{port}"), is_proxy: proxy.is_some() })
    }

    /// The addresses of a host and port.
    pub async fn resolve(&self, remote: &Remote) -> Result<Vec<SocketAddr>> {
        let found = within(self.shared.http.connect_timeout(), lookup_host(remote.authority.clone())).await;
        let failed =
            |why: &str| Error::new(Kind::Connection, format!("{} cannot be resolved: {why}", remote.authority));
        let addresses: Vec<SocketAddr> = match found {
            Some(Ok(addresses)) => addresses.collect(),
            Some(Err(error)) => return Err(failed(&error.to_string())),
            None => return Err(failed("the resolver does not answer")),
        };
        if addresses.is_empty() { Err(failed("it has no address")) } else { Ok(addresses) }
    }

    /// Connects to the first address that answers, and hangs up.
    pub async fn knock(&self, addresses: &[SocketAddr]) -> Result<SocketAddr> {
        let mut last = Error::new(Kind::Connection, "there is no address to connect to");
        let local = self.shared.http.local_address();
        for address in addresses.iter().filter(|address| fits(local, address)) {
            last = match within(self.shared.http.connect_timeout(), dial(local, *address)).await {
                Some(Ok(_)) => return Ok(*address),
                Some(Err(error)) => Error::new(Kind::Connection, format!("no connection to {address}: {error}")),
                None => {
                    let limit = self.shared.http.connect_timeout().as_millis();
                    Error::new(Kind::Timeout, format!("no connection to {address} within {limit} ms"))
                }
            };
        }
        Err(last)
    }

    /// Has one unsigned request answered, whatever the answer, and tells the time that it names.
    pub async fn greet(&self, endpoint: &str) -> Result<Option<SystemTime>> {
        self.shared.http.greet(endpoint).await
    }

    /// Asks for the endpoint of the Storage API, whatever is configured or remembered.
    pub async fn discover(&self, project: &str, quota: Option<&str>) -> Result<String> {
        let request = discover(project);
        let request = match quota {
            Some(quota) => request.query("quotaName", quota),
            None => request,
        };
        let Answer { body, request_id, .. } = self.ask_service(request).await?;
        endpoint::from_discovery(&self.shared.service, &body).map_err(|error| error.with_request_id(&request_id))
    }
}
