//! Variables of a build.

use std::collections::{BTreeMap, BTreeSet};

use super::word::Word;
use crate::dockerfile_error::ParseDockerfileError;

/// Where programs are looked for in an image that does not say so.
pub(crate) const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The variables that `ARG` declared in a stage, or before the first one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scope {
    values: BTreeMap<String, String>,
}

/// What the caller gives, and what of it was asked for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Given {
    pub(crate) values: BTreeMap<String, String>,
    pub(crate) used: BTreeSet<String>,
}

impl Scope {
    /// One with these values already.
    pub(crate) fn with(values: impl IntoIterator<Item = (&'static str, String)>) -> Self {
        Self { values: values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect() }
    }

    /// Declares variables: the caller's value counts, then the default, then that of `outer`.
    pub(crate) fn declare(
        &mut self,
        arguments: &[(String, Option<Word>)],
        given: &mut Given,
        outer: Option<&Self>,
        env: &[String],
        escape: char,
    ) -> Result<(), ParseDockerfileError> {
        for (name, default) in arguments {
            given.used.insert(name.clone());
            let default = default.as_ref().map(|word| self.expand(word, env, escape)).transpose()?;
            let outer = || outer.and_then(|outer| outer.values.get(name).cloned());
            if let Some(value) = given.values.get(name).cloned().or(default).or_else(outer) {
                self.values.insert(name.clone(), value);
            }
        }
        Ok(())
    }

    /// A word with the values of its variables: those of the image's environment come first.
    pub(crate) fn expand(&self, word: &Word, env: &[String], escape: char) -> Result<String, ParseDockerfileError> {
        let of_image = |name: &str| {
            let value = |entry: &String| Some(entry.strip_prefix(name)?.strip_prefix('=')?.to_owned());
            env.iter().rev().find_map(value)
        };
        let default = |name: &str| (name == "PATH").then(|| DEFAULT_PATH.to_owned());
        let lookup = |name: &str| of_image(name).or_else(|| self.values.get(name).cloned()).or_else(|| default(name));
        word.expand(escape, &lookup)
    }

    /// `NAME=VALUE` of those that are not in `env`.
    pub(crate) fn beside<'s>(&'s self, env: &'s [String]) -> impl Iterator<Item = String> + 's {
        let is_set = |name: &str| env.iter().any(|entry| entry.split('=').next() == Some(name));
        self.values.iter().filter(move |(name, _)| !is_set(name)).map(|(name, value)| format!("{name}={value}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dockerfile::{Dockerfile, Instruction};

    #[test]
    fn values_have_an_order() {
        let file = Dockerfile::parse("ARG G=1\nARG N\nFROM a\nARG G\nARG D=${G}x E=y U").unwrap();
        let mut given = Given { values: BTreeMap::from([("E".to_owned(), "given".to_owned())]), ..Given::default() };
        let mut outer = Scope::with([("OS", "linux".to_owned())]);
        outer.declare(&file.arguments, &mut given, None, &[], '\\').unwrap();
        let mut scope = Scope::default();
        for step in &file.stages[0].steps {
            let Instruction::Arg(arguments) = &step.instruction else { panic!("only ARG") };
            scope.declare(arguments, &mut given, Some(&outer), &[], '\\').unwrap();
        }
        let env = ["D=image".to_owned()];
        assert_eq!(scope.beside(&env).collect::<Vec<_>>(), ["E=given", "G=1"]);
        assert_eq!(scope.beside(&[]).collect::<Vec<_>>(), ["D=1x", "E=given", "G=1"]);
        let word = Word { text: "$D$G$U$OS".to_owned(), position: file.stages[0].from.position };
        assert_eq!(scope.expand(&word, &env, '\\').unwrap(), "image1");
        assert!(given.used.contains("U"));
    }
}
