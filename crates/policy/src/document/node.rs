//! `[node]`.

use std::path::Path;

use super::report::Fault;
use super::section::Section;
use super::value::{choice, line};
use crate::{ConfigurationPlace, NodeSettings};

pub(super) fn node(section: &Section<'_>, base: &Path) -> NodeSettings {
    let default = NodeSettings::default();
    let data_dir = section.optional("data-dir", |value| line(value).map(|path| base.join(path)));
    let places = [("file", ConfigurationPlace::File), ("store", ConfigurationPlace::Store)];
    let configuration = section.optional("configuration", choice(&places));
    NodeSettings {
        data_dir: data_dir.map_or(default.data_dir, |item| item.value),
        configuration: configuration.map_or(default.configuration, |item| item.value),
    }
}

/// A document whose policy is in the store has nothing else: what stood here too would be believed, and ignored.
pub(super) fn refuse_policy(root: &Section<'_>) {
    let hint =
        "put it into a file without [node] and run `keyward config apply`; or leave `configuration` out";
    let fault = Fault::new("with `configuration = \"store\"` this is not read: the policy is in the store");
    root.refuse_first_beside("node", fault.hint(hint));
}

/// A document in the store is for every machine.
pub(super) fn refuse_node(root: &Section<'_>) {
    if root.has("node") {
        let fault = Fault::new("a policy document that is kept in the store has no [node]");
        let hint = "it stands in the file that `keyward run` gets; leave it out here";
        root.fault_at(root.place_of("node"), fault.hint(hint));
    }
}
