//! Which variables of the MaxCompute SDKs fill which keys. The library reads them only when it is asked to.

use super::{
    ACCESS_KEY_ID, ACCESS_KEY_SECRET, BEARER_TOKEN, CREDENTIALS_FILE, CREDENTIALS_PROFILE, CREDENTIALS_URI,
    DATA_ENDPOINT, ECS_ROLE_NAME, ENDPOINT, Key, OIDC_PROVIDER_ARN, OIDC_TOKEN_FILE, Options, PROJECT, QUOTA, REGION,
    ROLE_ARN, ROLE_SESSION_NAME, SECURITY_TOKEN,
};
use zeroize::Zeroizing;

use crate::error::Result;

/// The three values that name a caller belong together: a set is used only if its first two variables exist.
const CREDENTIALS: &[[&str; 3]] = &[
    ["ODPS_STS_ACCESS_KEY_ID", "ODPS_STS_ACCESS_KEY_SECRET", "ODPS_STS_TOKEN"],
    ["ALIBABA_CLOUD_ACCESS_KEY_ID", "ALIBABA_CLOUD_ACCESS_KEY_SECRET", "ALIBABA_CLOUD_SECURITY_TOKEN"],
];

/// Used if there is no AccessKey.
const BEARER: &str = "ODPS_BEARER_TOKEN";

static PLACES: &[(&str, &Key)] = &[
    ("ODPS_ENDPOINT", &ENDPOINT),
    ("ODPS_TUNNEL_ENDPOINT", &DATA_ENDPOINT),
    ("ODPS_PROJECT_NAME", &PROJECT),
    ("ODPS_REGION_NAME", &REGION),
    ("QUOTA_NAME", &QUOTA),
    ("ALIBABA_CLOUD_PROFILE", &CREDENTIALS_PROFILE),
    ("ALIBABA_CLOUD_CREDENTIALS_FILE", &CREDENTIALS_FILE),
    ("ALIBABA_CLOUD_ECS_METADATA", &ECS_ROLE_NAME),
    ("ALIBABA_CLOUD_ROLE_ARN", &ROLE_ARN),
    ("ALIBABA_CLOUD_ROLE_SESSION_NAME", &ROLE_SESSION_NAME),
    ("ALIBABA_CLOUD_OIDC_PROVIDER_ARN", &OIDC_PROVIDER_ARN),
    ("ALIBABA_CLOUD_OIDC_TOKEN_FILE", &OIDC_TOKEN_FILE),
    ("ALIBABA_CLOUD_CREDENTIALS_URI", &CREDENTIALS_URI),
];

/// Every variable that is looked up, with the key it fills, in order of precedence.
pub static VARIABLES: &[(&str, &Key)] = &[
    ("ODPS_STS_ACCESS_KEY_ID", &ACCESS_KEY_ID),
    ("ODPS_STS_ACCESS_KEY_SECRET", &ACCESS_KEY_SECRET),
    ("ODPS_STS_TOKEN", &SECURITY_TOKEN),
    ("ALIBABA_CLOUD_ACCESS_KEY_ID", &ACCESS_KEY_ID),
    ("ALIBABA_CLOUD_ACCESS_KEY_SECRET", &ACCESS_KEY_SECRET),
    ("ALIBABA_CLOUD_SECURITY_TOKEN", &SECURITY_TOKEN),
    (BEARER, &BEARER_TOKEN),
    ("ODPS_ENDPOINT", &ENDPOINT),
    ("ODPS_TUNNEL_ENDPOINT", &DATA_ENDPOINT),
    ("ODPS_PROJECT_NAME", &PROJECT),
    ("ODPS_REGION_NAME", &REGION),
    ("QUOTA_NAME", &QUOTA),
    ("ALIBABA_CLOUD_PROFILE", &CREDENTIALS_PROFILE),
    ("ALIBABA_CLOUD_CREDENTIALS_FILE", &CREDENTIALS_FILE),
    ("ALIBABA_CLOUD_ECS_METADATA", &ECS_ROLE_NAME),
    ("ALIBABA_CLOUD_ROLE_ARN", &ROLE_ARN),
    ("ALIBABA_CLOUD_ROLE_SESSION_NAME", &ROLE_SESSION_NAME),
    ("ALIBABA_CLOUD_OIDC_PROVIDER_ARN", &OIDC_PROVIDER_ARN),
    ("ALIBABA_CLOUD_OIDC_TOKEN_FILE", &OIDC_TOKEN_FILE),
    ("ALIBABA_CLOUD_CREDENTIALS_URI", &CREDENTIALS_URI),
];

pub(super) fn load(options: &mut Options, read: impl Fn(&str) -> Option<String>) -> Result<()> {
    let read = |variable: &str| read(variable).map(Zeroizing::new).filter(|value| !value.is_empty());
    let names_caller = |options: &Options| {
        [&ACCESS_KEY_ID, &ACCESS_KEY_SECRET, &SECURITY_TOKEN, &BEARER_TOKEN].iter().any(|key| options.is_set(key))
    };
    for [id, secret, token] in CREDENTIALS {
        if let (false, Some(id), Some(secret)) = (names_caller(options), read(id), read(secret)) {
            options.set(ACCESS_KEY_ID.name, &id)?;
            options.set(ACCESS_KEY_SECRET.name, &secret)?;
            options.set(SECURITY_TOKEN.name, read(token).as_deref().map_or("", String::as_str))?;
        }
    }
    if let (false, Some(token)) = (names_caller(options), read(BEARER)) {
        options.set(BEARER_TOKEN.name, &token)?;
    }
    for (variable, key) in PLACES {
        if let (false, Some(value)) = (options.is_set(key), read(variable)) {
            options.set(key.name, &value).map_err(|error| error.context(format!("environment variable {variable}")))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(pairs: &'static [(&'static str, &'static str)]) -> impl Fn(&str) -> Option<String> {
        move |name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
    }

    #[test]
    fn explicit_values_win_and_a_credential_set_is_taken_whole() {
        let mut options = Options::new();
        options.set("project", "mine").unwrap();
        options
            .load_environment(from(&[
                ("ODPS_PROJECT_NAME", "theirs"),
                ("ODPS_STS_TOKEN", "lonely token"),
                ("ALIBABA_CLOUD_ACCESS_KEY_ID", "id"),
                ("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "secret"),
            ]))
            .unwrap();
        assert_eq!(options.text(&PROJECT), Some("mine"));
        assert_eq!(options.text(&ACCESS_KEY_ID), Some("id"));
        assert_eq!(options.text(&SECURITY_TOKEN), None);
    }

    #[test]
    fn an_explicit_key_is_never_mixed_with_a_secret_from_the_environment() {
        let mut options = Options::new();
        options.set("access_key_id", "mine").unwrap();
        options
            .load_environment(from(&[
                ("ALIBABA_CLOUD_ACCESS_KEY_ID", "id"),
                ("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "secret"),
            ]))
            .unwrap();
        assert_eq!(options.text(&ACCESS_KEY_SECRET), None);
        let mut options = Options::new();
        options.set("security_token", "mine").unwrap();
        options
            .load_environment(from(&[
                ("ALIBABA_CLOUD_ACCESS_KEY_ID", "id"),
                ("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "secret"),
            ]))
            .unwrap();
        assert_eq!((options.text(&SECURITY_TOKEN), options.text(&ACCESS_KEY_ID)), (Some("mine"), None));
    }

    #[test]
    fn the_published_list_is_the_one_that_is_read() {
        let read: Vec<&str> = CREDENTIALS
            .iter()
            .flatten()
            .copied()
            .chain([BEARER])
            .chain(PLACES.iter().map(|(variable, _)| *variable))
            .collect();
        assert_eq!(VARIABLES.iter().map(|(variable, _)| *variable).collect::<Vec<_>>(), read);
    }
}
