//! Prints everything that is wrong with manifests, with line and column.
//!
//! ```sh
//! cargo run -p windlass-pod --example lint -- manifest.yaml
//! ```
//!
//! The exit code is 0 when all is well, 1 when something is not, and 2 when a file cannot be read.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program prints")]

use std::process::ExitCode;

use windlass_pod::{Decoded, Decoder, defaults, validate};

fn main() -> ExitCode {
    let files: Vec<String> = std::env::args().skip(1).collect();
    if files.is_empty() {
        eprintln!("usage: lint FILE...");
        return ExitCode::from(2);
    }
    let mut faults = 0;
    for file in &files {
        let text = match std::fs::read(file) {
            Ok(text) => text,
            Err(error) => {
                eprintln!("{file}: {error}");
                return ExitCode::from(2);
            }
        };
        for line in lint(&text) {
            println!("{file}:{line}");
            faults += 1;
        }
    }
    if faults == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What is wrong with the objects of one file, a line each.
fn lint(text: &[u8]) -> Vec<String> {
    match Decoder::default().yaml(text) {
        Ok(objects) => objects.into_iter().flat_map(lint_object).collect(),
        // The text of the error begins with the place, where there is one.
        Err(error) => vec![error.to_string()],
    }
}

fn lint_object(decoded: Decoded) -> Vec<String> {
    let Decoded { mut object, problems, places, .. } = decoded;
    if object.metadata().namespace.is_none() && windlass_pod::is_namespaced(object.kind()) {
        // As `kubectl apply` does without a namespace of its own.
        object.metadata_mut().namespace = Some("default".to_owned());
    }
    defaults::apply(&mut object);
    let mut lines: Vec<_> = problems.iter().map(|problem| (problem.position, problem.to_string())).collect();
    for violation in validate(&object) {
        lines.push((places.find(&violation.path).unwrap_or_default(), violation.to_string()));
    }
    lines.sort();
    lines.into_iter().map(|(position, text)| format!("{position}: {text}")).collect()
}
