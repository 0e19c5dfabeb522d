//! Kubernetes objects and their behaviour without a cluster.
