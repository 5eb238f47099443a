//! The tenant: properties, members, roles with policies, quotas.

use anyhow::Result;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::Catalog;
use crate::clock::now_ms;

/// The name of the metered quota of the Storage API.
pub const PAY_AS_YOU_GO: &str = "pay-as-you-go";
/// The name of the shared quota, which costs nothing and guarantees nothing.
pub const SHARED_QUOTA: &str = "default";

/// How a quota is paid for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuotaKind {
    /// By the logical size of what is read and written.
    Metered,
    /// Not at all.
    Shared,
    /// By the number of concurrent requests.
    Exclusive,
}

impl QuotaKind {
    /// The text in the catalogue.
    pub fn name(self) -> &'static str {
        match self {
            QuotaKind::Metered => "metered",
            QuotaKind::Shared => "shared",
            QuotaKind::Exclusive => "exclusive",
        }
    }

    fn of(name: &str) -> QuotaKind {
        match name {
            "metered" => QuotaKind::Metered,
            "shared" => QuotaKind::Shared,
            _ => QuotaKind::Exclusive,
        }
    }
}

/// A resource that requests run on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quota {
    pub name: String,
    pub kind: QuotaKind,
    /// Concurrent requests; `None` is no bound.
    pub slots: Option<u32>,
    /// Bytes per second of one request; `None` is no bound.
    pub rate: Option<u64>,
    pub enabled: bool,
}

/// A role of the tenant or of a project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    pub name: String,
    /// Empty if the role has no policy.
    pub policy: String,
}

pub(super) const SCHEMA: &str = "
create table tenant_properties(name text primary key collate nocase, value text not null) strict;
create table tenant_users(principal text primary key collate nocase, created_ms integer not null) strict;
create table tenant_roles(
  name text primary key collate nocase, policy text not null, created_ms integer not null) strict;
create table tenant_role_members(
  role text not null collate nocase, principal text not null collate nocase, primary key(role, principal)) strict;
create table tenant_role_projects(
  role text not null collate nocase, project text not null collate nocase, primary key(role, project)) strict;
create table quotas(
  name text primary key collate nocase, kind text not null, slots integer, rate integer,
  enabled integer not null, created_ms integer not null) strict;
insert into quotas(name, kind, slots, rate, enabled, created_ms) values
  ('pay-as-you-go', 'metered', 1000, 10485760, 1, 0), ('default', 'shared', null, null, 1, 0);
";

/// The first column of every row.
pub(super) fn texts(connection: &Connection, sql: &str, parameters: impl rusqlite::Params) -> Result<Vec<String>> {
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map(parameters, |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(super) fn roles(connection: &Connection, sql: &str, parameters: impl rusqlite::Params) -> Result<Vec<Role>> {
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map(parameters, |row| Ok(Role { name: row.get(0)?, policy: row.get(1)? }))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Runs one statement; true if it changed something.
pub(super) fn change(connection: &Connection, sql: &str, parameters: impl rusqlite::Params) -> Result<bool> {
    Ok(connection.prepare_cached(sql)?.execute(parameters)? > 0)
}

impl Catalog {
    /// The value of a property of the tenant.
    pub fn tenant_property(&self, name: &str) -> Result<Option<String>> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached("select value from tenant_properties where name = ?1")?;
        Ok(statement.query_row([name], |row| row.get(0)).optional()?)
    }

    /// Sets a property of the tenant.
    pub fn set_tenant_property(&self, name: &str, value: &str) -> Result<()> {
        change(&self.lock(), "insert or replace into tenant_properties(name, value) values (?1, ?2)", [name, value])?;
        Ok(())
    }

    /// Adds a member. False if it is one already.
    pub fn add_tenant_user(&self, principal: &str) -> Result<bool> {
        let sql = "insert or ignore into tenant_users(principal, created_ms) values (?1, ?2)";
        change(&self.lock(), sql, params![principal, now_ms()])
    }

    /// Removes a member, its roles and its bearer tokens. False if there is no such member.
    pub fn remove_tenant_user(&self, principal: &str) -> Result<bool> {
        let connection = self.lock();
        change(&connection, "delete from credentials where id like 'bearer:%' and principal = ?1", [principal])?;
        change(&connection, "delete from tenant_role_members where principal = ?1", [principal])?;
        change(&connection, "delete from tenant_users where principal = ?1", [principal])
    }

    /// All members.
    pub fn tenant_users(&self) -> Result<Vec<String>> {
        texts(&self.lock(), "select principal from tenant_users order by principal", [])
    }

    /// Creates a role. False if it exists.
    pub fn create_tenant_role(&self, name: &str, policy: &str) -> Result<bool> {
        let sql = "insert or ignore into tenant_roles(name, policy, created_ms) values (?1, ?2, ?3)";
        change(&self.lock(), sql, params![name, policy, now_ms()])
    }

    /// Replaces the policy of a role. False if there is no such role.
    pub fn set_tenant_role_policy(&self, name: &str, policy: &str) -> Result<bool> {
        change(&self.lock(), "update tenant_roles set policy = ?2 where name = ?1", [name, policy])
    }

    /// Drops a role and takes it from everybody. False if there is no such role.
    pub fn drop_tenant_role(&self, name: &str) -> Result<bool> {
        let connection = self.lock();
        change(&connection, "delete from tenant_role_members where role = ?1", [name])?;
        change(&connection, "delete from tenant_role_projects where role = ?1", [name])?;
        change(&connection, "delete from tenant_roles where name = ?1", [name])
    }

    /// All roles that were created.
    pub fn tenant_roles(&self) -> Result<Vec<Role>> {
        roles(&self.lock(), "select name, policy from tenant_roles order by name", [])
    }

    /// Gives a role to a member. False if it has it.
    pub fn grant_tenant_role(&self, role: &str, principal: &str) -> Result<bool> {
        let sql = "insert or ignore into tenant_role_members(role, principal) values (?1, ?2)";
        change(&self.lock(), sql, [role, principal])
    }

    /// Takes a role from a member. False if it does not have it.
    pub fn revoke_tenant_role(&self, role: &str, principal: &str) -> Result<bool> {
        change(&self.lock(), "delete from tenant_role_members where role = ?1 and principal = ?2", [role, principal])
    }

    /// Who has a role.
    pub fn tenant_role_members(&self, role: &str) -> Result<Vec<String>> {
        let sql = "select principal from tenant_role_members where role = ?1 order by principal";
        texts(&self.lock(), sql, [role])
    }

    /// The roles of a principal; a role that is built in has an empty policy.
    pub fn tenant_roles_of(&self, principal: &str) -> Result<Vec<Role>> {
        let sql = "select role, coalesce(policy, '') from tenant_role_members
                   left join tenant_roles on name = role where principal = ?1 order by role";
        roles(&self.lock(), sql, [principal])
    }

    /// Lets the policy of a role count in a project. False if it does.
    pub fn add_tenant_role_to_project(&self, role: &str, project: &str) -> Result<bool> {
        let sql = "insert or ignore into tenant_role_projects(role, project) values (?1, ?2)";
        change(&self.lock(), sql, [role, project])
    }

    /// The opposite. False if it did not count there.
    pub fn remove_tenant_role_from_project(&self, role: &str, project: &str) -> Result<bool> {
        change(&self.lock(), "delete from tenant_role_projects where role = ?1 and project = ?2", [role, project])
    }

    /// The tenant roles of a principal that count in a project.
    pub fn tenant_roles_in_project(&self, principal: &str, project: &str) -> Result<Vec<Role>> {
        let sql = "select name, policy from tenant_role_members join tenant_roles on name = role
                   join tenant_role_projects using (role) where principal = ?1 and project = ?2 order by name";
        roles(&self.lock(), sql, [principal, project])
    }

    /// All quotas, those of the service first.
    pub fn quotas(&self) -> Result<Vec<Quota>> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(&format!("{SELECT_QUOTA} order by created_ms, name"))?;
        let rows = statement.query_map([], read_quota)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The quota of that name.
    pub fn quota(&self, name: &str) -> Result<Option<Quota>> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(&format!("{SELECT_QUOTA} where name = ?1"))?;
        Ok(statement.query_row([name], read_quota).optional()?)
    }

    /// Creates a quota. False if the name is taken.
    pub fn create_quota(&self, quota: &Quota) -> Result<bool> {
        let sql = "insert or ignore into quotas(name, kind, slots, rate, enabled, created_ms)
                   values (?1, ?2, ?3, ?4, ?5, ?6)";
        let (name, kind) = (&quota.name, quota.kind.name());
        let rate = quota.rate.map(|rate| rate as i64);
        change(&self.lock(), sql, params![name, kind, quota.slots, rate, quota.enabled, now_ms()])
    }

    /// Changes slots, rate and state of a quota. False if there is none of that name.
    pub fn alter_quota(&self, quota: &Quota) -> Result<bool> {
        let sql = "update quotas set slots = ?2, rate = ?3, enabled = ?4 where name = ?1";
        let rate = quota.rate.map(|rate| rate as i64);
        change(&self.lock(), sql, params![quota.name, quota.slots, rate, quota.enabled])
    }

    /// Drops an exclusive quota. False if there is none of that name.
    pub fn drop_quota(&self, name: &str) -> Result<bool> {
        change(&self.lock(), "delete from quotas where name = ?1 and kind = 'exclusive'", [name])
    }
}

const SELECT_QUOTA: &str = "select name, kind, slots, rate, enabled from quotas";

fn read_quota(row: &Row<'_>) -> rusqlite::Result<Quota> {
    Ok(Quota {
        name: row.get(0)?,
        kind: QuotaKind::of(&row.get::<_, String>(1)?),
        slots: row.get(2)?,
        rate: row.get::<_, Option<i64>>(3)?.map(|rate| rate.max(0) as u64),
        enabled: row.get(4)?,
    })
}
