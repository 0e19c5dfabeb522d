//! Lines as instructions see them: continued ones joined, comments gone, each character with its place.

use crate::dockerfile_error::{ParseDockerfileError, Position};

/// An instruction's whole text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) text: String,
    /// Where pieces of the text come from: the offset at which each begins, its line, and the column of its first character.
    pieces: Vec<(usize, Position)>,
}

impl Line {
    /// The place of a byte of the text.
    pub(super) fn position(&self, offset: usize) -> Position {
        let (start, position) = self.pieces.iter().rev().find(|(start, _)| *start <= offset).unwrap_or(&self.pieces[0]);
        let before = self.text.get(*start..offset).unwrap_or_default();
        Position { line: position.line, column: position.column + before.chars().count() }
    }

    pub(super) fn fault(&self, offset: usize, reason: impl Into<String>) -> ParseDockerfileError {
        ParseDockerfileError::new(self.position(offset), reason)
    }
}

/// The escape character that the text's directives choose, and its instructions.
pub(super) fn lines(text: &str) -> Result<(char, Vec<Line>), ParseDockerfileError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let escape = directives(text)?;
    let mut lines = Vec::new();
    let mut current: Option<Line> = None;
    for (number, raw) in text.lines().enumerate() {
        let trimmed = raw.trim_start();
        // Neither ends a continued instruction.
        if trimmed.is_empty() || trimmed.starts_with('#') {
            continue;
        }
        let skipped = if current.is_some() { 0 } else { raw.len() - trimmed.len() };
        let (piece, goes_on) = continued(&raw[skipped..], escape);
        let column = raw[..skipped].chars().count() + 1;
        let line = current.get_or_insert_with(|| Line { text: String::new(), pieces: Vec::new() });
        line.pieces.push((line.text.len(), Position { line: number + 1, column }));
        line.text.push_str(piece);
        if !goes_on {
            lines.extend(current.take());
        }
    }
    lines.extend(current);
    for line in &mut lines {
        line.text.truncate(line.text.trim_end().len());
    }
    lines.retain(|line| !line.text.is_empty());
    Ok((escape, lines))
}

/// A line without the escape at its end, and whether there was one; an escaped escape is none.
fn continued(line: &str, escape: char) -> (&str, bool) {
    match line.trim_end_matches([' ', '\t']).strip_suffix(escape) {
        Some(rest) if !rest.ends_with(escape) => (rest, true),
        _ => (line, false),
    }
}

/// Comments of the form `# KEY=VALUE` before everything else.
fn directives(text: &str) -> Result<char, ParseDockerfileError> {
    let mut escape = None;
    for (number, line) in text.lines().enumerate() {
        let Some((key, value)) = line.trim_start().strip_prefix('#').and_then(|comment| comment.split_once('=')) else {
            break;
        };
        let key = key.trim().to_ascii_lowercase();
        if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            break;
        }
        let fault = |reason: String| {
            let column = line.len() - line.trim_start().len() + 1;
            ParseDockerfileError::new(Position { line: number + 1, column }, reason)
        };
        match (key.as_str(), value.trim()) {
            ("escape", _) if escape.is_some() => return Err(fault("the directive escape occurs twice".to_owned())),
            ("escape", "\\") => escape = Some('\\'),
            ("escape", "`") => escape = Some('`'),
            ("escape", other) => return Err(fault(format!("the escape character cannot be {other:?}: it is \\ or `"))),
            // They choose a program that reads the rest, and what that warns of.
            ("syntax" | "check", _) => {}
            _ => break,
        }
    }
    Ok(escape.unwrap_or('\\'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Vec<String> {
        lines(text).unwrap().1.into_iter().map(|line| line.text).collect()
    }

    #[test]
    fn lines_are_joined_and_comments_go() {
        assert_eq!(texts("FROM a\n  # no\n\nRUN b \\\n# in between\n\n  c\\  \nd  \n"), ["FROM a", "RUN b   cd"]);
        assert_eq!(texts("RUN a \\\\\nRUN b \\"), ["RUN a \\\\", "RUN b"]);
        assert_eq!(texts("# escape=`\r\nRUN a `\r\nb\\\r\n"), ["RUN a b\\"]);
        assert_eq!(texts("\u{feff}# syntax=x\n# ESCAPE = `\nRUN a`\nb"), ["RUN ab"]);
        // After anything else it is a comment.
        assert_eq!(texts("\n# escape=`\nRUN a\\\nb"), ["RUN ab"]);
        assert!(lines("# escape=x").is_err() && lines("# escape=`\n# escape=`").is_err());
    }

    #[test]
    fn characters_know_their_place() {
        let (_, lines) = lines("\n  RUN ä \\\n  bc d").unwrap();
        let at = |text: &str| lines[0].position(lines[0].text.find(text).unwrap());
        assert_eq!(at("RUN"), Position { line: 2, column: 3 });
        assert_eq!(at("bc"), Position { line: 3, column: 3 });
        assert_eq!(at("d"), Position { line: 3, column: 6 });
        assert_eq!(lines[0].position(lines[0].text.find('ä').unwrap() + 2), Position { line: 2, column: 8 });
    }
}
