//! Versions of the product that a plugin was made for, such as `5.11.0` or `6.0~`.

/// Dotted numbers; a `~` at the end means "below".
#[derive(Debug)]
pub(super) struct ProductVersion {
    numbers: Vec<u32>,
    below: bool,
}

impl ProductVersion {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (text, below) = match text.strip_suffix('~') {
            Some(text) => (text, true),
            None => (text, false),
        };
        let numbers: Option<Vec<u32>> = text
            .splitn(8, '.')
            .map(|part| part.bytes().all(|b| b.is_ascii_digit()).then(|| part.parse().ok()).flatten())
            .collect();
        Some(Self { numbers: numbers?, below })
    }
}

/// Whether no product lies between the two. What cannot be read contradicts nothing.
pub(super) fn contradict(min: &str, max: &str) -> bool {
    let (Some(min), Some(max)) = (ProductVersion::parse(min), ProductVersion::parse(max)) else {
        return false;
    };
    let length = min.numbers.len().max(max.numbers.len());
    let padded = |numbers: &[u32]| {
        let mut numbers = numbers.to_vec();
        numbers.resize(length, 0);
        numbers
    };
    let (low, high) = (padded(&min.numbers), padded(&max.numbers));
    low > high || (low == high && max.below)
}
