//! Requests that change nothing that a policy judges: they go through, whatever the other side makes of them.

/// On a channel, of clients. RFC 4335, OpenSSH's PROTOCOL, PuTTY's window measurements.
pub(super) const OF_CLIENT: [&str; 5] = [
    "break",
    "eow@openssh.com",
    "keepalive@openssh.com",
    "simple@putty.projects.tartarus.org",
    "winadj@putty.projects.tartarus.org",
];

/// On a channel, of targets. RFC 4254 section 6.8, OpenSSH's PROTOCOL.
pub(super) const OF_TARGET: [&str; 3] = ["xon-xoff", "eow@openssh.com", "keepalive@openssh.com"];

/// Of clients, on no channel.
pub(super) const GLOBAL: [&str; 2] = ["keepalive@openssh.com", "no-more-sessions@openssh.com"];
