//! The program in the demo's pods: an HTTP server that shows what it was given and obeys orders to misbehave.
//!
//! `/` answers with the pod's name, the greeting (a file, so that a change is seen at once) and the mode (an environment
//! variable, so that a change is seen after a restart), and appends one record to the data file before it answers.
//! `/whoami` is the same without a record; `/healthz` and `/readyz` are for probes; `/control/...` takes orders.

mod control;

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use self::control::Control;
use crate::http::{self, Request, Response};
use crate::signals::Signals;

/// How long a connected peer may take to send its request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// The most requests served at once; more wait in the listen queue.
const IN_FLIGHT_MAX: usize = 64;
/// After SIGTERM: how long nothing must have been in flight before the process ends.
const QUIET: Duration = Duration::from_millis(150);
/// After SIGTERM: how long requests in flight may hold the process back.
const DRAIN: Duration = Duration::from_millis(1200);

/// What the responder is told on its command line.
#[derive(Debug, Clone, clap::Args)]
pub struct Settings {
    /// The address to listen on.
    #[arg(long, default_value = "0.0.0.0:8080")]
    pub listen: SocketAddr,
    /// The file with the greeting, read for each answer.
    #[arg(long)]
    pub greeting: PathBuf,
    /// The file to which one record a request is appended.
    #[arg(long)]
    pub records: PathBuf,
}

#[derive(Debug)]
struct Responder {
    pod: String,
    mode: String,
    greeting: PathBuf,
    records: File,
    served: AtomicU64,
    in_flight: AtomicUsize,
    control: Control,
}

/// Serves until SIGTERM or SIGINT, then finishes what is in flight.
pub fn run(settings: &Settings) -> io::Result<()> {
    // First of all, so that every thread inherits the mask.
    let signals = Signals::block(&[Signal::SIGTERM, Signal::SIGINT])?;
    let responder = Arc::new(Responder {
        pod: nix::unistd::gethostname()?.to_string_lossy().into_owned(),
        mode: std::env::var("MODE").unwrap_or_else(|_| "unset".to_owned()),
        greeting: settings.greeting.clone(),
        records: OpenOptions::new().append(true).create(true).open(&settings.records)?,
        served: AtomicU64::new(0),
        in_flight: AtomicUsize::new(0),
        control: Control::default(),
    });
    let listener = TcpListener::bind(settings.listen)?;
    let accepting = Arc::clone(&responder);
    std::thread::Builder::new().name("accept".to_owned()).spawn(move || accept(&accepting, &listener))?;
    signals.wait()?;
    responder.drain();
    Ok(())
}

fn accept(responder: &Arc<Responder>, listener: &TcpListener) {
    for stream in listener.incoming() {
        // An error here belongs to one connection that is already gone.
        let Ok(stream) = stream else { continue };
        while responder.in_flight.load(Ordering::Acquire) >= IN_FLIGHT_MAX {
            std::thread::sleep(Duration::from_millis(2));
        }
        responder.in_flight.fetch_add(1, Ordering::AcqRel);
        let serving = Arc::clone(responder);
        let started = std::thread::Builder::new().spawn(move || serving.serve(&stream));
        if started.is_err() {
            // No thread to be had: the peer sees its connection closed and tries again.
            responder.in_flight.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

impl Responder {
    fn serve(&self, stream: &TcpStream) {
        // The peer may be gone at any point; its connection ends with this function either way.
        let _ = self.exchange(stream);
        self.in_flight.fetch_sub(1, Ordering::AcqRel);
    }

    fn exchange(&self, mut stream: &TcpStream) -> io::Result<()> {
        stream.set_read_timeout(Some(REQUEST_TIMEOUT))?;
        stream.set_write_timeout(Some(REQUEST_TIMEOUT))?;
        let response = match http::read_request(stream) {
            Ok(None) => return Ok(()),
            Ok(Some(request)) => self.answer(&request),
            Err(error) => Response::status(400, format!("{error}\n")),
        };
        response.write(&mut stream)
    }

    fn answer(&self, request: &Request) -> Response {
        if let Some(order) = request.path.strip_prefix("/control/") {
            return self.control.obey(&request.method, order);
        }
        self.control.wait_while_hung();
        match request.path.as_str() {
            "/" => self.record(request).map_or_else(|error| failed("append the record", &error), |()| self.describe()),
            "/whoami" => self.describe(),
            "/healthz" => Response::ok("ok\n"),
            "/readyz" if self.control.is_ready() => Response::ok("ready\n"),
            "/readyz" => Response::status(503, "not ready\n"),
            _ => Response::status(404, "no such path\n"),
        }
    }

    /// Three lines, `name value` each, as [`Answer::parse`] reads them.
    fn describe(&self) -> Response {
        match std::fs::read_to_string(&self.greeting) {
            Ok(greeting) => {
                Response::ok(format!("pod {}\ngreeting {}\nmode {}\n", self.pod, greeting.trim(), self.mode))
            }
            Err(error) => failed("read the greeting", &error),
        }
    }

    /// One `write` of one line on a file opened for appending: lines of several replicas never mix. It is on the disk
    /// before the answer goes out.
    fn record(&self, request: &Request) -> io::Result<()> {
        let served = self.served.fetch_add(1, Ordering::Relaxed);
        let id = request.id.clone().unwrap_or_else(|| format!("unnamed-{}-{served}", self.pod));
        (&self.records).write_all(format!("{id} {}\n", self.pod).as_bytes())?;
        self.records.sync_data()
    }

    /// Serves on until nothing has been in flight for a moment: a proxy may still send callers here until it hears
    /// that the endpoint is gone.
    fn drain(&self) {
        let start = Instant::now();
        let mut busy = start;
        self.control.begin_stop();
        while start.elapsed() < DRAIN && busy.elapsed() < QUIET {
            if self.in_flight.load(Ordering::Acquire) > 0 {
                busy = Instant::now();
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

fn failed(what: &str, error: &io::Error) -> Response {
    Response::status(503, format!("cannot {what}: {error}\n"))
}

/// What the responder says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The pod's name, which is its host name.
    pub pod: String,
    /// The greeting from the file.
    pub greeting: String,
    /// The mode from the environment.
    pub mode: String,
}

impl Answer {
    /// Reads the body of an answer; `None` when a line is missing.
    pub fn parse(body: &str) -> Option<Self> {
        let value =
            |name: &str| body.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')).map(str::to_owned);
        Some(Self { pod: value("pod")?, greeting: value("greeting")?, mode: value("mode")? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn responder(directory: &std::path::Path) -> Responder {
        std::fs::write(directory.join("greeting"), "hello\n").unwrap();
        Responder {
            pod: "web-1".to_owned(),
            mode: "first".to_owned(),
            greeting: directory.join("greeting"),
            records: OpenOptions::new().append(true).create(true).open(directory.join("records")).unwrap(),
            served: AtomicU64::new(0),
            in_flight: AtomicUsize::new(0),
            control: Control::default(),
        }
    }

    fn request(method: &str, path: &str, id: Option<&str>) -> Request {
        Request { method: method.to_owned(), path: path.to_owned(), id: id.map(str::to_owned) }
    }

    #[test]
    fn an_answer_leaves_one_record_and_whoami_none() {
        let directory = tempfile::tempdir().unwrap();
        let responder = responder(directory.path());
        let response = responder.answer(&request("GET", "/", Some("a-1")));
        let expected = Answer { pod: "web-1".into(), greeting: "hello".into(), mode: "first".into() };
        assert_eq!(Answer::parse(&response.body), Some(expected.clone()));
        let response = responder.answer(&request("GET", "/whoami", None));
        assert_eq!(Answer::parse(&response.body), Some(expected));
        responder.answer(&request("GET", "/", None));
        let records = std::fs::read_to_string(directory.path().join("records")).unwrap();
        assert_eq!(records, "a-1 web-1\nunnamed-web-1-1 web-1\n");
    }

    #[test]
    fn readiness_follows_the_order_and_liveness_does_not() {
        let directory = tempfile::tempdir().unwrap();
        let responder = responder(directory.path());
        assert_eq!(responder.answer(&request("GET", "/readyz", None)).status, 200);
        assert_eq!(responder.answer(&request("POST", "/control/not-ready", None)).status, 200);
        assert_eq!(responder.answer(&request("GET", "/readyz", None)).status, 503);
        assert_eq!(responder.answer(&request("GET", "/healthz", None)).status, 200);
        assert_eq!(responder.answer(&request("POST", "/control/ready", None)).status, 200);
        assert_eq!(responder.answer(&request("GET", "/readyz", None)).status, 200);
        assert_eq!(responder.answer(&request("GET", "/control/hang", None)).status, 405, "an order is a POST");
    }

    #[test]
    fn without_a_greeting_the_answer_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let responder = responder(directory.path());
        std::fs::remove_file(directory.path().join("greeting")).unwrap();
        assert_eq!(responder.answer(&request("GET", "/", None)).status, 503);
    }
}
