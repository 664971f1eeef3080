//! Connects for plugins whose network is restricted (seccomp_unotify(2)).
//!
//! The filter of such a plugin hands each connect(2) to the gateway, and the kernel keeps the caller waiting. The address
//! is read once, judged, and used: the gateway connects the plugin's own socket by a descriptor of its own. The plugin may
//! change its memory or its descriptors meanwhile, and neither changes what was judged.

use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::OFlags;
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};

use super::network::Doors;
use crate::runtime::spawn::{self, Asked};

/// Connects that wait for the other side at one time; more are told to try again.
const MAX_WAITING: usize = 64;
/// Refusals that are logged for one template.
const MAX_LOGGED: usize = 20;
const STACK: usize = 128 * 1024;
/// As many bytes as the longest address.
const ADDRESS_BYTES: usize = 128;

#[derive(Debug)]
struct Broker {
    plugin: String,
    doors: Arc<Doors>,
    listener: OwnedFd,
    waiting: AtomicUsize,
    logged: AtomicUsize,
}

/// Serves what comes by `listener`, on a thread of its own, until the last process of the filter has ended.
///
/// # Errors
/// When there is no thread to be had.
pub(in crate::runtime) fn serve(plugin: String, doors: Arc<Doors>, listener: OwnedFd) -> io::Result<()> {
    let broker =
        Broker { plugin, doors, listener, waiting: AtomicUsize::new(0), logged: AtomicUsize::new(0) };
    let broker = Arc::new(broker);
    thread::Builder::new().name("plugin-network".into()).stack_size(STACK).spawn(move || broker.run())?;
    Ok(())
}

impl Broker {
    fn run(self: Arc<Self>) {
        loop {
            let mut polled = [PollFd::new(&self.listener, PollFlags::IN)];
            match poll(&mut polled, None) {
                Ok(_) => {}
                Err(rustix::io::Errno::INTR) => continue,
                Err(_) => return,
            }
            let events = polled.iter().fold(PollFlags::empty(), |all, one| all | one.revents());
            if events.contains(PollFlags::IN) {
                // One whose caller was killed meanwhile is gone.
                if let Ok(asked) = spawn::receive(self.listener.as_fd()) {
                    self.handle(asked);
                }
            } else if !events.is_empty() {
                return;
            }
        }
    }

    fn handle(self: &Arc<Self>, asked: Asked) {
        let (socket, address) = match self.judge(&asked) {
            Ok(both) => both,
            Err(error) => return self.answer(&asked, Err(error)),
        };
        let at_once = rustix::fs::fcntl_getfl(&socket).is_ok_and(|flags| flags.contains(OFlags::NONBLOCK));
        if at_once {
            return self.answer(&asked, connect(&socket, address));
        }
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= MAX_WAITING {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            return self.answer(&asked, Err(rustix::io::Errno::AGAIN.into()));
        }
        let broker = Arc::clone(self);
        let id = asked.id;
        let started = thread::Builder::new().stack_size(STACK).spawn(move || {
            broker.answer(&asked, connect(&socket, address));
            broker.waiting.fetch_sub(1, Ordering::Relaxed);
        });
        if let Err(error) = started {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            let _ = spawn::answer(self.listener.as_fd(), id, Err(error));
        }
    }

    /// The plugin's socket, and the address that it may be connected to.
    fn judge(&self, asked: &Asked) -> io::Result<(OwnedFd, SocketAddr)> {
        let address = read_address(asked)?;
        let socket = take_socket(asked)?;
        // The process is still the one that asked, so both were its own.
        spawn::is_waiting(self.listener.as_fd(), asked.id)?;
        let address = parse(&address)?;
        if !self.doors.admit(address, Instant::now()) {
            if self.logged.fetch_add(1, Ordering::Relaxed) < MAX_LOGGED {
                tracing::warn!(plugin = self.plugin, %address, "a connection is not in the plugin's `network` list");
            }
            return Err(rustix::io::Errno::ACCESS.into());
        }
        Ok((socket, address))
    }

    /// Fails when the caller is gone, which then needs no answer.
    fn answer(&self, asked: &Asked, result: io::Result<()>) {
        let _ = spawn::answer(self.listener.as_fd(), asked.id, result);
    }
}

fn connect(socket: &OwnedFd, address: SocketAddr) -> io::Result<()> {
    Ok(rustix::net::connect(socket, &address)?)
}

fn read_address(asked: &Asked) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; asked.length.min(ADDRESS_BYTES)];
    let memory = File::open(format!("/proc/{}/mem", asked.thread))?;
    memory.read_exact_at(&mut bytes, asked.address).map_err(|_| rustix::io::Errno::FAULT)?;
    Ok(bytes)
}

fn take_socket(asked: &Asked) -> io::Result<OwnedFd> {
    let status = fs::read_to_string(format!("/proc/{}/status", asked.thread))?;
    let process = status.lines().find_map(|line| line.strip_prefix("Tgid:"));
    let process = process.and_then(|id| id.trim().parse().ok()).filter(|id| *id > 0).and_then(Pid::from_raw);
    let pidfd = pidfd_open(process.ok_or(rustix::io::Errno::SRCH)?, PidfdFlags::empty())?;
    Ok(pidfd_getfd(pidfd, asked.socket, PidfdGetfdFlags::empty())?)
}

/// `struct sockaddr_in` and `struct sockaddr_in6` (ip(7), ipv6(7)).
fn parse(bytes: &[u8]) -> io::Result<SocketAddr> {
    let invalid = || io::Error::from(rustix::io::Errno::INVAL);
    let family = u16::from_ne_bytes(*bytes.first_chunk().ok_or_else(invalid)?);
    let port = u16::from_be_bytes(field(bytes, 2).ok_or_else(invalid)?);
    match i32::from(family) {
        libc::AF_INET => {
            let ip = Ipv4Addr::from(field::<4>(bytes, 4).ok_or_else(invalid)?);
            Ok(SocketAddrV4::new(ip, port).into())
        }
        libc::AF_INET6 => {
            let ip = Ipv6Addr::from(field::<16>(bytes, 8).ok_or_else(invalid)?);
            let scope = u32::from_ne_bytes(field(bytes, 24).ok_or_else(invalid)?);
            Ok(SocketAddrV6::new(ip, port, 0, scope).into())
        }
        _ => Err(rustix::io::Errno::AFNOSUPPORT.into()),
    }
}

fn field<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_as_the_kernel_reads_it_and_a_short_one_is_refused() {
        let mut v4 = u16::try_from(libc::AF_INET).unwrap().to_ne_bytes().to_vec();
        v4.extend([1, 187, 10, 0, 0, 1]);
        assert_eq!(parse(&v4).unwrap(), "10.0.0.1:443".parse().unwrap());
        let mut v6 = u16::try_from(libc::AF_INET6).unwrap().to_ne_bytes().to_vec();
        v6.extend([1, 187, 0, 0, 0, 0]);
        v6.extend(Ipv6Addr::LOCALHOST.octets());
        v6.extend([0; 4]);
        assert_eq!(parse(&v6).unwrap(), "[::1]:443".parse().unwrap());
        for whole in [v4, v6] {
            for cut in 0..whole.len() {
                assert!(parse(&whole[..cut]).is_err(), "{cut}");
            }
        }
        let mut unix = u16::try_from(libc::AF_UNIX).unwrap().to_ne_bytes().to_vec();
        unix.extend(b"/run/socket\0");
        assert!(parse(&unix).is_err());
    }
}
