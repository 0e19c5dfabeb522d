//! Runs a plan: makes the process, stands by while it prepares itself, and hears how that went.

mod facts;
mod id_map;
mod line;
mod mapping;

use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::time::Duration;

use line::{Heard, Line};
use rustix::process::{WaitId, WaitIdOptions, kill_process, waitid};

use crate::child::{Child, Pid, reap};
use crate::command::{Command, Init, Root, Stdio, Wait};
use crate::error::{Error, Result};
use crate::kind::Source;
use crate::mount::Kind;
use crate::net::link::Links;
use crate::plan::step::Step;
use crate::plan::{ParentStep, Plan, compile};
use crate::rootfs::Rootfs;
use crate::signal::Signal;
use crate::sys::{
    Call, HookEnd, Message, Prepared, Release, SharedWord, Started, copy_descriptor, create_ruleset, reaper, start,
};

/// A process whose mounts are made and whose root is still the caller's; see [`Command::spawn_paused`].
#[derive(Debug)]
pub struct Paused<'a> {
    pid: Pid,
    pidfd: BorrowedFd<'a>,
}

impl Paused<'_> {
    /// Its number.
    pub fn pid(&self) -> Pid {
        self.pid
    }
}

impl AsFd for Paused<'_> {
    /// A pidfd.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pidfd
    }
}

impl Command {
    /// What [`Command::spawn`] would do, without doing it: the dry run. `Display` prints it, a line a step.
    ///
    /// # Errors
    /// [`Error::Invalid`] for values that cannot be honoured together; [`Error::Sys`] when `/proc` cannot tell about
    /// the caller.
    #[doc(alias = "dry_run")]
    pub fn plan(&self) -> Result<Plan> {
        compile(self, &facts::read(self)?)
    }

    /// Starts the program and returns once it runs, or stands at its [`gate`](Command::gate): all steps of the plan up
    /// to there are done by then.
    ///
    /// May be called from any thread of a many-threaded process; nothing in the caller changes.
    ///
    /// # Errors
    /// As [`Command::plan`], and [`Error::Child`] for the step that failed in the new process, [`Error::Killed`] when
    /// something killed it meanwhile. After an error no process is left.
    pub fn spawn(&mut self) -> Result<Child> {
        self.hooks.pauses = false;
        self.start(|_| Ok(()))
    }

    /// As [`spawn`](Self::spawn), and has the caller do something while the process waits: its namespaces exist, its ids
    /// are mapped, its mounts are made, and its root is still the caller's.
    ///
    /// Here the runtime-spec's `prestart` and `createRuntime` hooks belong, right before the command's own
    /// [`HookPoint::BeforePivot`](crate::HookPoint::BeforePivot).
    ///
    /// # Errors
    /// As [`spawn`](Self::spawn), and what `work` returns; then, too, no process is left.
    pub fn spawn_paused<E: From<Error>>(
        &mut self,
        work: impl FnOnce(&Paused<'_>) -> std::result::Result<(), E>,
    ) -> std::result::Result<Child, E> {
        self.hooks.pauses = true;
        let mut failed = None;
        let started = self.start(|paused| {
            work(paused).map_err(|error| {
                failed = Some(error);
                // Not told: the caller hears of its own error.
                Error::Killed { signal: None }
            })
        });
        match failed {
            Some(error) => Err(error),
            None => Ok(started?),
        }
    }

    fn start(&mut self, work: impl FnOnce(&Paused<'_>) -> Result<()>) -> Result<Child> {
        self.lift()?;
        id_map::make(self, self.floor())?;
        let plan = self.plan()?;
        let floor = self.floor();
        let (mut line, there) = Line::open(floor)?;
        let reaper = self.reaper(floor)?;
        let ruleset = ruleset(&plan, floor)?;
        let sibling = if plan.stage.is_empty() { None } else { Some(SharedWord::new()) };
        let sibling = sibling.transpose().map_err(|source| Error::sys("mmap", "a shared word", source))?;
        let prepared = Prepared::new(&plan, &there, reaper.as_ref(), ruleset.as_ref(), sibling.as_ref());
        let listening = plan.child.iter().any(|step| matches!(step, Step::Listen(_))).then(SharedWord::new);
        let listening = listening.transpose().map_err(|source| Error::sys("mmap", "a shared word", source))?;
        let prepared = prepared.with_listener(listening.as_ref());
        let made = start(&prepared).map_err(|source| Error::sys("clone3", clone_object(&plan), source))?;
        drop((there, reaper, ruleset));
        self.mounts.iter_mut().filter_map(|mount| mount.id_map.as_mut()).for_each(|map| map.made = None);
        // The process alone holds its gate: who opens it learns when nobody waits there.
        if matches!(self.wait, Wait::At(_)) {
            self.wait = Wait::Spent;
        }
        if matches!(self.root, Root::Given(Rootfs::Detached(_))) {
            self.root = Root::Spent;
        }
        let made = if plan.stage.is_empty() { made } else { second(&plan, &made, sibling.as_ref(), &mut line)? };
        match accompany(&plan, &made, &mut line, listening.as_ref(), work) {
            Ok(Taken { terminal, listener }) => {
                let child = Child::new(Pid::new(made.pid), made.pidfd, self.kill_on_drop, plan.notices);
                Ok(child.with_terminal(terminal).with_listener(listener))
            }
            Err(error) => Err(abandon(&plan, &made, &mut line, error)),
        }
    }

    /// The first number that the new process does not give to something else.
    fn floor(&self) -> RawFd {
        self.process.inherited.iter().map(|(_, number)| number + 1).fold(3, RawFd::max)
    }

    /// The program that is the first process when the command's is not.
    fn reaper(&self, floor: RawFd) -> Result<Option<OwnedFd>> {
        if self.process.init == Init::Program {
            return Ok(None);
        }
        let mut reaper = reaper().map_err(|source| Error::sys("memfd_create", "reaper", source))?;
        lift(&mut reaper, floor)?;
        Ok(Some(reaper))
    }

    /// Moves descriptors off the numbers that the new process gives to something else.
    fn lift(&mut self) -> Result<()> {
        let floor = self.floor();
        let joined = self.namespaces.iter_mut().filter_map(|(_, source)| match source {
            Source::Join(descriptor) => Some(descriptor),
            Source::New | Source::Path(_) => None,
        });
        let mounts = self.mounts.iter_mut().filter_map(|mount| match &mut mount.kind {
            Kind::Detached(descriptor) => Some(descriptor),
            _ => None,
        });
        let stdio = self.stdio.iter_mut().filter_map(|stdio| match stdio {
            Stdio::Fd(descriptor) => Some(descriptor),
            Stdio::Inherit | Stdio::Null => None,
        });
        let gate = match &mut self.wait {
            Wait::At(gate) => Some(&mut gate.descriptor),
            Wait::None | Wait::Spent => None,
        };
        let root = match &mut self.root {
            Root::Given(Rootfs::Detached(descriptor)) => Some(descriptor),
            _ => None,
        };
        let inherited = self.process.inherited.iter_mut().map(|(descriptor, _)| descriptor);
        let all = joined.chain(mounts).chain(stdio).chain(root).chain(gate).chain(inherited).chain(&mut self.cgroups);
        for descriptor in all {
            lift(descriptor, floor)?;
        }
        Ok(())
    }
}

fn lift(descriptor: &mut OwnedFd, floor: RawFd) -> Result<()> {
    if descriptor.as_raw_fd() < floor {
        *descriptor = rustix::io::fcntl_dupfd_cloexec(&*descriptor, floor)
            .map_err(|errno| Error::sys("fcntl", format!("descriptor {}", descriptor.as_raw_fd()), errno))?;
    }
    Ok(())
}

/// What the process fills with the rules of Landlock.
fn ruleset(plan: &Plan, floor: RawFd) -> Result<Option<OwnedFd>> {
    let Some(denied) = &plan.denied else { return Ok(None) };
    let created = create_ruleset(denied);
    let mut ruleset = created.map_err(|source| Error::sys("landlock_create_ruleset", denied.to_string(), source))?;
    lift(&mut ruleset, floor)?;
    Ok(Some(ruleset))
}

fn clone_object(plan: &Plan) -> String {
    let text = plan.to_string();
    let line = text.lines().find(|line| line.contains("clone3")).unwrap_or_default();
    line.split_once("clone3").map(|(_, rest)| rest.trim().to_owned()).unwrap_or_default()
}

/// Buries the intermediate process, and takes the one that it made. That one is the caller's whatever became of its maker.
fn second(plan: &Plan, stage: &Started, sibling: Option<&SharedWord>, line: &mut Line) -> Result<Started> {
    let status = reap(stage.pidfd.as_fd())?;
    let Some(pid) = sibling.and_then(SharedWord::get) else {
        let signal = status.signal().and_then(Signal::new);
        return Err(line.receive_now().map_or(Error::Killed { signal }, |heard| failure(plan, &heard)));
    };
    let number = rustix::process::Pid::from_raw(pid).expect("the kernel numbers processes from 1");
    // The process is this one's child and not reaped: the number is still its own.
    match rustix::process::pidfd_open(number, rustix::process::PidfdFlags::empty()) {
        Ok(pidfd) => Ok(Started { pid, pidfd }),
        Err(errno) => Err(bury(number, Error::sys("pidfd_open", format!("process {pid}"), errno))),
    }
}

/// Ends a child that there is no handle on.
fn bury(pid: rustix::process::Pid, first: Error) -> Error {
    let options = WaitIdOptions::EXITED | WaitIdOptions::from_bits_retain(libc::__WALL.cast_unsigned());
    let ended = kill_process(pid, rustix::process::Signal::KILL)
        .and_then(|()| rustix::io::retry_on_intr(|| waitid(WaitId::Pid(pid), options)));
    match ended {
        Ok(_) => first,
        Err(errno) => {
            let source = Box::new(Error::sys("waitid", format!("process {pid}"), errno));
            Error::CleanUp { first: Box::new(first), source }
        }
    }
}

/// Does the caller's steps, and waits until the program runs; gives the caller's end of its terminal.
fn accompany(
    plan: &Plan,
    made: &Started,
    line: &mut Line,
    listening: Option<&SharedWord>,
    work: impl FnOnce(&Paused<'_>) -> Result<()>,
) -> Result<Taken> {
    let mut work = Some(work);
    for step in &plan.parent {
        match step {
            ParentStep::MapIds { uid, gid } => mapping::write(made.pid, uid, gid)?,
            ParentStep::ReleaseMapped => line.release(Release::Mapped)?,
            ParentStep::MoveDevice { name, inside } => move_device(made.pid, name, inside)?,
            ParentStep::ReleaseDevices => line.release(Release::Devices)?,
        }
    }
    let mut taken = Taken::default();
    loop {
        match line.receive()? {
            Some(Heard { message: Message::Executing | Message::Waiting, .. }) => break,
            Some(Heard { message: Message::Terminal, descriptor, .. }) => taken.terminal = descriptor,
            Some(Heard { message: Message::Listening { descriptor }, .. }) => {
                taken.listener = Some(listener(plan, made, line, descriptor)?);
                listening.expect("the plan has a filter that asks").set(1);
                // Nothing is heard any more: each further call of the process may be held up.
                return Ok(taken);
            }
            Some(Heard { message: Message::Paused, .. }) => {
                let work = work.take().expect("a plan has one pause");
                work(&Paused { pid: Pid::new(made.pid), pidfd: made.pidfd.as_fd() })?;
                line.release(Release::Resumed)?;
            }
            Some(heard) => return Err(failure(plan, &heard)),
            None => return Err(killed(made)?),
        }
    }
    // The socket closes with the exec, or at the gate.
    line.receive()?.map_or(Ok(taken), |heard| Err(failure(plan, &heard)))
}

fn move_device(pid: i32, name: &str, inside: &str) -> Result<()> {
    let path = format!("/proc/{pid}/ns/net");
    let netns = std::fs::File::open(&path).map_err(|source| Error::sys("open", path, source))?;
    Links::open()?.move_with_addresses(name, netns.as_fd(), inside)
}

/// What the caller has of a process that was made.
#[derive(Default)]
struct Taken {
    terminal: Option<OwnedFd>,
    listener: Option<OwnedFd>,
}

/// How long the caller waits before it looks again for a filter that is being installed.
const MOMENT: Duration = Duration::from_micros(50);

/// Takes the descriptor of a filter out of the process, which installs it about now and can tell nothing afterwards.
fn listener(plan: &Plan, made: &Started, line: &mut Line, descriptor: RawFd) -> Result<OwnedFd> {
    loop {
        match copy_descriptor(made.pidfd.as_fd(), descriptor) {
            Ok(listener) => return Ok(listener),
            Err(error) if error.raw_os_error() == Some(libc::EBADF) => {
                if let Some(heard) = line.receive_now() {
                    return Err(failure(plan, &heard));
                }
                std::thread::sleep(MOMENT);
            }
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => {
                return Err(match line.receive_now() {
                    Some(heard) => failure(plan, &heard),
                    None => killed(made)?,
                });
            }
            Err(error) => return Err(Error::sys("pidfd_getfd", format!("process {}", made.pid), error)),
        }
    }
}

/// The error that tells of an end without a word.
fn killed(made: &Started) -> Result<Error> {
    let signal = reap(made.pidfd.as_fd())?.signal().and_then(Signal::new);
    Ok(Error::Killed { signal })
}

/// The error that a message from the new process tells of.
fn failure(plan: &Plan, heard: &Heard) -> Error {
    let (steps, step, call, errno) = match heard.message {
        Message::StageFailed { step, call, errno } => (&plan.stage, step, call, errno),
        Message::Failed { step, call, errno } => (&plan.child, step, call, errno),
        Message::HookFailed { step, end } => {
            let hook = usize::try_from(step).ok().and_then(|index| plan.child.get(index));
            return hook_failure(hook.map(Step::to_string).unwrap_or_default(), end, &heard.text);
        }
        Message::Executing | Message::Waiting | Message::Terminal | Message::Paused | Message::Listening { .. } => {
            unreachable!("not a failure")
        }
    };
    let named = usize::try_from(step).ok().and_then(|index| steps.get(index)).map(Step::to_string);
    let step = named.unwrap_or_else(|| "leave the caller's descriptors and signals, and clone".to_owned());
    let op = Call::from_index(call).map_or("system call", Call::name);
    Error::Child { step, op, source: io::Error::from_raw_os_error(errno) }
}

/// The error of a hook that left this text, below a line with its name where no plan is at hand.
pub(crate) fn hook_failure(hook: String, end: HookEnd, text: &str) -> Error {
    let (_, output) = text.split_once('\n').unwrap_or_default();
    let status = match end {
        HookEnd::Status(status) => Some(ExitStatus::from_raw(status)),
        HookEnd::Late => None,
    };
    Error::Hook { hook, status, output: output.trim_end().to_owned() }
}

/// Ends a process whose start failed; a failure that it told itself is the better explanation.
fn abandon(plan: &Plan, made: &Started, line: &mut Line, error: Error) -> Error {
    let first = match (&error, line.receive_now()) {
        (Error::Child { .. } | Error::Killed { .. } | Error::Hook { .. }, _) => error,
        (_, Some(heard)) if heard.message.is_failure() => failure(plan, &heard),
        _ => error,
    };
    let killed = crate::child::send(made.pidfd.as_fd(), Signal::KILL);
    match killed.and_then(|()| reap(made.pidfd.as_fd())) {
        Ok(_) => first,
        // `Killed` was found out by reaping it.
        Err(clean_up) if matches!(first, Error::Killed { .. }) && is_gone(&clean_up) => first,
        Err(clean_up) => Error::CleanUp { first: Box::new(first), source: Box::new(clean_up) },
    }
}

fn is_gone(error: &Error) -> bool {
    matches!(error.errno(), Some(libc::ESRCH | libc::ECHILD))
}
