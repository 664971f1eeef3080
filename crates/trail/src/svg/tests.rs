use super::*;
use crate::samples::{data, end, header, signed};
use crate::{Event, Header, Terminal, Writer};

const OPTIONS: PictureOptions =
    PictureOptions { channel: None, from: Duration::ZERO, to: Duration::MAX, max_idle: None };

fn recorded(header: &Header, pieces: &[(u64, &str)]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), header, &signed()).unwrap();
    let terminal = Some(Terminal { term: "xterm".into(), columns: 20, rows: 4 });
    let open = Event::Open { channel: ChannelId(0), kind: "shell".into(), command: None, terminal };
    writer.write(Duration::ZERO, &open).unwrap();
    for (at, piece) in pieces {
        writer.write(Duration::from_millis(*at), &data(piece.as_bytes())).unwrap();
    }
    writer.finish(Duration::from_secs(3600), &end()).unwrap()
}

fn drawn_with(options: &PictureOptions, pieces: &[(u64, &str)]) -> String {
    let trail = recorded(&header(), pieces);
    let mut out = Vec::new();
    export_svg(&mut Reader::new(trail.as_slice(), &[]).unwrap(), &mut out, options, |_| ()).unwrap();
    String::from_utf8(out).unwrap()
}

fn drawn(pieces: &[(u64, &str)]) -> String {
    drawn_with(&OPTIONS, pieces)
}

/// The times and values of an attribute of the element that begins so.
fn changes(svg: &str, element: &str, attribute: &str) -> String {
    let line = svg.lines().find(|line| line.starts_with(element)).unwrap();
    let field =
        |text: &str, name: &str| text.split_once(name).unwrap().1.split('"').nth(1).unwrap().to_owned();
    match line.split_once(&format!("<animate attributeName=\"{attribute}\"")) {
        Some((_, animation)) => {
            format!("{} {}", field(animation, " keyTimes="), field(animation, " values="))
        }
        None => field(line, &format!(" {attribute}=")),
    }
}

fn row(svg: &str, n: usize) -> String {
    changes(svg, &format!("<use y=\"{}\"", n * 18), "href")
}

#[test]
fn a_row_is_animated_from_image_to_image_and_the_same_image_is_there_once() {
    let svg = drawn(&[(0, "one"), (1000, "\rtwo"), (2000, "\rone"), (4000, "\rtwo")]);
    assert_eq!(row(&svg, 0), "0;0.2500000;0.5000000;1.0000000 #i1;#i2;#i1;#i2");
    assert_eq!(row(&svg, 1), "#i0");
    assert_eq!((svg.matches(">one<").count(), svg.matches(">two<").count()), (1, 1));
    assert!(svg.contains("<use y=\"0\" href=\"#i2\">") && svg.contains("dur=\"4.000s\""), "{svg}");
}

#[test]
fn what_comes_at_once_is_one_image_and_the_last_of_it_is_there() {
    let svg = drawn(&[(0, "a"), (100, "b"), (110, "c"), (139, "d"), (150, "e")]);
    for (text, count) in [("a", 1), ("ab", 0), ("abc", 0), ("abcd", 1), ("abcde", 1)] {
        assert_eq!(svg.matches(&format!(">{text}<")).count(), count, "{text}: {svg}");
    }
}

#[test]
fn colours_and_looks_are_those_of_the_pen() {
    let svg = drawn(&[(
        0,
        "\x1b[1;3;31mx\x1b[m \x1b[4;9;38;5;196my\x1b[m \x1b[7mz\x1b[m \x1b[2;38;2;1;2;3;48;2;4;5;6mw\x1b[m",
    )]);
    for piece in [
        " class=\"b i\" fill=\"#cd3131\">x</text>",
        " class=\"us\" fill=\"#ff0000\">y</text>",
        "<rect x=\"36\" width=\"9\" height=\"18\" fill=\"#d0d0d0\"/>",
        " fill=\"#121416\">z</text>",
        "<rect x=\"54\" width=\"9\" height=\"18\" fill=\"#040506\"/>",
        " class=\"f\" fill=\"#010203\">w</text>",
    ] {
        assert!(svg.contains(piece), "{piece}: {svg}");
    }
}

#[test]
fn wide_characters_take_two_cells_and_what_follows_stands_behind_them() {
    let svg = drawn(&[(0, "a漢字b")]);
    let part = |x: u32, length: u32, text: &str| {
        format!(
            "<text x=\"{x}\" y=\"14\" textLength=\"{length}\" lengthAdjust=\"spacingAndGlyphs\">{text}</text>"
        )
    };
    let row = [part(0, 9, "a"), part(9, 36, "漢字"), part(45, 9, "b")].concat();
    assert!(svg.contains(&row), "{svg}");
}

#[test]
fn nothing_of_a_hostile_recording_is_markup() {
    let header = Header { remote_user: "</title><script>\u{202e}".into(), ..header() };
    let text = "<script>&\"'\u{202e}\u{2066}\u{ffff}]]>\x1b]0;title\x07\r\n</text><a href='x'>";
    let trail = recorded(&header, &[(0, "\x1b[?7l"), (1, text)]);
    let mut out = Vec::new();
    export_svg(&mut Reader::new(trail.as_slice(), &[]).unwrap(), &mut out, &OPTIONS, |_| ()).unwrap();
    let svg = String::from_utf8(out).unwrap();
    assert!(!svg.contains("<script") && !svg.contains("<a ") && !svg.contains("]]>"), "{svg}");
    assert!(!svg.contains(['\u{202e}', '\u{2066}', '\u{ffff}', '\x1b', '\x07']), "{svg}");
    assert!(svg.contains("&lt;script&gt;") && svg.contains("&lt;/title&gt;"), "{svg}");
}

#[test]
fn a_part_of_the_session_begins_with_what_stood_there_and_long_pauses_are_cut() {
    let pieces = [(0, "one\r\n"), (5000, "two\r\n"), (60_000, "three\r\n"), (61_000, "four\r\n")];
    let at = Duration::from_secs;
    let options = PictureOptions { from: at(6), to: at(60), ..OPTIONS };
    let svg = drawn_with(&options, &pieces);
    assert!(svg.contains("dur=\"54.000s\"") && svg.contains(">three<") && !svg.contains(">four<"), "{svg}");
    assert_eq!(row(&svg, 0), "#i1");
    let options = PictureOptions { max_idle: Some(at(2)), ..OPTIONS };
    let svg = drawn_with(&options, &pieces);
    assert!(svg.contains("dur=\"5.000s\"") && svg.contains(">four<"), "{svg}");
}

#[test]
fn a_screen_that_changes_its_size_is_drawn_in_the_largest() {
    let mut writer = Writer::new(Vec::new(), &header(), &signed()).unwrap();
    let size = |columns, rows| Event::Window { channel: ChannelId(0), columns, rows };
    for (at, event) in
        [(0, size(30, 2)), (1, data(b"1\r\n2")), (2, size(10, 5)), (3, size(20, 1)), (4, data(b"x"))]
    {
        writer.write(Duration::from_secs(at), &event).unwrap();
    }
    let trail = writer.finish(Duration::from_secs(10), &end()).unwrap();
    let mut out = Vec::new();
    export_svg(&mut Reader::new(trail.as_slice(), &[]).unwrap(), &mut out, &OPTIONS, |_| ()).unwrap();
    let svg = String::from_utf8(out).unwrap();
    assert_eq!(changes(&svg, "<rect fill=\"#121416\"", "width"), "0;0.5000000;0.7500000 270;90;180");
    assert_eq!(changes(&svg, "<rect fill=\"#121416\"", "height"), "0;0.5000000;0.7500000 36;90;18");
    assert!(svg.contains("<svg x=\"8\" y=\"34\" width=\"270\" height=\"90\">"), "{svg}");
    // What was below is gone with its row.
    assert!(row(&svg, 1).starts_with("0;0.2500000;0.7500000 ") && row(&svg, 1).ends_with(";#i0"), "{svg}");
}

#[test]
fn a_picture_that_gets_too_large_is_refused_before_anything_is_written() {
    let mut writer = Writer::new(Vec::new(), &header(), &signed()).unwrap();
    writer.write(Duration::ZERO, &Event::Window { channel: ChannelId(0), columns: 4096, rows: 16 }).unwrap();
    for n in 0..300u64 {
        let text: String = (0..16)
            .map(|row| format!("\x1b[{};1H{n}{}", row + 1, "\x1b[31mx\x1b[32my".repeat(2000)))
            .collect();
        writer.write(Duration::from_secs(n), &data(text.as_bytes())).unwrap();
    }
    let trail = writer.finish(Duration::from_secs(400), &end()).unwrap();
    let mut out = Vec::new();
    let mut reader = Reader::new(trail.as_slice(), &[]).unwrap();
    let error = export_svg(&mut reader, &mut out, &OPTIONS, |_| ()).unwrap_err();
    assert!(
        matches!(error, TrailError::PictureTooLarge { .. }) && error.to_string().contains("--to"),
        "{error}"
    );
    assert!(out.is_empty());
}

#[test]
fn a_damaged_recording_is_drawn_up_to_the_damage() {
    let mut writer = Writer::new(Vec::new(), &header(), &signed()).unwrap();
    for (at, text) in [(1, "before"), (2, " behind")] {
        writer.write(Duration::from_secs(at), &data(text.as_bytes())).unwrap();
        writer.flush().unwrap();
    }
    let mut trail = writer.finish(Duration::from_secs(3), &end()).unwrap();
    let place = trail.windows(6).position(|bytes| bytes == b"behind").unwrap();
    trail[place] ^= 1;
    let mut out = Vec::new();
    let mut reader = Reader::new(trail.as_slice(), &[]).unwrap();
    let error = export_svg(&mut reader, &mut out, &OPTIONS, |_| ()).unwrap_err();
    assert!(matches!(error, TrailError::Block { .. }), "{error}");
    let svg = String::from_utf8(out).unwrap();
    assert!(svg.contains(">before<") && svg.trim_end().ends_with("</svg>"), "{svg}");
}
