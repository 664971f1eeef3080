//! One client at a time, on each of the three ways.

use keyward_testsuite::{Link, SshClient, Sshd};

use crate::measure::{self, Data, Way};
use crate::process;
use crate::table::{self, Ratio, Row, Target};

const ROUNDS: usize = 3;
const LOGINS: usize = 20;
const ECHOES: usize = 2000;
const IDLE_SESSIONS: usize = 50;

/// Direct, by the other sshd, by Keyward: in the order of the table.
pub(crate) fn ways(link: &Link, jump: &Sshd, cipher: &str) -> [Way; 3] {
    let user = link.sshd.user();
    let direct = || SshClient::with_key(link.sshd.addr(), &user, link.sshd.key());
    // What `-J` does, spelled out: that option would not hand the key and the cipher to the first hop.
    let hop = SshClient::with_key(jump.addr(), &user, jump.key());
    let by_jump = format!("ProxyCommand={} -c {cipher} -l {user} -W %h:%p jump", hop.program().display());
    [
        Way::new(direct(), vec!["-c".into(), cipher.into()], None),
        Way::new(direct(), vec!["-c".into(), cipher.into(), "-o".into(), by_jump], Some(hop)),
        Way::new(link.ssh(), vec!["-c".into(), cipher.into()], None),
    ]
}

/// What an idle session costs the gateway.
pub(crate) fn memory(ways: &[Way; 3], gateway: i32) -> Row {
    let [_, _, through_keyward] = ways;
    through_keyward.login();
    Row {
        what: format!("memory for each of {IDLE_SESSIONS} idle sessions, KiB"),
        values: vec![through_keyward.memory_per_idle_session(gateway, IDLE_SESSIONS)],
        ratio: Ratio::None,
        targets: vec![Target::AtMost(100.0)],
    }
}

/// Logging in, and an echo.
pub(crate) fn latency(ways: &[Way; 3]) -> Vec<Row> {
    let mut logins = [Vec::new(), Vec::new(), Vec::new()];
    for _ in 0..LOGINS {
        for (way, times) in ways.iter().zip(&mut logins) {
            times.push(way.login());
        }
    }
    let mut echoes = [Vec::new(), Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        for (way, times) in ways.iter().zip(&mut echoes) {
            times.extend(way.echoes(ECHOES / ROUNDS));
        }
    }
    let added = |values, targets, what: &str| Row { what: what.into(), values, ratio: Ratio::Added, targets };
    vec![
        added(
            logins.iter().map(|times| table::percentile(times, 50)).collect(),
            vec![Target::AddedAtMost(40.0)],
            "login, ms",
        ),
        added(
            echoes.iter().map(|times| table::percentile(times, 50)).collect(),
            vec![Target::AddedAtMost(0.12)],
            "echo p50, ms",
        ),
        added(
            echoes.iter().map(|times| table::percentile(times, 99)).collect(),
            vec![Target::AddedAtMost(1.5)],
            "echo p99, ms",
        ),
    ]
}

/// Bulk transfers, one at a time.
pub(crate) fn transfers(ways: &[Way; 3], gateway: i32, link: &Link, mib: usize) -> Vec<Row> {
    let noise = Data::noise(link.sshd.folder());
    let zeros = Data::zeros();
    let kinds: [(&str, &Data, measure::Transfer, f64); 4] = [
        ("download, zeros", &zeros, Way::download, 0.9),
        ("download, noise", &noise, Way::download, 0.9),
        ("upload, zeros", &zeros, Way::upload, 0.75),
        ("upload, noise", &noise, Way::upload, 0.75),
    ];
    kinds
        .iter()
        .flat_map(|(what, data, transfer, share)| {
            rows_of(what, *share, ways, gateway, |way| transfer(way, data, mib))
        })
        .collect()
}

/// The throughput on each way, and what it cost the gateway.
fn rows_of(
    what: &str,
    share: f64,
    ways: &[Way; 3],
    gateway: i32,
    transfer: impl Fn(&Way) -> measure::Speed,
) -> [Row; 2] {
    let mut rates = [Vec::new(), Vec::new(), Vec::new()];
    let mut costs = Vec::new();
    for _ in 0..ROUNDS {
        for (at, way) in ways.iter().enumerate() {
            let before = process::cpu_seconds(gateway);
            let speed = transfer(way);
            rates[at].push(speed.mib_per_second());
            if at == 2 {
                costs.push((process::cpu_seconds(gateway) - before) / speed.gib());
            }
        }
    }
    let speed = Row {
        what: format!("{what}, MiB/s"),
        values: rates.iter().map(|rates| table::percentile(rates, 50)).collect(),
        ratio: Ratio::Share,
        targets: vec![Target::ShareAtLeast(share), Target::AboveSecond],
    };
    let cost = Row {
        what: "   gateway CPU, s/GiB".into(),
        values: vec![table::percentile(&costs, 50)],
        ratio: Ratio::None,
        targets: vec![Target::AtMost(1.3)],
    };
    [speed, cost]
}
