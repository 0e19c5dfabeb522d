//! The same lines under criterion, for distributions and comparisons with an earlier run.

use std::hint::black_box;

use criterion::Criterion;

use crate::measure::{Baseline, Contest, Run};
use crate::subject;

/// Runs the lines of one crate under criterion, with the command line of `cargo bench`.
pub fn run(crate_name: &str) {
    let mut criterion = Criterion::default().configure_from_args();
    for (_, line, prepare) in subject::LINES.iter().filter(|(subject, _, _)| *subject == crate_name) {
        match prepare() {
            Ok(contest) => compare(&mut criterion, &format!("{crate_name}/{line}"), contest),
            // criterion has no notion of a skip: the line is shown as one that measures nothing.
            Err(skipped) => _ = criterion.benchmark_group(format!("{crate_name}/{line} skipped: {}", skipped.0)),
        }
    }
    criterion.final_summary();
}

fn compare(criterion: &mut Criterion, name: &str, contest: Contest) {
    // There is no call left to time; the table has the figures.
    if let Baseline::Held(_) = contest.baseline {
        return;
    }
    let mut group = criterion.benchmark_group(name);
    let mut measure = |side: &str, mut run: Run| {
        group.bench_function(side, |bencher| bencher.iter(|| black_box(run()).expect("it ran when it was prepared")));
    };
    measure("windlass", contest.subject);
    if let Baseline::Run(baseline) = contest.baseline {
        measure("baseline", baseline);
    }
    group.finish();
}
