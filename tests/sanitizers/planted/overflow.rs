//! Reads behind the end of a heap block. AddressSanitizer must say so.

fn main() {
    let block = std::hint::black_box(vec![1u8; 4]);
    // SAFETY: none, which is the point.
    println!("{}", unsafe { *block.as_ptr().add(std::hint::black_box(4)) });
}
