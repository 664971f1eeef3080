//! All secrets of a database, one after the other, opened with one key and sealed with another one.

use zeroize::Zeroizing;

use keyward_model::Secret;

use crate::database::Change;
use crate::key_file::KeyFile;
use crate::sealing::{Sealing, Spot, text};
use crate::{StoreError, row, sql};

/// What opens a secret as it is now.
pub(crate) enum Opener<'k> {
    /// Before schema 13: some lay in the clear, the key file has sealed the others.
    Before(Option<&'k KeyFile>),
    Sealed(&'k Sealing),
}

/// Seals every secret with `new`. How many there were. The caller commits.
pub(crate) async fn reseal(change: &mut Change, old: &Opener<'_>, new: &Sealing) -> Result<u64, StoreError> {
    let mut sealed = cookies(change, old, new).await?;
    sealed += session_cookies(change, old, new).await?;
    sealed += secrets(change, old, new).await?;
    sealed += plugins(change, old, new).await?;
    sealed += documents(change, old, new).await?;
    Ok(sealed)
}

impl Opener<'_> {
    fn open(&self, bytes: Vec<u8>, spot: Spot<'_>) -> Result<Secret, StoreError> {
        match self {
            Self::Sealed(sealing) => sealing.unseal(&bytes, spot),
            Self::Before(file) => {
                let by_file = |about: &str| {
                    let opened = file.ok_or(StoreError::Sealing)?.open(&bytes, about)?;
                    text(&opened)
                };
                match spot {
                    Spot::Plugin { instance, .. } => by_file(instance),
                    Spot::Document { number } => by_file(&format!("configuration {number}")),
                    Spot::Cookie { .. } | Spot::SessionCookie { .. } | Spot::Secret { .. } => {
                        text(&Zeroizing::new(bytes))
                    }
                }
            }
        }
    }
}

async fn cookies(change: &mut Change, old: &Opener<'_>, new: &Sealing) -> Result<u64, StoreError> {
    let all = sql::query("SELECT session, instance FROM session_plugins WHERE LENGTH(cookie) > 0")
        .fetch_all(&mut *change)
        .await?;
    // One at a time in memory: there may be many, and each may have a megabyte.
    for one in &all {
        let (session, instance) = (row::text(one, "session")?, row::text(one, "instance")?);
        let spot = Spot::Cookie { session: &session, instance: &instance };
        let found: Vec<u8> =
            sql::scalar("SELECT cookie FROM session_plugins WHERE session = $1 AND instance = $2")
                .bind(&session)
                .bind(&instance)
                .fetch_one(&mut *change)
                .await?;
        sql::query("UPDATE session_plugins SET cookie = $3 WHERE session = $1 AND instance = $2")
            .bind(&session)
            .bind(&instance)
            .bind(new.seal(old.open(found, spot)?.expose(), spot)?)
            .execute(&mut *change)
            .await?;
    }
    Ok(all.len() as u64)
}

async fn session_cookies(change: &mut Change, old: &Opener<'_>, new: &Sealing) -> Result<u64, StoreError> {
    let all: Vec<String> = sql::scalar("SELECT id FROM sessions WHERE LENGTH(session_cookie) > 0")
        .fetch_all(&mut *change)
        .await?;
    for session in &all {
        let spot = Spot::SessionCookie { session };
        let found: Vec<u8> = sql::scalar("SELECT session_cookie FROM sessions WHERE id = $1")
            .bind(session)
            .fetch_one(&mut *change)
            .await?;
        sql::query("UPDATE sessions SET session_cookie = $2 WHERE id = $1")
            .bind(session)
            .bind(new.seal(old.open(found, spot)?.expose(), spot)?)
            .execute(&mut *change)
            .await?;
    }
    Ok(all.len() as u64)
}

async fn secrets(change: &mut Change, old: &Opener<'_>, new: &Sealing) -> Result<u64, StoreError> {
    let all = sql::query("SELECT name, value FROM gateway_secrets").fetch_all(&mut *change).await?;
    for one in &all {
        let name = row::text(one, "name")?;
        let spot = Spot::Secret { name: &name };
        sql::query("UPDATE gateway_secrets SET value = $2 WHERE name = $1")
            .bind(&name)
            .bind(new.seal(old.open(one.try_get("value")?, spot)?.expose(), spot)?)
            .execute(&mut *change)
            .await?;
    }
    Ok(all.len() as u64)
}

async fn plugins(change: &mut Change, old: &Opener<'_>, new: &Sealing) -> Result<u64, StoreError> {
    let all: Vec<i64> = sql::scalar("SELECT id FROM plugin_revisions").fetch_all(&mut *change).await?;
    for id in &all {
        let one = sql::query("SELECT * FROM plugin_revisions WHERE id = $1").bind(*id);
        let Some(one) = one.fetch_optional(&mut *change).await? else { continue };
        let [instance, bundle, checksum, environment] = [
            row::text(&one, "instance")?,
            row::text(&one, "bundle")?,
            row::text(&one, "checksum")?,
            row::text(&one, "environment")?,
        ];
        let spot = |hash| Spot::Plugin {
            instance: &instance,
            bundle: &bundle,
            checksum: &checksum,
            environment: &environment,
            hash,
        };
        let hash = row::text(&one, "configuration_hash")?;
        let configuration = old.open(one.try_get("configuration")?, spot(&hash))?;
        let hash = new.hash(&configuration);
        sql::query("UPDATE plugin_revisions SET configuration = $2, configuration_hash = $3 WHERE id = $1")
            .bind(*id)
            .bind(new.seal(configuration.expose(), spot(&hash))?)
            .bind(&hash)
            .execute(&mut *change)
            .await?;
    }
    Ok(all.len() as u64)
}

async fn documents(change: &mut Change, old: &Opener<'_>, new: &Sealing) -> Result<u64, StoreError> {
    let all = sql::query("SELECT number FROM configurations").fetch_all(&mut *change).await?;
    for one in &all {
        let number = row::number(one, "number")?;
        let spot = Spot::Document { number };
        let found: Vec<u8> = sql::scalar("SELECT document FROM configurations WHERE number = $1")
            .bind(number)
            .fetch_one(&mut *change)
            .await?;
        sql::query("UPDATE configurations SET document = $2 WHERE number = $1")
            .bind(number)
            .bind(new.seal(old.open(found, spot)?.expose(), spot)?)
            .execute(&mut *change)
            .await?;
    }
    Ok(all.len() as u64)
}
