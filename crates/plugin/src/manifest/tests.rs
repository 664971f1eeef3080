mod hostile;

use super::*;

const GOOD: &str = "name: Otp\ntype: aa\nversion: 1.0\napi: 1.10\ndescription: Asks\nentry_point: main.py\n";

fn parse(text: &str) -> Result<Manifest, String> {
    Manifest::parse(text.as_bytes()).map_err(|error| error.to_string())
}

/// The good document with the line of `key` replaced, or taken out when `line` is empty.
fn with(key: &str, line: &str) -> String {
    let kept = GOOD.lines().filter(|l| !l.starts_with(&format!("{key}:")));
    kept.chain([line]).filter(|l| !l.is_empty()).map(|l| format!("{l}\n")).collect()
}

fn refusal(key: &str, line: &str) -> String {
    parse(&with(key, line)).unwrap_err()
}

#[test]
fn scalars_count_by_their_text() {
    let manifest = parse(GOOD).unwrap();
    assert_eq!(manifest.version, "1.0");
    assert_eq!(manifest.api, ApiVersion { major: 1, minor: 10 });
    assert_eq!(parse(&with("version", "version: 2020-01-01")).unwrap().version, "2020-01-01");
    assert_eq!(parse(&with("version", "version: \"1\\u002e10\"")).unwrap().version, "1.10");
    assert_eq!(parse(&with("name", "name: yes")).unwrap().name.as_str(), "yes");
    assert_eq!(parse(&with("description", "description: true")).unwrap().description, "true");
}

#[test]
fn every_form_of_yaml_says_the_same() {
    let flow = r#"{"name": "Otp", type: aa, 'version': '1.0', api: !!float 1.10, description: Asks, entry_point: main.py}"#;
    let marked = format!("\u{feff}%YAML 1.2\n---\n# a comment\n{GOOD}...\n");
    let windows = GOOD.replace('\n', "\r\n");
    let alias = with("name", "name: &n Otp\nother: [*n, {deep: *n}]");
    for text in [flow, &marked, &windows, &alias] {
        assert_eq!(parse(text), parse(GOOD), "{text}");
    }
    let folded = parse(&with("description", "description: >\n  two\n  lines")).unwrap();
    assert_eq!(folded.description, "two lines\n");
    let alias = parse(&with("description", "description: &d same\nauthor: *d")).unwrap();
    assert_eq!(alias.description, "same");
}

#[test]
fn every_required_key_is_missed_by_name() {
    for key in ["name", "type", "version", "api", "description"] {
        let message = refusal(key, "");
        assert!(message.starts_with(&format!("MANIFEST has no key `{key}`: it must be ")), "{message}");
        for empty in ["", "~", "null", "''", "\"  \""] {
            let message = refusal(key, &format!("{key}: {empty}"));
            assert!(message.starts_with(&format!("MANIFEST key `{key}` is empty: it must be ")), "{message}");
        }
        for (found, value) in [("a list", "[1]"), ("a mapping", "{a: 1}")] {
            let message = refusal(key, &format!("{key}: {value}"));
            assert!(message.contains(&format!("the key `{key}` holds {found}: it must be ")), "{message}");
        }
    }
}

#[test]
fn a_quoted_null_is_a_text() {
    assert_eq!(parse(&with("description", "description: \"null\"")).unwrap().description, "null");
    assert_eq!(parse(&with("description", "description: !!str ~")).unwrap().description, "~");
}

#[test]
fn names_follow_their_rule() {
    for good in ["Ab", "a1", "A_", "aZ09_"] {
        assert!(parse(&with("name", &format!("name: {good}"))).is_ok(), "{good}");
    }
    for bad in ["A", "1a", "_a", "a-b", "a b", "é1", "a.b", "12"] {
        let message = refusal("name", &format!("name: {bad}"));
        assert!(
            message.starts_with(&format!("MANIFEST key `name` has the value {bad:?}: it must be a letter"))
        );
    }
}

#[test]
fn the_type_is_one_of_four() {
    for kind in PluginKind::ALL {
        assert_eq!(parse(&with("type", &format!("type: {kind}"))).unwrap().kind, kind);
    }
    assert_eq!(
        refusal("type", "type: AA"),
        "MANIFEST key `type` has the value \"AA\": it must be one of aa, credentialstore, signingca, configuration_sync"
    );
}

#[test]
fn a_version_begins_with_a_digit() {
    assert!(refusal("version", "version: v1.0").contains("key `version` has the value \"v1.0\""));
    assert!(refusal("version", "version: \"1\\n2\"").contains("one line"));
    assert_eq!(parse(&with("version", "version: 1.0-beta~2")).unwrap().version, "1.0-beta~2");
}

#[test]
fn an_api_is_two_or_three_numbers() {
    assert_eq!(parse(&with("api", "api: 1.2.99")).unwrap().api.to_string(), "1.2");
    for bad in ["1", "1.x", "-1.2", "1.2.3.4", "1e3", ".9"] {
        assert!(refusal("api", &format!("api: {bad}")).contains(&format!("key `api` has the value {bad:?}")));
    }
}

#[test]
fn no_entry_point_is_no_error_but_an_empty_or_strange_one_is() {
    assert_eq!(parse(&with("entry_point", "")).unwrap().entry_point, None);
    assert!(refusal("entry_point", "entry_point:").contains("key `entry_point` is empty"));
    assert!(refusal("entry_point", "entry_point: [main.py]").contains("holds a list"));
    for bad in ["lib/main.py", "..", ".", "main py", "a\\\\b"] {
        let message = refusal("entry_point", &format!("entry_point: \"{bad}\""));
        assert!(message.contains("key `entry_point` has the value"), "{message}");
    }
}

#[test]
fn an_author_must_look_like_an_address() {
    for good in ["a@b", "first.last+x@mail.example.com"] {
        assert_eq!(
            parse(&with("x", &format!("author_email: {good}"))).unwrap().author_email.as_deref(),
            Some(good)
        );
    }
    for none in ["", "''", "~"] {
        assert_eq!(parse(&with("x", &format!("author_email: {none}"))).unwrap().author_email, None);
    }
    for bad in ["nobody", "\"@b\"", "a@", "a@b@c", "a b@c", "a@b..c"] {
        assert!(refusal("x", &format!("author_email: {bad}")).contains("key `author_email` has the value"));
    }
    assert!(refusal("x", "author_email: [a@b]").contains("holds a list"));
}

#[test]
fn product_versions_are_shown_and_never_refused() {
    let read = |lines: &str| {
        let (manifest, warnings) = Manifest::parse_with_warnings(with("x", lines).as_bytes()).unwrap();
        let warnings: Vec<String> = warnings.iter().map(ToString::to_string).collect();
        (manifest.min_version, manifest.max_version, warnings.join("; "))
    };
    assert_eq!(
        read("scb_min_version: 5.10\nscb_max_version: 6.0~"),
        (Some("5.10".into()), Some("6.0~".into()), String::new())
    );
    assert_eq!(read("scb_min_version: 5\nscb_max_version: 5.0").2, "");
    for (min, max) in [("6.0", "5.11.0~"), ("5.11.0", "5.11~")] {
        let warnings = read(&format!("scb_min_version: {min}\nscb_max_version: {max}")).2;
        assert!(warnings.contains("contradict"), "{warnings}");
    }
    assert!(read("scb_min_version: soon").2.contains("\"soon\""));
    assert!(read("scb_min_version: [1]").2.contains("scb_min_version"));
    assert_eq!(read("scb_min_version:").2, "");
}

#[test]
fn other_keys_are_ignored() {
    let more = with("x", "author_name: Ann\n12: {a: [1, 2]}\n<<: {name: Evil}\nscb: |\n  a: b\n   c");
    assert_eq!(parse(&more), parse(GOOD));
}

#[test]
fn a_broken_document_is_refused_with_line_and_column() {
    let message = parse("name: name: X\n").unwrap_err();
    assert!(message.starts_with("MANIFEST is no YAML at line 1, column "), "{message}");
    let message = parse(&with("x", "other: a: b")).unwrap_err();
    assert!(message.starts_with("MANIFEST is no YAML at line 7, column "), "{message}");
    for broken in ["name: [", "a: *b", "\"", "a: b\n c: d\n", "{a: b", "a: @b", "a: %b\n- c"] {
        let message = parse(broken).unwrap_err();
        assert!(
            message.contains("line 1") || message.contains("line 2") || message.contains("line 3"),
            "{message}"
        );
    }
}

#[test]
fn a_document_is_one_mapping_of_texts() {
    assert!(parse("").unwrap_err().contains("is empty"));
    assert!(parse("# nothing\n").unwrap_err().contains("is empty"));
    assert!(parse("- a\n").unwrap_err().contains("a mapping is wanted"));
    assert!(parse("Otp\n").unwrap_err().contains("a mapping is wanted"));
    assert!(parse(&format!("{GOOD}---\na: b\n")).unwrap_err().contains("a second document"));
    assert!(parse("[a]: b\n").unwrap_err().contains("a key must be a text"));
    assert!(parse(&with("x", "a: !python/object:os.system x")).unwrap_err().contains("a tag"));
    assert!(refusal("name", "name: Ab\nname: Cd").contains("the key `name` is there twice"));
    let twice = with("x", "\"a\\n\\eb\": 1\n\"a\\n\\eb\": 2");
    assert!(parse(&twice).unwrap_err().contains(r"the key `a\n\u{1b}b` is there twice"));
}

#[test]
fn a_hostile_document_is_bounded() {
    assert!(parse(&"a".repeat(Manifest::MAX_BYTES + 1)).unwrap_err().contains("65537 bytes"));
    assert!(parse(&"[".repeat(60_000)).is_err());
    assert!(parse(&format!("a: {}", "{a: ".repeat(10_000))).is_err());
    assert!(parse(&"- ".repeat(30_000)).is_err());
    assert_eq!(Manifest::parse(b"name: \xff").unwrap_err(), ManifestError::NotUtf8 { offset: 6 });
    let shared = format!(
        "{}a: &a {}\n{}",
        GOOD,
        "x".repeat(20_000),
        (0..2_000).map(|n| format!("k{n}: *a\n")).collect::<String>()
    );
    assert_eq!(parse(&shared), parse(GOOD));
    let message = refusal("name", &format!("name: {}", "-a".repeat(5_000)));
    assert!(message.len() < 400, "{}", message.len());
}
