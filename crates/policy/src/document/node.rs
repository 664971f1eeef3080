//! `[node]`.

use std::path::Path;

use super::section::Section;
use super::value::line;
use crate::NodeSettings;

pub(super) fn node(section: &Section<'_>, base: &Path) -> NodeSettings {
    let default = NodeSettings::default();
    let data_dir = section.optional("data-dir", |value| line(value).map(|path| base.join(path)));
    NodeSettings { data_dir: data_dir.map_or(default.data_dir, |item| item.value) }
}
