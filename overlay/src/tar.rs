//! A streaming reader of hostile tar archives, and a writer of plain ones.
//!
//! The reader takes ustar, pax with global headers, GNU long names, GNU and pax sparse files and base-256 numbers.
//! Where tar readers are known to disagree it refuses the archive and names the byte offset, so that what it accepts
//! means the same to every other reader. The writer makes ustar with pax records where ustar has no room.

mod header;
mod input;
mod pax;
mod read;
mod sparse;
mod text;
mod write;

pub use pax::{Record, parse_records};
pub use read::{Chunk, Reader};
pub use write::Writer;

/// Bytes of one block; headers are one, and data is padded to whole ones.
const BLOCK: usize = 512;
