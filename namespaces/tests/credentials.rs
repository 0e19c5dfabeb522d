//! Users, groups, capabilities and limits of the program.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::process::ExitCode;

use support::{fresh, said, shell};
use trial::{Test, need::root};
use windlass_namespaces::{
    Capability, CapabilitySet, CapabilitySets, Command, Error, Gid, IdMapping, Limit, Namespace, Notice, Resource,
    Rlimit, Source, Uid,
};

fn main() -> ExitCode {
    trial::main(vec![
        Test::new("the_user_and_groups_are_as_told", user).needs(root),
        Test::new("groups_of_the_caller_are_left", groups).needs(root),
        Test::new("ids_are_mapped", mapped).needs(root),
        Test::new("capability_sets_are_as_told", capabilities).needs(root),
        Test::new("ambient_capabilities_survive_for_a_user", ambient).needs(root),
        Test::new("a_capability_that_the_caller_lacks_is_a_notice", notice).needs(root),
        Test::new("sets_that_contradict_themselves_are_refused", contradictions),
        Test::new("no_new_privileges_holds", no_new_privileges),
        Test::new("limits_are_as_told", limits),
        Test::new("a_limit_beyond_the_callers_names_itself", limit_refused).needs(without_sys_resource),
        Test::new("oom_score_adj_is_as_told", oom_score_adj),
        Test::new("a_session_is_begun", session),
        trial::as_user(&[]),
    ])
}

/// A line of the program's status file.
fn status(command: &mut Command, field: &str) -> String {
    let text = said(command);
    let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    line.unwrap_or_else(|| panic!("{field}: {text}")).split_whitespace().collect::<Vec<_>>().join(" ")
}

fn reader() -> Command {
    let mut command = Command::new("/bin/cat");
    command.arg("/proc/self/status");
    command
}

fn uid(raw: u32) -> Uid {
    Uid::new(raw).unwrap()
}

fn gid(raw: u32) -> Gid {
    Gid::new(raw).unwrap()
}

fn user() {
    let mut command = reader();
    command.user(uid(4321), gid(8765), vec![gid(11), gid(22)]);
    assert_eq!(status(&mut command, "Uid"), "4321 4321 4321 4321");
    assert_eq!(status(&mut command, "Gid"), "8765 8765 8765 8765");
    assert_eq!(status(&mut command, "Groups"), "11 22");
    assert_eq!(status(&mut command, "CapPrm"), "0000000000000000");
    assert_eq!(status(&mut command, "CapEff"), "0000000000000000");
}

fn groups() {
    // A thread with groups of its own stands for a caller that has some.
    let seen = std::thread::spawn(|| {
        let group = |raw| rustix::process::Gid::from_raw(raw);
        rustix::thread::set_thread_groups(&[group(11), group(22)]).unwrap();
        let kept = status(&mut reader(), "Groups");
        let left = status(reader().user(uid(4321), gid(8765), Vec::new()), "Groups");
        (kept, left)
    });
    assert_eq!(seen.join().unwrap(), ("11 22".to_owned(), String::new()));
}

fn mapped() {
    let mut command = fresh("cat /proc/self/uid_map /proc/self/gid_map; id -u; id -g; id -G", &[Namespace::User]);
    command.id_mappings(
        vec![IdMapping::new(0, 300_000, 10).unwrap(), IdMapping::new(10, 400_000, 5).unwrap()],
        vec![IdMapping::new(0, 500_000, 20).unwrap()],
    );
    command.user(uid(12), gid(3), vec![gid(4)]);
    let text = said(&mut command);
    let words: Vec<&str> = text.split_whitespace().collect();
    assert_eq!(words, ["0", "300000", "10", "10", "400000", "5", "0", "500000", "20", "12", "3", "3", "4"]);

    let mut command = fresh("id -u; id -g; id -G", &[Namespace::User]);
    command.id_mappings(vec![IdMapping::new(7, 300_000, 10).unwrap()], vec![IdMapping::new(8, 1, 1).unwrap()]);
    assert_eq!(said(&mut command).split_whitespace().collect::<Vec<_>>(), ["7", "8", "8"]);
}

fn capabilities() {
    let set: CapabilitySet = [Capability::Chown, Capability::Kill, Capability::NetAdmin].into_iter().collect();
    let sets = CapabilitySets {
        bounding: set.with(Capability::SysAdmin),
        effective: set,
        permitted: set,
        inheritable: CapabilitySet::EMPTY,
        ambient: CapabilitySet::EMPTY,
    };
    for kinds in [&[][..], &[Namespace::User]] {
        let mut command = reader();
        for kind in kinds {
            command.namespace(*kind, Source::New);
        }
        command.capabilities(sets);
        // The exec of a root user gives it its bounding set as permitted, by the rules of capabilities(7).
        assert_eq!(status(&mut command, "CapBnd"), sets.bounding.to_string());
        assert_eq!(status(&mut command, "CapInh"), "0000000000000000");
        assert_eq!(status(&mut command, "CapPrm"), sets.bounding.to_string());
    }
    let mut command = reader();
    command.capabilities(CapabilitySets::none());
    for field in ["CapBnd", "CapInh", "CapPrm", "CapEff", "CapAmb"] {
        assert_eq!(status(&mut command, field), "0000000000000000", "{field}");
    }
    let mut command = reader();
    command.capabilities(CapabilitySets::docker());
    assert_eq!(status(&mut command, "CapEff"), "00000000a80425fb");
}

fn ambient() {
    let set = CapabilitySet::EMPTY.with(Capability::NetBindService).with(Capability::SysNice);
    let sets = CapabilitySets { bounding: set, effective: set, permitted: set, inheritable: set, ambient: set };
    let mut command = reader();
    command.user(uid(4321), gid(4321), Vec::new()).capabilities(sets);
    for field in ["CapBnd", "CapInh", "CapPrm", "CapEff", "CapAmb"] {
        assert_eq!(status(&mut command, field), set.to_string(), "{field}");
    }
}

fn held() -> CapabilitySet {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("CapBnd:")).unwrap();
    CapabilitySet::from_bits(u64::from_str_radix(line.trim(), 16).unwrap())
}

fn notice() {
    // A capability that no kernel knows is one that every caller lacks.
    let beyond = CapabilitySet::from_bits(1 << 62).union(CapabilitySet::DOCKER);
    let mut command = reader();
    let mut child =
        command.capabilities(CapabilitySets::root(beyond)).stdout(windlass_namespaces::Stdio::Null).spawn().unwrap();
    let missing = beyond.difference(held());
    assert_eq!(child.notices(), [Notice::CapabilitiesDropped(missing)]);
    assert!(child.wait().unwrap().success());
    assert_eq!(status(&mut command, "CapBnd"), CapabilitySet::DOCKER.intersection(held()).to_string());
}

fn contradictions() {
    let one = CapabilitySet::EMPTY.with(Capability::Chown);
    let none = CapabilitySets::none();
    for sets in [
        CapabilitySets { effective: one, ..none },
        CapabilitySets { ambient: one, inheritable: one, bounding: one, ..none },
        CapabilitySets { ambient: one, permitted: one, bounding: one, ..none },
        CapabilitySets { inheritable: one, ..none },
    ] {
        let result = reader().capabilities(sets).spawn();
        assert!(matches!(result, Err(Error::Invalid { field: "capabilities", .. })), "{result:?}");
    }
}

fn no_new_privileges() {
    assert_eq!(status(&mut reader(), "NoNewPrivs"), "0");
    assert_eq!(status(reader().no_new_privileges(), "NoNewPrivs"), "1");
}

fn limits() {
    let mut command = shell("ulimit -Sn; ulimit -Hn; ulimit -c");
    command.rlimit(Rlimit { resource: Resource::Nofile, soft: Limit::At(55), hard: Limit::At(66) });
    command.rlimit(Rlimit { resource: Resource::Core, soft: Limit::At(0), hard: Limit::At(0) });
    assert_eq!(said(&mut command), "55\n66\n0");
}

fn without_sys_resource() -> Result<(), String> {
    if held().contains(Capability::SysResource) { Err("needs a user without CAP_SYS_RESOURCE".into()) } else { Ok(()) }
}

fn limit_refused() {
    let mut command = shell("true");
    command.rlimit(Rlimit { resource: Resource::Core, soft: Limit::At(0), hard: Limit::At(0) });
    assert!(command.spawn().unwrap().wait().unwrap().success());
    command.rlimit(Rlimit { resource: Resource::Nofile, soft: Limit::At(1), hard: Limit::At(1 << 40) });
    match command.spawn() {
        Err(Error::Child { step, op: "prlimit64", source }) => {
            assert_eq!(
                (step.as_str(), source.raw_os_error()),
                ("set RLIMIT_NOFILE 1 of 1099511627776", Some(libc::EPERM))
            );
        }
        other => panic!("{other:?}"),
    }
}

fn oom_score_adj() {
    let mut command = shell("cat /proc/self/oom_score_adj");
    assert_eq!(said(command.oom_score_adj(345)), "345");
    let mut command = fresh("cat /proc/self/oom_score_adj", &[Namespace::User, Namespace::Pid]);
    assert_eq!(said(command.oom_score_adj(1000)), "1000");
    assert!(matches!(command.oom_score_adj(1001).spawn(), Err(Error::Invalid { field: "oom_score_adj", .. })));
}

fn session() {
    let text = said(shell("cut -d' ' -f1,6 /proc/$$/stat").new_session());
    let (pid, session) = text.split_once(' ').unwrap();
    assert_eq!(pid, session);
}
