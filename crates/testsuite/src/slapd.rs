//! OpenLDAP's server, with a directory of a test's own.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use tempfile::TempDir;

use super::authority::Authority;
use super::ports::free_addr;

/// A running slapd on loopback. It answers who has bound, and nobody else.
///
/// Of the people, `ann` and `bob` have the password [`Self::PASSWORD`], and `ann` the keys that the test gives her. She is in `dba` and `unique`, `dba` is in `admins`, and `admins` in `everything`; `bob` is in
/// `wheel` by his name, and in `loop-b`, which is in `loop-a`, which is in `loop-b`; `cid` is in no group, and two
/// people share his mail address.
#[derive(Debug)]
pub struct Slapd {
    authority: Authority,
    folder: TempDir,
    server: Child,
    plain: SocketAddr,
    tls: SocketAddr,
}

impl Slapd {
    pub const BASE: &str = "dc=example,dc=test";
    pub const BIND_DN: &str = "cn=keyward,dc=example,dc=test";
    pub const BIND_PASSWORD: &str = "b1nd-s3cret";
    pub const PASSWORD: &str = "correct horse";

    #[track_caller]
    pub fn start() -> Self {
        Self::with_keys(&[])
    }

    /// `keys` are public keys of `ann`.
    #[track_caller]
    pub fn with_keys(keys: &[String]) -> Self {
        let (authority, folder) =
            (Authority::new(), tempfile::Builder::new().prefix("kwt-slapd-").tempdir().unwrap());
        prepare(folder.path(), &authority, keys);
        for _ in 0..5 {
            let (plain, tls) = (free_addr(), free_addr());
            let mut server = launch(folder.path(), plain, tls);
            if is_ready(&mut server, plain) && is_ready(&mut server, tls) {
                return Self { authority, folder, server, plain, tls };
            }
            // Another program took a port after we had found it free.
            end(&mut server);
        }
        panic!("slapd did not start in five tries: {}", log(folder.path()));
    }

    /// Where it speaks LDAP, and TLS after StartTLS.
    pub fn plain(&self) -> SocketAddr {
        self.plain
    }

    /// Where it speaks TLS from the first byte.
    pub fn tls(&self) -> SocketAddr {
        self.tls
    }

    /// Whose certificate it has.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// What it has written of connections and requests, since it was started last.
    pub fn log(&self) -> String {
        log(self.folder.path())
    }

    pub fn stop(&mut self) {
        end(&mut self.server);
    }

    /// Starts it again after [`Self::stop`], on the same ports.
    #[track_caller]
    pub fn start_again(&mut self) {
        self.server = launch(self.folder.path(), self.plain, self.tls);
        assert!(is_ready(&mut self.server, self.plain), "slapd did not start again: {}", self.log());
    }
}

impl Drop for Slapd {
    fn drop(&mut self) {
        end(&mut self.server);
    }
}

fn prepare(folder: &Path, authority: &Authority, keys: &[String]) {
    let (config, data) = (folder.join("slapd.conf"), folder.join("data.ldif"));
    fs::create_dir(folder.join("db")).unwrap();
    fs::write(&config, configuration(folder, authority)).unwrap();
    fs::write(&data, directory(keys)).unwrap();
    let added = program("slapadd").arg("-f").arg(&config).arg("-l").arg(&data).output();
    let added = added.unwrap_or_else(|error| panic!("slapd is needed (apt-get install slapd): {error}"));
    assert!(added.status.success(), "slapadd: {}", String::from_utf8_lossy(&added.stderr));
}

/// OpenSSH's schema for LDAP, which Debian does not ship.
const PUBLIC_KEYS: &str = "\
attributetype ( 1.3.6.1.4.1.24552.500.1.1.1.13 NAME 'sshPublicKey' EQUALITY octetStringMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.40 )
objectclass ( 1.3.6.1.4.1.24552.500.1.1.2.0 NAME 'ldapPublicKey' SUP top AUXILIARY MAY ( sshPublicKey $ uid ) )";

fn configuration(folder: &Path, authority: &Authority) -> String {
    let schemas = ["core", "cosine", "inetorgperson", "nis"];
    let schemas: String =
        schemas.iter().map(|name| format!("include /etc/ldap/schema/{name}.schema\n")).collect();
    format!(
        r#"{schemas}
{PUBLIC_KEYS}
modulepath /usr/lib/ldap
moduleload back_mdb
TLSCertificateFile {certificate}
TLSCertificateKeyFile {key}
database mdb
suffix "{base}"
rootdn "{bind_dn}"
rootpw {password}
maxsize 16777216
directory {db}
access to * by users read by anonymous auth
"#,
        certificate = authority.server_certificate().display(),
        key = authority.server_key().display(),
        base = Slapd::BASE,
        bind_dn = Slapd::BIND_DN,
        password = Slapd::BIND_PASSWORD,
        db = folder.join("db").display(),
    )
}

/// As LDIF (RFC 2849). `::` goes before base64.
fn directory(keys: &[String]) -> String {
    let base = Slapd::BASE;
    let password = format!("userPassword: {}\n", Slapd::PASSWORD);
    let keys: String = keys.iter().map(|key| format!("sshPublicKey: {key}\n")).collect();
    let person = |uid: &str, more: &str| {
        format!(
            "dn: uid={uid},ou=people,{base}\nobjectClass: inetOrgPerson\nuid: {uid}\ncn: {uid}\nsn: {uid}\n{more}\n"
        )
    };
    let group = |cn: &str, class: &str, members: &str| {
        format!("dn: cn={cn},ou=groups,{base}\nobjectClass: {class}\ncn: {cn}\n{members}\n")
    };
    let member = |rdn: &str| format!("member: {rdn},{base}\n");
    let addresses: String = (0..500).map(|n| format!("mail: ann{n}@example.test\n")).collect();
    [
        format!("dn: {base}\nobjectClass: organization\nobjectClass: dcObject\no: Example\ndc: example\n\n"),
        format!("dn: ou=people,{base}\nobjectClass: organizationalUnit\nou: people\n\n"),
        format!("dn: ou=groups,{base}\nobjectClass: organizationalUnit\nou: groups\n\n"),
        person("ann", &format!("objectClass: ldapPublicKey\n{keys}{password}{addresses}description:: w4RubiBvZiDwn5KcCg==\nemployeeNumber: 1000\ntitle: ann-at-mfa\njpegPhoto:: /9j/4AAQ\n")),
        person("bob", &format!("{password}mail: bob@example.test\n")),
        person("cid", "mail: shared@example.test\n"),
        person("dan", "mail: shared@example.test\n"),
        person("odd*(name)", "title: odd\n"),
        group("dba", "groupOfNames", &member("uid=ann,ou=people")),
        group("admins", "groupOfNames", &member("cn=dba,ou=groups")),
        group("everything", "groupOfNames", &member("cn=admins,ou=groups")),
        group("unique", "groupOfUniqueNames", &format!("uniqueMember: uid=ann,ou=people,{base}\n")),
        group("wheel", "posixGroup", "gidNumber: 10\nmemberUid: bob\n"),
        group("loop-a", "groupOfNames", &member("cn=loop-b,ou=groups")),
        group("loop-b", "groupOfNames", &(member("cn=loop-a,ou=groups") + &member("uid=bob,ou=people"))),
    ]
    .concat()
}

fn launch(folder: &Path, plain: SocketAddr, tls: SocketAddr) -> Child {
    let log = fs::File::create(folder.join("log")).unwrap();
    let mut command = program("slapd");
    command.args(["-d", "stats", "-h", &format!("ldap://{plain} ldaps://{tls}"), "-f"]);
    command.arg(folder.join("slapd.conf")).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    command.spawn().unwrap_or_else(|error| panic!("slapd is needed (apt-get install slapd): {error}"))
}

/// Its programs lie where only root's search path leads.
fn program(name: &str) -> Command {
    Command::new(Path::new("/usr/sbin").join(name))
}

/// Waits until it listens; `false` when it has ended before.
fn is_ready(server: &mut Child, addr: SocketAddr) -> bool {
    for _ in 0..2000 {
        if TcpStream::connect(addr).is_ok() {
            return true;
        }
        if server.try_wait().unwrap().is_some() {
            return false;
        }
        sleep(Duration::from_millis(10));
    }
    panic!("slapd does not listen on {addr} after 20 seconds");
}

fn end(server: &mut Child) {
    let _ = server.kill();
    let _ = server.wait();
}

fn log(folder: &Path) -> String {
    fs::read_to_string(folder.join("log")).unwrap_or_default()
}
