//! Cuts a sequence of blocks into splits.

use std::ops::Range;

/// A block as splitting sees it.
#[derive(Clone, Copy, Debug)]
pub struct Piece {
    pub bytes: u64,
    /// Number of its file in the plan.
    pub file: usize,
    /// A number that changes where the partition changes.
    pub partition: i64,
    /// Bucket of a table that has buckets.
    pub bucket: Option<u32>,
}

/// Where splits must end.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// A split may hold blocks of several partitions.
    pub cross_partition: bool,
    /// Files per split at most; 0 means no cap.
    pub max_files: usize,
}

/// Splits of about `target` bytes, at least one block each.
pub fn by_size(pieces: &[Piece], target: u64, rules: Rules) -> Vec<Range<usize>> {
    cut(pieces, rules, |_, bytes_so_far, next| bytes_so_far + next.bytes > target)
}

/// At most `wanted` splits of about equal bytes; more only if the rules force it.
pub fn by_count(pieces: &[Piece], wanted: u64, rules: Rules) -> Vec<Range<usize>> {
    let total: u128 = pieces.iter().map(|p| u128::from(p.bytes.max(1))).sum();
    let mut slots = Vec::with_capacity(pieces.len());
    let mut before: u128 = 0;
    for piece in pieces {
        let bytes = u128::from(piece.bytes.max(1));
        // The slot of a block is the slot of its middle byte, so slots grow and never pass `wanted`.
        slots.push((before + bytes / 2) * u128::from(wanted) / total.max(1));
        before += bytes;
    }
    cut(pieces, rules, |at, _, _| slots.get(at) != slots.get(at.wrapping_sub(1)))
}

/// One split per bucket, or per bucket and partition.
pub fn by_bucket(pieces: &[Piece], rules: Rules) -> Vec<Range<usize>> {
    let bucket = |at: usize| pieces.get(at).map(|piece| piece.bucket);
    cut(pieces, Rules { max_files: 0, ..rules }, |at, _, _| bucket(at) != bucket(at.wrapping_sub(1)))
}

/// Walks the blocks and starts a new split where a rule or `full(index, bytes so far, block)` says so.
fn cut(pieces: &[Piece], rules: Rules, full: impl Fn(usize, u64, &Piece) -> bool) -> Vec<Range<usize>> {
    let mut splits = Vec::new();
    let mut start = 0;
    let (mut bytes, mut files) = (0u64, 0usize);
    let mut last: Option<Piece> = None;
    for (at, piece) in pieces.iter().enumerate() {
        if let Some(last) = last {
            let new_file = last.file != piece.file;
            let too_many_files = rules.max_files > 0 && files + usize::from(new_file) > rules.max_files;
            let new_partition = !rules.cross_partition && last.partition != piece.partition;
            if new_partition || too_many_files || full(at, bytes, piece) {
                splits.push(start..at);
                (start, bytes, files) = (at, 0, 1);
            } else {
                files += usize::from(new_file);
            }
        } else {
            files = 1;
        }
        bytes += piece.bytes;
        last = Some(*piece);
    }
    if start < pieces.len() {
        splits.push(start..pieces.len());
    }
    splits
}

#[cfg(test)]
mod tests {
    use super::*;

    const FREE: Rules = Rules { cross_partition: true, max_files: 0 };

    fn pieces(count: usize) -> Vec<Piece> {
        (0..count)
            .map(|i| Piece { bytes: 10, file: i / 3, partition: (i / 4) as i64, bucket: Some(i as u32 / 6) })
            .collect()
    }

    fn covers(splits: &[Range<usize>], count: usize) {
        let mut at = 0;
        for split in splits {
            assert_eq!(split.start, at);
            assert!(!split.is_empty());
            at = split.end;
        }
        assert_eq!(at, count);
    }

    #[test]
    fn sizes_and_counts() {
        let blocks = pieces(12);
        assert_eq!(by_size(&blocks, 30, FREE).len(), 4);
        assert_eq!(by_size(&blocks, 1, FREE).len(), 12);
        assert_eq!(by_size(&blocks, 1 << 40, FREE).len(), 1);
        assert!(by_size(&[], 1, FREE).is_empty());
        for wanted in 1..20 {
            let splits = by_count(&blocks, wanted, FREE);
            covers(&splits, 12);
            assert_eq!(splits.len() as u64, wanted.min(12), "{wanted}");
        }
        assert!(by_count(&[], 4, FREE).is_empty());
    }

    #[test]
    fn rules_end_splits() {
        let blocks = pieces(12);
        let apart = by_size(&blocks, 1 << 40, Rules { cross_partition: false, max_files: 0 });
        assert_eq!(apart, vec![0..4, 4..8, 8..12]);
        assert_eq!(by_bucket(&blocks, Rules { cross_partition: true, max_files: 1 }), vec![0..6, 6..12]);
        assert_eq!(by_bucket(&blocks, Rules { cross_partition: false, max_files: 0 }), vec![0..4, 4..6, 6..8, 8..12]);
        let capped = by_count(&blocks, 1, Rules { cross_partition: true, max_files: 2 });
        assert_eq!(capped, vec![0..6, 6..12]);
    }
}
