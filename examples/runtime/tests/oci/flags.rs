//! The command line has all that runc's has, and what a flag says is what happens.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use serde_json::json;
use trial::{Test, need};

use crate::bundle::{Bundle, Said, containers, many_ids, runtime, strict};
use crate::lifecycle::limit;
use crate::until::until;

const RUNC: &str = "/usr/sbin/runc";

pub(crate) fn tests() -> Vec<Test> {
    vec![
        Test::new("the_command_line_has_all_of_runcs", names).needs(need::path(RUNC)),
        Test::new("flags_of_update_are_as_under_runc", update).needs(need::root).needs(need::path(RUNC)),
        Test::new("flags_of_update_that_are_newer_do_what_they_say", newer_update).needs(need::root).needs(strict),
        Test::new("flags_of_exec_do_what_they_say", exec).needs(many_ids),
        Test::new("exec_of_a_paused_container_is_asked_for", exec_paused).needs(need::root),
        Test::new("a_kept_container_is_there_after_its_end", keep).needs(containers),
        Test::new("a_session_keyring_is_new_or_the_callers", keyring).needs(need::root).needs(need::path("/proc/keys")),
        Test::new("orphans_are_the_runtimes_or_the_callers", subreaper).needs(need::root),
        // Debian's runc goes on when the container has ended.
        Test::new("events_come_at_their_interval", interval).needs(need::root).needs(strict),
        Test::new("a_class_of_service_takes_a_kernel_that_has_them", class).needs(need::root).needs(strict),
        Test::new("what_is_done_is_told_to_who_debugs", debug).needs(containers).needs(strict),
    ]
}

/// The flags of a help, each with whether it takes a value.
type Flags = BTreeMap<String, bool>;

/// The lines of a help that are flags: both write the names, then the value's, then blanks and an explanation.
fn flags(help: &str) -> Flags {
    let mut flags = Flags::new();
    for line in help.lines().map(str::trim_start).filter(|line| line.starts_with("--")) {
        let words = line.split("  ").next().expect("split gives one at least").replace(',', " ");
        let (names, values): (Vec<&str>, Vec<&str>) = words.split_whitespace().partition(|word| word.starts_with('-'));
        flags.extend(names.into_iter().map(|name| (name.to_owned(), !values.is_empty())));
    }
    flags
}

fn help(program: &Path, arguments: &[&str]) -> String {
    Said::new(&Command::new(program).args(arguments).arg("--help").output().expect("it starts")).fine()
}

/// The names below the heading of the commands, less the help.
fn verbs(help: &str) -> Vec<String> {
    let lines = help.lines().skip_while(|line| *line != "COMMANDS:").skip(1).take_while(|line| !line.is_empty());
    let names = lines.filter_map(|line| line.split([' ', ',']).find(|word| !word.is_empty()));
    names.filter(|name| *name != "help").map(str::to_owned).collect()
}

/// There is no exception: every verb is there with every flag, and each takes a value where runc's does.
fn names() {
    let all = help(Path::new(RUNC), &[]);
    let verbs = verbs(&all);
    assert!(verbs.len() >= 17, "{verbs:?}");
    let lacks = |theirs: Flags, ours: &Flags| -> Vec<(String, bool)> {
        theirs.into_iter().filter(|(name, takes)| ours.get(name) != Some(takes)).collect()
    };
    let ours = help(&runtime(), &[]);
    assert_eq!(lacks(flags(&all), &flags(&ours)), [], "before the verb");
    for verb in &verbs {
        let theirs = flags(&help(Path::new(RUNC), &[verb]));
        assert_eq!(lacks(theirs, &flags(&help(&runtime(), &[verb]))), [], "{verb}");
    }
    for short in [&["help", "run"][..], &["h", "run"], &["run", "-h"]] {
        let said = Said::new(&Command::new(runtime()).args(short).output().expect("it starts")).fine();
        assert!(said.contains("--no-subreaper"), "{said}");
    }
}

/// Files of a group, by controller.
const LIMITS: [(&str, &str); 12] = [
    ("memory", "memory.limit_in_bytes"),
    ("memory", "memory.soft_limit_in_bytes"),
    ("memory", "memory.memsw.limit_in_bytes"),
    ("cpu", "cpu.shares"),
    ("cpu", "cpu.cfs_quota_us"),
    ("cpu", "cpu.cfs_period_us"),
    ("cpu", "cpu.rt_period_us"),
    ("cpu", "cpu.rt_runtime_us"),
    ("cpuset", "cpuset.cpus"),
    ("cpuset", "cpuset.mems"),
    ("pids", "pids.max"),
    ("blkio", "blkio.bfq.weight"),
];

/// Each with what was there before it.
const UPDATES: [&str; 18] = [
    "--memory 32m",
    "--memory-reservation 16m",
    "--memory-swap 96m",
    "--memory 48m --memory-swap 64m",
    "--memory-swap -1",
    "--memory -1",
    "--cpu-share 300",
    "--cpu-quota 20000",
    "--cpu-quota -1",
    "--cpu-period 50000",
    "--cpu-period 40000 --cpu-quota 10000",
    "--cpu-rt-period 900000",
    "--cpuset-cpus 0",
    "--cpuset-mems 0",
    "--pids-limit 7",
    "--pids-limit -1",
    "--blkio-weight 500",
    "--cpuset-cpus 4096",
];

fn update() {
    let both = [&runtime(), Path::new(RUNC)].map(|program| {
        let mut bundle = Bundle::of(program);
        bundle.set_script("exec sleep 600");
        bundle.spec["linux"]["cgroupsPath"] = json!(format!("/{}", bundle.id));
        bundle.spec["linux"]["resources"] = json!({
            "memory": { "limit": 64 << 20, "swap": 128 << 20 },
            "cpu": { "quota": 50_000, "period": 100_000, "shares": 512 },
            "pids": { "limit": 30 },
        });
        bundle.start();
        let pid = bundle.state()["pid"].to_string();
        (bundle, pid)
    });
    let limits = |pid: &str| LIMITS.map(|(controller, file)| (file, limit(pid, controller, file, file)));
    let mut before = limits(&both[0].1);
    assert_eq!(before, limits(&both[1].1));
    for line in UPDATES {
        let [ours, theirs] = both.each_ref().map(|(bundle, pid)| {
            let words: Vec<&str> = ["update"].into_iter().chain(line.split(' ')).chain([&bundle.id[..]]).collect();
            (bundle.call(&words).code, limits(pid))
        });
        assert_eq!(ours, theirs, "{line}");
        let is_refused = ours.0 != Some(0);
        assert_eq!(is_refused, line.ends_with("4096"), "{line}");
        // The node that there is was given before.
        assert!(ours.1 != before || is_refused || line.ends_with("mems 0"), "{line} changed nothing");
        before = ours.1;
    }
}

/// What Debian's runc has not, or no more.
fn newer_update() {
    let mut bundle = Bundle::script("exec sleep 600");
    bundle.spec["linux"]["resources"]["cpu"] = json!({ "quota": 50_000, "period": 100_000 });
    bundle.start();
    let pid = bundle.state()["pid"].to_string();
    bundle.call(&["update", "--cpu-burst", "1000", "--cpu-idle", "1", &bundle.id]).fine();
    assert_eq!(limit(&pid, "cpu", "cpu.cfs_burst_us", "cpu.max.burst"), "1000");
    assert_eq!(limit(&pid, "cpu", "cpu.idle", "cpu.idle"), "1");
    for (flag, value, named) in [
        ("--kernel-memory", "64m", "memory.kernel"),
        ("--kernel-memory-tcp", "64m", "memory.kernelTCP"),
        ("--l3-cache-schema", "L3:0=f", "linux.intelRdt"),
        ("--mem-bw-schema", "MB:0=20", "linux.intelRdt"),
        ("--l3-cache-schema", "f", "--l3-cache-schema"),
    ] {
        let said = bundle.call(&["update", flag, value, &bundle.id]).refused();
        assert!(said.contains(named), "{flag}: {said}");
    }
    bundle.verb("update").refused();
}

fn exec() {
    let mut bundle = Bundle::script("exec sleep 600");
    bundle.spec["process"]["noNewPrivileges"] = json!(false);
    bundle.start();
    let exec = |flags: &[&str], script: &str| {
        bundle.call(&[&["exec"], flags, &[&bundle.id, "sh", "-c", script]].concat()).fine()
    };
    let field = |name: &str| format!("sed -n 's/^{name}:.//p' /proc/self/status");
    assert_eq!(exec(&["--additional-gids", "56", "--additional-gids=57", "-u", "0:0"], "id -G"), "0 56 57\n");
    for (flags, expected) in [(&[][..], "0\n"), (&["--no-new-privs"], "1\n")] {
        assert_eq!(exec(flags, &field("NoNewPrivs")), expected);
    }
    // CAP_SYS_PTRACE is bit 19, and none of the default specification's.
    for (flags, has) in [(&[][..], 0), (&["--cap", "CAP_SYS_PTRACE"], 1), (&["-c=CAP_SYS_PTRACE"], 1)] {
        for set in ["CapEff", "CapPrm", "CapBnd"] {
            let bits = u64::from_str_radix(exec(flags, &field(set)).trim(), 16).expect("hexadecimal");
            assert_eq!(bits >> 19 & 1, has, "{flags:?} {set}");
        }
    }
    assert_eq!(exec(&["-e", "A=1", "--env=B=2", "--cwd=/mnt"], "echo $A$B; pwd"), "12\n/mnt\n");
    let program =
        bundle.command(&["exec", "--preserve-fds", "1", &bundle.id, "sh", "-c", "cat <&3; ls /proc/self/fd | wc -l"]);
    std::fs::write(bundle.path("three"), "three\n").expect("the folder is ours");
    let mut shell = Command::new("sh");
    shell.args(["-c", r#"exec 3<three 4<three; exec "$@""#, "sh"]).current_dir(bundle.path(""));
    shell.arg(program.get_program()).args(program.get_args());
    // The three, the one, and that with which ls reads the folder.
    assert_eq!(Said::new(&shell.output().expect("sh starts")).fine(), "three\n5\n");
    for (flag, value) in [("--user", "root"), ("--additional-gids", "-1"), ("--cap", "CAP_NOPE"), ("--cwd", "/absent")]
    {
        let said = bundle.call(&["exec", flag, value, &bundle.id, "true"]);
        // A capability that nobody knows is dropped with a notice, as other runtimes do.
        assert_eq!(said.code == Some(0), flag == "--cap", "{flag}: {said:?}");
    }
    if strict().is_ok() && !Path::new("/sys/kernel/security/apparmor").exists() {
        for (flag, named) in [("--apparmor", "process.apparmorProfile"), ("--process-label", "process.selinuxLabel")] {
            let said = bundle.call(&["exec", flag, "a:b:c:d", &bundle.id, "true"]).refused();
            assert!(said.contains(named), "{said}");
        }
    }
}

fn exec_paused() {
    let bundle = Bundle::script("exec sleep 600");
    bundle.start();
    bundle.verb("pause").fine();
    bundle.exec(&["true"]).refused();
    // The new process is stopped with the others, whatever the runtime does: it stays until they go on.
    let out = bundle.path("went-on");
    let file = std::fs::File::create(&out).expect("the folder is ours");
    let mut child = bundle.command(&["exec", "--ignore-paused", &bundle.id, "echo", "went on"]);
    let mut child = child.stdout(file).spawn().expect("the runtime starts");
    let frozen = std::time::Duration::from_millis(200);
    std::thread::sleep(frozen);
    assert_eq!(std::fs::read_to_string(&out).expect("it is ours"), "");
    bundle.verb("resume").fine();
    assert!(child.wait().expect("it ends").success());
    assert_eq!(std::fs::read_to_string(&out).expect("it is ours"), "went on\n");
}

fn keep() {
    let bundle = Bundle::script("exit 3");
    bundle.write();
    let folder = bundle.path("");
    let said = bundle.call(&["run", "--keep", "-b", folder.to_str().expect("UTF-8"), &bundle.id]);
    assert_eq!(said.code, Some(3), "{said:?}");
    assert_eq!(bundle.status(), "stopped");
    bundle.verb("delete").fine();
    bundle.verb("state").refused();
}

fn keyring() {
    // The kernel shows a process what it possesses.
    let script = "sed -n 's/.*keyring *\\(_ses[^:]*\\):.*/\\1/p' /proc/keys | sort -u";
    let shown = |flags: &[&str]| {
        let mut bundle = Bundle::script(script);
        // It is hidden otherwise.
        bundle.spec["linux"]["maskedPaths"] = json!([]);
        bundle.write();
        let folder = bundle.path("");
        let words = [&["run"], flags, &["--bundle", folder.to_str().expect("UTF-8"), &bundle.id]].concat();
        bundle.call(&words).fine().replace(&bundle.id, "ID")
    };
    assert!(shown(&[]).contains("_ses.ID"), "{}", shown(&[]));
    assert!(!shown(&["--no-new-keyring"]).contains("_ses.ID"));
}

/// Leaves a process behind that writes down its parent, once it is left.
const ORPHAN: &str = r#"
    (sh -c 'while [ ! -e /tmp/left ]; do sleep 0.01; done
            cut -d" " -f4 /proc/$$/stat >/tmp/new; mv /tmp/new /tmp/parent' >/dev/null 2>&1 &)
    touch /tmp/left
    while [ ! -e /tmp/parent ]; do sleep 0.01; done
"#;

/// A container in the caller's pid namespace leaves a process behind, whose new parent is asked for.
fn subreaper() {
    let parent = |flags: &[&str]| {
        let mut bundle = Bundle::script(ORPHAN);
        bundle.spec["root"]["readonly"] = json!(false);
        bundle.spec["linux"]["namespaces"].as_array_mut().expect("a list").retain(|entry| entry["type"] != "pid");
        bundle.write();
        let folder = bundle.path("");
        let words = [&["run"], flags, &["--bundle", folder.to_str().expect("UTF-8"), &bundle.id]].concat();
        let mut run = bundle.command(&words).spawn().expect("the runtime starts");
        assert!(run.wait().expect("it ends").success());
        std::fs::read_to_string(bundle.rootfs("tmp/parent")).expect("it was written")
    };
    assert_ne!(parent(&[]), parent(&["--no-subreaper"]));
}

fn interval() {
    let bundle = Bundle::script("exec sleep 600");
    bundle.start();
    let start = std::time::Instant::now();
    let words = ["events", "--interval", "200ms", &bundle.id];
    let out = std::fs::File::create(bundle.path("events")).expect("the folder is ours");
    let mut events = bundle.command(&words).stdout(out).spawn().expect("the runtime starts");
    let lines = || std::fs::read_to_string(bundle.path("events")).expect("it is ours").lines().count();
    until("three were printed", || (lines() >= 3).then_some(()));
    let took = start.elapsed();
    assert!(took >= std::time::Duration::from_millis(600), "{took:?}");
    bundle.call(&["kill", &bundle.id, "KILL"]).fine();
    assert!(events.wait().expect("it ends with the container").success());
    bundle.call(&["events", "--interval", "0s", &bundle.id]).refused();
    bundle.call(&["events", "--interval", "soon", &bundle.id]).refused();
}

/// Where the kernel has classes, the container's process is in its own; elsewhere the failure says what is missing.
fn class() {
    let mut bundle = Bundle::script("exec sleep 600");
    bundle.spec["linux"]["intelRdt"] = json!({});
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").expect("procfs");
    let place = mounts.lines().find(|line| line.contains(" - resctrl ")).and_then(|line| line.split(' ').nth(4));
    let Some(place) = place else {
        let said = bundle.create().refused();
        assert!(said.contains("linux.intelRdt") && said.contains("resctrl"), "{said}");
        bundle.verb("state").refused();
        return;
    };
    let directory = Path::new(place).join(&bundle.id);
    bundle.start();
    let tasks = std::fs::read_to_string(directory.join("tasks")).expect("the class is made");
    let pid = bundle.state()["pid"].to_string();
    assert!(tasks.lines().any(|line| line == pid), "{tasks}");
    bundle.call(&["delete", "--force", &bundle.id]).fine();
    assert!(!directory.exists());
}

fn debug() {
    let bundle = Bundle::script("true");
    bundle.write();
    let told = |flags: &[&str]| {
        let log = bundle.path("log");
        _ = std::fs::remove_file(&log); // there may be none
        let folder = bundle.path("");
        let words = [&["--log", log.to_str().expect("UTF-8")], flags, &["run", "-b", folder.to_str().expect("UTF-8")]];
        bundle.call(&[&words.concat()[..], &[&bundle.id]].concat()).fine();
        std::fs::read_to_string(log).unwrap_or_default()
    };
    let said = told(&[]);
    assert!(!said.contains("level=debug"), "{said}");
    let said = told(&["--debug"]);
    assert!(said.contains("level=debug") && said.contains(&bundle.id) && said.contains("pivot"), "{said}");
}
