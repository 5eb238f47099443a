//! A mistake that is only found if coverage and comparisons guide the fuzzer and AddressSanitizer watches it: behind a word and a
//! byte that must be right one after the other, a read one byte behind the end of an allocation.

pub fn run(data: &[u8]) {
    let Some((first, rest)) = data.split_first_chunk() else { return };
    if u32::from_le_bytes(*first) != 0x5453_534d {
        return;
    }
    let Some((b'!', rest)) = rest.split_first() else { return };
    let copy = [rest, b"x"].concat().into_boxed_slice();
    // SAFETY: none; this is the mistake.
    let behind = unsafe { std::ptr::read_volatile(copy.as_ptr().wrapping_add(copy.len())) };
    std::hint::black_box(behind);
}
