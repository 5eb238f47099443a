//! Another order of the same splits and blocks, for finding code that relies on an order nobody promised.

use super::session::Plan;

/// Shuffles the splits, and the blocks inside each; without splits, all blocks. Rows move with their block, so that
/// offsets of rows mean the same in every answer of the session.
pub fn shuffle(plan: &mut Plan, seed: u64) {
    let mut dice = Dice(seed);
    if plan.splits.is_empty() {
        return dice.shuffle(&mut plan.blocks);
    }
    let mut order: Vec<usize> = (0..plan.splits.len()).collect();
    dice.shuffle(&mut order);
    let (mut blocks, mut splits, mut buckets) = (Vec::with_capacity(plan.blocks.len()), Vec::new(), Vec::new());
    for split in order {
        let Some(range) = plan.splits.get(split) else { continue };
        let mut part = plan.blocks.get(range.clone()).unwrap_or_default().to_vec();
        dice.shuffle(&mut part);
        splits.push(blocks.len()..blocks.len() + part.len());
        buckets.extend(plan.bucket_ids.get(split));
        blocks.append(&mut part);
    }
    (plan.blocks, plan.splits, plan.bucket_ids) = (blocks, splits, buckets);
}

/// A sequence of numbers that the seed decides (SplitMix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, (self.roll() % (last as u64 + 1)) as usize);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_decides_the_order_and_nothing_is_lost() {
        let shuffled = |seed| {
            let mut items: Vec<u32> = (0..50).collect();
            Dice(seed).shuffle(&mut items);
            items
        };
        assert_eq!(shuffled(1), shuffled(1));
        assert_ne!(shuffled(1), shuffled(2));
        let mut sorted = shuffled(1);
        sorted.sort_unstable();
        assert_eq!(sorted, (0..50).collect::<Vec<u32>>());
    }
}
