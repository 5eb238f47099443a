//! A client: an endpoint, a caller, and the limits shared by everything opened through it.

use std::sync::Arc;
use std::time::Duration;

use crate::error::Result;
use crate::memory::Budget;
use crate::metrics::{Metric, figures};
use crate::options::{self, Options, ReadEndHook};
use crate::proto::TableName;
use crate::runtime::{Bounds, Cancel, Runtime, Threads};
use crate::transport::Transport;

figures! {
    /// The figures of one client.
    Usage;

    memory_current, "bytes", "Bytes held for batches now, over all splits and scans of the client, also by the engine.";
    memory_peak, "bytes", "The most bytes held at one time.";
    memory_limit, "bytes", "The option `limits.memory_bytes`; 0 for no limit.";
    memory_waiting, "requests", "Requests that wait for memory.";
    slots_held, "requests", "Requests for rows under way, without those whose rows nobody takes.";
    slots_waiting, "requests", "Requests for rows that wait for others to end.";
    slots_limit, "requests", "Requests for rows that may be under way: the option `limits.concurrent_requests`, or fewer since the service refused some; 0 while there is no limit.";
    refusals, "requests", "Requests for rows that the service refused because it had too many.";
    throttled, "us", "Time requests waited because of that: for a slot, and after refusals.";
}

/// A client. Cheap to clone; sessions and splits keep what they need of it alive.
#[derive(Debug, Clone)]
pub struct Client {
    inner: Arc<Inner>,
    transport: Arc<Transport>,
    /// Who is told of the end of reads.
    read_end_hook: Option<ReadEndHook>,
    /// What ends the calls that are made with this handle of the client.
    bounds: Bounds,
}

#[derive(Debug)]
struct Inner {
    /// Exactly one reference per client, so that the count of references is the count of clients.
    runtime: Runtime,
    memory: Arc<Budget>,
    memory_wait: Duration,
    project: Option<String>,
    schema: String,
}

impl Client {
    /// Checks the options and starts the threads if they do not run yet. No network I/O.
    pub fn open(options: &Options) -> Result<Self> {
        let transport = Transport::new(options)?;
        let size = |key| usize::try_from(options.number(key)).unwrap_or(usize::MAX);
        let threads = Threads {
            count: size(&options::RUNTIME_WORKER_THREADS),
            name: options.text(&options::RUNTIME_THREAD_NAME).unwrap_or_default().to_owned(),
            stack_bytes: size(&options::RUNTIME_STACK_BYTES),
            hooks: options.thread_hooks().cloned(),
        };
        Ok(Client {
            inner: Arc::new(Inner {
                runtime: Runtime::acquire(&threads)?,
                memory: Budget::with_allocator(
                    options.number(&options::LIMITS_MEMORY_BYTES),
                    options.memory_hooks().cloned(),
                    options.allocator().cloned(),
                ),
                memory_wait: options.duration(&options::LIMITS_MEMORY_WAIT_MS),
                project: options.text(&options::PROJECT).map(str::to_owned),
                schema: options.text(&options::SCHEMA).unwrap_or("default").to_owned(),
            }),
            transport,
            read_end_hook: options.read_end_hook().cloned(),
            bounds: Bounds::default(),
        })
    }

    /// A handle of the same client whose calls, and the lists they give, end with `cancel` as well as with what ends those of this one.
    pub fn with_cancel(&self, cancel: &Cancel) -> Self {
        Client { bounds: self.bounds.with(Some(cancel)), ..self.clone() }
    }

    /// The handle that nothing ends, for what goes on after the call.
    pub(crate) fn unbound(&self) -> Self {
        Client { bounds: Bounds::default(), ..self.clone() }
    }

    /// A handle whose requests belong to the trace that `options` name, and whose reads are told to whom they name, if they do.
    pub(crate) fn observed(&self, options: &Options) -> Result<Self> {
        let read_end_hook = self.read_end_hook(options);
        Ok(Client { transport: self.transport.traced(options)?, read_end_hook, ..self.clone() })
    }

    /// Who is told of the end of a read with these options.
    pub(crate) fn read_end_hook(&self, read: &Options) -> Option<ReadEndHook> {
        read.read_end_hook().or(self.read_end_hook.as_ref()).cloned()
    }

    /// Does what a call asks for on a worker, and waits for it: at most until `cancel`, or what else bounds this handle, ends it.
    pub(crate) fn run<T: Send + 'static>(
        &self,
        cancel: Option<&Cancel>,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        self.runtime().run(self.bounds.with(cancel).bound(work)).map_err(|error| self.transport.told(error))
    }

    /// The threads of the process.
    pub fn runtime(&self) -> &Runtime {
        &self.inner.runtime
    }

    pub(crate) fn transport(&self) -> &Arc<Transport> {
        &self.transport
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

    /// What everything opened through this client uses now.
    pub fn metrics(&self) -> Vec<Metric> {
        let (usage, memory, slots) = (Usage::default(), self.memory(), self.transport().slots());
        usage.memory_current.set(memory.held());
        usage.memory_peak.set(memory.peak());
        usage.memory_limit.set(memory.limit());
        usage.memory_waiting.set(memory.waiting() as u64);
        usage.slots_held.set(slots.held);
        usage.slots_waiting.set(slots.waiting);
        usage.slots_limit.set(slots.limit);
        usage.refusals.set(slots.refusals);
        usage.throttled.add_time(slots.throttled);
        usage.list()
    }

    /// A table by name, with the defaults of this client.
    pub(crate) fn table(&self, text: &str) -> Result<TableName> {
        TableName::parse(text, self.inner.project.as_deref(), &self.inner.schema)
    }
}
