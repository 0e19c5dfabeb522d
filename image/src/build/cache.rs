//! Layers that earlier builds made, by what made them.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use super::key::Key;
use crate::descriptor::{Descriptor, read_digest};
use crate::error::{Error, Fault, Result};
use crate::json::{self, Object, Value};
use crate::layer::Layer;
use crate::layout::Layout;
use crate::limits::Limits;

/// A file is one small document.
const BYTES_MAX: u64 = 64 << 10;
const UNFINISHED: &str = ".unfinished-";

/// A directory of what earlier builds made.
///
/// Each file is named by a key and says which layer it made. The layers are blobs of a layout: pass [`Cache::layers`]
/// to [`Layout::collect_garbage`] to keep them. One whose blob is gone is as if it had never been.
#[derive(Debug, Clone)]
pub struct Cache {
    path: PathBuf,
}

/// What a step made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Made {
    Nothing,
    Layer(Box<Layer>),
}

impl Cache {
    /// Opens the directory and makes it where it is missing.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        fs::create_dir_all(&path).map_err(Error::sys("create", &path))?;
        Ok(Self { path })
    }

    /// The layers of all builds so far.
    pub fn layers(&self) -> Result<Vec<Descriptor>> {
        let mut layers = Vec::new();
        for path in self.files()? {
            if let Some(Made::Layer(layer)) = read(&path)? {
                layers.push(layer.descriptor);
            }
        }
        Ok(layers)
    }

    /// Forgets everything.
    pub fn clear(&self) -> Result<()> {
        for path in self.files()? {
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(Error::sys("remove", path)(error)),
                _ => {}
            }
        }
        Ok(())
    }

    fn files(&self) -> Result<Vec<PathBuf>> {
        let failed = |error| Error::sys("list", &self.path)(error);
        let entries = fs::read_dir(&self.path).map_err(failed)?;
        entries.map(|entry| entry.map(|entry| entry.path()).map_err(failed)).collect()
    }

    /// What the step of this key made, if its blob is still there.
    pub(super) fn get(&self, layout: &Layout, key: &Key) -> Result<Option<Made>> {
        Ok(match read(&self.path.join(key.hex()))? {
            Some(Made::Layer(layer)) if !layout.contains(&layer.descriptor)? => None,
            made => made,
        })
    }

    pub(super) fn put(&self, key: &Key, made: &Made) -> Result<()> {
        let mut object = Object::default();
        if let Made::Layer(layer) = made {
            object.set("layer", layer.descriptor.to_value());
            object.set("diffId", Value::text(layer.diff_id.to_string()));
            object.set("bytes", Value::number(layer.bytes));
        }
        let path = self.path.join(key.hex());
        // Two builds that make the same layer at once write the same, one after the other.
        let beside = self.path.join(format!("{UNFINISHED}{}-{}", std::process::id(), key.hex()));
        let write = || -> io::Result<()> {
            File::create(&beside)?.write_all(&json::canonical(&Value::Object(object)))?;
            fs::rename(&beside, &path)
        };
        write().map_err(Error::sys("write", &path))
    }
}

/// What a file says; a broken one, as a power cut leaves, says nothing.
fn read(path: &Path) -> Result<Option<Made>> {
    let mut raw = Vec::new();
    match File::open(path) {
        Ok(file) => file.take(BYTES_MAX).read_to_end(&mut raw).map_err(Error::sys("read", path))?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::sys("open", path)(error)),
    };
    let Ok(value) = json::parse("cached layer", &raw, &Limits::DEFAULT) else { return Ok(None) };
    Ok(parse(&value).ok())
}

fn parse(value: &Value<'_>) -> std::result::Result<Made, Fault> {
    let object = value.object()?;
    let Some(descriptor) = object.optional("layer", Descriptor::read)? else { return Ok(Made::Nothing) };
    let diff_id = object.required("diffId", read_digest)?;
    let bytes = object.required("bytes", Value::unsigned)?;
    Ok(Made::Layer(Box::new(Layer { descriptor, diff_id, bytes })))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;
    use crate::layer::{Builder, Metadata};
    use crate::media_type::Codec;

    #[test]
    fn layers_are_remembered_as_long_as_they_are_there() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::create(folder.path().join("layout")).unwrap();
        let cache = Cache::open(folder.path().join("a/cache")).unwrap();
        let mut files = Builder::new(0);
        files.directory("d", Metadata::root(0o755)).unwrap();
        let layer = layout.put_layer(&files, Codec::Gzip).unwrap();
        let key = |text: &[u8]| Key::of_files(&Digest::of(text), Codec::Gzip);
        assert_eq!(cache.get(&layout, &key(b"1")).unwrap(), None);
        cache.put(&key(b"1"), &Made::Layer(Box::new(layer.clone()))).unwrap();
        cache.put(&key(b"2"), &Made::Nothing).unwrap();
        assert_eq!(cache.get(&layout, &key(b"1")).unwrap(), Some(Made::Layer(Box::new(layer.clone()))));
        assert_eq!(cache.get(&layout, &key(b"2")).unwrap(), Some(Made::Nothing));
        assert_eq!(cache.layers().unwrap(), std::slice::from_ref(&layer.descriptor));
        layout.collect_garbage(&cache.layers().unwrap()).unwrap();
        assert!(layout.contains(&layer.descriptor).unwrap());
        fs::write(cache.path.join(key(b"2").hex()), "{\"layer\":").unwrap();
        assert_eq!(cache.get(&layout, &key(b"2")).unwrap(), None);
        layout.collect_garbage(&[]).unwrap();
        assert_eq!(cache.get(&layout, &key(b"1")).unwrap(), None);
        cache.clear().unwrap();
        assert!(cache.layers().unwrap().is_empty());
    }
}
