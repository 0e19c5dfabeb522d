//! A corner of the machine for an engine: its own mounts, network, processes and groups.
//!
//! Everything an engine leaves behind goes with the corner, also when the test is killed: its first process ends with
//! the pipe to the test, and the shell around it then removes the groups.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

use tempfile::TempDir;

use crate::bundle::{Said, unique};

/// Outside: enters a group of each hierarchy, starts the corner, and removes the groups after it.
const AROUND: &str = r#"
enter() {
    for hierarchy; do
        mkdir "$hierarchy/$GROUP" || exit
        if [ -e "$hierarchy/cpuset.cpus" ]; then
            cat "$hierarchy/cpuset.cpus" >"$hierarchy/$GROUP/cpuset.cpus"
            cat "$hierarchy/cpuset.mems" >"$hierarchy/$GROUP/cpuset.mems"
        fi
        if [ -e "$hierarchy/$GROUP/tasks" ]; then echo 0 >"$hierarchy/$GROUP/tasks"; else echo 0 >"$hierarchy/$GROUP/cgroup.procs"; fi || exit
    done
}
(
    enter "$@"
    exec unshare --mount --net --pid --ipc --uts --cgroup --fork --kill-child=KILL --propagation private --mount-proc \
        bash -c "$INSIDE" corner "$@"
)
for hierarchy; do
    tries=0
    while [ -e "$hierarchy/$GROUP" ] && [ $tries -lt 1000 ]; do
        find "$hierarchy/$GROUP" -depth -type d -exec rmdir {} + 2>/dev/null
        tries=$((tries + 1))
        [ -e "$hierarchy/$GROUP" ] && sleep 0.05
    done
done
"#;

/// Inside: mounts the groups as this corner sees them, hides what engines keep on the host, and waits.
const INSIDE: &str = r#"
set -e
groups=()
for hierarchy; do
    groups+=("$hierarchy=$(findmnt -rno FSTYPE,OPTIONS --mountpoint "$hierarchy")")
done
umount -R /sys/fs/cgroup
if [ "$1" != /sys/fs/cgroup ]; then mount -t tmpfs -o mode=755 tmpfs /sys/fs/cgroup; fi
for group in "${groups[@]}"; do
    hierarchy=${group%%=*} rest=${group#*=}
    mkdir -p "$hierarchy"
    case $rest in
        cgroup2*)
            mount -t cgroup2 cgroup2 "$hierarchy"
            mkdir "$hierarchy/corner"
            echo 1 >"$hierarchy/corner/cgroup.procs" ;;
        *name=*) mount -t cgroup -o "none,name=${rest##*name=}" cgroup "$hierarchy" ;;
        *) mount -t cgroup -o "$(basename "$hierarchy")" cgroup "$hierarchy" ;;
    esac
done
for folder in /run /tmp /opt /var/lib/containers /var/lib/docker /var/lib/containerd /var/lib/cni /etc/cni /etc/docker; do
    if [ -d "$folder" ]; then mount -t tmpfs -o mode=1777 tmpfs "$folder"; fi
done
mkdir -p /run/lock
ip link set lo up
# A corner of its own has a core of its own: nothing here may ask the host's daemons.
unset XDG_RUNTIME_DIR DBUS_SESSION_BUS_ADDRESS
echo ready
# A shell reaps what is left to it.
while read -r _; do :; done
"#;

/// The corner.
pub(crate) struct Sandbox {
    around: Child,
    /// Its end is the corner's.
    input: Option<ChildStdin>,
    /// Its first process, as the host sees it.
    init: u32,
    group: String,
    hierarchies: Vec<PathBuf>,
    folder: TempDir,
}

impl Sandbox {
    pub(crate) fn new() -> Self {
        let (group, hierarchies) = (unique("windlass-test"), hierarchies());
        let mut around = Command::new("sh");
        around.args(["-c", AROUND, "around"]).args(&hierarchies).env("GROUP", &group).env("INSIDE", INSIDE);
        let mut around = around.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("sh starts");
        let input = around.stdin.take();
        let mut line = String::new();
        let mut output = BufReader::new(around.stdout.take().expect("it is piped"));
        output.read_line(&mut line).expect("a corner is made");
        assert_eq!(line, "ready\n", "unshare or a mount was refused: its words are above");
        // sh, its subshell that became unshare, the corner's first process.
        let child = |pid: u32| -> u32 {
            let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).expect("it lives");
            children.split_whitespace().next().and_then(|pid| pid.parse().ok()).expect("it has a child")
        };
        let parent = child(around.id());
        let init = child(parent);
        for hierarchy in &hierarchies {
            delegate(&hierarchy.join(&group), parent);
        }
        let folder = tempfile::tempdir_in("/var/tmp").expect("a temporary folder");
        Self { around, input, init, group, hierarchies, folder }
    }

    /// A file that both sides see.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A program inside, with this limit in seconds.
    pub(crate) fn within(&self, seconds: u32, words: &[&str]) -> Command {
        let mut command = self.bare(words);
        let arguments: Vec<_> = command.get_args().map(ToOwned::to_owned).collect();
        let mut limited = Command::new("timeout");
        limited.arg("--kill-after=5").arg(seconds.to_string()).arg(command.get_program()).args(arguments);
        command = limited;
        command.stdin(Stdio::null());
        command
    }

    /// A program inside, without a limit.
    pub(crate) fn bare(&self, words: &[&str]) -> Command {
        let enter = r#"while [ "$1" != -- ]; do echo 0 >"$1" || exit; shift; done; shift; exec nsenter "$@""#;
        let mut command = Command::new("sh");
        command.args(["-c", enter, "enter"]);
        for hierarchy in &self.hierarchies {
            let group = hierarchy.join(&self.group);
            let tasks = group.join("tasks");
            command.arg(if tasks.exists() { tasks } else { group.join("corner/cgroup.procs") });
        }
        command.args(["--", "--mount", "--net", "--pid", "--ipc", "--uts", "--cgroup"]);
        command.arg(format!("--target={}", self.init)).arg(format!("--wd={}", self.folder.path().display()));
        command.arg("--").args(words).env_remove("XDG_RUNTIME_DIR");
        command
    }

    /// Runs a program inside to its end.
    pub(crate) fn call(&self, words: &[&str]) -> Said {
        Said::new(&self.within(240, words).output().expect("timeout starts"))
    }

    /// Runs a script inside to its end.
    pub(crate) fn script(&self, script: &str) -> Said {
        self.call(&["bash", "-c", script])
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        drop(self.input.take());
        _ = self.around.wait(); // it ends after the corner
    }
}

/// Hands the controllers of a group of the second version down, which its last process must have left for that.
fn delegate(group: &Path, last: u32) {
    let Ok(controllers) = std::fs::read_to_string(group.join("cgroup.controllers")) else { return };
    std::fs::write(group.join("corner/cgroup.procs"), last.to_string()).expect("the group is ours");
    for controller in controllers.split_whitespace() {
        std::fs::write(group.join("cgroup.subtree_control"), format!("+{controller}")).expect("no process is there");
    }
}

/// Where the groups of this machine are mounted.
fn hierarchies() -> Vec<PathBuf> {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").expect("procfs");
    let mut found: Vec<PathBuf> = Vec::new();
    for line in mounts.lines() {
        let Some((place, source)) = line.split_once(" - ") else { continue };
        let path = Path::new(place.split(' ').nth(4).unwrap_or_default());
        if source.starts_with("cgroup") && path.starts_with("/sys/fs/cgroup") && !found.iter().any(|seen| seen == path)
        {
            found.push(path.to_owned());
        }
    }
    found
}
