//! The document of a picture.

use std::io::{self, Write};
use std::time::Duration;

use der::DateTime;

use super::look::{BACKGROUND, BASELINE, CLASSES, FOREGROUND, HEIGHT, LETTERS, WIDTH, escape};
use super::reel::{Cues, Reel, Strip};
use crate::Header;

/// Around the screen, in pixels, and the bar that shows how far it is.
const MARGIN: usize = 8;
const BAR: usize = 3;
/// Where a cursor is that is not seen.
const AWAY: &str = "translate(0,-99px)";

/// Writes the picture of `reel`, which is so long.
pub(super) fn write(out: &mut impl Write, header: &Header, reel: &Reel, length: Duration) -> io::Result<()> {
    // An animation of no length shows nothing.
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
    writeln!(out, "<title>{title}</title>\n<desc>{facts}</desc>\n<style>")?;
    write_style(out, reel, length)?;
    writeln!(out, "</style>\n<defs>\n{}</defs>", reel.images)?;
    writeln!(out, "<rect width=\"{whole}\" height=\"{tall}\" fill=\"#26292c\"/>")?;
    writeln!(
        out,
        "<text x=\"{MARGIN}\" y=\"{}\" opacity=\".8\">{title} - {facts}</text>",
        MARGIN + BASELINE
    )?;
    writeln!(out, "<svg x=\"{MARGIN}\" y=\"{top}\" width=\"{width}\" height=\"{height}\">")?;
    writeln!(
        out,
        "<rect class=\"a\" style=\"animation-name:s\" width=\"1\" height=\"1\" fill=\"{BACKGROUND}\"/>"
    )?;
    for (n, strip) in reel.strips.iter().enumerate() {
        write_strip(out, n, strip, width)?;
    }
    writeln!(
        out,
        "<rect class=\"a\" style=\"animation-name:c\" width=\"{WIDTH}\" height=\"{HEIGHT}\" opacity=\".5\"/>\n</svg>"
    )?;
    let bottom = tall - BAR;
    writeln!(
        out,
        "<rect class=\"p\" y=\"{bottom}\" width=\"{whole}\" height=\"{BAR}\" fill=\"#3b78d8\"/>\n</svg>"
    )
}

fn write_strip(out: &mut impl Write, n: usize, strip: &Strip, width: usize) -> io::Result<()> {
    let y = n * HEIGHT;
    write!(out, "<svg y=\"{y}\" width=\"{width}\" height=\"{HEIGHT}\">")?;
    write!(out, "<g class=\"a\" style=\"animation-name:r{n}\">")?;
    for (place, image) in strip.slots.iter().enumerate().filter(|(_, image)| **image > 0) {
        write!(out, "<use href=\"#i{image}\" y=\"{}\"/>", place * HEIGHT)?;
    }
    writeln!(out, "</g></svg>")
}

fn write_style(out: &mut impl Write, reel: &Reel, length: Duration) -> io::Result<()> {
    let seconds = length.as_secs_f64();
    // Characters stand in the order of their cells, whatever direction they have of their own.
    writeln!(
        out,
        "text{{font:{LETTERS}px 'DejaVu Sans Mono',Menlo,Consolas,'Liberation Mono',monospace;white-space:pre;direction:ltr;\
         unicode-bidi:bidi-override;font-variant-ligatures:none}}\nrect{{shape-rendering:crispEdges}}\n{CLASSES}\n\
         .a{{animation:{seconds:.3}s step-end both}}\n.p{{animation:p {seconds:.3}s linear both}}\n\
         @keyframes p{{from{{transform:scaleX(0)}}to{{transform:scaleX(1)}}}}"
    )?;
    write_keyframes(out, "s", &reel.sizes, length, |(columns, rows)| {
        format!("scale({},{})", columns * WIDTH, rows * HEIGHT)
    })?;
    write_keyframes(out, "c", &reel.cursor, length, |place| match place {
        Some((column, row)) => format!("translate({}px,{}px)", column * WIDTH, row * HEIGHT),
        None => AWAY.to_owned(),
    })?;
    for (n, strip) in reel.strips.iter().enumerate() {
        write_keyframes(out, &format!("r{n}"), &strip.cues, length, |place| {
            format!("translate(0,-{}px)", place * HEIGHT)
        })?;
    }
    Ok(())
}

/// The last one stays.
fn write_keyframes<T>(
    out: &mut impl Write,
    name: &str,
    cues: &Cues<T>,
    length: Duration,
    transform: impl Fn(&T) -> String,
) -> io::Result<()> {
    write!(out, "@keyframes {name}{{")?;
    let last = cues.len().saturating_sub(1);
    for (n, (at, value)) in cues.iter().enumerate() {
        let percent = 100.0 * at.as_secs_f64() / length.as_secs_f64();
        // What an animation does not say it takes from the beginning and the end without it.
        let begin = if n == 0 { 0.0 } else { percent };
        let end = if n == last { ",100%" } else { "" };
        write!(out, "{begin:.6}%{end}{{transform:{}}}", transform(value))?;
    }
    writeln!(out, "}}")
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
