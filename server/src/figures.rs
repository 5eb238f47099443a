//! What property tests have looked at. Each counts it and prints it at its end, for `-- --nocapture`.

use std::sync::atomic::{AtomicU64, Ordering};

/// The counts of one property, each with its name; the first is the number of random cases.
pub struct Figures<const N: usize> {
    property: &'static str,
    names: [&'static str; N],
    counts: [AtomicU64; N],
}

impl<const N: usize> Figures<N> {
    pub const fn new(property: &'static str, names: [&'static str; N]) -> Figures<N> {
        Figures { property, names, counts: [const { AtomicU64::new(0) }; N] }
    }

    pub fn add(&self, counts: [usize; N]) {
        self.counts.iter().zip(counts).for_each(|(sum, count)| _ = sum.fetch_add(count as u64, Ordering::Relaxed));
    }

    /// The counts so far.
    pub fn counts(&self) -> [u64; N] {
        self.counts.each_ref().map(|count| count.load(Ordering::Relaxed))
    }

    /// Prints the line of the property; a property that has looked at none of something has shown nothing.
    #[allow(clippy::print_stdout)] // a test may fail if nobody listens
    pub fn print(&self, seed: u64) {
        let told = self.names.iter().zip(self.counts()).map(|(name, count)| format!("{count} {name}"));
        println!("property: {}: {}; seed {seed}", self.property, told.collect::<Vec<_>>().join(", "));
        assert!(self.counts().iter().all(|count| *count > 0), "{}: {:?}", self.property, self.counts());
    }
}
