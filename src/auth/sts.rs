//! Calls of the Security Token Service, as forms. No I/O.

use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::Hmac;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha1::Sha1;
use zeroize::Zeroizing;

use super::sign::mac;
use super::time;
use crate::error::{Error, Kind, Result};
use crate::options::Who;

const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A role to assume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    /// Where the Security Token Service is.
    pub endpoint: String,
    /// Name of the role, `acs:ram::…:role/…`.
    pub arn: String,
    /// Name of the session.
    pub session_name: String,
    /// How long the credentials last.
    pub seconds: u64,
    /// Policy that narrows the rights.
    pub policy: Option<String>,
    /// External id that the trust policy asks for.
    pub external_id: Option<String>,
}

type Pairs<'a> = Vec<(&'static str, Zeroizing<String>)>;

impl Role {
    fn pairs(&self, action: &str, now: SystemTime, nonce: &str) -> Pairs<'_> {
        let text = |text: &str| Zeroizing::new(text.to_owned());
        let mut pairs = vec![
            ("Action", text(action)),
            ("DurationSeconds", text(&self.seconds.to_string())),
            ("Format", text("JSON")),
            ("RoleArn", text(&self.arn)),
            ("RoleSessionName", text(&self.session_name)),
            ("SignatureNonce", text(nonce)),
            ("Timestamp", text(&time::format(now))),
            ("Version", text("2015-04-01")),
        ];
        pairs.extend(self.policy.as_ref().map(|policy| ("Policy", text(policy))));
        pairs
    }

    /// The body of AssumeRole, signed by `who`.
    pub fn assume(&self, who: &Who, now: SystemTime, nonce: &str) -> Result<Zeroizing<String>> {
        let Who::Key { id, secret, token } = who else {
            return Err(Error::new(
                Kind::InvalidOption,
                "a role is assumed with an AccessKey, not with a bearer token",
            ));
        };
        let mut pairs = self.pairs("AssumeRole", now, nonce);
        pairs.push(("AccessKeyId", Zeroizing::new(id.clone())));
        pairs.push(("SignatureMethod", Zeroizing::new("HMAC-SHA1".to_owned())));
        pairs.push(("SignatureVersion", Zeroizing::new("1.0".to_owned())));
        pairs.extend(self.external_id.as_ref().map(|text| ("ExternalId", Zeroizing::new(text.clone()))));
        pairs.extend(token.as_ref().map(|token| ("SecurityToken", token.clone())));
        pairs.sort_unstable_by_key(|(name, _)| *name);
        let signature = signature(secret, &form(&pairs));
        pairs.push(("Signature", Zeroizing::new(signature)));
        Ok(form(&pairs))
    }

    /// The body of AssumeRoleWithOIDC, which nobody signs: the token is the proof.
    pub fn assume_with_oidc(&self, provider_arn: &str, token: &str, now: SystemTime, nonce: &str) -> Zeroizing<String> {
        let mut pairs = self.pairs("AssumeRoleWithOIDC", now, nonce);
        pairs.push(("OIDCProviderArn", Zeroizing::new(provider_arn.to_owned())));
        pairs.push(("OIDCToken", Zeroizing::new(token.to_owned())));
        form(&pairs)
    }
}

/// Signs a form whose pairs are in the order of their names.
fn signature(secret: &str, form: &str) -> String {
    let text = Zeroizing::new(format!("POST&%2F&{}", utf8_percent_encode(form, UNRESERVED)));
    let mut key = Zeroizing::new(String::with_capacity(secret.len() + 1));
    key.push_str(secret);
    key.push('&');
    STANDARD.encode(mac::<Hmac<Sha1>>(key.as_bytes(), &text))
}

fn form(pairs: &Pairs<'_>) -> Zeroizing<String> {
    let most: usize = pairs.iter().map(|(name, value)| name.len() + 3 * value.len() + 2).sum();
    let mut form = Zeroizing::new(String::with_capacity(most));
    for (name, value) in pairs {
        if !form.is_empty() {
            form.push('&');
        }
        form.push_str(name);
        form.push('=');
        form.extend(utf8_percent_encode(value, UNRESERVED));
    }
    form
}

#[cfg(test)]
mod tests {
    use super::*;

    fn role() -> Role {
        Role {
            endpoint: "https://sts.aliyuncs.com".into(),
            arn: "acs:ram::1:role/r".into(),
            session_name: "s".into(),
            seconds: 3600,
            policy: None,
            external_id: Some("e x".into()),
        }
    }

    #[test]
    fn an_assumed_role_is_signed_over_the_sorted_form() {
        let who = Who::Key {
            id: "id".into(),
            secret: Zeroizing::new("secret".into()),
            token: Some(Zeroizing::new("to+ken".into())),
        };
        let now = time::parse("2026-11-28T06:00:00Z").unwrap();
        let body = role().assume(&who, now, "n1").unwrap();
        let (signed, signature) = body.rsplit_once("&Signature=").unwrap();
        assert_eq!(
            signed,
            "AccessKeyId=id&Action=AssumeRole&DurationSeconds=3600&ExternalId=e%20x&Format=JSON&RoleArn=acs%3Aram%3A%3A1%3Arole%2Fr\
             &RoleSessionName=s&SecurityToken=to%2Bken&SignatureMethod=HMAC-SHA1&SignatureNonce=n1&SignatureVersion=1.0\
             &Timestamp=2026-11-28T06%3A00%3A00Z&Version=2015-04-01"
        );
        // openssl dgst -sha1 -hmac 'secret&' over POST&%2F& and the form, encoded once more.
        assert_eq!(signature, "HFrLZpa9xwYwhZEXqJFcQB7wpFc%3D");
    }

    #[test]
    fn a_bearer_token_assumes_no_role() {
        let who = Who::Bearer(Zeroizing::new("b".into()));
        assert_eq!(role().assume(&who, SystemTime::now(), "n").unwrap_err().kind(), Kind::InvalidOption);
    }

    #[test]
    fn an_oidc_token_is_not_signed() {
        let body = role().assume_with_oidc("acs:ram::1:oidc-provider/p", "ey.J", SystemTime::now(), "n");
        assert!(body.contains("Action=AssumeRoleWithOIDC") && body.contains("OIDCToken=ey.J"), "{}", *body);
        assert!(!body.contains("Signature=") && !body.contains("AccessKeyId"), "{}", *body);
    }
}
