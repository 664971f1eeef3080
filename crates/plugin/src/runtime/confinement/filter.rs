//! The system calls that a plugin never needs, as a seccomp filter (seccomp(2), classic BPF).
//!
//! A list of what is denied: Python, its C extensions and the programs that plugins start use too many calls for a list
//! of what is allowed to hold on the next version of the C library.

use libc::{c_long, sock_filter};

/// The kernel reads one per rule; the offsets of its fields are those of `struct seccomp_data`.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;

const fn argument(index: u32) -> u32 {
    // The low half: what is looked at fits into it, and is cut to it by the kernel as well.
    let low = if cfg!(target_endian = "little") { 0 } else { 4 };
    16 + 8 * index + low
}

const LOAD: u16 = 0x20;
const JUMP_EQUAL: u16 = 0x15;
const JUMP_AT_LEAST: u16 = 0x35;
const JUMP_ANY_BIT: u16 = 0x45;
const AND: u16 = 0x54;
const RETURN: u16 = 0x06;

const ALLOW: u32 = 0x7fff_0000;
const KILL_PROCESS: u32 = 0x8000_0000;
const ASK: u32 = 0x7fc0_0000;

const fn refuse(error: i32) -> u32 {
    // An errno is small and positive.
    0x0005_0000 | (error as u32 & 0xffff)
}

/// The kernel's number of the architecture (`AUDIT_ARCH_*`); `None` where Keyward has no filter.
const NATIVE: Option<u32> = if cfg!(all(target_arch = "x86_64", target_pointer_width = "64")) {
    Some(0xc000_003e)
} else if cfg!(target_arch = "aarch64") {
    Some(0xc000_00b7)
} else {
    None
};

/// Calls of the x32 way into an x86-64 kernel have this bit.
const X32: Option<u32> = if cfg!(target_arch = "x86_64") { Some(0x4000_0000) } else { None };

/// Namespaces that clone(2) makes.
const NEW_NAMESPACES: u32 = (libc::CLONE_NEWNS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET) as u32;

/// Unix sockets are left out: they lead to services of the machine that trust the gateway's user (systemd, containers,
/// databases), and landlock does not know their names. So are families that lead into rarely used parts of the kernel.
const FAMILIES: [i32; 3] = [libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK];

/// Refused as not permitted.
const DENIED: &[c_long] = &[
    // Other processes.
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    libc::SYS_migrate_pages,
    libc::SYS_move_pages,
    // Mounts, namespaces and roots.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_open_by_handle_at,
    libc::SYS_name_to_handle_at,
    // The kernel and the machine.
    libc::SYS_kexec_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_fanotify_init,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_syslog,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_vhangup,
    libc::SYS_nfsservctl,
    libc::SYS_lookup_dcookie,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_kexec_file_load,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_iopl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ioperm,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_modify_ldt,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_uselib,
    // Keys.
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    // Memory that no limit of a process counts, and that may outlive the call.
    libc::SYS_memfd_create,
    libc::SYS_memfd_secret,
    libc::SYS_shmget,
    libc::SYS_msgget,
    libc::SYS_semget,
    libc::SYS_mq_open,
];

/// Said not to exist, so that the C library takes the older way: their arguments are out of a filter's sight.
const UNKNOWN: &[c_long] =
    &[libc::SYS_clone3, libc::SYS_io_uring_setup, libc::SYS_io_uring_enter, libc::SYS_io_uring_register];

/// What a plugin may do on the network, as far as system calls go.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Sockets {
    Open,
    /// TCP alone, and each connect is asked for.
    Asked,
}

/// The program; `None` on a machine that there is none for.
pub(super) fn program(sockets: Sockets) -> Option<Vec<sock_filter>> {
    let mut program = Program(Vec::with_capacity(256));
    program.load(ARCHITECTURE);
    program.unless(JUMP_EQUAL, NATIVE?, KILL_PROCESS);
    program.load(NUMBER);
    if let Some(x32) = X32 {
        program.when(JUMP_AT_LEAST, x32, refuse(libc::ENOSYS));
    }
    for call in DENIED {
        program.call(*call, refuse(libc::EPERM));
    }
    for call in UNKNOWN {
        program.call(*call, refuse(libc::ENOSYS));
    }
    program.look_into(libc::SYS_clone, |rule| {
        rule.load(argument(0));
        rule.when(JUMP_ANY_BIT, NEW_NAMESPACES, refuse(libc::EPERM));
    });
    // A pair of datagram sockets could send to any other of the machine.
    program.look_into(libc::SYS_socketpair, stream_only);
    match sockets {
        Sockets::Open => program.look_into(libc::SYS_socket, known_families),
        Sockets::Asked => tcp_only(&mut program),
    }
    program.answer(ALLOW);
    Some(program.0)
}

fn known_families(rule: &mut Program) {
    rule.load(argument(0));
    rule.unless_any(&FAMILIES, refuse(libc::EAFNOSUPPORT));
}

fn tcp_only(program: &mut Program) {
    program.look_into(libc::SYS_socket, |rule| {
        rule.load(argument(0));
        rule.unless_any(&[libc::AF_INET, libc::AF_INET6], refuse(libc::EAFNOSUPPORT));
        stream_only(rule);
        rule.load(argument(2));
        rule.unless_any(&[0, libc::IPPROTO_TCP], refuse(libc::EPROTONOSUPPORT));
    });
    program.call(libc::SYS_connect, ASK);
    program.call(libc::SYS_listen, refuse(libc::EPERM));
    // It connects while it sends.
    for (call, flags) in [(libc::SYS_sendto, 3), (libc::SYS_sendmsg, 2), (libc::SYS_sendmmsg, 3)] {
        program.look_into(call, |rule| {
            rule.load(argument(flags));
            rule.when(JUMP_ANY_BIT, libc::MSG_FASTOPEN as u32, refuse(libc::EPERM));
        });
    }
}

fn stream_only(rule: &mut Program) {
    const KIND: u32 = 0xf;
    rule.load(argument(1));
    rule.step(AND, 0, 0, KIND);
    rule.unless_any(&[libc::SOCK_STREAM], refuse(libc::EPROTONOSUPPORT));
}

struct Program(Vec<sock_filter>);

impl Program {
    fn step(&mut self, code: u16, jt: u8, jf: u8, k: u32) {
        self.0.push(sock_filter { code, jt, jf, k });
    }

    fn load(&mut self, offset: u32) {
        self.step(LOAD, 0, 0, offset);
    }

    fn answer(&mut self, answer: u32) {
        self.step(RETURN, 0, 0, answer);
    }

    fn when(&mut self, test: u16, value: u32, answer: u32) {
        self.step(test, 0, 1, value);
        self.answer(answer);
    }

    fn unless(&mut self, test: u16, value: u32, answer: u32) {
        self.step(test, 1, 0, value);
        self.answer(answer);
    }

    /// Lists are short: a jump reaches 255 steps.
    fn unless_any(&mut self, values: &[i32], answer: u32) {
        let mut left = u8::try_from(values.len()).unwrap_or(u8::MAX);
        for value in values {
            self.step(JUMP_EQUAL, left, 0, value.cast_unsigned());
            left -= 1;
        }
        self.answer(answer);
    }

    fn call(&mut self, number: c_long, answer: u32) {
        self.when(JUMP_EQUAL, number_of(number), answer);
    }

    /// Rules on the arguments of one call; it is allowed when none of them answers.
    fn look_into(&mut self, number: c_long, rules: impl FnOnce(&mut Self)) {
        let mut inner = Self(Vec::new());
        rules(&mut inner);
        inner.answer(ALLOW);
        let past = u8::try_from(inner.0.len()).unwrap_or(u8::MAX);
        self.step(JUMP_EQUAL, 0, past, number_of(number));
        self.0.append(&mut inner.0);
    }
}

/// Numbers of system calls are small and positive.
fn number_of(call: c_long) -> u32 {
    u32::try_from(call).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the kernel makes of a program, in as few words as the codes that are used here.
    fn run(program: &[sock_filter], number: c_long, arguments: [u32; 4]) -> u32 {
        let mut data = [0u8; 64];
        data[..4].copy_from_slice(&number_of(number).to_ne_bytes());
        data[4..8].copy_from_slice(&NATIVE.unwrap().to_ne_bytes());
        for (index, value) in arguments.into_iter().enumerate() {
            let at = argument(u32::try_from(index).unwrap()) as usize;
            data[at..at + 4].copy_from_slice(&value.to_ne_bytes());
        }
        let (mut at, mut value) = (0, 0);
        loop {
            let step = program[at];
            let jump = |yes: bool| usize::from(if yes { step.jt } else { step.jf });
            at += 1 + match step.code {
                LOAD => {
                    value = u32::from_ne_bytes(data[step.k as usize..][..4].try_into().unwrap());
                    0
                }
                AND => {
                    value &= step.k;
                    0
                }
                JUMP_EQUAL => jump(value == step.k),
                JUMP_AT_LEAST => jump(value >= step.k),
                JUMP_ANY_BIT => jump(value & step.k != 0),
                RETURN => return step.k,
                other => panic!("{other:#x}"),
            };
        }
    }

    #[test]
    fn what_a_plugin_never_needs_is_refused_and_the_rest_is_not() {
        for sockets in [Sockets::Open, Sockets::Asked] {
            let program = program(sockets).unwrap();
            assert!(program.len() < 4096);
            for call in DENIED {
                assert_eq!(run(&program, *call, [0; 4]), refuse(libc::EPERM), "{call}");
            }
            for call in [libc::SYS_read, libc::SYS_execve, libc::SYS_kill, libc::SYS_prctl, libc::SYS_accept4]
            {
                assert_eq!(run(&program, call, [u32::MAX; 4]), ALLOW, "{call}");
            }
        }
    }

    #[test]
    fn a_fork_is_allowed_and_a_namespace_is_not() {
        let program = program(Sockets::Open).unwrap();
        assert_eq!(run(&program, libc::SYS_clone, [libc::SIGCHLD as u32, 0, 0, 0]), ALLOW);
        for flag in [libc::CLONE_NEWUSER, libc::CLONE_NEWNET, libc::CLONE_NEWPID, libc::CLONE_NEWNS] {
            assert_eq!(run(&program, libc::SYS_clone, [flag as u32, 0, 0, 0]), refuse(libc::EPERM));
        }
        assert_eq!(run(&program, libc::SYS_clone3, [0; 4]), refuse(libc::ENOSYS));
    }

    #[test]
    fn a_call_by_another_way_into_the_kernel_is_not_let_through() {
        let program = program(Sockets::Open).unwrap();
        if let Some(x32) = X32 {
            assert_eq!(run(&program, libc::SYS_read + c_long::from(x32), [0; 4]), refuse(libc::ENOSYS));
        }
        // The first two steps judge the architecture.
        assert_eq!((program[1].code, program[1].k), (JUMP_EQUAL, NATIVE.unwrap()));
        assert_eq!(program[2].k, KILL_PROCESS);
    }

    #[test]
    fn under_an_allow_list_there_is_tcp_alone_and_each_connect_is_asked_for() {
        let program = program(Sockets::Asked).unwrap();
        let socket = |family: i32, kind: i32, protocol: i32| {
            run(&program, libc::SYS_socket, [family as u32, kind as u32, protocol as u32, 0])
        };
        let stream = libc::SOCK_STREAM | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
        for family in [libc::AF_INET, libc::AF_INET6] {
            assert_eq!(socket(family, stream, 0), ALLOW);
            assert_eq!(socket(family, stream, libc::IPPROTO_TCP), ALLOW);
            assert_eq!(socket(family, stream, libc::IPPROTO_SCTP), refuse(libc::EPROTONOSUPPORT));
            for kind in [libc::SOCK_DGRAM, libc::SOCK_RAW, libc::SOCK_SEQPACKET] {
                assert_eq!(socket(family, kind | libc::SOCK_CLOEXEC, 0), refuse(libc::EPROTONOSUPPORT));
            }
        }
        for family in [libc::AF_UNIX, libc::AF_NETLINK, libc::AF_PACKET, libc::AF_VSOCK] {
            assert_eq!(socket(family, stream, 0), refuse(libc::EAFNOSUPPORT));
        }
        assert_eq!(run(&program, libc::SYS_connect, [0; 4]), ASK);
        assert_eq!(run(&program, libc::SYS_listen, [0; 4]), refuse(libc::EPERM));
        let fast = libc::MSG_FASTOPEN as u32;
        assert_eq!(run(&program, libc::SYS_sendto, [0, 0, 0, fast]), refuse(libc::EPERM));
        assert_eq!(run(&program, libc::SYS_sendmsg, [0, 0, fast, 0]), refuse(libc::EPERM));
        assert_eq!(run(&program, libc::SYS_sendmmsg, [0, 0, 0, fast]), refuse(libc::EPERM));
        assert_eq!(run(&program, libc::SYS_sendto, [0, 0, 0, libc::MSG_NOSIGNAL as u32]), ALLOW);
    }

    #[test]
    fn unix_sockets_and_rare_families_are_refused_to_everyone() {
        let program = program(Sockets::Open).unwrap();
        for (family, answer) in [
            (libc::AF_INET, ALLOW),
            (libc::AF_INET6, ALLOW),
            (libc::AF_UNIX, refuse(libc::EAFNOSUPPORT)),
            (libc::AF_ALG, refuse(libc::EAFNOSUPPORT)),
            (libc::AF_PACKET, refuse(libc::EAFNOSUPPORT)),
        ] {
            assert_eq!(run(&program, libc::SYS_socket, [family as u32, 0, 0, 0]), answer);
        }
        let pair = |kind: i32| run(&program, libc::SYS_socketpair, [libc::AF_UNIX as u32, kind as u32, 0, 0]);
        assert_eq!(pair(libc::SOCK_STREAM | libc::SOCK_CLOEXEC), ALLOW);
        assert_eq!(pair(libc::SOCK_DGRAM), refuse(libc::EPROTONOSUPPORT));
    }
}
