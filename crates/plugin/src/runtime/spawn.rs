//! What happens between fork and exec of a template, and two calls about pidfds that have no safe form.
//!
//! INVARIANT: all unsafe code of the workspace is in this file.
#![expect(
    unsafe_code,
    reason = "a hook before exec, pidfd_send_signal with flags and AsyncFd have no safe form"
)]

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use rustix::process::{Gid, Resource, Rlimit, Uid};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::process::Command;

/// What a template and its workers are confined to. All of it is made before the fork.
#[derive(Debug)]
pub(super) struct Confinement {
    pub(super) limits: Limits,
    /// A user and group of its own.
    pub(super) uid: Option<u32>,
    /// `cgroup.procs` of a group of its own.
    pub(super) group: Option<OwnedFd>,
    /// A landlock ruleset.
    pub(super) ruleset: Option<OwnedFd>,
    /// A seccomp program.
    pub(super) filter: Option<Vec<libc::sock_filter>>,
    /// Where the descriptor goes that the filter asks by.
    pub(super) asked: Option<OwnedFd>,
}

/// Limits of each process (setrlimit(2)).
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Address space, in bytes.
    pub(super) memory: u64,
    /// Processes and threads of the user. `None`: no limit.
    pub(super) processes: Option<u64>,
    /// Seconds of processor time.
    pub(super) cpu: u64,
    /// The largest file that is written, in bytes.
    pub(super) file_size: u64,
}

const MAX_FILES: u64 = 256;

/// Makes `command` start confined, in a session of its own, with no descriptor but 0 to 2 and `control`.
///
/// `control` must stay open until the command is spawned.
pub(super) fn confine(command: &mut Command, confinement: Confinement, control: RawFd) {
    // SAFETY: between fork and exec only async-signal-safe work is allowed. `prepare` makes system calls through
    // rustix and libc, takes no lock and allocates nothing; an `io::Error` made of an errno holds no heap.
    unsafe {
        command.pre_exec(move || prepare(&confinement, control));
    }
}

/// The order matters: what takes rights away comes after what needs them.
fn prepare(confinement: &Confinement, control: RawFd) -> io::Result<()> {
    rustix::process::setsid()?;
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o027));
    keep_only(control)?;
    set_limits(confinement.limits)?;
    // Orphans of calls come to the template, so that they can be found and killed.
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
    if let Some(group) = &confinement.group {
        rustix::io::write(group, b"0")?;
    }
    if let Some(uid) = confinement.uid {
        become_user(uid)?;
    }
    drop_capabilities()?;
    rustix::thread::set_no_new_privs(true)?;
    if let Some(ruleset) = &confinement.ruleset {
        restrict(ruleset.as_fd())?;
    }
    match (&confinement.filter, &confinement.asked) {
        (Some(filter), Some(asked)) => send(asked.as_fd(), install_asking(filter)?),
        (Some(filter), None) => install(filter, 0).map(drop),
        (None, Some(_)) => Err(io::ErrorKind::Unsupported.into()),
        (None, None) => Ok(()),
    }
}

fn set_limits(limits: Limits) -> io::Result<()> {
    limit(Resource::As, limits.memory)?;
    limit(Resource::Core, 0)?;
    limit(Resource::Nofile, MAX_FILES)?;
    limit(Resource::Fsize, limits.file_size)?;
    limit(Resource::Cpu, limits.cpu)?;
    limit(Resource::Msgqueue, 0)?;
    match limits.processes {
        Some(processes) => limit(Resource::Nproc, processes),
        None => Ok(()),
    }
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

/// Also where there is no user of its own: a gateway that is root, or may bind low ports, hands nothing of that on.
fn drop_capabilities() -> io::Result<()> {
    use rustix::thread::{
        CapabilitySet, CapabilitySets, remove_capability_from_bounding_set, set_capabilities,
    };
    for bit in 0..64 {
        // Fails for those that the kernel does not know, and where nothing may be removed. Without the next step it would
        // not be enough, and with it it is not needed but for programs that are given more than they have.
        let _ = remove_capability_from_bounding_set(CapabilitySet::from_bits_retain(1 << bit));
    }
    let none = CapabilitySet::empty();
    Ok(set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })?)
}

fn restrict(ruleset: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: two numbers are passed, and no memory.
    let done = unsafe { libc::syscall(libc::SYS_landlock_restrict_self, ruleset.as_raw_fd(), 0) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

const SECCOMP_SET_MODE_FILTER: libc::c_uint = 1;

/// Before Linux 5.19 a signal to the caller takes its question back, and it asks again.
fn install_asking(filter: &[libc::sock_filter]) -> io::Result<RawFd> {
    let flags = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER;
    match install(filter, flags | libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV) {
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => install(filter, flags),
        done => done,
    }
}

/// The descriptor that the filter asks by, where the flags want one.
fn install(filter: &[libc::sock_filter], flags: libc::c_ulong) -> io::Result<RawFd> {
    let program = libc::sock_fprog {
        len: filter.len().try_into().map_err(|_| io::ErrorKind::InvalidInput)?,
        filter: filter.as_ptr().cast_mut(),
    };
    // SAFETY: the kernel reads the program, which lives until the call is over, and does not write it.
    let done =
        unsafe { libc::syscall(libc::SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &raw const program) };
    // A descriptor fits.
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(done as RawFd) }
}

/// Hands a descriptor to the gateway and closes it here.
fn send(to: BorrowedFd<'_>, fd: RawFd) -> io::Result<()> {
    // SAFETY: the kernel has just made it, and nobody else has it.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    let borrowed = [fd.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut rights = SendAncillaryBuffer::new(&mut space);
    rights.push(SendAncillaryMessage::ScmRights(&borrowed));
    sendmsg(to, &[IoSlice::new(b"!")], &mut rights, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// A connect(2) that a filter asks about; all of it is the caller's word.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) id: u64,
    /// As the gateway's own namespace names it.
    pub(super) thread: u32,
    pub(super) socket: RawFd,
    /// In the caller's memory.
    pub(super) address: u64,
    pub(super) length: usize,
}

/// The next question of a filter. It waits where there is none.
pub(super) fn receive(listener: BorrowedFd<'_>) -> io::Result<Asked> {
    // SAFETY: the structure is plain numbers, and the kernel wants it zeroed.
    let mut asked: libc::seccomp_notif = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel writes a `seccomp_notif`, whose size is part of the request's number.
    let done = unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_RECV, &raw mut asked) };
    if done != 0 {
        return Err(io::Error::last_os_error());
    }
    let [socket, address, length, ..] = asked.data.args;
    #[expect(clippy::cast_possible_truncation, reason = "as the kernel cuts the arguments of connect(2)")]
    let (socket, length) = (socket as RawFd, length as u32 as usize);
    Ok(Asked { id: asked.id, thread: asked.pid, socket, address, length })
}

/// Whether the caller still waits, so that its process has not become another.
pub(super) fn is_waiting(listener: BorrowedFd<'_>, id: u64) -> io::Result<()> {
    // SAFETY: the kernel reads the number, which lives until the call is over.
    let done =
        unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_ID_VALID, &raw const id) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Lets the caller go on, with the result of its connect(2).
pub(super) fn answer(listener: BorrowedFd<'_>, id: u64, result: io::Result<()>) -> io::Result<()> {
    // Anything without a number of its own is a refusal.
    let error = result.err().map_or(0, |error| -error.raw_os_error().unwrap_or(libc::EACCES));
    let mut response = libc::seccomp_notif_resp { id, val: 0, error, flags: 0 };
    // SAFETY: the kernel reads a `seccomp_notif_resp`, whose size is part of the request's number.
    let done =
        unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SEND, &raw mut response) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// The version of landlock that the kernel speaks; 0: none.
pub(super) fn landlock_version() -> u32 {
    const LANDLOCK_CREATE_RULESET_VERSION: libc::c_uint = 1;
    let nothing: *const libc::c_void = std::ptr::null();
    // SAFETY: null with length 0 is what a question for the version takes (landlock_create_ruleset(2)).
    let version = unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            nothing,
            0 as libc::size_t,
            LANDLOCK_CREATE_RULESET_VERSION,
        )
    };
    u32::try_from(version).unwrap_or(0)
}

/// Whether seccomp filters may give `action`.
pub(super) fn filters_can(action: u32) -> bool {
    const SECCOMP_GET_ACTION_AVAIL: libc::c_uint = 2;
    // SAFETY: the kernel reads the number, which lives until the call is over.
    let done = unsafe { libc::syscall(libc::SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &raw const action) };
    done == 0
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
