//! Requests and answers as plain data.

use super::url::Url;
use crate::error::{Error, Fault, Result};
use crate::json;
use crate::limits::Limits;

/// Bytes of the answer to a token request, or of an answer that says what is wrong.
pub const SMALL_BODY_MAX: u64 = 1 << 20;
const HEADERS_MAX: usize = 256;
const MESSAGE_MAX: usize = 500;

/// What a request does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the word of RFC 9110")]
pub enum Method {
    Get,
    Head,
    Post,
    Put,
    Patch,
    Delete,
}

impl Method {
    /// The method as it is sent.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// What goes with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// Nothing.
    Empty,
    /// These bytes.
    Bytes(Vec<u8>),
    /// A part of the blob that the caller holds.
    Blob {
        /// Its first byte.
        offset: u64,
        /// Its length.
        length: u64,
    },
}

/// Which addresses may be dialled for a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dial {
    /// Those of the registry that the caller named.
    Named,
    /// Where someone else pointed to: never a link-local address, where clouds keep their metadata services.
    Pointed,
}

/// A request to be sent as it is.
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    /// What it does.
    pub method: Method,
    /// Where it goes.
    pub url: Url,
    /// Its headers, without those that the content implies.
    pub headers: Vec<(&'static str, String)>,
    /// What goes with it.
    pub content: Content,
    /// Which addresses may be dialled.
    pub dial: Dial,
}

impl Request {
    pub(crate) fn new(method: Method, url: Url) -> Self {
        Self { method, url, headers: Vec::new(), content: Content::Empty, dial: Dial::Named }
    }

    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) fn content(mut self, content: Content) -> Self {
        self.content = content;
        self
    }
}

impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Neither headers nor content: both may hold secrets.
        write!(f, "{} {}", self.method.as_str(), self.url.without_query())
    }
}

/// The head of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Head {
    /// The status code.
    pub status: u16,
    headers: Vec<(String, String)>,
}

impl Head {
    /// An answer with this status and these headers, whose names may be in any case.
    ///
    /// Headers beyond the 256th are not kept.
    pub fn new(status: u16, headers: impl IntoIterator<Item = (String, String)>) -> Self {
        let lower = |(name, value): (String, String)| (name.to_ascii_lowercase(), value);
        Self { status, headers: headers.into_iter().take(HEADERS_MAX).map(lower).collect() }
    }

    /// The first header of this name, which is in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Every header of this name.
    pub fn all<'h>(&'h self, name: &'h str) -> impl Iterator<Item = &'h str> {
        self.headers.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The length that the content will have.
    ///
    /// # Errors
    /// [`Error::Protocol`] for what is no number, and for two numbers.
    pub(crate) fn length(&self) -> Result<Option<u64>> {
        let mut lengths = self.all("content-length");
        let Some(first) = lengths.next() else { return Ok(None) };
        if lengths.any(|other| other != first) {
            return Err(Error::protocol("sent two lengths"));
        }
        first.parse().map(Some).map_err(|_| Error::protocol("sent a length that is no number"))
    }
}

/// What the content of a failed answer says, in one line for a person.
///
/// # Source
/// OCI distribution specification, error codes.
pub(crate) fn message(content: &[u8]) -> String {
    let limits = Limits { document_bytes: SMALL_BODY_MAX, ..Limits::DEFAULT };
    let said = json::parse("error", content, &limits).ok().and_then(|value| {
        let object = value.object().ok()?;
        let read = |value: &json::Value<'_>| -> std::result::Result<String, Fault> {
            let error = value.object()?;
            let code = error.or_default("code", json::Value::owned)?;
            Ok(format!("{code}: {}", error.or_default("message", json::Value::owned)?))
        };
        let errors = object.get("errors").and_then(|errors| errors.list(read).ok()).unwrap_or_default();
        // Token services say it in these.
        let other =
            ["error_description", "details", "message"].into_iter().find_map(|key| object.get(key)?.owned().ok());
        if errors.is_empty() { other } else { Some(errors.join("; ")) }
    });
    let said = said.unwrap_or_default();
    said.chars().map(|character| if character.is_control() { ' ' } else { character }).take(MESSAGE_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_says_what_the_registry_said() {
        for (content, said) in [
            (r#"{"errors":[{"code":"DENIED","message":"no"},{"code":"X"}]}"#, "DENIED: no; X: "),
            (r#"{"error_description":"bad\npassword"}"#, "bad password"),
            (r#"{"details":"d"}"#, "d"),
            ("<html>", ""),
            (r#"{"errors":7}"#, ""),
        ] {
            assert_eq!(message(content.as_bytes()), said, "{content}");
        }
    }

    #[test]
    fn a_request_is_shown_without_its_secrets() {
        let url = Url::parse("https://a/b?signature=secret").unwrap();
        let request = Request::new(Method::Get, url).header("authorization", "secret");
        assert_eq!(format!("{request:?}"), "GET https://a/b");
    }

    #[test]
    fn two_lengths_are_an_error() {
        let head =
            |lengths: &[&str]| Head::new(200, lengths.iter().map(|l| ("Content-Length".into(), (*l).to_owned())));
        assert_eq!(head(&["5", "5"]).length().unwrap(), Some(5));
        assert!(head(&["5", "6"]).length().is_err());
        assert!(head(&["-1"]).length().is_err());
        assert_eq!(head(&[]).length().unwrap(), None);
    }
}
