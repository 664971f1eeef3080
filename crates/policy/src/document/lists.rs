//! `[[user-list]]` and `[[trusted-ca-list]]`.

use std::path::Path;

use super::key_text::pem_blocks;
use super::plugin::read_file;
use super::report::Fault;
use super::section::Section;
use super::value::{choice, flag, owned_line, text};
use crate::{TrustedCaList, UserList, UserListDefault};

pub(super) fn user_list(section: &Section<'_>) -> Option<UserList> {
    let words =
        [UserListDefault::AllUsers, UserListDefault::NoUser].map(|default| (default.as_str(), default));
    let default = section.required("default", choice(&words));
    let exceptions = section.list("exceptions", owned_line);
    Some(UserList {
        default: default?.value,
        exceptions: exceptions.into_iter().map(|item| item.value).collect(),
    })
}

pub(super) fn trusted_cas(section: &Section<'_>, base: &Path) -> TrustedCaList {
    let blocks = |inline: &'static str, files: &'static str, label: &'static str| {
        // A private key that was pasted in with its certificate is not to be shown.
        section.hide(inline);
        let inline = section.list(inline, |value| pem_blocks(text(value)?, label));
        let files = section.list(files, |value| pem_blocks(&read_file(value, base)?, label));
        inline.into_iter().chain(files).flat_map(|item| item.value).collect::<Vec<_>>()
    };
    let certificates = blocks("certificates", "certificate-files", "CERTIFICATE");
    let crls = blocks("crls", "crl-files", "X509 CRL");
    if !section.has("certificates") && !section.has("certificate-files") {
        let fault = Fault::new("this [[trusted-ca-list]] trusts nobody");
        section.fault(fault.hint("add `certificates` or `certificate-files`"));
    }
    let strict_host_check = section.optional("strict-host-check", flag);
    TrustedCaList { certificates, crls, strict_host_check: strict_host_check.is_some_and(|item| item.value) }
}
