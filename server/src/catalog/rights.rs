//! Rights inside projects: properties, members, roles, privileges, labels, creators.

use std::collections::BTreeMap;

use anyhow::Result;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use super::tenant::{Role, change, roles, texts};
use super::{Catalog, TableName};
use crate::clock::now_ms;

/// Who a privilege or a label belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Grantee {
    User(String),
    Role(String),
}

impl Grantee {
    /// Its kind in the catalogue, and its name.
    pub fn parts(&self) -> (&'static str, &str) {
        match self {
            Grantee::User(name) => ("user", name),
            Grantee::Role(name) => ("role", name),
        }
    }
}

/// What a privilege is about. Tables are told by id: a table that is dropped takes its privileges with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Object {
    Project,
    Schema(String),
    Table(i64),
}

impl Object {
    fn parts(&self) -> (&'static str, String) {
        match self {
            Object::Project => ("project", String::new()),
            Object::Schema(name) => ("schema", name.to_lowercase()),
            Object::Table(id) => ("table", id.to_string()),
        }
    }
}

/// A privilege on an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Privilege {
    pub grantee: Grantee,
    pub object: Object,
    /// `None` is the object as a whole.
    pub column: Option<String>,
    /// Spelled as on the service: `Select`.
    pub action: String,
    pub expires_ms: Option<i64>,
}

pub(super) const SCHEMA: &str = "
create table project_properties(
  project text not null collate nocase, name text not null collate nocase, value text not null,
  primary key(project, name)) strict;
create table project_users(
  project text not null collate nocase, principal text not null collate nocase, created_ms integer not null,
  primary key(project, principal)) strict;
create table project_roles(
  project text not null collate nocase, name text not null collate nocase, policy text not null,
  created_ms integer not null, primary key(project, name)) strict;
create table project_role_members(
  project text not null collate nocase, role text not null collate nocase, principal text not null collate nocase,
  primary key(project, role, principal)) strict;
create table privileges(
  project text not null collate nocase, grantee_kind text not null, grantee text not null collate nocase,
  object_kind text not null, object text not null, column_name text not null collate nocase, action text not null,
  expires_ms integer, primary key(project, object_kind, object, grantee_kind, grantee, column_name, action)) strict;
create table trusted_projects(
  project text not null collate nocase, trusted text not null collate nocase, primary key(project, trusted)) strict;
create table user_labels(
  project text not null collate nocase, grantee_kind text not null, grantee text not null collate nocase,
  level integer not null, primary key(project, grantee_kind, grantee)) strict;
create table data_labels(
  table_id integer not null, column_name text not null collate nocase, level integer not null,
  primary key(table_id, column_name)) strict;
create table creators(table_id integer primary key, principal text not null collate nocase) strict;
";

impl Catalog {
    /// The value of a property of a project.
    pub fn project_property(&self, project: &str, name: &str) -> Result<Option<String>> {
        let connection = self.lock();
        let mut statement =
            connection.prepare_cached("select value from project_properties where project = ?1 and name = ?2")?;
        Ok(statement.query_row([project, name], |row| row.get(0)).optional()?)
    }

    /// All properties that were set on a project.
    pub fn project_properties(&self, project: &str) -> Result<BTreeMap<String, String>> {
        let connection = self.lock();
        let mut statement =
            connection.prepare_cached("select name, value from project_properties where project = ?1")?;
        let rows = statement.query_map([project], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Sets a property of a project, or forgets it.
    pub fn set_project_property(&self, project: &str, name: &str, value: Option<&str>) -> Result<()> {
        let connection = self.lock();
        match value {
            Some(value) => change(
                &connection,
                "insert or replace into project_properties(project, name, value) values (?1, ?2, ?3)",
                [project, name, value],
            )?,
            None => {
                change(&connection, "delete from project_properties where project = ?1 and name = ?2", [project, name])?
            }
        };
        Ok(())
    }

    /// Adds a member. False if it is one already.
    pub fn add_project_user(&self, project: &str, principal: &str) -> Result<bool> {
        let sql = "insert or ignore into project_users(project, principal, created_ms) values (?1, ?2, ?3)";
        change(&self.lock(), sql, params![project, principal, now_ms()])
    }

    /// Removes a member with its roles, privileges, label and the bearer tokens that it made here. False if there is no
    /// such member.
    pub fn remove_project_user(&self, project: &str, principal: &str) -> Result<bool> {
        let mut connection = self.lock();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for sql in [
            "delete from project_role_members where project = ?1 and principal = ?2",
            "delete from privileges where project = ?1 and grantee_kind = 'user' and grantee = ?2",
            "delete from user_labels where project = ?1 and grantee_kind = 'user' and grantee = ?2",
            "delete from credentials where made_in = ?1 and principal = ?2",
        ] {
            change(&transaction, sql, [project, principal])?;
        }
        let found = change(
            &transaction,
            "delete from project_users where project = ?1 and principal = ?2",
            [project, principal],
        )?;
        transaction.commit()?;
        Ok(found)
    }

    /// All members.
    pub fn project_users(&self, project: &str) -> Result<Vec<String>> {
        texts(&self.lock(), "select principal from project_users where project = ?1 order by principal", [project])
    }

    /// Creates a role. False if it exists.
    pub fn create_project_role(&self, project: &str, name: &str) -> Result<bool> {
        let sql = "insert or ignore into project_roles(project, name, policy, created_ms) values (?1, ?2, '', ?3)";
        change(&self.lock(), sql, params![project, name, now_ms()])
    }

    /// Replaces the policy of a role. False if there is no such role.
    pub fn set_project_role_policy(&self, project: &str, name: &str, policy: &str) -> Result<bool> {
        let sql = "update project_roles set policy = ?3 where project = ?1 and name = ?2";
        change(&self.lock(), sql, [project, name, policy])
    }

    /// Drops a role with its privileges and takes it from everybody. False if there is no such role.
    pub fn drop_project_role(&self, project: &str, name: &str) -> Result<bool> {
        let mut connection = self.lock();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for sql in [
            "delete from project_role_members where project = ?1 and role = ?2",
            "delete from privileges where project = ?1 and grantee_kind = 'role' and grantee = ?2",
            "delete from user_labels where project = ?1 and grantee_kind = 'role' and grantee = ?2",
        ] {
            change(&transaction, sql, [project, name])?;
        }
        let found =
            change(&transaction, "delete from project_roles where project = ?1 and name = ?2", [project, name])?;
        transaction.commit()?;
        Ok(found)
    }

    /// All roles that were created.
    pub fn project_roles(&self, project: &str) -> Result<Vec<Role>> {
        roles(&self.lock(), "select name, policy from project_roles where project = ?1 order by name", [project])
    }

    /// Gives a role to a member. False if it has it.
    pub fn grant_project_role(&self, project: &str, role: &str, principal: &str) -> Result<bool> {
        let sql = "insert or ignore into project_role_members(project, role, principal) values (?1, ?2, ?3)";
        change(&self.lock(), sql, [project, role, principal])
    }

    /// Takes a role from a member. False if it does not have it.
    pub fn revoke_project_role(&self, project: &str, role: &str, principal: &str) -> Result<bool> {
        let sql = "delete from project_role_members where project = ?1 and role = ?2 and principal = ?3";
        change(&self.lock(), sql, [project, role, principal])
    }

    /// Who has a role.
    pub fn project_role_members(&self, project: &str, role: &str) -> Result<Vec<String>> {
        let sql = "select principal from project_role_members where project = ?1 and role = ?2 order by principal";
        texts(&self.lock(), sql, [project, role])
    }

    /// The roles of a principal; a role that is built in has an empty policy.
    pub fn project_roles_of(&self, project: &str, principal: &str) -> Result<Vec<Role>> {
        let sql = "select m.role, coalesce(r.policy, '') from project_role_members m
                   left join project_roles r on r.project = m.project and r.name = m.role
                   where m.project = ?1 and m.principal = ?2 order by m.role";
        roles(&self.lock(), sql, [project, principal])
    }

    /// Gives privileges, all or none; one that is there gets the new expiry.
    pub fn grant_privileges(&self, project: &str, privileges: &[Privilege]) -> Result<()> {
        let mut connection = self.lock();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for privilege in privileges {
            let ((grantee_kind, grantee), (object_kind, object)) =
                (privilege.grantee.parts(), privilege.object.parts());
            let column = privilege.column.as_deref().unwrap_or_default();
            change(
                &transaction,
                "insert or replace into privileges(project, grantee_kind, grantee, object_kind, object, column_name,
                 action, expires_ms) values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                params![
                    project,
                    grantee_kind,
                    grantee,
                    object_kind,
                    object,
                    column,
                    privilege.action,
                    privilege.expires_ms
                ],
            )?;
        }
        Ok(transaction.commit()?)
    }

    /// Takes privileges, whatever their expiry. Returns how many there were.
    pub fn revoke_privileges(&self, project: &str, privileges: &[Privilege]) -> Result<usize> {
        let mut connection = self.lock();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut found = 0;
        for privilege in privileges {
            let ((grantee_kind, grantee), (object_kind, object)) =
                (privilege.grantee.parts(), privilege.object.parts());
            let column = privilege.column.as_deref().unwrap_or_default();
            found += usize::from(change(
                &transaction,
                "delete from privileges where project = ?1 and grantee_kind = ?2 and grantee = ?3 and object_kind = ?4
                 and object = ?5 and column_name = ?6 and action = ?7",
                [project, grantee_kind, grantee, object_kind, &object, column, &privilege.action],
            )?);
        }
        transaction.commit()?;
        Ok(found)
    }

    /// The privileges on an object that have not expired.
    pub fn privileges_on(&self, project: &str, object: &Object) -> Result<Vec<Privilege>> {
        let (kind, name) = object.parts();
        self.privileges(
            "project = ?1 and object_kind = ?2 and object = ?3",
            [project.to_string(), kind.to_string(), name],
        )
    }

    /// The privileges of a user or role that have not expired.
    pub fn privileges_of(&self, project: &str, grantee: &Grantee) -> Result<Vec<Privilege>> {
        let (kind, name) = grantee.parts();
        self.privileges(
            "project = ?1 and grantee_kind = ?2 and grantee = ?3",
            [project.to_string(), kind.to_string(), name.to_string()],
        )
    }

    fn privileges(&self, condition: &str, parameters: [String; 3]) -> Result<Vec<Privilege>> {
        let [a, b, c] = parameters;
        let connection = self.lock();
        let mut statement = connection.prepare_cached(&format!(
            "select grantee_kind, grantee, object_kind, object, column_name, action, expires_ms from privileges
             where {condition} and coalesce(expires_ms > ?4, 1) order by object_kind, object, grantee, column_name, action"
        ))?;
        let rows = statement.query_map(params![a, b, c, now_ms()], |row| {
            let (grantee_kind, grantee): (String, String) = (row.get(0)?, row.get(1)?);
            let (object_kind, object): (String, String) = (row.get(2)?, row.get(3)?);
            let column: String = row.get(4)?;
            Ok(Privilege {
                grantee: if grantee_kind == "role" { Grantee::Role(grantee) } else { Grantee::User(grantee) },
                object: match object_kind.as_str() {
                    "project" => Object::Project,
                    "schema" => Object::Schema(object),
                    _ => Object::Table(object.parse().unwrap_or(-1)),
                },
                column: (!column.is_empty()).then_some(column),
                action: row.get(5)?,
                expires_ms: row.get(6)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Lets data of `project` flow into `trusted`. False if it may already.
    pub fn add_trusted_project(&self, project: &str, trusted: &str) -> Result<bool> {
        let sql = "insert or ignore into trusted_projects(project, trusted) values (?1, ?2)";
        change(&self.lock(), sql, [project, trusted])
    }

    /// The opposite. False if it might not.
    pub fn remove_trusted_project(&self, project: &str, trusted: &str) -> Result<bool> {
        change(&self.lock(), "delete from trusted_projects where project = ?1 and trusted = ?2", [project, trusted])
    }

    /// Projects that data of `project` may flow into.
    pub fn trusted_projects(&self, project: &str) -> Result<Vec<String>> {
        texts(&self.lock(), "select trusted from trusted_projects where project = ?1 order by trusted", [project])
    }

    /// Sets the level of a user or role: what it may read.
    pub fn set_user_label(&self, project: &str, grantee: &Grantee, level: u8) -> Result<()> {
        let (kind, name) = grantee.parts();
        let sql = "insert or replace into user_labels(project, grantee_kind, grantee, level) values (?1, ?2, ?3, ?4)";
        change(&self.lock(), sql, params![project, kind, name, level])?;
        Ok(())
    }

    /// The level of a user or role; 0 if none was set.
    pub fn user_label(&self, project: &str, grantee: &Grantee) -> Result<u8> {
        let (kind, name) = grantee.parts();
        let connection = self.lock();
        let mut statement = connection.prepare_cached(
            "select level from user_labels where project = ?1 and grantee_kind = ?2 and grantee = ?3",
        )?;
        Ok(statement.query_row([project, kind, name], |row| row.get(0)).optional()?.unwrap_or(0))
    }

    /// Sets the sensitivity of a table (no columns) or of columns.
    pub fn set_data_label(&self, table_id: i64, columns: &[String], level: u8) -> Result<()> {
        let connection = self.lock();
        let sql = "insert or replace into data_labels(table_id, column_name, level) values (?1, ?2, ?3)";
        if columns.is_empty() {
            change(&connection, sql, params![table_id, "", level])?;
        }
        for column in columns {
            change(&connection, sql, params![table_id, column, level])?;
        }
        Ok(())
    }

    /// The sensitivities that were set, by lower-case column name; the empty name is the table.
    pub fn data_labels(&self, table_id: i64) -> Result<BTreeMap<String, u8>> {
        let connection = self.lock();
        let mut statement =
            connection.prepare_cached("select lower(column_name), level from data_labels where table_id = ?1")?;
        let rows = statement.query_map([table_id], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The name of a table that still exists.
    pub fn table_name(&self, table_id: i64) -> Result<Option<TableName>> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached("select project, schema, name from tables where id = ?1")?;
        let row = statement.query_row([table_id], |row| {
            Ok(TableName { project: row.get(0)?, schema: row.get(1)?, table: row.get(2)? })
        });
        Ok(row.optional()?)
    }

    /// Who created a table, if it was not the owner of the project.
    pub fn creator(&self, table_id: i64) -> Result<Option<String>> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached("select principal from creators where table_id = ?1")?;
        Ok(statement.query_row([table_id], |row| row.get(0)).optional()?)
    }
}

/// Remembers who created a table.
pub(super) fn note_creator(connection: &Connection, table_id: i64, principal: &str) -> Result<()> {
    let sql = "insert or replace into creators(table_id, principal) values (?1, ?2)";
    change(connection, sql, params![table_id, principal])?;
    Ok(())
}
