//! A client: an endpoint, a caller, and the limits shared by everything opened through it.

use std::sync::Arc;
use std::time::Duration;

use crate::error::Result;
use crate::memory::Budget;
use crate::options::{self, Options};
use crate::proto::TableName;
use crate::runtime::Runtime;
use crate::transport::Transport;

/// A client. Cheap to clone; sessions and splits keep what they need of it alive.
#[derive(Debug, Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// Exactly one reference per client, so that the count of references is the count of clients.
    runtime: Runtime,
    transport: Arc<Transport>,
    memory: Arc<Budget>,
    memory_wait: Duration,
    project: Option<String>,
    schema: String,
}

impl Client {
    /// Checks the options and starts the threads if they do not run yet. No network I/O.
    pub fn open(options: &Options) -> Result<Self> {
        let transport = Transport::new(options)?;
        let workers = usize::try_from(options.number(&options::RUNTIME_WORKER_THREADS)).unwrap_or(1);
        Ok(Client {
            inner: Arc::new(Inner {
                runtime: Runtime::acquire(workers)?,
                transport,
                memory: Budget::new(options.number(&options::LIMITS_MEMORY_BYTES), options.memory_hooks().cloned()),
                memory_wait: options.duration(&options::LIMITS_MEMORY_WAIT_MS),
                project: options.text(&options::PROJECT).map(str::to_owned),
                schema: options.text(&options::SCHEMA).unwrap_or("default").to_owned(),
            }),
        })
    }

    /// The threads of the process.
    pub fn runtime(&self) -> &Runtime {
        &self.inner.runtime
    }

    pub(crate) fn transport(&self) -> &Arc<Transport> {
        &self.inner.transport
    }

    /// The project that is meant when none is named.
    pub(crate) fn project(&self) -> Option<&str> {
        self.inner.project.as_deref()
    }

    /// The schema that is meant when none is named.
    pub(crate) fn schema(&self) -> &str {
        &self.inner.schema
    }

    /// The memory of everything that is read through this client.
    pub(crate) fn memory(&self) -> &Arc<Budget> {
        &self.inner.memory
    }

    /// How long a refusal of memory is put up with.
    pub(crate) fn memory_wait(&self) -> Duration {
        self.inner.memory_wait
    }

    /// A table by name, with the defaults of this client.
    pub(crate) fn table(&self, text: &str) -> Result<TableName> {
        TableName::parse(text, self.inner.project.as_deref(), &self.inner.schema)
    }
}
