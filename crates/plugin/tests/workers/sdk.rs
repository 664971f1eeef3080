//! Plugins written on the SDK, through the typed layer.

use keyward_model::{ClientAddr, ConnectionName, KeyValuePairs, Protocol, SessionId, TargetAddr};
use keyward_plugin::*;

use super::fixture::{Plugin, call};

const OTP: &str = "
from safeguard.sessions.plugin import AAPlugin, AAResponse

class Plugin(AAPlugin):
    def do_authenticate(self):
        if self.mfa_password == '123456':
            self.cookie['n'] = {1: 2}
            return AAResponse.accept('fine').with_gateway_user('ann', ['a', 'b'])
        return AAResponse.deny('wrong', deny_reason='wrong code')
    def do_authorize(self):
        return AAResponse.accept() if self.cookie['n']['1'] == 2 else None
    def do_session_ended(self):
        print('ended', self.connection.session_id)
";

#[tokio::test]
async fn a_plugin_asks_decides_and_hears_the_end() {
    let mut plugin = Plugin::new(OTP);
    plugin.configuration = "[question_1]\nkey=path\nprompt=Which path?\ndisable_echo=no\n".into();
    let loaded = plugin.load().await;
    assert!(loaded.instance.is_warm());
    let connection = ConnectionName::try_from("db").unwrap();
    let id = SessionId::new([7; 16], &connection, 1);
    let server = TargetAddr { addr: "10.0.0.9:22".parse().unwrap(), hostname: Some("db1".into()) };
    let (mut cookies, mut pairs) = (Cookies::default(), KeyValuePairs::default());
    let mut questions = Vec::new();
    let reply = loop {
        let facts = facts(&id, &connection, &pairs, &cookies);
        let arguments = authenticate_arguments(&facts);
        let call = Call { arguments, ..call(Hook::Authenticate, serde_json::json!({})) };
        let result = loaded.instance.call(call).await.outcome.unwrap();
        cookies.absorb(&result).unwrap();
        let AaReply { decision: AaDecision::NeedInfo(question), .. } =
            AaReply::read(Hook::Authenticate, &result).unwrap()
        else {
            break AaReply::read(Hook::Authenticate, &result).unwrap();
        };
        let answer = if question.key == "otp" { "123456" } else { "prod/db1" };
        pairs.insert(question.key.clone(), answer.into());
        questions.push((question.key, question.disable_echo));
    };
    assert_eq!(questions, [("otp".to_owned(), false), ("path".to_owned(), false)]);
    let groups = Some(vec!["a".to_owned(), "b".to_owned()]);
    assert_eq!(
        reply.decision,
        AaDecision::Accept { gateway_user: Some("ann".into()), gateway_groups: groups }
    );
    assert_eq!(cookies.session_cookie["questions"]["path"], "prod/db1");

    let facts = AaFacts { server: Some(&server), ..facts(&id, &connection, &pairs, &cookies) };
    let arguments = authorize_arguments(&facts);
    let authorized = Call { arguments, ..call(Hook::Authorize, serde_json::json!({})) };
    let result = loaded.instance.call(authorized).await.outcome.unwrap();
    assert!(matches!(AaReply::read(Hook::Authorize, &result).unwrap().decision, AaDecision::Accept { .. }));

    let arguments = session_ended_arguments(&id, &cookies);
    let ended = Call { arguments, ..call(Hook::SessionEnded, serde_json::json!({})) };
    let report = loaded.instance.call(ended).await;
    assert!(report.outcome.is_ok());
    assert!(report.log.iter().any(|line| line.line == format!("ended {id}")));
}

fn facts<'a>(
    id: &'a SessionId,
    connection: &'a ConnectionName,
    pairs: &'a KeyValuePairs,
    cookies: &'a Cookies,
) -> AaFacts<'a> {
    AaFacts {
        session_id: id,
        protocol: Protocol::Ssh,
        connection_name: connection,
        client: ClientAddr("10.1.2.3:4711".parse().unwrap()),
        client_hostname: None,
        gateway_user: Some("ann"),
        gateway_domain: None,
        gateway_groups: None,
        server_username: Some("root"),
        server_domain: None,
        server: None,
        key_value_pairs: pairs,
        cookies,
    }
}

const VAULT: &str = "
from safeguard.sessions.plugin import CredentialStorePlugin

class Plugin(CredentialStorePlugin):
    def do_get_password_list(self):
        return {'passwords': [self.account + '@' + self.asset]}
    def do_get_private_key_list(self):
        return {'private_keys': [('ssh-rsa', 'PEM')]}
    def do_check_in_credential(self):
        print('checked in')
";

#[tokio::test]
async fn a_credential_store_checks_out_and_in() {
    let mut plugin = Plugin::new(VAULT);
    plugin.kind = PluginKind::CredentialStore;
    let loaded = plugin.load().await;
    let connection = ConnectionName::try_from("db").unwrap();
    let id = SessionId::new([7; 16], &connection, 1);
    let server = TargetAddr { addr: "10.0.0.9:22".parse().unwrap(), hostname: Some("db1".into()) };
    let mut cookies = Cookies::default();
    let facts = CredentialFacts {
        session_id: &id,
        protocol: Protocol::Ssh,
        client: ClientAddr("10.1.2.3:4711".parse().unwrap()),
        client_hostname: None,
        gateway_username: Some("ann"),
        gateway_password: None,
        gateway_groups: None,
        gateway_domain: None,
        server_username: "root",
        server: &server,
        server_domain: None,
        cookies: &cookies.clone(),
    };
    for hook in [Hook::GetPrivateKeyList, Hook::GetPasswordList] {
        let asked = Call { arguments: credential_arguments(&facts), ..call(hook, serde_json::json!({})) };
        let result = loaded.instance.call(asked).await.outcome.unwrap();
        cookies.absorb(&result).unwrap();
        match hook {
            Hook::GetPasswordList => assert_eq!(passwords(&result).unwrap()[0].expose(), "root@db1"),
            _ => assert_eq!(private_keys(&result).unwrap()[0].kind, "ssh-rsa"),
        }
    }
    let arguments = authentication_completed_arguments(&id, &cookies);
    let completed = Call { arguments, ..call(Hook::AuthenticationCompleted, serde_json::json!({})) };
    cookies.absorb(&loaded.instance.call(completed).await.outcome.unwrap()).unwrap();
    let arguments = session_ended_arguments(&id, &cookies);
    let ended = Call { arguments, ..call(Hook::SessionEnded, serde_json::json!({})) };
    let report = loaded.instance.call(ended).await;
    assert!(report.log.iter().any(|line| line.line == "checked in"), "{:?}", report.log);
}

const OPTIONAL: &str = "
from safeguard.sessions.plugin import CredentialStorePlugin

class Plugin(CredentialStorePlugin):
    def do_get_totp_codes(self):
        print('code', '271828')
        return [{'unix_time': 1700000000, 'period': 30, 'code': '271828'}, {'code': '314159'}]
    def do_get_remote_app_credentials(self):
        print('for', self.connection.connection_name)
        return {
            'passwords': ['rem0te', self.remote_app_account + '@' + self.remote_app_asset],
            'host_app': 'OISGRemoteAppLauncher.exe',
            'launch_information': '--cmd ssms --args {username}',
            'additional_information': {'port': 1433},
        }
";

#[tokio::test]
async fn the_optional_hooks_of_the_sdk_are_called_and_read() {
    let mut plugin = Plugin::new(OPTIONAL);
    plugin.kind = PluginKind::CredentialStore;
    let loaded = plugin.load().await;
    let connection = ConnectionName::try_from("apps").unwrap();
    let id = SessionId::new([7; 16], &connection, 1);
    let server = TargetAddr { addr: "10.0.0.9:3389".parse().unwrap(), hostname: Some("jump1".into()) };
    let facts = CredentialFacts {
        session_id: &id,
        protocol: Protocol::Rdp,
        client: ClientAddr("10.1.2.3:4711".parse().unwrap()),
        client_hostname: None,
        gateway_username: Some("ann"),
        gateway_password: None,
        gateway_groups: None,
        gateway_domain: None,
        server_username: "admin",
        server: &server,
        server_domain: None,
        cookies: &Cookies::default(),
    };

    let arguments = credential_arguments(&facts);
    let report =
        loaded.instance.call(Call { arguments, ..call(Hook::GetTotpCodes, serde_json::json!({})) }).await;
    let codes = totp_codes(&report.outcome.unwrap()).unwrap();
    let read: Vec<_> = codes.iter().map(|code| (code.unix_time, code.period, code.code.expose())).collect();
    assert_eq!(read, [(1_700_000_000, 30, "271828"), (0, 30, "314159")]);
    assert!(report.log.iter().any(|line| line.line == "code [masked]"), "{:?}", report.log);

    let arguments = remote_app_arguments(&facts, &connection, Some("db1"));
    let asked = Call { arguments, ..call(Hook::GetRemoteAppCredentials, serde_json::json!({})) };
    let report = loaded.instance.call(asked).await;
    let app = remote_app_credentials(&report.outcome.unwrap()).unwrap().unwrap();
    assert_eq!((app.account.as_deref(), app.asset.as_deref()), (Some("admin"), Some("db1")));
    assert_eq!(app.passwords.iter().map(|one| one.expose()).collect::<Vec<_>>(), ["rem0te", "admin@db1"]);
    assert!(!app.need_info);
    assert_eq!(app.launch_information.first().map(String::as_str), Some("OISGRemoteAppLauncher.exe"));
    assert_eq!(app.additional_information["port"], 1433);
    assert!(report.log.iter().any(|line| line.line == "for apps"), "{:?}", report.log);
}

#[tokio::test]
async fn an_optional_hook_that_a_plugin_does_not_have_is_known_and_missing() {
    let mut plugin = Plugin::new("class Plugin:\n    def get_totp_codes(self):\n        return None\n");
    plugin.kind = PluginKind::CredentialStore;
    let loaded = plugin.load().await;
    assert_eq!(loaded.instance.has_hook(Hook::GetTotpCodes), Some(true));
    assert_eq!(loaded.instance.has_hook(Hook::GetRemoteAppCredentials), Some(false));
    let report = loaded.instance.call(call(Hook::GetRemoteAppCredentials, serde_json::json!({}))).await;
    assert_eq!(report.outcome.unwrap_err().kind, CallErrorKind::MissingHook);
    let report = loaded.instance.call(call(Hook::GetTotpCodes, serde_json::json!({}))).await;
    assert!(totp_codes(&report.outcome.unwrap()).unwrap().is_empty());
}
