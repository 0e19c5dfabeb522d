//! Text as the kernel takes it.

use std::ffi::CString;

use crate::error::{Error, Result};

pub(super) fn c_string(field: &'static str, bytes: &[u8]) -> Result<CString> {
    CString::new(bytes).map_err(|_| Error::invalid(field, String::from_utf8_lossy(bytes), "holds a NUL byte"))
}
