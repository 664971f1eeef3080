//! The results of scenarios as JUnit XML, which test servers read.

use std::fmt::Write;
use std::time::Duration;

/// One scenario as a test case.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) title: String,
    /// The scenario's file.
    pub(crate) file: String,
    pub(crate) took: Duration,
    pub(crate) transcript: String,
    pub(crate) result: Outcome,
}

#[derive(Debug)]
pub(crate) enum Outcome {
    Passed,
    /// What differs, a line each.
    Failed(Vec<String>),
    /// Why it could not be played.
    Error(String),
}

impl Outcome {
    pub(crate) fn has_passed(&self) -> bool {
        match self {
            Self::Passed => true,
            Self::Failed(_) | Self::Error(_) => false,
        }
    }
}

/// The document, whole.
pub(crate) fn junit(cases: &[Case]) -> String {
    let failures = cases.iter().filter(|case| matches!(case.result, Outcome::Failed(_))).count();
    let errors = cases.iter().filter(|case| matches!(case.result, Outcome::Error(_))).count();
    let time: Duration = cases.iter().map(|case| case.took).sum();
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = writeln!(
        xml,
        "<testsuites>\n<testsuite name=\"keyward plugin scenario\" tests=\"{}\" failures=\"{failures}\" errors=\"{errors}\" time=\"{:.3}\">",
        cases.len(),
        time.as_secs_f64()
    );
    for case in cases {
        let _ = writeln!(
            xml,
            "<testcase name=\"{}\" classname=\"{}\" time=\"{:.3}\">",
            escaped(&case.title),
            escaped(&case.file),
            case.took.as_secs_f64()
        );
        match &case.result {
            Outcome::Passed => {}
            Outcome::Failed(lines) => {
                let first = lines.first().map(String::as_str).unwrap_or_default();
                let all = lines.join("\n");
                let _ = writeln!(xml, "<failure message=\"{}\">{}</failure>", escaped(first), escaped(&all));
            }
            Outcome::Error(why) => {
                let first = why.lines().next().unwrap_or_default();
                let _ = writeln!(xml, "<error message=\"{}\">{}</error>", escaped(first), escaped(why));
            }
        }
        let _ = writeln!(xml, "<system-out>{}</system-out>\n</testcase>", escaped(&case.transcript));
    }
    xml.push_str("</testsuite>\n</testsuites>\n");
    xml
}

/// Text for an element or an attribute. What XML 1.0 cannot hold (section 2.2) becomes U+FFFD.
fn escaped(text: &str) -> String {
    let mut xml = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => xml.push_str("&amp;"),
            '<' => xml.push_str("&lt;"),
            '>' => xml.push_str("&gt;"),
            '"' => xml.push_str("&quot;"),
            '\n' | '\t' => xml.push(c),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => xml.push('\u{fffd}'),
            c => xml.push(c),
        }
    }
    xml
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_xml_cannot_hold_is_not_in_it() {
        assert_eq!(escaped("a<b> & \"c\"\x1b[2J\0"), "a&lt;b&gt; &amp; &quot;c&quot;\u{fffd}[2J\u{fffd}");
    }

    #[test]
    fn failures_and_errors_are_counted_apart() {
        let case = |result| Case {
            title: "t".into(),
            file: "f".into(),
            took: Duration::from_millis(1500),
            transcript: String::new(),
            result,
        };
        let cases = [
            case(Outcome::Passed),
            case(Outcome::Failed(vec!["one".into(), "two".into()])),
            case(Outcome::Error("no".into())),
        ];
        let xml = junit(&cases);
        assert!(xml.contains("tests=\"3\" failures=\"1\" errors=\"1\" time=\"4.500\""), "{xml}");
        assert!(xml.contains("<failure message=\"one\">one\ntwo</failure>"), "{xml}");
    }
}
