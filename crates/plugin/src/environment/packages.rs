//! What is installed into a new environment: the modules of contract section 2, in versions that were tried.
//!
//! Each line is a requirement of pip (PEP 508); the marker after `;` picks the interpreters it is for.

/// The SDK goes in without its requirements, which are pinned for another machine: `requests` is all it needs.
pub(super) const SDK: &[&str] = &["--no-deps", "oneidentity_safeguard_sessions_plugin_sdk==1.9.1"];

/// The pip that comes with Python 3.6 does not know today's wheels.
pub(super) const PIP: &[&str] = &[r#"pip==21.3.1; python_version < "3.7""#];

pub(super) const REQUIRED: &[&str] = &[
    r#"requests==2.27.1; python_version < "3.7""#,
    r#"requests==2.31.0; python_version == "3.7""#,
    r#"requests==2.32.4; python_version == "3.8""#,
    r#"requests==2.32.5; python_version >= "3.9""#,
    r#"urllib3==1.26.20; python_version < "3.7""#,
    r#"urllib3==2.0.7; python_version == "3.7""#,
    r#"urllib3==2.2.3; python_version == "3.8""#,
    r#"urllib3==2.6.3; python_version >= "3.9""#,
    r#"pyOpenSSL==23.2.0; python_version < "3.8""#,
    r#"pyOpenSSL==25.3.0; python_version >= "3.8""#,
    r#"cryptography==40.0.2; python_version < "3.7""#,
    r#"cryptography==41.0.7; python_version == "3.7""#,
    r#"cryptography==46.0.7; python_version >= "3.8""#,
    r#"PyYAML==6.0.1; python_version < "3.8""#,
    r#"PyYAML==6.0.3; python_version >= "3.8""#,
    // The SDK uses data classes.
    r#"dataclasses==0.8; python_version < "3.7""#,
];

/// What the packages above are imported as.
pub(super) const PROOF: &str = "import requests, urllib3, OpenSSL, yaml, safeguard.sessions.plugin";

/// There is no wheel of it: it must be built, and plugins that do without LDAP do without it.
pub(super) const LDAP: &[&str] =
    &[r#"python-ldap==3.4.4; python_version < "3.8""#, r#"python-ldap==3.4.5; python_version >= "3.8""#];
pub(super) const LDAP_PROOF: &str = "import ldap";
/// What Debian needs to build it.
pub(super) const LDAP_NEEDS: &str = "gcc libldap2-dev libsasl2-dev python3-dev";
