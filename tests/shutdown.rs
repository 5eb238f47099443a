//! The end of the threads. One test, because a process has one runtime.

use std::time::{Duration, Instant};

use maxstorage::error::Kind;
use maxstorage::runtime::{Runtime, Threads, shutdown};

/// Names of the threads of this process that are ours.
fn threads() -> Vec<String> {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.map(|name| name.trim().to_owned()).filter(|name| name.starts_with("maxstorage-")).collect()
}

#[test]
fn shutdown_returns_ok_only_when_no_thread_is_left() {
    shutdown(Duration::ZERO).unwrap();
    assert!(threads().is_empty(), "an unused library has no threads");

    let runtime = Runtime::acquire(&Threads::default()).unwrap();
    assert_eq!(shutdown(Duration::ZERO).unwrap_err().kind(), Kind::WrongState);
    runtime.run(async { Ok(()) }).unwrap();

    // A worker that is busy for a while, as in a slow callback of the host.
    let busy = async {
        std::thread::sleep(Duration::from_secs(3));
        Ok(())
    };
    runtime.spawn(busy, |_| {});
    std::thread::sleep(Duration::from_millis(50));
    drop(runtime);
    for _ in 0..2 {
        assert_eq!(shutdown(Duration::from_millis(20)).unwrap_err().kind(), Kind::Timeout);
        assert!(!threads().is_empty());
    }

    // A new client does not wait for the old threads.
    let start = Instant::now();
    let again = Runtime::acquire(&Threads::default()).unwrap();
    assert!(start.elapsed() < Duration::from_secs(2));
    assert_eq!(again.run(async { Ok(7) }).unwrap(), 7);
    drop(again);

    shutdown(Duration::from_secs(20)).unwrap();
    assert!(threads().is_empty(), "{:?}", threads());
}
