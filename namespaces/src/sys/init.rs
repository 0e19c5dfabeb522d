//! The reaper: a program of some hundred bytes, without libraries, that is the first process of a pid namespace.
//!
//! It is executed, and so holds nothing of the caller's memory. Its argument is the number of the program's process,
//! a child that it finds made. All signals come to it blocked; it takes them one by one.

use std::ffi::c_char;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};
use std::{io, ptr};

use super::call::{Call, Failure, Outcome, Word, call, close_all_but, int, raw, unblock_signals};
use super::prepared::Prepared;

#[cfg(target_arch = "x86_64")]
std::arch::global_asm!(
    ".pushsection .rodata.windlass_reaper, \"a\"",
    ".globl windlass_reaper_begin",
    "windlass_reaper_begin:",
    // rbx: the program's process, read from the first argument after the name.
    "mov rsi, [rsp + 16]",
    "xor ebx, ebx",
    "2: movzx eax, byte ptr [rsi]",
    "test al, al",
    "jz 3f",
    "imul ebx, ebx, 10",
    "lea ebx, [rbx + rax - 48]",
    "inc rsi",
    "jmp 2b",
    // The stack holds a signal set and a status.
    "3: sub rsp, 32",
    "and rsp, -16",
    "mov qword ptr [rsp], -1",
    // prctl(PR_SET_NAME)
    "mov eax, 157",
    "mov edi, 15",
    "lea rsi, [rip + 9f]",
    "syscall",
    // wait4(-1, &status, WNOHANG | __WALL, NULL) until nobody is left to reap.
    "4: mov eax, 61",
    "mov rdi, -1",
    "lea rsi, [rsp + 8]",
    "mov edx, 0x40000001",
    "xor r10d, r10d",
    "syscall",
    "test eax, eax",
    "jle 6f",
    "cmp eax, ebx",
    "jne 4b",
    // The program ended: so does this.
    "mov edi, [rsp + 8]",
    "and edi, 0x7f",
    "jnz 5f",
    "movzx edi, byte ptr [rsp + 9]",
    "mov eax, 231",
    "syscall",
    "5: add edi, 128",
    "mov eax, 231",
    "syscall",
    // rt_sigtimedwait(&all, NULL, NULL, 8)
    "6: mov eax, 128",
    "mov rdi, rsp",
    "xor esi, esi",
    "xor edx, edx",
    "mov r10d, 8",
    "syscall",
    "test eax, eax",
    "jle 4b",
    "cmp eax, 17",
    "je 4b",
    // kill(program, signal)
    "mov esi, eax",
    "mov edi, ebx",
    "mov eax, 62",
    "syscall",
    "jmp 4b",
    "9: .asciz \"init\"",
    ".globl windlass_reaper_end",
    "windlass_reaper_end:",
    ".popsection",
);

#[cfg(target_arch = "aarch64")]
std::arch::global_asm!(
    ".pushsection .rodata.windlass_reaper, \"a\"",
    ".globl windlass_reaper_begin",
    "windlass_reaper_begin:",
    // x19: the program's process, read from the first argument after the name.
    "ldr x1, [sp, #16]",
    "mov w19, #0",
    "mov w3, #10",
    "2: ldrb w2, [x1], #1",
    "cbz w2, 3f",
    "sub w2, w2, #48",
    "madd w19, w19, w3, w2",
    "b 2b",
    // The stack holds a signal set and a status.
    "3: sub sp, sp, #32",
    "mov x2, #-1",
    "str x2, [sp]",
    // prctl(PR_SET_NAME)
    "mov x8, #167",
    "mov x0, #15",
    "adr x1, 9f",
    "svc #0",
    // wait4(-1, &status, WNOHANG | __WALL, NULL) until nobody is left to reap.
    "4: mov x8, #260",
    "mov x0, #-1",
    "add x1, sp, #8",
    "mov x2, #1",
    "movk x2, #0x4000, lsl #16",
    "mov x3, #0",
    "svc #0",
    "cmp w0, #0",
    "b.le 6f",
    "cmp w0, w19",
    "b.ne 4b",
    // The program ended: so does this.
    "ldr w2, [sp, #8]",
    "ands w0, w2, #0x7f",
    "b.ne 5f",
    "ubfx w0, w2, #8, #8",
    "mov x8, #94",
    "svc #0",
    "5: add w0, w0, #128",
    "mov x8, #94",
    "svc #0",
    // rt_sigtimedwait(&all, NULL, NULL, 8)
    "6: mov x8, #137",
    "mov x0, sp",
    "mov x1, #0",
    "mov x2, #0",
    "mov x3, #8",
    "svc #0",
    "cmp w0, #0",
    "b.le 4b",
    "cmp w0, #17",
    "b.eq 4b",
    // kill(program, signal)
    "mov w1, w0",
    "mov w0, w19",
    "mov x8, #129",
    "svc #0",
    "b 4b",
    "9: .asciz \"init\"",
    ".globl windlass_reaper_end",
    "windlass_reaper_end:",
    ".popsection",
);

/// The instructions; none for a processor that they are not written for.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
fn code() -> &'static [u8] {
    unsafe extern "C" {
        static windlass_reaper_begin: u8;
        static windlass_reaper_end: u8;
    }
    let (begin, end) = (&raw const windlass_reaper_begin, &raw const windlass_reaper_end);
    // SAFETY: both symbols bound one run of read-only bytes, above.
    unsafe { std::slice::from_raw_parts(begin, end.addr() - begin.addr()) }
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn code() -> &'static [u8] {
    &[]
}

const MACHINE: u16 = if cfg!(target_arch = "aarch64") { 183 } else { 62 };
const ADDRESS: u64 = 0x40_0000;
const HEADERS: usize = 64 + 2 * 56;

/// The program as an executable file: the headers, one readable and executable segment, and a stack that is neither.
fn executable(code: &[u8]) -> Vec<u8> {
    let length = (HEADERS + code.len()) as u64;
    let mut file = vec![0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let short = |values: &[u16]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
    let kind = short(&[2, MACHINE]);
    let sizes = short(&[64, 56, 2, 64, 0, 0]);
    let word = |values: &[u32]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
    let long = |values: &[u64]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
    file.extend(kind);
    file.extend(word(&[1]));
    file.extend(long(&[ADDRESS + HEADERS as u64, 64, 0]));
    file.extend(word(&[0]));
    file.extend(sizes);
    // PT_LOAD, PF_R | PF_X: offset, addresses, sizes, alignment.
    file.extend(word(&[1, 5]));
    file.extend(long(&[0, ADDRESS, ADDRESS, length, length, 0x1_0000]));
    // PT_GNU_STACK, PF_R | PF_W.
    file.extend(word(&[0x6474_e551, 6]));
    file.extend(long(&[0, 0, 0, 0, 0, 16]));
    file.extend(code);
    file
}

/// The reaper in memory that nobody can write any more; `Unsupported` where it does not know the processor.
pub(crate) fn reaper() -> io::Result<OwnedFd> {
    const MFD_EXEC: u32 = 0x10;
    const SEALS: i32 = libc::F_SEAL_WRITE | libc::F_SEAL_GROW | libc::F_SEAL_SHRINK | libc::F_SEAL_SEAL;
    let code = code();
    if code.is_empty() {
        return Err(io::ErrorKind::Unsupported.into());
    }
    let flags = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
    // SAFETY: a live C string.
    let create = |flags| unsafe { libc::memfd_create(c"reaper".as_ptr(), flags) };
    let descriptor = match create(flags | MFD_EXEC) {
        // Kernels before 6.3 know no other kind than the executable one.
        -1 if io::Error::last_os_error().raw_os_error() == Some(libc::EINVAL) => create(flags),
        descriptor => descriptor,
    };
    if descriptor == -1 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel gave a new descriptor that nothing else owns.
    let mut file = std::fs::File::from(unsafe { OwnedFd::from_raw_fd(descriptor) });
    io::Write::write_all(&mut file, &executable(code))?;
    // SAFETY: takes numbers.
    if unsafe { libc::fcntl(file.as_raw_fd(), libc::F_ADD_SEALS, SEALS) } == -1 {
        return Err(io::Error::last_os_error());
    }
    Ok(file.into())
}

/// Goes on as a child, and leaves the reaper where this process was.
pub(super) fn leave(prepared: &Prepared<'_>, foreground: bool) -> Outcome<()> {
    let missing = Failure { call: Call::Execveat, errno: libc::ENOSYS };
    let reaper = prepared.reaper.ok_or(missing)?;
    let all = u64::MAX;
    // SAFETY: a live signal mask of 8 bytes. No signal is lost between here and the reaper's first wait.
    unsafe { call!(Sigprocmask, libc::SIG_SETMASK, ptr::from_ref(&all), ptr::null_mut::<u64>(), 8) }?;
    // SAFETY: without CLONE_VM the child has a copy of stack and memory, as in `start`.
    let child = unsafe { call!(Clone, libc::SIGCHLD, 0, 0, 0, 0) }.map(int)?;
    if child == 0 {
        // SAFETY: takes numbers.
        unsafe { call!(Setpgid, 0, 0) }?;
        if foreground {
            let group = super::call::getpid()?;
            // SAFETY: TIOCSPGRP reads a live int; SIGTTOU is blocked.
            unsafe { call!(Ioctl, 0, libc::TIOCSPGRP, ptr::from_ref(&group)) }?;
        }
        return unblock_signals();
    }
    become_reaper(reaper, prepared.socket, child)
}

fn become_reaper(reaper: RawFd, socket: RawFd, child: i32) -> Outcome<()> {
    let mut digits = [0_u8; 12];
    let number = decimal(&mut digits, child);
    let arguments: [*const c_char; 3] = [c"init".as_ptr(), number, ptr::null()];
    let environment: [*const c_char; 1] = [ptr::null()];
    close_all_but(&[socket.min(reaper), socket.max(reaper)])?;
    let (path, flags) = (c"".as_ptr(), libc::AT_EMPTY_PATH);
    // SAFETY: a live C string and two live arrays of live C strings that end in null.
    unsafe { call!(Execveat, reaper, path, arguments.as_ptr(), environment.as_ptr(), flags) }.map(drop)
}

/// The decimal digits of a positive number, as a C string in `buffer`.
fn decimal(buffer: &mut [u8; 12], number: i32) -> *const c_char {
    let mut rest = number.unsigned_abs();
    let mut start = buffer.len() - 1;
    for slot in buffer.iter_mut().rev().skip(1) {
        *slot = b'0' + u8::try_from(rest % 10).unwrap_or(0);
        rest /= 10;
        start -= 1;
        if rest == 0 {
            break;
        }
    }
    buffer.as_ptr().wrapping_add(start).cast()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_text() {
        for number in [1, 2, 10, 4_194_304, i32::MAX] {
            let mut buffer = [0; 12];
            let start = decimal(&mut buffer, number).addr() - buffer.as_ptr().addr();
            let text = std::ffi::CStr::from_bytes_until_nul(&buffer[start..]).unwrap();
            assert_eq!(text.to_str().unwrap(), number.to_string());
        }
    }

    #[test]
    fn the_reaper_cannot_be_written() {
        let reaper = reaper().unwrap();
        let mut file = std::fs::File::from(reaper);
        assert!(io::Write::write(&mut file, b"x").is_err());
        assert!(file.metadata().unwrap().len() < 512);
    }
}
