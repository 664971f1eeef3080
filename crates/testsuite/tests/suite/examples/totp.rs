//! `totp`, with the codes of Debian's oathtool.

use std::time::{SystemTime, UNIX_EPOCH};

use keyward_testsuite::shell;

use super::trial::{Trial, denied};

pub(crate) const SECRET: &str = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP";

/// The code of a secret in so many periods from now.
pub(crate) fn code(options: &[&str], periods: i64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let then = i64::try_from(now).unwrap() + periods * 30;
    let now = format!("@{then}");
    let words = [options, &["--base32", "--now", &now, SECRET]].concat();
    shell(r#"oathtool "$@""#, &words).text().trim_end().to_owned()
}

fn now() -> String {
    code(&["--totp"], 0)
}

fn configuration(more: &str) -> String {
    format!("[secrets]\nalice = {SECRET}\n{more}\n")
}

fn alice() -> Trial {
    Trial::new("totp", &configuration(""))
}

#[test]
fn the_code_of_an_authenticator_is_accepted() {
    let (prompts, result) = alice().converse("authenticate", &[&now()]);
    assert_eq!(prompts, ["One-time code: "]);
    assert_eq!(result["verdict"], "ACCEPT", "{result:#}");
}

#[test]
fn algorithm_digits_and_period_are_those_of_the_configuration() {
    for algorithm in ["sha256", "sha512"] {
        let more = format!("[totp]\nalgorithm = {algorithm}\ndigits = 8\nperiod = 60");
        let right = code(&[&format!("--totp={algorithm}"), "--digits=8", "--time-step-size=60s"], 0);
        let (_, result) = Trial::new("totp", &configuration(&more)).converse("authenticate", &[&right]);
        assert_eq!(result["verdict"], "ACCEPT", "{algorithm}: {result:#}");
    }
}

#[test]
fn a_code_in_the_login_string_is_not_asked_for() {
    let mut login = alice();
    login.answer("otp", &now());
    let (prompts, result) = login.converse("authenticate", &[]);
    assert_eq!((prompts.len(), &result["verdict"]), (0, &"ACCEPT".into()), "{result:#}");
}

#[test]
fn three_wrong_codes_are_the_end() {
    let (prompts, result) = alice().converse("authenticate", &["000000", "", "no code"]);
    assert_eq!(denied(&result), "The one-time code was wrong.");
    assert_eq!(prompts[1..], ["Wrong code. One-time code: ", "Wrong code. One-time code: "]);
}

#[test]
fn a_code_counts_once_in_all_sessions() {
    let mut login = alice();
    let right = now();
    assert_eq!(login.converse("authenticate", &[&right]).1["verdict"], "ACCEPT");

    let mut login = login.next_session("svc/3jcMYGgyyZL4YuqcBZhvsb/ssh:2").with("gateway_user", "Alice");
    let (prompts, result) = login.converse("authenticate", &[&right, &code(&["--totp"], 1)]);
    assert_eq!(prompts[1], "That code has been used; wait for the next one. One-time code: ");
    assert_eq!(result["verdict"], "ACCEPT", "{result:#}");
}

#[test]
fn a_code_of_long_ago_does_not_count() {
    let (_, result) =
        alice().converse("authenticate", &[&code(&["--totp"], -3), &code(&["--totp"], 4), "000000"]);
    denied(&result);
}

#[test]
fn who_guesses_has_to_wait_even_with_the_right_code() {
    let more = "[limits]\nmax_failures = 4\ntries = 3";
    let mut login = Trial::new("totp", &configuration(more));
    denied(&login.converse("authenticate", &["000000", "111111", "222222"]).1);
    let mut login = login.next_session("svc/3jcMYGgyyZL4YuqcBZhvsb/ssh:2");
    let (_, result) = login.converse("authenticate", &["333333", &now()]);
    assert_eq!(denied(&result), "Too many wrong codes. Try again later.");
}

#[test]
fn a_user_without_secret_is_refused_like_one_with_a_wrong_code() {
    let wrong = ["000000", "111111", "222222"];
    let unknown = alice().with("gateway_user", "../../mallory").converse("authenticate", &wrong);
    let known = alice().converse("authenticate", &wrong);
    assert_eq!(unknown.0, known.0);
    assert_eq!(denied(&unknown.1), denied(&known.1));
}

#[test]
fn a_user_name_leads_to_no_other_file() {
    let mut login = alice().with("gateway_user", "../../mallory");
    login.converse("authenticate", &["0", "0", "0"]);
    let users: Vec<_> = std::fs::read_dir(login.state().join("users")).unwrap().map(Result::unwrap).collect();
    assert_eq!(users.len(), 1, "{users:?}");
    let beside: Vec<_> =
        std::fs::read_dir(login.state()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(beside, ["users"]);
}

#[test]
fn what_is_no_secret_is_an_error_that_does_not_show_it() {
    let text = configuration("").replace(SECRET, "s3cret!");
    let mut login = Trial::new("totp", &text);
    login.answer("otp", "000000");
    let error = login.fails("authenticate");
    assert!(error.contains("[secrets] alice: not base 32"), "{error}");
    assert!(!error.contains("s3cret") && !login.log().contains("s3cret"), "{error}");
}
