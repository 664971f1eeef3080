//! LDAP server policies, from a plugin down to OpenLDAP's slapd.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::Duration;

use keyward_model::Secret;
use keyward_plugin::{CaList, CallErrorKind, Hook, LdapAddress, LdapBind, LdapGroups, LdapServer, LdapTls};
use serde_json::{Value, json};

use super::authority::Authority;
use super::fixture::{Loaded, Plugin, authorize, call, eventually};
use super::slapd::Slapd;

/// Asks the policy `ad` with an expression on `ldap`, and gives its value, or the error's name and text.
fn plugin(server: LdapServer) -> Plugin {
    let mut plugin = authorize(
        "import safeguard.sessions.plugin\nfrom safeguard.sessions.plugin_impl import ldap_server\nldap = ldap_server.LdapService(arguments['key_value_pairs'].get('policy', 'ad'))\ntry:\n    return {'x': eval(arguments['key_value_pairs']['ask'])}\nexcept Exception as e:\n    return {'x': [type(e).__name__, str(e)]}",
    );
    plugin.services.ldap_servers.insert("ad".into(), server);
    plugin
}

async fn ask(loaded: &Loaded, expression: &str) -> Value {
    let arguments = json!({"key_value_pairs": {"ask": expression}});
    loaded.authorize(arguments).await.outcome.unwrap()["x"].clone()
}

/// The error's text, which must be an `LDAPOperationError`.
async fn refusal(loaded: &Loaded, expression: &str) -> String {
    let answer = ask(loaded, expression).await;
    assert_eq!(answer[0], "LDAPOperationError", "{answer}");
    answer[1].as_str().unwrap().to_owned()
}

fn policy(addr: SocketAddr, tls: LdapTls) -> LdapServer {
    LdapServer {
        addresses: vec![LdapAddress { host: addr.ip().to_string(), port: addr.port() }],
        tls,
        bind: Some(LdapBind {
            dn: Slapd::BIND_DN.into(),
            password: Secret::new(Slapd::BIND_PASSWORD.into()),
        }),
        base: Slapd::BASE.into(),
        user_filter: "(uid={user})".into(),
        groups: LdapGroups {
            filter: "(|(objectClass=groupOfNames)(objectClass=groupOfUniqueNames)(objectClass=posixGroup))"
                .into(),
            name: "cn".into(),
            members: vec!["member".into(), "uniqueMember".into()],
            member_names: vec!["memberUid".into()],
        },
        timeout: Duration::from_secs(10),
    }
}

fn trusting(authority: &Authority) -> CaList {
    CaList { certs: vec![authority.certificate()], ..CaList::default() }
}

#[tokio::test]
async fn text_attributes_are_read_whatever_the_case_of_their_name() {
    let slapd = Slapd::start();
    let loaded = plugin(policy(slapd.plain(), LdapTls::None)).load().await;
    let number = ask(&loaded, "ldap.get_user_string_attribute('ann', 'EMPLOYEEnumber')").await;
    assert_eq!(number, json!(["1000"]));
    let text = ask(&loaded, "ldap.get_user_string_attribute('ann', 'description')").await;
    assert_eq!(text, json!(["Änn of 💜\n"]));
    let several = ask(&loaded, "ldap.get_user_string_attributes('ann', ['title', 'street', 'uid'])").await;
    assert_eq!(several, json!({"title": ["ann-at-mfa"], "street": [], "uid": ["ann"]}));
}

#[tokio::test]
async fn an_attribute_may_have_many_values() {
    let slapd = Slapd::start();
    let loaded = plugin(policy(slapd.plain(), LdapTls::None)).load().await;
    let mut values: Vec<String> =
        serde_json::from_value(ask(&loaded, "ldap.get_user_string_attribute('ann', 'mail')").await).unwrap();
    let mut expected: Vec<String> = (0..500).map(|n| format!("ann{n}@example.test")).collect();
    values.sort();
    expected.sort();
    assert_eq!(values, expected);
}

#[tokio::test]
async fn a_binary_attribute_is_refused() {
    let slapd = Slapd::start();
    let loaded = plugin(policy(slapd.plain(), LdapTls::None)).load().await;
    let expected = "LDAP attribute is not UTF-8 string: jpegPhoto; policy='ad', username='ann'";
    for ask in [
        "ldap.get_user_string_attribute('ann', 'jpegPhoto')",
        "ldap.get_user_string_attributes('ann', ['uid', 'jpegPhoto'])",
    ] {
        assert_eq!(refusal(&loaded, ask).await, expected);
    }
}

#[tokio::test]
async fn an_unknown_user_is_not_found_and_a_filter_cannot_be_smuggled_in() {
    let slapd = Slapd::start();
    let loaded = plugin(policy(slapd.plain(), LdapTls::None)).load().await;
    for name in ["nobody", "", "*", "a*", "ann)(uid=*", "ann)", "\\\\00", "ann\\x00"] {
        for call in ["get_user_string_attribute('@', 'uid')", "filter_user_groups('@', ['dba'])"] {
            let answer = ask(&loaded, &format!("ldap.{}", call.replace('@', name))).await;
            assert_eq!(answer[0], "LDAPUserNotFound", "{name:?}: {answer}");
        }
    }
    let odd = ask(&loaded, "ldap.get_user_string_attribute('odd*(name)', 'title')").await;
    assert_eq!(odd, json!(["odd"]));
    assert!(refusal(&loaded, "ldap.get_user_string_attribute(None, 'uid')").await.contains("must be a str"));
    assert!(
        refusal(&loaded, "ldap.get_user_string_attribute('ann', '*')")
            .await
            .contains("no name of an attribute")
    );
}

#[tokio::test]
async fn a_name_that_two_people_have_is_no_user() {
    let slapd = Slapd::start();
    let by_mail = LdapServer { user_filter: "(mail={user})".into(), ..policy(slapd.plain(), LdapTls::None) };
    let loaded = plugin(by_mail).load().await;
    let answer = refusal(&loaded, "ldap.get_user_string_attribute('shared@example.test', 'uid')").await;
    assert!(answer.starts_with("the user filter finds more than one entry"), "{answer}");
    let one = ask(&loaded, "ldap.get_user_string_attribute('bob@example.test', 'uid')").await;
    assert_eq!(one, json!(["bob"]));
}

#[tokio::test]
async fn groups_are_found_directly_and_through_groups() {
    let slapd = Slapd::start();
    let loaded = plugin(policy(slapd.plain(), LdapTls::None)).load().await;
    for (user, asked, expected) in [
        ("ann", json!(["dba"]), json!(["dba"])),
        (
            "ann",
            json!(["everything", "wheel", "admins", "unique"]),
            json!(["everything", "admins", "unique"]),
        ),
        (
            "ann",
            json!(["DBA", "cn=Admins, ou=groups, dc=example,dc=test"]),
            json!(["DBA", "cn=Admins, ou=groups, dc=example,dc=test"]),
        ),
        ("bob", json!(["dba", "wheel", "loop-a", "loop-b", ""]), json!(["wheel", "loop-a", "loop-b"])),
        ("cid", json!(["dba", "wheel", "people"]), json!([])),
        ("ann", json!([]), json!([])),
    ] {
        let answer = ask(&loaded, &format!("ldap.filter_user_groups('{user}', {asked})")).await;
        assert_eq!(answer, expected, "{user} {asked}");
    }
}

#[tokio::test]
async fn tls_and_starttls_are_spoken_with_a_server_that_the_list_trusts() {
    let slapd = Slapd::start();
    let list = CaList { crls: vec![slapd.authority().revoking_nothing()], ..trusting(slapd.authority()) };
    for server in [
        policy(slapd.tls(), LdapTls::Direct(trusting(slapd.authority()))),
        policy(slapd.plain(), LdapTls::StartTls(trusting(slapd.authority()))),
        policy(slapd.tls(), LdapTls::Direct(list)),
    ] {
        let loaded = plugin(server).load().await;
        assert_eq!(ask(&loaded, "ldap.filter_user_groups('ann', ['dba'])").await, json!(["dba"]));
    }
}

#[tokio::test]
async fn a_server_that_is_not_trusted_gets_no_password() {
    let slapd = Slapd::start();
    let revoked =
        CaList { crls: vec![slapd.authority().revoking_the_server()], ..trusting(slapd.authority()) };
    let stranger = trusting(&Authority::new());
    let other_name = LdapAddress { host: "127.0.0.2".into(), port: slapd.tls().port() };
    for (server, reason) in [
        (policy(slapd.tls(), LdapTls::Direct(revoked)), "Revoked"),
        (policy(slapd.tls(), LdapTls::Direct(stranger.clone())), "invalid peer certificate"),
        (policy(slapd.plain(), LdapTls::StartTls(stranger)), "invalid peer certificate"),
        (
            LdapServer {
                addresses: vec![other_name],
                ..policy(slapd.tls(), LdapTls::Direct(trusting(slapd.authority())))
            },
            "127.0.0.2",
        ),
        // The port without TLS.
        (policy(slapd.plain(), LdapTls::Direct(trusting(slapd.authority()))), ""),
        // TLS asked for within TLS.
        (policy(slapd.tls(), LdapTls::StartTls(trusting(slapd.authority()))), ""),
    ] {
        let loaded = plugin(server).load().await;
        let answer = refusal(&loaded, "ldap.get_user_string_attribute('ann', 'uid')").await;
        assert!(answer.contains(reason) && !answer.contains(Slapd::BIND_PASSWORD), "{reason}: {answer}");
    }
}

#[tokio::test]
async fn a_wrong_bind_password_is_an_error_and_not_a_missing_user() {
    let slapd = Slapd::start();
    let mut server = policy(slapd.plain(), LdapTls::None);
    server.bind.as_mut().unwrap().password = Secret::new("wr0ng".into());
    let loaded = plugin(server).load().await;
    let answer = refusal(&loaded, "ldap.get_user_string_attribute('ann', 'uid')").await;
    assert!(
        answer.contains("the server refused the bind") && answer.contains("invalidCredentials"),
        "{answer}"
    );
    assert!(!answer.contains("wr0ng"));
    let anonymous = LdapServer { bind: None, ..policy(slapd.plain(), LdapTls::None) };
    let loaded = plugin(anonymous).load().await;
    let answer = refusal(&loaded, "ldap.get_user_string_attribute('ann', 'uid')").await;
    assert!(answer.contains("the server refused the search for the user"), "{answer}");
}

#[tokio::test]
async fn a_server_that_is_down_is_named_and_served_again_once_it_is_up() {
    let mut slapd = Slapd::start();
    let addr = slapd.plain();
    let loaded = plugin(policy(addr, LdapTls::None)).load().await;
    slapd.stop();
    let answer = refusal(&loaded, "ldap.get_user_string_attribute('ann', 'uid')").await;
    assert!(answer.contains("cannot be reached") && answer.contains(&addr.to_string()), "{answer}");
    assert!(answer.contains("policy='ad'"), "{answer}");
    slapd.start_again();
    assert_eq!(ask(&loaded, "ldap.get_user_string_attribute('ann', 'uid')").await, json!(["ann"]));
}

#[tokio::test]
async fn the_next_address_serves_when_the_first_is_down() {
    let slapd = Slapd::start();
    let mut server = policy(slapd.plain(), LdapTls::None);
    server.addresses.insert(0, LdapAddress { host: "no-such-host.invalid".into(), port: 389 });
    server.addresses.insert(1, LdapAddress { host: "127.0.0.1".into(), port: 1 });
    let loaded = plugin(server).load().await;
    assert_eq!(ask(&loaded, "ldap.get_user_string_attribute('ann', 'uid')").await, json!(["ann"]));
}

#[tokio::test]
async fn an_unknown_policy_is_an_error() {
    let loaded = authorize(
        "from safeguard.sessions.plugin_impl import ldap_server\ntry:\n    ldap_server.LdapService('ad').filter_user_groups('u', ['g'])\nexcept ldap_server.LDAPOperationError as e:\n    return {'x': str(e)}",
    );
    let expected = "there is no LDAP server policy \"ad\"; policy='ad', username='u'";
    assert_eq!(loaded.load().await.result().await["x"], expected);
}

#[tokio::test]
async fn many_calls_ask_at_once() {
    let slapd = Slapd::start();
    let loaded = plugin(policy(slapd.tls(), LdapTls::Direct(trusting(slapd.authority())))).load().await;
    let pairs =
        json!({"key_value_pairs": {"ask": "ldap.filter_user_groups('ann', ['everything', 'wheel'])"}});
    for report in loaded.at_once((0..40).map(|_| call(Hook::Authorize, pairs.clone()))).await {
        assert_eq!(report.outcome.unwrap()["x"], json!(["everything"]));
    }
}

/// A server that answers each thing it is told with the next of these, and is silent then.
fn hostile(answers: Vec<Vec<u8>>) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let addr = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            for answer in &answers {
                let _ = stream.read(&mut [0; 1024]);
                let _ = stream.write_all(answer);
            }
            // Until the client has gone.
            let _ = stream.read_to_end(&mut Vec::new());
        }
    });
    addr
}

#[tokio::test]
async fn what_a_hostile_server_sends_is_bounded_and_harms_nobody() {
    let element = |tag: u8, content: &[u8]| {
        [&[tag, 0x84][..], &u32::try_from(content.len()).unwrap().to_be_bytes(), content].concat()
    };
    let nested = (0..20_000).fold(Vec::new(), |inner, _| element(0x30, &inner));
    let nested = element(0x30, &[&[2, 1, 1][..], &nested].concat());
    let bind = b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x00\x04\x00\x04\x00".to_vec();
    let many = element(0x30, &[&[2, 1, 2][..], &element(0x64, &[4, 0].repeat(200_000))].concat());
    let entry = element(
        0x30,
        &[&[2, 1, 2][..], &element(0x64, &[&[4, 0][..], &element(0x30, &[])].concat())].concat(),
    );
    for (answers, reason) in [
        (vec![nested], "nested deeper"),
        (vec![many], "elements"),
        (vec![bind.clone(), entry.repeat(30_000)], "elements"),
        (vec![b"\x30\x84\x7f\xff\xff\xff".to_vec()], "a message is over"),
        (vec![b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()], "encoding"),
        (vec![b"\x30\x00".to_vec()], "encoding"),
        // Results without their parts, on which the library panics.
        (vec![b"\x30\x05\x02\x01\x01\x61\x00".to_vec()], "cannot be understood"),
        (vec![bind.clone(), b"\x30\x05\x02\x01\x02\x61\x00".to_vec()], "cannot be understood"),
        (vec![bind], "did not answer within 2 s"),
        (Vec::new(), "did not answer within 2 s"),
    ] {
        // Who answers has time for it.
        let timeout = Duration::from_secs(if reason.ends_with("within 2 s") { 2 } else { 15 });
        let server = LdapServer { timeout, ..policy(hostile(answers), LdapTls::None) };
        let loaded = plugin(server).load().await;
        let answer = refusal(&loaded, "ldap.get_user_string_attribute('ann', 'uid')").await;
        assert!(answer.contains(reason), "{reason}: {answer}");
    }
}

#[tokio::test]
async fn a_worker_that_dies_while_it_waits_for_an_answer_is_not_waited_for() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let server = LdapServer {
        timeout: Duration::from_secs(3600),
        ..policy(listener.local_addr().unwrap(), LdapTls::None)
    };
    let loaded = plugin(server).load().await;
    let suicide = "[__import__('signal').signal(14, lambda *a: os.kill(os.getpid(), 9)), __import__('signal').setitimer(0, 1), ldap.get_user_string_attribute('ann', 'uid')]";
    let arguments = json!({"key_value_pairs": {"ask": suicide}});
    assert_eq!(loaded.authorize(arguments).await.outcome.unwrap_err().kind, CallErrorKind::Crashed);
}

#[tokio::test]
async fn a_call_that_is_given_up_leaves_no_connection() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let loaded = plugin(policy(listener.local_addr().unwrap(), LdapTls::None)).load().await;
    let mut accepted = None;
    tokio::select! {
        _ = ask(&loaded, "ldap.get_user_string_attribute('ann', 'uid')") => panic!("nobody has answered"),
        () = eventually("the server is asked", || {
            accepted = accepted.take().or_else(|| listener.accept().ok());
            accepted.is_some()
        }) => {}
    }
    let (mut stream, _) = accepted.unwrap();
    stream.set_nonblocking(true).unwrap();
    eventually("the connection ends", || {
        loop {
            match stream.read(&mut [0; 1024]) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(error) => return error.kind() != std::io::ErrorKind::WouldBlock,
            }
        }
    })
    .await;
}
