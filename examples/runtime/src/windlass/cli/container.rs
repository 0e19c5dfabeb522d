//! What `run` and `create` say of a container.

use std::path::PathBuf;

use clap::Args;

use super::registry::{Fetching, PullPolicy};
use crate::windlass::mounts::{self, Mounted};
use crate::windlass::port::Port;
use crate::windlass::record::DeviceNode;
use crate::windlass::restart_policy::RestartPolicy;
use crate::windlass::{limits, option};

#[derive(Debug, Args)]
pub(in crate::windlass) struct Run {
    /// Leaves the container running and prints its id
    #[arg(short, long)]
    pub detach: bool,
    #[command(flatten)]
    pub options: Options,
}

#[derive(Debug, Args)]
pub(in crate::windlass) struct Create {
    #[command(flatten)]
    pub options: Options,
}

#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag that people type")]
pub(in crate::windlass) struct Options {
    /// The container's name [default: its id]
    #[arg(long)]
    pub name: Option<String>,
    /// Removes the container, with its anonymous volumes, when it ends
    #[arg(long)]
    pub rm: bool,
    /// Gives the container an input
    #[arg(short, long)]
    pub interactive: bool,
    /// Gives the container a terminal
    #[arg(short, long)]
    pub tty: bool,
    /// Sets a variable of the environment; a name alone takes this process's value (repeatable)
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    pub env: Vec<String>,
    /// Takes variables from a file, one a line (repeatable)
    #[arg(long, value_name = "FILE")]
    pub env_file: Vec<PathBuf>,
    /// Mounts a file or directory of the host, a named volume, or one without a name (repeatable)
    #[arg(short, long, value_name = "[HOST|NAME:]CONTAINER[:ro]", value_parser = mounts::volume)]
    pub volume: Vec<Mounted>,
    /// Mounts a bind, volume or tmpfs (repeatable)
    #[arg(long, value_name = "type=..,source=..,target=..[,readonly]", value_parser = mounts::mount)]
    pub mount: Vec<Mounted>,
    /// Mounts an empty tmpfs (repeatable)
    #[arg(long, value_name = "CONTAINER[:size=..]", value_parser = mounts::tmpfs)]
    pub tmpfs: Vec<Mounted>,
    /// The working directory, which is made where it is missing
    #[arg(short, long, value_name = "DIR")]
    pub workdir: Option<PathBuf>,
    /// Who runs the program, by names or numbers of the container
    #[arg(short, long, value_name = "USER[:GROUP]")]
    pub user: Option<String>,
    /// Publishes a port of the container on this machine; windlass itself forwards (repeatable)
    #[arg(short, long, value_name = "[[ADDRESS:]PORT:]PORT[/udp]")]
    pub publish: Vec<Port>,
    /// The network: none, host, bridge (root), container:NAME
    #[arg(long, value_name = "MODE", default_value = "none", value_parser = option::network)]
    pub network: option::Network,
    /// The host name [default: the container's id]
    #[arg(long)]
    pub hostname: Option<String>,
    #[command(flatten)]
    pub limits: Limits,
    /// Gives the container a device of the host (repeatable)
    #[arg(long, value_name = "HOST[:CONTAINER][:rwm]", value_parser = limits::device)]
    pub device: Vec<DeviceNode>,
    /// Adds a capability, or ALL (repeatable)
    #[arg(long, value_name = "NAME")]
    pub cap_add: Vec<String>,
    /// Takes a capability away, or ALL (repeatable)
    #[arg(long, value_name = "NAME")]
    pub cap_drop: Vec<String>,
    /// Confines the container by namespaces alone: every capability and device, no filter, nothing hidden
    #[arg(long)]
    pub privileged: bool,
    /// seccomp=unconfined, seccomp=FILE with a policy of OCI or Docker, or no-new-privileges (repeatable)
    #[arg(long, value_name = "OPTION", value_parser = option::security_option)]
    pub security_opt: Vec<option::SecurityOption>,
    /// Confines the program to these accesses, like `read+execute:/usr,write+read:/tmp,connect:443,scope:signal`
    #[arg(long, value_name = "RULES", value_parser = option::landlock)]
    pub landlock: Option<String>,
    /// The root file system cannot be written
    #[arg(long)]
    pub read_only: bool,
    /// When the container is started again: no, on-failure[:RETRIES], always, unless-stopped
    #[arg(long, value_name = "POLICY", default_value = "no")]
    pub restart: RestartPolicy,
    /// Runs the program below an init that passes signals on and reaps
    #[arg(long)]
    pub init: bool,
    /// The program, instead of the image's own; the image's arguments go with it
    #[arg(long, value_name = "PROGRAM")]
    pub entrypoint: Option<String>,
    /// Marks the container (repeatable)
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    pub label: Vec<String>,
    /// Limits each process of the container (repeatable)
    #[arg(long, value_name = "NAME=SOFT[:HARD]", value_parser = option::ulimit)]
    pub ulimit: Vec<crate::windlass::record::Ulimit>,
    /// What asks the program to end [default: the image's, or TERM]
    #[arg(long, value_name = "SIGNAL")]
    pub stop_signal: Option<windlass_namespaces::Signal>,
    /// Seconds that the program has to end before it is killed
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    pub stop_timeout: u64,
    /// Of the log: max-size=BYTES, max-file=NUMBER (repeatable)
    #[arg(long, value_name = "NAME=VALUE", value_parser = option::log_option)]
    pub log_opt: Vec<option::LogOption>,
    /// When the image is fetched
    #[arg(long, value_enum, value_name = "POLICY", default_value = "missing")]
    pub pull: PullPolicy,
    /// Shows no progress of fetching
    #[arg(short, long)]
    pub quiet: bool,
    #[command(flatten)]
    pub fetching: Fetching,
    /// The image, by name, id or digest
    pub image: String,
    /// The command, instead of the image's own arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub command: Vec<String>,
}

/// What `update` can change of a running container, too.
#[derive(Debug, Default, Args)]
pub(in crate::windlass) struct Limits {
    /// CPUs that the container may use at most, like 0.5
    #[arg(long, value_name = "NUMBER", value_parser = limits::millicores)]
    pub cpus: Option<u32>,
    /// Proportion of CPU time against other containers, 2 to 262144
    #[arg(long, value_name = "SHARES")]
    pub cpu_shares: Option<u32>,
    /// CPUs to run on, like 0-1,3
    #[arg(long, value_name = "LIST")]
    pub cpuset_cpus: Option<String>,
    /// Memory at most, in bytes or with b, k, m, g
    #[arg(short, long, value_name = "BYTES", value_parser = limits::bytes)]
    pub memory: Option<u64>,
    /// Soft limit of memory
    #[arg(long, value_name = "BYTES", value_parser = limits::bytes)]
    pub memory_reservation: Option<u64>,
    /// Memory and swap together at most; -1 is no limit
    #[arg(long, value_name = "BYTES", value_parser = limits::memory_swap, allow_hyphen_values = true)]
    pub memory_swap: Option<i64>,
    /// Processes and threads at most; -1 is no limit
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true)]
    pub pids_limit: Option<i64>,
    /// Bytes a second read from a block device at most (repeatable)
    #[arg(long, value_name = "DEVICE:BYTES", value_parser = limits::device_rate)]
    pub device_read_bps: Vec<(PathBuf, u64)>,
    /// Bytes a second written to a block device at most (repeatable)
    #[arg(long, value_name = "DEVICE:BYTES", value_parser = limits::device_rate)]
    pub device_write_bps: Vec<(PathBuf, u64)>,
}
