use crypto_bigint::{BoxedUint, ConcatenatingSquare};
use proptest::prelude::*;

use super::*;
use crate::wire::{Reader, Write};

fn methods() -> impl Iterator<Item = Method> {
    Method::ALL.into_iter().filter(|method| !method.is_group_exchange())
}

/// The contents of an `mpint`.
fn mpint(number: &BoxedUint) -> Vec<u8> {
    let mut encoded = Vec::new();
    encoded.put_mpint(&number.to_be_bytes());
    encoded.split_off(4)
}

fn hex(hex: &str) -> BoxedUint {
    BoxedUint::from_be_hex(hex, u32::try_from(hex.len()).unwrap() * 4).unwrap()
}

fn less(number: &BoxedUint, by: u8) -> BoxedUint {
    number.wrapping_sub(BoxedUint::from(by))
}

fn more(number: &BoxedUint, by: u8) -> BoxedUint {
    number.wrapping_add(BoxedUint::from(by))
}

/// Numbers that are no public values of a group with this prime.
fn outside(prime: &BoxedUint) -> Vec<Vec<u8>> {
    vec![
        mpint(&BoxedUint::zero()),
        vec![0],
        mpint(&BoxedUint::one()),
        mpint(&less(prime, 1)),
        mpint(prime),
        mpint(&more(prime, 1)),
        // Negative, longer than need be, and longer than the prime.
        vec![0x80],
        vec![0xff; 100],
        vec![0, 2],
        vec![0x7f; mpint(prime).len() + 1],
    ]
}

fn known_prime(method: Method) -> Option<BoxedUint> {
    match kind(method) {
        Kind::Finite { prime } => Some(hex(prime)),
        Kind::Hybrid | Kind::Sntrup | Kind::Curve(_) | Kind::GroupExchange => None,
    }
}

#[test]
fn both_sides_agree() {
    for method in methods() {
        let (initiator, init) = Initiator::start(method).unwrap();
        let (reply, theirs) = respond(method, &init).unwrap();
        let ours = initiator.finish(&reply).unwrap();
        assert_eq!(ours.encoded(), theirs.encoded(), "{method:?}");
        let mut reader = Reader::new(ours.encoded());
        assert!(reader.string().is_ok_and(|secret| secret.len() > 16), "{method:?}");
        assert_eq!(reader.end(), Ok(()), "{method:?}");
    }
}

#[test]
fn both_sides_agree_in_a_group_of_the_server() {
    let prime = mpint(&hex(primes::GROUP_14));
    let group = || DhGroup::new(&prime, &[2]).unwrap();
    let (ours, init) = Initiator::start_in_group(group()).unwrap();
    let (theirs, reply) = Initiator::start_in_group(group()).unwrap();
    assert_eq!(ours.finish(&reply).unwrap().encoded(), theirs.finish(&init).unwrap().encoded());
}

#[test]
fn every_exchange_has_another_secret() {
    for method in methods() {
        let (initiator, init) = Initiator::start(method).unwrap();
        let (other, other_init) = Initiator::start(method).unwrap();
        assert_ne!(init, other_init, "{method:?}");
        let (reply, _) = respond(method, &init).unwrap();
        let (other_reply, _) = respond(method, &other_init).unwrap();
        let secrets = [initiator.finish(&reply).unwrap(), other.finish(&other_reply).unwrap()];
        assert_ne!(secrets[0].encoded(), secrets[1].encoded(), "{method:?}");
    }
}

/// The peer's exponent is 2, its value 4: the secret is the square of ours.
#[test]
fn the_secret_is_the_power_of_both_exponents() {
    for (method, prime) in methods().filter_map(|method| Some((method, known_prime(method)?))) {
        let (initiator, init) = Initiator::start(method).unwrap();
        let square = BoxedUint::from_be_slice_vartime(&init).concatenating_square();
        let expected = square.rem(prime.as_nz_vartime().unwrap());
        let secret = initiator.finish(&[4]).unwrap();
        assert_eq!(&secret.encoded()[4..], mpint(&expected), "{method:?}");
    }
}

#[test]
fn public_values_outside_the_group_are_refused() {
    for (method, prime) in methods().filter_map(|method| Some((method, known_prime(method)?))) {
        for value in outside(&prime) {
            let (initiator, _) = Initiator::start(method).unwrap();
            assert_eq!(initiator.finish(&value).unwrap_err(), KexError::Public, "{method:?} {value:?}");
            assert_eq!(respond(method, &value).unwrap_err(), KexError::Public, "{method:?} {value:?}");
        }
        // The first and the last that are inside.
        assert!(
            respond(method, &[2]).is_ok() && respond(method, &mpint(&less(&prime, 2))).is_ok(),
            "{method:?}"
        );
    }
}

#[test]
fn groups_of_the_server_have_bounds() {
    let prime = hex(primes::GROUP_14);
    let refused = |p: &BoxedUint, g: &[u8]| DhGroup::new(&mpint(p), g).is_err();
    assert!(DhGroup::new(&mpint(&prime), &[2]).is_ok());
    assert!(DhGroup::new(&mpint(&hex(primes::GROUP_18)), &[5]).is_ok());
    // Too short, by one bit as well; too long by one bit, and by much; even.
    assert!(refused(&hex(primes::GROUP_1), &[2]));
    assert!(refused(&prime.shr(1), &[2]));
    let longer = [&[1][..], &[0xff; 1024]].concat();
    assert_eq!(DhGroup::new(&longer, &[2]).unwrap_err(), KexError::Group);
    assert_eq!(DhGroup::new(&vec![0x7f; 1 << 20], &[2]).unwrap_err(), KexError::Group);
    assert!(refused(&less(&prime, 1), &[2]));
    assert_eq!(DhGroup::new(&[0x80; 256], &[2]).unwrap_err(), KexError::Group);
    assert_eq!(DhGroup::new(&[], &[2]).unwrap_err(), KexError::Group);
    for generator in outside(&prime) {
        assert!(refused(&prime, &generator), "{generator:?}");
    }
}

/// Modulo 3^1300, which is no prime, all powers of 3^1299 but the first are zero.
#[test]
fn a_secret_that_is_no_element_of_the_group_is_refused() {
    let one = BoxedUint::one_with_precision(2112);
    let power = |exponent| (0..exponent).fold(one.clone(), |n, _| n.wrapping_add(&n).wrapping_add(&n));
    let (modulus, element) = (power(1300), mpint(&power(1299)));
    let group = DhGroup::new(&mpint(&modulus), &[2]).unwrap();
    let (initiator, _) = Initiator::start_in_group(group).unwrap();
    assert_eq!(initiator.finish(&element).unwrap_err(), KexError::Public);
}

#[test]
fn public_values_of_another_length_are_refused() {
    for method in methods().filter(|&method| known_prime(method).is_none()) {
        let (initiator, init) = Initiator::start(method).unwrap();
        let (reply, _) = respond(method, &init).unwrap();
        let longer = [&init[..], &[0]].concat();
        for wrong in [&init[..init.len() - 1], &init[..1], &[], &longer] {
            assert_eq!(respond(method, wrong).unwrap_err(), KexError::Public, "{method:?}");
        }
        assert_eq!(initiator.finish(&reply[1..]).unwrap_err(), KexError::Public, "{method:?}");
        let longer = [&reply[..], &[0]].concat();
        let (initiator, _) = Initiator::start(method).unwrap();
        assert_eq!(initiator.finish(&longer).unwrap_err(), KexError::Public, "{method:?}");
    }
}

#[test]
fn points_of_small_order_are_refused() {
    let small = [[0; 32], {
        let mut one = [0; 32];
        one[0] = 1;
        one
    }];
    for point in small {
        for method in [Method::Curve25519, Method::Curve25519LibSsh] {
            let (initiator, _) = Initiator::start(method).unwrap();
            assert_eq!(initiator.finish(&point).unwrap_err(), KexError::Public);
            assert_eq!(respond(method, &point).unwrap_err(), KexError::Public);
        }
        for (method, of_init, of_reply) in
            [(Method::MlKem768X25519, 1184, 1088), (Method::Sntrup761X25519, 1158, 1039)]
        {
            let (initiator, mut init) = Initiator::start(method).unwrap();
            let (mut reply, _) = respond(method, &init).unwrap();
            init.splice(of_init.., point);
            assert_eq!(respond(method, &init).unwrap_err(), KexError::Public);
            reply.splice(of_reply.., point);
            assert_eq!(initiator.finish(&reply).unwrap_err(), KexError::Public);
        }
    }
}

#[test]
fn points_off_the_curve_and_in_other_forms_are_refused() {
    for method in [Method::EcdhP256, Method::EcdhP384, Method::EcdhP521] {
        let (_, init) = Initiator::start(method).unwrap();
        let half = init.len() / 2;
        let mut off = init.clone();
        *off.last_mut().unwrap() ^= 1;
        let zeros = [&[4][..], &vec![0; 2 * half]].concat();
        let beyond_field = [&[4][..], &vec![0xff; 2 * half]].concat();
        let sign = init.last().unwrap() & 1;
        let compressed = [&[2 | sign], &init[1..=half]].concat();
        let hybrid = [&[6 | sign], &init[1..]].concat();
        for point in [off, zeros, beyond_field, compressed, hybrid, vec![0]] {
            assert_eq!(respond(method, &point).unwrap_err(), KexError::Public, "{method:?} {point:?}");
        }
        assert!(respond(method, &init).is_ok());
    }
}

#[test]
fn an_encapsulation_key_that_is_not_reduced_is_refused() {
    let (_, mut init) = Initiator::start(Method::MlKem768X25519).unwrap();
    init[..3].fill(0xff);
    assert_eq!(respond(Method::MlKem768X25519, &init).unwrap_err(), KexError::Public);
}

/// Neither has an error for it: the secret is another (FIPS 203 section 6.3).
#[test]
fn a_changed_ciphertext_gives_another_secret() {
    for method in [Method::MlKem768X25519, Method::Sntrup761X25519] {
        let (initiator, init) = Initiator::start(method).unwrap();
        let (mut reply, theirs) = respond(method, &init).unwrap();
        reply[0] ^= 1;
        assert_ne!(initiator.finish(&reply).unwrap().encoded(), theirs.encoded());
    }
}

#[test]
fn a_hybrid_value_of_another_length_is_refused() {
    for method in [Method::MlKem768X25519, Method::Sntrup761X25519] {
        for change in [-1, 1] {
            let (initiator, init) = Initiator::start(method).unwrap();
            let (reply, _) = respond(method, &init).unwrap();
            let resized = |value: &[u8]| {
                let mut value = value.to_vec();
                value.resize(value.len().checked_add_signed(change).unwrap(), 0);
                value
            };
            assert_eq!(respond(method, &resized(&init)).unwrap_err(), KexError::Public);
            assert_eq!(initiator.finish(&resized(&reply)).unwrap_err(), KexError::Public);
        }
    }
}

#[test]
fn a_group_exchange_does_not_begin_without_its_group() {
    for method in Method::ALL.into_iter().filter(|method| method.is_group_exchange()) {
        assert_eq!(Initiator::start(method).unwrap_err(), KexError::Method);
        assert_eq!(respond(method, &[4]).unwrap_err(), KexError::Method);
    }
}

#[test]
fn names_are_read_as_they_are_written() {
    assert!(Method::ALL.into_iter().all(|method| Method::from_name(method.name()) == Some(method)));
    assert_eq!(Method::from_name("none"), None);
}

#[test]
fn the_hybrid_secret_is_a_string_and_the_others_are_numbers() {
    // A first bit that is set is a sign of a number only.
    assert_eq!(SharedSecret::from_string(&[0x81, 2]).encoded(), [0, 0, 0, 2, 0x81, 2]);
    assert_eq!(SharedSecret::from_number(&[0x81, 2]).encoded(), [0, 0, 0, 3, 0, 0x81, 2]);
    assert_eq!(SharedSecret::from_number(&[0, 0, 1, 2]).encoded(), [0, 0, 0, 2, 1, 2]);
    for _ in 0..20 {
        let (_, init) = Initiator::start(Method::MlKem768X25519).unwrap();
        let (_, secret) = respond(Method::MlKem768X25519, &init).unwrap();
        assert_eq!((secret.encoded().len(), &secret.encoded()[..4]), (36, &[0, 0, 0, 32][..]));
    }
}

/// Computed with Python's hashlib.
#[test]
fn keys_are_derived_as_the_rfc_says() {
    let secret = SharedSecret::from_number(&[0x81, 2, 3, 4]);
    let derived = |hash, letter, len| {
        let key = derive(hash, &secret, b"exchange hash", letter, b"session id", len);
        key.iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    assert_eq!(derived(Hash::Sha256, b'A', 16), "515dcbb0979838ce5c2feadcf588f428");
    assert_eq!(
        derived(Hash::Sha256, b'C', 32),
        "6903e87de281d573a85e3a3514d6a4b2f1dd82932818f2e1c6903d00ee283cff"
    );
    assert_eq!(
        derived(Hash::Sha256, b'D', 64),
        "b349347bd99314e297e25d6ac6a23a8cc4e1b6dd4ef82fe5fc422fd2d35f8386\
         3250d810ab4503ea8b324af0679123077c0a0dafbd603fc6d15890a08c60a45c"
    );
    assert_eq!(
        derived(Hash::Sha1, b'E', 64),
        "7efb45624f2c8314537eced3bb97e1aba653db02a02cf90f2db84d2aed3e3d09\
         aa6d60cd2682ea8056434fa868ae90194f1c7810358c7504ac6b4f873055b74a"
    );
    assert_eq!(derived(Hash::Sha384, b'B', 12), "295d9e09b37f7f9bbe92c68c");
    assert_eq!(
        derived(Hash::Sha512, b'F', 64),
        "86ad15e7ea13604d1de6364216f749e0b2b558eb0584439cfcf72b1c8cc4ba29\
         074cfc91590cfe30233bbed8c73aadfca16c710702c3bf4a4c7aa94a6006bf9e"
    );
    assert_eq!(derived(Hash::Sha256, b'A', 0), "");
}

#[test]
fn nothing_of_a_secret_is_printed() {
    let (initiator, init) = Initiator::start(Method::DhGroup14Sha256).unwrap();
    let (_, secret) = respond(Method::DhGroup14Sha256, &init).unwrap();
    assert_eq!(format!("{initiator:?} {secret:?}"), "Initiator { .. } SharedSecret { .. }");
}

proptest! {
    #[test]
    fn no_bytes_make_an_exchange_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        long in prop::collection::vec(any::<u8>(), 1216),
    ) {
        let _ = DhGroup::new(&bytes, &long);
        let _ = DhGroup::new(&long, &bytes);
        let _ = DhGroup::new(&long[..1024], &bytes[..bytes.len().min(1)]);
        prop_assert!(respond(Method::MlKem768X25519, &long).is_err());
        let (sntrup, _) = Initiator::start(Method::Sntrup761X25519).unwrap();
        let _ = respond(Method::Sntrup761X25519, &long[..1158 + 32]);
        let _ = sntrup.finish(&long[..1039 + 32]);
        for method in [Method::Curve25519, Method::EcdhP256, Method::EcdhP384, Method::EcdhP521, Method::DhGroup1Sha1] {
            let _ = respond(method, &bytes);
        }
        // As long as it should be.
        prop_assert!(respond(Method::Curve25519, &long[..32]).is_ok());
        prop_assert!(respond(Method::EcdhP256, &[&[4], &long[..64]].concat()).is_err());
    }
}
