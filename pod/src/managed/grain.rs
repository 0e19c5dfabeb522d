//! How values of a type are taken apart when several own them.

use super::step::{Scalar, Step};
use crate::patch::schema::{self, ListKind};
use crate::wire::record::Shape;
use crate::wire::tree::Tree;

/// How finely the values at one place are taken apart, as the tables say.
#[derive(Debug, Clone, Copy)]
pub(super) struct Grain {
    /// The fields of a map, or of the elements of a list; `None` for plain values.
    shape: Option<&'static Shape>,
    list: ListKind,
    /// A map is one value, whatever it holds.
    atomic: bool,
}

/// Why an element of a list cannot be told from the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unkeyed {
    #[error("associative list with keys may not have a non-map element")]
    NoMap,
    #[error("associative list with keys has an element that omits key field {0:?} (and doesn't have default value)")]
    Missing(&'static str),
    #[error("associative list without keys has an element that's a map or list type")]
    NoScalar,
}

impl Grain {
    pub(super) fn of_object(shape: &'static Shape) -> Self {
        Self { shape: Some(shape), list: ListKind::Atomic, atomic: false }
    }

    /// The type has a field of this name.
    pub(super) fn declares(self, name: &str) -> bool {
        self.shape.is_some_and(|shape| shape.fields.iter().any(|field| field.name == name))
    }

    /// Names are fields, and others than these may not be.
    pub(super) fn is_record(self) -> bool {
        self.shape.is_some()
    }

    pub(super) fn is_atomic(self) -> bool {
        self.atomic
    }

    pub(super) fn list(self) -> ListKind {
        self.list
    }

    pub(super) fn of_field(self, name: &str) -> Self {
        let field = self.shape.and_then(|shape| {
            let field = shape.fields.iter().find(|field| field.name == name)?;
            let inner = (field.element)();
            let atomic = schema::is_applied_whole(shape.name, name, inner.map(|inner| inner.name));
            Some(Self { shape: inner, list: schema::applied_list(shape.name, name), atomic })
        });
        field.unwrap_or(Self { shape: None, list: ListKind::Atomic, atomic: false })
    }

    pub(super) fn of_element(self) -> Self {
        Self { list: ListKind::Atomic, ..self }
    }

    pub(super) fn of_step(self, step: &Step) -> Self {
        match step {
            Step::Field(name) => self.of_field(name),
            Step::Key(_) | Step::Value(_) | Step::Index(_) => self.of_element(),
        }
    }

    /// The step to an element of a list whose elements are told apart.
    pub(super) fn step(self, index: usize, element: &Tree) -> Result<Step, Unkeyed> {
        match self.list {
            ListKind::Atomic => Ok(Step::Index(index)),
            ListKind::Set => Scalar::of(element).map(Step::Value).ok_or(Unkeyed::NoScalar),
            ListKind::Map(keys) => {
                let map = element.as_map().ok_or(Unkeyed::NoMap)?;
                let key = |name: &'static str| {
                    let default = schema::key_default(name).map(|text| Tree::Text(text.to_owned()));
                    let value = map.get(name).cloned().or(default).ok_or(Unkeyed::Missing(name))?;
                    Ok((name.to_owned(), Scalar::of(&value).ok_or(Unkeyed::Missing(name))?))
                };
                let mut keys: Vec<_> = keys.iter().map(|name| key(name)).collect::<Result<_, Unkeyed>>()?;
                keys.sort();
                Ok(Step::Key(keys))
            }
        }
    }
}
