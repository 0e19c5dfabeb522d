//! `registries.conf`: where else a registry's images are.

use super::url::{Origin, Scheme};
use crate::error::{Error, Result};
use crate::reference::Reference;

/// The registry that serves `docker.io`.
const DOCKER_HOST: &str = "registry-1.docker.io";

/// A place from which a repository can be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The host with its port, as credentials are looked up.
    pub host: String,
    /// The repository there.
    pub repository: String,
    /// Whether the file lets it be talked to in the clear.
    pub plain: bool,
}

impl Endpoint {
    /// Its origin, in the clear if the endpoint or the caller says so.
    pub fn origin(&self, plain: bool) -> Result<Origin> {
        let host = if self.host == "docker.io" { DOCKER_HOST } else { &self.host };
        Origin::new(if plain || self.plain { Scheme::Http } else { Scheme::Https }, host)
    }
}

/// The rules of the file that are known here: `prefix`, `location`, `insecure`, `blocked`, and mirrors with
/// `location`, `insecure` and `pull-from-mirror`.
///
/// `insecure` means HTTP in the clear with this host. Nothing ever tries TLS first and falls back.
///
/// # Source
/// containers-registries.conf(5), version 2.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Mirrors {
    rules: Vec<Rule>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Rule {
    prefix: String,
    location: String,
    plain: bool,
    blocked: bool,
    mirrors: Vec<Mirror>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Mirror {
    location: String,
    plain: bool,
    serves: Serves,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Serves {
    All,
    Tags,
    Digests,
}

impl Mirrors {
    /// Reads the file's content.
    ///
    /// # Errors
    /// [`Error::Invalid`] for what is not TOML or not of version 2; [`Error::Unsupported`] for a rule that cannot be
    /// followed, rather than leaving it out.
    pub fn parse(text: &str) -> Result<Self> {
        let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
            let shown = error.message().chars().take(200).collect();
            Error::Invalid { field: "registries.conf", value: shown, reason: "is not TOML" }
        })?;
        if table.contains_key("registries") {
            return Err(unsupported("`registries` of version 1"));
        }
        let rules = match table.get("registry") {
            None => Vec::new(),
            Some(toml::Value::Array(rules)) => rules.iter().map(rule).collect::<Result<_>>()?,
            Some(_) => return Err(unsupported("`registry` that is no list")),
        };
        Ok(Self { rules })
    }

    /// The hosts that the file lets be talked to in the clear.
    pub fn plain_hosts(&self) -> impl Iterator<Item = &str> {
        let places = self.rules.iter().flat_map(|rule| {
            let mirrors = rule.mirrors.iter().map(|mirror| (mirror.location.as_str(), mirror.plain));
            [(rule.location.as_str(), rule.plain)].into_iter().chain(mirrors)
        });
        let host = |location: &'_ str| location.find('/').unwrap_or(location.len());
        places
            .filter(|(location, plain)| *plain && !location.is_empty())
            .map(move |(location, _)| &location[..host(location)])
    }

    /// Where to look for an image, in this order; the last is where it is written to.
    ///
    /// # Errors
    /// [`Error::Refused`] for a registry that the file blocks; [`Error::Invalid`] for a reference without a registry.
    pub fn endpoints(&self, reference: &Reference) -> Result<Vec<Endpoint>> {
        let name = reference.name();
        if reference.registry().is_empty() {
            return Err(Error::Invalid { field: "reference", value: name.into(), reason: "names no registry" });
        }
        let matching = self.rules.iter().filter(|rule| rule.remainder(name).is_some());
        // The longest prefix is the most exact rule.
        let Some(rule) = matching.max_by_key(|rule| rule.prefix.len()) else {
            return Ok(vec![endpoint(reference.registry(), reference.repository(), false)?]);
        };
        if rule.blocked {
            return Err(Error::refused(name.to_owned(), "registries.conf blocks it"));
        }
        let by_digest = reference.digest().is_some();
        let serves = |mirror: &&Mirror| match mirror.serves {
            Serves::All => true,
            Serves::Tags => !by_digest,
            Serves::Digests => by_digest,
        };
        let remainder = rule.remainder(name).expect("only matching rules are left");
        let mirrors = rule.mirrors.iter().filter(serves).map(|mirror| (&mirror.location, mirror.plain));
        let places = mirrors.chain([(&rule.location, rule.plain)]);
        places
            .map(|(location, plain)| {
                let whole = if location.is_empty() { name.to_owned() } else { format!("{location}{remainder}") };
                let (host, repository) =
                    whole.split_once('/').ok_or_else(|| unsupported("a location without a repository"))?;
                endpoint(host, repository, plain)
            })
            .collect()
    }
}

fn endpoint(host: &str, repository: &str, plain: bool) -> Result<Endpoint> {
    let endpoint = Endpoint { host: host.into(), repository: repository.into(), plain };
    endpoint.origin(false)?;
    Ok(endpoint)
}

impl Rule {
    /// What follows the rule's prefix in a name, if it begins so, at the end of a component.
    fn remainder<'n>(&self, name: &'n str) -> Option<&'n str> {
        if let Some(domain) = self.prefix.strip_prefix("*.") {
            let host = name.split('/').next().unwrap_or_default();
            let subdomain = host.strip_suffix(domain)?.strip_suffix('.')?;
            return (!subdomain.is_empty()).then(|| &name[host.len()..]);
        }
        let rest = name.strip_prefix(self.prefix.as_str())?;
        (rest.is_empty() || rest.starts_with('/')).then_some(rest)
    }
}

fn rule(value: &toml::Value) -> Result<Rule> {
    let table = value.as_table().ok_or_else(|| unsupported("a registry that is no table"))?;
    known(table, &["prefix", "location", "insecure", "blocked", "mirror", "mirror-by-digest-only"])?;
    let location = text(table, "location")?.unwrap_or_default();
    let prefix = text(table, "prefix")?.unwrap_or_else(|| location.clone());
    if prefix.is_empty() || (prefix.starts_with("*.") && !location.is_empty()) {
        return Err(unsupported("a registry without a prefix, or with a location for many hosts"));
    }
    let by_digest = flag(table, "mirror-by-digest-only")?;
    let mirrors = match table.get("mirror") {
        None => Vec::new(),
        Some(toml::Value::Array(mirrors)) => {
            mirrors.iter().map(|value| mirror(value, by_digest)).collect::<Result<_>>()?
        }
        Some(_) => return Err(unsupported("`mirror` that is no list")),
    };
    Ok(Rule { prefix, location, plain: flag(table, "insecure")?, blocked: flag(table, "blocked")?, mirrors })
}

fn mirror(value: &toml::Value, by_digest: bool) -> Result<Mirror> {
    let table = value.as_table().ok_or_else(|| unsupported("a mirror that is no table"))?;
    known(table, &["location", "insecure", "pull-from-mirror"])?;
    let location = text(table, "location")?.filter(|location| !location.is_empty());
    let serves = match text(table, "pull-from-mirror")?.as_deref() {
        None if by_digest => Serves::Digests,
        None | Some("" | "all") => Serves::All,
        Some("digest-only") => Serves::Digests,
        Some("tag-only") => Serves::Tags,
        Some(other) => return Err(unsupported(&format!("pull-from-mirror {other:?}"))),
    };
    let location = location.ok_or_else(|| unsupported("a mirror without a location"))?;
    Ok(Mirror { location, plain: flag(table, "insecure")?, serves })
}

fn known(table: &toml::Table, keys: &[&str]) -> Result<()> {
    match table.keys().find(|key| !keys.contains(&key.as_str())) {
        Some(key) => Err(unsupported(&format!("`{key}`"))),
        None => Ok(()),
    }
}

fn text(table: &toml::Table, key: &str) -> Result<Option<String>> {
    match table.get(key) {
        None => Ok(None),
        Some(toml::Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(unsupported(&format!("`{key}` that is no text"))),
    }
}

fn flag(table: &toml::Table, key: &str) -> Result<bool> {
    match table.get(key) {
        None => Ok(false),
        Some(toml::Value::Boolean(flag)) => Ok(*flag),
        Some(_) => Err(unsupported(&format!("`{key}` that is neither true nor false"))),
    }
}

fn unsupported(what: &str) -> Error {
    Error::Unsupported { feature: format!("in registries.conf, {what}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"
        unqualified-search-registries = ["docker.io"]
        [[registry]]
        prefix = "docker.io"
        location = "docker.io"
        [[registry.mirror]]
        location = "mirror.example:5000/hub"
        insecure = true
        [[registry.mirror]]
        location = "digests.example"
        pull-from-mirror = "digest-only"
        [[registry]]
        prefix = "docker.io/library/secret"
        blocked = true
        [[registry]]
        location = "internal.example/a"
        insecure = true
        [[registry]]
        prefix = "*.wild.example"
        [[registry.mirror]]
        location = "m.example"
    "#;

    fn places(reference: &str) -> Vec<String> {
        let reference = Reference::parse(reference).unwrap();
        let endpoints = Mirrors::parse(FILE).unwrap().endpoints(&reference).unwrap();
        endpoints
            .iter()
            .map(|endpoint| format!("{} {}", endpoint.origin(false).unwrap(), endpoint.repository))
            .collect()
    }

    #[test]
    fn mirrors_come_first() {
        let digest = crate::Digest::of(b"");
        let hub = "https://registry-1.docker.io library/a";
        assert_eq!(places("a"), ["http://mirror.example:5000 hub/library/a", hub]);
        assert_eq!(
            places(&format!("a@{digest}")),
            ["http://mirror.example:5000 hub/library/a", "https://digests.example library/a", hub]
        );
        assert_eq!(places("internal.example/a/b"), ["http://internal.example a/b"]);
        assert_eq!(places("internal.example/ab"), ["https://internal.example ab"]);
        assert_eq!(places("x.wild.example/b"), ["https://m.example b", "https://x.wild.example b"]);
        assert_eq!(places("other.example:1/b/c"), ["https://other.example:1 b/c"]);
        let hosts: Vec<String> = Mirrors::parse(FILE).unwrap().plain_hosts().map(str::to_owned).collect();
        assert_eq!(hosts, ["mirror.example:5000", "internal.example"]);
        let blocked = Mirrors::parse(FILE).unwrap().endpoints(&Reference::parse("secret/x").unwrap()).map(drop);
        assert!(blocked.is_ok(), "another repository");
        let blocked = Mirrors::parse(FILE).unwrap().endpoints(&Reference::parse("secret").unwrap());
        assert!(matches!(blocked, Err(Error::Refused { .. })), "{blocked:?}");
    }

    #[test]
    fn what_cannot_be_followed_is_said() {
        for text in [
            "[registries.search]\nregistries=[]",
            "[[registry]]\nlocation=\"a\"\nunknown=1",
            "[[registry]]\nblocked=true",
            "[[registry]]\nlocation=\"a\"\ninsecure=\"yes\"",
            "[[registry]]\nlocation=\"a\"\n[[registry.mirror]]\ninsecure=true",
            "= 1",
        ] {
            assert!(Mirrors::parse(text).is_err(), "{text}");
        }
    }
}
