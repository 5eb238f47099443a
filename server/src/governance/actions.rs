//! The actions that rights are about (service-behaviour.md 3.3).

/// What has rights of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObjectKind {
    Project,
    Schema,
    Table,
}

impl ObjectKind {
    /// The kind of that name.
    pub fn of(name: &str) -> Result<ObjectKind, String> {
        match name.to_lowercase().as_str() {
            "project" => Ok(ObjectKind::Project),
            "schema" => Ok(ObjectKind::Schema),
            "table" | "view" => Ok(ObjectKind::Table),
            _ => Err(format!("rights on {name} are not implemented by this server: TABLE, SCHEMA and PROJECT are")),
        }
    }
}

/// All actions on a kind of object, as the service spells them. `All` is every one of the others.
pub fn on(kind: ObjectKind) -> &'static [&'static str] {
    match kind {
        ObjectKind::Project => &[
            "Read",
            "Write",
            "List",
            "CreateTable",
            "CreateInstance",
            "CreateFunction",
            "CreateResource",
            "CreateSchema",
            "All",
        ],
        ObjectKind::Schema => &["Describe", "List", "CreateTable", "Alter", "Drop", "All"],
        ObjectKind::Table => &["Describe", "Select", "Alter", "Update", "Drop", "Download", "ShowHistory", "All"],
    }
}

/// The action of that name in any case.
pub fn of(kind: ObjectKind, name: &str) -> Result<&'static str, String> {
    let found = on(kind).iter().find(|action| action.eq_ignore_ascii_case(name));
    found.copied().ok_or_else(|| format!("{name} is not an action: there are {}", on(kind).join(", ")))
}
