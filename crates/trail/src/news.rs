//! What is new on a screen, row by row.

use std::io;
use std::time::Duration;

use avt::{Line, ScreenKind};

use crate::ChannelId;
use crate::screen::{Screen, Watch, row_text};
use crate::shown::Sight;

/// A screen that has been still for this long is looked at,
const STILL: Duration = Duration::from_secs(1);
/// and one that never is, this often,
const AT_MOST: Duration = Duration::from_secs(5);
/// or when so many rows have left it.
const MOST_GONE: usize = 10_000;
/// Characters that are drawn between two looks at how many have.
const SLICE: usize = 256;

/// A row that is new on the screen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row<'a> {
    pub(crate) channel: ChannelId,
    /// When the screen changed for the first time since it was looked at, and for the last.
    pub(crate) since: Duration,
    pub(crate) at: Duration,
    /// Without anything that a terminal would obey; with blanks at its end only where it goes on in the next row.
    pub(crate) text: &'a str,
    /// It goes on where the row that was told before it ended.
    pub(crate) continues: bool,
}

/// Whoever is told of each row.
pub(crate) trait Tell: FnMut(Row<'_>) -> io::Result<()> {}

impl<F: FnMut(Row<'_>) -> io::Result<()>> Tell for F {}

/// Tells each row when it is new: once the cursor has left it, and not letter by letter.
#[derive(Default)]
pub(crate) struct News {
    /// Rows that have left the screen since it was looked at.
    gone: Gone,
    /// The rows of each screen when it was looked at.
    primary: Vec<String>,
    alternate: Vec<String>,
    /// When it has changed since: for the first time, and for the last.
    changed: Option<(Duration, Duration)>,
}

#[derive(Default)]
struct Gone(Vec<Seen>);

/// A row as it stands there, and whether it goes on in the next.
struct Seen {
    text: String,
    wraps: bool,
}

impl Watch for Gone {
    fn gone(&mut self, line: &Line) {
        self.0.push(Seen::of(line));
    }
}

impl News {
    /// Draws, and tells what was new before. `watch` looks on too.
    pub(crate) fn show(
        &mut self,
        screen: &mut Screen,
        at: Duration,
        sight: &Sight,
        watch: &mut impl Watch,
        tell: &mut impl Tell,
    ) -> io::Result<()> {
        let Sight::Text(text) = sight else { return self.show_piece(screen, at, sight, watch, tell) };
        let mut rest = text.as_str();
        while !rest.is_empty() {
            let (piece, next) = rest.split_at(rest.floor_char_boundary(SLICE));
            self.show_piece(screen, at, &Sight::Text(piece.to_owned()), watch, tell)?;
            rest = next;
        }
        Ok(())
    }

    /// Nothing comes for a while: what stands there is told now.
    pub(crate) fn pause(&mut self, screen: &Screen, tell: &mut impl Tell) -> io::Result<()> {
        self.look(screen, false, tell)
    }

    /// Nothing more comes: the cursor leaves its row.
    pub(crate) fn end(&mut self, screen: &Screen, tell: &mut impl Tell) -> io::Result<()> {
        self.look(screen, true, tell)
    }

    fn show_piece(
        &mut self,
        screen: &mut Screen,
        at: Duration,
        sight: &Sight,
        watch: &mut impl Watch,
        tell: &mut impl Tell,
    ) -> io::Result<()> {
        let resizes = matches!(sight, Sight::Size(..));
        if let Some((first, last)) = self.changed {
            let is_due = at - last.min(at) >= STILL || at - first.min(at) >= AT_MOST;
            if is_due || resizes || self.gone.0.len() >= MOST_GONE {
                self.look(screen, false, tell)?;
            }
        }
        let before = kind(screen);
        screen.show(sight, &mut (watch, &mut self.gone));
        let first = self.changed.map_or(at, |(first, _)| first);
        self.changed = Some((first, at));
        if resizes {
            // Rows are wrapped in another way, and none of them is new.
            (self.gone.0, self.changed) = (Vec::new(), None);
            let mut rows: Vec<String> = rows(screen).map(|row| row.text).collect();
            // The one that waited for the cursor to leave it waits still.
            if let (Some(row), ScreenKind::Primary) = (rows.get_mut(cursor(screen)), kind(screen)) {
                row.clear();
            }
            *self.seen(screen) = rows;
        } else if before != kind(screen) && before == ScreenKind::Primary {
            self.alternate.clear();
        }
        Ok(())
    }

    /// Tells what is new. `is_last`: the cursor leaves its row.
    fn look(&mut self, screen: &Screen, is_last: bool, tell: &mut impl Tell) -> io::Result<()> {
        let Some((since, at)) = self.changed.take() else { return Ok(()) };
        let gone = std::mem::take(&mut self.gone.0);
        let mut seen = std::mem::take(self.seen(screen));
        let (skipped, cursor) = (gone.len(), gone.len() + cursor(screen));
        let mut now = Vec::with_capacity(seen.len());
        let (channel, mut continues) = (ChannelId(0), false);
        for (n, row) in gone.into_iter().chain(rows(screen)).enumerate() {
            let before = seen.get_mut(n).map(std::mem::take).unwrap_or_default();
            let waits = n == cursor && !is_last && kind(screen) == ScreenKind::Primary;
            let is_new = !waits && row.text != before && !row.text.is_empty();
            if is_new {
                tell(Row { channel, since, at, text: &row.text, continues })?;
            }
            continues = is_new && row.wraps;
            if n >= skipped {
                now.push(if waits { before } else { row.text });
            }
        }
        *self.seen(screen) = now;
        Ok(())
    }

    fn seen(&mut self, screen: &Screen) -> &mut Vec<String> {
        match kind(screen) {
            ScreenKind::Primary => &mut self.primary,
            ScreenKind::Alternate => &mut self.alternate,
        }
    }
}

fn cursor(screen: &Screen) -> usize {
    screen.terminal().cursor().row
}

fn kind(screen: &Screen) -> ScreenKind {
    screen.terminal().active_screen_kind()
}

fn rows(screen: &Screen) -> impl Iterator<Item = Seen> {
    screen.terminal().screen().visible_lines().map(Seen::of)
}

impl Seen {
    fn of(line: &Line) -> Self {
        Self { text: row_text(line), wraps: line.is_wrapped() }
    }
}
