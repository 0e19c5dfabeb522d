//! EROFS images as mounts.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::PathBuf;

use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen,
};

use super::refused;
use crate::error::{Error, Result};
use crate::options::ImageTier;
use crate::sys::{self, LoopDevice};

/// Mounts an image, with the images that hold its data if it is merged, and attaches it nowhere.
pub(crate) fn mount_image(
    image: BorrowedFd<'_>,
    devices: &[BorrowedFd<'_>],
    tier: Option<ImageTier>,
) -> Result<OwnedFd> {
    match tier {
        Some(ImageTier::File) => by_file(image, devices),
        Some(ImageTier::Loop) => by_loop(image, devices),
        None => match by_file(image, devices) {
            // "A block device is required": the kernel cannot do it without.
            Err(error) if error.errno() == Some(Errno::NOTBLK.raw_os_error()) => by_loop(image, devices),
            mounted => mounted,
        },
    }
}

fn by_file(image: BorrowedFd<'_>, devices: &[BorrowedFd<'_>]) -> Result<OwnedFd> {
    let devices: Vec<PathBuf> = devices.iter().map(sys::proc_path).collect();
    mount(&sys::proc_path(image), &devices)
}

fn by_loop(image: BorrowedFd<'_>, devices: &[BorrowedFd<'_>]) -> Result<OwnedFd> {
    let image = LoopDevice::attach(image)?;
    let devices = devices.iter().map(|device| LoopDevice::attach(*device)).collect::<Result<Vec<_>>>()?;
    let paths: Vec<PathBuf> = devices.iter().map(|device| device.path.clone()).collect();
    // From here on the mount keeps the devices.
    mount(&image.path, &paths)
}

fn mount(image: &std::path::Path, devices: &[PathBuf]) -> Result<OwnedFd> {
    let missing = |reason: &str| Error::Unsupported { feature: "EROFS", reason: reason.to_owned() };
    let context = fsopen("erofs", FsOpenFlags::FSOPEN_CLOEXEC).map_err(|errno| match errno {
        Errno::NODEV => missing("the kernel has no EROFS file system; is the module loaded?"),
        Errno::PERM => missing("mounting an image needs CAP_SYS_ADMIN in the first user namespace"),
        errno => Error::Mount { step: "fsopen".into(), messages: Vec::new(), source: errno.into() },
    })?;
    let failed = |step: &str, errno| match errno {
        // Images are for the first user namespace only, which the kernel says last of all.
        Errno::PERM => missing("mounting an image needs CAP_SYS_ADMIN in the first user namespace"),
        errno => refused(std::os::fd::AsFd::as_fd(&context), step.to_owned(), errno),
    };
    // A loop device of a file that is only read cannot be opened otherwise.
    fsconfig_set_flag(&context, "ro").map_err(|errno| failed("ro", errno))?;
    fsconfig_set_string(&context, "source", image).map_err(|errno| failed("source", errno))?;
    for device in devices {
        fsconfig_set_string(&context, "device", device).map_err(|errno| failed("device", errno))?;
    }
    fsconfig_create(&context).map_err(|errno| failed("create", errno))?;
    fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::MOUNT_ATTR_RDONLY)
        .map_err(|errno| failed("fsmount", errno))
}
