//! What `--help` prints.

use std::fmt::Write as _;

use super::{Flag, GLOBAL, VERBS, Verb};

/// The help of a verb, or of the tool.
pub(in crate::oci) fn help(verb: Option<&Verb>) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    _ = match verb {
        Some(verb) => writeln!(
            text,
            "{}\n\nUsage: windlass-oci [global options] {} [options] {}\n",
            verb.about, verb.name, verb.arguments
        ),
        None => writeln!(
            text,
            "Runs containers as the OCI runtime specification says\n\nUsage: windlass-oci [global options] <verb> [options] \
             [arguments]\n"
        ),
    };
    if verb.is_none() {
        text.push_str("Verbs:\n");
        for verb in VERBS {
            _ = writeln!(text, "  {:<12} {}", verb.name, verb.about);
        }
        text.push('\n');
    }
    text.push_str(if verb.is_some() { "Options:\n" } else { "Global options:\n" });
    for flag in verb.map_or(GLOBAL, |verb| verb.flags) {
        _ = writeln!(text, "  {:<34} {}", names(flag), flag.help);
    }
    text
}

fn names(flag: &Flag) -> String {
    let short = flag.short.map(|letter| format!(", -{letter}")).unwrap_or_default();
    let value = flag.value.map(|value| format!(" {value}")).unwrap_or_default();
    format!("--{}{short}{value}", flag.long)
}
