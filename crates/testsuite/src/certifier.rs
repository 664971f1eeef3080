use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::{Input, run};

/// A certificate authority of OpenSSL, for peers that speak TLS.
#[derive(Debug)]
pub struct Certifier {
    folder: TempDir,
}

/// A certificate with its RSA key, both in PEM.
#[derive(Debug)]
pub struct Identity {
    pub certificate: PathBuf,
    /// In PKCS#1 ("BEGIN RSA PRIVATE KEY").
    pub key: PathBuf,
}

impl Certifier {
    #[track_caller]
    pub fn create() -> Self {
        let folder = tempfile::Builder::new().prefix("kwt-ca-").tempdir().unwrap();
        let certifier = Self { folder };
        let [certificate, key] = ["ca.pem", "ca.key"].map(|name| certifier.path(name));
        let mut openssl = Command::new("openssl");
        openssl.args([
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=test authority",
        ]);
        openssl.arg("-out").arg(certificate).arg("-keyout").arg(key);
        run(&mut openssl, Input::Nothing).must_succeed();
        certifier
    }

    /// Its own certificate.
    pub fn certificate(&self) -> PathBuf {
        self.path("ca.pem")
    }

    /// Certifies a server on the loopback.
    #[track_caller]
    pub fn server(&self) -> Identity {
        self.issue("server", "extendedKeyUsage=serverAuth\nsubjectAltName=IP:127.0.0.1,DNS:localhost\n")
    }

    /// Certifies a client of this common name.
    #[track_caller]
    pub fn client(&self, name: &str) -> Identity {
        self.issue(name, "extendedKeyUsage=clientAuth\n")
    }

    #[track_caller]
    fn issue(&self, name: &str, extensions: &str) -> Identity {
        let file = |ending| self.path(&format!("{name}.{ending}"));
        let [certificate, key, request, extra] = ["pem", "key", "csr", "ext"].map(file);
        fs::write(&extra, extensions).unwrap();
        run(
            Command::new("openssl").args(["genrsa", "-traditional", "-out"]).arg(&key).arg("2048"),
            Input::Nothing,
        )
        .must_succeed();
        let mut ask = Command::new("openssl");
        ask.args(["req", "-new", "-subj", &format!("/CN={name}"), "-key"])
            .arg(&key)
            .arg("-out")
            .arg(&request);
        run(&mut ask, Input::Nothing).must_succeed();
        let mut sign = Command::new("openssl");
        sign.args(["x509", "-req", "-days", "2", "-in"]).arg(&request).arg("-extfile").arg(&extra);
        sign.arg("-CA").arg(self.certificate()).arg("-CAkey").arg(self.path("ca.key"));
        sign.args(["-CAcreateserial", "-out"]).arg(&certificate);
        run(&mut sign, Input::Nothing).must_succeed();
        Identity { certificate, key }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// For files that belong to its peers.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}
