//! The state of the terminal of a session.

use std::panic::{AssertUnwindSafe, catch_unwind};

use avt::parser::{Function, Parser, State};
use avt::{Cell, Line, Observation, Observer, Terminal};

use crate::shown::Sight;

/// Columns times rows: the model keeps 20 bytes for each cell of two screens.
const MOST_CELLS: usize = 64 * 1024;
const MOST_COLUMNS: usize = 4096;
/// Each row is a piece of memory of its own, which two bytes of a recording may ask for anew.
const MOST_ROWS: usize = 512;
/// What programs take where no size was told.
const USUAL: (usize, usize) = (80, 24);

/// What a recording has drawn. Whatever is fed, nothing but this changes.
pub(crate) struct Screen {
    parser: Parser,
    terminal: Terminal,
}

/// Looks on while a screen is drawn.
pub(crate) trait Watch {
    /// `function` is about to be carried out. Of letters nothing is said.
    fn before(&mut self, _terminal: &Terminal, _function: &Function) {}

    /// A row has left the screen at its top.
    fn gone(&mut self, _line: &Line) {}
}

impl Watch for () {}

/// Both look on.
impl<A: Watch, B: Watch> Watch for (&mut A, &mut B) {
    fn before(&mut self, terminal: &Terminal, function: &Function) {
        self.0.before(terminal, function);
        self.1.before(terminal, function);
    }

    fn gone(&mut self, line: &Line) {
        self.0.gone(line);
        self.1.gone(line);
    }
}

struct Leaving<'a, W>(&'a mut W);

impl<W: Watch> Observer for Leaving<'_, W> {
    type Output = ();

    fn evicted(&mut self, _: &mut Observation<'_>, line: &Line) {
        self.0.gone(line);
    }

    fn end(&mut self, _: &mut Observation<'_>) {}
}

/// Whether a terminal draws it where no sequence was begun, as the parser has it.
fn is_letter(c: char) -> bool {
    matches!(c, ' '..='\u{7f}' | '\u{a0}'..)
}

/// The characters of a row, without blanks at its end unless it goes on in the next, and without what a terminal obeys.
pub(crate) fn row_text(line: &Line) -> String {
    let cells = line.cells();
    let end = if line.is_wrapped() {
        cells.len()
    } else {
        cells.iter().rposition(|cell| !cell.char().is_whitespace()).map_or(0, |last| last + 1)
    };
    let mut text = String::with_capacity(end);
    // The second half of a wide character is no character.
    let characters = cells.iter().take(end).filter(|cell| cell.width() > 0).map(Cell::char);
    text.extend(characters.filter(|c| !c.is_control()));
    text
}

impl Screen {
    /// The size of one that was told none.
    pub(crate) const USUAL: (usize, usize) = USUAL;

    pub(crate) fn new() -> Self {
        Self::of_size(USUAL)
    }

    fn of_size((columns, rows): (usize, usize)) -> Self {
        let (columns, rows) = (columns.clamp(1, MOST_COLUMNS), rows.max(1));
        let rows = rows.min(MOST_CELLS / columns).min(MOST_ROWS);
        #[expect(clippy::expect_used, reason = "one column and one row are the least")]
        let terminal = Terminal::new(columns, rows).expect("a size without zeros");
        Self { parser: Parser::new(), terminal }
    }

    pub(crate) fn show(&mut self, sight: &Sight, watch: &mut impl Watch) {
        // The model of the terminal is not ours, and a recording may be hostile.
        let shown = catch_unwind(AssertUnwindSafe(|| match sight {
            Sight::Text(text) => self.feed(text, watch),
            Sight::Size(columns, rows) => self.resize(*columns, *rows, watch),
        }));
        if shown.is_err() {
            *self = Self::of_size(USUAL);
        }
    }

    /// The same for text.
    pub(crate) fn show_text(&mut self, text: &str, watch: &mut impl Watch) {
        if catch_unwind(AssertUnwindSafe(|| self.feed(text, watch))).is_err() {
            *self = Self::of_size(USUAL);
        }
    }

    fn feed(&mut self, text: &str, watch: &mut impl Watch) {
        for c in text.chars() {
            // Most of what is shown: the parser would say the same, and take half as long again as drawing it.
            if self.parser.state == State::Ground && is_letter(c) {
                self.terminal.execute_with(Function::Print(c), Leaving(watch));
                continue;
            }
            let Some(function) = self.parser.feed(c) else { continue };
            let function = match function {
                // Sizes are told by the client; one of 65,535 by 65,535 would take 80 GiB.
                Function::Xtwinops(_) => continue,
                Function::Rep(count) => Function::Rep(count.min(MOST_COLUMNS as u16)),
                function => function,
            };
            watch.before(&self.terminal, &function);
            self.terminal.execute_with(function, Leaving(watch));
        }
    }

    fn resize(&mut self, columns: u32, rows: u32, watch: &mut impl Watch) {
        if columns == 0 || rows == 0 {
            return;
        }
        let columns = (columns as usize).min(MOST_COLUMNS);
        let rows = (rows as usize).min(MOST_CELLS / columns).min(MOST_ROWS);
        if (columns, rows) == self.terminal.size() {
            return;
        }
        self.terminal.resize_with(columns, rows, Leaving(watch));
    }

    /// What draws this screen on an empty one of the same size. `None`: not now, a sequence is begun.
    pub(crate) fn dump(&self) -> Option<String> {
        matches!(self.parser.state, State::Ground).then_some(())?;
        catch_unwind(AssertUnwindSafe(|| self.terminal.dump())).ok()
    }

    /// The screen that was dumped.
    pub(crate) fn restored(size: (usize, usize), dump: &str) -> Self {
        let mut screen = Self::of_size(size);
        screen.show_text(dump, &mut ());
        screen
    }

    pub(crate) fn terminal(&self) -> &Terminal {
        &self.terminal
    }
}
