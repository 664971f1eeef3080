//! `[[user]]` and `[[usermapping]]`.

use super::key_text::{USER_KEY_TYPES, public_key};
use super::report::Fault;
use super::section::{Item, Section};
use super::value::{owned_line, text};
use crate::{LocalUser, PasswordHash, Usermapping};

pub(super) fn user(section: &Section<'_>, name: Option<String>) -> Option<LocalUser> {
    section.hide("password");
    let password = section.optional("password", |value| {
        PasswordHash::parse(text(value)?).map_err(|error| {
            Fault::new(error.to_string())
                .hint("write the hash that `keyward user hash` prints, never the password itself")
        })
    });
    // Somebody may paste the private key here.
    section.hide("public-keys");
    let public_keys = section.list("public-keys", |value| public_key(text(value)?, USER_KEY_TYPES));
    let groups = section.list("groups", owned_line);
    let principals = principals(section, name.as_deref());
    Some(LocalUser {
        name: name?,
        password: password.map(|item| item.value),
        public_keys: values(public_keys),
        groups: values(groups),
        principals,
    })
}

/// What certificates call the user; the user's own name where nothing else is written.
fn principals(section: &Section<'_>, name: Option<&str>) -> Vec<String> {
    if section.has("principals") {
        values(section.required_list("principals", owned_line))
    } else {
        name.into_iter().map(str::to_owned).collect()
    }
}

pub(super) fn usermapping(section: &Section<'_>) -> Vec<Usermapping> {
    let label = "[[usermapping.rule]]";
    section.required_sections("rule", label, label).iter().filter_map(rule).collect()
}

fn rule(section: &Section<'_>) -> Option<Usermapping> {
    let remote_user = section.required("remote-user", owned_line);
    let users = values(section.list("users", owned_line));
    let groups = values(section.list("groups", owned_line));
    if users.is_empty() && groups.is_empty() {
        section.fault(
            Fault::new("this rule allows nobody").hint("write the gateway users in `users`, or `groups`"),
        );
    }
    Some(Usermapping { remote_user: remote_user?.value, users, groups })
}

pub(super) fn values<T>(items: Vec<Item<T>>) -> Vec<T> {
    items.into_iter().map(|item| item.value).collect()
}
