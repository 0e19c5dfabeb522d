//! The wire layer: one reader and one writer for all kinds, over the tables in [`kinds`](crate::kinds).

mod collection;
pub(crate) mod input;
pub(crate) mod json;
pub(crate) mod limits;
pub(crate) mod message;
pub(crate) mod path;
pub(crate) mod places;
pub(crate) mod raw;
pub(crate) mod reader;
pub(crate) mod record;
pub(crate) mod scalar;
mod scalar_message;
pub(crate) mod scalar_yaml;
pub(crate) mod semantic;
pub(crate) mod table;
pub(crate) mod text;
pub(crate) mod time;
pub(crate) mod token;
pub(crate) mod tree;
pub(crate) mod value;
pub(crate) mod writer;
pub(crate) mod yaml;
