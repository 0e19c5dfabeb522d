//! `run`: its options, each by what the program inside sees of it.

use std::process::Stdio;

use crate::home::{Home, stderr, stdout};

pub(crate) fn pack_run_and_remove() {
    let home = Home::empty();
    home.ok(&["pack", "/bin/busybox", "-t", "packed", "--", "sh", "-c", "echo packed"]);
    assert_eq!(home.ok(&["run", "--rm", "packed"]), "packed\n");
    assert!(home.ok(&["images", "--json"]).contains(r#""name":"packed:latest""#));
    home.ok(&["create", "--name", "user", "packed"]);
    let (code, words) = home.fails(&["rmi", "packed"]);
    assert!(code == 125 && words.contains("user"), "{words}");
    home.ok(&["rm", "user"]);
    home.ok(&["rmi", "packed"]);
    assert_eq!(home.ok(&["images", "--json"]), "");
    for folder in ["layers/layers", "layers/snapshots"] {
        let path = home.root().join(folder);
        let left = std::fs::read_dir(&path).map(Iterator::count);
        assert!(matches!(left, Ok(0)), "{}: {left:?}", path.display());
    }
}

pub(crate) fn exit_codes() {
    let home = Home::new();
    let code = |command: &[&str]| {
        let arguments: Vec<&str> = ["run", "--rm", "box"].iter().chain(command).copied().collect();
        home.windlass(&arguments).status.code()
    };
    assert_eq!(code(&["sh", "-c", "exit 7"]), Some(7));
    assert_eq!(code(&["/etc/passwd"]), Some(126));
    assert_eq!(code(&["/etc"]), Some(126));
    assert_eq!(code(&["absent"]), Some(127));
    assert_eq!(code(&["/absent"]), Some(127));
    assert_eq!(code(&["sh", "-c", "sh -c 'kill -9 $$'; exit $?"]), Some(137));
    assert_eq!(home.fails(&["run", "--pull", "never", "absent"]).0, 125);
    assert_eq!(home.ok(&["ps", "-aq"]), "", "what could not start was not removed");
}

pub(crate) fn output_keeps_its_streams() {
    let home = Home::new();
    let output = home.sh(&[], "echo out; echo err >&2");
    assert_eq!((stdout(&output).as_str(), stderr(&output).as_str()), ("out\n", "err\n"));
}

pub(crate) fn the_container_is_isolated() {
    let home = Home::new();
    let output = home.sh(&[], "echo /proc/[0-9]*; cat /proc/net/dev; echo y > /proc/sys/kernel/hostname");
    let text = stdout(&output);
    assert!(text.starts_with("/proc/1\n"), "{text}");
    let devices: Vec<&str> = text.lines().filter(|line| line.contains(':')).collect();
    assert!(devices.len() == 1 && devices[0].trim_start().starts_with("lo:"), "{text}");
    assert!(!output.status.success(), "a sysctl could be written");
    let hidden = home.prints(&[], "cat /proc/keys /proc/timer_list; ls /sys/firmware");
    assert_eq!(hidden, "");
}

pub(crate) fn containers_do_not_share_their_layer() {
    let home = Home::new();
    home.prints(&[], "echo x > /kept");
    assert!(!home.sh(&[], "cat /kept").status.success());
    assert!(!home.sh(&["--read-only"], "echo x > /kept").status.success());
}

pub(crate) fn system_calls_are_filtered() {
    let home = Home::new();
    let script = "grep Seccomp: /proc/self/status";
    assert_eq!(home.prints(&[], script), "Seccomp:\t2\n");
    assert_eq!(home.prints(&["--security-opt", "seccomp=unconfined"], script), "Seccomp:\t0\n");
}

pub(crate) fn a_policy_of_a_file_decides() {
    let home = Home::new();
    let file = home.folder().join("policy.json");
    let policy = r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28, "excludes": {"caps": ["CAP_SYS_ADMIN"]}}]}"#;
    std::fs::write(&file, policy).expect("a file");
    let option = format!("seccomp={}", file.display());
    let output = home.sh(&["--security-opt", &option], "mkdir /tmp/never");
    assert!(!output.status.success() && stderr(&output).contains("No space left"), "{}", stderr(&output));
    home.prints(&["--security-opt", &option, "--cap-add", "SYS_ADMIN"], "mkdir /tmp/now");
    home.detach("one", &["--security-opt", &option], "sleep 600");
    // The file is read once; what runs beside is filtered as well.
    std::fs::remove_file(&file).expect("it was there");
    assert!(home.fails(&["exec", "one", "mkdir", "/tmp/never"]).1.contains("No space left"));
    assert_eq!(home.sh(&["--security-opt", &option], "true").status.code(), Some(125));
}

pub(crate) fn the_policy_of_podman_is_understood() {
    let home = Home::new();
    let option = "seccomp=/usr/share/containers/seccomp.json";
    assert_eq!(home.prints(&["--security-opt", option], "grep Seccomp: /proc/self/status"), "Seccomp:\t2\n");
}

pub(crate) fn environment() {
    let home = Home::new();
    let file = home.folder().join("env");
    std::fs::write(&file, "# comment\nFROM_FILE=1\nBOTH=file\n\n").expect("a file");
    let file = file.display().to_string();
    let mut command =
        home.command(&["run", "--rm", "--env-file", &file, "-e", "BOTH=option", "-e", "INHERITED", "box"]);
    let output = command.args(["sh", "-c", "echo $FROM_FILE $BOTH $INHERITED $HOME"]).env("INHERITED", "yes").output();
    assert_eq!(stdout(&output.expect("windlass starts")), "1 option yes /root\n");
}

pub(crate) fn users_are_looked_up_inside() {
    let home = Home::new();
    let script = "echo $(id -u):$(id -g):$(id -G) $HOME";
    assert_eq!(home.prints(&["-u", "two"], script), "1000:1001:1001 10 /home/two\n");
    assert_eq!(home.prints(&["-u", "daemon:wheel"], script), "1:10:10 /usr/sbin\n");
    assert_eq!(home.prints(&["--user=77:88"], script), "77:88:88 /\n");
    for wrong in ["absent", "two:absent"] {
        assert!(home.fails(&["run", "--rm", "-u", wrong, "box", "id"]).1.contains(wrong));
    }
}

/// The image has an entry with this name, and the number of root.
pub(crate) fn cve_2016_3697_a_numeric_name_is_not_looked_up() {
    let home = Home::new();
    let script = "echo $(id -u):$(id -g):$(id -G) $HOME";
    assert_eq!(home.prints(&["-u", "1000"], script), "1000:1001:1001 10 /home/two\n");
}

/// The image has entries of root with such names.
pub(crate) fn cve_2024_40635_a_uid_does_not_wrap() {
    let home = Home::new();
    for wrong in ["4294967296", "0x0", "-1", "-4294967296", "4294967295", "1:4294967296", "1:-1"] {
        let user = format!("--user={wrong}");
        let output = home.sh(&[&user], "id");
        assert_eq!(output.status.code(), Some(125), "{wrong}: {}", stdout(&output));
        let number = wrong.rsplit_once(':').map_or(wrong, |(_, group)| group);
        assert!(stderr(&output).contains(number), "{}", stderr(&output));
    }
}

pub(crate) fn the_working_directory_is_made() {
    let home = Home::new();
    assert_eq!(home.prints(&["-w", "/some/where"], "pwd"), "/some/where\n");
}

pub(crate) fn hostname_and_entrypoint() {
    let home = Home::new();
    assert_eq!(
        home.prints(&["--hostname", "other"], "hostname; cat /etc/hostname; grep -c other /etc/hosts"),
        "other\nother\n1\n"
    );
    assert_eq!(home.ok(&["run", "--rm", "--entrypoint", "echo", "box", "a", "b"]), "a b\n");
}

pub(crate) fn capabilities() {
    let home = Home::new();
    let effective = |options: &[&str]| {
        let text = home.prints(options, "grep CapEff /proc/self/status");
        u64::from_str_radix(text.trim_start_matches("CapEff:").trim(), 16).expect("a mask")
    };
    let (chown, net_admin) = (1, 1 << 12);
    assert_eq!(effective(&[]), 0xa804_25fb);
    assert_eq!(effective(&["--cap-drop", "CHOWN"]), 0xa804_25fb & !chown);
    assert_eq!(effective(&["--cap-add", "NET_ADMIN"]), 0xa804_25fb | net_admin);
    assert_eq!(effective(&["--cap-drop", "ALL", "--cap-add", "CHOWN"]), chown);
    assert_eq!(effective(&["-u", "two"]), 0);
}

pub(crate) fn no_new_privileges() {
    let home = Home::new();
    let script = "grep NoNewPrivs /proc/self/status";
    assert_eq!(home.prints(&["--security-opt", "no-new-privileges"], script), "NoNewPrivs:\t1\n");
    assert_eq!(home.prints(&[], script), "NoNewPrivs:\t0\n");
}

pub(crate) fn privileged() {
    let home = Home::new();
    let text = home.prints(
        &["--privileged"],
        "ls /dev | grep -c -x -e kmsg -e net; grep Seccomp: /proc/self/status; [ -w /proc/sys/kernel/hostname ] && echo writable",
    );
    assert!(text.ends_with("Seccomp:\t0\nwritable\n"), "{text}");
    assert!(!text.starts_with('0'), "{text}");
}

pub(crate) fn devices_are_opened_when_given() {
    let home = Home::new();
    let script = "mknod /tmp/fuse c 10 229; : < /tmp/fuse";
    assert!(!home.sh(&[], script).status.success(), "a device was opened that was not given");
    home.prints(&["--device", "/dev/fuse"], ": < /dev/fuse");
    home.prints(&["--device", "/dev/fuse:/dev/mine:r"], ": < /dev/mine");
    assert!(!home.sh(&["--device", "/dev/fuse:/dev/mine:r"], ": > /dev/mine").status.success());
}

pub(crate) fn ulimits() {
    let home = Home::new();
    assert_eq!(home.prints(&["--ulimit", "nofile=100:200"], "ulimit -n; ulimit -Hn"), "100\n200\n");
}

pub(crate) fn an_init_reaps() {
    let home = Home::new();
    // The orphan's first parent ends; who adopts it must wait for it, or it stays a zombie.
    let script =
        "sh -c 'sleep 0.05 & echo $! >/orphan'; while [ -d /proc/$(cat /orphan) ]; do sleep 0.05; done; echo $$";
    let text = stdout(&home.sh(&["--init"], script));
    assert!(text.trim().parse::<u32>().is_ok_and(|pid| pid > 1), "{text}");
    assert_eq!(home.sh(&["--init"], "exit 9").status.code(), Some(9));
    assert_eq!(home.sh(&["--init"], "kill -TERM $$").status.code(), Some(143));
}

pub(crate) fn landlock_confines() {
    let home = Home::new();
    let rules = "read+execute:/bin,read:/etc/group";
    let output = home.sh(&["--landlock", rules], "cat /etc/group; cat /etc/passwd");
    assert!(stdout(&output).contains("wheel") && !stdout(&output).contains("/home/two"), "{}", stdout(&output));
    assert!(!output.status.success());
    home.detach("one", &["--landlock", "read+execute:/"], "sleep 600");
    let beside = home.windlass(&["exec", "one", "sh", "-c", "echo x > /tmp/file"]);
    assert!(!beside.status.success(), "what runs beside it is not confined");
}

pub(crate) fn memory_and_processes_are_limited() {
    let home = Home::new();
    // The shell may hold 8 MiB; a string that doubles soon passes that.
    let output =
        home.windlass(&["run", "--name", "hungry", "-m", "8m", "box", "sh", "-c", "s=x; while :; do s=$s$s; done"]);
    assert_eq!(output.status.code(), Some(137), "{}", stderr(&output));
    assert_eq!(home.inspect("hungry")["state"]["oom_killed"], true);
    let output =
        home.sh(&["--pids-limit", "2"], "sleep 600 >/dev/null 2>&1 & sleep 600 >/dev/null 2>&1 & echo unlimited");
    assert!(!stdout(&output).contains("unlimited"), "{}", stderr(&output));
}

/// The value of a control file of a container's group, wherever the hierarchy is.
fn group_file(home: &Home, name: &str, files: &[&str]) -> String {
    let group = home.inspect(name)["state"]["group"].as_str().expect("a group").to_owned();
    let hierarchies = std::fs::read_dir("/sys/fs/cgroup").expect("hierarchies").flatten().map(|entry| entry.path());
    let folders: Vec<_> = hierarchies.chain(["/sys/fs/cgroup".into()]).map(|folder| folder.join(&group)).collect();
    let found = folders.iter().flat_map(|folder| files.iter().map(move |file| folder.join(file)));
    let text = found.into_iter().find_map(|path| std::fs::read_to_string(path).ok());
    text.unwrap_or_else(|| panic!("none of {files:?} below {group}")).trim().to_owned()
}

pub(crate) fn limits_reach_the_kernel() {
    let home = Home::new();
    let options = [
        "--cpus",
        "0.5",
        "--cpu-shares",
        "512",
        "--cpuset-cpus",
        "0",
        "-m",
        "64m",
        "--memory-swap",
        "64m",
        "--memory-reservation",
        "32m",
    ];
    home.detach("limited", &options, "sleep 600");
    let file = |files: &[&str]| group_file(&home, "limited", files);
    assert!(["50000", "50000 100000"].contains(&file(&["cpu.cfs_quota_us", "cpu.max"]).as_str()));
    assert!(["512", "20"].contains(&file(&["cpu.shares", "cpu.weight"]).as_str()));
    assert_eq!(file(&["cpuset.cpus"]), "0");
    assert_eq!(file(&["memory.limit_in_bytes", "memory.max"]), (64 << 20).to_string());
    assert!(
        [(64 << 20).to_string(), "0".to_owned()].contains(&file(&["memory.memsw.limit_in_bytes", "memory.swap.max"]))
    );
    assert_eq!(file(&["memory.soft_limit_in_bytes", "memory.high"]), (32 << 20).to_string());
}

pub(crate) fn devices_have_rates() {
    let home = Home::new();
    let disk = crate::first_disk().expect("the need was checked");
    let path = format!("/dev/{}", disk.0);
    let (read, write) = (format!("{path}:1m"), format!("{path}:2m"));
    home.detach("rated", &["--device-read-bps", &read, "--device-write-bps", &write], "sleep 600");
    let rates = group_file(&home, "rated", &["blkio.throttle.read_bps_device", "io.max"]);
    assert!(rates.contains(&disk.1) && rates.contains("1048576"), "{rates}");
    let rates = group_file(&home, "rated", &["blkio.throttle.write_bps_device", "io.max"]);
    assert!(rates.contains(&disk.1) && rates.contains("2097152"), "{rates}");
}

pub(crate) fn signals_reach_the_program() {
    let home = Home::new();
    let script = "trap 'echo asked; exit 3' TERM; echo ready; while :; do sleep 0.05; done";
    let mut command = home.command(&["run", "--rm", "box", "sh", "-c", script]);
    let mut child = command.stdout(Stdio::piped()).spawn().expect("windlass starts");
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().expect("piped")));
    assert_eq!(lines.next().expect("a line").expect("UTF-8"), "ready");
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).expect("a pid is positive"));
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).expect("it runs");
    assert_eq!(lines.next().expect("a line").expect("UTF-8"), "asked");
    assert_eq!(child.wait().expect("it ends").code(), Some(3));
}

pub(crate) fn info_tells_every_area() {
    let info: serde_json::Value = serde_json::from_str(&Home::empty().ok(&["info", "--json"])).expect("JSON");
    for area in ["namespaces", "cgroups", "overlay", "network"] {
        let facts = info[area].as_object().unwrap_or_else(|| panic!("no {area}: {info}"));
        for (name, fact) in facts {
            let words = if fact["able"] == true { &fact["how"] } else { &fact["reason"] };
            assert!(words.as_str().is_some_and(|words| !words.is_empty()), "{area} {name}: {fact}");
        }
    }
}

pub(crate) fn wrong_input_is_named() {
    let home = Home::new();
    for (arguments, code, words) in [
        (&["run", "-m", "64q", "box"][..], 2, "64q"),
        (&["run", "--cpus", "none", "box"], 2, "none"),
        (&["run", "--security-opt", "seccomp=", "box"], 2, "seccomp="),
        (&["run", "--network", "nat", "box"], 2, "nat"),
        (&["run", "-p", "http", "box"], 2, "http"),
        (&["run", "--restart", "never", "box"], 2, "never"),
        (&["run", "--landlock", "fly:/", "box"], 2, "fly"),
        (&["run", "-v", "a/b:/x", "box"], 2, "a/b"),
        (&["run", "--rm", "--restart", "always", "box"], 125, "--rm"),
        (&["run", "--rm", "-v", "/absent:/x", "box"], 125, "/absent"),
        (&["run", "--device", "/etc/passwd", "box"], 125, "/etc/passwd"),
        (&["run", "--cap-add", "NOPE", "box"], 125, "NOPE"),
        (&["run", "--memory-swap", "1g", "box"], 125, "--memory"),
        (&["run", "--network", "container:absent", "box"], 125, "absent"),
        (&["run", "--network", "host", "-p", "80", "box"], 125, "--publish"),
        (&["run", "--name", "a/b", "box"], 125, "a/b"),
        (&["run", "Upper"], 125, "Upper"),
        (&["rmi", "absent"], 125, "absent"),
        (&["start", "absent"], 125, "absent"),
        (&["logs", "absent"], 125, "absent"),
        (&["cp", "a", "b"], 125, "CONTAINER:PATH"),
        (&["pack", "/bin/absent", "-t", "x"], 125, "/bin/absent"),
    ] {
        let (found, text) = home.fails(arguments);
        assert_eq!(found, code, "{arguments:?}: {text}");
        assert!(text.contains(words), "{arguments:?}: {text}");
    }
    assert_eq!(home.ok(&["ps", "-aq"]), "", "a container was left by what could not be made");
}
