//! What statements on the tenant do.

use serde_json::json;

use super::kinds::{QuotaChange, Statement};
use super::{Output, exists, invalid, missing, syntax};
use crate::catalog::{Catalog, Credential, PAY_AS_YOU_GO, Quota, QuotaKind, SHARED_QUOTA};
use crate::clock::now_ms;
use crate::error::ApiError;
use crate::governance::bearer_id;
use crate::governance::policy::Policy;
use crate::governance::principal::Principal;
use crate::governance::rights::{ADMIN, SUPER_ADMINISTRATOR};
use crate::governance::settings::TENANT_PROPERTIES;

/// Runs a statement on the tenant; gives back any other.
pub fn run(catalog: &Catalog, me: &Principal, statement: Statement) -> Result<Result<Output, ApiError>, Statement> {
    use Statement as S;
    Ok(match statement {
        S::AddTenantUser(user) => done(catalog.add_tenant_user(user.as_str()), || exists("tenant user", user.as_str())),
        S::RemoveTenantUser(user) => {
            done(catalog.remove_tenant_user(user.as_str()), || missing("tenant user", user.as_str()))
        }
        S::ListTenantUsers => list("Users", catalog.tenant_users()),
        S::CreateTenantRole { name, policy } => create_role(catalog, &name, &policy),
        S::DropTenantRole(name) => done(catalog.drop_tenant_role(&name), || missing("tenant role", &name)),
        S::ListTenantRoles => list_roles(catalog),
        S::GrantTenantRole { role, to } => grant_role(catalog, &role, &to),
        S::RevokeTenantRole { role, from } => done(catalog.revoke_tenant_role(&role, from.as_str()), || {
            missing("grant of tenant role", &format!("{role} to {from}"))
        }),
        S::AddTenantRoleToProject { role, project } => role_to_project(catalog, &role, &project),
        S::RemoveTenantRoleFromProject { role, project } => {
            done(catalog.remove_tenant_role_from_project(&role, &project), || {
                missing("tenant role", &format!("{role} in project {project}"))
            })
        }
        S::ShowTenantUser(user) => show_user(catalog, &user),
        S::ShowTenantRole(role) => show_role(catalog, &role),
        S::ShowTenantPrincipals(role) => {
            known_role(catalog, &role).and_then(|_| list("Users", catalog.tenant_role_members(&role)))
        }
        S::PutPolicy { role, tenant: true, policy } => put_policy(catalog, &role, &policy),
        S::GetPolicy { role, tenant: true } => known_role(catalog, &role).map(|policy| policy_output(&policy)),
        S::SetTenantProperty { name, value } => set_property(catalog, &name, &value),
        S::CreateQuota { name, change } => create_quota(catalog, name, &change),
        S::AlterQuota { name, change } => alter_quota(catalog, &name, &change),
        S::DropQuota(name) if is_built_in(&name) => Err(invalid(format!("the quota {name} cannot be dropped"))),
        S::DropQuota(name) => done(catalog.drop_quota(&name), || missing("quota", &name)),
        S::ListQuotas => list_quotas(catalog),
        S::CreateKey { id, secret, token, expires_s, user } => {
            put_credential(catalog, id, secret, token, expires_s, &user)
        }
        S::DropKey(id) => done(catalog.drop_credential(&id), || missing("access key", &id)),
        S::CreateToken { token, expires_s, user } => {
            put_credential(catalog, bearer_id(&token), String::new(), None, expires_s, &user)
        }
        S::DropToken(token) => {
            done(catalog.drop_credential(&bearer_id(&token)), || missing("bearer token", "like this"))
        }
        S::WhoAmI => Ok(Output {
            text: format!("Name: {me}\nTenant: local"),
            json: json!({"DisplayName": me.as_str(), "ID": me.as_str(), "Name": me.as_str(), "Tenant": "local"}),
        }),
        other => return Err(other),
    })
}

/// OK, or the error for what did not change anything.
pub fn done(changed: anyhow::Result<bool>, otherwise: impl FnOnce() -> ApiError) -> Result<Output, ApiError> {
    if changed? { Ok(Output::done()) } else { Err(otherwise()) }
}

/// A list of names.
pub fn list(key: &str, names: anyhow::Result<Vec<String>>) -> Result<Output, ApiError> {
    Ok(Output::list(key, names?))
}

/// The policy of a role; `null` in JSON if it has none.
pub fn policy_output(policy: &str) -> Output {
    Output { text: policy.to_string(), json: serde_json::from_str(policy).unwrap_or_default() }
}

fn is_built_in_role(name: &str) -> bool {
    [SUPER_ADMINISTRATOR, ADMIN].iter().any(|role| role.eq_ignore_ascii_case(name))
}

/// The policy of a role that exists.
fn known_role(catalog: &Catalog, name: &str) -> Result<String, ApiError> {
    if is_built_in_role(name) {
        return Ok(String::new());
    }
    let found = catalog.tenant_roles()?.into_iter().find(|role| role.name.eq_ignore_ascii_case(name));
    found.map(|role| role.policy).ok_or_else(|| missing("tenant role", name))
}

fn create_role(catalog: &Catalog, name: &str, policy: &str) -> Result<Output, ApiError> {
    if is_built_in_role(name) {
        return Err(exists("tenant role", name));
    }
    if !policy.is_empty() {
        Policy::parse(policy).map_err(invalid)?;
    }
    done(catalog.create_tenant_role(name, policy), || exists("tenant role", name))
}

fn list_roles(catalog: &Catalog) -> Result<Output, ApiError> {
    let mut names = vec![SUPER_ADMINISTRATOR.to_string(), ADMIN.to_string()];
    names.extend(catalog.tenant_roles()?.into_iter().map(|role| role.name));
    Ok(Output::list("Roles", names))
}

fn grant_role(catalog: &Catalog, role: &str, to: &Principal) -> Result<Output, ApiError> {
    known_role(catalog, role)?;
    // The owner belongs to its tenant without being added.
    let member = |name: &String| name.eq_ignore_ascii_case(to.as_str());
    if *to != Principal::owner() && !catalog.tenant_users()?.iter().any(member) {
        return Err(missing("tenant user", to.as_str()));
    }
    catalog.grant_tenant_role(role, to.as_str())?;
    Ok(Output::done())
}

fn role_to_project(catalog: &Catalog, role: &str, project: &str) -> Result<Output, ApiError> {
    known_role(catalog, role)?;
    if catalog.project(project)?.is_none() {
        return Err(missing("project", project));
    }
    catalog.add_tenant_role_to_project(role, project)?;
    Ok(Output::done())
}

fn put_policy(catalog: &Catalog, role: &str, policy: &str) -> Result<Output, ApiError> {
    Policy::parse(policy).map_err(invalid)?;
    done(catalog.set_tenant_role_policy(role, policy), || missing("tenant role", role))
}

/// The statements of a policy as lines: `A quotas/x: List | Usage`.
pub fn policy_lines(policy: &str) -> Vec<String> {
    let Ok(policy) = Policy::parse(policy) else { return Vec::new() };
    policy.lines()
}

fn show_role(catalog: &Catalog, role: &str) -> Result<Output, ApiError> {
    let policy = known_role(catalog, role)?;
    let mut lines = vec!["Authorization Type: Policy".to_string(), format!("[role/{role}]")];
    lines.extend(policy_lines(&policy));
    Ok(Output { text: lines.join("\n"), json: json!({"Role": role, "Policy": policy_output(&policy).json}) })
}

fn show_user(catalog: &Catalog, user: &Principal) -> Result<Output, ApiError> {
    let roles = catalog.tenant_roles_of(user.as_str())?;
    let names: Vec<&str> = roles.iter().map(|role| role.name.as_str()).collect();
    let mut lines = vec!["[roles]".to_string(), names.join(", "), "Authorization Type: Policy".to_string()];
    for role in &roles {
        lines.push(format!("[role/{}]", role.name));
        lines.extend(policy_lines(&role.policy));
    }
    let policies: serde_json::Map<String, serde_json::Value> =
        roles.iter().map(|role| (role.name.clone(), policy_output(&role.policy).json)).collect();
    Ok(Output { text: lines.join("\n"), json: json!({"User": user.as_str(), "Roles": names, "Policies": policies}) })
}

fn set_property(catalog: &Catalog, name: &str, value: &str) -> Result<Output, ApiError> {
    if !TENANT_PROPERTIES.contains(&name) {
        return Err(invalid(format!(
            "{name} is not a property of a tenant: there are {}",
            TENANT_PROPERTIES.join(", ")
        )));
    }
    let value = value.to_lowercase();
    if value != "true" && value != "false" {
        return Err(invalid(format!("{name} is true or false, not {value}")));
    }
    catalog.set_tenant_property(name, &value)?;
    Ok(Output::done())
}

fn is_built_in(quota: &str) -> bool {
    [PAY_AS_YOU_GO, SHARED_QUOTA].iter().any(|name| name.eq_ignore_ascii_case(quota))
}

fn changed(mut quota: Quota, change: &QuotaChange) -> Quota {
    quota.slots = change.slots.unwrap_or(quota.slots);
    quota.rate = change.rate.unwrap_or(quota.rate);
    quota.enabled = change.enabled.unwrap_or(quota.enabled);
    quota
}

fn create_quota(catalog: &Catalog, name: String, change: &QuotaChange) -> Result<Output, ApiError> {
    if change.slots.is_none() {
        return Err(syntax("CREATE QUOTA needs SLOTS: how many requests at once were bought"));
    }
    let quota = Quota { name, kind: QuotaKind::Exclusive, slots: None, rate: None, enabled: true };
    let quota = changed(quota, change);
    done(catalog.create_quota(&quota), || exists("quota", &quota.name))
}

fn alter_quota(catalog: &Catalog, name: &str, change: &QuotaChange) -> Result<Output, ApiError> {
    let quota = catalog.quota(name)?.ok_or_else(|| missing("quota", name))?;
    let quota = changed(quota, change);
    done(catalog.alter_quota(&quota), || missing("quota", name))
}

fn list_quotas(catalog: &Catalog) -> Result<Output, ApiError> {
    let quotas = catalog.quotas()?;
    let number = |n: Option<u64>| n.map_or("unlimited".to_string(), |n| n.to_string());
    let line = |quota: &Quota| {
        let (slots, rate) = (number(quota.slots.map(u64::from)), number(quota.rate));
        let state = if quota.enabled { "on" } else { "off" };
        format!("{} {} slots={slots} rate={rate} {state}", quota.name, quota.kind.name())
    };
    let json = |quota: &Quota| {
        json!({"Name": quota.name, "Kind": quota.kind.name(), "Slots": quota.slots, "Rate": quota.rate,
               "Enabled": quota.enabled})
    };
    Ok(Output {
        text: quotas.iter().map(line).collect::<Vec<_>>().join("\n"),
        json: json!({"Quotas": quotas.iter().map(json).collect::<Vec<_>>()}),
    })
}

fn put_credential(
    catalog: &Catalog,
    id: String,
    secret: String,
    token: Option<String>,
    expires_s: Option<u32>,
    user: &Principal,
) -> Result<Output, ApiError> {
    let expires_ms = expires_s.map(|seconds| now_ms() + i64::from(seconds) * 1000);
    let principal = user.as_str().to_string();
    catalog.put_credential(&Credential { id, principal, secret, token, expires_ms, policy: None, origin: None })?;
    Ok(Output::done())
}
