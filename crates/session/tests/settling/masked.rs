//! Answers to hidden prompts, and credentials, do not reach the record with what plugins print.

use keyward_model::Secret;
use keyward_session::{ClientGone, Conversation, Echo, Question};

use super::fixture::{LISTENER, Site, dialled, named, settled};

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
