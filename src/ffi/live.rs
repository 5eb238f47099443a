//! Mistakes of the host with handles, found in debug builds: a second free, a use after the free, a handle of another kind. They are
//! told on stderr, and the process ends where the mistake is. Release builds look at nothing.

#[cfg(debug_assertions)]
pub(super) use watch::{born, lend, retire, used};

#[cfg(not(debug_assertions))]
pub(super) use blind::{born, lend, retire, used};

#[cfg(not(debug_assertions))]
mod blind {
    #[inline(always)]
    pub(in crate::ffi) fn born<T>(_: *const T) {}

    pub(in crate::ffi) struct Loan;

    #[inline(always)]
    pub(in crate::ffi) fn lend<T>(_: *const T) -> Loan {
        Loan
    }

    #[inline(always)]
    pub(in crate::ffi) fn used<T>(_: *const T) {}

    /// # Safety
    /// `handle` came from `Box::into_raw` and is not used any more.
    #[inline(always)]
    pub(in crate::ffi) unsafe fn retire<T>(handle: *mut T) -> Box<T> {
        // SAFETY: by the contract of this function.
        unsafe { Box::from_raw(handle) }
    }
}

#[cfg(debug_assertions)]
mod watch {
    use std::alloc::{Layout, dealloc};
    use std::collections::{HashMap, HashSet, VecDeque};
    use std::io::Write;
    use std::marker::PhantomData;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

    /// Handles that are remembered after they were freed. Their memory is kept, so that no other handle has their address.
    const REMEMBERED: usize = 4096;

    #[derive(Default)]
    struct Handles {
        /// Addresses and kinds.
        live: HashMap<usize, &'static str>,
        /// Those that the host may not free.
        lent: HashSet<usize>,
        freed: HashMap<usize, &'static str>,
        /// The memory of those that were freed, the oldest first.
        kept: VecDeque<(usize, Layout)>,
    }

    static HANDLES: LazyLock<Mutex<Handles>> = LazyLock::new(Mutex::default);
    /// The process that watches: in a child that was forked, nobody may hold the lock that is held.
    static PROCESS: AtomicU32 = AtomicU32::new(0);

    fn handles() -> Option<MutexGuard<'static, Handles>> {
        let process = std::process::id();
        let first = PROCESS.compare_exchange(0, process, Ordering::Relaxed, Ordering::Relaxed);
        let is_ours = first.map_or_else(|watching| watching == process, |_| true);
        is_ours.then(|| HANDLES.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn kind<T>() -> &'static str {
        std::any::type_name::<T>().rsplit("::").next().unwrap_or_default()
    }

    /// Takes note of a new handle.
    pub(in crate::ffi) fn born<T>(handle: *const T) {
        if let Some(mut handles) = handles() {
            handles.live.insert(handle.addr(), kind::<T>());
        }
    }

    /// A handle that ends with the scope of the result.
    pub(in crate::ffi) struct Loan<T>(usize, PhantomData<T>);

    /// Takes note of a handle that the host has for the time of a callback only.
    pub(in crate::ffi) fn lend<T>(handle: *const T) -> Loan<T> {
        born(handle);
        if let Some(mut handles) = handles() {
            handles.lent.insert(handle.addr());
        }
        Loan(handle.addr(), PhantomData)
    }

    impl<T> Drop for Loan<T> {
        fn drop(&mut self) {
            if let Some(mut handles) = handles() {
                handles.live.remove(&self.0);
                handles.lent.remove(&self.0);
            }
        }
    }

    /// Ends the process unless the handle is NULL or lives.
    pub(in crate::ffi) fn used<T>(handle: *const T) {
        if !handle.is_null()
            && let Some(handles) = handles()
        {
            handles.check::<T>(handle, "used");
        }
    }

    /// Takes the content of a handle that is freed or consumed. Ends the process if it does not live.
    ///
    /// # Safety
    /// `handle` came from `Box::into_raw` and is not used any more.
    pub(in crate::ffi) unsafe fn retire<T>(handle: *mut T) -> Box<T> {
        let Some(mut handles) = handles() else {
            // SAFETY: by the contract of this function.
            return unsafe { Box::from_raw(handle) };
        };
        handles.check::<T>(handle, "freed");
        if handles.lent.contains(&handle.addr()) {
            end(&format!("{} {handle:p} is freed, and was only lent to a callback", kind::<T>()));
        }
        handles.live.remove(&handle.addr());
        handles.freed.insert(handle.addr(), kind::<T>());
        handles.kept.push_back((handle.expose_provenance(), Layout::new::<T>()));
        // SAFETY: the handle lives, as was checked, and is known to nobody any more. Its memory is kept without content.
        let content = unsafe {
            let content = handle.read();
            handle.write_bytes(0, 1);
            Box::new(content)
        };
        if handles.kept.len() > REMEMBERED
            && let Some((oldest, layout)) = handles.kept.pop_front()
        {
            handles.freed.remove(&oldest);
            // SAFETY: memory of a box of that layout, which nobody has freed.
            unsafe { dealloc(std::ptr::with_exposed_provenance_mut(oldest), layout) };
        }
        content
    }

    impl Handles {
        fn check<T>(&self, handle: *const T, done: &str) {
            let (address, kind) = (handle.addr(), kind::<T>());
            match (self.live.get(&address), self.freed.get(&address)) {
                (Some(known), _) if *known == kind => {}
                (Some(other), _) => end(&format!("{other} {handle:p} is {done} as {kind}")),
                (None, Some(freed)) if *freed == kind && done == "freed" => {
                    end(&format!("{kind} {handle:p} is freed a second time (or was consumed)"));
                }
                (None, Some(freed)) => end(&format!("{freed} {handle:p} is {done} after it was freed (or consumed)")),
                (None, None) => end(&format!("{handle:p} is {done} as {kind}, and is no handle that lives")),
            }
        }
    }

    fn end(mistake: &str) -> ! {
        // Nothing can be done about a stderr that is closed.
        let _ = writeln!(std::io::stderr(), "maxstorage: {mistake}; see docs/ownership.md");
        std::process::abort();
    }
}

#[cfg(all(test, debug_assertions))]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::Command;
    use std::ptr::null_mut;

    use crate::ffi::*;

    /// Names the mistake that a child of the test makes.
    const MISTAKE: &str = "MS_TEST_MISTAKE";

    /// A mistake, and what is said of it.
    type Mistake = (&'static str, unsafe fn(), &'static str);

    unsafe fn options_freed_twice() {
        unsafe {
            let options = ms_options_new();
            ms_options_free(options);
            ms_options_free(options);
        }
    }

    unsafe fn options_cloned_after_free() {
        unsafe {
            let options = ms_options_new();
            ms_options_free(options);
            let _ = ms_options_clone(options);
        }
    }

    unsafe fn options_set_after_free() {
        unsafe {
            let options = ms_options_new();
            ms_options_free(options);
            let _ = ms_options_set(options, c"project".as_ptr(), c"p".as_ptr(), null_mut());
        }
    }

    unsafe fn error_read_after_free() {
        unsafe {
            let (mut client, mut error) = (null_mut(), null_mut());
            let _ = ms_client_open(std::ptr::null(), &raw mut client, &raw mut error);
            assert_eq!(ms_error_code(error), MS_INVALID_ARGUMENT);
            ms_error_free(error);
            ms_error_message(error);
        }
    }

    unsafe fn cancel_freed_as_options() {
        unsafe { ms_options_free(ms_cancel_new().cast()) }
    }

    unsafe fn a_number_for_a_handle() {
        unsafe { ms_options_free(std::ptr::without_provenance_mut(4096)) }
    }

    unsafe fn freed_long_ago() {
        unsafe {
            let options = ms_options_new();
            ms_options_free(options);
            for _ in 0..10_000 {
                ms_cancel_free(ms_cancel_new());
            }
            ms_options_free(options);
        }
    }

    unsafe fn lent_error_freed() {
        let error = ms_error::new(&crate::error::Error::new(crate::error::Kind::NotFound, "x"));
        let _loan = super::lend(&raw const error);
        unsafe { ms_error_free((&raw const error).cast_mut()) };
    }

    const MISTAKES: &[Mistake] = &[
        ("lent_error_freed", lent_error_freed, "ms_error 0x… is freed, and was only lent to a callback"),
        ("options_freed_twice", options_freed_twice, "ms_options 0x… is freed a second time"),
        ("options_cloned_after_free", options_cloned_after_free, "ms_options 0x… is used after it was freed"),
        ("options_set_after_free", options_set_after_free, "ms_options 0x… is used after it was freed"),
        ("error_read_after_free", error_read_after_free, "ms_error 0x… is used after it was freed"),
        ("cancel_freed_as_options", cancel_freed_as_options, "ms_cancel 0x… is freed as ms_options"),
        ("a_number_for_a_handle", a_number_for_a_handle, "0x… is freed as ms_options, and is no handle that lives"),
        ("freed_long_ago", freed_long_ago, "0x… is freed as ms_options, and is no handle that lives"),
    ];

    /// Each mistake in a child of its own, which ends by SIGABRT.
    #[test]
    fn mistakes_with_handles_are_told_and_end_the_process() {
        for (name, _, expected) in MISTAKES {
            let mut child = Command::new(std::env::current_exe().unwrap());
            child.args(["--exact", "ffi::live::tests::makes_the_mistake_that_it_is_told", "--nocapture"]);
            let output = child.env(MISTAKE, name).output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            let line =
                said.lines().find(|line| line.starts_with("maxstorage: ")).unwrap_or_else(|| panic!("{name}: {said}"));
            let digits = |text: &str| text.find(|letter: char| !letter.is_ascii_hexdigit()).unwrap_or(text.len());
            let (before, behind) = line.split_once("0x").unwrap();
            let line = format!("{before}0x…{}", &behind[digits(behind)..]);
            assert!(line.contains(expected) && line.ends_with("; see docs/ownership.md"), "{name}: {line}");
            assert_eq!(output.status.signal(), Some(libc::SIGABRT), "{name}");
        }
    }

    /// Does nothing unless the test above says which.
    #[test]
    fn makes_the_mistake_that_it_is_told() {
        let Ok(told) = std::env::var(MISTAKE) else { return };
        let (_, mistake, _) = MISTAKES.iter().find(|(name, ..)| *name == told).unwrap();
        unsafe { mistake() };
        panic!("{told} was not found");
    }

    #[test]
    fn what_is_right_is_left_alone() {
        unsafe {
            for _ in 0..5000 {
                let options = ms_options_new();
                let clone = ms_options_clone(options);
                ms_options_free(options);
                ms_options_free(clone);
                ms_options_free(null_mut());
            }
        }
    }
}
