//! One row of the screen as SVG.

use std::fmt::Write;

use avt::{Cell, Line, Pen};

use super::look::{BASELINE, HEIGHT, WIDTH, classes, colors, escape};

/// The elements that draw a row at the origin; none for an empty one.
pub(super) fn row(line: &Line) -> String {
    let mut out = String::new();
    backgrounds(line, &mut out);
    let mut run: Option<Run> = None;
    for (column, cell) in cells(line) {
        if let Some(run) = &mut run
            && run.takes(column, cell)
        {
            run.add(cell);
            continue;
        }
        run.replace(Run::begin(column, cell)).into_iter().for_each(|run| run.write(&mut out));
    }
    run.into_iter().for_each(|run| run.write(&mut out));
    out
}

/// The second half of a wide character is a cell without width.
fn cells(line: &Line) -> impl Iterator<Item = (usize, &Cell)> {
    line.cells().iter().enumerate().filter(|(_, cell)| cell.width() > 0)
}

fn backgrounds(line: &Line, out: &mut String) {
    let mut run: Option<(usize, usize, Option<String>)> = None;
    for (column, cell) in cells(line) {
        let (_, back) = colors(cell.pen());
        let end = column + usize::from(cell.width());
        match &mut run {
            Some((_, last, color)) if *color == back => *last = end,
            run => background(run.replace((column, end, back)), out),
        }
    }
    background(run, out);
}

fn background(run: Option<(usize, usize, Option<String>)>, out: &mut String) {
    let Some((begin, end, Some(color))) = run else { return };
    let (x, width) = (begin * WIDTH, (end - begin) * WIDTH);
    // `write!` into a text cannot fail, here and below.
    let _ = write!(out, "<rect x=\"{x}\" width=\"{width}\" height=\"{HEIGHT}\" fill=\"{color}\"/>");
}

/// Characters that are one element. Its length is told, so that it fits the cells in any font.
struct Run {
    column: usize,
    cells: usize,
    pen: Pen,
    kind: Kind,
    text: String,
}

/// Characters of one kind are as wide as each other in a font for terminals.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Kind {
    Ascii,
    Letters,
    Boxes,
    Wide,
    /// Anything else, which may be of another font, or none by itself.
    Alone,
}

impl Kind {
    fn of(cell: &Cell) -> Self {
        match cell.char() {
            _ if cell.width() > 1 => Self::Wide,
            ' '..='~' => Self::Ascii,
            // Latin, Greek, Cyrillic.
            '\u{c0}'..='\u{24f}' | '\u{391}'..='\u{3ff}' | '\u{400}'..='\u{481}' => Self::Letters,
            '\u{2500}'..='\u{259f}' => Self::Boxes,
            _ => Self::Alone,
        }
    }
}

impl Run {
    fn begin(column: usize, cell: &Cell) -> Self {
        let (pen, kind) = (*cell.pen(), Kind::of(cell));
        let mut run = Self { column, cells: 0, pen, kind, text: String::new() };
        run.add(cell);
        run
    }

    fn takes(&self, column: usize, cell: &Cell) -> bool {
        let kind = Kind::of(cell);
        kind != Kind::Alone
            && kind == self.kind
            && *cell.pen() == self.pen
            && column == self.column + self.cells
    }

    fn add(&mut self, cell: &Cell) {
        self.text.push(cell.char());
        self.cells += usize::from(cell.width());
    }

    fn write(mut self, out: &mut String) {
        if !self.pen.is_underline() && !self.pen.is_strikethrough() {
            let length = self.text.trim_end_matches(' ').len();
            // A blank is of ASCII: a byte, and a cell.
            self.cells -= self.text.len() - length;
            self.text.truncate(length);
            let begin = self.text.len() - self.text.trim_start_matches(' ').len();
            (self.column, self.cells) = (self.column + begin, self.cells - begin);
            self.text.drain(..begin);
        }
        if self.text.is_empty() {
            return;
        }
        let (x, length) = (self.column * WIDTH, self.cells * WIDTH);
        let _ = write!(
            out,
            "<text x=\"{x}\" y=\"{BASELINE}\" textLength=\"{length}\" lengthAdjust=\"spacingAndGlyphs\""
        );
        let classes = classes(&self.pen);
        if !classes.is_empty() {
            let _ = write!(out, " class=\"{classes}\"");
        }
        if let (Some(color), _) = colors(&self.pen) {
            let _ = write!(out, " fill=\"{color}\"");
        }
        out.push('>');
        self.text.chars().for_each(|c| escape(c, out));
        out.push_str("</text>");
    }
}
