//! `benches table`: prints every promise of `BUDGETS.toml` with what is measured now.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use benches::measure::Contest;
use benches::table::{Row, header, placed};
use benches::{budget, subject};
use clap::{Parser, Subcommand};

/// Measured promises of the windlass crates.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Measures every promise beside its baseline and prints a line each
    Table {
        /// Only this crate's lines (its folder's name)
        subject: Option<String>,
        /// One JSON object a line
        #[arg(long)]
        json: bool,
        /// Also put the table into this page, where that has a place for the crate's
        #[arg(long, requires = "subject")]
        page: Option<PathBuf>,
    },
    /// Measures lines of runtimes right here; `table` calls it where they can meet
    #[command(hide = true)]
    Measure {
        /// The folder of the runtimes' programs
        #[arg(long)]
        programs: PathBuf,
        /// The lines
        lines: Vec<String>,
    },
    /// Takes compressed layers into a store and prints the peak of its memory
    Unpack(benches::unpack::Unpack),
    /// Pulls an image into a new layout and prints the peak of its memory
    #[command(hide = true)]
    Pull(benches::transfer::Fetch),
    /// Writes an image of a layout as an archive
    #[command(hide = true)]
    Save(benches::transfer::Save),
}

fn main() -> ExitCode {
    let done = match Arguments::parse().verb {
        Verb::Table { subject, json, page } => table(subject.as_deref(), json, page.as_deref()),
        Verb::Measure { programs, lines } => subject::measure(&programs, &lines).map_err(Into::into),
        Verb::Pull(fetch) => fetch.run().map_err(|error| -> Box<dyn std::error::Error> { error }),
        Verb::Save(save) => save.run().map_err(|error| -> Box<dyn std::error::Error> { error }),
        Verb::Unpack(unpack) => unpack.run().map_err(|error| -> Box<dyn std::error::Error> { error }),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            _ = writeln!(std::io::stderr(), "benches: {error}"); // nowhere is left to say that this failed
            ExitCode::FAILURE
        }
    }
}

fn table(only: Option<&str>, json: bool, page: Option<&Path>) -> Result<(), Box<dyn std::error::Error>> {
    let budgets = budget::parse(budget::TEXT)?;
    let wanted = |subject: &str| only.is_none_or(|only| only == subject);
    if !budgets.promises.iter().any(|promise| wanted(&promise.subject)) {
        return Err(format!("no promise for the crate {:?} in benches/BUDGETS.toml", only.unwrap_or_default()).into());
    }
    let mut out = std::io::stdout().lock();
    if !json {
        writeln!(out, "{}", header())?;
    }
    let mut rows = Vec::new();
    for promise in budgets.promises.iter().filter(|promise| wanted(&promise.subject)) {
        let prepare = subject::find(&promise.subject, &promise.line)
            .ok_or_else(|| format!("{} {}: promised, but nothing measures it", promise.subject, promise.line))?;
        let row = Row::new(promise, &prepare().and_then(Contest::run));
        if json {
            writeln!(out, "{}", serde_json::to_string(&row)?)?;
        } else {
            writeln!(out, "{}", row.text())?;
        }
        rows.push(row);
    }
    if let (Some(page), Some(subject)) = (page, only) {
        let text = std::fs::read_to_string(page)?;
        let placed = placed(&text, subject, &rows);
        let placed = placed.ok_or_else(|| format!("{}: has no place for the table of {subject}", page.display()))?;
        std::fs::write(page, placed)?;
    }
    Ok(())
}
