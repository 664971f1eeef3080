//! For how long the proof of who somebody is opens new sessions: what has been proven once may not be so any more.

use std::time::{Duration, Instant, SystemTime};

use crate::HopRefused;

/// A person who was taken out of the directory, or whose password was changed, opens nothing after this time.
const LONGEST: Duration = Duration::from_secs(12 * 60 * 60);

/// What is asked again for each new session.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ProofAge {
    pub(crate) proven: Instant,
    /// From when on a certificate that was used is worth nothing any more.
    pub(crate) valid_before: Option<SystemTime>,
}

impl ProofAge {
    /// `now` is the moment by two clocks: nobody sets the first, and certificates are written by the second.
    pub(crate) fn check(&self, now: Instant, today: SystemTime) -> Result<(), HopRefused> {
        if self.valid_before.is_some_and(|end| end <= today) {
            return Err(HopRefused::Expired);
        }
        if now.saturating_duration_since(self.proven) >= LONGEST {
            return Err(HopRefused::Old);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_log_in_is_good_for_twelve_hours() {
        let (proven, today) = (Instant::now(), SystemTime::now());
        let age = ProofAge { proven, valid_before: None };
        assert_eq!(age.check(proven, today), Ok(()));
        assert_eq!(age.check(proven + Duration::from_secs(12 * 3600) - SECOND, today), Ok(()));
        assert_eq!(age.check(proven + Duration::from_secs(12 * 3600), today), Err(HopRefused::Old));
    }

    #[test]
    fn a_certificate_is_good_until_the_moment_that_it_names() {
        let (proven, today) = (Instant::now(), SystemTime::now());
        let age = ProofAge { proven, valid_before: Some(today + SECOND) };
        assert_eq!(age.check(proven, today), Ok(()));
        assert_eq!(age.check(proven, today + SECOND), Err(HopRefused::Expired));
    }
}
