//! Sizes, colours and characters of the picture.

use avt::{Color, Pen};

/// A cell in pixels, its baseline, and the size of letters that are as wide as that in most fonts.
pub(super) const WIDTH: usize = 9;
pub(super) const HEIGHT: usize = 18;
pub(super) const BASELINE: usize = 14;
pub(super) const LETTERS: usize = 15;

pub(super) const FOREGROUND: &str = "#d0d0d0";
pub(super) const BACKGROUND: &str = "#121416";

/// The first sixteen, as xterm's are but for blues that can be read on black.
const COLORS: [u32; 16] = [
    0x000000, 0xcd3131, 0x0dbc79, 0xd7ba2d, 0x3b78d8, 0xbc3fbc, 0x11a8cd, 0xd0d0d0, 0x767676, 0xf14c4c,
    0x23d18b, 0xf5f543, 0x6ca4f8, 0xd670d6, 0x29b8db, 0xffffff,
];

/// Foreground and background as `#rrggbb`; `None` is the one of the picture.
pub(super) fn colors(pen: &Pen) -> (Option<String>, Option<String>) {
    let [front, back] = [pen.foreground(), pen.background()].map(|color| color.map(hex));
    if !pen.is_inverse() {
        return (front, back);
    }
    let front = front.unwrap_or_else(|| FOREGROUND.to_owned());
    (Some(back.unwrap_or_else(|| BACKGROUND.to_owned())), Some(front))
}

fn hex(color: Color) -> String {
    let color = match color {
        Color::RGB(rgb) => u32::from_be_bytes([0, rgb.r, rgb.g, rgb.b]),
        Color::Indexed(n) => indexed(n),
    };
    format!("#{color:06x}")
}

/// As xterm has them (its 256colres.pl): sixteen, a cube of 6 by 6 by 6, and 24 greys.
fn indexed(n: u8) -> u32 {
    if let Some(color) = COLORS.get(usize::from(n)) {
        return *color;
    }
    if n >= 232 {
        return (8 + 10 * (u32::from(n) - 232)) * 0x01_01_01;
    }
    let cell = u32::from(n) - 16;
    let level = |step: u32| if step == 0 { 0 } else { 55 + 40 * step };
    level(cell / 36) << 16 | level(cell / 6 % 6) << 8 | level(cell % 6)
}

/// The classes of the document's style that a pen has.
pub(super) fn classes(pen: &Pen) -> String {
    let lines = match (pen.is_underline(), pen.is_strikethrough()) {
        (true, true) => " us",
        (true, false) => " u",
        (false, true) => " s",
        (false, false) => "",
    };
    let bold = if pen.is_bold() { " b" } else { "" };
    let faint = if pen.is_faint() { " f" } else { "" };
    let italic = if pen.is_italic() { " i" } else { "" };
    let all = [bold, faint, italic, lines].concat();
    all.trim_start().to_owned()
}

/// The rules for them.
pub(super) const CLASSES: &str = ".b{font-weight:bold}.f{opacity:.6}.i{font-style:italic}.u{text-decoration:underline}\
                                  .s{text-decoration:line-through}.us{text-decoration:underline line-through}";

/// Appends text to XML. What is not seen, turns the direction of text, or may not stand in XML is shown as U+FFFD.
pub(super) fn escape(c: char, out: &mut String) {
    match c {
        '&' => out.push_str("&amp;"),
        '<' => out.push_str("&lt;"),
        '>' => out.push_str("&gt;"),
        '"' => out.push_str("&quot;"),
        c if is_unseen(c) => out.push('\u{fffd}'),
        c => out.push(c),
    }
}

fn is_unseen(c: char) -> bool {
    let unseen = matches!(
        c,
        '\u{ad}'
            | '\u{61c}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{fffe}'..='\u{ffff}'
            | '\u{e0000}'..='\u{e007f}'
    );
    // Control characters other than line ends and tabs may not stand in XML 1.0 (section 2.2).
    unseen || c.is_control()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_seen_or_no_xml_is_made_visible() {
        let mut out = String::new();
        "a<b>&\"\u{202e}\u{0}\x1b\u{9b}\u{ffff}\u{200b}\u{e0041}ü".chars().for_each(|c| escape(c, &mut out));
        let unseen = "\u{fffd}".repeat(7);
        assert_eq!(out, format!("a&lt;b&gt;&amp;&quot;{unseen}ü"));
    }

    #[test]
    fn the_256_colours_are_those_of_xterm() {
        assert_eq!(
            [16, 21, 196, 231, 232, 255].map(indexed),
            [0, 0xff, 0xff_0000, 0xff_ffff, 0x08_0808, 0xee_eeee]
        );
        assert_eq!(indexed(110), 0x87_afd7);
    }
}
