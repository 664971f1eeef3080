//! The images of a picture, each row of the screen by itself.

use std::collections::HashMap;
use std::time::Duration;

use avt::Line;

use super::row::row;
use crate::screen::Screen;

/// INVARIANT: a picture is no larger than this; browsers draw nothing of much larger ones.
pub(crate) const MOST_BYTES: usize = 64 * 1024 * 1024;
/// What stands around an image, what a change takes in an animation (the cursor has two), and a row, at most.
const IMAGE: usize = 32;
const CUE: usize = 24;
const ROW: usize = 256;
/// Everything else.
const FRAME: usize = 512 * 1024;

/// The picture gets too large.
#[derive(Debug)]
pub(super) struct TooLarge;

/// From a moment of the picture on, this.
pub(super) type Cues<T> = Vec<(Duration, T)>;

pub(super) struct Reel {
    /// The number of each image of a row, by the hash of its elements. Zero is the empty one.
    known: HashMap<[u8; 32], usize>,
    /// The images but the empty one, as definitions.
    pub(super) images: String,
    /// The rows of the image before.
    rows: Vec<Line>,
    /// The numbers of the images that each row shows.
    pub(super) strips: Vec<Cues<usize>>,
    /// Columns and rows of the screen.
    pub(super) sizes: Cues<(usize, usize)>,
    /// Column and row of the cursor, where it is seen.
    pub(super) cursor: Cues<Option<(usize, usize)>>,
    /// How much larger the picture may get.
    left: usize,
}

impl Reel {
    pub(super) fn new() -> Self {
        Self {
            known: HashMap::new(),
            images: String::new(),
            rows: Vec::new(),
            strips: Vec::new(),
            sizes: Vec::new(),
            cursor: vec![(Duration::ZERO, None)],
            left: MOST_BYTES - FRAME,
        }
    }

    /// Takes an image of the screen, from `at` on.
    pub(super) fn take(&mut self, at: Duration, screen: &Screen) -> Result<(), TooLarge> {
        let terminal = screen.terminal();
        let size = terminal.size();
        let mut more = cue(&mut self.sizes, at, size);
        let seen = terminal.cursor().position().map(|(column, row)| (column.min(size.0 - 1), row));
        more += cue(&mut self.cursor, at, seen);
        self.spend(2 * more * CUE)?;
        let mut count = 0;
        for (n, line) in terminal.screen().visible_lines().enumerate() {
            count = n + 1;
            let before = self.rows.get_mut(n);
            if before.as_ref().is_some_and(|before| before.cells() == line.cells()) {
                continue;
            }
            match before {
                Some(before) => line.clone_into(before),
                None => self.rows.push(line.clone()),
            }
            let image = self.image(&row(line))?;
            self.show(n, at, image)?;
        }
        self.rows.truncate(count);
        for n in count..self.strips.len() {
            self.show(n, at, 0)?;
        }
        Ok(())
    }

    /// The number of an image.
    fn image(&mut self, elements: &str) -> Result<usize, TooLarge> {
        if elements.is_empty() {
            return Ok(0);
        }
        let hash = *blake3::hash(elements.as_bytes()).as_bytes();
        if let Some(known) = self.known.get(&hash) {
            return Ok(*known);
        }
        self.spend(elements.len() + IMAGE)?;
        let number = self.known.len() + 1;
        self.known.insert(hash, number);
        self.images.push_str(&format!("<g id=\"i{number}\">{elements}</g>\n"));
        Ok(number)
    }

    fn show(&mut self, row: usize, at: Duration, image: usize) -> Result<(), TooLarge> {
        while self.strips.len() <= row {
            self.spend(ROW)?;
            self.strips.push(vec![(Duration::ZERO, 0)]);
        }
        let more = self.strips.get_mut(row).map_or(0, |strip| cue(strip, at, image));
        self.spend(more * CUE)
    }

    fn spend(&mut self, bytes: usize) -> Result<(), TooLarge> {
        self.left = self.left.checked_sub(bytes).ok_or(TooLarge)?;
        Ok(())
    }

    /// Columns and rows of the largest screen, one of each at least.
    pub(super) fn size(&self) -> (usize, usize) {
        let columns = self.sizes.iter().map(|(_, (columns, _))| *columns).max();
        let rows = self.sizes.iter().map(|(_, (_, rows))| *rows).max();
        (columns.unwrap_or(Screen::USUAL.0), rows.unwrap_or(Screen::USUAL.1))
    }
}

/// Adds what is new, and says how many that were.
fn cue<T: PartialEq>(cues: &mut Cues<T>, at: Duration, now: T) -> usize {
    match cues.last_mut() {
        Some((_, last)) if *last == now => 0,
        Some((time, last)) if *time == at => {
            *last = now;
            0
        }
        _ => {
            cues.push((at, now));
            1
        }
    }
}
