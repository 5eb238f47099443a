//! How fast one request may send or receive: a token bucket in front of its body.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// A bucket of one second's worth of bytes, full at the start.
#[derive(Debug)]
pub struct Throttle {
    /// Bytes per second; `None` is no bound.
    rate: Option<u64>,
    /// Bytes in the bucket at `since`; below zero, they are owed.
    bytes: f64,
    since: Instant,
}

impl Throttle {
    /// A full bucket.
    pub fn new(rate: Option<u64>) -> Throttle {
        Throttle { rate, bytes: rate.unwrap_or(0) as f64, since: Instant::now() }
    }

    /// Takes bytes out of the bucket, and waits until what is owed has come in. A piece may be larger than the bucket.
    pub async fn take(&mut self, bytes: usize) {
        let Some(rate) = self.rate else { return };
        let rate = rate.max(1) as f64;
        let now = Instant::now();
        let fresh = now.duration_since(self.since).as_secs_f64() * rate;
        self.bytes = (self.bytes + fresh).min(rate) - bytes as f64;
        self.since = now;
        if self.bytes < 0.0 {
            // Awake late, the bucket gets the time that was overslept.
            sleep_until(now + Duration::from_secs_f64(-self.bytes / rate)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: usize = 10 << 20;

    /// Seconds that a sequence of pieces takes.
    async fn seconds(pieces: &[usize]) -> f64 {
        let start = Instant::now();
        let mut throttle = Throttle::new(Some(RATE as u64));
        for piece in pieces {
            throttle.take(*piece).await;
        }
        start.elapsed().as_secs_f64()
    }

    #[tokio::test(start_paused = true)]
    async fn a_second_is_free_and_the_rest_comes_at_the_rate() {
        assert_eq!(seconds(&[RATE]).await, 0.0);
        for pieces in [vec![RATE * 11], vec![RATE; 11], vec![RATE / 8; 88], vec![1, RATE * 11 - 1]] {
            let seconds = seconds(&pieces).await;
            assert!((10.0..10.2).contains(&seconds), "{seconds}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn time_that_passed_fills_one_bucket_and_no_more() {
        let mut throttle = Throttle::new(Some(RATE as u64));
        throttle.take(RATE).await;
        tokio::time::advance(Duration::from_secs(60)).await;
        let start = Instant::now();
        throttle.take(RATE).await;
        assert_eq!(start.elapsed(), Duration::ZERO);
        throttle.take(RATE).await;
        assert!((0.99..1.01).contains(&start.elapsed().as_secs_f64()));
    }

    #[tokio::test(start_paused = true)]
    async fn no_rate_is_no_wait() {
        let start = Instant::now();
        Throttle::new(None).take(usize::MAX).await;
        assert_eq!(start.elapsed(), Duration::ZERO);
    }
}
