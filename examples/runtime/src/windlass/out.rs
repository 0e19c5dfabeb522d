//! What verbs print.

use std::io::Write as _;

use super::failure::{Failure, warn};

/// One line on the standard output.
pub(super) fn line(text: &str) -> Result<(), Failure> {
    writeln!(std::io::stdout(), "{text}").map_err(Failure::during("print"))
}

/// Does something for each name; one that fails does not keep the others from it.
#[expect(clippy::unnecessary_wraps, reason = "it is what verbs end with")]
pub(super) fn each<T: AsRef<str>>(
    names: &[T],
    mut verb: impl FnMut(&str) -> Result<(), Failure>,
) -> Result<u8, Failure> {
    let mut code = 0;
    for name in names {
        if let Err(failure) = verb(name.as_ref()) {
            code = failure.code;
            warn(&failure);
        }
    }
    Ok(code)
}

/// Columns that are as wide as what is in them.
pub(super) fn table(head: &[&str], rows: &[Vec<String>]) -> Result<(), Failure> {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain(head.get(column).map(|cell| cell.len())).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let print = |cells: &mut dyn Iterator<Item = &str>| {
        let padded: Vec<String> = cells.zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        line(padded.join("   ").trim_end())
    };
    print(&mut head.iter().copied())?;
    rows.iter().try_for_each(|row| print(&mut row.iter().map(String::as_str)))
}
