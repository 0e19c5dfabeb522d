//! Programs of the configuration that are run around a container, in the runtime's own namespaces.

use std::fmt;
use std::io::{ErrorKind, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use oci_spec::runtime::Hook;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use serde_json::value::RawValue;

use super::failure::{Failure, Result};
use super::log::Log;
use super::state::{State, Status};

/// The point of a container's life at which hooks are run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Point {
    Prestart,
    CreateRuntime,
    Poststart,
    Poststop,
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Prestart => "prestart",
            Self::CreateRuntime => "createRuntime",
            Self::Poststart => "poststart",
            Self::Poststop => "poststop",
        })
    }
}

/// Runs hooks in turn, each with the container's state on its standard input; the first that fails ends it.
pub(super) fn run(point: Point, hooks: &[Hook], state: &State, status: Status) -> Result<()> {
    if hooks.is_empty() {
        return Ok(());
    }
    let told = serde_json::to_vec(&state.report(status, String::new())).map_err(Failure::during("encode the state"))?;
    for (place, hook) in hooks.iter().enumerate() {
        one(hook, &told)
            .map_err(|error| error.after(format_args!("{point} hook {place} ({})", hook.path().display())))?;
    }
    Ok(())
}

/// The hooks that a state keeps in the words of the configuration.
pub(super) fn kept(hooks: &RawValue) -> Result<Vec<Hook>> {
    serde_json::from_str(hooks.get()).map_err(Failure::during("hooks of the state"))
}

/// Runs hooks after the container's end, all of them: one that fails is told in the log alone.
pub(super) fn run_late(point: Point, hooks: &RawValue, state: &State, status: Status, log: &Log) {
    let hooks = match kept(hooks) {
        Ok(hooks) => hooks,
        Err(error) => return log.warn(format_args!("{point}: {error}")),
    };
    for hook in &hooks {
        if let Err(error) = run(point, std::slice::from_ref(hook), state, status) {
            log.warn(format_args!("{error}"));
        }
    }
}

fn one(hook: &Hook, told: &[u8]) -> Result<()> {
    let mut command = Command::new(hook.path());
    // The first of `args` is the name by which the program is called.
    if let Some((name, arguments)) = hook.args().as_ref().and_then(|arguments| arguments.split_first()) {
        command.arg0(name).args(arguments);
    }
    command.env_clear();
    for variable in hook.env().iter().flatten() {
        let (name, value) = variable.split_once('=').unwrap_or((variable, ""));
        command.env(name, value);
    }
    let timeout = match hook.timeout() {
        None => None,
        Some(seconds) => match u64::try_from(seconds) {
            Ok(seconds) if seconds > 0 => Some(Duration::from_secs(seconds)),
            _ => return Err(Failure::new(format!("timeout {seconds} is not greater than zero"))),
        },
    };
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(Failure::during("start"))?;
    tell(&mut child, told)?;
    let mut said = Said::of(&mut child);
    let ended = wait(&mut child, &mut said, timeout);
    let Some(status) = ended? else {
        child.kill().and_then(|()| child.wait()).map_err(Failure::during("end it after its timeout"))?;
        return Err(Failure::new(format!("it was killed after its timeout of {:?}", timeout.unwrap_or_default())));
    };
    judge(status, &said)
}

/// Gives a hook the state; one that does not read it does not need it.
fn tell(child: &mut Child, told: &[u8]) -> Result<()> {
    let mut input = child.stdin.take().expect("it was made a pipe");
    match input.write_all(told) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Failure::during("write the state")(error)),
        _ => Ok(()),
    }
}

/// What a hook writes to its standard error: all of it is read, and the beginning kept.
struct Said {
    /// Open until the other end is closed.
    pipe: Option<ChildStderr>,
    beginning: Vec<u8>,
}

/// How much of it is kept.
const KEPT: usize = 1024;

impl Said {
    fn of(child: &mut Child) -> Self {
        Self { pipe: child.stderr.take(), beginning: Vec::new() }
    }

    /// Reads what is there.
    fn read(&mut self) -> Result<()> {
        let Some(pipe) = &self.pipe else { return Ok(()) };
        let mut buffer = [0; 4096];
        match rustix::io::read(pipe, &mut buffer) {
            Ok(0) => self.pipe = None,
            Ok(length) => {
                let room = KEPT.saturating_sub(self.beginning.len()).min(length);
                self.beginning.extend_from_slice(&buffer[..room]);
            }
            Err(Errno::INTR) => {}
            Err(error) => return Err(Failure::during("read its standard error")(error)),
        }
        Ok(())
    }
}

/// Waits for the end of a hook; `None` when its time is over.
///
/// What it left running may hold the pipe open: the end of the hook itself counts.
fn wait(child: &mut Child, said: &mut Said, timeout: Option<Duration>) -> Result<Option<ExitStatus>> {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).expect("a child has a number");
    let pidfd = pidfd_open(pid, PidfdFlags::empty()).map_err(Failure::during("open its process"))?;
    let until = timeout.map(|timeout| Instant::now() + timeout);
    loop {
        let left = until.map(|until| Timespec::try_from(until.saturating_duration_since(Instant::now())));
        let left = left.transpose().map_err(Failure::during("wait"))?;
        let mut descriptors = vec![PollFd::from_borrowed_fd(pidfd.as_fd(), PollFlags::IN)];
        descriptors.extend(said.pipe.as_ref().map(|pipe| PollFd::new(pipe, PollFlags::IN)));
        match poll(&mut descriptors, left.as_ref()) {
            Ok(0) => return Ok(None),
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(Failure::during("wait")(error)),
        }
        let ready: Vec<bool> = descriptors.iter().map(|descriptor| !descriptor.revents().is_empty()).collect();
        drop(descriptors);
        match ready[..] {
            // What is in the pipe comes first.
            [_, true] => said.read()?,
            [true, ..] => return child.wait().map(Some).map_err(Failure::during("wait")),
            _ => {}
        }
    }
}

fn judge(status: ExitStatus, said: &Said) -> Result<()> {
    if status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&said.beginning);
    Err(Failure::new(format!("{status}, stderr: {}", said.trim())))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn state() -> State {
        State {
            oci_version: "1.0.0".into(),
            id: "box".into(),
            bundle: "/b".into(),
            rootfs: "/b/rootfs".into(),
            created: String::new(),
            owner: 0,
            annotations: BTreeMap::new(),
            init: None,
            group: None,
            class: None,
            hooks: None,
        }
    }

    fn hook(script: &str, timeout: Option<i64>) -> Hook {
        let value = serde_json::json!({
            "path": "/bin/sh", "args": ["name", "-c", script], "env": ["WORD=value"], "timeout": timeout
        });
        serde_json::from_value(value).unwrap()
    }

    fn run_one(script: &str, timeout: Option<i64>) -> Result<()> {
        run(Point::Prestart, &[hook(script, timeout)], &state(), Status::Created)
    }

    #[test]
    fn a_hook_reads_the_state_and_has_its_own_environment() {
        run_one(r#"[ "$WORD" = value ] && [ -z "$HOME" ] && grep -q '"id":"box"'"#, None).unwrap();
        let mut long = state();
        long.annotations.insert("x".into(), "y".repeat(1 << 20));
        run(Point::Prestart, &[hook("exit 0", None)], &long, Status::Created).unwrap();
    }

    #[test]
    fn a_hook_that_fails_says_why_and_ends_the_row() {
        let error = run_one("echo no luck >&2; exit 3", Some(10)).unwrap_err().to_string();
        assert!(
            error.starts_with("prestart hook 0 (/bin/sh): exit status: 3") && error.ends_with("no luck"),
            "{error}"
        );
        let folder = tempfile::tempdir().unwrap();
        let second = hook(&format!("touch {}/ran", folder.path().display()), None);
        run(Point::Prestart, &[hook("exit 1", None), second], &state(), Status::Created).unwrap_err();
        assert!(!folder.path().join("ran").exists());
    }

    #[test]
    fn a_hook_may_say_much_and_leave_something_running() {
        run_one("cat >/dev/null; head -c 1000000 /dev/zero >&2", Some(20)).unwrap();
        let begin = Instant::now();
        run_one("sleep 20 & exit 0", Some(30)).unwrap();
        assert!(begin.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn a_hook_has_its_time() {
        let begin = Instant::now();
        let error = run_one("exec sleep 60", Some(1)).unwrap_err().to_string();
        assert!(error.contains("killed after its timeout of 1s"), "{error}");
        assert!(begin.elapsed() < Duration::from_secs(20));
        assert!(run_one("exit 0", Some(0)).is_err() && run_one("exit 0", Some(-1)).is_err());
    }
}
