//! One test with its needs, and the harness that runs a list of them.

use std::io::Write as _;
use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};

/// What a test needs; `Err` holds the reason why this machine or user lacks it.
pub type Need = Box<dyn Fn() -> Result<(), String>>;

/// One behaviour to try on the real kernel.
pub struct Test {
    name: &'static str,
    needs: Vec<Need>,
    body: Box<dyn FnOnce() + Send>,
}

impl std::fmt::Debug for Test {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Test").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Test {
    /// A test that fails by panicking.
    pub fn new(name: &'static str, body: impl FnOnce() + Send + 'static) -> Self {
        Self { name, needs: Vec::new(), body: Box::new(body) }
    }

    /// Adds a need; the first one that is missing skips the test.
    #[must_use]
    pub fn needs(mut self, need: impl Fn() -> Result<(), String> + 'static) -> Self {
        self.needs.push(Box::new(need));
        self
    }

    fn into_trial(self) -> Trial {
        match self.needs.iter().find_map(|need| need().err()) {
            None => Trial::test(self.name, move || {
                (self.body)();
                Ok(())
            }),
            Some(reason) => {
                let recorded = record_skip(self.name, &reason);
                match recorded {
                    Ok(()) => Trial::test(self.name, || Ok(()))
                        .with_kind(format!("skipped: {reason}"))
                        .with_ignored_flag(true),
                    Err(error) => {
                        Trial::test(self.name, move || Err(Failed::from(format!("cannot record the skip: {error}"))))
                    }
                }
            }
        }
    }
}

/// Runs the tests with the command line of `cargo test`.
///
/// Kernel tests share one machine, so they run on one thread unless `--test-threads` says otherwise.
pub fn main(tests: Vec<Test>) -> ExitCode {
    run(tests, 1)
}

/// As [`main`], several at a time unless `--test-threads` says otherwise: for tests that mostly wait for the kernel, and
/// of which none looks at what another one makes.
pub fn several(tests: Vec<Test>) -> ExitCode {
    run(tests, AT_A_TIME)
}

/// More than a small machine has processors: each waits for grace periods of the kernel most of the time.
const AT_A_TIME: usize = 4;

fn run(tests: Vec<Test>, threads: usize) -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(threads);
    let trials = if arguments.list {
        tests.iter().map(listed).collect()
    } else {
        tests.into_iter().map(Test::into_trial).collect()
    };
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn listed(test: &Test) -> Trial {
    Trial::test(test.name, || Ok(()))
}

fn record_skip(test: &str, reason: &str) -> std::io::Result<()> {
    let Some(path) = std::env::var_os("WINDLASS_SKIPS") else { return Ok(()) };
    let package = std::env::var("CARGO_PKG_NAME").unwrap_or_default();
    let mut file = std::fs::OpenOptions::new().append(true).create(true).open(path)?;
    file.write_all(format!("{package}::{test}: {reason}\n").as_bytes())
}
