//! Plays a scenario: the stages of a session, one after the other, in a gateway of its own.

use std::collections::HashMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use keyward_model::{InstanceName, Secret, Verdict};
use keyward_plugin::{Bundle, Instance, PluginKind, Start, UnpackedBundle};
use keyward_policy::{CredentialSource, LogInMeans, Method};
use keyward_session::{
    Accepted, Ended, Gateway, GatewayParts, Named, NoOldVersions, OfferedKey, PluginVersion, Proof, Reached,
    Standing, Unjudged,
};
use keyward_store::{CallEntry, SessionRecord, Store};
use keyward_trail::SigningKey;
use tempfile::TempDir;

use super::document::{Document, Outcome, PluginTable};
use super::setting::{self, ANY_CLIENT, Cast};
use super::talk::{Answers, Asked, ScriptedTarget, Talk};
use crate::kit::explain::load_error;
use crate::kit::place::Place;
use crate::kit::workshop::{Interpreters, Piece, Workshop};

/// How long the plugins may take for `session_ended`.
const DRAIN: Duration = Duration::from_secs(330);

/// What came of it.
#[derive(Debug)]
pub(crate) struct Played {
    pub(crate) record: SessionRecord,
    pub(crate) asked: Vec<Asked>,
    pub(crate) keys: Vec<Vec<OfferedKey>>,
    pub(crate) passwords: Vec<Vec<Secret>>,
    pub(crate) codes: Vec<Vec<Secret>>,
    pub(crate) verdict: Verdict,
    /// What the person was told.
    pub(crate) message: String,
    /// By role.
    pub(crate) places: Vec<(&'static str, Place)>,
    /// What the places are in.
    _folder: TempDir,
}

impl Played {
    /// What happened, in order.
    pub(crate) fn events(&self) -> Vec<Event<'_>> {
        let mut events = Vec::new();
        for (n, call) in self.record.calls.iter().enumerate() {
            events.extend(self.asked.iter().filter(|asked| asked.calls_before == n).map(Event::Question));
            events.push(Event::Call(call));
        }
        let calls = self.record.calls.len();
        events.extend(self.asked.iter().filter(|asked| asked.calls_before >= calls).map(Event::Question));
        events
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Event<'p> {
    Call(&'p CallEntry),
    Question(&'p Asked),
}

/// A plugin of the scenario before it is loaded.
struct Part {
    role: &'static str,
    table: PluginTable,
    bundle: PathBuf,
    unpacked: UnpackedBundle,
}

/// Plays `document`, which stands in the folder `base`.
///
/// # Errors
/// What keeps a scenario from being played: a wrong setting, a plugin that cannot be imported. A plugin that fails in
/// a call is no error here.
pub(crate) async fn play(
    document: &Document,
    base: &Path,
    interpreters: &Interpreters,
    answers: Answers,
) -> anyhow::Result<Played> {
    // Unpacked before there is a policy, whose services the host is made of.
    let bundles = tempfile::tempdir().context("a temporary folder is needed")?;
    let parts = parts(document, base, bundles.path())?;
    let name = |role| {
        parts.iter().find(|part| part.role == role).map(|part| part.unpacked.bundle.manifest.name.clone())
    };
    let cast = Cast { aa: name(setting::AA), credential_store: name(setting::CREDENTIAL_STORE) };
    let data = bundles.path().join("data");
    let policy = setting::policy(document, &cast, base, &data)?;
    let workshop = Workshop::open(Some(&policy), 16)?;
    let interpreters = Interpreters {
        given: interpreters.given.clone(),
        of_policy: interpreters
            .of_policy
            .iter()
            .cloned()
            .chain(Interpreters::new(None, Some(&policy)).of_policy)
            .collect(),
    };
    let mut plugins = HashMap::new();
    let mut places = Vec::new();
    for part in parts {
        places.push((part.role, Place::new(&part.unpacked.root)));
        let instance = load(&workshop, part, base, &interpreters).await?;
        plugins.insert(instance.name().clone(), PluginVersion { instance, revision: None });
    }
    let parts = GatewayParts {
        policy,
        store: Store::open(&data).await?,
        plugins,
        old_versions: Arc::new(NoOldVersions),
        trails: data.join("trails"),
        // A rehearsal records nothing.
        signer: Arc::new(SigningKey::generate()?),
        lines: None,
    };
    let gateway = Gateway::rehearse(parts, setting::script(document)?).await?;
    let played = session(&gateway, document, answers, places, bundles).await;
    workshop.close().await;
    played
}

async fn session(
    gateway: &Gateway,
    document: &Document,
    answers: Answers,
    places: Vec<(&'static str, Place)>,
    folder: TempDir,
) -> anyhow::Result<Played> {
    let client = document.client.address.map_or(ANY_CLIENT, super::document::ClientAddress::socket);
    let accepted = gateway.accept(setting::LISTENER.parse()?, client)?;
    let id = accepted.id().clone();
    let has_credentials = accepted.connection().credential_store != CredentialSource::None
        || accepted.connection().log_in.contains(&LogInMeans::Ask);
    let mut talk = Talk::new(answers, document.client.can_ask, gateway.store().clone(), id.clone());
    let mut target = ScriptedTarget::new(&document.target, has_credentials);
    let end = stages(accepted, document, &mut talk, &mut target).await;
    gateway.stop(DRAIN).await;
    let record = gateway.store().session(&id).await?.context("the session is not in the ledger")?;
    let (verdict, message) = match end {
        Ok(()) => (Verdict::Accept, Verdict::Accept.sentence().to_owned()),
        Err(ended) => (ended.verdict, ended.client_message().to_owned()),
    };
    let verdict = record.summary.verdict.unwrap_or(verdict);
    let ScriptedTarget { keys, passwords, codes, .. } = target;
    let asked = talk.asked;
    Ok(Played { record, asked, keys, passwords, codes, verdict, message, places, _folder: folder })
}

/// The order of events (gateway section 1), which the types of the stages keep.
async fn stages(
    accepted: Accepted,
    document: &Document,
    talk: &mut Talk,
    target: &mut ScriptedTarget,
) -> Result<(), Ended> {
    let named = accepted.name(document.client.login.as_bytes()).await?;
    let (named, proof) = prove(named, document).await?;
    let located = named.identify(proof, talk).await?.locate(talk).await?;
    let connected = located.authorize(talk).await?.rehearse(reached(document.target.outcome))?;
    let logged_in = connected.log_in(target, talk).await?.logged_in().await?;
    logged_in.end("the scenario ended the session");
    Ok(())
}

/// Step 4, as `[gateway-user]` says.
async fn prove(mut named: Named, document: &Document) -> Result<(Named, Proof), Ended> {
    let standing = match named.unauthenticated() {
        Some(proof) => Ok(Some(Standing::Proven(proof))),
        None => authenticate(&mut named, document).await,
    };
    match standing {
        Ok(Some(Standing::Proven(proof))) => Ok((named, proof)),
        Ok(Some(Standing::More) | None) => {
            Err(named.fail("the scenario's person could not prove who they are"))
        }
        Err(unjudged) => Err(named.unjudged(unjudged)),
    }
}

async fn authenticate(named: &mut Named, document: &Document) -> Result<Option<Standing>, Unjudged> {
    let Some(user) = &document.gateway_user else { return Ok(None) };
    let factor = match &user.password {
        Some(password) => named.check_password(Method::Password, &Secret::new(password.clone())).await?,
        // The key is nobody's: the script says that the person has signed with it.
        None => named.check_public_key(setting::USER_KEY).await?.map(|key| key.signed()),
    };
    match factor {
        Some(factor) => named.credit(factor, "").await.map(Some),
        None => Ok(None),
    }
}

fn reached(outcome: Outcome) -> Reached {
    match outcome {
        Outcome::Accepts | Outcome::Refuses => Reached::Proven,
        Outcome::Unreachable => Reached::Unreachable,
        Outcome::UnknownHostKey => Reached::UnknownHostKey,
        Outcome::ChangedHostKey => Reached::ChangedHostKey,
    }
}

/// The plugins that the scenario names, unpacked, each in the role of its type.
fn parts(document: &Document, base: &Path, into: &Path) -> anyhow::Result<Vec<Part>> {
    let mut parts = Vec::new();
    let tables = [
        (None, Some(&document.plugin)),
        (Some(setting::AA), document.aa.as_ref()),
        (Some(setting::CREDENTIAL_STORE), document.credential_store.as_ref()),
    ];
    for (n, (wanted, table)) in tables.into_iter().enumerate() {
        let Some(table) = table else { continue };
        let label = wanted.unwrap_or("plugin");
        let bundle = match (&table.bundle, wanted) {
            (Some(path), _) => base.join(path),
            (None, Some(role)) => {
                bail!("[{role}] names no `bundle`: write bundle = \"../folder-of-the-plugin\"")
            }
            (None, None) => nearest_bundle(base)?,
        };
        let archive = keyward_plugin::read_archive(&bundle)?;
        let unpacked = Bundle::unpack(&archive, &into.join(n.to_string()))
            .with_context(|| format!("[{label}] {}", bundle.display()))?;
        let kind = unpacked.bundle.manifest.kind;
        let role = match kind {
            PluginKind::Aa => setting::AA,
            PluginKind::CredentialStore => setting::CREDENTIAL_STORE,
            PluginKind::SigningCa | PluginKind::ConfigurationSync => {
                bail!("{} is of type {kind}, which is not supported yet", bundle.display())
            }
        };
        if wanted.is_some_and(|wanted| wanted != role) {
            bail!("[{label}] {} is of type {kind}: it belongs into [{role}]", bundle.display());
        }
        if parts.iter().any(|part: &Part| part.role == role) {
            bail!("[{label}] {}: the scenario has two plugins of type {kind}", bundle.display());
        }
        parts.push(Part { role, table: table.clone(), bundle, unpacked });
    }
    Ok(parts)
}

/// The folder above `base`, or `base` itself, that has a MANIFEST.
pub(crate) fn nearest_bundle(base: &Path) -> anyhow::Result<PathBuf> {
    let base = std::path::absolute(base)?;
    let found = base.ancestors().find(|folder| folder.join(keyward_plugin::Manifest::FILE).is_file());
    found.map(Path::to_owned).with_context(|| {
        format!(
            "no folder from {} upwards has a MANIFEST: put the scenario into the plugin's folder, or name the plugin with [plugin] bundle = \"...\"",
            base.display()
        )
    })
}

async fn load(
    workshop: &Workshop,
    part: Part,
    base: &Path,
    interpreters: &Interpreters,
) -> anyhow::Result<Instance> {
    let Part { role, table, bundle, unpacked } = part;
    let configuration = match (table.configuration, table.configuration_file) {
        (Some(_), Some(_)) => {
            bail!("[{role}] has both `configuration` and `configuration-file`: keep one of them")
        }
        (Some(text), None) => Some(text),
        (None, Some(file)) => {
            let path = base.join(file);
            Some(std::fs::read_to_string(&path).with_context(|| path.display().to_string())?)
        }
        (None, None) => None,
    };
    let state_dir = workshop.path(&format!("{role}-state"));
    lay_out(&state_dir, &table.state)?;
    let environment = interpreters.find(unpacked.bundle.python).await?;
    let (kind, place) = (unpacked.bundle.manifest.kind, Place::new(&unpacked.root));
    let piece = Piece {
        name: InstanceName::try_from(role)?,
        bundle: unpacked,
        configuration,
        environment,
        start: Start::Warm,
        idle_workers: 1,
        state_dir: Some(state_dir),
    };
    workshop.load(piece).await.map_err(|error| {
        anyhow::anyhow!(
            "{} cannot be loaded\n{}",
            bundle.display(),
            load_error(&error, kind, &place).trim_end()
        )
    })
}

/// Writes the files that the state directory begins with.
fn lay_out(folder: &Path, files: &std::collections::BTreeMap<String, String>) -> anyhow::Result<()> {
    for (name, text) in files {
        let straight =
            Path::new(name).components().all(|part| matches!(part, std::path::Component::Normal(_)));
        if name.is_empty() || !straight {
            bail!("state: {name:?} must be a name below the state directory");
        }
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap_or(folder))
            .with_context(|| path.display().to_string())?;
        write_private(&path, text).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

/// Closed to other users: what a plugin keeps there may be secret, and it may insist.
fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600).open(path)?.write_all(text.as_bytes())
}
