//! An object store: OpenStack Swift with its S3 interface.

use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::python::from_environment;
use crate::{Authority, Input, PeerServer, Run, run};

/// Swift on a port of the loopback, with one bucket. It may be stopped, and comes back where it was, with what it had.
#[derive(Debug)]
pub struct Swift {
    server: Option<PeerServer>,
    port: u16,
    folder: TempDir,
    /// Whose certificate it has, if it speaks TLS.
    authority: Option<Authority>,
}

impl Swift {
    pub const BUCKET: &str = "recordings";
    pub const ACCESS_KEY: &str = "test:tester";
    pub const SECRET_KEY: &str = "a-secret-of-the-store-5d1c";

    #[track_caller]
    pub fn start() -> Self {
        Self::with(None)
    }

    /// The same behind TLS.
    #[track_caller]
    pub fn with_certificate_of(authority: Authority) -> Self {
        Self::with(Some(authority))
    }

    #[track_caller]
    fn with(authority: Option<Authority>) -> Self {
        let folder = tempfile::Builder::new().prefix("kwt-swift-").tempdir().unwrap();
        let mut swift = Self { server: None, port: 0, folder, authority };
        swift.come_back();
        swift.ask(&["make"]).must_succeed();
        swift
    }

    /// Ends at once, whatever it is at.
    pub fn stop(&mut self) {
        self.server = None;
    }

    #[track_caller]
    pub fn come_back(&mut self) {
        let (folder, port) = (self.folder.path().to_str().unwrap(), self.port.to_string());
        let mut environment =
            vec![("SWIFT_FOLDER", folder), ("SWIFT_KEY", Self::SECRET_KEY), ("SWIFT_PORT", port.as_str())];
        let files = self.authority.as_ref().map(|ca| (ca.server_certificate(), ca.server_key()));
        if let Some((certificate, key)) = &files {
            environment.push(("SWIFT_CERTIFICATE", certificate.to_str().unwrap()));
            environment.push(("SWIFT_CERTIFICATE_KEY", key.to_str().unwrap()));
        }
        let server = PeerServer::start("swift_server", &environment);
        self.port = server.addr().port();
        self.server = Some(server);
    }

    pub fn endpoint(&self) -> String {
        let scheme = if self.authority.is_some() { "https" } else { "http" };
        format!("{scheme}://127.0.0.1:{}", self.port)
    }

    /// The names of all objects.
    #[track_caller]
    pub fn list(&self) -> Vec<String> {
        self.ask(&["list"]).text().lines().map(str::to_owned).collect()
    }

    #[track_caller]
    pub fn get(&self, name: &str) -> Vec<u8> {
        let got = self.ask(&["get", name]);
        got.must_succeed();
        got.stdout
    }

    /// MinIO's client, which has nothing in common with ours.
    fn ask(&self, words: &[&str]) -> Run {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/s3_client.py");
        let endpoint = self.endpoint();
        let ca = self.folder.path().join("ca.pem");
        if let Some(authority) = &self.authority {
            fs::write(&ca, authority.certificate()).unwrap();
        }
        let mut python = Command::new(from_environment("KEYWARD_TEST_PEERS"));
        python.arg("-B").env("SSL_CERT_FILE", &ca).arg(script).args([
            &endpoint,
            Self::ACCESS_KEY,
            Self::SECRET_KEY,
            Self::BUCKET,
        ]);
        run(python.args(words), Input::Nothing)
    }
}
