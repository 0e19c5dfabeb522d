//! Start an isolated Linux process: namespaces, mounts, credentials, network.
