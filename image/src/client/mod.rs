//! Registries over HTTP: pulling into a layout and pushing out of one.
//!
//! [`Client`] drives the machines of [`registry`](crate::registry) over blocking connections. It can be shared by
//! threads. Whoever makes one chooses the provider of cryptography.
//!
//! ```no_run
//! use windlass_image::client::{Client, Options, Pull};
//! use windlass_image::{Layout, Reference};
//!
//! let mut options = Options::default();
//! options.plain_hosts = vec!["127.0.0.1:5000".into()];
//! let client = Client::new(options)?;
//! let reference: Reference = "127.0.0.1:5000/app:1".parse()?;
//! let layout = Layout::create("images")?;
//! let image = client.pull(&layout, &Pull::new(&reference))?;
//! println!("{}", image.digest);
//! # Ok::<(), windlass_image::Error>(())
//! ```

mod blob;
mod credentials;
mod jobs;
mod options;
mod progress;
mod pull;
mod push;
mod session;
mod together;
mod transport;

pub use blob::{BlobRanges, BlobReader};
pub use credentials::Credentials;
pub use options::{ClientCertificate, CryptoProvider, Key, Options, Proxy, Roots};
pub use progress::Progress;
pub use pull::{LayerSink, Platforms, Pull};
pub use push::{Push, Pushed};
pub use session::{Client, Found};
