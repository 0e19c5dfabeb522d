//! Kubernetes documents and quantities.

use windlass_pod::selector::Selector;
use windlass_pod::{Quantity, decode_json, decode_yaml};

/// What a JSON object encodes to is read as the same object.
pub(super) fn json(data: &[u8]) {
    if let Ok(object) = decode_json(data) {
        let text = object.encode_json();
        let again = decode_json(text.as_bytes()).expect("what is written is read");
        assert_eq!(again.encode_json(), text);
    }
}

/// What a YAML stream encodes to is read as the same objects.
pub(super) fn yaml(data: &[u8]) {
    for object in decode_yaml(data).into_iter().flatten() {
        let text = object.encode_yaml();
        let again = decode_yaml(text.as_bytes()).expect("what is written is read");
        assert_eq!(again.len(), 1);
        assert_eq!(again[0].encode_json(), object.encode_json());
    }
}

/// A canonical quantity stays as it is.
pub(super) fn quantity(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(quantity) = text.parse::<Quantity>() {
        let canonical = quantity.canonical();
        let again: Quantity = canonical.parse().expect("a canonical quantity is a quantity");
        assert_eq!(again.canonical(), canonical, "from {text:?}");
    }
}

/// What a selector prints is read as the same selector.
pub(super) fn selector(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(selector) = text.parse::<Selector>() {
        let printed = selector.to_string();
        let again: Selector = printed.parse().expect("a printed selector is a selector");
        assert_eq!(again.to_string(), printed, "from {text:?}");
    }
}
