//! Which of some groups a user is in, directly or through other groups.

use std::collections::{BTreeMap, HashSet};

use ldap3::ldap_escape;

use super::Link;
use super::entry::Entry;
use super::error::LdapError;
use crate::service::LdapGroups;

/// Groups of one user.
const MAX_GROUPS: usize = 1000;
/// Groups within groups within groups.
const MAX_LEVELS: usize = 32;
/// Of one filter.
const MEMBERS_AT_ONCE: usize = 50;

/// The groups that `user` is in, among `wanted`, which name them by name or DN; in the order of `wanted`.
pub(super) async fn filter(
    link: &mut Link,
    user: &str,
    wanted: Vec<String>,
) -> Result<Vec<String>, LdapError> {
    let entry = link.user(user, &[]).await?;
    let groups = all(link, user, entry.dn).await?;
    Ok(wanted.into_iter().filter(|group| groups.have(group)).collect())
}

/// The groups of one user.
#[derive(Default)]
pub(super) struct Groups {
    /// In comparable form.
    dns: HashSet<String>,
    /// By their comparable form, as the directory writes them.
    names: BTreeMap<String, String>,
}

impl Groups {
    /// What has a sign of equality is a DN: a group cannot pass for another by being called like its DN.
    fn have(&self, group: &str) -> bool {
        let kept = comparable(group);
        if group.contains('=') { self.dns.contains(&kept) } else { self.names.contains_key(&kept) }
    }

    pub(super) fn into_names(self) -> Vec<String> {
        self.names.into_values().collect()
    }
}

/// The groups that the user with this name and DN is in, directly or through others. Groups that contain each other are
/// no trouble: each is looked into once.
pub(super) async fn all(link: &mut Link, user: &str, dn: String) -> Result<Groups, LdapError> {
    let mut groups = Groups::default();
    let mut level = direct(link, user, &dn).await?;
    for _ in 0..MAX_LEVELS {
        let mut inner = Vec::new();
        for group in level {
            if !groups.dns.insert(comparable(&group.dn)) {
                continue;
            }
            if groups.dns.len() > MAX_GROUPS {
                return Err(LdapError::TooMuch(format!("the user is in more than {MAX_GROUPS} groups")));
            }
            let names = group.values(&link.server.groups.name)?;
            groups.names.extend(names.into_iter().map(|name| (comparable(&name), name)));
            inner.push(group.dn);
        }
        if inner.is_empty() {
            return Ok(groups);
        }
        level = containing(link, &inner).await?;
    }
    Err(LdapError::TooMuch(format!("groups lie in each other deeper than {MAX_LEVELS} levels")))
}

async fn direct(link: &mut Link, user: &str, dn: &str) -> Result<Vec<Entry>, LdapError> {
    let LdapGroups { members, member_names, .. } = &link.server.groups;
    let by_dn = members.iter().map(|attribute| equals(attribute, dn));
    let by_name = member_names.iter().map(|attribute| equals(attribute, user));
    let filter = by_dn.chain(by_name).collect::<String>();
    search(link, &filter).await
}

async fn containing(link: &mut Link, groups: &[String]) -> Result<Vec<Entry>, LdapError> {
    let mut found = Vec::new();
    for some in groups.chunks(MEMBERS_AT_ONCE) {
        let members = &link.server.groups.members;
        let pairs = some.iter().flat_map(|dn| members.iter().map(move |attribute| equals(attribute, dn)));
        let filter = pairs.collect::<String>();
        found.extend(search(link, &filter).await?);
    }
    Ok(found)
}

/// The groups that match one of `alternatives`.
async fn search(link: &mut Link, alternatives: &str) -> Result<Vec<Entry>, LdapError> {
    if alternatives.is_empty() {
        return Ok(Vec::new());
    }
    let LdapGroups { filter, name, .. } = &link.server.groups;
    let (filter, name) = (format!("(&{filter}(|{alternatives}))"), name.clone());
    link.search("the search for groups", &filter, &[name], 0).await
}

fn equals(attribute: &str, value: &str) -> String {
    format!("({attribute}={})", ldap_escape(value))
}

/// Names and DNs are compared without regard to case and to spaces beside each other, at the ends, and around the
/// separators of a DN.
fn comparable(name: &str) -> String {
    let words: Vec<&str> = name.split_whitespace().collect();
    words.join(" ").replace(", ", ",").replace(" ,", ",").replace(" =", "=").replace("= ", "=").to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::comparable;

    #[test]
    fn a_dn_is_the_same_however_it_is_written() {
        assert_eq!(comparable("CN=DB  Admins, OU = Groups,dc=x"), comparable("cn=db admins,ou=groups,DC=X"));
        assert_ne!(comparable("admins"), comparable("admin s"));
    }
}
