//! Measures SSH directly, through `ssh -J` over a second sshd, and through Keyward with recording on. The client is
//! the stock `ssh` on every way, and everything shares this machine's processors.
//!
//! `cargo xtask bench ssh` builds and runs it. Argument: MiB for each transfer, 1024 when left out.

#![expect(clippy::unwrap_used, reason = "a measurement stops at the first surprise")]
#![expect(clippy::print_stdout, reason = "its result is a table on stdout")]

mod measure;
mod table;

use keyward_testsuite::{Link, Route, SshClient, Sshd};

use measure::{Data, Way};
use table::{Ratio, Row, Target};

const CIPHER: &str = "aes128-gcm@openssh.com";
const ROUNDS: usize = 3;
const LOGINS: usize = 20;
const ECHOES: usize = 2000;
const IDLE_SESSIONS: usize = 50;

fn main() {
    let mib = std::env::args().nth(1).map_or(1024, |text| text.parse().unwrap());
    let mut link = Link::open(Route::Gateway);
    let jump = Sshd::start();
    let gateway = link.gateway().program().id();
    let ways = ways(&link, &jump);
    let [_, _, through_keyward] = &ways;

    // First, while the gateway has no memory to spare from the gigabytes.
    through_keyward.login();
    let memory = through_keyward.memory_per_idle_session(gateway, IDLE_SESSIONS);
    let mut rows = vec![Row {
        what: format!("memory for each of {IDLE_SESSIONS} idle sessions, KiB"),
        values: vec![memory],
        ratio: Ratio::None,
        targets: vec![Target::AtMost(150.0)],
    }];
    rows.extend(login_and_echo(&ways));
    rows.extend(transfers(&ways, gateway, &link, mib));
    let title = format!(
        "SSH with {CIPHER}, {mib} MiB a transfer; medians of {ROUNDS} interleaved rounds, of {LOGINS} logins, \
         of {ECHOES} echoes"
    );
    table::print(&title, &["direct", "ssh -J", "Keyward"], &rows);
}

/// Direct, by the other sshd, by Keyward: in the order of the table.
fn ways(link: &Link, jump: &Sshd) -> [Way; 3] {
    let user = link.sshd.user();
    let direct = || SshClient::with_key(link.sshd.addr(), &user, link.sshd.key());
    // What `-J` does, spelled out: that option would not hand the key and the cipher to the first hop.
    let hop = SshClient::with_key(jump.addr(), &user, jump.key());
    let by_jump = format!("ProxyCommand={} -c {CIPHER} -l {user} -W %h:%p jump", hop.program().display());
    [
        Way::new(direct(), vec!["-c".into(), CIPHER.into()], None),
        Way::new(direct(), vec!["-c".into(), CIPHER.into(), "-o".into(), by_jump], Some(hop)),
        Way::new(link.ssh(), vec!["-c".into(), CIPHER.into()], None),
    ]
}

fn login_and_echo(ways: &[Way; 3]) -> Vec<Row> {
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
        added(logins.iter().map(|times| table::percentile(times, 50)).collect(), vec![], "login, ms"),
        added(
            echoes.iter().map(|times| table::percentile(times, 50)).collect(),
            vec![Target::AddedAtMost(0.2)],
            "echo p50, ms",
        ),
        added(echoes.iter().map(|times| table::percentile(times, 99)).collect(), vec![], "echo p99, ms"),
    ]
}

fn transfers(ways: &[Way; 3], gateway: i32, link: &Link, mib: usize) -> Vec<Row> {
    let noise = Data::noise(link.sshd.folder());
    let zeros = Data::zeros();
    let kinds: [(&str, &Data, measure::Transfer); 4] = [
        ("download, zeros", &zeros, Way::download),
        ("download, noise", &noise, Way::download),
        ("upload, zeros", &zeros, Way::upload),
        ("upload, noise", &noise, Way::upload),
    ];
    kinds
        .iter()
        .flat_map(|(what, data, transfer)| rows_of(what, ways, gateway, |way| transfer(way, data, mib)))
        .collect()
}

/// The throughput on each way, and what it cost the gateway.
fn rows_of(what: &str, ways: &[Way; 3], gateway: i32, transfer: impl Fn(&Way) -> measure::Speed) -> [Row; 2] {
    let mut rates = [Vec::new(), Vec::new(), Vec::new()];
    let mut costs = Vec::new();
    for _ in 0..ROUNDS {
        for (at, way) in ways.iter().enumerate() {
            let before = measure::cpu_seconds(gateway);
            let speed = transfer(way);
            rates[at].push(speed.mib_per_second());
            if at == 2 {
                costs.push((measure::cpu_seconds(gateway) - before) / speed.gib());
            }
        }
    }
    let speed = Row {
        what: format!("{what}, MiB/s"),
        values: rates.iter().map(|rates| table::percentile(rates, 50)).collect(),
        ratio: Ratio::Share,
        targets: vec![Target::ShareAtLeast(0.7), Target::AboveSecond],
    };
    let cost = Row {
        what: "   gateway CPU, s/GiB".into(),
        values: vec![table::percentile(&costs, 50)],
        ratio: Ratio::None,
        targets: vec![Target::AtMost(1.6)],
    };
    [speed, cost]
}
