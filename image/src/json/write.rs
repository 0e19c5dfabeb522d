//! The writer.

use super::value::{Object, Value};

/// The canonical form: keys sorted, no white space.
pub(crate) fn canonical(value: &Value<'_>) -> Vec<u8> {
    let mut out = String::new();
    write(value, &mut out, &|object| {
        let mut members: Vec<_> = object.0.iter().collect();
        members.sort_by(|(one, _), (other, _)| one.cmp(other));
        members
    });
    out.into_bytes()
}

/// The value with its keys in the order that they have.
pub(crate) fn compact(value: &Value<'_>) -> Vec<u8> {
    let mut out = String::new();
    write(value, &mut out, &|object| object.0.iter().collect());
    out.into_bytes()
}

type Member<'v, 'a> = &'v (std::borrow::Cow<'a, str>, Value<'a>);

fn write<'v, 'a>(value: &'v Value<'a>, out: &mut String, order: &impl Fn(&'v Object<'a>) -> Vec<Member<'v, 'a>>) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Number(text) => out.push_str(text),
        Value::String(text) => write_string(text, out),
        Value::Array(values) => {
            for (position, value) in values.iter().enumerate() {
                out.push(if position == 0 { '[' } else { ',' });
                write(value, out, order);
            }
            out.push_str(if values.is_empty() { "[]" } else { "]" });
        }
        Value::Object(object) => {
            for (position, (key, value)) in order(object).into_iter().enumerate() {
                out.push(if position == 0 { '{' } else { ',' });
                write_string(key, out);
                out.push(':');
                write(value, out, order);
            }
            out.push_str(if object.is_empty() { "{}" } else { "}" });
        }
    }
}

fn write_string(text: &str, out: &mut String) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            control @ '\0'..'\u{20}' => {
                out.push_str("\\u00");
                for shift in [4, 0] {
                    let digit = u32::from(control) >> shift & 0xf;
                    out.push(char::from_digit(digit, 16).expect("four bits are one hexadecimal digit"));
                }
            }
            other => out.push(other),
        }
    }
    out.push('"');
}
