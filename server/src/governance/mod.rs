//! Who may do what, how much of it at once, and what it costs: the rules of the product page.

mod actions;
mod admit;
mod documents;
mod logical;
mod meters;
mod permit;
mod policy;
mod principal;
mod rights;
mod settings;
mod slots;
mod statement;
mod throttle;

use std::sync::Arc;

pub use admit::{
    Operation, Target, admit, check, check_on, named_quota, remember_quota, require_blobs, require_exit,
    require_instance, require_member, require_new_partitions, require_project, require_result, require_schema,
    require_table,
};
pub use documents::{quota_document, quota_list, role_document, security_document, tenant_document, user_document};
pub use meters::{Meter, Meters, month};
pub use permit::Permit;
pub use policy::Policy;
pub use principal::{Caller, OWNER, Principal, Shown};
pub use rights::{Columns, REGION, TENANT_ID};
pub use settings::Settings;
pub use slots::{QuotaLoad, Slots};
pub use statement::{Output, check_size, masked, properties};

use crate::catalog::{Catalog, PAY_AS_YOU_GO};
use crate::clock::now_ms;
use crate::error::ApiError;
use crate::http::Shared;
pub use crate::http::bearer_id;
use statement::{By, Statement};

/// The quota of a session is remembered for this long after the session was created: 30 days.
const SESSION_QUOTA_MS: i64 = 30 * 86_400_000;

/// What pay-as-you-go costs in a month: nothing is refused when the free bytes are used up, what comes after them is
/// charged.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Bill {
    /// `2026-11`.
    pub month: String,
    pub logical_bytes: u64,
    pub free_bytes: u64,
    pub free_left_bytes: u64,
    pub charged_bytes: u64,
}

impl Bill {
    /// The bill of a month.
    pub fn of(catalog: &Catalog, month: &str, free_bytes: u64) -> anyhow::Result<Bill> {
        Ok(Bill::new(month.to_string(), catalog.month_total(month, PAY_AS_YOU_GO)?, free_bytes))
    }

    fn new(month: String, logical_bytes: u64, free_bytes: u64) -> Bill {
        let free_left_bytes = free_bytes.saturating_sub(logical_bytes);
        let charged_bytes = logical_bytes.saturating_sub(free_bytes);
        Bill { month, logical_bytes, free_bytes, free_left_bytes, charged_bytes }
    }
}

/// The state of governance in a running server.
pub struct Governance {
    pub settings: Settings,
    /// Whether rights count (profiles strict and cloud).
    pub checks: bool,
    /// Whether slots and rates bound requests (profile cloud).
    pub limits: bool,
    pub slots: Slots,
    pub meters: Arc<Meters>,
}

impl Governance {
    /// Nothing runs yet.
    pub fn new(settings: Settings, checks: bool, limits: bool) -> Governance {
        Governance { settings, checks, limits, slots: Slots::default(), meters: Arc::default() }
    }

    /// Forgets what nobody asks for any more: expired credentials, quotas of sessions of long ago.
    pub fn tidy(&self, catalog: &Catalog) -> anyhow::Result<()> {
        catalog.drop_expired_credentials()?;
        catalog.drop_session_quotas(now_ms() - SESSION_QUOTA_MS)?;
        Ok(())
    }

    /// Stores the usage since the last call.
    pub fn store_usage(&self, catalog: &Catalog) -> anyhow::Result<()> {
        self.meters.store(catalog, self.settings.billing_zone)
    }
}

/// Runs a text of statements on governance for a caller; `None` if it is about something else. Blocking.
pub fn statement(shared: &Shared, caller: &Caller, project: &str, text: &str) -> Option<Result<Output, ApiError>> {
    statement::run(&shared.catalog, by(shared, caller), project, text)
}

/// PUT POLICY on a role of a project, as a call. Blocking.
pub fn put_role_policy(
    shared: &Shared,
    caller: &Caller,
    project: &str,
    role: &str,
    policy: &str,
) -> Result<(), ApiError> {
    let (role, policy) = (role.to_string(), policy.to_string());
    one(shared, caller, project, Statement::PutPolicy { role, tenant: false, policy }).map(|_| ())
}

/// PUT POLICY on a role of the tenant, as a call. Blocking.
pub fn put_tenant_role_policy(shared: &Shared, caller: &Caller, role: &str, policy: &str) -> Result<(), ApiError> {
    let (role, policy) = (role.to_string(), policy.to_string());
    one(shared, caller, "", Statement::PutPolicy { role, tenant: true, policy }).map(|_| ())
}

/// GET POLICY of a role of the tenant, as a call. Blocking.
pub fn tenant_role_policy(shared: &Shared, caller: &Caller, role: &str) -> Result<String, ApiError> {
    let role = role.to_string();
    one(shared, caller, "", Statement::GetPolicy { role, tenant: true }).map(|output| output.text)
}

/// SET of a security switch, as a call; other names are left alone. Blocking.
pub fn set_switch(
    shared: &Shared,
    caller: &Caller,
    project: &str,
    name: &str,
    value: bool,
    exception: Option<String>,
) -> Result<(), ApiError> {
    let Some((name, _)) = statement::SWITCHES.iter().find(|(switch, _)| switch.eq_ignore_ascii_case(name)) else {
        return Ok(());
    };
    one(shared, caller, project, Statement::SetSecurity { name, value, exception }).map(|_| ())
}

fn one(shared: &Shared, caller: &Caller, project: &str, statement: Statement) -> Result<Output, ApiError> {
    statement::run_one(&shared.catalog, by(shared, caller), project, statement)
}

fn by<'a>(shared: &Shared, caller: &'a Caller) -> By<'a> {
    if shared.governance.checks { By::Caller(caller) } else { By::Free(caller) }
}

/// The same as [`statement`] for the command line and the configuration, which may do everything.
pub fn execute(catalog: &Catalog, project: &str, text: &str) -> Option<Result<Output, ApiError>> {
    statement::run(catalog, By::Operator, project, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_beyond_the_free_bytes_is_charged() {
        let bill = |logical| {
            let bill = Bill::new("2026-11".into(), logical, 1 << 40);
            (bill.free_left_bytes, bill.charged_bytes)
        };
        assert_eq!(bill(0), (1 << 40, 0));
        assert_eq!(bill((1 << 40) - 1), (1, 0));
        assert_eq!(bill((1 << 40) + 5), (0, 5));
    }
}
