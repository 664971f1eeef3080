//! `ldap_groups`, over the gateway's LDAP service, against Debian's slapd.

use keyward_testsuite::Slapd;
use serde_json::{Value, json};

use super::trial::{Trial, denied};

const RULES: &str = "[ldap_server]\nname = directory\n\
                     [rule_1]\ngroup = wheel\ntargets = *@web*\n\
                     [rule_2]\ngroup = admins\ntargets = root@db*.example.com, root@10.20.0.*\n";

/// The tables of a policy document that knows this server.
fn policy(slapd: &Slapd) -> String {
    format!(
        "[[trusted-ca-list]]\nname = \"directory\"\ncertificates = ['''\n{}''']\n\
         [[ldap-server]]\nname = \"directory\"\naddresses = [\"{}\"]\ntrusted-ca-list = \"directory\"\n\
         bind-dn = \"{}\"\nbind-password = \"{}\"\nbase = \"{}\"\n",
        slapd.authority().certificate(),
        slapd.tls(),
        Slapd::BIND_DN,
        Slapd::BIND_PASSWORD,
        Slapd::BASE
    )
}

/// A session of somebody whom the gateway has authenticated.
fn login(policy: &str, user: &str) -> Trial {
    let mut login = Trial::new("ldap_groups", RULES).policy(policy).with("gateway_user", user);
    assert_eq!(login.call("authenticate")["verdict"], "ACCEPT");
    login
}

const IN_NO_GROUP: &str = "You are in no group that may log in there.";

#[test]
fn a_member_of_a_nested_group_logs_in_where_its_rule_allows_it() {
    let slapd = Slapd::start();
    let result = login(&policy(&slapd), "ann").call("authorize");
    assert_eq!(result["verdict"], "ACCEPT", "{result:#}");
    assert_eq!(result["additional_metadata"], r#"{"ldap_groups": ["admins"]}"#);
}

#[test]
fn who_is_in_another_group_or_in_none_or_unknown_is_refused() {
    let slapd = Slapd::start();
    for user in ["bob", "cid", "mallory"] {
        assert_eq!(denied(&login(&policy(&slapd), user).call("authorize")), IN_NO_GROUP, "{user}");
    }
}

#[test]
fn a_group_counts_for_its_own_rules_only() {
    let slapd = Slapd::start();
    let web = |user| {
        let login =
            login(&policy(&slapd), user).with("server_hostname", "web1").with("server_ip", "192.0.2.1");
        login.with("server_username", "www").call("authorize")
    };
    assert_eq!(web("bob")["verdict"], "ACCEPT");
    assert_eq!(denied(&web("ann")), IN_NO_GROUP);
    let mut elsewhere = login(&policy(&slapd), "ann").with("server_username", "postgres");
    assert_eq!(denied(&elsewhere.call("authorize")), "No group may log in there.");
}

#[test]
fn when_the_server_is_down_or_refuses_the_gateway_nobody_gets_in() {
    let mut slapd = Slapd::start();
    let (good, told) = (policy(&slapd), "Your groups cannot be looked up. Try again later.");
    let wrong = good.replace(Slapd::BIND_PASSWORD, "wr0ng-b1nd");
    let mut refused = login(&wrong, "ann");
    assert_eq!(denied(&refused.call("authorize")), told);
    assert!(!refused.log().contains("wr0ng-b1nd"), "{}", refused.log());

    slapd.stop();
    assert_eq!(denied(&login(&good, "ann").call("authorize")), told);
}

#[test]
fn who_was_not_authenticated_by_the_gateway_is_refused() {
    let slapd = Slapd::start();
    let mut login =
        Trial::new("ldap_groups", RULES).policy(&policy(&slapd)).with("gateway_user", Value::Null);
    login.answer("gu", "ann");
    assert_eq!(denied(&login.call("authenticate")), "This connection does not say who you are.");
    // Nor does a later hook take the name that the client sends.
    denied(&login.call("authorize"));
    assert_eq!(login.call("authenticate")["gateway_user"], json!(null));
}
