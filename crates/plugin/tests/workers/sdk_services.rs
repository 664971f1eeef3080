//! What the SDK builds on the services of its host: authentication cache, connection limiter, user lists, whitelists,
//! user mappings, the configuration's `$`, `$$` and `$[name]`; one call after the other, and many at once.

use std::net::{Ipv4Addr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use keyward_model::Secret;
use keyward_plugin::*;
use serde_json::{Value, json};

use super::authority::Authority;
use super::fixture::{Loaded, Plugin, call, eventually};
use super::ports::free_port;
use super::slapd::Slapd;

/// Accepts the code 123456, and says who it was given for.
const MFA: &str = "
from safeguard.sessions.plugin import AAPlugin, AAResponse

class Plugin(AAPlugin):
    def do_authenticate(self):
        if self.mfa_password == '123456':
            return AAResponse.accept('the code is right').with_additional_metadata(self.mfa_identity)
        return AAResponse.deny('wrong code')
    def do_authorize(self):
        return AAResponse.accept('fine')
";

fn mfa(configuration: &str) -> Plugin {
    let mut plugin = Plugin::new(MFA);
    plugin.configuration = configuration.to_owned();
    plugin
}

fn authenticate(user: &str, otp: Option<&str>) -> Call {
    let pairs = otp.map_or(json!({}), |otp| json!({"otp": otp}));
    let arguments = json!({"session_id": "svc/x/db:1", "protocol": "ssh", "connection_name": "db",
        "client_ip": "10.0.0.1", "gateway_user": user, "key_value_pairs": pairs});
    call(Hook::Authenticate, arguments)
}

fn authorize(user: &str, session: &str) -> Call {
    let arguments = json!({"session_id": session, "protocol": "ssh", "connection_name": "db",
        "client_ip": "10.0.0.1", "gateway_user": user});
    call(Hook::Authorize, arguments)
}

async fn result(loaded: &Loaded, call: Call) -> Value {
    loaded.instance.call(call).await.outcome.unwrap()
}

async fn verdict(loaded: &Loaded, call: Call) -> String {
    result(loaded, call).await["verdict"].as_str().unwrap().to_owned()
}

/// How many of the calls, made at the same time, end with this verdict.
async fn count(loaded: &Loaded, wanted: &str, calls: impl Iterator<Item = Call>) -> usize {
    let reports = loaded.at_once(calls).await;
    reports.into_iter().filter(|report| report.outcome.as_ref().unwrap()["verdict"] == wanted).count()
}

#[tokio::test]
async fn the_authentication_cache_spares_the_question_as_often_as_it_is_told() {
    let cache = "[authentication_cache]\nsoft_timeout=600\nhard_timeout=900\nreuse_limit=2\n";
    let loaded = mfa(cache).load().await;
    assert_eq!(verdict(&loaded, authenticate("ann", None)).await, "NEEDINFO");
    assert_eq!(verdict(&loaded, authenticate("ann", Some("0"))).await, "DENY");
    assert_eq!(verdict(&loaded, authenticate("ann", None)).await, "NEEDINFO");
    assert_eq!(verdict(&loaded, authenticate("ann", Some("123456"))).await, "ACCEPT");
    assert_eq!(verdict(&loaded, authenticate("bob", None)).await, "NEEDINFO");
    for expected in ["ACCEPT", "ACCEPT", "NEEDINFO"] {
        assert_eq!(verdict(&loaded, authenticate("ann", None)).await, expected);
    }
}

#[tokio::test]
async fn the_authentication_cache_is_not_used_up_twice_by_calls_at_the_same_time() {
    let cache = "[authentication_cache]\nsoft_timeout=600\nhard_timeout=900\nreuse_limit=10\n";
    let loaded = mfa(cache).load().await;
    assert_eq!(verdict(&loaded, authenticate("ann", Some("123456"))).await, "ACCEPT");
    assert_eq!(count(&loaded, "ACCEPT", (0..25).map(|_| authenticate("ann", None))).await, 10);
}

#[tokio::test]
async fn the_connection_limiter_lets_in_as_many_as_it_is_told_and_one_more_once_one_has_ended() {
    let loaded = mfa("[connection_limit by=client_ip_gateway_user]\nlimit=5\n").load().await;
    let sessions: Vec<String> = (0..20).map(|n| format!("svc/x{n}/db:1")).collect();
    let reports = loaded.at_once(sessions.iter().map(|session| authorize("ann", session))).await;
    let results: Vec<Value> = reports.into_iter().map(|report| report.outcome.unwrap()).collect();
    let inside: Vec<usize> = (0..20).filter(|n| results[*n]["verdict"] == "ACCEPT").collect();
    assert_eq!(inside.len(), 5, "{results:?}");
    assert_eq!(verdict(&loaded, authorize("bob", "svc/y/db:1")).await, "ACCEPT");

    let ended = |n: usize| {
        let cookies = json!({"session_id": sessions[n], "cookie": results[n]["cookie"],
            "session_cookie": results[n]["session_cookie"]});
        call(Hook::SessionEnded, cookies)
    };
    for report in loaded.at_once(inside.iter().take(2).map(|n| ended(*n))).await {
        report.outcome.unwrap();
    }
    let later = (0..10).map(|n| authorize("ann", &format!("svc/z{n}/db:1")));
    assert_eq!(count(&loaded, "ACCEPT", later).await, 2);
}

#[tokio::test]
async fn a_user_list_exempts_whom_it_names_or_everybody_else() {
    for (all_users, exempt, asked) in [(false, "ann", "bob"), (true, "bob", "ann")] {
        let mut plugin = mfa("[whitelist source=user_list]\nname=some\n");
        let list = UserList { names: vec!["ann".into(), "Ann2".into()], all_users };
        plugin.services.user_lists.insert("some".into(), list);
        let loaded = plugin.load().await;
        let calls = (0..20).map(|n| authenticate(if n % 2 == 0 { exempt } else { asked }, None));
        assert_eq!(count(&loaded, "ACCEPT", calls).await, 10);
        // Case counts.
        let other_case = verdict(&loaded, authenticate("ann2", None)).await;
        assert_eq!(other_case == "ACCEPT", all_users);
    }
    let loaded = mfa("[whitelist source=user_list]\nname=nowhere\n").load().await;
    let error = loaded.instance.call(authenticate("ann", None)).await.outcome.unwrap_err();
    assert!(error.message.contains("nowhere"), "{error:?}");
}

/// Users and groups of slapd, as the policy `ad`.
fn with_directory(configuration: &str, slapd: &Slapd) -> Plugin {
    let mut plugin = mfa(&format!("[ldap_server]\nname=ad\n{configuration}"));
    let list = CaList { certs: vec![slapd.authority().certificate()], ..CaList::default() };
    let server = LdapServer {
        addresses: vec![LdapAddress { host: "localhost".into(), port: slapd.tls().port() }],
        tls: LdapTls::Direct(list),
        bind: Some(LdapBind {
            dn: Slapd::BIND_DN.into(),
            password: Secret::new(Slapd::BIND_PASSWORD.into()),
        }),
        base: Slapd::BASE.into(),
        user_filter: "(uid={user})".into(),
        groups: LdapGroups {
            filter: "(objectClass=*)".into(),
            name: "cn".into(),
            members: vec!["member".into()],
            member_names: vec!["memberUid".into()],
        },
        timeout: Duration::from_secs(10),
    };
    plugin.services.ldap_servers.insert("ad".into(), server);
    plugin
}

#[tokio::test]
async fn a_group_of_the_directory_exempts_its_members_or_everybody_else() {
    let mut slapd = Slapd::start();
    for (allow, exempt, asked) in [("no_user", "ann", "cid"), ("all_users", "cid", "ann")] {
        let whitelist =
            format!("[whitelist source=ldap_server_group]\nallow={allow}\nexcept=everything, wheel\n");
        let loaded = with_directory(&whitelist, &slapd).load().await;
        let calls = (0..20).map(|n| authenticate(if n % 2 == 0 { exempt } else { asked }, None));
        assert_eq!(count(&loaded, "ACCEPT", calls).await, 10, "{allow}");
        // Nobody of that name is exempt by either list.
        assert_eq!(verdict(&loaded, authenticate("nobody", None)).await, "NEEDINFO");
    }
    let whitelist = "[whitelist source=ldap_server_group]\nallow=no_user\nexcept=everything\n";
    let loaded = with_directory(whitelist, &slapd).load().await;
    slapd.stop();
    let report = loaded.instance.call(authenticate("ann", None)).await;
    assert_eq!(report.outcome.unwrap()["verdict"], "NEEDINFO");
    assert!(report.log.iter().any(|line| line.line.contains("cannot be reached")), "{:?}", report.log);
}

#[tokio::test]
async fn users_are_mapped_by_the_configuration_and_by_the_directory() {
    let slapd = Slapd::start();
    let explicit = "[usermapping source=explicit]\nann=ann.explicit\n";
    let directory = "[usermapping source=ldap_server]\nuser_attribute=title\n";
    for (configuration, ann, bob) in [
        (explicit.to_owned(), "ann.explicit", "bob"),
        (directory.to_owned(), "ann-at-mfa", "bob"),
        (format!("{directory}[username_transform]\nappend_domain=corp"), "ann-at-mfa@corp", "bob@corp"),
        // The directory knows nobody of the name that the configuration has made.
        (format!("{explicit}{directory}"), "ann.explicit", "bob"),
    ] {
        let loaded = with_directory(&configuration, &slapd).load().await;
        let calls = (0..12).map(|n| authenticate(if n % 2 == 0 { "ann" } else { "bob" }, Some("123456")));
        for (n, report) in loaded.at_once(calls).await.into_iter().enumerate() {
            let result = report.outcome.unwrap();
            assert_eq!(result["additional_metadata"], if n % 2 == 0 { ann } else { bob }, "{configuration}");
        }
    }
}

/// Evaluates an expression on the plugin's configuration `c`.
const EVALUATE: &str = "
from safeguard.sessions.plugin import AAPlugin, AAResponse
from safeguard.sessions.plugin.box_configuration import BoxConfiguration
from safeguard.sessions.plugin.box_configuration_settings import extract_http_proxy_settings
from safeguard.sessions.plugin.memory_cache import MemoryCache
from safeguard.sessions.plugin.requests_tls import RequestsTLS
import json, socket, ssl

def through_proxy(c, url):
    p = BoxConfiguration.open().get_http_proxy()
    proxy = 'http://%s:%s@%s:%d' % (p.username, p.password, p.server, p.port)
    with RequestsTLS.from_config(c, 't').open_session() as session:
        session.trust_env = False
        session.proxies = {'https': proxy}
        return session.get(url).status_code

def checked(location, port):
    context = ssl.create_default_context(capath=location)
    context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
    with socket.create_connection(('127.0.0.1', port)) as plain:
        return context.wrap_socket(plain, server_hostname='localhost').version()

class Plugin(AAPlugin):
    def do_authorize(self):
        c = self.plugin_configuration
        value = eval(self.connection.key_value_pairs['ask'], dict(globals(), c=c))
        return AAResponse.accept().with_additional_metadata(json.dumps(value))
";

fn evaluating(configuration: &str) -> Plugin {
    let mut plugin = Plugin::new(EVALUATE);
    plugin.configuration = configuration.to_owned();
    plugin
}

fn asking(expression: &str) -> Call {
    let arguments = json!({"session_id": "svc/x/db:1", "protocol": "ssh", "client_ip": "10.0.0.1",
        "gateway_user": "ann", "key_value_pairs": {"ask": expression}});
    call(Hook::Authorize, arguments)
}

async fn value(loaded: &Loaded, expression: &str) -> Value {
    let result = result(loaded, asking(expression)).await;
    serde_json::from_str(result["additional_metadata"].as_str().unwrap()).unwrap()
}

#[tokio::test]
async fn a_cached_value_is_gone_after_its_time_and_others_stay() {
    let loaded = evaluating("[memory-cache]\nprefix=keyward:test\nttl=3600\n").load().await;
    let cache = "MemoryCache.from_config(c)";
    for set in ["set('short', {'a': 1}, ttl=1)", "set('ever', [1], ttl=0)", "set('default', 'x')"] {
        assert_eq!(value(&loaded, &format!("{cache}.{set}")).await, json!(null));
    }
    let mut left = value(&loaded, &format!("{cache}.get('short')")).await;
    for _ in 0..200 {
        if left.is_null() {
            break;
        }
        assert_eq!(left, json!({"a": 1}));
        tokio::time::sleep(Duration::from_millis(50)).await;
        left = value(&loaded, &format!("{cache}.get('short')")).await;
    }
    assert_eq!(left, json!(null), "it is still there after ten seconds");
    assert_eq!(
        value(&loaded, &format!("[{cache}.get('ever'), {cache}.get('default')]")).await,
        json!([[1], "x"])
    );
    // The prefix is part of the key.
    assert_eq!(value(&loaded, "MemoryCache.from_config(c, section='none').get('ever')").await, json!(null));
}

#[tokio::test]
async fn the_memory_cache_serves_many_calls_at_once() {
    let loaded = evaluating("").load().await;
    let calls = (0..30).map(|n| {
        asking(&format!(
            "[MemoryCache.from_config(c).set('k{n}', {n}), MemoryCache.from_config(c).get('k{n}')]"
        ))
    });
    for (n, report) in loaded.at_once(calls).await.into_iter().enumerate() {
        assert_eq!(report.outcome.unwrap()["additional_metadata"], format!("[null, {n}]"));
    }
    assert_eq!(
        value(&loaded, "[MemoryCache.from_config(c).get('k%d' % n) for n in range(30)]").await,
        json!((0..30).collect::<Vec<_>>())
    );
}

#[tokio::test]
async fn dollars_are_credentials_of_the_store_or_dollars() {
    let configuration = "[credential_store]\nname=local\n[api]\ntoken=$\nmoney=$$\nnone=$\nkey=$\nclient=$\n";
    let mut plugin = evaluating(configuration);
    let row = |user: &str, credential| StoreRow { host: "api".into(), user: user.into(), credential };
    let password = |text: &str| StoredCredential::Password(Secret::new(text.into()));
    let key = |kind: &str, cert: Option<&str>| StoredCredential::Key {
        kind: kind.into(),
        key: Secret::new("K".into()),
        cert: cert.map(str::to_owned),
    };
    let rows = vec![
        row("token", password("t0ken")),
        row("token", password("second")),
        row("key", password("no key")),
        row("key", key("ssh-rsa", None)),
        row("client", key("x509v3-sign-rsa", Some("C"))),
    ];
    plugin.services.credential_stores.insert("local".into(), rows);
    let loaded = plugin.load().await;
    let texts = value(&loaded, "[c.get('api', o) for o in ('token', 'money', 'none', 'absent')]").await;
    assert_eq!(texts, json!(["t0ken", "$", null, null]));
    let key = value(&loaded, "c.get_key('api', 'key')").await;
    assert_eq!(key, json!({"type": "ssh-rsa", "key": "K"}));
    let certificate = value(&loaded, "c.get_certificate('api', 'client')").await;
    assert_eq!(certificate, json!({"type": "x509v3-sign-rsa", "key": "K", "cert": "C"}));
    let calls = (0..20).map(|_| asking("c.get('api', 'token')"));
    for report in loaded.at_once(calls).await {
        assert_eq!(report.outcome.unwrap()["additional_metadata"], "\"t0ken\"");
    }
    let loaded = evaluating("[credential_store]\nname=nowhere\n[api]\ntoken=$\n").load().await;
    let error = loaded.instance.call(asking("c.get('api', 'token')")).await.outcome.unwrap_err();
    assert!(error.message.contains("nowhere"), "{error:?}");
}

/// A server on loopback, which ends with the test.
struct Server {
    process: Child,
    port: u16,
}

impl Server {
    /// OpenSSL's own HTTPS server.
    async fn https(authority: &Authority) -> Self {
        Self::start("openssl", |command, port| {
            command.args(["s_server", "-www", "-quiet", "-accept", &format!("127.0.0.1:{port}"), "-cert"]);
            command.arg(authority.server_certificate()).arg("-key").arg(authority.server_key());
        })
        .await
    }

    /// Ncat as an HTTP proxy for one user.
    async fn proxy(user: &str, password: &str) -> Self {
        Self::start("ncat", |command, port| {
            command.args(["--listen", "--keep-open", "--proxy-type", "http", "127.0.0.1", &port.to_string()]);
            command.args(["--proxy-auth", &format!("{user}:{password}")]);
        })
        .await
    }

    async fn start(program: &str, arguments: impl FnOnce(&mut Command, u16)) -> Self {
        let port = free_port();
        let mut command = Command::new(program);
        arguments(&mut command, port);
        let process = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let process = process.unwrap_or_else(|error| panic!("{program} is needed: {error}"));
        let server = Self { process, port };
        eventually(program, || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()).await;
        server
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test]
async fn a_trusted_ca_list_is_what_requests_trust() {
    let (ours, stranger) = (Authority::new(), Authority::new());
    let server = Server::https(&ours).await;
    let configuration =
        "[ours]\nca_cert=$[ours]\n[theirs]\nca_cert=$[theirs]\n[missing]\nca_cert=$[missing]\n";
    let mut plugin = evaluating(configuration);
    for (name, authority) in [("ours", &ours), ("theirs", &stranger)] {
        let list = CaList {
            certs: vec![authority.certificate()],
            crls: vec![authority.revoking_the_server()],
            strict_host_check: true,
        };
        plugin.services.trusted_cas.insert(name.into(), list);
    }
    let loaded = plugin.load().await;
    let get = |list: &str| {
        let url = format!("https://localhost:{}/", server.port);
        asking(&format!(
            "[s.get('{url}').status_code for s in [RequestsTLS.from_config(c, '{list}').open_session().__enter__()]]"
        ))
    };
    for report in loaded.at_once((0..5).map(|_| get("ours"))).await {
        assert_eq!(report.outcome.unwrap()["additional_metadata"], "[200]");
    }
    let error = loaded.instance.call(get("theirs")).await.outcome.unwrap_err();
    assert!(error.message.contains("certificate verify failed"), "{error:?}");
    let error = loaded.instance.call(get("missing")).await.outcome.unwrap_err();
    assert!(error.message.contains("Trusted CA list does not exist by that name"), "{error:?}");
    let list = value(&loaded, "c.get_ca_certificate('ours', 'ca_cert')").await;
    assert_eq!(list["certs"], json!([ours.certificate()]));
    assert_eq!(list["crls"], json!([ours.revoking_the_server()]));
    assert_eq!(list["config"], json!({"strict_hostcheck": true}));
}

#[tokio::test]
async fn a_revoked_certificate_is_found_in_the_folder_of_the_list() {
    let authority = Authority::new();
    let server = Server::https(&authority).await;
    for (crl, is_revoked) in [(authority.revoking_nothing(), false), (authority.revoking_the_server(), true)]
    {
        let mut plugin = evaluating("[t]\nca_cert=$[list]\n");
        let list = CaList { certs: vec![authority.certificate()], crls: vec![crl], ..CaList::default() };
        plugin.services.trusted_cas.insert("list".into(), list);
        let loaded = plugin.load().await;
        let check = format!("checked(c.get_ca_certificate('t', 'ca_cert')['location'], {})", server.port);
        match loaded.instance.call(asking(&check)).await.outcome {
            Ok(result) => assert!(!is_revoked, "{result}"),
            Err(error) => assert!(is_revoked && error.message.contains("certificate revoked"), "{error:?}"),
        }
        let location = value(&loaded, "c.get_ca_certificate('t', 'ca_cert')['location']").await;
        let mut verify = Command::new("openssl");
        verify.args(["verify", "-crl_check", "-no-CAfile", "-CApath", location.as_str().unwrap()]);
        let said = verify.arg(authority.server_certificate()).output().unwrap();
        assert_eq!(said.status.success(), !is_revoked, "{}", String::from_utf8_lossy(&said.stderr));
    }
}

#[tokio::test]
async fn requests_go_through_the_gateways_proxy() {
    let authority = Authority::new();
    let (server, proxy) = (Server::https(&authority).await, Server::proxy("ann", "pr0xy").await);
    for (password, is_let_through) in [("pr0xy", true), ("wr0ng", false)] {
        let mut plugin = evaluating("[t]\nca_cert=$[list]\n");
        plugin.services.http_proxy = Some(HttpProxy {
            server: "127.0.0.1".into(),
            port: proxy.port,
            username: Some("ann".into()),
            password: Some(Secret::new(password.into())),
        });
        let list = CaList { certs: vec![authority.certificate()], ..CaList::default() };
        plugin.services.trusted_cas.insert("list".into(), list);
        let loaded = plugin.load().await;
        let get = || asking(&format!("through_proxy(c, 'https://localhost:{}/')", server.port));
        for report in loaded.at_once((0..4).map(|_| get())).await {
            match report.outcome {
                Ok(result) => assert!(is_let_through && result["additional_metadata"] == "200", "{result}"),
                Err(error) => assert!(!is_let_through && error.message.contains("407"), "{error:?}"),
            }
        }
    }
}

/// What the SDK itself makes of the settings of a product that has no proxy, or one that is switched off.
#[tokio::test]
async fn without_a_proxy_the_sdk_is_told_what_it_reads_from_a_product_without_one() {
    let loaded = evaluating("").load().await;
    let ours = value(&loaded, "BoxConfiguration.open().get_http_proxy()").await;
    for settings in ["None", "{'enabled': False}"] {
        let expression = format!("extract_http_proxy_settings({settings})");
        assert_eq!(ours, value(&loaded, &expression).await, "{settings}");
    }
    let none = "[p.server, p.port, p.username, p.password]";
    let by_name = format!("(lambda p: {none})(BoxConfiguration.open().get_http_proxy())");
    assert_eq!(value(&loaded, &by_name).await, json!([null, null, null, null]));
}

/// The SDK says of no proxy what it would say of half a one; its own switch has it say what is meant.
#[tokio::test]
async fn the_sdk_is_quiet_about_a_missing_proxy_where_its_configuration_says_so() {
    let said = async |configuration: &str| {
        let loaded = evaluating(configuration).load().await;
        let report = loaded.instance.call(asking("1")).await;
        report.log.into_iter().map(|line| line.line).filter(|line| line.contains("proxy")).collect::<Vec<_>>()
    };
    assert_eq!(said("").await, ["HTTPS proxy server enabled but not configured properly: dropping proxy"]);
    assert_eq!(said("[https_proxy]\nenabled=no\n").await, ["HTTPS proxy server is not enabled"]);
}
