//! `ticketing`, against a small ticket server with TLS.

use std::path::PathBuf;

use keyward_testsuite::{Authority, FakeTarget, PeerServer};
use serde_json::{Value, json};

use super::kv_vault::indented;
use super::trial::{Trial, denied};

pub(crate) const TOKEN: &str = "t1cket-token";

pub(crate) struct TicketServer {
    authority: Authority,
    peer: PeerServer,
}

impl TicketServer {
    #[track_caller]
    pub(crate) fn with(tickets: &Value) -> Self {
        let authority = Authority::new();
        let files = [authority.server_certificate(), authority.server_key()];
        let [certificate, key] = files.each_ref().map(|file| file.to_str().unwrap());
        let tickets = tickets.to_string();
        let environment = [
            ("TICKETS_CERTIFICATE", certificate),
            ("TICKETS_KEY", key),
            ("TICKETS_TOKEN", TOKEN),
            ("TICKETS", &tickets),
        ];
        let peer = PeerServer::start("ticket_server", &environment);
        Self { authority, peer }
    }

    pub(crate) fn configuration(&self) -> String {
        format!(
            "[ticketing]\naddress = https://{}/api\ntoken = {TOKEN}\n[tls]\nca_cert = {}\n",
            self.peer.addr(),
            indented(&self.authority.certificate())
        )
    }

    pub(crate) fn port(&self) -> u16 {
        self.peer.addr().port()
    }

    /// Where the certificate of its authority is, `ca.pem`.
    pub(crate) fn folder(&self) -> PathBuf {
        self.authority.folder()
    }

    /// The notes so far: number and text.
    pub(crate) fn notes(&self) -> Vec<String> {
        let log = self.peer.log();
        log.iter().filter_map(|line| line.strip_prefix("note ")).map(str::to_owned).collect()
    }

    pub(crate) fn requests(&self) -> Vec<String> {
        self.peer.log().into_iter().filter(|line| line.contains(" /api/")).collect()
    }
}

fn ticket(changes: &Value) -> Value {
    let mut ticket = json!({"state": "approved", "assignee": "alice", "targets": ["root@db*.example.com"], "begins": 1_500_000_000});
    let changes = changes.as_object().unwrap().clone();
    ticket.as_object_mut().unwrap().extend(changes);
    ticket
}

fn server() -> TicketServer {
    TicketServer::with(&json!({
        "CHG-17": ticket(&json!({})),
        "CHG-18": ticket(&json!({"state": "draft"})),
        "CHG-19": ticket(&json!({"assignee": "bob"})),
        "CHG-20": ticket(&json!({"ends": 1_600_000_000})),
        "CHG-21": ticket(&json!({"targets": ["root@web1.example.com"]})),
    }))
}

/// A session of the plugin in which the gateway has authenticated alice.
fn login(server: &TicketServer) -> Trial {
    let mut login = Trial::new("ticketing", &server.configuration());
    assert_eq!(login.call("authenticate")["verdict"], "ACCEPT");
    login
}

#[test]
fn a_ticket_is_asked_for_and_opens_what_it_is_for() {
    let server = server();
    let mut login = login(&server);
    let (prompts, result) = login.converse("authorize", &[" chg-17 "]);
    assert_eq!(prompts, ["Ticket number: "]);
    assert_eq!(result["verdict"], "ACCEPT", "{result:#}");
    assert_eq!(result["additional_metadata"], r#"{"ticket": "CHG-17"}"#);

    login.call("session_ended");
    let id = "svc/3jcMYGgyyZL4YuqcBZhvsb/ssh:1";
    assert_eq!(
        server.notes(),
        [
            format!("CHG-17 Session {id} of alice as root on db1.example.com begins, from 192.0.2.33"),
            format!("CHG-17 Session {id} has ended"),
        ]
    );
}

#[test]
fn a_ticket_in_the_login_string_is_not_asked_for() {
    let server = server();
    let mut login = login(&server);
    login.answer("ticket", "CHG-17");
    let (prompts, result) = login.converse("authorize", &[]);
    assert_eq!((prompts.len(), &result["verdict"]), (0, &json!("ACCEPT")), "{result:#}");
}

#[test]
fn each_wrong_ticket_is_refused_with_its_reason() {
    let server = server();
    for (number, reason) in [
        ("CHG-18", "it is not approved"),
        ("CHG-19", "it is not assigned to you"),
        ("CHG-20", "this is not its time"),
        ("CHG-21", "it is not for this login"),
        ("CHG-99", "there is no such ticket"),
        ("../tickets/CHG-17", "a number looks like CHG-17"),
    ] {
        let (prompts, result) = login(&server).converse("authorize", &[number, number, number]);
        assert_eq!(denied(&result), format!("No ticket allows this login: {reason}."));
        assert_eq!(prompts[1], format!("{}: {reason}. Ticket number: ", number.to_uppercase()));
    }
    assert_eq!(server.notes(), Vec::<String>::new());
}

#[test]
fn a_better_ticket_may_follow_a_wrong_one() {
    let server = server();
    let (_, result) = login(&server).converse("authorize", &["CHG-18", "CHG-17"]);
    assert_eq!(result["verdict"], "ACCEPT", "{result:#}");
}

#[test]
fn who_was_not_authenticated_by_the_gateway_is_refused() {
    let server = server();
    let mut login = Trial::new("ticketing", &server.configuration()).with("gateway_user", Value::Null);
    login.answer("gu", "alice");
    assert_eq!(denied(&login.call("authenticate")), "This connection does not say who you are.");
    login.answer("ticket", "CHG-17");
    assert_eq!(denied(&login.call("authorize")), "This connection does not say who you are.");
}

#[test]
fn a_session_without_ticket_leaves_no_note() {
    let server = server();
    let mut login = login(&server);
    login.call("session_ended");
    assert_eq!(server.requests(), Vec::<String>::new());
}

#[test]
fn without_a_server_that_can_be_believed_nobody_gets_in() {
    let server = server();
    let good = server.configuration();
    let gone = good.replace(&server.peer.addr().to_string(), &FakeTarget::gone().to_string());
    let stranger = Authority::new();
    let unknown =
        good.replace(&indented(&server.authority.certificate()), &indented(&stranger.certificate()));
    let plain = good.replace("https://", "http://");
    let wrong_token = good.replace(TOKEN, "guessed");
    for configuration in [gone, unknown, plain, wrong_token] {
        let mut login = Trial::new("ticketing", &configuration);
        login.call("authenticate");
        let (_, result) = login.converse("authorize", &["CHG-17"]);
        assert_eq!(denied(&result), "The ticket server cannot be asked. Try again later.");
        assert!(!login.log().contains(TOKEN), "{}", login.log());
    }
    assert_eq!(server.notes(), Vec::<String>::new());
}
