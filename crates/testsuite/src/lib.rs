//! Fixtures: real peers, and the gateway between them. Each reads as the topology that it makes, owns its
//! processes and ports, stops on drop, and panics at the first surprise.

#![expect(clippy::disallowed_methods, reason = "a fixture starts the programs that it is about")]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a fixture stops the test at the first surprise"
)]

mod account;
mod askpass;
mod authority;
mod bundle;
mod client_certificate;
mod command_line;
mod disk;
mod dropbear;
mod fake_target;
mod freeradius;
mod gateway;
mod keys;
mod link;
mod password;
mod peer_server;
mod picture;
mod plugged;
mod ports;
mod postgres;
mod power;
mod program;
mod putty;
mod python;
mod run;
mod script;
mod slapd;
mod ssh;
mod sshd;
mod swift;
mod switch;
mod terminal;
mod transfers;
mod tsa;
mod user_ca;
mod wait;

pub use account::Account;
pub use askpass::Askpass;
pub use authority::Authority;
pub use bundle::BundleFolder;
pub use client_certificate::ClientCertificate;
pub use command_line::{keyward, keyward_in, keyward_reading, keyward_to_log};
pub use disk::{Frozen, fill};
pub use dropbear::{Dbclient, Dropbear};
pub use fake_target::FakeTarget;
pub use freeradius::FreeRadius;
pub use gateway::{Gateway, GatewayPlan, Lacking};
pub use keys::KeyPair;
pub use link::{Link, Route};
pub use password::password_line;
pub use peer_server::PeerServer;
pub use picture::Picture;
pub use plugged::{Plug, Plugged, PluggedPlan};
pub use ports::{free_addr, free_port};
pub use postgres::Postgres;
pub use power::{PowerCuts, Taken};
pub use program::Program;
pub use putty::Putty;
pub use python::{Paramiko, peers_program, plugin_python, python2};
pub use run::{Input, Run, run, shell};
pub use slapd::Slapd;
pub use ssh::SshClient;
pub use sshd::Sshd;
pub use swift::Swift;
pub use switch::Switch;
pub use terminal::Terminal;
pub use transfers::transfers_in_a_row;
pub use tsa::{Tsa, TsaKey};
pub use user_ca::UserCa;
pub use wait::{PATIENCE, until};
