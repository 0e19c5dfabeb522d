//! Values print as they parse, and hostile input costs little.

use proptest::prelude::*;
use windlass_pod::quantity::Format;
use windlass_pod::{Quantity, Selector, Time, decode_json, decode_yaml, defaults, validate};

proptest! {
    #[test]
    fn quantities_survive_printing(text in r"[+-]?([0-9]{1,25})(\.[0-9]{0,12})?(n|u|m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei|e[+-]?[0-9]{1,2})?") {
        let Ok(quantity) = text.parse::<Quantity>() else { return Ok(()) };
        let canonical: Quantity = quantity.canonical().parse().unwrap();
        // Beyond exa there is no suffix, and the original prints the digits alone.
        let beyond = quantity.format() != Format::DecimalExponent && quantity.to_f64().abs() >= 1e21;
        prop_assert!(beyond || canonical == quantity, "{text}: {canonical} {quantity}");
        prop_assert_eq!(quantity.plus(&quantity.negated()).signum(), 0);
        prop_assert_eq!(quantity.negated().negated(), quantity);
    }

    #[test]
    fn sums_do_not_depend_on_the_order(a in any::<i64>(), b in any::<i64>(), c in any::<i64>()) {
        let [a, b, c] = [a, b, c].map(Quantity::from_millis);
        prop_assert_eq!(a.plus(&b).plus(&c), a.plus(&c.plus(&b)));
        prop_assert_eq!(a.plus(&b).minus(&b), a);
    }

    #[test]
    fn selectors_survive_printing(text in "[a-c!=<>(), ]{0,20}|[a-c]( in| notin) \\([a-c,]{0,6}\\)") {
        if let Ok(selector) = text.parse::<Selector>() {
            let printed = selector.to_string();
            prop_assert_eq!(printed.parse::<Selector>().unwrap().to_string(), printed);
        }
    }

    #[test]
    fn times_survive_printing(seconds in -62_135_596_800i64..253_402_300_799) {
        let time = Time::from_unix_seconds(seconds);
        prop_assert_eq!(time.to_string().parse::<Time>().unwrap(), time);
    }

    #[test]
    fn no_text_breaks_a_decoder(text in "[{}\\[\\]:,\"a-c0-9\\-|>&*#\n !.]{0,200}") {
        for prefix in ["", "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"spec\":", "apiVersion: v1\nkind: Pod\nspec:\n  containers:\n"] {
            let text = format!("{prefix}{text}");
            let objects = decode_yaml(text.as_bytes()).unwrap_or_default();
            for mut object in objects.into_iter().chain(decode_json(text.as_bytes())) {
                defaults::apply(&mut object);
                let good = validate(&object);
                let again = decode_json(object.encode_json().as_bytes()).unwrap();
                prop_assert_eq!(validate(&again), good);
            }
        }
    }
}

/// What the original reads without end.
#[test]
fn exponents_beyond_reason_are_refused() {
    for quantity in ["1e99999999999", "1e-99999999999", "1e1001", &"9".repeat(1 << 20)] {
        assert!(quantity.parse::<Quantity>().is_err());
    }
}
