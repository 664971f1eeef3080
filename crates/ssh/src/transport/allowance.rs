//! How many key exchanges a peer may begin: each costs us far more than it costs the peer.

use std::time::Instant;

use crate::Error;

/// What one exchange costs: so many bytes that went over the connection since the last,
const EXCHANGE: u64 = 16 * 1024;
/// or this time, or some of both.
const EXCHANGE_MILLIS: u64 = 1000;
/// Exchanges at once.
const MOST: u64 = 100;

#[derive(Debug)]
pub(super) struct Allowance {
    /// In bytes, as [`EXCHANGE`].
    left: u64,
    counted_at: Option<Instant>,
}

impl Allowance {
    pub(super) fn new() -> Self {
        Self { left: MOST * EXCHANGE, counted_at: None }
    }

    /// One more exchange, `moved` bytes after the last. Fails when there were too many.
    pub(super) fn spend(&mut self, now: Instant, moved: u64) -> Result<(), Error> {
        let before = self.counted_at.replace(now).unwrap_or(now);
        let waited = u64::try_from(now.saturating_duration_since(before).as_millis()).unwrap_or(u64::MAX);
        let earned = waited.saturating_mul(EXCHANGE) / EXCHANGE_MILLIS;
        let left = self.left.saturating_add(earned).saturating_add(moved).min(MOST * EXCHANGE);
        self.left = left.checked_sub(EXCHANGE).ok_or(Error::ExchangeFlood)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const EXCHANGE_TIME: Duration = Duration::from_millis(EXCHANGE_MILLIS);

    fn spent() -> (Allowance, Instant) {
        let (mut allowance, now) = (Allowance::new(), Instant::now());
        (0..MOST).for_each(|_| allowance.spend(now, 0).unwrap());
        (allowance, now)
    }

    #[test]
    fn so_many_exchanges_at_once_and_not_one_more() {
        let (mut allowance, now) = spent();
        assert!(matches!(allowance.spend(now, 0), Err(Error::ExchangeFlood)));
    }

    #[test]
    fn traffic_and_time_pay_for_an_exchange_alone_and_together() {
        for (waited, moved) in
            [(EXCHANGE_TIME, 0), (Duration::ZERO, EXCHANGE), (EXCHANGE_TIME / 2, EXCHANGE / 2 + 1)]
        {
            let (mut allowance, now) = spent();
            assert!(allowance.spend(now + waited, moved).is_ok(), "{waited:?} {moved}");
            assert!(matches!(allowance.spend(now + waited, 0), Err(Error::ExchangeFlood)));
        }
    }

    /// Rounding down each time would take from a peer what it has earned.
    #[test]
    fn what_is_earned_in_parts_adds_up() {
        let (mut allowance, now) = spent();
        let third = EXCHANGE / 3 + 1;
        let mut allowance_of = |moved| {
            let before = allowance.left;
            allowance.left += moved;
            allowance.spend(now, 0).is_ok() || {
                allowance.left = before + moved;
                false
            }
        };
        assert_eq!([third, third, third].map(&mut allowance_of), [false, false, true]);
    }

    #[test]
    fn a_rest_earns_no_more_than_the_most() {
        let (mut allowance, now) = spent();
        let later = now + Duration::from_secs(1 << 40);
        for _ in 0..MOST {
            allowance.spend(later, 0).unwrap();
        }
        assert!(matches!(allowance.spend(later, 0), Err(Error::ExchangeFlood)));
        assert!(allowance.spend(later, u64::MAX).is_ok());
    }

    #[test]
    fn a_clock_that_goes_back_takes_nothing() {
        let (mut allowance, now) = (Allowance::new(), Instant::now() + Duration::from_secs(60));
        allowance.spend(now, 0).unwrap();
        assert!(allowance.spend(now - Duration::from_secs(30), 0).is_ok());
    }
}
