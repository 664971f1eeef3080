//! Paths as a policy judges them.

/// A path from the root on, without `.`, `..` and doubled slashes. A relative one begins at `start`; `None` where that
/// is not known.
///
/// By its letters alone: which names are links is known to the target only.
pub(crate) fn absolute(path: &[u8], start: Option<&[u8]>) -> Option<Vec<u8>> {
    let mut names: Vec<&[u8]> = Vec::new();
    let from = if path.starts_with(b"/") { b"" } else { start.filter(|start| start.starts_with(b"/"))? };
    for name in from.split(is_slash).chain(path.split(is_slash)) {
        match name {
            b"" | b"." => {}
            b".." => drop(names.pop()),
            name => names.push(name),
        }
    }
    Some([b"/", names.join(&b'/').as_slice()].concat())
}

/// Where relative paths begin, as a target says it. Each of them is kept with it, so a long one is as good as none: what
/// begins there cannot be judged.
pub(super) fn start(name: &[u8]) -> Option<Vec<u8>> {
    (name.starts_with(b"/") && name.len() <= LONGEST_START).then(|| name.to_vec())
}

/// Bytes; Linux has no longer paths.
const LONGEST_START: usize = 4096;

fn is_slash(byte: &u8) -> bool {
    *byte == b'/'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(path: &str, start: Option<&str>) -> Option<String> {
        absolute(path.as_bytes(), start.map(str::as_bytes)).map(|path| String::from_utf8(path).unwrap())
    }

    #[test]
    fn paths_are_brought_to_one_form() {
        for (path, form) in [
            ("/", "/"),
            ("//srv///a/", "/srv/a"),
            ("/srv/./a/../b", "/srv/b"),
            ("/../../etc", "/etc"),
            ("/srv/../../etc/passwd", "/etc/passwd"),
            ("/srv/...", "/srv/..."),
        ] {
            assert_eq!(text(path, None).as_deref(), Some(form), "{path}");
        }
    }

    #[test]
    fn a_start_that_is_long_or_no_place_is_none() {
        let of = |letters| [b"/", vec![b'x'; letters].as_slice()].concat();
        assert_eq!(start(&of(4095)), Some(of(4095)));
        assert_eq!(start(&of(4096)), None);
        assert_eq!(start(b"home"), None);
    }

    #[test]
    fn relative_paths_begin_where_the_target_says() {
        assert_eq!(text("a/b", Some("/home/x")).as_deref(), Some("/home/x/a/b"));
        assert_eq!(text("../y", Some("/home/x")).as_deref(), Some("/home/y"));
        assert_eq!(text("", Some("/home/x")).as_deref(), Some("/home/x"));
        assert_eq!(text("a", None), None);
        assert_eq!(text("a", Some("not/absolute")), None);
    }
}
