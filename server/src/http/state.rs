//! What all requests share.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use tokio::sync::Semaphore;

use super::auth::{Account, Accounts};
use super::tls::TlsOptions;
use crate::catalog::{Catalog, StoredSession};
use crate::config::Seed;
use crate::fault::{Faults, Rule};
use crate::governance::{Governance, Settings};
use crate::observe::Observed;
use crate::plan::{Limits, Plan, Reading};
use crate::read::Replay;
use crate::sql::Running;
use crate::store::Footers;
use crate::write::Flying;

/// How strict the server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Profile {
    /// Everything is allowed; signatures are checked.
    Dev,
    /// Rights and argument limits as on the service; no throttling.
    Strict,
    /// As strict, with the slots and rates of quotas.
    Cloud,
}

impl Profile {
    /// The limits of the profile.
    pub fn limits(self) -> Limits {
        match self {
            Profile::Dev => Limits {
                min_split_bytes: 1024,
                strict_batches: false,
                strict_delta: false,
                reading: Reading::default(),
            },
            Profile::Strict | Profile::Cloud => Limits {
                min_split_bytes: 10 << 20,
                strict_batches: true,
                strict_delta: true,
                reading: Reading::default(),
            },
        }
    }
}

/// What `serve` was asked to do.
#[derive(Debug)]
pub struct ServeOptions {
    pub root: PathBuf,
    pub listen: SocketAddr,
    pub profile: Profile,
    pub reading: Reading,
    /// `None` means that nobody is checked.
    pub accounts: Option<Vec<Account>>,
    /// Whether requests of another time are refused.
    pub check_clock: bool,
    pub projects: Vec<String>,
    /// Where answers are kept, if they are.
    pub replay: Option<Replay>,
    /// Authority that endpoint discovery answers instead of the `Host` header.
    pub external_authority: Option<String>,
    pub planning_delay: Duration,
    pub commit_delay: Duration,
    pub session_lifetime: Duration,
    pub governance: Settings,
    pub tls: TlsOptions,
    /// How often replaced files and dead sessions are looked for.
    pub garbage_interval: Duration,
    /// How long the head of a request may take.
    pub head_timeout: Duration,
    /// How long the client of an answer may take nothing of it; `None` is any time.
    pub reader_idle: Option<Duration>,
    /// Whether the line that says that requests are accepted is JSON.
    pub ready_json: bool,
    /// Bytes of blobs that one request may bring, as they are sent and decoded.
    pub upload_blob_bytes: u64,
    /// Bytes that one body of the classic tunnel may have after decoding.
    pub tunnel_block_bytes: u64,
    /// Bodies of the classic tunnel that are read at once.
    pub tunnel_uploads: usize,
    /// How long running answers may go on after a signal to stop.
    pub grace: Duration,
    /// The fault plan in force from the start.
    pub faults: Vec<Rule>,
    /// What the root shall contain.
    pub seed: Seed,
    /// Whether the admin paths ask for a key on this machine as well.
    pub admin_needs_key: bool,
}

/// Plans kept in memory, and their bytes; when there are more, all are forgotten and read again.
const PLAN_CAPACITY: usize = 256;
const PLAN_BYTES: u64 = 512 << 20;

/// The shared state of the listener.
pub struct Shared {
    pub catalog: Arc<Catalog>,
    pub footers: Arc<Footers>,
    pub accounts: Option<Accounts>,
    pub limits: Limits,
    pub replay: Option<Replay>,
    pub external_authority: Option<String>,
    pub planning_delay: Duration,
    pub commit_delay: Duration,
    pub session_lifetime: Duration,
    pub governance: Governance,
    pub faults: Faults,
    pub observed: Arc<Observed>,
    pub admin_needs_key: bool,
    /// Bytes of blobs that one request may bring, as they are sent and decoded.
    pub upload_blob_bytes: u64,
    /// Bytes that one body of the classic tunnel may have after decoding.
    pub tunnel_block_bytes: u64,
    /// A turn for each body of the classic tunnel that may be read: it holds a thread.
    pub tunnel_uploads: Arc<Semaphore>,
    /// Blocks that are being written.
    pub flying: Arc<Flying>,
    /// SQL statements that run now.
    pub running: Running,
    plans: Mutex<HashMap<String, Arc<Plan>>>,
}

impl Shared {
    /// State over an open catalogue.
    pub fn new(catalog: Arc<Catalog>, options: ServeOptions) -> Shared {
        Shared {
            footers: Arc::new(Footers::new(catalog.keyring())),
            catalog,
            accounts: options.accounts.map(|accounts| Accounts::new(accounts, options.check_clock)),
            limits: Limits { reading: options.reading, ..options.profile.limits() },
            replay: options.replay,
            external_authority: options.external_authority,
            planning_delay: options.planning_delay,
            commit_delay: options.commit_delay,
            flying: Arc::default(),
            running: Running::default(),
            session_lifetime: options.session_lifetime,
            governance: Governance::new(
                options.governance,
                options.profile != Profile::Dev,
                options.profile == Profile::Cloud,
            ),
            faults: Faults::new(options.faults),
            observed: Arc::default(),
            admin_needs_key: options.admin_needs_key,
            upload_blob_bytes: options.upload_blob_bytes,
            tunnel_block_bytes: options.tunnel_block_bytes,
            tunnel_uploads: Arc::new(Semaphore::new(options.tunnel_uploads)),
            plans: Mutex::default(),
        }
    }

    /// The plan of a stored session, parsed once.
    pub fn plan(&self, session: &StoredSession) -> Result<Arc<Plan>> {
        if let Some(plan) = self.plans.lock().unwrap_or_else(PoisonError::into_inner).get(&session.id) {
            return Ok(plan.clone());
        }
        // Parsed outside the lock: a large plan must not hold up the others.
        Ok(self.keep_plan(&session.id, Plan::from_json(&session.plan)?))
    }

    /// Keeps the plan of a session in memory, with what planning found out about its rows.
    pub fn keep_plan(&self, session_id: &str, plan: Plan) -> Arc<Plan> {
        let plan = Arc::new(plan);
        let mut plans = self.plans.lock().unwrap_or_else(PoisonError::into_inner);
        let weight: u64 = plans.values().map(|plan| plan.weight()).sum();
        if plans.len() >= PLAN_CAPACITY || weight + plan.weight() > PLAN_BYTES {
            plans.clear();
        }
        plans.insert(session_id.to_string(), plan.clone());
        plan
    }
}
