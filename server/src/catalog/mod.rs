//! The catalogue: projects, schemas, tables, partitions, files, sessions, in one SQLite database (WAL).
//!
//! One [`Catalog`] wraps one connection behind a mutex. Calls are short and blocking: async code calls them from a
//! blocking thread. Several processes may have the same root open (a `load` beside a `serve`).

mod audit;
mod blobs;
mod change;
mod commit;
mod credentials;
mod define;
mod files;
mod history;
mod instances;
mod layout;
mod properties;
mod rights;
mod sessions;
mod streams;
mod tables;
mod tenant;
mod usage;
mod writes;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use rusqlite::Connection;

use crate::private;
use crate::store::Keyring;

pub use audit::KnownFile;
pub use blobs::{Blob, NoSuchBlob, is_ours as is_blob_id};
pub use change::{Change, IfExists};
pub use commit::{Arranged, CommitRefusal, Destination, NewFile};
pub use credentials::{Credential, Origin};
pub use define::Defined;
pub use files::DataFile;
pub use instances::{Instance, InstanceState, Job, Source, result_table};
pub use properties::{Clustering, ClusteringKind, SortColumn, TableKind, TableProperties};
pub use rights::{Grantee, Object, Privilege};
pub use sessions::StoredSession;
pub use streams::{Exactly, Landing, Stream, StreamRefusal, StreamWrite};
pub use tables::{Column, NewTable, Partition, Snapshot, Table, TableName, check_name};
pub use tenant::{PAY_AS_YOU_GO, Quota, QuotaKind, Role, SHARED_QUOTA};
pub use usage::{RequestRow, UsageRow};
pub use writes::{SessionCommit, SessionRefusal, Stage, StageLimits, Unit, UnitFacts, WriteSession, WriteStatus};

/// The open catalogue of one root directory.
pub struct Catalog {
    root: PathBuf,
    keyring: Arc<Keyring>,
    connection: Mutex<Connection>,
    /// Those who arrange rows again after others were faster, by the id of the table.
    turns: Box<[Mutex<()>; 16]>,
}

impl Catalog {
    /// Opens the catalogue of `root`, creating directory and database if missing.
    pub fn open(root: &Path) -> Result<Catalog> {
        let data = root.join("data");
        private::directory(&data).with_context(|| format!("cannot create {}", data.display()))?;
        let path = root.join("catalog.sqlite");
        // The files that SQLite puts beside it get the same mode.
        for name in ["catalog.sqlite", "catalog.sqlite-wal", "catalog.sqlite-shm"] {
            let file = root.join(name);
            if name == "catalog.sqlite" || file.exists() {
                private::ensure(&file).with_context(|| format!("cannot open {}", file.display()))?;
            }
        }
        let open = || -> rusqlite::Result<Connection> {
            let connection = Connection::open(&path)?;
            connection.busy_timeout(Duration::from_secs(30))?;
            connection.pragma_update(None, "journal_mode", "wal")?;
            connection.pragma_update(None, "synchronous", "full")?;
            Ok(connection)
        };
        let mut connection = open().with_context(|| format!("cannot open the catalogue {}", path.display()))?;
        layout::prepare(&mut connection).with_context(|| format!("cannot use the catalogue {}", path.display()))?;
        Ok(Catalog {
            root: root.to_path_buf(),
            keyring: Arc::new(Keyring::new(root)),
            connection: Mutex::new(connection),
            turns: Default::default(),
        })
    }

    /// The directory that holds everything.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The keys for encryption at rest.
    pub fn keyring(&self) -> &Arc<Keyring> {
        &self.keyring
    }

    /// Waits until nobody else of this process has its turn at a table. Takes no part in what is right or wrong: it keeps
    /// those who must try again out of each other's way.
    pub fn turn(&self, table_id: i64) -> MutexGuard<'_, ()> {
        let [first, ..] = &*self.turns;
        let place = usize::try_from(table_id).unwrap_or(0) % self.turns.len();
        self.turns.get(place).unwrap_or(first).lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A thread that panicked while holding the connection has left no open transaction: rusqlite rolls back on
    /// drop. So a poisoned lock is still good.
    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}
