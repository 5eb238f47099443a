//! The XML document that creates an instance (account-routing-metadata.md 3.6.1).

use serde::Deserialize;

use crate::catalog::Job;
use crate::error::ApiError;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct InstanceDocument {
    job: JobDocument,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct JobDocument {
    #[serde(default)]
    name: String,
    #[serde(default)]
    comment: String,
    #[serde(default)]
    priority: Option<i64>,
    #[serde(default)]
    guid: String,
    tasks: Tasks,
}

#[derive(Deserialize)]
struct Tasks {
    #[serde(rename = "SQL", default)]
    sql: Vec<Task>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Task {
    #[serde(default)]
    name: String,
    #[serde(default)]
    config: Config,
    query: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Config {
    #[serde(default)]
    property: Vec<Property>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Property {
    name: String,
    #[serde(default)]
    value: String,
}

/// Reads a job, and the id under which a repeated request finds its instance.
pub fn parse(body: &[u8]) -> Result<(Job, String), ApiError> {
    let bad =
        |why: String| ApiError::new(400, "InvalidParameter", format!("ODPS-0420061:Invalid job description - {why}"));
    let text = std::str::from_utf8(body).map_err(|_| bad("it is not UTF-8".into()))?;
    let document: InstanceDocument = quick_xml::de::from_str(text).map_err(|error| bad(error.to_string()))?;
    let JobDocument { name, comment, priority, guid, tasks } = document.job;
    let mut tasks = tasks.sql.into_iter();
    let (Some(task), None) = (tasks.next(), tasks.next()) else {
        return Err(ApiError::not_implemented("this server runs jobs of exactly one SQL task"));
    };
    let properties: Vec<(String, String)> =
        task.config.property.into_iter().map(|property| (property.name, property.value)).collect();
    let own = properties.iter().find(|(name, _)| name == "uuid").map(|(_, value)| value.clone());
    let task_name = if task.name.is_empty() { "AnonymousSQLTask".to_string() } else { task.name };
    let job = Job { name, comment, priority: priority.unwrap_or(9), task: task_name, query: task.query, properties };
    Ok((job, own.unwrap_or(guid)))
}

/// The hints of a job: its property `settings`, a JSON object.
pub fn settings(job: &Job) -> Vec<(String, String)> {
    let text = job.properties.iter().find(|(name, _)| name == "settings").map(|(_, value)| value.as_str());
    let values: serde_json::Map<String, serde_json::Value> =
        text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    let plain = |value: serde_json::Value| match value {
        serde_json::Value::String(text) => text,
        other => other.to_string(),
    };
    values.into_iter().map(|(key, value)| (key, plain(value))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_of_both_clients_are_read() {
        let python = r#"<?xml version="1.0" encoding="utf-8"?>
<Instance><Job><Priority>9</Priority><Tasks><SQL><Name>AnonymousSQLTask</Name><Config>
<Property><Name>settings</Name><Value>{"odps.default.schema": "s1", "n": 1}</Value></Property>
<Property><Name>uuid</Name><Value>9a4e</Value></Property></Config>
<Query><![CDATA[select id from orders where name < 'x' and a & b;]]></Query></SQL></Tasks>
<DAG><RunMode>Sequence</RunMode></DAG></Job></Instance>"#;
        let (job, repeat) = parse(python.as_bytes()).unwrap();
        assert_eq!((job.task.as_str(), repeat.as_str(), job.priority), ("AnonymousSQLTask", "9a4e", 9));
        assert_eq!(job.query, "select id from orders where name < 'x' and a & b;");
        assert_eq!(settings(&job), [("n".to_string(), "1".to_string()), ("odps.default.schema".into(), "s1".into())]);
        let java = r#"<Instance><Job><Name>n</Name><Guid>g</Guid><Tasks><SQL><Name>T</Name>
<Query>select 1 where a &lt; 2 &amp;&amp; b;</Query></SQL></Tasks></Job></Instance>"#;
        let (job, repeat) = parse(java.as_bytes()).unwrap();
        assert_eq!((job.query.as_str(), repeat.as_str()), ("select 1 where a < 2 && b;", "g"));
        assert_eq!(parse(b"<Instance>").unwrap_err().status, 400);
        assert_eq!(parse(b"<Instance><Job><Tasks><XFlow/></Tasks></Job></Instance>").unwrap_err().status, 501);
    }
}
