//! The parameter `Target`: what a call is about (storage-api-v2-v3.md 1.3).

use super::required;
use crate::catalog::TableName;
use crate::error::ApiError;
use crate::http::request::Head;

/// A table: `projects.P[.schemas.S].tables.T`. Without schema it is that named `default`.
pub fn table(head: &Head) -> Result<TableName, ApiError> {
    let text = required(head, "Target")?;
    let parse = || {
        let rest = text.strip_prefix("projects.")?;
        let (project, schema, table) = match rest.split_once(".schemas.") {
            Some((project, rest)) => {
                let (schema, table) = rest.split_once(".tables.")?;
                (project, schema, table)
            }
            None => {
                let (project, table) = rest.split_once(".tables.")?;
                (project, "default", table)
            }
        };
        let full = [project, schema, table].iter().all(|name| !name.is_empty());
        full.then(|| TableName { project: project.into(), schema: schema.into(), table: table.into() })
    };
    parse().ok_or_else(|| malformed(text, "projects.P.schemas.S.tables.T"))
}

/// An instance: `projects.P.instances.I`, as project and id.
pub fn instance(head: &Head) -> Result<(String, String), ApiError> {
    let text = required(head, "Target")?;
    let parse = || {
        let (place, id) = text.strip_prefix("projects.")?.split_once(".instances.")?;
        // Some clients name a schema here as well, which instances do not have.
        let project = place.split_once(".schemas.").map_or(place, |(project, _)| project);
        (!project.is_empty() && !id.is_empty()).then(|| (project.to_string(), id.to_string()))
    };
    parse().ok_or_else(|| malformed(text, "projects.P.instances.I"))
}

/// Blobs are addressed by their references alone: `generic.blob`.
pub fn blob(head: &Head) -> Result<(), ApiError> {
    match required(head, "Target")? {
        "generic.blob" => Ok(()),
        other => Err(malformed(other, "generic.blob")),
    }
}

fn malformed(text: &str, wanted: &str) -> ApiError {
    ApiError::argument(format!("Target \"{text}\" is not of the form {wanted}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(target: &str) -> Head {
        let uri = format!("/api/storage/v2?Action=TableRead&Target={target}");
        Head::new(&axum::http::Request::builder().uri(uri).body(()).unwrap().into_parts().0)
    }

    #[test]
    fn keywords_cut_names() {
        for (text, name) in [
            ("projects.p.tables.t", "p.default.t"),
            ("projects.p.schemas.s.tables.t", "p.s.t"),
            ("projects.tables.schemas.tables.tables.tables", "tables.tables.tables"),
        ] {
            assert_eq!(table(&head(text)).unwrap().to_string(), name, "{text}");
        }
        for text in ["", "p.t", "projects.p", "projects..tables.t", "projects.p.tables.", "generic.blob"] {
            assert_eq!(table(&head(text)).unwrap_err().status, 400, "{text}");
        }
        assert_eq!(instance(&head("projects.p.instances.i1")).unwrap(), ("p".into(), "i1".into()));
        assert_eq!(instance(&head("projects.p.schemas.default.instances.i1")).unwrap().0, "p");
        assert!(blob(&head("generic.blob")).is_ok() && blob(&head("projects.p.tables.t")).is_err());
    }
}
