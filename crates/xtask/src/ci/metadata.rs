use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::program;
use crate::workspace::Workspace;

/// The resolved packages and their arrows, for the platform that releases are made for.
pub(crate) struct Metadata {
    packages: BTreeMap<String, Package>,
    members: Vec<String>,
}

pub(crate) struct Package {
    pub(crate) name: String,
    /// Where it comes from; `None` for the workspace's own.
    pub(crate) source: Option<String>,
    arrows: Vec<Arrow>,
}

struct Arrow {
    to: String,
    shipped: bool,
}

/// Which arrows count.
#[derive(Clone, Copy)]
pub(crate) enum Arrows {
    /// Also those that only tests and benchmarks use.
    All,
    /// Those that end up in a program: normal and build dependencies.
    Shipped,
}

impl Metadata {
    pub(crate) fn read(workspace: &Workspace) -> Result<Self> {
        let mut question = workspace.cargo();
        question.args(["metadata", "--format-version", "1", "--filter-platform", "x86_64-unknown-linux-gnu"]);
        Self::parse(&serde_json::from_str(&program::read(&mut question)?)?)
    }

    fn parse(answer: &Value) -> Result<Self> {
        let mut packages = BTreeMap::new();
        for package in list(answer, "packages")? {
            packages.insert(text(package, "id")?, Package::parse(package)?);
        }
        let resolve = answer.get("resolve").context("cargo metadata has no resolve")?;
        for node in list(resolve, "nodes")? {
            let package = packages.get_mut(&text(node, "id")?).context("a node without a package")?;
            package.arrows = list(node, "deps")?.iter().map(Arrow::parse).collect::<Result<_>>()?;
        }
        let members = list(answer, "workspace_members")?.iter().filter_map(Value::as_str);
        Ok(Self { packages, members: members.map(str::to_owned).collect() })
    }

    pub(crate) fn packages(&self) -> impl Iterator<Item = &Package> {
        self.packages.values()
    }

    /// The workspace's crates.
    pub(crate) fn members(&self) -> impl Iterator<Item = &Package> {
        self.members.iter().filter_map(|id| self.packages.get(id))
    }

    /// The workspace's crate of this name, if there is one yet.
    pub(crate) fn member(&self, name: &str) -> Option<&Package> {
        self.members().find(|member| member.name == name)
    }

    /// What `package` names in its own `Cargo.toml`.
    pub(crate) fn direct<'a>(
        &'a self,
        package: &'a Package,
        arrows: Arrows,
    ) -> impl Iterator<Item = &'a Package> {
        package.arrows(arrows).filter_map(|id| self.packages.get(id))
    }

    /// The names of all that `package` ends up with, its own left out.
    pub(crate) fn closure(&self, package: &Package) -> BTreeSet<&str> {
        let mut seen = BTreeSet::new();
        let mut waiting: Vec<&str> = package.arrows(Arrows::Shipped).collect();
        while let Some(id) = waiting.pop() {
            if let Some(found) = self.packages.get(id).filter(|_| seen.insert(id)) {
                waiting.extend(found.arrows(Arrows::Shipped));
            }
        }
        seen.into_iter().filter_map(|id| self.packages.get(id)).map(|found| found.name.as_str()).collect()
    }
}

impl Package {
    fn parse(package: &Value) -> Result<Self> {
        let source = package.get("source").and_then(Value::as_str).map(str::to_owned);
        Ok(Self { name: text(package, "name")?, source, arrows: Vec::new() })
    }

    fn arrows(&self, which: Arrows) -> impl Iterator<Item = &str> {
        let counts = move |arrow: &&Arrow| match which {
            Arrows::All => true,
            Arrows::Shipped => arrow.shipped,
        };
        self.arrows.iter().filter(counts).map(|arrow| arrow.to.as_str())
    }
}

impl Arrow {
    fn parse(dependency: &Value) -> Result<Self> {
        let kinds =
            list(dependency, "dep_kinds")?.iter().map(|kind| kind.get("kind").and_then(Value::as_str));
        Ok(Self { to: text(dependency, "pkg")?, shipped: kinds.into_iter().any(|kind| kind != Some("dev")) })
    }
}

fn list<'a>(value: &'a Value, key: &str) -> Result<&'a Vec<Value>> {
    value.get(key).and_then(Value::as_array).with_context(|| format!("cargo metadata: no list {key}"))
}

fn text(value: &Value, key: &str) -> Result<String> {
    let found = value.get(key).and_then(Value::as_str);
    found.map(str::to_owned).with_context(|| format!("cargo metadata: no text {key}"))
}

#[cfg(test)]
mod tests {
    use super::{Arrows, Metadata};
    use serde_json::json;

    #[test]
    fn what_only_tests_use_is_not_shipped() {
        let package = |id: &str| json!({"id": id, "name": id, "source": null});
        let arrow = |to: &str, kind: Option<&str>| json!({"pkg": to, "dep_kinds": [{"kind": kind}]});
        let metadata = Metadata::parse(&json!({
            "packages": [package("a"), package("b"), package("c"), package("d")],
            "resolve": {"nodes": [
                {"id": "a", "deps": [arrow("b", None), arrow("d", Some("dev"))]},
                {"id": "b", "deps": [arrow("c", Some("build"))]},
                {"id": "c", "deps": []},
                {"id": "d", "deps": []},
            ]},
            "workspace_members": ["a"],
        }))
        .unwrap();

        let a = metadata.member("a").unwrap();
        assert_eq!(Vec::from_iter(metadata.closure(a)), ["b", "c"]);
        assert_eq!(metadata.direct(a, Arrows::All).count(), 2);
        assert!(metadata.member("b").is_none());
    }
}
