//! Putting back what files held before, when a later write fails.

use std::borrow::Cow;
use std::io;
use std::os::fd::OwnedFd;

use crate::error::{Error, Result, Rollback};
use crate::hierarchy::directory::{Directory, WriteFailure};
use crate::setting::{Check, Undo, Write};
use crate::v1;

/// A write that happened, and the writes that undo it.
pub(crate) struct Written<'a> {
    pub(crate) directory: &'a Directory,
    pub(crate) file: Cow<'static, str>,
    pub(crate) former: Former,
}

/// The former state of a file.
pub(crate) enum Former {
    /// It held this.
    Value(Cow<'static, str>),
    /// These writes bring it back.
    Writes(Vec<(Cow<'static, str>, String)>),
    /// It cannot be written back.
    Unwritable,
    /// A filter of devices that allowed by default, maybe with exceptions, which the kernel does not show: everything
    /// is denied in its place, because a filter that is put back without its exceptions is open.
    HiddenExceptions,
}

/// Opens the file of a write, and says what has to be written to have it as it is now.
pub(crate) fn open_with_former(
    directory: &Directory,
    write: &Write,
) -> Result<Result<(OwnedFd, Option<Former>)>, WriteFailure> {
    let former = match &write.undo {
        Undo::WithEarlier => Former::Writes(Vec::new()),
        Undo::DeviceList => match former_devices(directory) {
            Ok(former) => former,
            Err(error) => return Ok(Err(error)),
        },
        Undo::Whole | Undo::Line { .. } | Undo::Value { .. } => {
            let (fd, content) = directory.open_to_change(&write.file)?;
            let former = content.and_then(|content| former_content(&content, write));
            let former = former.map_or(Former::Unwritable, |former| Former::Value(former.into()));
            return Ok(Ok((fd, Some(former))));
        }
    };
    Ok(Ok((directory.open_to_write(&write.file)?, Some(former))))
}

fn former_devices(directory: &Directory) -> Result<Former> {
    let content = match directory.read(v1::devices::LIST) {
        Ok(Some(content)) => content,
        Ok(None) | Err(Error::Sys { .. }) => return Ok(Former::Unwritable),
        Err(error) => return Err(error),
    };
    Ok(match v1::devices::restore(&content) {
        Some(writes) => Former::Writes(writes.into_iter().map(|(file, value)| (file.into(), value)).collect()),
        None => Former::HiddenExceptions,
    })
}

/// What has to be written to have a file with this content again; `None` if it is no single value.
fn former_content(content: &str, write: &Write) -> Option<String> {
    if let Undo::Line { key, absent } = &write.undo {
        let line = content.lines().find(|line| line.split(' ').next() == Some(key));
        return Some(line.unwrap_or(absent).to_owned());
    }
    if let Undo::Value { key } = &write.undo {
        let value = content.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' '));
        return value.map(str::to_owned);
    }
    let mut lines = content.lines();
    let line = lines.next().unwrap_or("");
    if lines.next().is_some() {
        return None;
    }
    // An invalid partition reads as `root invalid (reason)`; it is set by the first word.
    let line = if write.check == Check::NotInvalid { line.split(' ').next().unwrap_or(line) } else { line };
    Some(if line.is_empty() { "\n".to_owned() } else { line.to_owned() })
}

pub(crate) fn roll_back(written: Vec<Written<'_>>) -> Rollback {
    let mut rollback = Rollback::default();
    for Written { directory, file, former } in written.into_iter().rev() {
        let result = match &former {
            Former::Value(value) => write_back(directory, &file, value),
            Former::Writes(writes) if writes.is_empty() => continue,
            Former::Writes(writes) => writes.iter().try_for_each(|(file, value)| write_back(directory, file, value)),
            Former::Unwritable => Err(io::ErrorKind::Unsupported.into()),
            Former::HiddenExceptions => write_back(directory, v1::devices::DENY, "a").and_then(|()| {
                let reason = "the kernel does not show what it denied before, so everything is denied now";
                Err(io::Error::new(io::ErrorKind::Unsupported, reason))
            }),
        };
        match result {
            Ok(()) => rollback.restored.push(file.into_owned()),
            Err(source) => rollback.failed.push((file.into_owned(), source)),
        }
    }
    rollback
}

fn write_back(directory: &Directory, file: &str, value: &str) -> io::Result<()> {
    directory.write(file, value).map_err(|failure| match failure {
        WriteFailure::Refused(source) => source,
        WriteFailure::Gone | WriteFailure::NoFile => io::ErrorKind::NotFound.into(),
        WriteFailure::NotPermitted => io::ErrorKind::PermissionDenied.into(),
    })
}
