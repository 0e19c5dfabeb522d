//! Netlink: the kernel's socket for network configuration, blocking, with every length checked.
//!
//! [`Message`] encodes a request, [`Socket`] sends it and gives the kernel's answers as [`Reply`], [`Attributes`] reads
//! them. For subsystems that take a batch in one datagram (nfnetlink), [`Socket::send`] takes the bytes of several
//! messages and [`Socket::receive`] tells by sequence number which one the kernel refused.
//!
//! ```
//! use windlass_namespaces::net::netlink::{Message, Socket};
//!
//! let mut socket = Socket::route()?;
//! let mut get_links = Message::new(18 /* RTM_GETLINK */, 0);
//! get_links.bytes(&[0; 16]); // struct ifinfomsg: any link
//! let links = socket.dump("list links", get_links)?;
//! assert!(!links.is_empty());
//! # Ok::<(), windlass_namespaces::Error>(())
//! ```

mod message;
mod reply;
mod socket;

pub use message::{Message, flag};
pub use reply::{Attributes, Reply};
pub use socket::{Protocol, Socket};
