//! What the documentation prints works as it is printed.

use std::fs;
use std::path::{Path, PathBuf};

use keyward_testsuite::{
    Account, Askpass, Gateway, GatewayPlan, Input, Run, SshClient, Sshd, keyward, keyward_in, plugin_python,
    run,
};
use tempfile::TempDir;

fn repository() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// README, `docs/` and the pages of the example plugins.
fn pages() -> Vec<PathBuf> {
    let files = |folder: &str| -> Vec<PathBuf> {
        let entries = fs::read_dir(repository().join(folder)).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    };
    let of_examples = files("examples/plugins").into_iter().map(|folder| folder.join("README.md"));
    let mut all = vec![repository().join("README.md")];
    all.extend(files("docs").into_iter().filter(|path| path.extension().is_some_and(|end| end == "md")));
    all.extend(of_examples.filter(|page| page.is_file()));
    all
}

/// The blocks of a page in one language, without the indentation of a list around them.
fn blocks(page: &Path, language: &str) -> Vec<String> {
    let text = fs::read_to_string(page).unwrap();
    let mut lines = text.lines();
    let mut found = Vec::new();
    while let Some(line) = lines.next() {
        let indent = line.len() - line.trim_start().len();
        if line.trim_start().strip_prefix("```") == Some(language) {
            let inside = lines.by_ref().take_while(|line| line.trim_start() != "```");
            let inside: Vec<&str> = inside.map(|line| line.get(indent..).unwrap_or_default()).collect();
            found.push(inside.join("\n") + "\n");
        }
    }
    found
}

/// The one block of a page that has `word`.
#[track_caller]
fn block(page: &str, language: &str, word: &str) -> String {
    let all = blocks(&repository().join(page), language);
    let mut with_word = all.into_iter().filter(|block| block.contains(word));
    let found = with_word.next().unwrap_or_else(|| panic!("{page} has no {language} with {word}"));
    assert_eq!(with_word.next(), None, "{page} has several");
    found
}

/// What a few printed tables are put before.
const SMALLEST: &str = r#"
[[channel-policy]]
name = "any"
[[channel-policy.rule]]
types = ["exec"]
[[connection]]
name = "any"
protocol = "ssh"
listen = ["127.0.0.1:2222"]
target = { fixed = "192.0.2.7:22" }
channel-policy = "any"
known-host-keys = []
ask-target-password = true
authentication = "any"
[[authentication]]
name = "any"
methods = ["password"]
"#;

#[test]
fn every_policy_document_that_is_printed_is_sound() {
    let folder = tempfile::tempdir().unwrap();
    // What documents name.
    for (name, text) in
        [("database.password", "word\n"), ("database-ca.pem", "-----BEGIN CERTIFICATE-----\n")]
    {
        fs::write(folder.path().join(name), text).unwrap();
    }
    let mut whole = 0;
    for page in pages() {
        for block in blocks(&page, "toml") {
            // A scenario: it has a test of its own.
            if block.contains("[[step]]") {
                continue;
            }
            let is_whole = block.contains("[node]")
                && (block.contains("[[connection]]") || block.contains("configuration = \"store\""));
            whole += usize::from(is_whole);
            let file = folder.path().join("policy.toml");
            fs::write(&file, if is_whole { block.clone() } else { format!("{block}\n{SMALLEST}") }).unwrap();
            let checked = keyward([Path::new("check"), &file]);
            assert!(checked.status.success(), "{}\n{block}{}", page.display(), checked.stderr);
        }
    }
    assert!(whole >= 2, "README and the plugin kit have one each");
}

#[test]
fn the_scenario_that_is_printed_can_be_played() {
    let folder = tempfile::tempdir().unwrap();
    let new = ["plugin", "new", "Some", "--type", "aa", "--plain"];
    run(&mut keyward_in(folder.path(), &new), Input::Nothing).must_succeed();
    let file = folder.path().join("Some/tests/printed.toml");
    fs::write(&file, block("docs/plugin-kit.md", "toml", "[[step]]")).unwrap();
    let words = ["plugin", "scenario", "Some/tests/printed.toml", "--environment", &environment()];
    let played = run(&mut keyward_in(folder.path(), &words), Input::Nothing);
    // The plugin has another prompt and asks for another word, so that it does not pass.
    let told = String::from_utf8_lossy(&played.stdout).into_owned();
    assert!(told.contains("FAILED: A wrong word is refused"), "{told}\n{}", played.stderr);
    assert!(told.contains("expected the prompt \"Speak the word and enter: \""), "{told}");
}

#[test]
fn every_command_that_is_printed_exists_with_its_options() {
    let mut count = 0;
    for page in pages() {
        for block in blocks(&page, "sh") {
            let lines = block.lines().filter_map(|line| line.split('|').find(|part| is_ours(part)));
            for line in lines {
                exists(&page, line.trim());
                count += 1;
            }
        }
    }
    assert!(count > 20, "{count}");
}

fn is_ours(line: &str) -> bool {
    line.trim_start().starts_with("keyward ")
}

/// Asks for the help of the command, and looks for each option in it.
#[track_caller]
fn exists(page: &Path, line: &str) {
    let line = line.split_once(" #").map_or(line, |(command, _)| command);
    let words: Vec<&str> = line.split_whitespace().skip(1).collect();
    let nested = ["plugin", "environment", "session", "trail", "user"];
    let depth = if nested.contains(&words[0]) { 2 } else { 1 };
    let mut help = words[..depth].to_vec();
    help.push("--help");
    let help = keyward(help);
    assert!(help.status.success(), "{}: {line}\n{}", page.display(), help.stderr);
    let help = help.text();
    let options = words.iter().filter(|word| word.starts_with('-') && **word != "-");
    for option in options.map(|word| word.split('=').next().unwrap()) {
        // A value that may be left out stands in brackets behind the option.
        let is_there = help.split([' ', ',', '\n', '[']).any(|word| word == option);
        assert!(is_there, "{}: {line}: no {option} in\n{help}", page.display());
    }
}

fn environment() -> String {
    format!("python3={}", plugin_python().display())
}

/// A gateway with a printed document, in front of a server that has an account with a password.
struct Tutorial {
    gateway: Gateway,
    account: Account,
    _sshd: Sshd,
    _folder: TempDir,
}

impl Tutorial {
    #[track_caller]
    fn open(document: &str, folder: TempDir, bundle: &str) -> Self {
        let (sshd, account) = (Sshd::start(), Account::create());
        let environment =
            format!("[[environment]]\nname = \"python3\"\npython = \"{}\"\n", plugin_python().display());
        let printed =
            "[[environment]]\nname = \"python3\"\npython = \"/home/me/keyward-python/bin/python\"\n";
        let document = match document.contains("[[environment]]") {
            true => document.replace(printed, &environment),
            false => format!("{document}\n{environment}"),
        };
        let filled = document
            .replace("/var/lib/keyward", "@data@")
            .replace("127.0.0.1:2222", "127.0.0.1:@port:ssh@")
            .replace("192.0.2.7:22", &sshd.addr().to_string())
            .replace("192.0.2.7", &sshd.addr().ip().to_string())
            .replace("remote-user = \"root\"", &format!("remote-user = \"{}\"", account.name));
        assert!(!filled.contains("/home/me") && !filled.contains("192.0.2."), "{filled}");
        let gateway = GatewayPlan::new(&filled).upload(&folder.path().join(bundle)).start();
        Self { gateway, account, _sshd: sshd, _folder: folder }
    }

    fn log_in(&self, word: &str) -> (Run, Vec<String>) {
        let askpass = Askpass::new(&[word, &self.account.password]);
        let client = SshClient::of_a_person(self.gateway.addr("ssh"), &self.account.name, None, &askpass);
        (client.exec("echo in"), askpass.prompts())
    }

    #[track_caller]
    fn asks_for_the_word_then_for_the_servers_password(&self) {
        let (run, prompts) = self.log_in("please");
        assert_eq!(run.text(), "in\n", "{}\n{}", run.stderr, self.gateway.log().join("\n"));
        assert_eq!(prompts.len(), 2, "{prompts:?}");
        assert!(prompts[0].ends_with("The word: "), "{prompts:?}");
        assert!(prompts[1].ends_with(&format!("Password of {} on the server: ", self.account.name)));
        let (run, _) = self.log_in("now");
        assert!(run.stderr.contains("Access denied. That is not the word."), "{}", run.stderr);
    }
}

#[test]
fn the_plugin_of_the_readme_lets_people_log_in_with_the_document_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let hello = folder.path().join("hello");
    fs::create_dir(&hello).unwrap();
    fs::write(hello.join("MANIFEST"), block("README.md", "yaml", "name: HelloPlugin")).unwrap();
    fs::write(hello.join("main.py"), block("README.md", "python", "class Plugin")).unwrap();
    let checked = run(&mut keyward_in(folder.path(), &["plugin", "check", "hello/"]), Input::Nothing).text();
    assert!(checked.contains("hello/ is a sound bundle."), "{checked}");
    let words = ["plugin", "call", "hello/", "authenticate", "--args", "-"];
    let input = r#"{"key_value_pairs": {"word": "please"}}"#;
    let called = run(&mut keyward_in(folder.path(), &words), Input::Bytes(input.as_bytes().to_vec())).text();
    assert!(called.contains("ACCEPT"), "{called}");

    let tutorial = Tutorial::open(&block("README.md", "toml", "[node]"), folder, "hello");
    tutorial.asks_for_the_word_then_for_the_servers_password();
}

#[test]
fn the_tutorial_of_the_kit_ends_with_a_log_in() {
    let folder = tempfile::tempdir().unwrap();
    for words in [
        &["plugin", "new", "Doorkeeper", "--type", "aa"][..],
        &["plugin", "scenario", "Doorkeeper", "--environment", &environment()],
        &["plugin", "check", "Doorkeeper"],
        &["plugin", "pack", "Doorkeeper"],
    ] {
        run(&mut keyward_in(folder.path(), words), Input::Nothing).must_succeed();
    }
    let document = block("docs/plugin-kit.md", "toml", "[node]");
    let tutorial = Tutorial::open(&document, folder, "Doorkeeper-0.1.0.zip");
    tutorial.asks_for_the_word_then_for_the_servers_password();
}
