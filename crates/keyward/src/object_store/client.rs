//! One object store, asked over HTTP by a client that blocks: call it on a thread for that.
//!
//! Nothing that it answers is believed unasked: bodies are bounded, redirects refused, and an object counts as stored only
//! when the store has named the length and the hash of what was sent, twice.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64ct::{Base64, Encoding};
use keyward_model::UnixMillis;
use keyward_policy::ObjectStorePolicy;
use keyward_store::{StoredObject, TheFile};
use md5::Md5;
use rusty_s3::{Bucket, Credentials, S3Action, UrlStyle};
use sha2::{Digest, Sha256};
use ureq::http::{Response, StatusCode};
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::{Agent, AsSendBody, Body};

use super::StoreFault;

/// For a question without data.
const PATIENCE: Duration = Duration::from_secs(30);
/// For a piece of a running recording: a store that hangs is asked again before its sessions end.
const PART_PATIENCE: Duration = Duration::from_secs(5);
/// Data takes longer: this many bytes a second are expected at least.
const SLOWEST: u64 = 128 * 1024;
/// What S3 takes in one piece, in bytes.
pub(crate) const LARGEST: u64 = 5 << 30;
/// Of what the store says about an error, in bytes.
const MOST_SAID: u64 = 16 * 1024;
/// A signature counts for as long as this: it need only reach the store.
const SIGNED_FOR: Duration = Duration::from_secs(300);

/// A bucket of the policy document. Cheap to clone; `Debug` shows no secret.
#[derive(Clone)]
pub(crate) struct ObjectStore(Arc<Inner>);

struct Inner {
    policy: Arc<ObjectStorePolicy>,
    bucket: Bucket,
    credentials: Credentials,
    roots: Arc<Vec<Certificate<'static>>>,
}

/// Length and hashes of what is sent.
struct Digests {
    length: u64,
    md5: [u8; 16],
    sha256: String,
}

/// An object as the store has named it in its answer.
struct Taken {
    etag: String,
    version: Option<String>,
}

impl ObjectStore {
    pub(crate) fn new(policy: &Arc<ObjectStorePolicy>) -> Result<Self, StoreFault> {
        let style = if policy.path_style { UrlStyle::Path } else { UrlStyle::VirtualHost };
        let named = |error: &dyn fmt::Display| StoreFault::Endpoint(error.to_string());
        let endpoint = policy.endpoint.parse().map_err(|error| named(&error))?;
        let bucket = Bucket::new(endpoint, style, policy.bucket.clone(), policy.region.clone());
        let bucket = bucket.map_err(|error| named(&error))?;
        let credentials = Credentials::new(policy.access_key.clone(), policy.secret_key.expose());
        let ca = |pem: &String| Certificate::from_pem(pem.as_bytes());
        let roots = policy.certificates.iter().map(ca).collect::<Result<Vec<_>, _>>();
        let roots = Arc::new(roots.map_err(|error| StoreFault::Ca(Box::new(error)))?);
        Ok(Self(Arc::new(Inner { policy: Arc::clone(policy), bucket, credentials, roots })))
    }

    /// Endpoint and bucket, as the ledger knows this store.
    pub(crate) fn name(&self) -> String {
        format!("{}/{}", self.0.policy.endpoint, self.0.policy.bucket)
    }

    /// Whether it knows us, and has the bucket.
    pub(crate) fn look(&self) -> Result<(), StoreFault> {
        let action = self.0.bucket.head_bucket(Some(&self.0.credentials));
        let answer = self.client(PATIENCE)?.head(action.sign(SIGNED_FOR).as_str()).call();
        accepted(answer.map_err(failed)?, "look at the bucket").map(drop)
    }

    /// Sends a file under a name that begins with the policy's prefix, and holds what the store says of it against it.
    pub(crate) fn put(&self, name: &str, path: &Path, now: UnixMillis) -> Result<StoredObject, StoreFault> {
        let digests = digests(path)?;
        if digests.length > LARGEST {
            return Err(StoreFault::TooLarge(digests.length));
        }
        let key = self.key(name);
        let file = File::open(path).map_err(StoreFault::File)?;
        let Taken { etag, version } = self.send(&key, &file, &digests, PATIENCE)?;
        let object = StoredObject {
            store: self.name(),
            key,
            version,
            etag,
            length: digests.length,
            sha256: digests.sha256.clone(),
            stored: now,
            file: TheFile::Kept,
        };
        let (length, etag) = self.stat(&object)?.ok_or(StoreFault::Gone)?;
        digests.are_named("the stored object", &etag)?;
        match length == object.length {
            true => Ok(object),
            false => Err(StoreFault::NotTheSame(format!("the stored object has {length} bytes"))),
        }
    }

    /// Sends a piece of a recording as the object of this key. The version that the store names.
    pub(crate) fn put_part(&self, key: &str, bytes: &[u8]) -> Result<Option<String>, StoreFault> {
        let mut digests = Hashing::new();
        digests.take(bytes);
        Ok(self.send(key, bytes, &digests.done(), PART_PATIENCE)?.version)
    }

    /// The key of an object of this name.
    pub(crate) fn key(&self, name: &str) -> String {
        format!("{}{name}", self.0.policy.prefix)
    }

    /// `patience`: beside the time that the bytes take.
    fn send(
        &self,
        key: &str,
        body: impl AsSendBody,
        digests: &Digests,
        patience: Duration,
    ) -> Result<Taken, StoreFault> {
        let md5 = Base64::encode_string(&digests.md5);
        let mut action = self.0.bucket.put_object(Some(&self.0.credentials), key);
        // The store refuses data that was changed on its way.
        action.headers_mut().insert("content-md5", md5.as_str());
        let url = action.sign(SIGNED_FOR);
        let request = self.client(patience + time_for(digests.length))?.put(url.as_str());
        let request = request.header("content-md5", &md5).header("content-type", "application/octet-stream");
        let answer = accepted(request.send(body).map_err(failed)?, "store an object")?;
        let etag = header(&answer, "etag").unwrap_or_default();
        digests.are_named("the answer", &etag)?;
        let version = header(&answer, "x-amz-version-id").filter(|version| version != "null");
        Ok(Taken { etag, version })
    }

    /// Length and hash of an object, as the store says; `None`: it has none of that name.
    pub(crate) fn stat(&self, object: &StoredObject) -> Result<Option<(u64, String)>, StoreFault> {
        self.is_ours(object)?;
        let mut action = self.0.bucket.head_object(Some(&self.0.credentials), &object.key);
        if let Some(version) = &object.version {
            action.query_mut().insert("versionId", version.as_str());
        }
        let answer = self.client(PATIENCE)?.head(action.sign(SIGNED_FOR).as_str()).call().map_err(failed)?;
        if answer.status() == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let answer = accepted(answer, "look at an object")?;
        let length = header(&answer, "content-length").and_then(|text| text.parse().ok());
        let length = length.ok_or_else(|| StoreFault::NotTheSame("it names no length".to_owned()))?;
        Ok(Some((length, header(&answer, "etag").unwrap_or_default())))
    }

    /// Writes an object to `to`. What is not what was stored is an error, whose bytes `to` has then.
    pub(crate) fn fetch(&self, object: &StoredObject, to: &mut File) -> Result<(), StoreFault> {
        self.is_ours(object)?;
        let (length, sha256) = self.copy(&object.key, object.version.as_deref(), object.length, to)?;
        match length == object.length && sha256 == object.sha256 {
            true => to.sync_all().map_err(StoreFault::File),
            false => Err(StoreFault::NotTheSame(format!("it sends {length} bytes with another hash"))),
        }
    }

    /// Writes the object of a key to `to`, of which nothing else is known: how many bytes it has, `most` at most.
    pub(crate) fn fetch_unknown(&self, key: &str, most: u64, to: &mut File) -> Result<u64, StoreFault> {
        self.copy(key, None, most, to).map(|(length, _)| length)
    }

    /// Length and SHA-256 of what the store sends.
    fn copy(
        &self,
        key: &str,
        version: Option<&str>,
        most: u64,
        to: &mut File,
    ) -> Result<(u64, String), StoreFault> {
        let mut action = self.0.bucket.get_object(Some(&self.0.credentials), key);
        if let Some(version) = version {
            action.query_mut().insert("versionId", version);
        }
        let client = self.client(PATIENCE + time_for(most))?;
        let answer = client.get(action.sign(SIGNED_FOR).as_str()).call().map_err(failed)?;
        if answer.status() == StatusCode::NOT_FOUND {
            return Err(StoreFault::Gone);
        }
        let mut answer = accepted(answer, "fetch an object")?;
        let mut body = answer.body_mut().with_config().limit(most.saturating_add(1)).reader();
        let mut hash = Sha256::new();
        let mut buffer = vec![0; 64 * 1024];
        let mut length = 0u64;
        loop {
            let count = body.read(&mut buffer).map_err(StoreFault::Body)?;
            let Some(bytes) = buffer.get(..count).filter(|bytes| !bytes.is_empty()) else { break };
            length = length.saturating_add(count as u64);
            if length > most {
                return Err(StoreFault::NotTheSame(format!("it sends more than {most} bytes")));
            }
            hash.update(bytes);
            to.write_all(bytes).map_err(StoreFault::File)?;
        }
        Ok((length, hex(&hash.finalize())))
    }

    /// Deletes an object; one that is not there is deleted. Of a bucket with versions, the version that was stored.
    pub(crate) fn delete(&self, object: &StoredObject) -> Result<(), StoreFault> {
        self.is_ours(object)?;
        let mut action = self.0.bucket.delete_object(Some(&self.0.credentials), &object.key);
        if let Some(version) = &object.version {
            action.query_mut().insert("versionId", version.as_str());
        }
        let answer =
            self.client(PATIENCE)?.delete(action.sign(SIGNED_FOR).as_str()).call().map_err(failed)?;
        match answer.status() {
            StatusCode::NOT_FOUND => Ok(()),
            _ => accepted(answer, "delete an object (is it locked?)").map(drop),
        }
    }

    fn is_ours(&self, object: &StoredObject) -> Result<(), StoreFault> {
        match object.store == self.name() {
            true => Ok(()),
            false => Err(StoreFault::Elsewhere(object.store.clone())),
        }
    }

    /// A client for one question: no proxy, no other server than the policy's, and an end after `patience`.
    #[expect(
        clippy::disallowed_methods,
        reason = "the object store of the policy document is no target of a session"
    )]
    fn client(&self, patience: Duration) -> Result<Agent, StoreFault> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::Specific(Arc::clone(&self.0.roots)))
            .unversioned_rustls_crypto_provider(provider)
            .build();
        let config = Agent::config_builder()
            .proxy(None)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            .timeout_global(Some(patience))
            .tls_config(tls)
            .build();
        Ok(Agent::new_with_config(config))
    }
}

impl fmt::Debug for ObjectStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectStore").field("name", &self.name()).finish_non_exhaustive()
    }
}

/// The errors of the client name no URL, in which the signature stands.
fn failed(error: ureq::Error) -> StoreFault {
    StoreFault::Http(Box::new(error))
}

/// What the store has done, or what it says that it has not.
fn accepted(mut answer: Response<Body>, wanted: &'static str) -> Result<Response<Body>, StoreFault> {
    if answer.status().is_success() {
        return Ok(answer);
    }
    let mut said = Vec::new();
    // Whether it says more changes nothing.
    let _ = answer.body_mut().as_reader().take(MOST_SAID).read_to_end(&mut said);
    let said = String::from_utf8_lossy(&said);
    let code = said.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>"));
    let code =
        code.map(|(code, _)| code).filter(|code| code.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    Err(StoreFault::Refused {
        wanted,
        status: answer.status().as_u16(),
        code: code.map(|code| format!(" ({})", clip(code))).unwrap_or_default(),
    })
}

/// Without quotation marks, which an ETag has.
fn header(answer: &Response<Body>, name: &str) -> Option<String> {
    let text = answer.headers().get(name)?.to_str().ok()?;
    Some(text.trim_matches('"').to_owned())
}

fn digests(path: &Path) -> Result<Digests, StoreFault> {
    let mut file = File::open(path).map_err(StoreFault::File)?;
    let mut hashing = Hashing::new();
    let mut buffer = vec![0; 256 * 1024];
    loop {
        let count = match file.read(&mut buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read.map_err(StoreFault::File)?,
        };
        let Some(bytes) = buffer.get(..count).filter(|bytes| !bytes.is_empty()) else { break };
        hashing.take(bytes);
    }
    Ok(hashing.done())
}

/// What a piece of a recording is known by, beside its length.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

struct Hashing {
    md5: Md5,
    sha256: Sha256,
    length: u64,
}

impl Hashing {
    fn new() -> Self {
        Self { md5: Md5::new(), sha256: Sha256::new(), length: 0 }
    }

    fn take(&mut self, bytes: &[u8]) {
        self.md5.update(bytes);
        self.sha256.update(bytes);
        self.length = self.length.saturating_add(bytes.len() as u64);
    }

    fn done(self) -> Digests {
        Digests { length: self.length, md5: self.md5.finalize().into(), sha256: hex(&self.sha256.finalize()) }
    }
}

impl Digests {
    /// Whether the store says that it has this.
    fn are_named(&self, by: &str, etag: &str) -> Result<(), StoreFault> {
        match etag == hex(&self.md5) {
            true => Ok(()),
            false => Err(StoreFault::NotTheSame(format!("{by} names the hash {:?}", clip(etag)))),
        }
    }
}

fn time_for(length: u64) -> Duration {
    Duration::from_secs(length / SLOWEST)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn clip(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control()).take(80).collect()
}
