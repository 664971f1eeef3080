//! Where the line that is being typed may stand on the screen.

use avt::parser::Function;
use avt::{Line, Observation, Observer, Position, ScreenKind, Terminal};

use crate::CannotJudge;
use crate::screen::is_full;

/// The rows from where the cursor was when a line was begun, and those that have left the screen since.
#[derive(Debug, Default)]
pub(crate) struct Extent {
    is_begun: bool,
    /// The first row of the line.
    start: usize,
    /// What stood before the cursor.
    prompt: String,
    /// Rows that have left the screen, above the others.
    gone: Vec<Row>,
    /// Bytes of them.
    size: usize,
    /// There were more of them than are kept.
    is_long: bool,
    /// The first of them began with the prompt still: a line editor has drawn on behind it.
    is_led: bool,
    is_drawn: bool,
    /// What stood before the cursor when the program began to draw its prompt since.
    left: Option<String>,
}

#[derive(Debug)]
struct Row {
    text: String,
    /// It goes on in the next one.
    is_wrapped: bool,
    /// It may go on there: it has something in its last column.
    is_full: bool,
}

/// Bytes of rows that have left the screen.
const LONGEST: usize = 256 * 1024;
/// What shells put at an end of a row where a line goes on and they do not show it.
const MARKS: [char; 3] = ['<', '>', '*'];

/// Takes the rows that leave the screen.
pub(crate) struct Leaving<'a>(pub(crate) &'a mut Extent);

impl Observer for Leaving<'_> {
    type Output = ();

    fn evicted(&mut self, _: &mut Observation<'_>, line: &Line) {
        self.0.leave(line);
    }

    fn end(&mut self, _: &mut Observation<'_>) {}
}

impl Extent {
    pub(crate) fn begin(&mut self, row: usize, prompt: &str) {
        *self = Self { is_begun: true, start: row, prompt: prompt.trim().to_owned(), ..Self::default() };
    }

    pub(crate) fn restart(&mut self, row: usize, left: String) {
        if self.is_begun {
            self.begin(row, "");
            self.left = Some(left);
        }
    }

    pub(crate) fn end(&mut self) {
        *self = Self::default();
    }

    /// A character was drawn in a row.
    pub(crate) fn draw(&mut self, row: usize, is_alternate: bool) {
        self.is_drawn = true;
        if !is_alternate {
            self.start = self.start.min(row);
        }
    }

    /// A function moves rows, with the cursor in `row`: any row may be the first afterwards, where it moves those above.
    pub(crate) fn move_rows(&mut self, function: &Function, row: usize) {
        let is_below = match function {
            // Terminals such as screen go up by it.
            Function::Ri => row > 0,
            Function::Il(_) | Function::Dl(_) => row >= self.start,
            _ => false,
        };
        if !is_below {
            self.start = 0;
        }
    }

    pub(crate) fn is_begun(&self) -> bool {
        self.is_begun
    }

    pub(crate) fn left(&self) -> Option<&str> {
        self.left.as_deref()
    }

    pub(crate) fn is_drawn(&self) -> bool {
        self.is_drawn
    }

    pub(crate) fn resize(&mut self, terminal: &mut Terminal, (columns, rows): (usize, usize)) {
        let row = isize::try_from(self.start).unwrap_or_default();
        let anchor = terminal.anchor_at(Position { screen: ScreenKind::Primary, col: 0, row });
        terminal.resize_with(columns, rows, Leaving(self));
        let now = anchor.and_then(|anchor| terminal.resolve(&anchor));
        self.start = now.and_then(|position| usize::try_from(position.row).ok()).unwrap_or(0);
    }

    fn leave(&mut self, line: &Line) {
        if !self.is_begun {
            return;
        }
        if let Some(start) = self.start.checked_sub(1) {
            self.start = start;
            return;
        }
        let row = Row::from(line);
        if self.gone.is_empty() && !self.is_long {
            self.is_led = begins_with(&row.text, &self.prompt);
        }
        self.size += row.text.len() + size_of::<Row>();
        self.is_long |= self.size > LONGEST;
        if !self.is_long {
            self.gone.push(row);
        }
    }

    /// What the line may be: each piece of text that stands in the rows where it may stand, wrapped rows joined, and
    /// lines joined that end with a backslash.
    ///
    /// `is_strict`: a line editor reads keys, so that everything since the line was begun may be its line. Where none
    /// has said so, a prompt tells: a pager draws over it.
    pub(crate) fn texts(&self, terminal: &Terminal, is_strict: bool) -> Result<Vec<String>, CannotJudge> {
        if !self.is_begun || terminal.active_screen_kind() == ScreenKind::Alternate {
            return Ok(Vec::new());
        }
        let screen: Vec<Row> = terminal.screen().visible_lines().map(Row::from).collect();
        let has_gone = !self.gone.is_empty() || self.is_long;
        let takes_gone = has_gone && (is_strict || self.is_led);
        if takes_gone && self.is_long {
            return Err(CannotJudge::LongLine);
        }
        let led = screen.iter().skip(self.start).position(|row| begins_with(&row.text, &self.prompt));
        let first = match led {
            _ if is_strict || takes_gone => self.start,
            Some(row) => self.start + row,
            None if !has_gone => self.start,
            None => return Ok(Vec::new()),
        };
        let rows = || self.gone.iter().filter(|_| takes_gone).chain(screen.iter().skip(first));
        let mut texts = joined(rows(), |row| row.is_wrapped);
        for text in joined(rows(), |row| row.is_full) {
            if !texts.contains(&text) {
                texts.push(text);
            }
        }
        Ok(texts)
    }

    /// Whether the line is seen as a whole. `prompt` is the one that it has now.
    ///
    /// Programs show a part of a line that is longer than the screen, or wider than it where they cannot move the
    /// cursor up.
    pub(crate) fn is_whole(
        &self,
        terminal: &Terminal,
        is_strict: bool,
        prompt: Option<&str>,
    ) -> Result<(), CannotJudge> {
        if !self.is_begun || terminal.active_screen_kind() == ScreenKind::Alternate {
            return Ok(());
        }
        let prompt = prompt.unwrap_or(&self.prompt).trim();
        let screen: Vec<Row> = terminal.screen().visible_lines().map(Row::from).collect();
        let is_led =
            self.is_led || screen.get(self.start).is_some_and(|row| begins_with(&row.text, &self.prompt));
        let is_full = self.start == 0 && screen.last().is_some_and(|row| !row.text.is_empty());
        let is_begun_below = screen.iter().skip(1).any(|row| begins_with(&row.text, prompt));
        if (is_strict || is_led) && is_full && !is_begun_below {
            return Err(CannotJudge::TallLine);
        }
        let Some(row) = screen.get(terminal.cursor().row) else { return Ok(()) };
        let begins = row.text.starts_with('<') && !prompt.starts_with('<');
        let ends = row.is_full && !row.is_wrapped && row.text.ends_with(MARKS);
        if begins || ends { Err(CannotJudge::WideLine) } else { Ok(()) }
    }
}

/// Whether a row begins with a prompt. Without any, none does.
fn begins_with(row: &str, prompt: &str) -> bool {
    !prompt.is_empty() && row.trim_start().starts_with(prompt)
}

fn joined<'a>(rows: impl Iterator<Item = &'a Row>, goes_on: impl Fn(&Row) -> bool) -> Vec<String> {
    let mut texts: Vec<String> = Vec::new();
    let (mut text, mut whole) = (String::new(), String::new());
    for row in rows {
        text.push_str(&row.text);
        if goes_on(row) {
            continue;
        }
        let text = std::mem::take(&mut text);
        match text.strip_suffix('\\') {
            Some(begun) => whole.push_str(begun),
            None if !whole.is_empty() => texts.push(std::mem::take(&mut whole) + &text),
            None => {}
        }
        texts.push(text);
    }
    texts.push(whole + &text);
    texts.push(text);
    texts.retain(|text| !text.trim().is_empty());
    texts
}

impl From<&Line> for Row {
    fn from(line: &Line) -> Self {
        let is_full = is_full(line);
        let mut text = line.text();
        if !is_full {
            text.truncate(text.trim_end().len());
        }
        Self { text, is_wrapped: line.is_wrapped(), is_full }
    }
}
