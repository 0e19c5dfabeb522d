//! Values print as they parse, and hostile input costs little.

use std::time::{Duration, Instant};

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

/// A megabyte of each kind of hostile text ends soon: this bound is loose, so that a busy machine passes.
#[test]
fn hostile_megabytes_end_soon() {
    const SIZE: usize = 1 << 20;
    let head = r#"{"apiVersion":"v1","kind":"ConfigMap","data":{"#;
    let texts = [
        "[".repeat(SIZE),
        "{\"a\":".repeat(SIZE / 5),
        format!("{head}\"a\":\"{}", "\\u0000".repeat(SIZE / 6)),
        format!("{head}{}", "\"a\":\"\",".repeat(SIZE / 7)),
        format!("{{\"x\":[{}", "1,".repeat(SIZE / 2)),
        "- ".repeat(SIZE / 2),
        "a: &a [*a]\n".repeat(SIZE / 11),
        "? ".repeat(SIZE / 2),
        "a:\n ".repeat(SIZE / 4),
        "#".repeat(SIZE),
        format!("a: {}", "9".repeat(SIZE)),
        format!("a: \"{}", "\\x41".repeat(SIZE / 4)),
    ];
    for text in texts {
        let begun = Instant::now();
        let outcomes = (decode_json(text.as_bytes()).is_ok(), decode_yaml(text.as_bytes()).is_ok());
        let taken = begun.elapsed();
        assert!(taken < Duration::from_secs(10), "{}...: {taken:?} {outcomes:?}", &text[..20]);
    }
    for quantity in ["1e99999999999", "1e-99999999999", "1e1001", &"9".repeat(SIZE)] {
        assert!(quantity.parse::<Quantity>().is_err());
    }
}
