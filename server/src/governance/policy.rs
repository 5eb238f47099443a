//! Policy documents: what they say, and what follows for an action on a resource.

use serde::{Deserialize, Serialize};

/// Largest policy text (the service documents 32 KiB).
const MAX_BYTES: usize = 32 << 10;

/// A policy: `{"Version": "1", "Statement": [{"Effect", "Action", "Resource"}]}`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Policy {
    pub version: String,
    pub statement: Vec<Statement>,
}

/// One rule of a policy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Statement {
    pub effect: Effect,
    #[serde(deserialize_with = "one_or_many")]
    pub action: Vec<String>,
    #[serde(deserialize_with = "one_or_many")]
    pub resource: Vec<String>,
    /// Whom the statement is about; only exceptions of a project protection say so.
    #[serde(default, deserialize_with = "one_or_many", skip_serializing_if = "Vec::is_empty")]
    pub principal: Vec<String>,
}

/// What a statement does to what it matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Effect {
    Allow,
    Deny,
}

/// What policies say about one action on one resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A statement denies it: nothing else counts.
    Denied,
    Allowed,
    /// No statement is about it.
    Silent,
}

impl Verdict {
    /// The verdict of two policies together: a denial beats all, then a permission.
    pub fn and(self, other: Verdict) -> Verdict {
        match (self, other) {
            (Verdict::Denied, _) | (_, Verdict::Denied) => Verdict::Denied,
            (Verdict::Allowed, _) | (_, Verdict::Allowed) => Verdict::Allowed,
            _ => Verdict::Silent,
        }
    }
}

impl Policy {
    /// Reads the policy of a role; the error says what is wrong with it.
    pub fn parse(text: &str) -> Result<Policy, String> {
        let policy = Policy::read(text)?;
        if policy.statement.iter().any(|statement| !statement.principal.is_empty()) {
            return Err("the policy of a role has no Principal".into());
        }
        Ok(policy)
    }

    /// Reads the exception of a project protection, in which every statement has a Principal.
    pub fn parse_exception(text: &str) -> Result<Policy, String> {
        let policy = Policy::read(text)?;
        if policy.statement.iter().any(|statement| statement.principal.is_empty()) {
            return Err("every statement of an exception needs a Principal".into());
        }
        Ok(policy)
    }

    /// The statements that are about a principal.
    pub fn for_principal(mut self, principal: &str) -> Policy {
        self.statement.retain(|statement| statement.principal.iter().any(|pattern| matches(pattern, principal)));
        self
    }

    /// The statements as lines for people: `A quotas/x: List | Usage`.
    pub fn lines(&self) -> Vec<String> {
        let line = |statement: &Statement| {
            let mark = if statement.effect == Effect::Allow { 'A' } else { 'D' };
            let actions: Vec<&str> = statement.action.iter().map(|a| a.rsplit(':').next().unwrap_or(a)).collect();
            let object = |resource: &String| resource.splitn(4, ':').last().unwrap_or_default().to_string();
            let actions = actions.join(" | ");
            statement.resource.iter().map(|r| format!("{mark}\t{}: {actions}", object(r))).collect::<Vec<_>>()
        };
        self.statement.iter().flat_map(line).collect()
    }

    /// Whether a statement allows an action on anything at all.
    pub fn allows_somewhere(&self, action: &str) -> bool {
        let action = format!("odps:{action}");
        let allows = |statement: &Statement| {
            statement.effect == Effect::Allow && statement.action.iter().any(|pattern| matches(pattern, &action))
        };
        self.statement.iter().any(allows)
    }

    fn read(text: &str) -> Result<Policy, String> {
        if text.len() > MAX_BYTES {
            return Err(format!("the policy has {} bytes, {MAX_BYTES} are allowed", text.len()));
        }
        let policy: Policy = serde_json::from_str(text).map_err(|error| {
            let message = error.to_string();
            if message.contains("`Condition`") {
                "a policy with Condition is not implemented by this server".to_string()
            } else {
                format!("this is not a policy: {message}")
            }
        })?;
        if policy.version != "1" {
            return Err(format!("the version of a policy is \"1\", not \"{}\"", policy.version));
        }
        for statement in &policy.statement {
            if statement.action.is_empty() || statement.resource.is_empty() {
                return Err("a statement of a policy needs an Action and a Resource".into());
            }
            if let Some(action) = statement.action.iter().find(|a| *a != "*" && !a.to_lowercase().starts_with("odps:"))
            {
                return Err(format!("an Action is odps:NAME, not \"{action}\""));
            }
            if let Some(resource) = statement.resource.iter().find(|r| *r != "*" && !r.starts_with("acs:odps:")) {
                return Err(format!("a Resource is acs:odps:SCOPE:OBJECT, not \"{resource}\""));
            }
        }
        Ok(policy)
    }

    /// What the policy says about an action (`Select`, without prefix) on any of these names of one resource.
    pub fn verdict(&self, action: &str, resources: &[String]) -> Verdict {
        let action = format!("odps:{action}");
        let about = |statement: &&Statement| {
            statement.action.iter().any(|pattern| matches(pattern, &action))
                && statement.resource.iter().any(|pattern| resources.iter().any(|name| matches(pattern, name)))
        };
        let effects = self.statement.iter().filter(about).map(|statement| match statement.effect {
            Effect::Allow => Verdict::Allowed,
            Effect::Deny => Verdict::Denied,
        });
        effects.fold(Verdict::Silent, Verdict::and)
    }
}

fn one_or_many<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Form {
        One(String),
        Many(Vec<String>),
    }
    Ok(match Form::deserialize(deserializer)? {
        Form::One(text) => vec![text],
        Form::Many(texts) => texts,
    })
}

/// Whether a pattern, in which `*` stands for any run of characters, matches a text. Case does not count.
fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.to_lowercase(), text.to_lowercase());
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = rest.get(at + part.len()..).unwrap_or_default(),
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::Figures;
    use proptest::prelude::*;
    use proptest::test_runner::RngSeed;

    /// The policy of the product page, as printed there.
    const PAGE: &str = r#"{ "Statement": [{ "Action": [ "odps:List", "odps:Usage"], "Effect": "Allow",
        "Resource": ["acs:odps:*:regions/*/quotas/pay-as-you-go"]}], "Version": "1" }"#;

    fn names(name: &str) -> Vec<String> {
        vec![name.to_string()]
    }

    #[test]
    fn the_policy_of_the_product_page() {
        let policy = Policy::parse(PAGE).unwrap();
        let quota = |name: &str| names(&format!("acs:odps:Tenant/100000001:regions/cn-local/quotas/{name}"));
        for action in ["List", "Usage", "usage"] {
            assert_eq!(policy.verdict(action, &quota("pay-as-you-go")), Verdict::Allowed);
        }
        assert_eq!(policy.verdict("Drop", &quota("pay-as-you-go")), Verdict::Silent);
        for other in ["pay-as-you-g", "pay-as-you-go2", "other"] {
            assert_eq!(policy.verdict("Usage", &quota(other)), Verdict::Silent);
        }
    }

    #[test]
    fn a_denial_wins_in_any_order() {
        let allow = r#"{"Effect":"Allow","Action":"odps:*","Resource":"acs:odps:*:projects/p/tables/*"}"#;
        let deny = r#"{"Effect":"Deny","Action":"odps:Drop","Resource":["acs:odps:*:projects/p/tables/t"]}"#;
        for statements in [format!("{allow},{deny}"), format!("{deny},{allow}")] {
            let policy = Policy::parse(&format!(r#"{{"Version":"1","Statement":[{statements}]}}"#)).unwrap();
            let table = |name: &str| names(&format!("acs:odps:*:projects/p/tables/{name}"));
            assert_eq!(policy.verdict("Drop", &table("t")), Verdict::Denied);
            assert_eq!(policy.verdict("Select", &table("t")), Verdict::Allowed);
            assert_eq!(policy.verdict("Drop", &table("u")), Verdict::Allowed);
            assert_eq!(policy.verdict("Drop", &names("acs:odps:*:projects/q/tables/t")), Verdict::Silent);
        }
        assert_eq!(Verdict::Allowed.and(Verdict::Denied), Verdict::Denied);
        assert_eq!(Verdict::Silent.and(Verdict::Allowed), Verdict::Allowed);
    }

    #[test]
    fn what_is_no_policy_is_refused_with_a_sentence() {
        let statement = |text: &str| Policy::parse(&format!(r#"{{"Version":"1","Statement":[{text}]}}"#)).unwrap_err();
        assert!(Policy::parse("{").unwrap_err().contains("not a policy"));
        assert!(Policy::parse(&PAGE.replace("\"1\"", "\"2\"")).unwrap_err().contains("version"));
        assert!(statement(r#"{"Effect":"Allow","Action":[],"Resource":"*"}"#).contains("needs an Action"));
        assert!(statement(r#"{"Effect":"Allow","Action":"ecs:Run","Resource":"*"}"#).contains("ecs:Run"));
        assert!(statement(r#"{"Effect":"Allow","Action":"*","Resource":"quotas/x"}"#).contains("quotas/x"));
        assert!(statement(r#"{"Effect":"Maybe","Action":"*","Resource":"*"}"#).contains("Maybe"));
        let condition = r#"{"Effect":"Allow","Action":"*","Resource":"*","Condition":{}}"#;
        assert!(statement(condition).contains("Condition is not implemented"));
        let principal = r#"{"Effect":"Allow","Action":"*","Resource":"*","Principal":"ALIYUN$bob"}"#;
        assert!(statement(principal).contains("no Principal"));
        assert!(Policy::parse_exception(PAGE).unwrap_err().contains("needs a Principal"));
        assert!(Policy::parse(&" ".repeat(MAX_BYTES + 1)).unwrap_err().contains("bytes"));
    }

    #[test]
    fn an_exception_counts_for_its_principals() {
        let text = r#"{"Version":"1","Statement":[{"Effect":"Allow","Principal":["ALIYUN$bob","RAM$x:*"],
            "Action":"odps:Select","Resource":"acs:odps:*:projects/p/tables/t"}]}"#;
        let verdict = |who: &str| {
            let names = names("acs:odps:*:projects/p/tables/t");
            Policy::parse_exception(text).unwrap().for_principal(who).verdict("Select", &names)
        };
        assert_eq!(verdict("ALIYUN$Bob"), Verdict::Allowed);
        assert_eq!(verdict("RAM$x:alice"), Verdict::Allowed);
        assert_eq!(verdict("RAM$y:alice"), Verdict::Silent);
    }

    /// The definition of a pattern, slow and plain.
    fn slow(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern, text) {
            ([], []) => true,
            ([b'*', rest @ ..], _) => (0..=text.len()).any(|n| slow(rest, &text[n..])),
            ([p, pattern @ ..], [t, text @ ..]) => p == t && slow(pattern, text),
            _ => false,
        }
    }

    const SEED: u64 = 11;

    static FIGURES: Figures<2> = Figures::new("patterns of policies match as defined", ["cases", "matches"]);

    #[test]
    fn patterns_match_as_defined() {
        patterns();
        FIGURES.print(SEED);
    }

    proptest! {
        #![proptest_config(ProptestConfig { rng_seed: RngSeed::Fixed(SEED), ..ProptestConfig::default() })]

        fn patterns(pattern in "[ab*]{0,8}", text in "[ab]{0,10}") {
            FIGURES.add([1, usize::from(matches(&pattern, &text))]);
            prop_assert_eq!(matches(&pattern, &text), slow(pattern.as_bytes(), text.as_bytes()));
        }
    }
}
