//! `hooks`: what runs at which point of a container's life.

use std::time::Duration;

use oci_spec::runtime::{Hook as Entry, Hooks as Entries};

use super::process::variable;
use crate::error::{Error, Result};
use crate::hook::Hook;

/// The hooks that the runtime itself runs, in its own namespaces; those that the container's process runs are part of
/// its command.
///
/// Source: runtime-spec, `config.md`, "POSIX-platform Hooks", and `runtime.md`, "Lifecycle".
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Hooks {
    /// Once the namespaces exist and the mounts are made, before the root is changed.
    pub prestart: Vec<Hook>,
    /// Right after `prestart`.
    pub create_runtime: Vec<Hook>,
    /// After the program was let begin, before `start` is done.
    pub poststart: Vec<Hook>,
    /// After the container was deleted, before `delete` is done.
    pub poststop: Vec<Hook>,
}

/// All six kinds.
#[derive(Debug, Default)]
pub(super) struct Taken {
    pub(super) runtime: Hooks,
    pub(super) create_container: Vec<Hook>,
    pub(super) start_container: Vec<Hook>,
}

pub(super) fn hooks(entries: Option<&Entries>) -> Result<Taken> {
    let Some(entries) = entries else { return Ok(Taken::default()) };
    let prestart = entries.prestart();
    Ok(Taken {
        runtime: Hooks {
            prestart: list("hooks.prestart", prestart.as_deref())?,
            create_runtime: list("hooks.createRuntime", entries.create_runtime().as_deref())?,
            poststart: list("hooks.poststart", entries.poststart().as_deref())?,
            poststop: list("hooks.poststop", entries.poststop().as_deref())?,
        },
        create_container: list("hooks.createContainer", entries.create_container().as_deref())?,
        start_container: list("hooks.startContainer", entries.start_container().as_deref())?,
    })
}

fn list(field: &'static str, entries: Option<&[Entry]>) -> Result<Vec<Hook>> {
    entries.unwrap_or_default().iter().map(|entry| hook(field, entry)).collect()
}

fn hook(field: &'static str, entry: &Entry) -> Result<Hook> {
    if !entry.path().is_absolute() {
        return Err(Error::invalid(field, entry.path().display().to_string(), "a hook's path is absolute"));
    }
    let timeout = match entry.timeout() {
        None => None,
        Some(seconds) => match u64::try_from(seconds) {
            Ok(seconds @ 1..) => Some(Duration::from_secs(seconds)),
            _ => return Err(Error::invalid(field, seconds.to_string(), "a hook's timeout is above zero")),
        },
    };
    Ok(Hook {
        path: entry.path().clone(),
        args: entry.args().iter().flatten().map(Into::into).collect(),
        env: entry.env().iter().flatten().map(|text| variable(text)).collect::<Result<_>>()?,
        timeout,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_goes_to_its_place() {
        let kinds = ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"];
        let entries = kinds.map(|kind| {
            format!(r#""{kind}": [{{ "path": "/{kind}", "args": ["a", "b"], "env": ["K=v=w"], "timeout": 3 }}]"#)
        });
        let taken = hooks(Some(&serde_json::from_str(&format!("{{ {} }}", entries.join(","))).unwrap())).unwrap();
        let expected = |kind: &str| {
            vec![Hook {
                path: format!("/{kind}").into(),
                args: vec!["a".into(), "b".into()],
                env: vec![("K".into(), "v=w".into())],
                timeout: Some(Duration::from_secs(3)),
            }]
        };
        let runtime = taken.runtime;
        let found = [
            runtime.prestart,
            runtime.create_runtime,
            taken.create_container,
            taken.start_container,
            runtime.poststart,
            runtime.poststop,
        ];
        assert_eq!(found, kinds.map(expected));
        for hook in [
            r#"{ "path": "relative" }"#,
            r#"{ "path": "/x", "timeout": 0 }"#,
            r#"{ "path": "/x", "timeout": -1 }"#,
            r#"{ "path": "/x", "env": ["nothing"] }"#,
        ] {
            let entries = serde_json::from_str(&format!(r#"{{ "poststop": [{hook}] }}"#)).unwrap();
            assert!(matches!(hooks(Some(&entries)), Err(Error::Invalid { .. })), "{hook}");
        }
    }
}
