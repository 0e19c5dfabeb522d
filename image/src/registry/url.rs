//! Addresses of registries: as much of the grammar as their protocol needs.

use std::fmt;

use crate::error::{Error, Result};

const LENGTH_MAX: usize = 16 << 10;

/// How a registry is talked to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scheme {
    /// In the clear: only with hosts that the caller named.
    Http,
    /// Over TLS.
    Https,
}

impl Scheme {
    /// The scheme as it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    const fn port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// Who answers: scheme, host and port. Credentials are of one origin and of no other.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    scheme: Scheme,
    // In lower case; an IPv6 address is in brackets.
    host: String,
    port: u16,
}

impl Origin {
    /// The origin of a registry, from `HOST` or `HOST:PORT`.
    ///
    /// # Errors
    /// [`Error::Invalid`] for what is no host.
    pub fn new(scheme: Scheme, authority: &str) -> Result<Self> {
        let invalid = |reason| Error::Invalid { field: "host", value: authority.to_owned(), reason };
        parse_authority(scheme, authority).map_err(invalid)
    }

    /// Whether it is TLS.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The host, in lower case; an IPv6 address is in brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// `HOST`, or `HOST:PORT` where the port is not the scheme's own.
    pub fn authority(&self) -> String {
        if self.port == self.scheme.port() { self.host.clone() } else { format!("{}:{}", self.host, self.port) }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme.as_str(), self.authority())
    }
}

/// An absolute `http` or `https` address, without user, password or fragment.
///
/// ```
/// use windlass_image::registry::Url;
/// let url = Url::parse("https://Registry.example:443/v2/a/blobs/uploads/?x=1")?;
/// assert_eq!(url.to_string(), "https://registry.example/v2/a/blobs/uploads/?x=1");
/// assert_eq!(url.join("../b#top")?.to_string(), "https://registry.example/v2/a/blobs/b");
/// assert!(Url::parse("https://user@registry.example/").is_err());
/// # Ok::<(), windlass_image::Error>(())
/// ```
///
/// # Source
/// RFC 3986; RFC 9110, section 4.2.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Url {
    origin: Origin,
    // Begins with a slash.
    path: String,
    // With its question mark; empty if there is none.
    query: String,
}

impl Url {
    /// The path, below an origin.
    pub(crate) fn new(origin: &Origin, path: String) -> Self {
        debug_assert!(path.starts_with('/'), "{path}");
        Self { origin: origin.clone(), path, query: String::new() }
    }

    /// Reads an absolute address.
    ///
    /// # Errors
    /// [`Error::Invalid`]: another scheme, a user, a host or port that is none, characters that an address cannot have.
    pub fn parse(text: &str) -> Result<Self> {
        parse(text).map_err(|reason| Error::Invalid { field: "URL", value: shown(text), reason })
    }

    /// What `reference` means when this address answered it, as in a `Location` header.
    ///
    /// # Errors
    /// As [`Url::parse`].
    pub fn join(&self, reference: &str) -> Result<Self> {
        let invalid = |reason| Error::Invalid { field: "URL", value: shown(reference), reason };
        check_characters(reference).map_err(invalid)?;
        let text = reference.split('#').next().unwrap_or_default();
        if let Some(rest) = text.strip_prefix("//") {
            return Self::parse(&format!("{}://{rest}", self.origin.scheme.as_str()));
        }
        let before_path = text.find(['/', '?']).unwrap_or(text.len());
        if text[..before_path].contains(':') {
            return Self::parse(text);
        }
        let (path, query) = split_query(text);
        let path = match path {
            "" => self.path.clone(),
            _ if path.starts_with('/') => without_dots(path),
            _ => {
                let parent = self.path.rfind('/').map_or("/", |end| &self.path[..=end]);
                without_dots(&format!("{parent}{path}"))
            }
        };
        let query = if text.is_empty() { &self.query } else { query };
        Ok(Self { origin: self.origin.clone(), path, query: query.to_owned() })
    }

    /// With another parameter at the end of the query.
    #[must_use]
    pub fn with_query(mut self, name: &str, value: &str) -> Self {
        self.query.push(if self.query.is_empty() { '?' } else { '&' });
        self.query.push_str(name);
        self.query.push('=');
        self.query.push_str(&encode(value));
        self
    }

    /// Who answers there.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The address without its query, which may hold a signature: for messages.
    pub fn without_query(&self) -> String {
        format!("{}{}", self.origin, self.path)
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}{}", self.origin, self.path, self.query)
    }
}

/// Writes a value of a query so that nothing in it has a meaning.
pub(crate) fn encode(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for byte in value.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            _ => {
                out.push('%');
                for nibble in [byte >> 4, byte & 0xf] {
                    let digit = char::from_digit(u32::from(nibble), 16).expect("four bits are a hexadecimal digit");
                    out.push(digit.to_ascii_uppercase());
                }
            }
        }
    }
    out
}

fn shown(text: &str) -> String {
    text.split('?').next().unwrap_or_default().chars().take(200).collect()
}

fn parse(text: &str) -> std::result::Result<Url, &'static str> {
    check_characters(text)?;
    let text = text.split('#').next().unwrap_or_default();
    let (scheme, rest) = text.split_once("://").ok_or("is not absolute")?;
    let scheme = match scheme.to_ascii_lowercase().as_str() {
        "http" => Scheme::Http,
        "https" => Scheme::Https,
        _ => return Err("is neither http nor https"),
    };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at(end);
    let (path, query) = split_query(rest);
    Ok(Url { origin: parse_authority(scheme, authority)?, path: without_dots(path), query: query.to_owned() })
}

fn split_query(text: &str) -> (&str, &str) {
    text.split_at(text.find('?').unwrap_or(text.len()))
}

fn check_characters(text: &str) -> std::result::Result<(), &'static str> {
    if text.len() > LENGTH_MAX {
        return Err("is longer than 16 KiB");
    }
    // What one program reads as a part of the host and another does not has no place in an address.
    if text.bytes().any(|byte| !byte.is_ascii_graphic() || matches!(byte, b'\\' | b'"' | b'<' | b'>' | b'^' | b'`')) {
        return Err("has characters that an address cannot have");
    }
    Ok(())
}

fn parse_authority(scheme: Scheme, authority: &str) -> std::result::Result<Origin, &'static str> {
    if authority.contains('@') {
        return Err("holds a user or a password");
    }
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (address, port) = rest.split_once(']').ok_or("has an IPv6 address without its closing bracket")?;
            if address.parse::<std::net::Ipv6Addr>().is_err() {
                return Err("has no IPv6 address in its brackets");
            }
            (format!("[{address}]"), port.strip_prefix(':').or(port.is_empty().then_some("")))
        }
        None => match authority.split_once(':') {
            Some((host, port)) => (host.to_owned(), Some(port)),
            None => (authority.to_owned(), Some("")),
        },
    };
    let port = match port.ok_or("has text after its IPv6 address")? {
        "" => scheme.port(),
        digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            digits.parse().map_err(|_| "has a port above 65535")?
        }
        _ => return Err("has a port that is no number"),
    };
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    if host.is_empty() || !(host.starts_with('[') || host.bytes().all(allowed)) {
        return Err("has no valid host");
    }
    Ok(Origin { scheme, host: host.to_ascii_lowercase(), port })
}

/// RFC 3986, section 5.2.4.
fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    for (position, segment) in segments.iter().enumerate() {
        let last = position + 1 == segments.len();
        match *segment {
            "." | ".." => {
                if *segment == ".." {
                    kept.pop();
                }
                if last {
                    kept.push("");
                }
            }
            other => kept.push(other),
        }
    }
    format!("/{}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn addresses_are_read_or_refused() {
        for (text, outcome) in [
            ("https://a/b?c=d#e", Ok("https://a/b?c=d")),
            ("HTTPS://A:443", Ok("https://a/")),
            ("http://a:80/x/../y/./z", Ok("http://a/y/z")),
            ("http://[::1]:5000/v2/", Ok("http://[::1]:5000/v2/")),
            ("https://a?x", Ok("https://a/?x")),
            ("ftp://a/", Err("is neither http nor https")),
            ("a/b", Err("is not absolute")),
            ("https:///b", Err("has no valid host")),
            ("https://a@b/", Err("holds a user or a password")),
            ("https://a:1x/", Err("has a port that is no number")),
            ("https://a:65536/", Err("has a port above 65535")),
            ("https://[::1/", Err("has an IPv6 address without its closing bracket")),
            ("https://[::1]x/", Err("has text after its IPv6 address")),
            ("https://a/\r\nX: y", Err("has characters that an address cannot have")),
            ("https://a\\@b/", Err("has characters that an address cannot have")),
        ] {
            let read = parse(text).map(|url| url.to_string());
            assert_eq!(read, outcome.map(str::to_owned), "{text}");
        }
    }

    #[test]
    fn a_location_is_relative_to_what_answered() {
        let base = Url::parse("https://a:1/v2/n/blobs/uploads/?q=1").unwrap();
        for (reference, joined) in [
            ("", "https://a:1/v2/n/blobs/uploads/?q=1"),
            ("x", "https://a:1/v2/n/blobs/uploads/x"),
            ("?y=2", "https://a:1/v2/n/blobs/uploads/?y=2"),
            ("/z?w", "https://a:1/z?w"),
            ("//b/z", "https://b/z"),
            ("http://b/z:1", "http://b/z:1"),
            ("../../../../../x", "https://a:1/x"),
        ] {
            assert_eq!(base.join(reference).unwrap().to_string(), joined, "{reference}");
        }
        assert!(base.join("javascript:x").is_err());
    }

    #[test]
    fn values_of_a_query_have_no_meaning() {
        let url = Url::parse("https://a/").unwrap().with_query("n", "a&b=c d").with_query("s", "repository:x:pull");
        assert_eq!(url.to_string(), "https://a/?n=a%26b%3Dc%20d&s=repository%3Ax%3Apull");
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_as_the_same(text in "(http|https)://[a-zA-Z0-9.]{1,9}(:[0-9]{1,6})?(/[a-z.%?=&]{0,5}){0,4}") {
            if let Ok(url) = Url::parse(&text) {
                prop_assert_eq!(Url::parse(&url.to_string()).unwrap(), url.clone());
                prop_assert_eq!(url.join("").unwrap(), url);
            }
        }

        #[test]
        fn no_text_panics(base in "https?://[a-z]{1,3}/[!-~]{0,12}", text: String) {
            if let Ok(base) = Url::parse(&base) {
                let _ = base.join(&text); // only that it ends
            }
        }
    }
}
