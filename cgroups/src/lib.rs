//! Limit, freeze, kill and measure groups of Linux processes with cgroup v1 and v2.
