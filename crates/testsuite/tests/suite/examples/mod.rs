//! The example plugins, each through the real process boundary: called as `keyward plugin call` does, and in a whole
//! gateway with stock clients.

mod bundles;
mod fixed_credentials;
mod in_a_gateway;
mod kv_vault;
mod ldap_groups;
mod plain_aa;
mod radius;
mod scenarios;
mod ticketing;
mod totp;
mod trial;
