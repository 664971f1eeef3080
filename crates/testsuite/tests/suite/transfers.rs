//! Transfers of all sizes, one after the other: none hangs, none differs.

use std::fmt::Write;
use std::fs;

use keyward_testsuite::{Link, Route, Run, SshClient, shell};

/// How many; `KEYWARD_TRANSFERS` may ask for more.
const TRANSFERS: u64 = 50;
/// The largest, in MB; `KEYWARD_TRANSFER_MB` may ask for more.
const LARGEST: u64 = 64;
/// The same sizes each time.
const SEED: u64 = 20_220_222;
/// One shell runs so many, within its time.
const AT_ONCE: usize = 10;

#[test]
fn many_transfers_of_any_size_in_a_row_end_and_differ_nowhere() {
    let link = Link::open(Route::Gateway);
    let ssh = link.ssh();
    let largest = number("KEYWARD_TRANSFER_MB", LARGEST) * 1_000_000;
    let noise = link.sshd.folder().join("noise");
    let noise = noise.to_str().unwrap();
    shell(r#"head -c "$1" /dev/urandom > "$2""#, &[&largest.to_string(), noise]).must_succeed();
    let mut dice = Dice(SEED);
    let transfers: Vec<(u64, bool)> = (0..number("KEYWARD_TRANSFERS", TRANSFERS))
        .map(|_| (dice.size(largest), dice.below(2) == 0))
        .collect();
    for some in transfers.chunks(AT_ONCE) {
        in_a_row(&ssh, noise, some).must_succeed();
    }
    fs::remove_file(noise).unwrap();
}

/// Each is a piece of the file's beginning, up (`true`) or down.
#[track_caller]
fn in_a_row(ssh: &SshClient, noise: &str, transfers: &[(u64, bool)]) -> Run {
    let mut script = String::from("ssh=$1 to=$2 noise=$3\n");
    for (size, is_up) in transfers {
        let through = match is_up {
            true => format!(r#"head -c {size} "$noise" | timeout 60 "$ssh" "$to" sha256sum"#),
            false => format!(r#"timeout 60 "$ssh" "$to" "head -c {size} '$noise'" < /dev/null | sha256sum"#),
        };
        writeln!(script, r#"found=$({through})"#).unwrap();
        writeln!(script, r#"[ "$found" = "$(head -c {size} "$noise" | sha256sum)" ] || exit 9"#).unwrap();
    }
    shell(&script, &[ssh.program().to_str().unwrap(), &ssh.destination(), noise])
}

fn number(variable: &str, usual: u64) -> u64 {
    std::env::var(variable).map_or(usual, |value| value.parse().unwrap())
}

/// Knuth's generator of the MMIX: enough for sizes.
struct Dice(u64);

impl Dice {
    /// From 1 MB to `largest`; each order of magnitude is as likely as the next.
    fn size(&mut self, largest: u64) -> u64 {
        let doublings = u64::from((largest / 1_000_000).ilog2());
        let limit = (2_000_000 << self.below(doublings)).min(largest);
        limit / 2 + self.below(limit / 2 + 1)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}
