//! Who may run a statement, and where it is run.

use super::kinds::{Grant, Statement};
use super::{By, Output, missing, project, tenant};
use crate::catalog::{Catalog, Grantee};
use crate::error::ApiError;
use crate::governance::actions::ObjectKind;
use crate::governance::policy::Policy;
use crate::governance::principal::Principal;
use crate::governance::rights::{
    ADMIN, Rights, SUPER_ADMINISTRATOR, is_tenant_admin, is_tenant_super_admin, no_permission,
};

/// What a statement is about, and so who may run it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Demand {
    /// Administrators of the tenant.
    Tenant,
    /// Those of them who decide about rights and keys: whoever does that has any right.
    TenantSecurity,
    /// Administrators of the project.
    Project,
    /// Those of them who manage its security.
    Security,
    /// Members of the project.
    Member,
}

fn demand(catalog: &Catalog, statement: &Statement, me: &Principal) -> Result<Demand, ApiError> {
    use Statement as S;
    Ok(match statement {
        S::ShowTenantUser(user) if user == me => Demand::Member,
        S::RemoveTenantUser(user) if is_tenant_super_admin(catalog, user)? => Demand::TenantSecurity,
        S::CreateTenantRole { .. }
        | S::DropTenantRole(_)
        | S::GrantTenantRole { .. }
        | S::RevokeTenantRole { .. }
        | S::AddTenantRoleToProject { .. }
        | S::RemoveTenantRoleFromProject { .. }
        | S::PutPolicy { tenant: true, .. }
        | S::CreateKey { .. }
        | S::DropKey(_)
        | S::CreateToken { .. }
        | S::DropToken(_) => Demand::TenantSecurity,
        S::AddTenantUser(_)
        | S::RemoveTenantUser(_)
        | S::ListTenantUsers
        | S::ListTenantRoles
        | S::ShowTenantUser(_)
        | S::ShowTenantRole(_)
        | S::ShowTenantPrincipals(_)
        | S::GetPolicy { tenant: true, .. }
        | S::SetTenantProperty { .. }
        | S::CreateQuota { .. }
        | S::AlterQuota { .. }
        | S::DropQuota(_) => Demand::Tenant,
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
    })
}

/// Whether a statement gives or takes what an administrator of a project has not itself: the role super_administrator,
/// Download, a label above its own, and the denials of the roles that it is in.
fn reaches_further(
    catalog: &Catalog,
    rights: &Rights<'_>,
    me: &Principal,
    project: &str,
    statement: &Statement,
) -> Result<bool, ApiError> {
    use Statement as S;
    let is_super = |role: &str| role.eq_ignore_ascii_case(SUPER_ADMINISTRATOR);
    Ok(match statement {
        S::GrantRole { role, .. } if is_super(role) => true,
        S::GrantRole { role, .. } => {
            let label = catalog.user_label(project, &Grantee::Role(role.clone()))?;
            label > rights.level()? || gives_download(catalog, project, role)?
        }
        S::RevokeRole { role, from } => is_super(role) || (from == me && !role.eq_ignore_ascii_case(ADMIN)),
        S::RemoveUser(user) => {
            let roles = catalog.project_roles_of(project, user.as_str())?;
            roles.iter().any(|role| is_super(&role.name))
        }
        S::DropRole(role) => rights.has_role(role),
        S::PutPolicy { role, policy, .. } => {
            // What is no policy is told so.
            rights.has_role(role) || Policy::parse(policy).is_ok_and(|policy| policy.allows_somewhere("Download"))
        }
        S::Grant(grant) => {
            let to_own = matches!(&grant.grantee, Grantee::Role(role) if rights.has_role(role));
            (grant.policy.is_some() && to_own) || (grant.policy != Some(false) && with_download(grant))
        }
        S::Revoke(Grant { policy: Some(_), grantee: Grantee::Role(role), .. }) => rights.has_role(role),
        _ => false,
    })
}

fn with_download(grant: &Grant) -> bool {
    grant.actions.iter().any(|action| ["Download", "All"].contains(action)) && grant.kind == ObjectKind::Table
}

/// Whether a role of a project has Download on anything.
fn gives_download(catalog: &Catalog, project: &str, role: &str) -> Result<bool, ApiError> {
    let privileges = catalog.privileges_of(project, &Grantee::Role(role.to_string()))?;
    if privileges.iter().any(|privilege| ["Download", "All"].contains(&privilege.action.as_str())) {
        return Ok(true);
    }
    let found = catalog.project_roles(project)?.into_iter().find(|found| found.name.eq_ignore_ascii_case(role));
    let policy = found.and_then(|role| Policy::parse(&role.policy).ok());
    Ok(policy.is_some_and(|policy| policy.allows_somewhere("Download")))
}

/// Runs one statement; `project` is empty where only the tenant is concerned.
pub fn run(catalog: &Catalog, by: By<'_>, project: &str, statement: Statement) -> Result<Output, ApiError> {
    let me = by.principal();
    if let By::Caller(caller) = by {
        let rights = Rights::load(catalog, caller, project)?;
        if caller.policy.is_some() {
            return Err(no_permission(4019, "a bearer token with a policy runs no statements on governance"));
        }
        let wanted = match demand(catalog, &statement, &me)? {
            Demand::Project if reaches_further(catalog, &rights, &me, project, &statement)? => Demand::Security,
            wanted => wanted,
        };
        let (given, what) = match wanted {
            Demand::TenantSecurity => (is_tenant_super_admin(catalog, &me)?, "a super administrator of the tenant"),
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
    if grant.kind != ObjectKind::Table || grant.policy.is_some() {
        return Ok(false);
    }
    let table = project::find_table(catalog, project, &grant.object)?;
    let creator = catalog.creator(table.id)?;
    let mine = creator.is_some_and(|name| name.eq_ignore_ascii_case(me.as_str()));
    Ok(mine && rights.in_project()? && rights.switch("ObjectCreatorHasGrantPermission", true)?)
}
