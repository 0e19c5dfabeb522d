//! Words: quotes, escapes and variables.

use crate::dockerfile_error::{ParseDockerfileError, Position};

/// A word as it is written, with its quotes and variables.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Word {
    /// The text.
    pub text: String,
    /// Where it begins.
    pub position: Position,
}

impl Word {
    /// The text without its quotes, with the values of its variables; one that `lookup` does not know is empty.
    ///
    /// `$NAME`, `${NAME}`, `${NAME:-WORD}`, `${NAME-WORD}`, `${NAME:+WORD}`, `${NAME+WORD}`, `${NAME:?WORD}` and
    /// `${NAME?WORD}` are what a shell makes of them.
    ///
    /// # Errors
    /// A quote or brace without its end, another form of `${`, and a variable that `?` demands.
    pub fn expand(
        &self,
        escape: char,
        lookup: &dyn Fn(&str) -> Option<String>,
    ) -> Result<String, ParseDockerfileError> {
        let characters: Vec<char> = self.text.chars().collect();
        let mut expansion = Expansion { characters: &characters, at: 0, escape, lookup, depth: 0 };
        let mut out = String::new();
        expansion.until(None, &mut out).map_err(|reason| ParseDockerfileError::new(self.position, reason))?;
        Ok(out)
    }
}

/// `${A:-${B:-...}}` may nest this deep.
const DEPTH_MAX: usize = 32;

struct Expansion<'e> {
    characters: &'e [char],
    at: usize,
    escape: char,
    lookup: &'e dyn Fn(&str) -> Option<String>,
    depth: usize,
}

impl Expansion<'_> {
    fn next(&mut self) -> Option<char> {
        let character = self.characters.get(self.at).copied();
        self.at += usize::from(character.is_some());
        character
    }

    fn peek(&self) -> Option<char> {
        self.characters.get(self.at).copied()
    }

    /// Reads up to `end`, which is read too.
    fn until(&mut self, end: Option<char>, out: &mut String) -> Result<(), String> {
        while let Some(character) = self.next() {
            match character {
                _ if Some(character) == end => return Ok(()),
                '\'' => self.single_quoted(out)?,
                '"' => self.double_quoted(out)?,
                '$' => self.dollar(out)?,
                _ if character == self.escape => out.extend(self.next()),
                _ => out.push(character),
            }
        }
        match end {
            Some(end) => Err(format!("{end:?} is missing at the end of a word")),
            None => Ok(()),
        }
    }

    fn single_quoted(&mut self, out: &mut String) -> Result<(), String> {
        loop {
            match self.next() {
                Some('\'') => return Ok(()),
                Some(character) => out.push(character),
                None => return Err("a single quote has no end".to_owned()),
            }
        }
    }

    fn double_quoted(&mut self, out: &mut String) -> Result<(), String> {
        loop {
            match self.next() {
                Some('"') => return Ok(()),
                Some('$') => self.dollar(out)?,
                Some(character) if character == self.escape => match self.peek() {
                    Some(next) if next == '"' || next == '$' || next == self.escape => out.extend(self.next()),
                    _ => out.push(character),
                },
                Some(character) => out.push(character),
                None => return Err("a double quote has no end".to_owned()),
            }
        }
    }

    fn dollar(&mut self, out: &mut String) -> Result<(), String> {
        if self.peek() != Some('{') {
            let name = self.name();
            match name.as_str() {
                "" => out.push('$'),
                name => out.push_str(&(self.lookup)(name).unwrap_or_default()),
            }
            return Ok(());
        }
        self.at += 1;
        let name = self.name();
        if name.is_empty() {
            return Err("${ needs the name of a variable".to_owned());
        }
        let value = (self.lookup)(&name);
        let (colon, operator) = match self.next() {
            Some('}') => {
                out.push_str(&value.unwrap_or_default());
                return Ok(());
            }
            Some(':') => (true, self.next()),
            other => (false, other),
        };
        let Some(operator @ ('-' | '+' | '?')) = operator else {
            return Err(format!("of ${{{name}...}} only the forms with -, + and ? are supported"));
        };
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(format!("variables nest deeper than {DEPTH_MAX}"));
        }
        let mut word = String::new();
        self.until(Some('}'), &mut word)?;
        self.depth -= 1;
        let set = value.filter(|value| !(colon && value.is_empty()));
        match (operator, set) {
            ('-', None) | ('+', Some(_)) => out.push_str(&word),
            ('-' | '?', Some(value)) => out.push_str(&value),
            ('?', None) => return Err(format!("the variable {name} is not set: {word}")),
            _ => {}
        }
        Ok(())
    }

    fn name(&mut self) -> String {
        let mut name = String::new();
        while let Some(character) = self.peek() {
            if !(character.is_ascii_alphanumeric() || character == '_') {
                break;
            }
            name.push(character);
            self.at += 1;
            // `$12` is `$1` and a 2.
            if name.len() == 1 && character.is_ascii_digit() {
                break;
            }
        }
        name
    }
}

/// Splits at white space outside of quotes and escapes; each word with its offset.
pub(super) fn split(text: &str, escape: char) -> Vec<(usize, &str)> {
    let mut words = Vec::new();
    let mut start = None;
    let mut quote = None;
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        if quote.is_none() && character.is_whitespace() {
            words.extend(start.take().map(|start| (start, &text[start..at])));
            continue;
        }
        start.get_or_insert(at);
        match quote {
            None if character == '"' || character == '\'' => quote = Some(character),
            Some(open) if open == character => quote = None,
            // Nothing escapes between single quotes.
            Some('\'') => {}
            _ if character == escape => drop(characters.next()),
            _ => {}
        }
    }
    words.extend(start.map(|start| (start, &text[start..])));
    words
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn expand(text: &str) -> Result<String, String> {
        let lookup = |name: &str| match name {
            "A" => Some("a b".to_owned()),
            "E" => Some(String::new()),
            _ => None,
        };
        let word = Word { text: text.to_owned(), position: Position { line: 1, column: 1 } };
        word.expand('\\', &lookup).map_err(|error| error.reason().to_owned())
    }

    #[test]
    fn variables_and_quotes() {
        for (text, expected) in [
            ("$A", "a b"),
            ("${A}x$Ax", "a bx"),
            ("'$A'\"$A\"", "$Aa b"),
            ("\\$A", "$A"),
            ("\"\\$A\\n\\\"\"", "$A\\n\""),
            ("a\\ b", "a b"),
            ("${N:-x}${N-y}${E:-x}${E-y}", "xyx"),
            ("${A:+x}${E:+x}${E+y}${N+z}", "xy"),
            ("${N:-${A:+'${A}'}}", "${A}"),
            ("${A:?must}", "a b"),
            ("$", "$"),
            ("$$A", "$a b"),
            ("$12", "2"),
            ("ä$", "ä$"),
        ] {
            assert_eq!(expand(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, reason) in [
            ("'a", "a single quote has no end"),
            ("\"a", "a double quote has no end"),
            ("${A", "of ${A...} only the forms with -, + and ? are supported"),
            ("${A#x}", "of ${A...} only the forms with -, + and ? are supported"),
            ("${N:?must be}", "the variable N is not set: must be"),
            ("${}", "${ needs the name of a variable"),
            ("${A:-x", "'}' is missing at the end of a word"),
        ] {
            assert_eq!(expand(text).unwrap_err(), reason, "{text}");
        }
        assert!(expand(&"${N:-".repeat(100_000)).unwrap_err().contains("nest deeper"));
    }

    #[test]
    fn words_end_at_white_space_outside_of_quotes() {
        let words: Vec<_> = split("a 'b c'd  \"e \\\" f\" g\\ h", '\\').into_iter().map(|(_, word)| word).collect();
        assert_eq!(words, ["a", "'b c'd", "\"e \\\" f\"", "g\\ h"]);
        assert_eq!(split("  a", '\\'), [(2, "a")]);
    }

    proptest! {
        #[test]
        fn quoting_keeps_any_text(text in "[^']*") {
            prop_assert_eq!(expand(&format!("'{text}'")), Ok(text));
        }

        #[test]
        fn any_word_ends(text in "[$\\{}:+?'\"\\\\A-]{0,40}") {
            let _ = expand(&text);
        }
    }
}
