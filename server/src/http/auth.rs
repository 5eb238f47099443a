//! Who sent a request: verification of section 1.9 of account-routing-metadata.md.

use std::collections::HashMap;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::canonical::{Signed, same, signature, v4_key};
use super::request::Plane;
use crate::error::ApiError;
use crate::types::temporal::{days_from_civil, iso_millis};

/// Largest difference between the clocks.
const MAX_SKEW: Duration = Duration::from_secs(900);

/// An access key: `ID:SECRET`, or `ID:SECRET:TOKEN` for temporary (STS) credentials.
#[derive(Clone)]
pub struct Account {
    pub id: String,
    secret: String,
    token: Option<String>,
}

impl std::fmt::Debug for Account {
    /// Prints the id only.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Account").field("id", &self.id).finish_non_exhaustive()
    }
}

impl FromStr for Account {
    type Err = String;

    fn from_str(text: &str) -> Result<Account, String> {
        let mut parts = text.splitn(3, ':');
        match (parts.next(), parts.next(), parts.next()) {
            (Some(id), Some(secret), token) if !id.is_empty() && !secret.is_empty() && token != Some("") => {
                if id.contains('/') {
                    return Err("an access key id contains no /".into());
                }
                Ok(Account { id: id.into(), secret: secret.into(), token: token.map(Into::into) })
            }
            _ => Err("an account is ID:SECRET or ID:SECRET:TOKEN".into()),
        }
    }
}

/// The accounts the server knows.
#[derive(Debug)]
pub struct Accounts {
    by_id: HashMap<String, Account>,
}

impl Accounts {
    /// Accounts by id; a later one replaces an earlier one of the same id.
    pub fn new(accounts: Vec<Account>) -> Accounts {
        Accounts { by_id: accounts.into_iter().map(|account| (account.id.clone(), account)).collect() }
    }

    /// Verifies a request and returns the access key id that signed it.
    pub fn verify(&self, signed: &Signed<'_>, plane: Plane, now: SystemTime) -> Result<String, ApiError> {
        let header = |name: &str| signed.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str());
        let Some(authorization) = header("authorization") else {
            return Err(match (header("x-odps-bearer-token"), plane) {
                (Some(_), _) => unauthorized("ODPS-0410051:Invalid credentials - bearer tokens are not known here"),
                (None, Plane::Storage) => unauthorized("The request authorization header is invalid or missing"),
                // Worded so that PyODPS does not take it for "no v4 here".
                (None, Plane::Service) => ApiError::new(
                    401,
                    "AuthorizationRequired",
                    "ODPS-0410001:Authentication parameters are absent - send an Authorization header",
                ),
            });
        };
        let credential = Credential::parse(authorization)
            .ok_or_else(|| unauthorized("ODPS-0410011:The Authorization header is malformed"))?;
        let account = self.by_id.get(credential.id).ok_or_else(|| {
            unauthorized(format!("ODPS-0410051:Invalid credentials - unknown access key id {}", credential.id))
        })?;
        if let Some(token) = &account.token
            && !header("authorization-sts-token").is_some_and(|sent| same(sent, token))
        {
            return Err(unauthorized("ODPS-0410051:Invalid credentials - the security token is missing or wrong"));
        }
        let sent = check_clock(header("date"), now)?;
        let key = credential.key(account, sent)?;
        if !signed.candidates().iter().any(|text| same(&signature(&key, text), credential.signature)) {
            return Err(mismatch("User signature does not match"));
        }
        if let Some(application) = header("application-authentication") {
            self.verify_application(application, authorization)?;
        }
        Ok(account.id.clone())
    }

    /// The application account signs the `Authorization` value.
    fn verify_application(&self, header: &str, authorization: &str) -> Result<(), ApiError> {
        let field = |name: &str| {
            header.split(',').find_map(|part| part.trim().split_once(':').filter(|(n, _)| *n == name)).map(|(_, v)| v)
        };
        let (Some(id), Some(sent)) = (field("access_id"), field("signature")) else {
            return Err(unauthorized("ODPS-0410011:The application-authentication header is malformed"));
        };
        let account = self
            .by_id
            .get(id)
            .ok_or_else(|| unauthorized(format!("ODPS-0410051:Invalid credentials - unknown application {id}")))?;
        if same(&signature(account.secret.as_bytes(), authorization), sent) {
            Ok(())
        } else {
            Err(mismatch("Application signature does not match"))
        }
    }
}

fn unauthorized(message: impl Into<String>) -> ApiError {
    ApiError::new(401, "Unauthorized", message)
}

fn mismatch(why: &str) -> ApiError {
    ApiError::new(401, "SignatureNotMatch", format!("ODPS-0410042:Invalid signature value - {why}"))
}

/// The `Authorization` value taken apart: `ODPS <id>[/<date>/<region>/<service>/<request>]:<signature>`.
struct Credential<'a> {
    id: &'a str,
    scope: Option<[&'a str; 4]>,
    signature: &'a str,
}

impl<'a> Credential<'a> {
    fn parse(header: &'a str) -> Option<Credential<'a>> {
        let (credential, signature) = header.strip_prefix("ODPS ")?.split_once(':')?;
        let parts: Vec<&str> = credential.split('/').collect();
        match parts.as_slice() {
            [id] if !id.is_empty() => Some(Credential { id, scope: None, signature }),
            [id, date, region, service, request] if !id.is_empty() => {
                Some(Credential { id, scope: Some([date, region, service, request]), signature })
            }
            _ => None,
        }
    }

    /// The key that must have made the signature.
    fn key(&self, account: &Account, sent: SystemTime) -> Result<Vec<u8>, ApiError> {
        let Some([date, region, service, request]) = self.scope else { return Ok(account.secret.clone().into_bytes()) };
        let Some(prefix) = request.strip_suffix("_request").filter(|_| service == "odps") else {
            return Err(mismatch("The credential scope is not one of this service"));
        };
        let sent_day = sent.duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs() / 86_400) as i64;
        if scope_day(date).is_none_or(|day| (day - sent_day).abs() > 1) {
            return Err(mismatch("The date of the credential scope is not that of the request"));
        }
        Ok(v4_key(&account.secret, prefix, date, region, service, request))
    }
}

/// Days since the epoch of `yyyymmdd`.
fn scope_day(text: &str) -> Option<i64> {
    let number = |range| text.get(range).and_then(|part: &str| part.parse::<u32>().ok());
    if text.len() != 8 {
        return None;
    }
    Some(days_from_civil(i64::from(number(0..4)?), number(4..6)?, number(6..8)?))
}

fn check_clock(date: Option<&str>, now: SystemTime) -> Result<SystemTime, ApiError> {
    let sent = date.and_then(|text| httpdate::parse_http_date(text).ok());
    let skew = |sent: SystemTime| now.duration_since(sent).or_else(|_| sent.duration_since(now)).unwrap_or_default();
    match sent {
        Some(sent) if skew(sent) <= MAX_SKEW => Ok(sent),
        sent => {
            let millis = |t: SystemTime| t.duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as i64);
            // PyODPS takes three fields out of this text; the two blanks are genuine.
            let message = format!(
                "ODPS-0410031:Authentication request expired - the expire time interval  exceeds the max limitation: \
                 900000, max_interval_date:900000,expire_date:{},now_date:{}",
                iso_millis(sent.map_or(0, millis)),
                iso_millis(millis(now))
            );
            Err(ApiError::new(400, "RequestTimeTooSkewed", message))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATE: &str = "Wed, 15 Jan 2025 08:30:00 GMT";

    fn verify(authorization: &str, extra: &[(&str, &str)], late_s: u64) -> Result<String, ApiError> {
        let accounts = Accounts::new(vec![
            "LTAIexampleKeyId0001:exampleSecretKey/abcDEF+0123456789=".parse().unwrap(),
            "LTAIappKeyId0002:appSecretKey9876543210".parse().unwrap(),
            "STS.1:secret:token".parse().unwrap(),
        ]);
        let mut headers: Vec<(String, String)> = vec![
            ("authorization".into(), authorization.into()),
            ("date".into(), DATE.into()),
            ("x-odps-user-agent".into(), "example-client/1.0".into()),
        ];
        headers.extend(extra.iter().map(|(n, v)| (n.to_string(), v.to_string())));
        let signed = Signed {
            method: "GET",
            path: "/api/projects/demo_project/tunnel",
            query: "service&quotaName=my_quota&curr_project=demo_project",
            headers: &headers,
        };
        let now = httpdate::parse_http_date(DATE).unwrap() + Duration::from_secs(late_s);
        accounts.verify(&signed, Plane::Service, now)
    }

    const V2: &str = "ODPS LTAIexampleKeyId0001:TdUfGaipA4h8AzaxqAS0TPNlUPE=";
    const V4: &str =
        "ODPS LTAIexampleKeyId0001/20250115/cn-hangzhou/odps/aliyun_v4_request:o8xEoqErGgzxZemUywJF5/VhphY=";

    fn application(signature: &str) -> String {
        format!("account_provider:aliyun,signature_method:hmac-sha1,access_id:LTAIappKeyId0002,signature:{signature}")
    }

    #[test]
    fn accepts_both_versions_and_applications() {
        assert_eq!(verify(V2, &[], 0).unwrap(), "LTAIexampleKeyId0001");
        assert_eq!(verify(V4, &[], 899).unwrap(), "LTAIexampleKeyId0001");
        let v2 = application("YkA4Y+u/3lx1U/hBRMUXVK0T+g4=");
        assert!(verify(V2, &[("application-authentication", &v2)], 0).is_ok());
        let v4 = application("lET3eLP/okbFrK0q8d3WFKnujW8=");
        assert!(verify(V4, &[("application-authentication", &v4)], 0).is_ok());
        assert_eq!(verify(V4, &[("application-authentication", &v2)], 0).unwrap_err().code, "SignatureNotMatch");
    }

    #[test]
    fn refuses_with_the_right_codes() {
        let code = |result: Result<String, ApiError>| result.map_err(|e| (e.status, e.code)).unwrap_err();
        assert_eq!(code(verify("ODPS LTAIexampleKeyId0001:AAAA", &[], 0)), (401, "SignatureNotMatch"));
        assert_eq!(code(verify("ODPS nobody:AAAA", &[], 0)), (401, "Unauthorized"));
        assert_eq!(code(verify("Basic x", &[], 0)), (401, "Unauthorized"));
        assert_eq!(code(verify("ODPS STS.1:AAAA", &[], 0)), (401, "Unauthorized"));
        assert_eq!(
            code(verify("ODPS STS.1:A", &[("authorization-sts-token", "token")], 0)),
            (401, "SignatureNotMatch")
        );
        let late = verify(V2, &[], 1200).unwrap_err();
        assert_eq!((late.status, late.code), (400, "RequestTimeTooSkewed"));
        assert!(late.message.ends_with(
            "interval  exceeds the max limitation: 900000, max_interval_date:900000,\
             expire_date:2025-01-15T08:30:00.000Z,now_date:2025-01-15T08:50:00.000Z"
        ));
    }
}
