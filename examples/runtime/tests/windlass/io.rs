//! What goes in and comes out: logs, attachments, terminals, more programs.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::home::{Home, PATIENCE, eventually, stderr, stdout};

pub(crate) fn logs_show_both_streams_and_their_tail() {
    let home = Home::new();
    home.detach("one", &[], "echo a; echo b >&2; sleep 0.1; echo c");
    home.ok(&["wait", "one"]);
    let output = home.windlass(&["logs", "one"]);
    assert_eq!((stdout(&output).as_str(), stderr(&output).as_str()), ("a\nc\n", "b\n"));
    assert_eq!(home.ok(&["logs", "--tail", "1", "one"]), "c\n");
    let stamped = home.ok(&["logs", "-t", "-n", "1", "one"]);
    assert!(stamped.starts_with("20") && stamped.ends_with("Z c\n"), "{stamped}");
    let time = stamped.split(' ').next().expect("a time");
    assert!(home.ok(&["logs", "--since", time, "one"]).ends_with("c\n"));
    assert_eq!(home.ok(&["logs", "--since", "2100-01-01T00:00:00Z", "one"]), "");
    assert_eq!(home.ok(&["logs", "--since", "1h", "one"]), "a\nc\n");
}

pub(crate) fn logs_are_docker_json() {
    let home = Home::new();
    home.detach("one", &[], "echo a");
    home.ok(&["wait", "one"]);
    let path = home.inspect("one")["log"].as_str().expect("a path").to_owned();
    let line: serde_json::Value =
        serde_json::from_slice(&std::fs::read(path).expect("a log")).expect("one line of JSON");
    assert_eq!((line["log"].as_str(), line["stream"].as_str()), (Some("a\n"), Some("stdout")));
    assert!(line["time"].as_str().is_some_and(|time| time.ends_with('Z')), "{line}");
}

pub(crate) fn logs_follow_until_the_end() {
    let home = Home::new();
    home.detach("one", &[], "echo a; sleep 0.3; echo b; sleep 0.1");
    assert_eq!(home.ok(&["logs", "-f", "one"]), "a\nb\n");
}

pub(crate) fn logs_rotate() {
    let home = Home::new();
    let options = ["--log-opt", "max-size=1k", "--log-opt", "max-file=2"];
    home.detach("one", &options, "i=0; while [ $i -lt 100 ]; do echo line $i; i=$((i+1)); done");
    home.ok(&["wait", "one"]);
    let text = home.ok(&["logs", "one"]);
    assert!(text.ends_with("line 99\n") && !text.contains("line 0\n"), "{text}");
    let path = home.inspect("one")["log"].as_str().expect("a path").to_owned();
    let size = |path: &str| std::fs::metadata(path).expect("a log").len();
    assert!(size(&path) <= 1024 && size(&format!("{path}.1")) <= 1024);
    assert!(!std::path::Path::new(&format!("{path}.2")).exists());
}

pub(crate) fn input_and_output_are_binary_and_whole() {
    let home = Home::new();
    let given: Vec<u8> =
        (0..2_000_000_u32).map(|number| number.to_le_bytes()[usize::try_from(number % 3).expect("small")]).collect();
    let mut child = piped(home.command(&["run", "--rm", "-i", "box", "cat"]));
    let mut input = child.stdin.take().expect("piped");
    let bytes = given.clone();
    let writer = std::thread::spawn(move || input.write_all(&bytes));
    // A reader that takes its time must not lose anything.
    std::thread::sleep(Duration::from_millis(300));
    let mut found = Vec::new();
    child.stdout.take().expect("piped").read_to_end(&mut found).expect("it is read");
    writer.join().expect("no panic").expect("it is written");
    assert!(found == given, "{} of {} bytes came back", found.len(), given.len());
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
}

fn piped(mut command: Command) -> Child {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("windlass starts")
}

pub(crate) fn attach_joins_a_running_one() {
    let home = Home::new();
    home.detach("one", &["-i"], "while read -r line; do echo got $line; [ $line = end ] && exit 8; done");
    let mut child = piped(home.command(&["attach", "one"]));
    let mut input = child.stdin.take().expect("piped");
    input.write_all(b"hello\nend\n").expect("it is written");
    let mut text = String::new();
    child.stdout.take().expect("piped").read_to_string(&mut text).expect("it is read");
    assert_eq!(text, "got hello\ngot end\n");
    assert_eq!(child.wait().expect("it ends").code(), Some(8));
    assert!(home.fails(&["attach", "one"]).1.contains("start"));
}

pub(crate) fn start_attached_ends_as_the_container() {
    let home = Home::new();
    home.ok(&["create", "--name", "one", "box", "sh", "-c", "echo out; exit 4"]);
    let output = home.windlass(&["start", "-a", "one"]);
    assert_eq!((stdout(&output).as_str(), output.status.code()), ("out\n", Some(4)));
}

/// A terminal: this end, and one for a program.
fn terminal() -> (File, OwnedFd) {
    let own = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).expect("a terminal");
    grantpt(&own).expect("a terminal");
    unlockpt(&own).expect("a terminal");
    let name = ptsname(&own, Vec::new()).expect("a name");
    let flags = rustix::fs::OFlags::RDWR | rustix::fs::OFlags::NOCTTY | rustix::fs::OFlags::CLOEXEC;
    let other = rustix::fs::open(name, flags, rustix::fs::Mode::empty()).expect("its other end");
    let size = rustix::termios::Winsize { ws_row: 33, ws_col: 77, ws_xpixel: 0, ws_ypixel: 0 };
    rustix::termios::tcsetwinsize(own.as_fd(), size).expect("a size");
    (own.into(), other)
}

/// Starts windlass at a terminal.
fn at_terminal(mut command: Command) -> (Child, File) {
    let (own, other) = terminal();
    let stdio = || Stdio::from(other.try_clone().expect("a descriptor"));
    let child = command.stdin(stdio()).stdout(stdio()).stderr(stdio()).spawn().expect("windlass starts");
    (child, own)
}

/// Reads until the text is there.
fn expect(terminal: &mut File, text: &str) -> String {
    let mut found = Vec::new();
    let mut buffer = [0; 1024];
    while !String::from_utf8_lossy(&found).contains(text) {
        let mut polled = [rustix::event::PollFd::new(terminal, rustix::event::PollFlags::IN)];
        let patience = rustix::event::Timespec::try_from(PATIENCE).expect("it is short");
        let ready = rustix::event::poll(&mut polled, Some(&patience)).expect("polled");
        assert!(ready > 0, "{text:?} never came: {}", String::from_utf8_lossy(&found));
        let length = terminal.read(&mut buffer).unwrap_or(0);
        assert!(length > 0, "{text:?} never came: {}", String::from_utf8_lossy(&found));
        found.extend_from_slice(&buffer[..length]);
    }
    String::from_utf8_lossy(&found).into_owned()
}

pub(crate) fn a_terminal_is_one_inside() {
    let home = Home::new();
    let (mut child, mut terminal) = at_terminal(home.command(&["run", "--rm", "-it", "box", "sh"]));
    terminal.write_all(b"stty size; test -t 0 && echo is-$((40+2))-tty; echo $TERM\n").expect("typed");
    let text = expect(&mut terminal, "xterm");
    assert!(text.contains("33 77") && text.contains("is-42-tty"), "{text}");
    let size = rustix::termios::Winsize { ws_row: 44, ws_col: 88, ws_xpixel: 0, ws_ypixel: 0 };
    rustix::termios::tcsetwinsize(terminal.as_fd(), size).expect("a size");
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).expect("a pid"));
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGWINCH).expect("it runs");
    // The size travels by way of the monitor: it is there some time later.
    let typed = b"until [ \"$(stty size)\" = \"$((40+4)) 88\" ]; do sleep 0.05; done; echo now-$((1+1)); exit 3\n";
    terminal.write_all(typed).expect("typed");
    expect(&mut terminal, "now-2");
    assert_eq!(child.wait().expect("it ends").code(), Some(3));
}

pub(crate) fn ctrl_c_reaches_the_programs_terminal() {
    let home = Home::new();
    let (mut child, mut terminal) = at_terminal(home.command(&["run", "--rm", "-it", "box", "sh"]));
    terminal.write_all(b"trap 'echo caught' INT; echo ready-$((1+1))\n").expect("typed");
    expect(&mut terminal, "ready-2");
    terminal.write_all(b"\x03").expect("typed");
    expect(&mut terminal, "caught");
    terminal.write_all(b"exit 0\n").expect("typed");
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
}

pub(crate) fn detach_keys_leave_it_running() {
    let home = Home::new();
    let (mut child, mut terminal) = at_terminal(home.command(&["run", "--name", "one", "-it", "box", "sh"]));
    terminal.write_all(b"echo ready-$((1+1))\n").expect("typed");
    expect(&mut terminal, "ready-2");
    terminal.write_all(b"\x10\x11").expect("typed");
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
    assert_eq!(home.status("one"), "running");
    let (mut child, mut terminal) = at_terminal(home.command(&["attach", "one"]));
    terminal.write_all(b"exit 6\n").expect("typed");
    assert_eq!(child.wait().expect("it ends").code(), Some(6));
}

pub(crate) fn a_terminal_is_refused_where_there_is_none() {
    let home = Home::new();
    assert!(home.fails(&["run", "--rm", "-it", "box"]).1.contains("terminal"));
    // Without input it is well, and its output is in the log.
    home.detach("one", &["-t"], "test -t 1 && echo tty");
    home.ok(&["wait", "one"]);
    assert_eq!(home.ok(&["logs", "one"]), "tty\r\n");
}

pub(crate) fn exec_runs_beside() {
    let home = Home::new();
    home.detach("one", &["-e", "BOTH=run", "-w", "/tmp"], "echo $$ > /tmp/pid; sleep 600");
    let exec = |options: &[&str], script: &str| {
        let arguments: Vec<&str> =
            ["exec"].iter().chain(options).chain(&["one", "sh", "-c", script]).copied().collect();
        let output = home.windlass(&arguments);
        (output.status.code(), stdout(&output))
    };
    eventually("it runs", || exec(&[], "cat /tmp/pid") == (Some(0), "1\n".to_owned()));
    assert_eq!(exec(&[], "pwd; echo $BOTH; exit 9"), (Some(9), "/tmp\nrun\n".to_owned()));
    let options = ["-w", "/etc", "-e", "BOTH=exec", "-u", "two"];
    assert_eq!(
        exec(&options, "pwd; echo $BOTH; id -u; echo $HOME"),
        (Some(0), "/etc\nexec\n1000\n/home/two\n".to_owned())
    );
    let confined = exec(&[], "grep -e CapEff -e Seccomp: /proc/self/status; cat /proc/self/cgroup").1;
    assert!(confined.contains("00000000a80425fb") && confined.contains("Seccomp:\t2"), "{confined}");
    assert_eq!(home.windlass(&["exec", "one", "absent"]).status.code(), Some(127));
    assert_eq!(home.windlass(&["exec", "one", "/etc"]).status.code(), Some(126));
    assert_eq!(exec(&[], "kill -9 $$").0, Some(137));
    home.ok(&["exec", "-d", "one", "sh", "-c", "echo detached > /tmp/detached"]);
    eventually("the detached one wrote", || exec(&[], "cat /tmp/detached").1 == "detached\n");
    home.ok(&["stop", "-t", "0", "one"]);
    assert!(home.fails(&["exec", "one", "true"]).1.contains("start"));
}

pub(crate) fn exec_is_limited_with_the_container() {
    let home = Home::new();
    home.detach("one", &["--pids-limit", "3"], "sleep 600");
    let output = home.windlass(&[
        "exec",
        "one",
        "sh",
        "-c",
        "for n in 1 2 3; do sleep 600 >/dev/null 2>&1 & done; echo unlimited",
    ]);
    assert!(!stdout(&output).contains("unlimited"), "{}", stderr(&output));
}

pub(crate) fn exec_passes_input_and_gives_a_terminal() {
    let home = Home::new();
    home.detach("one", &[], "sleep 600");
    let mut child = piped(home.command(&["exec", "-i", "one", "cat"]));
    child.stdin.take().expect("piped").write_all(b"through\n").expect("it is written");
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(stdout(&output), "through\n");
    let (mut child, mut terminal) = at_terminal(home.command(&["exec", "-it", "one", "sh"]));
    terminal.write_all(b"stty size; exit 5\n").expect("typed");
    expect(&mut terminal, "33 77");
    assert_eq!(child.wait().expect("it ends").code(), Some(5));
}
