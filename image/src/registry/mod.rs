//! The registries' protocol as values and machines, without sockets and clocks.
//!
//! A [`Call`] is a request and what its token must be for. [`Exchange`] takes it through challenges, tokens, redirects
//! and repetitions: it says what to send, and is told what came back. [`Fetch`] and [`Upload`] are made of such calls.
//! Whoever owns a transport drives them; the time and the seed of the pauses are arguments. The feature `client` has a
//! transport.
//!
//! # Source
//! OCI distribution specification 1.1; Docker's token authentication specification.

mod auth;
mod call;
mod challenge;
pub mod docker_config;
mod exchange;
mod fetch;
mod list;
mod message;
#[cfg(feature = "client")]
mod mirrors;
mod retry;
mod token;
mod upload;
mod url;

pub use auth::Authorizer;
pub use call::{Repository, referrers_tag};
pub use challenge::Challenge;
pub use exchange::{Call, Exchange, Step};
pub use fetch::{Fetch, described, document};
pub use list::{next_page, tags};
pub use message::{Content, Dial, Head, Method, Request, SMALL_BODY_MAX};
#[cfg(feature = "client")]
pub use mirrors::{Endpoint, Mirrors};
pub use retry::{RetryPolicy, retry_after};
pub use token::{Access, Credential, TokenKey};
pub use upload::{Pieces, Upload, Uploaded};
pub use url::{Origin, Scheme, Url};
