//! The bytes of a file to another one.

use std::os::fd::BorrowedFd;

use rustix::io::{Errno, Result};

/// Copies a file into an empty one: shares its blocks where the file system can, else lets the kernel copy, else reads
/// and writes. Holes stay holes.
pub(crate) fn copy(from: BorrowedFd<'_>, to: BorrowedFd<'_>, size: u64) -> Result<()> {
    if rustix::fs::ioctl_ficlone(to, from).is_ok() {
        return Ok(());
    }
    rustix::fs::ftruncate(to, size)?;
    let mut offset = 0;
    while offset < size {
        let start = match rustix::fs::seek(from, rustix::fs::SeekFrom::Data(offset)) {
            // Nothing but a hole is left.
            Err(Errno::NXIO) => break,
            start => start?,
        };
        let end = rustix::fs::seek(from, rustix::fs::SeekFrom::Hole(start))?.min(size);
        stretch(from, to, start, end)?;
        offset = end;
    }
    Ok(())
}

fn stretch(from: BorrowedFd<'_>, to: BorrowedFd<'_>, start: u64, end: u64) -> Result<()> {
    let (mut read, mut written) = (start, start);
    while read < end {
        let left = usize::try_from(end - read).unwrap_or(usize::MAX).min(1 << 30);
        match rustix::fs::copy_file_range(from, Some(&mut read), to, Some(&mut written), left) {
            // Some file systems answer that there is nothing where there is.
            Ok(0) | Err(Errno::XDEV | Errno::OPNOTSUPP | Errno::INVAL | Errno::NOSYS) => break,
            Err(Errno::INTR) => {}
            copied => drop(copied?),
        }
    }
    let mut buffer = vec![0; 128 << 10];
    while read < end {
        let left = usize::try_from(end - read).map_or(buffer.len(), |left| left.min(buffer.len()));
        let count = super::read_at(from, &mut buffer[..left], read)?;
        if count == 0 {
            return Err(Errno::IO);
        }
        super::write_at(to, &buffer[..count], read)?;
        read += count as u64;
    }
    Ok(())
}
