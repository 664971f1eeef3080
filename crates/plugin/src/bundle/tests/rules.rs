//! The rules of contract section 1, one by one.

use super::*;

fn bundle(manifest: &str, main: &str) -> Vec<u8> {
    zip([Part::file("MANIFEST", manifest), Part::file("main.py", main)])
}

#[test]
fn a_good_bundle_is_described() {
    let archive = bundle_with([
        Part::folder("lib/"),
        Part::file("lib/__init__.py", ""),
        Part::file("default.cfg", "[otp]\n"),
    ]);
    let found = Bundle::inspect(&archive).unwrap();
    assert_eq!(found.manifest.name.as_str(), "Otp");
    assert_eq!(found.default_configuration.as_deref(), Some("[otp]\n"));
    assert_eq!(found.python, PythonMajor::Three);
    assert_eq!(found.entry, "main.py");
    assert_eq!(found.warnings, []);
    assert_eq!(found.checksum.len(), 64);
}

#[test]
fn the_checksum_is_that_of_the_archive() {
    assert_eq!(sha256(b"abc").unwrap(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

#[test]
fn an_archive_is_smaller_than_20_mib() {
    let limit = Bundle::MAX_ARCHIVE_BYTES as usize;
    let empty = bundle_with([Part::file("x", "")]).len();
    let sized = |bytes: usize| bundle_with([Part::file("x", vec![0; bytes - empty])]);
    assert!(Bundle::inspect(&sized(limit - 1)).is_ok());
    assert!(refusal(&sized(limit)).starts_with("the archive has 20971520 bytes: it must have fewer"));
}

#[test]
fn a_manifest_in_the_root_is_required() {
    assert!(
        refusal(&zip([Part::file("main.py", MAIN)])).starts_with("the bundle has no MANIFEST in its root")
    );
    assert!(refusal(&zip([Part::file("MANIFEST.yml", MANIFEST)])).contains("no MANIFEST"));
    assert!(refusal(&zip([Part::folder("MANIFEST/")])).contains("no MANIFEST"));
    let folder = zip([Part::file("otp/MANIFEST", MANIFEST), Part::file("otp/main.py", MAIN)]);
    assert!(refusal(&folder).contains("has \"otp/MANIFEST\": pack what is in that folder"));
    assert!(refusal(&bundle("name: name: X\n", MAIN)).contains("line 1, column"));
    assert!(
        refusal(&bundle(&"#".repeat(70_000), MAIN)).starts_with("entry \"MANIFEST\": it has more than 65536")
    );
}

#[test]
fn an_absent_entry_point_selects_python_2_and_main_py() {
    let manifest = MANIFEST.replace("entry_point: main.py\n", "");
    let found = Bundle::inspect(&bundle(&manifest, "class Plugin(object):\n    pass\n")).unwrap();
    assert_eq!((found.python, found.entry.as_str()), (PythonMajor::Two, "main.py"));
    assert!(refusal(&zip([Part::file("MANIFEST", manifest)])).contains("no file \"main.py\" in its root"));
}

#[test]
fn the_entry_point_is_a_file_of_the_root() {
    let manifest = MANIFEST.replace("main.py", "start.py");
    assert!(refusal(&bundle(&manifest, MAIN)).contains("no file \"start.py\" in its root"));
    let parts = [Part::file("MANIFEST", &manifest), Part::folder("start.py/")];
    assert!(refusal(&zip(parts)).contains("no file \"start.py\""));
    let parts = [Part::file("MANIFEST", &manifest), Part::file("start.py", MAIN)];
    assert_eq!(Bundle::inspect(&zip(parts)).unwrap().entry, "start.py");
}

#[test]
fn the_interpreter_is_the_plugin_wrapper() {
    let message = refusal(&bundle(MANIFEST, "#!/usr/bin/env python3\nclass Plugin: pass\n"));
    assert!(message.contains("first line \"#!/usr/bin/env python3\""), "{message}");
}

#[test]
fn a_plugin_class_that_cannot_be_seen_is_a_warning() {
    let found = Bundle::inspect(&bundle(MANIFEST, "#!/usr/bin/env pluginwrapper3\nx = 1\n")).unwrap();
    assert_eq!(found.warnings, [Warning::NoPluginSeen { entry: "main.py".into() }]);
}

#[test]
fn a_default_configuration_over_10_kib_is_a_warning() {
    let inspect =
        |bytes| Bundle::inspect(&bundle_with([Part::file("default.cfg", vec![b'#'; bytes])])).unwrap();
    assert!(inspect(10_240).default_configuration.is_some());
    let long = inspect(10_492);
    assert_eq!(long.default_configuration, None);
    assert_eq!(long.warnings, [Warning::DefaultConfigurationTooLong { bytes: 10_492 }]);
}

#[test]
fn a_default_configuration_is_utf_8() {
    let message = refusal(&bundle_with([Part::file("default.cfg", b"a = \xe9")]));
    assert_eq!(message, "entry \"default.cfg\" is not UTF-8 at byte 4: save it as UTF-8");
    let marked = bundle_with([Part::file("default.cfg", "\u{feff}[a]")]);
    assert_eq!(Bundle::inspect(&marked).unwrap().default_configuration.as_deref(), Some("[a]"));
}

#[test]
fn product_versions_are_warnings() {
    let manifest = format!("{MANIFEST}scb_min_version: 6.0\nscb_max_version: 5.0\n");
    assert_eq!(Bundle::inspect(&bundle(&manifest, MAIN)).unwrap().warnings.len(), 1);
}

#[test]
fn every_type_of_plugin_is_checked_alike() {
    for kind in crate::PluginKind::ALL {
        let manifest = MANIFEST.replace("type: aa", &format!("type: {kind}"));
        assert_eq!(Bundle::inspect(&bundle(&manifest, MAIN)).unwrap().manifest.kind, kind);
    }
}
