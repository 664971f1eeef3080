//! Where the files of a transfer lie, as far as its command and its lines tell.

use keyward_policy::FileOperation;
use keyward_ssh::scp::Role;
use keyward_trail::{FileEvent, FileOutcome};

use super::command::Command;

/// The folders in which the transfer is. Of an upload the target alone knows whether the command's path is a folder, so
/// there may be two of each.
#[derive(Debug)]
pub(super) struct Places {
    role: Role,
    is_folder: bool,
    /// Of the command; `None` for those that cannot be known.
    tops: Vec<Option<Vec<u8>>>,
    /// As they were written, for the record.
    written: Vec<Vec<u8>>,
    folders: Vec<Vec<Vec<u8>>>,
}

const DEEPEST: usize = 256;
const LONGEST_PATH: usize = 8192;

impl Places {
    pub(super) fn new(command: &Command) -> Self {
        Self {
            role: command.role,
            is_folder: command.is_folder,
            tops: command.paths.iter().map(|path| path.place.clone()).collect(),
            written: command.paths.iter().map(|path| path.written.clone()).collect(),
            folders: Vec::new(),
        }
    }

    /// Where something of this name may lie. `None` where that cannot be known.
    pub(super) fn of(&self, name: &[u8]) -> Option<Vec<Vec<u8>>> {
        if let Some(folder) = self.folders.last() {
            return Some(folder.iter().map(|place| below(place, name)).collect());
        }
        match self.role {
            Role::Upload => {
                let top = self.tops.first()?.as_ref()?;
                let itself = (!self.is_folder).then(|| top.clone());
                Some(itself.into_iter().chain([below(top, name)]).collect())
            }
            Role::Download => {
                let all: Option<Vec<&Vec<u8>>> = self.tops.iter().map(Option::as_ref).collect();
                let all = all?;
                let is_it = |top: &&&Vec<u8>| top.rsplit(|&byte| byte == b'/').next() == Some(name);
                // Of several with the same name, it may be any.
                let named: Vec<Vec<u8>> = all.iter().filter(is_it).map(|top| top.to_vec()).collect();
                match all.as_slice() {
                    _ if !named.is_empty() => Some(named),
                    [top] => Some(vec![top.to_vec()]),
                    _ => None,
                }
            }
        }
    }

    pub(super) fn enter(&mut self, name: &[u8]) -> Option<()> {
        let places = self.of(name).unwrap_or_else(|| vec![name.to_vec()]);
        let fits = self.folders.len() < DEEPEST && places.iter().all(|place| place.len() <= LONGEST_PATH);
        fits.then(|| self.folders.push(places))
    }

    pub(super) fn leave(&mut self) -> Option<()> {
        self.folders.pop().map(drop)
    }

    /// An operation on something of this name; without one, on what the command names.
    pub(super) fn event(&self, operation: FileOperation, name: Option<&[u8]>) -> FileEvent<'static> {
        let places = name.and_then(|name| self.of(name)).unwrap_or_default();
        // Which of two it is, the name tells the reader.
        let other = if places.len() > 1 { name.map(<[u8]>::to_vec) } else { None };
        let written = || self.written.first().cloned().unwrap_or_default();
        let path = places.into_iter().next().unwrap_or_else(written);
        FileEvent {
            operation: operation.as_str().into(),
            path: path.into(),
            other: other.map(Into::into),
            flags: 0,
            size: None,
            outcome: FileOutcome::Done,
            digest: None,
        }
    }
}

fn below(folder: &[u8], name: &[u8]) -> Vec<u8> {
    match name {
        b"." => folder.to_vec(),
        name => [folder.strip_suffix(b"/").unwrap_or(folder), b"/", name].concat(),
    }
}
