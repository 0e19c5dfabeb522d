//! Applies layers, stacks and mounts them, and shows which layer each path comes from.
//!
//! `cargo run -p windlass-overlay --example layers -- LAYER.tar...` takes uncompressed archives, bottom first; without
//! arguments three small ones are made. `--svg FILE` draws what costs how much. As an ordinary user:
//! `unshare --map-root-user --mount` before the program.
use std::collections::BTreeMap;
use std::error::Error;
use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};

use windlass_overlay::{
    ApplyOptions, Entry, IdMap, Kind, LayerId, LayerStore, Metadata, MountOptions, Origin, SafePath, Snapshot, tar,
};

fn main() -> Result<(), Box<dyn Error>> {
    let directory = std::env::temp_dir().join(format!("windlass-layers-{}", std::process::id()));
    run(&directory, std::env::args_os().skip(1), &mut std::io::stdout().lock())
}

/// Works in a new directory, which is removed in the end.
pub(crate) fn run(
    directory: &Path,
    arguments: impl Iterator<Item = OsString>,
    out: &mut dyn Write,
) -> Result<(), Box<dyn Error>> {
    let mut archives: Vec<PathBuf> = arguments.map(PathBuf::from).collect();
    let svg = archives.iter().position(|word| word.as_os_str() == "--svg");
    let svg = svg.map(|at| archives.drain(at..(at + 2).min(archives.len())).nth(1).ok_or("--svg takes a file"));
    let shown = show(directory, &archives, svg.transpose()?.as_deref(), out);
    if directory.exists() {
        std::fs::remove_dir_all(directory)?;
    }
    shown
}

fn show(directory: &Path, archives: &[PathBuf], svg: Option<&Path>, out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
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
    writeln!(out, "layers, bottom first:\n  no  {:<19} {:>8} {:>12} {:>12}", "layer", "entries", "archive", "on disk")?;
    for (number, layer) in layers.iter().enumerate() {
        let (record, usage) = (store.layer(*layer)?, store.usage(*layer)?);
        let id = layer.to_string();
        writeln!(
            out,
            "  {number:>2}  {:<19} {:>8} {:>12} {:>12}",
            &id[..19],
            record.entries,
            record.bytes,
            usage.bytes
        )?;
    }
    let snapshot = store.snapshot("example", &layers)?;
    let mount = snapshot.mount(&MountOptions::default())?;
    let root =
        PathBuf::from(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&std::os::fd::AsFd::as_fd(&mount))));
    std::fs::write(root.join("written-here"), "only in the snapshot\n")?;
    writeln!(out, "\nwhat the kernel shows, and the layer it comes from:")?;
    let mut costs = Costs::new();
    list(&root, &SafePath::root(), &snapshot, &layers, &mut costs, out)?;
    writeln!(out, "\nwhat of each layer is still to be seen:")?;
    for (origin, paths) in &costs {
        writeln!(out, "  {origin:>3}  {:>12} bytes", paths.values().sum::<u64>())?;
    }
    if let Some(to) = svg {
        std::fs::write(to, treemap(&costs))?;
        writeln!(out, "\ndrawn in {}", to.display())?;
    }
    writeln!(out, "\nwhat the writable layer changed:")?;
    for change in snapshot.diff()? {
        writeln!(out, "  {}", change.path())?;
    }
    let usage = snapshot.usage()?;
    writeln!(out, "  it costs {} bytes in {} inodes", usage.bytes, usage.inodes)?;
    drop(mount);
    snapshot.remove()?;
    Ok(())
}

/// Bytes of files by where they come from and their topmost directories.
type Costs = BTreeMap<String, BTreeMap<String, u64>>;

fn list(
    root: &Path,
    here: &SafePath,
    snapshot: &Snapshot,
    layers: &[LayerId],
    costs: &mut Costs,
    out: &mut dyn Write,
) -> Result<(), Box<dyn Error>> {
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
        writeln!(out, "  {origin:>3}  {path}")?;
        let metadata = std::fs::symlink_metadata(root.join(path.as_path()))?;
        if metadata.is_dir() {
            list(root, &path, snapshot, layers, costs, out)?;
        } else {
            let parts: Vec<_> = path.components().take(2).map(String::from_utf8_lossy).collect();
            *costs.entry(origin).or_default().entry(parts.join("/")).or_default() += metadata.len().max(1);
        }
    }
    Ok(())
}

/// A rectangle of the drawing: left, top, width, height.
type Area = [f64; 4];

/// One column for each layer and one box in it for each directory, as large as what they hold.
fn treemap(costs: &Costs) -> String {
    const COLOURS: [&str; 6] = ["#4e79a7", "#f28e2b", "#59a14f", "#b07aa1", "#edc948", "#76b7b2"];
    let head = "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 1000 600' font-family='sans-serif'>\n";
    let mut svg = vec![head.to_owned()];
    let weights: Vec<(String, u64)> =
        costs.iter().map(|(origin, paths)| (origin.clone(), paths.values().sum())).collect();
    let columns = divide([0.0, 20.0, 1000.0, 580.0], &weights);
    for (number, (origin, column)) in columns.into_iter().enumerate() {
        let colour = COLOURS[number % COLOURS.len()];
        svg.push(format!("<text x='{:.1}' y='15' font-size='12'>layer {}</text>\n", column[0] + 2.0, escape(&origin)));
        let mut paths: Vec<(String, u64)> = costs[&origin].iter().map(|(path, bytes)| (path.clone(), *bytes)).collect();
        paths.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        for ((path, bytes), (_, [x, y, width, height])) in paths.iter().zip(divide(column, &paths)) {
            svg.push(format!(
                "<g><title>{0}: {bytes} bytes</title><rect x='{x:.1}' y='{y:.1}' width='{width:.1}' \
                 height='{height:.1}' fill='{colour}' stroke='white'/>",
                escape(path)
            ));
            if width > 40.0 && height > 12.0 {
                svg.push(format!(
                    "<text x='{:.1}' y='{:.1}' font-size='10'>{}</text>",
                    x + 2.0,
                    y + 11.0,
                    escape(path)
                ));
            }
            svg.push("</g>\n".to_owned());
        }
    }
    svg.concat() + "</svg>\n"
}

/// Cuts an area into one for each weight: halves of about the same weight, always across the longer side.
fn divide(area: Area, weights: &[(String, u64)]) -> Vec<(String, Area)> {
    let [x, y, width, height] = area;
    let total: u64 = weights.iter().map(|(_, weight)| weight).sum();
    match weights {
        [] => Vec::new(),
        [(name, _)] => vec![(name.clone(), area)],
        _ => {
            let mut before = 0;
            let cut = weights.iter().position(|(_, weight)| {
                before += weight;
                before * 2 >= total
            });
            let cut = cut.map_or(1, |cut| cut + 1).min(weights.len() - 1);
            let first: u64 = weights[..cut].iter().map(|(_, weight)| weight).sum();
            let share = share(first, total);
            let (one, other) = if width >= height {
                ([x, y, width * share, height], [x + width * share, y, width * (1.0 - share), height])
            } else {
                ([x, y, width, height * share], [x, y + height * share, width, height * (1.0 - share)])
            };
            [divide(one, &weights[..cut]), divide(other, &weights[cut..])].concat()
        }
    }
}

/// A part of a whole, exact enough for a drawing.
fn share(part: u64, whole: u64) -> f64 {
    let scaled = u128::from(part) * 1_000_000 / u128::from(whole.max(1));
    f64::from(u32::try_from(scaled).unwrap_or(1_000_000)) / 1e6
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('\'', "&apos;")
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
