//! The judge of one channel.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use keyward_policy::ContentPolicy;

use crate::console::Console;
use crate::finding::{Joins, forms, look_for_commands, without_zeros};
use crate::lines::Lines;
use crate::{CannotJudge, Finding, Modes};

/// Looks at both directions of one shell or command.
///
/// With a terminal it keeps the state of the screen. A line is judged when the key comes that ends it: as the screen
/// shows it, and as it was typed. Where more than plain text was typed, only the screen knows what became of it, so that
/// the key is held until the target has answered and the screen is still. Without a terminal, lines are judged as they
/// pass.
pub struct Judge {
    shape: Shape,
}

enum Shape {
    Terminal(Box<Console>),
    Lines(Box<Lines>),
}

/// Where the target writes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Output {
    Main,
    Stderr,
}

/// What becomes of bytes that came from the client.
#[derive(Debug, Default, Eq, PartialEq)]
#[must_use]
pub struct Passed {
    /// How many of them may be passed on now. The others are held, or lost where a finding ends the session.
    pub bytes: usize,
    /// How many bytes, of these and of those held before, will never be passed on: an interrupt came after them.
    pub dropped: usize,
    pub findings: Vec<Finding>,
}

/// Bytes that were held and may be passed on now.
#[derive(Debug, Default, Eq, PartialEq)]
#[must_use]
pub struct Released {
    pub bytes: Vec<u8>,
    pub findings: Vec<Finding>,
}

/// Judges a command that the client names in one piece: the whole, and each of its lines, as they are and joined as the
/// shell joins them.
pub fn command(policy: &ContentPolicy, command: &[u8]) -> Vec<Finding> {
    let text = without_zeros(command);
    let mut found = Vec::new();
    for form in std::iter::once(text.clone()).chain(forms(&text, Joins::Shell)) {
        look_for_commands(policy, &form, &mut found);
    }
    found
}

impl Judge {
    /// `terminal` is the size that the client told, in columns and rows, where there is a terminal.
    pub fn new(policy: Arc<ContentPolicy>, terminal: Option<(u32, u32)>) -> Result<Self, CannotJudge> {
        Self::of_terminal(policy, terminal, Modes::Usual)
    }

    /// The same, with the modes that the client asked for.
    pub fn of_terminal(
        policy: Arc<ContentPolicy>,
        terminal: Option<(u32, u32)>,
        modes: Modes,
    ) -> Result<Self, CannotJudge> {
        let shape = match terminal {
            Some(size) => {
                if !policy.commands().is_empty() {
                    modes.check()?;
                }
                Shape::Terminal(Box::new(Console::new(policy, size, modes)?))
            }
            None => Shape::Lines(Box::new(Lines::new(policy))),
        };
        Ok(Self { shape })
    }

    /// Bytes of the client. What is not passed now is held; [`due`](Self::due) says when to ask for it.
    pub fn typed(&mut self, data: &[u8], now: Instant) -> Result<Passed, CannotJudge> {
        match &mut self.shape {
            Shape::Terminal(console) => console.typed(data, now),
            Shape::Lines(lines) => lines.typed(data),
        }
    }

    /// The client sends no more, which ends its last line. What is held has to be released first.
    pub fn typed_all(&mut self) -> Result<Vec<Finding>, CannotJudge> {
        match &mut self.shape {
            Shape::Terminal(console) => console.judge(),
            Shape::Lines(lines) => Ok(lines.typed_all()),
        }
    }

    /// The target has not said yet whether it gives the channel a terminal: until it does, all is held.
    pub fn doubt_terminal(&mut self) {
        if let Shape::Terminal(console) = &mut self.shape {
            console.doubt();
        }
    }

    /// The target has answered. An error where there is no terminal: as one the channel cannot be judged.
    pub fn has_terminal(&mut self, is_there: bool) -> Result<(), CannotJudge> {
        match &mut self.shape {
            Shape::Terminal(console) if is_there => {
                console.trust();
                Ok(())
            }
            Shape::Terminal(_) => Err(CannotJudge::NoTerminal),
            Shape::Lines(_) => Ok(()),
        }
    }

    /// Whether anything is held.
    pub fn holds(&self) -> bool {
        match &self.shape {
            Shape::Terminal(console) => console.holds(),
            Shape::Lines(_) => false,
        }
    }

    /// When what is held can be judged, if nothing else happens until then; `None`: nothing is held, or the target
    /// has to answer first.
    pub fn due(&self) -> Option<Instant> {
        match &self.shape {
            Shape::Terminal(console) => console.due(),
            Shape::Lines(_) => None,
        }
    }

    /// What was held and may be passed on now.
    pub fn released(&mut self, now: Instant) -> Result<Released, CannotJudge> {
        match &mut self.shape {
            Shape::Terminal(console) => console.released(now),
            Shape::Lines(_) => Ok(Released::default()),
        }
    }

    /// Bytes of the target, of its output or of its stderr. Where a finding ends the session, none of them is passed on.
    pub fn shown(&mut self, data: &[u8], stream: Output, now: Instant) -> Result<Vec<Finding>, CannotJudge> {
        // The model of the terminal is not ours, and the target may be hostile.
        let judged = catch_unwind(AssertUnwindSafe(|| match &mut self.shape {
            Shape::Terminal(console) => console.shown(data, now),
            Shape::Lines(lines) => lines.shown(data, stream),
        }));
        judged.unwrap_or(Err(CannotJudge::Broken))
    }

    /// The client's terminal has another size.
    pub fn resized(&mut self, size: (u32, u32), now: Instant) -> Result<(), CannotJudge> {
        match &mut self.shape {
            Shape::Terminal(console) => console.resized(size, now),
            Shape::Lines(_) => Ok(()),
        }
    }
}

impl fmt::Debug for Judge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What is typed may be a password.
        f.write_str("Judge")
    }
}
