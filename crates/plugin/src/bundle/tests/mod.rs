mod disk;
mod hostile;
mod mutations;
mod raw_zip;
mod rules;
mod verify;

use super::*;
use raw_zip::{Part, zip};

const MANIFEST: &str =
    "name: Otp\ntype: aa\nversion: 1.0\napi: 1.2\ndescription: Asks\nentry_point: main.py\n";
const MAIN: &str = "#!/usr/bin/env pluginwrapper3\nclass Plugin:\n    pass\n";

/// A good bundle and what a test adds to it.
fn bundle_with(more: impl IntoIterator<Item = Part>) -> Vec<u8> {
    zip([Part::file("MANIFEST", MANIFEST), Part::file("main.py", MAIN)].into_iter().chain(more))
}

fn refusal(archive: &[u8]) -> String {
    let error = Bundle::inspect(archive).unwrap_err();
    let mut message = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        message.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    // Whatever is refused leaves nothing behind.
    let parent = tempfile::tempdir().unwrap();
    assert!(Bundle::unpack(archive, &parent.path().join("bundle")).is_err(), "{message}");
    assert_eq!(parent.path().read_dir().unwrap().count(), 0, "{message}");
    message
}
