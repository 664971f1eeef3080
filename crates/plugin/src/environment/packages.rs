//! What is installed into a new environment: the modules of contract section 2, in versions that were tried.
//!
//! Each list names every package that is needed, down to the last requirement, with its version and the hashes of its
//! files: pip takes nothing else, whatever a registry serves. The SDK's own requirements are left out: most are for its
//! tests, and of the others `requests` is all that it needs.

use super::PythonVersion;

macro_rules! list {
    ($name:literal) => {
        include_str!(concat!("requirements/", $name, ".txt"))
    };
}

/// Lists in the form of pip's requirement files.
#[derive(Clone, Copy, Debug)]
pub(super) struct Packages {
    pub(super) modules: &'static str,
    /// A newer pip, where the interpreter's own does not know the wheels of these packages.
    pub(super) pip: Option<&'static str>,
    /// What has no wheels. Plugins for Python 2 do not expect it.
    pub(super) ldap: Option<Built>,
}

/// A package that is built here, and what builds it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Built {
    pub(super) package: &'static str,
    pub(super) tools: &'static str,
}

/// What makes environments of Python 2.7, in a Python 3.8 or later.
pub(super) const VIRTUALENV: &str = list!("virtualenv");

const LDAP: &str = list!("python-ldap-3.4.5");
const OLDER_LDAP: &str = list!("python-ldap-3.4.4");

impl Packages {
    pub(super) fn of(version: PythonVersion) -> Self {
        let built = |package, tools| Some(Built { package, tools });
        match (version.major, version.minor) {
            (2, _) => Self { modules: list!("python2.7"), pip: None, ldap: None },
            (3, 6) => Self {
                modules: list!("python3.6"),
                pip: Some(list!("pip-python3.6")),
                ldap: built(OLDER_LDAP, list!("build-python3.6")),
            },
            (3, 7) => Self {
                modules: list!("python3.7"),
                pip: None,
                ldap: built(OLDER_LDAP, list!("build-python3.6")),
            },
            (3, 8) => {
                Self { modules: list!("python3.8"), pip: None, ldap: built(LDAP, list!("build-python3.8")) }
            }
            _ => Self { modules: list!("python3.9"), pip: None, ldap: built(LDAP, list!("build-python3.9")) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_package_is_pinned_and_hashed() {
        let versions = [(2, 7), (3, 6), (3, 7), (3, 8), (3, 9), (3, 13)];
        let packages = versions.map(|(major, minor)| Packages::of(PythonVersion { major, minor, micro: 18 }));
        let mut lists = vec![VIRTUALENV];
        for packages in packages {
            lists.extend([Some(packages.modules), packages.pip].into_iter().flatten());
            lists.extend(packages.ldap.into_iter().flat_map(|built| [built.package, built.tools]));
        }
        for list in lists {
            let lines = list.lines().filter(|line| !line.starts_with('#'));
            let text = lines.collect::<Vec<_>>().join("\n").replace("\\\n", "");
            assert!(!text.is_empty());
            for requirement in text.lines() {
                let mut words = requirement.split_whitespace();
                let name = words.next().unwrap();
                assert!(name.contains("=="), "{name}");
                let hashes: Vec<&str> = words.collect();
                assert!(!hashes.is_empty(), "{name}");
                for hash in hashes {
                    let digits = hash.strip_prefix("--hash=sha256:").unwrap();
                    assert!(digits.len() == 64 && digits.bytes().all(|b| b.is_ascii_hexdigit()), "{hash}");
                }
            }
        }
    }
}
