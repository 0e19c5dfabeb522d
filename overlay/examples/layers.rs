//! Applies layers, stacks and mounts them, and shows which layer each path comes from.
//!
//! `cargo run -p windlass-overlay --example layers -- LAYER.tar...` takes uncompressed archives, bottom first; without
//! arguments three small ones are made. As an ordinary user: `unshare --map-root-user --mount` before the program.
#![expect(clippy::print_stdout, reason = "the output is what the program is for")]

use std::error::Error;
use std::path::{Path, PathBuf};

use windlass_overlay::{
    ApplyOptions, Entry, IdMap, Kind, LayerId, LayerStore, Metadata, MountOptions, Origin, SafePath, Snapshot, tar,
};

fn main() -> Result<(), Box<dyn Error>> {
    let archives: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let directory = std::env::temp_dir().join(format!("windlass-layers-{}", std::process::id()));
    let shown = show(&directory, &archives);
    if directory.exists() {
        std::fs::remove_dir_all(&directory)?;
    }
    shown
}

fn show(directory: &Path, archives: &[PathBuf]) -> Result<(), Box<dyn Error>> {
    let store = LayerStore::open(directory)?;
    // A single user has only its own numbers to give files to.
    let id_map = if store.namespace() == windlass_overlay::whiteout::XattrNamespace::Trusted {
        IdMap::Identity
    } else {
        IdMap::CurrentUser
    };
    let options = ApplyOptions { id_map, ..ApplyOptions::default() };
    let mut layers = Vec::new();
    if archives.is_empty() {
        for archive in made()? {
            layers.push(store.ingest(&archive[..], &options)?);
        }
    } else {
        for archive in archives {
            layers.push(store.ingest(std::fs::File::open(archive)?, &options)?);
        }
    }
    println!("layers, bottom first:");
    for (number, layer) in layers.iter().enumerate() {
        let record = store.layer(*layer)?;
        println!("  {number}  {layer}  {} entries, {} bytes of archive", record.entries, record.bytes);
    }
    let snapshot = store.snapshot("example", &layers)?;
    let mount = snapshot.mount(&MountOptions::default())?;
    let root =
        PathBuf::from(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&std::os::fd::AsFd::as_fd(&mount))));
    std::fs::write(root.join("written-here"), "only in the snapshot\n")?;
    println!("\nwhat the kernel shows, and the layer it comes from:");
    list(&root, &SafePath::root(), &snapshot, &layers)?;
    println!("\nwhat the writable layer changed:");
    for change in snapshot.diff()? {
        println!("  {}", change.path());
    }
    let usage = snapshot.usage()?;
    println!("  it costs {} bytes in {} inodes", usage.bytes, usage.inodes);
    drop(mount);
    snapshot.remove()?;
    Ok(())
}

fn list(root: &Path, here: &SafePath, snapshot: &Snapshot, layers: &[LayerId]) -> Result<(), Box<dyn Error>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(root.join(here.as_path()))? {
        names.push(entry?.file_name());
    }
    names.sort();
    for name in names {
        let path = here.join(name.as_encoded_bytes())?;
        let origin = match snapshot.origin(&path)? {
            Some(Origin::Layer(id)) => {
                layers.iter().position(|layer| *layer == id).map_or_else(String::new, |number| number.to_string())
            }
            Some(Origin::Upper) => "w".to_owned(),
            Some(Origin::Chain) => "c".to_owned(),
            Some(Origin::Finish) => "f".to_owned(),
            None => "?".to_owned(),
        };
        println!("  {origin:>3}  {path}");
        if std::fs::symlink_metadata(root.join(path.as_path()))?.is_dir() {
            list(root, &path, snapshot, layers)?;
        }
    }
    Ok(())
}

/// A base, a change of it, and a layer that deletes.
fn made() -> Result<[Vec<u8>; 3], Box<dyn Error>> {
    let metadata = |mode| Metadata { mode, ..Metadata::default() };
    let directory = |path: &str| -> Result<Entry, Box<dyn Error>> {
        Ok(Entry { path: path.parse()?, kind: Kind::Directory, metadata: metadata(0o755) })
    };
    let file = |path: &str, content: &str| -> Result<Entry, Box<dyn Error>> {
        let kind = Kind::File { size: content.len() as u64 };
        Ok(Entry { path: path.parse()?, kind, metadata: metadata(0o644) })
    };
    let mut base = tar::Writer::new(Vec::new());
    base.append(&directory("etc")?, &mut std::io::empty())?;
    base.append(&file("etc/greeting", "hello\n")?, &mut &b"hello\n"[..])?;
    base.append(&file("etc/old", "old\n")?, &mut &b"old\n"[..])?;
    let mut change = tar::Writer::new(Vec::new());
    change.append(&file("etc/greeting", "good day\n")?, &mut &b"good day\n"[..])?;
    change.append(&file("etc/more", "more\n")?, &mut &b"more\n"[..])?;
    let mut deletion = tar::Writer::new(Vec::new());
    deletion.whiteout(&"etc/old".parse()?)?;
    Ok([base.finish()?, change.finish()?, deletion.finish()?])
}
