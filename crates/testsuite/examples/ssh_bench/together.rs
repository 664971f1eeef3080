//! Many downloads at the same time.

use std::time::Duration;

use keyward_testsuite::Link;

use crate::measure::{Data, Way};
use crate::table::{Ratio, Row, Target};

const TIME: Duration = Duration::from_secs(10);

/// Whether many sessions are as fast together as one, and whether each gets its share.
pub(crate) fn together(ways: &[Way; 3], link: &Link, sessions: usize) -> Vec<Row> {
    let noise = Data::noise(link.sshd.folder());
    let (mut alone, mut sums, mut shares) = (Vec::new(), Vec::new(), Vec::new());
    for way in ways {
        alone.extend(way.side_by_side(1, &noise, TIME));
        let rates = way.side_by_side(sessions, &noise, TIME);
        sums.push(rates.iter().sum());
        let slowest = rates.iter().copied().fold(f64::INFINITY, f64::min);
        let fastest = rates.iter().copied().fold(0.0, f64::max);
        shares.push(slowest / fastest);
    }
    let as_fast = Target::AtLeast(alone.last().copied().unwrap_or(f64::NAN).floor());
    let row = |what: String, values, ratio, targets| Row { what, values, ratio, targets };
    vec![
        row("one endless download, MiB/s".into(), alone, Ratio::Share, vec![]),
        row(format!("{sessions} of them at once, together MiB/s"), sums, Ratio::Share, vec![as_fast]),
        row("   the slowest to the fastest".into(), shares, Ratio::None, vec![Target::AtLeast(0.5)]),
    ]
}
