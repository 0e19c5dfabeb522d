//! One request until it is answered for good: proofs, redirects and repetitions on the way.

use std::time::Duration;

use super::auth::{Authorizer, Proof};
use super::message::{Content, Dial, Head, Method, Request, message};
use super::retry::{RetryPolicy, is_transient, retry_after};
use super::token::{Token, TokenKey};
use super::url::Scheme;
use crate::error::{Error, Result};

const REDIRECTS_MAX: u32 = 5;

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Send this after a pause, and hand the answer to [`Exchange::handle`], or [`Exchange::failed`] without one.
    Send {
        /// How long to wait first.
        after: Duration,
        /// What to send.
        request: Request,
    },
    /// The last answer is the one to the request; its content has not been read.
    Done,
}

/// The machine of one request. It is driven by its caller: nothing happens between two calls, so it needs no timer.
///
/// ```
/// use std::time::Duration;
/// use windlass_image::registry::{Authorizer, Call, Exchange, Head, Origin, RetryPolicy, Scheme, Step};
///
/// let registry = Origin::new(Scheme::Https, "registry.example")?;
/// let mut authorizer = Authorizer::default();
/// let mut exchange = Exchange::new(Call::ping(&registry), RetryPolicy::DEFAULT, 7);
/// let Step::Send { request, .. } = exchange.start(&authorizer, Duration::ZERO) else { unreachable!() };
/// assert_eq!(request.url.to_string(), "https://registry.example/v2/");
/// let challenge = ("WWW-Authenticate".into(), r#"Bearer realm="https://registry.example/token""#.into());
/// let step = exchange.handle(&Head::new(401, [challenge]), b"", &mut authorizer, Duration::ZERO)?;
/// let Step::Send { request, .. } = step else { unreachable!() };
/// assert_eq!(request.url.to_string(), "https://registry.example/token");
/// # Ok::<(), windlass_image::Error>(())
/// ```
#[derive(Debug)]
pub struct Exchange {
    // As it was asked for, without a proof.
    request: Request,
    key: TokenKey,
    // As it is sent: elsewhere after a redirect.
    current: Request,
    token: Option<Request>,
    policy: RetryPolicy,
    seed: u64,
    attempt: u32,
    redirects: u32,
    proved: bool,
    // The proof that the last request had.
    shown: Option<String>,
}

/// A request and what its token must be for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The request, without a proof of who asks.
    pub request: Request,
    /// What a token must be for.
    pub key: TokenKey,
}

impl Exchange {
    /// Begins with a request; `seed` spreads the pauses of many clients.
    pub fn new(call: Call, policy: RetryPolicy, seed: u64) -> Self {
        let Call { request, key } = call;
        let current = request.clone();
        Self { request, key, current, token: None, policy, seed, attempt: 0, redirects: 0, proved: false, shown: None }
    }

    /// The first step; `now` is since the epoch.
    pub fn start(&mut self, authorizer: &Authorizer, now: Duration) -> Step {
        self.send(Duration::ZERO, authorizer, now)
    }

    /// Whether the content of an answer to the last request must be read, up to
    /// [`SMALL_BODY_MAX`](super::SMALL_BODY_MAX), before [`Exchange::handle`] is called.
    pub fn reads_content(&self, head: &Head) -> bool {
        self.token.is_some() || (head.status >= 400 && self.request.method != Method::Head)
    }

    /// Whether the last request was for a token, whose length is its own.
    pub fn is_for_token(&self) -> bool {
        self.token.is_some()
    }

    /// Takes an answer, with its content if [`Exchange::reads_content`].
    ///
    /// # Errors
    /// [`Error::Unauthorized`] for what no proof helped against; [`Error::Refused`] for a redirect or a realm that
    /// must not be followed; [`Error::Http`] when the registry cannot answer now and repeating did not help.
    pub fn handle(&mut self, head: &Head, content: &[u8], authorizer: &mut Authorizer, now: Duration) -> Result<Step> {
        if is_transient(head.status) && (self.token.is_some() || self.may_repeat(head.status)) {
            let wanted = head.header("retry-after").and_then(|header| retry_after(header, now));
            if let Some(pause) = self.pause(wanted) {
                return Ok(self.send(pause, authorizer, now));
            }
            return Err(self.status(head, content));
        }
        if self.token.is_some() {
            if head.status != 200 {
                let said = format!("token service answered {}: {}", head.status, message(content));
                return Err(Error::Unauthorized { registry: self.key.registry.authority(), reason: said });
            }
            authorizer.store(self.key.clone(), Token::parse(content, now)?);
            self.token = None;
            return Ok(self.send(Duration::ZERO, authorizer, now));
        }
        match head.status {
            401 => self.unauthorized(head, content, authorizer, now),
            301 | 302 | 303 | 307 | 308 if matches!(self.request.method, Method::Get | Method::Head) => {
                self.redirect(head)?;
                Ok(self.send(Duration::ZERO, authorizer, now))
            }
            _ => Ok(Step::Done),
        }
    }

    /// There was no answer: a connection could not be made, or it ended.
    ///
    /// # Errors
    /// Gives `error` back when repeating cannot or did not help.
    pub fn failed(&mut self, error: Error, authorizer: &Authorizer, now: Duration) -> Result<Step> {
        let repeatable = self.token.is_some() || self.may_repeat(0);
        let pause = if repeatable && error.is_transient() { self.pause(None) } else { None };
        pause.map_or(Err(error), |pause| Ok(self.send(pause, authorizer, now)))
    }

    /// The answer's status as an error, with what its content says.
    pub fn status(&self, head: &Head, content: &[u8]) -> Error {
        let current = self.token.as_ref().unwrap_or(&self.current);
        Error::Http {
            method: current.method.as_str(),
            url: current.url.without_query(),
            status: head.status,
            said: message(content),
        }
    }

    /// Where the last request went.
    pub fn url(&self) -> &super::Url {
        &self.current.url
    }

    /// An upload that was cut has changed what the registry expects next; only too many requests leave it as it is.
    fn may_repeat(&self, status: u16) -> bool {
        match self.request.method {
            Method::Get | Method::Head => true,
            Method::Put => !matches!(self.request.content, Content::Blob { .. }) || status == 429,
            Method::Post | Method::Patch | Method::Delete => status == 429,
        }
    }

    fn pause(&mut self, wanted: Option<Duration>) -> Option<Duration> {
        let pause = self.policy.pause(self.attempt, wanted, self.seed);
        self.attempt += 1;
        pause
    }

    fn send(&mut self, after: Duration, authorizer: &Authorizer, now: Duration) -> Step {
        if let Some(request) = &self.token {
            return Step::Send { after, request: request.clone() };
        }
        let mut request = self.current.clone();
        // Whoever a redirect points to is shown nothing, unless it is the registry itself.
        if *request.url.origin() == self.key.registry
            && let Some(proof) = authorizer.header(&self.key, now)
        {
            self.shown = Some(proof.clone());
            request.headers.push(("authorization", proof));
        }
        Step::Send { after, request }
    }

    fn unauthorized(
        &mut self,
        head: &Head,
        content: &[u8],
        authorizer: &mut Authorizer,
        now: Duration,
    ) -> Result<Step> {
        let registry = || self.key.registry.authority();
        if *self.current.url.origin() != self.key.registry {
            let reason = format!("pointed to {}, which wants a proof", self.current.url.origin());
            return Err(Error::Unauthorized { registry: registry(), reason });
        }
        if self.proved {
            return Err(Error::Unauthorized { registry: registry(), reason: message(content) });
        }
        // Another exchange may have been given a token meanwhile.
        if authorizer.header(&self.key, now).is_some_and(|proof| self.shown.as_ref() != Some(&proof)) {
            return Ok(self.send(Duration::ZERO, authorizer, now));
        }
        self.proved = true;
        match authorizer.prove(&self.key, head)? {
            Proof::Header => {}
            Proof::Token(request) => self.token = Some(*request),
        }
        Ok(self.send(Duration::ZERO, authorizer, now))
    }

    fn redirect(&mut self, head: &Head) -> Result<()> {
        let location = head.header("location").ok_or_else(|| Error::protocol("redirects without a location"))?;
        self.redirects += 1;
        if self.redirects > REDIRECTS_MAX {
            return Err(Error::LimitExceeded { limit: "redirects", max: u64::from(REDIRECTS_MAX) });
        }
        let url = self.current.url.join(location)?;
        if self.current.url.origin().scheme() == Scheme::Https && url.origin().scheme() == Scheme::Http {
            return Err(Error::refused(url.without_query(), "a redirect from TLS to the clear"));
        }
        if *url.origin() != self.key.registry {
            self.current.dial = Dial::Pointed;
        }
        self.current.url = url;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::token::{Access, Credential};
    use crate::registry::url::{Origin, Url};

    const NOW: Duration = Duration::from_secs(1_000_000);

    struct Scene {
        exchange: Exchange,
        authorizer: Authorizer,
    }

    fn registry() -> Origin {
        Origin::new(Scheme::Https, "r.example").unwrap()
    }

    fn scene(method: Method) -> Scene {
        let request = Request::new(method, Url::new(&registry(), "/v2/a/blobs/x".into()));
        let key = TokenKey::repository(registry(), "a", Access::Pull);
        let mut authorizer = Authorizer::default();
        authorizer.set_credential(registry(), Credential::Basic { user: "u".into(), password: "p".into() });
        Scene { exchange: Exchange::new(Call { request, key }, RetryPolicy::DEFAULT, 1), authorizer }
    }

    impl Scene {
        fn answer(&mut self, status: u16, headers: &[(&str, &str)], content: &str) -> Result<Step> {
            let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            self.exchange.handle(&Head::new(status, headers), content.as_bytes(), &mut self.authorizer, NOW)
        }

        fn sent(&mut self, status: u16, headers: &[(&str, &str)], content: &str) -> (Request, Duration) {
            match self.answer(status, headers, content).unwrap() {
                Step::Send { after, request } => (request, after),
                Step::Done => panic!("done"),
            }
        }
    }

    fn proof(request: &Request) -> Option<&str> {
        request.headers.iter().find(|(name, _)| *name == "authorization").map(|(_, value)| value.as_str())
    }

    const REALM: (&str, &str) = ("www-authenticate", r#"Bearer realm="https://r.example/t",service="s""#);

    #[test]
    fn a_token_is_asked_for_once_and_then_sent() {
        let mut scene = scene(Method::Get);
        let (request, _) = scene.sent(401, &[REALM], "");
        assert!(request.url.to_string().starts_with("https://r.example/t?service=s&scope=repository"));
        let (request, _) = scene.sent(200, &[], r#"{"token":"abc"}"#);
        assert_eq!(proof(&request), Some("Bearer abc"));
        assert!(matches!(scene.answer(401, &[REALM], ""), Err(Error::Unauthorized { .. })));
    }

    #[test]
    fn a_token_of_another_exchange_is_taken() {
        let mut scene = scene(Method::Get);
        scene.exchange.start(&scene.authorizer, NOW);
        let token = Token::parse(br#"{"token":"theirs"}"#, NOW).unwrap();
        scene.authorizer.store(scene.exchange.key.clone(), token);
        let (request, _) = scene.sent(401, &[REALM], "");
        assert_eq!(proof(&request), Some("Bearer theirs"));
        // It does not help: one of its own.
        let (request, _) = scene.sent(401, &[REALM], "");
        assert!(request.url.to_string().starts_with("https://r.example/t?"));
    }

    #[test]
    fn cve_2020_15157_a_redirect_elsewhere_takes_no_proof_along() {
        let mut scene = scene(Method::Get);
        scene.sent(401, &[REALM], "");
        scene.sent(200, &[], r#"{"token":"abc"}"#);
        let (request, _) = scene.sent(307, &[("location", "https://cdn.example/x?sig=1")], "");
        assert_eq!((proof(&request), request.dial), (None, Dial::Pointed));
        // Nor is a proof made for whoever is there.
        let evil = ("www-authenticate", r#"Bearer realm="https://cdn.example/t""#);
        assert!(matches!(scene.answer(401, &[evil], ""), Err(Error::Unauthorized { .. })));
    }

    #[test]
    fn https_never_falls_back() {
        let mut scene = scene(Method::Get);
        let refused = scene.answer(302, &[("location", "http://r.example/x")], "");
        assert!(matches!(refused, Err(Error::Refused { .. })), "{refused:?}");
    }

    #[test]
    fn redirects_end() {
        let mut scene = scene(Method::Head);
        for _ in 0..REDIRECTS_MAX {
            scene.sent(302, &[("location", "/again")], "");
        }
        assert!(matches!(scene.answer(302, &[("location", "/again")], ""), Err(Error::LimitExceeded { .. })));
        // What changes something is not sent elsewhere.
        assert_eq!(tests::scene(Method::Put).answer(307, &[("location", "/x")], "").unwrap(), Step::Done);
    }

    #[test]
    fn the_registry_is_given_the_time_that_it_asks_for() {
        let mut scene = scene(Method::Get);
        let (_, pause) = scene.sent(429, &[("retry-after", "7")], "");
        assert!(pause >= Duration::from_secs(7), "{pause:?}");
        for _ in 0..4 {
            scene.sent(503, &[], "");
        }
        let error = scene.answer(503, &[], r#"{"errors":[{"code":"X","message":"busy"}]}"#).unwrap_err();
        assert_eq!(error.to_string(), "GET https://r.example/v2/a/blobs/x answered 503: X: busy");
        assert!(scene.answer(429, &[("retry-after", "100000")], "").is_err());
    }

    #[test]
    fn only_what_changes_nothing_is_repeated_unasked() {
        for (method, status, repeated) in [
            (Method::Get, 500, true),
            (Method::Put, 503, true),
            (Method::Post, 503, false),
            (Method::Post, 429, true),
            (Method::Patch, 502, false),
        ] {
            let mut scene = scene(method);
            let step = scene.answer(status, &[], "").unwrap();
            assert_eq!(matches!(step, Step::Send { .. }), repeated, "{method:?} {status}");
        }
    }
}
