//! `ps`: the processes of a container.

use std::ffi::OsString;
use std::process::Command;

use super::failure::{Failure, Result};
use super::query::Form;
use super::store::Store;
use super::{container, group};

/// The processes of a container: their numbers as JSON, or what the program `ps` prints of them.
pub(super) fn ps(store: &Store, id: &str, form: Form, options: &[OsString]) -> Result<String> {
    let place = store.open(id)?;
    let state = container::read(&place)?;
    let group = group::open(place.id(), state.group.as_ref())?;
    let pids = group.tree_pids().map_err(Failure::during("list the processes"))?;
    if form == Form::Json {
        let text = serde_json::to_string(&pids).map_err(Failure::during("encode the numbers"))?;
        return Ok(format!("{text}\n"));
    }
    let mut command = Command::new("ps");
    if options.is_empty() {
        command.arg("-ef");
    } else {
        command.args(options);
    }
    let output = command.output().map_err(Failure::during("run ps"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(Failure::new(format!("ps: {}: {}", output.status, said.trim())));
    }
    select(&String::from_utf8_lossy(&output.stdout), &pids)
}

/// The head of a table, and its rows about these processes.
fn select(table: &str, pids: &[i32]) -> Result<String> {
    let head = table.lines().next().unwrap_or_default();
    let column = head.split_ascii_whitespace().position(|title| title == "PID");
    let column = column.ok_or_else(|| Failure::new("couldn't find PID field in ps output"))?;
    let is_one = |row: &&str| {
        let cell = row.split_ascii_whitespace().nth(column).and_then(|cell| cell.parse().ok());
        cell.is_some_and(|pid| pids.contains(&pid))
    };
    let rows = std::iter::once(head).chain(table.lines().skip(1).filter(is_one));
    Ok(rows.flat_map(|row| [row, "\n"]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_chosen_by_their_number() {
        let table = "UID   PID  PPID CMD\nroot    1     0 7 init\nroot    7     1 sh\n";
        assert_eq!(select(table, &[7, 9]).unwrap(), "UID   PID  PPID CMD\nroot    7     1 sh\n");
        assert!(select("CMD\nsh\n", &[1]).is_err());
    }
}
