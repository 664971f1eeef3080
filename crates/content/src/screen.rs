//! The state of a terminal, and a look at each row before what was drawn in it is gone.

use avt::parser::{Function, Parser};
use avt::{Line, ScreenKind, Terminal};

use crate::CannotJudge;
use crate::extent::{Extent, Leaving};
use crate::utf8::Utf8;

/// Columns times rows. The model keeps 20 bytes for each cell of two screens, and a target can have all cells cleared
/// with every few bytes that it sends.
pub(crate) const MOST_CELLS: usize = 64 * 1024;
/// Each row is a piece of memory of its own, which two bytes of the target may ask for anew.
pub(crate) const MOST_ROWS: usize = 512;
/// What programs take where the client has not told a size.
const USUAL: (usize, usize) = (80, 24);

pub(crate) struct Screen {
    utf8: Utf8,
    parser: Parser,
    terminal: Terminal,
    /// Something was drawn in the cursor's line since it was looked at.
    is_drawn: bool,
    /// How often text went over the right edge since then.
    wraps: usize,
    /// The column of the cursor after the last character.
    column: usize,
    /// Where the line that is being typed may stand.
    extent: Extent,
    /// How often something has come from the target, or the size has changed.
    changes: u64,
}

/// What a screen shows whoever looks on.
pub(crate) enum Sight<'a> {
    /// The cursor's line, which has changed.
    Line(&'a str),
    /// The cursor goes to another one.
    NextLine,
}

/// What a function does to the text.
enum Effect {
    /// Nothing.
    None,
    /// A character is added.
    Draws,
    /// The cursor leaves its place.
    Moves,
    /// The cursor leaves its line.
    MovesLines,
    /// Lines move, in a way that is not followed.
    MovesText,
    /// The cursor's line becomes another one.
    Changes,
    /// The same, and lines move.
    ChangesRows,
    /// It is not followed.
    Ignored,
}

impl Screen {
    pub(crate) fn new(size: (u32, u32)) -> Result<Self, CannotJudge> {
        let (columns, rows) = checked(size)?;
        let terminal = Terminal::new(columns, rows).map_err(|_| CannotJudge::Broken)?;
        let (utf8, parser) = (Utf8::default(), Parser::new());
        let extent = Extent::default();
        Ok(Self { utf8, parser, terminal, is_drawn: false, wraps: 0, column: 0, extent, changes: 0 })
    }

    pub(crate) fn resize(&mut self, size: (u32, u32)) -> Result<(), CannotJudge> {
        let (columns, rows) = checked(size)?;
        self.changes += 1;
        self.extent.resize(&mut self.terminal, (columns, rows));
        Ok(())
    }

    /// A number that is another one when the screen may be.
    pub(crate) fn changes(&self) -> u64 {
        self.changes
    }

    /// A line is begun where the cursor is, behind what stands before it.
    pub(crate) fn begin_line(&mut self) {
        let prompt = self.before_cursor();
        self.extent.begin(self.first_row(), &prompt);
    }

    /// The program draws the line that was begun, if one was, anew from where the cursor is.
    pub(crate) fn draws_line_anew(&mut self) {
        self.extent.restart(self.first_row(), self.before_cursor());
    }

    pub(crate) fn end_line(&mut self) {
        self.extent.end();
    }

    /// Whether the target has drawn something since the line was begun, and not its prompt alone. `prompt` was the last one.
    pub(crate) fn has_drawn_line(&self, prompt: &str) -> bool {
        let is_prompt = |before: &str| {
            // The echo of keys may stand left of the prompt.
            let whole = before.trim_end();
            let drawn = self.extent.left().and_then(|left| before.strip_prefix(left)).unwrap_or(before);
            whole == prompt.trim_end() || drawn.trim_end() == prompt.trim_end()
        };
        self.extent.is_drawn() && !(self.extent.left().is_some() && is_prompt(&self.before_cursor()))
    }

    /// Whether the target has drawn anything since the line was begun.
    pub(crate) fn is_line_drawn(&self) -> bool {
        self.extent.is_drawn()
    }

    /// What stands where the line that was begun may stand; see [`Extent::texts`].
    pub(crate) fn extent(&self, is_strict: bool) -> Result<Vec<String>, CannotJudge> {
        self.extent.texts(&self.terminal, is_strict)
    }

    /// Whether the line that was begun is seen as a whole.
    pub(crate) fn is_line_whole(&self, is_strict: bool, prompt: Option<&str>) -> Result<(), CannotJudge> {
        self.extent.is_whole(&self.terminal, is_strict, prompt)
    }

    pub(crate) fn has_begun_line(&self) -> bool {
        self.extent.is_begun()
    }

    /// Whether a program uses the whole screen, and not the lines after those before it.
    pub(crate) fn is_alternate(&self) -> bool {
        self.terminal.active_screen_kind() == ScreenKind::Alternate
    }

    /// Draws bytes of the target.
    pub(crate) fn feed(&mut self, data: &[u8], mut look: impl FnMut(Sight<'_>)) -> Result<(), CannotJudge> {
        self.changes += 1;
        for c in self.utf8.decode(data).chars() {
            if let Some(function) = self.parser.feed(c) {
                self.apply(function, &mut look)?;
            }
        }
        self.look(&mut look);
        Ok(())
    }

    fn apply(&mut self, function: Function, look: &mut impl FnMut(Sight<'_>)) -> Result<(), CannotJudge> {
        match effect(&function) {
            Effect::None => self.execute(function),
            Effect::Draws => {
                self.bound_repeats(&function)?;
                self.execute(function);
                self.extent.draw(self.terminal.cursor().row, self.is_alternate());
                self.has_drawn(look);
            }
            Effect::Moves => {
                self.look(look);
                self.execute(function);
            }
            Effect::MovesLines => {
                self.look(look);
                self.execute(function);
                look(Sight::NextLine);
            }
            Effect::MovesText => {
                self.look(look);
                self.extent.move_rows(&function, self.terminal.cursor().row);
                self.execute(function);
                look(Sight::NextLine);
            }
            Effect::Changes => {
                self.look(look);
                self.execute(function);
                self.is_drawn = true;
            }
            Effect::ChangesRows => {
                self.look(look);
                self.extent.move_rows(&function, self.terminal.cursor().row);
                self.execute(function);
                self.is_drawn = true;
            }
            Effect::Ignored => {}
        }
        Ok(())
    }

    fn execute(&mut self, function: Function) {
        self.terminal.execute_with(function, Leaving(&mut self.extent));
    }

    /// No program repeats a character beyond the edge, and nine bytes could have 65,535 of them drawn.
    fn bound_repeats(&self, function: &Function) -> Result<(), CannotJudge> {
        match function {
            Function::Rep(count) if usize::from(*count) > self.terminal.size().0 => Err(CannotJudge::Repeats),
            _ => Ok(()),
        }
    }

    /// A long text without line ends is looked at before its beginning leaves the screen.
    fn has_drawn(&mut self, look: &mut impl FnMut(Sight<'_>)) {
        self.is_drawn = true;
        let column = self.terminal.cursor().col;
        if column <= self.column {
            self.wraps += 1;
        }
        self.column = column;
        if self.wraps > 0 && self.wraps >= self.terminal.size().1 / 2 {
            self.look(look);
        }
    }

    fn look(&mut self, look: &mut impl FnMut(Sight<'_>)) {
        (self.wraps, self.column) = (0, 0);
        if std::mem::take(&mut self.is_drawn) {
            look(Sight::Line(&self.line()));
        }
    }

    /// The line of the cursor, with the rows that it was wrapped to, without blanks at its end.
    pub(crate) fn line(&self) -> String {
        self.text(Line::is_wrapped)
    }

    /// The same with rows that are full to the last column: programs that draw windows wrap by themselves.
    pub(crate) fn stretch(&self) -> String {
        self.text(is_full)
    }

    /// The first row of the cursor's line.
    fn first_row(&self) -> usize {
        self.first_row_of(Line::is_wrapped)
    }

    fn first_row_of(&self, goes_on: impl Fn(&Line) -> bool) -> usize {
        let screen = self.terminal.screen();
        let mut first = self.terminal.cursor().row;
        while let Some(before) = first.checked_sub(1)
            && screen.line(before).is_some_and(&goes_on)
        {
            first = before;
        }
        first
    }

    fn text(&self, goes_on: impl Fn(&Line) -> bool) -> String {
        let screen = self.terminal.screen();
        let cursor = self.terminal.cursor().row;
        let first = self.first_row_of(&goes_on);
        let mut text = String::new();
        for row in (first..self.terminal.size().1).map_while(|row| screen.line(row).map(|line| (row, line))) {
            text.extend(row.1.chars());
            if row.0 >= cursor && !goes_on(row.1) {
                break;
            }
        }
        text.truncate(text.trim_end().len());
        text
    }

    /// What stands left of the cursor in its line, blanks included.
    pub(crate) fn before_cursor(&self) -> String {
        let screen = self.terminal.screen();
        let cursor = self.terminal.cursor();
        let above = (self.first_row()..cursor.row).filter_map(|row| screen.line(row)).flat_map(Line::chars);
        let left = screen.line(cursor.row).into_iter().flat_map(|line| line.cells().iter().take(cursor.col));
        // The second half of a wide character is no character.
        above.chain(left.filter(|cell| cell.width() > 0).map(avt::Cell::char)).collect()
    }
}

/// Whether a row may go on in the next one.
pub(crate) fn is_full(row: &Line) -> bool {
    row.is_wrapped() || row.cells().last().is_some_and(|cell| cell.char() != ' ')
}

fn checked((columns, rows): (u32, u32)) -> Result<(usize, usize), CannotJudge> {
    let size = |told: u32, usual| match usize::try_from(told) {
        Ok(0) => Ok(usual),
        Ok(told) => Ok(told),
        Err(_) => Err(CannotJudge::LargeTerminal),
    };
    let (columns, rows) = (size(columns, USUAL.0)?, size(rows, USUAL.1)?);
    match columns.checked_mul(rows) {
        Some(cells) if cells <= MOST_CELLS && rows <= MOST_ROWS => Ok((columns, rows)),
        Some(_) | None => Err(CannotJudge::LargeTerminal),
    }
}

fn effect(function: &Function) -> Effect {
    use Function as F;
    match function {
        F::Print(_) | F::Rep(_) => Effect::Draws,
        F::Sgr(_) | F::Osc(_) | F::Si | F::So | F::G1d4(_) | F::Gzd4(_) => Effect::None,
        F::Hts | F::Tbc(_) | F::Ctc(_) | F::Decsc | F::Scosc | F::Sm(_) | F::Rm(_) => Effect::None,
        F::Bs | F::Cbt(_) | F::Cha(_) | F::Cht(_) | F::Cr | F::Cub(_) | F::Cuf(_) | F::Ht => Effect::Moves,
        F::Cnl(_) | F::Cpl(_) | F::Cud(_) | F::Cup(..) | F::Cuu(_) | F::Vpa(_) | F::Vpr(_) => {
            Effect::MovesLines
        }
        F::Decrc | F::Scorc | F::Lf | F::Nel | F::Decset(_) | F::Decrst(_) => Effect::MovesLines,
        F::Ri | F::Su(_) | F::Sd(_) | F::Decstbm(..) | F::Decstr | F::Ris => Effect::MovesText,
        F::Dch(_) | F::Ich(_) | F::Ech(_) | F::El(_) | F::Ed(_) => Effect::Changes,
        F::Il(_) | F::Dl(_) | F::Decaln => Effect::ChangesRows,
        // Clients tell themselves when their window has another size, and one of 65,535 by 65,535 would take 80 GiB.
        F::Xtwinops(_) => Effect::Ignored,
    }
}
