//! Commits that are due after a while.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;

use super::arrange::commit_session;
use crate::catalog::{Catalog, CommitRefusal, Unit, WriteStatus};
use crate::clock::now_ms;

/// Commits a session that is COMMITTING when its time has come; it becomes CRITICAL if its table does not fit any more.
pub async fn commit_when_due(catalog: Arc<Catalog>, id: String, units: Vec<Unit>, due_ms: i64) {
    loop {
        let left = due_ms.saturating_sub(now_ms());
        if left <= 0 {
            break;
        }
        // Looks again now and then, because a clock may be moved.
        tokio::time::sleep(Duration::from_millis(left.min(50) as u64)).await;
    }
    let work = move || {
        let Err(error) = commit_session(&catalog, &id, &units) else { return };
        tracing::error!("the commit of the write session {id} failed: {error:#}");
        if let Some(refusal) = error.downcast_ref::<CommitRefusal>()
            && let Err(error) = catalog.end_write_session(&id, WriteStatus::Critical, &refusal.to_string())
        {
            tracing::error!("the write session {id} keeps its state: {error:#}");
        }
    };
    if let Err(error) = tokio::task::spawn_blocking(work).await {
        tracing::error!("a commit failed: {error}");
    }
}

/// Goes on with the commits that were waiting when the server stopped.
pub fn resume_commits(catalog: &Arc<Catalog>) -> Result<()> {
    for (id, units, due_ms) in catalog.pending_commits()? {
        tracing::info!("the write session {id} was committing: going on");
        tokio::spawn(commit_when_due(catalog.clone(), id, units, due_ms));
    }
    Ok(())
}
