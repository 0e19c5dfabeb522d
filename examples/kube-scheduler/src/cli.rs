//! The command line.

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use tokio::signal::unix::{SignalKind, signal};
use windlass_scheduler_core::{FitStrategy, Profile};

use crate::out::{chain, notice};
use crate::schedule::{Settings, run};

/// Schedules the pods of a Kubernetes cluster whose spec.schedulerName is this scheduler's
///
/// Runs until SIGTERM or SIGINT, and then exits with 0 after what it has decided is written. One copy is to run at a
/// time: two would not bind a pod twice, but could fill a node twice.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// The kubeconfig [default: $KUBECONFIG, ~/.kube/config, or the service account of the pod that this runs in]
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// The kubeconfig's context [default: its current one]
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
    /// Whose pods: those with this spec.schedulerName
    #[arg(long, value_name = "NAME", default_value = "windlass-scheduler")]
    scheduler_name: String,
    /// How full nodes should become
    #[arg(long, value_enum, default_value_t = Fit::LeastAllocated)]
    fit: Fit,
    /// Decide and print, but write nothing to the cluster
    #[arg(long)]
    dry_run: bool,
    /// Print decisions as one JSON object a line
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Fit {
    /// The emptier the better: pods spread out
    LeastAllocated,
    /// The fuller the better: pods are packed
    MostAllocated,
}

/// Runs the program with this process's command line.
pub fn main() -> ExitCode {
    match start(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            notice(&chain(&*error));
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn start(arguments: Arguments) -> Result<(), Box<dyn Error>> {
    let config = configuration(&arguments).await?;
    let server = config.cluster_url.clone();
    let client = Client::try_from(config)?;
    client.apiserver_version().await.map_err(|source| Unreachable { server: server.to_string(), source })?;
    let (mut terminated, mut interrupted) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let stop = async move {
        tokio::select! {
            _ = terminated.recv() => {}
            _ = interrupted.recv() => {}
        }
    };
    Ok(run(client, settings(arguments), stop).await?)
}

/// The server does not answer.
#[derive(Debug, thiserror::Error)]
#[error("the API server at {server} does not answer; --kubeconfig and --context name another")]
struct Unreachable {
    server: String,
    source: kube::Error,
}

async fn configuration(arguments: &Arguments) -> Result<Config, Box<dyn Error>> {
    let options = KubeConfigOptions { context: arguments.context.clone(), ..KubeConfigOptions::default() };
    match &arguments.kubeconfig {
        Some(path) => Ok(Config::from_custom_kubeconfig(Kubeconfig::read_from(path)?, &options).await?),
        None if options.context.is_some() => Ok(Config::from_kubeconfig(&options).await?),
        None => Ok(Config::infer().await?),
    }
}

fn settings(arguments: Arguments) -> Settings {
    let fit = match arguments.fit {
        Fit::LeastAllocated => FitStrategy::LeastAllocated,
        Fit::MostAllocated => FitStrategy::MostAllocated,
    };
    let profile = Profile { scheduler_name: arguments.scheduler_name, fit, ..Profile::default() };
    Settings { profile, dry_run: arguments.dry_run, json: arguments.json }
}
