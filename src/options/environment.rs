//! Which variables of the MaxCompute SDKs fill which keys. The library reads them only when it is asked to.

use super::{
    ACCESS_KEY_ID, ACCESS_KEY_SECRET, DATA_ENDPOINT, ENDPOINT, Key, Options, PROJECT, QUOTA, REGION, SECURITY_TOKEN,
};
use crate::error::Result;

/// The three values that name a caller belong together: a set is used only if its first two variables exist.
const CREDENTIALS: &[[&str; 3]] = &[
    ["ODPS_STS_ACCESS_KEY_ID", "ODPS_STS_ACCESS_KEY_SECRET", "ODPS_STS_TOKEN"],
    ["ALIBABA_CLOUD_ACCESS_KEY_ID", "ALIBABA_CLOUD_ACCESS_KEY_SECRET", "ALIBABA_CLOUD_SECURITY_TOKEN"],
];

static PLACES: &[(&str, &Key)] = &[
    ("ODPS_ENDPOINT", &ENDPOINT),
    ("ODPS_TUNNEL_ENDPOINT", &DATA_ENDPOINT),
    ("ODPS_PROJECT_NAME", &PROJECT),
    ("ODPS_REGION_NAME", &REGION),
    ("QUOTA_NAME", &QUOTA),
];

/// Every variable that is looked up, with the key it fills, in order of precedence.
pub static VARIABLES: &[(&str, &Key)] = &[
    ("ODPS_STS_ACCESS_KEY_ID", &ACCESS_KEY_ID),
    ("ODPS_STS_ACCESS_KEY_SECRET", &ACCESS_KEY_SECRET),
    ("ODPS_STS_TOKEN", &SECURITY_TOKEN),
    ("ALIBABA_CLOUD_ACCESS_KEY_ID", &ACCESS_KEY_ID),
    ("ALIBABA_CLOUD_ACCESS_KEY_SECRET", &ACCESS_KEY_SECRET),
    ("ALIBABA_CLOUD_SECURITY_TOKEN", &SECURITY_TOKEN),
    ("ODPS_ENDPOINT", &ENDPOINT),
    ("ODPS_TUNNEL_ENDPOINT", &DATA_ENDPOINT),
    ("ODPS_PROJECT_NAME", &PROJECT),
    ("ODPS_REGION_NAME", &REGION),
    ("QUOTA_NAME", &QUOTA),
];

pub(super) fn load(options: &mut Options, read: impl Fn(&str) -> Option<String>) -> Result<()> {
    let read = |variable: &str| read(variable).filter(|value| !value.is_empty());
    if ![&ACCESS_KEY_ID, &ACCESS_KEY_SECRET, &SECURITY_TOKEN].into_iter().any(|key| options.is_set(key)) {
        for [id, secret, token] in CREDENTIALS {
            if let (Some(id), Some(secret)) = (read(id), read(secret)) {
                options.set(ACCESS_KEY_ID.name, &id)?;
                options.set(ACCESS_KEY_SECRET.name, &secret)?;
                options.set(SECURITY_TOKEN.name, &read(token).unwrap_or_default())?;
                break;
            }
        }
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
        let read: Vec<&str> =
            CREDENTIALS.iter().flatten().copied().chain(PLACES.iter().map(|(variable, _)| *variable)).collect();
        assert_eq!(VARIABLES.iter().map(|(variable, _)| *variable).collect::<Vec<_>>(), read);
    }
}
