//! Building: images from layers, and from other images.

mod draft;

pub use draft::Draft;
