//! Memory of workers, as the proportional set size: a page that several processes share is counted in parts.

use std::fs;
use std::time::Duration;

use keyward_plugin::Instance;

use crate::setting::{PLUGIN, Setting};
use crate::{Failure, one};

const MIB: f64 = 1024.0 * 1024.0;
/// How many instances there are at each look.
const INSTANCES: [usize; 3] = [1, 10, 50];
/// Idle workers of each instance: the difference is what those beyond the first cost. An only one would be smaller, for
/// workers get the pages of a call ahead of it only where another one is idle.
const FEW: usize = 2;
const MORE: usize = 4;

/// Prints a row for each number of instances, and gives the most that a further idle worker costs, in MiB.
pub(crate) async fn idle(setting: &Setting) -> Result<f64, Failure> {
    let few = totals(setting, FEW).await?;
    let more = totals(setting, MORE).await?;
    let mut most: f64 = 0.0;
    println!();
    println!(
        "{:<34}{:>14}{:>14}{:>16}",
        "idle, MiB of memory (PSS)", "instance", "idle worker", "further worker"
    );
    for ((count, few), more) in INSTANCES.into_iter().zip(few).zip(more) {
        let count_f = count as f64;
        let further = (more.all - few.all) / (count_f * (MORE - FEW) as f64) / MIB;
        println!(
            "{:<34}{:>14.2}{:>14.2}{further:>16.2}",
            format!("{count} instances"),
            few.all / count_f / MIB,
            few.workers / (count_f * FEW as f64) / MIB,
        );
        most = most.max(further);
    }
    Ok(most)
}

/// The memory of all instances, in bytes, and the part of it that idle workers have.
struct Total {
    all: f64,
    workers: f64,
}

async fn totals(setting: &Setting, idle_workers: usize) -> Result<Vec<Total>, Failure> {
    let host = setting.host(0)?;
    let mut instances = Vec::new();
    let mut totals = Vec::new();
    for count in INSTANCES {
        while instances.len() < count {
            let name = format!("idle{}", instances.len());
            let instance = setting.load(&host, &name, PLUGIN, idle_workers).await?;
            // Workers are as large as they get once they know which pages a call needs.
            for _ in 0..12 {
                one(&instance).await?;
            }
            instances.push(instance);
        }
        settle(&instances, idle_workers).await?;
        // Templates are this process's own children, and workers are theirs.
        let templates = children(std::process::id())?;
        let workers = templates.iter().map(|pid| children(*pid)).collect::<Result<Vec<_>, _>>()?.concat();
        let worker_bytes = proportional(&workers)?;
        totals.push(Total { all: proportional(&templates)? + worker_bytes, workers: worker_bytes });
    }
    drop(instances);
    host.shutdown().await;
    Ok(totals)
}

/// Waits until each instance has all its idle workers and nothing besides.
async fn settle(instances: &[Instance], idle_workers: usize) -> Result<(), Failure> {
    let wanted = instances.len() * (1 + idle_workers);
    for _ in 0..2000 {
        if instances.iter().all(|instance| instance.idle_workers() == idle_workers)
            && below(std::process::id())?.len() == wanted
        {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let idle: Vec<usize> = instances.iter().map(Instance::idle_workers).collect();
    let there = below(std::process::id())?.len();
    Err(format!("{there} processes are there for idle workers {idle:?}, and not {wanted}").into())
}

/// Every process below `pid`.
pub(crate) fn below(pid: u32) -> Result<Vec<u32>, Failure> {
    let mut found = children(pid)?;
    let mut next = 0;
    while let Some(parent) = found.get(next).copied() {
        found.extend(children(parent)?);
        next += 1;
    }
    Ok(found)
}

fn children(pid: u32) -> Result<Vec<u32>, Failure> {
    let mut found = Vec::new();
    // A process that has ended meanwhile has none.
    for task in fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
        let list = fs::read_to_string(task.path().join("children")).unwrap_or_default();
        for child in list.split_whitespace() {
            found.push(child.parse()?);
        }
    }
    Ok(found)
}

/// The proportional set sizes of these processes together, in bytes.
pub(crate) fn proportional(pids: &[u32]) -> Result<f64, Failure> {
    let mut sum = 0.0;
    for pid in pids {
        // A process that has ended meanwhile has none.
        let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
        if let Some(size) = rollup.lines().find_map(|line| line.strip_prefix("Pss:")) {
            sum += size.trim().trim_end_matches(" kB").parse::<f64>()? * 1024.0;
        }
    }
    Ok(sum)
}
