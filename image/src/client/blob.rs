//! A blob as a stream that outlives its connections.

use std::io::{self, Read};

use super::session::{Client, seed};
use crate::chunked::Ranges;
use crate::descriptor::Descriptor;
use crate::error::{Error, Result};
use crate::registry::{Call, Dial, Fetch, Method, Repository, Request, TokenKey, Url};

/// The compressed content of a blob, as it arrives. A broken connection is made again, from where it broke.
///
/// The content is not verified: wrap it in a [`LayerReader`](crate::LayerReader) or a
/// [`VerifyReader`](crate::codec::VerifyReader). It never has more bytes than the descriptor says.
pub struct BlobReader<'c> {
    client: &'c Client,
    repository: Repository,
    descriptor: Descriptor,
    fetch: Fetch,
    content: Option<Box<dyn Read + Send>>,
    // Where the descriptor points to, once the registry has said that it has not got the blob.
    elsewhere: Option<Url>,
    ended: bool,
}

impl std::fmt::Debug for BlobReader<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BlobReader").field("fetch", &self.fetch).finish_non_exhaustive()
    }
}

impl Client {
    /// Fetches a blob, from `offset` on.
    pub fn blob(&self, repository: &Repository, descriptor: &Descriptor, offset: u64) -> BlobReader<'_> {
        BlobReader {
            client: self,
            repository: repository.clone(),
            descriptor: descriptor.clone(),
            fetch: Fetch::new(descriptor.clone(), offset),
            content: None,
            elsewhere: None,
            ended: false,
        }
    }
}

/// A blob of a registry, of which parts are fetched.
#[derive(Debug)]
pub struct BlobRanges<'c> {
    client: &'c Client,
    repository: Repository,
    descriptor: Descriptor,
}

impl Client {
    /// A blob of which parts are fetched, such as by [`Lazy::open`](crate::chunked::Lazy::open).
    pub fn blob_ranges(&self, repository: &Repository, descriptor: &Descriptor) -> BlobRanges<'_> {
        BlobRanges { client: self, repository: repository.clone(), descriptor: descriptor.clone() }
    }
}

impl Ranges for BlobRanges<'_> {
    fn range(&self, start: u64, end: u64) -> Result<Box<dyn Read + '_>> {
        let whole = self.client.blob(&self.repository, &self.descriptor, start);
        Ok(Box::new(BlobReader { fetch: Fetch::range(self.descriptor.clone(), start, end), ..whole }))
    }
}

impl BlobReader<'_> {
    fn open(&mut self) -> Result<Box<dyn Read + Send>> {
        let answered = match &self.elsewhere {
            None => self.client.run(self.fetch.call(&self.repository))?,
            Some(url) => self.client.run_anonymously(foreign(url, &self.fetch))?,
        };
        if answered.head.status == 404
            && self.elsewhere.is_none()
            && self.client.options.foreign_layers
            && let Some(url) = self.descriptor.urls.first()
        {
            self.elsewhere = Some(Url::parse(url)?);
            return self.open();
        }
        if !matches!(answered.head.status, 200 | 206) {
            return Err(answered.failure());
        }
        self.fetch.accept(&answered.head)?;
        Ok(answered.content)
    }

    fn pause(&self) -> Result<()> {
        let attempt = self.fetch.fruitless().saturating_sub(1);
        let pause = self.client.options.retry.pause(attempt, None, seed());
        self.client.pause(pause.unwrap_or_default())
    }

    /// The connection gave nothing more: why, unless it is made again.
    fn interrupted(&mut self, error: io::Error) -> io::Result<()> {
        self.content = None;
        self.client.transport.check_cancelled()?;
        if self.fetch.interrupted() {
            return Ok(self.pause()?);
        }
        let host = self.repository.registry.authority();
        Err(io::Error::other(Error::Network { host, source: error }))
    }
}

impl Read for BlobReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() || self.ended {
            return Ok(0);
        }
        loop {
            if self.fetch.left() == 0 && self.content.is_none() {
                self.ended = true;
                return Ok(0);
            }
            let content = if let Some(content) = &mut self.content {
                content
            } else {
                let opened = self.open()?;
                self.content.insert(opened)
            };
            // A registry without ranges goes on with what nobody asked for.
            if self.fetch.left() == 0 && self.fetch.is_part() {
                self.content = None;
                continue;
            }
            match content.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // It is read also when all is there: only so a registry is seen that sends more.
                Ok(0) | Err(_) if self.fetch.left() == 0 => self.content = None,
                Ok(0) => self.interrupted(io::ErrorKind::UnexpectedEof.into())?,
                Err(error) => self.interrupted(error)?,
                Ok(count) => {
                    let new = self.fetch.take(&buffer[..count])?.len();
                    buffer.copy_within(count - new..count, 0);
                    if new > 0 {
                        return Ok(new);
                    }
                }
            }
        }
    }
}

/// A layer from where its descriptor points to: whoever is there learns nothing about who asks.
fn foreign(url: &Url, fetch: &Fetch) -> Call {
    let mut request = Request::new(Method::Get, url.clone());
    request.dial = Dial::Pointed;
    if let Some(range) = fetch.range_header() {
        request = request.header("range", range);
    }
    Call { request, key: TokenKey::registry(url.origin().clone()) }
}
