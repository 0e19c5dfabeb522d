//! Calls of a service that are never lost: a request keeps its name until somebody answered it.
//!
//! The same code runs as the client pod's program (hidden subcommand `call`), inside a backend, and on a thread of the
//! demo that entered a node's network namespace.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::http;
use crate::responder::Answer;
use crate::signals::Signals;

/// How long one attempt may take.
const ATTEMPT: Duration = Duration::from_secs(1);
/// How long to wait after a failed attempt.
const PAUSE: Duration = Duration::from_millis(20);
/// How long a caller that is told to stop goes on with the request that it has begun.
const LAST_CHANCE: Duration = Duration::from_millis(1500);

/// What the hidden subcommand is told.
#[derive(Debug, Clone, clap::Args)]
pub struct Settings {
    /// The service's address and port.
    #[arg(long)]
    pub service: SocketAddr,
    /// The file to which one line an answer is appended: `ID POD ATTEMPTS`.
    #[arg(long)]
    pub answers: PathBuf,
    /// What the names of this caller's requests begin with.
    #[arg(long)]
    pub name: String,
    /// Milliseconds between two calls.
    #[arg(long, default_value_t = 40)]
    pub every_ms: u64,
    /// Stop once this many pods have answered; otherwise call until SIGTERM.
    #[arg(long)]
    pub until_pods: Option<usize>,
    /// Stop after this many calls; otherwise call until SIGTERM.
    #[arg(long)]
    pub count: Option<u64>,
}

/// One answered request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// The request's name.
    pub id: String,
    /// Who answered and with what.
    pub answer: Answer,
    /// How many attempts it took.
    pub attempts: u32,
}

/// Calls until the settings' condition or a signal ends it; every answer is a line of the file.
///
/// # Errors
/// What the file answers, or `TimedOut` when the pods asked for did not all answer within the count.
pub fn run(settings: &Settings) -> io::Result<()> {
    let signals = Signals::block(&[Signal::SIGTERM, Signal::SIGINT])?;
    let stop = std::sync::Arc::new(AtomicBool::new(false));
    let stopping = std::sync::Arc::clone(&stop);
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        // Without the wait nothing could stop the calls in order, so its failure stops them too.
        let _ = signals.wait();
        stopping.store(true, Ordering::Release);
    })?;
    let file = OpenOptions::new().append(true).create(true).open(&settings.answers)?;
    call_until(settings, &file, &stop)
}

fn call_until(settings: &Settings, mut file: &File, stop: &AtomicBool) -> io::Result<()> {
    let mut pods = BTreeSet::new();
    for number in 0.. {
        if settings.count.is_some_and(|count| number >= count) {
            return match settings.until_pods {
                Some(wanted) if pods.len() < wanted => Err(io::ErrorKind::TimedOut.into()),
                _ => Ok(()),
            };
        }
        if stop.load(Ordering::Acquire) {
            return Ok(());
        }
        let id = format!("{}-{number}", settings.name);
        let Some(answered) = call(settings.service, id, None, stop) else { return Ok(()) };
        file.write_all(format!("{} {} {}\n", answered.id, answered.answer.pod, answered.attempts).as_bytes())?;
        pods.insert(answered.answer.pod);
        if settings.until_pods.is_some_and(|wanted| pods.len() >= wanted) {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(settings.every_ms));
    }
    Ok(())
}

/// Repeats one request until it is answered; `None` once `deadline` has passed, or a while after `stop` was set.
///
/// A request may have been recorded although its answer was lost, so it is not given up lightly.
pub fn call(service: SocketAddr, id: String, deadline: Option<Instant>, stop: &AtomicBool) -> Option<Answered> {
    let mut last_chance = deadline;
    for attempts in 1.. {
        if let Ok(answer) = attempt(service, &id) {
            return Some(Answered { id, answer, attempts });
        }
        if last_chance.is_none() && stop.load(Ordering::Acquire) {
            last_chance = Some(Instant::now() + LAST_CHANCE);
        }
        if last_chance.is_some_and(|end| Instant::now() >= end) {
            return None;
        }
        std::thread::sleep(PAUSE);
    }
    None
}

fn attempt(service: SocketAddr, id: &str) -> io::Result<Answer> {
    let mut stream = TcpStream::connect_timeout(&service, ATTEMPT)?;
    stream.set_read_timeout(Some(ATTEMPT))?;
    stream.set_write_timeout(Some(ATTEMPT))?;
    let response = http::send(&mut stream, "GET", &service.to_string(), "/", &[(http::REQUEST_ID, id)])?;
    match (response.status, Answer::parse(&response.body)) {
        (200, Some(answer)) => Ok(answer),
        (status, _) => Err(io::Error::other(format!("status {status}"))),
    }
}
