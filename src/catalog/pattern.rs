//! Patterns of names: `*` stands for any characters, `?` for one; letters match in either case, as names do in MaxCompute.

/// A pattern.
#[derive(Debug, Clone)]
pub(super) struct Pattern(Vec<char>);

impl Pattern {
    pub(super) fn new(text: &str) -> Self {
        Pattern(text.to_lowercase().chars().collect())
    }

    /// What every name that matches begins with.
    pub(super) fn prefix(&self) -> String {
        self.0.iter().take_while(|c| !matches!(c, '*' | '?')).collect()
    }

    pub(super) fn matches(&self, name: &str) -> bool {
        let name: Vec<char> = name.to_lowercase().chars().collect();
        // Which parts of the pattern end where the name was read so far.
        let mut reached = vec![false; self.0.len() + 1];
        reached.first_mut().into_iter().for_each(|start| *start = true);
        self.skip_stars(&mut reached);
        for c in name {
            let mut next = vec![false; reached.len()];
            for (at, part) in self.0.iter().enumerate() {
                if reached.get(at) == Some(&true) {
                    let target = match part {
                        '*' => at,
                        '?' => at + 1,
                        other if *other == c => at + 1,
                        _ => continue,
                    };
                    next.get_mut(target).into_iter().for_each(|place| *place = true);
                }
            }
            self.skip_stars(&mut next);
            reached = next;
        }
        reached.last() == Some(&true)
    }

    /// A star may also stand for nothing.
    fn skip_stars(&self, reached: &mut [bool]) {
        for (at, part) in self.0.iter().enumerate() {
            if *part == '*' && reached.get(at) == Some(&true) {
                reached.get_mut(at + 1).into_iter().for_each(|place| *place = true);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_and_question_marks() {
        for (pattern, matching, other) in [
            ("*", &["", "a", "a.b"][..], &[][..]),
            ("", &[""][..], &["a"][..]),
            ("orders", &["orders", "ORDERS"][..], &["order", "orders_1", ""][..]),
            ("Ord*", &["ord", "orders"][..], &["xord", "or"][..]),
            ("*_tmp_*", &["a_tmp_b", "_tmp__tmp_"][..], &["a_tmp", "tmp"][..]),
            ("t?_*", &["t1_", "t1_x"][..], &["t_", "t12_"][..]),
            ("**a**", &["a", "bab"][..], &["b", ""][..]),
        ] {
            let compiled = Pattern::new(pattern);
            assert!(matching.iter().all(|name| compiled.matches(name)), "{pattern}");
            assert!(!other.iter().any(|name| compiled.matches(name)), "{pattern}");
        }
        assert_eq!(Pattern::new("Ord?rs*").prefix(), "ord");
    }

    #[test]
    fn a_pattern_of_stars_takes_no_time() {
        assert!(!Pattern::new(&"*a".repeat(200)).matches(&"a".repeat(199)));
    }
}
