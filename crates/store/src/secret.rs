//! Secrets that the gateway keeps for itself: the private keys of its listeners.

use keyward_model::Secret;

use crate::sealing::Spot;
use crate::{Store, StoreError, sql};

const MAX_SECRET: usize = 64 * 1024;

impl Store {
    pub async fn secret(&self, name: &str) -> Result<Option<Secret>, StoreError> {
        let value: Option<Vec<u8>> = sql::scalar("SELECT value FROM gateway_secrets WHERE name = $1")
            .bind(name)
            .fetch_optional(self.readers())
            .await?;
        value.map(|value| self.sealing().unseal(&value, Spot::Secret { name })).transpose()
    }

    /// Keeps a secret unless one of this name is there, and returns the one that is there afterwards.
    pub async fn put_secret_if_absent(&self, name: &str, secret: &Secret) -> Result<Secret, StoreError> {
        let bytes = secret.expose().len();
        if bytes > MAX_SECRET {
            return Err(StoreError::TooLarge { what: "the secret", bytes, limit: MAX_SECRET });
        }
        let mut change = self.write().await?;
        sql::query("INSERT INTO gateway_secrets (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING")
            .bind(name)
            .bind(self.sealing().seal(secret.expose(), Spot::Secret { name })?)
            .execute(&mut change)
            .await?;
        let kept: Vec<u8> = sql::scalar("SELECT value FROM gateway_secrets WHERE name = $1")
            .bind(name)
            .fetch_one(&mut change)
            .await?;
        change.commit().await?;
        self.sealing().unseal(&kept, Spot::Secret { name })
    }
}
