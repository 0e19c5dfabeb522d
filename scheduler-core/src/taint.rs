//! Taints of nodes, and the tolerations of pods that they keep away otherwise.

use crate::intern::Symbol;

/// What a taint does to pods that do not tolerate it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum TaintEffect {
    NoSchedule,
    PreferNoSchedule,
    NoExecute,
}

/// A taint of a node.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Taint {
    pub(crate) key: Symbol,
    pub(crate) value: Symbol,
    pub(crate) effect: TaintEffect,
}

/// A toleration; `None` matches every key, value or effect.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Toleration {
    pub(crate) key: Option<Symbol>,
    pub(crate) value: Option<Symbol>,
    pub(crate) effect: Option<TaintEffect>,
}

impl Toleration {
    pub(crate) fn tolerates(&self, taint: &Taint) -> bool {
        self.effect.is_none_or(|effect| effect == taint.effect)
            && self.key.is_none_or(|key| key == taint.key)
            && self.value.is_none_or(|value| value == taint.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intern::Interner;

    #[test]
    fn tolerations_follow_the_table() {
        let mut interner = Interner::default();
        let (key, value, other) = (interner.intern("dedicated"), interner.intern("a"), interner.intern("b"));
        let taint = Taint { key, value, effect: TaintEffect::NoSchedule };
        for (key, value, effect, expected) in [
            (Some(key), Some(value), Some(TaintEffect::NoSchedule), true),
            (Some(key), Some(value), None, true),
            (Some(key), None, None, true),
            (None, None, None, true),
            (Some(key), Some(other), None, false),
            (Some(other), None, None, false),
            (Some(key), None, Some(TaintEffect::NoExecute), false),
        ] {
            assert_eq!(Toleration { key, value, effect }.tolerates(&taint), expected, "{key:?} {value:?} {effect:?}");
        }
    }
}
