//! Finds many patterns in one pass (Aho and Corasick, 1975), and tells how far a text has come into one.
//!
//! Written here for the second: whether the end of a line may be the beginning of a secret, no library says.

use zeroize::Zeroize as _;

/// The patterns, as a tree of their bytes. They are wiped on drop.
#[derive(Default)]
pub(super) struct Automaton {
    /// The first is the root; empty without patterns.
    nodes: Vec<Node>,
}

#[derive(Default)]
struct Node {
    /// In the order of their bytes.
    edges: Vec<(u8, u32)>,
    /// The node of the longest end of this one's text that begins a pattern.
    fallback: u32,
    /// How many bytes of a pattern the text has come into.
    depth: u32,
    /// The longest pattern that ends here; 0: none does.
    ends: u32,
}

const ROOT: u32 = 0;

impl Automaton {
    /// Patterns have 2 GiB at most, all together.
    pub(super) fn new<'a>(patterns: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut automaton = Self::default();
        for pattern in patterns {
            automaton.insert(pattern);
        }
        automaton.link();
        automaton
    }

    pub(super) fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Tells `found` each place where a pattern lies, as the byte after its end and its length, of those that end
    /// there the longest. Returns how many bytes at the end of `text` begin a pattern.
    pub(super) fn scan(&self, text: &[u8], mut found: impl FnMut(usize, usize)) -> usize {
        let mut at = ROOT;
        for (place, byte) in text.iter().enumerate() {
            at = self.step(at, *byte);
            if let Some(Node { ends: length @ 1.., .. }) = self.node(at) {
                found(place + 1, *length as usize);
            }
        }
        self.node(at).map_or(0, |node| node.depth as usize)
    }

    fn insert(&mut self, pattern: &[u8]) {
        if self.nodes.is_empty() {
            self.nodes.push(Node::default());
        }
        let mut at = ROOT;
        for byte in pattern {
            at = match self.edge(at, *byte) {
                Some(next) => next,
                None => self.grow(at, *byte),
            };
        }
        if let Some(node) = self.nodes.get_mut(at as usize) {
            node.ends = node.depth;
        }
    }

    fn grow(&mut self, at: u32, byte: u8) -> u32 {
        let new = u32::try_from(self.nodes.len()).unwrap_or(ROOT);
        let depth = self.node(at).map_or(0, |node| node.depth) + 1;
        if let Some(node) = self.nodes.get_mut(at as usize) {
            let place = node.edges.partition_point(|(other, _)| *other < byte);
            node.edges.insert(place, (byte, new));
        }
        self.nodes.push(Node { depth, ..Node::default() });
        new
    }

    /// Sets the fallbacks, the nodes nearest to the root first.
    fn link(&mut self) {
        let mut order = std::collections::VecDeque::from([ROOT]);
        while let Some(parent) = order.pop_front() {
            let edges = self.node(parent).map(|node| node.edges.clone()).unwrap_or_default();
            let fallback = self.node(parent).map_or(ROOT, |node| node.fallback);
            for (byte, child) in edges {
                let fallback = if parent == ROOT { ROOT } else { self.step(fallback, byte) };
                let ends = self.node(fallback).map_or(0, |node| node.ends);
                if let Some(child) = self.nodes.get_mut(child as usize) {
                    child.fallback = fallback;
                    child.ends = child.ends.max(ends);
                }
                order.push_back(child);
            }
        }
    }

    fn step(&self, mut at: u32, byte: u8) -> u32 {
        loop {
            match self.edge(at, byte) {
                Some(next) => return next,
                None if at == ROOT => return ROOT,
                None => at = self.node(at).map_or(ROOT, |node| node.fallback),
            }
        }
    }

    fn edge(&self, at: u32, byte: u8) -> Option<u32> {
        let edges = &self.node(at)?.edges;
        // Most nodes have one.
        match edges.as_slice() {
            [(only, next)] => (*only == byte).then_some(*next),
            many => {
                let place = many.binary_search_by_key(&byte, |(other, _)| *other).ok()?;
                many.get(place).map(|(_, next)| *next)
            }
        }
    }

    fn node(&self, at: u32) -> Option<&Node> {
        self.nodes.get(at as usize)
    }
}

impl Drop for Automaton {
    fn drop(&mut self) {
        for node in &mut self.nodes {
            node.edges.iter_mut().for_each(|(byte, _)| byte.zeroize());
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn places(patterns: &[Vec<u8>], text: &[u8]) -> (Vec<(usize, usize)>, usize) {
        let automaton = Automaton::new(patterns.iter().map(Vec::as_slice));
        let mut found = Vec::new();
        let open = automaton.scan(text, |end, length| found.push((end, length)));
        (found, open)
    }

    /// The same by looking at every place.
    fn slowly(patterns: &[Vec<u8>], text: &[u8]) -> (Vec<(usize, usize)>, usize) {
        let ends = |end| patterns.iter().filter(move |p| text[..end].ends_with(p)).map(Vec::len).max();
        let found = (1..=text.len()).filter_map(|end| Some((end, ends(end)?))).collect();
        let begins = |length: &usize| patterns.iter().any(|p| p.starts_with(&text[text.len() - length..]));
        (found, (0..=text.len()).rev().find(begins).unwrap_or(0))
    }

    proptest! {
        #[test]
        fn it_finds_what_looking_at_every_place_finds(
            patterns in prop::collection::vec(prop::collection::vec(b'a'..b'd', 1..6), 1..6),
            text in prop::collection::vec(b'a'..b'e', 0..40),
        ) {
            prop_assert_eq!(places(&patterns, &text), slowly(&patterns, &text));
        }
    }

    #[test]
    fn without_patterns_nothing_is_found() {
        assert_eq!(places(&[], b"text"), (Vec::new(), 0));
        assert!(Automaton::new([]).is_empty());
    }
}
