//! Who acts: accounts, RAM users, RAM roles.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::policy::Policy;

/// The account that owns the tenant and all its projects.
pub const OWNER: &str = "ALIYUN$local@localhost";

/// An account `ALIYUN$name`, a RAM user `RAM$account:user` or a RAM role `RAM$account:role/name`. Compared without case.
#[derive(Clone, Debug)]
pub struct Principal(String);

impl Principal {
    /// The owner of the tenant.
    pub fn owner() -> Principal {
        Principal(OWNER.into())
    }

    /// The canonical text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl PartialEq for Principal {
    fn eq(&self, other: &Principal) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for Principal {}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Principal {
    type Err = String;

    /// Reads any spelling of the prefix. A bare name is an account; a RAM name without account belongs to the owner.
    fn from_str(text: &str) -> Result<Principal, String> {
        let bad = || format!("\"{text}\" is not ALIYUN$account, RAM$account:user or RAM$account:role/name");
        let good = |part: &str| {
            let legal = |b: u8| b.is_ascii_alphanumeric() || b"_-.@/".contains(&b) || !b.is_ascii();
            !part.is_empty() && part.len() <= 256 && part.bytes().all(legal)
        };
        let (kind, name) = text.split_once('$').unwrap_or(("ALIYUN", text));
        if kind.eq_ignore_ascii_case("ALIYUN") {
            return if good(name) { Ok(Principal(format!("ALIYUN${name}"))) } else { Err(bad()) };
        }
        if !kind.eq_ignore_ascii_case("RAM") {
            return Err(bad());
        }
        let own = OWNER.trim_start_matches("ALIYUN$");
        let (account, user) = name.split_once(':').unwrap_or((own, name));
        if good(account) && good(user) { Ok(Principal(format!("RAM${account}:{user}"))) } else { Err(bad()) }
    }
}

/// Who sent a request, known once its signature was checked.
#[derive(Clone, Debug)]
pub struct Caller {
    pub principal: Principal,
    /// The policy of a bearer token, which narrows the rights of its principal.
    pub policy: Option<Arc<Policy>>,
    /// What the caller has shown to be believed; `None` where nobody is asked for it.
    pub shown: Option<Shown>,
}

/// The credential of a request, without its secret.
#[derive(Clone, Debug)]
pub struct Shown {
    pub id: String,
    /// Tells a key from another one of the same id.
    pub mark: String,
    pub expires_ms: Option<i64>,
    /// Whether it is a bearer token and no key.
    pub is_token: bool,
}

impl Caller {
    /// The owner: who everybody is with `--no-auth`.
    pub fn owner() -> Caller {
        Caller { principal: Principal::owner(), policy: None, shown: None }
    }

    /// Who a request comes from before its signature was checked. No right is ever given to this name.
    pub fn nobody() -> Caller {
        Caller { principal: Principal(String::new()), policy: None, shown: None }
    }

    /// Whether this is the account that owns tenant and projects.
    pub fn is_owner(&self) -> bool {
        self.principal == Principal::owner()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn principals_have_one_spelling() {
        let read = |text: &str| text.parse::<Principal>().map(|p| p.to_string());
        assert_eq!(read("Aliyun$bob@aliyun.com").unwrap(), "ALIYUN$bob@aliyun.com");
        assert_eq!(read("bob@aliyun.com").unwrap(), "ALIYUN$bob@aliyun.com");
        assert_eq!(read("ram$bob@aliyun.com:alice").unwrap(), "RAM$bob@aliyun.com:alice");
        assert_eq!(read("RAM$alice").unwrap(), "RAM$local@localhost:alice");
        assert_eq!(read("RAM$bob:role/loader").unwrap(), "RAM$bob:role/loader");
        assert_eq!(read("aliyun$LOCAL@localhost").unwrap().parse::<Principal>().unwrap(), Principal::owner());
        for wrong in ["", "ALIYUN$", "RAM$:x", "RAM$a:", "OTHER$x", "a b", "ALIYUN$a'b"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
