//! What a process has beside namespaces, tree and user: what the kernel's own files say inside.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::fs::{self, File};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::process::ExitCode;

use support::{contained, fresh, own, said, shell, sleeper};
use trial::{Test, need::root};
use windlass_namespaces::{
    Clock, Command, Error, Gate, IdMapping, IoClass, IoPriority, KillOnDrop, MemoryPolicy, MemoryPolicyMode, Mount,
    Namespace, NumberSet, Personality, Scheduler, SchedulerPolicy, Source, TimeOffset,
};

fn main() -> ExitCode {
    trial::main(vec![
        Test::new("a_domain_name_is_the_namespaces", domainname).needs(root),
        Test::new("settings_are_the_namespaces", sysctls).needs(root),
        Test::new("settings_work_in_a_user_namespace", sysctls_for_users).needs(root),
        Test::new("clocks_are_set_before_the_program_begins", clocks).needs(root),
        Test::new("clocks_are_set_in_a_user_namespace", clocks_for_users).needs(root),
        Test::new("policies_of_the_scheduler_reach_the_kernel", scheduler).needs(root),
        Test::new("priorities_of_reads_and_writes_reach_the_kernel", io_priority).needs(trial::need::program("ionice")),
        Test::new("a_personality_shows", personality),
        Test::new("cpus_are_those_given", cpus),
        Test::new("memory_comes_from_the_nodes_given", memory).needs(numa),
        Test::new("a_session_keyring_is_new", keyring).needs(trial::need::path("/proc/keys")),
        Test::new("descriptors_have_the_numbers_given", inherited),
        Test::new("descriptors_wait_with_the_process_at_a_gate", inherited_at_gate),
        Test::new("namespaces_are_joined_by_path", paths).needs(root),
        trial::as_user(&[]),
    ])
}

fn domainname() {
    let mut command = fresh("cat /proc/sys/kernel/domainname; uname -n", &[Namespace::Uts]);
    command.domainname("windlass.test").hostname("box");
    assert_eq!(said(&mut command), "windlass.test\nbox");
    assert_ne!(fs::read_to_string("/proc/sys/kernel/domainname").unwrap().trim(), "windlass.test");
}

const SETTINGS: [(&str, &str); 4] = [
    ("net.ipv4.ip_forward", "1"),
    ("kernel.msgmax", "4321"),
    ("fs/mqueue/msg_max", "11"),
    ("net/ipv4/ping_group_range", "3\t5"),
];
const SHOW: &str = "cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/msgmax /proc/sys/fs/mqueue/msg_max /proc/sys/net/ipv4/ping_group_range";

fn set_all(command: &mut Command) {
    for (name, value) in SETTINGS {
        command.sysctl(name, value);
    }
}

fn sysctls() {
    let before = said(&mut shell(SHOW));
    let mut command = fresh(SHOW, &[Namespace::Net, Namespace::Ipc]);
    set_all(&mut command);
    assert_eq!(said(&mut command), "1\n4321\n11\n3\t5");
    // With a tree of its own, in which the settings are read-only.
    let folder = tempfile::tempdir().unwrap();
    let mut command = contained(SHOW, folder.path());
    set_all(&mut command);
    assert_eq!(said(&mut command), "1\n4321\n11\n3\t5");
    assert_eq!(said(&mut shell(SHOW)), before);
    // What the kernel refuses is told.
    let mut command = fresh("true", &[Namespace::Net]);
    match command.sysctl("net.ipv4.ip_forward", "no number").spawn() {
        Err(Error::Child { step, op: "write", source }) => {
            assert_eq!(step, "write \"no number\" to sys/net/ipv4/ip_forward of a procfs");
            assert_eq!(source.raw_os_error(), Some(libc::EINVAL));
        }
        other => panic!("{other:?}"),
    }
    match fresh("true", &[Namespace::Net]).sysctl("net.no.such", "1").spawn() {
        Err(Error::Child { op: "openat2", source, .. }) => assert_eq!(source.raw_os_error(), Some(libc::ENOENT)),
        other => panic!("{other:?}"),
    }
}

fn sysctls_for_users() {
    // With a pid namespace procfs is an instance of its own, without it the caller's.
    for kinds in [&[Namespace::Pid][..], &[]] {
        let mut command = fresh(SHOW, &[Namespace::User, Namespace::Mount, Namespace::Net, Namespace::Ipc]);
        for kind in kinds {
            command.namespace(*kind, Source::New);
        }
        set_all(&mut command);
        let map = || vec![IdMapping::new(0, 100_000, 10).unwrap()];
        command.id_mappings(map(), map());
        assert_eq!(said(&mut command), "1\n4321\n11\n3\t5", "{kinds:?}");
    }
}

const OFFSETS: [TimeOffset; 2] = [
    TimeOffset { clock: Clock::Monotonic, seconds: 1_000_000, nanoseconds: 5 },
    TimeOffset { clock: Clock::Boottime, seconds: 7_000_000, nanoseconds: 0 },
];

fn clocks() {
    let script = "cat /proc/self/timens_offsets; cut -d. -f1 /proc/uptime; readlink /proc/self/ns/time";
    let mut command = fresh(script, &[Namespace::Time]);
    for offset in OFFSETS {
        command.time_offset(offset);
    }
    let text = said(&mut command);
    let words: Vec<&str> = text.split_whitespace().collect();
    let [m, seconds, nano, b, boot, zero, uptime, link] = words[..] else { panic!("{text}") };
    assert_eq!([m, seconds, nano, b, boot, zero], ["monotonic", "1000000", "5", "boottime", "7000000", "0"]);
    // The program itself is in it: its clock, not only that of its children, is ahead.
    assert!(uptime.parse::<u64>().unwrap() >= 7_000_000, "{text}");
    assert_ne!(link, own(Namespace::Time));
    let refused = TimeOffset { clock: Clock::Monotonic, seconds: -1_000_000_000, nanoseconds: 0 };
    match fresh("true", &[Namespace::Time]).time_offset(refused).spawn() {
        Err(Error::Child { op: "write", source, .. }) => assert_eq!(source.raw_os_error(), Some(libc::ERANGE)),
        other => panic!("{other:?}"),
    }
}

fn clocks_for_users() {
    let kinds = [Namespace::User, Namespace::Time, Namespace::Mount, Namespace::Pid];
    let mut command = fresh("cut -d. -f1 /proc/uptime", &kinds);
    command.time_offset(OFFSETS[1]).mount(Mount::proc("/proc"));
    assert!(said(&mut command).parse::<u64>().unwrap() >= 7_000_000);
}

/// Nice value, real-time priority and policy, as the kernel tells them.
const SCHEDULED: &str = "cut -d' ' -f19,40,41 /proc/self/stat";

fn scheduler() {
    // A policy that has no nice value leaves the caller's, which need not be zero.
    let nice = said(&mut shell("cut -d' ' -f19 /proc/self/stat"));
    let batch = Scheduler { nice: 7, ..Scheduler::new(SchedulerPolicy::Batch) };
    assert_eq!(said(shell(SCHEDULED).scheduler(batch)), "7 0 3");
    assert_eq!(said(shell(SCHEDULED).scheduler(Scheduler::new(SchedulerPolicy::Idle))), format!("{nice} 0 5"));
    let real_time = Scheduler { priority: 3, ..Scheduler::new(SchedulerPolicy::RoundRobin) };
    assert_eq!(said(shell(SCHEDULED).scheduler(real_time)), format!("{nice} 3 2"));
    // The children's policy is the usual one again, and its nice value.
    let reset = Scheduler { priority: 3, flags: Scheduler::RESET_ON_FORK, ..Scheduler::new(SchedulerPolicy::Fifo) };
    let script = format!("{SCHEDULED}; true");
    assert_eq!(said(shell(&script).scheduler(reset)), "0 0 0");
    let nonsense = Scheduler { priority: 3, ..Scheduler::new(SchedulerPolicy::Other) };
    match shell("true").scheduler(nonsense).spawn() {
        Err(Error::Child { op: "sched_setattr", source, .. }) => assert_eq!(source.raw_os_error(), Some(libc::EINVAL)),
        other => panic!("{other:?}"),
    }
}

fn io_priority() {
    let priority = |class, level| IoPriority::new(class, level).unwrap();
    assert_eq!(said(shell("ionice").io_priority(priority(IoClass::BestEffort, 6))), "best-effort: prio 6");
    assert_eq!(said(shell("ionice").io_priority(priority(IoClass::Idle, 0))), "idle");
}

fn personality() {
    let mut command = shell("cat /proc/self/personality");
    assert_eq!(said(command.personality(Personality::LINUX32)), "00000008");
    let fixed = Personality::from_bits(Personality::NO_RANDOMIZE).unwrap();
    assert_eq!(said(command.personality(fixed)), "00040000");
}

fn allowed() -> String {
    said(&mut shell("grep Cpus_allowed_list /proc/self/status | cut -f2"))
}

fn cpus() {
    let mine: NumberSet = allowed().parse().unwrap();
    for cpu in mine.iter().take(2) {
        let mut command = shell("grep Cpus_allowed_list /proc/self/status | cut -f2");
        command.cpu_affinity([cpu].into_iter().collect());
        assert_eq!(said(&mut command), cpu.to_string());
    }
    // The one for the start is not the last word.
    let first = mine.iter().next().unwrap();
    let mut command = shell("grep Cpus_allowed_list /proc/self/status | cut -f2");
    command.initial_cpu_affinity([first].into_iter().collect());
    assert_eq!(said(&mut command), first.to_string());
    command.cpu_affinity(mine.clone());
    assert_eq!(said(&mut command), mine.to_string());
    match shell("true").cpu_affinity("8191".parse().unwrap()).spawn() {
        Err(Error::Child { op: "sched_setaffinity", .. }) => {}
        other => panic!("{other:?}"),
    }
    assert_eq!(allowed().parse::<NumberSet>().unwrap(), mine);
}

fn numa() -> Result<(), String> {
    if fs::exists("/proc/self/numa_maps").unwrap_or(false) { Ok(()) } else { Err("needs a kernel with NUMA".into()) }
}

fn memory() {
    let policy = |mode, nodes: &str, flags| MemoryPolicy { mode, nodes: nodes.parse().unwrap(), flags };
    for (policy, told) in [
        (policy(MemoryPolicyMode::Bind, "0", 0), "bind:0"),
        (policy(MemoryPolicyMode::Bind, "0", MemoryPolicy::STATIC_NODES), "bind=static:0"),
        (policy(MemoryPolicyMode::Interleave, "0", 0), "interleave:0"),
        (policy(MemoryPolicyMode::Preferred, "0", 0), "prefer:0"),
        (policy(MemoryPolicyMode::Default, "", 0), "default"),
    ] {
        let mut command = shell("head -n 1 /proc/self/numa_maps | cut -d' ' -f2");
        assert_eq!(said(command.memory_policy(policy.clone())), told, "{policy:?}");
    }
    match shell("true").memory_policy(policy(MemoryPolicyMode::Bind, "", 0)).spawn() {
        Err(Error::Child { op: "set_mempolicy", source, .. }) => assert_eq!(source.raw_os_error(), Some(libc::EINVAL)),
        other => panic!("{other:?}"),
    }
}

fn keyring() {
    let name = support::unique("ring");
    let mut command = shell(&format!("awk '/{name}:/ {{ print $5, $9 }}' /proc/keys"));
    assert_eq!(said(&mut command), "");
    command.session_keyring(&name);
    // Everything for who holds it, and for other processes of the user to look at and to search.
    assert_eq!(said(&mut command), format!("3f1b0000 {name}:"));
}

fn pipes() -> (OwnedFd, OwnedFd) {
    let (reader, writer) = std::io::pipe().unwrap();
    (reader.into(), writer.into())
}

fn inherited() {
    let folder = tempfile::tempdir().unwrap();
    let open = |name: &str| {
        fs::write(folder.path().join(name), name).unwrap();
        File::open(folder.path().join(name)).unwrap()
    };
    let script = "cat <&3; echo; cat <&9; echo; cat <&4; echo; ls /proc/self/fd";
    let mut command = shell(script);
    // Two that trade places, and a number that lies high.
    let (one, two) = (open("one"), open("two"));
    let (low, high) = (one.as_raw_fd(), two.as_raw_fd());
    command.inherit(one, 9).inherit(two, 3).inherit(open("three"), 4);
    assert_eq!(said(&mut command), "two\none\nthree\n0\n1\n2\n3\n4\n5\n9");
    assert!(low > 2 && high > 2);
    let (one, two) = (open("one"), open("two"));
    let (first, second) = (one.as_raw_fd(), two.as_raw_fd());
    let mut command = shell(&format!("cat <&{first}; cat <&{second}"));
    command.inherit(one, second).inherit(two, first);
    assert_eq!(said(&mut command), "twoone");
    for number in [-1, 0, 2] {
        let refused = shell("true").inherit(open("one"), number).spawn();
        assert!(matches!(refused, Err(Error::Invalid { field: "inherit", .. })), "{refused:?}");
    }
}

fn inherited_at_gate() {
    let (reader, writer) = pipes();
    let (gate, opener) = Gate::pair().unwrap();
    let mut command = shell("echo from inside >&7; ls /proc/self/fd >&7");
    let mut child = command.inherit(writer, 7).gate(gate).kill_on_drop(KillOnDrop::Yes).spawn().unwrap();
    drop(command);
    opener.open().unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(std::io::read_to_string(File::from(reader)).unwrap(), "from inside\n0\n1\n2\n3\n7\n");
}

fn paths() {
    let resident = sleeper(&[Namespace::Net, Namespace::Uts, Namespace::Mount, Namespace::Pid]);
    let mut resident = resident;
    let resident = resident.hostname("other").spawn().unwrap();
    let path = |kind: Namespace| format!("/proc/{}/ns/{}", resident.pid(), kind.file_name()).into();
    let mut command = shell("readlink /proc/self/ns/net; uname -n");
    for kind in [Namespace::Mount, Namespace::Net, Namespace::Uts, Namespace::Pid] {
        command.namespace(kind, Source::Path(path(kind)));
    }
    let plan = command.plan().unwrap().to_string();
    assert!(plan.contains(&format!("net:/proc/{}/ns/net", resident.pid())), "{plan}");
    let link = support::link(&resident.pid().to_string(), Namespace::Net);
    assert_eq!(said(&mut command), format!("{link}\nother"));
    // Of another kind than it is given as, and none at all.
    for (given, errno) in [(path(Namespace::Uts), libc::EINVAL), ("/does/not/exist".into(), libc::ENOENT)] {
        let mut command = shell("true");
        command.namespace(Namespace::Net, Source::Path(given));
        assert_eq!(command.spawn().unwrap_err().errno(), Some(errno));
    }
}
