//! A certificate authority of a test's own, made with OpenSSL.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

/// A CA with a server's certificate for `127.0.0.1` and `localhost`, and revocation lists without and with it.
#[derive(Debug)]
pub struct Authority(TempDir);

const MAKE: &str = r#"
set -e
key='-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes'
openssl req -x509 $key -keyout ca.key -out ca.pem -days 30 -subj '/O=Keyward tests/CN=Test  CA' \
    -addext keyUsage=critical,keyCertSign,cRLSign
openssl req $key -keyout server.key -out server.csr -subj /CN=localhost
printf 'subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth\nbasicConstraints=CA:FALSE\n' > server.ext
openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -set_serial 7 -days 30 -extfile server.ext -out server.pem
printf 'default_ca=a\n[a]\ndatabase=index\ncrlnumber=number\ndefault_md=sha256\ndefault_crl_days=30\n' > ca.cnf
touch index
echo 01 > number
ca='openssl ca -config ca.cnf -keyfile ca.key -cert ca.pem'
$ca -gencrl -out none.crl
$ca -revoke server.pem
$ca -gencrl -out revoked.crl
"#;

impl Authority {
    #[track_caller]
    pub fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("kwt-ca-").tempdir().unwrap();
        let made = Command::new("sh").args(["-c", MAKE]).current_dir(folder.path()).output().unwrap();
        assert!(made.status.success(), "openssl is needed: {}", String::from_utf8_lossy(&made.stderr));
        Self(folder)
    }

    /// The CA's own certificate, PEM.
    pub fn certificate(&self) -> String {
        self.read("ca.pem")
    }

    /// A revocation list that names no certificate, PEM.
    pub fn revoking_nothing(&self) -> String {
        self.read("none.crl")
    }

    /// A revocation list that names the server's certificate, PEM.
    pub fn revoking_the_server(&self) -> String {
        self.read("revoked.crl")
    }

    pub fn server_certificate(&self) -> PathBuf {
        self.0.path().join("server.pem")
    }

    pub fn server_key(&self) -> PathBuf {
        self.0.path().join("server.key")
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.0.path().join(name)).unwrap()
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}
