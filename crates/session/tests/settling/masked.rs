//! Answers to hidden prompts, and credentials, do not reach the record with what plugins print.

use std::time::Duration;

use keyward_model::Secret;
use keyward_session::{ClientGone, Conversation, Echo, Question};

use super::fixture::{LISTENER, PROVING, Site, connected, dialled, named, proof, settled};

const TALKATIVE: &str = "
class Plugin:
    def authenticate(self, key_value_pairs):
        if 'pin' not in key_value_pairs:
            return {'verdict': 'NEEDINFO', 'question': ['pin', 'PIN: ', True]}
        if 'colour' not in key_value_pairs:
            return {'verdict': 'NEEDINFO', 'question': ['colour', 'Colour: ', False]}
        print('authenticate', sorted(key_value_pairs.values()))
        return {'verdict': 'ACCEPT', 'cookie': dict(key_value_pairs)}
    def authorize(self, key_value_pairs):
        print('authorize', sorted(key_value_pairs.values()))
        return {'verdict': 'ACCEPT'}
    def session_ended(self, cookie):
        print('session_ended', sorted(cookie.values()))
";

const PRINTING: &str = "
class Plugin:
    def get_password_list(self):
        return {'passwords': ['sesame-open'], 'cookie': {'kept': 'sesame-open'}}
    def get_private_key_list(self):
        return None
    def authentication_completed(self, cookie):
        print('completed', cookie['kept'])
    def session_ended(self, cookie):
        print('ended', cookie['kept'])
";

struct Typing;

impl Conversation for Typing {
    fn can_ask(&self) -> bool {
        true
    }

    async fn ask(&mut self, question: Question) -> Result<Secret, ClientGone> {
        Ok(Secret::new(match question.echo {
            Echo::Off => "hunter-two".into(),
            Echo::On => "green-or-so".into(),
        }))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hidden_answers_and_credentials_are_masked_in_every_later_call() {
    let site = Site::with(TALKATIVE, PRINTING, 500).await;
    let gateway = site.gateway().await;
    let (id, stage) = named(&gateway, LISTENER).await;
    let proof = stage.unauthenticated().unwrap();
    let identified = stage.identify(proof, &mut Typing).await.unwrap();
    let located = identified.locate(&mut Typing).await.unwrap();
    let permit = located.authorize(&mut Typing).await.unwrap();
    let (connected, _passwords) = dialled(permit).await.passwords().await.unwrap();
    drop(connected.logged_in().await.unwrap());
    let record = settled(gateway.store(), &id).await;
    let lines: Vec<&str> =
        record.calls.iter().flat_map(|call| &call.log).map(|line| line.line.as_str()).collect();
    assert_eq!(
        lines,
        [
            "authenticate ['green-or-so', '[masked]']",
            "authorize ['green-or-so', '[masked]']",
            "completed [masked]",
            "session_ended ['green-or-so', '[masked]']",
            "ended [masked]",
        ]
    );
}

const FORGETFUL: &str = "
class Plugin:
    def authenticate(self):
        return {'verdict': 'ACCEPT', 'cookie': {'kept': ['leased-thing']}}
    def authorize(self):
        return {'verdict': 'ACCEPT'}
    def session_ended(self, cookie):
        print('ended', cookie['kept'][0])
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_restart_which_has_forgotten_the_secrets_no_text_of_a_cookie_is_shown() {
    let site = Site::with(FORGETFUL, PRINTING, 500).await;
    let gateway = site.gateway().await;
    let (id, stage) = connected(&gateway, LISTENER).await;
    gateway.stop(Duration::ZERO).await;
    drop((stage, gateway));
    let gateway = site.gateway().await;
    let record = settled(gateway.store(), &id).await;
    let end = record.calls.iter().find(|call| call.hook == "session_ended").unwrap();
    assert_eq!(end.log[0].line, "ended [masked]");
}

const GREEDY: &str = "
class Plugin:
    def get_password_list(self, gateway_password):
        print('given', gateway_password)
        return {'passwords': ['sesame-open'], 'cookie': {'kept': gateway_password}}
    def get_private_key_list(self):
        return None
    def authentication_completed(self, cookie):
        print('completed', cookie['kept'])
    def session_ended(self, cookie):
        print('ended', cookie['kept'])
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_password_is_masked_in_every_call_of_the_session() {
    let site = Site::with(TALKATIVE, GREEDY, 500).await;
    let gateway = site.gateway().await;
    let (id, mut stage) = named(&gateway, PROVING).await;
    let proof = proof(&mut stage, "gateway-word").await;
    let identified = stage.identify(proof, &mut Typing).await.unwrap();
    let located = identified.locate(&mut Typing).await.unwrap();
    let permit = located.authorize(&mut Typing).await.unwrap();
    let (connected, _passwords) = dialled(permit).await.passwords().await.unwrap();
    drop(connected.logged_in().await.unwrap());
    let record = settled(gateway.store(), &id).await;
    let of_store = record.calls.iter().filter(|call| call.instance.as_str() == "vault");
    let lines: Vec<&str> = of_store.flat_map(|call| &call.log).map(|line| line.line.as_str()).collect();
    assert_eq!(lines, ["given [masked]", "completed [masked]", "ended [masked]"]);
}

const TELLING: &str = "
class Plugin:
    def authenticate(self, key_value_pairs):
        if 'pin' not in key_value_pairs:
            return {'verdict': 'NEEDINFO', 'question': ['pin', 'PIN: ', True]}
        return {'verdict': 'ACCEPT', 'additional_metadata': 'pin ' + key_value_pairs['pin']}
    def authorize(self, key_value_pairs):
        return {'verdict': 'DENY', 'reason': 'wrong pin ' + key_value_pairs['pin']}
    def session_ended(self):
        pass
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hidden_answer_is_masked_in_reason_and_metadata() {
    let site = Site::with(TELLING, PRINTING, 500).await;
    let gateway = site.gateway().await;
    let (id, stage) = named(&gateway, LISTENER).await;
    let proof = stage.unauthenticated().unwrap();
    let identified = stage.identify(proof, &mut Typing).await.unwrap();
    let located = identified.locate(&mut Typing).await.unwrap();
    let ended = located.authorize(&mut Typing).await.unwrap_err();
    assert!(ended.client_message().ends_with("wrong pin [masked]"), "{}", ended.client_message());
    let record = settled(gateway.store(), &id).await;
    assert_eq!(record.additional_metadata.as_deref(), Some("pin [masked]"));
    assert!(record.summary.reason.unwrap().ends_with("wrong pin [masked]"));
}
