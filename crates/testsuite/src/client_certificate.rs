use std::fs;
use std::path::{Path, PathBuf};

use crate::{Authority, shell};

/// A client's certificate with its RSA key, both in PEM.
#[derive(Debug)]
pub struct ClientCertificate {
    pub certificate: String,
    /// In PKCS#1 ("BEGIN RSA PRIVATE KEY").
    pub key: String,
}

/// `$1` is the folder of the authority, `$2` the common name of the client.
const CERTIFY: &str = r#"
cd "$1"
openssl genrsa -traditional -out "$2.key" 2048
openssl req -new -subj "/CN=$2" -key "$2.key" -out "$2.csr"
echo extendedKeyUsage=clientAuth > "$2.ext"
openssl x509 -req -days 30 -in "$2.csr" -extfile "$2.ext" -CA ca.pem -CAkey ca.key -set_serial 8 -out "$2.pem"
"#;

impl Authority {
    /// Certifies a client of this common name.
    #[track_caller]
    pub fn client(&self, name: &str) -> ClientCertificate {
        shell(CERTIFY, &[self.folder().to_str().unwrap(), name]).must_succeed();
        let read = |ending| fs::read_to_string(self.folder().join(format!("{name}.{ending}"))).unwrap();
        let [certificate, key] = ["pem", "key"].map(read);
        ClientCertificate { certificate, key }
    }

    /// Where its files are: `ca.pem` among them, and `NAME.pem` and `NAME.key` of clients.
    pub fn folder(&self) -> PathBuf {
        self.server_key().parent().map(Path::to_owned).unwrap()
    }
}
