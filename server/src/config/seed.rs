//! What a root shall contain, brought about at each start.

use std::path::PathBuf;

use anyhow::{Context, Result, anyhow, bail};
use serde::Deserialize;

use crate::catalog::{self, Catalog, Credential, IfExists, QuotaKind, TableName, check_name};
use crate::governance::{self, Principal};
use crate::ingest::{LoadOptions, load};
use crate::plan::parse_spec;
use crate::store::BLOCK_ROWS;

/// Everything that a file asks for besides options.
#[derive(Debug, Default)]
pub struct Seed {
    pub projects: Vec<Project>,
    pub accounts: Vec<Account>,
    pub quotas: Vec<Quota>,
    pub tables: Vec<Table>,
    pub tenant: Tenant,
}

impl Seed {
    /// Brings it all about. Doing it again changes nothing.
    pub fn apply(&self, catalog: &Catalog) -> Result<()> {
        for project in &self.projects {
            let wrong = |why: String| anyhow!("project {}: {why}", project.name);
            check_name(&project.name).map_err(wrong)?;
            catalog.ensure_project(&project.name)?;
            for schema in &project.schemas {
                check_name(schema).map_err(wrong)?;
                catalog.ensure_schema(&project.name, schema)?;
            }
        }
        for table in &self.tables {
            table.apply(catalog).with_context(|| format!("table {} of the configuration", table.name))?;
        }
        for quota in &self.quotas {
            quota.apply(catalog)?;
        }
        for account in &self.accounts {
            account.apply(catalog).with_context(|| format!("account {} of the configuration", account.id))?;
        }
        carry_out(catalog, "", &self.tenant.statements)?;
        self.projects.iter().try_for_each(|project| carry_out(catalog, &project.name, &project.statements))
    }
}

/// Carries statements out. One that wants to create what is there already has nothing to do.
fn carry_out(catalog: &Catalog, project: &str, statements: &[String]) -> Result<()> {
    for statement in statements {
        match governance::execute(catalog, project, statement) {
            Some(Ok(_)) => {}
            Some(Err(error)) if error.code == "ObjectAlreadyExists" => {}
            Some(Err(error)) => bail!("the statement \"{statement}\" of the configuration failed: {error}"),
            None => bail!("\"{statement}\" of the configuration is no statement on governance"),
        }
    }
    Ok(())
}

impl Quota {
    /// Creates the quota, or gives it these slots.
    fn apply(&self, catalog: &Catalog) -> Result<()> {
        let quota = catalog::Quota {
            name: self.name.clone(),
            kind: QuotaKind::Exclusive,
            slots: Some(self.slots),
            rate: None,
            enabled: true,
        };
        match catalog.quota(&self.name)? {
            None => catalog.create_quota(&quota)?,
            Some(found) if found.kind != quota.kind => bail!("the quota {} is one of the service", self.name),
            Some(found) => catalog.alter_quota(&catalog::Quota { slots: Some(self.slots), ..found })?,
        };
        Ok(())
    }
}

impl Account {
    fn apply(&self, catalog: &Catalog) -> Result<()> {
        let user: Principal = self.user.parse().map_err(|why: String| anyhow!(why))?;
        let sound = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_graphic() && c != '/' && c != ':');
        if !sound(&self.id) {
            bail!("an access key id is of visible letters without / and :");
        }
        catalog.put_credential(&Credential {
            id: self.id.clone(),
            principal: user.to_string(),
            secret: self.secret.clone(),
            token: self.token.clone(),
            expires_ms: None,
            policy: None,
            origin: None,
        })
    }
}

impl Table {
    fn apply(&self, catalog: &Catalog) -> Result<()> {
        if self.has_rows(catalog)? {
            return Ok(());
        }
        let options = LoadOptions {
            table: self.name.clone(),
            partition: self.partition.clone(),
            if_exists: IfExists::Error,
            block_rows: BLOCK_ROWS,
            files: self.files.clone(),
        };
        load(catalog, &options).map(|_| ())
    }

    /// Whether the table, or the partition if one is named, has files.
    fn has_rows(&self, catalog: &Catalog) -> Result<bool> {
        let (Some(table), Some(spec)) = (catalog.table(&self.name)?, &self.partition) else {
            return catalog.has_files(&self.name);
        };
        let pairs = parse_spec(spec).map_err(|why| anyhow!(why))?;
        let value = |key: &str| pairs.iter().find(|(name, _)| name.eq_ignore_ascii_case(key)).map(|(_, value)| value);
        let keys: Vec<&str> = table.partition_keys.iter().map(|key| key.name.as_str()).collect();
        let same = |values: &[String]| keys.iter().zip(values).all(|(key, stored)| value(key) == Some(stored));
        let wanted: Vec<i64> =
            catalog.partitions(table.id)?.into_iter().filter(|p| same(&p.values)).map(|p| p.id).collect();
        Ok(catalog.files(table.id)?.iter().any(|file| file.partition_id.is_some_and(|id| wanted.contains(&id))))
    }
}

/// A project.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Project {
    pub name: String,
    #[serde(default)]
    pub schemas: Vec<String>,
    /// Governance statements.
    #[serde(default)]
    pub statements: Vec<String>,
}

/// Statements that belong to no project.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tenant {
    #[serde(default)]
    pub statements: Vec<String>,
}

/// An access key of a user.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Account {
    pub user: String,
    pub id: String,
    pub secret: String,
    pub token: Option<String>,
}

impl std::fmt::Debug for Account {
    /// Prints no secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Account").field("user", &self.user).field("id", &self.id).finish_non_exhaustive()
    }
}

/// An exclusive resource group.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quota {
    pub name: String,
    pub slots: u32,
}

/// A table with rows from files.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    #[serde(deserialize_with = "name")]
    pub name: TableName,
    pub partition: Option<String>,
    pub files: Vec<PathBuf>,
}

fn name<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<TableName, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
}
