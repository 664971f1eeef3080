//! The services of contract section 7, from inside a plugin.

use std::time::Duration;

use keyward_model::Secret;
use keyward_plugin::{CaList, Call, CallErrorKind, Hook, HttpProxy, StoreRow, StoredCredential, UserList};
use serde_json::json;

use super::fixture::{Plugin, authorize, call, eventually};

const IMPL: &str = "from safeguard.sessions.plugin_impl import ";

#[tokio::test]
async fn the_memory_cache_is_shared_by_calls() {
    let body = format!(
        "{IMPL}memory_cache\nc = memory_cache.MemoryCache()\nold = c.get_binary('k')\nc.set_binary('k', b'\\x00\\xff', 0)\nreturn {{'x': old and list(old)}}"
    );
    let loaded = authorize(&body).load().await;
    assert_eq!(loaded.result().await["x"], json!(null));
    assert_eq!(loaded.result().await["x"], json!([0, 255]));
}

#[tokio::test]
async fn the_memory_cache_is_shared_by_plugins_and_lost_at_a_restart() {
    let body = format!(
        "{IMPL}memory_cache\nc = memory_cache.MemoryCache()\nold = c.get_binary('k')\nc.set_binary('k', b'x', 0)\nreturn {{'x': old is not None}}"
    );
    let (one, other) = (authorize(&body), authorize(&body));
    for _ in 0..2 {
        let host = one.host();
        let first = host.load(one.config()).await.unwrap();
        let mut config = other.config();
        config.name = "other".try_into().unwrap();
        let second = host.load(config).await.unwrap();
        for (instance, found) in [(&first, false), (&second, true)] {
            let report = instance.call(call(Hook::Authorize, json!({}))).await;
            assert_eq!(report.outcome.unwrap()["x"], found);
        }
        host.shutdown().await;
    }
}

#[tokio::test]
async fn a_local_store_is_read_in_the_forms_of_the_contract() {
    let body = format!(
        "{IMPL}credential_store as cs\ndb, decryptor = cs.credential_store_parameters_factory('local')\nrows = db.query_one('db1', 'root')\nreturn {{'tuples': [type(r) is tuple and len(r) for r in rows], 'texts': [decryptor.decrypt(r[0]) for r in rows], 'none': db.query_one('db1', 'nobody'), 'all': [[user, host, decryptor.decrypt(c)] for user, host, c in db.query_all()]}}"
    );
    let mut plugin = authorize(&body);
    let row =
        |host: &str, user: &str, credential| StoreRow { host: host.into(), user: user.into(), credential };
    let key = |kind: &str, cert: Option<&str>| StoredCredential::Key {
        kind: kind.into(),
        key: Secret::new("PEM".into()),
        cert: cert.map(str::to_owned),
    };
    let rows = vec![
        row("db1", "root", StoredCredential::Password(Secret::new("pw".into()))),
        row("db1", "root", key("ssh-rsa", None)),
        row("web1", "ann", key("x509v3-sign-rsa", Some("CERT"))),
    ];
    plugin.services.credential_stores.insert("local".into(), rows);
    let result = plugin.load().await.result().await;
    let read = |text: &serde_json::Value| -> serde_json::Value {
        serde_json::from_str(text.as_str().unwrap()).unwrap()
    };
    assert_eq!((&result["tuples"], &result["none"]), (&json!([1, 1]), &json!([])));
    let texts: Vec<_> = result["texts"].as_array().unwrap().iter().map(read).collect();
    assert_eq!(texts, [json!(["pw"]), json!([{"type": "ssh-rsa", "key": "PEM"}])]);
    let all = result["all"].as_array().unwrap();
    assert_eq!(all.len(), 3);
    assert_eq!((&all[2][0], &all[2][1]), (&json!("ann"), &json!("web1")));
    assert_eq!(read(&all[2][2]), json!([{"type": "x509v3-sign-rsa", "key": "PEM", "cert": "CERT"}]));
}

#[tokio::test]
async fn a_lock_is_free_when_its_call_ends() {
    let body = format!(
        "{IMPL}lockfile\na = lockfile.try_acquire('/x')\nb = lockfile.try_acquire('/x')\nreturn {{'x': [a is not None, b is not None]}}"
    );
    let loaded = authorize(&body).load().await;
    assert_eq!(loaded.result().await["x"], json!([true, false]));
    assert_eq!(loaded.result().await["x"], json!([true, false]));
}

/// Takes a lock, tells so, and then ends as the arguments say, or never.
const HOLDER: &str = "
import os, signal, subprocess, time
from safeguard.sessions.plugin_impl import lockfile

class Plugin:
    def authorize(self, key_value_pairs):
        lock = lockfile.try_acquire(os.environ['SCB_PLUGIN_STATE_DIRECTORY'] + '/../held.lock')
        end = key_value_pairs.get('end')
        if lock is None or end is None:
            return {'x': lock is not None}
        print('held', flush=True)
        open(os.environ['SCB_PLUGIN_STATE_DIRECTORY'] + '/' + end, 'w').close()
        if end == 'kill':
            os.kill(os.getpid(), signal.SIGKILL)
        if end == 'exit':
            os._exit(3)
        if end == 'raise':
            raise RuntimeError('with the lock')
        time.sleep(600)
";

#[tokio::test]
async fn a_dead_call_frees_its_lock_however_it_died() {
    let loaded = Plugin::new(HOLDER).load().await;
    let ending = |how: &str| call(Hook::Authorize, json!({"key_value_pairs": {"end": how}}));
    let free = async || loaded.result().await["x"] == json!(true);
    for how in ["kill", "exit", "raise"] {
        loaded.instance.call(ending(how)).await.outcome.unwrap_err();
        assert!(free().await, "{how}");
    }
    eventually("a worker is idle", || loaded.instance.idle_workers() > 0).await;
    let late = Call { time_limit: Duration::from_secs(2), ..ending("late") };
    assert_eq!(loaded.instance.call(late).await.outcome.unwrap_err().kind, CallErrorKind::Timeout);
    assert!(free().await, "late");
    tokio::select! {
        _ = loaded.instance.call(ending("cancelled")) => panic!("it has not waited"),
        () = async {
            eventually("the lock is held", || loaded.path("state/cancelled").exists()).await;
            assert!(!free().await, "it is held by a call that lives");
        } => {}
    }
    assert!(free().await, "cancelled");
}

#[tokio::test]
async fn services_work_during_the_import_and_a_missing_store_is_named() {
    let mut plugin =
        authorize("return {'x': [PROXY.server, PROXY.port, PROXY.password, NAME, USERS, missing]}");
    plugin.source = format!(
        "{IMPL}box_config, user_list, credential_store\nPROXY = box_config.BoxConfig().get_http_proxy()\nNAME = box_config.BoxConfig().get_gateway_fqdn()\nUSERS = user_list.user_list_parameters_factory('admins')\ntry:\n    credential_store.credential_store_parameters_factory('nowhere')\nexcept credential_store.LocalCredentialStoreNotFound as e:\n    missing = str(e)\n{}",
        plugin.source
    );
    plugin.services.host_name = "gw.example".into();
    plugin.services.http_proxy = Some(HttpProxy {
        server: "proxy".into(),
        port: 3128,
        username: Some("u".into()),
        password: Some(Secret::new("p".into())),
    });
    let admins = UserList { names: vec!["ann".into()], all_users: false };
    plugin.services.user_lists.insert("admins".into(), admins);
    let missing = "Local credential store cannot be found; name='nowhere'";
    let expected = json!(["proxy", 3128, "p", "gw.example", [["ann"], "no_user"], missing]);
    assert_eq!(plugin.load().await.result().await["x"], expected);
}

#[tokio::test]
async fn an_unknown_box_setting_is_an_error_document() {
    let body = format!(
        "{IMPL}box_config\nb = box_config.BoxConfig()\nb.close()\nreturn {{'x': b.query('/configuration/x')['error']['type'], 's': b.get_starling_join_credential_string()}}"
    );
    let result = authorize(&body).load().await.result().await;
    assert_eq!((&result["x"], &result["s"]), (&json!("ResourceNotFound"), &json!(null)));
}

#[tokio::test]
async fn the_join_credential_is_handed_out_where_there_is_one() {
    let body = format!(
        "{IMPL}box_config\nreturn {{'x': box_config.BoxConfig().get_starling_join_credential_string()}}"
    );
    let mut plugin = authorize(&body);
    plugin.services.starling_join = Some(Secret::new("j0in".into()));
    assert_eq!(plugin.load().await.result().await["x"], "j0in");
}

#[tokio::test]
async fn a_trusted_ca_list_is_a_directory_that_openssl_reads() {
    let mut plugin = authorize(&format!(
        "import ssl\n{IMPL}box_config\nlists = box_config.BoxConfig().get_trusted_ca_lists()\nreturn {{'files': sorted(os.listdir(lists['ca']['location'])), 'name': lists['ca']['name'], 'certs': len(lists['ca']['certs'])}}"
    ));
    let dir = tempfile::tempdir().unwrap();
    let make = std::process::Command::new("sh")
        .current_dir(dir.path())
        .args(["-c", "openssl req -x509 -newkey rsa:2048 -nodes -keyout k -out c.pem -utf8 -subj '/C=HU/O=Exämple  Org/OU=a+CN=Test CA' 2>/dev/null && openssl x509 -in c.pem -noout -subject_hash && printf 'default_ca=a\\n[a]\\ndatabase=db\\ncrlnumber=n\\ndefault_md=sha256\\ndefault_crl_days=3\\n' >cnf && touch db && echo 01 >n && openssl ca -config cnf -gencrl -keyfile k -cert c.pem -out crl.pem 2>/dev/null && openssl crl -in crl.pem -noout -hash"])
        .output()
        .unwrap();
    let hashes = String::from_utf8(make.stdout).unwrap();
    let hashes: Vec<&str> = hashes.lines().collect();
    assert_eq!(hashes.len(), 2, "openssl is needed: {}", String::from_utf8_lossy(&make.stderr));
    let pem = |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap();
    let list = CaList {
        certs: vec![pem("c.pem"), pem("c.pem"), "junk".into()],
        crls: vec![pem("crl.pem")],
        strict_host_check: false,
    };
    plugin.services.trusted_cas.insert("ca".into(), list);
    let result = plugin.load().await.result().await;
    let mut expected = vec![
        format!("{}.0", hashes[0]),
        format!("{}.1", hashes[0]),
        format!("{}.r0", hashes[1]),
        "2.pem".into(),
    ];
    expected.sort();
    assert_eq!(result, json!({"files": expected, "name": "ca", "certs": 3}));
}

#[tokio::test]
async fn the_sdk_resolves_a_dollar_from_a_local_store() {
    let mut plugin = Plugin::new(
        "from safeguard.sessions.plugin import AAPlugin, AAResponse\n\nclass Plugin(AAPlugin):\n    def do_authorize(self):\n        c = self.plugin_configuration\n        return AAResponse.accept().with_additional_metadata(c.get('api', 'key') + c.get('api', 'money'))\n",
    );
    plugin.configuration = "[credential_store]\nname=local\n[api]\nkey=$\nmoney=$$\n".into();
    let password = StoredCredential::Password(Secret::new("t0ken".into()));
    let row = StoreRow { host: "api".into(), user: "key".into(), credential: password };
    plugin.services.credential_stores.insert("local".into(), vec![row]);
    let loaded = plugin.load().await;
    let arguments = json!({"protocol": "ssh", "gateway_user": "ann", "client_ip": "10.0.0.1"});
    assert_eq!(loaded.authorize(arguments).await.outcome.unwrap()["additional_metadata"], "t0ken$");
}
