//! podman and buildah over the runtime.

use serde_json::Value;
use trial::{Test, need};

use crate::bundle::{Said, runtime};
use crate::image;
use crate::sandbox::Sandbox;
use crate::terminal::Seat;
use crate::until::until;

pub(crate) fn tests() -> Vec<Test> {
    let test = |name, program, body: fn()| Test::new(name, body).needs(need::root).needs(need::program(program));
    vec![
        test("podman_runs", "podman", runs),
        test("podman_confines", "podman", confines),
        test("podman_limits", "podman", limits),
        test("podman_keeps_a_container", "podman", keeps),
        test("podman_stops_and_kills", "podman", stops),
        test("podman_at_a_terminal", "podman", terminal),
        test("podman_mounts_volumes", "podman", volumes),
        test("podman_maps_users", "podman", maps_users),
        test("podman_shares_in_a_pod", "podman", pod),
        test("buildah_builds", "buildah", builds),
    ]
}

/// podman with the image in a corner.
struct Podman(Sandbox);

impl Podman {
    fn new() -> Self {
        let podman = Self(Sandbox::new());
        let archive = image::archive(&podman.0);
        podman.call(&["load", "--quiet", "--input", archive.to_str().expect("UTF-8")]).fine();
        podman
    }

    fn words<'a>(program: &'a str, arguments: &[&'a str]) -> Vec<String> {
        let runtime = runtime();
        let mut words = vec![program.to_owned()];
        if program == "podman" {
            words.extend(["--runtime", runtime.to_str().expect("UTF-8")].map(str::to_owned));
            words.extend(["--cgroup-manager", "cgroupfs", "--events-backend", "file"].map(str::to_owned));
        }
        words.extend(["--root", "/var/lib/containers/storage", "--runroot", "/run/containers"].map(str::to_owned));
        words.extend(["--storage-driver", "overlay"].map(str::to_owned));
        words.extend(arguments.iter().map(|word| (*word).to_owned()));
        words
    }

    fn call(&self, arguments: &[&str]) -> Said {
        let words = Self::words("podman", arguments);
        self.0.call(&words.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// A container of the image without a network, to its end.
    fn run(&self, options: &[&str], command: &[&str]) -> Said {
        self.call(&[&["run", "--rm", "--network=none"], options, &[image::NAME], command].concat())
    }

    fn sh(&self, options: &[&str], script: &str) -> String {
        self.run(options, &["sh", "-c", script]).fine()
    }
}

fn runs() {
    let podman = Podman::new();
    assert_eq!(
        podman.sh(&["-e", "A=b c", "-w", "/tmp", "--hostname", "name"], "echo $A; pwd; hostname"),
        "b c\n/tmp\nname\n"
    );
    assert_eq!(podman.run(&[], &["sh", "-c", "echo out; echo err >&2; exit 7"]).code, Some(7));
    assert_eq!(podman.run(&[], &["nosuchprogram"]).code, Some(127));
    assert_eq!(podman.run(&[], &["/etc/passwd"]).code, Some(126));
    assert_eq!(podman.run(&[], &["sh", "-c", "sh -c 'kill -9 $$'; exit $?"]).code, Some(137));
    assert_eq!(podman.sh(&["--env-host=false"], "echo $$; ls /sys/class/net"), "1\nlo\n");
    // Nothing is left of those.
    assert_eq!(podman.call(&["ps", "--all", "--quiet"]).fine(), "");
}

fn confines() {
    let podman = Podman::new();
    let said = podman.run(&["--read-only"], &["touch", "/x"]);
    assert!(said.code == Some(1) && said.err.contains("Read-only"), "{said:?}");
    assert_eq!(podman.sh(&["--read-only", "--tmpfs", "/mnt:size=1m"], "touch /mnt/x /tmp/x && echo fine"), "fine\n");
    assert_eq!(podman.sh(&["--user", "12:34"], "id -u; id -g"), "12\n34\n");
    let effective = "grep CapEff /proc/self/status";
    assert_eq!(podman.sh(&["--cap-drop", "all"], effective), "CapEff:\t0000000000000000\n");
    assert_eq!(podman.sh(&["--cap-drop", "all", "--cap-add", "chown"], effective), "CapEff:\t0000000000000001\n");
    let filter = "grep Seccomp: /proc/self/status";
    assert_eq!(podman.sh(&[], filter), "Seccomp:\t2\n");
    assert_eq!(podman.sh(&["--security-opt", "seccomp=unconfined"], filter), "Seccomp:\t0\n");
    let policy = podman.0.path("policy.json");
    std::fs::write(
        &policy,
        r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 11}]}"#,
    )
    .expect("the folder is ours");
    let option = format!("seccomp={}", policy.display());
    let said = podman.run(&["--security-opt", &option], &["mkdir", "/tmp/x"]);
    assert!(said.code == Some(1) && said.err.contains("temporarily unavailable"), "{said:?}");
    let said = podman.sh(&["--security-opt", "no-new-privileges"], "grep NoNewPrivs /proc/self/status");
    assert_eq!(said, "NoNewPrivs:\t1\n");
    assert_eq!(
        podman.sh(&["--privileged"], "[ -e /dev/loop-control ] || [ -e /dev/vda ] && echo devices"),
        "devices\n"
    );
}

fn limits() {
    let podman = Podman::new();
    if podman.0.script("[ -d /sys/fs/cgroup/memory ]").code != Some(0) {
        let script = "cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max";
        assert_eq!(podman.sh(&["--memory", "64m", "--pids-limit", "20"], script), "67108864\n20\n");
        return;
    }
    let script =
        "cd /sys/fs/cgroup; cat memory/memory.limit_in_bytes pids/pids.max cpu/cpu.cfs_quota_us cpu/cpu.shares";
    let options = ["--memory", "64m", "--pids-limit", "20", "--cpu-quota", "50000", "--cpu-shares", "300"];
    assert_eq!(podman.sh(&options, script), "67108864\n20\n50000\n300\n");
    let hog = podman.run(
        &["--memory", "16m", "--memory-swap", "16m"],
        &["sh", "-c", "yes | tr '\\n' x | head -c 90000000 | tail -n 1"],
    );
    assert!(hog.out.len() < 90_000_000, "the limit ends it");
    let bomb = "i=0; while [ $i -lt 30 ]; do sleep 60 & i=$((i + 1)); done; echo all";
    let said = podman.run(&["--pids-limit", "10"], &["sh", "-c", bomb]);
    assert!(!said.out.contains("all"), "{said:?}");
}

fn keeps() {
    let podman = Podman::new();
    let script = "echo started; trap 'echo asked; exit 3' TERM; while :; do sleep 0.05; done";
    podman.call(&["run", "-d", "--name", "kept", "--network=none", image::NAME, "sh", "-c", script]).fine();
    until("it writes", || (podman.call(&["logs", "kept"]).fine() == "started\n").then_some(()));
    assert_eq!(podman.call(&["exec", "kept", "sh", "-c", "echo inside; exit 4"]).code, Some(4));
    assert_eq!(
        podman.call(&["exec", "-e", "A=1", "-w", "/tmp", "-u", "5", "kept", "sh", "-c", "echo $A $PWD; id -u"]).fine(),
        "1 /tmp\n5\n"
    );
    assert_eq!(podman.call(&["exec", "kept", "nosuchprogram"]).code, Some(127));
    podman.call(&["exec", "-d", "kept", "touch", "/tmp/made"]).fine();
    until("it was made", || (podman.call(&["exec", "kept", "ls", "/tmp"]).fine() == "made\n").then_some(()));
    let stats: Value =
        serde_json::from_str(&podman.call(&["stats", "--no-stream", "--format", "json", "kept"]).fine()).expect("JSON");
    assert_eq!(stats[0]["name"], "kept", "{stats}");
    assert!(stats[0]["pids"].as_str().and_then(|pids| pids.parse::<u32>().ok()) > Some(0), "{stats}");
    podman.call(&["pause", "kept"]).fine();
    assert_eq!(podman.call(&["inspect", "--format", "{{.State.Status}}", "kept"]).fine(), "paused\n");
    podman.call(&["unpause", "kept"]).fine();
    assert!(podman.call(&["top", "kept"]).fine().contains("sleep"));
    podman.call(&["stop", "--time", "20", "kept"]).fine();
    assert_eq!(podman.call(&["logs", "kept"]).fine(), "started\nasked\n");
    assert_eq!(podman.call(&["inspect", "--format", "{{.State.ExitCode}}", "kept"]).fine(), "3\n");
    podman.call(&["start", "kept"]).fine();
    podman.call(&["rm", "--force", "--time", "0", "kept"]).fine();
    assert_eq!(podman.call(&["ps", "--all", "--quiet"]).fine(), "");
}

fn stops() {
    let podman = Podman::new();
    let start = |name: &str| {
        podman.call(&["run", "-d", "--name", name, "--network=none", image::NAME, "sleep", "600"]).fine();
    };
    let code = |name: &str| podman.call(&["wait", name]).fine();
    start("killed");
    podman.call(&["kill", "killed"]).fine();
    assert_eq!(code("killed"), "137\n");
    start("stopped");
    // The first process ignores what it does not handle, so the second signal ends it.
    podman.call(&["stop", "--time", "1", "stopped"]).fine();
    assert_eq!(code("stopped"), "137\n");
    start("restarted");
    podman.call(&["restart", "--time", "0", "restarted"]).fine();
    assert_eq!(podman.call(&["exec", "restarted", "echo", "again"]).fine(), "again\n");
    podman.call(&["rm", "--all", "--force", "--time", "0"]).fine();
}

fn terminal() {
    let podman = Podman::new();
    // podman tells conmon the window's size beside the start, so that it may come after the program's first look.
    let script = "tty; until stty size 2>/dev/null | grep '21 93'; do sleep 0.02; done; \
                  until stty size | grep '33 77'; do sleep 0.02; done; read -r line; echo \"got $line\"; exit 9";
    let words = Podman::words("podman", &["run", "-it", "--rm", "--network=none", image::NAME, "sh", "-c", script]);
    let mut seat = Seat::new(&podman.0.bare(&words.iter().map(String::as_str).collect::<Vec<_>>()));
    assert!(seat.read_until("21 93").contains("/dev/pts/0"));
    seat.resize(33, 77);
    seat.read_until("33 77");
    seat.type_line("hello");
    seat.read_until("got hello");
    assert_eq!(seat.child.wait().expect("it ends").code(), Some(9));
    podman.call(&["run", "-d", "--name", "kept", "--network=none", image::NAME, "sleep", "600"]).fine();
    let words = Podman::words("podman", &["exec", "-it", "kept", "sh", "-c", script]);
    let mut seat = Seat::new(&podman.0.bare(&words.iter().map(String::as_str).collect::<Vec<_>>()));
    assert!(seat.read_until("21 93").contains("/dev/pts/"));
    seat.resize(33, 77);
    seat.read_until("33 77");
    seat.type_line("world");
    seat.read_until("got world");
    assert_eq!(seat.child.wait().expect("it ends").code(), Some(9));
}

fn volumes() {
    let podman = Podman::new();
    let folder = podman.0.path("volume");
    std::fs::create_dir(&folder).expect("the folder is ours");
    std::fs::write(folder.join("file"), "from the host\n").expect("the folder is ours");
    let bind = |options: &str| format!("{}:/mnt{options}", folder.display());
    assert_eq!(podman.sh(&["-v", &bind("")], "cat /mnt/file; echo inside >/mnt/new"), "from the host\n");
    assert_eq!(std::fs::read_to_string(folder.join("new")).expect("it was written"), "inside\n");
    assert_eq!(podman.run(&["-v", &bind(":ro")], &["touch", "/mnt/x"]).code, Some(1));
    podman.call(&["volume", "create", "named"]).fine();
    podman.sh(&["-v", "named:/data"], "echo kept >/data/file");
    assert_eq!(podman.sh(&["-v", "named:/data:ro"], "cat /data/file"), "kept\n");
    let device = podman
        .sh(&["--device", "/dev/null:/dev/nothing"], "stat -c '%t %T' /dev/nothing; echo x >/dev/nothing && echo fine");
    assert_eq!(device, "1 3\nfine\n");
}

fn maps_users() {
    let podman = Podman::new();
    let options = ["--uidmap", "0:200000:5000", "--gidmap", "0:300000:5000"];
    let said = podman.sh(&options, "id -u; cat /proc/self/uid_map /proc/self/gid_map; touch /made && stat -c %u /made");
    let words: Vec<&str> = said.split_whitespace().collect();
    assert_eq!(words, ["0", "0", "200000", "5000", "0", "300000", "5000", "0"]);
    assert_eq!(podman.sh(&[&options[..], &["--user", "7:8"]].concat(), "id -u; id -g"), "7\n8\n");
    // What belongs to root of the host belongs to nobody inside.
    let folder = podman.0.path("volume");
    std::fs::create_dir(&folder).expect("the folder is ours");
    let bind = format!("{}:/mnt", folder.display());
    let said = podman.run(&[&options[..], &["-v", &bind]].concat(), &["sh", "-c", "stat -c %u /mnt; touch /mnt/x"]);
    assert!(said.code == Some(1) && said.out == "65534\n", "{said:?}");
}

fn pod() {
    let podman = Podman::new();
    let create = [
        "pod",
        "create",
        "--name",
        "pod",
        "--network=none",
        "--infra-image",
        image::NAME,
        "--infra-command",
        "sleep 600",
    ];
    podman.call(&create).fine();
    podman
        .call(&[
            "run",
            "-d",
            "--pod",
            "pod",
            "--name",
            "one",
            image::NAME,
            "sh",
            "-c",
            "hostname podded; exec sleep 600",
        ])
        .fine();
    let namespaces = |name: &str| {
        podman.call(&["exec", name, "sh", "-c", "readlink /proc/self/ns/net; readlink /proc/self/ns/ipc"]).fine()
    };
    podman.call(&["run", "-d", "--pod", "pod", "--name", "two", image::NAME, "sleep", "600"]).fine();
    assert_eq!(namespaces("one"), namespaces("two"));
    assert_eq!(
        podman.call(&["pod", "inspect", "--format", "{{.State}} {{.NumContainers}}", "pod"]).fine(),
        "Running 3\n"
    );
    podman.call(&["pod", "pause", "pod"]).fine();
    podman.call(&["pod", "unpause", "pod"]).fine();
    podman.call(&["pod", "stop", "--time", "0", "pod"]).fine();
    podman.call(&["pod", "rm", "--force", "pod"]).fine();
    assert_eq!(podman.call(&["ps", "--all", "--quiet"]).fine(), "");
}

fn builds() {
    let podman = Podman::new();
    let context = podman.0.path("context");
    std::fs::create_dir(&context).expect("the folder is ours");
    std::fs::write(context.join("file"), "from the context\n").expect("the folder is ours");
    std::fs::write(
        context.join("Dockerfile"),
        format!("FROM {}\nCOPY file /file\nRUN cat /file && echo $$ >/made && grep -c . /proc/mounts\nRUN [\"sh\", \"-c\", \"echo second >>/made\"]\nUSER 7\nRUN id -u >/tmp/user\nCMD [\"cat\", \"/made\", \"/tmp/user\"]\n", image::NAME),
    )
    .expect("the folder is ours");
    let runtime = runtime();
    let words = Podman::words(
        "buildah",
        &[
            "bud",
            "--runtime",
            runtime.to_str().expect("UTF-8"),
            "--isolation",
            "oci",
            "--network",
            "none",
            "--no-cache",
            "--tag",
            "built",
            context.to_str().expect("UTF-8"),
        ],
    );
    let said = podman.0.call(&words.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(said.out.contains("from the context"), "{said:?}");
    said.fine();
    let said = podman.call(&["run", "--rm", "--network=none", "localhost/built"]).fine();
    assert_eq!(said, "1\nsecond\n7\n");
    std::fs::write(context.join("Dockerfile"), format!("FROM {}\nRUN exit 5\n", image::NAME))
        .expect("the folder is ours");
    assert_ne!(podman.0.call(&words.iter().map(String::as_str).collect::<Vec<_>>()).code, Some(0));
}
