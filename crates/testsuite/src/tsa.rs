//! A timestamping authority: `openssl ts` behind a small server of HTTP.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::PeerServer;

/// An authority with its CA, and a stranger with a CA of their own. Its folder has `ca.pem` and `stranger-ca.pem`.
#[derive(Debug)]
pub struct Tsa {
    server: PeerServer,
    scheme: &'static str,
    folder: TempDir,
}

/// The kinds of keys that an authority may sign with, as OpenSSL makes them, with the hash that it signs.
#[derive(Clone, Copy, Debug)]
pub enum TsaKey {
    RsaSha256,
    RsaSha512,
    P256Sha256,
    P384Sha384,
    P521Sha512,
}

impl TsaKey {
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::RsaSha256 => ("rsa:2048", "sha256"),
            Self::RsaSha512 => ("rsa:3072", "sha512"),
            Self::P256Sha256 => ("ec -pkeyopt ec_paramgen_curve:prime256v1", "sha256"),
            Self::P384Sha384 => ("ec -pkeyopt ec_paramgen_curve:secp384r1", "sha384"),
            Self::P521Sha512 => ("ec -pkeyopt ec_paramgen_curve:secp521r1", "sha512"),
        }
    }
}

/// `$1`: of a new key; `$2`: the hash that is signed.
const MAKE: &str = r#"
set -e
ec='-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes'
make() {
    openssl req -x509 $ec -keyout $1ca.key -out $1ca.pem -days 30 -subj "/O=Keyward tests/CN=$2 CA" \
        -addext keyUsage=critical,keyCertSign,cRLSign
    openssl req -newkey $3 -nodes -keyout $1tsa.key -out $1tsa.csr -subj "/O=Keyward tests/CN=$2"
    printf 'extendedKeyUsage=critical,timeStamping\nbasicConstraints=CA:FALSE\n' > ext
    openssl x509 -req -in $1tsa.csr -CA $1ca.pem -CAkey $1ca.key -set_serial 7 -days 30 -extfile ext -out $1tsa.pem
    cat > $4 <<END
[tsa]
default_tsa=a
[a]
dir=.
serial=./serial
crypto_device=builtin
signer_cert=./$1tsa.pem
certs=./$1ca.pem
signer_key=./$1tsa.key
signer_digest=$5
default_policy=1.2.3.4.1
digests=sha256
accuracy=secs:1
clock_precision_digits=3
ordering=yes
tsa_name=yes
ess_cert_id_chain=no
ess_cert_id_alg=sha256
END
}
make '' 'Test TSA' "$1" tsa.cnf $2
make stranger- Stranger 'rsa:2048' stranger.cnf sha256
echo 01 > serial
openssl req $ec -keyout server.key -out server.csr -subj /CN=localhost
printf 'subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth\nbasicConstraints=CA:FALSE\n' > ext
openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -set_serial 8 -days 30 -extfile ext -out server.pem
printf good > mood
"#;

impl Tsa {
    #[track_caller]
    pub fn start(key: TsaKey) -> Self {
        Self::of("http", key)
    }

    /// Its server's certificate comes from its own CA.
    #[track_caller]
    pub fn start_with_tls(key: TsaKey) -> Self {
        Self::of("https", key)
    }

    #[track_caller]
    fn of(scheme: &'static str, key: TsaKey) -> Self {
        let folder = tempfile::Builder::new().prefix("kwt-tsa-").tempdir().unwrap();
        let (key, hash) = key.words();
        let script = ["-c", MAKE, "make", key, hash];
        let made = Command::new("sh").args(script).current_dir(folder.path()).output().unwrap();
        assert!(made.status.success(), "openssl is needed: {}", String::from_utf8_lossy(&made.stderr));
        let tls = if scheme == "https" { "1" } else { "" };
        let path = folder.path().to_str().unwrap();
        let server = PeerServer::start("tsa_server", &[("TSA_FOLDER", path), ("TSA_TLS", tls)]);
        Self { server, scheme, folder }
    }

    /// How it answers from now on: `good`, or another word of `peers/tsa_server.py`.
    pub fn answers(&self, mood: &str) {
        fs::write(self.folder.path().join("mood"), mood).unwrap();
    }

    pub fn url(&self) -> String {
        format!("{}://{}/tsr", self.scheme, self.server.addr())
    }

    pub fn ca(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    pub fn stranger_ca(&self) -> PathBuf {
        self.folder.path().join("stranger-ca.pem")
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn log(&self) -> Vec<String> {
        self.server.log()
    }
}
