//! Who sent a request: verification of section 1.9 of account-routing-metadata.md.

use std::collections::HashMap;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sha2::{Digest, Sha256};

use super::canonical::{Signed, same, signature, v4_key};
use super::request::{Head, Plane};
use super::sessions::blocking;
use super::state::Shared;
use crate::catalog::Credential;
use crate::clock;
use crate::error::ApiError;
use crate::governance::{Caller, OWNER, Policy, Shown};
use crate::types::temporal::{days_from_civil, iso_millis};

/// Largest difference between the clocks.
const MAX_SKEW: Duration = Duration::from_secs(900);

/// An access key of the owner: `ID:SECRET`, or `ID:SECRET:TOKEN` for temporary (STS) credentials.
#[derive(Clone, Debug)]
pub struct Account(Credential);

impl Account {
    /// The id of the access key.
    pub fn id(&self) -> &str {
        &self.0.id
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
                Ok(Account(Credential {
                    id: id.into(),
                    principal: OWNER.into(),
                    secret: secret.into(),
                    token: token.map(Into::into),
                    expires_ms: None,
                    policy: None,
                    origin: None,
                }))
            }
            _ => Err("an account is ID:SECRET or ID:SECRET:TOKEN".into()),
        }
    }
}

/// Credentials by id: those of the command line, which the owner has, and those of the catalogue that a request names.
#[derive(Clone, Debug)]
pub struct Accounts {
    by_id: HashMap<String, Credential>,
    check_clock: bool,
}

/// Finds out who sent a request.
pub async fn identify(shared: &Arc<Shared>, head: &Head) -> Result<Caller, ApiError> {
    let Some(accounts) = &shared.accounts else { return Ok(Caller::owner()) };
    let signed = head.signed();
    let unknown: Vec<String> = signed.credential_ids().filter(|id| !accounts.by_id.contains_key(id)).collect();
    let stored = if unknown.is_empty() {
        Vec::new()
    } else {
        let catalog = shared.catalog.clone();
        blocking(move || {
            let mut found = Vec::new();
            for id in unknown {
                let Some(credential) = catalog.credential(&id)? else { continue };
                if let Some(origin) = &credential.origin {
                    found.extend(catalog.credential(&origin.key)?);
                }
                found.push(credential);
            }
            Ok(found)
        })
        .await?
    };
    accounts.verify(&signed, &stored, head.plane(), clock::now())
}

/// The headers that sign a request without a body (signature version 2).
pub fn sign(account: &Account, method: &str, target: &str, now: SystemTime) -> Vec<(String, String)> {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut headers = vec![("date".to_string(), httpdate::fmt_http_date(now))];
    let text = Signed { method, path, query, headers: &headers }.candidates().swap_remove(0);
    let credential = &account.0;
    let signature = signature(credential.secret.as_bytes(), &text);
    headers.push(("authorization".into(), format!("ODPS {}:{signature}", credential.id)));
    headers.extend(credential.token.iter().map(|token| ("authorization-sts-token".into(), token.clone())));
    headers
}

impl Accounts {
    /// Accounts by id; a later one replaces an earlier one of the same id.
    pub fn new(accounts: Vec<Account>, check_clock: bool) -> Accounts {
        let by_id = accounts.into_iter().map(|account| (account.0.id.clone(), account.0)).collect();
        Accounts { by_id, check_clock }
    }

    /// The credential of that id, if it has not expired and the key that it was made with is still there.
    fn find<'a>(&'a self, stored: &'a [Credential], id: &str, now: SystemTime) -> Result<&'a Credential, ApiError> {
        let of = |id: &str| self.by_id.get(id).or_else(|| stored.iter().find(|credential| credential.id == id));
        let credential = of(id).ok_or_else(|| {
            let what = if id.starts_with(BEARER) {
                "unknown bearer token".into()
            } else {
                format!("unknown access key id {id}")
            };
            unauthorized(format!("ODPS-0410051:Invalid credentials - {what}"))
        })?;
        let mut ends = vec![credential.expires_ms];
        if let Some(origin) = &credential.origin {
            let key = of(&origin.key).filter(|key| key.mark() == origin.mark).ok_or_else(|| {
                unauthorized("ODPS-0410051:Invalid credentials - the key that the bearer token was made with is gone")
            })?;
            ends.push(key.expires_ms);
        }
        if ends.into_iter().flatten().any(|end| end <= millis(now)) {
            // PyODPS loads a new token and repeats the request when it reads this code.
            let message = "ODPS-0410051:Invalid credentials - the credentials are expired";
            return Err(ApiError::new(401, "AuthenticationRequestExpired", message));
        }
        Ok(credential)
    }

    /// Verifies a request. `stored` are the credentials of the catalogue that it names.
    pub fn verify(
        &self,
        signed: &Signed<'_>,
        stored: &[Credential],
        plane: Plane,
        now: SystemTime,
    ) -> Result<Caller, ApiError> {
        if let Some(token) = signed.header("x-odps-bearer-token") {
            return caller(self.find(stored, &bearer_id(token), now)?);
        }
        let Some(authorization) = signed.header("authorization") else {
            return Err(match plane {
                Plane::Storage => unauthorized("The request authorization header is invalid or missing"),
                // Worded so that PyODPS does not take it for "no v4 here".
                Plane::Service => ApiError::new(
                    401,
                    "AuthorizationRequired",
                    "ODPS-0410001:Authentication parameters are absent - send an Authorization header",
                ),
            });
        };
        let presented = Presented::parse(authorization)
            .ok_or_else(|| unauthorized("ODPS-0410011:The Authorization header is malformed"))?;
        let credential = self.find(stored, presented.id, now)?;
        if let Some(token) = &credential.token
            && !signed.header("authorization-sts-token").is_some_and(|sent| same(sent, token))
        {
            return Err(unauthorized("ODPS-0410051:Invalid credentials - the security token is missing or wrong"));
        }
        let sent = check_clock(signed.header("date"), now, self.check_clock)?;
        let key = presented.key(credential, sent)?;
        if !signed.candidates().iter().any(|text| same(&signature(&key, text), presented.signature)) {
            return Err(mismatch("User signature does not match"));
        }
        if let Some(application) = signed.header("application-authentication") {
            self.verify_application(stored, application, authorization, now)?;
        }
        caller(credential)
    }

    /// The application account signs the `Authorization` value.
    fn verify_application(
        &self,
        stored: &[Credential],
        header: &str,
        authorization: &str,
        now: SystemTime,
    ) -> Result<(), ApiError> {
        let (Some(id), Some(sent)) = (application_field(header, "access_id"), application_field(header, "signature"))
        else {
            return Err(unauthorized("ODPS-0410011:The application-authentication header is malformed"));
        };
        let credential = self.find(stored, id, now)?;
        if same(&signature(credential.secret.as_bytes(), authorization), sent) {
            Ok(())
        } else {
            Err(mismatch("Application signature does not match"))
        }
    }
}

/// A field of the list `name:value,name:value`.
fn application_field<'a>(header: &'a str, name: &str) -> Option<&'a str> {
    header.split(',').find_map(|part| part.trim().split_once(':').filter(|(n, _)| *n == name)).map(|(_, value)| value)
}

/// What the ids of bearer tokens begin with; no access key id has a colon.
const BEARER: &str = "bearer:";

/// The id under which a bearer token is stored. The token itself is not.
pub fn bearer_id(token: &str) -> String {
    let digest: String = Sha256::digest(token).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{BEARER}{digest}")
}

fn caller(credential: &Credential) -> Result<Caller, ApiError> {
    let damaged = |why: String| anyhow::anyhow!("the catalogue entry of {} is damaged: {why}", credential.id);
    let principal = credential.principal.parse().map_err(damaged)?;
    let policy = credential.policy.as_deref().map(Policy::parse).transpose().map_err(damaged)?;
    let shown = Shown {
        id: credential.id.clone(),
        mark: credential.mark(),
        expires_ms: credential.expires_ms,
        is_token: credential.id.starts_with(BEARER),
    };
    Ok(Caller { principal, policy: policy.map(Arc::new), shown: Some(shown) })
}

impl Signed<'_> {
    /// The ids of the credentials that a request names, sound or not.
    fn credential_ids(&self) -> impl Iterator<Item = String> {
        let bearer = self.header("x-odps-bearer-token").map(bearer_id);
        let key = self.header("authorization").and_then(Presented::parse).map(|presented| presented.id.to_string());
        let application = self.header("application-authentication");
        let application = application.and_then(|header| application_field(header, "access_id")).map(str::to_string);
        [bearer, key, application].into_iter().flatten()
    }
}

fn unauthorized(message: impl Into<String>) -> ApiError {
    ApiError::new(401, "Unauthorized", message)
}

fn mismatch(why: &str) -> ApiError {
    ApiError::new(401, "SignatureNotMatch", format!("ODPS-0410042:Invalid signature value - {why}"))
}

/// The `Authorization` value taken apart: `ODPS <id>[/<date>/<region>/<service>/<request>]:<signature>`.
struct Presented<'a> {
    id: &'a str,
    scope: Option<[&'a str; 4]>,
    signature: &'a str,
}

impl<'a> Presented<'a> {
    fn parse(header: &'a str) -> Option<Presented<'a>> {
        let (credential, signature) = header.strip_prefix("ODPS ")?.split_once(':')?;
        let parts: Vec<&str> = credential.split('/').collect();
        match parts.as_slice() {
            [id] if !id.is_empty() => Some(Presented { id, scope: None, signature }),
            [id, date, region, service, request] if !id.is_empty() => {
                Some(Presented { id, scope: Some([date, region, service, request]), signature })
            }
            _ => None,
        }
    }

    /// The key that must have made the signature.
    fn key(&self, credential: &Credential, sent: SystemTime) -> Result<Vec<u8>, ApiError> {
        let Some([date, region, service, request]) = self.scope else {
            return Ok(credential.secret.clone().into_bytes());
        };
        let Some(prefix) = request.strip_suffix("_request").filter(|_| service == "odps") else {
            return Err(mismatch("The credential scope is not one of this service"));
        };
        let sent_day = sent.duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs() / 86_400) as i64;
        if scope_day(date).is_none_or(|day| (day - sent_day).abs() > 1) {
            return Err(mismatch("The date of the credential scope is not that of the request"));
        }
        Ok(v4_key(&credential.secret, prefix, date, region, service, request))
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

fn millis(time: SystemTime) -> i64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as i64)
}

/// The time a request was sent. With `check` off, any readable date will do.
fn check_clock(date: Option<&str>, now: SystemTime, check: bool) -> Result<SystemTime, ApiError> {
    let sent = date.and_then(|text| httpdate::parse_http_date(text).ok());
    let skew = |sent: SystemTime| now.duration_since(sent).or_else(|_| sent.duration_since(now)).unwrap_or_default();
    match sent {
        Some(sent) if !check || skew(sent) <= MAX_SKEW => Ok(sent),
        sent => {
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
    use crate::catalog::Origin;

    const DATE: &str = "Wed, 15 Jan 2025 08:30:00 GMT";

    fn verify(authorization: &str, extra: &[(&str, &str)], late_s: u64) -> Result<Caller, ApiError> {
        verify_with(true, authorization, extra, late_s)
    }

    fn verify_with(
        check_clock: bool,
        authorization: &str,
        extra: &[(&str, &str)],
        late_s: u64,
    ) -> Result<Caller, ApiError> {
        let accounts = [
            "LTAIexampleKeyId0001:exampleSecretKey/abcDEF+0123456789=",
            "LTAIappKeyId0002:appSecretKey9876543210",
            "STS.1:secret:token",
        ];
        let accounts = Accounts::new(accounts.map(|text| text.parse().unwrap()).into(), check_clock);
        let start = httpdate::parse_http_date(DATE).unwrap();
        let stored = |id: String, expires_s: u64| Credential {
            id,
            principal: "RAM$local@localhost:alice".into(),
            secret: "exampleSecretKey/abcDEF+0123456789=".into(),
            token: None,
            expires_ms: Some(millis(start) + expires_s as i64 * 1000),
            policy: None,
            origin: None,
        };
        let mut stored = vec![stored("LTAIalice".into(), 60), stored(bearer_id("ticket"), 60)];
        let mark = stored[0].mark();
        for (token, mark) in [("made", mark), ("foreign", "of another key".into())] {
            let origin = Some(Origin { key: "LTAIalice".into(), mark, project: "p".into() });
            let secret = String::new();
            stored.push(Credential { id: bearer_id(token), secret, expires_ms: None, origin, ..stored[0].clone() });
        }
        let mut headers: Vec<(String, String)> =
            vec![("date".into(), DATE.into()), ("x-odps-user-agent".into(), "example-client/1.0".into())];
        if !authorization.is_empty() {
            headers.push(("authorization".into(), authorization.into()));
        }
        headers.extend(extra.iter().map(|(n, v)| (n.to_string(), v.to_string())));
        let signed = Signed {
            method: "GET",
            path: "/api/projects/demo_project/tunnel",
            query: "service&quotaName=my_quota&curr_project=demo_project",
            headers: &headers,
        };
        accounts.verify(&signed, &stored, Plane::Service, start + Duration::from_secs(late_s))
    }

    const V2: &str = "ODPS LTAIexampleKeyId0001:TdUfGaipA4h8AzaxqAS0TPNlUPE=";
    const V4: &str =
        "ODPS LTAIexampleKeyId0001/20250115/cn-hangzhou/odps/aliyun_v4_request:o8xEoqErGgzxZemUywJF5/VhphY=";

    fn application(signature: &str) -> String {
        format!("account_provider:aliyun,signature_method:hmac-sha1,access_id:LTAIappKeyId0002,signature:{signature}")
    }

    #[test]
    fn accepts_both_versions_and_applications() {
        for (authorization, late_s) in [(V2, 0), (V4, 899)] {
            assert!(verify(authorization, &[], late_s).unwrap().is_owner());
        }
        let v2 = application("YkA4Y+u/3lx1U/hBRMUXVK0T+g4=");
        assert!(verify(V2, &[("application-authentication", &v2)], 0).is_ok());
        let v4 = application("lET3eLP/okbFrK0q8d3WFKnujW8=");
        assert!(verify(V4, &[("application-authentication", &v4)], 0).is_ok());
        assert_eq!(verify(V4, &[("application-authentication", &v2)], 0).unwrap_err().code, "SignatureNotMatch");
    }

    #[test]
    fn refuses_with_the_right_codes() {
        let code = |result: Result<Caller, ApiError>| result.map_err(|e| (e.status, e.code)).unwrap_err();
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

    #[test]
    fn stored_keys_and_bearer_tokens_speak_for_their_principal_until_they_expire() {
        let key = V2.replace("LTAIexampleKeyId0001", "LTAIalice");
        let ticket = [("x-odps-bearer-token", "ticket")];
        let (by_key, by_ticket) = (verify(&key, &[], 59).unwrap(), verify("", &ticket, 59).unwrap());
        assert_eq!(by_key.principal.as_str(), "RAM$local@localhost:alice");
        assert_eq!(by_key.principal, by_ticket.principal);
        let code = |result: Result<Caller, ApiError>| result.map_err(|e| (e.status, e.code)).unwrap_err();
        assert_eq!(code(verify(&key, &[], 60)), (401, "AuthenticationRequestExpired"));
        assert_eq!(code(verify("", &ticket, 60)), (401, "AuthenticationRequestExpired"));
        assert_eq!(code(verify("", &[("x-odps-bearer-token", "other")], 0)), (401, "Unauthorized"));
        assert_eq!(code(verify("", &[], 0)), (401, "AuthorizationRequired"));
        // A token that a key has made is as good as the key.
        let made = [("x-odps-bearer-token", "made")];
        assert!(verify("", &made, 59).unwrap().shown.unwrap().is_token);
        assert_eq!(code(verify("", &made, 60)), (401, "AuthenticationRequestExpired"));
        assert_eq!(code(verify("", &[("x-odps-bearer-token", "foreign")], 0)), (401, "Unauthorized"));
    }

    #[test]
    fn the_clock_check_can_be_turned_off() {
        assert!(verify_with(false, V2, &[], 90_000).is_ok());
        assert_eq!(verify_with(true, V2, &[], 90_000).unwrap_err().code, "RequestTimeTooSkewed");
        assert_eq!(verify_with(false, V2.trim_end_matches('='), &[], 0).unwrap_err().code, "SignatureNotMatch");
    }
}
