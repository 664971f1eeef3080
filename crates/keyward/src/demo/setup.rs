//! The demo's pieces: two example plugins, uploaded as a user would, a policy document, a target.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context;
use keyward_model::Secret;
use keyward_plugin::create_environment;
use keyward_policy::Policy;
use keyward_proxy_ssh::{DemoTarget, HostKeys};
use keyward_store::{SessionRecord, Store};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

use crate::command::{on_path, upload};
use crate::gateway::Running;

/// The code that the AA plugin asks for.
pub(super) const CODE: &str = "123456";
/// The user on the target.
pub(super) const USER: &str = "demo";

/// A file of an example bundle, with its name.
type BundleFile = (&'static str, &'static str);

macro_rules! example {
    ($folder:literal) => {
        &[
            ("MANIFEST", include_str!(concat!("../../../../examples/plugins/", $folder, "/MANIFEST"))),
            ("main.py", include_str!(concat!("../../../../examples/plugins/", $folder, "/main.py"))),
            ("default.cfg", include_str!(concat!("../../../../examples/plugins/", $folder, "/default.cfg"))),
        ]
    };
}

const OTP: &[BundleFile] = example!("otp_demo");
const VAULT: &[BundleFile] = example!("vault_demo");

#[derive(Debug)]
pub(super) struct Demo {
    scratch: TempDir,
    running: Running,
    address: SocketAddr,
    /// The password that only plugin and target know: it must show up nowhere.
    pub(super) password: Secret,
    _target: AbortOnDropHandle<()>,
}

impl Demo {
    pub(super) async fn start(python: Option<PathBuf>) -> anyhow::Result<Self> {
        let scratch =
            tempfile::Builder::new().prefix("keyward-demo-").tempdir().context("a temporary folder")?;
        let python = match python {
            Some(python) => std::path::absolute(python)?,
            None => make_environment(scratch.path()).await?,
        };
        let password = random_password()?;
        let (target, target_address) = start_target(&password).await?;
        let address = free_address().await?;
        let data = scratch.path().join("data");
        let document = document(&data, &python, address, target_address, &password);
        let path = scratch.path().join("keyward.toml");
        std::fs::write(&path, document).with_context(|| path.display().to_string())?;
        println!("The policy document is {}", path.display());
        let policy = Policy::load(&path)?;
        put_plugins(&data, scratch.path()).await?;
        let running = Running::start(&path, policy).await?;
        Ok(Self { scratch, running, address, password, _target: target })
    }

    /// Ends sessions and plugins, and removes every file.
    pub(super) async fn stop(self) {
        self.running.stop(std::future::pending()).await;
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn ssh_command(&self) -> String {
        format!(
            "ssh -p {} -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null gu=alice@{USER}@{}",
            self.address.port(),
            self.address.ip()
        )
    }

    pub(super) fn trails(&self) -> PathBuf {
        self.scratch.path().join("data/trails")
    }

    pub(super) fn scratch(&self) -> &Path {
        self.scratch.path()
    }

    /// The newest sessions first.
    pub(super) async fn sessions(&self) -> anyhow::Result<Vec<SessionRecord>> {
        let store = self.running.gateway().store();
        let mut records = Vec::new();
        for summary in store.sessions(100, None).await? {
            records.extend(store.session(&summary.id).await?);
        }
        Ok(records)
    }
}

async fn make_environment(scratch: &Path) -> anyhow::Result<PathBuf> {
    println!(
        "Making a Python environment with the Plugin SDK (pip fetches it; --environment takes one that you have) ..."
    );
    let made = create_environment(&on_path("python3")?, &scratch.join("environment"), |line| {
        println!("  {line}");
    })
    .await?;
    Ok(made.python)
}

fn random_password() -> anyhow::Result<Secret> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).context("the system's random generator failed")?;
    Ok(Secret::new(bytes.iter().map(|byte| format!("{byte:02x}")).collect()))
}

#[expect(clippy::disallowed_methods, reason = "the demo's own target listens as well")]
async fn start_target(password: &Secret) -> anyhow::Result<(AbortOnDropHandle<()>, SocketAddr)> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.context("the demo target needs a port")?;
    let address = listener.local_addr()?;
    let target = DemoTarget::new(HostKeys::generate()?, USER, password.clone());
    let serve = async move {
        while let Ok((stream, _)) = listener.accept().await {
            let target = target.clone();
            tokio::spawn(async move { target.serve(stream).await });
        }
    };
    Ok((AbortOnDropHandle::new(tokio::spawn(serve)), address))
}

/// A port that was free a moment ago: the document has to name one.
#[expect(clippy::disallowed_methods, reason = "asks for a free port and lets it go at once")]
async fn free_address() -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.context("the demo needs a port")?;
    Ok(listener.local_addr()?)
}

/// Writes the example bundles out as folders and uploads them, as their authors would.
async fn put_plugins(data: &Path, scratch: &Path) -> anyhow::Result<()> {
    let store = Store::open_beside(data).await?;
    for (name, files) in [("otp_demo", OTP), ("vault_demo", VAULT)] {
        let folder = scratch.join(name);
        std::fs::create_dir(&folder).with_context(|| folder.display().to_string())?;
        for (file, text) in files {
            std::fs::write(folder.join(file), text).with_context(|| format!("{name}/{file}"))?;
        }
        let (bundle, _) = upload(&store, &folder).await?;
        println!("Uploaded plugin {} {}", bundle.manifest.name, bundle.manifest.version);
    }
    Ok(())
}

fn document(data: &Path, python: &Path, listen: SocketAddr, target: SocketAddr, password: &Secret) -> String {
    let (data, python, password) = (data.display(), python.display(), password.expose());
    format!(
        r#"[node]
data-dir = "{data}"

[gateway]
host-name = "demo"
drain = 2

[[environment]]
name = "python3"
python = "{python}"

[[plugin]]
name = "otp"
bundle = "OtpDemo"
configuration = """
[demo]
code = {CODE}

[access]
alice = {USER}@*
"""

[[plugin]]
name = "vault"
bundle = "VaultDemo"
configuration = """
[credentials]
{USER}@{ip} = {password}
"""

[[usermapping]]
name = "demo"

[[usermapping.rule]]
remote-user = "{USER}"
users = ["alice"]

[[channel-policy]]
name = "demo"

[[channel-policy.rule]]
types = ["shell", "exec"]
record = true

[[connection]]
name = "demo"
protocol = "ssh"
listen = ["{listen}"]
target = {{ fixed = "{target}" }}
aa-plugin = "otp"
credential-store = {{ plugin = "vault" }}
usermapping = "demo"
channel-policy = "demo"
host-key-check = "trust-on-first-use"
"#,
        ip = target.ip(),
    )
}
