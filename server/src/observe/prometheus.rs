//! The picture as Prometheus text. Names follow the series of the service's resource observation where it has one.

use std::fmt::{Display, Write};

use super::snapshot::Snapshot;

/// Writes families of samples.
struct Text(String);

impl Text {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = write!(self.0, "# HELP maxstorage_{name} {help}\n# TYPE maxstorage_{name} {kind}\n");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        let pair = |(name, value): &(&str, &str)| format!("{name}=\"{}\"", escaped(value));
        let labels = labels.iter().map(pair).collect::<Vec<_>>().join(",");
        let labels = if labels.is_empty() { labels } else { format!("{{{labels}}}") };
        let _ = writeln!(self.0, "maxstorage_{name}{labels} {value}");
    }

    /// A family of one sample.
    fn single(&mut self, name: &str, kind: &str, help: &str, value: impl Display) {
        self.family(name, kind, help);
        self.sample(name, &[], value);
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// The whole text.
pub fn text(now: &Snapshot) -> String {
    let mut text = Text(String::new());
    text.single("uptime_seconds", "gauge", "Time since the start.", now.uptime_s);
    if let Some(bytes) = now.memory_bytes {
        text.single("memory_bytes", "gauge", "Resident memory.", bytes);
    }
    text.single(
        "clock_ahead_seconds",
        "gauge",
        "How far the clock is set forward.",
        now.clock.ahead_ms as f64 / 1000.0,
    );
    text.single("fault_rules", "gauge", "Rules of the fault plan in force.", now.fault_rules);
    text.single("request_running", "gauge", "Requests that have not ended.", now.running_requests);
    text.single("received_bytes_total", "counter", "Bytes of request bodies.", now.received_bytes);
    text.single("sent_bytes_total", "counter", "Bytes of answers.", now.sent_bytes);
    quotas(&mut text, now);
    running(&mut text, now);
    usage(&mut text, now);
    text.family("sessions", "gauge", "Sessions that are known, by state.");
    for view in &now.sessions {
        text.sample("sessions", &[("kind", &view.kind), ("state", &view.state)], view.count);
    }
    calls(&mut text, now);
    text.0
}

fn quotas(text: &mut Text, now: &Snapshot) {
    text.family("slot_usage", "gauge", "Slots in use.");
    now.quotas.iter().for_each(|quota| text.sample("slot_usage", &[("quota", &quota.name)], quota.used));
    text.family("slot_max", "gauge", "Slots of a quota that has a bound.");
    for quota in &now.quotas {
        quota.slots.iter().for_each(|slots| text.sample("slot_max", &[("quota", &quota.name)], slots));
    }
    text.family("slot_waiting", "gauge", "Requests that wait for a slot.");
    now.quotas.iter().for_each(|quota| text.sample("slot_waiting", &[("quota", &quota.name)], quota.waiting));
    text.family("slot_refused_total", "counter", "Requests that found no slot.");
    now.quotas.iter().for_each(|quota| text.sample("slot_refused_total", &[("quota", &quota.name)], quota.refused));
}

fn running(text: &mut Text, now: &Snapshot) {
    text.family("throughput_speed", "gauge", "Bytes per second on the wire, summed over running requests.");
    let mut speeds: Vec<([&str; 5], f64)> = Vec::new();
    for view in &now.running {
        let labels = [&view.quota, &view.project, &view.schema, &view.table].map(String::as_str);
        let labels = [labels[0], labels[1], labels[2], labels[3], view.operation];
        match speeds.iter_mut().find(|(known, _)| *known == labels) {
            Some((_, speed)) => *speed += view.speed,
            None => speeds.push((labels, view.speed)),
        }
    }
    for ([quota, project, schema, table, operation], speed) in speeds {
        let labels =
            [("quota", quota), ("project", project), ("schema", schema), ("table", table), ("operation", operation)];
        text.sample("throughput_speed", &labels, speed);
    }
}

fn usage(text: &mut Text, now: &Snapshot) {
    text.single("metered_month_bytes", "gauge", "Logical bytes of pay-as-you-go this month.", now.metered_bytes);
    text.single("metered_free_bytes", "gauge", "Logical bytes of a month that cost nothing.", now.free_bytes);
    for (name, help, value) in [
        ("throughput_logical_bytes", "Logical bytes this month.", |row| row.logical_bytes),
        ("throughput_wire_bytes", "Bytes on the wire this month.", |row| row.wire_bytes),
        ("throughput_rows", "Rows this month.", |row| row.rows),
        ("throughput_requests", "Metered requests that ended this month.", |row| row.requests),
    ] as [(&str, &str, fn(&crate::catalog::UsageRow) -> u64); 4]
    {
        text.family(name, "gauge", help);
        for row in &now.usage {
            let labels = [
                ("month", row.month.as_str()),
                ("quota", &row.quota),
                ("project", &row.project),
                ("schema", &row.schema),
                ("table", &row.table),
                ("operation", &row.operation),
            ];
            text.sample(name, &labels, value(row));
        }
    }
}

fn calls(text: &mut Text, now: &Snapshot) {
    for (name, help, value) in [
        ("request_total", "Requests that ended; code 0 had no answer.", |call| call.requests),
        ("request_broken_total", "Requests whose answer was not sent to its end.", |call| call.broken),
        ("request_received_bytes_total", "Bytes of their bodies.", |call| call.received),
        ("request_sent_bytes_total", "Bytes of their answers.", |call| call.sent),
    ] as [(&str, &str, fn(&super::snapshot::CallView) -> u64); 4]
    {
        text.family(name, "counter", help);
        for call in &now.calls {
            let code = call.status.to_string();
            let labels = [("operation", call.action), ("protocol", call.protocol), ("code", code.as_str())];
            text.sample(name, &labels, value(call));
        }
    }
    let name = "request_duration_seconds";
    text.family(name, "histogram", "How long requests took, until the last byte of the answer.");
    for call in &now.calls {
        let code = call.status.to_string();
        let labels = [("operation", call.action), ("protocol", call.protocol), ("code", code.as_str())];
        let mut below = 0;
        let ends = now.classes_ms.iter().map(|end| (*end as f64 / 1000.0).to_string()).chain(["+Inf".to_string()]);
        for (end, count) in ends.zip(&call.durations) {
            below += count;
            let labels = [labels.as_slice(), &[("le", end.as_str())]].concat();
            text.sample(&format!("{name}_bucket"), &labels, below);
        }
        text.sample(&format!("{name}_sum"), &labels, call.total_ms / 1000.0);
        text.sample(&format!("{name}_count"), &labels, call.requests);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_escaped() {
        let mut text = Text(String::new());
        text.sample("x", &[("a", "b\"c\\d\ne")], 1.5);
        assert_eq!(text.0, "maxstorage_x{a=\"b\\\"c\\\\d\\ne\"} 1.5\n");
    }
}
