use std::io::Write;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener};
use std::os::fd::IntoRawFd;
use std::thread;

use rustix::net::{self, AddressFamily, SocketFlags, SocketType};

/// A listener that is no SSH server.
#[derive(Debug)]
pub struct FakeTarget {
    addr: SocketAddr,
}

impl FakeTarget {
    /// Takes connections, and never says a word.
    pub fn silent() -> Self {
        Self::start(b"", false)
    }

    /// Closes each connection at once.
    pub fn closing() -> Self {
        Self::start(b"", true)
    }

    /// An address at which nobody listens. It stays taken, so that no other program comes to listen there.
    pub fn gone() -> SocketAddr {
        let socket =
            net::socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None).unwrap();
        net::bind(&socket, &SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
        let addr = net::getsockname(&socket).unwrap();
        // Open until the test's process ends.
        let _ = socket.into_raw_fd();
        addr.try_into().unwrap()
    }

    /// Says this to whoever connects, and closes.
    pub fn saying(words: &'static [u8]) -> Self {
        Self::start(words, true)
    }

    /// Its thread ends with the test's process.
    fn start(words: &'static [u8], closes: bool) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let addr = listener.local_addr().unwrap();
        thread::spawn(move || {
            let mut open = Vec::new();
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                // A gateway that has hung up already needs no words.
                let _ = stream.write_all(words);
                match closes {
                    true => drop(stream.shutdown(Shutdown::Both)),
                    false => open.push(stream),
                }
            }
        });
        Self { addr }
    }

    pub fn addr(&self) -> SocketAddr {
        self.addr
    }
}
