//! `state` and `list`: what containers are doing.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::container;
use super::failure::{Failure, Result};
use super::log::Log;
use super::state::State;
use super::store::{Place, Store};

/// How a list is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Table,
    Json,
    Ids,
}

impl Form {
    /// The form that `--format` names.
    pub(super) fn parse(text: Option<&str>) -> Result<Self> {
        match text {
            None | Some("table") => Ok(Self::Table),
            Some("json") => Ok(Self::Json),
            Some(other) => Err(Failure::new(format!("invalid format option {other:?}"))),
        }
    }
}

/// The state of a container as JSON.
pub(super) fn state(store: &Store, id: &str) -> Result<String> {
    let place = store.open(id)?;
    // Its creator has not come to write anything: the place may be gone in a moment, too.
    let state = place.read()?.ok_or_else(|| Failure::new(format!("container {id:?} is still being created")))?;
    let report = state.report(container::status(&place, &state)?, String::new());
    let mut text = serde_json::to_string_pretty(&report).map_err(Failure::during("encode the state"))?;
    text.push('\n');
    Ok(text)
}

/// Every container.
pub(super) fn list(store: &Store, log: &Log, form: Form) -> Result<String> {
    let ids = store.all()?;
    if form == Form::Ids {
        return Ok(ids.iter().flat_map(|id| [id.as_str(), "\n"]).collect());
    }
    let mut found: Vec<(Place, State)> = Vec::new();
    for id in ids {
        // One that cannot be read must not hide the others.
        match store.find(&id).map(|place| place.map(|place| (place.read(), place))) {
            Ok(Some((Ok(Some(state)), place))) => found.push((place, state)),
            Ok(None | Some((Ok(None), _))) => {}
            Ok(Some((Err(error), _))) | Err(error) => log.warn(format_args!("{error}")),
        }
    }
    let names = names_of_users();
    let owner = |state: &State| names.get(&state.owner).cloned().unwrap_or_else(|| format!("#{}", state.owner));
    let mut reports = Vec::new();
    for (place, state) in &found {
        reports.push(state.report(container::status(place, state)?, owner(state)));
    }
    if form == Form::Json {
        let text = serde_json::to_string(&reports).map_err(Failure::during("encode the list"))?;
        return Ok(format!("{text}\n"));
    }
    let row = |report: &super::state::Report<'_>| {
        let (pid, status) = (report.pid.to_string(), report.status.to_string());
        [
            report.id.to_owned(),
            pid,
            status,
            report.bundle.display().to_string(),
            report.created.to_owned(),
            report.owner.clone(),
        ]
    };
    Ok(table(&reports.iter().map(row).collect::<Vec<_>>()))
}

fn table(rows: &[[String; 6]]) -> String {
    let head = ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"];
    let mut widths = head.map(str::len);
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.len());
        }
    }
    let mut text = String::new();
    let mut line = |cells: [&str; 6]| {
        for (cell, width) in cells[..5].iter().zip(widths) {
            _ = write!(text, "{cell:<width$}   "); // to a string
        }
        text.push_str(cells[5]);
        text.push('\n');
    };
    line(head);
    for row in rows {
        line(std::array::from_fn(|place| row[place].as_str()));
    }
    text
}

/// Names of the machine's users; a number without one stands for itself.
fn names_of_users() -> BTreeMap<u32, String> {
    let text = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let entry = |line: &str| {
        let mut fields = line.split(':');
        let name = fields.next()?.to_owned();
        Some((fields.nth(1)?.parse().ok()?, name))
    };
    text.lines().filter_map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let row = ["a-long-name", "7", "running", "/b", "2026", "root"].map(str::to_owned);
        assert_eq!(
            table(&[row]),
            "ID            PID   STATUS    BUNDLE   CREATED   OWNER\n\
             a-long-name   7     running   /b       2026      root\n"
        );
    }
}
