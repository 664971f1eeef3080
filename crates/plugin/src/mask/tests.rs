use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use proptest::prelude::*;

use super::*;

fn mask(secrets: &[&str], text: &str) -> String {
    Masks::new(secrets.iter().copied()).mask(text)
}

#[test]
fn a_secret_is_masked_line_by_line() {
    let secrets = ["hunter2", "a", "LINE-ONE\nLINE-TWO\n"];
    assert_eq!(mask(&secrets, "got hunter2, a and LINE-TWO"), "got [masked], a and [masked]");
}

#[test]
fn a_short_secret_is_masked_as_a_whole_word() {
    let secrets = ["abc", "7é", "#1"];
    let shown = "abc, xabc, abcd, a_abc; (abc) 'abc' pin=abc\nabc, 7é 17é #1 x#1 #12";
    let masked = "[masked], xabc, abcd, a_abc; ([masked]) '[masked]' pin=[masked]\n[masked], [masked] 17é [masked] x[masked] #12";
    assert_eq!(mask(&secrets, shown), masked);
    assert_eq!(mask(&secrets, r#"{"pin":"7\u00e9"} ?pin=%61bc&"#), r#"{"pin":"[masked]"} ?pin=[masked]&"#);
    assert_eq!(mask(&secrets, "is ab\nc."), "is [masked].");
    // Bytes of a picture are no words.
    assert_eq!(mask(&secrets, "data:ICBhYmMgIGFiYyAg"), "data:ICBhYmMgIGFiYyAg");
}

#[test]
fn a_secret_in_hexadecimal_is_masked_wherever_its_digits_begin() {
    for text in
        ["68756e74657232", "68756E74657232", "f68756e74657232", "0x68756e746572320a", "key:f968756e74657232!"]
    {
        let masked = mask(&["hunter2"], text);
        assert!(
            masked.contains(MASKED) && !masked.to_lowercase().contains("68756e74657232"),
            "{text}: {masked}"
        );
    }
    assert_eq!(mask(&["hunter2"], "68756e74\n657232"), "[masked]");
    // As `bytes.hex()` of what `json.dumps` made.
    let json: String = "\"b\\u00e4r-lauch\"".bytes().map(|byte| format!("{byte:02x}")).collect();
    assert!(mask(&["bär-lauch"], &json).contains(MASKED));
}

#[test]
fn a_secret_is_masked_as_exceptions_show_it_and_with_a_shorter_one_in_it() {
    let secrets = ["pass", r"back\slash", "two  spaces", r#"'both' "quotes""#, "password"];
    let shown = r#"KeyError: 'back\\slash', two spaces, '\'both\' "quotes"', password, two  spaces"#;
    assert_eq!(mask(&secrets, shown), "KeyError: '[masked]', [masked], '[masked]', [masked], [masked]");
}

#[test]
fn the_frame_of_a_key_is_no_secret_and_each_of_its_lines_is() {
    let key =
        "-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEA\nq83vEjRWeJA=\n-----END RSA PRIVATE KEY-----\n";
    assert_eq!(
        mask(&[key], "-----BEGIN RSA PRIVATE KEY----- q83vEjRWeJA= MIIEowIBAAKCAQEA"),
        "-----BEGIN RSA PRIVATE KEY----- [masked] [masked]"
    );
    let json = serde_json::json!({"key": key}).to_string();
    let masked = mask(&[key], &json);
    assert!(!masked.contains("MIIE") && !masked.contains("q83v"), "{masked}");
}

#[test]
fn a_secret_that_is_cut_in_lines_is_masked_in_each() {
    assert_eq!(mask(&["correct horse"], "is corr\nect \nhorse."), "is [masked].");
}

#[test]
fn what_a_text_begins_at_its_end_is_masked_too() {
    assert_eq!(mask(&["correct horse"], "cut: correct h"), "cut: [masked]");
    assert_eq!(mask(&["correct horse"], "not cut: cor"), "not cut: cor");
}

#[test]
fn where_there_are_too_many_secrets_nothing_is_shown() {
    let many: Vec<String> = (0..3000).map(|n| format!("{n:0>400}")).collect();
    let masks = Masks::new(many.iter().map(String::as_str));
    assert_eq!(masks.mask("anything"), "[masked]");
}

/// What programs make of a secret, in a text around it.
fn forms_of(secret: &str) -> Vec<String> {
    let json = serde_json::to_string(secret).unwrap();
    let escaped = |upper: bool| -> String {
        let unit = |unit: &u16| if upper { format!("\\u{unit:04X}") } else { format!("\\u{unit:04x}") };
        let units = |c: char| c.encode_utf16(&mut [0; 2]).iter().map(unit).collect();
        json.chars().map(|c| if c.is_ascii() { c.to_string() } else { units(c) }).collect()
    };
    let ascii = escaped(false);
    let url = |keep: &str, upper: bool| -> String {
        let byte = |b: u8| match (b.is_ascii_alphanumeric() || keep.as_bytes().contains(&b), upper) {
            (true, _) => char::from(b).to_string(),
            (false, true) => format!("%{b:02X}"),
            (false, false) => format!("%{b:02x}"),
        };
        secret.bytes().map(byte).collect()
    };
    let mut forms = vec![
        secret.to_owned(),
        json.clone(),
        ascii.replace('/', "\\/"),
        serde_json::to_string(&ascii).unwrap(),
        escaped(true),
        url("-_.~", true),
        url("-_.~/", false),
        url("-_.~ ", true).replace(' ', "+"),
        secret.bytes().map(|b| format!("%{b:02X}")).collect(),
        secret.bytes().map(|b| format!("{b:02x}")).collect(),
        secret.bytes().map(|b| format!("{b:02X}")).collect(),
    ];
    for before in ["", "u", "us"] {
        let text = format!("{before}{secret}:z");
        forms.push(STANDARD.encode(secret));
        forms.push(STANDARD.encode(&text));
        forms.push(STANDARD_NO_PAD.encode(&text));
        forms.push(URL_SAFE.encode(&text));
        forms.push(URL_SAFE_NO_PAD.encode(&text));
        forms.push(STANDARD.encode(&text).replace('+', "%2B").replace('/', "%2F").replace('=', "%3D"));
        forms.push(STANDARD.encode(&text).replace('/', "\\/"));
        forms.push(STANDARD.encode(format!("{before}{ascii}")));
    }
    forms
}

proptest! {
    #[test]
    fn no_form_of_a_secret_is_shown(secret in "[ -~äß€😀]{6,40}", before in "[ -$&-*,.-~]{0,12}") {
        // A space at an end is no part of what is looked for.
        let secret = secret.trim();
        prop_assume!(secret.len() >= 6 && !secret.contains("  "));
        let masks = Masks::new([secret]);
        for form in forms_of(secret) {
            let text = format!("{before}: {form} .");
            let masked = masks.mask(&text);
            prop_assert!(masked.contains(MASKED), "{form:?} in {text:?} became {masked:?}");
            prop_assert!(!masked.contains(&form) || MASKED.contains(&form), "{form:?} is in {masked:?}");
        }
    }

    #[test]
    fn a_text_without_the_secret_stays_as_it_is(text in "[ -~\\n]{0,80}") {
        let masked = mask(&["\u{2603}\u{2603}\u{2603}"], &text);
        prop_assert_eq!(masked, text);
    }

    #[test]
    fn nothing_that_a_plugin_prints_makes_it_panic(text in "\\PC{0,60}", secret in "\\PC{0,20}") {
        let _ = mask(&[&secret], &text);
    }
}
