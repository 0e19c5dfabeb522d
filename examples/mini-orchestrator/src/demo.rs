//! The demo: the whole way once, from a binary to replicated pods behind a service, and back to nothing.
//!
//! `steps` holds what is shown, in order; `cluster` puts the tasks together; `state_dir` and `recover` see to it that
//! nothing stays, whatever ends a run; `rootless` starts the same thing again as the root of a user namespace.

mod cluster;
mod disk;
mod error;
mod forward;
mod interrupt;
mod ledger;
mod manifest;
mod output;
mod recover;
mod request;
mod rootless;
mod show;
mod state_dir;
mod steps;
mod task;
mod transitions;
mod view;

use std::error::Error as StdError;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use serde_json::json;
use windlass_cgroups::{Group, Hierarchies};

use self::cluster::{BACKOFF_BASE, Cluster, NODES, Parts};
use self::error::{Error, Result};
use self::forward::Reserved;
use self::interrupt::Interrupt;
use self::ledger::Ledger;
use self::manifest::{Cast, Manifest};
use self::output::{Reporter, Step};
use self::show::{Missing, Show};
use self::state_dir::RunDir;

/// How long threads that still wait for something may hold up the end.
const LAST_THREADS: Duration = Duration::from_millis(300);
/// What the shell expects of a program that Ctrl-C ended.
const EXIT_INTERRUPTED: u8 = 130;

/// What the command line says about the demo.
#[derive(Debug, Clone)]
pub struct Options {
    /// One JSON object a line.
    pub json: bool,
    /// Stay after the last step.
    pub keep: bool,
    /// The port of 127.0.0.1 to stay at.
    pub port: Option<u16>,
    /// Where the files go.
    pub state_dir: Option<PathBuf>,
    /// What to apply.
    pub manifest: Option<PathBuf>,
    /// Where to take the image from.
    pub image: Option<PathBuf>,
    /// Where this process is.
    pub place: Place,
}

/// Where this process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Where it was started.
    Host,
    /// In the user namespace that it was started again in.
    Inside,
}

/// Runs the demo to its end.
pub fn main(options: Options) -> ExitCode {
    if options.place == Place::Host && !nix::unistd::geteuid().is_root() {
        return match rootless::start_again() {
            Ok(code) => code,
            Err(error) => {
                complain(&error);
                ExitCode::FAILURE
            }
        };
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            complain(&error);
            return ExitCode::FAILURE;
        }
    };
    let result = runtime.block_on(run(options));
    runtime.shutdown_timeout(LAST_THREADS);
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(Error::Interrupted) => ExitCode::from(EXIT_INTERRUPTED),
        Err(error) => {
            complain(&error);
            ExitCode::FAILURE
        }
    }
}

/// Writes an error with its causes to standard error.
pub fn complain(error: &dyn StdError) {
    // With standard error closed there is nobody to tell.
    let _ = writeln!(std::io::stderr(), "error: {}", chain(error));
}

/// An error and its causes, from the outermost.
fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// Everything that can be wrong with what was asked for is found before anything is made.
async fn run(options: Options) -> Result<()> {
    let interrupt = Interrupt::new();
    interrupt.raise_on_signals()?;
    if options.place == Place::Inside {
        rootless::follow_parent(&interrupt)?;
    }
    let port = if options.keep { Some(Reserved::take(options.port)?) } else { None };
    let manifest = Manifest::read(options.manifest.as_deref())?;
    let base = match options.state_dir.clone() {
        Some(base) => std::path::absolute(&base).map_err(Error::io("find", &base))?,
        None => state_dir::default_base(options.place == Place::Host)?,
    };
    let reporter = Reporter::new(options.json, interrupt.clone());
    let hierarchies = recover::hierarchies(options.place);
    recover::recover(&base, hierarchies.as_ref().ok(), &reporter)?;
    let run = RunDir::create(&base)?;
    reporter.begin(run.id(), run.path());
    let shown = match recover::groups(options.place, hierarchies.as_ref(), run.id(), &reporter) {
        Ok((groups, missing)) => {
            let performance = Performance { options, manifest, port, groups, missing };
            performance.show(&run, &reporter, &interrupt).await
        }
        Err(error) => Err(error),
    };
    finish(shown, run, hierarchies.ok(), &reporter)
}

/// Removes what is left of the run, and tells how it went.
fn finish(shown: Result<Step>, run: RunDir, hierarchies: Option<Hierarchies>, reporter: &Reporter) -> Result<()> {
    let begun = reporter.elapsed();
    let groups = hierarchies.map_or(Ok(()), |hierarchies| cluster::remove_groups(&hierarchies, run.id()));
    let removed = groups.and(run.remove());
    let took = reporter.elapsed().saturating_sub(begun);
    reporter.object(&json!({ "event": "cleanup", "ok": removed.is_ok(), "seconds": took.as_secs_f64() }));
    let rest = if removed.is_ok() { "all removed" } else { "not all removed" };
    let result = beside(shown, removed, reporter)
        .map(|step| step.done("all that it made is removed", json!({ "removal_seconds": took.as_secs_f64() })));
    let line = match &result {
        Ok(()) => format!("all shown, {rest}"),
        Err(error) => format!("stopped, {rest}: {}", chain(error)),
    };
    let elapsed = reporter.elapsed();
    reporter.end(
        &format!("{line}; {}", output::board::seconds(elapsed)),
        &json!({ "event": "result", "ok": result.is_ok(), "status": line, "seconds": elapsed.as_secs_f64() }),
    );
    result
}

/// The first failure; that the clean-up after it failed as well is said beside it.
fn beside<T>(shown: Result<T>, cleaned: Result<()>, reporter: &Reporter) -> Result<T> {
    match (shown, cleaned) {
        (Ok(_), Err(error)) => Err(error),
        (Err(first), Err(second)) => {
            reporter.notice(&format!("the clean-up failed as well: {}", chain(&second)));
            Err(first)
        }
        (shown, Ok(())) => shown,
    }
}

/// One run, from what was asked for.
#[derive(Debug)]
struct Performance {
    options: Options,
    manifest: Manifest,
    port: Option<Reserved>,
    groups: Option<Group>,
    missing: Missing,
}

impl Performance {
    /// The six steps but for the very end of the last one; whatever was started is stopped, however it came.
    async fn show(self, run: &RunDir, reporter: &Reporter, interrupt: &Interrupt) -> Result<Step> {
        let tag = self.manifest.cast.image.clone();
        let layout = steps::pack(reporter, run.path(), self.options.image.clone(), &tag).await?;
        interrupt.check()?;
        let images = steps::stack(reporter, run.path(), layout, &tag).await?;
        interrupt.check()?;
        let step = reporter.step(3, "start a control plane and nodes");
        let parts = Parts {
            folder: run.path(),
            images,
            pause_image: tag,
            disk: self.groups.as_ref().and_then(|_| disk::of(run.path())),
            groups: self.groups,
        };
        let mut show = start(&parts, &self.manifest.cast, self.missing, reporter, interrupt).await?;
        step.done(
            &format!("{NODES} nodes, {}; back-off from {} s, for the demo", show.proxies(), BACKOFF_BASE.as_secs()),
            json!({ "nodes": NODES, "proxies": show.proxies(), "backoff_base_seconds": BACKOFF_BASE.as_secs() }),
        );
        let scenario = async {
            steps::apply(&show, self.manifest.objects).await?;
            steps::serve(&mut show).await?;
            steps::account(&mut show).await
        };
        let mut shown = tokio::select! {
            shown = scenario => shown,
            () = interrupt.wait() => Err(Error::Interrupted),
        };
        // Not within the select: the one who waits for Ctrl-C here has to be the only one whom it ends.
        if let (Ok(step), Some(port)) = (&mut shown, self.port) {
            step.pause();
            match keep(&show, port, interrupt).await {
                Ok(()) => step.resume(),
                Err(error) => shown = Err(error),
            }
        }
        let stopped = show.cluster.stop().await;
        beside(shown, stopped, reporter)
    }
}

/// Starts the cluster, and begins to tell what changes in it.
async fn start(
    parts: &Parts<'_>,
    cast: &Cast,
    missing: Missing,
    reporter: &Reporter,
    interrupt: &Interrupt,
) -> Result<Show> {
    let data = parts.folder.join("host").join("srv/responder");
    std::fs::create_dir_all(&data).map_err(Error::io("create", &data))?;
    let cluster = Cluster::start(parts, reporter, interrupt).await?;
    transitions::follow(&cluster.registry, reporter, cast, data.join(steps::CLIENT_ANSWERS)).await?;
    Ok(Show {
        reporter: reporter.clone(),
        interrupt: interrupt.clone(),
        cast: cast.clone(),
        cluster,
        data,
        ledger: Ledger::default(),
        missing,
    })
}

/// Stays until the person has looked around.
async fn keep(show: &Show, port: Reserved, interrupt: &Interrupt) -> Result<()> {
    let address = port.address();
    let node = &show.cluster.nodes[0];
    let network = node.network.namespace().try_clone_to_owned().map_err(Error::io("open", node.name.as_ref()))?;
    port.forward(network, show.cast.address)?;
    show.reporter.say(
        &format!("the service is at http://{address}/ until Ctrl-C; the files are in {}", show.data.display()),
        &json!({ "event": "keep", "address": address.to_string(), "data": show.data }),
    );
    interrupt.wait().await;
    Ok(())
}
