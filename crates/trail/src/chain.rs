//! The chain of blocks: each link stands for everything in the file up to its block.

/// A link of the chain, or its root.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Link(pub(crate) [u8; Link::LEN]);

/// How far a trail reaches. Two trails with the same one are the same from their first byte to their last.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Extent {
    /// Bytes, up to the end of the last whole block.
    pub length: u64,
    pub(crate) link: Link,
}

impl Extent {
    /// The link of the last block, in hexadecimal digits.
    pub fn link(&self) -> String {
        self.link.to_hex()
    }
}

impl Link {
    pub(crate) const LEN: usize = 32;

    /// What the chain begins with: the hash of the file's header.
    pub(crate) fn root(header: &[u8]) -> Self {
        Self(*blake3::hash(header).as_bytes())
    }

    pub(crate) fn to_hex(self) -> String {
        blake3::Hash::from_bytes(self.0).to_hex().to_string()
    }

    /// The link of the block that comes next. `head` is the part of its header that is linked, `payload` stands as in the
    /// file.
    pub(crate) fn next(&self, head: &[u8], payload: &[u8]) -> Self {
        let mut link = blake3::Hasher::new();
        link.update(&self.0).update(head).update(blake3::hash(payload).as_bytes());
        Self(*link.finalize().as_bytes())
    }
}
