//! Paths without detours, in the place of those with some.

use super::packet::kind;

/// Takes `..` out of the paths of a request, by their letters, where the request says the same for links' sake: behind a
/// name that is a link, `..` is another folder than its letters say. Lengths stay as they are.
///
/// The names of symbolic links are left alone: see [`has_detour`].
pub fn straighten(head: &mut [u8]) {
    let Some((fixed, mut rest)) = head.split_at_mut_checked(9) else { return };
    let paths = match fixed.last_chunk::<5>() {
        Some([kind::EXTENDED, ..]) => {
            let Some((name, paths)) = string(rest) else { return };
            rest = paths;
            match &*name {
                b"posix-rename@openssh.com" | b"hardlink@openssh.com" => 2,
                b"statvfs@openssh.com" | b"lsetstat@openssh.com" => 1,
                _ => 0,
            }
        }
        Some([kind::RENAME, ..]) => 2,
        Some(
            [
                kind::OPEN
                | kind::LSTAT
                | kind::STAT
                | kind::SETSTAT
                | kind::OPENDIR
                | kind::REMOVE
                | kind::MKDIR
                | kind::RMDIR
                | kind::READLINK,
                ..,
            ],
        ) => 1,
        _ => 0,
    };
    for _ in 0..paths {
        let Some((path, more)) = string(rest) else { return };
        straight(path);
        rest = more;
    }
}

/// Whether a path goes back up after it went down.
pub fn has_detour(path: &[u8]) -> bool {
    let mut names = path.split(|&byte| byte == b'/').filter(|name| !matches!(*name, b"" | b"."));
    let is_up = |name: &&[u8]| *name == b"..";
    // A relative path may begin above its start, which is no link.
    let first_down = names.by_ref().find(|name| !is_up(name));
    first_down.is_some() && names.any(|name| is_up(&name))
}

fn straight(path: &mut [u8]) {
    let is_absolute = path.starts_with(b"/");
    if !has_detour(path) {
        return;
    }
    let mut names: Vec<&[u8]> = Vec::new();
    for name in path.split(|&byte| byte == b'/') {
        match (name, names.last()) {
            (b"" | b".", _) => {}
            (b"..", None) if is_absolute => {}
            (b"..", None | Some(&b"..")) => names.push(name),
            (b"..", Some(_)) => drop(names.pop()),
            (name, _) => names.push(name),
        }
    }
    let names = names.join(&b'/');
    // What is left over becomes slashes, which say nothing behind a dot.
    let start: &[u8] = if is_absolute { b"/." } else { b"." };
    let Some(slashes) = path.len().checked_sub(start.len() + names.len()) else { return };
    let straight = [start, &vec![b'/'; slashes], &names].concat();
    path.copy_from_slice(&straight);
}

/// The first string, and what follows it.
fn string(rest: &mut [u8]) -> Option<(&mut [u8], &mut [u8])> {
    let (length, rest) = rest.split_first_chunk_mut::<4>()?;
    rest.split_at_mut_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sftp::{Packet, Request};
    use crate::wire::Write;

    fn after(path: &str) -> String {
        let mut path = path.as_bytes().to_vec();
        straight(&mut path);
        String::from_utf8(path).unwrap()
    }

    #[test]
    fn a_detour_becomes_the_straight_way_of_its_length() {
        for (path, straight) in [
            ("/srv/link/../x", "/.///////srv/x"),
            ("/a/../../etc", "/.///////etc"),
            ("a/..", ".///"),
            ("../a/../b", ".////../b"),
            ("/a/..", "/.///"),
            ("/srv/x", "/srv/x"),
            ("/../x", "/../x"),
            ("../x", "../x"),
            ("/srv/./x//y", "/srv/./x//y"),
        ] {
            assert_eq!(after(path), straight, "{path}");
        }
    }

    #[test]
    fn each_path_of_a_request_is_straightened_and_nothing_else() {
        let mut rest = vec![kind::EXTENDED, 0, 0, 0, 7];
        for string in [&b"posix-rename@openssh.com"[..], b"/a/l/../b", b"/c/l/../d"] {
            rest.put_string(string);
        }
        let mut packet = Vec::new();
        packet.put_string(&rest);
        straighten(&mut packet);
        let read = Packet::begin(&packet).unwrap().unwrap();
        let request = Request::parse(read.kind, read.numbered().unwrap().unwrap().1);
        assert_eq!(request, Ok(Request::Rename { from: b"/.////a/b", to: b"/.////c/d" }));
    }

    proptest! {
        #[test]
        fn no_bytes_panic_and_no_length_changes(mut head: Vec<u8>, path in "[./ab]{0,20}") {
            let length = head.len();
            straighten(&mut head);
            prop_assert_eq!(head.len(), length);
            let straight = after(&path);
            prop_assert_eq!(straight.len(), path.len());
            prop_assert!(!has_detour(straight.as_bytes()), "{} {}", path, straight);
        }
    }
}
