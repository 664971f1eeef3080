//! What of the policy serves the calls of plugins (contract section 7).

use std::path::PathBuf;

use keyward_plugin::{CaList, HttpProxy, ServiceData, StoreRow, StoredCredential, UserList};
use keyward_policy::{CredentialRow, Policy, UserListDefault};

/// The services' view of the policy. `ca_dir` is where trusted CA lists are laid out as files.
pub fn service_data(policy: &Policy, ca_dir: PathBuf) -> ServiceData {
    ServiceData {
        host_name: policy.gateway.host_name.clone(),
        http_proxy: policy.gateway.http_proxy.as_ref().map(|proxy| HttpProxy {
            server: proxy.server.clone(),
            port: proxy.port,
            username: proxy.username.clone(),
            password: proxy.password.clone(),
        }),
        starling_join: policy.gateway.starling_join.clone(),
        credential_stores: policy
            .credential_stores
            .iter()
            .map(|(name, store)| (name.clone(), store.rows.iter().flat_map(rows).collect()))
            .collect(),
        user_lists: policy
            .user_lists
            .iter()
            .map(|(name, list)| {
                let all_users = match list.default {
                    UserListDefault::AllUsers => true,
                    UserListDefault::NoUser => false,
                };
                (name.clone(), UserList { names: list.exceptions.iter().cloned().collect(), all_users })
            })
            .collect(),
        trusted_cas: policy
            .trusted_cas
            .iter()
            .map(|(name, list)| {
                (name.clone(), CaList { certs: list.certificates.clone(), crls: list.crls.clone() })
            })
            .collect(),
        ca_dir,
    }
}

fn rows(row: &CredentialRow) -> Vec<StoreRow> {
    let with = |credential| StoreRow { host: row.host.to_string(), user: row.user.clone(), credential };
    let passwords = row.passwords.iter().map(|password| with(StoredCredential::Password(password.clone())));
    let keys = row.keys.iter().map(|key| {
        with(StoredCredential::Key { kind: key.kind.clone(), key: key.key.clone(), cert: key.cert.clone() })
    });
    passwords.chain(keys).collect()
}
