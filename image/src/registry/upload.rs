//! Uploads: looked for, mounted, or sent in one piece or several.

use super::call::Repository;
use super::exchange::Call;
use super::message::{Content, Head, Method, Request};
use super::retry::is_transient;
use super::token::{Access, TokenKey};
use super::url::Url;
use crate::descriptor::Descriptor;
use crate::error::{Error, Result};

/// Beginnings of one upload at most.
const BEGINNINGS_MAX: u32 = 4;

/// How a blob is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pieces {
    /// All of it in one request.
    Whole,
    /// So many bytes in each request; what has arrived is not sent again after a broken connection.
    Of(u64),
}

/// How a blob came to be in the repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Uploaded {
    /// It was there.
    Existed,
    /// The registry took it from another repository.
    Mounted,
    /// It was sent.
    Sent,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    Look,
    Begin { mount: bool },
    Piece { at: Url, offset: u64 },
    Ask { at: Url },
    Finish { at: Url },
    Done(Uploaded),
}

/// The machine of one blob's upload.
#[derive(Debug, Clone)]
pub struct Upload {
    repository: Repository,
    descriptor: Descriptor,
    mount: Option<String>,
    pieces: Pieces,
    state: State,
    beginnings: u32,
}

impl Upload {
    /// Brings a blob into a repository, from the repository `mount` of the same registry if it is there.
    pub fn new(repository: Repository, descriptor: Descriptor, mount: Option<String>, pieces: Pieces) -> Self {
        let mount = mount.filter(|from| *from != repository.name);
        // A piece of nothing would never end.
        let pieces = if pieces == Pieces::Of(0) { Pieces::Whole } else { pieces };
        Self { repository, descriptor, mount, pieces, state: State::Look, beginnings: 0 }
    }

    /// The next call; `None` when the blob is there.
    pub fn call(&self) -> Option<Call> {
        let digest = &self.descriptor.digest;
        Some(match &self.state {
            State::Look => Call::blob_exists(&self.repository, digest),
            State::Begin { mount } => {
                let mount = self.mount.as_deref().filter(|_| *mount).map(|from| (digest, from));
                Call::begin_upload(&self.repository, mount)
            }
            State::Piece { at, offset } => self.piece(at, *offset),
            State::Ask { at } => self.at(Request::new(Method::Get, at.clone())),
            State::Finish { at } => {
                let request = Request::new(Method::Put, at.clone().with_query("digest", &digest.to_string()));
                self.at(match self.pieces {
                    Pieces::Whole => request
                        .header("content-type", "application/octet-stream")
                        .content(Content::Blob { offset: 0, length: self.descriptor.size }),
                    Pieces::Of(_) => request.content(Content::Bytes(Vec::new())),
                })
            }
            State::Done(_) => return None,
        })
    }

    /// How the blob came there, once it is.
    pub fn done(&self) -> Option<Uploaded> {
        match self.state {
            State::Done(how) => Some(how),
            _ => None,
        }
    }

    /// Takes the answer to the last call, which went to `asked`.
    ///
    /// # Errors
    /// [`Error::Refused`] for an upload on another host: the content and a token would go there.
    /// [`Error::Protocol`] for an answer that cannot be; `failed` for one that says why not.
    pub fn handle(&mut self, head: &Head, asked: &Url, failed: impl FnOnce() -> Error) -> Result<()> {
        if is_transient(head.status) {
            return self.interrupted(failed());
        }
        let state = std::mem::replace(&mut self.state, State::Look);
        self.state = match (state, head.status) {
            (State::Look, 200) => State::Done(Uploaded::Existed),
            (State::Look, 404) => State::Begin { mount: self.mount.is_some() },
            (State::Begin { mount: true }, 201) => State::Done(Uploaded::Mounted),
            (State::Begin { .. }, 202) => {
                let at = self.location(head, asked)?;
                match self.pieces {
                    Pieces::Of(_) if self.descriptor.size > 0 => State::Piece { at, offset: 0 },
                    _ => State::Finish { at },
                }
            }
            // Some registries refuse to mount what the token does not allow to be read.
            (State::Begin { mount: true }, 400..=499) => State::Begin { mount: false },
            (State::Piece { offset, .. }, 202) => {
                let next = arrived(head)?.unwrap_or(offset + self.length(offset));
                if next <= offset || next > offset + self.length(offset) {
                    return Err(Error::protocol("has another part of the upload than was sent"));
                }
                self.after(self.location(head, asked)?, next)
            }
            (State::Piece { at, .. }, 416) => State::Ask { at },
            (State::Ask { .. }, 202 | 204) => {
                let next = arrived(head)?.unwrap_or(0);
                if next > self.descriptor.size {
                    return Err(Error::protocol("has another part of the upload than was sent"));
                }
                let at = if head.header("location").is_some() { self.location(head, asked)? } else { asked.clone() };
                self.after(at, next)
            }
            (State::Finish { .. }, 201 | 204) => State::Done(Uploaded::Sent),
            // The upload is gone, as after a restart of the registry.
            (State::Piece { .. } | State::Ask { .. } | State::Finish { .. }, 404) => return self.again(failed()),
            _ => return Err(failed()),
        };
        Ok(())
    }

    /// The connection of the last call broke: goes on with what arrived, or from the beginning.
    ///
    /// # Errors
    /// Gives `error` back after several beginnings.
    pub fn interrupted(&mut self, error: Error) -> Result<()> {
        match (&self.state, self.pieces) {
            (State::Piece { at, .. } | State::Ask { at }, Pieces::Of(_)) if self.beginnings < BEGINNINGS_MAX => {
                self.beginnings += 1;
                self.state = State::Ask { at: at.clone() };
                Ok(())
            }
            _ => self.again(error),
        }
    }

    fn again(&mut self, error: Error) -> Result<()> {
        self.beginnings += 1;
        if self.beginnings >= BEGINNINGS_MAX {
            return Err(error);
        }
        // It may have arrived although the answer did not.
        self.state = State::Look;
        Ok(())
    }

    fn after(&self, at: Url, offset: u64) -> State {
        if offset == self.descriptor.size { State::Finish { at } } else { State::Piece { at, offset } }
    }

    fn length(&self, offset: u64) -> u64 {
        let left = self.descriptor.size - offset;
        match self.pieces {
            Pieces::Whole => left,
            Pieces::Of(size) => left.min(size),
        }
    }

    fn piece(&self, at: &Url, offset: u64) -> Call {
        let length = self.length(offset);
        let request = Request::new(Method::Patch, at.clone())
            .header("content-type", "application/octet-stream")
            .header("content-range", format!("{offset}-{}", offset + length - 1))
            .content(Content::Blob { offset, length });
        self.at(request)
    }

    fn at(&self, request: Request) -> Call {
        let key =
            TokenKey::repository(self.repository.registry.clone(), self.repository.name.clone(), Access::PullPush);
        Call { request, key }
    }

    fn location(&self, head: &Head, asked: &Url) -> Result<Url> {
        let location = head.header("location").ok_or_else(|| Error::protocol("began an upload without a location"))?;
        let url = asked.join(location)?;
        if *url.origin() != self.repository.registry {
            return Err(Error::refused(url.without_query(), "an upload on another origin than the registry"));
        }
        Ok(url)
    }
}

/// How many bytes the registry has, from its `Range: 0-LAST`.
fn arrived(head: &Head) -> Result<Option<u64>> {
    let Some(range) = head.header("range") else { return Ok(None) };
    let range = range.strip_prefix("bytes=").unwrap_or(range);
    let last = range.strip_prefix("0-").and_then(|last| last.parse::<u64>().ok());
    let last = last.ok_or_else(|| Error::protocol("sent an unreadable range"))?;
    last.checked_add(1).map(Some).ok_or_else(|| Error::protocol("sent an unreadable range"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media_type::MediaType;
    use crate::registry::url::{Origin, Scheme};

    fn upload(content: &[u8], mount: Option<&str>, pieces: Pieces) -> Upload {
        let registry = Origin::new(Scheme::Https, "r.example").unwrap();
        let repository = Repository { registry, name: "a".into() };
        Upload::new(repository, Descriptor::of(MediaType::LAYER, content), mount.map(str::to_owned), pieces)
    }

    fn line(upload: &Upload) -> String {
        let Some(Call { request, .. }) = upload.call() else { return format!("{:?}", upload.done().unwrap()) };
        let path = request.url.to_string().replace("https://r.example", "");
        let path = path.split("sha256").next().unwrap().to_owned();
        let content = match request.content {
            Content::Blob { offset, length } => format!(" {offset}+{length}"),
            _ => String::new(),
        };
        format!("{} {path}{content}", request.method.as_str())
    }

    fn answer(upload: &mut Upload, status: u16, headers: &[(&str, &str)]) -> Result<String> {
        let head = Head::new(status, headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let asked = upload.call().unwrap().request.url;
        upload.handle(&head, &asked, || Error::protocol("failed"))?;
        Ok(line(upload))
    }

    const AT: (&str, &str) = ("location", "/v2/a/blobs/uploads/1?state=x");

    #[test]
    fn in_one_piece() {
        let mut upload = upload(b"content", None, Pieces::Whole);
        assert_eq!(line(&upload), "HEAD /v2/a/blobs/");
        assert_eq!(answer(&mut upload, 404, &[]).unwrap(), "POST /v2/a/blobs/uploads/");
        assert_eq!(answer(&mut upload, 202, &[AT]).unwrap(), "PUT /v2/a/blobs/uploads/1?state=x&digest= 0+7");
        assert_eq!(answer(&mut upload, 201, &[]).unwrap(), "Sent");
        assert_eq!(upload.call(), None);
    }

    #[test]
    fn in_pieces_from_where_it_broke() {
        let mut upload = upload(b"content", None, Pieces::Of(3));
        answer(&mut upload, 404, &[]).unwrap();
        assert_eq!(answer(&mut upload, 202, &[AT]).unwrap(), "PATCH /v2/a/blobs/uploads/1?state=x 0+3");
        let next = ("location", "2");
        assert_eq!(answer(&mut upload, 202, &[next, ("range", "0-2")]).unwrap(), "PATCH /v2/a/blobs/uploads/2 3+3");
        upload.interrupted(Error::protocol("broke")).unwrap();
        assert_eq!(line(&upload), "GET /v2/a/blobs/uploads/2");
        assert_eq!(answer(&mut upload, 204, &[("range", "0-3")]).unwrap(), "PATCH /v2/a/blobs/uploads/2 4+3");
        assert_eq!(answer(&mut upload, 202, &[next]).unwrap(), "PUT /v2/a/blobs/uploads/2?digest=");
        assert_eq!(answer(&mut upload, 201, &[]).unwrap(), "Sent");
    }

    #[test]
    fn what_is_there_is_not_sent() {
        let mut there = upload(b"content", None, Pieces::Whole);
        assert_eq!(answer(&mut there, 200, &[]).unwrap(), "Existed");
        let mut mounted = upload(b"content", Some("b"), Pieces::Whole);
        assert!(answer(&mut mounted, 404, &[]).unwrap().starts_with("POST /v2/a/blobs/uploads/?mount="));
        assert_eq!(answer(&mut mounted, 201, &[]).unwrap(), "Mounted");
        let mut refused = upload(b"content", Some("b"), Pieces::Whole);
        answer(&mut refused, 404, &[]).unwrap();
        assert_eq!(answer(&mut refused, 403, &[]).unwrap(), "POST /v2/a/blobs/uploads/");
        let mut begun = upload(b"content", Some("b"), Pieces::Whole);
        answer(&mut begun, 404, &[]).unwrap();
        assert!(answer(&mut begun, 202, &[AT]).unwrap().starts_with("PUT "));
    }

    #[test]
    fn nothing_is_sent_to_another_host() {
        for location in ["https://evil.example/x", "//evil.example/x", "http://r.example/x", "https://r.example:1/x"] {
            let mut upload = upload(b"content", None, Pieces::Whole);
            answer(&mut upload, 404, &[]).unwrap();
            let refused = answer(&mut upload, 202, &[("location", location)]);
            assert!(matches!(refused, Err(Error::Refused { .. })), "{location}: {refused:?}");
        }
    }

    #[test]
    fn a_lying_registry_ends_it() {
        for range in ["0-6", "1-2", "0-18446744073709551615", "x"] {
            let mut upload = upload(b"content", None, Pieces::Of(3));
            answer(&mut upload, 404, &[]).unwrap();
            answer(&mut upload, 202, &[AT]).unwrap();
            assert!(answer(&mut upload, 202, &[AT, ("range", range)]).is_err(), "{range}");
        }
        let mut upload = upload(b"content", None, Pieces::Whole);
        for _ in 1..BEGINNINGS_MAX {
            upload.interrupted(Error::protocol("broke")).unwrap();
        }
        assert!(upload.interrupted(Error::protocol("broke")).is_err());
    }
}
