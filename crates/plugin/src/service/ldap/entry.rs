//! What a search has found. The library's own reader panics on an entry that is not as it should be.

use ldap3::ResultEntry;
use ldap3::asn1::StructureTag;

use super::error::LdapError;

/// An entry with the attributes that were asked for.
#[derive(Debug, Default)]
pub(super) struct Entry {
    pub(super) dn: String,
    attributes: Vec<(String, Vec<Vec<u8>>)>,
}

impl Entry {
    /// `None`: this is no entry (RFC 4511 section 4.5.2), but a reference to another server or nonsense.
    pub(super) fn read(found: ResultEntry) -> Option<Self> {
        const SEARCH_RESULT_ENTRY: u64 = 4;
        let mut parts = found.0.match_id(SEARCH_RESULT_ENTRY)?.expect_constructed()?.into_iter();
        let dn = text(parts.next()?)?;
        let attributes = parts.next()?.expect_constructed()?.into_iter().map(attribute);
        Some(Self { dn, attributes: attributes.collect::<Option<_>>()? })
    }

    /// The values of an attribute in the order of the server; none when the entry lacks it. Names are compared
    /// without regard to case (RFC 4512 section 2.5).
    ///
    /// # Errors
    /// When a value is no text, or when the server has sent only the first of many.
    pub(super) fn values(&self, name: &str) -> Result<Vec<String>, LdapError> {
        let mut values = Vec::new();
        for (found, bytes) in &self.attributes {
            if is_range_of(found, name) {
                return Err(LdapError::TooMuch(format!("the server sends {name} in parts only ({found})")));
            }
            if !found.eq_ignore_ascii_case(name) {
                continue;
            }
            for value in bytes {
                let text = std::str::from_utf8(value).map_err(|_| LdapError::NotText(name.to_owned()))?;
                values.push(text.to_owned());
            }
        }
        Ok(values)
    }
}

/// Active Directory sends `member;range=0-1499` where there are more.
fn is_range_of(found: &str, name: &str) -> bool {
    let (base, options) = found.split_once(';').unwrap_or((found, ""));
    base.eq_ignore_ascii_case(name)
        && options.to_ascii_lowercase().contains("range=")
        && !found.ends_with("-*")
}

fn attribute(tag: StructureTag) -> Option<(String, Vec<Vec<u8>>)> {
    let mut parts = tag.expect_constructed()?.into_iter();
    let name = text(parts.next()?)?;
    let values = parts.next()?.expect_constructed()?.into_iter().map(StructureTag::expect_primitive);
    Some((name, values.collect::<Option<_>>()?))
}

fn text(tag: StructureTag) -> Option<String> {
    String::from_utf8(tag.expect_primitive()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, value: &[u8]) -> Entry {
        Entry { dn: "uid=ann".into(), attributes: vec![(name.into(), vec![value.to_vec()])] }
    }

    #[test]
    fn an_attribute_is_found_whatever_its_case() {
        assert_eq!(entry("telephoneNumber", b"1").values("TelephoneNumber").unwrap(), ["1"]);
        assert!(entry("cn", b"1").values("sn").unwrap().is_empty());
    }

    #[test]
    fn what_is_no_text_is_refused() {
        assert!(matches!(entry("jpegPhoto", b"\xff\xd8").values("jpegPhoto"), Err(LdapError::NotText(_))));
    }

    #[test]
    fn a_part_of_the_values_does_not_pass_for_all() {
        assert!(matches!(entry("member;range=0-1499", b"x").values("member"), Err(LdapError::TooMuch(_))));
    }
}
