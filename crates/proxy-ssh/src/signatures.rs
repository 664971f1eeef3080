//! Which signatures of a key are tried on a target.

use keyward_policy::Algorithms;
use keyward_ssh::SignatureAlgorithm;

/// How to sign with a key, one try after the other; none where the target takes nothing that the policy allows.
///
/// The first is the best that the target takes, or what every target takes (RFC 8332 section 3.3): SHA-1, where that
/// is allowed. Where it is, the other of the two follows, since what targets say is not always what they mean.
pub(crate) fn signatures(
    able: &[SignatureAlgorithm],
    taken: Option<&[SignatureAlgorithm]>,
    set: Algorithms,
) -> Vec<SignatureAlgorithm> {
    let allowed = |algorithm: &&SignatureAlgorithm| set == Algorithms::Legacy || !algorithm.is_legacy();
    let (best, oldest) =
        (able.iter().find(allowed), able.iter().rfind(|one| one.is_legacy()).filter(allowed));
    let first = match taken {
        Some(taken) => {
            let both = || able.iter().filter(|algorithm| taken.contains(algorithm));
            // Such lists are not always complete.
            if both().next().is_none() { best } else { both().find(allowed) }
        }
        None => oldest.or(best),
    };
    let second = if taken.is_some() { oldest } else { best };
    let mut tries: Vec<_> = first.into_iter().chain(second.filter(|_| first.is_some())).copied().collect();
    tries.dedup();
    if set == Algorithms::Modern {
        tries.truncate(1);
    }
    tries
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_signs_with_the_best_that_is_allowed_and_taken() {
        use Algorithms::{Legacy, Modern};
        use SignatureAlgorithm::{Dss, Ed25519, RsaSha1, RsaSha256, RsaSha512};
        let rsa = [RsaSha512, RsaSha256, RsaSha1];
        let old: &[SignatureAlgorithm] = &[RsaSha1, Dss];
        assert_eq!(signatures(&rsa, None, Modern), [RsaSha512]);
        assert_eq!(signatures(&rsa, None, Legacy), [RsaSha1, RsaSha512]);
        assert_eq!(signatures(&rsa, Some(&[Ed25519, RsaSha256, RsaSha1]), Modern), [RsaSha256]);
        assert_eq!(signatures(&rsa, Some(&[Ed25519, RsaSha256, RsaSha1]), Legacy), [RsaSha256, RsaSha1]);
        assert_eq!(signatures(&rsa, Some(old), Modern), []);
        assert_eq!(signatures(&rsa, Some(old), Legacy), [RsaSha1]);
        assert_eq!(signatures(&rsa, Some(&[Ed25519]), Modern), [RsaSha512]);
        assert_eq!(signatures(&[Dss], None, Modern), []);
        assert_eq!(signatures(&[Dss], None, Legacy), [Dss]);
        assert_eq!(signatures(&[Ed25519], None, Legacy), [Ed25519]);
        assert_eq!(signatures(&[Ed25519], Some(old), Legacy), [Ed25519]);
    }
}
