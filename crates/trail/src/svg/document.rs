//! The document of a picture.

use std::fmt::{Display, Write as _};
use std::io::{self, Write};
use std::time::Duration;

use der::DateTime;

use super::look::{BACKGROUND, BASELINE, CLASSES, FOREGROUND, HEIGHT, LETTERS, WIDTH, escape};
use super::reel::{Cues, Reel};
use crate::Header;

/// Around the screen, in pixels, and the bar that shows how far it is.
const MARGIN: usize = 8;
const BAR: usize = 3;
/// Where a cursor is that is not seen.
const AWAY: &str = "-99";

/// Writes the picture of `reel`, which is so long.
pub(super) fn write(out: &mut impl Write, header: &Header, reel: &Reel, length: Duration) -> io::Result<()> {
    // An animation of no length is none.
    let length = length.max(Duration::from_millis(1));
    let (columns, rows) = reel.size();
    let (width, height) = (columns * WIDTH, rows * HEIGHT);
    let top = HEIGHT + 2 * MARGIN;
    let (whole, tall) = (width + 2 * MARGIN, top + height + 2 * MARGIN);
    writeln!(
        out,
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{whole}\" \
         height=\"{tall}\" viewBox=\"0 0 {whole} {tall}\" xml:space=\"preserve\" fill=\"{FOREGROUND}\">"
    )?;
    let (title, facts) = (title(header), facts(header));
    // Characters stand in the order of their cells, whatever direction they have of their own.
    writeln!(
        out,
        "<title>{title}</title>\n<desc>{facts}</desc>\n<style>text{{font:{LETTERS}px 'DejaVu Sans Mono',Menlo,Consolas,\
         'Liberation Mono',monospace;white-space:pre;direction:ltr;unicode-bidi:bidi-override;font-variant-ligatures:none}}\
         rect{{shape-rendering:crispEdges}}{CLASSES}</style>"
    )?;
    writeln!(out, "<defs>\n<g id=\"i0\"/>\n{}</defs>", reel.images)?;
    writeln!(out, "<rect width=\"{whole}\" height=\"{tall}\" fill=\"#26292c\"/>")?;
    writeln!(
        out,
        "<text x=\"{MARGIN}\" y=\"{}\" opacity=\".8\">{title} - {facts}</text>",
        MARGIN + BASELINE
    )?;
    writeln!(out, "<svg x=\"{MARGIN}\" y=\"{top}\" width=\"{width}\" height=\"{height}\">")?;
    write_screen(out, reel, length)?;
    let (bottom, seconds) = (tall - BAR, length.as_secs_f64());
    writeln!(
        out,
        "</svg>\n<rect y=\"{bottom}\" width=\"{whole}\" height=\"{BAR}\" fill=\"#3b78d8\"><animate attributeName=\"width\" \
         begin=\"0s\" dur=\"{seconds:.3}s\" fill=\"freeze\" values=\"0;{whole}\"/></rect>\n</svg>"
    )
}

fn write_screen(out: &mut impl Write, reel: &Reel, length: Duration) -> io::Result<()> {
    let mut screen = Element::new("rect", length);
    screen.set("width", &reel.sizes, |(columns, _)| columns * WIDTH);
    screen.set("height", &reel.sizes, |(_, rows)| rows * HEIGHT);
    screen.write(out, &format!("fill=\"{BACKGROUND}\""))?;
    for (n, strip) in reel.strips.iter().enumerate() {
        let mut row = Element::new("use", length);
        row.set("href", strip, |image| format!("#i{image}"));
        row.write(out, &format!("y=\"{}\"", n * HEIGHT))?;
    }
    let mut cursor = Element::new("rect", length);
    cursor.set("x", &reel.cursor, |place| place.map_or(0, |(column, _)| column * WIDTH));
    cursor.set("y", &reel.cursor, |place| {
        place.map_or_else(|| AWAY.to_owned(), |(_, row)| (row * HEIGHT).to_string())
    });
    cursor.write(out, &format!("width=\"{WIDTH}\" height=\"{HEIGHT}\" opacity=\".5\""))
}

/// An element with attributes that change from moment to moment.
///
/// Not by an animation in CSS: that needs an element on the screen for each value that ever is, and a browser lays all of them
/// out before it shows anything.
struct Element {
    name: &'static str,
    length: Duration,
    attributes: String,
    changes: String,
}

impl Element {
    fn new(name: &'static str, length: Duration) -> Self {
        Self { name, length, attributes: String::new(), changes: String::new() }
    }

    /// The last value stays, and is what a program shows that plays nothing.
    fn set<T, V: Display>(&mut self, attribute: &str, cues: &Cues<T>, value: impl Fn(&T) -> V) {
        let Some((_, last)) = cues.last() else { return };
        // `write!` into a text cannot fail, here and below.
        let _ = write!(self.attributes, " {attribute}=\"{}\"", value(last));
        if cues.len() < 2 {
            return;
        }
        let seconds = self.length.as_secs_f64();
        let _ = write!(
            self.changes,
            "<animate attributeName=\"{attribute}\" begin=\"0s\" dur=\"{seconds:.3}s\" fill=\"freeze\" calcMode=\"discrete\" \
             keyTimes=\""
        );
        for (n, (at, _)) in cues.iter().enumerate() {
            // The first time is zero, or nothing is played (SVG 1.1, section 19.2.9).
            let _ = match n {
                0 => write!(self.changes, "0"),
                _ => write!(self.changes, ";{:.7}", at.as_secs_f64() / seconds),
            };
        }
        self.changes.push_str("\" values=\"");
        for (n, (_, now)) in cues.iter().enumerate() {
            let _ = write!(self.changes, "{}{}", if n == 0 { "" } else { ";" }, value(now));
        }
        self.changes.push_str("\"/>");
    }

    /// `constant`: the other attributes.
    fn write(self, out: &mut impl Write, constant: &str) -> io::Result<()> {
        let Self { name, attributes, changes, .. } = self;
        writeln!(out, "<{name} {constant}{attributes}>{changes}</{name}>")
    }
}

/// Who worked where.
fn title(header: &Header) -> String {
    escaped(&format!("{}@{}", header.remote_user, header.target))
}

fn facts(header: &Header) -> String {
    let started = u64::try_from(header.started.0).unwrap_or_default();
    let started = DateTime::from_unix_duration(Duration::from_millis(started));
    let started = started.map_or_else(|_| "an unknown time".to_owned(), |time| time.to_string());
    let who = header.gateway_user.as_deref().unwrap_or("somebody unknown");
    let (session, connection) = (&header.session, &header.connection);
    escaped(&format!("{who} from {}, {started}, {connection}, session {session}", header.client))
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    text.chars().for_each(|c| escape(c, &mut out));
    out
}
