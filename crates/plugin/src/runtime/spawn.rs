//! What happens between fork and exec of a template, and two calls about pidfds that have no safe form.
//!
//! INVARIANT: all unsafe code of the workspace is in this file.
#![expect(
    unsafe_code,
    reason = "a hook before exec, pidfd_send_signal with flags and AsyncFd have no safe form"
)]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};

use rustix::process::{Gid, Resource, Rlimit, Uid};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::process::Command;

/// The limits and the identity that a template and its workers live with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Confinement {
    /// Address space of each process, in bytes.
    pub(super) memory: u64,
    /// Processes and threads of the user. `None`: no limit.
    pub(super) processes: Option<u64>,
    /// A user and group of its own.
    pub(super) uid: Option<u32>,
}

const MAX_FILES: u64 = 256;
/// The largest file that a plugin may write, in bytes.
const MAX_FILE_SIZE: u64 = 256 * 1024 * 1024;

/// Makes `command` start confined, in a session of its own, with no descriptor but 0 to 2 and `control`.
///
/// `control` must stay open until the command is spawned.
pub(super) fn confine(command: &mut Command, confinement: Confinement, control: RawFd) {
    // SAFETY: between fork and exec only async-signal-safe work is allowed. `prepare` makes system calls through
    // rustix and libc, takes no lock and allocates nothing; an `io::Error` made of an errno holds no heap.
    unsafe {
        command.pre_exec(move || prepare(confinement, control));
    }
}

fn prepare(confinement: Confinement, control: RawFd) -> io::Result<()> {
    rustix::process::setsid()?;
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o027));
    keep_only(control)?;
    limit(Resource::As, confinement.memory)?;
    limit(Resource::Core, 0)?;
    limit(Resource::Nofile, MAX_FILES)?;
    limit(Resource::Fsize, MAX_FILE_SIZE)?;
    if let Some(processes) = confinement.processes {
        limit(Resource::Nproc, processes)?;
    }
    // Orphans of calls come to the template, so that they can be found and killed.
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
    if let Some(uid) = confinement.uid {
        become_user(uid)?;
    }
    rustix::thread::set_no_new_privs(true)?;
    Ok(())
}

/// Never above the hard limit that the gateway itself has.
fn limit(resource: Resource, value: u64) -> io::Result<()> {
    let hard = rustix::process::getrlimit(resource).maximum;
    let value = hard.map_or(value, |hard| hard.min(value));
    rustix::process::setrlimit(resource, Rlimit { current: Some(value), maximum: Some(value) })?;
    Ok(())
}

fn become_user(uid: u32) -> io::Result<()> {
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(uid));
    rustix::thread::set_thread_groups(&[])?;
    rustix::thread::set_thread_res_gid(gid, gid, gid)?;
    rustix::thread::set_thread_res_uid(uid, uid, uid)?;
    Ok(())
}

/// Every descriptor from 3 on is closed by exec, `control` excepted. Closing them here would also close the pipe
/// by which the standard library reports a failed exec.
fn keep_only(control: RawFd) -> io::Result<()> {
    let (first, last): (libc::c_uint, libc::c_uint) = (3, libc::c_uint::MAX);
    // SAFETY: the call changes flags of descriptors and touches no memory.
    let done = unsafe { libc::syscall(libc::SYS_close_range, first, last, libc::CLOSE_RANGE_CLOEXEC) };
    if done != 0 {
        // Kernels before 5.11: the descriptors that the gateway may have inherited itself.
        for fd in 3..1024 {
            // SAFETY: sets a flag of a descriptor; one that is not open is an error that does not matter.
            unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) };
        }
    }
    // SAFETY: clears a flag of a descriptor that the caller keeps open.
    if unsafe { libc::fcntl(control, libc::F_SETFD, 0) } == -1 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Kills the process group whose leader `pidfd` refers to, also when the leader has ended.
///
/// A group is named by its leader's pid, which might be another's by now; a pidfd cannot be.
pub(super) fn kill_group(pidfd: BorrowedFd<'_>) -> io::Result<()> {
    /// Since Linux 6.9.
    const PIDFD_SIGNAL_PROCESS_GROUP: libc::c_uint = 1 << 2;
    let no_info: *const libc::siginfo_t = std::ptr::null();
    // SAFETY: a null `info` is allowed (pidfd_send_signal(2)), and no other memory is passed.
    let done = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd.as_raw_fd(),
            libc::SIGKILL,
            no_info,
            PIDFD_SIGNAL_PROCESS_GROUP,
        )
    };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// A pidfd that becomes readable when its process has ended.
pub(super) fn watch(pidfd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` names the same open descriptor for as long as it lives, and the `AsyncFd` owns it.
    let watched = unsafe { AsyncFd::register_with_interest(pidfd, Interest::READABLE) };
    Ok(watched?)
}
