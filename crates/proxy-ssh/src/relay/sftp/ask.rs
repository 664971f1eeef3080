//! Requests: judged before they go on.

use keyward_policy::FileOperation::{
    self, Attributes, Delete, Download, Link, List, MakeDirectory, Rename, Upload,
};
use keyward_policy::FileRules;
use keyward_ssh::sftp::{Changes, Request, has_detour, status};
use keyward_trail::{FileEvent, FileOutcome};

use super::book::{Book, LinkOrder, Waiting, event, event_bytes};
use super::opened::{Mode, Opening};
use super::path;

/// Changes that follow the copy of a file inside the target are not seen.
const COPIED: &str = "part of it was copied on the target";
/// What a record calls it.
const RESIZE: &str = "resize";
const TOO_MANY: &str = "too many files are open";

impl Book {
    /// Decides on a request. The answer that its client gets to one that must not go on is in [`Waiting::Refused`].
    pub(super) fn ask(&mut self, request: Request<'_>) -> Waiting {
        match request {
            Request::Open { path, flags } => self.ask_open(path, Mode::File(flags)),
            Request::OpenDirectory { path } => self.ask_open(path, Mode::Folder),
            Request::Close { handle } => match self.give_up(handle) {
                Some(id) => Waiting::Close(id),
                None => Waiting::Refused(status::FAILURE),
            },
            Request::Read { handle, offset } => self.ask_read(handle, offset),
            Request::Write { handle, offset, .. } => self.ask_write(handle, offset),
            Request::LookAt { handle } => match self.by_handle(handle) {
                Some(_) => Waiting::Nothing,
                None => Waiting::Refused(status::FAILURE),
            },
            Request::SetAttributesOf { handle, changes } => self.ask_attributes_of(handle, changes),
            Request::Copy { from, to } => self.ask_copy(from, to),
            Request::Look { path } => self.operation("look", &[], path),
            Request::RealPath { path: b"." | b"" } => Waiting::Start,
            Request::RealPath { .. } | Request::About => Waiting::Nothing,
            Request::SetAttributes { path, changes } => self.ask_attributes(path, changes),
            Request::Remove { path } | Request::RemoveDirectory { path } => self.one(Delete, path),
            Request::MakeDirectory { path } => self.one(MakeDirectory, path),
            Request::Rename { from, to } => {
                let (old, new) = (self.place(from), self.place(to));
                let may = self.may(Rename, old.as_deref()) && self.may(Rename, new.as_deref());
                self.pair(Rename, (old, from), (new, to), may)
            }
            Request::HardLink { from, to } => {
                let (old, new) = (self.place(from), self.place(to));
                let may = self.may_link(old.as_deref(), new.as_deref(), FileRules::allow_hard_link);
                self.pair(Link, (new, to), (old, from), may)
            }
            Request::Symlink { first, second } => self.ask_symlink(first, second),
            Request::Unknown => Waiting::Refused(status::OP_UNSUPPORTED),
        }
    }

    fn ask_open(&mut self, path: &[u8], mode: Mode) -> Waiting {
        let place = self.place(path);
        let needs: &[FileOperation] = match mode {
            Mode::Folder => &[List],
            Mode::File(_) if mode.reads() && mode.writes() => &[Download, Upload],
            Mode::File(_) if mode.writes() => &[Upload],
            Mode::File(_) => &[Download],
        };
        let refused = needs.iter().find(|need| !self.may(**need, place.as_deref()));
        let path = place.unwrap_or_else(|| path.to_vec());
        if let Some(operation) = refused {
            return self.refused(operation.as_str(), path, None);
        }
        if !self.may_open() || !self.has_room(path.len()) {
            let event = event(mode.operation(), path, None);
            self.turned_away(FileEvent { outcome: FileOutcome::Failed(TOO_MANY.into()), ..event });
            return Waiting::Refused(status::FAILURE);
        }
        Waiting::Open(Box::new(Opening { path, mode }))
    }

    fn ask_read(&mut self, handle: &[u8], offset: u64) -> Waiting {
        match self.by_handle(handle) {
            Some((id, opened)) if opened.opening.mode.reads() => Waiting::Read(id, offset),
            Some(_) | None => Waiting::Refused(status::FAILURE),
        }
    }

    fn ask_write(&mut self, handle: &[u8], offset: u64) -> Waiting {
        match self.by_handle(handle) {
            Some((id, opened)) if opened.opening.mode.writes() => {
                opened.written.at(offset);
                Waiting::Write(id)
            }
            Some(_) | None => Waiting::Refused(status::FAILURE),
        }
    }

    /// To cut a file, or to make it longer, is to write it.
    fn ask_attributes(&mut self, path: &[u8], changes: Changes) -> Waiting {
        let (name, needs): (_, &[FileOperation]) = match changes {
            Changes { size: None, .. } => (Attributes.as_str(), &[Attributes]),
            Changes { size: Some(_), others: false } => (RESIZE, &[Upload]),
            Changes { size: Some(_), others: true } => (RESIZE, &[Upload, Attributes]),
        };
        let waiting = self.operation(name, needs, path);
        if let (Some(size), Waiting::Operation(resize)) = (changes.size, &waiting) {
            self.resized(&resize.path, size);
        }
        waiting
    }

    /// OpenSSH's scp ends each upload with a cut where its data ends: that is a part of the upload.
    fn ask_attributes_of(&mut self, handle: &[u8], changes: Changes) -> Waiting {
        let Some((_, opened)) = self.by_handle(handle) else { return Waiting::Refused(status::FAILURE) };
        let path = opened.opening.path.clone();
        let waiting = self.ask_attributes(&path, changes);
        let (Some(size), Waiting::Operation(_)) = (changes.size, &waiting) else { return waiting };
        // Its path may have been a relative one that nobody could place then.
        let Some((_, opened)) = self.by_handle(handle) else { return waiting };
        let is_the_end = opened.written.resized(size) && opened.opening.mode.writes();
        if is_the_end && !changes.others { Waiting::Nothing } else { waiting }
    }

    fn ask_copy(&mut self, from: &[u8], to: &[u8]) -> Waiting {
        let source = self.by_handle(from).filter(|(_, opened)| opened.opening.mode.reads());
        let Some(path) = source.map(|(_, opened)| opened.opening.path.clone()) else {
            return Waiting::Refused(status::FAILURE);
        };
        let Some((_, opened)) = self.by_handle(to).filter(|(_, opened)| opened.opening.mode.writes()) else {
            return Waiting::Refused(status::FAILURE);
        };
        opened.written.spoil(COPIED);
        let to = opened.opening.path.clone();
        self.waiting_for(event("copy", path, Some(to)))
    }

    /// Where the order of the names is not known, both must be allowed. What a link says is read when it is used, and
    /// where the link is then: so its letters alone must say where it leads, from the root on.
    fn ask_symlink(&mut self, first: &[u8], second: &[u8]) -> Waiting {
        let may_be = |book: &Self, link: &[u8], target: &[u8]| {
            let place = book.place(link);
            let to = path::absolute(target, None);
            let is_straight = !has_detour(link) && !has_detour(target);
            let to = to.as_deref().filter(|_| is_straight);
            book.may_link(place.as_deref(), to, FileRules::allow_symbolic_link)
        };
        let may = may_be(self, second, first)
            && (self.order == LinkOrder::TargetFirst || may_be(self, first, second));
        let place = self.place(second);
        self.pair(Link, (place, second), (None, first), may)
    }

    fn may_link(
        &self,
        one: Option<&[u8]>,
        other: Option<&[u8]>,
        allow: fn(&FileRules, &[u8], &[u8]) -> bool,
    ) -> bool {
        !self.rules.judge()
            || matches!((one, other), (Some(one), Some(other)) if allow(&self.rules, one, other))
    }

    fn one(&mut self, operation: FileOperation, path: &[u8]) -> Waiting {
        self.operation(operation.as_str(), &[operation], path)
    }

    fn operation(&mut self, name: &'static str, needs: &[FileOperation], path: &[u8]) -> Waiting {
        let place = self.place(path);
        let may = needs.iter().all(|need| self.may(*need, place.as_deref()));
        let path = place.unwrap_or_else(|| path.to_vec());
        if may { self.waiting_for(event(name, path, None)) } else { self.refused(name, path, None) }
    }

    fn pair(
        &mut self,
        operation: FileOperation,
        (place, path): (Option<Vec<u8>>, &[u8]),
        (other_place, other): (Option<Vec<u8>>, &[u8]),
        may: bool,
    ) -> Waiting {
        let path = place.unwrap_or_else(|| path.to_vec());
        let other = Some(other_place.unwrap_or_else(|| other.to_vec()));
        match may {
            true => self.waiting_for(event(operation.as_str(), path, other)),
            false => self.refused(operation.as_str(), path, other),
        }
    }

    fn waiting_for(&self, event: FileEvent<'static>) -> Waiting {
        match self.has_room(event_bytes(&event)) {
            true => Waiting::Operation(Box::new(event)),
            false => Waiting::Refused(status::FAILURE),
        }
    }

    fn refused(&mut self, name: &'static str, path: Vec<u8>, other: Option<Vec<u8>>) -> Waiting {
        self.turned_away(FileEvent { outcome: FileOutcome::Refused, ..event(name, path, other) });
        Waiting::Refused(status::PERMISSION_DENIED)
    }
}
