//! Fetching: what an answer must say before its content is believed.

use super::call::Repository;
use super::exchange::Call;
use super::message::Head;
use crate::descriptor::Descriptor;
use crate::digest::{Digest, Hasher};
use crate::error::{Error, Result};
use crate::media_type::MediaType;

/// The machine of one blob: how far it has come, and where to go on.
///
/// Every byte that arrived is kept, so that a broken connection costs none of them, if the registry knows ranges.
#[derive(Debug, Clone)]
pub struct Fetch {
    descriptor: Descriptor,
    offset: u64,
    // Where what is wanted ends.
    end: u64,
    // Bytes to throw away at the beginning of the current answer.
    skip: u64,
    fruitless: u32,
}

/// Connections in a row that brought nothing.
const FRUITLESS_MAX: u32 = 5;

impl Fetch {
    /// Fetches what follows `offset`, where an earlier attempt ended.
    pub fn new(descriptor: Descriptor, offset: u64) -> Self {
        let end = descriptor.size;
        Self { descriptor, offset, end, skip: 0, fruitless: 0 }
    }

    /// Fetches the bytes from `start` up to `end`, or up to the blob's own end.
    pub fn range(descriptor: Descriptor, start: u64, end: u64) -> Self {
        let end = end.min(descriptor.size);
        Self { descriptor, offset: start, end, skip: 0, fruitless: 0 }
    }

    /// The next byte to arrive.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The bytes that are to arrive yet.
    pub fn left(&self) -> u64 {
        self.end.saturating_sub(self.offset)
    }

    /// Whether something of the blob follows what is wanted.
    pub(crate) fn is_part(&self) -> bool {
        self.end < self.descriptor.size
    }

    /// What to ask for.
    pub fn call(&self, repository: &Repository) -> Call {
        Call::blob(repository, &self.descriptor.digest, self.range_header().as_deref())
    }

    /// The header that says which bytes are wanted, where that are not all.
    pub(crate) fn range_header(&self) -> Option<String> {
        match (self.offset, self.is_part()) {
            (0, false) => None,
            (offset, false) => Some(format!("bytes={offset}-")),
            (offset, true) => Some(format!("bytes={offset}-{}", self.end.saturating_sub(1))),
        }
    }

    /// Judges the head of an answer.
    ///
    /// # Errors
    /// [`Error::Protocol`] for a range that was not asked for, a length that cannot be, and encoded content;
    /// [`Error::SizeMismatch`] for a blob of another length.
    pub fn accept(&mut self, head: &Head) -> Result<()> {
        if head.header("content-encoding").is_some_and(|coding| coding != "identity") {
            return Err(Error::protocol("encodes what must be sent as it is"));
        }
        let start = match head.status {
            200 => 0,
            206 if self.offset > 0 || self.is_part() => {
                let range =
                    head.header("content-range").ok_or_else(|| Error::protocol("sent a range without saying which"))?;
                let (first, last, total) =
                    content_range(range).ok_or_else(|| Error::protocol("sent an unreadable range"))?;
                if total.is_some_and(|total| total != self.descriptor.size) {
                    return Err(self.wrong_size(total.unwrap_or_default()));
                }
                if first != self.offset || last != self.end - 1 {
                    return Err(Error::protocol("sent another range than was asked for"));
                }
                first
            }
            206 => return Err(Error::protocol("sent a range that was not asked for")),
            _ => return Err(Error::protocol("answered a blob with no content")),
        };
        let end = if head.status == 206 { self.end } else { self.descriptor.size };
        if let Some(length) = head.length()?
            && length != end - start
        {
            return Err(self.wrong_size(start + length));
        }
        // A registry without ranges sends everything again.
        self.skip = self.offset - start;
        Ok(())
    }

    /// Takes a piece of the answer and gives the part of it that is new.
    ///
    /// # Errors
    /// [`Error::SizeMismatch`] for more than the blob has.
    pub fn take<'p>(&mut self, piece: &'p [u8]) -> Result<&'p [u8]> {
        let known = usize::try_from(self.skip).unwrap_or(usize::MAX).min(piece.len());
        self.skip -= known as u64;
        let mut new = &piece[known..];
        if self.is_part() {
            new = &new[..usize::try_from(self.left()).unwrap_or(usize::MAX).min(new.len())];
        }
        if new.len() as u64 > self.left() {
            return Err(self.wrong_size(self.offset + new.len() as u64));
        }
        self.offset += new.len() as u64;
        if !new.is_empty() {
            self.fruitless = 0;
        }
        Ok(new)
    }

    /// The answer ended, or its connection: whether to ask for the rest.
    pub fn interrupted(&mut self) -> bool {
        self.fruitless += 1;
        self.left() > 0 && self.fruitless <= FRUITLESS_MAX
    }

    /// How often in a row nothing came.
    pub fn fruitless(&self) -> u32 {
        self.fruitless
    }

    fn wrong_size(&self, actual: u64) -> Error {
        Error::SizeMismatch { digest: self.descriptor.digest, expected: self.descriptor.size, actual }
    }
}

/// `bytes FIRST-LAST/TOTAL`, where the total may be unknown.
fn content_range(text: &str) -> Option<(u64, u64, Option<u64>)> {
    let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let total = if total == "*" { None } else { Some(number(total)?) };
    let (first, last) = (number(first)?, number(last)?);
    (first <= last && total.is_none_or(|total| last < total)).then_some((first, last, total))
}

fn number(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// The descriptor that a HEAD of a manifest gives, if the registry says all of it.
///
/// # Errors
/// A digest or a length that cannot be one.
pub fn described(head: &Head) -> Result<Option<Descriptor>> {
    let (Some(digest), Some(media_type), Some(size)) =
        (head.header("docker-content-digest"), content_type(head), head.length()?)
    else {
        return Ok(None);
    };
    Ok(Some(Descriptor::new(media_type, Digest::parse(digest)?, size)))
}

/// The descriptor of a document that was fetched, checked against what was asked for and what was said.
///
/// # Errors
/// [`Error::DigestMismatch`] for another document than the digest that was asked for, or that the registry itself
/// gave; [`Error::Protocol`] without a media type.
pub fn document(head: &Head, content: &[u8], wanted: Option<&Digest>) -> Result<Descriptor> {
    let said = head.header("docker-content-digest").map(Digest::parse).transpose()?;
    for expected in wanted.into_iter().chain(&said) {
        let actual = digest_as(expected, content);
        if actual != *expected {
            return Err(Error::DigestMismatch { expected: Box::new(*expected), actual: Box::new(actual) });
        }
    }
    let media_type = content_type(head).ok_or_else(|| Error::protocol("sent a manifest without a content type"))?;
    let digest = wanted.copied().or(said).unwrap_or_else(|| Digest::of(content));
    Ok(Descriptor::new(media_type, digest, content.len() as u64))
}

fn digest_as(like: &Digest, content: &[u8]) -> Digest {
    let mut hasher = Hasher::new(like.algorithm());
    hasher.update(content);
    hasher.finish()
}

fn content_type(head: &Head) -> Option<MediaType> {
    // Parameters such as a character set change nothing.
    let text = head.header("content-type")?.split(';').next()?.trim().to_ascii_lowercase();
    (!text.is_empty()).then(|| MediaType::new(text))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn head(status: u16, headers: &[(&str, &str)]) -> Head {
        Head::new(status, headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
    }

    #[test]
    fn only_the_range_that_was_asked_for_is_taken() {
        for (offset, status, headers, outcome) in [
            (0, 200, vec![("content-length", "10")], Ok(0)),
            (0, 200, vec![], Ok(0)),
            (4, 206, vec![("content-range", "bytes 4-9/10"), ("content-length", "6")], Ok(0)),
            (4, 206, vec![("content-range", "bytes 4-9/*")], Ok(0)),
            (4, 200, vec![("content-length", "10")], Ok(4)),
            (4, 206, vec![("content-range", "bytes 3-9/10")], Err("sent another range than was asked for")),
            (4, 206, vec![("content-range", "bytes 4-8/10")], Err("sent another range than was asked for")),
            (4, 206, vec![("content-range", "bytes 4-9")], Err("sent an unreadable range")),
            (4, 206, vec![("content-range", "bytes +4-9/10")], Err("sent an unreadable range")),
            (4, 206, vec![], Err("sent a range without saying which")),
            (0, 206, vec![("content-range", "bytes 0-9/10")], Err("sent a range that was not asked for")),
            (0, 200, vec![("content-encoding", "gzip")], Err("encodes what must be sent as it is")),
            (0, 204, vec![], Err("answered a blob with no content")),
        ] {
            let mut fetch = Fetch::new(Descriptor::of(MediaType::LAYER, b"0123456789"), offset);
            let accepted = fetch.accept(&head(status, &headers)).map(|()| fetch.skip);
            match outcome {
                Ok(skip) => assert_eq!(accepted.unwrap(), skip, "{headers:?}"),
                Err(reason) => {
                    assert_eq!(accepted.unwrap_err().to_string(), format!("the registry {reason}"), "{headers:?}");
                }
            }
        }
        for (offset, headers) in [(0, ("content-length", "11")), (4, ("content-range", "bytes 4-9/11"))] {
            let mut fetch = Fetch::new(Descriptor::of(MediaType::LAYER, b"0123456789"), offset);
            let error = fetch.accept(&head(if offset > 0 { 206 } else { 200 }, &[headers])).unwrap_err();
            assert!(matches!(error, Error::SizeMismatch { .. }), "{error}");
        }
    }

    #[test]
    fn a_document_is_what_everyone_calls_it() {
        let (raw, other) = (b"{}".as_slice(), Digest::of(b"x"));
        let typed = ("content-type", "application/vnd.oci.image.manifest.v1+json; charset=utf-8");
        let right = Digest::of(raw).to_string();
        let read = document(&head(200, &[typed, ("docker-content-digest", &right)]), raw, None).unwrap();
        assert_eq!(read, Descriptor::of(MediaType::MANIFEST, raw));
        let wrong = other.to_string();
        assert!(document(&head(200, &[typed, ("docker-content-digest", &wrong)]), raw, None).is_err());
        assert!(document(&head(200, &[typed]), raw, Some(&other)).is_err());
        assert!(document(&head(200, &[]), raw, None).is_err());
        // CVE-2024-3727: a digest is parsed before it names a file.
        for digest in ["sha256:../../x", "", "sha256:", &right.to_uppercase()] {
            assert!(document(&head(200, &[typed, ("docker-content-digest", digest)]), raw, None).is_err(), "{digest}");
        }
    }

    proptest! {
        #[test]
        fn however_connections_break_the_whole_arrives(
            content in prop::collection::vec(any::<u8>(), 1..200), cuts in prop::collection::vec((1..50_usize, any::<bool>()), 0..20),
        ) {
            let descriptor = Descriptor::of(MediaType::LAYER, &content);
            let mut fetch = Fetch::new(descriptor, 0);
            let mut got = Vec::new();
            let mut cuts = cuts.into_iter();
            while fetch.left() > 0 {
                let (piece, ranges) = cuts.next().unwrap_or((content.len(), true));
                let start = if ranges { usize::try_from(fetch.offset()).unwrap() } else { 0 };
                let range = format!("bytes {start}-{}/{}", content.len() - 1, content.len());
                let answer = if start > 0 { head(206, &[("content-range", &range)]) } else { head(200, &[]) };
                fetch.accept(&answer).unwrap();
                let end = (start + piece).min(content.len());
                got.extend_from_slice(fetch.take(&content[start..end]).unwrap());
                let goes_on = fetch.interrupted();
                prop_assert!(goes_on || fetch.left() == 0 || fetch.fruitless() > FRUITLESS_MAX);
            }
            prop_assert_eq!(got, content);
            prop_assert!(fetch.take(b"x").is_err());
        }
    }
}
