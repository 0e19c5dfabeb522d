//! The caller's end of a terminal that it gave to a process.

use std::os::fd::AsFd;

use rustix::termios::{Winsize, tcgetwinsize, tcsetwinsize};

use crate::error::{Error, Result};
use crate::terminal::WindowSize;

/// Tells a terminal how large it is shown; its foreground processes get `SIGWINCH`.
///
/// # Errors
/// [`Error::Sys`] with `ENOTTY` for something that is no terminal.
pub fn resize(terminal: impl AsFd, size: WindowSize) -> Result<()> {
    let terminal = terminal.as_fd();
    let size = Winsize { ws_row: size.rows, ws_col: size.columns, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(terminal, size).map_err(|errno| Error::sys("ioctl TIOCSWINSZ", format!("{terminal:?}"), errno))
}

/// How large a terminal is shown.
///
/// # Errors
/// As [`resize`].
pub fn window_size(terminal: impl AsFd) -> Result<WindowSize> {
    let terminal = terminal.as_fd();
    let size =
        tcgetwinsize(terminal).map_err(|errno| Error::sys("ioctl TIOCGWINSZ", format!("{terminal:?}"), errno))?;
    Ok(WindowSize { columns: size.ws_col, rows: size.ws_row })
}
