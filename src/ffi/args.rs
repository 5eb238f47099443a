//! Arguments: borrowed inputs and claimed outputs.

use std::ffi::{CStr, CString, c_char, c_void};
use std::mem::MaybeUninit;
use std::ptr::NonNull;
use std::sync::{Mutex, MutexGuard, TryLockError};

use super::gate::new_handle;
use super::live;
use crate::error::{Error, Kind, Result};

/// A shared reference to a handle; NULL is an argument error.
///
/// # Safety
/// `pointer` is NULL or a live handle.
pub(super) unsafe fn borrow<'a, T>(pointer: *const T, name: &str) -> Result<&'a T> {
    // SAFETY: by the contract of this function.
    unsafe { peek(pointer) }.ok_or_else(|| is_null(name))
}

/// A shared reference to a handle that may be NULL.
///
/// # Safety
/// As for [`borrow`].
pub(super) unsafe fn peek<'a, T>(pointer: *const T) -> Option<&'a T> {
    live::used(pointer);
    // SAFETY: by the contract of this function.
    unsafe { pointer.as_ref() }
}

/// Two functions that only make sense together, or none of them; one alone is an argument error.
pub(super) fn both<A, B>(
    (one, its_name): (Option<A>, &str),
    (other, other_name): (Option<B>, &str),
) -> Result<Option<(A, B)>> {
    let alone = |missing: &str, given: &str| {
        Err(Error::new(Kind::InvalidArgument, format!("{missing} is NULL, {given} is not")))
    };
    match (one, other) {
        (None, None) => Ok(None),
        (Some(one), Some(other)) => Ok(Some((one, other))),
        (None, Some(_)) => alone(its_name, other_name),
        (Some(_), None) => alone(other_name, its_name),
    }
}

/// A text; NULL and bad UTF-8 are argument errors.
///
/// # Safety
/// `pointer` is NULL or NUL-terminated and stays unchanged for `'a`.
pub(super) unsafe fn text<'a>(pointer: *const c_char, name: &str) -> Result<&'a str> {
    if pointer.is_null() {
        return Err(is_null(name));
    }
    // SAFETY: by the contract of this function.
    let text = unsafe { CStr::from_ptr(pointer) };
    text.to_str().map_err(|error| {
        Error::new(Kind::InvalidArgument, format!("{name} is not UTF-8 (at byte {})", error.valid_up_to()))
    })
}

/// A text that may be NULL.
///
/// # Safety
/// As for [`text`].
pub(super) unsafe fn optional_text<'a>(pointer: *const c_char, name: &str) -> Result<Option<&'a str>> {
    if pointer.is_null() {
        return Ok(None);
    }
    // SAFETY: by the contract of this function.
    unsafe { text(pointer, name) }.map(Some)
}

/// Bytes; NULL is legal for no bytes.
///
/// # Safety
/// `pointer` points to `length` bytes that stay unchanged for `'a`, or `length` is 0.
pub(super) unsafe fn bytes<'a>(pointer: *const c_void, length: usize, name: &str) -> Result<&'a [u8]> {
    match (pointer.is_null(), length) {
        (_, 0) => Ok(&[]),
        (true, _) => Err(is_null(name)),
        (false, length) if length > isize::MAX as usize => {
            Err(Error::new(Kind::InvalidArgument, format!("{name} cannot have {length} bytes")))
        }
        // SAFETY: by the contract of this function.
        (false, length) => Ok(unsafe { std::slice::from_raw_parts(pointer.cast(), length) }),
    }
}

/// Memory for items that the host wants; NULL is legal for none.
///
/// # Safety
/// `pointer` points to writable memory for `count` items that nobody else uses for `'a`, or `count` is 0.
pub(super) unsafe fn room<'a, T>(pointer: *mut T, count: usize, name: &str) -> Result<&'a mut [MaybeUninit<T>]> {
    let invalid = |text: &str| Err(Error::new(Kind::InvalidArgument, format!("{name} {text}")));
    match (pointer.is_null(), count) {
        (_, 0) => Ok(&mut []),
        (true, _) => Err(is_null(name)),
        (false, count) if count > isize::MAX as usize / size_of::<T>() => invalid("is larger than memory can be"),
        (false, _) if !pointer.is_aligned() => invalid("is not aligned as its items need it"),
        // SAFETY: by the contract of this function; the items need not be initialised.
        (false, count) => Ok(unsafe { std::slice::from_raw_parts_mut(pointer.cast(), count) }),
    }
}

/// Shared references to handles in an array; NULL among them is an argument error.
///
/// # Safety
/// `pointer` points to `count` pointers that are NULL or live handles, or `count` is 0.
pub(super) unsafe fn handles<'a, T>(pointer: *const *const T, count: usize, name: &str) -> Result<Vec<&'a T>> {
    if count == 0 {
        return Ok(Vec::new());
    }
    if pointer.is_null() {
        return Err(is_null(name));
    }
    if count > isize::MAX as usize / size_of::<*const T>() {
        return Err(Error::new(Kind::InvalidArgument, format!("{name} cannot have {count} items")));
    }
    // SAFETY: by the contract of this function.
    let items = unsafe { std::slice::from_raw_parts(pointer, count) };
    // SAFETY: as above.
    items.iter().enumerate().map(|(at, item)| unsafe { borrow(*item, &format!("{name}[{at}]")) }).collect()
}

/// A count.
pub(super) fn not_negative(count: i64, name: &str) -> Result<u64> {
    let negative = |_| Error::new(Kind::InvalidArgument, format!("{name} is {count}"));
    u64::try_from(count).map_err(negative)
}

/// An output: emptied when it is claimed, so that callers may always clean up, and filled at most once.
pub(super) struct Out<T>(NonNull<T>);

impl<T> Out<T> {
    /// Claims an output and writes `empty` into it. What it held before is not looked at.
    ///
    /// # Safety
    /// `pointer` is NULL or points to writable memory for one `T`.
    pub(super) unsafe fn claim(pointer: *mut T, empty: T, name: &str) -> Result<Self> {
        let place = NonNull::new(pointer).ok_or_else(|| is_null(name))?;
        // SAFETY: by the contract of this function.
        unsafe { place.write(empty) };
        Ok(Out(place))
    }

    /// Fills the output.
    pub(super) fn fill(self, value: T) {
        // SAFETY: the memory is writable by the contract of `claim`; the empty value needs no drop.
        unsafe { self.0.write(value) };
    }
}

impl<T> Out<*mut T> {
    /// Claims an output for a handle.
    ///
    /// # Safety
    /// As for [`Out::claim`].
    pub(super) unsafe fn handle(pointer: *mut *mut T, name: &str) -> Result<Self> {
        // SAFETY: by the contract of this function.
        unsafe { Out::claim(pointer, std::ptr::null_mut(), name) }
    }

    /// Gives a new handle to the host.
    pub(super) fn give(self, value: T) {
        self.fill(new_handle(value));
    }
}

/// The turn of a handle that serves one call at a time: another thread's call is `MS_BUSY`, a call after a panic
/// `MS_INTERNAL`.
pub(super) fn take_turn<'a, T>(turn: &'a Mutex<T>, name: &str) -> Result<MutexGuard<'a, T>> {
    turn.try_lock().map_err(|error| match error {
        TryLockError::WouldBlock => Error::new(Kind::Busy, format!("another thread is inside a call on this {name}")),
        TryLockError::Poisoned(_) => {
            Error::new(Kind::Internal, format!("an earlier call on this {name} panicked; free it"))
        }
    })
}

/// What the host wants handed to its callback.
#[derive(Clone, Copy)]
pub(super) struct Context(pub(super) *mut c_void);

// SAFETY: the host promises that its callback can be called with its context from any thread.
unsafe impl Send for Context {}
// SAFETY: as above.
unsafe impl Sync for Context {}

/// A text for C; NULs inside, which C could not see past, become U+FFFD.
pub(super) fn c_text(text: &str) -> CString {
    CString::new(text).or_else(|_| CString::new(text.replace('\0', "\u{fffd}"))).unwrap_or_default()
}

fn is_null(name: &str) -> Error {
    Error::new(Kind::InvalidArgument, format!("{name} is NULL"))
}
