//! Transfers of all sizes, one after the other: none hangs, none differs.

use keyward_testsuite::{Link, Route, transfers_in_a_row};

/// How many; `cargo xtask bench ssh` makes 500.
const TRANSFERS: u64 = 50;
/// The largest, in MB; 256 there.
const LARGEST: u64 = 64;

#[test]
fn many_transfers_of_any_size_in_a_row_end_and_differ_nowhere() {
    transfers_in_a_row(&Link::open(Route::Gateway), TRANSFERS, LARGEST);
}
