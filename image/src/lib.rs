//! OCI images: references, digests, manifests, layouts and packing.
