//! Lists: tags, page by page.

use super::message::Head;
use super::url::{Origin, Url};
use crate::error::{Error, Result};
use crate::json::{self, Value};
use crate::limits::Limits;

/// Reads a page of tags.
///
/// # Errors
/// [`Error::Document`], and [`Error::LimitExceeded`].
pub fn tags(content: &[u8], limits: &Limits) -> Result<Vec<String>> {
    const KIND: &str = "list of tags";
    let value = json::parse(KIND, content, limits)?;
    let read = value.object().and_then(|object| object.or_default("tags", |value| value.list(Value::owned)));
    read.map_err(|fault| fault.of(KIND))
}

/// Where the next page is, from a `Link` header.
///
/// # Errors
/// [`Error::Refused`] for a page of another origin.
///
/// # Source
/// RFC 8288.
pub fn next_page(head: &Head, asked: &Url, registry: &Origin) -> Result<Option<Url>> {
    for link in head.all("link").flat_map(links) {
        let (target, relation) = link.ok_or_else(|| Error::protocol("sent an unreadable link"))?;
        if relation.eq_ignore_ascii_case("next") {
            let url = asked.join(target)?;
            if url.origin() != registry {
                return Err(Error::refused(url.without_query(), "a page of another origin than the registry"));
            }
            return Ok(Some(url));
        }
    }
    Ok(None)
}

/// Each `<target>; rel="relation"`; `None` for what is none.
fn links(header: &str) -> impl Iterator<Item = Option<(&str, &str)>> {
    let mut rest = header.trim();
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let Some((target, after)) = rest.strip_prefix('<').and_then(|rest| rest.split_once('>')) else {
            rest = "";
            return Some(None);
        };
        let end = after.find(',').unwrap_or(after.len());
        let parameters = &after[..end];
        rest = after[end..].trim_start_matches(',').trim();
        let relation = parameters
            .split(';')
            .filter_map(|parameter| parameter.split_once('='))
            .find(|(name, _)| name.trim().eq_ignore_ascii_case("rel"))
            .map_or("", |(_, value)| value.trim().trim_matches('"'));
        Some(Some((target, relation)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_followed_within_the_registry() {
        let asked = Url::parse("https://r.example/v2/a/tags/list?n=2").unwrap();
        for (link, outcome) in [
            (r#"</v2/a/tags/list?n=2&last=b>; rel="next""#, Ok(Some("https://r.example/v2/a/tags/list?n=2&last=b"))),
            (r#"<x>; rel=prev, <y>; title="t"; REL = next"#, Ok(Some("https://r.example/v2/a/tags/y"))),
            (r#"<x>; rel="prev""#, Ok(None)),
            ("", Ok(None)),
            ("x; rel=next", Err(())),
            (r#"<https://evil.example/>; rel="next""#, Err(())),
        ] {
            let head = Head::new(200, [("Link".into(), link.to_owned())]);
            let found =
                next_page(&head, &asked, asked.origin()).map(|url| url.map(|url| url.to_string())).map_err(drop);
            assert_eq!(found, outcome.map(|url| url.map(str::to_owned)), "{link}");
        }
    }

    #[test]
    fn tags_are_read() {
        assert_eq!(tags(br#"{"name":"a","tags":["1","2"]}"#, &Limits::DEFAULT).unwrap(), ["1", "2"]);
        assert!(tags(br#"{"name":"a","tags":null}"#, &Limits::DEFAULT).unwrap().is_empty());
        assert!(tags(br#"{"tags":[1]}"#, &Limits::DEFAULT).is_err());
    }
}
