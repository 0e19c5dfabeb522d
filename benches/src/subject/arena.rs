//! Where runtimes meet: a mount namespace in which they all run, or a virtual machine with cgroup v2.
//!
//! crun refuses a machine with both versions of control groups, so on one it meets the others where the second is
//! unmounted, in a mount namespace that ends with the measurement.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use serde_json::{Value, json};

use super::runtime::{self, Duel};
use crate::measure::{Baseline, Contest, Sample, Skipped};

/// Before each line that carries a result.
const MARK: &str = "measured: ";

/// The folder of the programs under measurement, which are built first.
fn programs() -> Result<&'static Path, Skipped> {
    static BUILT: OnceLock<Result<PathBuf, Skipped>> = OnceLock::new();
    let built = BUILT.get_or_init(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut build = Command::new(cargo);
        build.args(["build", "--quiet", "--release", "--bins", "-p", "runtime", "-p", "benches"]).current_dir(&root);
        let status = build.status().map_err(Skipped::because("cargo"))?;
        if !status.success() {
            return Err(Skipped("the runtimes do not build".to_owned()));
        }
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
        target.join("release").canonicalize().map_err(Skipped::because("target/release"))
    });
    built.as_deref().map_err(Clone::clone)
}

/// Measures lines in this process, with the programs of this folder, and prints a marked line each.
///
/// # Errors
/// Standard output cannot be written.
pub fn measure(programs: &Path, lines: &[String]) -> std::io::Result<()> {
    use std::io::Write as _;
    for line in lines {
        let sample = runtime::prepare(line, programs).and_then(Duel::run);
        let result = match sample {
            Ok(sample) => json!({"line": line, "value": sample.value, "baseline": sample.baseline}),
            Err(skipped) => json!({"line": line, "skipped": skipped.0}),
        };
        writeln!(std::io::stdout(), "{MARK}{result}")?;
    }
    Ok(())
}

/// The results of marked lines.
fn results(output: &Output) -> BTreeMap<String, Result<Sample, Skipped>> {
    let text = String::from_utf8_lossy(&output.stdout);
    let result = |line: &str| {
        let value: Value = serde_json::from_str(line.split_once(MARK)?.1).ok()?;
        let sample = match (value["value"].as_f64(), value["baseline"].as_f64()) {
            (Some(value), Some(baseline)) => Ok(Sample { value, baseline }),
            _ => Err(Skipped(value["skipped"].as_str().unwrap_or("no figure").to_owned())),
        };
        Some((value["line"].as_str()?.to_owned(), sample))
    };
    text.lines().filter_map(result).collect()
}

/// A contest that was held already.
fn held(sample: Sample) -> Contest {
    Contest { calls: 1, rounds: 1, subject: Box::new(|| Ok(())), baseline: Baseline::Held(sample) }
}

fn verdict(line: &str, output: &Output) -> Result<Contest, Skipped> {
    results(output).remove(line).unwrap_or_else(|| Err(lost(output))).map(held)
}

fn lost(output: &Output) -> Skipped {
    let words = String::from_utf8_lossy(&output.stderr);
    Skipped(format!("no result, {}: {}", output.status, words.lines().last().unwrap_or_default()))
}

/// A line measured on this machine, in a mount namespace of its own.
pub(super) fn here(line: &str) -> Result<Contest, Skipped> {
    let programs = programs()?;
    let script = "umount /sys/fs/cgroup/unified 2>/dev/null; exec \"$@\"";
    let output = Command::new("unshare")
        .args(["--mount", "--propagation", "private", "sh", "-c", script, "arena"])
        .arg(programs.join("benches"))
        .args(["measure", "--programs"])
        .arg(programs)
        .arg(line)
        .stdin(Stdio::null())
        .output()
        .map_err(Skipped::because("unshare"))?;
    verdict(line, &output)
}

/// A line measured in the virtual machine, which is started once for all of them.
pub(super) fn guest(line: &str) -> Result<Contest, Skipped> {
    static OUTPUT: OnceLock<Result<Output, Skipped>> = OnceLock::new();
    let output = OUTPUT.get_or_init(|| {
        let programs = programs()?;
        let mut machine = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("../.ci/vm"));
        // One processor: emulated ones trip over code that another of them patches, which every device program makes.
        machine.args(["--timeout", "500", "--cpus", "1"]);
        for name in ["windlass-oci", "floor"] {
            machine.arg("--stage").arg(programs.join(name));
        }
        machine.args(["--stage", runtime::CRUN, "--stage", "/usr/bin/timeout"]).arg(programs.join("benches"));
        machine.args(["--", "measure", "--programs"]).arg(programs).args(runtime::IN_GUEST);
        machine.stdin(Stdio::null()).output().map_err(Skipped::because(".ci/vm"))
    });
    verdict(line, output.as_ref().map_err(Clone::clone)?)
}
