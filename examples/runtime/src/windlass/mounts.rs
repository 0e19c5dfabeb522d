//! What people type for mounts: `-v`, `--mount` and `--tmpfs`.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// What is mounted into a container beside the usual.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Source {
    /// A file or directory of the host.
    Bind(PathBuf),
    /// A volume by its name.
    Volume(String),
    /// A volume that goes with its container, once it has a name.
    Anonymous,
    /// Memory; `size` and `mode` as mount takes them.
    Tmpfs(Vec<(String, String)>),
}

/// One mount.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mounted {
    pub(super) source: Source,
    pub(super) target: PathBuf,
    pub(super) read_only: bool,
    pub(super) no_exec: bool,
}

/// `[HOST|NAME:]CONTAINER[:ro]`.
pub(super) fn volume(text: &str) -> Result<Mounted, String> {
    let wrong = |reason: &str| format!("{text:?} is not [HOST|NAME:]CONTAINER[:ro]: {reason}");
    let parts: Vec<&str> = text.split(':').collect();
    let (source, target, options) = match parts[..] {
        [target] => (Source::Anonymous, target, ""),
        [source, target] => (bind_or_volume(source).map_err(|reason| wrong(&reason))?, target, ""),
        [source, target, options] => (bind_or_volume(source).map_err(|reason| wrong(&reason))?, target, options),
        _ => return Err(wrong("too many parts")),
    };
    let mut mounted = Mounted { source, target: absolute(target)?, read_only: false, no_exec: false };
    for option in options.split(',').filter(|_| parts.len() == 3) {
        match option {
            "ro" => mounted.read_only = true,
            "rw" => {}
            "noexec" => mounted.no_exec = true,
            _ => return Err(wrong(&format!("{option:?} is none of ro, rw, noexec"))),
        }
    }
    Ok(mounted)
}

/// `CONTAINER[:size=64m,mode=1777,ro,exec]`.
pub(super) fn tmpfs(text: &str) -> Result<Mounted, String> {
    let (target, options) = text.split_once(':').unwrap_or((text, ""));
    // As Docker's: what is written into memory is not executed unless `exec` asks for it.
    let mut mounted = Mounted { source: Source::Anonymous, target: absolute(target)?, read_only: false, no_exec: true };
    let mut kept = Vec::new();
    for option in options.split(',').filter(|option| !option.is_empty()) {
        match option.split_once('=') {
            Some((key @ ("size" | "mode" | "nr_inodes" | "uid" | "gid"), value)) => {
                kept.push((key.to_owned(), value.to_owned()));
            }
            None if option == "ro" => mounted.read_only = true,
            None if option == "exec" => mounted.no_exec = false,
            None if matches!(option, "rw" | "noexec" | "nosuid" | "nodev") => {}
            _ => return Err(format!("{option:?} is none of size=, mode=, nr_inodes=, uid=, gid=, ro, exec")),
        }
    }
    mounted.source = Source::Tmpfs(kept);
    Ok(mounted)
}

/// `type=bind|volume|tmpfs,source=..,target=..[,readonly]`.
pub(super) fn mount(text: &str) -> Result<Mounted, String> {
    let wrong = |reason: String| format!("{text:?}: {reason}");
    let (mut kind, mut source, mut target) = ("volume", None, None);
    let (mut read_only, mut options) = (false, Vec::new());
    for part in text.split(',') {
        match part.split_once('=').unwrap_or((part, "")) {
            ("type", value) => kind = value,
            ("source" | "src", value) => source = Some(value),
            ("target" | "destination" | "dst", value) => target = Some(value),
            ("readonly" | "ro", "" | "true" | "1") => read_only = true,
            ("readonly" | "ro", "false" | "0") => read_only = false,
            ("tmpfs-size", value) => options.push(("size".to_owned(), value.to_owned())),
            ("tmpfs-mode", value) => options.push(("mode".to_owned(), value.to_owned())),
            (key, _) => {
                return Err(wrong(format!(
                    "{key:?} is none of type, source, target, readonly, tmpfs-size, tmpfs-mode"
                )));
            }
        }
    }
    let target = absolute(target.ok_or_else(|| wrong("target= is missing".to_owned()))?)?;
    let source = match (kind, source) {
        ("bind", Some(source)) if source.starts_with('/') => Source::Bind(source.into()),
        ("bind", _) => return Err(wrong("a bind needs source= with an absolute path".to_owned())),
        ("volume", Some(name)) => Source::Volume(volume_name(name).map_err(wrong)?),
        ("volume", None) => Source::Anonymous,
        ("tmpfs", None) => Source::Tmpfs(std::mem::take(&mut options)),
        ("tmpfs", Some(_)) => return Err(wrong("a tmpfs has no source".to_owned())),
        (other, _) => return Err(wrong(format!("type {other:?} is none of bind, volume, tmpfs"))),
    };
    if !options.is_empty() {
        return Err(wrong("tmpfs-size and tmpfs-mode are for type=tmpfs".to_owned()));
    }
    Ok(Mounted { source, target, read_only, no_exec: false })
}

fn bind_or_volume(source: &str) -> Result<Source, String> {
    if source.starts_with('/') { Ok(Source::Bind(source.into())) } else { volume_name(source).map(Source::Volume) }
}

/// The name of a volume or container: letters, digits and `_.-`, beginning with a letter or digit.
pub(super) fn volume_name(name: &str) -> Result<String, String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    let begins_well = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    if begins_well && name.len() <= 128 && name.bytes().all(allowed) {
        Ok(name.to_owned())
    } else {
        Err(format!("{name:?} is no name (letters, digits and _.-, a letter or digit first) and no absolute path"))
    }
}

fn absolute(target: &str) -> Result<PathBuf, String> {
    let path = Path::new(target);
    let plain = path.components().all(|part| !matches!(part, std::path::Component::ParentDir));
    if path.is_absolute() && plain && path.parent().is_some() {
        Ok(path.components().collect())
    } else {
        Err(format!("{target:?} is no absolute path below / without \"..\""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn volumes_are_paths_names_or_anonymous() {
        assert_eq!(volume("/a:/b").unwrap().source, Source::Bind("/a".into()));
        assert_eq!(volume("data:/b:ro").unwrap().source, Source::Volume("data".to_owned()));
        assert!(volume("data:/b:ro").unwrap().read_only && !volume("data:/b:rw").unwrap().read_only);
        assert_eq!(volume("/b").unwrap().source, Source::Anonymous);
        for wrong in ["", "b", "a:b", "/a:b", "/a:/b:rx", "/a:/b:ro:x", ".a:/b", "/a:/../b", "/a:/", "/a:/b:"] {
            assert!(volume(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn mounts_name_their_parts() {
        let bound = mount("type=bind,source=/a,target=/b,readonly").unwrap();
        assert_eq!(
            (bound.source, bound.target.as_path(), bound.read_only),
            (Source::Bind("/a".into()), Path::new("/b"), true)
        );
        assert_eq!(mount("target=/b").unwrap().source, Source::Anonymous);
        let memory = mount("type=tmpfs,dst=/t,tmpfs-size=1m").unwrap();
        assert_eq!(memory.source, Source::Tmpfs(vec![("size".to_owned(), "1m".to_owned())]));
        for wrong in [
            "type=bind,target=/b",
            "type=nfs,target=/b",
            "source=x",
            "type=tmpfs,source=x,target=/t",
            "target=/b,x=y",
            "target=/b,tmpfs-size=1",
        ] {
            assert!(mount(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn memory_takes_its_options() {
        let memory = tmpfs("/t:size=1m,mode=700").unwrap();
        assert!(memory.no_exec && matches!(memory.source, Source::Tmpfs(options) if options.len() == 2));
        for wrong in ["t", "/t:size", "/t:huge=always"] {
            assert!(tmpfs(wrong).is_err(), "{wrong:?}");
        }
    }
}
