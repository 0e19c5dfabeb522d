//! The files of a ConfigMap in a pod, changed all at once.
//!
//! As Kubernetes lays them out: the files lie in a folder with a fresh name, `..data` is a link to it, and each name
//! that the program opens is a link through `..data`. A change writes a new folder and renames a new link over
//! `..data`, so that a reader sees all of the old or all of the new.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, symlink};
use std::path::Path;

const DATA: &str = "..data";
const DATA_NEXT: &str = "..data_next";

/// A file to project: its content and permission bits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Projected {
    pub(in super::super) content: Vec<u8>,
    pub(in super::super) mode: u32,
}

/// Makes `folder` hold exactly `files`; `generation` is a number that was not used for this folder before.
///
/// Names are plain file names, as keys of a ConfigMap are.
pub(in super::super) fn project(folder: &Path, generation: u64, files: &BTreeMap<String, Projected>) -> io::Result<()> {
    let fresh = format!("..{generation}");
    write_files(&folder.join(&fresh), files)?;
    let previous = match fs::read_link(folder.join(DATA)) {
        Ok(previous) => Some(previous),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    remove_if_there(&folder.join(DATA_NEXT))?;
    symlink(&fresh, folder.join(DATA_NEXT))?;
    fs::rename(folder.join(DATA_NEXT), folder.join(DATA))?;
    link_names(folder, files)?;
    match previous {
        Some(previous) => fs::remove_dir_all(folder.join(previous)),
        None => Ok(()),
    }
}

fn write_files(folder: &Path, files: &BTreeMap<String, Projected>) -> io::Result<()> {
    fs::create_dir(folder)?;
    // Programs of any user in the pod may read, whatever this process's umask says.
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755))?;
    for (name, file) in files {
        let path = folder.join(name);
        let mut options = fs::OpenOptions::new();
        let mut out = options.write(true).create_new(true).mode(0o600).open(&path)?;
        io::Write::write_all(&mut out, &file.content)?;
        out.set_permissions(fs::Permissions::from_mode(file.mode))?;
    }
    Ok(())
}

/// One link a file, and none for a file that is gone.
fn link_names(folder: &Path, files: &BTreeMap<String, Projected>) -> io::Result<()> {
    for name in files.keys() {
        match symlink(Path::new(DATA).join(name), folder.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
    }
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        let gone = name.to_str().is_none_or(|name| !name.starts_with("..") && !files.contains_key(name));
        if gone {
            fs::remove_file(folder.join(name))?;
        }
    }
    Ok(())
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(pairs: &[(&str, &str)]) -> BTreeMap<String, Projected> {
        pairs
            .iter()
            .map(|(name, content)| {
                ((*name).to_owned(), Projected { content: content.as_bytes().to_vec(), mode: 0o644 })
            })
            .collect()
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_change_replaces_all_files_and_leaves_nothing_old() {
        let folder = tempfile::tempdir().unwrap();
        project(folder.path(), 1, &files(&[("a", "1"), ("b", "1")])).unwrap();
        assert_eq!(fs::read_to_string(folder.path().join("a")).unwrap(), "1");
        project(folder.path(), 2, &files(&[("a", "2"), ("c", "2")])).unwrap();
        assert_eq!(fs::read_to_string(folder.path().join("a")).unwrap(), "2");
        assert_eq!(names(folder.path()), ["..2", "..data", "a", "c"]);
    }

    #[test]
    fn an_interrupted_change_is_completed_by_the_next() {
        let folder = tempfile::tempdir().unwrap();
        project(folder.path(), 1, &files(&[("a", "1")])).unwrap();
        symlink("..2", folder.path().join(DATA_NEXT)).unwrap();
        project(folder.path(), 3, &files(&[("a", "3")])).unwrap();
        assert_eq!(fs::read_to_string(folder.path().join("a")).unwrap(), "3");
    }

    #[test]
    fn a_reader_never_sees_a_mixture() {
        let folder = tempfile::tempdir().unwrap();
        project(folder.path(), 0, &files(&[("a", "0"), ("b", "0")])).unwrap();
        let path = folder.path().to_owned();
        let writer = std::thread::spawn(move || {
            for turn in 1..200_u64 {
                let text = turn.to_string();
                project(&path, turn, &files(&[("a", &text), ("b", &text)])).unwrap();
            }
        });
        while !writer.is_finished() {
            let data = fs::read_link(folder.path().join(DATA)).unwrap();
            let read = |name: &str| fs::read_to_string(folder.path().join(&data).join(name)).ok();
            // A generation that has been removed meanwhile shows nothing, which is not a mixture.
            if let (Some(a), Some(b)) = (read("a"), read("b")) {
                assert_eq!(a, b);
            }
        }
        writer.join().unwrap();
    }
}
