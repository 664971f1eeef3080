use std::collections::BTreeMap;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::disk::Disk;
use crate::ports::free_port;
use crate::{BundleFolder, Input, PATIENCE, Postgres, PowerCuts, Program, Run, run, until};

/// The gateway's program with a policy document and a data folder of its own.
#[derive(Debug)]
pub struct Gateway {
    plan: GatewayPlan,
    program: Option<Program>,
}

/// A gateway that is not started yet.
#[derive(Debug)]
pub struct GatewayPlan {
    /// Before the folder, which can go only when nothing is mounted in it.
    disks: Vec<Disk>,
    folder: TempDir,
    document: String,
    ports: BTreeMap<String, u16>,
    lacking: Vec<Lacking>,
    environment: Vec<(&'static str, PathBuf)>,
    is_stored: bool,
}

/// What a gateway is made to go without: a part of the kernel, or the machine's name server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Lacking {
    Landlock,
    Seccomp,
    Cgroup,
    /// Names are those of `/etc/hosts` alone.
    NameServer,
}

impl Lacking {
    fn word(self) -> &'static str {
        match self {
            Self::Landlock => "landlock",
            Self::Seccomp => "seccomp",
            Self::Cgroup => "cgroup",
            Self::NameServer => "names",
        }
    }
}

/// Becomes the program of its arguments, without what the first one names: system calls are answered as a kernel
/// answers that does not have them; for it alone the control groups are unmounted, and the list of name servers is empty.
const WITHOUT: &str = r#"
import ctypes, os, platform, struct, sys

libc = ctypes.CDLL(None, use_errno=True)
lacking = sys.argv[1].split(",")
calls = []
if "landlock" in lacking:
    calls += [444, 445, 446]
if "seccomp" in lacking:
    calls.append({"x86_64": 317, "aarch64": 277}[platform.machine()])
if "cgroup" in lacking or "names" in lacking:
    assert libc.unshare(0x00020000) == 0
    assert libc.mount(None, b"/", None, 0x4000 | 0x40000, None) == 0
if "names" in lacking:
    assert libc.mount(b"/dev/null", b"/etc/resolv.conf", None, 0x1000, None) == 0
if "cgroup" in lacking:
    for line in open("/proc/self/mounts").read().splitlines():
        place, kind = line.split()[1:3]
        if kind == "cgroup2":
            assert libc.umount2(place.encode(), 2) == 0
if calls:
    step = struct.Struct("=HBBI")
    program = step.pack(0x20, 0, 0, 0)
    for call in calls:
        program += step.pack(0x15, 0, 1, call) + step.pack(0x06, 0, 0, 0x00050000 | 38)
    program += step.pack(0x06, 0, 0, 0x7FFF0000)
    code = ctypes.create_string_buffer(program, len(program))

    class Program(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("code", ctypes.c_void_p)]

    given = Program(len(program) // step.size, ctypes.addressof(code))
    assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, ctypes.byref(given), 0, 0) == 0
os.execv(sys.argv[2], sys.argv[2:])
"#;

impl GatewayPlan {
    /// `document` is the policy. In it, `@data@` stands for the data folder, and `@port:NAME@` for a free port of
    /// that name, which [`Gateway::addr`] tells.
    #[track_caller]
    pub fn new(document: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("kwt-gateway-").tempdir().unwrap();
        let data = folder.path().join("data");
        let document = document.replace("@data@", &data.to_string_lossy());
        let (disks, ports, lacking, environment, is_stored) = Default::default();
        let mut plan = Self { disks, folder, document, ports, lacking, environment, is_stored };
        plan.choose_ports();
        plan
    }

    /// Gives each named port a number that is free now, and writes the policy document with them.
    fn choose_ports(&mut self) {
        let mut text = String::new();
        let mut pieces = self.document.split("@port:");
        text.extend(pieces.next());
        self.ports.clear();
        for piece in pieces {
            let (name, rest) = piece.split_once('@').expect("a port is written @port:NAME@");
            let port = *self.ports.entry(name.to_owned()).or_insert_with(free_port);
            text += &format!("{port}{rest}");
        }
        if self.is_stored {
            let (node, rest) = text.split_once("\n\n").expect("[node] comes first");
            fs::write(self.policy(), format!("{node}\nconfiguration = \"store\"\n")).unwrap();
            fs::write(self.folder.path().join(Gateway::DOCUMENT), rest).unwrap();
        } else {
            fs::write(self.policy(), text).unwrap();
        }
    }

    /// Its store is in a PostgreSQL, where it logs in by name and password.
    #[track_caller]
    pub fn on(mut self, server: &Postgres) -> Self {
        let password = self.folder.path().join("database.password");
        fs::write(&password, Postgres::PASSWORD).unwrap();
        let (user, port, database) = (Postgres::USER, server.port(), Postgres::DATABASE);
        let table = format!(
            "[node]\ndatabase = {{ url = \"postgres://{user}@127.0.0.1:{port}/{database}\", password-file = \"database.password\" }}"
        );
        assert!(self.document.contains("[node]"));
        self.document = self.document.replace("[node]", &table);
        self.choose_ports();
        self
    }

    /// Its configuration is in its store, where nothing is yet; the policy document is [`Gateway::DOCUMENT`].
    pub fn stored(self) -> Self {
        let mut plan = Self { is_stored: true, ..self };
        plan.choose_ports();
        plan
    }

    fn policy(&self) -> PathBuf {
        self.folder.path().join("policy.toml")
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Puts a folder of the data folder, or with an empty name all of it, on a disk that is soon full.
    #[track_caller]
    pub fn on_small_disk(mut self, folder: &str, kib: u32) -> Self {
        self.disks.push(Disk::small(&self.data(), folder, kib));
        self
    }

    /// Puts a folder of the gateway's data on a disk that can be [`Frozen`](crate::Frozen).
    #[track_caller]
    pub fn on_a_disk_of_its_own(mut self, folder: &str) -> Self {
        self.disks.push(Disk::in_a_file(&self.data(), folder));
        self
    }

    /// Takes note of what would be left after a power cut.
    pub fn with_power_cuts(self, cuts: &PowerCuts) -> Self {
        Self { environment: cuts.environment().into(), ..self }
    }

    /// As on a kernel without these.
    pub fn lacking(self, lacking: &[Lacking]) -> Self {
        Self { lacking: lacking.to_vec(), ..self }
    }

    /// Starts it, which must fail, and gives what it says then.
    #[track_caller]
    pub fn refuses_to_start(self) -> String {
        match self.launch() {
            Ok(_) => panic!("the gateway has started"),
            Err(log) => log,
        }
    }

    /// Uploads a plugin the way a person does.
    #[track_caller]
    pub fn plugin(self, bundle: &BundleFolder) -> Self {
        self.upload(bundle.path())
    }

    #[track_caller]
    pub fn upload(self, bundle: &Path) -> Self {
        keyward(&["plugin", "upload"], &[bundle, Path::new("--policy"), &self.policy()]).must_succeed();
        self
    }

    /// Starts it and waits until it serves.
    #[track_caller]
    pub fn start(mut self) -> Gateway {
        for _ in 0..5 {
            match self.launch() {
                Ok(program) => return Gateway { plan: self, program: Some(program) },
                // Another program took the port after we had found it free.
                Err(log) if log.contains("Address already in use") => self.choose_ports(),
                Err(log) => panic!("the gateway did not start:\n{log}"),
            }
        }
        panic!("the gateway found no free port in five tries");
    }

    fn program(&self) -> Command {
        if self.lacking.is_empty() {
            return Command::new(bin());
        }
        let words: Vec<&str> = self.lacking.iter().map(|part| part.word()).collect();
        let mut command = Command::new("/usr/bin/python3");
        command.args(["-c", WITHOUT, &words.join(",")]).arg(bin());
        command
    }

    /// The running program, or what it said when it gave up.
    #[track_caller]
    fn launch(&self) -> Result<Program, String> {
        let mut command = self.program();
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.arg("run").arg(self.policy()).env("NO_COLOR", "1").env_remove("RUST_LOG");
        let program = Program::start(&mut command);
        let is_ready = |line: &str| line.trim_end().ends_with(" ready").then_some(());
        match program.find_line("the gateway is ready", PATIENCE, is_ready) {
            Some(()) => Ok(program),
            None => Err(program.log().join("\n")),
        }
    }
}

impl Gateway {
    /// The policy document of a [`stored`](GatewayPlan::stored) one, beside its file.
    pub const DOCUMENT: &str = "document.toml";

    /// Starts it again after [`Self::kill`] or [`Self::stop`], on the same ports.
    #[track_caller]
    pub fn start(&mut self) {
        assert!(self.program.is_none(), "the gateway runs already");
        self.program = Some(until("the gateway starts again", PATIENCE, || match self.plan.launch() {
            Ok(program) => Some(program),
            // Another program may have been given one of its ports meanwhile, for a moment.
            Err(log) if log.contains("Address already in use") => None,
            Err(log) => panic!("the gateway did not start again:\n{log}"),
        }));
    }

    /// Where the port of this name is.
    #[track_caller]
    pub fn addr(&self, port: &str) -> SocketAddr {
        let number = self.plan.ports.get(port);
        (Ipv4Addr::LOCALHOST, *number.unwrap_or_else(|| panic!("the document has no @port:{port}@"))).into()
    }

    pub fn log(&self) -> Vec<String> {
        self.program().log()
    }

    pub fn policy(&self) -> PathBuf {
        self.plan.policy()
    }

    pub fn data(&self) -> PathBuf {
        self.plan.data()
    }

    #[track_caller]
    pub fn program(&self) -> &Program {
        self.program.as_ref().expect("the gateway runs")
    }

    /// Changes the policy document in its file.
    #[track_caller]
    pub fn edit_policy(&self, edit: impl FnOnce(String) -> String) {
        let path = self.policy();
        let text = fs::read_to_string(&path).unwrap();
        let edited = edit(text.clone());
        assert_ne!(edited, text, "the edit changes nothing");
        fs::write(path, edited).unwrap();
    }

    /// Has it read the policy document again, and waits until it says `word` of it.
    #[track_caller]
    pub fn reread(&self, word: &str) {
        let said = || self.log().iter().filter(|line| line.contains(word)).count();
        let before = said();
        self.program().signal(Signal::HUP);
        until("the document is read again", PATIENCE, || (said() > before).then_some(()));
    }

    /// Waits for a line of the log that has all of `words`.
    #[track_caller]
    pub fn says(&self, words: &[&str]) -> String {
        until("the gateway says so", PATIENCE, || {
            self.log().into_iter().find(|line| words.iter().all(|word| line.contains(word)))
        })
    }

    /// Starts it after [`Self::stop`], which must fail, and gives what it says then.
    #[track_caller]
    pub fn refuses_to_start(&self) -> String {
        assert!(self.program.is_none(), "the gateway runs already");
        match self.plan.launch() {
            Ok(_) => panic!("the gateway has started"),
            Err(log) => log,
        }
    }

    /// Ends the process as a crash would: SIGKILL, to it alone.
    #[track_caller]
    pub fn kill(&mut self) {
        self.program().signal(Signal::KILL);
        self.program().ended(PATIENCE);
        self.program = None;
    }

    /// Waits until it has ended by itself, and gives its exit status.
    #[track_caller]
    pub fn ended(&mut self) -> ExitStatus {
        let status = self.program().ended(PATIENCE);
        self.program = None;
        status
    }

    /// Asks it to end, and gives its exit status.
    #[track_caller]
    pub fn stop(&mut self) -> ExitStatus {
        self.program().signal(Signal::TERM);
        let status = self.program().ended(PATIENCE * 2);
        self.program = None;
        status
    }

    /// The ledger's sessions, the newest first, as `keyward session list --json` prints them.
    #[track_caller]
    pub fn sessions(&self) -> Vec<Value> {
        let list = keyward(&["session", "list", "--json", "--policy"], &[&self.policy()]);
        match serde_json::from_str(&list.text()).expect("session list prints JSON") {
            Value::Array(sessions) => sessions,
            other => panic!("session list prints no list: {other}"),
        }
    }

    /// One session with its calls, as `keyward session show --json` prints it.
    #[track_caller]
    pub fn session(&self, id: &str) -> Value {
        let shown = keyward(&["session", "show", id, "--json", "--policy"], &[&self.policy()]);
        serde_json::from_str(&shown.text()).expect("session show prints JSON")
    }

    /// The recordings' files so far.
    pub fn recordings(&self) -> Vec<PathBuf> {
        files_below(&self.data().join("trails"))
    }

    /// Plays a recording in no time, and gives what the person saw.
    #[track_caller]
    pub fn play(&self, recording: &Path) -> String {
        self.played(recording).text()
    }

    /// The same, with what else the command said.
    #[track_caller]
    pub fn played(&self, recording: &Path) -> Run {
        keyward(&["trail", "play", "--max-idle", "0"], &[recording])
    }

    /// A recording's first channel as asciicast: the header, and then an event in each line.
    #[track_caller]
    pub fn asciicast(&self, recording: &Path) -> Vec<Value> {
        let exported =
            keyward(&["trail", "export", "--as", "asciicast", "--with-input"], &[recording]).text();
        exported
            .lines()
            .map(|line| serde_json::from_str(line).expect("an asciicast is lines of JSON"))
            .collect()
    }

    /// Waits until `count` sessions have ended, and gives all sessions, the newest first.
    #[track_caller]
    pub fn ended_sessions(&self, count: usize) -> Vec<Value> {
        until("the sessions end", PATIENCE, || {
            let sessions = self.sessions();
            let ended =
                sessions.iter().filter(|session| session.get("verdict").is_some_and(Value::is_string));
            (ended.count() >= count).then_some(sessions)
        })
    }
}

/// Runs a command of the gateway's program to its end.
#[track_caller]
pub(crate) fn keyward(words: &[&str], paths: &[&Path]) -> Run {
    run(Command::new(bin()).args(words).args(paths).env("NO_COLOR", "1"), Input::Nothing)
}

/// `KEYWARD_BIN`, else the program that lies beside the tests in cargo's target folder.
#[track_caller]
pub(crate) fn bin() -> PathBuf {
    let path = std::env::var_os("KEYWARD_BIN").map(PathBuf::from).unwrap_or_else(beside_the_tests);
    assert!(path.exists(), "there is no {}: run the tests with `cargo xtask test`", path.display());
    path
}

fn beside_the_tests() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.ancestors().nth(2).unwrap().join("keyward")
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            true => files.extend(files_below(&entry.path())),
            false => files.push(entry.path()),
        }
    }
    files
}
