//! Kubernetes objects and their behaviour without a cluster.
#![forbid(unsafe_code)]

pub mod backoff;
mod condition;
pub mod defaults;
pub mod endpoints;
mod error;
pub mod kinds;
pub mod lifecycle;
pub mod names;
pub mod probe;
pub mod quantity;
pub mod replication;
pub mod resources;
pub mod selector;
pub mod status;
mod validate;
mod violation;
mod wire;

pub use error::{Error, Position, Problem, ProblemKind, Result};
#[doc(no_inline)]
pub use kinds::*;
pub use quantity::{ParseQuantityError, Quantity};
pub use selector::{FieldSelector, Selector, SelectorError};
pub use validate::validate;
pub use violation::{Violation, ViolationKind};
pub use wire::decode::{Decoded, Decoder, Strictness, decode_json, decode_json_as, decode_yaml, decode_yaml_as};
pub use wire::kind::Kind;
pub use wire::limits::Limits;
pub use wire::object::{Object, encode_json, encode_yaml};
pub use wire::places::Places;
pub use wire::raw::{Raw, Unknown};
pub use wire::record::{FieldInfo, Presence, Record, Shape, Value};
pub use wire::scalar::{Bytes, IntOrString};
pub use wire::time::{MicroTime, ParseTimeError, Time};
pub use wire::writer::Style;
