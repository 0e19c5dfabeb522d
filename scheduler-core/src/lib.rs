//! The Kubernetes scheduler as a pure, deterministic library.
