//! A screen drawn on somebody's terminal.

use std::fmt::Write;

use avt::{Color, Line, Pen};

use crate::screen::Screen;

/// What a terminal shows already.
#[derive(Debug, Default)]
pub(crate) struct Canvas {
    size: (u16, u16),
    /// A row of the terminal each, the last of which is the status.
    rows: Vec<String>,
}

impl Canvas {
    /// What has to be written to a terminal of this many columns and rows.
    pub(crate) fn draw(&mut self, screen: &Screen, size: (u16, u16), status: &str) -> String {
        let mut out = String::from("\x1b[?25l");
        if self.size != size {
            (self.size, self.rows) = (size, Vec::new());
            out.push_str("\x1b[0m\x1b[2J");
        }
        let (columns, height) = (usize::from(size.0), usize::from(size.1).saturating_sub(1));
        let terminal = screen.terminal();
        let cursor = terminal.cursor();
        // So far that the cursor is seen.
        let top = (cursor.row + 1).saturating_sub(height);
        let mut lines = terminal.screen().visible_lines().skip(top);
        let drawn = (0..height).map(|_| lines.next().map(|line| row(line, columns)).unwrap_or_default());
        let bar: String = status.chars().filter(|c| !c.is_control()).take(columns).collect();
        let rows: Vec<String> = drawn.chain([format!("\x1b[0;7m{bar}")]).collect();
        for (n, new) in rows.iter().enumerate().filter(|(n, new)| self.rows.get(*n) != Some(*new)) {
            // `write!` into a text cannot fail.
            let _ = write!(out, "\x1b[{};1H\x1b[0m\x1b[2K{new}\x1b[0m", n + 1);
        }
        self.rows = rows;
        if let Some((column, row)) = cursor.position().filter(|(column, _)| *column < columns) {
            let _ = write!(out, "\x1b[{};{}H\x1b[?25h", row - top.min(row) + 1, column + 1);
        }
        out
    }
}

/// Characters and their colours, as far as the columns go.
fn row(line: &Line, columns: usize) -> String {
    let (mut out, mut pen, mut column) = (String::new(), Pen::default(), 0);
    let cells = line.cells();
    let blank = |cell: &avt::Cell| cell.char() == ' ' && cell.pen().is_default();
    let length = cells.iter().rposition(|cell| !blank(cell)).map_or(0, |last| last + 1);
    // The second half of a wide character is a cell without width.
    for cell in cells.iter().take(length).filter(|cell| cell.width() > 0) {
        column += usize::from(cell.width());
        if column > columns {
            break;
        }
        if *cell.pen() != pen {
            pen = *cell.pen();
            style(&pen, &mut out);
        }
        out.push(if cell.char().is_control() { ' ' } else { cell.char() });
    }
    out
}

/// The sequence that gives what follows this look, whatever came before (ECMA-48, 8.3.117).
fn style(pen: &Pen, out: &mut String) {
    out.push_str("\x1b[0");
    let looks = [
        (pen.is_bold(), ";1"),
        (pen.is_faint(), ";2"),
        (pen.is_italic(), ";3"),
        (pen.is_underline(), ";4"),
        (pen.is_blink(), ";5"),
        (pen.is_inverse(), ";7"),
        (pen.is_strikethrough(), ";9"),
    ];
    looks.into_iter().filter(|(is_set, _)| *is_set).for_each(|(_, code)| out.push_str(code));
    for (color, base) in [(pen.foreground(), 30), (pen.background(), 40)] {
        let _ = match color {
            None => Ok(()),
            Some(Color::Indexed(n @ 0..8)) => write!(out, ";{}", base + i32::from(n)),
            Some(Color::Indexed(n)) => write!(out, ";{};5;{n}", base + 8),
            Some(Color::RGB(rgb)) => write!(out, ";{};2;{};{};{}", base + 8, rgb.r, rgb.g, rgb.b),
        };
    }
    out.push('m');
}
