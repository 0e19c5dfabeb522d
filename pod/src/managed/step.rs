//! The steps of which paths to managed fields are made, as `fieldsV1` spells them.
//!
//! Source: `sigs.k8s.io/structured-merge-diff/fieldpath`.

use std::collections::BTreeMap;
use std::fmt;

use crate::wire::tree::Tree;

/// A value that tells elements of a list apart, as JSON.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Scalar(String);

/// One step from a value to what it holds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    Field(String),
    /// The element with these values in its key fields, sorted by name.
    Key(Vec<(String, Scalar)>),
    /// The element that is this value.
    Value(Scalar),
    Index(usize),
}

impl Scalar {
    /// `None` for a list or a map.
    pub(super) fn of(value: &Tree) -> Option<Self> {
        match value {
            Tree::List(_) | Tree::Map(_) => None,
            scalar => Some(Self(scalar.to_json())),
        }
    }

    fn to_tree(&self) -> Tree {
        Tree::parse(&self.0).unwrap_or(Tree::Null)
    }
}

impl Step {
    /// The step that a name in `fieldsV1` stands for; `None` for one that is not known.
    pub(super) fn parse(name: &str) -> Option<Self> {
        let (kind, rest) = name.split_once(':')?;
        match kind {
            "f" => Some(Self::Field(rest.to_owned())),
            "v" => Scalar::of(&Tree::parse(rest).ok()?).map(Self::Value),
            "i" => rest.parse().ok().map(Self::Index),
            "k" => {
                let keys = Tree::parse(rest).ok()?;
                let keys = keys.as_map()?.iter().map(|(name, value)| Some((name.clone(), Scalar::of(value)?)));
                keys.collect::<Option<_>>().map(Self::Key)
            }
            _ => None,
        }
    }

    /// The name in `fieldsV1`.
    pub(super) fn encode(&self) -> String {
        match self {
            Self::Field(name) => format!("f:{name}"),
            Self::Value(Scalar(value)) => format!("v:{value}"),
            Self::Index(index) => format!("i:{index}"),
            Self::Key(keys) => {
                let keys: BTreeMap<_, _> = keys.iter().map(|(name, value)| (name.clone(), value.to_tree())).collect();
                format!("k:{}", Tree::Map(keys).to_json())
            }
        }
    }
}

/// As error messages show it: `.spec`, `[name="web"]`.
impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(name) => write!(f, ".{name}"),
            Self::Value(Scalar(value)) => write!(f, "[={value}]"),
            Self::Index(index) => write!(f, "[{index}]"),
            Self::Key(keys) => {
                f.write_str("[")?;
                for (index, (name, Scalar(value))) in keys.iter().enumerate() {
                    write!(f, "{}{name}={value}", if index > 0 { "," } else { "" })?;
                }
                f.write_str("]")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Step;

    #[test]
    fn steps_are_spelled_as_in_managed_fields() {
        for (name, shown) in [
            ("f:spec", ".spec"),
            (r#"k:{"containerPort":80,"protocol":"TCP"}"#, r#"[containerPort=80,protocol="TCP"]"#),
            (r#"v:"kubernetes""#, r#"[="kubernetes"]"#),
            ("i:3", "[3]"),
        ] {
            let step = Step::parse(name).unwrap();
            assert_eq!((step.encode().as_str(), step.to_string().as_str()), (name, shown));
        }
        for name in ["spec", "x:spec", "k:[]", "i:-1", "v:{}"] {
            assert_eq!(Step::parse(name), None, "{name}");
        }
    }
}
