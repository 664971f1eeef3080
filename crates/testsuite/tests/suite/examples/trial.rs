//! An example plugin as its user tries it: its folder, a configuration, a state directory, one call after another.

use std::fs;
use std::path::{Path, PathBuf};

use keyward_testsuite::{keyward_reading, plugin_python};
use serde_json::{Map, Value, json};
use tempfile::TempDir;

/// The folder of an example.
pub(crate) fn example(name: &str) -> PathBuf {
    examples().join(name)
}

pub(crate) fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/plugins").canonicalize().unwrap()
}

/// One session with one plugin, as the gateway has it: cookies and answers are kept from call to call.
pub(crate) struct Trial {
    name: &'static str,
    folder: TempDir,
    arguments: Map<String, Value>,
    log: Vec<String>,
}

impl Trial {
    pub(crate) fn new(name: &'static str, configuration: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("kwt-trial-").tempdir().unwrap();
        fs::write(folder.path().join("plugin.cfg"), configuration).unwrap();
        fs::write(folder.path().join("policy.toml"), "").unwrap();
        fs::create_dir(folder.path().join("state")).unwrap();
        let arguments = json!({
            "session_id": "svc/3jcMYGgyyZL4YuqcBZhvsb/ssh:1",
            "protocol": "ssh",
            "connection_name": "ssh",
            "client_ip": "192.0.2.33",
            "client_port": 40022,
            "gateway_user": "alice",
            "gateway_username": "alice",
            "gateway_password": "",
            "gateway_groups": [],
            "server_username": "root",
            "server_ip": "10.20.0.7",
            "server_hostname": "db1.example.com",
            "server_port": 22,
            "key_value_pairs": {},
            "cookie": {},
            "session_cookie": {},
        });
        let Value::Object(arguments) = arguments else { unreachable!("it is an object") };
        Self { name, folder, arguments, log: Vec::new() }
    }

    /// With this policy document, for what the plugin asks of its gateway.
    pub(crate) fn policy(self, document: &str) -> Self {
        fs::write(self.folder.path().join("policy.toml"), document).unwrap();
        self
    }

    /// From the next call on with another configuration.
    pub(crate) fn configure(&self, configuration: &str) {
        fs::write(self.folder.path().join("plugin.cfg"), configuration).unwrap();
    }

    /// With another value of an argument.
    pub(crate) fn with(mut self, argument: &str, value: impl Into<Value>) -> Self {
        self.arguments.insert(argument.to_owned(), value.into());
        self
    }

    /// Another session with the same plugin and the same state directory.
    pub(crate) fn next_session(mut self, id: &str) -> Self {
        for empty in ["cookie", "session_cookie", "key_value_pairs"] {
            self.arguments.insert(empty.to_owned(), json!({}));
        }
        self.with("session_id", id)
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// The lines that the plugin has printed so far.
    pub(crate) fn log(&self) -> String {
        self.log.join("\n")
    }

    /// Calls a hook; gives its result, which must not be an error.
    #[track_caller]
    pub(crate) fn call(&mut self, hook: &str) -> Value {
        let called = self.called(hook);
        assert_eq!(called["error"], Value::Null, "{called:#}");
        called["result"].clone()
    }

    /// The message of the error that a call ends with.
    #[track_caller]
    pub(crate) fn fails(&mut self, hook: &str) -> String {
        let called = self.called(hook);
        called["error"]["message"].as_str().unwrap_or_else(|| panic!("no error: {called:#}")).to_owned()
    }

    #[track_caller]
    fn called(&mut self, hook: &str) -> Value {
        let path = |name: &str| self.folder.path().join(name).to_str().unwrap().to_owned();
        let example = example(self.name);
        let environment = format!("python3={}", plugin_python().display());
        let (configuration, policy, state) = (path("plugin.cfg"), path("policy.toml"), path("state"));
        let words = [
            ["plugin", "call"],
            [example.to_str().unwrap(), hook],
            ["--environment", &environment],
            ["--configuration", &configuration],
            ["--policy", &policy],
            ["--state-dir", &state],
            ["--args", "-"],
        ];
        let words = words.iter().flatten().copied().chain(["--json"]);
        let run = keyward_reading(words, &Value::Object(self.arguments.clone()).to_string());
        let called: Value =
            serde_json::from_slice(&run.stdout).unwrap_or_else(|error| panic!("{error}: {run:?}"));
        for cookie in ["cookie", "session_cookie"] {
            self.arguments.insert(cookie.to_owned(), called[cookie].clone());
        }
        let lines = called["log"].as_array().unwrap();
        self.log.extend(lines.iter().map(|line| line["line"].as_str().unwrap().to_owned()));
        called
    }

    /// Calls a hook until it asks no more, with one answer for each question; gives the prompts and the last result.
    #[track_caller]
    pub(crate) fn converse(&mut self, hook: &str, answers: &[&str]) -> (Vec<String>, Value) {
        let mut answers = answers.iter();
        let mut prompts = Vec::new();
        loop {
            let result = self.call(hook);
            if result["verdict"] != "NEEDINFO" {
                assert_eq!(answers.next(), None, "an answer that nobody asked for");
                return (prompts, result);
            }
            let [key, prompt] = [0, 1].map(|at| result["question"][at].as_str().unwrap().to_owned());
            let answer = answers.next().unwrap_or_else(|| panic!("no answer to {prompt:?}"));
            self.answer(&key, answer);
            prompts.push(prompt);
        }
    }

    /// Puts a pair among the answers, as a login string does.
    pub(crate) fn answer(&mut self, key: &str, answer: &str) {
        self.arguments["key_value_pairs"][key] = answer.into();
    }
}

/// The sentence that a refused person is told.
#[track_caller]
pub(crate) fn denied(result: &Value) -> &str {
    assert_eq!(result["verdict"], "DENY", "{result:#}");
    result["reason"].as_str().unwrap()
}
