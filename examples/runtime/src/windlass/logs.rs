//! `logs`: what a container has written, and goes on writing.

use std::collections::VecDeque;
use std::io::Write as _;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify::{CreateFlags, WatchFlags, add_watch, init};

use super::cli::{Logs, Tail};
use super::containers::{Container, Containers};
use super::failure::Failure;
use super::log::{Line, Reader, Stream};
use super::status;

pub(super) fn logs(containers: &Containers, request: &Logs) -> Result<u8, Failure> {
    let (container, _) = containers.find(&request.container)?;
    // Watched before the first look, so that nothing is missed in between.
    let watch = request.follow.then(|| watch(&container)).transpose()?;
    let mut reader = Reader::open(&container.path);
    let mut kept = VecDeque::new();
    while let Some(line) = next(&mut reader)? {
        if request.since.is_some_and(|since| line.time < since) {
            continue;
        }
        match request.tail {
            Some(Tail::Last(count)) => {
                kept.push_back(line);
                if kept.len() > count {
                    kept.pop_front();
                }
            }
            Some(Tail::All) | None => print(&line, request.timestamps)?,
        }
    }
    kept.iter().try_for_each(|line| print(line, request.timestamps))?;
    let Some(watch) = watch else { return Ok(0) };
    loop {
        // Asked first: what was written before the end is read after it.
        let live = container.config()?.is_some() && status::of(&container)?.0.is_live();
        while let Some(line) = next(&mut reader)? {
            print(&line, request.timestamps)?;
        }
        if !live {
            return Ok(0);
        }
        wait(&watch)?;
    }
}

fn next(reader: &mut Reader) -> Result<Option<Line>, Failure> {
    reader.next_line().map_err(Failure::during("read the log"))
}

fn print(line: &Line, timestamps: bool) -> Result<(), Failure> {
    let text = if timestamps { format!("{} {}", line.time, line.text) } else { line.text.clone() };
    let written = match line.stream {
        Stream::Stdout => std::io::stdout().lock().write_all(text.as_bytes()),
        Stream::Stderr => std::io::stderr().lock().write_all(text.as_bytes()),
    };
    written.and_then(|()| std::io::stdout().flush()).map_err(Failure::during("print"))
}

fn watch(container: &Container) -> Result<std::os::fd::OwnedFd, Failure> {
    let failed = || Failure::during("watch the log");
    let watch = init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).map_err(failed())?;
    let events =
        WatchFlags::MODIFY | WatchFlags::CREATE | WatchFlags::MOVED_TO | WatchFlags::DELETE | WatchFlags::DELETE_SELF;
    add_watch(&watch, container.path.as_path(), events).map_err(failed())?;
    Ok(watch)
}

/// Waits for a change in the folder; for a second at most, because a monitor that is killed changes nothing.
fn wait(watch: &std::os::fd::OwnedFd) -> Result<(), Failure> {
    let mut polled = [PollFd::new(watch, PollFlags::IN)];
    let second = Timespec { tv_sec: 1, tv_nsec: 0 };
    match poll(&mut polled, Some(&second)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => {}
        Err(errno) => return Err(Failure::during("wait for the log")(errno)),
    }
    let mut events = [0; 4096];
    // What changed is looked at anyway; the events only have to be taken.
    while matches!(rustix::io::read(watch, &mut events), Ok(1..)) {}
    Ok(())
}
