//! From text to objects.

use crate::error::{Error, Problem, Result};
use crate::kinds::Kind;
use crate::object::{Object, protobuf};
use crate::wire::json::Lexer;
use crate::wire::limits::Limits;
use crate::wire::places::Places;
use crate::wire::reader::{Reader, Source};
use crate::wire::record;
use crate::wire::token;
use crate::wire::yaml::Documents;

/// What a decoder does about unknown and duplicate fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Strictness {
    /// It keeps unknown fields and takes the last of duplicates.
    #[default]
    Lenient,
    /// It fails with [`Error::Strict`], which lists all of them.
    Strict,
}

/// An object and what its text tells besides it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Decoded {
    /// The object.
    pub object: Object,
    /// Unknown and duplicate fields, in the order of the text.
    pub problems: Vec<Problem>,
    /// Where each field stands.
    pub places: Places,
}

/// Decodes texts to objects.
///
/// ```
/// use windlass_pod::{Decoder, Error, Strictness};
///
/// let text = b"{apiVersion: v1, kind: ConfigMap, metadata: {name: a}, dta: {}}";
/// let error = Decoder::new(Strictness::Strict).yaml(text).unwrap_err();
/// assert_eq!(error.to_string(), r#"1:61: unknown field "dta""#);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Decoder {
    strictness: Strictness,
    limits: Limits,
}

/// The object in a JSON text; unknown fields are kept.
///
/// # Errors
/// [`Error`] says where the text is wrong.
pub fn decode_json(text: &[u8]) -> Result<Object> {
    Ok(Decoder::default().json(text)?.object)
}

/// The object of a known kind in a JSON text, which need not name its kind; unknown fields are kept.
///
/// # Errors
/// [`Error`] says where the text is wrong.
pub fn decode_json_as<K: Kind>(text: &[u8]) -> Result<K> {
    Decoder::default().json_as(text)
}

/// The objects in a YAML stream, those of lists one by one; unknown fields are kept.
///
/// # Errors
/// [`Error`] says where the text is wrong.
pub fn decode_yaml(text: &[u8]) -> Result<Vec<Object>> {
    Ok(Decoder::default().yaml(text)?.into_iter().map(|decoded| decoded.object).collect())
}

/// The object of a known kind in a YAML text of one document, which need not name its kind; unknown fields are kept.
///
/// # Errors
/// [`Error`] says where the text is wrong.
pub fn decode_yaml_as<K: Kind>(text: &[u8]) -> Result<K> {
    Decoder::default().yaml_as(text)
}

/// The object in Kubernetes' protobuf; fields with numbers that its kind does not have are passed over.
///
/// # Errors
/// [`Error`] says where the bytes are wrong.
pub fn decode_protobuf(bytes: &[u8]) -> Result<Object> {
    Decoder::new(Strictness::Lenient).protobuf(bytes)
}

impl Decoder {
    /// A decoder with the default limits.
    pub fn new(strictness: Strictness) -> Self {
        Self { strictness, limits: Limits::default() }
    }

    /// The same decoder with other limits.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// The object in a JSON text.
    ///
    /// # Errors
    /// [`Error`] says where the text is wrong.
    pub fn json(&self, text: &[u8]) -> Result<Decoded> {
        let mut reader = self.reader(Source::Json(Lexer::new(self.check(text)?)), text);
        let object = object(&mut reader, None)?;
        reader.end()?;
        self.decoded(object, reader)
    }

    /// The object in Kubernetes' protobuf, envelope and all.
    ///
    /// # Errors
    /// [`Error`] says where the bytes are wrong; a strict decoder refuses fields with numbers that the kind has not.
    pub fn protobuf(&self, bytes: &[u8]) -> Result<Object> {
        let (object, unknown) = protobuf::envelope(bytes, self.limits)?;
        match unknown.first() {
            Some((number, offset)) if self.strictness == Strictness::Strict => {
                Err(Error::Protobuf { path: String::new(), offset: *offset, reason: format!("unknown field {number}") })
            }
            _ => Ok(object),
        }
    }

    /// The object of a known kind in a JSON text, which need not name its kind.
    ///
    /// # Errors
    /// [`Error`] says where the text is wrong.
    pub fn json_as<K: Kind>(&self, text: &[u8]) -> Result<K> {
        self.one(self.reader(Source::Json(Lexer::new(self.check(text)?)), text))
    }

    /// The object of a known kind in a YAML text of one document, which need not name its kind.
    ///
    /// # Errors
    /// [`Error`] says where the text is wrong.
    pub fn yaml_as<K: Kind>(&self, text: &[u8]) -> Result<K> {
        let mut documents = Documents::new(self.check(text)?, self.limits);
        let document = documents.next_document().ok_or(Error::KindMissing { field: "kind" })?;
        self.one(self.reader(Source::Yaml(document?), text))
    }

    fn one<K: Kind>(&self, mut reader: Reader<'_>) -> Result<K> {
        let names = type_meta(&mut reader)?;
        if let Some(kind) = names.kind.filter(|kind| kind != K::KIND) {
            return Err(Error::KindMismatch { expected: K::KIND, found: kind });
        }
        let mut object = K::default();
        record::read(&mut object, &mut reader)?;
        agrees(object.named(), K::API_VERSION, K::KIND)?;
        reader.end()?;
        let (problems, _) = reader.finish();
        self.judge(&problems)?;
        Ok(object)
    }

    /// The objects in a YAML stream, or a JSON text, with the places of their fields; those of a list come one by one.
    ///
    /// # Errors
    /// [`Error`] says where the text is wrong.
    pub fn yaml(&self, text: &[u8]) -> Result<Vec<Decoded>> {
        let mut documents = Documents::new(self.check(text)?, self.limits);
        let mut objects = Vec::new();
        // All documents together are one text.
        let mut memory = 0;
        while let Some(document) = documents.next_document() {
            let mut reader = self.reader(Source::Yaml(document?), text).with_places();
            reader.charge(memory)?;
            let names = type_meta(&mut reader)?;
            if let Some(item) = names.list_of() {
                self.list(&mut reader, &item, &mut objects)?;
                memory = reader.memory();
            } else {
                let object = object(&mut reader, None)?;
                memory = reader.memory();
                objects.push(self.decoded(object, reader)?);
            }
        }
        Ok(objects)
    }

    /// The items of a list; what else the list has is passed over.
    fn list(&self, reader: &mut Reader<'_>, item: &TypeMeta, objects: &mut Vec<Decoded>) -> Result<()> {
        reader.enter_map()?;
        while let Some(key) = reader.next_key()? {
            if key != "items" || reader.peek()? == token::Kind::Null {
                reader.skip()?;
                continue;
            }
            reader.enter_list()?;
            while reader.next_item()? {
                let object = object(reader, Some(item))?;
                let (problems, places) = reader.take_notes();
                self.judge(&problems)?;
                objects.push(Decoded { object, problems, places });
            }
        }
        Ok(())
    }

    fn check<'a>(&self, text: &'a [u8]) -> Result<&'a str> {
        if text.len() > self.limits.size {
            return Err(Error::LimitExceeded { limit: "size of the text in bytes", maximum: self.limits.size });
        }
        std::str::from_utf8(text).map_err(|error| Error::Syntax {
            position: Lexer::new(std::str::from_utf8(&text[..error.valid_up_to()]).unwrap_or_default())
                .position(error.valid_up_to()),
            reason: "the text is not UTF-8".to_owned(),
        })
    }

    fn reader<'a>(&self, source: Source<'a>, text: &[u8]) -> Reader<'a> {
        Reader::new(source, self.limits, text.len())
    }

    fn decoded(&self, object: Object, reader: Reader<'_>) -> Result<Decoded> {
        let (problems, places) = reader.finish();
        self.judge(&problems)?;
        Ok(Decoded { object, problems, places })
    }

    fn judge(&self, problems: &[Problem]) -> Result<()> {
        if self.strictness == Strictness::Strict && !problems.is_empty() {
            return Err(Error::Strict { problems: problems.to_vec() });
        }
        Ok(())
    }
}

/// What an object says that it is.
#[derive(Debug, Default, Clone)]
struct TypeMeta {
    api_version: Option<String>,
    kind: Option<String>,
}

impl TypeMeta {
    /// What the items are if this is a list: anything for `List`, one kind for `PodList`.
    fn list_of(&self) -> Option<TypeMeta> {
        let kind = self.kind.as_deref()?.strip_suffix("List")?;
        let item = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let api_version = if kind.is_empty() { None } else { self.api_version.clone() };
        Some(TypeMeta { api_version, kind: item(kind) })
    }
}

/// Looks ahead for the names of the kind; in most texts they stand first.
fn type_meta(reader: &mut Reader<'_>) -> Result<TypeMeta> {
    let mark = reader.mark();
    let mut names = TypeMeta::default();
    reader.enter_map()?;
    while let Some(key) = reader.next_key()? {
        let slot = match &*key {
            "apiVersion" => &mut names.api_version,
            "kind" => &mut names.kind,
            _ => {
                reader.skip()?;
                continue;
            }
        };
        *slot = if reader.take_null()? { None } else { Some(reader.string()?.into_owned()) };
        if names.api_version.is_some() && names.kind.is_some() {
            break;
        }
    }
    reader.reset(mark);
    Ok(names)
}

fn object(reader: &mut Reader<'_>, default: Option<&TypeMeta>) -> Result<Object> {
    let names = type_meta(reader)?;
    let or_default = |name: Option<String>, default: Option<&String>| {
        name.filter(|name| !name.is_empty()).or_else(|| default.cloned())
    };
    let api_version = or_default(names.api_version, default.and_then(|names| names.api_version.as_ref()))
        .ok_or(Error::KindMissing { field: "apiVersion" })?;
    let kind = or_default(names.kind, default.and_then(|names| names.kind.as_ref()))
        .ok_or(Error::KindMissing { field: "kind" })?;
    let mut object = Object::empty(&api_version, &kind)?;
    reader.charge(size_of_val(object.record()) + size_of::<Decoded>())?;
    reader.note_start()?;
    record::read(object.record_mut(), reader)?;
    agrees(object.named(), object.api_version(), object.kind())?;
    Ok(object)
}

/// A field that stands twice may not name two kinds: readers would disagree on what the object is.
fn agrees([api_version, kind]: [Option<&str>; 2], expected_version: &str, expected: &'static str) -> Result<()> {
    let other = |named: Option<&str>, expected: &str| {
        named.filter(|named| !named.is_empty() && *named != expected).map(str::to_owned)
    };
    if let Some(found) = other(kind, expected) {
        return Err(Error::KindMismatch { expected, found });
    }
    if let Some(api_version) = other(api_version, expected_version) {
        return Err(Error::KindUnknown { api_version, kind: expected.to_owned() });
    }
    Ok(())
}
