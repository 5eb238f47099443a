//! The thousand requests that a tenant may have at once. A file of its own: other tests measure times.

mod common;

use std::net::TcpStream;
use std::time::{Duration, Instant};

use common::governance::{allow, create, open, split, start};
use common::sessions;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;

#[test]
fn a_tenant_has_a_thousand_requests_at_once_on_pay_as_you_go() {
    // Also for the server, which inherits it.
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).unwrap();
    let (_root, server) = start(&["--profile", "cloud"]);
    server.run("set tenant property storage_api_switch=true");
    allow(&server, "pay-as-you-go");
    let target = split(&server, "pay-as-you-go");
    // Bodies that never go on hold their slots and no memory.
    let plan =
        json!([{"match": {"action": "TableRead", "times": 1000}, "effect": {"kind": "stall", "after_bytes": 8}}]);
    server.admin("PUT", "faults", Some(&plan.to_string()));
    let mut running: Vec<TcpStream> = (0..1000).map(|_| open(&server, &target)).collect();
    for refused in [create(&server, "pay-as-you-go"), server.get(&target)] {
        assert_eq!(refused.error(), (429, "SlotExceeded".into()));
        assert!(
            refused.text().contains("total: 1000") && refused.text().contains("acquired: 1001"),
            "{}",
            refused.text()
        );
    }
    // Other quotas have their own.
    assert_eq!(server.post(&sessions("t"), "{}").status, 201);
    running.pop();
    let end = Instant::now() + Duration::from_secs(20);
    while create(&server, "pay-as-you-go").status != 201 {
        assert!(Instant::now() < end, "the slot of a client that went away is still taken");
        std::thread::sleep(Duration::from_millis(20));
    }
}
