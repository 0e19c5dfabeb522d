//! The program's path, arguments and environment as the kernel takes them.

use std::collections::BTreeMap;
use std::ffi::{CString, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::Path;

pub(super) use super::c_string::c_string;
use super::step::Program;
use crate::command::{Command, EnvChange};
use crate::error::{Error, Result};

/// Where a bare name is looked for when the environment has no `PATH`.
const DEFAULT_PATH: &[u8] = b"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

pub(super) fn program(command: &Command, inherited: &[(OsString, OsString)]) -> Result<Program> {
    let variables = environment(&command.environment, inherited)?;
    let path = variables.get(&OsString::from("PATH")).map(|value| value.as_bytes());
    let candidates = candidates(&command.program, path.unwrap_or(DEFAULT_PATH))?;
    let mut arguments = vec![c_string("program", command.program.as_os_str().as_bytes())?];
    for argument in &command.arguments {
        arguments.push(c_string("arg", argument.as_bytes())?);
    }
    let environment = variables.into_iter().map(|(key, value)| {
        let mut pair = key.into_vec();
        pair.push(b'=');
        pair.extend(value.into_vec());
        c_string("env", &pair)
    });
    Ok(Program { candidates, arguments, environment: environment.collect::<Result<_>>()? })
}

fn environment(changes: &[EnvChange], inherited: &[(OsString, OsString)]) -> Result<BTreeMap<OsString, OsString>> {
    let mut variables: BTreeMap<OsString, OsString> = inherited.iter().cloned().collect();
    for change in changes {
        match change {
            EnvChange::Clear => variables.clear(),
            EnvChange::Set(key, value) => {
                if key.is_empty() || key.as_bytes().contains(&b'=') {
                    let reason = "a variable's name is not empty and holds no equals sign";
                    return Err(Error::invalid("env", key.to_string_lossy(), reason));
                }
                variables.insert(key.clone(), value.clone());
            }
            EnvChange::Remove(key) => {
                variables.remove(key);
            }
        }
    }
    Ok(variables)
}

fn candidates(program: &Path, path: &[u8]) -> Result<Vec<CString>> {
    let name = program.as_os_str().as_bytes();
    if name.is_empty() {
        return Err(Error::invalid("program", "", "is empty"));
    }
    if name.contains(&b'/') {
        return Ok(vec![c_string("program", name)?]);
    }
    // An empty entry of PATH would mean the working directory, which is never searched here.
    let folders = path.split(|byte| *byte == b':').filter(|folder| !folder.is_empty());
    folders.map(|folder| c_string("program", &[folder, b"/", name].concat())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(strings: &[CString]) -> Vec<&str> {
        strings.iter().map(|string| string.to_str().unwrap()).collect()
    }

    #[test]
    fn the_environment_follows_the_changes_in_order() {
        let inherited = [("PATH".into(), "/a:/b::c".into()), ("HOME".into(), "/root".into())];
        let mut command = Command::new("sh");
        command.arg("-c").env("X", "1").env_remove("HOME");
        let built = program(&command, &inherited).unwrap();
        assert_eq!(text(&built.environment), ["PATH=/a:/b::c", "X=1"]);
        assert_eq!(text(&built.candidates), ["/a/sh", "/b/sh", "c/sh"]);
        assert_eq!(text(&built.arguments), ["sh", "-c"]);
        command.env_clear().env("Y", "");
        assert_eq!(text(&program(&command, &inherited).unwrap().environment), ["Y="]);
    }

    #[test]
    fn what_the_kernel_cannot_take_is_refused() {
        for command in [Command::new(""), Command::new("a\0b")] {
            assert!(program(&command, &[]).is_err());
        }
        for key in ["", "a=b", "a\0"] {
            let mut command = Command::new("/x");
            command.env(key, "v");
            assert!(program(&command, &[]).is_err(), "{key:?}");
        }
    }
}
