//! Bounds on what is read.

/// Bounds on documents and streams that someone else wrote; everything read is held to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes of a manifest, index or configuration; 4 MiB by default.
    pub document_bytes: u64,
    /// Nesting of arrays and objects in a document; 64 by default.
    pub document_depth: usize,
    /// Strings, numbers, arrays, ... in a document, in all; 65,536 by default.
    pub document_values: usize,
    /// Bytes of one uncompressed layer; 64 GiB by default.
    pub layer_bytes: u64,
    /// How many times larger than its compressed form a layer may be, once it exceeds
    /// [`Limits::layer_expansion_free`]; 2,000 by default (gzip cannot exceed 1,032).
    pub layer_expansion: u64,
    /// Bytes of an uncompressed layer for which [`Limits::layer_expansion`] does not count yet; 64 MiB by default.
    pub layer_expansion_free: u64,
    /// Bytes of a layer's table of contents, compressed or not; 50 MiB by default.
    pub table_bytes: u64,
    /// Strings, numbers, arrays, ... in a table of contents, in all; 4,194,304 by default, which some 300,000 files
    /// need.
    pub table_values: usize,
    /// Base-2 logarithm of the window that a zstd frame may ask for; 27 (128 MiB) by default.
    pub zstd_window_log: u32,
}

impl Limits {
    /// The bounds that suit images found in public registries.
    pub const DEFAULT: Self = Self {
        document_bytes: 4 << 20,
        document_depth: 64,
        document_values: 1 << 16,
        layer_bytes: 64 << 30,
        layer_expansion: 2_000,
        layer_expansion_free: 64 << 20,
        table_bytes: 50 << 20,
        table_values: 4 << 20,
        zstd_window_log: 27,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}
