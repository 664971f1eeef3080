//! Export of the commands that were typed, as the screen shows them.

use std::io::{Read, Write};

use crate::followed::{Channels, Rows, Told};
use crate::text::json;
use crate::{ChannelId, Reader, TrailError};

/// Writes each line that was typed, as JSON in a line of its own, with the time of the key that ended it and its channel.
///
/// A line is what the screen shows when the cursor leaves its row after that key, so it has what history, completion and
/// editing made of it, and nothing that the screen did not show: what was typed at a prompt that shows nothing is told as
/// `hidden`, without its text. What is typed in a program with a screen of its own (an editor, tmux) is told as so many keys.
/// Commands that a client has named are there too. A `channel` of `None` is all of them.
pub fn export_commands<R: Read>(
    reader: &mut Reader<R>,
    out: &mut impl Write,
    channel: Option<ChannelId>,
) -> Result<(), TrailError> {
    let mut channels = Channels::new(Rows::Unseen);
    let mut write = |told: Told<'_>| match told {
        Told::Command(command) => writeln!(out, "{}", json(&command)?),
        Told::Row(_) => Ok(()),
    };
    for item in reader {
        let (at, event) = item?;
        if channel.is_none_or(|channel| channel == event.channel()) {
            channels.take(at, &event, &mut write).map_err(TrailError::Output)?;
        }
    }
    channels.end(&mut write).and_then(|()| out.flush()).map_err(TrailError::Output)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::samples::{SUDO, end, header, shell, signed, talk};
    use crate::{Direction, Event, Stream, Writer};

    /// `<` is typed, `>` is shown, a second apart.
    fn commands(lines: &[&str]) -> Vec<String> {
        let mut writer = Writer::new(Vec::new(), &header(), &signed()).unwrap();
        writer.write(Duration::ZERO, &shell(30)).unwrap();
        for (at, event) in talk(lines, 1) {
            writer.write(at, &event).unwrap();
        }
        let trail = writer.finish(Duration::from_secs(3600), &end()).unwrap();
        let mut out = Vec::new();
        export_commands(&mut Reader::new(trail.as_slice(), &[]).unwrap(), &mut out, None).unwrap();
        String::from_utf8(out).unwrap().lines().map(str::to_owned).collect()
    }

    #[test]
    fn a_command_is_what_the_screen_shows_and_not_the_keys() {
        // From the history, with a letter taken back.
        let found = commands(&[
            ">a@b:~$ ",
            "<\x1b[A",
            ">cat /etc/shadoww",
            "<\x7f\r",
            ">\x08\x1b[K",
            ">\r\nroot:*\r\n",
        ]);
        assert_eq!(found, [r#"{"at":3.0,"channel":0,"prompt":"a@b:~$","command":"cat /etc/shadow"}"#]);
    }

    #[test]
    fn what_the_screen_does_not_show_is_told_without_its_text() {
        let found = commands(&SUDO);
        assert_eq!(
            found,
            [
                r#"{"at":1.0,"channel":0,"prompt":"$","command":"sudo id"}"#,
                r#"{"at":3.0,"channel":0,"prompt":"Password:","hidden":true}"#
            ]
        );
    }

    #[test]
    fn lines_typed_ahead_wrapped_or_given_up_are_told_apart() {
        let long = "echo 0123456789012345678901234567890123456789";
        let found = commands(&[
            ">$ ",
            "<sl\x03",
            ">^C\r\n$ ",
            "<ls\rid\r",
            ">ls\r\nfile\r\n$ id\r\nuid=0\r\n$ ",
            &format!("<{long}\r"),
            &format!(">{long}\r\n"),
        ]);
        let told: Vec<String> = ["ls", "id", long].map(|text| format!("\"command\":\"{text}\"")).into();
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(found.iter().zip(&told).all(|(line, told)| line.contains(told)), "{found:?}");
    }

    #[test]
    fn a_line_typed_before_the_first_prompt_is_not_what_the_server_says_meanwhile() {
        let found = commands(&["<ls\rid\r", ">Last login: today\r\n$ ", ">ls\r\nfile\r\n$ id\r\nuid=0\r\n"]);
        let told = [
            r#"{"at":0.0,"channel":0,"prompt":"$","command":"ls"}"#,
            r#"{"at":0.0,"channel":0,"prompt":"$","command":"id"}"#,
        ];
        assert_eq!(found, told);
    }

    #[test]
    fn what_is_typed_in_an_editor_is_no_command() {
        let found = commands(&[
            ">$ ",
            "<vi\r",
            ">vi\r\n\x1b[?1049h\x1b[H~",
            "<ihello\r:wq\r",
            ">hello\r\n~\x1b[?1049l$ ",
        ]);
        let told = [
            r#"{"at":1.0,"channel":0,"prompt":"$","command":"vi"}"#,
            r#"{"at":3.0,"channel":0,"until":3.0,"keys":11}"#,
        ];
        assert_eq!(found, told);
    }

    #[test]
    fn each_channel_is_followed_on_a_screen_of_its_own() {
        let mut writer = Writer::new(Vec::new(), &header(), &signed()).unwrap();
        let terminal = || Some(crate::Terminal { term: "xterm".into(), columns: 30, rows: 5 });
        let channels = [ChannelId(1), ChannelId(2), ChannelId(7)];
        let at = Duration::from_secs;
        for channel in channels {
            let command = (channel == ChannelId(7)).then(|| b"id".as_slice().into());
            let open = Event::Open { channel, kind: "shell".into(), command, terminal: terminal() };
            writer.write(at(0), &open).unwrap();
        }
        let texts =
            [(Direction::ToClient, "$ "), (Direction::FromClient, "x\r"), (Direction::ToClient, "x\r\n")];
        for (n, (direction, text)) in texts.into_iter().enumerate() {
            for channel in &channels[..2] {
                let text = text.replace('x', &format!("ls {}", channel.0));
                let bytes = text.as_bytes().into();
                let event = Event::Data { channel: *channel, direction, stream: Stream::Main, bytes };
                writer.write(at(n as u64 + 1), &event).unwrap();
            }
        }
        let trail = writer.finish(at(9), &end()).unwrap();
        let exported = |channel| {
            let mut out = Vec::new();
            export_commands(&mut Reader::new(trail.as_slice(), &[]).unwrap(), &mut out, channel).unwrap();
            String::from_utf8(out).unwrap()
        };
        let all = [
            r#"{"at":0.0,"channel":7,"command":"id"}"#,
            r#"{"at":2.0,"channel":1,"prompt":"$","command":"ls 1"}"#,
            r#"{"at":2.0,"channel":2,"prompt":"$","command":"ls 2"}"#,
        ];
        assert_eq!(exported(None).lines().collect::<Vec<_>>(), all);
        assert_eq!(exported(Some(ChannelId(2))).lines().collect::<Vec<_>>(), all[2..]);
    }
}
