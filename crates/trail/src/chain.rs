//! The chain of blocks: each link stands for everything in the file up to its block.

/// A link of the chain, or its root.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Link(pub(crate) [u8; Link::LEN]);

impl Link {
    pub(crate) const LEN: usize = 32;

    /// What the chain begins with: the hash of the file's header.
    pub(crate) fn root(header: &[u8]) -> Self {
        Self(*blake3::hash(header).as_bytes())
    }

    /// The link of the block that comes next. `head` is the part of its header that is linked, `payload` stands as in the
    /// file.
    pub(crate) fn next(&self, head: &[u8], payload: &[u8]) -> Self {
        let mut link = blake3::Hasher::new();
        link.update(&self.0).update(head).update(blake3::hash(payload).as_bytes());
        Self(*link.finalize().as_bytes())
    }
}
