//! Instructions: what each takes.

use super::line::Line;
use super::word::{Word, split};
use crate::dockerfile_error::ParseDockerfileError;
use crate::json;
use crate::limits::Limits;

/// A command as `RUN`, `CMD` and `ENTRYPOINT` take it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum CommandLine {
    /// A text for the shell.
    Shell(String),
    /// A program and its arguments, written as a JSON array.
    Exec(Vec<String>),
}

/// What `COPY` takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copy {
    /// The stage or image to copy from; the context otherwise.
    pub from: Option<Word>,
    /// `USER[:GROUP]`.
    pub chown: Option<Word>,
    /// Permission bits, octal.
    pub chmod: Option<Word>,
    /// What to copy; `*`, `?` and `[...]` stand for parts of names.
    pub sources: Vec<Word>,
    /// Where to.
    pub target: Word,
}

/// One instruction, with its words as they are written.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Instruction {
    /// Variables of the build, with their defaults.
    Arg(Vec<(String, Option<Word>)>),
    /// Entrypoint's arguments, or the program.
    Cmd(CommandLine),
    /// Files from the context, a stage or an image.
    Copy(Copy),
    /// The program.
    Entrypoint(CommandLine),
    /// Variables of the image.
    Env(Vec<(Word, Word)>),
    /// Ports.
    Expose(Vec<Word>),
    /// Free text by key.
    Label(Vec<(Word, Word)>),
    /// A command that changes the image.
    Run(CommandLine),
    /// What runs the shell form.
    Shell(Vec<String>),
    /// The signal that asks the program to end.
    StopSignal(Word),
    /// Who runs what follows, and the image.
    User(Word),
    /// Directories of data.
    Volume(Vec<Word>),
    /// Where what follows runs, and the image.
    Workdir(Word),
}

/// A `FROM` line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct From {
    pub(super) image: Word,
    pub(super) platform: Option<Word>,
    pub(super) name: Option<Word>,
}

/// A line's keyword and what follows it.
pub(super) struct Parts<'l> {
    line: &'l Line,
    escape: char,
    pub(super) keyword: String,
    /// Where what follows begins.
    at: usize,
}

type Parsed<T> = Result<T, ParseDockerfileError>;

impl<'l> Parts<'l> {
    pub(super) fn new(line: &'l Line, escape: char) -> Self {
        let end = line.text.find(char::is_whitespace).unwrap_or(line.text.len());
        let mut parts = Self { line, escape, keyword: line.text[..end].to_ascii_uppercase(), at: end };
        parts.skip_space();
        parts
    }

    fn skip_space(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
    }

    fn rest(&self) -> &'l str {
        &self.line.text[self.at..]
    }

    pub(super) fn fault(&self, reason: impl Into<String>) -> ParseDockerfileError {
        self.line.fault(self.at, reason)
    }

    fn word(&self, offset: usize, text: &str) -> Word {
        Word { text: text.to_owned(), position: self.line.position(self.at + offset) }
    }

    /// The flags at the beginning: those of `known` with their values.
    fn flags<const N: usize>(&mut self, known: [&str; N]) -> Parsed<[Option<Word>; N]> {
        let mut found = [const { None }; N];
        while self.rest().starts_with("--") {
            let (_, flag) = split(self.rest(), self.escape)[0];
            let (name, value) =
                flag[2..].split_once('=').map_or((&flag[2..], None), |(name, value)| (name, Some(value)));
            let Some(slot) = known.iter().position(|known| *known == name) else {
                return Err(self.fault(format!("the flag --{name} of {} is not supported", self.keyword)));
            };
            let Some(value) = value.filter(|value| !value.is_empty()) else {
                return Err(self.fault(format!("the flag --{name} needs a value: --{name}=VALUE")));
            };
            if found[slot].is_some() {
                return Err(self.fault(format!("the flag --{name} occurs twice")));
            }
            found[slot] = Some(self.word(flag.len() - value.len(), value));
            self.at += flag.len();
            self.skip_space();
        }
        Ok(found)
    }

    fn needs_something(&self) -> Parsed<()> {
        if self.rest().is_empty() { Err(self.fault(format!("{} needs an argument", self.keyword))) } else { Ok(()) }
    }

    /// A JSON array of texts; `None` for what is none.
    fn array(&self) -> Option<Vec<String>> {
        let rest = self.rest();
        if !rest.starts_with('[') {
            return None;
        }
        let value = json::parse("array", rest.as_bytes(), &Limits::DEFAULT).ok()?;
        value.list(json::Value::owned).ok()
    }

    fn command(&mut self) -> Parsed<CommandLine> {
        self.needs_something()?;
        match self.array() {
            Some(words) if words.is_empty() => Err(self.fault(format!("{} needs a program", self.keyword))),
            Some(words) => Ok(CommandLine::Exec(words)),
            None => Ok(CommandLine::Shell(self.rest().to_owned())),
        }
    }

    /// The rest as words, written as a JSON array or apart.
    fn list(&self) -> Parsed<Vec<Word>> {
        let rest = self.rest();
        let words: Vec<Word> = match self.array() {
            // The place of the whole is near enough.
            Some(texts) => texts.iter().map(|text| self.word(0, text)).collect(),
            None => split(rest, self.escape).into_iter().map(|(at, text)| self.word(at, text)).collect(),
        };
        if words.is_empty() { Err(self.fault(format!("{} needs an argument", self.keyword))) } else { Ok(words) }
    }

    /// The rest as one word, in which spaces may be.
    fn whole(&self) -> Parsed<Word> {
        self.needs_something()?;
        Ok(self.word(0, self.rest()))
    }

    /// `KEY=VALUE ...`, or the older `KEY VALUE`.
    fn pairs(&self) -> Parsed<Vec<(Word, Word)>> {
        self.needs_something()?;
        let words = split(self.rest(), self.escape);
        let (first_at, first) = words[0];
        if !first.contains('=') {
            let value_at = first_at + first.len();
            let value = self.rest()[value_at..].trim_start();
            if value.is_empty() {
                return Err(self.fault(format!("{} needs KEY=VALUE", self.keyword)));
            }
            return Ok(vec![(self.word(0, first), self.word(self.rest().len() - value.len(), value))]);
        }
        let pair = |(at, word): &(usize, &str)| match word.split_once('=') {
            Some((key, value)) if !key.is_empty() => Ok((self.word(*at, key), self.word(at + key.len() + 1, value))),
            _ => Err(self.line.fault(self.at + at, format!("{word:?} is not of the form KEY=VALUE"))),
        };
        words.iter().map(pair).collect()
    }

    fn no_documents(&self) -> Parsed<()> {
        for (at, word) in split(self.rest(), self.escape) {
            let digits = word.trim_start_matches(|character: char| character.is_ascii_digit());
            let Some(name) = digits.strip_prefix("<<") else { continue };
            let name = name.strip_prefix('-').unwrap_or(name).trim_start_matches(['"', '\'']);
            if name.starts_with(|character: char| character.is_ascii_alphabetic() || character == '_') {
                let reason = format!("here-documents ({word}) are not supported");
                return Err(self.line.fault(self.at + at, reason));
            }
        }
        Ok(())
    }

    fn copy(&mut self) -> Parsed<Copy> {
        let [from, chown, chmod] = self.flags(["from", "chown", "chmod"])?;
        self.no_documents()?;
        let mut sources = self.list()?;
        let target = sources.pop().expect("a list is never empty");
        if sources.is_empty() {
            return Err(self.fault("COPY needs a source and a target"));
        }
        Ok(Copy { from, chown, chmod, sources, target })
    }

    fn arguments(&self) -> Parsed<Vec<(String, Option<Word>)>> {
        self.needs_something()?;
        let argument = |(at, word): (usize, &str)| {
            let (name, default) = match word.split_once('=') {
                Some((name, value)) => (name, Some(self.word(at + name.len() + 1, value))),
                None => (word, None),
            };
            if is_name(name) {
                Ok((name.to_owned(), default))
            } else {
                Err(self.line.fault(self.at + at, format!("{name:?} is no name of a variable")))
            }
        };
        split(self.rest(), self.escape).into_iter().map(argument).collect()
    }

    pub(super) fn from(&mut self) -> Parsed<From> {
        let [platform] = self.flags(["platform"])?;
        let words = self.list()?;
        match &words[..] {
            [image] => Ok(From { image: image.clone(), platform, name: None }),
            [image, word, name] if word.text.eq_ignore_ascii_case("as") => {
                Ok(From { image: image.clone(), platform, name: Some(name.clone()) })
            }
            _ => Err(self.fault("FROM needs IMAGE or IMAGE AS NAME")),
        }
    }

    /// The instruction, if it is none that begins a stage.
    pub(super) fn instruction(&mut self) -> Parsed<Instruction> {
        Ok(match self.keyword.as_str() {
            "ARG" => Instruction::Arg(self.arguments()?),
            "CMD" => Instruction::Cmd(self.command()?),
            "COPY" => Instruction::Copy(self.copy()?),
            "ENTRYPOINT" => Instruction::Entrypoint(self.command()?),
            "ENV" => Instruction::Env(self.pairs()?),
            "EXPOSE" => Instruction::Expose(self.list()?),
            "LABEL" => Instruction::Label(self.pairs()?),
            "RUN" => {
                let [] = self.flags([])?;
                self.no_documents()?;
                Instruction::Run(self.command()?)
            }
            "SHELL" => match self.array() {
                Some(words) if !words.is_empty() => Instruction::Shell(words),
                _ => return Err(self.fault("SHELL needs a JSON array of texts")),
            },
            "STOPSIGNAL" => Instruction::StopSignal(self.whole()?),
            "USER" => Instruction::User(self.whole()?),
            "VOLUME" => Instruction::Volume(self.list()?),
            "WORKDIR" => Instruction::Workdir(self.whole()?),
            "ADD" | "HEALTHCHECK" | "MAINTAINER" | "ONBUILD" => {
                return Err(self.line.fault(0, format!("the instruction {} is not supported", self.keyword)));
            }
            _ => return Err(self.line.fault(0, format!("unknown instruction {}", self.keyword))),
        })
    }
}

fn is_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
