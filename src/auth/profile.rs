//! Profiles as the Alibaba Cloud SDKs and their command line tool keep them. No I/O: text in, source out.

use serde::Deserialize;
use zeroize::Zeroizing;

use super::answer::wiped;
use super::sts::Role;
use super::{Metadata, Source, checked, command, sts_endpoint};
use crate::error::{Error, Kind, Result};
use crate::options::{Grant, Who};

/// The settings of one profile, in the names of both kinds of file.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Profile {
    name: String,
    /// `type` in the INI file.
    #[serde(alias = "type")]
    mode: String,
    access_key_id: String,
    #[serde(deserialize_with = "wiped")]
    access_key_secret: Zeroizing<String>,
    #[serde(alias = "security_token", deserialize_with = "wiped")]
    sts_token: Zeroizing<String>,
    #[serde(deserialize_with = "wiped")]
    bearer_token: Zeroizing<String>,
    #[serde(alias = "role_name")]
    ram_role_name: String,
    #[serde(alias = "role_arn")]
    ram_role_arn: String,
    #[serde(alias = "role_session_name")]
    ram_session_name: String,
    #[serde(alias = "role_session_expiration")]
    expired_seconds: u64,
    policy: String,
    external_id: String,
    sts_region: String,
    sts_endpoint: String,
    source_profile: String,
    #[serde(deserialize_with = "wiped")]
    process_command: Zeroizing<String>,
    #[serde(deserialize_with = "wiped")]
    credentials_uri: Zeroizing<String>,
    oidc_provider_arn: String,
    #[serde(alias = "oidc_token_file_path")]
    oidc_token_file: String,
}

/// The file of the command line tool.
#[derive(Deserialize)]
struct ToolFile {
    #[serde(default)]
    current: String,
    #[serde(default)]
    profiles: Vec<Profile>,
}

/// How often one profile may point to the next.
const MAX_CHAIN: usize = 5;

/// Finds a profile in a file of either kind; `None` if it has none of that name. An empty name is the current one of the tool's file
/// and `default` elsewhere. `metadata` says how the metadata service is reached.
pub fn find(text: &str, name: &str, metadata: &Metadata) -> Result<Option<Source>> {
    let (profiles, current) =
        if text.trim_start().starts_with('{') { tool_file(text)? } else { (ini(text), String::new()) };
    let current = if current.is_empty() { "default".to_owned() } else { current };
    let name = if name.is_empty() { current.as_str() } else { name };
    if !profiles.iter().any(|profile| profile.name == name) {
        return Ok(None);
    }
    source(&profiles, name, metadata, MAX_CHAIN).map(Some)
}

fn tool_file(text: &str) -> Result<(Vec<Profile>, String)> {
    let file: ToolFile = serde_json::from_str(text).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        Error::new(
            Kind::InvalidOption,
            format!("it is not a file of the command line tool (line {line}, column {column})"),
        )
    })?;
    Ok((file.profiles, file.current))
}

/// Reads `[section]` and `key = value`; `#` and `;` begin comments.
fn ini(text: &str) -> Vec<Profile> {
    let mut profiles = Vec::new();
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            profiles.push(Profile { name: name.trim().to_owned(), ..Profile::default() });
        } else if let (Some(profile), Some((key, value)), false) =
            (profiles.last_mut(), line.split_once('='), line.starts_with(['#', ';']))
        {
            profile.set(key.trim(), value.trim());
        }
    }
    profiles
}

impl Profile {
    fn set(&mut self, key: &str, value: &str) {
        let place: &mut String = match key {
            "type" => &mut self.mode,
            "access_key_id" => &mut self.access_key_id,
            "access_key_secret" => &mut self.access_key_secret,
            "security_token" | "sts_token" => &mut self.sts_token,
            "bearer_token" => &mut self.bearer_token,
            "role_name" => &mut self.ram_role_name,
            "role_arn" => &mut self.ram_role_arn,
            "role_session_name" => &mut self.ram_session_name,
            "policy" => &mut self.policy,
            "external_id" => &mut self.external_id,
            "sts_endpoint" => &mut self.sts_endpoint,
            "credentials_uri" => &mut self.credentials_uri,
            "oidc_provider_arn" => &mut self.oidc_provider_arn,
            "oidc_token_file_path" => &mut self.oidc_token_file,
            "role_session_expiration" => {
                self.expired_seconds = value.parse().unwrap_or_default();
                return;
            }
            // A file may hold settings of other programs.
            _ => return,
        };
        value.clone_into(place);
    }

    fn key(&self) -> Result<Source> {
        let who = Who::Key {
            id: self.access_key_id.clone(),
            secret: self.access_key_secret.clone(),
            token: Some(self.sts_token.clone()).filter(|token| !token.is_empty()),
        };
        Ok(Source::Fixed(checked(Grant { who, expires: None })?))
    }

    fn role(&self) -> Result<Role> {
        let text = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        Ok(Role {
            endpoint: text(&self.sts_endpoint).unwrap_or_else(|| sts_endpoint(text(&self.sts_region).as_deref())),
            arn: text(&self.ram_role_arn).ok_or_else(|| lacks("a role ARN"))?,
            session_name: text(&self.ram_session_name).unwrap_or_else(|| "maxstorage".to_owned()),
            seconds: if self.expired_seconds == 0 { 3600 } else { self.expired_seconds },
            policy: text(&self.policy),
            external_id: text(&self.external_id),
        })
    }
}

fn source(profiles: &[Profile], name: &str, metadata: &Metadata, left: usize) -> Result<Source> {
    let profile = profiles.iter().find(|profile| profile.name == name);
    let profile = profile.ok_or_else(|| Error::new(Kind::InvalidOption, format!("there is no profile {name}")))?;
    let machine = || {
        let role = Some(profile.ram_role_name.clone()).filter(|name| !name.is_empty());
        Source::EcsRamRole(Metadata { role, ..metadata.clone() })
    };
    match profile.mode.as_str() {
        "" | "AK" | "StsToken" | "access_key" | "sts" => profile.key(),
        "bearer" | "BearerToken" => {
            let who = Who::Bearer(profile.bearer_token.clone());
            Ok(Source::Fixed(checked(Grant { who, expires: None })?))
        }
        "EcsRamRole" | "ecs_ram_role" => Ok(machine()),
        "RamRoleArn" | "ram_role_arn" => Ok(Source::RamRole(Box::new((profile.key()?, profile.role()?)))),
        "RamRoleArnWithEcs" => Ok(Source::RamRole(Box::new((machine(), profile.role()?)))),
        "ChainableRamRoleArn" => {
            if left == 0 {
                return Err(Error::new(
                    Kind::InvalidOption,
                    format!("more than {MAX_CHAIN} profiles point to each other"),
                ));
            }
            let base = source(profiles, &profile.source_profile, metadata, left - 1)?;
            Ok(Source::RamRole(Box::new((base, profile.role()?))))
        }
        "OIDC" | "oidc_role_arn" => {
            let filled = |text: &String, what| if text.is_empty() { Err(lacks(what)) } else { Ok(text.clone()) };
            Ok(Source::Oidc {
                role: profile.role()?,
                provider_arn: filled(&profile.oidc_provider_arn, "an OIDC provider ARN")?,
                token_file: filled(&profile.oidc_token_file, "an OIDC token file")?.into(),
            })
        }
        "External" => Ok(Source::Process(command::words(&profile.process_command)?)),
        "CredentialsURI" | "credentials_uri" if profile.credentials_uri.is_empty() => Err(lacks("a credentials URI")),
        "CredentialsURI" | "credentials_uri" => Ok(Source::Uri(profile.credentials_uri.clone())),
        other => {
            Err(Error::new(Kind::Unsupported, format!("profile {name} is of type {other}, which is not supported")))
        }
    }
}

fn lacks(what: &str) -> Error {
    Error::new(Kind::InvalidOption, format!("the profile lacks {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata() -> Metadata {
        Metadata { endpoint: "http://m".into(), role: None, token_required: true }
    }

    fn found(text: &str, name: &str) -> Result<Option<Source>> {
        find(text, name, &metadata())
    }

    fn id(source: &Source) -> (&str, Option<&str>) {
        match source {
            Source::Fixed(Grant { who: Who::Key { id, token, .. }, .. }) => {
                (id, token.as_ref().map(|token| token.as_str()))
            }
            other => panic!("{other:?}"),
        }
    }

    const INI: &str = "
        # comment
        [default]
        type = access_key
        access_key_id = ida
        access_key_secret = sec=ret

        ; access_key_id = no
        [sts]
        type=sts
        access_key_id=idb
        access_key_secret=s
        security_token=t
        region_id = cn-x
        [ecs]
        type = ecs_ram_role
        role_name = r
        [role]
        type = ram_role_arn
        access_key_id = idc
        access_key_secret = s
        role_arn = acs:ram::1:role/r
        role_session_name = session
        role_session_expiration = 1000
        [oidc]
        type = oidc_role_arn
        role_arn = a
        oidc_provider_arn = p
        oidc_token_file_path = /f
        [strange]
        type = rsa_key_pair
    ";

    #[test]
    fn sections_of_the_sdks_file() {
        assert_eq!(id(&found(INI, "").unwrap().unwrap()), ("ida", None));
        assert_eq!(id(&found(INI, "sts").unwrap().unwrap()), ("idb", Some("t")));
        assert_eq!(
            found(INI, "ecs").unwrap(),
            Some(Source::EcsRamRole(Metadata { role: Some("r".into()), ..metadata() }))
        );
        match found(INI, "role").unwrap().unwrap() {
            Source::RamRole(both) => {
                assert_eq!(id(&both.0).0, "idc");
                assert_eq!((both.1.session_name.as_str(), both.1.seconds), ("session", 1000));
                assert_eq!(both.1.endpoint, "https://sts.aliyuncs.com");
            }
            other => panic!("{other:?}"),
        }
        assert!(matches!(found(INI, "oidc").unwrap(), Some(Source::Oidc { .. })));
        assert_eq!(found(INI, "strange").unwrap_err().kind(), Kind::Unsupported);
        assert_eq!(found(INI, "absent").unwrap(), None);
    }

    const TOOL: &str = r#"{"current":"b","meta_path":"","profiles":[
        {"name":"a","mode":"AK","access_key_id":"ida","access_key_secret":"s","expired_seconds":0,"retry_timeout":10},
        {"name":"b","mode":"StsToken","access_key_id":"idb","access_key_secret":"s","sts_token":"t"},
        {"name":"c","mode":"ChainableRamRoleArn","source_profile":"a","ram_role_arn":"r1","sts_region":"cn-x"},
        {"name":"d","mode":"External","process_command":"prog 'a b'"},
        {"name":"u","mode":"CredentialsURI","credentials_uri":"http://h/c"},
        {"name":"v","mode":"CredentialsURI"},
        {"name":"loop","mode":"ChainableRamRoleArn","source_profile":"loop","ram_role_arn":"r"},
        {"name":"bad","mode":"AK","access_key_id":"CANARY"}]}"#;

    #[test]
    fn profiles_of_the_command_line_tool() {
        assert_eq!(id(&found(TOOL, "").unwrap().unwrap()), ("idb", Some("t")));
        match found(TOOL, "c").unwrap().unwrap() {
            Source::RamRole(both) => {
                assert_eq!((id(&both.0).0, both.1.endpoint.as_str()), ("ida", "https://sts.cn-x.aliyuncs.com"));
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(found(TOOL, "d").unwrap(), Some(Source::Process(vec!["prog".into(), "a b".into()])));
        assert_eq!(found(TOOL, "u").unwrap(), Some(Source::Uri(Zeroizing::new("http://h/c".into()))));
        for (text, name) in [
            (TOOL, "loop"),
            (TOOL, "bad"),
            (TOOL, "v"),
            ("{\"profiles\":[{\"access_key_secret\":7,\"CANARY\":1}]}", ""),
        ] {
            let error = found(text, name).unwrap_err();
            assert_eq!(error.kind(), Kind::InvalidOption);
            assert!(!error.message().contains("CANARY"), "{error}");
        }
    }
}
