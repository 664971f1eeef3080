//! What holds for all examples: they are good bundles, and their own tests pass.

use std::fs;
use std::path::PathBuf;

use keyward_testsuite::{keyward, plugin_python, shell};

use super::trial::examples;

fn each_example() -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = fs::read_dir(examples())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .collect();
    folders.sort();
    assert!(folders.len() >= 9, "{folders:?}");
    folders
}

#[test]
fn each_example_is_a_good_bundle_and_says_what_it_is() {
    for folder in each_example() {
        let checked = keyward(["plugin".as_ref(), "check".as_ref(), folder.as_os_str()]);
        checked.must_succeed();
        assert_eq!(checked.stderr, "", "{}", folder.display());
        let readme = fs::read_to_string(folder.join("README.md")).unwrap();
        let name = folder.file_name().unwrap().to_str().unwrap();
        assert!(readme.starts_with(&format!("# {name}\n")), "{}", folder.display());
    }
}

/// Run where the plugin runs, from the folder that its author has.
#[test]
fn the_unit_tests_of_each_example_pass() {
    let tested = each_example().into_iter().filter(|folder| folder.join("tests/__init__.py").exists());
    let tested: Vec<PathBuf> = tested.collect();
    assert!(tested.len() >= 6, "{tested:?}");
    for folder in tested {
        let discover =
            r#"cd "$1"; "$2" -B -m unittest discover --start-directory tests --top-level-directory ."#;
        let ran = shell(discover, &[folder.to_str().unwrap(), plugin_python().to_str().unwrap()]);
        assert!(ran.status.success(), "{}: {}", folder.display(), ran.stderr);
        assert!(!ran.stderr.contains("Ran 0 tests"), "{}: {}", folder.display(), ran.stderr);
    }
}

/// The syntax that the oldest Python 3 of the contract understands (section 2), as far as a newer one can tell.
#[test]
fn each_example_keeps_to_the_syntax_of_python_3_6() {
    const PARSE: &str = "
import ast, pathlib, sys
paths = sorted(pathlib.Path(sys.argv[1]).rglob('*.py'))
for path in paths:
    ast.parse(path.read_text(encoding='utf-8'), str(path), feature_version=(3, 6))
print(len(paths))
";
    let words = [plugin_python(), PARSE.into(), examples()];
    let words = words.each_ref().map(|word| word.to_str().unwrap());
    let parsed = shell(r#""$1" -c "$2" "$3""#, &words);
    assert!(parsed.text().trim().parse::<u32>().unwrap() >= 20);
}
