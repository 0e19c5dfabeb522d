//! Tokens: what they are for, how they are asked for, and how long they hold.

use std::fmt;
use std::time::Duration;

use super::message::{Content, Dial, Method, Request, SMALL_BODY_MAX};
use super::url::{Origin, Url, encode};
use crate::base64;
use crate::error::Result;
use crate::json::{self, Value};
use crate::limits::Limits;

/// A token that says nothing holds so long.
const LIFETIME_DEFAULT: Duration = Duration::from_mins(1);
/// Asked for anew so long before its end, so that a request which is on its way does not arrive too late.
const MARGIN: Duration = Duration::from_secs(10);
const CLIENT_ID: &str = "windlass";

/// What is done with a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Access {
    /// Reading.
    Pull,
    /// Reading and writing.
    PullPush,
}

impl Access {
    const fn actions(self) -> &'static str {
        match self {
            Self::Pull => "pull",
            Self::PullPush => "pull,push",
        }
    }
}

/// What a token is for: a registry, its repositories and what is done with them. One is never used for another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenKey {
    /// Whose token.
    pub registry: Origin,
    // Sorted, so that the order of asking makes no other key.
    scopes: Vec<(String, Access)>,
}

impl TokenKey {
    /// No repository: to see whether credentials are accepted.
    pub fn registry(registry: Origin) -> Self {
        Self { registry, scopes: Vec::new() }
    }

    /// One repository.
    pub fn repository(registry: Origin, repository: impl Into<String>, access: Access) -> Self {
        Self { registry, scopes: vec![(repository.into(), access)] }
    }

    /// With reading another repository of the registry, as for mounting its blobs.
    #[must_use]
    pub fn and_pull(mut self, repository: impl Into<String>) -> Self {
        let repository = repository.into();
        if !self.scopes.iter().any(|(known, _)| *known == repository) {
            self.scopes.push((repository, Access::Pull));
            self.scopes.sort();
        }
        self
    }

    fn scopes(&self) -> impl Iterator<Item = String> {
        self.scopes.iter().map(|(repository, access)| format!("repository:{repository}:{}", access.actions()))
    }
}

/// Who asks.
#[derive(Clone, PartialEq, Eq)]
pub enum Credential {
    /// A name and a password.
    Basic {
        /// The name.
        user: String,
        /// The password.
        password: String,
    },
    /// A refresh token of OAuth 2.
    IdentityToken(String),
    /// A token that is sent to the registry as it is.
    RegistryToken(String),
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Basic { .. } => "Basic { .. }",
            Self::IdentityToken(_) => "IdentityToken(..)",
            Self::RegistryToken(_) => "RegistryToken(..)",
        })
    }
}

/// The value of an `Authorization` header with a name and a password.
pub(crate) fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", base64::encode(format!("{user}:{password}").as_bytes()))
}

/// Asks `realm` for a token; the credential goes there, so it must be one that may see it.
pub(crate) fn request(realm: &Url, service: Option<&str>, key: &TokenKey, credential: Option<&Credential>) -> Request {
    if let Some(Credential::IdentityToken(token)) = credential {
        let scope = key.scopes().collect::<Vec<_>>().join(" ");
        let mut form = format!("grant_type=refresh_token&client_id={CLIENT_ID}&refresh_token={}", encode(token));
        for (name, value) in [("&service=", service), ("&scope=", (!scope.is_empty()).then_some(scope.as_str()))] {
            if let Some(value) = value {
                form.push_str(name);
                form.push_str(&encode(value));
            }
        }
        let mut request = Request::new(Method::Post, realm.clone())
            .header("content-type", "application/x-www-form-urlencoded")
            .content(Content::Bytes(form.into_bytes()));
        request.dial = Dial::Pointed;
        return request;
    }
    let mut url = realm.clone();
    if let Some(service) = service {
        url = url.with_query("service", service);
    }
    url = key.scopes().fold(url, |url, scope| url.with_query("scope", &scope));
    let mut request = match credential {
        Some(Credential::Basic { user, password }) => {
            Request::new(Method::Get, url.with_query("account", user)).header("authorization", basic(user, password))
        }
        _ => Request::new(Method::Get, url),
    };
    request.dial = Dial::Pointed;
    request
}

/// A token and its end, since the epoch.
#[derive(Clone)]
pub(crate) struct Token {
    value: String,
    ends: Duration,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("ends", &self.ends).finish_non_exhaustive()
    }
}

impl Token {
    /// Reads what a realm answered.
    pub(crate) fn parse(content: &[u8], now: Duration) -> Result<Self> {
        const KIND: &str = "token";
        let limits = Limits { document_bytes: SMALL_BODY_MAX, ..Limits::DEFAULT };
        let value = json::parse(KIND, content, &limits)?;
        let read = || {
            let object = value.object()?;
            let token = match object.optional("token", Value::owned)? {
                Some(token) if !token.is_empty() => token,
                _ => object.required("access_token", Value::owned)?,
            };
            // It goes into a header.
            if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(crate::error::Fault::new("has other than visible ASCII characters").within("token"));
            }
            Ok((token, object.optional("expires_in", Value::unsigned)?))
        };
        let (value, seconds) = read().map_err(|fault| fault.of(KIND))?;
        let lifetime = seconds.map_or(LIFETIME_DEFAULT, Duration::from_secs).max(LIFETIME_DEFAULT);
        Ok(Self { value, ends: now.saturating_add(lifetime) })
    }

    /// The value of the header while it holds.
    pub(crate) fn header(&self, now: Duration) -> Option<String> {
        (now.saturating_add(MARGIN) < self.ends).then(|| format!("Bearer {}", self.value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::url::Scheme;

    fn key() -> TokenKey {
        TokenKey::repository(Origin::new(Scheme::Https, "r.example").unwrap(), "a/b", Access::PullPush)
    }

    #[test]
    fn requests_name_what_the_token_is_for() {
        let realm = Url::parse("https://r.example/token?x=1").unwrap();
        let asked = request(&realm, Some("s p"), &key().and_pull("c").and_pull("a/b"), None);
        assert_eq!(
            asked.url.to_string(),
            "https://r.example/token?x=1&service=s%20p&scope=repository%3Aa%2Fb%3Apull%2Cpush&scope=repository%3Ac%3Apull"
        );
        assert_eq!((asked.dial, asked.headers.len()), (Dial::Pointed, 0));
        let user = Credential::Basic { user: "u".into(), password: "p:q".into() };
        let asked = request(&realm, None, &TokenKey::registry(key().registry), Some(&user));
        assert_eq!(asked.headers, [("authorization", "Basic dTpwOnE=".to_owned())]);
        let asked = request(&realm, Some("s"), &key(), Some(&Credential::IdentityToken("t&".into())));
        let Content::Bytes(form) = asked.content else { panic!("a form") };
        assert_eq!(
            String::from_utf8(form).unwrap(),
            "grant_type=refresh_token&client_id=windlass&refresh_token=t%26&service=s&scope=repository%3Aa%2Fb%3Apull%2Cpush"
        );
    }

    #[test]
    fn a_token_ends_before_the_registry_says_so() {
        let now = Duration::from_secs(1000);
        let token = Token::parse(br#"{"token":"","access_token":"t","expires_in":100}"#, now).unwrap();
        assert_eq!(token.header(now).as_deref(), Some("Bearer t"));
        assert_eq!(token.header(now + Duration::from_secs(89)).as_deref(), Some("Bearer t"));
        assert_eq!(token.header(now + Duration::from_secs(90)), None);
        for wrong in [r#"{"token":"a\nb"}"#, "{}", r#"{"token":7}"#, "[]", r#"{"token":"a","token":"b"}"#] {
            assert!(Token::parse(wrong.as_bytes(), now).is_err(), "{wrong}");
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        let user = Credential::Basic { user: "u".into(), password: "secret".into() };
        assert_eq!(format!("{user:?}"), "Basic { .. }");
        assert!(!format!("{:?}", Token::parse(br#"{"token":"secret"}"#, Duration::ZERO).unwrap()).contains("secret"));
    }
}
