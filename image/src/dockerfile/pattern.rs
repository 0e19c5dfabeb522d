//! Patterns of paths.

use std::fmt;

/// A pattern: `*` and `?` stand for characters of one name, `[a-z]` for one of a set, `**` for any number of names, and `\` takes
/// the meaning from the next character.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    names: Vec<Vec<Part>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    One(char),
    Any,
    Many,
    Set {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
    /// A whole name of `**`.
    Names,
}

/// A text that is no pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParsePatternError(&'static str);

impl fmt::Display for ParsePatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for ParsePatternError {}

impl Pattern {
    /// Reads a pattern of names between slashes.
    ///
    /// # Errors
    /// A set without its end, an empty one, and an escape at the end.
    pub fn parse(text: &str) -> Result<Self, ParsePatternError> {
        let names = text.split('/').filter(|name| !name.is_empty() && *name != ".");
        Ok(Self { names: names.map(parse_name).collect::<Result<_, _>>()? })
    }

    /// Whether the pattern stands for this path, given as its names.
    pub fn matches(&self, path: &[&str]) -> bool {
        // Which beginnings of the pattern the names so far can be: never more work than the product of both lengths.
        let mut reached = vec![false; self.names.len() + 1];
        reached[0] = true;
        self.pass_over(&mut reached);
        for name in path {
            let characters: Vec<char> = name.chars().collect();
            let mut next = vec![false; reached.len()];
            for (at, pattern) in self.names.iter().enumerate().filter(|(at, _)| reached[*at]) {
                if pattern[..] == [Part::Names] {
                    next[at] = true;
                } else if matches_name(pattern, &characters) {
                    next[at + 1] = true;
                }
            }
            reached = next;
            self.pass_over(&mut reached);
        }
        reached[self.names.len()]
    }

    /// `**` may stand for no name.
    fn pass_over(&self, reached: &mut [bool]) {
        for (at, pattern) in self.names.iter().enumerate() {
            if reached[at] && pattern[..] == [Part::Names] {
                reached[at + 1] = true;
            }
        }
    }

    /// The path, where nothing in the pattern stands for something else.
    pub fn plain(&self) -> Option<String> {
        let one = |part: &Part| match part {
            Part::One(character) => Some(*character),
            _ => None,
        };
        let names: Option<Vec<String>> = self.names.iter().map(|name| name.iter().map(one).collect()).collect();
        names.map(|names| names.join("/"))
    }

    /// How many names it has.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether it stands for the top only.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }
}

fn parse_name(name: &str) -> Result<Vec<Part>, ParsePatternError> {
    if name == "**" {
        return Ok(vec![Part::Names]);
    }
    let mut parts = Vec::new();
    let mut characters = name.chars().peekable();
    while let Some(character) = characters.next() {
        parts.push(match character {
            '*' => Part::Many,
            '?' => Part::Any,
            '\\' => Part::One(characters.next().ok_or(ParsePatternError("ends with an escape"))?),
            '[' => parse_set(&mut characters)?,
            other => Part::One(other),
        });
    }
    Ok(parts)
}

fn parse_set(characters: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<Part, ParsePatternError> {
    let unfinished = ParsePatternError("has a set without its end");
    let negated = characters.next_if_eq(&'^').is_some();
    let mut ranges = Vec::new();
    loop {
        let mut one = || match characters.next() {
            Some('\\') => characters.next(),
            other => other,
        };
        let first = match one() {
            Some(']') if ranges.is_empty() => return Err(ParsePatternError("has an empty set")),
            Some(']') => return Ok(Part::Set { negated, ranges }),
            Some(first) => first,
            None => return Err(unfinished),
        };
        let last = if characters.next_if_eq(&'-').is_some() {
            match characters.next() {
                Some('\\') => characters.next(),
                other => other,
            }
            .ok_or_else(|| unfinished.clone())?
        } else {
            first
        };
        ranges.push((first, last));
    }
}

fn matches_name(pattern: &[Part], name: &[char]) -> bool {
    let mut reached = vec![false; pattern.len() + 1];
    reached[0] = true;
    skip_stars(pattern, &mut reached);
    for character in name {
        let mut next = vec![false; reached.len()];
        for (at, part) in pattern.iter().enumerate().filter(|(at, _)| reached[*at]) {
            match part {
                Part::Many | Part::Names => next[at] = true,
                part if matches_one(part, *character) => next[at + 1] = true,
                _ => {}
            }
        }
        reached = next;
        skip_stars(pattern, &mut reached);
    }
    reached[pattern.len()]
}

fn skip_stars(pattern: &[Part], reached: &mut [bool]) {
    for (at, part) in pattern.iter().enumerate() {
        if reached[at] && matches!(part, Part::Many | Part::Names) {
            reached[at + 1] = true;
        }
    }
}

fn matches_one(part: &Part, character: char) -> bool {
    match part {
        Part::One(one) => *one == character,
        Part::Any => true,
        Part::Set { negated, ranges } => {
            ranges.iter().any(|(first, last)| (*first..=*last).contains(&character)) != *negated
        }
        Part::Many | Part::Names => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, path: &str) -> bool {
        let names: Vec<&str> = path.split('/').collect();
        Pattern::parse(pattern).unwrap().matches(&names)
    }

    #[test]
    fn patterns_stand_for_paths() {
        for (pattern, path) in [
            ("a", "a"),
            ("/a//b/", "a/b"),
            ("*.rs", "x.rs"),
            ("a?c", "abc"),
            ("[a-c]x", "bx"),
            ("[^a-c]x", "dx"),
            ("**", "a/b/c"),
            ("**/x", "x"),
            ("a/**/x", "a/b/c/x"),
            ("a/**", "a/b"),
            ("\\*", "*"),
            ("**.rs", "x.rs"),
        ] {
            assert!(matches(pattern, path), "{pattern} {path}");
        }
        for (pattern, path) in
            [("*.rs", "a/x.rs"), ("a?c", "ac"), ("[^a]", "a"), ("a", "a/b"), ("a/b", "a"), ("\\*", "x")]
        {
            assert!(!matches(pattern, path), "{pattern} {path}");
        }
        assert_eq!(Pattern::parse("/a/\\*/").unwrap().plain().as_deref(), Some("a/*"));
        assert_eq!(Pattern::parse("a/*").unwrap().plain(), None);
        for wrong in ["[a", "[]", "a\\", "[a-"] {
            assert!(Pattern::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn no_pattern_takes_long() {
        let pattern = Pattern::parse(&"*a".repeat(1000)).unwrap();
        assert!(!pattern.matches(&[&"a".repeat(999)]));
        let pattern = Pattern::parse(&"**/".repeat(1000)).unwrap();
        assert!(pattern.matches(&["a"; 100]));
    }
}
