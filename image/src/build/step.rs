//! What each instruction does to its stage.

use super::account;
use super::copy;
use super::executor::Run;
use super::run::{Build, State, below};
use crate::dockerfile::scope::DEFAULT_PATH;
use crate::dockerfile::{CommandLine, Copy, Instruction, Step, Word};
use crate::error::{Error, Result};

impl State {
    fn expand(&self, word: &Word, escape: char) -> Result<String> {
        Ok(self.scope.expand(word, &self.draft.contents().execution.env, escape)?)
    }

    fn expand_all(&self, words: &[Word], escape: char) -> Result<Vec<String>> {
        words.iter().map(|word| self.expand(word, escape)).collect()
    }

    /// All names and values as they were before the instruction.
    fn expand_pairs(&self, pairs: &[(Word, Word)], escape: char) -> Result<Vec<(String, String)>> {
        pairs.iter().map(|(key, value)| Ok((self.expand(key, escape)?, self.expand(value, escape)?))).collect()
    }

    fn command(&self, command: &CommandLine) -> Vec<String> {
        match command {
            CommandLine::Exec(words) => words.clone(),
            CommandLine::Shell(text) => self.shell.iter().chain([text]).cloned().collect(),
        }
    }

    fn working_dir(&self) -> String {
        self.draft.contents().execution.working_dir.clone().unwrap_or_else(|| "/".to_owned())
    }

    /// A path that may be relative to the working directory.
    fn absolute(&self, path: &str) -> String {
        if path.starts_with('/') {
            return path.to_owned();
        }
        format!("{}/{path}", self.working_dir().trim_end_matches('/'))
    }
}

impl Build<'_> {
    pub(super) fn step(&mut self, state: &mut State, stage: usize, step: &Step) -> Result<()> {
        let escape = self.request.file.escape;
        match &step.instruction {
            Instruction::Arg(arguments) => {
                let env = state.draft.contents().execution.env.clone();
                state.scope.declare(arguments, &mut self.given, Some(&self.globals), &env, escape)?;
                // It is no part of the image.
                return Ok(());
            }
            Instruction::Copy(copy) => return self.copy(state, stage, copy, &step.text),
            Instruction::Run(command) => return self.run_command(state, command, &step.text),
            Instruction::Workdir(word) => return self.work_in(state, word, &step.text),
            Instruction::Shell(words) => {
                state.shell.clone_from(words);
                // Of the image nothing changes.
                return Ok(());
            }
            Instruction::Env(pairs) => {
                for (name, value) in state.expand_pairs(pairs, escape)? {
                    set_variable(&mut state.draft.execution_mut().env, &name, &value);
                }
            }
            Instruction::Label(pairs) => {
                let pairs = state.expand_pairs(pairs, escape)?;
                state.draft.execution_mut().labels.extend(pairs);
            }
            Instruction::Cmd(command) => {
                state.draft.execution_mut().cmd = state.command(command);
                state.has_command = true;
            }
            Instruction::Entrypoint(command) => {
                state.draft.execution_mut().entrypoint = state.command(command);
                // The base's arguments were for the base's program.
                if !state.has_command {
                    state.draft.execution_mut().cmd.clear();
                }
            }
            Instruction::Expose(words) => {
                for text in state.expand_all(words, escape)? {
                    for word in text.split_whitespace() {
                        let ports = ports(word)?;
                        state.draft.execution_mut().exposed_ports.extend(ports);
                    }
                }
            }
            Instruction::StopSignal(word) => {
                state.draft.execution_mut().stop_signal = Some(not_empty(state.expand(word, escape)?)?);
            }
            Instruction::User(word) => state.draft.execution_mut().user = Some(not_empty(state.expand(word, escape)?)?),
            Instruction::Volume(words) => {
                for path in state.expand_all(words, escape)? {
                    if !path.starts_with('/') {
                        return Err(invalid("volume", path, "must be an absolute path"));
                    }
                    state.draft.execution_mut().volumes.push(path);
                }
            }
        }
        state.draft.note(&step.text);
        Ok(())
    }

    fn copy(&mut self, state: &mut State, stage: usize, copy: &Copy, text: &str) -> Result<()> {
        let escape = self.request.file.escape;
        let (from, ignore) = match &copy.from {
            Some(name) => (self.other_root(&name.text, stage)?, None),
            None => (self.context.clone(), Some(&self.request.ignore)),
        };
        let to = self.own_root(&state.draft)?;
        let chown = copy.chown.as_ref().map(|word| state.expand(word, escape)).transpose()?;
        // Whoever has the files of the context here is nobody in the image.
        let default = if copy.from.is_some() { None } else { Some((0, 0)) };
        let owner = chown.map_or(Ok(default), |text| account::owner(&text, &to).map(Some))?;
        let chmod = copy.chmod.as_ref().map(|word| state.expand(word, escape)).transpose()?;
        let mode = chmod.map(|text| mode(&text)).transpose()?;
        let sources = state.expand_all(&copy.sources, escape)?;
        let target = state.absolute(&state.expand(&copy.target, escape)?);
        let ends_inside = target.ends_with("/..");
        let target = if ends_inside { format!("{target}/") } else { target };
        let copied = copy::Copy { from: &from, ignore, to: &to, sources: &sources, target: &target, owner, mode };
        let layer = copy::layer(&copied, self.request.copied_mtime)?;
        self.add_files(&mut state.draft, &layer, text)
    }

    fn run_command(&mut self, state: &mut State, command: &CommandLine, text: &str) -> Result<()> {
        let execution = &state.draft.contents().execution;
        let mut env: Vec<String> = state.scope.beside(&execution.env).collect();
        if !execution.env.iter().chain(&env).any(|entry| entry.starts_with("PATH=")) {
            env.push(format!("PATH={DEFAULT_PATH}"));
        }
        env.extend(execution.env.iter().cloned());
        let run = Run {
            layers: below(&state.draft),
            command: state.command(command),
            env,
            user: execution.user.clone(),
            working_dir: state.working_dir(),
            epoch: self.request.epoch,
        };
        self.add_changes(&mut state.draft, &run, text)
    }

    /// The directory is made where it is missing, so that it is in the image.
    fn work_in(&mut self, state: &mut State, word: &Word, text: &str) -> Result<()> {
        let path = clean(&state.absolute(&not_empty(state.expand(word, self.request.file.escape)?)?));
        let root = self.own_root(&state.draft)?;
        let layer = copy::directory(&root, &path, self.request.copied_mtime)?;
        state.draft.execution_mut().working_dir = Some(path);
        if let Some(layer) = layer {
            return self.add_files(&mut state.draft, &layer, text);
        }
        state.draft.note(text);
        Ok(())
    }
}

fn invalid(field: &'static str, value: impl Into<String>, reason: &'static str) -> Error {
    Error::Invalid { field, value: value.into(), reason }
}

fn not_empty(text: String) -> Result<String> {
    if text.is_empty() { Err(invalid("argument", text, "is empty when its variables are replaced")) } else { Ok(text) }
}

fn set_variable(env: &mut Vec<String>, name: &str, value: &str) {
    let entry = format!("{name}={value}");
    match env.iter_mut().find(|other| other.split('=').next() == Some(name)) {
        Some(other) => *other = entry,
        None => env.push(entry),
    }
}

fn mode(text: &str) -> Result<u32> {
    let mode = u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o7777);
    mode.ok_or_else(|| invalid("mode", text, "must be octal permission bits such as 755"))
}

/// An absolute path without `.` and `..`.
fn clean(path: &str) -> String {
    let mut names: Vec<&str> = Vec::new();
    for name in path.split('/') {
        match name {
            "" | "." => {}
            ".." => drop(names.pop()),
            name => names.push(name),
        }
    }
    format!("/{}", names.join("/"))
}

/// `PORT[-PORT][/PROTOCOL]` as `PORT/PROTOCOL` each.
fn ports(text: &str) -> Result<Vec<String>> {
    let reason = "must be PORT, PORT-PORT or one of them with /tcp, /udp or /sctp";
    let wrong = || invalid("port", text, reason);
    let (numbers, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let protocol = protocol.to_ascii_lowercase();
    if !["tcp", "udp", "sctp"].contains(&protocol.as_str()) {
        return Err(wrong());
    }
    let (first, last) = numbers.split_once('-').unwrap_or((numbers, numbers));
    let number = |text: &str| text.parse::<u16>().ok().filter(|number| *number > 0);
    match (number(first), number(last)) {
        (Some(first), Some(last)) if first <= last => {
            Ok((first..=last).map(|port| format!("{port}/{protocol}")).collect())
        }
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_have_protocols() {
        assert_eq!(ports("80").unwrap(), ["80/tcp"]);
        assert_eq!(ports("53/UDP").unwrap(), ["53/udp"]);
        assert_eq!(ports("8000-8002").unwrap(), ["8000/tcp", "8001/tcp", "8002/tcp"]);
        for wrong in ["", "0", "65536", "2-1", "80/http", "a", "1-2-3"] {
            assert!(ports(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn small_texts() {
        assert_eq!(clean("/a/./b/../../c//d/"), "/c/d");
        assert_eq!(mode("0755").unwrap(), 0o755);
        assert!(mode("u+x").is_err() && mode("77777").is_err());
        let mut env = vec!["A=1".to_owned(), "AB=2".to_owned()];
        set_variable(&mut env, "A", "3");
        set_variable(&mut env, "C", "");
        assert_eq!(env, ["A=3", "AB=2", "C="]);
    }
}
