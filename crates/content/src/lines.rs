//! A channel without a terminal: text in lines, both ways.

use std::sync::Arc;

use avt::Parser;
use avt::parser::Function;
use keyward_policy::ContentPolicy;

use crate::finding::look_for_commands;
use crate::judge::{Output, Passed};
use crate::noted::Noted;
use crate::utf8::Utf8;
use crate::{CannotJudge, Finding, Place};

/// Bytes of a line that is typed; a longer one is not judged, and ends the session.
pub(crate) const LONGEST_TYPED: usize = 64 * 1024;
/// Characters of a line that is shown. A longer one is judged in pieces,
const LONGEST_SHOWN: usize = 64 * 1024;
/// of which each begins with this many bytes of the one before, so that what is sought is found up to this length.
const OVERLAP: usize = 32 * 1024;
/// A line that is not complete is looked at when so many more characters of it have come, once it is longer than that.
const GROWTH: usize = 4096;

pub(crate) struct Lines {
    policy: Arc<ContentPolicy>,
    typed: Vec<u8>,
    /// Where in it the last of its lines begins; those before end with a backslash.
    last: usize,
    main: Shown,
    stderr: Shown,
}

#[derive(Default)]
struct Shown {
    utf8: Utf8,
    parser: Parser,
    line: String,
    /// How long the line was when it was looked at.
    looked: usize,
    noted: Noted,
}

impl Lines {
    pub(crate) fn new(policy: Arc<ContentPolicy>) -> Self {
        Self { policy, typed: Vec::new(), last: 0, main: Shown::default(), stderr: Shown::default() }
    }

    /// Passes everything before a line that ends the session. Lines that are not complete pass too, unless they would end
    /// it as they are: a shell runs its last line also where the connection is cut.
    pub(crate) fn typed(&mut self, data: &[u8]) -> Result<Passed, CannotJudge> {
        let mut passed = Passed::default();
        if self.policy.commands().is_empty() {
            passed.bytes = data.len();
            return Ok(passed);
        }
        for piece in data.split_inclusive(|byte| *byte == b'\n') {
            let line = piece.strip_suffix(b"\n");
            // Shells pass over zeros, wherever they are.
            self.typed.extend(line.unwrap_or(piece).iter().filter(|byte| **byte != 0));
            if self.typed.len() > LONGEST_TYPED {
                return Err(CannotJudge::LongLine);
            }
            let mut found = self.judge();
            if line.is_some() {
                self.end_line();
            } else {
                found.retain(Finding::terminates);
            }
            passed.findings.append(&mut found);
            if passed.findings.iter().any(Finding::terminates) {
                return Ok(passed);
            }
            passed.bytes += piece.len();
        }
        Ok(passed)
    }

    /// Judges the last line.
    pub(crate) fn typed_all(&mut self) -> Vec<Finding> {
        let found = self.judge();
        self.typed.clear();
        self.last = 0;
        found
    }

    /// A line that ends with a backslash goes on.
    fn end_line(&mut self) {
        if self.typed.ends_with(b"\\") {
            self.typed.pop();
            self.last = self.typed.len();
        } else {
            self.typed.clear();
            self.last = 0;
        }
    }

    /// Judges the line, by itself and with those before that it goes on with.
    fn judge(&self) -> Vec<Finding> {
        let mut found = Vec::new();
        let last = self.typed.get(self.last..).unwrap_or_default();
        for line in std::iter::once(self.typed.as_slice()).chain((self.last > 0).then_some(last)) {
            look_for_commands(&self.policy, &String::from_utf8_lossy(line), &mut found);
        }
        found
    }

    pub(crate) fn shown(&mut self, data: &[u8], stream: Output) -> Result<Vec<Finding>, CannotJudge> {
        let Self { policy, main, stderr, .. } = self;
        if policy.screen().is_empty() {
            return Ok(Vec::new());
        }
        let shown = match stream {
            Output::Main => main,
            Output::Stderr => stderr,
        };
        Ok(shown.feed(policy, data))
    }
}

impl Shown {
    fn feed(&mut self, policy: &ContentPolicy, data: &[u8]) -> Vec<Finding> {
        let mut found = Vec::new();
        for c in self.utf8.decode(data).chars() {
            match self.parser.feed(c) {
                Some(Function::Print(c)) => self.line.push(c),
                Some(Function::Ht) => self.line.push('\t'),
                Some(Function::Lf | Function::Cr | Function::Nel) => self.end_line(policy, &mut found),
                _ => {}
            }
            if self.line.len() > LONGEST_SHOWN {
                self.look(policy, &mut found);
                let keep = self.line.ceil_char_boundary(self.line.len() - OVERLAP);
                self.line.drain(..keep);
                self.looked = self.line.len();
            }
        }
        if self.line.len() < GROWTH || self.line.len() - self.looked > GROWTH {
            self.look(policy, &mut found);
        }
        found
    }

    fn end_line(&mut self, policy: &ContentPolicy, found: &mut Vec<Finding>) {
        self.look(policy, found);
        self.noted.next_line();
        self.line.clear();
        self.looked = 0;
    }

    fn look(&mut self, policy: &ContentPolicy, found: &mut Vec<Finding>) {
        if self.line.len() == self.looked {
            return;
        }
        self.looked = self.line.len();
        for (rule, range) in policy.screen().find(&self.line) {
            if self.noted.is_new(rule, &self.line, range.start) {
                found.extend(Finding::new(policy, Place::Shown, &self.line, (rule, range)));
            }
        }
    }
}
