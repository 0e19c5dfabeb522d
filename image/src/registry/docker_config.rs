//! `config.json` of Docker: which credentials there are, and which programs keep them.

use std::collections::BTreeMap;

use super::token::Credential;
use crate::base64;
use crate::error::{Error, Fault, Result};
use crate::json::{self, Object, Value};
use crate::limits::Limits;

const KIND: &str = "docker configuration";
/// Under which Docker itself keeps the credential of its registry.
const DOCKER_KEY: &str = "https://index.docker.io/v1/";

/// Where a registry's credential is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// In the file.
    Here(Credential),
    /// A program of this name keeps it: `docker-credential-` goes before the name.
    Helper(HelperName),
    /// Nowhere.
    Nowhere,
}

/// The name of a credential helper, which cannot name a program elsewhere than in `PATH` or mean anything to a shell.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct HelperName(String);

impl HelperName {
    /// Checks a name.
    ///
    /// # Errors
    /// [`Error::Invalid`] for anything but letters, digits, `-` and `_`, beginning with a letter or digit.
    pub fn new(name: &str) -> Result<Self> {
        let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
        let begins = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
        if plain && begins && name.len() <= 64 {
            Ok(Self(name.to_owned()))
        } else {
            let reason = "is no name of a credential helper";
            Err(Error::Invalid { field: "credential helper", value: name.to_owned(), reason })
        }
    }

    /// The program, to be found in `PATH`.
    pub fn program(&self) -> String {
        format!("docker-credential-{}", self.0)
    }
}

/// The configuration as it is written, and what of it concerns registries.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DockerConfig {
    auths: BTreeMap<String, Option<Credential>>,
    store: Option<HelperName>,
    helpers: BTreeMap<String, HelperName>,
}

impl DockerConfig {
    /// Reads the file's content.
    ///
    /// # Errors
    /// [`Error::Document`], and [`Error::Invalid`] for the name of a helper that is none.
    pub fn parse(raw: &[u8]) -> Result<Self> {
        let value = json::parse(KIND, raw, &Limits::DEFAULT)?;
        let fault = |fault: Fault| fault.of(KIND);
        let object = value.object().map_err(fault)?;
        let mut auths = BTreeMap::new();
        if let Some(entries) = object.optional("auths", |value| value.object().cloned()).map_err(fault)? {
            for registry in entries.keys() {
                let credential = entries
                    .optional(registry, read_credential)
                    .map_err(|inner| inner.within("auths"))
                    .map_err(fault)?
                    .flatten();
                auths.insert(registry.to_owned(), credential);
            }
        }
        let store = object.optional("credsStore", Value::owned).map_err(fault)?;
        let store = store.filter(|name| !name.is_empty()).map(|name| HelperName::new(&name)).transpose()?;
        let helpers = object.or_default("credHelpers", Value::string_map).map_err(fault)?;
        let helpers = helpers.into_iter().map(|(registry, name)| Ok((registry, HelperName::new(&name)?)));
        Ok(Self { auths, store, helpers: helpers.collect::<Result<_>>()? })
    }

    /// Where the credential of a registry is, as [`Reference::registry`](crate::Reference::registry) calls it.
    pub fn source(&self, registry: &str) -> Source {
        let key = key(registry);
        if let Some(helper) = self.helpers.get(key).or_else(|| self.helpers.get(registry)) {
            return Source::Helper(helper.clone());
        }
        let found = self.auths.iter().find(|(known, _)| same(known, registry));
        match (&self.store, found) {
            (_, Some((_, Some(credential)))) => Source::Here(credential.clone()),
            (Some(store), _) => Source::Helper(store.clone()),
            (None, _) => Source::Nowhere,
        }
    }
}

/// What a registry is called in the file and by helpers.
pub fn key(registry: &str) -> &str {
    if registry == "docker.io" { DOCKER_KEY } else { registry }
}

/// Keys are hosts, or addresses of which only the host counts.
fn same(known: &str, registry: &str) -> bool {
    if known == key(registry) {
        return true;
    }
    let host = known.trim_start_matches("https://").trim_start_matches("http://");
    let host = host.split('/').next().unwrap_or_default();
    host == registry || (registry == "docker.io" && host == "index.docker.io")
}

fn read_credential(value: &Value<'_>) -> std::result::Result<Option<Credential>, Fault> {
    let object = value.object()?;
    let text = |key| Ok::<_, Fault>(object.optional(key, Value::owned)?.filter(|text: &String| !text.is_empty()));
    if let Some(token) = text("registrytoken")? {
        return Ok(Some(Credential::RegistryToken(token)));
    }
    if let Some(token) = text("identitytoken")? {
        return Ok(Some(Credential::IdentityToken(token)));
    }
    if let Some(encoded) = text("auth")? {
        let fault = |reason: &str| Fault::new(reason).within("auth");
        let decoded = base64::decode(&encoded).ok_or_else(|| fault("is not base64"))?;
        let decoded = String::from_utf8(decoded).map_err(|_| fault("is not text"))?;
        let (user, password) = decoded.split_once(':').ok_or_else(|| fault("has no colon"))?;
        // Docker pads with these.
        let password = password.trim_end_matches('\0');
        return Ok(Some(Credential::Basic { user: user.to_owned(), password: password.to_owned() }));
    }
    match (text("username")?, text("password")?) {
        (Some(user), Some(password)) => Ok(Some(Credential::Basic { user, password })),
        _ => Ok(None),
    }
}

/// The file with another credential for a registry, or without one; whatever else it holds stays.
///
/// # Errors
/// [`Error::Document`] for a file that cannot be read; [`Error::Unsupported`] for a token, which Docker's file does
/// not take from a login.
pub fn with_credential(raw: &[u8], registry: &str, credential: Option<&Credential>) -> Result<Vec<u8>> {
    let fault = |fault: Fault| fault.of(KIND);
    let Value::Object(mut members) = json::parse(KIND, raw, &Limits::DEFAULT)? else {
        return Err(fault(Fault::new("must be an object")));
    };
    let entries = members.optional("auths", |value| value.object().cloned()).map_err(fault)?.unwrap_or_default();
    let mut changed = Object::default();
    for name in entries.keys().filter(|name| !same(name, registry)) {
        changed.set(name.to_owned(), entries.get(name).expect("it is one of the object's keys").clone());
    }
    match credential {
        None => {}
        Some(Credential::Basic { user, password }) => {
            let mut entry = Object::default();
            entry.set("auth", Value::text(base64::encode(format!("{user}:{password}").as_bytes())));
            changed.set(key(registry).to_owned(), Value::Object(entry));
        }
        Some(_) => return Err(Error::Unsupported { feature: "storing a token as a login".into() }),
    }
    members.set("auths", Value::Object(changed));
    Ok(json::compact(&Value::Object(members)))
}

/// Reads what a helper's `get` printed.
///
/// # Errors
/// [`Error::Document`].
pub fn from_helper(raw: &[u8]) -> Result<Credential> {
    const ANSWER: &str = "answer of a credential helper";
    let value = json::parse(ANSWER, raw, &Limits::DEFAULT)?;
    let read = || {
        let object = value.object()?;
        Ok((object.required("Username", Value::owned)?, object.required("Secret", Value::owned)?))
    };
    let (user, secret) = read().map_err(|fault: Fault| fault.of(ANSWER))?;
    // Helpers keep refresh tokens under this name.
    Ok(if user == "<token>" { Credential::IdentityToken(secret) } else { Credential::Basic { user, password: secret } })
}

/// What a helper's `store` reads.
pub fn for_helper(registry: &str, user: &str, password: &str) -> Vec<u8> {
    let mut object = Object::default();
    object.set("ServerURL", Value::text(key(registry)));
    object.set("Username", Value::text(user));
    object.set("Secret", Value::text(password));
    json::compact(&Value::Object(object))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn basic(user: &str, password: &str) -> Credential {
        Credential::Basic { user: user.into(), password: password.into() }
    }

    #[test]
    fn credentials_are_found_where_docker_puts_them() {
        let config = DockerConfig::parse(
            br#"{"auths":{"https://index.docker.io/v1/":{"auth":"dTpwOnE="},"a.example":{"identitytoken":"t"},
            "https://b.example/v1/":{"auth":"dTpw"},"c.example":{},"d.example:5000":{"registrytoken":"r"}},
            "credHelpers":{"e.example":"pass"},"HttpHeaders":{"X":"y"}}"#,
        )
        .unwrap();
        for (registry, source) in [
            ("docker.io", Source::Here(basic("u", "p:q"))),
            ("a.example", Source::Here(Credential::IdentityToken("t".into()))),
            ("b.example", Source::Here(basic("u", "p"))),
            ("c.example", Source::Nowhere),
            ("d.example:5000", Source::Here(Credential::RegistryToken("r".into()))),
            ("d.example", Source::Nowhere),
            ("evil-a.example", Source::Nowhere),
            ("e.example", Source::Helper(HelperName("pass".into()))),
        ] {
            assert_eq!(config.source(registry), source, "{registry}");
        }
        let stored = DockerConfig::parse(br#"{"credsStore":"secretservice","auths":{"a":{}}}"#).unwrap();
        assert_eq!(stored.source("a"), Source::Helper(HelperName("secretservice".into())));
    }

    #[test]
    fn a_helper_is_a_name_and_nothing_else() {
        for name in ["../x", "x;id", "", "-x", "a b", "a/b", "$(id)", "x\n", &"a".repeat(65)] {
            assert!(HelperName::new(name).is_err(), "{name:?}");
            let file = serde_json::json!({"credHelpers": {"r": name}}).to_string();
            assert!(DockerConfig::parse(file.as_bytes()).is_err(), "{name:?}");
        }
        assert_eq!(HelperName::new("osx-keychain_2").unwrap().program(), "docker-credential-osx-keychain_2");
    }

    #[test]
    fn what_is_not_known_stays() {
        let raw = br#"{"auths":{"a":{"auth":"eDp5","email":"e"},"b":{}},"HttpHeaders":{"X":"y"}}"#;
        let with = with_credential(raw, "b", Some(&basic("u", "p"))).unwrap();
        assert_eq!(
            String::from_utf8(with.clone()).unwrap(),
            r#"{"auths":{"a":{"auth":"eDp5","email":"e"},"b":{"auth":"dTpw"}},"HttpHeaders":{"X":"y"}}"#
        );
        let without = with_credential(&with, "a", None).unwrap();
        assert_eq!(String::from_utf8(without).unwrap(), r#"{"auths":{"b":{"auth":"dTpw"}},"HttpHeaders":{"X":"y"}}"#);
    }

    proptest! {
        #[test]
        fn a_login_is_read_back(registry in "[a-z]{1,9}(:[0-9]{1,4})?", user in "[^:]{0,9}", password in "[^\0]{0,9}") {
            let credential = basic(&user, &password);
            let raw = with_credential(b"{}", &registry, Some(&credential)).unwrap();
            prop_assert_eq!(DockerConfig::parse(&raw).unwrap().source(&registry), Source::Here(credential));
            let without = with_credential(&raw, &registry, None).unwrap();
            prop_assert_eq!(DockerConfig::parse(&without).unwrap().source(&registry), Source::Nowhere);
        }
    }
}
