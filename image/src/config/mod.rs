//! Image configurations: how to run the image, and which layers it has.

mod time;

use std::collections::BTreeMap;

pub use time::rfc3339;

use crate::descriptor::{Descriptor, read_digest};
use crate::digest::Digest;
use crate::error::{Fault, Result};
use crate::json::{self, Object, Value};
use crate::limits::Limits;
use crate::media_type::MediaType;
use crate::platform::Platform;

const KIND: &str = "image configuration";

type Read<T> = std::result::Result<T, Fault>;

/// An image configuration: the bytes as they are stored, and what they say.
///
/// # Source
/// OCI image specification, image configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageConfig {
    raw: Vec<u8>,
    contents: Contents,
}

/// What a configuration says, as far as the specification names it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Contents {
    /// What the image runs on.
    pub platform: Platform,
    /// When the image was made, in the form of RFC 3339; see [`rfc3339`].
    pub created: Option<String>,
    /// Who made it.
    pub author: Option<String>,
    /// How to run it.
    pub execution: Execution,
    /// The digests of the uncompressed layers, bottom first.
    pub diff_ids: Vec<Digest>,
    /// Where each layer comes from.
    pub history: Vec<History>,
}

/// The defaults for a container's process.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Execution {
    /// `USER[:GROUP]`, by name or by number.
    pub user: Option<String>,
    /// `PORT/PROTOCOL` that the program listens on.
    pub exposed_ports: Vec<String>,
    /// `NAME=VALUE`.
    pub env: Vec<String>,
    /// The program and the arguments that stay.
    pub entrypoint: Vec<String>,
    /// Arguments that the caller may replace, or the program if there is no entrypoint.
    pub cmd: Vec<String>,
    /// Directories that hold data which outlives the container.
    pub volumes: Vec<String>,
    /// Where the program starts.
    pub working_dir: Option<String>,
    /// Free text by key.
    pub labels: BTreeMap<String, String>,
    /// The signal that asks the program to end.
    pub stop_signal: Option<String>,
}

/// One step of an image's making.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History {
    /// When, in the form of RFC 3339.
    pub created: Option<String>,
    /// The command that made it.
    pub created_by: Option<String>,
    /// Who made it.
    pub author: Option<String>,
    /// Free text.
    pub comment: Option<String>,
    /// Whether the step made no layer.
    pub empty_layer: bool,
}

impl ImageConfig {
    /// Reads a configuration.
    ///
    /// # Errors
    /// A document beyond `limits` and one whose fields are not what the specification says.
    pub fn parse(raw: impl Into<Vec<u8>>, limits: &Limits) -> Result<Self> {
        let raw = raw.into();
        let value = json::parse(KIND, &raw, limits)?;
        let contents = Contents::read(&value).map_err(|fault| fault.of(KIND))?;
        drop(value);
        Ok(Self { raw, contents })
    }

    /// Writes a configuration, canonical: the same contents give the same bytes.
    ///
    /// # Errors
    /// Contents that [`ImageConfig::parse`] would not read back as they are.
    pub fn build(contents: &Contents) -> Result<Self> {
        let raw = json::canonical(&contents.to_value());
        let built = Self::parse(raw, &Limits::DEFAULT)?;
        if built.contents == *contents {
            Ok(built)
        } else {
            // Sorted and without duplicates is the only form in which ports and volumes, keys of objects, come back.
            Err(Fault::new("exposed ports and volumes must be sorted and differ, optional texts not be empty").of(KIND))
        }
    }

    /// Writes this configuration with other contents; fields that the specification does not name stay.
    ///
    /// # Errors
    /// As [`ImageConfig::build`].
    pub fn change(&self, contents: &Contents) -> Result<Self> {
        let mut new = contents.to_value();
        let old = json::parse(KIND, &self.raw, &Limits::DEFAULT)?;
        keep_unknown(&old, &mut new, &KNOWN, Some("config"));
        let raw = json::canonical(&new);
        let built = Self::parse(raw, &Limits::DEFAULT)?;
        if built.contents == *contents { Ok(built) } else { Self::build(contents) }
    }

    /// The document as it is stored.
    pub fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// The OCI descriptor of the document; its digest is the image's id.
    pub fn descriptor(&self) -> Descriptor {
        Descriptor::of(MediaType::CONFIG, &self.raw)
    }

    /// What the document says.
    pub fn contents(&self) -> &Contents {
        &self.contents
    }

    /// What the image runs on.
    pub fn platform(&self) -> &Platform {
        &self.contents.platform
    }

    /// The defaults for a container's process.
    pub fn execution(&self) -> &Execution {
        &self.contents.execution
    }

    /// The digests of the uncompressed layers, bottom first.
    pub fn diff_ids(&self) -> &[Digest] {
        &self.contents.diff_ids
    }
}

impl Execution {
    /// The whole command line: entrypoint, then command.
    pub fn command_line(&self) -> impl Iterator<Item = &str> {
        self.entrypoint.iter().chain(&self.cmd).map(String::as_str)
    }

    fn read(value: &Value<'_>) -> Read<Self> {
        let object = value.object()?;
        let strings = |key| object.or_default(key, |value| value.list(Value::owned));
        let set = |key| object.or_default(key, read_set);
        Ok(Self {
            user: optional_text(object, "User")?,
            exposed_ports: set("ExposedPorts")?,
            env: strings("Env")?,
            entrypoint: strings("Entrypoint")?,
            cmd: strings("Cmd")?,
            volumes: set("Volumes")?,
            working_dir: optional_text(object, "WorkingDir")?,
            labels: object.or_default("Labels", Value::string_map)?,
            stop_signal: optional_text(object, "StopSignal")?,
        })
    }

    fn to_value(&self) -> Value<'static> {
        let mut object = Object::default();
        set_text(&mut object, "User", self.user.as_deref());
        set_text(&mut object, "WorkingDir", self.working_dir.as_deref());
        set_text(&mut object, "StopSignal", self.stop_signal.as_deref());
        for (key, list) in [("Env", &self.env), ("Entrypoint", &self.entrypoint), ("Cmd", &self.cmd)] {
            if !list.is_empty() {
                object.set(key, Value::strings(list));
            }
        }
        for (key, names) in [("ExposedPorts", &self.exposed_ports), ("Volumes", &self.volumes)] {
            if !names.is_empty() {
                let mut set = Object::default();
                for name in names {
                    set.set(name.clone(), Value::Object(Object::default()));
                }
                object.set(key, Value::Object(set));
            }
        }
        if !self.labels.is_empty() {
            object.set("Labels", Value::map(&self.labels));
        }
        Value::Object(object)
    }
}

impl Contents {
    fn read(value: &Value<'_>) -> Read<Self> {
        let object = value.object()?;
        Ok(Self {
            platform: Platform::read_members(object)?,
            created: optional_text(object, "created")?,
            author: optional_text(object, "author")?,
            execution: object.or_default("config", Execution::read)?,
            diff_ids: object.required("rootfs", read_rootfs)?,
            history: object.or_default("history", |value| value.list(History::read))?,
        })
    }

    fn to_value(&self) -> Value<'static> {
        let mut rootfs = Object::default();
        rootfs.set("type", Value::text("layers"));
        let digests = self.diff_ids.iter().map(|digest| Value::text(digest.to_string()));
        rootfs.set("diff_ids", Value::Array(digests.collect()));
        let mut object = Object::default();
        self.platform.write(&mut object);
        set_text(&mut object, "created", self.created.as_deref());
        set_text(&mut object, "author", self.author.as_deref());
        object.set("config", self.execution.to_value());
        object.set("rootfs", Value::Object(rootfs));
        if !self.history.is_empty() {
            object.set("history", Value::Array(self.history.iter().map(History::to_value).collect()));
        }
        Value::Object(object)
    }
}

impl History {
    fn read(value: &Value<'_>) -> Read<Self> {
        let object = value.object()?;
        Ok(Self {
            created: optional_text(object, "created")?,
            created_by: optional_text(object, "created_by")?,
            author: optional_text(object, "author")?,
            comment: optional_text(object, "comment")?,
            empty_layer: object.or_default("empty_layer", Value::bool)?,
        })
    }

    fn to_value(&self) -> Value<'static> {
        let mut object = Object::default();
        set_text(&mut object, "created", self.created.as_deref());
        set_text(&mut object, "created_by", self.created_by.as_deref());
        set_text(&mut object, "author", self.author.as_deref());
        set_text(&mut object, "comment", self.comment.as_deref());
        if self.empty_layer {
            object.set("empty_layer", Value::Bool(true));
        }
        Value::Object(object)
    }
}

/// The members of which [`Contents`] and [`Execution`] speak.
const KNOWN: [&str; 10] =
    ["architecture", "os", "variant", "os.version", "os.features", "created", "author", "rootfs", "history", "config"];
const KNOWN_EXECUTION: [&str; 9] =
    ["User", "ExposedPorts", "Env", "Entrypoint", "Cmd", "Volumes", "WorkingDir", "Labels", "StopSignal"];

/// Adds the members of `old` that are not known.
fn keep_unknown(old: &Value<'_>, new: &mut Value<'static>, known: &[&str], inner: Option<&'static str>) {
    let (Value::Object(old), Value::Object(new)) = (old, new) else { return };
    for key in old.keys().filter(|key| !known.contains(key)) {
        if let Some(value) = old.get(key) {
            new.set(key.to_owned(), value.to_static());
        }
    }
    if let Some(key) = inner
        && let (Some(old), Some(new)) = (old.get(key), new.get_mut(key))
    {
        keep_unknown(old, new, &KNOWN_EXECUTION, None);
    }
}

fn read_rootfs(value: &Value<'_>) -> Read<Vec<Digest>> {
    let object = value.object()?;
    match object.required("type", Value::owned)?.as_str() {
        "layers" => object.or_default("diff_ids", |value| value.list(read_digest)),
        _ => Err(Fault::new("must be \"layers\"").within("type")),
    }
}

/// A set as Go's encoder has it: an object whose values are empty objects.
fn read_set(value: &Value<'_>) -> Read<Vec<String>> {
    let mut names: Vec<_> = value.object()?.keys().map(str::to_owned).collect();
    names.sort();
    Ok(names)
}

/// Go's encoder writes some unset texts as empty ones.
fn optional_text(object: &Object<'_>, key: &str) -> Read<Option<String>> {
    Ok(object.optional(key, Value::owned)?.filter(|text| !text.is_empty()))
}

fn set_text(object: &mut Object<'_>, key: &'static str, text: Option<&str>) {
    if let Some(text) = text {
        object.set(key, Value::text(text.to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contents() -> Contents {
        Contents {
            platform: Platform::linux("amd64"),
            created: Some(rfc3339(0)),
            execution: Execution {
                env: vec!["PATH=/usr/bin".into(), "A=1".into()],
                entrypoint: vec!["/app".into()],
                cmd: vec!["--serve".into()],
                exposed_ports: vec!["80/tcp".into(), "90/udp".into()],
                labels: [("k".to_owned(), "v\"\u{1}".to_owned())].into(),
                ..Execution::default()
            },
            diff_ids: vec![Digest::of(b"1"), Digest::of(b"2")],
            history: vec![History { created_by: Some("pack".into()), empty_layer: true, ..History::default() }],
            ..Contents::default()
        }
    }

    #[test]
    fn parse_inverts_build() {
        let built = ImageConfig::build(&contents()).unwrap();
        let read = ImageConfig::parse(built.raw().to_vec(), &Limits::DEFAULT).unwrap();
        assert_eq!(*read.contents(), contents());
        assert_eq!(read.execution().command_line().collect::<Vec<_>>(), ["/app", "--serve"]);
        let other: serde_json::Value = serde_json::from_slice(built.raw()).unwrap();
        assert_eq!(other.to_string().as_bytes(), built.raw(), "sorted keys, no space");
    }

    #[test]
    fn what_the_specification_does_not_name_survives_a_change() {
        let text = r#"{"os":"linux","architecture":"amd64","rootfs":{"type":"layers","diff_ids":[]},"x-own":[1.50],
            "config":{"Env":["A=1"],"Healthcheck":{"Test":["x"]},"User":"me"}}"#;
        let old = ImageConfig::parse(text, &Limits::DEFAULT).unwrap();
        let mut contents = old.contents().clone();
        contents.execution.user = None;
        contents.execution.cmd = vec!["b".into()];
        let new = old.change(&contents).unwrap();
        let text = String::from_utf8(new.raw().to_vec()).unwrap();
        assert!(text.contains(r#""x-own":[1.50]"#) && text.contains(r#""Healthcheck":{"Test":["x"]}"#), "{text}");
        assert!(!text.contains("User") && *new.contents() == contents, "{text}");
    }

    #[test]
    fn what_would_change_on_the_way_is_refused() {
        let mut unsorted = contents();
        unsorted.execution.exposed_ports.reverse();
        assert!(ImageConfig::build(&unsorted).is_err());
        let mut empty = contents();
        empty.author = Some(String::new());
        assert!(ImageConfig::build(&empty).is_err());
    }

    #[test]
    fn wrong_fields_are_named() {
        let sample = r#"{"os":"linux","architecture":"amd64","rootfs":{"type":"layers","diff_ids":[]}"#;
        for (text, message) in [
            (r#"{"os":"linux"}"#.to_owned(), "architecture: is missing"),
            (format!(r#"{sample},"config":{{"Env":["A=1",2]}}}}"#), "config.Env[1]: must be a string, is a number"),
            (
                format!(r#"{sample},"history":[{{"empty_layer":1}}]}}"#),
                "history[0].empty_layer: must be true or false, is a number",
            ),
            (format!("{sample}}}").replace("layers", "tree"), "rootfs.type: must be \"layers\""),
        ] {
            let error = ImageConfig::parse(text, &Limits::DEFAULT).unwrap_err().to_string();
            assert_eq!(error, format!("invalid image configuration at {message}"));
        }
        let nulls = format!(r#"{sample},"config":{{"Env":null,"Labels":null,"User":""}},"history":null}}"#);
        assert_eq!(ImageConfig::parse(nulls, &Limits::DEFAULT).unwrap().execution(), &Execution::default());
    }

    #[test]
    fn a_million_labels_are_refused_before_they_are_kept() {
        use std::fmt::Write as _;
        let mut labels = String::from(r#"{"config":{"Labels":{"#);
        for number in 0..1_000_000 {
            write!(labels, "\"{number}\":\"\",").unwrap();
        }
        let error = ImageConfig::parse(labels, &Limits::DEFAULT).unwrap_err();
        assert!(matches!(error, crate::Error::LimitExceeded { limit: "document", .. }), "{error}");
    }
}
