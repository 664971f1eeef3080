//! What can be told about the entry file without running it.

use super::BundleError;

const INTERPRETER: &str = "pluginwrapper3";

/// A Python 3 plugin says so in its first line: `#!/usr/bin/env pluginwrapper3` (contract section 2).
pub(super) fn check_interpreter(entry: &str, source: &[u8]) -> Result<(), BundleError> {
    let line = source.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = String::from_utf8_lossy(line.get(..200).unwrap_or(line));
    let named = line.strip_prefix("#!").is_some_and(|words| {
        words.split_whitespace().any(|word| word.rsplit('/').next() == Some(INTERPRETER))
    });
    if named {
        Ok(())
    } else {
        Err(BundleError::Interpreter { entry: entry.to_owned(), line: line.trim_end().to_owned() })
    }
}

/// Whether a line defines, assigns or imports `Plugin`. Only an import could prove it.
pub(super) fn shows_plugin(source: &[u8]) -> bool {
    let source = String::from_utf8_lossy(source);
    let mut in_import = false;
    source.lines().any(|line| {
        let line = line.split('#').next().unwrap_or_default();
        let words: Vec<&str> =
            line.split(|c: char| !is_name_character(c)).filter(|w| !w.is_empty()).collect();
        let first = words.first().copied().unwrap_or_default();
        let begins = matches!(first, "from" | "import");
        let import = in_import || begins;
        in_import = import && goes_on(line, begins);
        match first {
            "class" if line.starts_with("class") => words.get(1) == Some(&"Plugin"),
            "Plugin" if !import => line.starts_with("Plugin") && line.contains('='),
            _ => import && (words.contains(&"Plugin") || line.trim_end().ends_with("import *")),
        }
    })
}

/// Whether an import statement takes more lines than this one.
fn goes_on(line: &str, begins: bool) -> bool {
    let open = if begins { line.contains('(') } else { true };
    (open && !line.contains(')')) || line.trim_end().ends_with('\\')
}

fn is_name_character(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_names_the_wrapper() {
        for good in [
            "#!/usr/bin/env pluginwrapper3\nimport os\n",
            "#!/usr/bin/env pluginwrapper3",
            "#! /opt/scb/bin/pluginwrapper3\r\n",
            "#!/usr/bin/env -S pluginwrapper3 -u\n",
        ] {
            assert!(check_interpreter("main.py", good.as_bytes()).is_ok(), "{good}");
        }
        for bad in [
            "",
            "import os\n#!/usr/bin/env pluginwrapper3\n",
            "#!/usr/bin/env python3\n",
            "#!/usr/bin/env pluginwrapper\n",
            "#!/usr/bin/env pluginwrapper33\n",
            "# pluginwrapper3\n",
            "\u{feff}#!/usr/bin/env pluginwrapper3\n",
        ] {
            assert!(check_interpreter("main.py", bad.as_bytes()).is_err(), "{bad}");
        }
        let error = check_interpreter("main.py", b"#!/usr/bin/env python3\nx").unwrap_err().to_string();
        assert!(
            error.starts_with("entry \"main.py\" has the first line \"#!/usr/bin/env python3\""),
            "{error}"
        );
    }

    #[test]
    fn a_plugin_is_seen_where_it_is_defined_assigned_or_imported() {
        for good in [
            "class Plugin:\n",
            "class Plugin(AAPlugin):\n",
            "import x\n\nclass  Plugin (object):\n",
            "Plugin = make()\n",
            "Plugin: type = make()\n",
            "from lib.plugin import Plugin\n",
            "from lib import Other as Plugin\n",
            "try:\n    from lib import Plugin\nexcept ImportError:\n    raise\n",
            "from lib import (\n    A,  # one\n    Plugin,\n)\n",
            "from lib import A, \\\n    Plugin\n",
            "from lib import *\n",
        ] {
            assert!(shows_plugin(good.as_bytes()), "{good}");
        }
    }

    #[test]
    fn a_plugin_is_not_seen_elsewhere() {
        for bad in [
            "",
            "class MyPlugin:\n",
            "class PluginBase:\n",
            "def f():\n    class Plugin: pass\n",
            "# class Plugin:\n",
            "from lib import A  # Plugin\n",
            "from lib import (A)\nPlugin()\n",
            "from lib import A\nuse(Plugin)\n",
            "print('Plugin')\n",
            "\u{0}\u{fffd}",
        ] {
            assert!(!shows_plugin(bad.as_bytes()), "{bad}");
        }
    }
}
