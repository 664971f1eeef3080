//! 10,000 frames that no honest worker sends, from their bytes to what the gateway makes of the result.

use bytes::BytesMut;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::Value;

use super::CallError;
use super::call::{MAX_MESSAGE, MAX_TRACEBACK, read_result};
use super::frame::{FrameError, MAX_FRAME, split};
use crate::hook::{check_result, credentials};
use crate::mask::Masks;
use crate::{Cookies, Hook};

/// Stands wherever a plugin may put a credential.
const SECRET: &str = "hunter2-and-more";

/// Results of real plugins, as their workers write them.
const REAL: [&str; 9] = [
    r#"{"result": null}"#,
    r#"{"result": {"verdict": "ACCEPT", "gateway_user": "ann", "gateway_groups": ["a", "b"], "cookie": {"SDK": {"x": 1}}, "session_cookie": {}}}"#,
    r#"{"result": {"verdict": "DENY", "reason": "N/A", "additional_metadata": "m\u00e9ta"}}"#,
    r#"{"result": {"verdict": "NEEDINFO", "question": ["otp", "Code:\nagain: ", true], "cookie": {"n": 2}}}"#,
    r#"{"result": {"passwords": ["hunter2-and-more", "b"], "cookie": {}, "session_cookie": {"s": []}}}"#,
    r#"{"result": {"private_keys": [["ssh-rsa", "hunter2-and-more"], ["ssh-dss", "PEM"]]}}"#,
    r#"{"result": {"totp_codes": [{"unix_time": 1500000000.5, "period": 30, "code": "hunter2-and-more"}]}}"#,
    r#"{"result": {"account": "a", "asset": null, "passwords": ["hunter2-and-more"], "need_info": false, "launch_information": [null, "-x"], "additional_information": {"k": 1}}}"#,
    r#"{"error": {"kind": "exception", "message": "KeyError: 'x'", "traceback": "Traceback\n  File \"main.py\"\n"}}"#,
];

const KEYS: [&str; 22] = [
    "result",
    "error",
    "kind",
    "message",
    "traceback",
    "verdict",
    "question",
    "reason",
    "gateway_user",
    "gateway_groups",
    "additional_metadata",
    "cookie",
    "session_cookie",
    "passwords",
    "private_keys",
    "totp_codes",
    "unix_time",
    "period",
    "code",
    "account",
    "need_info",
    "launch_information",
];

/// Scalars as text, since some of them are no JSON, or none that every reader takes.
const SCALARS: [&str; 34] = [
    "null",
    "true",
    "false",
    "0",
    "-0",
    "1",
    "-1",
    "1.5",
    "1e3",
    "1e308",
    "1e309",
    "-1e999",
    "1e-999",
    "18446744073709551615",
    "18446744073709551616",
    "-9223372036854775809",
    "9007199254740993",
    "123456789012345678901234567890123456789012345678901234567890",
    "01",
    "NaN",
    "Infinity",
    "\"\"",
    "\"ACCEPT\"",
    "\"NEEDINFO\"",
    "\"NONE\"",
    "\"exception\"",
    "\"hunter2-and-more\"",
    "\"\\ud800\"",
    "\"\\udc00\\ud800\"",
    "\"\\ud83d\\ude00\"",
    "\"\\u0000\"",
    "\"\\x\"",
    "\"open",
    "\"\u{7f}\u{85}\u{2028}\"",
];

/// JSON and what looks like it: wrong types, keys twice, numbers of any size, lone surrogates.
fn json() -> impl Strategy<Value = String> {
    let scalar = prop_oneof![
        8 => select(&SCALARS[..]).prop_map(str::to_owned),
        1 => (1_usize..3000).prop_map(|n| format!("\"{}\"", "x".repeat(n))),
        1 => (1_usize..400).prop_map(|n| "9".repeat(n)),
    ];
    scalar.prop_recursive(4, 24, 5, |inner| {
        let pair = (select(&KEYS[..]), inner.clone()).prop_map(|(key, value)| format!("\"{key}\": {value}"));
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(|items| format!("[{}]", items.join(", "))),
            vec(pair, 0..6).prop_map(|pairs| format!("{{{}}}", pairs.join(", "))),
            (inner, select(&KEYS[..]), 1_usize..300).prop_map(|(inner, key, deep)| {
                format!("{}{inner}{}", format!("{{\"{key}\": [").repeat(deep), "]}".repeat(deep))
            }),
        ]
    })
}

/// What stands in a frame, length and all.
fn frame() -> impl Strategy<Value = Vec<u8>> {
    let result = json().prop_map(|result| format!("{{\"result\": {result}}}").into_bytes());
    let keys = vec((select(&KEYS[..]), json()), 1..6).prop_map(|pairs| {
        let pairs: Vec<String> =
            pairs.into_iter().map(|(key, value)| format!("\"{key}\": {value}")).collect();
        format!("{{\"result\": {{{}}}}}", pairs.join(", ")).into_bytes()
    });
    let changed =
        (select(&REAL[..]), vec((any::<Index>(), any::<u8>()), 0..4)).prop_map(|(real, changes)| {
            let mut bytes = real.as_bytes().to_vec();
            for (at, byte) in changes {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            bytes
        });
    let swapped = (select(&REAL[..]), any::<Index>(), json()).prop_map(|(real, which, json)| {
        let values: Vec<usize> = real.match_indices(": ").map(|(at, found)| at + found.len()).collect();
        let at = values[which.index(values.len())];
        let end = at + real[at..].find([',', '}']).unwrap_or(0);
        format!("{}{json}{}", &real[..at], &real[end..]).into_bytes()
    });
    let noise = vec(any::<u8>(), 0..60);
    let body = prop_oneof![3 => result, 4 => keys, 3 => changed, 4 => swapped, 1 => json().prop_map(String::into_bytes), 1 => noise];
    let lie = prop_oneof![8 => Just(None), 1 => any::<u32>().prop_map(Some), 1 => (0_u32..80).prop_map(Some)];
    (body, lie).prop_map(|(body, lie)| {
        let length = lie.unwrap_or(body.len() as u32).to_be_bytes();
        [&length[..], &body].concat()
    })
}

/// Every result that can be told from an error, read as each hook would.
fn judge(result: &Value) -> Result<(), TestCaseError> {
    for hook in Hook::ALL {
        let checked = check_result(hook, result);
        if let Err(CallError { message, .. }) = checked {
            prop_assert!(message.len() < 1000 && !message.contains(char::is_control), "{:?}", message);
            prop_assert!(!hook.returns_credentials() || !message.contains(SECRET), "{hook}: {:?}", message);
        }
    }
    let mut found = Vec::new();
    credentials(result, &mut |text| found.push(text.to_owned()));
    let masked = Masks::new(found.iter().map(String::as_str)).mask(&found.join(" "));
    prop_assert!(!found.iter().any(|text| text.contains(SECRET)) || !masked.contains(SECRET), "{}", masked);

    let mut cookies = Cookies::default();
    let absorbed = cookies.absorb(result);
    prop_assert!(cookies.cookie.is_object() && cookies.session_cookie.is_object());
    prop_assert!(absorbed.is_ok() || cookies == Cookies::default());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn no_frame_panics_and_no_refusal_tells_a_credential(frame in frame(), cut in any::<Index>()) {
        let mut whole = BytesMut::from(&frame[..]);
        let taken = split(&mut whole);
        // However the bytes come, they are the same frame.
        let (begin, rest) = frame.split_at(cut.index(frame.len() + 1));
        let mut received = BytesMut::from(begin);
        if let Ok(None) = split(&mut received) {
            received.extend_from_slice(rest);
            let again = split(&mut received);
            prop_assert_eq!(again.as_ref().ok(), taken.as_ref().ok());
        }
        match taken {
            Err(FrameError::TooLarge(length)) => prop_assert!(length > MAX_FRAME),
            Err(error) => prop_assert!(false, "{}", error),
            Ok(None) => prop_assert_eq!(&whole[..], &frame[..]),
            Ok(Some(body)) => {
                prop_assert_eq!(4 + body.len() + whole.len(), frame.len());
                let Ok(value) = serde_json::from_slice::<Value>(&body) else { return Ok(()) };
                judge(&value)?;
                match read_result(value) {
                    Ok(result) => judge(&result)?,
                    Err(CallError { message, traceback, .. }) => {
                        prop_assert!(message.chars().count() <= MAX_MESSAGE);
                        prop_assert!(traceback.is_none_or(|text| text.chars().count() <= MAX_TRACEBACK));
                    }
                }
            }
        }
    }
}

#[test]
fn the_real_frames_are_taken() {
    for real in REAL {
        let frame = serde_json::from_str::<Value>(real).unwrap();
        let read = read_result(frame.clone());
        assert_eq!(read.is_ok(), frame.get("result").is_some(), "{real}");
    }
}

#[test]
fn depth_surrogates_and_numbers_that_no_reader_holds_are_refused() {
    let deep = format!("{{\"result\": {}{}}}", "[".repeat(200), "]".repeat(200));
    for text in [&deep, r#"{"result": "\ud800"}"#, r#"{"result": 1e999}"#, r#"{"result": NaN}"#] {
        assert!(serde_json::from_str::<Value>(text).is_err(), "{text}");
    }
}
