//! The same demo for an ordinary user: started again as the root of a user namespace of its own.
//!
//! The new process is also the first of a pid namespace, so that nothing can outlive it: control groups, by which a
//! killed run's processes are found otherwise, are not to be had. It knows that its parent is gone by its standard
//! input, which only the parent holds open.

use std::io::Read;
use std::os::fd::AsFd;
use std::process::ExitCode;

use nix::sys::signal::Signal;
use tokio::io::unix::AsyncFd;
use tokio::signal::unix::{SignalKind, signal};
use windlass_namespaces::{Child, Command, IdMapping, KillOnDrop, Mount, Namespace, Source};

use super::error::{Error, Result};
use super::interrupt::Interrupt;

/// Runs this program again inside, and ends as it ends.
pub(super) fn start_again() -> Result<ExitCode> {
    let program = std::env::current_exe().map_err(Error::io("find", "/proc/self/exe".as_ref()))?;
    let (read, write) = std::io::pipe().map_err(Error::io("make", "a pipe".as_ref()))?;
    let (uid, gid) = (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw());
    let mut command = Command::new(program);
    command.args(std::env::args_os().skip(1)).arg("--inside").stdin(read).kill_on_drop(KillOnDrop::Yes);
    for kind in [Namespace::User, Namespace::Mount, Namespace::Pid] {
        command.namespace(kind, Source::New);
    }
    command.id_mappings(vec![IdMapping::new(0, uid, 1)?], vec![IdMapping::new(0, gid, 1)?]).mount(Mount::proc("/proc"));
    let child = command.spawn().map_err(|source| Error::NoUserNamespace { source })?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(Error::io("start", "the event loop".as_ref()))?;
    let code = runtime.block_on(wait(child));
    drop(write);
    code
}

/// Waits for the demo inside. Ctrl-C reaches it by itself; what is sent to this process alone is passed on.
async fn wait(child: Child) -> Result<ExitCode> {
    let io = |source| Error::io("wait for", "the demo inside".as_ref())(source);
    let mut interrupts = signal(SignalKind::interrupt()).map_err(io)?;
    let mut terminations = signal(SignalKind::terminate()).map_err(io)?;
    let mut hangups = signal(SignalKind::hangup()).map_err(io)?;
    let mut child = child;
    #[expect(deprecated, reason = "what replaces it is unsafe; nobody but this value closes the descriptor")]
    let ended = AsyncFd::new(child.as_fd().try_clone_to_owned().map_err(io)?).map_err(io)?;
    loop {
        let passed_on = tokio::select! {
            ready = ended.readable() => {
                drop(ready.map_err(io)?);
                let status = child.wait()?;
                let code = status.code().and_then(|code| u8::try_from(code).ok());
                return Ok(code.map_or(ExitCode::FAILURE, ExitCode::from));
            }
            _ = interrupts.recv() => Signal::SIGINT,
            _ = terminations.recv() => Signal::SIGTERM,
            _ = hangups.recv() => Signal::SIGHUP,
        };
        let signal = windlass_namespaces::Signal::new(passed_on as i32).expect("the kernel's number is one");
        child.kill(signal)?;
    }
}

/// Raises `interrupt` when the process outside has ended: nobody waits for this one any more.
pub(super) fn follow_parent(interrupt: &Interrupt) -> Result<()> {
    let interrupt = interrupt.clone();
    let watching = move || {
        // Nothing is ever sent: a read returns when the other end is closed, or fails, which means the same.
        let _ = std::io::stdin().read(&mut [0]);
        interrupt.raise();
    };
    std::thread::Builder::new()
        .name("parent".to_owned())
        .spawn(watching)
        .map(drop)
        .map_err(Error::io("start a thread for", "the parent".as_ref()))
}
