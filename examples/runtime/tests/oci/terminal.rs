//! Terminals: the console socket of an engine, and a person at a terminal.

use std::fs::File;
use std::io::{IoSliceMut, Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use rustix::pty::OpenptFlags;
use rustix::termios::Winsize;
use serde_json::json;
use trial::Test;

use crate::bundle::{Bundle, containers};
use crate::until::PATIENCE;

pub(crate) fn tests() -> Vec<Test> {
    vec![
        Test::new("the_console_socket_gets_the_terminal", console_socket).needs(containers),
        Test::new("exec_sends_its_terminal_too", exec_console_socket).needs(containers),
        Test::new("run_at_a_terminal_passes_it_on", run_at_a_terminal).needs(containers),
        Test::new("exec_at_a_terminal_passes_it_on", exec_at_a_terminal).needs(containers),
        Test::new("cve_2017_5226_input_cannot_be_pushed_to_the_host", input_is_not_pushed).needs(containers),
    ]
}

/// The terminal that a runtime sends to an engine's socket.
fn receive(listener: &UnixListener) -> OwnedFd {
    let (stream, _) = listener.accept().expect("the runtime connects");
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut name = [0; 64];
    recvmsg(&stream, &mut [IoSliceMut::new(&mut name)], &mut control, RecvFlags::CMSG_CLOEXEC).expect("a message");
    let mut received: Vec<OwnedFd> = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(descriptors) = message {
            received.extend(descriptors);
        }
    }
    assert_eq!(received.len(), 1, "one descriptor: the terminal");
    received.remove(0)
}

/// Reads a terminal until this text comes.
pub(crate) fn read_until(terminal: &mut File, wanted: &str) -> String {
    let mut text = String::new();
    let start = std::time::Instant::now();
    while !text.contains(wanted) {
        let left = PATIENCE.checked_sub(start.elapsed());
        let left = left.unwrap_or_else(|| panic!("{wanted:?} does not come: {text:?}"));
        let timeout = rustix::event::Timespec::try_from(left).expect("seconds");
        let mut ready = [rustix::event::PollFd::new(&*terminal, rustix::event::PollFlags::IN)];
        if rustix::event::poll(&mut ready, Some(&timeout)).expect("poll") == 0 {
            continue;
        }
        let mut buffer = [0; 4096];
        match terminal.read(&mut buffer) {
            Ok(0) => panic!("the terminal ends before {wanted:?}: {text:?}"),
            Ok(read) => text.push_str(&String::from_utf8_lossy(&buffer[..read])),
            // A terminal whose other side has no opener gives this until somebody opens it.
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error()) => {
                std::thread::sleep(Duration::from_millis(5));
            }
            Err(error) => panic!("{error} before {wanted:?}: {text:?}"),
        }
    }
    text
}

const SHOW: &str = "tty; test -t 0 && test -t 1 && test -t 2 && echo all; stat -c '%t %T' /dev/console; \
                    stty size; read -r line; echo \"got $line\"; exec sleep 600";

fn console_socket() {
    let mut bundle = Bundle::script(SHOW);
    bundle.spec["process"]["terminal"] = json!(true);
    bundle.spec["process"]["consoleSize"] = json!({"height": 33, "width": 77});
    let socket = bundle.path("console");
    let listener = UnixListener::bind(&socket).expect("the folder is ours");
    bundle.create_with(&["--console-socket", socket.to_str().expect("UTF-8")]).fine();
    let mut terminal = File::from(receive(&listener));
    bundle.verb("start").fine();
    let shown = read_until(&mut terminal, "33 77\r\n");
    let lines: Vec<&str> = shown.lines().collect();
    assert_eq!(lines, ["/dev/pts/0", "all", "88 0", "33 77"], "the console is the terminal");
    writeln!(terminal, "a line").expect("it takes input");
    assert!(read_until(&mut terminal, "got a line").contains("a line\r\n"), "input is echoed");
}

fn exec_console_socket() {
    let bundle = Bundle::script("exec sleep 600");
    bundle.start();
    let socket = bundle.path("console");
    let listener = UnixListener::bind(&socket).expect("the folder is ours");
    let socket = socket.to_str().expect("UTF-8");
    let arguments =
        ["exec", "--tty", "--detach", "--console-socket", socket, &bundle.id, "sh", "-c", "tty; exec sleep 600"];
    bundle.leaving(&arguments).fine();
    let mut terminal = File::from(receive(&listener));
    assert!(read_until(&mut terminal, "\r\n").starts_with("/dev/pts/"));
    bundle.leaving(&["exec", "--tty", "--detach", &bundle.id, "true"]).refused();
}

/// A program at a terminal of its own, as a person would start it.
pub(crate) struct Seat {
    pub(crate) terminal: File,
    pub(crate) child: Child,
}

impl Seat {
    pub(crate) fn new(command: &Command) -> Self {
        let terminal = rustix::pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC);
        let terminal = terminal.expect("a terminal");
        rustix::pty::grantpt(&terminal).expect("it is ours");
        rustix::pty::unlockpt(&terminal).expect("it is ours");
        let size = Winsize { ws_row: 21, ws_col: 93, ws_xpixel: 0, ws_ypixel: 0 };
        rustix::termios::tcsetwinsize(&terminal, size).expect("a size");
        let name = rustix::pty::ptsname(&terminal, Vec::new()).expect("a name");
        let other = File::options().read(true).write(true).open(Path::new(name.to_str().expect("UTF-8")));
        let other = other.expect("the other side");
        // A session of its own, whose controlling terminal this is.
        let mut seated = Command::new("setsid");
        seated.arg("--ctty").arg("--wait").arg(command.get_program()).args(command.get_args());
        let copy = || other.try_clone().expect("a descriptor");
        let child = seated.stdin(copy()).stdout(copy()).stderr(copy()).spawn().expect("setsid starts");
        Self { terminal: File::from(terminal), child }
    }

    /// Types a line.
    pub(crate) fn type_line(&mut self, line: &str) {
        writeln!(self.terminal, "{line}").expect("it takes input");
    }

    pub(crate) fn read_until(&mut self, wanted: &str) -> String {
        read_until(&mut self.terminal, wanted)
    }

    /// Changes the window's size.
    pub(crate) fn resize(&self, rows: u16, columns: u16) {
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        rustix::termios::tcsetwinsize(self.terminal.as_fd(), size).expect("a size");
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        _ = self.child.kill(); // it may have ended
        _ = self.child.wait();
    }
}

/// The same without `timeout`, which would take the program out of the terminal's foreground.
fn bare(command: &Command) -> Command {
    let arguments: Vec<_> = command.get_args().collect();
    let mut bare = Command::new(arguments[2]);
    bare.args(&arguments[3..]);
    bare
}

fn run_at_a_terminal() {
    let mut bundle = Bundle::script(
        "tty; stty size; read -r line; trap 'stty size; exit 5' WINCH; echo \"got $line\"; while :; do sleep 0.02; done",
    );
    bundle.spec["process"]["terminal"] = json!(true);
    bundle.write();
    let folder = bundle.path("");
    let run = bundle.command(&["run", "--bundle", folder.to_str().expect("UTF-8"), &bundle.id]);
    let mut seat = Seat::new(&bare(&run));
    assert!(seat.read_until("21 93").contains("/dev/pts/0\r\n"));
    seat.type_line("hello");
    seat.read_until("got hello\r\n");
    seat.resize(40, 50);
    seat.read_until("40 50");
    assert_eq!(seat.child.wait().expect("it ends").code(), Some(5));
}

fn exec_at_a_terminal() {
    let bundle = Bundle::script("exec sleep 600");
    bundle.start();
    let exec =
        bundle.command(&["exec", "--tty", &bundle.id, "sh", "-c", "tty; read -r line; echo \"got $line\"; exit 6"]);
    let mut seat = Seat::new(&bare(&exec));
    assert!(seat.read_until("\r\n").starts_with("/dev/pts/"));
    seat.type_line("world");
    seat.read_until("got world\r\n");
    assert_eq!(seat.child.wait().expect("it ends").code(), Some(6));
}

/// A container without a terminal shares the caller's standard input: it must not be able to type for the caller.
fn input_is_not_pushed() {
    // Kernels that know no such call any more still tell whether there is a terminal to call.
    let mut bundle = Bundle::script("push; echo pushed $? terminal $(cut -d' ' -f7 /proc/self/stat)");
    bundle.compile("push", PUSH);
    bundle.spec["process"]["terminal"] = json!(false);
    bundle.write();
    let folder = bundle.path("");
    let run = bundle.command(&["run", "--bundle", folder.to_str().expect("UTF-8"), &bundle.id]);
    let mut inner = String::new();
    for word in bare(&run).get_args() {
        inner.extend([" '", word.to_str().expect("UTF-8"), "'"]);
    }
    let program = crate::bundle::runtime();
    let script = format!("'{}'{inner}; read -t 1 -r line; printf 'typed [%s]\\n' \"$line\"", program.display());
    let mut shell = Command::new("bash");
    shell.args(["-c", &script]);
    let mut seat = Seat::new(&shell);
    let said = seat.read_until("]\r\n");
    assert!(said.contains("pushed 1 terminal 0\r\n") && said.contains("typed []"), "{said:?}");
}

/// Pushes a line into the standard input's terminal.
const PUSH: &str = r#"
#include <sys/ioctl.h>
int main(void) {
    for (const char *c = "x\n"; *c; c++)
        if (ioctl(0, TIOCSTI, c)) return 1;
    return 0;
}
"#;
