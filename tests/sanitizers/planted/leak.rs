//! Forgets a heap block. LeakSanitizer must say so.

fn main() {
    std::mem::forget(std::hint::black_box(vec![1u8; 4000]));
}
