//! What recording adds to a transfer: the same one not recorded, recorded, and recorded with everything on:
//! encrypted to an auditor and indexed as it goes.

use std::fs;
use std::path::Path;

use keyward_testsuite::{Link, keyward};

use crate::measure::{Data, Speed, Transfer, Way};
use crate::process::{cpu_seconds, family_cpu_seconds};
use crate::table::{self, Ratio, Row, Target};

const ROUNDS: usize = 3;
/// The most that recording may add, in per cent of the processor time.
const AIM: f64 = 15.0;
/// What the policy document has in the places that are changed here.
const NOT_RECORDED: &str = "record = false";
const RECORDED: &str = "record = true";
const CONNECTION: &str = "channel-policy = \"work\"\n";
const ALL_ON: &str = "channel-policy = \"work\"\naudit-policy = \"auditors\"\n";

/// The columns of [`recording`].
pub(crate) const WAYS: [&str; 3] = ["not", "recorded", "all on"];

/// Processor seconds for a GiB, in the order of [`WAYS`]: of the gateway, and of client, gateway and server together.
pub(crate) fn recording(link: &mut Link, way: &Way, mib: usize) -> Vec<Row> {
    let auditor = auditor(link.sshd.folder());
    link.gateway().edit_policy(|document| document + &auditor);
    let (zeros, noise) = (Data::zeros(), Data::noise(link.sshd.folder()));
    let text = Data::log_lines(link.sshd.folder());
    let kinds: [(&str, &Data, Transfer); 6] = [
        ("download, log lines", &text, Way::download),
        ("download, zeros", &zeros, Way::download),
        ("download, noise", &noise, Way::download),
        ("upload, log lines", &text, Way::upload),
        ("upload, zeros", &zeros, Way::upload),
        ("upload, noise", &noise, Way::upload),
    ];
    kinds.iter().flat_map(|(what, data, transfer)| rows(link, what, || transfer(way, data, mib))).collect()
}

fn rows(link: &mut Link, what: &str, transfer: impl Fn() -> Speed) -> [Row; 2] {
    let states = [(NOT_RECORDED, CONNECTION), (RECORDED, CONNECTION), (RECORDED, ALL_ON)];
    let (mut alone, mut together) = ([const { Vec::new() }; 3], [const { Vec::new() }; 3]);
    for _ in 0..ROUNDS {
        for (at, (record, connection)) in states.iter().enumerate() {
            let gateway = link.gateway();
            gateway.edit_policy(|document| {
                let plain = document.replace(RECORDED, NOT_RECORDED).replace(ALL_ON, CONNECTION);
                // A remark that counts, since an edit that changes nothing is a mistake elsewhere.
                plain.replace(NOT_RECORDED, record).replace(CONNECTION, connection) + "#\n"
            });
            gateway.reread("the policy document was read again");
            let process = gateway.program().id();
            let us = i32::try_from(std::process::id()).unwrap();
            let before = (cpu_seconds(process), family_cpu_seconds(us));
            let gib = transfer().gib();
            alone[at].push((cpu_seconds(process) - before.0) / gib);
            together[at].push((family_cpu_seconds(us) - before.1) / gib);
        }
    }
    let row = |what: &str, seconds: &[Vec<f64>; 3]| Row {
        what: what.to_owned(),
        values: seconds.iter().map(|seconds| table::percentile(seconds, 50)).collect(),
        ratio: Ratio::More,
        targets: vec![Target::MoreAtMost(AIM)],
    };
    [row(&format!("{what}: all CPU, s/GiB"), &together), row("   the gateway's alone", &alone)]
}

/// An audit policy for an auditor who was made for it.
fn auditor(folder: &Path) -> String {
    let key = folder.join("auditor.key");
    let made = keyward(["trail".as_ref(), "new-key".as_ref(), key.as_os_str()]);
    let public = made.text();
    fs::remove_file(key).unwrap();
    let public = public.trim();
    format!(
        r#"
[[audit-policy]]
name = "auditors"
recipients = ["{public}"]
typed = {{ recipients = ["{public}"] }}
index = "as-recorded"
"#
    )
}
