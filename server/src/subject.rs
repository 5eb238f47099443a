//! What a request is about, as fault plans, metrics and the log name it.

use serde::{Deserialize, Serialize};

/// The protocol a call belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    V1,
    V2,
    V3,
    /// The classic tunnel.
    Tunnel,
    /// Discovery, metadata, SQL instances.
    Service,
    /// Paths that only this server has.
    Own,
}

impl Protocol {
    pub fn name(self) -> &'static str {
        match self {
            Protocol::V1 => "v1",
            Protocol::V2 => "v2",
            Protocol::V3 => "v3",
            Protocol::Tunnel => "tunnel",
            Protocol::Service => "service",
            Protocol::Own => "own",
        }
    }
}

/// The name of a request that is no known call.
pub const UNKNOWN: &str = "Unknown";

/// The names of all calls. Those of the Storage API are the action names of its versions 2 and 3; the calls of version 1
/// bear the names of their counterparts.
pub const ACTIONS: &[&str] = &[
    "TableCreateReadSession",
    "TableGetReadSession",
    "TableRead",
    "TablePreview",
    "TableCreateWriteSession",
    "TableGetWriteSession",
    "TableCreateWriteStream",
    "TableGetWriteStream",
    "TableGetWriteSchema",
    "TableWrite",
    "TableCloseWriteStream",
    "TableCommitWriteSession",
    "TableAbortWriteSession",
    "TableWriteBlob",
    "BlobRead",
    "InstanceCreateReadSession",
    "InstanceGetReadSession",
    "InstanceRead",
    "TunnelCreateDownload",
    "TunnelGetDownload",
    "TunnelDownload",
    "TunnelCreateUpload",
    "TunnelGetUpload",
    "TunnelUpload",
    "TunnelCommitUpload",
    "TunnelStream",
    "TunnelUpsert",
    "GetTenant",
    "GetEndpoint",
    "ListProjects",
    "GetProject",
    "ChangeProject",
    "ListSchemas",
    "GetSchema",
    "ChangeSchema",
    "ListTables",
    "GetTable",
    "ChangeTable",
    "ListPartitions",
    "ListInstances",
    "CreateInstance",
    "GetInstance",
    "ChangeInstance",
    "GetQuota",
    "Authorization",
    "Admin",
    UNKNOWN,
];

/// What a request is about. Parts that a call does not name are `None`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    pub protocol: Protocol,
    /// One of [`ACTIONS`].
    pub action: &'static str,
    pub project: Option<String>,
    pub schema: Option<String>,
    pub table: Option<String>,
    pub session: Option<String>,
    pub split: Option<u64>,
    pub block: Option<u64>,
    pub stream: Option<String>,
    pub quota: Option<String>,
}

impl Subject {
    /// A call that names nothing.
    pub fn new(protocol: Protocol, action: &'static str) -> Subject {
        Subject {
            protocol,
            action,
            project: None,
            schema: None,
            table: None,
            session: None,
            split: None,
            block: None,
            stream: None,
            quota: None,
        }
    }

    /// `project.schema.table` as far as it is known; empty if nothing is.
    pub fn place(&self) -> String {
        let parts = match &self.table {
            Some(table) => {
                vec![self.project.as_deref(), self.schema.as_deref().or(Some("default")), Some(table.as_str())]
            }
            None => vec![self.project.as_deref(), self.schema.as_deref()],
        };
        parts.into_iter().flatten().collect::<Vec<_>>().join(".")
    }
}

/// The known name that is spelled like this.
pub fn action(name: &str) -> Option<&'static str> {
    ACTIONS.iter().copied().find(|action| *action == name)
}
