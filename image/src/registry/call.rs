//! The calls of the protocol.

use super::exchange::Call;
use super::message::{Content, Method, Request};
use super::token::{Access, TokenKey};
use super::url::{Origin, Url, encode};
use crate::digest::Digest;
use crate::media_type::MediaType;

/// Tags asked for at once.
const PAGE: &str = "1000";

/// A repository of a registry.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Repository {
    /// Where.
    pub registry: Origin,
    /// Its name there, as [`Reference::repository`](crate::Reference::repository) has it.
    pub name: String,
}

impl Repository {
    fn url(&self, rest: &str) -> Url {
        Url::new(&self.registry, format!("/v2/{}/{rest}", self.name))
    }

    fn call(&self, method: Method, rest: &str, access: Access) -> Call {
        let key = TokenKey::repository(self.registry.clone(), self.name.clone(), access);
        Call { request: Request::new(method, self.url(rest)), key }
    }
}

impl Call {
    /// Whether the registry speaks the protocol, and takes the credential.
    pub fn ping(registry: &Origin) -> Self {
        let request = Request::new(Method::Get, Url::new(registry, "/v2/".into()));
        Self { request, key: TokenKey::registry(registry.clone()) }
    }

    /// A manifest or index, by tag or digest; `method` is GET or HEAD.
    pub fn manifest(repository: &Repository, method: Method, reference: &str) -> Self {
        let accepted = [MediaType::MANIFEST, MediaType::INDEX, MediaType::DOCKER_MANIFEST, MediaType::DOCKER_INDEX];
        let accepted = accepted.map(|media_type| media_type.to_string()).join(", ");
        let mut call = repository.call(method, &format!("manifests/{reference}"), Access::Pull);
        call.request = call.request.header("accept", accepted);
        call
    }

    /// The same for a client that writes to the repository, so that it needs one token.
    #[must_use]
    pub fn writing(mut self, repository: &Repository) -> Self {
        self.key = TokenKey::repository(repository.registry.clone(), repository.name.clone(), Access::PullPush);
        self
    }

    /// Whether a blob is there.
    pub fn blob_exists(repository: &Repository, digest: &Digest) -> Self {
        repository.call(Method::Head, &format!("blobs/{digest}"), Access::PullPush)
    }

    /// A blob, or this `range` of it, like `bytes=7-`.
    pub fn blob(repository: &Repository, digest: &Digest, range: Option<&str>) -> Self {
        let mut call = repository.call(Method::Get, &format!("blobs/{digest}"), Access::Pull);
        if let Some(range) = range {
            call.request = call.request.header("range", range);
        }
        call
    }

    /// Stores a manifest or an index.
    pub fn put_manifest(repository: &Repository, reference: &str, media_type: &MediaType, raw: &[u8]) -> Self {
        let mut call = repository.call(Method::Put, &format!("manifests/{reference}"), Access::PullPush);
        call.request =
            call.request.header("content-type", media_type.to_string()).content(Content::Bytes(raw.to_vec()));
        call
    }

    /// Begins an upload, or mounts the blob from another repository of the registry.
    pub fn begin_upload(repository: &Repository, mount: Option<(&Digest, &str)>) -> Self {
        let mut call = repository.call(Method::Post, "blobs/uploads/", Access::PullPush);
        if let Some((digest, from)) = mount {
            let url = call.request.url.with_query("mount", &digest.to_string()).with_query("from", from);
            call = Self { request: Request::new(Method::Post, url), key: call.key.and_pull(from) };
        }
        call
    }

    /// The manifests about another one.
    pub fn referrers(repository: &Repository, digest: &Digest) -> Self {
        let mut call = repository.call(Method::Get, &format!("referrers/{digest}"), Access::Pull);
        call.request = call.request.header("accept", MediaType::INDEX.to_string());
        call
    }

    /// The first page of tags.
    pub fn tags(repository: &Repository) -> Self {
        let mut call = repository.call(Method::Get, "tags/list", Access::Pull);
        call.request.url = call.request.url.with_query("n", PAGE);
        call
    }

    /// Another page of a list, where the last page pointed to.
    pub fn page(repository: &Repository, url: Url) -> Self {
        let key = TokenKey::repository(repository.registry.clone(), repository.name.clone(), Access::Pull);
        Self { request: Request::new(Method::Get, url), key }
    }
}

/// The tag under which registries without the referrers call keep the manifests about another one.
///
/// # Source
/// OCI distribution specification, referrers tag schema.
pub fn referrers_tag(digest: &Digest) -> String {
    // At most 32 characters of the algorithm and 64 of the hash.
    let hex = digest.hex();
    format!("{}-{}", digest.algorithm(), encode(&hex[..hex.len().min(64)]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::url::Scheme;

    #[test]
    fn calls_go_where_the_specification_has_them() {
        let registry = Origin::new(Scheme::Https, "r.example:5000").unwrap();
        let repository = Repository { registry: registry.clone(), name: "a/b".into() };
        let digest = Digest::of(b"foo");
        let hex = digest.hex();
        for (call, line) in [
            (Call::ping(&registry), "GET /v2/".to_owned()),
            (Call::manifest(&repository, Method::Head, "1"), "HEAD /v2/a/b/manifests/1".into()),
            (Call::blob_exists(&repository, &digest), format!("HEAD /v2/a/b/blobs/sha256:{hex}")),
            (Call::blob(&repository, &digest, Some("bytes=7-")), format!("GET /v2/a/b/blobs/sha256:{hex}")),
            (Call::put_manifest(&repository, "1", &MediaType::MANIFEST, b"{}"), "PUT /v2/a/b/manifests/1".into()),
            (Call::begin_upload(&repository, None), "POST /v2/a/b/blobs/uploads/".into()),
            (
                Call::begin_upload(&repository, Some((&digest, "c"))),
                format!("POST /v2/a/b/blobs/uploads/?mount=sha256%3A{hex}&from=c"),
            ),
            (Call::referrers(&repository, &digest), format!("GET /v2/a/b/referrers/sha256:{hex}")),
            (Call::tags(&repository), "GET /v2/a/b/tags/list?n=1000".into()),
        ] {
            let request = &call.request;
            let url = request.url.to_string();
            let path = url.strip_prefix("https://r.example:5000").unwrap();
            assert_eq!(format!("{} {path}", request.method.as_str()), line);
        }
        assert_eq!(
            Call::blob(&repository, &digest, Some("bytes=7-")).request.headers,
            [("range", "bytes=7-".to_owned())]
        );
        assert_eq!(referrers_tag(&digest), format!("sha256-{hex}"));
    }
}
