//! What a document with faults is told.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

use std::path::Path;

use keyward_policy::{Policy, PolicyError, Problem};

fn problems(document: &str) -> Vec<Problem> {
    match Policy::parse(document, Path::new("/nowhere"), "keyward.toml") {
        Ok(_) => Vec::new(),
        Err(PolicyError::Document(problems)) => problems.problems,
        Err(error) => panic!("{error}"),
    }
}

fn shown(document: &str) -> String {
    Policy::parse(document, Path::new("/nowhere"), "keyward.toml").unwrap_err().to_string()
}

/// A document with one fault in it: a text that stands in it once, what it becomes, and what is said of it.
const DOCUMENT: &str = r#"
[[channel-policy]]
name = "work"
rule = [{ types = ["shell"] }]

[[authentication]]
name = "keys"
methods = ["public-key"]

[[plugin]]
name = "otp"
bundle = "Otp"

[[usermapping]]
name = "ops"
rule = [{ remote-user = "root", groups = ["ops"] }]

[[user-list]]
name = "everyone"
default = "all_users"

[[connection]]
name = "db"
protocol = "ssh"
listen = ["127.0.0.1:2222"]
target = { inband = { allow = ["db1"] } }
authentication = "keys"
aa-plugin = "otp"
usermapping = "ops"
channel-policy = "work"
"#;

const FAULTS: &[(&str, &str, &str)] = &[
    // Nodes
    (
        "[[user-list]]",
        "[node]\nconfiguration = \"store\"\n[[user-list]]",
        "2:3 with `configuration = \"store\"` this is not read: the policy is in the store (put it into a file without [node] and run `keyward config apply`; or leave `configuration` out)",
    ),
    (
        "[[user-list]]",
        "[node]\nconfiguration = \"stored\"\n[[user-list]]",
        "19:17 \"stored\" is not known here (did you mean \"store\"?)",
    ),
    (
        "[[user-list]]",
        "[node]\ndatabase = { url = \"mysql://a@b/c\" }\n[[user-list]]",
        "19:20 this is no URL of a PostgreSQL (write \"postgres://USER@HOST/DATABASE\", with :PORT behind the host if it is not 5432, or \"postgres://USER@%2Frun%2Fpostgresql/DATABASE\" for a socket in /run/postgresql)",
    ),
    (
        "[[user-list]]",
        "[node]\ndatabase = { url = \"postgres://a:b@c/d\" }\n[[user-list]]",
        "19:20 a password in a URL is shown where URLs are (put it into a file, and write `password-file = \"PATH\"`)",
    ),
    (
        "[[user-list]]",
        "[node]\ndatabase = { password-file = \"nowhere\" }\n[[user-list]]",
        "19:12 this [node.database] has no `url` (url = \"postgres://keyward@db.example.com/keyward\"); 19:30 cannot read /nowhere/nowhere: No such file or directory (os error 2) (a relative path starts at the folder of this document)",
    ),
    (
        "[[user-list]]",
        "[node]\nmaster-key = { file = \"a\", environment = \"B\" }\n[[user-list]]",
        "19:14 this [node.master-key] needs one place where the key is (write one of file = \"PATH\", environment = \"VARIABLE\", command = [\"PROGRAM\", \"ARGUMENT\"])",
    ),
    // Names
    (
        r#"name = "db""#,
        r#"name = "d b""#,
        "23:8 connection \"d b\" is not a name: 1 to 64 of a-z, A-Z, 0-9, '.', '_' and '-'",
    ),
    (r#"name = "db""#, "", "22:1 this [[connection]] has no `name`"),
    (
        r#"aa-plugin = "otp""#,
        r#"aa-plugin = "zzzz""#,
        "28:13 no [[plugin]] is named \"zzzz\" (the names are \"otp\")",
    ),
    (
        r#"aa-plugin = "otp""#,
        r#"aa-plugin = "otpp""#,
        "28:13 no [[plugin]] is named \"otpp\" (did you mean \"otp\"?)",
    ),
    (
        r#"= "keys"
aa"#,
        r#"= "kesy"
aa"#,
        "27:18 no [[authentication]] is named \"kesy\" (did you mean \"keys\"?)",
    ),
    (
        r#"usermapping = "ops""#,
        r#"usermapping = "none""#,
        "29:15 no [[usermapping]] is named \"none\" (the names are \"ops\")",
    ),
    (
        r#"channel-policy = "work""#,
        r#"settings = "x""#,
        "22:1 this [[connection]] has no `channel-policy`; 30:12 no [[settings]] is named \"x\" (this document has no [[settings]]: add one)",
    ),
    (
        r#"bundle = "Otp""#,
        "bundle = \"Otp\"\n[[plugin]]\nname = \"otp\"\nbundle = \"Otp\"",
        "14:8 a [[plugin]] named \"otp\" stands above (give each a name of its own)",
    ),
    (
        r#"bundle = "Otp""#,
        "bundle = \"Otp\"\nenvironment = \"py\"",
        "13:15 no [[environment]] is named \"py\" (this document has no [[environment]]: add one)",
    ),
    (
        r#"bundle = "Otp""#,
        r#"bundle = "O""#,
        "12:10 plugin \"O\" is not a name: a letter, then one or more of a-z, A-Z, 0-9 and '_', 128 at most",
    ),
    // Keys
    (
        r#"listen ="#,
        r#"lisen ="#,
        "22:1 this [[connection]] has no `listen`; 25:1 [[connection]] has no key \"lisen\" (did you mean `listen`?)",
    ),
    (
        r#"default = "all_users""#,
        "default = \"all_users\"\nzzz = 1",
        "21:1 [[user-list]] has no key \"zzz\" (the keys here are default, exceptions, name)",
    ),
    (
        "[[user-list]]",
        "[[userlist]]",
        "18:3 the document has no key \"userlist\" (did you mean `user-list`?)",
    ),
    ("[[user-list]]", "[user-list]", "18:2 `user-list` has the wrong form (write [[user-list]])"),
    // Recipients of recordings
    (
        "[[user-list]]",
        "[[audit-policy]]\nname = \"a\"\n[[user-list]]",
        "18:1 this [[audit-policy]] says nothing (add `recipients`, `hidden-input`, `timestamps`, `keep-for` or `index`, or leave the policy out: recordings are signed and kept without one)",
    ),
    (
        "[[user-list]]",
        "[[audit-policy]]\nname = \"a\"\ntimestamps = { url = \"http://me:secret@tsa/\" }\n[[user-list]]",
        "20:14 this audit-policy.timestamps has no `trusted-ca-list`; 20:22 this is no URL of a timestamping authority (write http:// or https://, a name or an address, and no user: \"http://tsa.example.com/tsr\")",
    ),
    (
        "[[user-list]]",
        "[[audit-policy]]\nname = \"a\"\ntimestamps = { url = \"http://tsa/\", trusted-ca-list = \"nobody\", interval = 5 }\n[[user-list]]",
        "20:55 no [[trusted-ca-list]] is named \"nobody\" (this document has no [[trusted-ca-list]]: add one); 20:76 this must be 10 to 86400",
    ),
    (
        "[[user-list]]",
        "[[audit-policy]]\nname = \"a\"\nhidden-input = \"leave\"\n[[user-list]]",
        "20:16 \"leave\" is not known here (write \"record\", \"leave-out\" or { recipients = [...] })",
    ),
    (
        "[[user-list]]",
        "[[audit-policy]]\nname = \"a\"\nhidden-input = { recipients = [], needs = \"two\" }\n[[user-list]]",
        "20:31 `recipients` must not be empty; 20:43 \"two\" is not known here (the words are \"any\", \"all\")",
    ),
    (
        "[[user-list]]",
        "[[audit-policy]]\nname = \"a\"\nrecipients = []\n[[user-list]]",
        "20:14 `recipients` must not be empty",
    ),
    (
        "[[user-list]]",
        "[[audit-policy]]\nname = \"a\"\nrecipients = [\"age1sl9det44s83x5hcmkpxhe6aflj6gx335lntmnt3m675hvqej4drqn9fuhn\"]\n[[user-list]]",
        "20:15 this is no public key of age: it must be age1 and 58 letters and digits, as `keyward trail new-key` prints it (write a public key as `keyward trail new-key` prints it, or the path of a certificate)",
    ),
    (
        "[[user-list]]",
        "[[audit-policy]]\nname = \"a\"\nrecipients = [\"AGE-SECRET-KEY-1Y6FLDYLPVYQXW6A2K8W0NVMK2YATEQ25AX0ST3GAKZ7LRHPHR0CQTDTRHH\"]\n[[user-list]]",
        "20:15 this is a private key: nobody but the auditor should have it; write the public one, age1... (write a public key as `keyward trail new-key` prints it, or the path of a certificate)",
    ),
    (
        "[[user-list]]",
        "[[audit-policy]]\nname = \"a\"\ntyped = { recipients = [\"auditor.pem\"] }\n[[user-list]]",
        "20:25 cannot read /nowhere/auditor.pem: No such file or directory (os error 2) (a relative path starts at the folder of this document)",
    ),
    (
        "[[user-list]]",
        "[[audit-policy]]\nname = \"a\"\nkeep-for = 7\nrecipients = [\"age1sl9det44s83x5hcmkpxhe6aflj6gx335lntmnt3m675hvqej4drqn9fuhm\", \"age1sl9det44s83x5hcmkpxhe6aflj6gx335lntmnt3m675hvqej4drqn9fuhm\"]\n[[user-list]]",
        "20:12 this must be a text in quotes, not an integer (write a number with its unit, hours, days, weeks or years of 365 days: \"36h\", \"90d\", \"8w\", \"10y\"); 21:81 this key stands before (write each key once)",
    ),
    (
        "[[user-list]]",
        "[[audit-policy]]\nname = \"a\"\nkeep-for = \"3 months\"\n[[user-list]]",
        "20:12 \"3 months\" is no length of time (write a number with its unit, hours, days, weeks or years of 365 days: \"36h\", \"90d\", \"8w\", \"10y\")",
    ),
    (
        "[[user-list]]",
        "[[audit-policy]]\nname = \"a\"\nkeep-for = \"0d\"\n[[user-list]]",
        "20:12 this must be 1 hour to 100 years (leave the key out for no end)",
    ),
    (
        "[[user-list]]",
        "[[audit-policy]]\nname = \"a\"\nkeep-for = \"101y\"\n[[user-list]]",
        "20:12 this must be 1 hour to 100 years (leave the key out for no end)",
    ),
    (
        r#"aa-plugin = "otp""#,
        "aa-plugin = \"otp\"\naudit-policy = \"auditors\"",
        "29:16 no [[audit-policy]] is named \"auditors\" (this document has no [[audit-policy]]: add one)",
    ),
    (
        r#"aa-plugin = "otp""#,
        "aa-plugin = \"otp\"\nfour-eyes = \"yes\"",
        "29:13 this must be true or false, not a string (write true, or { wait = 180 } for the seconds that an approver has)",
    ),
    (
        r#"aa-plugin = "otp""#,
        "aa-plugin = \"otp\"\nfour-eyes = { wait = 1200 }",
        "29:13 an approver has 1200 s, and the log-in is over after 1200 s (let `wait` be shorter than `log-in-timeout` of the connection's settings)",
    ),
    (
        "[[user-list]]",
        "[[settings]]\nname = \"old\"\nalgorithms = \"legacy\"\n[[user-list]]",
        "20:14 the algorithms towards clients and towards targets are set one by one (write `target-algorithms` or `client-algorithms`)",
    ),
    (
        r#"usermapping = "ops""#,
        "usermapping = \"ops\"\nknown-host-keys = [{ host = \"db1\", fingerprint = \"MD5:aa:bb\" }]",
        "30:50 this is no fingerprint of a key (write the second word of what `ssh-keygen -lf KEY.pub` shows: \"SHA256:...\", perhaps with the key's type before it: \"ssh-rsa SHA256:...\")",
    ),
    (
        r#"usermapping = "ops""#,
        "usermapping = \"ops\"\nknown-host-keys = [{ host = \"db1\" }]",
        "30:20 a known host key is one of `key`, `fingerprint`, `authority` and `revoked` (write each as an entry of its own)",
    ),
    (
        r#"usermapping = "ops""#,
        "usermapping = \"ops\"\nknown-host-keys = [{ fingerprint = \"SHA256:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8\" }]",
        "30:20 this known host key has no `host`",
    ),
    (
        r#"aa-plugin = "otp""#,
        "aa-plugin = \"otp\"\nask-target-password = true\nlog-in = [\"keys\"]",
        "29:23 `log-in` says already whether the person is asked for the target's password (leave this out, and put \"ask\" into `log-in`, or not)",
    ),
    (
        r#"aa-plugin = "otp""#,
        "aa-plugin = \"otp\"\nlog-in = [\"keys\", \"keys\"]",
        "29:19 this stands before (write each word once)",
    ),
    (
        r#"aa-plugin = "otp""#,
        "aa-plugin = \"otp\"\nlog-in = [\"agent\", \"ask\"]",
        "29:20 nothing can be asked any more once the client was let in for its agent (write \"ask\" before \"agent\")",
    ),
    (
        r#"aa-plugin = "otp""#,
        "aa-plugin = \"otp\"\ncredential-store = { authority = \"a\", local = \"b\" }",
        "29:20 a credential store is one of `plugin`, `local` and `authority` (write credential-store = { plugin = \"...\" }, { local = \"...\" } or { authority = \"...\" })",
    ),
    (
        "target = { inband = { allow = [\"db1\"] } }\nauthentication = \"keys\"",
        "target = { inband = { allow = [\"db1\"], jump-host = true } }",
        "22:1 `jump-host = true` would let in whoever connects (add `authentication`: it is what a jump host asks for)",
    ),
    (
        r#"inband = { allow = ["db1"] }"#,
        r#"fixed = "db1", jump-host = true"#,
        "26:27 target has no key \"jump-host\" (the keys here are fixed, inband)",
    ),
    (
        r#"inband = { allow = ["db1"] }"#,
        r#"inband = { allow = ["db1"], jump-host = "yes" }"#,
        "26:52 this must be true or false, not a string",
    ),
    // Types
    (
        r#"listen = ["127.0.0.1:2222"]"#,
        r#"listen = "127.0.0.1:2222""#,
        "25:10 `listen` must be a list (put it into brackets: [ ])",
    ),
    (r#"listen = ["127.0.0.1:2222"]"#, "listen = []", "25:10 `listen` must not be empty"),
    (r#"aa-plugin = "otp""#, "aa-plugin = 5", "28:13 this must be a text in quotes, not an integer"),
    (
        r#"aa-plugin = "otp""#,
        "aa-plugin = \"otp\"\nactive = \"no\"",
        "29:10 this must be true or false, not a string",
    ),
    (r#"aa-plugin = "otp""#, "aa-plugin = \"otp\"\nmax-sessions = 0", "29:16 this must be 1 to 1000000"),
    (r#"aa-plugin = "otp""#, "aa-plugin = \"otp\"\nmax-sessions = -1", "29:16 this must be 1 to 1000000"),
    (
        r#"bundle = "Otp""#,
        "bundle = \"Otp\"\nmemory-limit = \"512 MB\"",
        "13:16 \"512 MB\" is no size (write a number and KiB, MiB, GiB or TiB: \"512 MiB\")",
    ),
    (
        r#"bundle = "Otp""#,
        "bundle = \"Otp\"\nnetwork = [\"api.example.com\"]",
        "13:12 \"api.example.com\" has no port (write the port, or * for any: \"api.example.com:443\", \"10.0.0.0/8:*\")",
    ),
    (
        r#"bundle = "Otp""#,
        "bundle = \"Otp\"\nnetwork = \"none\"",
        "13:11 `network` must be a list (put it into brackets: [ ])",
    ),
    (r#"bundle = "Otp""#, "bundle = \"Otp\"\nmemory-limit = 512", "13:16 this must be 32 MiB to 1048576 MiB"),
    (
        r#"bundle = "Otp""#,
        "bundle = \"Otp\"\nstart = \"hot\"",
        "13:9 \"hot\" is not known here (the words are \"warm\", \"cold\")",
    ),
    (
        r#"bundle = "Otp""#,
        "bundle = \"Otp\"\nstart = \"wram\"",
        "13:9 \"wram\" is not known here (did you mean \"warm\"?)",
    ),
    // Addresses
    (
        "127.0.0.1:2222",
        "localhost:2222",
        "25:11 \"localhost:2222\" is no address with a port (write an address, not a name: \"0.0.0.0:2222\" or \"[::]:2222\")",
    ),
    (
        r#"aa-plugin = "otp""#,
        "aa-plugin = \"otp\"\nfrom = [\"10.0.0.0/33\"]",
        "29:9 \"10.0.0.0/33\" is no network (write an address or a network: \"10.0.0.0/8\", \"2001:db8::/32\")",
    ),
    (
        r#"["db1"]"#,
        r#"["db1:0"]"#,
        "26:32 \"0\" is no port: 1 to 65535 and * are (examples: \"db1\", \"*.example.com:22\", \"10.0.0.0/8:*\", \"[2001:db8::7]:22\")",
    ),
    (
        r#"["db1"]"#,
        r#"["10.0.0.999"]"#,
        "26:32 \"10.0.0.999\" is no host: a name, *.domain, an address or a network is (examples: \"db1\", \"*.example.com:22\", \"10.0.0.0/8:*\", \"[2001:db8::7]:22\")",
    ),
    // Targets: what is not allowed is refused
    (r#"{ allow = ["db1"] }"#, "{ allow = [] }", "26:31 `allow` must not be empty"),
    (r#"{ allow = ["db1"] }"#, "{}", "26:21 this [connection.target.inband] has no `allow`"),
    (
        r#"{ allow = ["db1"] }"#,
        r#"{ allow = ["db1"], dns-server = "10.0.0.1:53" }"#,
        "26:40 `dns-server` is not supported yet (leave it out)",
    ),
    (
        r#"{ inband = { allow = ["db1"] } }"#,
        "{}",
        "26:10 a target is one of `fixed` and `inband` (write target = { fixed = \"db1:22\" }, or a table [connection.target.inband])",
    ),
    (
        r#"{ inband = { allow = ["db1"] } }"#,
        r#""db1""#,
        "26:10 `target` has the wrong form (write target = { fixed = \"db1:22\" }, or a table [connection.target.inband])",
    ),
    (
        r#"{ inband = { allow = ["db1"] } }"#,
        r#"{ fixed = "*.example.com" }"#,
        "26:20 a fixed target is one server (write a name or an address, with a port: \"db1:22\")",
    ),
    // Protocols
    (
        r#""ssh""#,
        r#""telnet""#,
        "24:12 the protocol \"telnet\" is not supported yet (the protocol of this release is \"ssh\")",
    ),
    (r#""ssh""#, r#""shs""#, "24:12 \"shs\" is no protocol: http, rdp, ssh, telnet and vnc are"),
    // Channels
    (
        r#"["shell"]"#,
        r#"["shell"], commands = ["uptime"]"#,
        "4:41 `commands` is for channels of type exec, not shell (write a rule of its own for the other types)",
    ),
    (
        r#"["shell"]"#,
        r#"["exec", "scp"], commands = ["uptime"]"#,
        "4:47 `commands` is for channels of type exec, not scp (write a rule of its own for the other types)",
    ),
    (
        r#"["shell"]"#,
        r#"["dynamic", "exec"], hosts = ["db1"]"#,
        "4:48 `hosts` is for channels of type local-forward, dynamic and remote-forward, not exec (write a rule of its own for the other types)",
    ),
    (
        r#"["shell"]"#,
        r#"["agent", "streamlocal"], paths = ["/run/x"]"#,
        "4:53 `paths` is for channels of type streamlocal, not agent (write a rule of its own for the other types)",
    ),
    (
        r#"["shell"]"#,
        r#"["exec"], commands = ["("]"#,
        "4:41 \"(\" is no regular expression: unclosed group (the whole command or path must match it)",
    ),
    (
        r#"["shell"]"#,
        r#"["exec"], commands = ["\bshut"]"#,
        r"4:41 this must be 1 to 256 bytes without control characters (write patterns in single quotes, in which \b stays as it is: '\bshutdown\b')",
    ),
    (r#"["shell"]"#, r#"["shel"]"#, "4:20 \"shel\" is not known here (did you mean \"shell\"?)"),
    (
        r#"["shell"]"#,
        r#"["shell"], files = [{}]"#,
        "4:38 `files` is for channels of type sftp and scp, not shell (write a rule of its own for the other types)",
    ),
    (
        r#"["shell"]"#,
        r#"["exec", "sftp"], files = [{ operations = ["download"] }]"#,
        "4:45 `files` is for channels of type sftp and scp, not exec (write a rule of its own for the other types)",
    ),
    (
        r#"["shell"]"#,
        r#"["sftp"], files = []"#,
        "4:37 `files` allows nothing (leave it out to allow every operation)",
    ),
    (
        r#"["shell"]"#,
        r#"["sftp"], files = [{ operations = ["downlod"] }]"#,
        "4:54 \"downlod\" is not known here (did you mean \"download\"?)",
    ),
    (
        r#"["shell"]"#,
        r#"["sftp"], files = [{ path = ["/x"] }]"#,
        "4:40 entry of `files` has no key \"path\" (did you mean `paths`?)",
    ),
    (r#"rule = [{ types = ["shell"] }]"#, "rule = []", "4:8 `rule` must not be empty"),
    (r#"rule = [{ types = ["shell"] }]"#, "", "2:1 this [[channel-policy]] has no `rule`"),
    // Authentication and mapping
    (r#"["public-key"]"#, "[]", "8:11 `methods` must not be empty"),
    (
        r#"["public-key"]"#,
        r#"["password", "password"]"#,
        "8:24 this method stands before (write each method once)",
    ),
    (
        r#"["public-key"]"#,
        "[\"password\"]\nbackend = \"ldap\"",
        "9:11 the backend \"ldap\" needs a server (write backend = { ldap = \"...\" } with the name of an [[ldap-server]])",
    ),
    (
        r#"["public-key"]"#,
        "[\"password\"]\nbackend = { ldap = \"corp\" }",
        "9:20 no [[ldap-server]] is named \"corp\" (this document has no [[ldap-server]]: add one)",
    ),
    (
        r#"methods = ["public-key"]"#,
        "",
        "6:1 this [[authentication]] needs one of `methods` and `sequences` (write methods = [\"public-key\", \"password\"] where one of them is enough, or sequences = [[\"public-key\", \"keyboard-interactive\"]])",
    ),
    (
        r#"methods = ["public-key"]"#,
        "methods = [\"public-key\"]\nsequences = [[\"password\"]]",
        "6:1 this [[authentication]] has both `methods` and `sequences` (keep one of them)",
    ),
    (
        r#"methods = ["public-key"]"#,
        r#"method = ["public-key"]"#,
        "6:1 this [[authentication]] needs one of `methods` and `sequences` (write methods = [\"public-key\", \"password\"] where one of them is enough, or sequences = [[\"public-key\", \"keyboard-interactive\"]]); 8:1 [[authentication]] has no key \"method\" (did you mean `methods`?)",
    ),
    (
        r#"methods = ["public-key"]"#,
        r#"sequence = [["public-key"]]"#,
        "6:1 this [[authentication]] needs one of `methods` and `sequences` (write methods = [\"public-key\", \"password\"] where one of them is enough, or sequences = [[\"public-key\", \"keyboard-interactive\"]]); 8:1 [[authentication]] has no key \"sequence\" (did you mean `sequences`?)",
    ),
    (
        r#"methods = ["public-key"]"#,
        "methods = [\"publickey\"]\nuser-ca = [{ key = \"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f\" }]",
        "8:12 \"publickey\" is not known here (did you mean \"public-key\"?)",
    ),
    (
        r#"methods = ["public-key"]"#,
        "methods = [\"password\"]\nuser-ca = [{ key = \"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f\" }]",
        "6:1 certificates are public keys, which this [[authentication]] does not take (add the method \"public-key\", or leave `user-ca` out)",
    ),
    (
        r#"["public-key"]"#,
        "[\"password\"]\nbackend = \"corp\"",
        "9:11 \"corp\" is not known here (write \"local\", or { ldap = \"corp\" } with the name of an [[ldap-server]])",
    ),
    (
        r#"["public-key"]"#,
        "[\"password\"]\nbackend = {}",
        "9:11 this backend has no `ldap` (write \"local\", or { ldap = \"corp\" } with the name of an [[ldap-server]])",
    ),
    (
        r#"methods = ["public-key"]"#,
        r#"sequences = [["password", "password"]]"#,
        "8:14 a sequence has no method twice (write the methods in their order: [\"public-key\", \"keyboard-interactive\"])",
    ),
    (
        r#"methods = ["public-key"]"#,
        r#"sequences = [["password", "keyboard-interactive"]]"#,
        "8:14 `password` and `keyboard-interactive` ask for the same password (keep one of them, and add public-key for a second proof)",
    ),
    (
        r#"methods = ["public-key"]"#,
        "sequences = [[]]",
        "8:14 a sequence is a list of methods (write the methods in their order: [\"public-key\", \"keyboard-interactive\"])",
    ),
    (
        r#"methods = ["public-key"]"#,
        "methods = [\"public-key\"]\nuser-ca = [{}]",
        "9:12 a user-ca needs one of `key` and `key-file` (write the authority's public key: key = \"ssh-ed25519 AAAA...\")",
    ),
    (
        r#"methods = ["public-key"]"#,
        "methods = [\"public-key\"]\nrevoked-keys = ['command=\"a b\",no-pty ssh-ed25519 AAAA']",
        "9:17 options before a public key, as in authorized_keys, are not supported here (leave them out: certificates and channel policies say what a person may do)",
    ),
    (
        r#"methods = ["public-key"]"#,
        "methods = [\"public-key\"]\nuser-ca = [{ key = \"ssh-dss AAAA\" }]",
        "9:20 this does not begin with a type of public key that is taken here (the types are ssh-ed25519, ecdsa-sha2-nistp256, ecdsa-sha2-nistp384, ecdsa-sha2-nistp521, ssh-rsa, sk-ssh-ed25519@openssh.com, sk-ecdsa-sha2-nistp256@openssh.com)",
    ),
    (
        r#", groups = ["ops"]"#,
        "",
        "16:9 this rule allows nobody (write the gateway users in `users`, or `groups`)",
    ),
    (
        "authentication = \"keys\"\naa-plugin = \"otp\"",
        "credential-store = { plugin = \"otp\" }",
        "22:1 this connection would hand out credentials to whoever connects (add `authentication` or `aa-plugin`)",
    ),
    (
        r#"aa-plugin = "otp""#,
        "aa-plugin = \"otp\"\ncredential-store = \"otp\"",
        "29:20 `credential-store` has the wrong form (write credential-store = { plugin = \"...\" }, { local = \"...\" } or { authority = \"...\" })",
    ),
    (
        r#"aa-plugin = "otp""#,
        "aa-plugin = \"otp\"\ncredential-store = { local = \"lab\" }",
        "29:30 no [[local-credential-store]] is named \"lab\" (this document has no [[local-credential-store]]: add one)",
    ),
    (r#"[{ remote-user = "root", groups = ["ops"] }]"#, "[]", "16:8 `rule` must not be empty"),
    // Files
    (
        r#"bundle = "Otp""#,
        "bundle = \"Otp\"\nconfiguration-file = \"x.cfg\"",
        "13:22 cannot read /nowhere/x.cfg: No such file or directory (os error 2) (a relative path starts at the folder of this document)",
    ),
    (
        r#"bundle = "Otp""#,
        "bundle = \"Otp\"\n[[environment]]\nname = \"p\"\npython = \"python3\"",
        "15:10 \"python3\" is no path (write where it is: \"/usr/bin/python3\")",
    ),
];

#[test]
fn every_fault_is_said_with_its_place_and_how_to_mend_it() {
    assert_eq!(problems(DOCUMENT), []);
    let mut wrong = Vec::new();
    for (from, to, expected) in FAULTS {
        assert_eq!(DOCUMENT.matches(from).count(), 1, "{from}");
        let said: Vec<String> = problems(&DOCUMENT.replace(from, to)).iter().map(one_line).collect();
        if said.join("; ") != *expected {
            wrong.push(format!("for {to}\n  {}\nnot\n  {expected}", said.join("; ")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn one_line(problem: &Problem) -> String {
    let Problem { line, column, message, hint, .. } = problem;
    let hint = hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
    format!("{line}:{column} {message}{hint}")
}

#[test]
fn an_empty_list_does_not_pass_for_one_that_allows_all() {
    let rule = r#"types = ["shell"]"#;
    let written = [
        ("from", rule, r#"types = ["shell"], from = []"#),
        ("targets", rule, r#"types = ["shell"], targets = []"#),
        ("groups", rule, r#"types = ["shell"], groups = []"#),
        ("remote-users", rule, r#"types = ["shell"], remote-users = []"#),
        ("commands", rule, r#"types = ["exec"], commands = []"#),
        ("hosts", rule, r#"types = ["local-forward"], hosts = []"#),
        ("paths", rule, r#"types = ["streamlocal"], paths = []"#),
        ("paths", rule, r#"types = ["sftp"], files = [{ paths = [] }]"#),
        ("operations", rule, r#"types = ["sftp"], files = [{ operations = [] }]"#),
        ("from", r#"protocol = "ssh""#, "protocol = \"ssh\"\nfrom = []"),
    ];
    for (key, from, to) in written {
        assert_eq!(DOCUMENT.matches(from).count(), 1, "{from}");
        let said: Vec<_> =
            problems(&DOCUMENT.replace(from, to)).into_iter().map(|p| (p.message, p.hint)).collect();
        let message = format!("`{key}` is empty, which would restrict nothing");
        assert_eq!(said, [(message, Some("leave it out to allow all, or write some".to_owned()))], "{to}");
    }
    assert_eq!(problems(&DOCUMENT.replace(rule, r#"types = ["sftp"], files = [{}]"#)), []);
}

#[test]
fn a_file_without_a_key_is_no_authority() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("ca.pub"), "# none yet\n\n").unwrap();
    let ca = "methods = [\"public-key\"]\nuser-ca = [{ key-file = \"ca.pub\" }]";
    let document = DOCUMENT.replace("methods = [\"public-key\"]", ca);
    let error = Policy::parse(&document, folder.path(), "keyward.toml").unwrap_err().to_string();
    assert!(
        error.contains("has a problem\nkeyward.toml:9:25: there is no public key in this file"),
        "{error}"
    );
}

#[test]
fn a_key_revocation_list_that_is_broken_or_not_understood_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let lists: [(&[u8], &str); 3] = [
        (b"SSHKRL\n\0\0\0\0\x01", "this key revocation list is cut off or changed"),
        (b"SSHKRL\n\0\0\0\0\x09", "this key revocation list has parts that are not known here"),
        (b"\xff\xfe", "this file is no list of keys"),
    ];
    for (bytes, expected) in lists {
        std::fs::write(folder.path().join("revoked"), bytes).unwrap();
        let revoked = "methods = [\"public-key\"]\nrevoked-key-files = [\"revoked\"]";
        let document = DOCUMENT.replace("methods = [\"public-key\"]", revoked);
        let error = Policy::parse(&document, folder.path(), "keyward.toml").unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn one_listener_speaks_one_protocol() {
    let (_, connection) = DOCUMENT.split_once("[[connection]]").unwrap();
    let other = connection.replace(r#""ssh""#, r#""rdp""#).replace(r#""db""#, r#""desk""#);
    let said: Vec<String> =
        problems(&format!("{DOCUMENT}[[connection]]{other}")).iter().map(one_line).collect();
    assert_eq!(
        said,
        [
            "33:12 the protocol \"rdp\" is not supported yet (the protocol of this release is \"ssh\")",
            "34:10 127.0.0.1:2222 is a listener of the connection \"db\" too, which speaks ssh and not rdp \
             (give each protocol a port of its own)",
        ]
    );
}

#[test]
fn all_problems_are_shown_in_one_go_with_line_and_caret() {
    let document =
        "[gateway]\n\tdrain = \"30\"\nmax-session = 5\n[[user-list]]\nname = \"é\"\ndefault = \"all\"\n";
    assert_eq!(
        shown(document),
        "keyward.toml has 3 problems\n\
         keyward.toml:2:10: this must be a whole number, not a string\n  \
           |\n\
         2 | \tdrain = \"30\"\n  \
           | \t        ^\n  \
           = hint: write whole seconds; leave the key out for its default\n\
         keyward.toml:3:1: [gateway] has no key \"max-session\"\n  \
           |\n\
         3 | max-session = …\n  \
           | ^\n  \
           = hint: did you mean `max-sessions`?\n\
         keyward.toml:6:11: \"all\" is not known here\n  \
           |\n\
         6 | default = \"all\"\n  \
           |           ^\n  \
           = hint: the words are \"all_users\", \"no_user\""
    );
}

#[test]
fn a_text_that_is_no_toml_stops_at_its_first_fault() {
    let text = shown("[gateway]\ndrain = \n[[x\n");
    assert!(text.starts_with("keyward.toml has a problem\nkeyward.toml:2:"), "{text}");
    assert!(text.contains("this is not TOML"), "{text}");
}

#[test]
fn problems_without_end_are_cut_off() {
    let document: String = (0..200).map(|n| format!("x{n} = 1\n")).collect();
    let text = shown(&document);
    assert!(text.starts_with("keyward.toml has 200 problems"), "{text}");
    assert!(text.ends_with("150 more problems are not shown"), "{text}");
}

#[test]
fn a_secret_is_never_shown_whatever_else_is_wrong() {
    const SECRET: &str = "hunter2";
    let documents = [
        // Wrong keys and types beside a secret, on its own line
        "[[local-credential-store]]\nname = \"a\"\nrow = [{ user = 5, passwords = [\"hunter2\"], host = 5 }]",
        "[[local-credential-store]]\nname = \"a\"\nrow = [{ passwords = \"hunter2\" }]",
        "[[local-credential-store]]\nname = \"a\"\nrow = \"hunter2\"",
        "[[local-credential-store]]\nname = \"a\"\nrow = [\"hunter2\"]",
        "[[local-credential-store]]\nrow = [{ host = \"a\", user = \"b\", pasword = \"hunter2\" }]",
        "[[local-credential-store]]\nname = \"a\"\nrow = [{ host = \"a\", user = \"b\", keys = [{ kind = 1, key = \"hunter2\" }] }]",
        "[[local-credential-store]]\nname = \"a\"\nrow = [{ host = \"a\", user = \"b\", passwords = [\n  \"hunter2\", 5,\n \"\"] }]",
        "[[credential-store]]\nrow = [{ passwords = [\"hunter2\"] }]",
        "credential-store = [{ passwords = [\"hunter2\"] }]",
        "[a]\nb.c.password = \"hunter2\"",
        "local-credential-store.row.password = \"hunter2\"",
        "[local-credential-store]\npassword = \"hunter2\"",
        "ldap-server = { password = \"hunter2\" }",
        "[[ldap-server]]\nname = \"a\"\nbind-password = \"hunter2\"",
        "[[ldap-server]]\nname = \"a\"\nbind-password = [\"hunter2\"]\nbind-dn = 5",
        "[[ldap-server]]\nname = \"a\"\naddresses = [\"ldap://u:hunter2@h\"]",
        "[[user]]\nname = \"a\"\npassword = \"hunter2\"",
        "[[user]]\nname = \"a\"\npublic-keys = [\"hunter2\"]",
        "[[user]]\npassword = \"\"\"\nhunter2\"\"\"\n",
        "[gateway]\nstarling-join = [\"hunter2\"]",
        "[gateway]\nhttp-proxy = { server = \"http://u:hunter2@proxy\", port = 0, password = \"hunter2\" }",
        "[gateway]\nhttp-proxy = \"http://u:hunter2@proxy\"",
        "[[plugin]]\nname = \"a\"\nbundle = \"Ab\"\nconfiguration = { password = \"hunter2\" }",
        "[[plugin]]\nconfiguration = \"\"\"\npassword = hunter2\"\"\"\nconfiguration-file = \"x\"",
        "[[trusted-ca-list]]\nname = \"a\"\ncertificates = [\"hunter2\"]",
        // No TOML at all
        "password = \"hunter2",
        "password = hunter2",
        "passwords = [\n\"hunter2\n]",
        "a = { password = \"hunter2\" b }",
        "password = \"hunter2\" x",
        "password = \"\"\"\nhunter2 \\q \"\"\"",
        "password = \"hunter2\"\npassword = \"hunter2\"",
        "key = \"\"\"\nhunter2==\\q",
        "hunter2==",
        "[\"hunter2\"",
    ];
    for document in documents {
        let error = Policy::parse(document, Path::new("/nowhere"), "keyward.toml").unwrap_err();
        for text in [format!("{error}"), format!("{error:?}")] {
            assert!(!text.contains(SECRET), "{document}\n--\n{text}");
        }
    }
}

const LDAP: &str = r#"
[[trusted-ca-list]]
name = "company"
certificates = ["""
-----BEGIN CERTIFICATE-----
AAAA
-----END CERTIFICATE-----
"""]

[[ldap-server]]
name = "directory"
addresses = ["ldap1.example.com"]
trusted-ca-list = "company"
bind-dn = "cn=keyward,dc=example,dc=com"
bind-password = "pw"
base = "dc=example,dc=com"
"#;

#[test]
fn each_fault_of_an_ldap_server_is_told() {
    assert!(problems(LDAP).is_empty());
    let list = r#"trusted-ca-list = "company""#;
    let (dn, password) = (r#"bind-dn = "cn=keyward,dc=example,dc=com""#, r#"bind-password = "pw""#);
    let half_a_bind = "this [[ldap-server]] needs `bind-dn` and one password, or none of them (write `bind-dn` with `bind-password` or `bind-password-file`)";
    for (from, to, expected) in [
        (
            list,
            r#"trusted-ca-list = "compani""#,
            r#"no [[trusted-ca-list]] is named "compani" (did you mean "company"?)"#,
        ),
        (
            list,
            "",
            r#"this [[ldap-server]] has no `trusted-ca-list` (name a [[trusted-ca-list]], or write tls = "none" to send passwords in the clear)"#,
        ),
        (
            list,
            "trusted-ca-list = 'company'\ntls = 'none'",
            "without TLS nobody's certificate is checked (leave `trusted-ca-list` out, or `tls`)",
        ),
        (
            list,
            "trusted-ca-list = 'company'\ntls = 'starttsl'",
            r#""starttsl" is not known here (did you mean "starttls"?)"#,
        ),
        (r#"["ldap1.example.com"]"#, "[]", "`addresses` must not be empty"),
        (
            r#"["ldap1.example.com"]"#,
            "['ldap://ldap1']",
            r#"this is no server (write a name or an address, with a port if it is another than LDAP's, and no URL: "ldap1:3269")"#,
        ),
        (password, "", half_a_bind),
        (dn, "", half_a_bind),
        (password, "bind-password = ''", "this is empty"),
        (r#"base = "dc=example,dc=com""#, "", "this [[ldap-server]] has no `base`"),
        (
            "\nbase =",
            "\nuser-filter = '(uid=ann)'\nbase =",
            r#"this filter finds the same entries for every user (write {user} where the name stands: "(uid={user})")"#,
        ),
        (
            "\nbase =",
            "\ngroup-filter = 'cn=x'\nbase =",
            r#"this is no LDAP filter (put it into parentheses: "(objectClass=groupOfNames)")"#,
        ),
        ("\nbase =", "\ngroup-members = ['a)(b']\nbase =", r#""a)(b" is no name of an attribute"#),
        (
            "\nbase =",
            "\ntimeout = 0\nbase =",
            "this must be 1 to 31622400 (write whole seconds; leave the key out for its default)",
        ),
    ] {
        assert_eq!(LDAP.matches(from).count(), 1, "{from}");
        let told: Vec<String> = problems(&LDAP.replace(from, to))
            .into_iter()
            .map(|problem| match problem.hint {
                Some(hint) => format!("{} ({hint})", problem.message),
                None => problem.message,
            })
            .collect();
        assert_eq!(told, [expected], "{to}");
    }
}

const WINDOW: &str = r#"
[[time-window]]
name = "office"
time-zone = "Europe/Berlin"
period = [{ days = ["mon-fri"], from = "08:00", to = "18:00" }]

[[channel-policy]]
name = "work"
rule = [{ types = ["shell"], time-window = "office" }]
"#;

#[test]
fn each_fault_of_a_time_window_is_told() {
    assert!(problems(WINDOW).is_empty());
    for (from, to, expected) in [
        (
            r#"time-window = "office""#,
            r#"time-window = "ofice""#,
            r#"9:44 no [[time-window]] is named "ofice" (did you mean "office"?)"#,
        ),
        (
            "Europe/Berlin",
            "Europe/Bärlin",
            r#"4:13 "Europe/Bärlin" is no time zone (write a name of the IANA database: "Europe/Berlin", "UTC")"#,
        ),
        (
            r#"time-zone = "Europe/Berlin""#,
            "",
            r#"2:1 this [[time-window]] has no `time-zone` (time-zone = "Europe/Berlin")"#,
        ),
        ("08:00", "24:00", r#"5:40 a period does not begin at 24:00 (write "00:00" and the next day)"#),
        (r#""08:00""#, "08:00:00", r#"5:40 this must be a text in quotes, not a datetime (write "22:00")"#),
        (
            "mon-fri",
            "weekdays",
            r#"5:21 "weekdays" is no day (write "mon", or several days in a row as "mon-fri")"#,
        ),
        (
            r#"[{ days = ["mon-fri"], from = "08:00", to = "18:00" }]"#,
            "[]",
            "5:10 `period` must not be empty",
        ),
        (r#"["mon-fri"]"#, "[]", "5:20 `days` must not be empty"),
        ("08:00", "8:00", r#"5:40 "8:00" is no time of day (write hours and minutes: "08:00", "24:00")"#),
        (
            r#", to = "18:00""#,
            "",
            "5:11 a period has both `from` and `to`, or neither (write both, or leave both out for the whole day)",
        ),
        (
            "18:00",
            "08:00",
            "5:54 this period ends when it begins (leave `from` and `to` out for the whole day)",
        ),
    ] {
        assert_eq!(WINDOW.matches(from).count(), 1, "{from}");
        assert_eq!(told(&WINDOW.replacen(from, to, 1)), [expected], "{to}");
    }
}

const CONTENT: &str = r#"
[[content-policy]]
name = "calm"
rule = [{ name = "power", commands = ["reboot"], screen = ["secret"], action = "terminate" }]

[[channel-policy]]
name = "work"
rule = [{ types = ["shell", "exec"], content-policy = "calm" }]
"#;

#[test]
fn each_fault_of_a_content_policy_is_told() {
    assert!(problems(CONTENT).is_empty());
    let list = r#"commands = ["reboot"], screen = ["secret"], "#;
    for (from, to, expected) in [
        (
            r#"content-policy = "calm""#,
            r#"content-policy = "clam""#,
            r#"8:55 no [[content-policy]] is named "clam" (did you mean "calm"?)"#,
        ),
        (
            r#""exec""#,
            r#""sftp""#,
            "8:55 `content-policy` is for channels of type shell and exec, not sftp (write a rule of its own for the other types)",
        ),
        (
            "[\"reboot\"]",
            "[]",
            "4:38 `commands` is empty, which looks for nothing (leave it out, or write some patterns)",
        ),
        (
            "[\"secret\"]",
            "[]",
            "4:59 `screen` is empty, which looks for nothing (leave it out, or write some patterns)",
        ),
        (
            r#"[{ name = "power", commands = ["reboot"], screen = ["secret"], action = "terminate" }]"#,
            "[]",
            "4:8 `rule` must not be empty",
        ),
        (list, "", "4:9 this rule looks for nothing (write patterns in `commands`, in `screen`, or in both)"),
        (
            "[\"reboot\"]",
            "['(reboot']",
            r#"4:39 "(reboot" is no regular expression: unclosed group (it is looked for anywhere in a line)"#,
        ),
        (
            "[\"secret\"]",
            r#"["\bsecret"]"#,
            r"4:60 this must be 1 to 256 bytes without control characters (write patterns in single quotes, in which \b stays as it is: '\bshutdown\b')",
        ),
        (
            "[\"secret\"]",
            "['s*']",
            r#"4:60 "s*" is in every line, also in an empty one (write a pattern that must match something)"#,
        ),
        (
            "\"terminate\"",
            "\"end\"",
            r#"4:80 "end" is not known here (the words are "log", "notify", "terminate")"#,
        ),
        (", action = \"terminate\"", "", "4:9 this [[content-policy.rule]] has no `action`"),
    ] {
        assert_eq!(CONTENT.matches(from).count(), 1, "{from}");
        assert_eq!(told(&CONTENT.replacen(from, to, 1)), [expected], "{to}");
    }
}

/// Each problem on a line: where, what, how to mend it.
fn told(document: &str) -> Vec<String> {
    let told = |Problem { line, column, message, hint, .. }: Problem| match hint {
        Some(hint) => format!("{line}:{column} {message} ({hint})"),
        None => format!("{line}:{column} {message}"),
    };
    problems(document).into_iter().map(told).collect()
}

#[test]
fn no_text_makes_the_reader_panic() {
    let example = include_str!("../../../examples/keyward.toml");
    for (end, _) in example.char_indices().step_by(7) {
        let _ = Policy::parse(&example[..end], Path::new("/nowhere"), "x").map_err(|error| error.to_string());
    }
    for text in ["\u{feff}", "a = \"\u{1F600}\" \u{1F600}", "\r\n[x\r\n", "\0", "a.b.c = 1\na.b = 2"] {
        let _ = Policy::parse(text, Path::new("/nowhere"), "x").map_err(|error| error.to_string());
    }
}
