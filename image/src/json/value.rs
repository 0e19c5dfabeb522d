//! Values, and reading typed fields from them.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::error::Fault;

type Read<T> = Result<T, Fault>;

/// A JSON value; numbers stay as they are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    Null,
    Bool(bool),
    Number(Cow<'a, str>),
    String(Cow<'a, str>),
    Array(Vec<Value<'a>>),
    Object(Object<'a>),
}

/// An object's members in the order of the document; no two have the same key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Object<'a>(pub(super) Vec<(Cow<'a, str>, Value<'a>)>);

impl<'a> Value<'a> {
    pub(crate) fn string(&self) -> Read<&str> {
        match self {
            Value::String(text) => Ok(text),
            other => Err(other.instead_of("a string")),
        }
    }

    pub(crate) fn owned(&self) -> Read<String> {
        self.string().map(str::to_owned)
    }

    pub(crate) fn bool(&self) -> Read<bool> {
        match self {
            Value::Bool(value) => Ok(*value),
            other => Err(other.instead_of("true or false")),
        }
    }

    pub(crate) fn unsigned(&self) -> Read<u64> {
        match self {
            Value::Number(text) => text.parse().map_err(|_| Fault::new("must be a whole number from 0 to 2^64-1")),
            other => Err(other.instead_of("a number")),
        }
    }

    pub(crate) fn object(&self) -> Read<&Object<'a>> {
        match self {
            Value::Object(object) => Ok(object),
            other => Err(other.instead_of("an object")),
        }
    }

    pub(crate) fn list<T>(&self, read: impl Fn(&Value<'a>) -> Read<T>) -> Read<Vec<T>> {
        match self {
            Value::Array(values) => {
                let mut list = Vec::with_capacity(values.len());
                for (position, value) in values.iter().enumerate() {
                    list.push(read(value).map_err(|fault| fault.within(&format!("[{position}]")))?);
                }
                Ok(list)
            }
            other => Err(other.instead_of("an array")),
        }
    }

    /// An object whose values are all strings, such as annotations and labels.
    pub(crate) fn string_map(&self) -> Read<BTreeMap<String, String>> {
        let entries = self.object()?.0.iter();
        entries.map(|(key, value)| Ok((key.to_string(), value.owned().map_err(|fault| fault.within(key))?))).collect()
    }

    pub(crate) fn text(text: impl Into<Cow<'a, str>>) -> Self {
        Value::String(text.into())
    }

    pub(crate) fn number(number: u64) -> Self {
        Value::Number(number.to_string().into())
    }

    pub(crate) fn strings<'s>(strings: impl IntoIterator<Item = &'s String>) -> Self {
        Value::Array(strings.into_iter().map(|text| Value::text(text.clone())).collect())
    }

    pub(crate) fn map<'s>(map: impl IntoIterator<Item = (&'s String, &'s String)>) -> Self {
        let mut object = Object::default();
        for (key, value) in map {
            object.set(key.clone(), Value::text(value.clone()));
        }
        Value::Object(object)
    }

    /// The same, borrowing nothing.
    pub(crate) fn to_static(&self) -> Value<'static> {
        let own = |text: &Cow<'_, str>| Cow::Owned(text.to_string());
        match self {
            Value::Null => Value::Null,
            Value::Bool(value) => Value::Bool(*value),
            Value::Number(text) => Value::Number(own(text)),
            Value::String(text) => Value::String(own(text)),
            Value::Array(values) => Value::Array(values.iter().map(Value::to_static).collect()),
            Value::Object(object) => {
                Value::Object(Object(object.0.iter().map(|(key, value)| (own(key), value.to_static())).collect()))
            }
        }
    }

    fn instead_of(&self, wanted: &str) -> Fault {
        let found = match self {
            Value::Null => "null",
            Value::Bool(_) => "true or false",
            Value::Number(_) => "a number",
            Value::String(_) => "a string",
            Value::Array(_) => "an array",
            Value::Object(_) => "an object",
        };
        Fault::new(format!("must be {wanted}, is {found}"))
    }
}

impl<'a> Object<'a> {
    pub(crate) fn get(&self, key: &str) -> Option<&Value<'a>> {
        self.0.iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    pub(crate) fn get_mut(&mut self, key: &str) -> Option<&mut Value<'a>> {
        self.0.iter_mut().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    pub(crate) fn set(&mut self, key: impl Into<Cow<'a, str>>, value: Value<'a>) {
        let key = key.into();
        match self.get_mut(&key) {
            Some(slot) => *slot = value,
            None => self.0.push((key, value)),
        }
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_ref())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn required<T>(&self, key: &str, read: impl FnOnce(&Value<'a>) -> Read<T>) -> Read<T> {
        self.optional(key, read)?.ok_or_else(|| Fault::new("is missing").within(key))
    }

    /// Absent and `null` are the same: encoders of other languages write an unset list as `null`.
    pub(crate) fn optional<T>(&self, key: &str, read: impl FnOnce(&Value<'a>) -> Read<T>) -> Read<Option<T>> {
        match self.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => read(value).map(Some).map_err(|fault| fault.within(key)),
        }
    }

    pub(crate) fn or_default<T: Default>(&self, key: &str, read: impl FnOnce(&Value<'a>) -> Read<T>) -> Read<T> {
        Ok(self.optional(key, read)?.unwrap_or_default())
    }
}
