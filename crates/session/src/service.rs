//! What of the policy serves the calls of plugins (contract section 7).

use std::path::PathBuf;

use keyward_plugin::{
    CaList, HttpProxy, LdapAddress, LdapBind, LdapGroups, LdapServer, LdapTls, ServiceData, StoreRow,
    StoredCredential, UserList,
};
use keyward_policy::{CredentialRow, Policy, TrustedCaList, UserListDefault};

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
        ldap_servers: policy
            .ldap_servers
            .iter()
            .map(|(name, server)| (name.clone(), ldap_server(server)))
            .collect(),
        trusted_cas: policy.trusted_cas.iter().map(|(name, list)| (name.clone(), ca_list(list))).collect(),
        ca_dir,
    }
}

fn ca_list(list: &TrustedCaList) -> CaList {
    CaList {
        certs: list.certificates.clone(),
        crls: list.crls.clone(),
        strict_host_check: list.strict_host_check,
    }
}

pub(crate) fn ldap_server(server: &keyward_policy::LdapServer) -> LdapServer {
    let address = |address: &keyward_policy::LdapAddress| LdapAddress {
        host: address.host.clone(),
        port: address.port,
    };
    let bind = server.bind.as_ref();
    LdapServer {
        addresses: server.addresses.iter().map(address).collect(),
        tls: match &server.tls {
            keyward_policy::LdapTls::None => LdapTls::None,
            keyward_policy::LdapTls::StartTls(list) => LdapTls::StartTls(ca_list(list)),
            keyward_policy::LdapTls::Ldaps(list) => LdapTls::Direct(ca_list(list)),
        },
        bind: bind.map(|bind| LdapBind { dn: bind.dn.clone(), password: bind.password.clone() }),
        base: server.base.clone(),
        user_filter: server.user_filter.clone(),
        groups: LdapGroups {
            filter: server.groups.filter.clone(),
            name: server.groups.name.clone(),
            members: server.groups.members.clone(),
            member_names: server.groups.member_names.clone(),
        },
        timeout: server.timeout,
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
