//! The rules for names, in the words of Kubernetes: each function returns what is wrong, or nothing.
//!
//! Source: `k8s.io/apimachinery/pkg/util/validation`.

use std::net::IpAddr;

const LABEL_FORM: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const SUBDOMAIN_FORM: &str = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*";
const QUALIFIED_FORM: &str = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";
const QUALIFIED_MESSAGE: &str =
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character";

fn too_long(maximum: usize) -> String {
    format!("must be no more than {maximum} characters")
}

/// A message with examples and the form asked for, as the original words it.
fn with_form(message: &str, form: &str, examples: &[&str]) -> String {
    let examples: Vec<String> = examples.iter().map(|example| format!("'{example}', ")).collect();
    format!("{message} (e.g. {}regex used for validation is '{form}')", examples.join(" or "))
}

fn is_lower_or_digit(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit()
}

/// `[a-z0-9]([-a-z0-9]*[a-z0-9])?`
fn is_dns_label(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.first().copied().is_some_and(is_lower_or_digit)
        && bytes.last().copied().is_some_and(is_lower_or_digit)
        && bytes.iter().all(|byte| is_lower_or_digit(*byte) || *byte == b'-')
}

fn is_subdomain(text: &str) -> bool {
    text.split('.').all(is_dns_label)
}

/// `([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]`
fn is_qualified_part(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.first().is_some_and(u8::is_ascii_alphanumeric)
        && bytes.last().is_some_and(u8::is_ascii_alphanumeric)
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte))
}

/// A label of DNS after RFC 1123: `my-name`, `123-abc`, at most 63 bytes.
pub fn dns1123_label(text: &str) -> Vec<String> {
    let mut messages = Vec::new();
    if text.len() > 63 {
        messages.push(too_long(63));
    }
    if !is_dns_label(text) {
        let message = if is_subdomain(text) {
            // A dot is the only fault.
            "must not contain dots".to_owned()
        } else {
            let words = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character";
            with_form(words, LABEL_FORM, &["my-name", "123-abc"])
        };
        messages.push(message);
    }
    messages
}

/// A subdomain of DNS after RFC 1123: `example.com`, at most 253 bytes.
pub fn dns1123_subdomain(text: &str) -> Vec<String> {
    let mut messages = Vec::new();
    if text.len() > 253 {
        messages.push(too_long(253));
    }
    if !is_subdomain(text) {
        messages.push(subdomain_message());
    }
    messages
}

fn subdomain_message() -> String {
    let words = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character";
    with_form(words, SUBDOMAIN_FORM, &["example.com"])
}

/// A subdomain whose labels may hold underscores, as search paths of DNS have.
pub fn dns1123_subdomain_with_underscore(text: &str) -> Vec<String> {
    let label = |label: &str| {
        let bytes = label.strip_prefix('_').unwrap_or(label).as_bytes();
        bytes.first().copied().is_some_and(is_lower_or_digit)
            && bytes.last().copied().is_some_and(is_lower_or_digit)
            && bytes.iter().all(|byte| is_lower_or_digit(*byte) || b"-_".contains(byte))
    };
    let mut messages = Vec::new();
    if text.len() > 253 {
        messages.push(too_long(253));
    }
    if !text.split('.').all(label) {
        let words = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' or '.', and must start and end with an alphanumeric character";
        let label_form = "_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?";
        messages.push(with_form(words, &format!(r"{label_form}(\.{label_form})*"), &["example.com"]));
    }
    messages
}

/// A label of DNS after RFC 1035: as after RFC 1123, but it starts with a letter.
pub fn dns1035_label(text: &str) -> Vec<String> {
    let mut messages = Vec::new();
    if text.len() > 63 {
        messages.push(too_long(63));
    }
    if !is_dns_label(text) || !text.starts_with(|c: char| c.is_ascii_lowercase()) {
        let words = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character";
        messages.push(with_form(words, "[a-z]([-a-z0-9]*[a-z0-9])?", &["my-name", "abc-123"]));
    }
    messages
}

/// A subdomain after `*.`.
pub fn wildcard_dns1123_subdomain(text: &str) -> Vec<String> {
    let mut messages = Vec::new();
    if text.len() > 253 {
        messages.push(too_long(253));
    }
    if !text.strip_prefix("*.").is_some_and(is_subdomain) {
        let words = "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character";
        messages.push(with_form(words, &format!(r"\*\.{SUBDOMAIN_FORM}"), &["*.example.com"]));
    }
    messages
}

/// The key of a label: a name, or a name after a subdomain and `/`.
pub fn qualified_name(text: &str) -> Vec<String> {
    let mut messages = Vec::new();
    let form = || with_form(QUALIFIED_MESSAGE, QUALIFIED_FORM, &["MyName", "my.name", "123-abc"]);
    let parts: Vec<&str> = text.split('/').collect();
    let name = match parts[..] {
        [name] => name,
        [prefix, name] => {
            if prefix.is_empty() {
                messages.push("prefix part must be non-empty".to_owned());
            } else {
                messages.extend(dns1123_subdomain(prefix).into_iter().map(|message| format!("prefix part {message}")));
            }
            name
        }
        _ => {
            let rest = "with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')";
            return vec![format!("a qualified name {} {rest}", form())];
        }
    };
    if name.is_empty() {
        messages.push("name part must be non-empty".to_owned());
    } else if name.len() > 63 {
        messages.push(format!("name part {}", too_long(63)));
    }
    if !is_qualified_part(name) {
        messages.push(format!("name part {}", form()));
    }
    messages
}

/// The value of a label.
pub fn label_value(text: &str) -> Vec<String> {
    let mut messages = Vec::new();
    if text.len() > 63 {
        messages.push(too_long(63));
    }
    if !text.is_empty() && !is_qualified_part(text) {
        let words = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character";
        messages.push(with_form(words, &format!("({QUALIFIED_FORM})?"), &["MyValue", "my_value", "12345"]));
    }
    messages
}

/// A name that can stand in the path of a request.
pub fn path_segment(text: &str) -> Vec<String> {
    match text {
        "." | ".." => vec![format!("may not be '{text}'")],
        _ => ['/', '%'].into_iter().filter(|c| text.contains(*c)).map(|c| format!("may not contain '{c}'")).collect(),
    }
}

/// An identifier of C.
pub fn c_identifier(text: &str) -> Vec<String> {
    let bytes = text.as_bytes();
    let good = bytes.first().is_some_and(|byte| byte.is_ascii_alphabetic() || *byte == b'_')
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    if good {
        return Vec::new();
    }
    let words = "a valid C identifier must start with alphabetic character or '_', followed by a string of alphanumeric characters or '_'";
    vec![with_form(words, "[A-Za-z_][A-Za-z0-9_]*", &["my_name", "MY_NAME", "MyName"])]
}

/// The key of a config map or secret.
pub fn config_map_key(text: &str) -> Vec<String> {
    let mut messages = Vec::new();
    if text.len() > 253 {
        messages.push(too_long(253));
    }
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte)) {
        let words = "a valid config key must consist of alphanumeric characters, '-', '_' or '.'";
        messages.push(with_form(words, "[-._a-zA-Z0-9]+", &["key.name", "KEY_NAME", "key-name"]));
    }
    messages.extend(no_relative_path(text));
    messages
}

fn no_relative_path(text: &str) -> Option<String> {
    match text {
        "." => Some("must not be '.'".to_owned()),
        ".." => Some("must not be '..'".to_owned()),
        _ if text.starts_with("..") => Some("must not start with '..'".to_owned()),
        _ => None,
    }
}

/// The name of an environment variable, as it was asked for before 1.34.
pub fn env_var_name(text: &str) -> Vec<String> {
    let bytes = text.as_bytes();
    let good = bytes.first().is_some_and(|byte| !byte.is_ascii_digit())
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(byte));
    let mut messages = Vec::new();
    if !good {
        let words = "a valid environment variable name must consist of alphabetic characters, digits, '_', '-', or '.', and must not start with a digit";
        messages.push(with_form(words, "[-._a-zA-Z][-._a-zA-Z0-9]*", &["my.env-name", "MY_ENV.NAME", "MyEnvName1"]));
    }
    messages.extend(no_relative_path(text));
    messages
}

/// The name of an environment variable: printable ASCII without `=`.
pub fn relaxed_env_var_name(text: &str) -> Vec<String> {
    let mut messages = Vec::new();
    if text.is_empty() {
        messages.push("environment variable name must be non-empty".to_owned());
    }
    if text.chars().any(|c| !(' '..='~').contains(&c) || c == '=') {
        messages.push(
            "a valid environment variable name must consist only of printable ASCII characters other than '='"
                .to_owned(),
        );
    }
    messages
}

/// The name of an HTTP header.
pub fn http_header_name(text: &str) -> Vec<String> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        return Vec::new();
    }
    let words = "a valid HTTP header must consist of alphanumeric characters or '-'";
    vec![with_form(words, "[-A-Za-z0-9]+", &["X-Header-Name"])]
}

/// The name of a port: at most 15 bytes, with a letter in it.
pub fn port_name(text: &str) -> Vec<String> {
    let mut messages = Vec::new();
    if text.len() > 15 {
        messages.push(too_long(15));
    }
    if text.is_empty() || !text.bytes().all(|byte| is_lower_or_digit(byte) || byte == b'-') {
        messages.push("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)".to_owned());
    }
    if !text.bytes().any(|byte| byte.is_ascii_lowercase()) {
        messages.push("must contain at least one letter (a-z)".to_owned());
    }
    if text.contains("--") {
        messages.push("must not contain consecutive hyphens".to_owned());
    }
    if text.starts_with('-') || text.ends_with('-') {
        messages.push("must not begin or end with a hyphen".to_owned());
    }
    messages
}

/// A number followed by `%`.
pub fn percent(text: &str) -> Vec<String> {
    let digits = text.strip_suffix('%').unwrap_or_default();
    if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Vec::new();
    }
    let words = "a valid percent string must be a numeric string followed by an ending '%'";
    vec![with_form(words, "[0-9]+%", &["1%", "93%"])]
}

/// The number of a port.
pub fn port_number(port: i32) -> Option<String> {
    (!(1..=65535).contains(&port)).then(|| "must be between 1 and 65535, inclusive".to_owned())
}

/// An IP address in the form that all programs agree on.
pub fn ip(text: &str) -> Vec<String> {
    let leading_zero = |part: &str| part.len() > 1 && part.starts_with('0');
    match parse_ip(text) {
        None => vec!["must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)".to_owned()],
        Some(IpAddr::V4(_)) if text.split('.').any(leading_zero) => vec!["must not have leading 0s".to_owned()],
        Some(IpAddr::V6(address)) if address.to_ipv4_mapped().is_some() => {
            vec!["must not be an IPv4-mapped IPv6 address".to_owned()]
        }
        Some(_) => Vec::new(),
    }
}

/// An IP address in one of the fields that always took leading zeros.
pub fn legacy_ip(text: &str) -> Vec<String> {
    if parse_ip(text).is_some() {
        return Vec::new();
    }
    vec!["must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)".to_owned()]
}

/// Reads an IP address as the original does: `010.0.0.1` is `10.0.0.1`.
pub fn parse_ip(text: &str) -> Option<IpAddr> {
    if text.contains(':') {
        return text.parse().ok().filter(|_| !text.contains('%'));
    }
    let parts: Vec<&str> = text.split('.').collect();
    let octet = |part: &&str| -> Option<u8> {
        let digits = part.trim_start_matches('0');
        let good = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()) && digits.len() <= 3;
        if !good {
            return None;
        }
        if digits.is_empty() { Some(0) } else { digits.parse().ok() }
    };
    let octets: Vec<u8> = parts.iter().filter_map(octet).collect();
    let octets: [u8; 4] = octets.try_into().ok().filter(|_| parts.len() == 4)?;
    Some(IpAddr::from(octets))
}
