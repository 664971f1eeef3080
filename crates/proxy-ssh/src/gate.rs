//! Holds back reading from a client while one of its requests is unanswered.
//!
//! The library keeps one "wants a reply" mark per channel, which each request overwrites, and clients send
//! several requests without waiting (OpenSSH and PuTTY: `pty-req`, `env`, `shell`). An answer that comes from
//! the target, later, would find the mark of another request. So no packet is read between a request that the
//! target must answer and its answer. Everything else of the connection goes on meanwhile.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// One for each connection.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    hold: Option<Arc<Turn>>,
    /// The answer is on its way to the library's loop, which must see it before the next packet.
    passing: bool,
    reader: Option<Waker>,
}

/// How many requests of one channel were asked and answered.
///
/// The two are counted on different tasks, and an answer may be counted first.
#[derive(Debug, Default)]
pub(crate) struct Turn {
    asked: AtomicU32,
    answered: AtomicU32,
    over: AtomicBool,
}

impl Turn {
    fn is_settled(&self) -> bool {
        let open = self.asked.load(Ordering::SeqCst).wrapping_sub(self.answered.load(Ordering::SeqCst));
        self.over.load(Ordering::SeqCst) || open == 0 || open > u32::MAX / 2
    }

    /// Whether the channel's relay has ended.
    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }
}

impl Gate {
    /// A request of this channel was read that the target must answer.
    pub(crate) fn hold(&self, turn: &Arc<Turn>) {
        turn.asked.fetch_add(1, Ordering::SeqCst);
        let mut state = self.lock();
        state.hold = Some(Arc::clone(turn));
        state.passing = false;
    }

    /// Stops waiting for an answer.
    pub(crate) fn open(&self) {
        let mut state = self.lock();
        state.hold = None;
        state.passing = false;
    }

    /// Ready when the connection may be read. An answer opens the gate at the second look: at the first one it
    /// may still be in the queue to the library's loop, which is the task that looks.
    pub(crate) fn poll_pass(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        let Some(turn) = &state.hold else { return Poll::Ready(()) };
        if state.passing {
            state.hold = None;
            state.passing = false;
            return Poll::Ready(());
        }
        // The waker goes in before the look at the turn: an answer in between finds it.
        let turn = Arc::clone(turn);
        state.reader = Some(context.waker().clone());
        if turn.is_settled() {
            state.passing = true;
            context.waker().wake_by_ref();
        }
        Poll::Pending
    }

    fn wake(&self) {
        let reader = self.lock().reader.take();
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A channel's side of the gate. Dropping it leaves no request open.
#[derive(Debug)]
pub(crate) struct Answers {
    gate: Arc<Gate>,
    turn: Arc<Turn>,
}

impl Answers {
    pub(crate) fn new(gate: &Arc<Gate>) -> (Self, Arc<Turn>) {
        let turn = Arc::new(Turn::default());
        (Self { gate: Arc::clone(gate), turn: Arc::clone(&turn) }, turn)
    }

    /// One answer is in the queue to the client.
    pub(crate) fn answered(&self) {
        self.turn.answered.fetch_add(1, Ordering::SeqCst);
        self.gate.wake();
    }
}

impl Drop for Answers {
    fn drop(&mut self) {
        self.turn.over.store(true, Ordering::SeqCst);
        self.gate.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(gate: &Gate) -> bool {
        gate.poll_pass(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    #[test]
    fn a_request_holds_reading_until_the_second_look_after_its_answer() {
        let gate = Arc::new(Gate::default());
        let (answers, turn) = Answers::new(&gate);
        assert!(look(&gate));
        gate.hold(&turn);
        assert!(!look(&gate));
        answers.answered();
        assert!(!look(&gate));
        assert!(look(&gate));
    }

    #[test]
    fn an_answer_may_be_counted_before_its_request() {
        let gate = Arc::new(Gate::default());
        let (answers, turn) = Answers::new(&gate);
        answers.answered();
        gate.hold(&turn);
        assert!(!look(&gate));
        assert!(look(&gate));
        gate.hold(&turn);
        assert!(!look(&gate) && !look(&gate));
    }

    #[test]
    fn a_channel_that_ends_leaves_the_gate_open() {
        let gate = Arc::new(Gate::default());
        let (answers, turn) = Answers::new(&gate);
        gate.hold(&turn);
        drop(answers);
        assert!(!look(&gate));
        assert!(look(&gate));
        gate.hold(&turn);
        assert!(!look(&gate));
        assert!(look(&gate));
    }
}
