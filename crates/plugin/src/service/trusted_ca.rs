//! Trusted CA lists as directories of hashed PEM files, which OpenSSL finds certificates in (`X509_LOOKUP_hash_dir`).

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::CaList;
use super::x509_name::{issuer_hash, subject_hash};

/// Removes what an earlier run of the gateway has written.
pub(super) fn clear(dir: &Path) -> Result<(), (PathBuf, io::Error)> {
    let failed = |error| (dir.to_owned(), error);
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
    };
    for entry in entries {
        fs::remove_dir_all(entry.map_err(failed)?.path()).map_err(failed)?;
    }
    Ok(())
}

/// Writes a directory for each list, and returns what `get_trusted_ca_lists` answers. Another content of a list is
/// another directory: calls that were told of the one before go on reading it.
pub(super) fn write(lists: &BTreeMap<String, CaList>, dir: &Path) -> Result<Value, (PathBuf, io::Error)> {
    let mut answer = Map::new();
    for (name, list) in lists {
        let location = dir.join(address(name, list));
        if !location.exists() {
            all_at_once(&location, |folder| write_list(name, list, folder))
                .map_err(|error| (location.clone(), error))?;
        }
        let entry = json!({
            "certs": list.certs,
            "crls": list.crls,
            "config": {"strict_hostcheck": list.strict_host_check},
            "name": name,
            "type": "x509v3-sign-rsa",
            "location": location,
        });
        answer.insert(name.clone(), entry);
    }
    Ok(Value::Object(answer))
}

/// Makes a directory under its name once it is filled. Half a list would do harm: its certificates without the
/// revocation lists that belong to them.
fn all_at_once(location: &Path, fill: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
    let parent = location.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(parent)?;
    let draft = tempfile::Builder::new().prefix(".writing-").tempdir_in(parent)?;
    fill(draft.path())?;
    fs::set_permissions(draft.path(), fs::Permissions::from_mode(0o755))?;
    fs::rename(draft.path(), location)?;
    // It has another name now, under which it stays.
    let _ = draft.keep();
    Ok(())
}

fn write_list(name: &str, list: &CaList, location: &Path) -> io::Result<()> {
    let mut used = HashMap::new();
    let certs = list.certs.iter().map(|pem| (pem, subject_hash(pem), ""));
    let crls = list.crls.iter().map(|pem| (pem, issuer_hash(pem), "r"));
    for (n, (pem, hash, mark)) in certs.chain(crls).enumerate() {
        let file = match hash {
            Some(hash) => {
                let count: &mut u32 = used.entry((hash, mark)).or_default();
                *count += 1;
                format!("{hash:08x}.{mark}{}", *count - 1)
            }
            None => {
                tracing::warn!(
                    list = name,
                    number = n,
                    "an entry of a trusted CA list is no certificate or CRL in PEM"
                );
                format!("{n}.pem")
            }
        };
        let path = location.join(file);
        fs::write(&path, pem)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644))?;
    }
    Ok(())
}

/// Tells a list and its content from every other.
fn address(name: &str, list: &CaList) -> String {
    let mut hash = Sha256::new();
    let texts = |kind: &'static str, texts: &[String]| {
        texts.iter().map(|text| format!("{kind} {}:{text}", text.len())).collect::<String>()
    };
    hash.update(texts("name", &[name.to_owned()]));
    hash.update(texts("cert", &list.certs));
    hash.update(texts("crl", &list.crls));
    hex(&hash.finalize())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn a_list_that_cannot_be_written_to_its_end_is_not_there() {
        let folder = tempfile::tempdir().unwrap();
        let location = folder.path().join("lists/one");
        let full = |draft: &Path| {
            fs::write(draft.join("certificate"), "PEM")?;
            Err(io::Error::from(io::ErrorKind::StorageFull))
        };
        assert_eq!(all_at_once(&location, full).unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert_eq!(names(&folder.path().join("lists")), [""; 0]);

        all_at_once(&location, |draft| fs::write(draft.join("certificate"), "PEM")).unwrap();
        assert_eq!(
            (names(&folder.path().join("lists")), names(&location)),
            (vec!["one".to_owned()], vec!["certificate".to_owned()])
        );
        assert_eq!(fs::metadata(&location).unwrap().permissions().mode() & 0o777, 0o755);
    }
}
