//! Runs the steps of a plan inside the new process and tells the caller where it failed.

use std::os::fd::RawFd;

use super::call::{self, Call, Failure, Outcome};
use super::message::{Message, Release};
use super::prepared::Prepared;
use super::tree::Tree;
use super::{attribute, clone, credential, filesystem, gate, hook, init, join, landlock, listener, root, terminal};
use crate::hook::HookPoint;
use crate::kind::Namespace;
use crate::plan::hook::HookStep;
use crate::plan::step::{RootSource, Step, Verify};

/// What the steps keep between them.
struct State<'a> {
    /// To whom a failure is told.
    socket: RawFd,
    tree: Tree<'a>,
}

impl<'a> State<'a> {
    fn new(prepared: &'a Prepared<'_>) -> Self {
        Self { socket: prepared.socket, tree: Tree::new(&prepared.kept) }
    }
}

/// Runs the new process to its exec; on failure tells the caller and ends.
pub(super) fn run(prepared: &Prepared<'_>) -> ! {
    if let Err(failure) = begin(prepared) {
        fail(prepared, prepared.socket, u32::MAX, failure, Message::Failed { step: 0, call: 0, errno: 0 });
    }
    if prepared.plan.stage.is_empty() { child(prepared) } else { stage(prepared) }
}

/// The intermediate process: joins namespaces and makes the process as its sibling.
fn stage(prepared: &Prepared<'_>) -> ! {
    let template = Message::StageFailed { step: 0, call: 0, errno: 0 };
    let mut state = State::new(prepared);
    steps(prepared, &prepared.plan.stage, &mut state, template);
    match clone::sibling(prepared) {
        Err(failure) => fail(prepared, prepared.socket, u32::MAX, failure, template),
        Ok(0) => child(prepared),
        Ok(_) => call::exit(0),
    }
}

fn child(prepared: &Prepared<'_>) -> ! {
    let mut state = State::new(prepared);
    steps(prepared, &prepared.plan.child, &mut state, Message::Failed { step: 0, call: 0, errno: 0 });
    // The last step of a plan is the exec, which does not return.
    call::exit(127)
}

fn steps<'a>(prepared: &Prepared<'_>, steps: &'a [Step], state: &mut State<'a>, template: Message) {
    for (index, step) in (0_u32..).zip(steps) {
        let outcome = match step {
            Step::Hook(step) => hook(prepared, index, step, state),
            step => perform(prepared, step, state),
        };
        if let Err(failure) = outcome {
            fail(prepared, state.socket, index, failure, template);
        }
    }
}

fn fail(prepared: &Prepared<'_>, socket: RawFd, step: u32, failure: Failure, template: Message) -> ! {
    let (call, errno) = (failure.call as u32, failure.errno);
    let message = match template {
        Message::StageFailed { .. } => Message::StageFailed { step, call, errno },
        _ => Message::Failed { step, call, errno },
    };
    // If even this cannot be said, the caller sees the end of the process without a message.
    let text = match template {
        Message::Failed { .. } => text(prepared, step),
        _ => &[],
    };
    end(gate::tell(socket, message, text, &[]))
}

fn end(told: Outcome<usize>) -> ! {
    match told {
        Ok(_) => call::exit(126),
        Err(_) => call::exit(125),
    }
}

/// What is said of a step where no plan is at hand.
fn text<'a>(prepared: &'a Prepared<'_>, step: u32) -> &'a [u8] {
    let text = usize::try_from(step).ok().and_then(|step| prepared.texts.get(step));
    text.map_or(&[], Vec::as_slice)
}

fn hook(prepared: &Prepared<'_>, index: u32, step: &HookStep, state: &mut State<'_>) -> Outcome<()> {
    let directory = match step.point {
        HookPoint::BeforePivot => state.tree.root,
        HookPoint::BeforeExec => -1,
    };
    // It may change what is where.
    state.tree.forget();
    let Some(report) = hook::run(prepared, directory, step)? else { return Ok(()) };
    let message = Message::HookFailed { step: index, end: report.end };
    let said = report.text.get(..report.length).unwrap_or_default();
    end(gate::tell(state.socket, message, text(prepared, index), said))
}

/// Leaves behind what the caller had open, and its signal mask.
fn begin(prepared: &Prepared<'_>) -> Outcome<()> {
    call::close_all_but(&prepared.kept)?;
    call::unblock_signals()
}

fn perform<'a>(prepared: &Prepared<'_>, step: &'a Step, state: &mut State<'a>) -> Outcome<()> {
    match step {
        Step::Umask(bits) => call::umask(*bits),
        Step::DefaultSignals(mask) => default_signals(*mask),
        Step::OomScoreAdj(value) => attribute::write_callers(c"self/oom_score_adj", value.to_bytes()),
        Step::EnterCgroup(directory) => filesystem::write_below(*directory, c"tasks", b"0"),
        Step::NotDumpable => call::prctl(libc::PR_SET_DUMPABLE, 0, 0),
        Step::Join(namespaces) => join::join(namespaces),
        Step::AwaitDevices => wait(state.socket, Release::Devices),
        Step::AwaitMapped => wait(state.socket, Release::Mapped),
        Step::AssumeIds { uid, gid } | Step::Ids { uid, gid } => credential::set_ids(*uid, *gid),
        Step::NewSession => call::setsid(),
        Step::LoopbackUp => call::loopback_up(),
        Step::Hostname(name) => call::sethostname(name),
        Step::Attribute(attribute) => attribute::set(attribute),
        Step::Inherit { from, number } => call::dup3(*from, *number, 0),
        Step::Init { foreground } => init::leave(prepared, *foreground),
        Step::Pause => {
            state.tree.forget();
            call::write(state.socket, &Message::Paused.encode())?;
            wait(state.socket, Release::Resumed)
        }
        Step::NewCgroupNamespace => call::unshare(Namespace::Cgroup.flag()),
        Step::Terminal(step) => terminal::give(state.socket, state.tree.root, step),
        Step::Stdio { descriptor, from } => call::dup3(*from, *descriptor, 0),
        Step::Null { descriptor } => null(*descriptor),
        Step::Rlimit(limit) => call::prlimit(limit.resource.number(), limit.soft.as_raw(), limit.hard.as_raw()),
        Step::DropBounding { keep } => credential::drop_bounding(*keep),
        Step::KeepCapabilities => call::prctl(libc::PR_SET_KEEPCAPS, 1, 0),
        Step::Groups(groups) => credential::set_groups(groups),
        Step::Capabilities(sets) => credential::set_capabilities(sets),
        Step::Ambient(set) => credential::set_ambient(*set),
        Step::NoNewPrivileges => call::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0),
        Step::CurrentDir { path, verify } => change_directory(path, *verify),
        Step::Announce => {
            call::close_on_exec_all_but(&prepared.inherited)?;
            call::write(state.socket, &Message::Executing.encode()).map(drop)
        }
        Step::Find => clone::find(prepared),
        Step::Gate { descriptor, kind } => {
            state.socket = gate::stand(prepared, state.socket, *descriptor, *kind)?;
            Ok(())
        }
        Step::Allow(rule) => landlock::allow(prepared.ruleset, rule),
        Step::Confine => landlock::restrict(prepared.ruleset),
        Step::Dumpable => call::prctl(libc::PR_SET_DUMPABLE, 1, 0),
        Step::Listen(filter) => {
            listener::listen(prepared, state.socket, filter)?;
            state.socket = -1;
            Ok(())
        }
        Step::Seccomp(filter) => credential::filter_calls(filter),
        Step::Exec(program) => clone::execute(program, &prepared.arguments, &prepared.environment),
        step => make_tree(step, state),
    }
}

/// Steps that make mounts and turn the root.
fn make_tree<'a>(step: &'a Step, state: &mut State<'a>) -> Outcome<()> {
    match step {
        Step::Propagation(flag) => root::propagate(*flag),
        Step::OpenRoot(source) => open_root(source, state),
        Step::Mount(mount) => filesystem::mount(&mut state.tree, mount),
        Step::Device(device) => filesystem::device(&mut state.tree, device),
        Step::Symlink { contents, target } => filesystem::symlink(&mut state.tree, contents, target),
        Step::Mask(path) => filesystem::mask(&mut state.tree, path),
        Step::ReadOnlyPath(path) => filesystem::read_only(&mut state.tree, path),
        Step::ReadOnlyRoot => filesystem::read_only_mount(state.tree.root),
        Step::Pivot(old) => {
            root::pivot(state.tree.root, *old)?;
            state.tree.finish()
        }
        Step::PrivateParent(path) => root::private_parent(path),
        Step::RootPropagation { flag, reach } => root::root_propagation(state.tree.root, *flag, *reach),
        Step::MakeDirectory(path) => filesystem::make_directories(&mut state.tree, path),
        Step::Remount { path, options, attributes } => filesystem::remount(&mut state.tree, path, options, *attributes),
        Step::Hide(path) => root::hide(path),
        Step::MoveRoot => {
            root::move_root(state.tree.root)?;
            state.tree.finish()
        }
        Step::Seal(path) => filesystem::seal(&mut state.tree, path),
        // Hooks are run elsewhere, since their failure has more to tell.
        _ => Ok(()),
    }
}

fn open_root(source: &RootSource, state: &mut State<'_>) -> Outcome<()> {
    state.tree.root = filesystem::open_root(source)?;
    Ok(())
}

fn default_signals(mask: u64) -> Outcome<()> {
    for signal in 1..=64 {
        let is_changeable = signal != libc::SIGKILL && signal != libc::SIGSTOP;
        if is_changeable && mask & (1 << (signal - 1)) != 0 {
            call::default_action(signal)?;
        }
    }
    Ok(())
}

/// Waits for the caller; its end of the socket closes only when it gave up.
fn wait(socket: RawFd, expected: Release) -> Outcome<()> {
    let mut byte = [0];
    match call::read(socket, &mut byte)? {
        1 if byte == [expected as u8] => Ok(()),
        _ => Err(Failure { call: Call::Read, errno: libc::EPIPE }),
    }
}

fn null(descriptor: RawFd) -> Outcome<()> {
    let opened = call::open(libc::AT_FDCWD, c"/dev/null", libc::O_RDWR, 0)?;
    if opened == descriptor {
        // The caller had this descriptor closed; only close-on-exec is to be undone.
        let moved = call::open(libc::AT_FDCWD, c"/dev/null", libc::O_RDWR, 0)?;
        call::dup3(moved, descriptor, 0)?;
        return call::close(moved);
    }
    call::dup3(opened, descriptor, 0)?;
    call::close(opened)
}

fn change_directory(path: &std::ffi::CStr, verify: Verify) -> Outcome<()> {
    call::chdir(path)?;
    if verify == Verify::Inside {
        let mut buffer = [0; 4096];
        call::getcwd(&mut buffer)?;
        // The kernel writes "(unreachable)" before a directory that is not below the root.
        if buffer.first() != Some(&b'/') {
            return Err(Failure { call: Call::Getcwd, errno: libc::ENOENT });
        }
    }
    Ok(())
}
