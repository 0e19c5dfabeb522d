//! One push writer for JSON and YAML.

use std::fmt::Write as _;

use crate::wire::json::Lexer;
use crate::wire::raw::Raw;
use crate::wire::scalar_yaml::{Plain, resolve};
use crate::wire::token::Kind;

/// Which fields are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Style {
    /// Those that are set, and no others.
    #[default]
    AsSet,
    /// Those that the Kubernetes API server writes: an empty `status`, but no empty texts.
    AsServed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Json,
    Yaml,
}

/// Where the next value of a YAML text goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spot {
    Root,
    AfterKey,
    AfterDash,
}

#[derive(Debug, Clone, Copy)]
struct Frame {
    empty: bool,
    /// Where it stands in YAML.
    spot: Spot,
    indent: usize,
}

/// Writes values one after the other.
#[derive(Debug)]
pub struct Writer {
    out: String,
    format: Format,
    style: Style,
    frames: Vec<Frame>,
    spot: Spot,
    /// The `apiVersion` and `kind` of the object that begins next.
    type_meta: Option<(&'static str, &'static str)>,
}

impl Writer {
    pub(crate) fn json(style: Style) -> Self {
        Self { out: String::new(), format: Format::Json, style, frames: Vec::new(), spot: Spot::Root, type_meta: None }
    }

    pub(crate) fn yaml(style: Style) -> Self {
        Self { format: Format::Yaml, ..Self::json(style) }
    }

    /// Makes the next record say that it is this.
    pub(crate) fn with_type_meta(self, names: (&'static str, &'static str)) -> Self {
        Self { type_meta: Some(names), ..self }
    }

    /// What the record that begins now says that it is, if it does not say itself.
    pub(crate) fn take_type_meta(&mut self) -> Option<(&'static str, &'static str)> {
        self.type_meta.take()
    }

    pub(crate) fn style(&self) -> Style {
        self.style
    }

    /// The text; a YAML text ends with a line break.
    pub(crate) fn finish(mut self) -> String {
        if self.format == Format::Yaml && !self.out.ends_with('\n') {
            self.out.push('\n');
        }
        self.out
    }

    fn indent(&self) -> usize {
        self.frames.last().map_or(0, |frame| frame.indent)
    }

    pub(crate) fn begin_map(&mut self) {
        let indent = match self.spot {
            Spot::Root => 0,
            Spot::AfterKey | Spot::AfterDash => self.indent() + 2,
        };
        self.begin('{', indent);
    }

    pub(crate) fn begin_list(&mut self) {
        let indent = match self.spot {
            Spot::Root => 0,
            Spot::AfterKey => self.indent(),
            Spot::AfterDash => self.indent() + 2,
        };
        self.begin('[', indent);
    }

    fn begin(&mut self, open: char, indent: usize) {
        if self.format == Format::Json {
            self.out.push(open);
        }
        self.frames.push(Frame { empty: true, spot: self.spot, indent });
    }

    pub(crate) fn end_map(&mut self) {
        self.end('}', "{}");
    }

    pub(crate) fn end_list(&mut self) {
        self.end(']', "[]");
    }

    fn end(&mut self, close: char, empty: &str) {
        let Some(frame) = self.frames.pop() else { return };
        match self.format {
            Format::Json => self.out.push(close),
            Format::Yaml if frame.empty => {
                self.spot = frame.spot;
                self.scalar(empty);
            }
            Format::Yaml => {}
        }
    }

    /// Begins a line of the current YAML map or list, or a comma-separated entry of JSON.
    fn entry(&mut self) {
        let Some(frame) = self.frames.last_mut() else { return };
        let first = std::mem::replace(&mut frame.empty, false);
        let Frame { spot, indent, .. } = *frame;
        match self.format {
            Format::Json if !first => self.out.push(','),
            Format::Json => {}
            // The first entry after a dash stands behind it, the first of all at the start.
            Format::Yaml if first && spot != Spot::AfterKey => {}
            Format::Yaml => {
                if !self.out.ends_with('\n') {
                    self.out.push('\n');
                }
                self.out.extend(std::iter::repeat_n(' ', indent));
            }
        }
    }

    pub(crate) fn key(&mut self, key: &str) {
        self.entry();
        match self.format {
            Format::Json => push_json_string(&mut self.out, key),
            Format::Yaml => push_yaml_string(&mut self.out, key),
        }
        self.out.push(':');
        self.spot = Spot::AfterKey;
    }

    /// Begins the next element of a list.
    pub(crate) fn item(&mut self) {
        self.entry();
        if self.format == Format::Yaml {
            self.out.push_str("- ");
        }
        self.spot = Spot::AfterDash;
    }

    fn scalar(&mut self, text: &str) {
        if self.format == Format::Yaml && self.spot == Spot::AfterKey {
            self.out.push(' ');
        }
        self.out.push_str(text);
    }

    /// Writes a number, a boolean or null.
    pub(crate) fn literal(&mut self, text: &str) {
        self.scalar(text);
    }

    pub(crate) fn string(&mut self, text: &str) {
        self.scalar("");
        match self.format {
            Format::Json => push_json_string(&mut self.out, text),
            Format::Yaml if is_block(text) => self.block(text),
            Format::Yaml => push_yaml_string(&mut self.out, text),
        }
    }

    /// A text of several lines, as a literal block.
    fn block(&mut self, text: &str) {
        let indent = match self.spot {
            Spot::Root => 2,
            Spot::AfterKey | Spot::AfterDash => self.indent() + 2,
        };
        let body = text.trim_end_matches('\n');
        let chomping = match text.len() - body.len() {
            0 => "|-",
            1 => "|",
            _ => "|+",
        };
        self.out.push_str(chomping);
        for line in text.strip_suffix('\n').unwrap_or(text).split('\n') {
            self.out.push('\n');
            if !line.is_empty() {
                self.out.extend(std::iter::repeat_n(' ', indent));
                self.out.push_str(line);
            }
        }
        if chomping == "|+" {
            self.out.push('\n');
        }
    }

    /// Writes a value that was kept as JSON.
    pub(crate) fn raw(&mut self, value: &Raw) {
        if self.format == Format::Json {
            self.out.push_str(value.json());
            return;
        }
        let mut lexer = Lexer::new(value.json());
        let mut open: Vec<bool> = Vec::new();
        let complete = self.raw_values(&mut lexer, &mut open);
        debug_assert!(complete.is_ok(), "kept values are JSON: {complete:?}");
    }

    fn raw_values(&mut self, lexer: &mut Lexer<'_>, open: &mut Vec<bool>) -> crate::error::Result<()> {
        loop {
            match lexer.peek()? {
                Kind::Null => {
                    lexer.null()?;
                    self.literal("null");
                }
                Kind::Bool => {
                    let value = lexer.bool()?;
                    self.literal(if value { "true" } else { "false" });
                }
                Kind::Number => {
                    let text = lexer.number()?;
                    self.literal(text);
                }
                Kind::String => {
                    let text = lexer.text()?;
                    self.string(&text);
                }
                Kind::Map => {
                    lexer.enter();
                    self.begin_map();
                    open.push(true);
                }
                Kind::List => {
                    lexer.enter();
                    self.begin_list();
                    open.push(false);
                }
            }
            loop {
                match open.last() {
                    None => return Ok(()),
                    Some(true) => match lexer.next_key()? {
                        Some(key) => {
                            self.key(&key);
                            break;
                        }
                        None => self.end_map(),
                    },
                    Some(false) => {
                        if lexer.next_item()? {
                            self.item();
                            break;
                        }
                        self.end_list();
                    }
                }
                open.pop();
            }
        }
    }
}

/// Adds a JSON string.
pub(crate) fn push_json_string(out: &mut String, text: &str) {
    out.push('"');
    let mut plain = 0;
    for (at, byte) in text.bytes().enumerate() {
        let escape = match byte {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            b'\n' => "\\n",
            b'\r' => "\\r",
            b'\t' => "\\t",
            0..=0x1f | 0x7f => "",
            _ => continue,
        };
        out.push_str(&text[plain..at]);
        plain = at + 1;
        if escape.is_empty() {
            // Writing to a string cannot fail.
            let _ = write!(out, "\\u{byte:04x}");
        } else {
            out.push_str(escape);
        }
    }
    out.push_str(&text[plain..]);
    out.push('"');
}

/// Adds a YAML scalar that reads back as this text.
fn push_yaml_string(out: &mut String, text: &str) {
    if is_plain(text) { out.push_str(text) } else { push_yaml_quoted(out, text) }
}

fn is_plain(text: &str) -> bool {
    let mut bytes = text.bytes();
    let good_start =
        bytes.next().is_some_and(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'_' | b'.'));
    let good_rest = bytes.all(|byte| byte.is_ascii_alphanumeric() || b" _./-+:@=,()<>$%^;~?!*&#|".contains(&byte));
    good_start
        && good_rest
        && !text.ends_with([' ', ':'])
        && !text.contains(": ")
        && !text.contains(" #")
        && resolve(text) == Plain::String
        && !looks_like_a_date(text)
}

/// Other readers take these for timestamps or base 60 numbers.
fn looks_like_a_date(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_digit())
        && text.bytes().all(|byte| byte.is_ascii_digit() || b":-TZ.+ ".contains(&byte))
}

/// Double quotes with the escapes of JSON, and of the characters that YAML does not print.
fn push_yaml_quoted(out: &mut String, text: &str) {
    let special =
        |c: char| matches!(c, '\u{80}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}');
    let mut quoted = String::new();
    push_json_string(&mut quoted, text);
    for c in quoted.chars() {
        if special(c) {
            // Writing to a string cannot fail.
            let _ = write!(out, "\\u{:04x}", u32::from(c));
        } else {
            out.push(c);
        }
    }
}

/// The text has lines that a literal block carries unchanged.
fn is_block(text: &str) -> bool {
    text.contains('\n')
        && !text.starts_with([' ', '\n', '\t'])
        && text.chars().all(|c| {
            c == '\n'
                || c == '\t'
                || (!c.is_control() && !matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}'))
        })
        && text.lines().all(|line| !line.ends_with([' ', '\t']))
}
