//! The verbs and their flags.

use super::Flag;

/// A verb of the tool.
#[derive(Debug)]
pub(in crate::oci) struct Verb {
    pub(in crate::oci) name: &'static str,
    pub(in crate::oci) arguments: &'static str,
    pub(in crate::oci) about: &'static str,
    pub(in crate::oci) flags: &'static [Flag],
}

const fn switch(long: &'static str, short: Option<char>, help: &'static str) -> Flag {
    Flag { long, short, value: None, help }
}

const fn value(long: &'static str, short: Option<char>, value: &'static str, help: &'static str) -> Flag {
    Flag { long, short, value: Some(value), help }
}

const fn verb(name: &'static str, arguments: &'static str, about: &'static str, flags: &'static [Flag]) -> Verb {
    Verb { name, arguments, about, flags }
}

const HELP: Flag = switch("help", Some('h'), "Print this");
const BUNDLE: Flag = value("bundle", Some('b'), "DIR", "The bundle [default: the working directory]");
const CONSOLE: Flag = value("console-socket", None, "SOCKET", "Socket that is sent the terminal's descriptor");
const PIDFD: Flag = value("pidfd-socket", None, "SOCKET", "Socket that is sent the process's pidfd");
const PID_FILE: Flag = value("pid-file", None, "FILE", "File to write the process's number to");
const NO_PIVOT: Flag = switch("no-pivot", None, "Move the root over the old one instead of leaving that");
const NO_KEYRING: Flag = switch("no-new-keyring", None, "Keep the caller's session keyring");
const PRESERVE: Flag = value("preserve-fds", None, "N", "Pass N more descriptors, from 3 on, to the program");

/// Flags before the verb.
pub(in crate::oci) const GLOBAL: &[Flag] = &[
    value("root", None, "DIR", "Where states are kept [default: /run/windlass-oci]"),
    value("log", None, "FILE", "Log to this file instead of the standard error"),
    value("log-format", None, "FORMAT", "text or json [default: text]"),
    switch("debug", None, "Log what is done as well"),
    switch("systemd-cgroup", None, "Read cgroupsPath as slice:prefix:name, for systemd to make"),
    value("rootless", None, "MODE", "true, false or auto: whether cgroups may be refused [default: auto]"),
    value("criu", None, "PROGRAM", "What checkpoints are made and restored by [default: criu]"),
    HELP,
    switch("version", Some('v'), "Print the version"),
];

/// Every verb.
pub(in crate::oci) const VERBS: &[Verb] = &[
    verb(
        "create",
        "<container-id>",
        "Create a container; `start` begins its program",
        &[BUNDLE, CONSOLE, PIDFD, PID_FILE, NO_PIVOT, NO_KEYRING, PRESERVE, HELP],
    ),
    verb(
        "run",
        "<container-id>",
        "Create a container and begin its program",
        &[
            BUNDLE,
            CONSOLE,
            PIDFD,
            PID_FILE,
            NO_PIVOT,
            NO_KEYRING,
            PRESERVE,
            switch("detach", Some('d'), "Do not wait for its end"),
            switch("keep", None, "Keep the container after its end"),
            switch("no-subreaper", None, "Leave orphans of the container to the caller's init"),
            HELP,
        ],
    ),
    verb("start", "<container-id>", "Begin the program of a created container", &[HELP]),
    verb("state", "<container-id>", "Print the state of a container", &[HELP]),
    verb(
        "kill",
        "<container-id> [signal]",
        "Send a signal (SIGTERM) to a container's first process",
        &[switch("all", Some('a'), "Send it to every process of the container"), HELP],
    ),
    verb(
        "delete",
        "<container-id>",
        "Remove what a stopped container holds",
        &[switch("force", Some('f'), "Kill it first; no error if there is no such container"), HELP],
    ),
    verb("exec", "<container-id> <command> [arguments]", "Run one more process in a container", EXEC),
    verb(
        "list",
        "",
        "List the containers",
        &[
            value("format", Some('f'), "FORMAT", "table or json [default: table]"),
            switch("quiet", Some('q'), "Print ids only"),
            HELP,
        ],
    ),
    verb(
        "ps",
        "<container-id> [ps options]",
        "List the processes of a container",
        &[value("format", Some('f'), "FORMAT", "table or json [default: table]"), HELP],
    ),
    verb(
        "events",
        "<container-id>",
        "Print what a container uses, and when memory runs out",
        &[
            switch("stats", None, "Print what it uses now, and end"),
            value("interval", None, "TIME", "Time between prints, like 5s or 1m30s [default: 5s]"),
            HELP,
        ],
    ),
    verb("pause", "<container-id>", "Stop every process of a container", &[HELP]),
    verb("resume", "<container-id>", "Let a paused container go on", &[HELP]),
    verb("update", "<container-id>", "Change the limits of a container", UPDATE),
    verb(
        "spec",
        "",
        "Write a configuration to start from",
        &[BUNDLE, switch("rootless", None, "For an ordinary user"), HELP],
    ),
    verb("features", "", "Print what this runtime can do", &[HELP]),
    verb("checkpoint", "<container-id>", "Write the processes of a container to files, by criu", CHECKPOINT),
    verb("restore", "<container-id>", "Make a container of the files of a checkpoint, by criu", RESTORE),
];

const EXEC: &[Flag] = &[
    CONSOLE,
    PIDFD,
    value("cwd", None, "DIR", "The working directory"),
    value("env", Some('e'), "NAME=VALUE", "Set a variable (repeatable)"),
    switch("tty", Some('t'), "Give it a terminal"),
    value("user", Some('u'), "UID[:GID]", "The user"),
    value("additional-gids", Some('g'), "GID", "A supplementary group (repeatable)"),
    value("process", Some('p'), "FILE", "The process, as JSON; instead of a command"),
    switch("detach", Some('d'), "Do not wait for its end"),
    PID_FILE,
    value("process-label", None, "LABEL", "The SELinux label"),
    value("apparmor", None, "PROFILE", "The AppArmor profile"),
    switch("no-new-privs", None, "It cannot gain privileges"),
    value("cap", Some('c'), "CAPABILITY", "Add a capability (repeatable)"),
    PRESERVE,
    value("cgroup", None, "PATH", "Place it in this group below the container's own"),
    switch("ignore-paused", None, "Start it in a paused container too"),
    HELP,
];

const UPDATE: &[Flag] = &[
    value(
        "resources",
        Some('r'),
        "FILE",
        "The limits as JSON; - is the standard input. Other options are ignored then",
    ),
    value("blkio-weight", None, "WEIGHT", "Proportion of block IO, 10 to 1000"),
    value("cpu-period", None, "MICROSECONDS", "Period of the CPU quota"),
    value("cpu-quota", None, "MICROSECONDS", "CPU time in a period"),
    value("cpu-burst", None, "MICROSECONDS", "Unused quota that can be saved up"),
    value("cpu-share", None, "SHARES", "Proportion of CPU time"),
    value("cpu-rt-period", None, "MICROSECONDS", "Period of the real-time quota"),
    value("cpu-rt-runtime", None, "MICROSECONDS", "Real-time CPU time in a period"),
    value("cpu-idle", None, "0|1", "Whether it runs only when nothing else does"),
    value("cpuset-cpus", None, "LIST", "CPUs"),
    value("cpuset-mems", None, "LIST", "Memory nodes"),
    value("kernel-memory", None, "BYTES", "No longer known to the kernel: an error"),
    value("kernel-memory-tcp", None, "BYTES", "No longer known to the kernel: an error"),
    value("memory", None, "BYTES", "Memory, in bytes or with k, m, g"),
    value("memory-reservation", None, "BYTES", "Memory under pressure"),
    value("memory-swap", None, "BYTES", "Memory and swap together; -1 is no limit"),
    value("pids-limit", None, "NUMBER", "Processes and threads; -1 is no limit"),
    value("l3-cache-schema", None, "SCHEMA", "Intel RDT: cache allocation"),
    value("mem-bw-schema", None, "SCHEMA", "Intel RDT: memory bandwidth"),
    HELP,
];

const IMAGES: Flag = value("image-path", None, "DIR", "The files [default: checkpoint]");
const WORK: Flag = value("work-path", None, "DIR", "Where criu works and logs [default: with the files]");
const TCP: Flag = switch("tcp-established", None, "With connections that are open");
const UNIX: Flag = switch("ext-unix-sk", None, "With sockets whose other end is outside");
const JOB: Flag = switch("shell-job", None, "With a terminal of the caller's");
const LOCKS: Flag = switch("file-locks", None, "With locks of files");
const LAZY: Flag = switch("lazy-pages", None, "Pages of memory are sent when they are needed");
const DEDUP: Flag = switch("auto-dedup", None, "Drop pages that an earlier checkpoint has as well");
const GROUPS: Flag = value("manage-cgroups-mode", None, "MODE", "soft, full, strict or ignore [default: soft]");
const EMPTY: Flag = value("empty-ns", None, "KIND", "Leave a namespace empty: network (repeatable)");

const CHECKPOINT: &[Flag] = &[
    IMAGES,
    WORK,
    value("parent-path", None, "DIR", "An earlier checkpoint, relative to the files: what changed since is written"),
    switch("leave-running", None, "Let the container run on"),
    TCP,
    switch("tcp-skip-in-flight", None, "Without connections that are not established yet"),
    switch("link-remap", None, "With files that were removed while they are open"),
    UNIX,
    JOB,
    LOCKS,
    LAZY,
    value("status-fd", None, "FD", "Say here when pages can be sent"),
    value("page-server", None, "ADDRESS:PORT", "Send pages there"),
    switch("pre-dump", None, "Write the memory alone, for a later checkpoint with parent-path"),
    DEDUP,
    GROUPS,
    EMPTY,
    HELP,
];

const RESTORE: &[Flag] = &[
    IMAGES,
    WORK,
    TCP,
    switch("tcp-close", None, "Close connections that were open"),
    UNIX,
    JOB,
    LOCKS,
    LAZY,
    DEDUP,
    GROUPS,
    EMPTY,
    value("lsm-profile", None, "TYPE:NAME", "Another profile of a security module: apparmor or selinux"),
    value("lsm-mount-context", None, "LABEL", "Another label of the mounts"),
    BUNDLE,
    CONSOLE,
    PID_FILE,
    switch("detach", Some('d'), "Do not wait for its end"),
    switch("no-subreaper", None, "Leave orphans of the container to the caller's init"),
    NO_PIVOT,
    HELP,
];
