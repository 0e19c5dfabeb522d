//! References: how a person names an image in a registry.

mod grammar;

use std::fmt;
use std::str::FromStr;

use crate::digest::Digest;

const DEFAULT_REGISTRY: &str = "docker.io";
const LEGACY_DEFAULT_REGISTRY: &str = "index.docker.io";
const OFFICIAL: &str = "library/";
const REPOSITORY_LENGTH_MAX: usize = 255;

/// A normalised reference: registry, repository, and a tag or a digest or both.
///
/// Names without a registry are those of `docker.io`, single names there are in `library/`, and a reference with
/// neither tag nor digest has the tag `latest`.
///
/// ```
/// use windlass_image::Reference;
/// let reference: Reference = "debian:12".parse()?;
/// assert_eq!(reference.registry(), "docker.io");
/// assert_eq!(reference.repository(), "library/debian");
/// assert_eq!(reference.to_string(), "docker.io/library/debian:12");
/// assert_eq!(reference.familiar(), "debian:12");
/// # Ok::<(), windlass_image::Error>(())
/// ```
///
/// # Source
/// The grammar and the normalisation of the distribution project's `reference` package, version 0.6.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    // The canonical form; the parts are slices of it.
    text: String,
    // 0 when there is no registry.
    registry_end: usize,
    repository_end: usize,
    // `repository_end` when there is no tag.
    tag_end: usize,
    digest: Option<Digest>,
}

impl Reference {
    /// Reads a reference as a person writes it.
    ///
    /// # Errors
    /// Whatever the reference implementation refuses: among others, upper-case repositories, names of more than 255
    /// characters, digests that are not well formed, and 64 bare hexadecimal digits.
    pub fn parse(input: &str) -> Result<Self, ParseReferenceError> {
        parse(input).map_err(|reason| ParseReferenceError { input: input.to_owned(), reason })
    }

    /// The registry's host, with its port if it has one.
    ///
    /// It is empty when the first component looks like a host and is none but fits the grammar of a repository, as
    /// in `a_b.c/d`: the reference implementation has it so.
    pub fn registry(&self) -> &str {
        &self.text[..self.registry_end]
    }

    /// The repository in its registry.
    pub fn repository(&self) -> &str {
        let start = if self.registry_end == 0 { 0 } else { self.registry_end + 1 };
        &self.text[start..self.repository_end]
    }

    /// Registry and repository.
    pub fn name(&self) -> &str {
        &self.text[..self.repository_end]
    }

    /// The tag; `latest` when the input had neither tag nor digest.
    pub fn tag(&self) -> Option<&str> {
        (self.tag_end > self.repository_end).then(|| &self.text[self.repository_end + 1..self.tag_end])
    }

    /// The digest, when the reference names content and not only a place.
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// The whole reference with everything that was implied, like `docker.io/library/debian:latest`.
    pub fn canonical(&self) -> &str {
        &self.text
    }

    /// The reference without what is implied for `docker.io`, like `debian:latest`.
    pub fn familiar(&self) -> &str {
        if self.registry() != DEFAULT_REGISTRY {
            return &self.text;
        }
        let after_registry = &self.text[self.registry_end + 1..];
        match self.repository().strip_prefix(OFFICIAL) {
            Some(rest) if !rest.contains('/') => &after_registry[OFFICIAL.len()..],
            _ => after_registry,
        }
    }
}

fn parse(input: &str) -> Result<Reference, &'static str> {
    if grammar::is_identifier(input) {
        return Err("is 64 hexadecimal digits, which is the form of an identifier");
    }
    if input.is_empty() {
        return Err("is empty");
    }
    let (registry, official, remote) = normalise(input);
    let (remote, digest) = match remote.split_once('@') {
        Some((remote, digest)) => (remote, Some(Digest::parse(digest).map_err(|error| error.reason())?)),
        None => (remote, None),
    };
    let (path, tag) = match remote.split_once(':') {
        Some((path, tag)) => (path, Some(tag)),
        None => (remote, None),
    };
    if tag.is_some_and(|tag| !grammar::is_tag(tag)) {
        return Err("has an invalid tag");
    }
    if !grammar::is_path(path) {
        let upper_case = path.bytes().any(|byte| byte.is_ascii_uppercase());
        return Err(if upper_case { "has upper-case letters in its repository" } else { "has an invalid repository" });
    }
    let is_domain = grammar::is_domain(registry);
    if !is_domain && !grammar::is_path(registry) {
        return Err("has an invalid registry");
    }
    let mut text = String::with_capacity(input.len() + DEFAULT_REGISTRY.len() + OFFICIAL.len() + ":latest/".len());
    text.push_str(registry);
    let registry_end = if is_domain { text.len() } else { 0 };
    text.push('/');
    text.push_str(official);
    text.push_str(path);
    let repository_end = text.len();
    let repository_start = if is_domain { registry_end + 1 } else { 0 };
    if repository_end - repository_start > REPOSITORY_LENGTH_MAX {
        return Err("has a repository of more than 255 characters");
    }
    if let Some(tag) = tag.or(digest.is_none().then_some("latest")) {
        text.push(':');
        text.push_str(tag);
    }
    let tag_end = text.len();
    if let Some(digest) = &digest {
        text.push('@');
        text.push_str(&digest.to_string());
    }
    Ok(Reference { text, registry_end, repository_end, tag_end, digest })
}

/// Splits off the registry, which is the first component if that cannot be a part of a repository's name on
/// `docker.io`, and says which prefix that registry implies for the rest.
fn normalise(input: &str) -> (&str, &'static str, &str) {
    let (registry, remote) = match input.split_once('/') {
        Some((LEGACY_DEFAULT_REGISTRY, rest)) => (DEFAULT_REGISTRY, rest),
        Some((first, rest)) if first == "localhost" || first.contains(['.', ':']) || is_not_lower_case(first) => {
            (first, rest)
        }
        _ => (DEFAULT_REGISTRY, input),
    };
    let official = registry == DEFAULT_REGISTRY && !remote.contains('/');
    (registry, if official { OFFICIAL } else { "" }, remote)
}

fn is_not_lower_case(text: &str) -> bool {
    text.chars().any(|character| !character.to_lowercase().eq([character]))
}

impl FromStr for Reference {
    type Err = ParseReferenceError;

    fn from_str(input: &str) -> Result<Self, ParseReferenceError> {
        Self::parse(input)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.canonical())
    }
}

impl AsRef<str> for Reference {
    fn as_ref(&self) -> &str {
        self.canonical()
    }
}

/// Why a text is no reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("reference {input:?} {reason}")]
pub struct ParseReferenceError {
    input: String,
    reason: &'static str,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn parts() {
        for (input, registry, repository, tag, familiar) in [
            ("debian", "docker.io", "library/debian", "latest", "debian:latest"),
            ("localhost/a:1", "localhost", "a", "1", "localhost/a:1"),
            ("localhost:5000", "docker.io", "library/localhost", "5000", "localhost:5000"),
            ("index.docker.io/a/b:x", "docker.io", "a/b", "x", "a/b:x"),
            ("[::1]:5000/a", "[::1]:5000", "a", "latest", "[::1]:5000/a:latest"),
            ("docker.io/library/a/b", "docker.io", "library/a/b", "latest", "library/a/b:latest"),
            ("Host/a", "Host", "a", "latest", "Host/a:latest"),
            ("a_b.c/d", "", "a_b.c/d", "latest", "a_b.c/d:latest"),
        ] {
            let reference = Reference::parse(input).unwrap();
            assert_eq!(reference.registry(), registry, "{input}");
            assert_eq!(reference.repository(), repository, "{input}");
            assert_eq!(reference.tag(), Some(tag), "{input}");
            assert_eq!(reference.familiar(), familiar, "{input}");
        }
    }

    #[test]
    fn the_length_of_the_repository_counts_without_the_registry() {
        let longest = format!("example.com/{}", "a".repeat(255));
        assert!(Reference::parse(&longest).is_ok());
        let error = Reference::parse(&format!("{longest}a")).unwrap_err();
        assert!(error.to_string().ends_with("has a repository of more than 255 characters"), "{error}");
    }

    proptest! {
        #[test]
        fn parse_inverts_both_forms(
            input in r"((localhost|[a-z]{1,3}\.[a-z]{2}|\[::1\])(:[0-9]{1,5})?/)?[a-z0-9]{1,4}(/[a-z]{1,3}([._]|__|-{1,3})[a-z0-9]{1,3}){0,2}(:[A-Za-z0-9_.-]{1,8})?",
        ) {
            if let Ok(reference) = Reference::parse(&input) {
                prop_assert_eq!(Reference::parse(reference.canonical()).unwrap(), reference.clone());
                prop_assert_eq!(Reference::parse(reference.familiar()).unwrap(), reference);
            }
        }

        #[test]
        fn any_text_is_read_or_refused(input: String) {
            if let Ok(reference) = Reference::parse(&input) {
                prop_assert_eq!(Reference::parse(reference.canonical()), Ok(reference));
            }
        }
    }
}
