//! The verbs of `windlass`, as a person types them.

use std::path::Path;
use std::process::{Command, ExitCode, Output};

use trial::{Test, need};

fn main() -> ExitCode {
    trial::main(vec![
        Test::new("pack_run_and_remove", pack_run_and_remove).needs(need::root),
        Test::new("exit_codes", exit_codes).needs(need::root),
        Test::new("limits_hold", limits_hold).needs(need::root),
        Test::new("the_container_is_isolated", the_container_is_isolated).needs(need::root),
        Test::new("system_calls_are_filtered", system_calls_are_filtered).needs(need::root),
        Test::new("volumes_carry_data", volumes_carry_data).needs(need::root),
        Test::new("signals_reach_the_program", signals_reach_the_program).needs(need::root),
        Test::new("an_ordinary_user_runs_the_same", an_ordinary_user_runs_the_same).needs(need::root),
        Test::new("info_tells_every_area", info_tells_every_area),
        Test::new("wrong_input_is_named", wrong_input_is_named),
    ])
}

/// A home of its own, with the image `sh` of this machine's shell.
struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir_in("/var/tmp").expect("a temporary folder"))
    }

    fn with_shell() -> Self {
        let home = Self::new();
        let packed =
            home.windlass(&["pack", "/bin/sh", "-t", "sh", "--include", "/bin/cat", "--include", "/bin/sleep"]);
        assert!(packed.status.success(), "{}", stderr(&packed));
        home
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_windlass"));
        command.arg("--root").arg(self.0.path()).args(arguments);
        command
    }

    fn windlass(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("windlass starts")
    }

    /// Runs a script in the image `sh`.
    fn sh(&self, options: &[&str], script: &str) -> Output {
        let arguments: Vec<&str> = ["run"].iter().chain(options).chain(&["sh", "-c", script]).copied().collect();
        self.windlass(&arguments)
    }
}

fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).expect("UTF-8")
}

fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).expect("UTF-8")
}

fn pack_run_and_remove() {
    let home = Home::with_shell();
    let ran = home.sh(&["-e", "NAME=value", "--hostname", "box"], "echo $NAME $HOSTNAME $$");
    assert_eq!(stdout(&ran), "value box 1\n", "{}", stderr(&ran));
    let images = home.windlass(&["images", "--json"]);
    assert!(stdout(&images).contains(r#""name":"sh:latest""#), "{}", stdout(&images));
    assert!(home.windlass(&["rmi", "sh"]).status.success());
    assert_eq!(stdout(&home.windlass(&["images", "--json"])), "");
    // No layer and no container's snapshot is left.
    for folder in ["layers/layers", "layers/snapshots"] {
        let path = home.0.path().join(folder);
        let left = std::fs::read_dir(&path).map(Iterator::count);
        assert!(matches!(left, Ok(0)), "{}: {left:?}", path.display());
    }
}

fn exit_codes() {
    let home = Home::with_shell();
    assert_eq!(home.sh(&[], "exit 7").status.code(), Some(7));
    assert_eq!(home.sh(&[], "exec cat /absent").status.code(), Some(1));
    let image = home.windlass(&["run", "absent"]);
    assert_eq!(image.status.code(), Some(125), "{}", stderr(&image));
    assert!(stderr(&image).contains("absent"), "{}", stderr(&image));
    let packed = home.windlass(&["pack", "/bin/sleep", "-t", "sleep"]);
    assert!(packed.status.success(), "{}", stderr(&packed));
    let killed = home.sh(&[], "sh -c 'kill -9 $$'; exit $?");
    assert_eq!(killed.status.code(), Some(137), "{}", stderr(&killed));
}

fn limits_hold() {
    let home = Home::with_shell();
    // The shell may hold 8 MiB; a string that doubles soon passes that.
    let script = "s=x; while :; do s=$s$s; done";
    let ran = home.sh(&["-m", "8m"], script);
    assert_eq!(ran.status.code(), Some(137), "{}", stderr(&ran));
    let ran = home.sh(&["--pids-limit", "2"], "sleep 0.1 & sleep 0.1 & wait; echo unlimited");
    assert!(!stdout(&ran).contains("unlimited"), "{}", stderr(&ran));
}

fn the_container_is_isolated() {
    let home = Home::with_shell();
    let ran = home.sh(&[], "echo /proc/[0-9]*; echo x > /kept; cat /proc/net/dev; echo y > /proc/sys/kernel/hostname");
    let text = stdout(&ran);
    assert!(text.starts_with("/proc/1\n"), "{text}");
    let devices: Vec<&str> = text.lines().filter(|line| line.contains(':')).collect();
    assert_eq!(devices.len(), 1, "{text}");
    assert!(devices[0].trim_start().starts_with("lo:"), "{text}");
    assert!(!ran.status.success(), "a sysctl could be written");
    // What one container writes the next does not see.
    assert!(!home.sh(&[], "cat /kept").status.success());
    assert!(!home.sh(&["--read-only"], "echo x > /kept").status.success());
}

fn system_calls_are_filtered() {
    let home = Home::with_shell();
    let script = "while read -r line; do case $line in Seccomp:*) echo $line; esac; done < /proc/self/status";
    assert_eq!(stdout(&home.sh(&[], script)), "Seccomp: 2\n");
    assert_eq!(stdout(&home.sh(&["--security-opt", "seccomp=unconfined"], script)), "Seccomp: 0\n");
}

fn volumes_carry_data() {
    let home = Home::with_shell();
    let data = tempfile::tempdir_in("/var/tmp").expect("a temporary folder");
    let volume = format!("{}:/data", data.path().display());
    assert!(home.sh(&["-v", &volume], "echo kept > /data/file").status.success());
    assert_eq!(std::fs::read_to_string(data.path().join("file")).expect("the file is outside"), "kept\n");
    let read_only = home.sh(&["-v", &format!("{volume}:ro")], "cat /data/file; echo x > /data/other");
    assert_eq!(stdout(&read_only), "kept\n");
    assert!(!read_only.status.success());
    assert!(!data.path().join("other").exists());
}

fn signals_reach_the_program() {
    let home = Home::with_shell();
    let script = "trap 'echo asked; exit 3' TERM; echo ready; while :; do sleep 0.05; done";
    let mut command = home.command(&["run", "sh", "-c", script]);
    let mut child = command.stdout(std::process::Stdio::piped()).spawn().expect("windlass starts");
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().expect("piped")));
    assert_eq!(lines.next().expect("a line").expect("UTF-8"), "ready");
    let pid = i32::try_from(child.id()).expect("a pid is positive");
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGTERM).expect("it runs");
    assert_eq!(lines.next().expect("a line").expect("UTF-8"), "asked");
    assert_eq!(child.wait().expect("it ends").code(), Some(3));
}

fn an_ordinary_user_runs_the_same() {
    const USER: u32 = 41_234;
    let home = Home::new();
    // The program is copied, because the folder in which it was built may be closed to others.
    let program = home.0.path().join("windlass");
    std::fs::copy(env!("CARGO_BIN_EXE_windlass"), &program).expect("the program is copied");
    std::os::unix::fs::chown(home.0.path(), Some(USER), Some(USER)).expect("root gives files away");
    let windlass = |arguments: &[&str]| {
        let mut command = Command::new(&program);
        command.args(arguments).current_dir("/").env("WINDLASS_ROOT", home.0.path().join("own"));
        std::os::unix::process::CommandExt::uid(&mut command, USER);
        std::os::unix::process::CommandExt::gid(&mut command, USER);
        command.output().expect("windlass starts")
    };
    let packed = windlass(&["pack", "/bin/sh", "-t", "sh"]);
    assert!(packed.status.success(), "{}", stderr(&packed));
    let ran = windlass(&["run", "sh", "-c", "read map < /proc/self/uid_map; echo $map $$; exit 5"]);
    assert_eq!(stdout(&ran), format!("0 {USER} 1 1\n").as_str(), "{}", stderr(&ran));
    assert_eq!(ran.status.code(), Some(5));
    let limited = windlass(&["run", "-m", "8m", "sh"]);
    assert_eq!(limited.status.code(), Some(125));
    assert!(stderr(&limited).contains("memory"), "{}", stderr(&limited));
}

fn info_tells_every_area() {
    let output = Home::new().windlass(&["info", "--json"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let info: serde_json::Value = serde_json::from_str(stdout(&output)).expect("JSON");
    for area in ["namespaces", "cgroups", "overlay"] {
        let facts = info[area].as_object().unwrap_or_else(|| panic!("no {area}: {info}"));
        for (name, fact) in facts {
            let words = if fact["able"] == true { &fact["how"] } else { &fact["reason"] };
            assert!(words.as_str().is_some_and(|words| !words.is_empty()), "{area} {name}: {fact}");
        }
    }
    assert!(Path::new("/proc/self/ns/uts").exists() && info["namespaces"]["uts"].is_object());
}

fn wrong_input_is_named() {
    let home = Home::new();
    for (arguments, code, words) in [
        (&["run", "-m", "64q", "x"][..], 2, "64q"),
        (&["run", "--cpus", "none", "x"], 2, "none"),
        (&["run", "--security-opt", "seccomp=absent", "x"], 2, "seccomp=absent"),
        (&["run", "Upper"], 125, "Upper"),
        (&["rmi", "absent"], 125, "absent"),
        (&["pack", "/bin/absent", "-t", "x"], 125, "/bin/absent"),
    ] {
        let output = home.windlass(arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(words), "{arguments:?}: {}", stderr(&output));
    }
}
