//! The log: a line a message, as text or as the JSON objects that engines read.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::time::SystemTime;

use super::failure::{Failure, Result};
use crate::timestamp::Timestamp;

/// How a line of the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Text,
    Json,
}

/// How much a message matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    Debug,
    Info,
    Warning,
    Error,
}

/// Where messages go.
#[derive(Debug)]
pub(super) struct Log {
    /// The standard error when not given.
    file: Option<File>,
    format: Format,
    least: Level,
}

impl Log {
    /// Opens the log that the command line names.
    pub(super) fn open(path: Option<&Path>, format: Option<&str>, least: Level) -> Result<Self> {
        let format = match format {
            None | Some("text") => Format::Text,
            Some("json") => Format::Json,
            Some(other) => return Err(Failure::new(format!("invalid log-format: {other:?}"))),
        };
        let open = |path: &Path| {
            let opened = OpenOptions::new().create(true).append(true).open(path);
            opened.map_err(Failure::during(format_args!("open the log {}", path.display())))
        };
        Ok(Self { file: path.map(open).transpose()?, format, least })
    }

    /// The log when there is none yet: text on the standard error.
    pub(super) const fn standard_error() -> Self {
        Self { file: None, format: Format::Text, least: Level::Info }
    }

    /// Whether anybody asked for what is done.
    pub(super) fn tells_all(&self) -> bool {
        self.least == Level::Debug
    }

    /// What is done, for those who asked for it.
    pub(super) fn debug(&self, message: fmt::Arguments<'_>) {
        self.write(Level::Debug, message);
    }

    /// What a configuration asks for and does not get though nothing is wrong: only for those who read a log.
    pub(super) fn notice(&self, message: fmt::Arguments<'_>) {
        if self.file.is_some() {
            self.write(Level::Warning, message);
        }
    }

    /// What was asked for and is not as asked.
    pub(super) fn warn(&self, message: fmt::Arguments<'_>) {
        self.write(Level::Warning, message);
    }

    /// Why the verb failed: in the log and, as engines show it to people, on the standard error.
    pub(super) fn error(&self, message: &dyn fmt::Display) {
        self.write(Level::Error, format_args!("{message}"));
        if self.file.is_some() {
            _ = writeln!(std::io::stderr(), "{message}"); // nowhere is left to say that this failed
        }
    }

    fn write(&self, level: Level, message: fmt::Arguments<'_>) {
        if level < self.least {
            return;
        }
        let line = line(self.format, level, &Timestamp::from(SystemTime::now()), &message.to_string());
        // In one write, so that lines of processes that share the file are not mixed. Nowhere is left to say that it failed.
        _ = match &self.file {
            Some(file) => (&mut &*file).write_all(line.as_bytes()),
            None => std::io::stderr().write_all(line.as_bytes()),
        };
    }
}

fn line(format: Format, level: Level, time: &Timestamp, message: &str) -> String {
    let time = time.to_seconds();
    let level = match level {
        Level::Debug => "debug",
        Level::Info => "info",
        Level::Warning => "warning",
        Level::Error => "error",
    };
    match format {
        Format::Json => {
            let message = serde_json::Value::from(message);
            format!("{{\"level\":\"{level}\",\"msg\":{message},\"time\":\"{time}\"}}\n")
        }
        Format::Text => format!("time=\"{time}\" level={level} msg={message:?}\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_what_engines_read() {
        let time = Timestamp::from(SystemTime::UNIX_EPOCH);
        let json = line(Format::Json, Level::Error, &time, "a \"b\"\nc");
        assert_eq!(json, "{\"level\":\"error\",\"msg\":\"a \\\"b\\\"\\nc\",\"time\":\"1970-01-01T00:00:00Z\"}\n");
        let text = line(Format::Text, Level::Warning, &time, "a \"b\"\nc");
        assert_eq!(text, "time=\"1970-01-01T00:00:00Z\" level=warning msg=\"a \\\"b\\\"\\nc\"\n");
    }

    #[test]
    fn the_format_is_one_of_two() {
        assert!(Log::open(None, Some("xml"), Level::Info).is_err());
        assert!(Log::open(None, Some("json"), Level::Info).is_ok());
    }
}
