//! State that a forked child must not share with its parent.

use once_cell::sync::OnceCell;

/// A value of which every process has its own. A lock that another thread held at the time of a fork stays locked in the child
/// for ever, so the child gets a new one instead.
#[derive(Debug)]
pub struct PerProcess<T> {
    first: OnceCell<Box<Node<T>>>,
}

#[derive(Debug)]
struct Node<T> {
    pid: u32,
    value: T,
    /// The value of a child, made there.
    child: OnceCell<Box<Node<T>>>,
}

impl<T: Default> PerProcess<T> {
    /// Nothing yet.
    pub const fn new() -> Self {
        PerProcess { first: OnceCell::new() }
    }

    /// The value of this process, made at the first call.
    pub fn get(&self) -> &T {
        self.of(std::process::id())
    }

    fn of(&self, pid: u32) -> &T {
        let mut place = &self.first;
        loop {
            let node = place.get_or_init(|| Box::new(Node { pid, value: T::default(), child: OnceCell::new() }));
            if node.pid == pid {
                return &node.value;
            }
            place = &node.child;
        }
    }
}

impl<T: Default> Default for PerProcess<T> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    #[test]
    fn a_lock_held_in_the_parent_is_free_in_the_child() {
        let state = PerProcess::<Mutex<u32>>::new();
        let held = state.of(1).lock().unwrap();
        *state.of(2).lock().unwrap() = 7;
        *state.of(3).lock().unwrap() = 8;
        assert_eq!((*held, *state.of(2).lock().unwrap(), *state.of(3).lock().unwrap()), (0, 7, 8));
    }
}
