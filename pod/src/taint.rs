//! Taints, and the tolerations that take them.

use crate::kinds::{Taint, Toleration};
use crate::wire::text::Text as _;

/// Whether a toleration takes a taint; an unset value is the empty one.
pub(crate) fn tolerates(toleration: &Toleration, taint: &Taint) -> bool {
    let (key, effect) = (toleration.key.text(), toleration.effect.text());
    (effect.is_empty() || effect == taint.effect.text())
        && match toleration.operator.text() {
            "Exists" => key.is_empty() || key == taint.key.text(),
            _ => key == taint.key.text() && toleration.value.text() == taint.value.text(),
        }
}
