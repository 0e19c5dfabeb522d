//! `.dockerignore`: what of a context does not exist for a build.

use super::pattern::Pattern;
use crate::dockerfile_error::{ParseDockerfileError, Position};

/// The patterns of a `.dockerignore`, of which the last that stands for a path decides.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ignore {
    rules: Vec<(Pattern, bool)>,
}

impl Ignore {
    /// Reads the file: a pattern a line; `#` begins a comment and `!` an exception.
    ///
    /// # Errors
    /// A pattern that is none, and one that leads out of the context.
    pub fn parse(text: &str) -> Result<Self, ParseDockerfileError> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut rules = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let line_text = line.trim();
            if line.starts_with('#') || line_text.is_empty() {
                continue;
            }
            let fault = |reason: String| {
                let column = line.len() - line.trim_start().len() + 1;
                ParseDockerfileError::new(Position { line: number + 1, column }, reason)
            };
            let (text, ignored) =
                line_text.strip_prefix('!').map_or((line_text, true), |exception| (exception.trim(), false));
            let text = clean(text).ok_or_else(|| fault(format!("{text:?} leads out of the context")))?;
            let pattern = Pattern::parse(&text).map_err(|error| fault(format!("{text:?} {error}")))?;
            if pattern.is_empty() && !ignored {
                return Err(fault("an exception needs a pattern".to_owned()));
            }
            if !pattern.is_empty() {
                rules.push((pattern, ignored));
            }
        }
        Ok(Self { rules })
    }

    /// Whether a path, relative to the context, is left out. A pattern that stands for a directory stands for all in it.
    pub fn ignores(&self, path: &str) -> bool {
        let names: Vec<&str> = path.split('/').collect();
        let stands = |pattern: &Pattern| (1..=names.len()).any(|count| pattern.matches(&names[..count]));
        self.rules.iter().rev().find(|(pattern, _)| stands(pattern)).is_some_and(|(_, ignored)| *ignored)
    }

    /// Whether something in an ignored directory may not be ignored.
    pub fn has_exceptions(&self) -> bool {
        self.rules.iter().any(|(_, ignored)| !ignored)
    }
}

/// Without `..` inside; `None` for what climbs out.
fn clean(text: &str) -> Option<String> {
    let mut names: Vec<&str> = Vec::new();
    for name in text.split('/') {
        match name {
            "" | "." => {}
            ".." => drop(names.pop()?),
            name => names.push(name),
        }
    }
    Some(names.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_pattern_decides() {
        let ignore = Ignore::parse("# no\n*.md\n!README.md\n /build/ \n**/*.tmp\na/../b\n!build/kept\n").unwrap();
        for path in ["x.md", "build", "build/x", "d/e/x.tmp", "b"] {
            assert!(ignore.ignores(path), "{path}");
        }
        for path in ["README.md", "d/x.md", "build/kept", "build/kept/x", "a", "#", "no"] {
            assert!(!ignore.ignores(path), "{path}");
        }
        assert!(ignore.has_exceptions());
        assert!(!Ignore::parse(".\n/\n").unwrap().ignores("a"));
    }

    #[test]
    fn wrong_patterns_have_a_place() {
        for (text, message) in [
            ("a\n  [b", "line 2, column 3: \"[b\" has a set without its end"),
            ("../x", "line 1, column 1: \"../x\" leads out of the context"),
            ("!", "line 1, column 1: an exception needs a pattern"),
        ] {
            assert_eq!(Ignore::parse(text).unwrap_err().to_string(), message);
        }
    }
}
