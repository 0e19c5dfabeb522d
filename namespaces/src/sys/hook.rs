//! Running a hook from within the new process.

use std::ffi::c_char;
use std::os::fd::RawFd;
use std::{mem, ptr};

use super::call::{self, Call, Failure, Outcome, Word, call, close, dup3, int, raw, write};
use super::clone;
use super::gate::TEXT_MAX;
use super::message::HookEnd;
use super::prepared::Prepared;
use crate::plan::hook::HookStep;

/// What a hook that failed left.
pub(super) struct Report {
    pub(super) end: HookEnd,
    /// The last of what it wrote.
    pub(super) text: [u8; TEXT_MAX],
    pub(super) length: usize,
}

const MFD_CLOEXEC: u32 = 1;
/// What new files of a hook lack.
const UMASK: u32 = 0o022;

/// Runs a hook to its end; gives a report when it failed. `directory` is where it works, -1 for where the process does.
pub(super) fn run(prepared: &Prepared<'_>, directory: RawFd, step: &HookStep) -> Outcome<Option<Report>> {
    // Told apart from a hook that ran and failed.
    clone::executable(&step.path)?;
    let input = input(step)?;
    let output = memory(c"output".as_ptr())?;
    let mut pidfd: RawFd = -1;
    // SAFETY: all zeroes is a value of this plain structure.
    let mut arguments: libc::clone_args = unsafe { mem::zeroed() };
    arguments.flags = libc::CLONE_PIDFD.word();
    arguments.pidfd = ptr::from_mut(&mut pidfd).word();
    // SAFETY: without CLONE_VM the hook's process has a copy of this stack and memory, and never returns from `become`.
    if unsafe { call!(Clone3, ptr::from_ref(&arguments), size_of_val(&arguments)) }? == 0 {
        if let Some((argv, environment)) = prepared.hooks.get(step.index)
            && replace(directory, input, output, step, argv, environment).is_err()
        {
            call::exit(126);
        }
        call::exit(127);
    }
    close(input)?;
    let end = wait(pidfd, step)?;
    close(pidfd)?;
    let report = match end {
        HookEnd::Status(0) => None,
        end => Some(report(output, end)?),
    };
    close(output)?;
    Ok(report)
}

fn memory(name: *const c_char) -> Outcome<RawFd> {
    // SAFETY: a live C string.
    unsafe { call!(MemfdCreate, name, MFD_CLOEXEC) }.map(int)
}

/// A file that holds what the hook reads.
fn input(step: &HookStep) -> Outcome<RawFd> {
    let file = memory(c"state".as_ptr())?;
    let (before, after) = step.input.parts();
    write_all(file, before)?;
    if let Some(after) = after {
        // SAFETY: takes no argument.
        let pid = unsafe { call!(Getpid, 0) }.map(int)?;
        let mut digits = [0; 10];
        write_all(file, decimal(pid.unsigned_abs(), &mut digits))?;
        write_all(file, after)?;
    }
    // SAFETY: takes no pointer.
    unsafe { call!(Lseek, file, 0_u64, libc::SEEK_SET) }?;
    Ok(file)
}

fn write_all(file: RawFd, mut bytes: &[u8]) -> Outcome<()> {
    while !bytes.is_empty() {
        let written = write(file, bytes)?;
        bytes = bytes.get(written..).unwrap_or_default();
    }
    Ok(())
}

fn decimal(mut number: u32, digits: &mut [u8; 10]) -> &[u8] {
    let mut start = digits.len();
    for (place, digit) in digits.iter_mut().enumerate().rev() {
        *digit = b'0' + u8::try_from(number % 10).unwrap_or(0);
        number /= 10;
        start = place;
        if number == 0 {
            break;
        }
    }
    digits.get(start..).unwrap_or_default()
}

/// Turns the copy of the process into the hook.
fn replace(
    directory: RawFd,
    input: RawFd,
    output: RawFd,
    step: &HookStep,
    argv: &[*const c_char],
    environment: &[*const c_char],
) -> Outcome<()> {
    if directory >= 0 {
        // SAFETY: takes no pointer.
        unsafe { call!(Fchdir, directory) }?;
    }
    call::umask(UMASK)?;
    dup3(input, 0, 0)?;
    dup3(output, 1, 0)?;
    dup3(output, 2, 0)?;
    call::close_on_exec_all_but(&[])?;
    clone::execve(&step.path, argv, environment)
}

/// Waits for the end of the hook, and kills it when its time is over.
fn wait(pidfd: RawFd, step: &HookStep) -> Outcome<HookEnd> {
    let mut late = false;
    if let Some(timeout) = step.timeout {
        let mut polled = libc::pollfd { fd: pidfd, events: libc::POLLIN, revents: 0 };
        // The kernel writes what is left of it.
        let mut left = [timeout.seconds, timeout.nanoseconds];
        loop {
            let (polled, left) = (ptr::from_mut(&mut polled), left.as_mut_ptr());
            // SAFETY: one live structure to poll, a live time, and no mask.
            match unsafe { call!(Ppoll, polled, 1, left, ptr::null::<u64>(), 8) } {
                Ok(ready) => {
                    late = ready == 0;
                    break;
                }
                Err(Failure { errno: libc::EINTR, .. }) => {}
                Err(failure) => return Err(failure),
            }
        }
    }
    if late {
        let nothing = ptr::null::<libc::siginfo_t>();
        // SAFETY: a null siginfo asks the kernel to fill one in.
        unsafe { call!(PidfdSendSignal, pidfd, libc::SIGKILL, nothing, 0) }?;
    }
    // SAFETY: all zeroes is a value of this plain structure.
    let mut information: libc::siginfo_t = unsafe { mem::zeroed() };
    loop {
        let (out, options) = (ptr::from_mut(&mut information), libc::WEXITED | libc::__WALL);
        // SAFETY: a live structure to be written; no resource usage is asked for.
        match unsafe { call!(Waitid, libc::P_PIDFD, pidfd, out, options, ptr::null::<libc::rusage>()) } {
            Ok(_) => break,
            Err(Failure { errno: libc::EINTR, .. }) => {}
            Err(failure) => return Err(failure),
        }
    }
    if late {
        return Ok(HookEnd::Late);
    }
    // SAFETY: waitid filled the part that tells of a child.
    let status = unsafe { information.si_status() };
    Ok(HookEnd::Status(if information.si_code == libc::CLD_EXITED { (status & 0xff) << 8 } else { status }))
}

/// The end of what the hook wrote.
fn report(output: RawFd, end: HookEnd) -> Outcome<Report> {
    let mut report = Report { end, text: [0; TEXT_MAX], length: 0 };
    // SAFETY: takes no pointer.
    let size = unsafe { call!(Lseek, output, 0_u64, libc::SEEK_END) }?.cast_unsigned();
    let start = size.saturating_sub(TEXT_MAX.word());
    let (text, room) = (report.text.as_mut_ptr(), report.text.len());
    // SAFETY: a buffer that is writable for its length.
    let read = unsafe { call!(Pread64, output, text, room, start) }?;
    report.length = usize::try_from(read).unwrap_or(0);
    Ok(report)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_without_an_allocator() {
        for number in [0, 1, 9, 10, 4_194_304, u32::MAX] {
            assert_eq!(decimal(number, &mut [0; 10]), number.to_string().as_bytes());
        }
    }
}
