//! Request signatures, versions 2 and 4.
//!
//! Both sign the same canonical text with HMAC-SHA1; version 4 derives its key from the day and the region first.

use std::sync::Mutex;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::Sha256;
use zeroize::{Zeroize, Zeroizing};

use super::{App, Credentials};
use crate::options::Who;

/// Which signature is computed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signature {
    /// The secret signs the request.
    V2,
    /// A key derived from the secret, the day and this region signs the request.
    V4 {
        /// Region id, for example `cn-hangzhou`.
        region: String,
    },
}

/// The parts of a request that a signature covers.
#[derive(Debug)]
pub struct SigningInput<'a> {
    /// `GET`, `POST`, …
    pub method: &'a str,
    /// Decoded path, relative to the configured endpoint.
    pub path: &'a str,
    /// Decoded query pairs in any order; an empty value appears without `=`.
    pub query: &'a [(String, String)],
    /// All headers; those that do not take part are left out by this module.
    pub headers: &'a [(String, String)],
    /// Value of the `Date` header.
    pub date: &'a str,
}

impl SigningInput<'_> {
    /// The text that is signed.
    fn canonical(&self) -> String {
        let header =
            |name: &str| self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str());
        let mut text = format!(
            "{}\n{}\n{}\n{}\n",
            self.method,
            header("content-md5").unwrap_or_default(),
            header("content-type").unwrap_or_default(),
            self.date
        );
        let mut extra: Vec<(String, &str)> = self
            .headers
            .iter()
            .map(|(name, value)| (name.to_ascii_lowercase(), value.as_str()))
            .filter(|(name, _)| name.starts_with("x-odps-"))
            .collect();
        extra.sort_unstable();
        for (name, value) in extra {
            text.push_str(&format!("{name}:{value}\n"));
        }
        text.push_str(self.path);
        let mut query: Vec<&(String, String)> = self.query.iter().collect();
        query.sort_unstable();
        for (index, (name, value)) in query.into_iter().enumerate() {
            text.push(if index == 0 { '?' } else { '&' });
            text.push_str(name);
            if !value.is_empty() {
                text.push('=');
                text.push_str(value);
            }
        }
        text
    }
}

/// Computes the headers that prove who sends a request.
#[derive(Debug)]
pub struct Signer {
    signature: Signature,
    derived: Mutex<Option<DerivedKey>>,
}

/// A version 4 key and what it was derived from.
struct DerivedKey {
    secret: Zeroizing<String>,
    day: String,
    key: Zeroizing<Vec<u8>>,
}

impl std::fmt::Debug for DerivedKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DerivedKey").field("day", &self.day).finish_non_exhaustive()
    }
}

impl Signer {
    /// A signer for one signature version.
    pub fn new(signature: Signature) -> Self {
        Signer { signature, derived: Mutex::new(None) }
    }

    /// The authentication headers of a request. `day` is the UTC day as `yyyymmdd`.
    pub fn headers(
        &self,
        credentials: &Credentials,
        input: &SigningInput<'_>,
        day: &str,
    ) -> Vec<(&'static str, String)> {
        let (id, secret, token) = match &credentials.who {
            Who::Bearer(token) => return vec![("x-odps-bearer-token", token.to_string())],
            Who::Key { id, secret, token } => (id, secret, token),
        };
        let canonical = input.canonical();
        let authorization = match &self.signature {
            Signature::V2 => format!("ODPS {id}:{}", sign(secret.as_bytes(), &canonical)),
            Signature::V4 { region } => {
                let signature = sign(&self.derived_key(secret, day, region), &canonical);
                format!("ODPS {id}/{day}/{region}/odps/aliyun_v4_request:{signature}")
            }
        };
        let mut headers = Vec::with_capacity(3);
        if let Some(App { id, secret }) = &credentials.app {
            let signature = sign(secret.as_bytes(), &authorization);
            let value =
                format!("account_provider:aliyun,signature_method:hmac-sha1,access_id:{id},signature:{signature}");
            headers.push(("application-authentication", value));
        }
        headers.push(("authorization", authorization));
        if let Some(token) = token {
            headers.push(("authorization-sts-token", token.to_string()));
        }
        headers
    }

    fn derived_key(&self, secret: &Zeroizing<String>, day: &str, region: &str) -> Zeroizing<Vec<u8>> {
        let mut cached = self.derived.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(known) = cached.as_ref().filter(|known| known.day == day && known.secret == *secret) {
            return known.key.clone();
        }
        let key = derive(secret, day, region);
        *cached = Some(DerivedKey { secret: secret.clone(), day: day.to_owned(), key: key.clone() });
        key
    }
}

fn derive(secret: &str, day: &str, region: &str) -> Zeroizing<Vec<u8>> {
    const PREFIX: &[u8] = b"aliyun_v4";
    // Of the right size at once: growing would leave a copy of the secret behind.
    let mut start = Zeroizing::new(Vec::with_capacity(PREFIX.len() + secret.len()));
    start.extend_from_slice(PREFIX);
    start.extend_from_slice(secret.as_bytes());
    [day, region, "odps", "aliyun_v4_request"]
        .iter()
        .fold(start, |key, part| Zeroizing::new(mac::<Hmac<Sha256>>(&key, part)))
}

fn sign(key: &[u8], text: &str) -> String {
    STANDARD.encode(mac::<Hmac<Sha1>>(key, text))
}

/// The code of a text. HMAC leaves blocks of the key where its frames were on the stack, so that part is wiped.
pub(super) fn mac<M: Mac + KeyInit>(key: &[u8], text: &str) -> Vec<u8> {
    let code = mac_on_the_stack::<M>(key, text);
    wipe_the_stack();
    code
}

/// Called, never inlined, from where [`wipe_the_stack`] is: their frames begin at the same place.
#[inline(never)]
#[allow(clippy::expect_used)] // HMAC takes keys of any length.
fn mac_on_the_stack<M: Mac + KeyInit>(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = <M as KeyInit>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

/// More than what HMAC and the hash below it use.
const STACK_OF_HMAC: usize = 16 << 10;

#[inline(never)]
fn wipe_the_stack() {
    let mut frame = [0_u8; STACK_OF_HMAC];
    frame.zeroize();
    std::hint::black_box(&frame);
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::Digest;

    const DATE: &str = "Wed, 15 Jan 2025 08:30:00 GMT";
    const DAY: &str = "20250115";

    fn credentials() -> Credentials {
        with_token(None)
    }

    fn with_token(token: Option<&str>) -> Credentials {
        let who = Who::Key {
            id: "LTAIexampleKeyId0001".into(),
            secret: Zeroizing::new("exampleSecretKey/abcDEF+0123456789=".into()),
            token: token.map(|token| Zeroizing::new(token.into())),
        };
        Credentials { who, app: None }
    }

    fn v4() -> Signer {
        Signer::new(Signature::V4 { region: "cn-hangzhou".into() })
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn authorization(signer: &Signer, input: &SigningInput<'_>) -> String {
        let headers = signer.headers(&credentials(), input, DAY);
        headers.into_iter().find(|(name, _)| *name == "authorization").unwrap().1
    }

    const AGENT: (&str, &str) = ("x-odps-user-agent", "example-client/1.0");

    // The worked examples A to D of protocol/account-routing-metadata.md, section 1.8.

    #[test]
    fn example_a_get_table() {
        let query = pairs(&[("extended", ""), ("curr_project", "demo_project"), ("curr_schema", "default")]);
        let headers = pairs(&[AGENT, ("User-Agent", "example-client/1.0")]);
        let path = "/projects/demo_project/tables/orders";
        let input = SigningInput { method: "GET", path, query: &query, headers: &headers, date: DATE };
        assert_eq!(input.canonical().len(), 164);
        assert_eq!(
            hex(&Sha256::digest(input.canonical())),
            "54f9331aa0881a2f4b3e44436dee7ea25cfcd8d054e2b5f629a34de0dbf0b04e"
        );
        let v2 = Signer::new(Signature::V2);
        assert_eq!(authorization(&v2, &input), "ODPS LTAIexampleKeyId0001:OEsg8ALqz63JGFXqvbMTLWTp1Pc=");
        assert_eq!(
            authorization(&v4(), &input),
            "ODPS LTAIexampleKeyId0001/20250115/cn-hangzhou/odps/aliyun_v4_request:uL8314szlHEJZQkOPZt1a4/IdyY="
        );
    }

    #[test]
    fn example_b_post_with_body() {
        let query =
            pairs(&[("session_type", "batch_read"), ("quotaName", "my_quota"), ("curr_project", "demo_project")]);
        let headers =
            pairs(&[AGENT, ("Content-Type", "application/json"), ("Content-MD5", "d7d11cc2558d51e21fde25328b61715b")]);
        let path = "/api/storage/v1/projects/demo_project/schemas/default/tables/orders/sessions";
        let input = SigningInput { method: "POST", path, query: &query, headers: &headers, date: DATE };
        assert_eq!(
            hex(&Sha256::digest(input.canonical())),
            "14e5968421bc5d1f17b1d50e44eae8372d99a3f48e290300e76eceb3e97609be"
        );
        let v2 = Signer::new(Signature::V2);
        assert_eq!(authorization(&v2, &input), "ODPS LTAIexampleKeyId0001:VXipGAdDK1lNklABvFd3bEBHbtk=");
        assert_eq!(
            authorization(&v4(), &input),
            "ODPS LTAIexampleKeyId0001/20250115/cn-hangzhou/odps/aliyun_v4_request:H9mdXJDq6Hw1GPJ9EdPYzEBiE30="
        );
    }

    #[test]
    fn example_c_values_are_signed_decoded() {
        let query = pairs(&[
            ("partitions", ""),
            ("expectmarker", "true"),
            ("partition", "dt='20250101',region='cn east'"),
            ("marker", "a+b/c=="),
            ("maxitems", "1000"),
            ("curr_project", "demo_project"),
        ]);
        let headers = pairs(&[AGENT]);
        let path = "/projects/demo_project/tables/orders";
        let input = SigningInput { method: "GET", path, query: &query, headers: &headers, date: DATE };
        let v2 = Signer::new(Signature::V2);
        assert_eq!(authorization(&v2, &input), "ODPS LTAIexampleKeyId0001:0Dc0YL680VEnSSgMtRO6cN5N4NI=");
    }

    #[test]
    fn example_d_sts_token_and_application_account() {
        let mut credentials = with_token(Some("CAISexampleSecurityToken=="));
        let secret = Zeroizing::new("appSecretKey9876543210".into());
        credentials.app = Some(App { id: "LTAIappKeyId0002".into(), secret });
        let query = pairs(&[("service", ""), ("quotaName", "my_quota"), ("curr_project", "demo_project")]);
        let headers = pairs(&[AGENT]);
        let path = "/projects/demo_project/tunnel";
        let input = SigningInput { method: "GET", path, query: &query, headers: &headers, date: DATE };
        assert_eq!(
            hex(&Sha256::digest(input.canonical())),
            "05790843337f910c9d7eae2d3ecd509909fc910a9489d547784466533b271d46"
        );
        for (signer, own, app) in [
            (
                Signer::new(Signature::V2),
                "ODPS LTAIexampleKeyId0001:TdUfGaipA4h8AzaxqAS0TPNlUPE=",
                "YkA4Y+u/3lx1U/hBRMUXVK0T+g4=",
            ),
            (
                v4(),
                "ODPS LTAIexampleKeyId0001/20250115/cn-hangzhou/odps/aliyun_v4_request:o8xEoqErGgzxZemUywJF5/VhphY=",
                "lET3eLP/okbFrK0q8d3WFKnujW8=",
            ),
        ] {
            let app = format!(
                "account_provider:aliyun,signature_method:hmac-sha1,access_id:LTAIappKeyId0002,signature:{app}"
            );
            assert_eq!(
                signer.headers(&credentials, &input, DAY),
                [
                    ("application-authentication", app),
                    ("authorization", own.to_owned()),
                    ("authorization-sts-token", "CAISexampleSecurityToken==".to_owned())
                ]
            );
        }
    }

    #[test]
    fn a_bearer_token_is_all_there_is() {
        let who = Who::Bearer(Zeroizing::new("tok".into()));
        let app = Some(App { id: "a".into(), secret: Zeroizing::new("b".into()) });
        let input = SigningInput { method: "GET", path: "/", query: &[], headers: &[], date: DATE };
        let headers = v4().headers(&Credentials { who, app }, &input, DAY);
        assert_eq!(headers, [("x-odps-bearer-token", "tok".to_owned())]);
    }

    #[test]
    fn key_derivation_stages() {
        let key = derive("exampleSecretKey/abcDEF+0123456789=", DAY, "cn-hangzhou");
        assert_eq!(hex(&key), "46c9f1baa6de7c276d76ae3fe046b29d9fe5410af4c857fe47a2a0a20202cee7");
        assert_eq!(sign(b"my-secret-key", "testdata"), "iAcVTeAghMtN74BeKwFTj/pgFEA=");
    }

    #[test]
    fn a_derived_key_is_not_reused_for_another_day_or_secret() {
        let signer = v4();
        let secret = Zeroizing::new("a".to_owned());
        let first = signer.derived_key(&secret, DAY, "cn-hangzhou");
        assert_eq!(first, signer.derived_key(&secret, DAY, "cn-hangzhou"));
        assert_ne!(first, signer.derived_key(&secret, "20250116", "cn-hangzhou"));
        assert_ne!(first, signer.derived_key(&Zeroizing::new("b".to_owned()), DAY, "cn-hangzhou"));
    }
}
