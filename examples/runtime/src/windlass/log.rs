//! The log of a container: one JSON object a line, in the form of Docker's `json-file`.
//!
//! `{"log":"TEXT\n","stream":"stdout","time":"2026-01-31T12:00:00.123456789Z"}`. What is no UTF-8 becomes U+FFFD. A line
//! longer than 16 KiB is written in parts, of which only the last ends with `\n`. `log.json` is the newest file; when it
//! has reached its size it becomes `log.json.1`, and that `log.json.2`, as many as are kept.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::clock::Time;
use super::record::LogLimits;

/// The newest file of a container's log.
pub(super) const FILE: &str = "log.json";
/// Bytes of a line that are kept until it ends.
const LINE_MAX: usize = 16 << 10;

/// Which of the container's outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Stream {
    Stdout,
    Stderr,
}

/// One line of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Line {
    #[serde(rename = "log")]
    pub(super) text: String,
    pub(super) stream: Stream,
    pub(super) time: Time,
}

/// Writes the log.
#[derive(Debug)]
pub(super) struct Writer {
    path: PathBuf,
    file: File,
    bytes: u64,
    limits: LogLimits,
    /// What came after the last end of line, by stream.
    partial: [Vec<u8>; 2],
}

impl Writer {
    pub(super) fn open(folder: &Path, limits: LogLimits) -> io::Result<Self> {
        let path = folder.join(FILE);
        let file = append_to(&path)?;
        let bytes = file.metadata()?.len();
        Ok(Self { path, file, bytes, limits, partial: [Vec::new(), Vec::new()] })
    }

    /// Takes what the container wrote; whole lines are in the file afterwards.
    pub(super) fn take(&mut self, stream: Stream, bytes: &[u8]) -> io::Result<()> {
        let mut waiting = std::mem::take(&mut self.partial[stream as usize]);
        waiting.extend_from_slice(bytes);
        let time = Time::now();
        let mut rest = &waiting[..];
        loop {
            let end = rest.iter().position(|byte| *byte == b'\n').map(|at| at + 1);
            let end = match end {
                Some(end) if end <= LINE_MAX => end,
                _ if rest.len() >= LINE_MAX => cut(rest, LINE_MAX),
                _ => break,
            };
            self.write(stream, &rest[..end], time)?;
            rest = &rest[end..];
        }
        self.partial[stream as usize] = rest.to_vec();
        Ok(())
    }

    /// Writes what has no end of line: none will come.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        for stream in [Stream::Stdout, Stream::Stderr] {
            let rest = std::mem::take(&mut self.partial[stream as usize]);
            if !rest.is_empty() {
                self.write(stream, &rest, Time::now())?;
            }
        }
        Ok(())
    }

    fn write(&mut self, stream: Stream, text: &[u8], time: Time) -> io::Result<()> {
        let line = Line { text: String::from_utf8_lossy(text).into_owned(), stream, time };
        let mut bytes = serde_json::to_vec(&line)?;
        bytes.push(b'\n');
        let length = bytes.len() as u64;
        if self.bytes > 0 && self.bytes + length > self.limits.bytes_max {
            self.rotate()?;
        }
        self.file.write_all(&bytes)?;
        self.bytes += length;
        Ok(())
    }

    fn rotate(&mut self) -> io::Result<()> {
        for number in (1..self.limits.files_max).rev() {
            let from = if number == 1 { self.path.clone() } else { numbered(&self.path, number - 1) };
            match fs::rename(from, numbered(&self.path, number)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        if self.limits.files_max <= 1 {
            fs::remove_file(&self.path)?;
        }
        self.file = append_to(&self.path)?;
        self.bytes = 0;
        Ok(())
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

fn numbered(path: &Path, number: u32) -> PathBuf {
    path.with_extension(format!("json.{number}"))
}

/// The longest part of at most `length` bytes that does not cut a character.
fn cut(bytes: &[u8], length: usize) -> usize {
    let starts = |byte: u8| byte & 0b1100_0000 != 0b1000_0000;
    (length - 3..=length).rev().find(|at| bytes.get(*at).is_none_or(|byte| starts(*byte))).unwrap_or(length)
}

/// Reads a log from its oldest file on, and what is added to it.
#[derive(Debug)]
pub(super) struct Reader {
    path: PathBuf,
    /// Files not read yet, the oldest last.
    ahead: Vec<PathBuf>,
    current: Option<BufReader<File>>,
    partial: Vec<u8>,
}

impl Reader {
    pub(super) fn open(folder: &Path) -> Self {
        let path = folder.join(FILE);
        let older = (1..).map(|number| numbered(&path, number)).take_while(|path| path.exists());
        let ahead = std::iter::once(path.clone()).chain(older).collect();
        Self { path, ahead, current: None, partial: Vec::new() }
    }

    /// The next whole line; `None` when there is none yet.
    pub(super) fn next_line(&mut self) -> io::Result<Option<Line>> {
        loop {
            if self.current.is_none() && !self.open_next()? {
                return Ok(None);
            }
            let Some(file) = &mut self.current else { return Ok(None) };
            file.read_until(b'\n', &mut self.partial)?;
            if self.partial.ends_with(b"\n") {
                let line = serde_json::from_slice(&self.partial);
                self.partial.clear();
                // A line that a full disk cut is passed over.
                if let Ok(line) = line {
                    return Ok(Some(line));
                }
            } else if self.ahead.is_empty() && !self.is_rotated()? {
                return Ok(None);
            } else {
                self.partial.clear();
                self.current = None;
            }
        }
    }

    fn open_next(&mut self) -> io::Result<bool> {
        let path = self.ahead.pop().unwrap_or_else(|| self.path.clone());
        match File::open(path) {
            Ok(file) => self.current = Some(BufReader::new(file)),
            // Rotated out of existence while the others were read.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(!self.ahead.is_empty()),
            Err(error) => return Err(error),
        }
        Ok(true)
    }

    /// Whether the file that is read is not the newest any more.
    fn is_rotated(&self) -> io::Result<bool> {
        let Some(current) = &self.current else { return Ok(false) };
        match fs::metadata(&self.path) {
            Ok(newest) => Ok(newest.ino() != current.get_ref().metadata()?.ino()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(folder: &Path) -> Vec<Line> {
        let mut reader = Reader::open(folder);
        std::iter::from_fn(|| reader.next_line().unwrap()).collect()
    }

    #[test]
    fn lines_come_back_whole() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = Writer::open(folder.path(), LogLimits::default()).unwrap();
        writer.take(Stream::Stdout, b"one\ntw").unwrap();
        writer.take(Stream::Stderr, b"\xff err\n").unwrap();
        writer.take(Stream::Stdout, b"o\n\nrest").unwrap();
        let texts = |lines: Vec<Line>| lines.into_iter().map(|line| (line.text, line.stream)).collect::<Vec<_>>();
        let mut expected: Vec<(String, Stream)> = [
            ("one\n", Stream::Stdout),
            ("\u{fffd} err\n", Stream::Stderr),
            ("two\n", Stream::Stdout),
            ("\n", Stream::Stdout),
        ]
        .map(|(text, stream)| (text.to_owned(), stream))
        .into();
        assert_eq!(texts(lines(folder.path())), expected);
        writer.finish().unwrap();
        expected.push(("rest".to_owned(), Stream::Stdout));
        assert_eq!(texts(lines(folder.path())), expected);
    }

    #[test]
    fn a_long_line_is_cut_between_characters() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = Writer::open(folder.path(), LogLimits::default()).unwrap();
        let long = format!("x{}\n", "ä".repeat(LINE_MAX));
        writer.take(Stream::Stdout, long.as_bytes()).unwrap();
        let found = lines(folder.path());
        assert_eq!(found.len(), 3);
        assert_eq!(found.into_iter().map(|line| line.text).collect::<String>(), long);
    }

    #[test]
    fn files_are_rotated_and_the_oldest_goes() {
        let folder = tempfile::tempdir().unwrap();
        let limits = LogLimits { bytes_max: 100, files_max: 3 };
        let mut writer = Writer::open(folder.path(), limits).unwrap();
        let mut reader = Reader::open(folder.path());
        let mut followed = Vec::new();
        for number in 0..10 {
            writer.take(Stream::Stdout, format!("{number}\n").as_bytes()).unwrap();
            while let Some(line) = reader.next_line().unwrap() {
                followed.push(line.text.trim().parse::<u32>().unwrap());
            }
        }
        assert_eq!(followed, (0..10).collect::<Vec<_>>());
        let kept: Vec<String> = lines(folder.path()).into_iter().map(|line| line.text).collect();
        assert_eq!(kept, ["7\n", "8\n", "9\n"]);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);
    }
}
