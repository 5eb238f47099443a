//! What the format of a column says about how its values lie.

/// How the values of a column lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// A bit each.
    Bits,
    /// So many bytes each.
    Fixed(usize),
    /// Strings or binary values between 32-bit offsets.
    Offsets32,
    /// Strings or binary values between 64-bit offsets.
    Offsets64,
    /// Views of strings or binary values.
    Views,
    /// In the arrays below it, with NULLs of its own.
    Nested,
}

/// How the keys of a dictionary are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyWidth {
    /// Bytes of a key.
    pub bytes: usize,
    /// Whether it may be negative, which no key is.
    pub is_signed: bool,
}

impl Layout {
    /// The layout for a format string of the C data interface; `None` for those that the library never delivers and that have another one.
    pub fn of(format: &str) -> Option<Self> {
        let fixed = |bits: usize| Some(Layout::Fixed(bits / 8));
        match format {
            "b" => Some(Layout::Bits),
            "c" | "C" => fixed(8),
            "s" | "S" | "e" => fixed(16),
            "i" | "I" | "f" | "tdD" | "tts" | "ttm" | "tiM" => fixed(32),
            "l" | "L" | "g" | "tdm" | "ttu" | "ttn" | "tDs" | "tDm" | "tDu" | "tDn" | "tiD" => fixed(64),
            "tin" => fixed(128),
            "u" | "z" => Some(Layout::Offsets32),
            "U" | "Z" => Some(Layout::Offsets64),
            "vu" | "vz" => Some(Layout::Views),
            "+s" | "+l" | "+L" | "+m" => Some(Layout::Nested),
            _ => Self::with_argument(format),
        }
    }

    fn with_argument(format: &str) -> Option<Self> {
        let (name, argument) = format.split_once(':')?;
        match name {
            "tss" | "tsm" | "tsu" | "tsn" => Some(Layout::Fixed(8)),
            "w" => argument.parse().ok().map(Layout::Fixed),
            "+w" => Some(Layout::Nested),
            // Precision, scale and, unless it is 128, the number of bits.
            "d" => {
                let bits: usize = argument.split(',').nth(2).map_or(Some(128), |bits| bits.parse().ok())?;
                bits.is_multiple_of(8).then_some(Layout::Fixed(bits / 8))
            }
            _ => None,
        }
    }
}

impl KeyWidth {
    /// The width for the format of a dictionary's keys.
    pub fn of(format: &str) -> Option<Self> {
        let Some(Layout::Fixed(bytes)) = Layout::of(format) else { return None };
        match format {
            "c" | "s" | "i" | "l" => Some(KeyWidth { bytes, is_signed: true }),
            "C" | "S" | "I" | "L" => Some(KeyWidth { bytes, is_signed: false }),
            _ => None,
        }
    }
}
