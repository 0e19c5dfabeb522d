//! Strings as small integers: every label key, label value, namespace, taint and image name is stored once.
//!
//! A [`Symbol`] is only compared for equality or used to order storage; no decision depends on its number, except that
//! the numbers themselves follow from the order of events and are therefore the same in every replay.

use std::sync::Arc;

use crate::shared::{Atlas, Pages};

/// An interned string.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Symbol(u32);

/// The table of interned strings. It only grows: distinct label values of a cluster's lifetime stay.
#[derive(Clone, Debug, Default)]
pub(crate) struct Interner {
    index: Atlas<Arc<str>, Symbol>,
    entries: Pages<Option<Entry>>,
}

#[derive(Clone, Debug)]
struct Entry {
    text: Arc<str>,
    /// The value that `Gt` and `Lt` compare, parsed once.
    integer: Option<i64>,
}

impl Interner {
    pub(crate) fn intern(&mut self, text: &str) -> Symbol {
        if let Some(symbol) = self.index.get(text) {
            return *symbol;
        }
        let symbol = Symbol(u32::try_from(self.entries.len()).expect("fewer than 2^32 distinct strings fit in memory"));
        let text: Arc<str> = text.into();
        self.index.insert(Arc::clone(&text), symbol);
        self.entries.push(Some(Entry { integer: text.parse().ok(), text }));
        symbol
    }

    pub(crate) fn get(&self, text: &str) -> Option<Symbol> {
        self.index.get(text).copied()
    }

    pub(crate) fn text(&self, symbol: Symbol) -> &Arc<str> {
        &self.entry(symbol).text
    }

    pub(crate) fn integer(&self, symbol: Symbol) -> Option<i64> {
        self.entry(symbol).integer
    }

    fn entry(&self, symbol: Symbol) -> &Entry {
        self.entries[symbol.0 as usize].as_ref().expect("symbols are handed out for strings")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_symbol_for_one_string() {
        let mut interner = Interner::default();
        let a = interner.intern("zone");
        let b = interner.intern("12");
        assert_eq!(interner.intern("zone"), a);
        assert_ne!(a, b);
        assert_eq!(&**interner.text(b), "12");
        assert_eq!((interner.integer(a), interner.integer(b)), (None, Some(12)));
        assert_eq!((interner.get("12"), interner.get("none")), (Some(b), None));
    }
}
