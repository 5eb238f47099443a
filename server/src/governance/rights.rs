//! What a principal may do: ownership, roles, privileges, policies and labels put together.

use std::collections::BTreeSet;

use anyhow::Result;

use super::policy::{Policy, Verdict};
use super::principal::{Caller, Principal};
use crate::catalog::{Catalog, Grantee, Object, Privilege, Role, Table, TableName};
use crate::error::ApiError;

/// The only tenant and the only region.
pub const TENANT_ID: &str = "100000001";
pub const REGION: &str = "cn-local";

/// Roles of the tenant that exist without being created.
pub const SUPER_ADMINISTRATOR: &str = "Super_Administrator";
pub const ADMIN: &str = "Admin";

/// Whether a principal administers the tenant.
pub fn is_tenant_admin(catalog: &Catalog, principal: &Principal) -> Result<bool> {
    Ok(is_tenant_super_admin(catalog, principal)? || has(&catalog.tenant_roles_of(principal.as_str())?, ADMIN))
}

/// Whether a principal also decides about roles, policies and keys of the tenant, by which one gets any right.
pub fn is_tenant_super_admin(catalog: &Catalog, principal: &Principal) -> Result<bool> {
    Ok(*principal == Principal::owner() || has(&catalog.tenant_roles_of(principal.as_str())?, SUPER_ADMINISTRATOR))
}

fn has(roles: &[Role], name: &str) -> bool {
    roles.iter().any(|role| role.name.eq_ignore_ascii_case(name))
}

/// A refusal for want of a right, with the number in brackets that the service uses.
pub fn no_permission(number: u16, why: impl std::fmt::Display) -> ApiError {
    ApiError::new(403, "NoPermission", format!("ODPS-0130013:Authorization exception - [{number}] {why}"))
}

/// The policies of roles, of which damaged ones count as a denial of everything.
fn verdict(roles: &[Role], action: &str, names: &[String]) -> Verdict {
    let one = |role: &Role| match Policy::parse(&role.policy) {
        _ if role.policy.is_empty() => Verdict::Silent,
        Ok(policy) => policy.verdict(action, names),
        Err(why) => {
            tracing::error!("the policy of role {} is damaged: {why}", role.name);
            Verdict::Denied
        }
    };
    roles.iter().map(one).fold(Verdict::Silent, Verdict::and)
}

/// Whether a caller may name a quota: only the policies of its tenant roles say so, and that of its bearer token.
pub fn may_use_quota(catalog: &Catalog, caller: &Caller, quota: &str) -> Result<bool> {
    let roles = catalog.tenant_roles_of(caller.principal.as_str())?;
    let names = [format!("acs:odps:Tenant/{TENANT_ID}:regions/{REGION}/quotas/{quota}")];
    let token_allows =
        |action: &str| caller.policy.as_ref().is_none_or(|policy| policy.verdict(action, &names) == Verdict::Allowed);
    let allows = |action: &&str| token_allows(action) && verdict(&roles, action, &names) == Verdict::Allowed;
    Ok(["List", "Usage"].iter().all(allows))
}

/// The names of an object in policies.
fn names(project: &str, object: &Named<'_>) -> Vec<String> {
    let path = |rest: String| format!("acs:odps:Tenant/{TENANT_ID}:projects/{project}{rest}");
    match object {
        Named::Project => vec![path(String::new())],
        Named::Schema(schema) => vec![path(format!("/schemas/{schema}"))],
        Named::Table(name, _) => {
            let mut names = vec![path(format!("/schemas/{}/tables/{}", name.schema, name.table))];
            if name.schema.eq_ignore_ascii_case("default") {
                names.push(path(format!("/tables/{}", name.table)));
            }
            names
        }
    }
}

/// An object with the name by which policies know it and the id by which privileges know it.
pub enum Named<'a> {
    Project,
    Schema(&'a str),
    Table(&'a TableName, i64),
}

impl Named<'_> {
    fn object(&self) -> Object {
        match self {
            Named::Project => Object::Project,
            Named::Schema(name) => Object::Schema(name.to_string()),
            Named::Table(_, id) => Object::Table(*id),
        }
    }
}

/// Which columns of a table a principal may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Columns {
    All,
    /// Lower-case names.
    Only(BTreeSet<String>),
}

impl Columns {
    /// What both allow.
    pub fn and(self, other: Columns) -> Columns {
        match (self, other) {
            (Columns::All, columns) | (columns, Columns::All) => columns,
            (Columns::Only(a), Columns::Only(b)) => Columns::Only(a.intersection(&b).cloned().collect()),
        }
    }
}

/// A caller in a project.
pub struct Rights<'a> {
    catalog: &'a Catalog,
    caller: &'a Caller,
    project: &'a str,
    /// Owner of the project or super administrator of the tenant.
    owner: bool,
    /// Roles of the project.
    roles: Vec<Role>,
    /// Roles of the tenant that count in the project.
    tenant_roles: Vec<Role>,
}

impl<'a> Rights<'a> {
    /// Loads what the catalogue knows.
    pub fn load(catalog: &'a Catalog, caller: &'a Caller, project: &'a str) -> Result<Rights<'a>> {
        let principal = caller.principal.as_str();
        let owner = caller.is_owner() || has(&catalog.tenant_roles_of(principal)?, SUPER_ADMINISTRATOR);
        Ok(Rights {
            catalog,
            caller,
            project,
            owner,
            roles: catalog.project_roles_of(project, principal)?,
            tenant_roles: catalog.tenant_roles_in_project(principal, project)?,
        })
    }

    /// Whether the caller is known in the project at all.
    pub fn in_project(&self) -> Result<bool> {
        let member = |name: &String| name.eq_ignore_ascii_case(self.caller.principal.as_str());
        Ok(self.owner
            || !self.roles.is_empty()
            || !self.tenant_roles.is_empty()
            || self.catalog.project_users(self.project)?.iter().any(member))
    }

    /// Whether the caller manages users, roles and rights of the project.
    pub fn is_admin(&self) -> bool {
        self.is_super_admin() || has(&self.roles, ADMIN)
    }

    /// Whether the caller also manages the security switches of the project.
    pub fn is_super_admin(&self) -> bool {
        self.owner || has(&self.roles, SUPER_ADMINISTRATOR)
    }

    /// A security switch of the project.
    pub fn switch(&self, name: &str, default: bool) -> Result<bool> {
        let value = self.catalog.project_property(self.project, name)?;
        Ok(value.map_or(default, |value| value.eq_ignore_ascii_case("true")))
    }

    /// The error of a missing right.
    fn refused(&self, verdict: Verdict, action: &str, object: &Named<'_>) -> ApiError {
        let name = names(self.project, object).pop().unwrap_or_default();
        let name = name.replace(&format!("Tenant/{TENANT_ID}"), "*");
        let who = &self.caller.principal;
        match verdict {
            Verdict::Denied => {
                no_permission(4011, format!("'odps:{action}' on {{{name}}} is explicitly denied to {who}"))
            }
            _ => no_permission(4019, format!("{who} has NO privilege 'odps:{action}' on {{{name}}}")),
        }
    }

    /// Whether the caller has a role of the project.
    pub fn has_role(&self, name: &str) -> bool {
        has(&self.roles, name)
    }

    /// What the policies of all roles, and that of a bearer token, say. A token that is silent denies.
    fn policies(&self, action: &str, object: &Named<'_>) -> Result<Verdict> {
        let names = names(self.project, object);
        let by_token = match &self.caller.policy {
            Some(policy) if policy.verdict(action, &names) != Verdict::Allowed => Verdict::Denied,
            _ => Verdict::Silent,
        };
        let by_roles = if self.switch("CheckPermissionUsingPolicy", true)? {
            verdict(&self.roles, action, &names).and(verdict(&self.tenant_roles, action, &names))
        } else {
            Verdict::Silent
        };
        Ok(by_token.and(by_roles))
    }

    fn privileges(&self, object: &Object, action: &str) -> Result<Vec<Privilege>> {
        if !self.switch("CheckPermissionUsingACL", true)? {
            return Ok(Vec::new());
        }
        let mine = |grantee: &Grantee| match grantee {
            Grantee::User(name) => name.eq_ignore_ascii_case(self.caller.principal.as_str()),
            Grantee::Role(name) => has(&self.roles, name),
        };
        let mut found = self.catalog.privileges_on(self.project, object)?;
        found.retain(|privilege| mine(&privilege.grantee) && (privilege.action == action || privilege.action == "All"));
        Ok(found)
    }

    /// Demands a right on an object as a whole, or on some columns of a table: which ones is the answer.
    pub fn demand(&self, action: &str, object: &Named<'_>) -> Result<Columns, ApiError> {
        let verdict = self.policies(action, object)?;
        if verdict == Verdict::Denied {
            return Err(self.refused(verdict, action, object));
        }
        if self.is_admin() || verdict == Verdict::Allowed || self.created(object)? {
            return Ok(Columns::All);
        }
        let privileges = self.privileges(&object.object(), action)?;
        if privileges.iter().any(|privilege| privilege.column.is_none()) {
            return Ok(Columns::All);
        }
        let columns: BTreeSet<String> =
            privileges.into_iter().filter_map(|privilege| Some(privilege.column?.to_lowercase())).collect();
        if columns.is_empty() { Err(self.refused(verdict, action, object)) } else { Ok(Columns::Only(columns)) }
    }

    /// Demands a right that one of several objects gives. A denial on any of them beats it.
    pub fn demand_on_any(&self, action: &str, objects: &[Named<'_>]) -> Result<(), ApiError> {
        let mut refusal = None;
        let mut given = false;
        for object in objects {
            match self.demand(action, object) {
                Ok(columns) => given |= columns == Columns::All,
                Err(error) if self.policies(action, object)? == Verdict::Denied => return Err(error),
                Err(error) => refusal = Some(error),
            }
        }
        match refusal {
            Some(error) if !given => Err(error),
            _ => Ok(()),
        }
    }

    /// Demands Download, which creating a table does not bring.
    pub fn demand_download(&self, object: &Named<'_>) -> Result<(), ApiError> {
        let verdict = self.policies("Download", object)?;
        let given = self.is_super_admin() || verdict == Verdict::Allowed;
        if verdict != Verdict::Denied && (given || !self.privileges(&object.object(), "Download")?.is_empty()) {
            return Ok(());
        }
        Err(self.refused(verdict, "Download", object))
    }

    /// Whether the caller created a table and the project lets creators use what they made.
    fn created(&self, object: &Named<'_>) -> Result<bool> {
        let Named::Table(_, id) = object else { return Ok(false) };
        let creator = self.catalog.creator(*id)?;
        let mine = creator.is_some_and(|name| name.eq_ignore_ascii_case(self.caller.principal.as_str()));
        Ok(mine && self.switch("ObjectCreatorHasAccessPermission", true)?)
    }

    /// The sensitivity up to which the caller may read.
    pub fn level(&self) -> Result<u8> {
        let mut level =
            self.catalog.user_label(self.project, &Grantee::User(self.caller.principal.as_str().to_string()))?;
        for role in &self.roles {
            level = level.max(self.catalog.user_label(self.project, &Grantee::Role(role.name.clone()))?);
        }
        Ok(level)
    }

    /// The columns whose sensitivity the caller may read.
    pub fn labelled(&self, table: &Table) -> Result<Columns> {
        if self.owner || !self.switch("LabelSecurity", false)? {
            return Ok(Columns::All);
        }
        let labels = self.catalog.data_labels(table.id)?;
        let whole = labels.get("").copied().unwrap_or(0);
        let data = table.columns.iter().map(|column| column.name.to_lowercase());
        let level = self.level()?;
        let readable = |name: &String| labels.get(name).copied().unwrap_or(whole) <= level;
        let mut columns: BTreeSet<String> = data.clone().filter(readable).collect();
        if columns.len() == data.count() {
            return Ok(Columns::All);
        }
        columns.extend(table.partition_keys.iter().map(|column| column.name.to_lowercase()));
        Ok(Columns::Only(columns))
    }

    /// Refuses to let data leave a protected project, unless it goes to a project that is trusted, or the exception
    /// policy names the caller. `to` is `None` for what goes to a client.
    pub fn demand_exit(&self, object: &Named<'_>, to: Option<&str>) -> Result<(), ApiError> {
        if !self.switch("ProjectProtection", false)? {
            return Ok(());
        }
        if let Some(to) = to
            && self.catalog.trusted_projects(self.project)?.iter().any(|trusted| trusted.eq_ignore_ascii_case(to))
        {
            return Ok(());
        }
        if let Some(text) = self.catalog.project_property(self.project, PROTECTION_EXCEPTION)? {
            let exception = Policy::parse_exception(&text).map_err(|why| {
                anyhow::anyhow!("the exception of the protection of {} is damaged: {why}", self.project)
            })?;
            let names = names(self.project, object);
            if exception.for_principal(self.caller.principal.as_str()).verdict("Select", &names) == Verdict::Allowed {
                return Ok(());
            }
        }
        Err(no_permission(4021, format!("the project {} is protected: its data may not leave it", self.project)))
    }
}

/// The property that holds the exception policy of a protected project.
pub const PROTECTION_EXCEPTION: &str = "ProjectProtection.Exception";
