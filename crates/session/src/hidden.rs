//! What plugins may be told and must not print: answers to hidden prompts, credentials (contract section 8).

use std::sync::{Mutex, PoisonError};

use keyward_model::Secret;

/// The secrets of one session, masked in the output of each call that comes after.
#[derive(Debug, Default)]
pub(crate) struct Hidden(Mutex<Vec<Secret>>);

/// A session has a few. A plugin that returns more has its own to blame for what it prints.
const MAX: usize = 256;

impl Hidden {
    pub(crate) fn add(&self, secret: &Secret) {
        let mut secrets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if secrets.len() < MAX && !secret.is_empty() {
            secrets.push(secret.clone());
        }
    }

    pub(crate) fn all(&self) -> Vec<Secret> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
