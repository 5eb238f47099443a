//! Where the Storage API is served.

use super::{Method, Request};

/// Asks the service endpoint for the host that serves the Storage API to a project.
pub fn discover(project: &str) -> Request {
    Request::new(Method::Get, ["projects", project, "tunnel"]).query("service", "")
}
