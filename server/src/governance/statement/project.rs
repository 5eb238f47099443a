//! What statements on a project do.

use std::collections::BTreeMap;

use serde_json::json;

use super::kinds::{Grant, SWITCHES, Statement};
use super::parse::table_name;
use super::tenant::{done, list, policy_lines, policy_output};
use super::{Output, exists, invalid, missing};
use crate::catalog::{Catalog, Grantee, Object, Privilege, Role, Table};
use crate::clock::now_ms;
use crate::error::ApiError;
use crate::governance::actions::ObjectKind;
use crate::governance::policy::{Effect, Policy, Statement as Rule};
use crate::governance::principal::Principal;
use crate::governance::rights::{ADMIN, PROTECTION_EXCEPTION, SUPER_ADMINISTRATOR};
use crate::governance::settings::{ENCRYPTION, ENCRYPTION_KEY};

/// Runs a statement on a project.
pub fn run(catalog: &Catalog, me: &Principal, project: &str, statement: Statement) -> Result<Output, ApiError> {
    use Statement as S;
    let no_user = |user: &Principal| missing("user", user.as_str());
    match statement {
        S::AddUser(user) => done(catalog.add_project_user(project, user.as_str()), || exists("user", user.as_str())),
        S::RemoveUser(user) => done(catalog.remove_project_user(project, user.as_str()), || no_user(&user)),
        S::ListUsers => list("Users", catalog.project_users(project)),
        S::CreateRole(name) if is_built_in(&name) => Err(exists("role", &name)),
        S::CreateRole(name) => done(catalog.create_project_role(project, &name), || exists("role", &name)),
        S::DropRole(name) => done(catalog.drop_project_role(project, &name), || missing("role", &name)),
        S::ListRoles => list_roles(catalog, project),
        S::DescribeRole(name) => describe_role(catalog, project, &name),
        S::GrantRole { role, to } => {
            known_role(catalog, project, &role)?;
            known_user(catalog, project, &to)?;
            catalog.grant_project_role(project, &role, to.as_str())?;
            Ok(Output::done())
        }
        S::RevokeRole { role, from } => done(catalog.revoke_project_role(project, &role, from.as_str()), || {
            missing("grant of role", &format!("{role} to {from}"))
        }),
        S::Grant(grant) => give(catalog, project, &grant),
        S::Revoke(grant) => take(catalog, project, &grant),
        S::ShowGrants(None) => show_user(catalog, project, me),
        S::ShowGrants(Some(Grantee::Role(role))) => describe_role(catalog, project, &role),
        S::ShowGrants(Some(Grantee::User(user))) => show_user(catalog, project, &user.parse().map_err(invalid)?),
        S::ShowPrincipals(role) => {
            known_role(catalog, project, &role)?;
            list("Users", catalog.project_role_members(project, &role))
        }
        S::ShowAcl { kind, name } => show_acl(catalog, project, kind, &name),
        S::PutPolicy { role, policy, .. } => {
            Policy::parse(&policy).map_err(invalid)?;
            done(catalog.set_project_role_policy(project, &role, &policy), || missing("role", &role))
        }
        S::GetPolicy { role, .. } => known_role(catalog, project, &role).map(|role| policy_output(&role.policy)),
        S::ShowSecurity => show_security(catalog, project),
        S::SetSecurity { name, value, exception } => set_security(catalog, project, name, value, exception.as_deref()),
        S::AddTrustedProject(name) => {
            done(catalog.add_trusted_project(project, &name), || exists("trusted project", &name))
        }
        S::RemoveTrustedProject(name) => {
            done(catalog.remove_trusted_project(project, &name), || missing("trusted project", &name))
        }
        S::ListTrustedProjects => list("TrustedProjects", catalog.trusted_projects(project)),
        S::SetProject { name, value } => set_project(catalog, project, &name, &value),
        S::ShowProject => show_project(catalog, project),
        S::SetUserLabel { level, grantee } => {
            match &grantee {
                Grantee::User(user) => known_user(catalog, project, &user.parse().map_err(invalid)?)?,
                Grantee::Role(role) => {
                    known_role(catalog, project, role)?;
                }
            }
            catalog.set_user_label(project, &grantee, level)?;
            Ok(Output::done())
        }
        S::SetDataLabel { level, table, columns } => set_data_label(catalog, project, level, &table, &columns),
        other => Err(anyhow::anyhow!("{other:?} is not a statement on a project").into()),
    }
}

fn is_built_in(role: &str) -> bool {
    [ADMIN, SUPER_ADMINISTRATOR].iter().any(|name| name.eq_ignore_ascii_case(role))
}

/// The table that a statement of a project names.
pub fn find_table(catalog: &Catalog, project: &str, text: &str) -> Result<Table, ApiError> {
    let name = table_name(project, text).map_err(invalid)?;
    if !name.project.eq_ignore_ascii_case(project) {
        return Err(invalid(format!("{name} is not in project {project}, in which the statement runs")));
    }
    catalog.table(&name)?.ok_or_else(|| missing("table", &name.to_string()))
}

fn known_role(catalog: &Catalog, project: &str, name: &str) -> Result<Role, ApiError> {
    if is_built_in(name) {
        return Ok(Role { name: name.to_string(), policy: String::new() });
    }
    let found = catalog.project_roles(project)?.into_iter().find(|role| role.name.eq_ignore_ascii_case(name));
    found.ok_or_else(|| missing("role", name))
}

/// The owner is a member of all its projects.
fn known_user(catalog: &Catalog, project: &str, user: &Principal) -> Result<(), ApiError> {
    let same = |name: &String| name.eq_ignore_ascii_case(user.as_str());
    if *user == Principal::owner() || catalog.project_users(project)?.iter().any(same) {
        return Ok(());
    }
    Err(missing("user", user.as_str()))
}

fn list_roles(catalog: &Catalog, project: &str) -> Result<Output, ApiError> {
    let mut names = vec!["admin".to_string(), "super_administrator".to_string()];
    names.extend(catalog.project_roles(project)?.into_iter().map(|role| role.name));
    Ok(Output::list("Roles", names))
}

/// The privileges that a GRANT or REVOKE names, one per action and column.
fn privileges(catalog: &Catalog, project: &str, grant: &Grant) -> Result<Vec<Privilege>, ApiError> {
    let object = match grant.kind {
        ObjectKind::Project if grant.object.eq_ignore_ascii_case(project) => Object::Project,
        ObjectKind::Project => return Err(missing("project", &grant.object)),
        ObjectKind::Schema => {
            let name = grant.object.rsplit('.').next().unwrap_or_default();
            let (name, _) = catalog.schema(project, name)?.ok_or_else(|| missing("schema", &grant.object))?;
            Object::Schema(name)
        }
        ObjectKind::Table => {
            let table = find_table(catalog, project, &grant.object)?;
            let known = |name: &String| table.columns.iter().any(|column| column.name.eq_ignore_ascii_case(name));
            if let Some(name) = grant.columns.iter().find(|name| !known(name)) {
                return Err(missing("column", name));
            }
            Object::Table(table.id)
        }
    };
    match &grant.grantee {
        Grantee::User(user) => known_user(catalog, project, &user.parse().map_err(invalid)?)?,
        Grantee::Role(role) => {
            known_role(catalog, project, role)?;
        }
    }
    let columns: Vec<Option<String>> = match grant.columns.as_slice() {
        [] => vec![None],
        columns => columns.iter().cloned().map(Some).collect(),
    };
    let expires_ms = grant.expires_days.map(|days| now_ms() + i64::from(days) * 86_400_000);
    let one = |action: &&'static str, column: &Option<String>| Privilege {
        grantee: grant.grantee.clone(),
        object: object.clone(),
        column: column.clone(),
        action: action.to_string(),
        expires_ms,
    };
    Ok(grant.actions.iter().flat_map(|action| columns.iter().map(move |column| one(action, column))).collect())
}

fn give(catalog: &Catalog, project: &str, grant: &Grant) -> Result<Output, ApiError> {
    if let Some(allow) = grant.policy {
        return change_policy(catalog, project, grant, allow, true);
    }
    catalog.grant_privileges(project, &privileges(catalog, project, grant)?)?;
    Ok(Output::done())
}

fn take(catalog: &Catalog, project: &str, grant: &Grant) -> Result<Output, ApiError> {
    if let Some(allow) = grant.policy {
        return change_policy(catalog, project, grant, allow, false);
    }
    let count = catalog.revoke_privileges(project, &privileges(catalog, project, grant)?)?;
    let what = format!("{} on {}", grant.actions.join(", "), grant.object);
    if count == 0 { Err(missing("grant of", &what)) } else { Ok(Output::done()) }
}

/// The rule that `privilegeproperties("policy"="true")` stands for.
fn rule(project: &str, grant: &Grant, allow: bool) -> Result<Rule, ApiError> {
    let path = match grant.kind {
        ObjectKind::Project => String::new(),
        ObjectKind::Schema => format!("/schemas/{}", grant.object),
        ObjectKind::Table if grant.object.contains('*') => format!("/tables/{}", grant.object),
        ObjectKind::Table => {
            let name = table_name(project, &grant.object).map_err(invalid)?;
            format!("/schemas/{}/tables/{}", name.schema, name.table)
        }
    };
    let actions = grant.actions.iter().map(|action| match *action {
        "All" => "odps:*".to_string(),
        action => format!("odps:{action}"),
    });
    Ok(Rule {
        effect: if allow { Effect::Allow } else { Effect::Deny },
        action: actions.collect(),
        resource: vec![format!("acs:odps:*:projects/{project}{path}")],
        principal: Vec::new(),
    })
}

fn change_policy(catalog: &Catalog, project: &str, grant: &Grant, allow: bool, add: bool) -> Result<Output, ApiError> {
    let Grantee::Role(role) = &grant.grantee else {
        return Err(invalid("only a role has a policy: grant to a role, and the role to the user"));
    };
    if grant.expires_days.is_some() || !grant.columns.is_empty() {
        return Err(invalid("a grant by policy is for whole tables and does not expire"));
    }
    let role = known_role(catalog, project, role)?;
    let mut policy = if role.policy.is_empty() {
        Policy { version: "1".into(), statement: Vec::new() }
    } else {
        Policy::parse(&role.policy).map_err(|why| anyhow::anyhow!("the policy of {} is damaged: {why}", role.name))?
    };
    let rule = rule(project, grant, allow)?;
    let before = policy.statement.len();
    policy.statement.retain(|other| *other != rule);
    if add {
        policy.statement.push(rule);
    } else if policy.statement.len() == before {
        return Err(missing("grant of", &format!("{} on {} by policy", grant.actions.join(", "), grant.object)));
    }
    let text = serde_json::to_string(&policy).map_err(anyhow::Error::from)?;
    done(catalog.set_project_role_policy(project, &role.name, &text), || missing("role", &role.name))
}

/// `A projects/p/tables/t: Describe | Select`, one line per object and column.
fn privilege_lines(catalog: &Catalog, project: &str, privileges: &[Privilege]) -> Result<Vec<String>, ApiError> {
    let mut objects: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for privilege in privileges {
        let name = match &privilege.object {
            Object::Project => format!("projects/{project}"),
            Object::Schema(name) => format!("projects/{project}/schemas/{name}"),
            Object::Table(id) => match catalog.table_name(*id)? {
                Some(name) => format!("projects/{project}/schemas/{}/tables/{}", name.schema, name.table),
                None => continue,
            },
        };
        let column = privilege.column.as_ref().map(|column| format!("/{column}")).unwrap_or_default();
        objects.entry(format!("{name}{column}")).or_default().push(&privilege.action);
    }
    Ok(objects.into_iter().map(|(name, actions)| format!("A\t{name}: {}", actions.join(" | "))).collect())
}

fn describe_role(catalog: &Catalog, project: &str, name: &str) -> Result<Output, ApiError> {
    let role = known_role(catalog, project, name)?;
    let users = catalog.project_role_members(project, name)?;
    let acl = catalog.privileges_of(project, &Grantee::Role(name.to_string()))?;
    let acl = privilege_lines(catalog, project, &acl)?;
    let policy = policy_lines(&role.policy);
    let text = [
        vec!["[users]".to_string(), users.join(", "), "Authorization Type: ACL".to_string(), format!("[role/{name}]")],
        acl.clone(),
        vec!["Authorization Type: Policy".to_string(), format!("[role/{name}]")],
        policy.clone(),
    ];
    Ok(Output {
        text: text.concat().join("\n"),
        json: json!({"Role": name, "Users": users, "ACL": acl, "Policy": policy}),
    })
}

fn show_user(catalog: &Catalog, project: &str, user: &Principal) -> Result<Output, ApiError> {
    known_user(catalog, project, user)?;
    let roles = catalog.project_roles_of(project, user.as_str())?;
    let names: Vec<&str> = roles.iter().map(|role| role.name.as_str()).collect();
    let mut text = vec!["[roles]".to_string(), names.join(", "), "Authorization Type: ACL".to_string()];
    let mut all = Vec::new();
    let roles_as_grantees = roles.iter().map(|role| Grantee::Role(role.name.clone()));
    for grantee in roles_as_grantees.chain([Grantee::User(user.as_str().to_string())]) {
        let lines = privilege_lines(catalog, project, &catalog.privileges_of(project, &grantee)?)?;
        let (kind, name) = grantee.parts();
        text.push(format!("[{kind}/{name}]"));
        text.extend(lines.clone());
        all.extend(lines);
    }
    text.push("Authorization Type: Policy".into());
    for role in &roles {
        text.push(format!("[role/{}]", role.name));
        text.extend(policy_lines(&role.policy));
    }
    Ok(Output { text: text.join("\n"), json: json!({"User": user.as_str(), "Roles": names, "ACL": all}) })
}

fn show_acl(catalog: &Catalog, project: &str, kind: ObjectKind, name: &str) -> Result<Output, ApiError> {
    let object = match kind {
        ObjectKind::Project => Object::Project,
        ObjectKind::Schema => Object::Schema(name.to_string()),
        ObjectKind::Table => Object::Table(find_table(catalog, project, name)?.id),
    };
    let mut grantees: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for privilege in catalog.privileges_on(project, &object)? {
        let (kind, grantee) = privilege.grantee.parts();
        let column = privilege.column.map(|column| format!("({column})")).unwrap_or_default();
        grantees.entry(format!("{kind}/{grantee}")).or_default().push(format!("{}{column}", privilege.action));
    }
    let text: Vec<String> =
        grantees.iter().map(|(grantee, actions)| format!("A\t{grantee}: {}", actions.join(" | "))).collect();
    Ok(Output { text: text.join("\n"), json: json!({ "ACL": grantees }) })
}

/// The security switches of a project and what they are set to.
pub fn switches(catalog: &Catalog, project: &str) -> anyhow::Result<Vec<(&'static str, bool)>> {
    let set = catalog.project_properties(project)?;
    let value = |(name, default): &(&'static str, bool)| {
        let found = set.iter().find(|(other, _)| other.eq_ignore_ascii_case(name));
        (*name, found.map_or(*default, |(_, value)| value == "true"))
    };
    Ok(SWITCHES.iter().map(value).collect())
}

fn show_security(catalog: &Catalog, project: &str) -> Result<Output, ApiError> {
    let switches = switches(catalog, project)?;
    let text: Vec<String> = switches.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let json: serde_json::Map<_, _> = switches.iter().map(|(name, value)| (name.to_string(), json!(value))).collect();
    Ok(Output { text: text.join("\n"), json: json.into() })
}

fn set_security(
    catalog: &Catalog,
    project: &str,
    name: &str,
    value: bool,
    exception: Option<&str>,
) -> Result<Output, ApiError> {
    if value && name.ends_with("V2") {
        return Err(ApiError::not_implemented(format!("this server does not implement {name}=true")));
    }
    if let Some(text) = exception {
        Policy::parse_exception(text).map_err(invalid)?;
    }
    if name == "ProjectProtection" {
        // Set anew without exception, the protection has none.
        catalog.set_project_property(project, PROTECTION_EXCEPTION, exception)?;
    }
    catalog.set_project_property(project, name, Some(if value { "true" } else { "false" }))?;
    Ok(Output::done())
}

fn set_project(catalog: &Catalog, project: &str, name: &str, value: &str) -> Result<Output, ApiError> {
    let reserved = |switch: &&str| switch.eq_ignore_ascii_case(name);
    if SWITCHES.iter().map(|(switch, _)| switch).any(reserved) || PROTECTION_EXCEPTION.eq_ignore_ascii_case(name) {
        return Err(invalid(format!("{name} is changed by SET, not by SETPROJECT")));
    }
    let value = value.trim();
    if [ENCRYPTION, ENCRYPTION_KEY].iter().any(|key| key.eq_ignore_ascii_case(name)) {
        return set_encryption(catalog, project, name, value);
    }
    if name.len() > 128 || value.len() > 4096 {
        return Err(invalid("the name of a property has at most 128 bytes, its value 4096"));
    }
    catalog.set_project_property(project, name, (!value.is_empty()).then_some(value))?;
    Ok(Output::done())
}

fn set_encryption(catalog: &Catalog, project: &str, name: &str, value: &str) -> Result<Output, ApiError> {
    let (keyring, value) = (catalog.keyring(), value.to_lowercase());
    match (name.eq_ignore_ascii_case(ENCRYPTION), value.as_str()) {
        (true, "true" | "false") => keyring.set_encrypts(project, value == "true")?,
        (true, _) => return Err(invalid(format!("{ENCRYPTION} is true or false"))),
        (false, "enabled" | "disabled") => {
            if !keyring.set_enabled(project, value == "enabled")? {
                return Err(missing("encryption key of project", project));
            }
        }
        (false, _) => return Err(invalid(format!("{ENCRYPTION_KEY} is enabled or disabled"))),
    }
    Ok(Output::done())
}

/// The properties of a project: what was set, and how its files are encrypted.
pub fn properties(catalog: &Catalog, project: &str) -> anyhow::Result<BTreeMap<String, String>> {
    let mut properties = catalog.project_properties(project)?;
    if let Some(key) = catalog.keyring().project(project)? {
        properties.insert(ENCRYPTION.into(), key.encrypts.to_string());
        properties.insert(ENCRYPTION_KEY.into(), if key.enabled { "enabled" } else { "disabled" }.into());
    }
    Ok(properties)
}

fn show_project(catalog: &Catalog, project: &str) -> Result<Output, ApiError> {
    let properties = properties(catalog, project)?;
    let text: Vec<String> = properties.iter().map(|(name, value)| format!("{name}={value}")).collect();
    Ok(Output { text: text.join("\n"), json: json!(properties) })
}

fn set_data_label(
    catalog: &Catalog,
    project: &str,
    level: u8,
    table: &str,
    columns: &[String],
) -> Result<Output, ApiError> {
    let table = find_table(catalog, project, table)?;
    let known = |name: &String| table.columns.iter().any(|column| column.name.eq_ignore_ascii_case(name));
    if let Some(name) = columns.iter().find(|name| !known(name)) {
        return Err(missing("data column", name));
    }
    catalog.set_data_label(table.id, columns, level)?;
    Ok(Output::done())
}
