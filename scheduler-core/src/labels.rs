//! Label sets and the selectors over them, in interned form.

use crate::intern::{Interner, Symbol};

/// A set of labels, sorted by key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Labels(Box<[(Symbol, Symbol)]>);

impl Labels {
    /// A label set from pairs with distinct keys.
    pub(crate) fn new(mut pairs: Vec<(Symbol, Symbol)>) -> Self {
        pairs.sort_unstable();
        Self(pairs.into())
    }

    pub(crate) fn get(&self, key: Symbol) -> Option<Symbol> {
        self.0.binary_search_by_key(&key, |pair| pair.0).ok().map(|index| self.0[index].1)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The pairs of keys and values.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Symbol, Symbol)> + '_ {
        self.0.iter().copied()
    }
}

/// One condition on a label.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Requirement {
    In(Symbol, Box<[Symbol]>),
    NotIn(Symbol, Box<[Symbol]>),
    Exists(Symbol),
    DoesNotExist(Symbol),
}

impl Requirement {
    fn matches(&self, labels: &Labels) -> bool {
        match self {
            Self::In(key, values) => labels.get(*key).is_some_and(|value| values.contains(&value)),
            Self::NotIn(key, values) => labels.get(*key).is_none_or(|value| !values.contains(&value)),
            Self::Exists(key) => labels.get(*key).is_some(),
            Self::DoesNotExist(key) => labels.get(*key).is_none(),
        }
    }
}

/// A label selector. An absent one selects nothing, an empty one everything: the two are kept apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Selector {
    Nothing,
    All(Box<[Requirement]>),
}

impl Selector {
    pub(crate) fn matches(&self, labels: &Labels) -> bool {
        match self {
            Self::Nothing => false,
            Self::All(requirements) => requirements.iter().all(|requirement| requirement.matches(labels)),
        }
    }

    /// Whether the selector was given without any condition.
    pub(crate) fn is_empty(&self) -> bool {
        matches!(self, Self::All(requirements) if requirements.is_empty())
    }

    /// The selector with further conditions. Nothing becomes exactly the further conditions, as upstream merges them.
    pub(crate) fn and(self, further: Vec<Requirement>) -> Self {
        if further.is_empty() {
            return self;
        }
        let mut requirements = match self {
            Self::Nothing => Vec::new(),
            Self::All(requirements) => requirements.into_vec(),
        };
        requirements.extend(further);
        Self::All(requirements.into())
    }
}

/// One condition of a node selector term.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum NodeRequirement {
    Label(Requirement),
    GreaterThan(Symbol, i64),
    LessThan(Symbol, i64),
    NameIn(Box<[Symbol]>),
    NameNotIn(Box<[Symbol]>),
}

/// A node selector term: all conditions hold. A term without any selects no node.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct NodeTerm(pub(crate) Box<[NodeRequirement]>);

impl NodeTerm {
    pub(crate) fn matches(&self, name: Symbol, labels: &Labels, interner: &Interner) -> bool {
        let number = |key: Symbol| labels.get(key).and_then(|value| interner.integer(value));
        !self.0.is_empty()
            && self.0.iter().all(|requirement| match requirement {
                NodeRequirement::Label(requirement) => requirement.matches(labels),
                NodeRequirement::GreaterThan(key, bound) => number(*key).is_some_and(|value| value > *bound),
                NodeRequirement::LessThan(key, bound) => number(*key).is_some_and(|value| value < *bound),
                NodeRequirement::NameIn(names) => names.contains(&name),
                NodeRequirement::NameNotIn(names) => !names.contains(&name),
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_follow_the_table() {
        let mut interner = Interner::default();
        let mut s = |text: &str| interner.intern(text);
        let (app, tier, web, db) = (s("app"), s("tier"), s("web"), s("db"));
        let labels = Labels::new(vec![(app, web)]);
        let all = |requirements: Vec<Requirement>| Selector::All(requirements.into());
        for (selector, expected) in [
            (Selector::Nothing, false),
            (all(vec![]), true),
            (all(vec![Requirement::In(app, [web, db].into())]), true),
            (all(vec![Requirement::In(app, [db].into())]), false),
            (all(vec![Requirement::In(tier, [db].into())]), false),
            (all(vec![Requirement::NotIn(app, [web].into())]), false),
            (all(vec![Requirement::NotIn(tier, [web].into())]), true),
            (all(vec![Requirement::Exists(app), Requirement::DoesNotExist(tier)]), true),
            (all(vec![Requirement::Exists(tier)]), false),
            (all(vec![Requirement::DoesNotExist(app)]), false),
            (Selector::Nothing.and(vec![Requirement::Exists(app)]), true),
            (Selector::Nothing.and(vec![]), false),
        ] {
            assert_eq!(selector.matches(&labels), expected, "{selector:?}");
        }
    }

    #[test]
    fn node_terms_compare_integers_and_names() {
        let mut interner = Interner::default();
        let (rank, five, word, name) =
            (interner.intern("rank"), interner.intern("5"), interner.intern("x"), interner.intern("n1"));
        let node = Labels::new(vec![(rank, five)]);
        let odd = Labels::new(vec![(rank, word)]);
        let term = |requirement| NodeTerm([requirement].into());
        for (term, labels, expected) in [
            (NodeTerm([].into()), &node, false),
            (term(NodeRequirement::GreaterThan(rank, 4)), &node, true),
            (term(NodeRequirement::GreaterThan(rank, 5)), &node, false),
            (term(NodeRequirement::LessThan(rank, 6)), &node, true),
            (term(NodeRequirement::LessThan(rank, 6)), &odd, false),
            (term(NodeRequirement::NameIn([name].into())), &node, true),
            (term(NodeRequirement::NameNotIn([name].into())), &node, false),
        ] {
            assert_eq!(term.matches(name, labels, &interner), expected, "{term:?}");
        }
    }
}
