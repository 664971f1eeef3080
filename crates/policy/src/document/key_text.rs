//! Public keys and certificates in their text forms.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use sha2::{Digest, Sha256};

use super::report::Fault;

/// What people may log in with on the gateway. No DSA: OpenSSH has given it up.
pub(super) const USER_KEY_TYPES: &[&str] = &[
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "ssh-rsa",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
];

/// What targets may prove themselves with; old ones have DSA.
pub(super) const HOST_KEY_TYPES: &[&str] = &[
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "ssh-rsa",
    "ssh-dss",
];

/// What may have certified host keys. Not DSA: it signs with SHA-1.
pub(super) const AUTHORITY_TYPES: &[&str] = &[
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "ssh-rsa",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
];

const KEY_HINT: &str = "write a line of a .pub file: \"ssh-ed25519 AAAA...\"";

/// `type base64 [comment]` without the comment. The type must be one of `types`, and what is encoded must say
/// the same type (RFC 4253 section 6.6).
pub(super) fn public_key(text: &str, types: &[&str]) -> Result<String, Fault> {
    let mut words = text.split_ascii_whitespace();
    let (Some(kind), Some(encoded)) = (words.next(), words.next()) else {
        return Err(Fault::new("this is no public key").hint(KEY_HINT));
    };
    let is_type = |word: &str| types.contains(&word);
    if !is_type(kind) && (is_type(encoded) || words.any(is_type)) {
        let fault = Fault::new("options before a public key, as in authorized_keys, are not supported here");
        return Err(fault.hint("leave them out: certificates and channel policies say what a person may do"));
    }
    if !is_type(kind) {
        let fault = Fault::new("this does not begin with a type of public key that is taken here");
        return Err(fault.hint(format!("the types are {}", types.join(", "))));
    }
    let blob = STANDARD.decode(encoded).map_err(|_| {
        Fault::new("the second word of this public key is not base64: it is cut off or changed")
            .hint(KEY_HINT)
    })?;
    if inner_type(&blob) != Some(kind.as_bytes()) {
        return Err(Fault::new(format!("this public key says {kind} but holds another type")).hint(KEY_HINT));
    }
    Ok(format!("{kind} {encoded}"))
}

/// The fingerprint of a public key in OpenSSH's text form, as `ssh-keygen -l` shows it: `SHA256:` and unpadded base64.
pub fn fingerprint(key: &str) -> Option<String> {
    let blob = STANDARD.decode(key.split_ascii_whitespace().nth(1)?).ok()?;
    Some(format!("{SHA256}{}", STANDARD_NO_PAD.encode(Sha256::digest(blob))))
}

/// A fingerprint as people copy it.
pub(super) fn checked_fingerprint(text: &str) -> Result<String, Fault> {
    const SHA256_BYTES: usize = 32;
    let text = text.trim().trim_end_matches('=');
    let digest = text.strip_prefix(SHA256).and_then(|digest| STANDARD_NO_PAD.decode(digest).ok());
    if digest.is_some_and(|digest| digest.len() == SHA256_BYTES) {
        return Ok(text.to_owned());
    }
    Err(Fault::new("this is no fingerprint of a key")
        .hint("write the second word of what `ssh-keygen -lf KEY.pub` shows: \"SHA256:...\", perhaps with the key's type before it: \"ssh-rsa SHA256:...\""))
}

const SHA256: &str = "SHA256:";

/// The string that the key begins with; `None` when nothing follows it.
fn inner_type(blob: &[u8]) -> Option<&[u8]> {
    let (length, rest) = blob.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    (rest.len() > length).then(|| rest.get(..length)).flatten()
}

/// The PEM blocks of a text, each of which must have this label; text between them is left out (RFC 7468).
pub(super) fn pem_blocks(text: &str, label: &str) -> Result<Vec<String>, Fault> {
    let (begin, end) = (format!("-----BEGIN {label}-----"), format!("-----END {label}-----"));
    let broken = |what: &str| Fault::new(what).hint(format!("a block is {begin}, lines of base64, {end}"));
    let mut blocks = Vec::new();
    let mut lines = text.lines().map(str::trim);
    while let Some(line) = lines.next() {
        if line == begin {
            let mut ended = false;
            let body: Vec<&str> = lines
                .by_ref()
                .take_while(|line| {
                    ended = *line == end;
                    !ended
                })
                .collect();
            if !ended {
                return Err(broken("a PEM block has no last line"));
            }
            let bytes = STANDARD.decode(body.concat()).map_err(|_| broken("a PEM block is broken"))?;
            if bytes.is_empty() {
                return Err(broken("a PEM block is empty"));
            }
            blocks.push(format!("{begin}\n{}\n{end}\n", body.join("\n")));
        } else if line.starts_with("-----BEGIN ") {
            return Err(broken("there is a PEM block of another kind"));
        }
    }
    if blocks.is_empty() { Err(broken("there is no PEM block")) } else { Ok(blocks) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ED25519: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f";

    #[test]
    fn a_comment_is_left_out() {
        let key = public_key(&format!("{ED25519} alice@laptop"), USER_KEY_TYPES);
        assert_eq!(key.ok().as_deref(), Some(ED25519));
    }

    #[test]
    fn a_key_that_is_cut_off_or_lies_about_its_type_is_refused() {
        let cut = ED25519.len() - 3;
        for bad in
            [&ED25519[..cut], &ED25519.replace("ssh-ed25519", "ssh-rsa"), "ssh-ed25519", "", "ssh-dss AAAA"]
        {
            assert!(public_key(bad, USER_KEY_TYPES).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_bundle_is_taken_apart_and_its_comments_are_left_out() {
        let block = "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n";
        let blocks = pem_blocks(&format!("Issuer: x\n{block}\n{block}"), "X509 CRL").ok();
        assert_eq!(blocks, Some(vec![block.to_owned(), block.to_owned()]));
    }

    #[test]
    fn a_block_without_end_or_of_another_kind_is_refused() {
        for bad in [
            "",
            "-----BEGIN X509 CRL-----\nAAAA",
            "-----BEGIN X509 CRL-----\n-----END X509 CRL-----",
            "-----BEGIN X509 CRL-----\nA*AA\n-----END X509 CRL-----",
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----",
        ] {
            assert!(pem_blocks(bad, "X509 CRL").is_err(), "{bad}");
        }
    }
}
