//! Tables as `kubectl get` prints them.
//!
//! ```
//! use windlass_pod::{Time, decode_yaml, table};
//!
//! let text = b"{apiVersion: v1, kind: Namespace, metadata: {name: a}, status: {phase: Active}}";
//! let objects = decode_yaml(text).unwrap();
//! let text = table::print(&objects, Time::from_unix_seconds(0), table::Width::Narrow);
//! assert_eq!(text, "NAME   STATUS   AGE\na      Active   <unknown>\n");
//! ```
//!
//! Source: `pkg/printers/internalversion`.

mod age;
mod pod;
mod rows;
mod service;
mod storage;
mod workload;

use std::fmt;

use crate::object::Object;
use crate::wire::time::Time;

pub use age::human_duration;

/// What stands where there is nothing.
const NONE: &str = "<none>";
const UNKNOWN: &str = "<unknown>";

/// The types of cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnType {
    /// A text.
    String,
    /// A whole number.
    Integer,
}

impl ColumnType {
    /// Its name in a table of Kubernetes.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Integer => "integer",
        }
    }
}

/// A column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// What stands above it.
    pub name: &'static str,
    /// What its cells are.
    pub kind: ColumnType,
    /// 0 for one that is always shown, 1 for one of the wide table.
    pub priority: u8,
}

impl Column {
    /// `name` for the column of names, and empty otherwise.
    pub fn format(&self) -> &'static str {
        if self.name == "Name" { "name" } else { "" }
    }
}

/// A cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cell {
    /// A text.
    Text(String),
    /// A number.
    Number(i64),
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Number(number) => write!(f, "{number}"),
        }
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<i32> for Cell {
    fn from(number: i32) -> Self {
        Self::Number(number.into())
    }
}

impl From<usize> for Cell {
    fn from(number: usize) -> Self {
        Self::Number(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

/// What a row says besides its cells: that the pod has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowCondition {
    /// `Completed`
    pub kind: &'static str,
    /// How it ended.
    pub reason: &'static str,
    /// In words.
    pub message: &'static str,
}

/// One object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// One for each column.
    pub cells: Vec<Cell>,
    /// What is said besides.
    pub conditions: Vec<RowCondition>,
}

const fn text(name: &'static str) -> Column {
    Column { name, kind: ColumnType::String, priority: 0 }
}

const fn number(name: &'static str) -> Column {
    Column { name, kind: ColumnType::Integer, priority: 0 }
}

const fn wide(name: &'static str) -> Column {
    Column { name, kind: ColumnType::String, priority: 1 }
}

/// The columns of a kind's table, those of the wide one included.
pub fn columns(object: &Object) -> &'static [Column] {
    rows::columns(object)
}

/// The object's row, with a cell for each column.
pub fn row(object: &Object, now: Time) -> Row {
    rows::row(object, now)
}

/// How many columns a printed table has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Width {
    /// As `kubectl get` shows it.
    Narrow,
    /// As `kubectl get -o wide` shows it.
    Wide,
}

/// Prints objects, the kinds one below the other.
#[must_use]
pub fn print(objects: &[Object], now: Time, width: Width) -> String {
    let mut out = String::new();
    for group in objects.chunk_by(|a, b| a.kind() == b.kind()) {
        let columns = columns(&group[0]);
        let shown = |index: &usize| width == Width::Wide || columns[*index].priority == 0;
        let indices: Vec<usize> = (0..columns.len()).filter(shown).collect();
        let mut lines = vec![indices.iter().map(|index| columns[*index].name.to_uppercase()).collect::<Vec<_>>()];
        for object in group {
            let cells = row(object, now).cells;
            lines.push(indices.iter().map(|index| cells[*index].to_string()).collect());
        }
        out.push_str(&aligned(&lines));
    }
    out
}

fn aligned(lines: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = Vec::new();
    for line in lines {
        widths.resize(widths.len().max(line.len()), 0);
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut out = String::new();
    for line in lines {
        for (index, cell) in line.iter().enumerate() {
            out.push_str(cell);
            if index + 1 < line.len() {
                let gap = widths[index] + 3 - cell.chars().count();
                out.extend(std::iter::repeat_n(' ', gap));
            }
        }
        out.push('\n');
    }
    out
}
