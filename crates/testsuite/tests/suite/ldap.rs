//! A policy's LDAP server, from the document over the gateway and a plugin on the SDK down to slapd.

use keyward_testsuite::{Askpass, Plug, Plugged, PluggedPlan, Slapd};

const MEMBERS_ONLY: &str = r#"
from safeguard.sessions.plugin import AAPlugin, AAResponse, LDAPServer

class Plugin(AAPlugin):
    def do_authorize(self):
        person = self.connection.key_value_pairs["person"]
        ldap = LDAPServer.from_config(self.plugin_configuration)
        if ldap.filter_user_groups(person):
            mail = ldap.get_user_string_attribute(person)
            return AAResponse.accept().with_additional_metadata("{} addresses".format(len(mail)))
        return AAResponse.deny("not in the group", deny_reason="you are in none of the groups")
"#;

fn members_only(slapd: &Slapd) -> Plugged {
    let plugin = Plug::aa(MEMBERS_ONLY).configuration(
        "[ldap_server]\nname = directory\nuser_groups = wheel,everything\nuser_attribute = mail\n",
    );
    let tables = format!(
        r#"
[[trusted-ca-list]]
name = "directory-ca"
certificates = ["""
{certificate}"""]
crls = ["""
{crl}"""]

[[ldap-server]]
name = "directory"
addresses = ["{addr}"]
tls = "starttls"
trusted-ca-list = "directory-ca"
bind-dn = "{dn}"
bind-password = "{password}"
base = "{base}"
"#,
        certificate = slapd.authority().certificate(),
        crl = slapd.authority().revoking_nothing(),
        addr = slapd.plain(),
        dn = Slapd::BIND_DN,
        password = Slapd::BIND_PASSWORD,
        base = Slapd::BASE,
    );
    PluggedPlan::new([plugin]).more(&tables).open()
}

#[test]
fn a_plugin_lets_in_who_is_in_a_group_of_the_directory_and_nobody_else() {
    let mut slapd = Slapd::start();
    let plugged = members_only(&slapd);
    let login =
        |person: &str| plugged.client(&format!("otp=1@person={person}@"), &Askpass::silent()).exec("true");

    login("ann").must_succeed();
    assert_eq!(plugged.newest_of(1)["calls"][1]["hook"], "authorize");

    let refused = login("cid");
    assert_eq!(refused.status.code(), Some(255));
    assert_eq!(plugged.newest_of(2)["verdict"], "deny");
    assert_eq!(login("nobody").status.code(), Some(255));
    assert_eq!(plugged.newest_of(3)["verdict"], "plugin-error");

    slapd.stop();
    let refused = login("ann");
    assert_eq!(refused.status.code(), Some(255));
    assert!(!refused.stderr.contains("LDAP") && !refused.stderr.contains("directory"), "{}", refused.stderr);
    assert_eq!(plugged.newest_of(4)["verdict"], "plugin-error");
    let log = plugged.gateway.log().concat();
    assert!(log.contains("an LDAP server gave no answer") && log.contains("cannot be reached"), "{log}");
    assert!(!log.contains(Slapd::BIND_PASSWORD));
    assert_eq!(plugged.sshd.logins(), 1);

    slapd.start_again();
    login("ann").must_succeed();
}
