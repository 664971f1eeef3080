//! Large memory that few need at the same moment.

use std::sync::{Mutex, PoisonError};

/// Keeps some of what is given back for whoever needs one next, whichever thread it is.
///
/// A session owns no buffer while nothing passes, so that thousands can be idle; one that is busy rests between two looks
/// at its sockets as well. Without this, a bulk transfer would get its memory from the system, page by page, thousands of
/// times in a second.
#[derive(Debug)]
pub struct Pool<T> {
    idle: Mutex<Vec<T>>,
    most: usize,
}

impl<T> Pool<T> {
    /// `most`: what it keeps while nobody needs it.
    pub const fn new(most: usize) -> Self {
        Self { idle: Mutex::new(Vec::new()), most }
    }

    /// The one that was given back last, which a processor's cache may still hold.
    pub fn take(&self) -> Option<T> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    pub fn give(&self, item: T) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < self.most {
            idle.push(item);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_gives_what_it_got_and_keeps_no_more_than_it_may() {
        let pool = Pool::new(2);
        assert_eq!(pool.take(), None);
        (1..=3).for_each(|item| pool.give(item));
        assert_eq!((pool.take(), pool.take(), pool.take()), (Some(2), Some(1), None));
    }
}
