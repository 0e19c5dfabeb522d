//! JSON as a tree, for what works on documents whatever their kind: patches and the fields that somebody manages.

use std::collections::BTreeMap;
use std::fmt;

use crate::error::Result;
use crate::wire::json::Lexer;
use crate::wire::limits::Limits;
use crate::wire::reader::{Reader, Source};
use crate::wire::token::Kind;
use crate::wire::writer::push_json_string;

/// A JSON value; numbers keep their spelling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Tree {
    Null,
    Bool(bool),
    Number(Box<str>),
    Text(String),
    List(Vec<Tree>),
    Map(BTreeMap<String, Tree>),
}

/// What is open while a tree grows.
enum Open {
    List(Vec<Tree>),
    Map(BTreeMap<String, Tree>, String),
}

impl Tree {
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let mut reader = Reader::new(Source::Json(Lexer::new(text)), Limits::default(), text.len());
        let tree = Self::read(&mut reader)?;
        reader.end()?;
        Ok(tree)
    }

    /// Takes the next value, whatever it is; of fields that stand twice the last one counts.
    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self> {
        let mut open: Vec<Open> = Vec::new();
        loop {
            let mut value = match reader.peek()? {
                Kind::Null => {
                    reader.take_null()?;
                    Self::Null
                }
                Kind::Bool => Self::Bool(reader.bool()?),
                Kind::Number => Self::Number(reader.number()?.into()),
                Kind::String => Self::Text(reader.string()?.into_owned()),
                Kind::List => {
                    reader.enter_list()?;
                    if reader.next_item()? {
                        open.push(Open::List(Vec::new()));
                        continue;
                    }
                    Self::List(Vec::new())
                }
                Kind::Map => {
                    reader.enter_map()?;
                    if let Some(key) = reader.next_key()? {
                        open.push(Open::Map(BTreeMap::new(), key.into_owned()));
                        continue;
                    }
                    Self::Map(BTreeMap::new())
                }
            };
            loop {
                match open.pop() {
                    None => return Ok(value),
                    Some(Open::List(mut list)) => {
                        list.push(value);
                        if reader.next_item()? {
                            open.push(Open::List(list));
                            break;
                        }
                        value = Self::List(list);
                    }
                    Some(Open::Map(mut map, key)) => {
                        map.insert(key, value);
                        if let Some(key) = reader.next_key()? {
                            open.push(Open::Map(map, key.into_owned()));
                            break;
                        }
                        value = Self::Map(map);
                    }
                }
            }
        }
    }

    pub(crate) fn as_map(&self) -> Option<&BTreeMap<String, Tree>> {
        if let Self::Map(map) = self { Some(map) } else { None }
    }

    pub(crate) fn as_list(&self) -> Option<&[Tree]> {
        if let Self::List(list) = self { Some(list) } else { None }
    }

    pub(crate) fn as_text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Tree> {
        self.as_map()?.get(key)
    }

    /// The value as compact JSON, the fields sorted by name.
    pub(crate) fn to_json(&self) -> String {
        let mut out = String::new();
        self.write(&mut out);
        out
    }

    /// The depth is that of what was read, which the limits bound.
    fn write(&self, out: &mut String) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Self::Number(text) => out.push_str(text),
            Self::Text(text) => push_json_string(out, text),
            Self::List(list) => {
                out.push('[');
                for (index, value) in list.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    value.write(out);
                }
                out.push(']');
            }
            Self::Map(map) => {
                out.push('{');
                for (index, (key, value)) in map.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    push_json_string(out, key);
                    out.push(':');
                    value.write(out);
                }
                out.push('}');
            }
        }
    }
}

/// As Go prints a value with `%v`.
impl fmt::Display for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("<nil>"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Number(text) => f.write_str(text),
            Self::Text(text) => f.write_str(text),
            Self::List(list) => {
                f.write_str("[")?;
                for (index, value) in list.iter().enumerate() {
                    write!(f, "{}{value}", if index > 0 { " " } else { "" })?;
                }
                f.write_str("]")
            }
            Self::Map(map) => {
                f.write_str("map[")?;
                for (index, (key, value)) in map.iter().enumerate() {
                    write!(f, "{}{key}:{value}", if index > 0 { " " } else { "" })?;
                }
                f.write_str("]")
            }
        }
    }
}
