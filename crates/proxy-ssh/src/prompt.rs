//! How a question of any shape becomes keyboard-interactive prompts (RFC 4256 section 3.2).

/// More characters than this of a prompt, and of the lines before it, are not shown.
const LONGEST_PROMPT: usize = 4096;

/// OpenSSH shows no more of an instruction than this many bytes, and each byte of what is no ASCII as four.
const LONGEST_PAGE: usize = 1000;

/// The pages of text that are shown before the prompt, and the prompt.
pub(crate) fn pages(question: &str) -> (Vec<String>, String) {
    let (instructions, prompt) = split(question);
    let mut pages = Vec::new();
    let mut page = String::new();
    for line in instructions.split_inclusive('\n') {
        if width(&page) + width(line) > LONGEST_PAGE && !page.is_empty() {
            // Clients end what they show with a line end of their own.
            let shown = std::mem::take(&mut page);
            pages.push(shown.strip_suffix('\n').unwrap_or(&shown).to_owned());
        }
        for c in line.chars() {
            if width(&page) + cost(c) > LONGEST_PAGE {
                pages.push(std::mem::take(&mut page));
            }
            page.push(c);
        }
    }
    pages.extend((!page.is_empty()).then_some(page));
    (pages, prompt)
}

fn width(text: &str) -> usize {
    text.chars().map(cost).sum()
}

fn cost(c: char) -> usize {
    if c.is_ascii() { 1 } else { 4 * c.len_utf8() }
}

/// The lines before the last one are instructions. What could act on a terminal becomes a space. Where there is too
/// much, the question itself stays.
fn split(prompt: &str) -> (String, String) {
    let text = prompt.replace("\r\n", "\n");
    let text = text.trim_end_matches('\n');
    let (instructions, last) = text.rsplit_once('\n').unwrap_or(("", text));
    (shown(instructions), shown(last))
}

fn shown(text: &str) -> String {
    let plain = |c: char| if c.is_control() && c != '\n' && c != '\t' { ' ' } else { c };
    text.chars().take(LONGEST_PROMPT).map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(instructions: &str, prompt: &str) -> (String, String) {
        (instructions.to_owned(), prompt.to_owned())
    }

    #[test]
    fn the_last_line_is_the_prompt_and_the_others_are_instructions() {
        assert_eq!(split("Code: "), pair("", "Code: "));
        assert_eq!(split("Look at\nyour phone\nCode: "), pair("Look at\nyour phone", "Code: "));
        assert_eq!(split("Look\r\nCode: \r\n"), pair("Look", "Code: "));
        assert_eq!(split(""), pair("", ""));
        assert_eq!(split("\n\n"), pair("", ""));
    }

    #[test]
    fn a_prompt_cannot_act_on_the_terminal() {
        assert_eq!(split("\x1b[2JCode\u{9b}: "), pair("", " [2JCode : "));
        assert_eq!(split(&"x".repeat(10_000)).1.len(), LONGEST_PROMPT);
        let (instructions, prompt) = split(&("line\n".repeat(10_000) + "Code: "));
        assert_eq!((instructions.len(), prompt.as_str()), (LONGEST_PROMPT, "Code: "));
    }

    #[test]
    fn a_long_text_is_shown_page_by_page() {
        let text = "A line.\n".repeat(300);
        let (shown, prompt) = pages(&format!("{text}Agreed? "));
        assert_eq!((shown.join("\n") + "\n", prompt.as_str()), (text, "Agreed? "));
        assert_eq!(pages("A line.\n\nCode: ").0, ["A line.\n"]);
        assert!(shown.len() == 3 && shown.iter().all(|page| width(page) <= LONGEST_PAGE), "{shown:?}");
        let (shown, _) = pages(&("ü".repeat(500) + "\nCode: "));
        assert_eq!(shown.concat(), "ü".repeat(500));
        assert!(shown.iter().all(|page| width(page) <= LONGEST_PAGE), "{shown:?}");
        assert_eq!(pages("Code: "), (Vec::new(), "Code: ".to_owned()));
    }
}
