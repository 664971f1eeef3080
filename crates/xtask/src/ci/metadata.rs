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
        let (mut packages, mut manifests) = (BTreeMap::new(), BTreeMap::new());
        for package in list(answer, "packages")? {
            packages.insert(text(package, "id")?, Package::parse(package)?);
            manifests.insert(text(package, "id")?, package);
        }
        let resolve = answer.get("resolve").context("cargo metadata has no resolve")?;
        for node in list(resolve, "nodes")? {
            let id = text(node, "id")?;
            let manifest = manifests.get(&id).context("a node without a package")?;
            let mut arrows = list(node, "deps")?.iter().map(Arrow::parse).collect::<Result<Vec<_>>>()?;
            arrows.retain(|arrow| manifests.get(&arrow.to).is_none_or(|to| is_built(manifest, node, to)));
            packages.get_mut(&id).context("a node without a package")?.arrows = arrows;
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

/// Whether a package is built with another that cargo names among its dependencies. Cargo also names an optional one that
/// a feature speaks of for the case that it is there (`ring?/alloc`), although no feature asks for it.
fn is_built(manifest: &Value, node: &Value, to: &Value) -> bool {
    let field = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    let declared = manifest.get("dependencies").and_then(Value::as_array).into_iter().flatten();
    let mut declared = declared.filter(|entry| field(entry, "name") == field(to, "name")).peekable();
    // What is declared in no way that we know counts as built.
    declared.peek().is_none()
        || declared.any(|entry| {
            let is_optional = entry.get("optional").and_then(Value::as_bool).unwrap_or(false);
            let key = field(entry, "rename").or_else(|| field(entry, "name")).unwrap_or_default();
            !is_optional || is_asked_for(manifest, node, &key)
        })
}

/// Whether a feature that is on asks for the optional dependency `key`.
fn is_asked_for(manifest: &Value, node: &Value, key: &str) -> bool {
    let on = node.get("features").and_then(Value::as_array).into_iter().flatten();
    let means = |feature: &Value| manifest.get("features")?.get(feature.as_str()?)?.as_array();
    let (dep, with_feature) = (format!("dep:{key}"), format!("{key}/"));
    on.filter_map(means)
        .flatten()
        .filter_map(Value::as_str)
        .any(|asked| asked == dep || asked.starts_with(&with_feature))
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
    fn an_optional_dependency_counts_once_a_feature_asks_for_it() {
        for (on, closure) in [
            (json!(["alloc"]), vec![]),
            (json!(["alloc", "ring"]), vec!["ring"]),
            (json!(["fast"]), vec!["ring"]),
        ] {
            let features = json!({"alloc": ["ring?/alloc"], "ring": ["dep:ring"], "fast": ["ring/fast"]});
            let optional = json!([{"name": "ring", "rename": null, "optional": true}]);
            let metadata = Metadata::parse(&json!({
                "packages": [
                    {"id": "a", "name": "a", "source": null, "dependencies": optional, "features": features},
                    {"id": "r", "name": "ring", "source": null},
                ],
                "resolve": {"nodes": [
                    {"id": "a", "features": on, "deps": [{"pkg": "r", "dep_kinds": [{"kind": null}]}]},
                    {"id": "r", "deps": []},
                ]},
                "workspace_members": ["a"],
            }))
            .unwrap();
            assert_eq!(Vec::from_iter(metadata.closure(metadata.member("a").unwrap())), closure);
        }
    }

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
