//! Waiting for memory.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::budget::Answer;
use super::{Account, Ahead, Grant};
use crate::error::{Error, Kind, Result};

/// A wait for memory. Polling it again asks the host again, which may have got memory back from elsewhere.
#[derive(Debug)]
pub struct Reserve<'a> {
    account: &'a Arc<Account>,
    ahead: &'a Ahead,
    bytes: u64,
    /// The place in the line of the budget.
    place: Option<u64>,
}

impl<'a> Reserve<'a> {
    pub(super) fn new(account: &'a Arc<Account>, bytes: u64, ahead: &'a Ahead) -> Self {
        Reserve { account, ahead, bytes, place: None }
    }

    /// The memory, if it is to be had now.
    pub fn now(&mut self) -> Poll<Result<Grant>> {
        let budget = &self.account.budget;
        let beyond = self.ahead.is_empty();
        if beyond && !budget.fits(self.bytes) {
            budget.trim();
        }
        let mut answer = budget.ask(self.bytes, beyond, self.place);
        if answer != Answer::Granted && budget.trim() {
            answer = budget.ask(self.bytes, beyond, self.place);
        }
        match answer {
            Answer::Granted => Poll::Ready(Ok(self.account.grant(self.bytes))),
            Answer::NotNow => Poll::Pending,
            Answer::Never => {
                let message = format!("the host refuses {} bytes for a batch, though nothing is held", self.bytes);
                Poll::Ready(Err(Error::new(Kind::ResourceExhausted, message)))
            }
        }
    }
}

impl Future for Reserve<'_> {
    type Output = Result<Grant>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if let Poll::Ready(result) = self.now() {
            return Poll::Ready(result);
        }
        self.ahead.wake_when_empty(context.waker());
        self.place = Some(self.account.budget.queue(self.place, self.ahead, context.waker()));
        // What came back before the place was taken has woken nobody.
        self.now()
    }
}

impl Drop for Reserve<'_> {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            self.account.budget.leave(place);
        }
    }
}
