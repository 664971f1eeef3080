//! Keyward judged from outside, a module per subject.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

/// Runs each rule on both routes: `direct` shows that the case itself is right, `gateway` judges the gateway.
macro_rules! on_both_routes {
    ($($rule:ident),+ $(,)?) => {
        mod direct {
            $(#[test]
            fn $rule() {
                super::$rule(&keyward_testsuite::Link::open(keyward_testsuite::Route::Direct));
            })+
        }
        mod gateway {
            $(#[test]
            fn $rule() {
                super::$rule(&keyward_testsuite::Link::open(keyward_testsuite::Route::Gateway));
            })+
        }
    };
}

mod asyncssh;
mod auditors;
mod bulk;
mod call_record;
mod command_environment;
mod command_line;
mod command_plugin;
mod configuration;
mod confinement;
mod content;
mod directory_users;
mod documentation;
mod dropbear;
mod examples;
mod exported_files;
mod file_rules;
mod files;
mod four_eyes;
mod hidden_input;
mod holds;
mod hops;
mod hostile;
mod hostile_clients;
mod hostile_targets;
mod jump_host;
mod jump_host_ends;
mod jumps;
mod kill;
mod kit;
mod kit_scenario;
mod ldap;
mod live;
mod login;
mod master_key;
mod moments;
mod object_store;
mod object_store_running;
mod openssh;
mod openssh_connection;
mod paramiko;
mod pictures;
mod plugin_credentials;
mod plugin_endings;
mod plugin_facts;
mod plugin_faults;
mod plugin_legacy;
mod plugin_output;
mod plugin_question_shapes;
mod plugin_questions;
mod plugin_users;
mod plugins;
mod postgresql;
mod putty;
mod recording;
mod refusals;
mod replay;
mod retention;
mod revocation_lists;
mod screens;
mod search;
mod security_keys;
mod sequences;
mod site;
mod ssh_algorithms;
mod ssh_certificates;
mod ssh_channels;
mod ssh_forwards;
mod ssh_host_keys;
mod ssh_legacy;
mod ssh_limits;
mod ssh_target;
mod ssh_target_codes;
mod ssh_target_login;
mod target_password;
mod terminate;
mod time_windows;
mod timestamps;
mod tools;
mod transfers;
mod updates;
mod user_agent;
mod user_certificates;
mod vault;
