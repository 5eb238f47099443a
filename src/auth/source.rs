//! Where credentials come from, as the options say it.

use std::path::PathBuf;

use zeroize::Zeroizing;

use super::credentials::sendable;
use super::sts::Role;
use super::{App, checked, command};
use crate::error::{Error, Kind, Result};
use crate::options::{self, Grant, Key, Options, Provider, Who};

/// How the metadata service of the machine is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    /// Its address.
    pub endpoint: String,
    /// The role; asked for if it is not known.
    pub role: Option<String>,
    /// Never ask without a session token.
    pub token_required: bool,
}

/// Where profiles are looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProfilePlace {
    /// Files in the order in which they are tried.
    pub files: Vec<PathBuf>,
    /// Name; empty for the current one.
    pub name: String,
    /// For profiles of type `ecs_ram_role`.
    pub metadata: Metadata,
}

/// A source of credentials.
#[derive(Clone)]
pub enum Source {
    /// Always the same.
    Fixed(Grant),
    /// A profile in a file.
    Profile(ProfilePlace),
    /// The metadata service.
    EcsRamRole(Metadata),
    /// A role that the other source's credentials assume.
    RamRole(Box<(Source, Role)>),
    /// A role that an OpenID Connect token assumes.
    Oidc {
        /// The role.
        role: Role,
        /// Who made the token.
        provider_arn: String,
        /// Where the token is.
        token_file: PathBuf,
    },
    /// What a program prints: its name and arguments.
    Process(Vec<String>),
    /// What a GET of this URL answers.
    Uri(Zeroizing<String>),
    /// What a function of the host supplies.
    Provider(Provider),
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Source::Fixed(grant) => f.debug_tuple("Fixed").field(grant).finish(),
            Source::Profile(place) => f.debug_tuple("Profile").field(&place.name).finish(),
            Source::EcsRamRole(metadata) => f.debug_tuple("EcsRamRole").field(metadata).finish(),
            Source::RamRole(both) => f.debug_tuple("RamRole").field(&both.0).field(&both.1.arn).finish(),
            Source::Oidc { role, .. } => f.debug_tuple("Oidc").field(&role.arn).finish(),
            // Its arguments may hold a password.
            Source::Process(words) => f.debug_tuple("Process").field(&words.first()).finish(),
            // So may its query.
            Source::Uri(_) => f.write_str("Uri"),
            Source::Provider(_) => f.write_str("Provider"),
        }
    }
}

impl PartialEq for Source {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Source::Fixed(a), Source::Fixed(b)) => a == b,
            (Source::Profile(a), Source::Profile(b)) => a == b,
            (Source::EcsRamRole(a), Source::EcsRamRole(b)) => a == b,
            (Source::RamRole(a), Source::RamRole(b)) => a == b,
            (
                Source::Oidc { role: r1, provider_arn: p1, token_file: f1 },
                Source::Oidc { role: r2, provider_arn: p2, token_file: f2 },
            ) => (r1, p1, f1) == (r2, p2, f2),
            (Source::Process(a), Source::Process(b)) => a == b,
            (Source::Uri(a), Source::Uri(b)) => a == b,
            _ => false,
        }
    }
}

/// The endpoint of the Security Token Service for a region.
pub(super) fn sts_endpoint(region: Option<&str>) -> String {
    match region {
        Some(region) => format!("https://sts.{region}.aliyuncs.com"),
        None => "https://sts.aliyuncs.com".to_owned(),
    }
}

/// Reads the identity options. `variable` looks up environment variables and is called only if the options ask for it.
pub fn source(options: &Options, variable: impl Fn(&str) -> Option<String>) -> Result<Source> {
    if let Some(provider) = options.provider() {
        if options.is_set(&options::CREDENTIALS) || names_caller(options) {
            let message = "a credentials provider is set, and options that name credentials as well; use one of them";
            return Err(Error::new(Kind::InvalidOption, message));
        }
        return Ok(Source::Provider(provider.clone()));
    }
    named(options.text(&options::CREDENTIALS).unwrap_or_default(), options, &variable)
}

/// Reads the application account.
pub fn app(options: &Options) -> Result<Option<App>> {
    let Some((id, secret)) = pair(options, &options::APP_ID, &options::APP_SECRET)? else { return Ok(None) };
    sendable(options::APP_ID.name, &id)?;
    Ok(Some(App { id, secret }))
}

fn named(name: &str, options: &Options, variable: &impl Fn(&str) -> Option<String>) -> Result<Source> {
    match name {
        "environment" => {
            let mut options = options.clone();
            options.load_environment(variable)?;
            let by_token = [&options::ROLE_ARN, &options::OIDC_PROVIDER_ARN, &options::OIDC_TOKEN_FILE];
            if !names_caller(&options) && by_token.into_iter().all(|key| options.is_set(key)) {
                return oidc(&options);
            }
            if !names_caller(&options) && options.is_set(&options::CREDENTIALS_URI) {
                return uri(&options);
            }
            fixed(&options)
        }
        "profile" => {
            let mut options = options.clone();
            options.load_environment(variable)?;
            Ok(Source::Profile(profile(&options, variable)?))
        }
        "ecs_ram_role" => Ok(Source::EcsRamRole(metadata(options)?)),
        "ram_role_arn" => {
            let base = named(options.text(&options::ROLE_SOURCE).unwrap_or_default(), options, variable)?;
            Ok(Source::RamRole(Box::new((base, role(options)?))))
        }
        "oidc" => oidc(options),
        "process" => Ok(Source::Process(command::words(options.required(&options::CREDENTIALS_PROCESS)?)?)),
        "uri" => uri(options),
        _ => fixed(options),
    }
}

fn names_caller(options: &Options) -> bool {
    let keys = [&options::ACCESS_KEY_ID, &options::ACCESS_KEY_SECRET, &options::SECURITY_TOKEN, &options::BEARER_TOKEN];
    keys.into_iter().any(|key| options.is_set(key))
}

fn fixed(options: &Options) -> Result<Source> {
    let key = pair(options, &options::ACCESS_KEY_ID, &options::ACCESS_KEY_SECRET)?;
    let token = options.text(&options::SECURITY_TOKEN).map(|token| Zeroizing::new(token.to_owned()));
    let who = match (key, options.text(&options::BEARER_TOKEN)) {
        (Some((id, secret)), None) => Who::Key { id, secret, token },
        (None, Some(bearer)) if token.is_none() => Who::Bearer(Zeroizing::new(bearer.to_owned())),
        (None, None) => {
            return Err(Error::new(
                Kind::InvalidOption,
                "no credentials: set access_key_id and access_key_secret, or credentials=environment with \
                 ALIBABA_CLOUD_ACCESS_KEY_ID and ALIBABA_CLOUD_ACCESS_KEY_SECRET, or another source (docs/identity.md)",
            ));
        }
        _ => {
            return Err(Error::new(Kind::InvalidOption, "bearer_token and an AccessKey are both set; use one of them"));
        }
    };
    Ok(Source::Fixed(checked(Grant { who, expires: None })?))
}

fn metadata(options: &Options) -> Result<Metadata> {
    Ok(Metadata {
        endpoint: options.required(&options::ECS_METADATA_ENDPOINT)?.trim_end_matches('/').to_owned(),
        role: options.text(&options::ECS_ROLE_NAME).map(str::to_owned),
        token_required: options.flag(&options::ECS_TOKEN_REQUIRED),
    })
}

fn role(options: &Options) -> Result<Role> {
    let text = |key: &Key| options.text(key).map(str::to_owned);
    Ok(Role {
        endpoint: text(&options::STS_ENDPOINT).unwrap_or_else(|| sts_endpoint(options.text(&options::REGION))),
        arn: options.required(&options::ROLE_ARN)?.to_owned(),
        session_name: text(&options::ROLE_SESSION_NAME).unwrap_or_default(),
        seconds: options.number(&options::ROLE_DURATION_SECONDS),
        policy: text(&options::ROLE_POLICY),
        external_id: text(&options::ROLE_EXTERNAL_ID),
    })
}

fn oidc(options: &Options) -> Result<Source> {
    Ok(Source::Oidc {
        role: role(options)?,
        provider_arn: options.required(&options::OIDC_PROVIDER_ARN)?.to_owned(),
        token_file: options.required(&options::OIDC_TOKEN_FILE)?.into(),
    })
}

fn uri(options: &Options) -> Result<Source> {
    Ok(Source::Uri(Zeroizing::new(options.required(&options::CREDENTIALS_URI)?.to_owned())))
}

fn profile(options: &Options, variable: &impl Fn(&str) -> Option<String>) -> Result<ProfilePlace> {
    let files = match options.text(&options::CREDENTIALS_FILE) {
        Some(file) => vec![file.into()],
        None => {
            let home = variable("HOME").filter(|home| !home.is_empty()).ok_or_else(|| {
                Error::new(Kind::InvalidOption, "HOME is not set, so option credentials.file is required")
            })?;
            [".aliyun/config.json", ".alibabacloud/credentials", ".alibabacloud/credentials.ini"]
                .map(|file| PathBuf::from(&home).join(file))
                .to_vec()
        }
    };
    let name = options.text(&options::CREDENTIALS_PROFILE).unwrap_or_default().to_owned();
    Ok(ProfilePlace { files, name, metadata: metadata(options)? })
}

fn pair(options: &Options, id: &Key, secret: &Key) -> Result<Option<(String, Zeroizing<String>)>> {
    match (options.text(id), options.text(secret)) {
        (Some(id), Some(secret)) => Ok(Some((id.to_owned(), Zeroizing::new(secret.to_owned())))),
        (None, None) => Ok(None),
        _ => Err(Error::new(Kind::InvalidOption, format!("options {} and {} belong together", id.name, secret.name))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(pairs: &[(&str, &str)]) -> Options {
        let mut options = Options::new();
        for (key, value) in pairs {
            options.set(key, value).unwrap();
        }
        options
    }

    fn only(names: &'static [&'static str]) -> impl Fn(&str) -> Option<String> {
        move |name| names.contains(&name).then(|| format!("value-of-{name}"))
    }

    #[test]
    fn environment_is_read_only_when_asked() {
        let all = |name: &str| Some(format!("value-of-{name}"));
        assert_eq!(source(&options(&[]), all).unwrap_err().kind(), Kind::InvalidOption);
        match source(&options(&[("credentials", "environment")]), all).unwrap() {
            Source::Fixed(Grant { who: Who::Key { id, .. }, .. }) => assert_eq!(id, "value-of-ODPS_STS_ACCESS_KEY_ID"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn environment_without_keys_takes_the_bearer_token_or_the_oidc_role_or_the_uri() {
        let asked = options(&[("credentials", "environment")]);
        let bearer = source(&asked, only(&["ODPS_BEARER_TOKEN"])).unwrap();
        assert!(matches!(bearer, Source::Fixed(Grant { who: Who::Bearer(_), .. })), "{bearer:?}");
        let role = ["ALIBABA_CLOUD_ROLE_ARN", "ALIBABA_CLOUD_OIDC_PROVIDER_ARN", "ALIBABA_CLOUD_OIDC_TOKEN_FILE"];
        match source(&asked, move |name| role.contains(&name).then(|| name.to_owned())).unwrap() {
            Source::Oidc { role, provider_arn, token_file } => {
                assert_eq!(role.arn, "ALIBABA_CLOUD_ROLE_ARN");
                assert_eq!(provider_arn, "ALIBABA_CLOUD_OIDC_PROVIDER_ARN");
                assert_eq!(token_file, PathBuf::from("ALIBABA_CLOUD_OIDC_TOKEN_FILE"));
            }
            other => panic!("{other:?}"),
        }
        assert!(source(&asked, |name| (name == role[0]).then(|| name.to_owned())).is_err());
        let uri = |name: &str| name == "ALIBABA_CLOUD_CREDENTIALS_URI";
        let alone = source(&asked, move |name| uri(name).then(|| "http://h/c".to_owned())).unwrap();
        assert_eq!(alone, Source::Uri(Zeroizing::new("http://h/c".into())));
        let both = source(&asked, move |name| (uri(name) || role.contains(&name)).then(|| name.to_owned())).unwrap();
        assert!(matches!(both, Source::Oidc { .. }), "the role goes before it, as in the SDKs: {both:?}");
    }

    #[test]
    fn half_a_pair_or_two_callers_are_refused() {
        for pairs in [
            &[("access_key_id", "a")][..],
            &[("access_key_id", "a"), ("access_key_secret", "b"), ("bearer_token", "c")],
            &[("bearer_token", "c"), ("security_token", "d")],
            &[("bearer_token", "with blank")],
            &[("credentials", "ram_role_arn"), ("access_key_id", "a"), ("access_key_secret", "b")],
            &[("credentials", "oidc"), ("role.arn", "a")],
            &[("credentials", "process")],
            &[("credentials", "process"), ("credentials.process", "'")],
            &[("credentials", "profile")],
            &[("credentials", "uri")],
        ] {
            assert_eq!(source(&options(pairs), |_| None).unwrap_err().kind(), Kind::InvalidOption, "{pairs:?}");
        }
        assert_eq!(app(&options(&[("app.id", "c")])).unwrap_err().kind(), Kind::InvalidOption);
    }

    #[test]
    fn a_provider_stands_alone() {
        let mut with_key = options(&[("access_key_id", "a"), ("access_key_secret", "b")]);
        let provider = Provider::new(|| Err(Error::new(Kind::Unavailable, "x")));
        with_key.set_provider(Some(provider.clone()));
        assert_eq!(source(&with_key, |_| None).unwrap_err().kind(), Kind::InvalidOption);
        let mut alone = options(&[]);
        alone.set_provider(Some(provider));
        assert!(matches!(source(&alone, |_| None).unwrap(), Source::Provider(_)));
    }

    #[test]
    fn debug_shows_no_secret() {
        let all = options(&[("access_key_id", "a"), ("access_key_secret", "CANARY1"), ("security_token", "CANARY2")]);
        assert!(!format!("{:?}", source(&all, |_| None).unwrap()).contains("CANARY"));
        let process = options(&[("credentials", "process"), ("credentials.process", "prog CANARY")]);
        assert!(!format!("{:?}", source(&process, |_| None).unwrap()).contains("CANARY"));
        let uri = options(&[("credentials", "uri"), ("credentials.uri", "http://h/?key=CANARY")]);
        assert!(!format!("{:?}", source(&uri, |_| None).unwrap()).contains("CANARY"));
    }
}
