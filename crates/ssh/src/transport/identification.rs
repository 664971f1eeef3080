//! The exchange of protocol versions (RFC 4253 section 4.2).

use super::input::Input;
use crate::{Error, Role};

/// How much a server may say before it says that it is SSH, the identification included.
const LONGEST_PREAMBLE: usize = 16 * 1024;
/// An identification, its end of line included.
const LONGEST: usize = 255;

/// The peer's identification without its end of line, once it is there. A client says nothing before it.
pub(super) fn read(input: &mut Input, role: Role, preamble: &mut usize) -> Result<Option<Vec<u8>>, Error> {
    loop {
        let unread = input.unread();
        let Some(end) = unread.iter().position(|&byte| byte == b'\n') else {
            let longest =
                if unread.starts_with(b"SSH-") || role == Role::Server { LONGEST } else { LONGEST_PREAMBLE };
            return if unread.len() > longest { Err(Error::EndlessBanner) } else { Ok(None) };
        };
        let line = unread.get(..end).unwrap_or_default();
        let line = line.strip_suffix(b"\r").unwrap_or(line).to_vec();
        input.consume(end + 1);
        if line.starts_with(b"SSH-") {
            return check(line).map(Some);
        }
        *preamble += end + 1;
        match role {
            Role::Client if *preamble <= LONGEST_PREAMBLE => {}
            Role::Client => return Err(Error::EndlessBanner),
            Role::Server => return Err(Error::NotSsh(shown(&line))),
        }
    }
}

fn check(line: Vec<u8>) -> Result<Vec<u8>, Error> {
    let is_ours = line.starts_with(b"SSH-2.0-") || line.starts_with(b"SSH-1.99-");
    if is_ours && line.len() < LONGEST && !line.contains(&0) {
        Ok(line)
    } else {
        Err(Error::NotSsh(shown(&line)))
    }
}

fn shown(line: &[u8]) -> String {
    String::from_utf8_lossy(line).chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(bytes: &[u8], role: Role) -> Result<Option<Vec<u8>>, Error> {
        let mut input = Input::default();
        input.room(bytes.len())[..bytes.len()].copy_from_slice(bytes);
        input.filled(bytes.len());
        read(&mut input, role, &mut 0)
    }

    #[test]
    fn a_server_may_say_something_first_and_a_client_may_not() {
        let greeting = b"Welcome\r\nto this\nSSH-2.0-x y\r\nrest";
        assert_eq!(read_all(greeting, Role::Client).unwrap().unwrap(), b"SSH-2.0-x y");
        assert!(matches!(read_all(greeting, Role::Server), Err(Error::NotSsh(_))));
        assert!(matches!(read_all(b"GET / HTTP/1.1\r\n", Role::Server), Err(Error::NotSsh(_))));
    }

    #[test]
    fn an_identification_that_is_cut_is_waited_for() {
        let whole = b"SSH-2.0-x\r\n";
        for cut in 0..whole.len() {
            assert_eq!(read_all(&whole[..cut], Role::Server).unwrap(), None);
        }
        assert!(read_all(whole, Role::Server).unwrap().is_some());
        assert!(read_all(b"SSH-1.99-old\n", Role::Client).unwrap().is_some());
        assert!(matches!(read_all(b"SSH-1.5-older\n", Role::Client), Err(Error::NotSsh(_))));
    }

    #[test]
    fn endless_talk_is_ended() {
        let lines = b"hello\n".repeat(LONGEST_PREAMBLE / 6 + 1);
        assert!(matches!(read_all(&lines, Role::Client), Err(Error::EndlessBanner)));
        let line = vec![b'x'; LONGEST_PREAMBLE + 1];
        assert!(matches!(read_all(&line, Role::Client), Err(Error::EndlessBanner)));
        assert!(matches!(read_all(&line[..LONGEST + 1], Role::Server), Err(Error::EndlessBanner)));
        let name = [b"SSH-2.0-".as_slice(), &[b'x'; LONGEST]].concat();
        assert!(matches!(read_all(&name, Role::Client), Err(Error::EndlessBanner)));
    }
}
