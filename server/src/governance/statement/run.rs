//! Who may run a statement, and where it is run.

use super::kinds::Statement;
use super::{By, Output, missing, project, tenant};
use crate::catalog::Catalog;
use crate::error::ApiError;
use crate::governance::principal::Principal;
use crate::governance::rights::{Rights, is_tenant_admin, no_permission};

/// What a statement is about, and so who may run it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Demand {
    /// Administrators of the tenant.
    Tenant,
    /// Administrators of the project.
    Project,
    /// Those of them who manage its security.
    Security,
    /// Members of the project.
    Member,
}

fn demand(statement: &Statement, me: &Principal) -> Demand {
    use Statement as S;
    match statement {
        S::ShowTenantUser(user) if user == me => Demand::Member,
        S::AddTenantUser(_)
        | S::RemoveTenantUser(_)
        | S::ListTenantUsers
        | S::CreateTenantRole { .. }
        | S::DropTenantRole(_)
        | S::ListTenantRoles
        | S::GrantTenantRole { .. }
        | S::RevokeTenantRole { .. }
        | S::AddTenantRoleToProject { .. }
        | S::RemoveTenantRoleFromProject { .. }
        | S::ShowTenantUser(_)
        | S::ShowTenantRole(_)
        | S::ShowTenantPrincipals(_)
        | S::PutPolicy { tenant: true, .. }
        | S::GetPolicy { tenant: true, .. }
        | S::SetTenantProperty { .. }
        | S::CreateQuota { .. }
        | S::AlterQuota { .. }
        | S::DropQuota(_)
        | S::CreateKey { .. }
        | S::DropKey(_)
        | S::CreateToken { .. }
        | S::DropToken(_) => Demand::Tenant,
        S::SetSecurity { .. }
        | S::AddTrustedProject(_)
        | S::RemoveTrustedProject(_)
        | S::SetProject { .. }
        | S::SetUserLabel { .. }
        | S::SetDataLabel { .. } => Demand::Security,
        S::ListUsers
        | S::ListRoles
        | S::ShowGrants(None)
        | S::WhoAmI
        | S::ListQuotas
        | S::ShowProject
        | S::Missing(_) => Demand::Member,
        _ => Demand::Project,
    }
}

/// Runs one statement; `project` is empty where only the tenant is concerned.
pub fn run(catalog: &Catalog, by: By<'_>, project: &str, statement: Statement) -> Result<Output, ApiError> {
    let me = by.principal();
    if let By::Caller(caller) = by {
        let rights = Rights::load(catalog, caller, project)?;
        if caller.policy.is_some() {
            return Err(no_permission(4019, "a bearer token with a policy runs no statements on governance"));
        }
        let (given, what) = match demand(&statement, &me) {
            Demand::Tenant => (is_tenant_admin(catalog, &me)?, "an administrator of the tenant"),
            Demand::Project => (
                rights.is_admin() || may_grant(catalog, &rights, &me, project, &statement)?,
                "an administrator of the project",
            ),
            Demand::Security => (rights.is_super_admin(), "a super administrator of the project"),
            // Without a project only statements on the tenant get through, see below.
            Demand::Member => (project.is_empty() || rights.in_project()?, "a member of the project"),
        };
        if !given {
            return Err(no_permission(4019, format!("{me} is not {what}, which this statement demands")));
        }
    }
    match statement {
        Statement::Missing(what) => Err(ApiError::not_implemented(format!("this server does not implement {what}"))),
        statement => match tenant::run(catalog, &me, statement) {
            Ok(done) => done,
            Err(_) if project.is_empty() => {
                let message = "ODPS-0420061:Invalid parameter - this statement is about a project: send it to one";
                Err(ApiError::new(400, "InvalidParameter", message))
            }
            Err(_) if catalog.project(project)?.is_none() => Err(missing("project", project)),
            Err(statement) => project::run(catalog, &me, project, statement),
        },
    }
}

/// Whether the creator of a table gives or takes rights on it.
fn may_grant(
    catalog: &Catalog,
    rights: &Rights<'_>,
    me: &Principal,
    project: &str,
    statement: &Statement,
) -> Result<bool, ApiError> {
    let (Statement::Grant(grant) | Statement::Revoke(grant)) = statement else { return Ok(false) };
    if grant.kind != crate::governance::actions::ObjectKind::Table || grant.policy.is_some() {
        return Ok(false);
    }
    let table = project::find_table(catalog, project, &grant.object)?;
    let creator = catalog.creator(table.id)?;
    let mine = creator.is_some_and(|name| name.eq_ignore_ascii_case(me.as_str()));
    Ok(mine && rights.in_project()? && rights.switch("ObjectCreatorHasGrantPermission", true)?)
}
