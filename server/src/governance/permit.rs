//! A request that was admitted: it holds its slot, is throttled and metered until its last byte.

use std::io;
use std::sync::Arc;

use arrow::array::RecordBatch;
use axum::body::Body;
use bytes::Bytes;
use futures::stream::unfold;
use futures::{Stream, StreamExt};

use super::logical::logical_size;
use super::meters::{Meter, Meters};
use super::slots::Slot;
use super::throttle::Throttle;

/// The right of one request to run. The slot is free, and the usage counted, when the last clone is dropped.
#[derive(Clone)]
pub struct Permit(Arc<Inner>);

struct Inner {
    meters: Arc<Meters>,
    number: u64,
    meter: Arc<Meter>,
    _slot: Option<Slot>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.meters.end(self.number);
    }
}

impl Permit {
    pub(super) fn new(meters: Arc<Meters>, number: u64, meter: Arc<Meter>, slot: Option<Slot>) -> Permit {
        Permit(Arc::new(Inner { meters, number, meter, _slot: slot }))
    }

    /// Counts rows that were read or written.
    pub fn count(&self, batch: &RecordBatch) {
        self.add(batch.num_rows() as u64, logical_size(batch));
    }

    /// Counts rows whose logical size is known.
    pub fn add(&self, rows: u64, logical_bytes: u64) {
        self.0.meter.add_rows(rows, logical_bytes);
    }

    /// The quota that the request runs on.
    pub fn quota(&self) -> &str {
        &self.0.meter.facts.quota
    }

    /// The body of an answer at the rate of its quota.
    pub fn outgoing(
        &self,
        body: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
    ) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
        self.throttled(body)
    }

    /// The body of a request at the rate of its quota: a client that sends faster is held up by its connection.
    pub fn incoming(&self, body: Body) -> Body {
        Body::from_stream(self.throttled(body.into_data_stream().map(|piece| piece.map_err(io::Error::other))))
    }

    fn throttled(
        &self,
        body: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
    ) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
        let throttle = Throttle::new(self.0.meter.rate);
        unfold((Box::pin(body), self.clone(), throttle), |(mut body, permit, mut throttle)| async move {
            let piece = body.next().await?;
            if let Ok(bytes) = &piece {
                throttle.take(bytes.len()).await;
                permit.0.meter.add_wire(bytes.len() as u64);
            }
            Some((piece, (body, permit, throttle)))
        })
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::super::meters::Facts;
    use super::super::slots::{Over, Slots};
    use super::*;

    const PIECE: usize = 1 << 20;

    fn pieces(count: usize) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
        futures::stream::iter((0..count).map(|_| Ok(Bytes::from(vec![0; PIECE]))))
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_is_throttled_in_both_directions_counted_and_holds_its_slot_to_the_end() {
        let (slots, meters) = (Slots::default(), Arc::new(Meters::default()));
        for up in [false, true] {
            let slot = slots.take("q", Some(1), Over::Refuse).await.ok().unwrap();
            let (number, meter) = meters.begin(Facts::default(), Some(10 * PIECE as u64));
            let permit = Permit::new(meters.clone(), number, meter.clone(), Some(slot));
            let start = Instant::now();
            let body = if up {
                permit.incoming(Body::from_stream(pieces(40)))
            } else {
                Body::from_stream(permit.outgoing(pieces(40)))
            };
            drop(permit);
            let mut body = body.into_data_stream();
            let first = body.next().await.unwrap().unwrap();
            assert_eq!((first.len(), slots.load()[0].used, meters.list().len()), (PIECE, 1, 1));
            assert_eq!(body.by_ref().count().await, 39);
            let seconds = start.elapsed().as_secs_f64();
            assert!((3.0..3.1).contains(&seconds), "{seconds}");
            assert_eq!(meter.counts().wire_bytes, 40 * PIECE as u64);
            drop(body);
            assert_eq!((slots.load()[0].used, meters.list().len()), (0, 0));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_upload_that_stands_still_gives_its_slot_back() {
        let (slots, meters) = (Slots::default(), Arc::new(Meters::default()));
        let slot = slots.take("q", Some(1), Over::Refuse).await.ok().unwrap();
        let (number, meter) = meters.begin(Facts::default(), None);
        let permit = Permit::new(meters, number, meter, Some(slot));
        let body = permit.incoming(Body::from_stream(pieces(1).chain(futures::stream::pending())));
        drop(permit);
        let start = Instant::now();
        let error = crate::write::receive(body, |_| panic!("there is no schema")).await.err().unwrap();
        // The first piece is no message; what comes after it is waited for so that the client sees the answer.
        assert_eq!(error.status, 400);
        assert_eq!((slots.load()[0].used, start.elapsed()), (0, std::time::Duration::from_secs(10)));

        let slot = slots.take("q", Some(1), Over::Refuse).await.ok().unwrap();
        let (number, meter) = Arc::new(Meters::default()).begin(Facts::default(), None);
        let permit = Permit::new(Arc::new(Meters::default()), number, meter, Some(slot));
        let body = permit.incoming(Body::from_stream(futures::stream::pending::<io::Result<Bytes>>()));
        drop(permit);
        let error = crate::write::receive(body, |_| panic!("there is no schema")).await.err().unwrap();
        assert_eq!((error.status, error.code, slots.load()[0].used), (408, "RequestTimeout", 0));
    }
}
