//! One-time codes: which prompt of a target asks for one, and which code answers it (contract section 5).

use std::time::SystemTime;

use keyward_model::Secret;
use keyward_session::TotpCode;

/// Words by which the usual programs ask: "Verification code:", "Passcode:", "SecurID token:".
const WORDS: [&str; 7] = ["code", "passcode", "token", "otp", "totp", "verification", "authenticator"];
/// "One-time password (OATH) for `user':"
const PHRASES: [&str; 2] = ["one-time", "one time"];

/// Whether a prompt asks for a one-time code. Targets have no other way of saying so than their words.
pub(crate) fn asks_for_code(prompt: &str) -> bool {
    let prompt = prompt.to_lowercase();
    let mut words = prompt.split(|c: char| !c.is_alphanumeric());
    if PHRASES.iter().any(|phrase| prompt.contains(phrase)) {
        return true;
    }
    // A user or host of such a name may stand in the prompt of a password.
    !prompt.contains("password") && words.any(|word| WORDS.contains(&word))
}

/// The codes that are valid now, in the plugin's order.
pub(crate) fn valid(codes: Vec<TotpCode>, now: SystemTime) -> impl Iterator<Item = Secret> {
    codes.into_iter().filter(move |code| code.is_valid_at(now)).map(|code| code.code)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[test]
    fn a_code_is_asked_for_by_its_words() {
        for asking in [
            "Verification code: ",
            "One-time password (OATH) for `ann\': ",
            "Enter PASSCODE:",
            "RSA SecurID token: ",
            "OTP: ",
        ] {
            assert!(asks_for_code(asking), "{asking}");
        }
        for other in
            ["Password: ", "(code@token) Password:", "Decode: ", "Current password: ", "Which host? ", ""]
        {
            assert!(!asks_for_code(other), "{other}");
        }
    }

    #[test]
    fn a_code_is_valid_in_its_period_only() {
        let code =
            |unix_time, period, code: &str| TotpCode { unix_time, period, code: code.to_owned().into() };
        let now = UNIX_EPOCH + Duration::from_secs(1000);
        let codes = vec![
            code(970, 30, "past"),
            code(971, 30, "now"),
            code(1000, 30, "just now"),
            code(1001, 30, "to come"),
            code(0, 30, "without a time"),
            code(990, u64::MAX, "for ever"),
            code(-5, 30, "before all time"),
        ];
        let left: Vec<String> = valid(codes, now).map(|code| code.expose().to_owned()).collect();
        assert_eq!(left, ["now", "just now", "without a time", "for ever", "before all time"]);
    }
}
