//! What has been proven of a person, method by method (RFC 4252 section 5.1).

use std::time::SystemTime;

use keyward_model::Secret;
use keyward_policy::{Authentication, KeyLimits, Method};

/// That somebody has proven who they are by the policy's means, or that the policy asks for no proof.
///
/// Only [`Named`](crate::Named) makes one.
#[derive(Debug)]
#[must_use]
pub struct Proof {
    pub(crate) user: Option<ProvenUser>,
}

#[derive(Clone, Debug)]
pub(crate) struct ProvenUser {
    pub(crate) name: String,
    pub(crate) groups: Vec<String>,
    /// The password, where the gateway saw one: credential store plugins get it.
    pub(crate) password: Option<Secret>,
    /// Of the key or the certificate that was used.
    pub(crate) limits: KeyLimits,
    /// From when on a certificate that was used is worth nothing any more.
    pub(crate) valid_before: Option<SystemTime>,
}

/// One method that has succeeded, for the user of the login string. It is worth something to the session that gave it,
/// by [`Named::credit`](crate::Named::credit).
#[derive(Debug)]
#[must_use]
pub struct Factor {
    pub(crate) method: Method,
    pub(crate) groups: Vec<String>,
    pub(crate) password: Option<Secret>,
    pub(crate) limits: KeyLimits,
    pub(crate) valid_before: Option<SystemTime>,
}

/// A public key, or a certificate's key, that the user may use, offered by somebody who need not hold the private one.
#[derive(Debug)]
#[must_use]
pub struct KnownKey {
    pub(crate) groups: Vec<String>,
    pub(crate) limits: KeyLimits,
    pub(crate) valid_before: Option<SystemTime>,
}

impl KnownKey {
    /// The factor, once the protocol has verified a signature of this connection with the private key
    /// (RFC 4252 section 7). Each call is a place to look at in a review.
    pub fn signed(self) -> Factor {
        let Self { groups, limits, valid_before } = self;
        Factor { method: Method::PublicKey, groups, password: None, limits, valid_before }
    }
}

/// What a factor led to.
#[derive(Debug)]
#[must_use]
pub enum Standing {
    Proven(Proof),
    /// Another method must follow: [`Named::methods`](crate::Named::methods) has which.
    More,
}

/// The policy's alternatives, and what of them has succeeded.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// What is left of each, in its order.
    left: Vec<Vec<Method>>,
    password: Option<Secret>,
    limits: KeyLimits,
    /// Of the certificate that expires first.
    valid_before: Option<SystemTime>,
}

impl Progress {
    pub(crate) fn new(authentication: Option<&Authentication>) -> Self {
        let left = authentication.map(|authentication| authentication.sequences.clone()).unwrap_or_default();
        Self { left, ..Self::default() }
    }

    /// What may come next, each method once.
    pub(crate) fn next(&self) -> Vec<Method> {
        let mut methods = Vec::new();
        for method in self.left.iter().filter_map(|sequence| sequence.first()) {
            if !methods.contains(method) {
                methods.push(*method);
            }
        }
        methods
    }

    pub(crate) fn takes(&self, method: Method) -> bool {
        self.left.iter().any(|sequence| sequence.first() == Some(&method))
    }

    /// Goes a step further in each alternative whose turn the method was. The proof, once one of them is whole.
    pub(crate) fn credit(&mut self, name: &str, factor: Factor) -> Standing {
        let Factor { method, groups, password, limits, valid_before } = factor;
        self.password = password.or(self.password.take());
        if method == Method::PublicKey {
            self.limits = limits;
        }
        self.valid_before = [self.valid_before, valid_before].into_iter().flatten().min();
        let mut is_whole = false;
        for sequence in &mut self.left {
            if sequence.first() == Some(&method) {
                sequence.remove(0);
                is_whole |= sequence.is_empty();
            }
        }
        if !is_whole {
            return Standing::More;
        }
        Standing::Proven(Proof {
            user: Some(ProvenUser {
                name: name.to_owned(),
                groups,
                password: self.password.take(),
                limits: std::mem::take(&mut self.limits),
                valid_before: self.valid_before,
            }),
        })
    }
}

#[cfg(test)]
mod tests {
    use Method::{KeyboardInteractive, Password, PublicKey};

    use super::*;

    fn progress(sequences: &[&[Method]]) -> Progress {
        Progress { left: sequences.iter().map(|methods| methods.to_vec()).collect(), ..Progress::default() }
    }

    fn factor(method: Method) -> Factor {
        Factor {
            method,
            groups: Vec::new(),
            password: None,
            limits: KeyLimits::default(),
            valid_before: None,
        }
    }

    fn is_enough(progress: &mut Progress, method: Method) -> bool {
        matches!(progress.credit("ann", factor(method)), Standing::Proven(_))
    }

    #[test]
    fn a_sequence_is_whole_when_all_of_its_methods_have_succeeded_in_order() {
        let mut progress = progress(&[&[PublicKey, KeyboardInteractive], &[Password]]);
        assert_eq!(progress.next(), [PublicKey, Password]);
        assert!(!progress.takes(KeyboardInteractive));
        assert!(!is_enough(&mut progress, PublicKey));
        assert_eq!(progress.next(), [KeyboardInteractive, Password]);
        assert!(!progress.takes(PublicKey));
        assert!(is_enough(&mut progress, KeyboardInteractive));
    }

    #[test]
    fn a_method_out_of_turn_leads_nowhere() {
        let mut progress = progress(&[&[PublicKey, KeyboardInteractive]]);
        assert!(!is_enough(&mut progress, KeyboardInteractive));
        assert!(!is_enough(&mut progress, Password));
        assert_eq!(progress.next(), [PublicKey]);
    }

    #[test]
    fn what_a_key_is_limited_to_and_the_password_outlast_the_other_factors() {
        let mut progress = progress(&[&[PublicKey, Password, KeyboardInteractive]]);
        let limits = KeyLimits { forced_command: Some("true".into()), ..KeyLimits::default() };
        let expires = SystemTime::now();
        let key = Factor { limits: limits.clone(), valid_before: Some(expires), ..factor(PublicKey) };
        let password = Factor { password: Some(Secret::new("pw".into())), ..factor(Password) };
        for factor in [key, password] {
            assert!(matches!(progress.credit("ann", factor), Standing::More));
        }
        let Standing::Proven(Proof { user: Some(user) }) =
            progress.credit("ann", factor(KeyboardInteractive))
        else {
            panic!("no proof")
        };
        assert_eq!((user.limits, user.password.unwrap().expose()), (limits, "pw"));
        assert_eq!(user.valid_before, Some(expires));
    }
}
