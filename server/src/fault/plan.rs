//! The rules of a plan: reading them, and whether one matches a request.

use serde::{Deserialize, Serialize};

use super::effect::Effect;
use crate::subject::{ACTIONS, Protocol, Subject};

/// Rules of a plan at most.
const MAX_RULES: usize = 1000;

/// One name or several; each may hold `*` for any text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Names {
    One(String),
    Several(Vec<String>),
}

impl Names {
    fn each(&self) -> &[String] {
        match self {
            Names::One(name) => std::slice::from_ref(name),
            Names::Several(names) => names,
        }
    }

    fn match_any(&self, text: &str) -> bool {
        self.each().iter().any(|pattern| like(pattern, text))
    }
}

/// Whether `text` is spelled like a pattern, without regard to case; `*` stands for any text.
fn like(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.to_lowercase(), text.to_lowercase());
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let mut last = None;
    for part in parts {
        // The part before was not the last one: its first place is good enough.
        if let Some(part) = last.replace(part) {
            match rest.find(part) {
                Some(at) => rest = rest.get(at + part.len()..).unwrap_or_default(),
                None => return false,
            }
        }
    }
    match last {
        Some(part) => rest.ends_with(part),
        None => rest.is_empty(),
    }
}

/// A number or a range with both ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Numbers {
    One(u64),
    Range([u64; 2]),
}

impl Numbers {
    fn contains(self, number: u64) -> bool {
        match self {
            Numbers::One(one) => number == one,
            Numbers::Range([first, last]) => (first..=last).contains(&number),
        }
    }
}

/// Which requests a rule is about. What is absent is not asked.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Match {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<Names>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<Protocol>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<Names>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<Names>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<Names>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota: Option<Names>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<Names>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<Names>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<Numbers>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block: Option<Numbers>,
    /// Which of the requests that match all of the above, counted from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nth: Option<Numbers>,
    /// How likely each of them is struck, 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probability: Option<f64>,
    /// What the chances are drawn from; equal seeds strike equal requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// How often the rule strikes at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u64>,
}

impl Match {
    /// Whether a request is of the kind that the rule counts.
    pub fn takes(&self, subject: &Subject) -> bool {
        let text = |wanted: &Option<Names>, found: Option<&str>| {
            wanted.as_ref().is_none_or(|names| found.is_some_and(|found| names.match_any(found)))
        };
        let number = |wanted: Option<Numbers>, found: Option<u64>| {
            wanted.is_none_or(|numbers| found.is_some_and(|found| numbers.contains(found)))
        };
        text(&self.action, Some(subject.action))
            && self.protocol.is_none_or(|protocol| protocol == subject.protocol)
            && text(&self.project, subject.project.as_deref())
            && text(&self.schema, subject.schema.as_deref().or(subject.table.as_ref().map(|_| "default")))
            && text(&self.table, subject.table.as_deref())
            && text(&self.quota, subject.quota.as_deref())
            && text(&self.session, subject.session.as_deref())
            && text(&self.stream, subject.stream.as_deref())
            && number(self.split, subject.split)
            && number(self.block, subject.block)
    }

    /// Whether the rule strikes the `count`-th request that it takes.
    pub fn strikes(&self, count: u64) -> bool {
        self.nth.is_none_or(|nth| nth.contains(count))
            && self.probability.is_none_or(|probability| chance(self.seed.unwrap_or(0), count) < probability)
    }

    fn check(&self) -> Result<(), String> {
        for pattern in self.action.iter().flat_map(Names::each) {
            if !ACTIONS.iter().any(|action| like(pattern, action)) {
                return Err(format!("no action is called \"{pattern}\"; there are {}", ACTIONS.join(", ")));
            }
        }
        for (name, numbers) in [("split", self.split), ("block", self.block), ("nth", self.nth)] {
            if let Some(Numbers::Range([first, last])) = numbers
                && first > last
            {
                return Err(format!("the range [{first}, {last}] of {name} is empty"));
            }
        }
        if self.nth.is_some_and(|nth| nth.contains(0)) {
            return Err("nth counts from 1".into());
        }
        if self.probability.is_some_and(|probability| !(0.0..=1.0).contains(&probability)) {
            return Err("the probability is not from 0 to 1".into());
        }
        if self.times == Some(0) {
            return Err("times is 0: the rule would never strike".into());
        }
        Ok(())
    }
}

/// A number from 0 to 1 that depends on seed and count only (the mixing function of SplitMix64).
fn chance(seed: u64, count: u64) -> f64 {
    let mut z = seed.wrapping_add(count.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
}

/// Which requests, and what happens to them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(default, rename = "match")]
    pub filter: Match,
    pub effect: Effect,
}

/// Reads a plan: a JSON list of rules.
pub fn parse(text: &[u8]) -> Result<Vec<Rule>, String> {
    let items: Vec<serde_json::Value> =
        serde_json::from_slice(text).map_err(|why| format!("a fault plan is a JSON list of rules: {why}"))?;
    if items.len() > MAX_RULES {
        return Err(format!("the plan has {} rules, and may have {MAX_RULES}", items.len()));
    }
    let rule = |(i, item): (usize, serde_json::Value)| -> Result<Rule, String> {
        let rule: Rule = serde_json::from_value(item).map_err(|why| format!("rule {}: {why}", i + 1))?;
        check(&rule).map_err(|why| format!("rule {}: {why}", i + 1))?;
        Ok(rule)
    };
    items.into_iter().enumerate().map(rule).collect()
}

/// Says what is wrong with a rule.
fn check(rule: &Rule) -> Result<(), String> {
    rule.filter.check()?;
    rule.effect.check()
}

/// Reads a single effect.
pub fn parse_effect(text: &str) -> Result<Effect, String> {
    let effect: Effect = serde_json::from_str(text).map_err(|why| why.to_string())?;
    effect.check()?;
    Ok(effect)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_like_file_names() {
        let yes = [
            ("a", "A"),
            ("*", ""),
            ("*", "abc"),
            ("ta*", "table"),
            ("*le", "table"),
            ("t*b*e", "table"),
            ("a*a", "aba"),
        ];
        let no = [("a", "ab"), ("a*", "ba"), ("a*a", "a"), ("t*x*e", "table"), ("", "a"), ("*b", "bab ")];
        yes.iter().for_each(|(pattern, text)| assert!(like(pattern, text), "{pattern} {text}"));
        no.iter().for_each(|(pattern, text)| assert!(!like(pattern, text), "{pattern} {text}"));
    }

    #[test]
    fn a_plan_survives_writing_and_reading() {
        let text = r#"[
            {"name": "a", "match": {"action": ["TableRead", "Tunnel*"], "protocol": "v1", "table": "t", "split": 2, "block": [1, 4],
             "nth": [2, 3], "probability": 0.5, "seed": 7, "times": 1}, "effect": {"kind": "cut", "after_bytes": 10}},
            {"effect": {"kind": "error", "status": 503}},
            {"effect": {"kind": "throttle"}},
            {"effect": {"kind": "delay", "ms": 5}},
            {"effect": {"kind": "stall"}},
            {"effect": {"kind": "end_early"}},
            {"effect": {"kind": "flip_bit", "at_byte": 4, "bit": 7, "on": "request"}},
            {"effect": {"kind": "drip", "bytes_per_second": 5}},
            {"effect": {"kind": "wrong_schema", "change": "name"}},
            {"effect": {"kind": "invalid_utf8"}},
            {"effect": {"kind": "expire_session"}},
            {"effect": {"kind": "session_state", "state": "CRITICAL", "message": "lost"}},
            {"effect": {"kind": "moved"}},
            {"effect": {"kind": "lose_answer"}}
        ]"#;
        let plan = parse(text.as_bytes()).unwrap();
        assert_eq!(parse(&serde_json::to_vec(&plan).unwrap()).unwrap(), plan);
    }

    #[test]
    fn mistakes_are_told_with_their_rule() {
        for (text, expected) in [
            (r#"{"effect": {"kind": "stall"}}"#, "JSON list of rules"),
            (
                r#"[{"effect": {"kind": "stall"}}, {"effect": {"kind": "explode"}}]"#,
                "rule 2: unknown variant `explode`",
            ),
            (r#"[{"effect": {"kind": "stall", "bytes": 3}}]"#, "rule 1: unknown field `bytes`"),
            (r#"[{"effect": {"kind": "lose_answer", "bytes": 3}}]"#, "rule 1: unknown field `bytes`"),
            (r#"[{"effect": {"kind": "stall"}, "when": 3}]"#, "rule 1: unknown field `when`"),
            (r#"[{"match": {"tabel": "t"}, "effect": {"kind": "stall"}}]"#, "rule 1: unknown field `tabel`"),
            (r#"[{"match": {"action": "Reed"}, "effect": {"kind": "stall"}}]"#, "rule 1: no action is called \"Reed\""),
            (r#"[{"match": {"nth": 0}, "effect": {"kind": "stall"}}]"#, "rule 1: nth counts from 1"),
            (
                r#"[{"match": {"nth": [3, 2]}, "effect": {"kind": "stall"}}]"#,
                "rule 1: the range [3, 2] of nth is empty",
            ),
            (r#"[{"match": {"probability": 1.5}, "effect": {"kind": "stall"}}]"#, "rule 1: the probability"),
            (r#"[{"effect": {"kind": "error", "status": 200}}]"#, "rule 1: the status 200"),
            (r#"[{"effect": {"kind": "error", "status": 500, "code": "ä"}}]"#, "rule 1: the code"),
            (r#"[{"effect": {"kind": "flip_bit", "at_byte": 1, "bit": 8}}]"#, "rule 1: bit 8"),
            (r#"[{"effect": {"kind": "drip", "bytes_per_second": 0}}]"#, "rule 1: bytes_per_second"),
            (r#"[{"effect": {"kind": "cut", "on": "request"}}]"#, "rule 1: \"on\": \"request\" needs"),
        ] {
            let why = parse(text.as_bytes()).unwrap_err();
            assert!(why.contains(expected), "{why}");
        }
    }

    #[test]
    fn a_rule_takes_what_it_names() {
        let rule = |text: &str| serde_json::from_str::<Match>(text).unwrap();
        let mut subject = Subject::new(Protocol::V1, "TableRead");
        subject.project = Some("P".into());
        subject.table = Some("orders".into());
        subject.split = Some(4);
        for (text, taken) in [
            ("{}", true),
            (r#"{"action": "tableread", "project": "p", "schema": "default", "table": "ord*", "split": [3, 4]}"#, true),
            (r#"{"action": ["TableWrite", "Table*"]}"#, true),
            (r#"{"action": "TableWrite"}"#, false),
            (r#"{"protocol": "v2"}"#, false),
            (r#"{"split": 3}"#, false),
            (r#"{"quota": "*"}"#, false),
            (r#"{"block": 1}"#, false),
        ] {
            assert_eq!(rule(text).takes(&subject), taken, "{text}");
        }
    }

    #[test]
    fn chances_follow_the_seed() {
        let rule = |seed: u64| Match { probability: Some(0.25), seed: Some(seed), ..Match::default() };
        let struck = |seed| (1..=4000).filter(|count| rule(seed).strikes(*count)).collect::<Vec<u64>>();
        assert_eq!(struck(1), struck(1));
        assert_ne!(struck(1), struck(2));
        for seed in 0..20 {
            let count = struck(seed).len();
            assert!((880..1120).contains(&count), "seed {seed} struck {count} of 4000");
        }
        let never = Match { probability: Some(0.0), ..Match::default() };
        let always = Match { probability: Some(1.0), ..Match::default() };
        assert!((1..100).all(|count| !never.strikes(count) && always.strikes(count)));
    }
}
