//! From tokens to statements.

use super::kinds::{Grant, QuotaChange, SWITCHES, Statement};
use super::tokens::Token;
use crate::catalog::{Grantee, TableName, check_name};
use crate::governance::actions::{self, ObjectKind};
use crate::governance::principal::Principal;

/// Reads one statement without its `;`. `None` if it is not about governance.
pub fn parse(tokens: &[Token]) -> Option<Result<Statement, String>> {
    let mut words = Words { rest: tokens };
    let statement = words.statement()?;
    Some(statement.and_then(|statement| match words.rest.first() {
        None => Ok(statement),
        Some(token) => Err(format!("{} is not expected here", show(token))),
    }))
}

/// A token as it is written.
pub fn show(token: &Token) -> String {
    match token {
        Token::Word(text) | Token::Json(text) => text.clone(),
        Token::Quoted(text) => format!("'{text}'"),
        Token::Mark(mark) => mark.to_string(),
    }
}

/// The tokens that are left.
struct Words<'a> {
    rest: &'a [Token],
}

type Parsed = Result<Statement, String>;

impl Words<'_> {
    fn statement(&mut self) -> Option<Parsed> {
        let start = self.rest;
        let parsed = match self.keyword()?.as_str() {
            "add" => self.member(true),
            "remove" => self.member(false),
            "list" => self.list(),
            "create" => self.create(),
            "drop" => self.drop(),
            "describe" | "desc" if self.take("role") => Some(self.name().map(Statement::DescribeRole)),
            "grant" => Some(self.grant()),
            "revoke" => Some(self.revoke()),
            "show" => self.show(),
            "put" | "get" if self.next_is("policy") => Some(self.policy(start)),
            "set" => self.set(),
            "setproject" => Some(self.set_project()),
            "alter" if self.take("quota") => Some(self.alter_quota()),
            "whoami" => Some(Ok(Statement::WhoAmI)),
            "clear" if self.next_is("expired") => self.missing("clear expired grants"),
            "install" | "uninstall" | "allow" | "disallow" if self.next_is("package") || self.next_is("project") => {
                self.missing("packages")
            }
            _ => None,
        };
        if parsed.is_none() {
            self.rest = start;
        }
        parsed
    }

    fn missing(&mut self, what: &'static str) -> Option<Parsed> {
        self.rest = &[];
        Some(Ok(Statement::Missing(what)))
    }

    /// The next word in lower case.
    fn keyword(&mut self) -> Option<String> {
        let (Token::Word(word), rest) = self.rest.split_first()? else { return None };
        self.rest = rest;
        Some(word.to_lowercase())
    }

    fn next_is(&self, keyword: &str) -> bool {
        matches!(self.rest.first(), Some(Token::Word(word)) if word.eq_ignore_ascii_case(keyword))
    }

    /// Skips a keyword if it is next.
    fn take(&mut self, keyword: &str) -> bool {
        let found = self.next_is(keyword);
        if found {
            self.rest = self.rest.get(1..).unwrap_or_default();
        }
        found
    }

    /// Skips a mark if it is next.
    fn mark(&mut self, mark: char) -> bool {
        let found = self.rest.first() == Some(&Token::Mark(mark));
        if found {
            self.rest = self.rest.get(1..).unwrap_or_default();
        }
        found
    }

    fn demand(&mut self, keyword: &str) -> Result<(), String> {
        if self.take(keyword) { Ok(()) } else { Err(format!("{} is expected {}", keyword.to_uppercase(), self.here())) }
    }

    fn demand_mark(&mut self, mark: char) -> Result<(), String> {
        if self.mark(mark) { Ok(()) } else { Err(format!("{mark} is expected {}", self.here())) }
    }

    fn here(&self) -> String {
        self.rest.first().map_or("at the end".into(), |token| format!("at {}", show(token)))
    }

    /// A word or a text in quotes.
    fn text(&mut self, what: &str) -> Result<String, String> {
        match self.rest.split_first() {
            Some((Token::Word(text) | Token::Quoted(text), rest)) => {
                self.rest = rest;
                Ok(text.clone())
            }
            _ => Err(format!("{what} is expected {}", self.here())),
        }
    }

    /// The name of a role.
    fn name(&mut self) -> Result<String, String> {
        let name = self.text("a role")?;
        if name.eq_ignore_ascii_case("super_administrator") || check_name(&name).is_ok() {
            return Ok(name);
        }
        Err(format!("\"{name}\" is not the name of a role: use letters, digits and _"))
    }

    fn principal(&mut self) -> Result<Principal, String> {
        self.text("a user")?.parse()
    }

    fn project(&mut self) -> Result<String, String> {
        let name = self.text("a project")?;
        check_name(&name).map(|()| name)
    }

    fn number<T: std::str::FromStr>(&mut self, what: &str) -> Result<T, String> {
        let text = self.text(what)?;
        text.parse().map_err(|_| format!("{what} is expected at {text}"))
    }

    /// A JSON document, bare or in quotes.
    fn document(&mut self) -> Result<String, String> {
        match self.rest.split_first() {
            Some((Token::Json(text) | Token::Quoted(text), rest)) => {
                self.rest = rest;
                Ok(text.clone())
            }
            _ => Err(format!("a policy {{...}} is expected {}", self.here())),
        }
    }

    /// `user X`, `role X` or `X`, which is a user.
    fn grantee(&mut self) -> Result<Grantee, String> {
        if self.take("role") {
            return self.name().map(Grantee::Role);
        }
        self.take("user");
        Ok(Grantee::User(self.principal()?.as_str().to_string()))
    }

    /// ADD and REMOVE. ALTER TABLE has its own ADD, so nothing else begins with these words.
    fn member(&mut self, add: bool) -> Option<Parsed> {
        if self.take("tenant") {
            return Some(self.tenant_member(add));
        }
        if self.take("user") {
            return Some(self.principal().map(if add { Statement::AddUser } else { Statement::RemoveUser }));
        }
        if self.take("trustedproject") {
            let statement = if add { Statement::AddTrustedProject } else { Statement::RemoveTrustedProject };
            return Some(self.project().map(statement));
        }
        if self.next_is("accountprovider") {
            return self.missing("account providers");
        }
        if self.rest.iter().any(|token| matches!(token, Token::Word(word) if word.eq_ignore_ascii_case("package"))) {
            return self.missing("packages");
        }
        None
    }

    fn tenant_member(&mut self, add: bool) -> Parsed {
        if self.take("user") {
            return self.principal().map(if add { Statement::AddTenantUser } else { Statement::RemoveTenantUser });
        }
        self.demand("role")?;
        let role = self.name()?;
        self.demand(if add { "to" } else { "from" })?;
        self.demand("project")?;
        let project = self.project()?;
        Ok(match add {
            true => Statement::AddTenantRoleToProject { role, project },
            false => Statement::RemoveTenantRoleFromProject { role, project },
        })
    }

    fn list(&mut self) -> Option<Parsed> {
        Some(Ok(match self.keyword()?.as_str() {
            "tenant" if self.take("users") => Statement::ListTenantUsers,
            "tenant" if self.take("roles") => Statement::ListTenantRoles,
            "users" => Statement::ListUsers,
            "roles" => Statement::ListRoles,
            "trustedprojects" => Statement::ListTrustedProjects,
            "quotas" => Statement::ListQuotas,
            "accountproviders" => Statement::Missing("account providers"),
            _ => return None,
        }))
    }

    fn create(&mut self) -> Option<Parsed> {
        Some(match self.keyword()?.as_str() {
            "tenant" => self.create_tenant_role(),
            "role" => self.create_role(),
            "quota" => self
                .text("a quota")
                .and_then(|name| Ok(Statement::CreateQuota { name: quota_name(name)?, change: self.quota_change()? })),
            "access" if self.take("key") => self.create_key(),
            "bearer" if self.take("token") => self.create_token(),
            "package" => return self.missing("packages"),
            _ => return None,
        })
    }

    fn create_tenant_role(&mut self) -> Parsed {
        self.demand("role")?;
        let name = self.name()?;
        let policy = if self.take("with") {
            self.demand("policy")?;
            self.document()?
        } else {
            String::new()
        };
        Ok(Statement::CreateTenantRole { name, policy })
    }

    fn create_role(&mut self) -> Parsed {
        let name = self.name()?;
        for (key, value) in self.properties()? {
            if key != "type" || !value.eq_ignore_ascii_case("resource") {
                return Err(format!("{key}={value} is not implemented by this server: roles are of type resource"));
            }
        }
        Ok(Statement::CreateRole(name))
    }

    /// `privilegeproperties("key"="value", ...)`, if it is there. Keys in lower case.
    fn properties(&mut self) -> Result<Vec<(String, String)>, String> {
        let mut properties = Vec::new();
        if !self.take("privilegeproperties") {
            return Ok(properties);
        }
        self.demand_mark('(')?;
        loop {
            let key = self.text("a property")?.to_lowercase();
            self.demand_mark('=')?;
            properties.push((key, self.text("a value")?));
            if !self.mark(',') {
                self.demand_mark(')')?;
                return Ok(properties);
            }
        }
    }

    fn quota_change(&mut self) -> Result<QuotaChange, String> {
        let mut change = QuotaChange::default();
        while let Some(keyword) = self.keyword() {
            match keyword.as_str() {
                "slots" if self.take("unlimited") => change.slots = Some(None),
                "slots" => change.slots = Some(Some(self.number("a number of slots")?)),
                "rate" if self.take("unlimited") => change.rate = Some(None),
                "rate" => match self.number("bytes per second")? {
                    0 => return Err("RATE is at least one byte per second".into()),
                    rate => change.rate = Some(Some(rate)),
                },
                "on" => change.enabled = Some(true),
                "off" => change.enabled = Some(false),
                other => return Err(format!("{other} is not SLOTS, RATE, ON or OFF")),
            }
        }
        Ok(change)
    }

    fn alter_quota(&mut self) -> Parsed {
        let name = quota_name(self.text("a quota")?)?;
        Ok(Statement::AlterQuota { name, change: self.quota_change()? })
    }

    fn create_key(&mut self) -> Parsed {
        let id = self.text("the id of a key")?;
        if id.is_empty() || !id.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)) {
            return Err(format!("\"{id}\" is not the id of an access key: use letters, digits, . _ and -"));
        }
        self.demand("secret")?;
        let secret = self.text("the secret of a key")?;
        let token = if self.take("token") { Some(self.text("a security token")?) } else { None };
        let expires_s = self.expiry()?;
        Ok(Statement::CreateKey { id, secret, token, expires_s, user: self.for_user()? })
    }

    fn create_token(&mut self) -> Parsed {
        let token = self.text("a token")?;
        let expires_s = self.expiry()?;
        Ok(Statement::CreateToken { token, expires_s, user: self.for_user()? })
    }

    fn expiry(&mut self) -> Result<Option<u32>, String> {
        if self.take("expires") { self.number("seconds").map(Some) } else { Ok(None) }
    }

    fn for_user(&mut self) -> Result<Principal, String> {
        self.demand("for")?;
        self.demand("user")?;
        self.principal()
    }

    fn drop(&mut self) -> Option<Parsed> {
        Some(match self.keyword()?.as_str() {
            "tenant" => self.demand("role").and_then(|()| self.name()).map(Statement::DropTenantRole),
            "role" => self.name().map(Statement::DropRole),
            "quota" => self.text("a quota").and_then(quota_name).map(Statement::DropQuota),
            "access" if self.take("key") => self.text("the id of a key").map(Statement::DropKey),
            "bearer" if self.take("token") => self.text("a token").map(Statement::DropToken),
            "package" => return self.missing("packages"),
            _ => return None,
        })
    }

    fn grant(&mut self) -> Parsed {
        if self.take("tenant") {
            let (role, to) = self.role_and_user("to")?;
            return Ok(Statement::GrantTenantRole { role, to });
        }
        if self.next_is("label") {
            return self.label_grant();
        }
        if self.is_role("to") {
            let (role, to) = self.role_and_user("to")?;
            return Ok(Statement::GrantRole { role, to });
        }
        self.privileges("to").map(Statement::Grant)
    }

    fn revoke(&mut self) -> Parsed {
        if self.take("tenant") {
            let (role, from) = self.role_and_user("from")?;
            return Ok(Statement::RevokeTenantRole { role, from });
        }
        if self.next_is("label") {
            return self.label_grant();
        }
        if self.is_role("from") {
            let (role, from) = self.role_and_user("from")?;
            return Ok(Statement::RevokeRole { role, from });
        }
        self.privileges("from").map(Statement::Revoke)
    }

    fn label_grant(&mut self) -> Parsed {
        self.rest = &[];
        Ok(Statement::Missing("GRANT LABEL and REVOKE LABEL; SET LABEL gives a user its level"))
    }

    /// Whether `role to` follows, as opposed to `action on` or `action, action on`.
    fn is_role(&self, preposition: &str) -> bool {
        let skip = usize::from(self.next_is("role"));
        matches!(self.rest.get(skip + 1), Some(Token::Word(word)) if word.eq_ignore_ascii_case(preposition))
    }

    /// `[role] R to [user] U`.
    fn role_and_user(&mut self, preposition: &str) -> Result<(String, Principal), String> {
        self.take("role");
        let role = self.name()?;
        self.demand(preposition)?;
        self.take("user");
        Ok((role, self.principal()?))
    }

    /// `A, B on KIND NAME[(COLUMNS)] to [user|role] X [privilegeproperties(...)]`.
    fn privileges(&mut self, preposition: &str) -> Result<Grant, String> {
        let mut names = vec![self.text("an action")?];
        while self.mark(',') {
            names.push(self.text("an action")?);
        }
        self.demand("on")?;
        let kind = ObjectKind::of(&self.text("TABLE, SCHEMA or PROJECT")?)?;
        let object = self.text("a name")?;
        let columns = self.columns()?;
        if !columns.is_empty() && kind != ObjectKind::Table {
            return Err("only tables have columns".into());
        }
        self.demand(preposition)?;
        let grantee = self.grantee()?;
        let (mut policy, mut allow, mut expires_days) = (false, true, None);
        for (key, value) in self.properties()? {
            match key.as_str() {
                "policy" => policy = value.eq_ignore_ascii_case("true"),
                "allow" => allow = value.eq_ignore_ascii_case("true"),
                "expires" => {
                    expires_days = Some(value.parse().map_err(|_| format!("\"{value}\" is not a number of days"))?)
                }
                _ => return Err(format!("the property {key} of a grant is not implemented by this server")),
            }
        }
        let actions = names.iter().map(|name| actions::of(kind, name)).collect::<Result<_, _>>()?;
        Ok(Grant { actions, kind, object, columns, grantee, policy: policy.then_some(allow), expires_days })
    }

    fn columns(&mut self) -> Result<Vec<String>, String> {
        let mut columns = Vec::new();
        if self.mark('(') {
            columns.push(self.text("a column")?);
            while self.mark(',') {
                columns.push(self.text("a column")?);
            }
            self.demand_mark(')')?;
        }
        Ok(columns)
    }

    fn show(&mut self) -> Option<Parsed> {
        Some(match self.keyword()?.as_str() {
            "grants" => self.show_grants(),
            "principals" => self.show_principals(),
            "acl" => self.show_acl(),
            "securityconfiguration" => Ok(Statement::ShowSecurity),
            "quotas" => Ok(Statement::ListQuotas),
            "label" | "package" | "packages" => return self.missing("SHOW LABEL and SHOW PACKAGE"),
            _ => return None,
        })
    }

    fn show_grants(&mut self) -> Parsed {
        if self.rest.is_empty() {
            return Ok(Statement::ShowGrants(None));
        }
        self.demand("for")?;
        if !self.take("tenant") {
            return Ok(Statement::ShowGrants(Some(self.grantee()?)));
        }
        if self.take("role") {
            return self.name().map(Statement::ShowTenantRole);
        }
        self.demand("user")?;
        self.principal().map(Statement::ShowTenantUser)
    }

    fn show_principals(&mut self) -> Parsed {
        self.take("for");
        let tenant = self.take("tenant");
        if self.rest.len() > 1 {
            self.take("role");
        }
        self.name().map(if tenant { Statement::ShowTenantPrincipals } else { Statement::ShowPrincipals })
    }

    /// `show acl for NAME [on type KIND]` and `show acl on KIND NAME`.
    fn show_acl(&mut self) -> Parsed {
        if self.take("on") {
            let kind = ObjectKind::of(&self.text("TABLE, SCHEMA or PROJECT")?)?;
            return Ok(Statement::ShowAcl { kind, name: self.text("a name")? });
        }
        self.demand("for")?;
        let name = self.text("a name")?;
        let kind = if self.take("on") {
            self.demand("type")?;
            ObjectKind::of(&self.text("TABLE, SCHEMA or PROJECT")?)?
        } else {
            ObjectKind::Table
        };
        Ok(Statement::ShowAcl { kind, name })
    }

    /// `put policy {...} on [tenant] role R`, `get policy on [tenant] role R`.
    fn policy(&mut self, start: &[Token]) -> Parsed {
        let put = matches!(start.first(), Some(Token::Word(word)) if word.eq_ignore_ascii_case("put"));
        self.demand("policy")?;
        let policy = if put { Some(self.document()?) } else { None };
        self.demand("on")?;
        let tenant = self.take("tenant");
        self.demand("role")?;
        let role = self.name()?;
        Ok(match policy {
            Some(policy) => Statement::PutPolicy { role, tenant, policy },
            None => Statement::GetPolicy { role, tenant },
        })
    }

    /// SET of governance. Other names are settings of SQL.
    fn set(&mut self) -> Option<Parsed> {
        if self.take("label") {
            return Some(self.set_label());
        }
        if self.take("tenant") {
            return Some(self.set_tenant());
        }
        let Some(Token::Word(name)) = self.rest.first() else { return None };
        let (name, _) = *SWITCHES.iter().find(|(switch, _)| switch.eq_ignore_ascii_case(name))?;
        self.rest = self.rest.get(1..).unwrap_or_default();
        Some(self.set_switch(name))
    }

    fn set_switch(&mut self, name: &'static str) -> Parsed {
        self.demand_mark('=')?;
        let value = match self.text("true or false")?.to_lowercase().as_str() {
            "true" => true,
            "false" => false,
            other => return Err(format!("{name} is true or false, not {other}")),
        };
        let exception = if self.take("with") {
            self.demand("exception")?;
            if name != "ProjectProtection" || !value {
                return Err("only ProjectProtection=true has an exception".into());
            }
            Some(self.document()?)
        } else {
            None
        };
        Ok(Statement::SetSecurity { name, value, exception })
    }

    fn set_tenant(&mut self) -> Parsed {
        self.demand("property")?;
        let name = self.text("a property")?.to_lowercase();
        self.demand_mark('=')?;
        Ok(Statement::SetTenantProperty { name, value: self.text("a value")? })
    }

    /// `set label 3 to user U`, `set label 3 to table T(A, B)`.
    fn set_label(&mut self) -> Parsed {
        let level = match self.number("a level from 0 to 9")? {
            level @ 0..=9 => level,
            level => return Err(format!("{level} is not a level from 0 to 9")),
        };
        self.demand("to")?;
        if self.take("table") {
            let table = self.text("a table")?;
            return Ok(Statement::SetDataLabel { level, table, columns: self.columns()? });
        }
        Ok(Statement::SetUserLabel { level, grantee: self.grantee()? })
    }

    fn set_project(&mut self) -> Parsed {
        if self.rest.is_empty() {
            return Ok(Statement::ShowProject);
        }
        let name = self.text("a property")?;
        self.demand_mark('=')?;
        // An empty value takes the property back.
        let value = if self.rest.is_empty() { String::new() } else { self.text("a value")? };
        Ok(Statement::SetProject { name, value })
    }
}

/// Refuses names that no quota can have: letters, digits, `_` and `-`, in one or two levels.
fn quota_name(name: String) -> Result<String, String> {
    let good = |part: &str| {
        !part.is_empty() && part.len() <= 64 && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b))
    };
    if name.split('#').count() <= 2 && name.split('#').all(good) {
        Ok(name)
    } else {
        Err(format!("\"{name}\" is not the name of a quota: use letters, digits, _ and -, and # between levels"))
    }
}

/// A table of a statement: `t`, `s.t` or `p.s.t` seen from a project.
pub fn table_name(project: &str, text: &str) -> Result<TableName, String> {
    match text.split('.').count() {
        1 => format!("{project}.default.{text}").parse(),
        2 => {
            let (first, table) = text.split_once('.').unwrap_or_default();
            // `p.t` in the two-tier model, `s.t` in the three-tier model.
            if first.eq_ignore_ascii_case(project) {
                format!("{project}.default.{table}").parse()
            } else {
                format!("{project}.{text}").parse()
            }
        }
        _ => text.parse(),
    }
}
