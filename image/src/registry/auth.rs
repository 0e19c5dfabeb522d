//! Who may see a credential, and which tokens are there.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::challenge::Challenge;
use super::message::{Head, Request};
use super::token::{self, Credential, Token, TokenKey};
use super::url::{Origin, Scheme, Url};
use crate::error::{Error, Result};

/// The token service of Docker's registry is on a host of its own, which its own client trusts, too.
const DOCKER_REALM: (&str, &str) = ("registry-1.docker.io", "auth.docker.io");
const TOKENS_MAX: usize = 1024;

/// The credentials and tokens of registries.
///
/// A credential goes to its registry, and to a realm of the same origin or one that was named with
/// [`Authorizer::trust`]; it goes nowhere else, whatever an answer says (CVE-2020-15157).
#[derive(Debug, Default)]
pub struct Authorizer {
    credentials: BTreeMap<Origin, Credential>,
    trusted: BTreeSet<(Origin, String)>,
    // Which registries asked for a name and a password in each request.
    basic: BTreeSet<Origin>,
    tokens: BTreeMap<TokenKey, Token>,
}

/// What proves who asks, after a registry asked for a proof.
pub(crate) enum Proof {
    /// The request again, with what [`Authorizer::header`] gives now.
    Header,
    /// A token first.
    Token(Box<Request>),
}

impl Authorizer {
    /// Uses a credential for a registry.
    pub fn set_credential(&mut self, registry: Origin, credential: Credential) {
        self.credentials.insert(registry, credential);
    }

    /// Lets a registry's credential be sent to a token service on another host, over TLS.
    pub fn trust(&mut self, registry: Origin, realm_host: impl Into<String>) {
        self.trusted.insert((registry, realm_host.into().to_ascii_lowercase()));
    }

    /// The header that goes with a request to the key's registry, as far as one is known to be wanted.
    pub(crate) fn header(&self, key: &TokenKey, now: Duration) -> Option<String> {
        match self.credentials.get(&key.registry) {
            Some(Credential::RegistryToken(token)) => return Some(format!("Bearer {token}")),
            Some(Credential::Basic { user, password }) if self.basic.contains(&key.registry) => {
                return Some(token::basic(user, password));
            }
            _ => {}
        }
        self.tokens.get(key)?.header(now)
    }

    /// Answers a registry's challenge.
    pub(crate) fn prove(&mut self, key: &TokenKey, head: &Head) -> Result<Proof> {
        self.tokens.remove(key);
        let mut challenges = Vec::new();
        for header in head.all("www-authenticate") {
            challenges.extend(Challenge::parse(header)?);
        }
        let unauthorized =
            |reason: &str| Error::Unauthorized { registry: key.registry.authority(), reason: reason.into() };
        if let Some(bearer) = challenges.iter().find(|challenge| challenge.scheme() == "bearer") {
            let realm = bearer.parameter("realm").ok_or_else(|| Error::protocol("asks for a token without a realm"))?;
            let realm = Url::parse(realm)?;
            let credential = self.credential_for(&key.registry, &realm)?;
            let request = token::request(&realm, bearer.parameter("service"), key, credential);
            return Ok(Proof::Token(Box::new(request)));
        }
        if challenges.iter().any(|challenge| challenge.scheme() == "basic") {
            return match self.credentials.get(&key.registry) {
                Some(Credential::Basic { .. }) => {
                    self.basic.insert(key.registry.clone());
                    Ok(Proof::Header)
                }
                Some(_) => Err(unauthorized("wants a name and a password, and there is a token")),
                None => Err(unauthorized("wants a name and a password")),
            };
        }
        Err(unauthorized("wants no proof that is known here"))
    }

    pub(crate) fn store(&mut self, key: TokenKey, token: Token) {
        // A caller that names thousands of repositories asks again instead of growing.
        if self.tokens.len() >= TOKENS_MAX {
            self.tokens.clear();
        }
        self.tokens.insert(key, token);
    }

    /// The credential that may go to `realm` for a registry.
    fn credential_for(&self, registry: &Origin, realm: &Url) -> Result<Option<&Credential>> {
        let origin = realm.origin();
        if origin.scheme() == Scheme::Http && registry.scheme() == Scheme::Https {
            return Err(Error::refused(realm.without_query(), "a token service in the clear for a registry over TLS"));
        }
        let Some(credential) = self.credentials.get(registry) else { return Ok(None) };
        let is_dockers = (registry.host(), origin.host()) == DOCKER_REALM;
        let named = is_dockers || self.trusted.contains(&(registry.clone(), origin.host().to_owned()));
        if origin == registry || (named && origin.scheme() == Scheme::Https) {
            return Ok(Some(credential));
        }
        Err(Error::refused(
            realm.without_query(),
            "a token service of another origin than the registry would get the registry's credential",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(text: &str) -> Origin {
        Url::parse(text).unwrap().origin().clone()
    }

    fn asks(realm: &str) -> Head {
        Head::new(401, [("WWW-Authenticate".into(), format!("Bearer realm=\"{realm}\",service=\"s\""))])
    }

    fn sends_credential(registry: &str, realm: &str, trust: Option<&str>) -> Result<bool> {
        let mut authorizer = Authorizer::default();
        let registry = origin(registry);
        let credential = Credential::Basic { user: "u".into(), password: "p".into() };
        authorizer.set_credential(registry.clone(), credential);
        if let Some(host) = trust {
            authorizer.trust(registry.clone(), host);
        }
        match authorizer.prove(&TokenKey::registry(registry), &asks(realm))? {
            Proof::Token(request) => Ok(request.headers.iter().any(|(name, _)| *name == "authorization")),
            Proof::Header => Ok(false),
        }
    }

    #[test]
    fn cve_2020_15157_a_credential_goes_to_no_other_origin() {
        for (registry, realm, trust, sent) in [
            ("https://r.example", "https://r.example/token", None, Some(true)),
            ("https://r.example", "https://evil.example/token", None, None),
            ("https://r.example", "https://r.example:8443/token", None, None),
            ("https://r.example", "http://r.example/token", None, None),
            ("https://r.example", "https://r.example.evil.example/token", None, None),
            ("https://r.example", "https://auth.example/token", Some("auth.example"), Some(true)),
            ("https://r.example", "http://auth.example/token", Some("auth.example"), None),
            ("https://registry-1.docker.io", "https://auth.docker.io/token", None, Some(true)),
            ("https://r.example", "https://auth.docker.io/token", None, None),
            ("http://127.0.0.1:5000", "http://127.0.0.1:5000/token", None, Some(true)),
            ("http://127.0.0.1:5000", "http://127.0.0.1:5001/token", None, None),
            ("http://127.0.0.1:5000", "http://a.example/token", Some("a.example"), None),
        ] {
            let outcome = sends_credential(registry, realm, trust);
            match sent {
                Some(sent) => assert_eq!(outcome.unwrap(), sent, "{registry} {realm}"),
                None => assert!(matches!(outcome, Err(Error::Refused { .. })), "{registry} {realm}: {outcome:?}"),
            }
        }
    }

    #[test]
    fn an_anonymous_token_may_come_from_elsewhere_but_not_in_the_clear() {
        let mut authorizer = Authorizer::default();
        let key = TokenKey::registry(origin("https://r.example"));
        assert!(matches!(authorizer.prove(&key, &asks("https://auth.example/t")), Ok(Proof::Token(_))));
        assert!(authorizer.prove(&key, &asks("http://auth.example/t")).is_err());
    }

    #[test]
    fn a_token_is_for_one_repository_and_one_access() {
        use super::super::token::Access;
        let mut authorizer = Authorizer::default();
        let registry = origin("https://r.example");
        let key = |repository: &str, access| TokenKey::repository(registry.clone(), repository, access);
        let token = Token::parse(br#"{"token":"t"}"#, Duration::ZERO).unwrap();
        authorizer.store(key("a", Access::Pull), token);
        assert!(authorizer.header(&key("a", Access::Pull), Duration::ZERO).is_some());
        assert!(authorizer.header(&key("a", Access::PullPush), Duration::ZERO).is_none());
        assert!(authorizer.header(&key("b", Access::Pull), Duration::ZERO).is_none());
        let other = TokenKey::repository(origin("https://r.example:1"), "a", Access::Pull);
        assert!(authorizer.header(&other, Duration::ZERO).is_none());
    }
}
