/// One line: a value for each way, or Keyward's alone.
pub(crate) struct Row {
    pub(crate) what: String,
    pub(crate) values: Vec<f64>,
    pub(crate) ratio: Ratio,
    pub(crate) targets: Vec<Target>,
}

/// How the last value is set against the first.
pub(crate) enum Ratio {
    None,
    Share,
    Added,
    /// In per cent.
    More,
}

/// What the last value has to reach.
pub(crate) enum Target {
    AtMost(f64),
    AtLeast(f64),
    AddedAtMost(f64),
    /// So many per cent more.
    MoreAtMost(f64),
    ShareAtLeast(f64),
    /// Better than the way over the second sshd.
    AboveSecond,
}

pub(crate) fn print(title: &str, ways: &[&str; 3], rows: &[Row]) {
    let [first, second, ours] = ways;
    println!("\n{title}\n");
    println!("{:<58}{first:>10}{second:>10}{ours:>10}{:>12}   target", "", format!("to {first}"));
    for row in rows {
        let blank = 3 - row.values.len().min(3);
        let values: String = std::iter::repeat_n(format!("{:>10}", "-"), blank)
            .chain(row.values.iter().map(|value| format!("{:>10}", rounded(*value))))
            .collect();
        let targets: Vec<String> = row.targets.iter().map(|target| target.judge(&row.values)).collect();
        println!("{:<58}{values}{:>12}   {}", row.what, row.ratio.shown(&row.values), targets.join("; "));
    }
    println!();
}

impl Ratio {
    fn shown(&self, values: &[f64]) -> String {
        let (direct, ours) = ends(values);
        match self {
            Self::None => String::new(),
            Self::Share => format!("{:.0} %", 100.0 * ours / direct),
            Self::Added => format!("{:+.2}", ours - direct),
            Self::More => format!("{:+.0} %", 100.0 * (ours / direct - 1.0)),
        }
    }
}

impl Target {
    fn judge(&self, values: &[f64]) -> String {
        let (direct, ours) = ends(values);
        let (reached, text) = match self {
            Self::AtMost(limit) => (ours <= *limit, format!("at most {limit}")),
            Self::AtLeast(limit) => (ours >= *limit, format!("at least {limit}")),
            Self::AddedAtMost(limit) => (ours - direct <= *limit, format!("at most +{limit}")),
            Self::MoreAtMost(limit) => {
                (100.0 * (ours / direct - 1.0) <= *limit, format!("at most +{limit} %"))
            }
            Self::ShareAtLeast(share) => (ours >= share * direct, format!("at least {:.0} %", share * 100.0)),
            Self::AboveSecond => {
                (values.get(1).is_some_and(|second| ours > *second), "above ssh -J".to_owned())
            }
        };
        format!("{text}: {}", if reached { "reached" } else { "MISSED" })
    }
}

/// The direct value and ours.
fn ends(values: &[f64]) -> (f64, f64) {
    (values.first().copied().unwrap_or(f64::NAN), values.last().copied().unwrap_or(f64::NAN))
}

fn rounded(value: f64) -> String {
    let digits = if value < 10.0 { 2 } else { 0 };
    format!("{value:.digits$}")
}

/// The value that so many per cent of all do not exceed; 50 is the median.
pub(crate) fn percentile(values: &[f64], per_cent: usize) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = (sorted.len() * per_cent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(at).copied().unwrap_or(f64::NAN)
}
