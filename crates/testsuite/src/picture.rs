use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::python::from_environment;
use crate::{Input, keyward, run};

/// An animated picture of a recording, and Chromium and Python that look at it.
#[derive(Debug)]
pub struct Picture {
    folder: TempDir,
    file: PathBuf,
}

impl Picture {
    /// Of a recording, with more options of `keyward trail export`.
    #[track_caller]
    pub fn of(recording: &Path, options: &[&str]) -> Self {
        let folder = tempfile::Builder::new().prefix("kwt-picture-").tempdir().unwrap();
        let file = folder.path().join("session.svg");
        let words = ["trail", "export", "--as", "svg", "-o", file.to_str().unwrap()];
        let recording = recording.to_str().unwrap();
        keyward([&words, options, &[recording]].concat()).must_succeed();
        Self { folder, file }
    }

    #[track_caller]
    pub fn text(&self) -> String {
        fs::read_to_string(&self.file).unwrap()
    }

    /// The screens that it shows one after the other, a line for each row, each with its second.
    #[track_caller]
    pub fn frames(&self) -> Vec<(f64, String)> {
        serde_json::from_str(&self.python("frames", &[self.file.to_str().unwrap().to_owned()])).unwrap()
    }

    /// The colours of points (x, y) of what Chromium shows of it as an image in a page, `at` seconds from its beginning.
    #[track_caller]
    pub fn pixels(&self, at: f64, points: &[(u32, u32)]) -> Vec<[u8; 3]> {
        let folder = self.folder.path();
        let text = self.text();
        let length: f64 = text.split("dur=\"").nth(1).unwrap().split('s').next().unwrap().parse().unwrap();
        // So slow that where it stands does not depend on how fast this machine is.
        const SLOWLY: f64 = 1e8;
        let still = text
            .replace(&format!("dur=\"{length:.3}s\""), &format!("dur=\"{SLOWLY}s\""))
            .replace("begin=\"0s\"", &format!("begin=\"{:.1}s\"", -at / length * SLOWLY));
        fs::write(folder.join("still.svg"), still).unwrap();
        let page = "<!doctype html><style>body{margin:0}</style><img src=\"still.svg\">";
        fs::write(folder.join("page.html"), page).unwrap();
        let shot = folder.join("shot.png");
        let mut chromium = Command::new("chromium");
        chromium.args(["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run"]);
        chromium.args([
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--window-size=1000,800",
        ]);
        chromium.arg(format!("--user-data-dir={}", folder.join("profile").display()));
        chromium.arg(format!("--screenshot={}", shot.display()));
        chromium.arg(format!("file://{}", folder.join("page.html").display()));
        run(chromium.env("HOME", folder), Input::Nothing).must_succeed();
        let points = points.iter().map(|(x, y)| format!("{x},{y}"));
        let words: Vec<String> = [shot.to_str().unwrap().to_owned()].into_iter().chain(points).collect();
        serde_json::from_str(&self.python("pixels", &words)).unwrap()
    }

    #[track_caller]
    fn python(&self, command: &str, words: &[String]) -> String {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/picture.py");
        let mut python = Command::new(from_environment("KEYWARD_TEST_PEERS"));
        python.arg("-B").arg(script).arg(command).args(words);
        run(&mut python, Input::Nothing).text()
    }
}
