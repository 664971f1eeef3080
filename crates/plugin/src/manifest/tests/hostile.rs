//! Documents made to confuse: 10,000 real ones with changes, and as many of nothing but signs.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::*;

/// What is shipped, and one in each other form of YAML.
const REAL: [&str; 6] = [
    GOOD,
    include_str!("../../../../../examples/plugins/totp/MANIFEST"),
    include_str!("../../../../../examples/plugins/kv_vault/MANIFEST"),
    include_str!("../../../../../examples/plugins/radius_mfa/MANIFEST"),
    "{\"name\": \"Otp\", type: aa, 'version': '1.0', api: !!float 1.10, description: Asks, entry_point: main.py}\n",
    "%YAML 1.2\n---\nname: &n Otp\ntype: aa\nversion: 1.0\napi: 1.2.3\ndescription: >\n  two\n  lines\nother: [*n, {deep: *n}]\n...\n",
];

/// Pieces that mean something to a reader of YAML, or to one of its keys.
const PIECES: [&str; 30] = [
    "\n",
    "\t",
    "\0",
    "\u{feff}",
    "\u{2028}",
    "\u{1b}[31m",
    ": ",
    "- ",
    "? ",
    "&n ",
    "*n",
    "<<: ",
    "!!str ",
    "!!binary ",
    "[",
    "{",
    "\"",
    "'",
    "\"\\n",
    "\"\\ud800\"",
    "|\n",
    ">-\n",
    "---\n",
    "...\n",
    "# ",
    "name: Evil\n",
    "api: 1.99999999999999999999\n",
    "entry_point: ../main.py\n",
    "version: 1e999\n",
    "\"na\\nme\": 1\n",
];

#[derive(Clone, Debug)]
enum Change {
    Byte(Index, u8),
    Piece(Index, &'static str),
    Cut(Index, Index),
    /// A part once more, somewhere else, many times.
    Repeat(Index, Index, u16),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Change::Byte(at, byte)),
        (any::<Index>(), select(&PIECES[..])).prop_map(|(at, piece)| Change::Piece(at, piece)),
        (any::<Index>(), any::<Index>()).prop_map(|(from, to)| Change::Cut(from, to)),
        (any::<Index>(), any::<Index>(), 1_u16..40)
            .prop_map(|(from, to, times)| Change::Repeat(from, to, times)),
    ]
}

fn changed(real: &str, changes: &[Change]) -> Vec<u8> {
    let mut bytes = real.as_bytes().to_vec();
    for change in changes {
        let place = |at: &Index, bytes: &[u8]| at.index(bytes.len() + 1);
        match change {
            Change::Byte(at, byte) if !bytes.is_empty() => {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            Change::Byte(_, byte) => bytes.push(*byte),
            Change::Piece(at, piece) => {
                let at = place(at, &bytes);
                bytes.splice(at..at, piece.bytes());
            }
            Change::Cut(from, to) => {
                let (from, to) = (place(from, &bytes), place(to, &bytes));
                bytes.drain(from.min(to)..from.max(to));
            }
            Change::Repeat(from, to, times) => {
                let (from, to) = (place(from, &bytes), place(to, &bytes));
                let part = bytes[from.min(to)..from.max(to)].repeat((*times).into());
                bytes.splice(from..from, part);
            }
        }
    }
    bytes
}

/// A document is refused in one line that can be logged, or keeps each rule of contract section 1.
fn judge(bytes: &[u8]) -> Result<(), TestCaseError> {
    match Manifest::parse(bytes) {
        Err(error) => {
            let message = error.to_string();
            prop_assert!(!message.contains(char::is_control), "{:?}", message);
            prop_assert!(message.len() < 2000, "{} bytes: {:?}", message.len(), message);
        }
        Ok(manifest) => {
            let name = manifest.name.as_str();
            prop_assert!(name.starts_with(|c: char| c.is_ascii_alphabetic()) && name.len() >= 2);
            prop_assert!(name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'));
            prop_assert!(manifest.version.starts_with(|c: char| c.is_ascii_digit()));
            prop_assert!(!manifest.version.contains(char::is_control));
            prop_assert!(!manifest.description.trim().is_empty());
            let entry = manifest.entry_point.as_deref().unwrap_or("main.py");
            prop_assert!(entry.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)));
            prop_assert!(!matches!(entry, "" | "." | ".."));
            prop_assert!(manifest.author_email.as_deref().is_none_or(|author| author.contains('@')));
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn a_real_manifest_that_was_changed_is_refused_in_one_line_or_keeps_the_rules(
        real in select(&REAL[..]),
        changes in vec(change(), 1..6),
    ) {
        judge(&changed(real, &changes))?;
    }

    #[test]
    fn no_bytes_and_no_signs_panic(
        bytes in vec(any::<u8>(), 0..200),
        signs in "[a-c:\\[\\]{}&*!|>'\"%#~\\-, \n0-9.]{0,200}",
    ) {
        judge(&bytes)?;
        judge(signs.as_bytes())?;
    }
}
