//! What `/proc` says of a process.

use std::fs;

/// What `/proc` counts processor time in, on every Linux that we run on.
const TICKS_PER_SECOND: f64 = 100.0;

/// User and system time of a process so far.
pub(crate) fn cpu_seconds(process: i32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    // proc(5): the name in brackets may hold anything; utime and stime are the 12th and 13th field after it.
    let (_, fields) = stat.rsplit_once(')').unwrap();
    let ticks = fields.split_whitespace().skip(11).take(2).map(|ticks| ticks.parse::<f64>().unwrap());
    ticks.sum::<f64>() / TICKS_PER_SECOND
}

/// Resident memory, in KiB.
pub(crate) fn resident_kib(process: i32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Its open descriptors.
pub(crate) fn descriptors(process: i32) -> usize {
    fs::read_dir(format!("/proc/{process}/fd")).unwrap().count()
}
