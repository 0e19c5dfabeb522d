//! The client: endpoints, credentials, and calls taken to their end.

use std::collections::BTreeSet;
use std::hash::{BuildHasher, RandomState};
use std::io::Read;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use super::options::Options;
use super::transport::{Answer, Source, Transport};
use crate::descriptor::Descriptor;
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::index::Index;
use crate::media_type::MediaType;
use crate::reference::Reference;
use crate::registry::{
    Authorizer, Call, Endpoint, Exchange, Head, Method, Origin, Repository, SMALL_BODY_MAX, Step, Url, described,
    document, next_page, referrers_tag, tags,
};

/// Pages of one list at most.
const PAGES_MAX: usize = 10_000;
/// Tags of one repository at most.
const TAGS_MAX: usize = 1 << 20;

/// Talks to registries; see the [module](crate::client).
pub struct Client {
    pub(super) options: Options,
    pub(super) transport: Transport,
    authorizer: Mutex<Authorizer>,
    // Hosts whose credential has been looked for.
    known: Mutex<BTreeSet<Origin>>,
    // Held while a token is on its way, so that many threads ask for one.
    asking: Mutex<()>,
    waiting: (Mutex<bool>, Condvar),
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("options", &self.options).finish_non_exhaustive()
    }
}

/// A document that a registry has: a manifest or an index, verified.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Found {
    /// Where it was, which is where its blobs are.
    pub repository: Repository,
    /// What it is.
    pub descriptor: Descriptor,
    /// The document.
    pub raw: Vec<u8>,
}

/// The answer to a call; the content of a failure has been read.
pub(super) struct Answered {
    pub(super) exchange: Exchange,
    pub(super) head: Head,
    pub(super) said: Vec<u8>,
    pub(super) content: Box<dyn Read + Send>,
}

impl Answered {
    pub(super) fn failure(&self) -> Error {
        self.exchange.status(&self.head, &self.said)
    }

    pub(super) fn url(&self) -> &Url {
        self.exchange.url()
    }

    fn is(self, status: u16) -> Result<Self> {
        if self.head.status == status { Ok(self) } else { Err(self.failure()) }
    }

    /// The content, if it is no longer than `max`.
    fn read(mut self, max: u64) -> Result<(Head, Vec<u8>)> {
        if self.head.length()?.is_some_and(|length| length > max) {
            return Err(Error::LimitExceeded { limit: "document", max });
        }
        let host = self.url().origin().authority();
        let content = read_bounded(&mut self.content, max, "document", &host)?;
        Ok((self.head, content))
    }
}

fn read_bounded(content: &mut dyn Read, max: u64, limit: &'static str, host: &str) -> Result<Vec<u8>> {
    let mut raw = Vec::new();
    let read = content.take(max + 1).read_to_end(&mut raw);
    if raw.len() as u64 > max {
        return Err(Error::LimitExceeded { limit, max });
    }
    read.map_err(|source| Error::Network { host: host.to_owned(), source })?;
    Ok(raw)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Client {
    /// Prepares to talk; nothing is sent yet.
    ///
    /// # Errors
    /// Options that cannot be used: certificates that cannot be read, hosts that are none.
    pub fn new(options: Options) -> Result<Self> {
        let transport = Transport::new(&options)?;
        let mut authorizer = Authorizer::default();
        for (registry, realm) in &options.trusted_realms {
            let endpoint = Endpoint { host: registry.clone(), repository: String::new(), plain: false };
            authorizer.trust(endpoint.origin(transport.is_plain(registry))?, realm);
        }
        let known = Mutex::new(BTreeSet::new());
        let waiting = (Mutex::new(false), Condvar::new());
        Ok(Self { options, transport, authorizer: Mutex::new(authorizer), known, asking: Mutex::new(()), waiting })
    }

    /// Ends everything that runs on this client, in any thread, with [`Error::Cancelled`], for good.
    pub fn cancel(&self) {
        *lock(&self.waiting.0) = true;
        self.waiting.1.notify_all();
        self.transport.cancel();
    }

    /// Asks a registry whether it takes a name and a password.
    ///
    /// # Errors
    /// [`Error::Unauthorized`] if not.
    pub fn check(&self, registry: &str, user: &str, password: &str) -> Result<()> {
        let endpoint = Endpoint { host: registry.to_owned(), repository: String::new(), plain: false };
        let origin = endpoint.origin(self.transport.is_plain(registry))?;
        let mut authorizer = Authorizer::default();
        for (_, realm) in self.options.trusted_realms.iter().filter(|(named, _)| named == registry) {
            authorizer.trust(origin.clone(), realm);
        }
        let (user, password) = (user.to_owned(), password.to_owned());
        authorizer.set_credential(origin.clone(), crate::registry::Credential::Basic { user, password });
        self.run_as(Call::ping(&origin), &Mutex::new(authorizer), &mut no_blob)?.is(200).map(drop)
    }

    /// What a reference names now, without fetching it.
    ///
    /// # Errors
    /// [`Error::Http`] with status 404 for what is not there.
    pub fn resolve(&self, reference: &Reference) -> Result<Descriptor> {
        self.at_endpoints(reference, |repository| self.head(&repository, &wanted(reference)))
    }

    pub(super) fn head(&self, repository: &Repository, wanted: &str) -> Result<Descriptor> {
        let call = Call::manifest(repository, Method::Head, wanted);
        let answered = self.run(call)?;
        if answered.head.status == 200
            && let Some(descriptor) = described(&answered.head)?
            && (!wanted.contains(':') || wanted == descriptor.digest.to_string())
        {
            return Ok(descriptor);
        }
        // Some registries answer a HEAD with less than a GET.
        Ok(self.document(repository.clone(), wanted)?.descriptor)
    }

    /// Fetches the manifest or index that a reference names.
    ///
    /// # Errors
    /// As [`Client::resolve`]; [`Error::DigestMismatch`] for another document.
    pub fn manifest(&self, reference: &Reference) -> Result<Found> {
        self.at_endpoints(reference, |repository| self.document(repository, &wanted(reference)))
    }

    /// Fetches a manifest or index by tag or digest.
    pub(super) fn document(&self, repository: Repository, wanted: &str) -> Result<Found> {
        let answered = self.run(Call::manifest(&repository, Method::Get, wanted))?.is(200)?;
        let (head, raw) = answered.read(self.options.limits.document_bytes)?;
        let digest = Digest::parse(wanted).ok();
        let descriptor = document(&head, &raw, digest.as_ref())?;
        Ok(Found { repository, descriptor, raw })
    }

    /// The tags of the repository that a reference names, as the registry orders them.
    pub fn tags(&self, reference: &Reference) -> Result<Vec<String>> {
        self.at_endpoints(reference, |repository| {
            let mut all = Vec::new();
            let mut call = Call::tags(&repository);
            for _ in 0..PAGES_MAX {
                let answered = self.run(call)?.is(200)?;
                let next = next_page(&answered.head, answered.url(), &repository.registry)?;
                let (_, content) = answered.read(self.options.limits.document_bytes)?;
                all.extend(tags(&content, &self.options.limits)?);
                let Some(url) = next else { return Ok(all) };
                if all.len() > TAGS_MAX {
                    break;
                }
                call = Call::page(&repository, url);
            }
            Err(Error::LimitExceeded { limit: "list of tags", max: TAGS_MAX as u64 })
        })
    }

    /// The manifests whose subject is `digest`, of one kind of artifact if one is given.
    pub fn referrers(
        &self,
        reference: &Reference,
        digest: &Digest,
        kind: Option<&MediaType>,
    ) -> Result<Vec<Descriptor>> {
        let index = self.at_endpoints(reference, |repository| self.referrers_at(&repository, digest))?;
        let entries = index.map(|index| index.manifests().to_vec()).unwrap_or_default();
        let wanted = |entry: &Descriptor| kind.is_none_or(|kind| entry.artifact_type.as_ref() == Some(kind));
        Ok(entries.into_iter().filter(wanted).collect())
    }

    fn referrers_at(&self, repository: &Repository, digest: &Digest) -> Result<Option<Index>> {
        let limits = &self.options.limits;
        let answered = self.run(Call::referrers(repository, digest))?;
        if answered.head.status == 200 {
            let (head, raw) = answered.read(limits.document_bytes)?;
            let descriptor = document(&head, &raw, None)?;
            return Index::parse_as(raw, &descriptor.media_type, limits).map(Some);
        }
        if answered.head.status != 404 {
            return Err(answered.failure());
        }
        self.tagged_referrers(repository, digest)
    }

    /// The same from the tag that registries without the call have.
    pub(super) fn tagged_referrers(&self, repository: &Repository, digest: &Digest) -> Result<Option<Index>> {
        match self.document(repository.clone(), &referrers_tag(digest)) {
            Ok(found) => Index::parse_as(found.raw, &found.descriptor.media_type, &self.options.limits).map(Some),
            Err(Error::Http { status: 404, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The repository to which a reference is written.
    pub(super) fn target(&self, reference: &Reference) -> Result<Repository> {
        let endpoints = self.options.mirrors.endpoints(reference)?;
        self.repository(endpoints.last().expect("a reference has at least the endpoint that it names"))
    }

    fn repository(&self, endpoint: &Endpoint) -> Result<Repository> {
        let registry = endpoint.origin(self.transport.is_plain(&endpoint.host))?;
        if !lock(&self.known).contains(&registry) {
            if let Some(credential) = self.options.credentials.find(&endpoint.host)? {
                lock(&self.authorizer).set_credential(registry.clone(), credential);
            }
            lock(&self.known).insert(registry.clone());
        }
        Ok(Repository { registry, name: endpoint.repository.clone() })
    }

    /// Tries the mirrors in their order, and then the registry itself, whose failure is the one to tell.
    fn at_endpoints<T>(&self, reference: &Reference, ask: impl Fn(Repository) -> Result<T>) -> Result<T> {
        let endpoints = self.options.mirrors.endpoints(reference)?;
        let (last, mirrors) = endpoints.split_last().expect("a reference has at least the endpoint that it names");
        for mirror in mirrors {
            match self.repository(mirror).and_then(&ask) {
                Err(Error::Cancelled) => return Err(Error::Cancelled),
                // A mirror need not have everything, nor be there.
                Err(_) => {}
                found => return found,
            }
        }
        ask(self.repository(last)?)
    }

    pub(super) fn run(&self, call: Call) -> Result<Answered> {
        self.run_as(call, &self.authorizer, &mut no_blob)
    }

    pub(super) fn run_with(&self, call: Call, source: &mut Source<'_>) -> Result<Answered> {
        self.run_as(call, &self.authorizer, source)
    }

    /// Without any credential: for where a descriptor points to.
    pub(super) fn run_anonymously(&self, call: Call) -> Result<Answered> {
        self.run_as(call, &Mutex::new(Authorizer::default()), &mut no_blob)
    }

    fn run_as(&self, call: Call, authorizer: &Mutex<Authorizer>, source: &mut Source<'_>) -> Result<Answered> {
        let mut exchange = Exchange::new(call, self.options.retry, seed());
        let mut step = exchange.start(&lock(authorizer), now());
        let mut answered = None;
        let mut asking = None;
        loop {
            let Step::Send { after, request } = step else {
                let (head, said, content) = answered.expect("the machine ends only with an answer");
                return Ok(Answered { exchange, head, said, content });
            };
            self.pause(after)?;
            let outcome = self.transport.send(&request, source).and_then(|Answer { head, mut content }| {
                let reads = exchange.reads_content(&head);
                let limit = if exchange.is_for_token() { "answer of a token service" } else { "text of a failure" };
                let host = request.url.origin().authority();
                let said = if reads { read_bounded(&mut content, SMALL_BODY_MAX, limit, &host)? } else { Vec::new() };
                Ok((head, said, content))
            });
            step = match outcome {
                Err(error) => exchange.failed(error, &lock(authorizer), now())?,
                Ok((head, said, content)) => {
                    if head.status == 401 && asking.is_none() {
                        asking = Some(lock(&self.asking));
                    }
                    let step = exchange.handle(&head, &said, &mut lock(authorizer), now())?;
                    if !exchange.is_for_token() {
                        asking = None;
                    }
                    answered = Some((head, said, content));
                    step
                }
            };
        }
    }

    pub(super) fn pause(&self, pause: Duration) -> Result<()> {
        if !pause.is_zero() {
            let (cancelled, changed) = &self.waiting;
            let waited = changed.wait_timeout_while(lock(cancelled), pause, |cancelled| !*cancelled);
            drop(waited.unwrap_or_else(PoisonError::into_inner));
        }
        self.transport.check_cancelled()
    }
}

/// What a call asks for: content where the reference names it, else the tag.
fn wanted(reference: &Reference) -> String {
    match reference.digest() {
        Some(digest) => digest.to_string(),
        None => reference.tag().unwrap_or("latest").to_owned(),
    }
}

fn no_blob(_: u64, _: u64) -> std::io::Result<Box<dyn Read>> {
    unreachable!("the call sends no blob")
}

fn now() -> Duration {
    // A clock before 1970 makes tokens end early, which costs requests and nothing else.
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

/// Differs from client to client, for the pauses.
pub(super) fn seed() -> u64 {
    RandomState::new().hash_one(0)
}
