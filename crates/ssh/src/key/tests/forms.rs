use base64ct::{Base64, Encoding};
use keyward_model::Secret;

use super::peer::Desk;
use crate::key::{KeyError, KeyKind, PublicKey, SigningKey};

const PASSPHRASE: &str = "hunter2";

fn read(text: &str, passphrase: Option<&str>) -> Result<SigningKey, KeyError> {
    let passphrase = passphrase.map(|text| Secret::new(text.into()));
    SigningKey::from_text(&Secret::new(text.into()), passphrase.as_ref())
}

/// The text is that of `public`, and stays it with an indentation, CR and text around it.
fn assert_read(text: &str, passphrase: Option<&str>, public: &PublicKey) {
    assert_eq!(read(text, passphrase).unwrap().public(), public);
    let indented: String = text.lines().map(|line| format!("  {line}\r\n")).collect();
    let around = format!("a comment\n\n{indented}\nand more\n");
    assert_eq!(read(&around, passphrase).unwrap().public(), public, "indented");
}

fn assert_read_with_passphrase(text: &str, public: &PublicKey) {
    assert_read(text, Some(PASSPHRASE), public);
    assert_eq!(read(text, None).unwrap_err(), KeyError::NeedsPassphrase);
    for wrong in ["", "hunter3"] {
        assert_eq!(read(text, Some(wrong)).unwrap_err(), KeyError::WrongPassphrase);
    }
}

/// Each type, with and without a passphrase, in one of ssh-keygen's forms.
fn check_ssh_keygen(form: &str, types: &[&str]) {
    for (number, kind) in types.iter().enumerate() {
        let desk = Desk::new();
        let (plain, locked) = (format!("plain{number}"), format!("locked{number}"));
        desk.keygen(&plain, &format!("-t {kind} -N _ {form}"));
        assert_read(&desk.text(&plain), None, &desk.public(&format!("{plain}.pub")));
        desk.keygen(&locked, &format!("-t {kind} -N {PASSPHRASE} -a 1 {form}"));
        assert_read_with_passphrase(&desk.text(&locked), &desk.public(&format!("{locked}.pub")));
    }
}

#[test]
fn the_keys_of_ssh_keygen_are_read() {
    check_ssh_keygen(
        "",
        &["ed25519", "ecdsa -b 256", "ecdsa -b 384", "ecdsa -b 521", "rsa -b 2048", "rsa -b 3072", "dsa"],
    );
    check_ssh_keygen("-Z aes256-gcm@openssh.com", &["ed25519"]);
    check_ssh_keygen("-Z chacha20-poly1305@openssh.com", &["ed25519"]);
}

#[test]
fn the_pem_forms_of_ssh_keygen_are_read() {
    let types = ["ecdsa -b 256", "ecdsa -b 384", "ecdsa -b 521", "rsa -b 2048", "dsa"];
    check_ssh_keygen("-m PEM", &types);
    check_ssh_keygen("-m PKCS8", &types);
}

#[test]
fn each_encryption_of_openssl_is_read() {
    let desk = Desk::new();
    desk.run("openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out rsa");
    let public = desk.key("rsa", None).public().clone();
    for cipher in ["aes128", "aes192", "aes256", "des3"] {
        desk.run(&format!(
            "openssl rsa -traditional -{cipher} -passout pass:{PASSPHRASE} -in rsa -out locked"
        ));
        assert!(desk.text("locked").contains("Proc-Type: 4,ENCRYPTED"));
        assert_read_with_passphrase(&desk.text("locked"), &public);
    }
    for way in [
        "-v2 aes-128-cbc",
        "-v2 aes-192-cbc",
        "-v2 aes-256-cbc",
        "-v2 aes256 -v2prf hmacWithSHA512",
        "-v2 aes256 -v2prf hmacWithSHA1",
        "-v2 des3",
        "-scrypt",
    ] {
        desk.run(&format!("openssl pkcs8 -topk8 {way} -passout pass:{PASSPHRASE} -in rsa -out locked"));
        assert_read_with_passphrase(&desk.text("locked"), &public);
    }
}

#[test]
fn each_form_of_openssl_is_read() {
    let desk = Desk::new();
    desk.run("openssl genpkey -algorithm ed25519 -out ed25519");
    assert_eq!(desk.key("ed25519", None).public().kind(), "ssh-ed25519");
    for (curve, kind) in [("prime256v1", "nistp256"), ("secp384r1", "nistp384"), ("secp521r1", "nistp521")] {
        // Begins with a block of the curve's parameters.
        desk.run(&format!("openssl ecparam -name {curve} -genkey -out sec1"));
        assert!(desk.text("sec1").starts_with("-----BEGIN EC PARAMETERS"));
        let key = desk.key("sec1", None);
        assert_eq!(key.public().kind(), format!("ecdsa-sha2-{kind}"));
        desk.run("openssl pkcs8 -topk8 -nocrypt -in sec1 -out pkcs8");
        assert_eq!(desk.key("pkcs8", None).public(), key.public());
    }
    desk.run("openssl genpkey -genparam -algorithm DSA -pkeyopt dsa_paramgen_bits:1024 -pkeyopt dsa_paramgen_q_bits:160 -out parameters");
    desk.run("openssl genpkey -paramfile parameters -out pkcs8");
    desk.run("openssl dsa -in pkcs8 -out traditional");
    assert!(
        desk.text("traditional").contains("BEGIN DSA PRIVATE KEY"),
        "{}",
        desk.text("traditional").lines().next().unwrap()
    );
    assert_eq!(desk.key("pkcs8", None).public(), desk.key("traditional", None).public());
}

#[test]
fn what_is_made_here_is_read_here_and_by_ssh_keygen() {
    let desk = Desk::new();
    let kinds =
        [KeyKind::Ed25519, KeyKind::EcdsaP256, KeyKind::EcdsaP384, KeyKind::EcdsaP521, KeyKind::Rsa3072];
    for kind in kinds {
        let key = SigningKey::generate(kind).unwrap();
        let text = key.to_openssh().unwrap();
        assert_eq!(read(text.expose(), None).unwrap().public(), key.public());
        desk.write("key", text.expose());
        desk.run("chmod 600 key");
        assert_eq!(desk.run("ssh-keygen -y -f key").trim(), key.public().to_openssh());
    }
}

#[test]
fn every_kind_that_is_read_is_written_in_the_form_of_openssh() {
    for kind in ["ed25519", "ecdsa -b 256", "ecdsa -b 384", "ecdsa -b 521", "rsa -b 2048", "dsa"] {
        let desk = Desk::new();
        desk.keygen("key", &format!("-t {kind} -N _"));
        desk.write("again", desk.key("key", None).to_openssh().unwrap().expose());
        desk.run("chmod 600 again");
        assert_eq!(desk.run("ssh-keygen -y -f again").trim(), desk.public("key.pub").to_openssh());
    }
}

#[test]
fn fingerprints_are_those_of_ssh_keygen() {
    for kind in ["ed25519", "ecdsa", "rsa -b 2048", "dsa"] {
        let desk = Desk::new();
        desk.keygen("key", &format!("-t {kind} -N _"));
        let line = desk.run("ssh-keygen -l -f key.pub");
        assert_eq!(line.split(' ').nth(1), Some(desk.public("key.pub").fingerprint().as_str()));
    }
}

#[test]
fn a_key_shows_nothing_of_itself() {
    let key = SigningKey::generate(KeyKind::Ed25519).unwrap();
    assert_eq!(format!("{key:?}"), format!("SigningKey(ssh-ed25519 {})", key.public().fingerprint()));
    let text = key.to_openssh().unwrap();
    let broken = text.expose().replace("-----END", "hunter2\n-----END");
    let error = read(&broken, None).unwrap_err();
    assert_eq!(error, KeyError::NotPem);
    assert_eq!(format!("{error} {error:?}"), "it is no private key in PEM NotPem");
}

#[test]
fn a_text_without_a_private_key_is_refused() {
    let desk = Desk::new();
    desk.keygen("key", "-t ed25519 -N _");
    for text in ["", "hunter2", &desk.text("key.pub"), "-----BEGIN PRIVATE KEY-----\nAAAA"] {
        assert_eq!(read(text, None).unwrap_err(), KeyError::NotPem);
    }
    assert_eq!(read(&"x".repeat(70_000), None).unwrap_err(), KeyError::TooLong);
}

#[test]
fn a_passphrase_that_costs_too_much_is_refused() {
    let desk = Desk::new();
    desk.run("openssl genpkey -algorithm ed25519 -out key");
    desk.run("openssl pkcs8 -topk8 -iter 2000001 -passout pass:x -in key -out slow -v2 aes128");
    assert_eq!(read(&desk.text("slow"), Some("x")).unwrap_err(), KeyError::TooCostly);
    desk.run("openssl pkcs8 -topk8 -scrypt -scrypt_p 16 -passout pass:x -in key -out slow");
    assert_eq!(read(&desk.text("slow"), Some("x")).unwrap_err(), KeyError::TooCostly);
    desk.keygen("bcrypt", "-t ed25519 -N x -a 1");
    assert_eq!(read(&with_rounds(&desk.text("bcrypt"), 257), Some("x")).unwrap_err(), KeyError::TooCostly);
}

/// OpenSSH's form with other rounds of bcrypt; they stand behind 16 bytes of salt.
fn with_rounds(text: &str, rounds: u32) -> String {
    let base64: String = text.lines().filter(|line| !line.starts_with("-----")).collect();
    let mut body = Base64::decode_vec(&base64).unwrap();
    let options = b"bcrypt\0\0\0\x18\0\0\0\x10";
    let start = body.windows(options.len()).position(|window| window == options).unwrap();
    let place = start + options.len() + 16;
    assert_eq!(body[place..place + 4], 1_u32.to_be_bytes());
    body[place..place + 4].copy_from_slice(&rounds.to_be_bytes());
    let base64 = Base64::encode_string(&body);
    format!("-----BEGIN OPENSSH PRIVATE KEY-----\n{base64}\n-----END OPENSSH PRIVATE KEY-----\n")
}
