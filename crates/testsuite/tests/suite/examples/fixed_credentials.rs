//! `fixed_credentials`: a file in the state directory of the plugin instance.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use super::trial::Trial;

/// A session of the plugin with this file, with these permissions.
pub(crate) fn with_file(content: &str, mode: u32) -> Trial {
    let trial = Trial::new("fixed_credentials", "");
    let path = trial.state().join("credentials.ini");
    fs::write(&path, content).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    trial
}

#[test]
fn the_passwords_of_the_first_section_that_matches_are_handed_out() {
    let file =
        "[root@db*.example.com]\npassword = first\npassword_2 = 100% $econd\n[*@*]\npassword = other\n";
    let mut login = with_file(file, 0o600);
    assert_eq!(login.call("get_password_list")["passwords"], json!(["first", "100% $econd"]));
    let mut login = with_file(file, 0o600).with("server_username", "guest");
    assert_eq!(login.call("get_password_list")["passwords"], json!(["other"]));
}

#[test]
fn a_section_may_name_the_server_by_its_address() {
    let mut login = with_file("[root@10.20.0.*]\npassword = by address\n", 0o600);
    assert_eq!(login.call("get_password_list")["passwords"], json!(["by address"]));
}

#[test]
fn a_key_is_handed_out_with_its_type() {
    let file = "[root@db1.example.com]\nprivate_key = -----BEGIN RSA PRIVATE KEY-----\n AAAA\n -----END RSA PRIVATE KEY-----\n";
    let key = "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n";
    let mut login = with_file(file, 0o600);
    assert_eq!(login.call("get_private_key_list")["private_keys"], json!([["ssh-rsa", key]]));
    assert_eq!(login.call("get_password_list")["passwords"], json!([]));
}

#[test]
fn nothing_is_handed_out_for_others() {
    let mut login =
        with_file("[root@db1.example.com]\npassword = secret\n", 0o600).with("server_username", "guest");
    assert_eq!(login.call("get_password_list")["passwords"], json!([]));
    assert_eq!(login.call("get_private_key_list")["private_keys"], json!([]));
}

#[test]
fn a_file_that_others_can_read_is_refused_with_how_to_mend_it() {
    let error = with_file("[root@db1.example.com]\npassword = s3cret\n", 0o644).fails("get_password_list");
    assert!(error.contains("open to other users") && error.contains("chmod 600"), "{error}");
}

#[test]
fn a_missing_or_broken_file_is_an_error_without_what_is_in_it() {
    let mut login = with_file("[root@db1.example.com]\ns3cret\n", 0o600);
    let error = login.fails("get_password_list");
    assert!(error.contains("credentials.ini: line 2") && !error.contains("s3cret"), "{error}");
    assert!(!login.log().contains("s3cret"), "{}", login.log());
    let error = Trial::new("fixed_credentials", "").fails("get_password_list");
    assert!(error.contains("credentials.ini: No such file"), "{error}");
}
