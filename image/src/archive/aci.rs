//! App Container Images, rkt's format: a `manifest` and a `rootfs/` in one archive, which become an image of one layer.

use std::collections::BTreeMap;
use std::io::{self, Read};

use super::load::{Loaded, document};
use crate::build::Draft;
use crate::config::{Contents, Execution};
use crate::descriptor::Descriptor;
use crate::error::{Error, Fault, Result};
use crate::json::{self, Object, Value};
use crate::layer::{Layer, append_as};
use crate::layout::{LayerWriter, Layout};
use crate::limits::Limits;
use crate::media_type::Codec;
use crate::platform::Platform;
use crate::reference::Reference;

const KIND: &str = "manifest of an App Container Image";
const MANIFEST: &[u8] = b"manifest";
const ROOT: &[u8] = b"rootfs";
const ENTRIES_MAX: u64 = 4 << 20;
const PORTS_MAX: u64 = 4096;

/// Whether an archive that begins with an entry of this name is one.
pub(super) fn begins_with(name: &[u8]) -> bool {
    let name = name.strip_prefix(b"./").unwrap_or(name);
    name == MANIFEST || name == ROOT || name.starts_with(b"rootfs/")
}

/// Stores the image of an archive.
pub(super) fn load(layout: &Layout, input: impl Read) -> Result<Vec<Loaded>> {
    let limits = *layout.limits();
    let (layer, raw) = split(layout, input, &limits)?;
    let raw = raw.ok_or_else(|| Error::NotFound { object: "manifest in the App Container Image".into() })?;
    let value = json::parse(KIND, &raw, &limits)?;
    let manifest = Manifest::read(&value).map_err(|fault| fault.of(KIND))?;
    if let Some(feature) = manifest.unsupported {
        return Err(Error::Unsupported { feature: format!("{feature} of an App Container Image") });
    }
    let layer = match manifest.whitelist.as_slice() {
        [] => layer,
        kept => filtered(layout, &layer.descriptor, kept)?,
    };
    let mut draft = Draft::scratch(manifest.contents.platform.clone());
    *draft.execution_mut() = manifest.contents.execution;
    draft.set_author(manifest.contents.author);
    draft.append(&layer, "rootfs");
    let descriptor = draft.store(layout)?;
    let name = match &manifest.reference {
        Some(reference) => reference.canonical().to_owned(),
        None => layout.image(&descriptor, &manifest.contents.platform)?.config.descriptor().digest.to_string(),
    };
    layout.tag(name, &descriptor)?;
    Ok(vec![Loaded { descriptor, references: manifest.reference.into_iter().collect() }])
}

fn failed(error: io::Error) -> Error {
    Error::sys("read", "an App Container Image")(error)
}

/// The path as a list of names, without what changes nothing.
fn inside(path: &[u8]) -> Result<Vec<u8>> {
    let mut names = Vec::new();
    for name in path.split(|byte| *byte == b'/').filter(|name| !name.is_empty() && *name != b".") {
        if name == b".." {
            return Err(Fault::new("holds a path with \"..\"").of("App Container Image"));
        }
        names.push(name);
    }
    Ok(names.join(&b'/'))
}

/// What is below the root, from the root on; `None` for what is not.
fn below_root(path: &[u8]) -> Option<&[u8]> {
    let rest = path.strip_prefix(ROOT)?;
    if rest.is_empty() { Some(rest) } else { rest.strip_prefix(b"/") }
}

/// The root as a layer, and the manifest, wherever in the archive that stands.
fn split(layout: &Layout, input: impl Read, limits: &Limits) -> Result<(Layer, Option<Vec<u8>>)> {
    let mut manifest = None;
    let mut archive = tar::Archive::new(input);
    let mut out = tar::Builder::new(layout.layer_writer(Codec::Gzip)?);
    let mut count = 0;
    for entry in archive.entries().map_err(failed)? {
        let mut entry = entry.map_err(failed)?;
        count += 1;
        if count > ENTRIES_MAX {
            return Err(Error::LimitExceeded { limit: "number of entries of an image", max: ENTRIES_MAX });
        }
        let path = inside(&entry.path_bytes())?;
        if path == MANIFEST {
            manifest = Some(document(&mut entry, limits)?);
        } else if let Some(path) = below_root(&path) {
            let link = entry.link_name_bytes().map(std::borrow::Cow::into_owned);
            let link = match link {
                Some(link) if entry.header().entry_type() == tar::EntryType::Link => {
                    let target = inside(&link)?;
                    let target = below_root(&target).ok_or_else(|| {
                        Fault::new("holds a link to what is not below rootfs").of("App Container Image")
                    })?;
                    Some(target.to_vec())
                }
                link => link,
            };
            append_as(&mut out, &mut entry, path, link.as_deref())?;
        } else {
            let name = String::from_utf8_lossy(&path).into_owned();
            return Err(Fault::new("is neither the manifest nor below rootfs").within(&name).of("App Container Image"));
        }
    }
    Ok((finish(out)?, manifest))
}

fn finish(out: tar::Builder<LayerWriter<'_>>) -> Result<Layer> {
    out.into_inner().map_err(Error::sys("write", "a layer"))?.finish()
}

/// The layer without what no path of the list names, and the directories above those.
fn filtered(layout: &Layout, blob: &Descriptor, kept: &[String]) -> Result<Layer> {
    let kept: Vec<Vec<u8>> = kept.iter().map(|path| inside(path.as_bytes())).collect::<Result<_>>()?;
    let is_kept = |path: &[u8]| {
        kept.iter().any(|kept| kept == path || path.is_empty() || kept.starts_with(&[path, b"/"].concat()))
    };
    let mut archive = tar::Archive::new(layout.layer(blob)?);
    let mut out = tar::Builder::new(layout.layer_writer(Codec::Gzip)?);
    for entry in archive.entries().map_err(failed)? {
        let mut entry = entry.map_err(failed)?;
        let path = inside(&entry.path_bytes())?;
        if is_kept(&path) {
            let link = entry.link_name_bytes().map(std::borrow::Cow::into_owned);
            append_as(&mut out, &mut entry, &path, link.as_deref())?;
        }
    }
    finish(out)
}

/// What the manifest says.
struct Manifest {
    reference: Option<Reference>,
    contents: Contents,
    whitelist: Vec<String>,
    /// What an image of the other format cannot say.
    unsupported: Option<&'static str>,
}

type Fallible<T> = std::result::Result<T, Fault>;

impl Manifest {
    fn read(value: &Value<'_>) -> Fallible<Self> {
        let object = value.object()?;
        if object.required("acKind", Value::owned)? != "ImageManifest" {
            return Err(Fault::new("must be ImageManifest").within("acKind"));
        }
        let name = object.required("name", Value::owned)?;
        let labels = object.or_default("labels", pairs)?;
        let annotations = object.or_default("annotations", pairs)?;
        let (execution, unsupported) = match object.optional("app", |app| app.object().and_then(App::read))? {
            Some(App { execution, unsupported }) => (execution, unsupported),
            None => (Execution::default(), None),
        };
        let has_dependencies = !object.or_default("dependencies", |list| list.list(|_| Ok(())))?.is_empty();
        let author = annotations.get("authors").cloned();
        let labels_of_image = annotations.into_iter().chain(labels.clone());
        let contents = Contents {
            platform: platform(&labels)?,
            author,
            execution: Execution { labels: labels_of_image.collect(), ..execution },
            ..Contents::default()
        };
        let version = labels.get("version").map_or("latest", String::as_str);
        Ok(Self {
            // A name that registries do not have is a label all the same.
            reference: Reference::parse(&format!("{name}:{version}")).ok(),
            contents,
            whitelist: object.or_default("pathWhitelist", |list| list.list(Value::owned))?,
            unsupported: if has_dependencies { Some("dependencies") } else { unsupported },
        })
    }
}

/// A list of objects with a name and a value.
fn pairs(value: &Value<'_>) -> Fallible<BTreeMap<String, String>> {
    let pairs = value.list(|pair| {
        let pair = pair.object()?;
        Ok((pair.required("name", Value::owned)?, pair.required("value", Value::owned)?))
    })?;
    Ok(pairs.into_iter().collect())
}

/// In Go's words; an image that names none runs where it is loaded, as rkt has it.
fn platform(labels: &BTreeMap<String, String>) -> Fallible<Platform> {
    let mut platform = Platform::host();
    if let Some(os) = labels.get("os") {
        platform.os.clone_from(os);
    }
    if let Some(name) = labels.get("arch") {
        let (architecture, variant) = match name.as_str() {
            "i386" => ("386", None),
            "aarch64" => ("arm64", Some("v8")),
            "armv6l" => ("arm", Some("v6")),
            "armv7l" => ("arm", Some("v7")),
            "amd64" | "ppc64" | "ppc64le" | "s390x" => (name.as_str(), None),
            _ => return Err(Fault::new(format!("names the unknown architecture {name:?}")).within("labels")),
        };
        architecture.clone_into(&mut platform.architecture);
        platform.variant = variant.map(str::to_owned);
    }
    Ok(platform)
}

struct App {
    execution: Execution,
    unsupported: Option<&'static str>,
}

impl App {
    fn read(app: &Object<'_>) -> Fallible<Self> {
        let who = |key| app.optional(key, Value::owned);
        let user = match (who("user")?, who("group")?) {
            (Some(user), Some(group)) => Some(format!("{user}:{group}")),
            (user, _) => user,
        };
        let by_file = user.as_ref().is_some_and(|user| user.split(':').any(|name| name.starts_with('/')));
        let count = |key| Ok(app.or_default(key, |list| list.list(|_| Ok(())))?.len());
        let unsupported = [
            ("isolators", count("isolators")? > 0),
            ("eventHandlers", count("eventHandlers")? > 0),
            ("supplementaryGIDs", count("supplementaryGIDs")? > 0),
            ("a user who is the owner of a file", by_file),
        ];
        let environment = app.or_default("environment", |list| {
            list.list(|pair| {
                let pair = pair.object()?;
                Ok(format!("{}={}", pair.required("name", Value::owned)?, pair.required("value", Value::owned)?))
            })
        })?;
        let mount_points =
            app.or_default("mountPoints", |list| list.list(|point| point.object()?.required("path", Value::owned)))?;
        let execution = Execution {
            user,
            exposed_ports: app.or_default("ports", ports)?,
            env: environment,
            entrypoint: app.or_default("exec", |list| list.list(Value::owned))?,
            volumes: mount_points,
            working_dir: who("workingDirectory")?,
            ..Execution::default()
        };
        let unsupported = unsupported.into_iter().find_map(|(name, is_set)| is_set.then_some(name));
        Ok(Self { execution, unsupported })
    }
}

/// Adds the ports of a range.
fn ports(list: &Value<'_>) -> Fallible<Vec<String>> {
    let mut all = Vec::new();
    for (first, count, protocol) in list.list(range)? {
        let last = first.checked_add(count.saturating_sub(1)).filter(|last| u16::try_from(*last).is_ok());
        let last = last.ok_or_else(|| Fault::new("end behind the last one"))?;
        if all.len() as u64 + count > PORTS_MAX {
            return Err(Fault::new("are more than any program has"));
        }
        all.extend((first..=last).map(|port| format!("{port}/{protocol}")));
    }
    Ok(all)
}

fn range(value: &Value<'_>) -> Fallible<(u64, u64, String)> {
    let object = value.object()?;
    let count = object.optional("count", Value::unsigned)?.unwrap_or(1);
    Ok((
        object.required("port", Value::unsigned)?,
        count.min(PORTS_MAX + 1),
        object.required("protocol", Value::owned)?,
    ))
}
