//! JSON as images need it: strict, bounded, borrowing from its source, and free of duplicate keys.
//!
//! A general reader accepts what confuses two programs that read the same document: it lets the last of two equal
//! keys win. Here a duplicate is an error, nesting and the number of values have bounds, and a typed reader says in
//! which field a value is wrong.

mod parse;
mod value;
mod write;

pub(crate) use parse::parse;
pub(crate) use value::{Object, Value};
pub(crate) use write::{canonical, compact};

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::error::Result;
    use crate::limits::Limits;

    fn read(text: &str) -> Result<Value<'_>> {
        parse("test", text.as_bytes(), &Limits::DEFAULT)
    }

    #[test]
    fn what_two_readers_would_see_differently_is_an_error() {
        for (text, message) in [
            (r#"{"a":1,"a":2}"#, "invalid test at a: occurs twice"),
            (r#"{"x":[{"b":1,"\u0062":2}]}"#, "invalid test at x[0].b: occurs twice"),
            ("{} {}", "invalid test: unexpected character at byte 3"),
            ("", "invalid test: ends early"),
            (r#"{"a":01}"#, "invalid test: unexpected character at byte 6"),
            (r#""\ud800""#, "invalid test: lone surrogate at byte 7"),
            ("\"a\nb\"", "invalid test: unexpected character at byte 2"),
            ("[1,]", "invalid test at [1]: unexpected character at byte 3"),
            ("\u{feff}{}", "invalid test: unexpected character at byte 0"),
            ("nul", "invalid test: unexpected character at byte 0"),
        ] {
            assert_eq!(read(text).unwrap_err().to_string(), message, "{text}");
        }
        let error = parse("test", b"\"\xff\"", &Limits::DEFAULT).unwrap_err();
        assert_eq!(error.to_string(), "invalid test: is not UTF-8 at byte 1");
    }

    #[test]
    fn a_hundred_thousand_brackets_do_not_exhaust_the_stack() {
        let deep = "[".repeat(100_000);
        assert_eq!(read(&deep).unwrap_err().to_string(), "document depth exceeds the limit of 64");
        let deep = "{\"a\":".repeat(100_000);
        assert_eq!(read(&deep).unwrap_err().to_string(), "document depth exceeds the limit of 64");
        assert!(read(&format!("{}{}", "[".repeat(64), "]".repeat(64))).is_ok());
        assert!(read(&format!("{}{}", "[".repeat(65), "]".repeat(65))).is_err());
    }

    #[test]
    fn many_small_values_do_not_exhaust_memory() {
        let many = format!("[{}0]", "0,".repeat(100_000));
        assert_eq!(read(&many).unwrap_err().to_string(), "number of values in a document exceeds the limit of 65536");
        let large = " ".repeat((4 << 20) + 1);
        assert_eq!(read(&large).unwrap_err().to_string(), "document exceeds the limit of 4194304");
    }

    fn value() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            any::<u64>().prop_map(Into::into),
            any::<i32>().prop_map(|number| (f64::from(number) / 8.0).into()),
            any::<String>().prop_map(Into::into),
        ];
        leaf.prop_recursive(4, 64, 8, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..8).prop_map(Into::into),
                prop::collection::btree_map(any::<String>(), inner, 0..8)
                    .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn serde_json_reads_what_is_written_here(value in value()) {
            let text = serde_json::to_vec_pretty(&value).unwrap();
            let own = parse("test", &text, &Limits::DEFAULT).unwrap();
            prop_assert_eq!(serde_json::from_slice::<serde_json::Value>(&canonical(&own)).unwrap(), value.clone());
            prop_assert_eq!(serde_json::from_slice::<serde_json::Value>(&compact(&own)).unwrap(), value);
        }

        #[test]
        fn both_readers_accept_the_same_texts(text in r#"[\[\]{},:"0-9eE.+\-truefalsn\\ u]{0,12}"#) {
            let own = read(&text);
            let other = serde_json::from_str::<serde_json::Value>(&text);
            let excused = match &own {
                // serde_json lets the last of two equal keys win, and refuses numbers that overflow a double.
                Err(error) => error.to_string().ends_with("occurs twice"),
                Ok(_) => other.as_ref().is_err_and(|error| error.to_string().contains("out of range")),
            };
            prop_assert!(excused || own.is_ok() == other.is_ok(), "{:?} {:?}", own, other);
        }
    }
}
