//! What `/proc` says of a process.

use std::fs;

/// What `/proc` counts processor time in, on every Linux that we run on.
const TICKS_PER_SECOND: f64 = 100.0;

/// User and system time of a process so far.
pub(crate) fn cpu_seconds(process: i32) -> f64 {
    times(process, 2).unwrap()
}

/// The same with all who descend from it: those who live, and those who were waited for.
pub(crate) fn family_cpu_seconds(process: i32) -> f64 {
    // Who has ended in between is counted where it was waited for.
    let Some(own) = times(process, 4) else { return 0.0 };
    let tasks = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    let children = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    let of_children: f64 = children
        .flat_map(|list| list.split_whitespace().map(|child| child.parse().unwrap()).collect::<Vec<i32>>())
        .map(family_cpu_seconds)
        .sum();
    own + of_children
}

/// The first two are its own, the next two are those of the children that it has waited for.
fn times(process: i32, count: usize) -> Option<f64> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // proc(5): the name in brackets may hold anything; utime, stime, cutime and cstime begin with the 12th field after it.
    let (_, fields) = stat.rsplit_once(')').unwrap();
    let ticks = fields.split_whitespace().skip(11).take(count).map(|ticks| ticks.parse::<f64>().unwrap());
    Some(ticks.sum::<f64>() / TICKS_PER_SECOND)
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
