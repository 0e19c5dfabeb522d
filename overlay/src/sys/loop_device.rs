//! Loop devices: a file as a block device, for kernels that mount nothing else.
#![expect(unsafe_code, reason = "rustix has no ioctls of loop devices")]

use std::ffi::c_void;
use std::os::fd::{AsRawFd as _, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::ioctl::{Ioctl, IoctlOutput, Opcode, ioctl};

use super::Named as _;
use crate::error::Result;

/// A loop device that ends with its last user.
#[derive(Debug)]
pub(crate) struct LoopDevice {
    pub(crate) path: PathBuf,
    /// Until something else uses it, this descriptor does.
    _device: OwnedFd,
}

const CONFIGURE: Opcode = 0x4c0a;
const GET_FREE: Opcode = 0x4c82;
const READ_ONLY: u32 = 1;
const AUTOCLEAR: u32 = 4;

/// `struct loop_config` with the `struct loop_info64` in it.
#[repr(C)]
struct Config {
    file: u32,
    block_size: u32,
    /// Device, inode, real device, offset and size limit.
    places: [u64; 5],
    /// Number, and two of an encryption that is no more.
    numbers: [u32; 3],
    flags: u32,
    names: [u8; 160],
    init: [u64; 2],
    reserved: [u64; 8],
}

struct GetFree;

// SAFETY: the request takes no argument and answers with its return value.
unsafe impl Ioctl for GetFree {
    type Output = i32;
    const IS_MUTATING: bool = false;

    fn opcode(&self) -> Opcode {
        GET_FREE
    }

    fn as_ptr(&mut self) -> *mut c_void {
        std::ptr::null_mut()
    }

    unsafe fn output_from_ptr(output: IoctlOutput, _: *mut c_void) -> rustix::io::Result<i32> {
        Ok(output)
    }
}

// SAFETY: the request reads one `struct loop_config`, which the type is laid out as, and writes nothing.
unsafe impl Ioctl for Config {
    type Output = ();
    const IS_MUTATING: bool = false;

    fn opcode(&self) -> Opcode {
        CONFIGURE
    }

    fn as_ptr(&mut self) -> *mut c_void {
        std::ptr::from_mut(self).cast()
    }

    unsafe fn output_from_ptr(_: IoctlOutput, _: *mut c_void) -> rustix::io::Result<()> {
        Ok(())
    }
}

impl LoopDevice {
    /// Makes a read-only device of a file.
    ///
    /// # Kernel
    /// Linux 5.8 (`LOOP_CONFIGURE`).
    pub(crate) fn attach(file: BorrowedFd<'_>) -> Result<Self> {
        let control = PathBuf::from("/dev/loop-control");
        let flags = OFlags::RDWR | OFlags::CLOEXEC;
        let opened = rustix::fs::open(&control, flags, Mode::empty()).named("open", &control)?;
        loop {
            // SAFETY: what the request does is said at its type.
            let number = unsafe { ioctl(&opened, GetFree) }.named("find a free loop device", &control)?;
            let path = PathBuf::from(format!("/dev/loop{number}"));
            let device = rustix::fs::open(&path, flags, Mode::empty()).named("open", &path)?;
            let config = Config {
                file: u32::try_from(file.as_raw_fd()).expect("a descriptor is not negative"),
                block_size: 0,
                places: [0; 5],
                numbers: [0; 3],
                flags: READ_ONLY | AUTOCLEAR,
                names: [0; 160],
                init: [0; 2],
                reserved: [0; 8],
            };
            // SAFETY: what the request does is said at its type.
            match unsafe { ioctl(&device, config) } {
                // Another process was faster with the same number.
                Err(Errno::BUSY) => {}
                configured => {
                    configured.named("configure a loop device", &path)?;
                    return Ok(Self { path, _device: device });
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_record_has_the_kernels_size() {
        assert_eq!(size_of::<super::Config>(), 304);
    }
}
