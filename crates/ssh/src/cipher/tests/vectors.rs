//! Packets made by another implementation (OpenSSL, framed by hand after the RFCs), with counters that overflow.

use super::super::{Cipher, Mac};

/// The payloads of the two packets, which have the sequence numbers 7 and 8.
pub(super) const PAYLOADS: [&[u8]; 2] = [b"\x02first", b"\x5ea second packet, which is longer"];

/// First number of the key and of the MAC's key; each byte is one more than the one before.
pub(super) const KEY: u8 = 0;
pub(super) const MAC_KEY: u8 = 0x80;

/// Initial vectors: the invocation counter and the counter block are all ones, and overflow.
pub(super) fn iv(cipher: Cipher) -> Vec<u8> {
    match cipher {
        Cipher::Aes128Gcm | Cipher::Aes256Gcm => [&[1, 2, 3, 4][..], &[0xff; 8]].concat(),
        Cipher::Aes128Ctr | Cipher::Aes192Ctr | Cipher::Aes256Ctr => vec![0xff; 16],
        _ => (0x40..).take(cipher.iv_len()).collect(),
    }
}

/// Both packets, one after the other, in hexadecimal; padding is zeros.
pub(super) const STREAMS: [(Cipher, Option<Mac>, &str); 10] = [
    (
        Cipher::Aes128Gcm,
        None,
        "0000001062bacc917a5852dbf5f4f7230fea77a475b8f9448195c087410191d9bac050a60000003033b6963c3d41d9cf\
         c77daa8ba80468539626f540a101372bb3b75caaab682373aa7073b9d7c6bd3cf08a30f156650f8b712d6f00dc5e8f0c\
         dd9ef1fcfd5354f7",
    ),
    (
        Cipher::Aes256Gcm,
        None,
        "00000010783edf4d2db2161b61b2d13e20cd99668028c56db6f6e5dada69d8d130437ec8000000302f0bbc7d64f41b1e\
         9583b7cbd1a3dc0b84337a86b8c86a3b68984a7f0efdaa7e84a5cfa4e63c17f4e77dde3113c2f96bb71540dcae2244d6\
         6a3087f83d8fc4f8",
    ),
    (
        Cipher::ChaCha20Poly1305,
        None,
        "a39afcba2144732a3cf05e5e6c6dbbf0d78fd32c1cdad1bdae7897e9e1e54237c5f4d2a32fe1f289ddfd3786db276479\
         e73a63548af32ad7f1f0a18dcc1e23dc61fe0aaab07d60d60092ff033e761bf4801707e11b418c83f32a8dd371bf469b",
    ),
    (
        Cipher::Aes128Ctr,
        Some(Mac::HmacSha256Etm),
        "000000103546795bbc74f62364d7a2990e50bb130646146170374b179a89d57832125e0471f5fef7ce5d3afb9d9ce3fc\
         8e7395fa00000030c8ff5a17f4ea38ed012ba112c0abb31c076a33e2fda9d7766912cec3099b436d2ca48753999ba68c\
         e3897a686081b09d764ed62d3f7fecc91e31e9ddd4ba688c1a69117ca1873769cc7f04d6f6a02692",
    ),
    (
        Cipher::Aes192Ctr,
        Some(Mac::HmacSha512),
        "01d8f9961ca9f7995e75a33bf2248888b110c0da7480786a58dabf66c34624e9d1f40dfce5161dda45ea5ef3198bae8b\
         e419044b30b454896196451a3912e8cfe27c1b8dbb743909eb46f8c4fd9d689b916251ae162dc402b0f3b5485665b677\
         282d533f3f138fc07b838fc0280b1437b76c7cecd23f242c83424226f7ca25c693c011fe62fa2706f6d0688cb4b1b9c3\
         fc2643036ab51574bd2e3886010b29568624c4c97722e41e4f779927eeb7dbc24bdc4ecedb6c0699038945071cb460ce",
    ),
    (
        Cipher::Aes256Ctr,
        Some(Mac::HmacSha1Etm),
        "00000010e09b82743ed404da5387117b5d8f57eefebba3b6078a680467ab15ce6a0a38913e080c5a00000030fcce6196\
         592cfcbfc797ba1abc4d1ce5847156d922d0fc8d869fe81124ad585a6bceb5deb52c83bd08a8a935182c91994b714444\
         a1d243f7baa38ddee872b29c34292b1e",
    ),
    (
        Cipher::Aes128Cbc,
        Some(Mac::HmacSha256),
        "40bfc2756d821b56d47cbdac70e66e39313e736d4285ec6e163d123ca3ff6cbe3e398cd6fa1b20758b89868faacec26e\
         1c5736c881c9efd4f0f5890557086e167e95c5b38f4d3271b1a3e732c0421dd887a0aea8421b089d762c83df5c2e8989\
         8e222aafce4974f553644a6ab5f73194c4f7150aed9b2455ac6e1b128fa5e43b",
    ),
    (
        Cipher::Aes192Cbc,
        Some(Mac::HmacSha512Etm),
        "0000001007245f037ae6aaeb959284510f5b9f9741357b6979a0397da420a2420c155708711f8747034bdc3f25d91768\
         f8972a9fa2094857c655e0ff0858f0fc45871829e0b4e2cbac2b2de1d841843c11856e87000000301e32a40141e0c3c0\
         330ef290337a665369daa7bea0735ed343b3b8ac8a49f40cec66a09c708d8738da8ef10d6ff0c1ee6dbcf7dff0b1c64a\
         1b4215b70b8388e1e779b91d7ed0ddb84cdf18a59be6070f38a9e9a18f8e319553805cbcaa646f37b7f5d9e98235231f\
         8022a97c2e735121",
    ),
    (
        Cipher::Aes256Cbc,
        Some(Mac::HmacSha1),
        "50a30eb62da7c8123f5dd038ec80ed23fbf3cc3ac8d9b5f4c27522a3e89fa682eb9a944ee592f07c291b0f5e00ff1d07\
         d9ba07fa2b070a477a0c7113dfeb6b36904ca7401991bf00a3bccf1cc02d65b88ecc90639fe29ae608613c68b1fe74ea\
         456a7b9ce60e86f4",
    ),
    (
        Cipher::TripleDesCbc,
        Some(Mac::HmacSha256Etm),
        "00000010b02b6fa41ec1b080c5566f058a0df57cd78d5a4ff0a4c7d5727034e730d00c6c80511f31f1c180801836019c\
         5435ebc000000028bcd459b0eb29c3d2db69a5073e995c75f035783eb633278bf36948a815295170de2246fb5c34d14e\
         893296be89121cecbd3d71e24bd734052ff87620f0449b52eb75171826c4d006",
    ),
];
