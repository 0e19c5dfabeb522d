//! Dockerfiles, read as values.
//!
//! The subset is `FROM`, `ARG`, `COPY`, `RUN`, `ENV`, `LABEL`, `WORKDIR`, `USER`, `ENTRYPOINT`, `CMD`, `EXPOSE`, `VOLUME`,
//! `STOPSIGNAL` and `SHELL`, in any number of stages. What is beyond it is an error that names the instruction or the flag, and
//! where it is: an image that lacks what its Dockerfile asks for is worse than none.

mod ignore;
mod instruction;
mod line;
mod pattern;
pub(crate) mod scope;
pub(crate) mod stages;
mod word;

pub use crate::dockerfile_error::{ParseDockerfileError, Position};
pub use ignore::Ignore;
pub use instruction::{CommandLine, Copy, Instruction};
pub use pattern::Pattern;
pub use word::Word;

use instruction::Parts;

/// A Dockerfile.
///
/// ```
/// use windlass_image::dockerfile::{CommandLine, Dockerfile, Instruction};
///
/// let file = Dockerfile::parse("FROM alpine AS base\nRUN echo \\\n  hello")?;
/// assert_eq!(file.stages[0].name.as_deref(), Some("base"));
/// let command = CommandLine::Shell("echo   hello".to_owned());
/// assert_eq!(file.stages[0].steps[0].instruction, Instruction::Run(command));
///
/// let error = Dockerfile::parse("FROM alpine\n  ONBUILD RUN x").unwrap_err();
/// assert_eq!(error.to_string(), "line 2, column 3: the instruction ONBUILD is not supported");
/// # Ok::<(), windlass_image::dockerfile::ParseDockerfileError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Dockerfile {
    /// What takes the meaning from the next character.
    pub escape: char,
    /// Variables before the first stage, which `FROM` may use.
    pub arguments: Vec<(String, Option<Word>)>,
    /// In order; there is one at least.
    pub stages: Vec<Stage>,
}

/// One `FROM` and what follows it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stage {
    /// The image, or the stage, that this one begins with.
    pub from: Word,
    /// The platform of that image.
    pub platform: Option<Word>,
    /// Its name, in lower case.
    pub name: Option<String>,
    /// What is done to it.
    pub steps: Vec<Step>,
}

/// An instruction and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Step {
    /// Where it begins.
    pub position: Position,
    /// Its text, on one line.
    pub text: String,
    /// What it says.
    pub instruction: Instruction,
}

impl Dockerfile {
    /// Reads a Dockerfile.
    ///
    /// # Errors
    /// The first thing that is wrong or not supported, with its line and column.
    ///
    /// # Source
    /// The Dockerfile reference of Docker's documentation.
    pub fn parse(text: &str) -> Result<Self, ParseDockerfileError> {
        let (escape, lines) = line::lines(text)?;
        let mut file = Self { escape, arguments: Vec::new(), stages: Vec::new() };
        for line in &lines {
            let mut parts = Parts::new(line, escape);
            if parts.keyword == "FROM" {
                let from = parts.from()?;
                let name = from.name.map(|name| file.stage_name(&name)).transpose()?;
                file.stages.push(Stage { from: from.image, platform: from.platform, name, steps: Vec::new() });
                continue;
            }
            let instruction = parts.instruction()?;
            match (file.stages.last_mut(), instruction) {
                (Some(stage), instruction) => {
                    stage.steps.push(Step { position: line.position(0), text: line.text.clone(), instruction });
                }
                (None, Instruction::Arg(arguments)) => file.arguments.extend(arguments),
                (None, _) => return Err(line.fault(0, format!("{} needs a FROM before it", parts.keyword))),
            }
        }
        if file.stages.is_empty() {
            return Err(ParseDockerfileError::new(Position { line: 1, column: 1 }, "there is no FROM"));
        }
        Ok(file)
    }

    fn stage_name(&self, word: &Word) -> Result<String, ParseDockerfileError> {
        let name = word.text.to_ascii_lowercase();
        let fault = |reason: &str| Err(ParseDockerfileError::new(word.position, format!("{:?} {reason}", word.text)));
        let is_valid = name.starts_with(|first: char| first.is_ascii_lowercase())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
        if !is_valid {
            return fault("is no name of a stage");
        }
        if self.stages.iter().any(|stage| stage.name.as_deref() == Some(&name)) {
            return fault("names another stage already");
        }
        Ok(name)
    }

    /// The stage of this name or number; those before `limit` only.
    pub fn stage(&self, name: &str, limit: usize) -> Option<usize> {
        let lower = name.to_ascii_lowercase();
        let stages = &self.stages[..limit.min(self.stages.len())];
        stages.iter().position(|stage| stage.name.as_deref() == Some(&lower)).or_else(|| {
            let number: usize = name.parse().ok()?;
            (number < stages.len()).then_some(number)
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn step(text: &str) -> Instruction {
        let file = Dockerfile::parse(&format!("FROM a\n{text}")).unwrap_or_else(|error| panic!("{text}: {error}"));
        file.stages[0].steps[0].instruction.clone()
    }

    fn texts(words: &[Word]) -> Vec<&str> {
        words.iter().map(|word| word.text.as_str()).collect()
    }

    #[test]
    fn commands_have_two_forms() {
        let exec = |words: &[&str]| CommandLine::Exec(words.iter().map(|word| (*word).to_owned()).collect());
        assert_eq!(step(r#"RUN ["a", "b c"]"#), Instruction::Run(exec(&["a", "b c"])));
        assert_eq!(step("cmd [ -e x ]"), Instruction::Cmd(CommandLine::Shell("[ -e x ]".into())));
        assert_eq!(step("ENTRYPOINT echo $A"), Instruction::Entrypoint(CommandLine::Shell("echo $A".into())));
        assert_eq!(
            step(r#"RUN cat <<< "$A" && echo 1<<2"#),
            Instruction::Run(CommandLine::Shell(r#"cat <<< "$A" && echo 1<<2"#.into()))
        );
    }

    #[test]
    fn copies_have_flags_and_lists() {
        let Instruction::Copy(copy) = step("COPY --from=base --chown=1:2 a 'b c' d/") else { panic!("a copy") };
        assert_eq!((copy.from.unwrap().text.as_str(), copy.chown.unwrap().text.as_str()), ("base", "1:2"));
        assert_eq!((texts(&copy.sources), copy.target.text.as_str()), (vec!["a", "'b c'"], "d/"));
        let Instruction::Copy(copy) = step(r#"COPY ["a b", "c"]"#) else { panic!("a copy") };
        assert_eq!((texts(&copy.sources), copy.target.text.as_str()), (vec!["a b"], "c"));
    }

    #[test]
    fn pairs_have_two_forms() {
        let pairs = |text: &str| match step(text) {
            Instruction::Env(pairs) | Instruction::Label(pairs) => {
                pairs.into_iter().map(|(key, value)| (key.text, value.text)).collect::<Vec<_>>()
            }
            other => panic!("{other:?}"),
        };
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(pairs("ENV A=1 B=\"2 3\" C="), [pair("A", "1"), pair("B", "\"2 3\""), pair("C", "")]);
        assert_eq!(pairs("ENV A  b=c d"), [pair("A", "b=c d")]);
        assert_eq!(pairs("LABEL a.b=x \\\n  'c d'=y"), [pair("a.b", "x"), pair("'c d'", "y")]);
    }

    #[test]
    fn stages_have_names() {
        let text = "ARG V=1\nARG W\nFROM --platform=linux/amd64 a:$V AS Base\nFROM base\nFROM scratch as last";
        let file = Dockerfile::parse(text).unwrap();
        assert_eq!(file.arguments.len(), 2);
        assert_eq!(file.stages[0].platform.as_ref().unwrap().text, "linux/amd64");
        assert_eq!((file.stage("BASE", 1), file.stage("2", 3), file.stage("last", 2)), (Some(0), Some(2), None));
    }

    #[test]
    fn what_is_wrong_has_a_place_and_a_name() {
        for (text, message) in [
            ("", "line 1, column 1: there is no FROM"),
            ("\n RUN x", "line 2, column 2: RUN needs a FROM before it"),
            ("FROM", "line 1, column 5: FROM needs an argument"),
            ("FROM a b", "line 1, column 6: FROM needs IMAGE or IMAGE AS NAME"),
            ("FROM a AS 1x", "line 1, column 11: \"1x\" is no name of a stage"),
            ("FROM a AS x\nFROM b AS X", "line 2, column 11: \"X\" names another stage already"),
            ("FROM a\nADD x y", "line 2, column 1: the instruction ADD is not supported"),
            ("FROM a\nRUN \\\n --mount=type=cache x", "line 3, column 2: the flag --mount of RUN is not supported"),
            ("FROM a\nCOPY --link a b", "line 2, column 6: the flag --link of COPY is not supported"),
            ("FROM a\nCOPY --from= a b", "line 2, column 6: the flag --from needs a value: --from=VALUE"),
            ("FROM a\nCOPY --chmod=1 --chmod=2 a b", "line 2, column 16: the flag --chmod occurs twice"),
            ("FROM a\nRUN cat <<EOF", "line 2, column 9: here-documents (<<EOF) are not supported"),
            ("FROM a\nCOPY a", "line 2, column 6: COPY needs a source and a target"),
            ("FROM a\nENV A=1 B", "line 2, column 9: \"B\" is not of the form KEY=VALUE"),
            ("FROM a\nENV A", "line 2, column 5: ENV needs KEY=VALUE"),
            ("FROM a\nARG 1=2", "line 2, column 5: \"1\" is no name of a variable"),
            ("FROM a\nCMD []", "line 2, column 5: CMD needs a program"),
            ("FROM a\nRUN", "line 2, column 4: RUN needs an argument"),
            ("FROM a\nSHELL sh", "line 2, column 7: SHELL needs a JSON array of texts"),
            ("FROM a\nFRMO b", "line 2, column 1: unknown instruction FRMO"),
        ] {
            assert_eq!(Dockerfile::parse(text).unwrap_err().to_string(), message, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_harm(text in "(FROM|COPY|RUN|ENV|ARG|LABEL|--a=|[\\[\\]\"' \\\\=$<#\n\u{e4}a-]){0,30}") {
            let _ = Dockerfile::parse(&text);
            let _ = Dockerfile::parse(&format!("FROM a\n{text}"));
        }
    }
}
