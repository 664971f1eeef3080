//! Host keys of targets, trusted on first use and never changed silently.

use keyward_model::UnixMillis;
use serde::Serialize;

use crate::database::Row;
use crate::{Store, StoreError, row, sql};

/// An RSA key of 16,384 bits has 2.8 KiB in base64.
const MAX_KEY: usize = 16 * 1024;

/// A key that a target has shown.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct HostKeyRecord {
    pub host: String,
    pub port: u16,
    /// Type and base64, as in OpenSSH's public key files, without a comment.
    pub key: String,
    pub first_seen: UnixMillis,
}

/// Whether a key is trusted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub enum HostKeyTrust {
    /// The key is known under every name: since now, or since before.
    Trusted,
    /// Another key is known under one of the names. Nothing was changed.
    OtherKnown,
}

impl Store {
    /// The known keys of a target, at most one of each type. Host names count without regard to case.
    pub async fn host_keys(&self, host: &str, port: u16) -> Result<Vec<HostKeyRecord>, StoreError> {
        let rows = sql::query("SELECT * FROM host_keys WHERE host = $1 AND port = $2 ORDER BY key_type")
            .bind(host.to_ascii_lowercase())
            .bind(i64::from(port))
            .fetch_all(self.readers())
            .await?;
        rows.iter().map(record).collect()
    }

    /// Trusts a target's key (OpenSSH's text: type, base64; a comment is dropped) on first use: under each of the
    /// target's names, all or none, and only where no other key is known, of whatever type. Of two sessions that
    /// see different keys at the same time, one is told so.
    pub async fn trust_host_key(
        &self,
        hosts: &[String],
        port: u16,
        key: &str,
        first_seen: UnixMillis,
    ) -> Result<HostKeyTrust, StoreError> {
        let (key_type, key) = parse(key)?;
        let mut change = self.write().await?;
        for host in hosts {
            let host = host.to_ascii_lowercase();
            sql::query(
                "INSERT INTO host_keys (host, port, key_type, key, first_seen)
                 SELECT $1, $2, $3, $4, $5
                 WHERE NOT EXISTS (SELECT 1 FROM host_keys WHERE host = $1 AND port = $2)",
            )
            .bind(&host)
            .bind(i64::from(port))
            .bind(key_type)
            .bind(&key)
            .bind(first_seen.0)
            .execute(&mut change)
            .await?;
            let known: i64 =
                sql::scalar("SELECT COUNT(*) FROM host_keys WHERE host = $1 AND port = $2 AND key = $3")
                    .bind(&host)
                    .bind(i64::from(port))
                    .bind(&key)
                    .fetch_one(&mut change)
                    .await?;
            if known == 0 {
                change.rollback().await?;
                return Ok(HostKeyTrust::OtherKnown);
            }
        }
        change.commit().await?;
        Ok(HostKeyTrust::Trusted)
    }

    /// Forgets all keys of a target, so that the next one is a first use again. Returns how many there were.
    pub async fn remove_host_keys(&self, host: &str, port: u16) -> Result<u64, StoreError> {
        let done = sql::query("DELETE FROM host_keys WHERE host = $1 AND port = $2")
            .bind(host.to_ascii_lowercase())
            .bind(i64::from(port))
            .execute(self.writer())
            .await?;
        Ok(done.rows_affected())
    }
}

fn record(found: &Row) -> Result<HostKeyRecord, StoreError> {
    Ok(HostKeyRecord {
        host: row::text(found, "host")?,
        port: row::number(found, "port")?,
        key: row::text(found, "key")?,
        first_seen: row::time(found, "first_seen")?,
    })
}

/// The type, and the key as it is kept.
fn parse(key: &str) -> Result<(&str, String), StoreError> {
    if key.len() > MAX_KEY {
        return Err(StoreError::TooLarge { what: "the host key", bytes: key.len(), limit: MAX_KEY });
    }
    let mut words = key.split_ascii_whitespace();
    match (words.next(), words.next()) {
        (Some(kind), Some(base64)) if kind.bytes().all(is_type) && base64.bytes().all(is_base64) => {
            Ok((kind, format!("{kind} {base64}")))
        }
        (Some(_) | None, Some(_) | None) => Err(StoreError::BadHostKey(key.to_owned())),
    }
}

fn is_type(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'@' | b'_')
}

fn is_base64(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'=')
}
