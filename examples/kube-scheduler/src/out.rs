//! What the program says: decisions on standard output, what went wrong on standard error.

use std::error::Error;
use std::io::Write as _;

use serde_json::{Value, json};
use windlass_scheduler_core::Decision;

/// Says what is decided.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Out {
    json: bool,
}

impl Out {
    pub(crate) fn new(json: bool) -> Self {
        Self { json }
    }

    pub(crate) fn decision(self, decision: &Decision) {
        let line = if self.json { document(decision).to_string() } else { sentence(decision) };
        // Nobody reads on: scheduling goes on.
        drop(writeln!(std::io::stdout(), "{line}"));
    }
}

/// Says what went wrong.
pub(crate) fn notice(what: &str) {
    // As above.
    drop(writeln!(std::io::stderr(), "kube-scheduler: {what}"));
}

/// An error with its causes, each once: some of them say their own cause too.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut said = words(error);
    let mut cause = error.source();
    while let Some(error) = cause {
        let words = words(error);
        if !said.contains(&words) {
            said = format!("{said}: {words}");
        }
        cause = error.source();
    }
    said
}

/// What a server refused is said in its words; `kube` adds all of its answer's fields.
fn words(error: &(dyn Error + 'static)) -> String {
    match error.downcast_ref() {
        Some(kube::Error::Api(status)) => format!("{} ({} {})", status.message, status.code, status.reason),
        _ => error.to_string(),
    }
}

fn sentence(decision: &Decision) -> String {
    match decision {
        Decision::Bind { pod, node, score, .. } => format!("{pod} goes to {node} (score {score})"),
        Decision::Preempt { pod, node, victims } => {
            let victims: Vec<String> = victims.iter().map(ToString::to_string).collect();
            format!("{pod} goes to {node} when {} left", victims.join(", "))
        }
        Decision::Unschedulable { pod, report } => format!("{pod} fits nowhere: {report}"),
        other => format!("{other:?}"),
    }
}

fn document(decision: &Decision) -> Value {
    match decision {
        Decision::Bind { pod, node, score, .. } => {
            json!({"decision": "bind", "pod": pod.to_string(), "uid": pod.uid(), "node": **node, "score": score})
        }
        Decision::Preempt { pod, node, victims } => {
            let victims: Vec<String> = victims.iter().map(ToString::to_string).collect();
            json!({"decision": "preempt", "pod": pod.to_string(), "uid": pod.uid(), "node": **node, "victims": victims})
        }
        Decision::Unschedulable { pod, report } => {
            let message = report.to_string();
            json!({"decision": "unschedulable", "pod": pod.to_string(), "uid": pod.uid(), "message": message})
        }
        other => json!({"decision": format!("{other:?}")}),
    }
}
