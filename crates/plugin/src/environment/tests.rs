//! Against interpreters: the system's, and small programs that play bad ones.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use super::*;

/// A program that the tests put in the place of an interpreter.
#[expect(clippy::disallowed_methods, reason = "see the comment on `cp`")]
fn program(folder: &Path, script: &str) -> PathBuf {
    let (draft, path) = (folder.join("draft"), folder.join("python"));
    fs::write(&draft, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&draft, fs::Permissions::from_mode(0o755)).unwrap();
    // Copied by another process: a file that this one had open for writing might be busy, because a test beside
    // this one may just be starting a program, which holds all open files for a moment.
    assert!(std::process::Command::new("cp").args([&draft, &path]).status().unwrap().success());
    path
}

async fn probe(script: &str) -> Result<Environment, String> {
    let folder = tempfile::tempdir().unwrap();
    Environment::probe("test", &program(folder.path(), script)).await.map_err(|error| error.to_string())
}

/// An interpreter of the system, wherever it is.
fn python3() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap();
    let found = std::env::split_paths(&path).map(|folder| folder.join("python3")).find(|file| file.is_file());
    found.expect("these tests need python3 on the search path: apt-get install python3 python3-venv")
}

#[tokio::test]
async fn an_interpreter_is_asked_for_its_version() {
    let found = Environment::probe("system", &python3()).await.unwrap();
    assert_eq!(found.name, "system");
    assert!(found.version >= PythonVersion::MINIMUM);
    assert!(found.python.is_absolute());
}

#[tokio::test]
async fn the_interpreter_behind_a_script_of_a_version_manager_is_the_one_that_runs_plugins() {
    let folder = tempfile::tempdir().unwrap();
    let shim = program(folder.path(), &format!("exec '{}' \"$@\"", python3().display()));
    let found = Environment::probe("shim", &shim).await.unwrap();
    assert_ne!(found.python, shim);
    let mut start = [0; 2];
    std::io::Read::read_exact(&mut fs::File::open(&found.python).unwrap(), &mut start).unwrap();
    assert_ne!(&start, b"#!", "{}", found.python.display());
    let again = Environment::probe("shim", &found.python).await.unwrap();
    assert_eq!(again.python, found.python);
}

#[tokio::test]
async fn the_api_is_that_of_the_sdk_or_of_the_host() {
    let answer = |sdk: &str| format!(r#"echo noise; echo '{{"version": [3, 11, 7], "sdk": {sdk}}}'"#);
    let with = probe(&answer("\"1.7.2\"")).await.unwrap();
    assert_eq!((with.sdk.as_deref(), with.api.to_string().as_str()), (Some("1.7.2"), "1.7"));
    let without = probe(&answer("null")).await.unwrap();
    assert_eq!((without.sdk, without.api), (None, ApiVersion::HOST));
    assert!(probe(&answer("\"new\"")).await.unwrap_err().contains("version \"new\" cannot be read"));
}

#[tokio::test]
async fn the_sdk_is_found_without_importing_it() {
    let folder = tempfile::tempdir().unwrap();
    let packages = folder.path().join("packages");
    fs::create_dir_all(packages.join("safeguard")).unwrap();
    fs::write(packages.join("safeguard/__init__.py"), "raise SystemExit('imported')").unwrap();
    fs::create_dir(packages.join("OneIdentity_safeguard-sessions.plugin_sdk-0.0.dist-info")).unwrap();
    fs::create_dir(packages.join("oneidentity_safeguard_sessions_plugin_sdk-1.8.3.dist-info")).unwrap();
    let python = python3();
    // `-E` drops PYTHONPATH, so the question is asked with the search path put in front of it.
    let script = format!(
        "shift 4\nexec '{}' -S -c \"import sys; sys.path.insert(0, '{}')\n$1\"",
        python.display(),
        packages.display()
    );
    let found = Environment::probe("sdk", &program(folder.path(), &script)).await.unwrap();
    assert_eq!(found.sdk.as_deref(), Some("1.8.3"));
}

#[tokio::test]
async fn an_interpreter_that_is_too_old_is_refused() {
    for (version, fits) in [
        ("2, 5, 6", false),
        ("2, 6, 4", false),
        ("2, 6, 5", true),
        ("2, 7, 18", true),
        ("3, 1, 0", false),
        ("3, 5, 10", false),
        ("3, 6, 6", false),
        ("3, 6, 7", true),
        ("3, 13, 0", true),
    ] {
        let found = probe(&format!("echo '{{\"version\": [{version}], \"sdk\": null}}'")).await;
        assert_eq!(found.is_ok(), fits, "{version}");
        if let Err(message) = found {
            let version = version.replace(", ", ".");
            let told = format!(
                "is Python {version}: plugins need 3.6.7 or later, those for Python 2 2.6.5 or later"
            );
            assert!(message.ends_with(&told), "{message}");
        }
    }
}

#[tokio::test]
async fn what_is_no_interpreter_is_told() {
    assert!(
        probe("echo 'no such option' >&2; exit 2")
            .await
            .unwrap_err()
            .contains("Python interpreter: no such option")
    );
    assert!(probe("true").await.unwrap_err().ends_with("it wrote nothing"));
    assert!(probe("printf '\\033[31mred'").await.unwrap_err().ends_with("interpreter: [31mred"));
    assert!(probe("yes | head -c 1000000").await.unwrap_err().len() < 2000);
    let error = Environment::probe("none", Path::new("/nowhere/python")).await.unwrap_err();
    assert_eq!(error.to_string(), "cannot start /nowhere/python: give the path of a Python interpreter");
}

#[tokio::test]
async fn an_interpreter_gets_a_clean_environment() {
    let message = probe("env >&2; exit 1").await.unwrap_err();
    assert!(
        message.contains("LANG=C.UTF-8") && !message.contains("CARGO") && !message.contains("HOME="),
        "{message}"
    );
}

#[tokio::test]
async fn what_runs_too_long_is_killed_with_all_that_it_started() {
    let folder = tempfile::tempdir().unwrap();
    let python = program(folder.path(), "sleep 1000 & echo $! > \"$(dirname \"$0\")/child\"; sleep 1000");
    let error = run::run(run::clean(&python), "waiting", Duration::from_secs(5)).await.unwrap_err();
    assert_eq!(error.to_string(), "waiting took longer than 5 seconds and was stopped");
    let child = fs::read_to_string(folder.path().join("child")).unwrap();
    for _ in 0..500 {
        if has_ended(child.trim()) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{child} still runs");
}

/// Gone, or waiting to be reaped by whoever has adopted it.
fn has_ended(pid: &str) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).map_or(true, |stat| stat.contains(") Z "))
}

async fn create(script: &str) -> (String, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let python = program(folder.path(), script);
    let mut told = Vec::new();
    let error =
        create_environment(&python, &folder.path().join("new"), |line| told.push(line.to_owned())).await;
    assert!(!folder.path().join("new").exists());
    (error.unwrap_err().to_string(), told)
}

const ANSWERS: &str = r#"case "$*" in *-c*) echo '{"version": [3, 11, 2], "sdk": null}'; exit;; esac"#;

#[tokio::test]
async fn an_existing_directory_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let python = program(folder.path(), ANSWERS);
    let error = create_environment(&python, folder.path(), |_| {}).await.unwrap_err().to_string();
    assert!(error.contains("is there already"), "{error}");
    assert!(python.exists());
    let error = create_environment(&python, Path::new("/nowhere/new"), |_| {}).await.unwrap_err();
    assert_eq!(error.to_string(), "cannot make the directory /nowhere/new");
}

#[tokio::test]
async fn a_missing_venv_module_names_the_package() {
    for sign in
        ["ensurepip is not available.", "No module named venv", "No module named '\"'\"'ensurepip'\"'\"'"]
    {
        let (error, _) = create(&format!("{ANSWERS}\necho '{sign}'\nexit 1")).await;
        assert!(
            error.contains("apt-get install python3-venv") && error.contains("python3.11-venv"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_failed_creation_leaves_nothing_behind() {
    let (error, told) = create(&format!("{ANSWERS}\necho broken >&2\nexit 3")).await;
    assert_eq!(error, "making the virtual environment failed: broken");
    assert_eq!(told.len(), 1);
    let installs = "mkdir -p \"$4/bin\"; printf '#!/bin/sh\\necho no registry; exit 1' > \"$4/bin/python\"; chmod +x \"$4/bin/python\"";
    let (error, told) = create(&format!("{ANSWERS}\n{installs}")).await;
    assert_eq!(error, "installing the modules that plugins may assume failed: no registry");
    assert_eq!(told.len(), 2);
}

/// What python-ldap lacks where this stands in the place of the compiler.
async fn lacking(compiler: &str) -> Vec<String> {
    let (folder, compilers) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let compiler = program(compilers.path(), compiler);
    let script = format!("CC='{}' exec '{}' \"$@\"", compiler.display(), python3().display());
    let version = PythonVersion { major: 3, minor: 11, micro: 2 };
    native::lacking(&program(folder.path(), &script), version).await.unwrap()
}

#[tokio::test]
async fn what_python_ldap_lacks_is_named_by_its_package() {
    assert_eq!(lacking("exit 0").await, Vec::<String>::new());
    assert_eq!(lacking("! grep -q -e '<ldap.h>'").await, ["libldap2-dev"]);
    assert_eq!(lacking("! grep -q -e Python.h -e sasl.h").await, ["libsasl2-dev", "python3.11-dev"]);
    assert_eq!(lacking("exit 1").await, ["libc6-dev", "libldap2-dev", "libsasl2-dev", "python3.11-dev"]);
}

#[tokio::test]
async fn without_a_compiler_gcc_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let script = format!("CC=/nowhere/cc exec '{}' \"$@\"", python3().display());
    let version = PythonVersion { major: 3, minor: 11, micro: 2 };
    let lacking = native::lacking(&program(folder.path(), &script), version).await.unwrap();
    assert!(lacking.contains(&"gcc".to_owned()), "{lacking:?}");
}

#[tokio::test]
async fn each_module_that_plugins_may_assume_is_imported() {
    let folder = tempfile::tempdir().unwrap();
    let packages = folder.path().join("packages");
    let add = |name: &str, text: &str| {
        let path = packages.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    add("yaml.py", "print('noise')\n__version__ = '6.0.3'\n");
    add("requests.py", "__version__ = '2.10.0'\n");
    add("urllib3.py", "raise RuntimeError('broken\\x1b[31m')\n");
    let script = format!(
        "shift 3\nshift\nq=\"$1\"; shift\nexec '{}' -S -c \"import sys; sys.path.insert(0, '{}')\n$q\" \"$@\"",
        python3().display(),
        packages.display()
    );
    let environment = Environment {
        name: "test".to_owned(),
        python: program(folder.path(), &script),
        version: PythonVersion { major: 3, minor: 11, micro: 2 },
        sdk: None,
        api: ApiVersion::HOST,
    };
    let reports = environment.modules().await.unwrap();
    let of = |name: &str| reports.iter().find(|report| report.module.name == name).unwrap();
    assert_eq!((of("yaml").version.as_deref(), &of("yaml").problem), (Some("6.0.3"), &None));
    assert!(of("requests").problem.as_ref().unwrap().contains("2.10.0 is older than 2.18.4"));
    assert_eq!(of("urllib3").problem.as_deref(), Some("RuntimeError: broken[31m"));
    assert_eq!(of("ldap").problem.as_deref(), Some("ModuleNotFoundError: No module named 'ldap'"));
}

#[tokio::test]
async fn a_dropped_creation_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let python = program(folder.path(), &format!("{ANSWERS}\nsleep 1000"));
    let new = folder.path().join("new");
    let made = create_environment(&python, &new, |_| {});
    tokio::select! {
        _ = made => panic!("it cannot end"),
        () = async { while !new.exists() { tokio::task::yield_now().await } } => {}
    }
    assert!(!new.exists());
}
