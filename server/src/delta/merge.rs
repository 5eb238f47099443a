//! The state of a set of keys while operations are applied to it. Knows nothing of files.

use std::collections::HashMap;

use super::keys::Key;

/// What happened to one key between two moments, as positions of stored rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    pub key: Key,
    /// The row that was visible before.
    pub before: Option<u64>,
    /// The row that is visible after.
    pub after: Option<u64>,
}

/// Keys and the positions of their visible rows. Operations must be applied in their order.
#[derive(Default)]
pub struct Merge {
    visible: HashMap<Key, u64>,
    /// The keys that were touched since [`Merge::watch`] or the last [`Merge::take_changes`], with the row that was
    /// visible then; `None` if nobody watches.
    touched: Option<HashMap<Key, Option<u64>>>,
}

impl Merge {
    /// The row at `position` becomes the visible one of its key.
    pub fn upsert(&mut self, key: Key, position: u64) {
        let before = self.visible.insert(key, position);
        self.touch(key, before);
    }

    /// Hides a key. Unknown keys are no error.
    pub fn delete(&mut self, key: Key) {
        let before = self.visible.remove(&key);
        if before.is_some() {
            self.touch(key, before);
        }
    }

    /// Hides the rows at which `gone` is true, as an overwrite does.
    pub fn remove(&mut self, gone: impl Fn(u64) -> bool) {
        let keys: Vec<Key> = self.visible.iter().filter(|(_, row)| gone(**row)).map(|(key, _)| *key).collect();
        keys.into_iter().for_each(|key| self.delete(key));
    }

    /// From now on changes are remembered.
    pub fn watch(&mut self) {
        self.touched.get_or_insert_default();
    }

    /// The net changes, in no order, since the last call: keys that are as they were are left out.
    pub fn take_changes(&mut self) -> Vec<Change> {
        let Some(touched) = &mut self.touched else { return Vec::new() };
        let changes = std::mem::take(touched).into_iter();
        changes
            .map(|(key, before)| Change { key, before, after: self.visible.get(&key).copied() })
            .filter(|change| change.before != change.after)
            .collect()
    }

    /// The position of the visible row of a key.
    pub fn row(&self, key: &Key) -> Option<u64> {
        self.visible.get(key).copied()
    }

    /// The positions of all visible rows, in no order.
    pub fn visible(&self) -> impl Iterator<Item = u64> {
        self.visible.values().copied()
    }

    fn touch(&mut self, key: Key, before: Option<u64>) {
        if let Some(touched) = &mut self.touched {
            touched.entry(key).or_insert(before);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Key = [1, 0];
    const B: Key = [2, 0];

    fn visible(merge: &Merge) -> Vec<u64> {
        let mut rows: Vec<u64> = merge.visible().collect();
        rows.sort_unstable();
        rows
    }

    #[test]
    fn the_last_operation_wins() {
        let mut merge = Merge::default();
        merge.upsert(A, 0);
        merge.upsert(B, 1);
        merge.upsert(A, 2);
        assert_eq!(visible(&merge), [1, 2]);
        merge.delete(A);
        merge.delete([9, 9]);
        assert_eq!(visible(&merge), [1]);
        merge.upsert(A, 5);
        assert_eq!(visible(&merge), [1, 5]);
        assert!(merge.take_changes().is_empty(), "nobody watched");
    }

    #[test]
    fn changes_are_net() {
        let mut merge = Merge::default();
        merge.upsert(A, 0);
        merge.watch();
        merge.delete(A);
        merge.upsert(A, 1);
        merge.upsert(B, 2);
        merge.delete(B);
        let change = Change { key: A, before: Some(0), after: Some(1) };
        assert_eq!(merge.take_changes(), [change], "B came and went");
        merge.remove(|row| row == 1);
        assert_eq!(merge.take_changes(), [Change { key: A, before: Some(1), after: None }]);
        assert!(merge.take_changes().is_empty());
    }
}
