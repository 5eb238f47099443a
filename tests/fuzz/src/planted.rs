//! A mistake that is only found if coverage and comparisons guide the fuzzer and AddressSanitizer watches it: behind two words that must be
//! right one after the other, a read one byte behind the end of an allocation.

pub fn run(data: &[u8]) {
    let Some((first, rest)) = data.split_first_chunk() else { return };
    if u32::from_le_bytes(*first) != 0x5453_534d {
        return;
    }
    let Some((second, rest)) = rest.split_first_chunk() else { return };
    if u32::from_le_bytes(*second) != 0x9e37_79b9 {
        return;
    }
    let copy: Box<[u8]> = rest.into();
    // SAFETY: none; this is the mistake.
    let behind = unsafe { std::ptr::read_volatile(copy.as_ptr().wrapping_add(copy.len())) };
    std::hint::black_box(behind);
}
