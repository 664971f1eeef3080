//! `kv_vault`, against a server with client certificates that speaks the documented API of Vault's KV 1 and 2.
//! Vault itself is not among Debian's packages; the server is `peers/kv_server.py`.

use keyward_testsuite::{Authority, ClientCertificate, FakeTarget, PATIENCE, PeerServer, until};
use serde_json::{Value, json};

use super::trial::Trial;

pub(crate) const ROLE: &str = "gateway";

/// A secret server, and who may log in there.
pub(crate) struct SecretServer {
    pub(crate) authority: Authority,
    peer: PeerServer,
    pub(crate) client: ClientCertificate,
}

impl SecretServer {
    /// `secrets` are by path, such as `hosts/db1/root`.
    #[track_caller]
    pub(crate) fn with(secrets: &Value) -> Self {
        let authority = Authority::new();
        let client = authority.client(ROLE);
        let files =
            [authority.server_certificate(), authority.server_key(), authority.folder().join("ca.pem")];
        let [certificate, key, ca] = files.each_ref().map(|file| file.to_str().unwrap());
        let secrets = secrets.to_string();
        let environment = [
            ("KV_CERTIFICATE", certificate),
            ("KV_KEY", key),
            ("KV_CLIENT_AUTHORITY", ca),
            ("KV_CLIENT", ROLE),
            ("KV_SECRETS", &secrets),
        ];
        let peer = PeerServer::start("kv_server", &environment);
        Self { authority, peer, client }
    }

    pub(crate) fn port(&self) -> u16 {
        self.peer.addr().port()
    }

    pub(crate) fn configuration(&self, more: &str) -> String {
        self.configuration_of(&self.client, more)
    }

    fn configuration_of(&self, client: &ClientCertificate, more: &str) -> String {
        format!(
            "[vault]\naddress = https://{}\nrole = {ROLE}\n{more}\n[tls]\nca_cert = {}\nclient_cert = {}\n {}\n",
            self.peer.addr(),
            indented(&self.authority.certificate()),
            indented(&client.certificate),
            indented(&client.key),
        )
    }

    /// The requests so far, such as `GET secret/data/a 200`, without logins and logouts.
    pub(crate) fn requests(&self) -> Vec<String> {
        let log = self.peer.log();
        let asked = log.iter().filter_map(|line| {
            let (method, rest) = line.split_once(" /v1/")?;
            Some(format!("{method} {rest}")).filter(|line| !line.contains(" auth/"))
        });
        asked.collect()
    }

    fn log(&self) -> String {
        self.peer.log().join("\n")
    }
}

/// PEM as an option's value.
pub(crate) fn indented(pem: &str) -> String {
    pem.trim_end().replace('\n', "\n ")
}

const PASSWORD: &str = "vaulted 100% $ecret";

fn server() -> SecretServer {
    SecretServer::with(&json!({"hosts/db1.example.com/root": {"password": PASSWORD}}))
}

/// A session of the plugin.
fn login(server: &SecretServer, more: &str) -> Trial {
    Trial::new("kv_vault", &server.configuration(more))
}

const RECORD: &str = "checkouts/root%40db1.example.com";

#[test]
fn version_2_hands_a_password_out_and_keeps_a_record_until_the_session_has_ended() {
    let server = server();
    let mut login = login(&server, "[checkout]\nexclusive = yes");
    assert_eq!(login.call("get_private_key_list")["private_keys"], json!([]));
    assert_eq!(login.call("get_password_list")["passwords"], json!([PASSWORD]));
    login.call("authentication_completed");
    let taken = format!("POST secret/data/{RECORD} 200");
    assert_eq!(server.requests().last(), Some(&taken));

    login.call("session_ended");
    let requests = server.requests();
    assert_eq!(
        requests[requests.len() - 2..],
        [format!("GET secret/data/{RECORD} 200"), format!("DELETE secret/metadata/{RECORD} 204"),]
    );
    // Keys and passwords were looked for by name; the name was found, so the address was not asked for passwords.
    assert_eq!(requests.iter().filter(|line| line.starts_with("POST")).count(), 1, "{requests:?}");
}

#[test]
fn version_1_does_the_same_at_its_own_paths() {
    let server = server();
    let mut login = login(&server, "mount = kv\nversion = 1\n[checkout]\nexclusive = yes");
    assert_eq!(login.call("get_password_list")["passwords"], json!([PASSWORD]));
    login.call("session_ended");
    assert_eq!(
        server.requests(),
        [
            "GET kv/hosts/db1.example.com/root 200".to_owned(),
            format!("GET kv/{RECORD} 404"),
            format!("POST kv/{RECORD} 204"),
            format!("GET kv/{RECORD} 200"),
            format!("DELETE kv/{RECORD} 204"),
        ]
    );
}

#[test]
fn check_in_may_be_at_authentication_completed_and_is_made_once() {
    let server = server();
    for more in ["", "mount = kv\nversion = 1\n"] {
        let before = server.requests().len();
        let trigger = "[check-in-trigger]\ndefault = session-ended\nssh = authentication-completed";
        let mut login = login(&server, &format!("{more}{trigger}"));
        login.call("get_password_list");
        login.call("authentication_completed");
        let after_login = server.requests();
        assert!(after_login.last().unwrap().starts_with("DELETE "), "{after_login:?}");
        login.call("session_ended");
        assert_eq!(server.requests(), after_login);
        assert!(after_login.len() > before);
    }
}

#[test]
fn a_check_in_that_was_missed_at_the_login_is_made_at_the_end() {
    let server = server();
    let mut login = login(&server, "[check-in-trigger]\ndefault = authentication-completed");
    login.call("get_password_list");
    login.call("session_ended");
    assert!(server.requests().last().unwrap().starts_with("DELETE "), "{:?}", server.requests());
}

#[test]
fn an_exclusive_credential_is_for_one_session_at_a_time() {
    for engine in ["", "mount = kv\nversion = 1\n"] {
        let server = server();
        let more = format!("{engine}[checkout]\nexclusive = yes");
        let (mut first, mut second) = (
            login(&server, &more),
            login(&server, &more).with("session_id", "svc/3jcMYGgyyZL4YuqcBZhvsb/ssh:2"),
        );
        assert_eq!(first.call("get_password_list")["passwords"], json!([PASSWORD]));
        assert_eq!(second.call("get_password_list")["passwords"], json!([]));
        assert!(second.log().contains("checked out in another session"), "{}", second.log());
        // Who got nothing takes nothing away.
        second.call("session_ended");
        assert!(!server.log().contains("DELETE"), "{}", server.log());

        first.call("session_ended");
        assert_eq!(second.call("get_password_list")["passwords"], json!([PASSWORD]), "{engine}");
    }
}

#[test]
fn a_shared_credential_has_a_record_for_each_session() {
    let server = server();
    let (mut first, mut second) =
        (login(&server, ""), login(&server, "").with("session_id", "svc/3jcMYGgyyZL4YuqcBZhvsb/ssh:2"));
    assert_eq!(first.call("get_password_list")["passwords"], json!([PASSWORD]));
    assert_eq!(second.call("get_password_list")["passwords"], json!([PASSWORD]));
    first.call("session_ended");
    second.call("session_ended");
    let mut removed: Vec<String> =
        server.requests().into_iter().filter(|line| line.starts_with("DELETE ")).collect();
    assert_eq!(removed.len(), 2);
    removed.dedup();
    assert_eq!(removed.len(), 2, "{removed:?}");
}

#[test]
fn what_is_not_in_the_server_leaves_no_trace_there() {
    let server = server();
    let mut login = login(&server, "").with("server_username", "guest");
    assert_eq!(login.call("get_password_list")["passwords"], json!([]));
    login.call("session_ended");
    assert_eq!(
        server.requests(),
        ["GET secret/data/hosts/db1.example.com/guest 404", "GET secret/data/hosts/10.20.0.7/guest 404",]
    );
}

#[test]
fn a_key_is_handed_out_with_its_type_and_a_text_that_is_no_key_is_not() {
    let pem = "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n";
    let secrets = json!({
        "hosts/db1.example.com/root": {"private_key": pem},
        "hosts/db1.example.com/odd": {"private_key": "s3cret"},
    });
    let server = SecretServer::with(&secrets);
    assert_eq!(login(&server, "").call("get_private_key_list")["private_keys"], json!([["ssh-rsa", pem]]));
    let mut odd = login(&server, "").with("server_username", "odd");
    assert_eq!(odd.call("get_private_key_list")["private_keys"], json!([]));
    assert!(!odd.log().contains("s3cret"), "{}", odd.log());
}

#[test]
fn a_name_of_the_login_leads_to_no_other_path() {
    let server = server();
    for name in ["../db1.example.com/root", "..", "root/../root", "root\n"] {
        let mut login = login(&server, "").with("server_username", name);
        assert_eq!(login.call("get_password_list")["passwords"], json!([]), "{name:?}");
    }
    assert_eq!(server.requests(), Vec::<String>::new());
}

#[test]
fn each_call_gives_its_token_back() {
    let server = server();
    let mut login = login(&server, "");
    login.call("get_password_list");
    login.call("session_ended");
    let log = server.log();
    assert_eq!(log.matches("auth/cert/login 200").count(), log.matches("auth/token/revoke-self 204").count());
    assert_eq!(log.lines().rfind(|line| line.starts_with("tokens ")), Some("tokens 0"));
}

#[test]
fn a_certificate_of_another_authority_or_name_opens_nothing() {
    let server = server();
    let elsewhere = Authority::new();
    let mut refused = Trial::new("kv_vault", &server.configuration_of(&elsewhere.client(ROLE), ""));
    let error = refused.fails("get_password_list");
    assert!(error.contains("POST auth/cert/login: "), "{error}");
    // The client hears of it first.
    until("the server says so", PATIENCE, || server.log().contains("refused: ").then_some(()));

    let other = server.authority.client("somebody-else");
    let mut refused = Trial::new("kv_vault", &server.configuration_of(&other, ""));
    let error = refused.fails("get_password_list");
    assert!(error.contains("invalid certificate"), "{error}");
    assert_eq!(server.requests(), Vec::<String>::new());
}

#[test]
fn a_server_that_nobody_vouches_for_gets_no_request() {
    let server = server();
    let stranger = Authority::new();
    let text = server.configuration("");
    let text = text.replace(&indented(&server.authority.certificate()), &indented(&stranger.certificate()));
    let error = Trial::new("kv_vault", &text).fails("get_password_list");
    assert!(error.contains("SSLError"), "{error}");
    assert!(!server.log().contains("/v1/"), "{}", server.log());

    let without = text.lines().filter(|line| !line.starts_with(' ') && !line.starts_with("ca_cert"));
    let without = without.collect::<Vec<_>>().join("\n");
    let error = Trial::new("kv_vault", &without).fails("get_password_list");
    assert!(error.contains("ca_cert"), "{error}");
}

#[test]
fn a_check_in_that_fails_is_an_error_of_the_call() {
    let server = server();
    let mut login = login(&server, "");
    login.call("get_password_list");
    let gone = FakeTarget::gone();
    let text = server.configuration("").replace(&server.peer.addr().to_string(), &gone.to_string());
    login.configure(&text);
    let error = login.fails("session_ended");
    assert!(error.contains("POST auth/cert/login: ConnectionError"), "{error}");
}

#[test]
fn neither_secret_nor_key_nor_token_is_printed() {
    let server = server();
    let mut login = login(&server, "[logging]\nlog_level = debug");
    login.call("get_password_list");
    login.call("session_ended");
    let log = login.log();
    for secret in ["vaulted", "hvs.", "PRIVATE KEY"] {
        assert!(!log.contains(secret), "{log}");
    }
}
