//! Layouts and images for tests.

#![allow(dead_code, reason = "each test program uses its part")]

use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;
use windlass_image::config::{Contents, Execution};
use windlass_image::layer::{Builder, Layer, Metadata, Source};
use windlass_image::{Codec, Descriptor, ImageConfig, Layout, Manifest, Platform};

/// A directory that goes with the test, also when it fails.
pub(crate) fn directory() -> TempDir {
    tempfile::Builder::new().prefix("windlass-image-").tempdir().unwrap()
}

pub(crate) fn small_layer(text: &str) -> Builder {
    let mut layer = Builder::new(0);
    layer.directory("etc", Metadata::root(0o755)).unwrap();
    layer.file("etc/motd", Metadata::root(0o644), Source::Bytes(text.as_bytes().to_vec())).unwrap();
    layer.symlink("motd", "etc/motd").unwrap();
    layer
}

/// Stores an image of these layers and names it.
pub(crate) fn store_image(layout: &Layout, name: &str, layers: &[Layer]) -> Descriptor {
    let config = ImageConfig::build(&Contents {
        platform: Platform::host(),
        execution: Execution { env: vec!["A=1".into()], cmd: vec!["/bin/true".into()], ..Execution::default() },
        diff_ids: layers.iter().map(|layer| layer.diff_id).collect(),
        ..Contents::default()
    })
    .unwrap();
    let config_descriptor = config.descriptor();
    layout.put_blob(config_descriptor.media_type.clone(), config.raw()).unwrap();
    let blobs: Vec<_> = layers.iter().map(|layer| layer.descriptor.clone()).collect();
    let manifest = Manifest::build(&config_descriptor, &blobs, &std::collections::BTreeMap::new()).unwrap();
    let descriptor = layout.put_blob(manifest.media_type().clone(), manifest.raw()).unwrap();
    layout.tag(name, &descriptor).unwrap();
    descriptor
}

pub(crate) fn image_with_codec(layout: &Layout, name: &str, codec: Codec) -> Descriptor {
    let layer = layout.put_layer(&small_layer(name), codec).unwrap();
    store_image(layout, name, &[layer])
}

/// Runs a program to its end; a failure shows what it said.
pub(crate) fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    output
}

pub(crate) fn text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// The names in a directory, sorted.
pub(crate) fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
