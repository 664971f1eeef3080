//! The examples in a whole gateway, with a stock client and a real server.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::thread;

use keyward_testsuite::{
    Account, Askpass, FreeRadius, Gateway, GatewayPlan, KeyPair, PATIENCE, Run, SshClient, Sshd,
    plugin_python, until,
};
use serde_json::{Value, json};

use super::kv_vault::SecretServer;
use super::ticketing::TicketServer;
use super::totp;
use super::trial::example;

/// A server with an account, and a gateway in front of it whose plugins are examples. Alice has a key of the gateway,
/// for the connection that asks for one.
struct House {
    gateway: Gateway,
    account: Account,
    sshd: Sshd,
    key: KeyPair,
}

/// Folder and configuration of an example.
type Plugin = (&'static str, String);

impl House {
    /// `authentication` is what the gateway asks for by itself.
    #[track_caller]
    fn open(authentication: &str, account: Account, aa: &Plugin, store: &Plugin) -> Self {
        let sshd = Sshd::start();
        let key = KeyPair::generate(sshd.folder(), "alice_key", "ed25519");
        let document = document(&sshd, &account, &key, authentication, [aa, store]);
        let plan = GatewayPlan::new(&document);
        let gateway = plan.upload(&example(aa.0)).upload(&example(store.0)).start();
        Self { gateway, account, sshd, key }
    }

    fn alice(&self, pairs: &str, askpass: &Askpass) -> SshClient {
        let login = format!("{pairs}gu=alice@{}", self.account.name);
        SshClient::of_a_person(self.gateway.addr("ssh"), &login, Some(&self.key), askpass)
    }

    /// Who the server says we are, once the session has ended.
    #[track_caller]
    fn works(&self, run: &Run) {
        assert_eq!(run.text().trim_end(), self.account.name);
        assert_eq!(self.gateway.ended_sessions(1)[0]["verdict"], "accept");
    }

    /// The newest session, once its plugins know that it has ended.
    #[track_caller]
    fn settled(&self) -> Value {
        until("each plugin knows of the end", PATIENCE, || {
            let session = self.gateway.session(self.gateway.ended_sessions(1)[0]["id"].as_str()?);
            let plugins = session["plugins"].as_array()?.clone();
            plugins.iter().all(|plugin| plugin["outcome"].is_string()).then_some(session)
        })
    }
}

fn document(
    sshd: &Sshd,
    account: &Account,
    key: &KeyPair,
    authentication: &str,
    plugins: [&Plugin; 2],
) -> String {
    let (target, host_key, python) = (sshd.addr(), sshd.host_key(), plugin_python());
    let (name, public) = (&account.name, key.public());
    let [aa, store] = plugins.map(|(folder, configuration)| {
        let manifest = fs::read_to_string(example(folder).join("MANIFEST")).unwrap();
        let bundle = manifest.lines().find_map(|line| line.strip_prefix("name: ")).unwrap().to_owned();
        format!("[[plugin]]\nname = \"{folder}\"\nbundle = \"{bundle}\"\nconfiguration = '''\n{configuration}'''\n")
    });
    let [aa_name, store_name] = plugins.map(|(folder, _)| folder);
    format!(
        r#"
[node]
data-dir = "@data@"

[gateway]
host-name = "gateway.test"
drain = 2

[[environment]]
name = "python3"
python = "{python}"

{aa}
{store}

[[authentication]]
name = "keys"
methods = ["public-key"]

[[user]]
name = "alice"
public-keys = ["{public}"]

[[connection]]
name = "ssh"
protocol = "ssh"
listen = ["127.0.0.1:@port:ssh@"]
target = {{ fixed = "{target}" }}
aa-plugin = "{aa_name}"
credential-store = {{ plugin = "{store_name}" }}
usermapping = "operators"
channel-policy = "work"
known-host-keys = [{{ host = "{target}", key = "{host_key}" }}]
{authentication}

[[usermapping]]
name = "operators"

[[usermapping.rule]]
remote-user = "{name}"
users = ["alice"]

[[channel-policy]]
name = "work"

[[channel-policy.rule]]
types = ["shell", "exec"]
record = true
"#,
        python = python.display()
    )
}

fn secret_server(account: &Account) -> SecretServer {
    let path = format!("hosts/127.0.0.1/{}", account.name);
    SecretServer::with(&json!({path: {"password": account.password}}))
}

fn totp_of_alice() -> Plugin {
    ("totp", format!("[secrets]\nalice = {}\n", totp::SECRET))
}

#[test]
fn a_code_of_the_app_opens_an_account_whose_password_is_in_the_secret_server() {
    let account = Account::create();
    let server = secret_server(&account);
    let store = ("kv_vault", server.configuration("[checkout]\nexclusive = yes"));
    let house = House::open("", account, &totp_of_alice(), &store);
    let askpass = Askpass::new(&[&totp::code(&["--totp"], 0)]);

    let run = house.alice("", &askpass).exec("id -un");

    house.works(&run);
    assert_eq!(askpass.prompts().len(), 1, "{:?}", askpass.prompts());
    house.settled();
    let requests = server.requests();
    let place = |start: &str| requests.iter().position(|line| line.starts_with(start));
    assert!(
        place("POST secret/data/checkouts/") < place("DELETE secret/metadata/checkouts/"),
        "{requests:?}"
    );
    assert!(place("POST secret/data/checkouts/").is_some(), "{requests:?}");
    let log = house.gateway.log().join("\n");
    assert!(!log.contains(&house.account.password), "{log}");
}

#[test]
fn the_credential_is_back_while_the_session_still_works() {
    let account = Account::create();
    let server = secret_server(&account);
    let more = "[checkout]\nexclusive = yes\n[check-in-trigger]\ndefault = authentication-completed";
    let house = House::open("", account, &totp_of_alice(), &("kv_vault", server.configuration(more)));
    let askpass = Askpass::new(&[]);
    let pairs = format!("otp={}@", totp::code(&["--totp"], 0));

    // The command reads what the secret server has been asked for by then: the login is over before it starts.
    let client = house.alice(&pairs, &askpass);
    let mut open = client.command(&[], &["cat"]);
    let mut open =
        open.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped()).spawn().unwrap();
    until("the check-in", PATIENCE, || {
        server.requests().iter().any(|line| line.starts_with("DELETE ")).then_some(())
    });
    assert_eq!(open.try_wait().unwrap(), None);
    assert!(house.gateway.sessions()[0]["verdict"].is_null(), "{:#?}", house.gateway.sessions());
    drop(open.stdin.take());
    assert!(open.wait().unwrap().success());
    house.settled();
    assert_eq!(server.requests().iter().filter(|line| line.starts_with("DELETE ")).count(), 1);
}

#[test]
fn one_code_opens_one_of_many_sessions_that_show_it_at_the_same_time() {
    let account = Account::create();
    let server = secret_server(&account);
    let house = House::open("", account, &totp_of_alice(), &("kv_vault", server.configuration("")));
    let pairs = format!("otp={}@", totp::code(&["--totp"], 0));

    let opened = thread::scope(|scope| {
        let logins = [(); 4].map(|()| {
            scope.spawn(|| {
                let askpass = Askpass::new(&["0", "0"]);
                house.alice(&pairs, &askpass).exec("true").status.success()
            })
        });
        logins.map(|login| login.join().unwrap()).into_iter().filter(|opened| *opened).count()
    });

    assert_eq!(opened, 1);
}

#[test]
fn a_radius_challenge_is_asked_at_the_persons_own_terminal() {
    let radius = FreeRadius::start();
    let account = Account::create();
    let (name, password) = (account.name.clone(), account.password.clone());
    let configuration = format!(
        "[radius]\nservers = {}\nsecret = {}\n[usermapping source=explicit]\nalice = bob\n",
        radius.addr(),
        FreeRadius::SECRET
    );
    let house =
        House::open("", account, &("radius_mfa", configuration), &("fixed_credentials", String::new()));
    // As an administrator puts it there.
    let file = house.gateway.data().join("plugins/fixed_credentials/state/credentials.ini");
    fs::write(&file, format!("[{name}@127.0.0.1]\npassword = {password}\n")).unwrap();
    fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
    let askpass = Askpass::new(&[FreeRadius::BOB, FreeRadius::BOB_TOKEN]);

    let run = house.alice("", &askpass).exec("id -un");

    house.works(&run);
    let prompts = askpass.prompts();
    assert!(prompts[1].contains("Code of your token:"), "{prompts:?}");
}

#[test]
fn a_ticket_is_asked_for_after_the_gateways_own_authentication() {
    let tickets = json!({
        "CHG-17": {"state": "approved", "assignee": "alice", "targets": ["kwt*@127.0.0.1"]},
        "CHG-18": {"state": "approved", "assignee": "bob", "targets": ["kwt*@127.0.0.1"]},
    });
    let (tickets, account) = (TicketServer::with(&tickets), Account::create());
    let server = secret_server(&account);
    let house = House::open(
        "authentication = \"keys\"",
        account,
        &("ticketing", tickets.configuration()),
        &("kv_vault", server.configuration("")),
    );
    let askpass = Askpass::new(&["CHG-18", "CHG-17"]);

    let run = house.alice("", &askpass).exec("id -un");

    house.works(&run);
    assert!(askpass.prompts()[1].contains("CHG-18: it is not assigned to you."), "{:?}", askpass.prompts());
    let session = house.settled();
    assert!(session.to_string().contains("CHG-17"), "{session:#}");
    let notes = tickets.notes();
    assert_eq!(notes.len(), 2, "{notes:?}");
    assert!(notes[1].ends_with("has ended"), "{notes:?}");
}

#[test]
fn a_person_without_ticket_hears_why_and_never_reaches_the_server() {
    let (tickets, account) = (TicketServer::with(&json!({})), Account::create());
    let server = secret_server(&account);
    let house = House::open(
        "authentication = \"keys\"",
        account,
        &("ticketing", tickets.configuration()),
        &("kv_vault", server.configuration("")),
    );

    let run = house.alice("", &Askpass::new(&["CHG-1", "CHG-2", "CHG-3"])).exec("id -un");

    assert_eq!(run.status.code(), Some(255));
    assert!(run.stderr.contains("No ticket allows this login: there is no such ticket."), "{}", run.stderr);
    assert_eq!(house.gateway.ended_sessions(1)[0]["verdict"], "deny");
    assert_eq!((house.sshd.connections(), server.requests().len()), (0, 0));
}
