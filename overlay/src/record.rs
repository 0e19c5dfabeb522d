//! The small text files in which a store remembers what it holds.

use std::fmt::Write as _;

use crate::error::{Error, Result};
use crate::layer_id::LayerId;
use crate::options::{LayerFormat, WhiteoutStyle};
use crate::path::SafePath;
use crate::unfinished::Unfinished;

/// What a store knows of a layer beside its files.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LayerRecord {
    /// Entries of the archive.
    pub entries: u64,
    /// Bytes of the archive.
    pub bytes: u64,
    /// What stacking has to finish.
    pub unfinished: Unfinished,
    /// What it is on disk.
    pub format: LayerFormat,
    /// The boot that wrote it, until something has brought it to disk: in another boot it is not trusted.
    pub boot: Option<String>,
}

/// Whether a snapshot can be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SnapshotKind {
    /// It has an upper directory.
    Active,
    /// It has none.
    View,
}

/// What a store knows of a snapshot beside its files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SnapshotRecord {
    /// Whether it can be written.
    pub kind: SnapshotKind,
    /// The layers that it was made of, bottom first.
    pub layers: Vec<LayerId>,
    /// Its lower directories, topmost first.
    pub lowers: Vec<Lower>,
    /// Whether one of them spells deletions as attributes, which not every kernel understands.
    pub has_attributes: bool,
}

/// Whether a record is whole and may be trusted in this boot.
pub(crate) fn is_trusted(record: &Result<LayerRecord>, boot: &str) -> bool {
    record.as_ref().is_ok_and(|record| record.boot.as_deref().is_none_or(|written| written == boot))
}

/// A lower directory of a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lower {
    /// A layer of the store.
    Layer(LayerId),
    /// The merged image of all layers.
    Chain(LayerId),
    /// What finishes the layer at this place, counted from the bottom.
    Finish(usize),
    /// What lies beneath the layer at this place, whose deletions would be seen otherwise.
    Cover(usize),
    /// The root of a view, which has no upper directory to hold its owner and mode.
    Top,
    /// An empty directory, because the kernel wants one.
    Base,
}

impl LayerRecord {
    /// One fact a line.
    pub(crate) fn print(&self) -> String {
        let mut text = format!("layer 1\nentries {}\nbytes {}\n", self.entries, self.bytes);
        match self.format {
            LayerFormat::Dir(WhiteoutStyle::Device) => {}
            LayerFormat::Dir(WhiteoutStyle::Attribute) => text.push_str("attribute-whiteouts\n"),
            LayerFormat::ErofsTar | LayerFormat::ErofsMerged => text.push_str("erofs-tar\n"),
        }
        if let Some(boot) = &self.boot {
            line(&mut text, &["boot", boot]);
        }
        let Unfinished { parents, passed, deleting, links, opaque_root } = &self.unfinished;
        if *opaque_root {
            text.push_str("opaque-root\n");
        }
        for (word, paths) in [("parent", parents), ("passed", passed), ("deleting", deleting)] {
            for path in paths {
                line(&mut text, &[word, &escape(path)]);
            }
        }
        for (link, target) in links {
            line(&mut text, &["link", &escape(link), &escape(target)]);
        }
        text.push_str("end\n");
        text
    }

    /// Reads what [`LayerRecord::print`] wrote.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let mut record = Self::default();
        let unfinished = &mut record.unfinished;
        for words in lines(text, "layer")? {
            match words[..] {
                ["entries", count] => record.entries = number(count)?,
                ["bytes", count] => record.bytes = number(count)?,
                ["erofs-tar"] => record.format = LayerFormat::ErofsTar,
                ["attribute-whiteouts"] => record.format = LayerFormat::Dir(WhiteoutStyle::Attribute),
                ["boot", boot] => record.boot = Some(boot.to_owned()),
                ["opaque-root"] => unfinished.opaque_root = true,
                ["parent", path] => drop(unfinished.parents.insert(unescape(path)?)),
                ["passed", path] => drop(unfinished.passed.insert(unescape(path)?)),
                ["deleting", path] => drop(unfinished.deleting.insert(unescape(path)?)),
                ["link", path, target] => drop(unfinished.links.insert(unescape(path)?, unescape(target)?)),
                _ => return Err(unreadable(&words.join(" "))),
            }
        }
        Ok(record)
    }
}

impl SnapshotRecord {
    /// One fact a line.
    pub(crate) fn print(&self) -> String {
        let kind = match self.kind {
            SnapshotKind::Active => "active",
            SnapshotKind::View => "view",
        };
        let mut text = format!("snapshot 1\n{kind}\n");
        if self.has_attributes {
            text.push_str("attribute-whiteouts\n");
        }
        for layer in &self.layers {
            line(&mut text, &["layer", &layer.hex()]);
        }
        for lower in &self.lowers {
            match lower {
                Lower::Layer(layer) => line(&mut text, &["lower-layer", &layer.hex()]),
                Lower::Chain(chain) => line(&mut text, &["lower-chain", &chain.hex()]),
                Lower::Finish(place) => line(&mut text, &["lower-finish", &place.to_string()]),
                Lower::Cover(place) => line(&mut text, &["lower-cover", &place.to_string()]),
                Lower::Top => line(&mut text, &["lower-top"]),
                Lower::Base => line(&mut text, &["lower-base"]),
            }
        }
        text.push_str("end\n");
        text
    }

    /// Reads what [`SnapshotRecord::print`] wrote.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let mut kind = None;
        let mut layers = Vec::new();
        let mut lowers = Vec::new();
        let mut has_attributes = false;
        let layer = |hex| LayerId::from_hex(hex).map_err(|_| unreadable(hex));
        for words in lines(text, "snapshot")? {
            match words[..] {
                ["active"] => kind = Some(SnapshotKind::Active),
                ["view"] => kind = Some(SnapshotKind::View),
                ["attribute-whiteouts"] => has_attributes = true,
                ["layer", hex] => layers.push(layer(hex)?),
                ["lower-layer", hex] => lowers.push(Lower::Layer(layer(hex)?)),
                ["lower-chain", hex] => lowers.push(Lower::Chain(layer(hex)?)),
                ["lower-finish", place] => {
                    lowers.push(Lower::Finish(place.parse().map_err(|_| unreadable(place))?));
                }
                ["lower-cover", place] => lowers.push(Lower::Cover(place.parse().map_err(|_| unreadable(place))?)),
                ["lower-top"] => lowers.push(Lower::Top),
                ["lower-base"] => lowers.push(Lower::Base),
                _ => return Err(unreadable(&words.join(" "))),
            }
        }
        Ok(Self { kind: kind.ok_or_else(|| unreadable("no kind"))?, layers, lowers, has_attributes })
    }
}

fn line(text: &mut String, words: &[&str]) {
    text.push_str(&words.join(" "));
    text.push('\n');
}

fn lines<'a>(text: &'a str, kind: &str) -> Result<impl Iterator<Item = Vec<&'a str>>> {
    let first = text.lines().next().unwrap_or_default();
    // A record cut short by a crash has no end.
    let facts = text.strip_suffix("\nend\n").filter(|_| first.split(' ').eq([kind, "1"]));
    let facts = facts.ok_or_else(|| unreadable(first))?;
    Ok(facts.lines().skip(1).map(|line| line.split(' ').collect()))
}

fn number(text: &str) -> Result<u64> {
    text.parse().map_err(|_| unreadable(text))
}

/// A path in printable ASCII without spaces; the root is a dot.
fn escape(path: &SafePath) -> String {
    if path.is_root() {
        return ".".to_owned();
    }
    let mut text = String::new();
    for byte in path.as_bytes() {
        if byte.is_ascii_graphic() && *byte != b'%' {
            text.push(char::from(*byte));
        } else {
            write!(text, "%{byte:02x}").expect("a string takes all that is written");
        }
    }
    text
}

fn unescape(text: &str) -> Result<SafePath> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let digits = rest.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        bytes.push(digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()).ok_or_else(|| unreadable(text))?);
        rest = &rest[2..];
    }
    if bytes == b"." { Ok(SafePath::root()) } else { SafePath::parse(&bytes).map_err(|_| unreadable(text)) }
}

fn unreadable(text: &str) -> Error {
    Error::Invalid { field: "record", value: text.to_owned(), reason: "is not one that this store wrote" }
}

#[cfg(test)]
mod tests {
    use proptest::collection::{btree_map, btree_set, vec};
    use proptest::prelude::*;

    use super::*;

    fn path() -> impl Strategy<Value = SafePath> {
        vec(vec(1_u8..=255, 1..6), 0..3).prop_filter_map("a path", |parts| SafePath::parse(&parts.join(&b'/')).ok())
    }

    proptest! {
        #[test]
        fn layers_are_remembered(
            entries: u64, bytes: u64, opaque_root: bool, boot in proptest::option::of("[0-9a-f-]{1,36}"),
            parents in btree_set(path(), 0..4), passed in btree_set(path(), 0..4),
            is_image: bool, is_attribute: bool, deleting in btree_set(path(), 0..4), links in btree_map(path(), path(), 0..4),
        ) {
            let unfinished = Unfinished { parents, passed, deleting, links, opaque_root };
            let style = if is_attribute { WhiteoutStyle::Attribute } else { WhiteoutStyle::Device };
            let format = if is_image { LayerFormat::ErofsTar } else { LayerFormat::Dir(style) };
            let record = LayerRecord { entries, bytes, unfinished, format, boot };
            prop_assert_eq!(LayerRecord::parse(&record.print()).unwrap(), record);
        }

        #[test]
        fn snapshots_are_remembered(ids in vec(any::<[u8; 32]>(), 0..4), place: usize, has_attributes: bool) {
            let layers: Vec<LayerId> = ids.into_iter().map(LayerId::from_bytes).collect();
            let own = [Lower::Finish(place), Lower::Cover(place), Lower::Chain(LayerId::from_bytes([1; 32])), Lower::Top, Lower::Base];
            let lowers = layers.iter().map(|id| Lower::Layer(*id)).chain(own).collect();
            let record = SnapshotRecord { kind: SnapshotKind::View, layers, lowers, has_attributes };
            prop_assert_eq!(SnapshotRecord::parse(&record.print()).unwrap(), record);
        }
    }

    #[test]
    fn a_cut_record_is_no_record() {
        let whole = LayerRecord { entries: 12, ..LayerRecord::default() }.print();
        for end in 0..whole.len() {
            assert!(LayerRecord::parse(&whole[..end]).is_err(), "{end}");
        }
    }
}
