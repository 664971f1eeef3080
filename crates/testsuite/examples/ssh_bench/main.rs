//! Measures SSH directly, through `ssh -J` over a second sshd, and through Keyward with recording on. The client is
//! the stock `ssh` on every way, and everything shares this machine's processors.
//!
//! `cargo xtask bench ssh` builds and runs it. Arguments: MiB for each transfer, 1024 when left out, and the parts to
//! measure, all when left out.

#![expect(clippy::unwrap_used, reason = "a measurement stops at the first surprise")]
#![expect(clippy::print_stdout, reason = "its result is a table on stdout")]

mod idle;
mod measure;
mod process;
mod recording;
mod table;
mod together;
mod ways;

use keyward_testsuite::{Link, Route, Sshd, transfers_in_a_row};

use table::{Ratio, Row, Target};

const CIPHER: &str = "aes128-gcm@openssh.com";
const IDLE_SESSIONS: usize = 5000;
const TOGETHER: usize = 64;
const IN_A_ROW: u64 = 500;
const LARGEST_MB: u64 = 256;

const PARTS: [&str; 7] = ["memory", "latency", "transfers", "together", "row", "recording", "idle"];

fn main() {
    let mut arguments = std::env::args().skip(1);
    let mib = arguments.next().map_or(1024, |text| text.parse().unwrap());
    let wanted: Vec<String> = arguments.collect();
    let unknown: Vec<_> = wanted.iter().filter(|part| !PARTS.contains(&part.as_str())).collect();
    assert!(unknown.is_empty(), "{unknown:?}: the parts are {PARTS:?}");
    let wants = |part: &str| wanted.is_empty() || wanted.iter().any(|wanted| wanted == part);

    let mut rows = Vec::new();
    let mut link = Link::open(Route::Gateway);
    let jump = Sshd::start();
    let gateway = link.gateway().program().id();
    let ways = ways::ways(&link, &jump, CIPHER);
    // First, while the gateway has no memory to spare from the gigabytes.
    if wants("memory") {
        rows.push(ways::memory(&ways, gateway));
    }
    if wants("latency") {
        rows.extend(ways::latency(&ways));
    }
    if wants("transfers") {
        rows.extend(ways::transfers(&ways, gateway, &link, mib));
    }
    if wants("together") {
        rows.extend(together::together(&ways, &link, TOGETHER));
    }
    if wants("row") {
        transfers_in_a_row(&link, IN_A_ROW, LARGEST_MB);
        rows.push(Row {
            what: format!("{IN_A_ROW} transfers of 1 to {LARGEST_MB} MB that neither hung nor differed"),
            values: vec![IN_A_ROW as f64],
            ratio: Ratio::None,
            targets: vec![Target::AtLeast(IN_A_ROW as f64)],
        });
    }
    let mut of_recording = Vec::new();
    if wants("recording") {
        let [_, _, through_keyward] = &ways;
        of_recording = recording::recording(&mut link, through_keyward, mib);
    }
    drop(link);
    if wants("idle") {
        rows.extend(idle::idle(IDLE_SESSIONS));
    }
    let title = format!("SSH with {CIPHER}, {mib} MiB a transfer; medians of interleaved rounds");
    if !rows.is_empty() {
        table::print(&title, &["direct", "ssh -J", "Keyward"], &rows);
    }
    if !of_recording.is_empty() {
        let title = format!("What recording adds to a transfer of {mib} MiB; medians of interleaved rounds");
        table::print(&title, &recording::WAYS, &of_recording);
    }
}
