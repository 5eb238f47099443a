//! Figures: counters that are written without locks and listed at any time.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// One figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// Name, for example `bytes_wire`.
    pub name: &'static str,
    /// Unit: `rows`, `batches`, `bytes`, `requests`, `reads`, `values` or `us`.
    pub unit: &'static str,
    /// Value.
    pub value: u64,
}

/// A counter.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `count`.
    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    /// Adds a time in microseconds.
    pub fn add_time(&self, time: Duration) {
        self.add(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
    }

    /// Replaces the sum, of a figure that goes up and down.
    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// The sum.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Declares a list of figures: a struct with a counter for each.
macro_rules! figures {
    ($(#[$about:meta])* $name:ident; $($field:ident, $unit:literal, $doc:literal;)*) => {
        $(#[$about])*
        #[derive(Debug, Default)]
        pub struct $name {
            $(#[doc = $doc] pub $field: $crate::metrics::Counter,)*
        }

        impl $name {
            /// Name, unit and meaning of every figure, in the order of the list.
            pub const DESCRIPTIONS: &'static [(&'static str, &'static str, &'static str)] =
                &[$((stringify!($field), $unit, $doc),)*];

            /// Adds each figure of another list.
            pub fn add(&self, other: &Self) {
                $(self.$field.add(other.$field.get());)*
            }

            /// Every figure as it is now.
            pub fn list(&self) -> Vec<$crate::metrics::Metric> {
                vec![$($crate::metrics::Metric { name: stringify!($field), unit: $unit, value: self.$field.get() },)*]
            }
        }
    };
}

pub(crate) use figures;
