//! The statements on governance, and what they carry.

use crate::catalog::Grantee;
use crate::governance::actions::ObjectKind;
use crate::governance::principal::Principal;

/// A statement on governance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Statement {
    AddTenantUser(Principal),
    RemoveTenantUser(Principal),
    ListTenantUsers,
    CreateTenantRole {
        name: String,
        policy: String,
    },
    DropTenantRole(String),
    ListTenantRoles,
    GrantTenantRole {
        role: String,
        to: Principal,
    },
    RevokeTenantRole {
        role: String,
        from: Principal,
    },
    AddTenantRoleToProject {
        role: String,
        project: String,
    },
    RemoveTenantRoleFromProject {
        role: String,
        project: String,
    },
    ShowTenantUser(Principal),
    ShowTenantRole(String),
    ShowTenantPrincipals(String),
    PutPolicy {
        role: String,
        tenant: bool,
        policy: String,
    },
    GetPolicy {
        role: String,
        tenant: bool,
    },
    SetTenantProperty {
        name: String,
        value: String,
    },
    CreateQuota {
        name: String,
        change: QuotaChange,
    },
    AlterQuota {
        name: String,
        change: QuotaChange,
    },
    DropQuota(String),
    ListQuotas,
    CreateKey {
        id: String,
        secret: String,
        token: Option<String>,
        expires_s: Option<u32>,
        user: Principal,
    },
    DropKey(String),
    CreateToken {
        token: String,
        expires_s: Option<u32>,
        user: Principal,
    },
    DropToken(String),
    AddUser(Principal),
    RemoveUser(Principal),
    ListUsers,
    CreateRole(String),
    DropRole(String),
    ListRoles,
    DescribeRole(String),
    GrantRole {
        role: String,
        to: Principal,
    },
    RevokeRole {
        role: String,
        from: Principal,
    },
    Grant(Grant),
    Revoke(Grant),
    ShowGrants(Option<Grantee>),
    ShowPrincipals(String),
    ShowAcl {
        kind: ObjectKind,
        name: String,
    },
    WhoAmI,
    ShowSecurity,
    SetSecurity {
        name: &'static str,
        value: bool,
        exception: Option<String>,
    },
    AddTrustedProject(String),
    RemoveTrustedProject(String),
    ListTrustedProjects,
    SetProject {
        name: String,
        value: String,
    },
    ShowProject,
    SetUserLabel {
        level: u8,
        grantee: Grantee,
    },
    SetDataLabel {
        level: u8,
        table: String,
        columns: Vec<String>,
    },
    /// A statement of the service that this server does not offer.
    Missing(&'static str),
}

/// What a GRANT gives or a REVOKE takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    pub actions: Vec<&'static str>,
    pub kind: ObjectKind,
    /// Of a table maybe with project and schema; a pattern with `*` in a policy.
    pub object: String,
    pub columns: Vec<String>,
    pub grantee: Grantee,
    /// `privilegeproperties("policy"="true")`: into the policy of the role, allowing or denying.
    pub policy: Option<bool>,
    pub expires_days: Option<u32>,
}

/// What CREATE QUOTA and ALTER QUOTA say; what they do not say stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QuotaChange {
    /// `Some(None)` is UNLIMITED.
    pub slots: Option<Option<u32>>,
    /// Bytes per second of a request.
    pub rate: Option<Option<u64>>,
    pub enabled: Option<bool>,
}

/// Names of the security switches (service-behaviour.md 3.3) with their values in a new project.
pub const SWITCHES: [(&str, bool); 8] = [
    ("CheckPermissionUsingACL", true),
    ("CheckPermissionUsingPolicy", true),
    ("LabelSecurity", false),
    ("ObjectCreatorHasAccessPermission", true),
    ("ObjectCreatorHasGrantPermission", true),
    ("ProjectProtection", false),
    ("CheckPermissionUsingAclV2", false),
    ("CheckPermissionUsingPackageV2", false),
];
