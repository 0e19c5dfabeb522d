//! The second container of the demo's pods: it reads its neighbour on localhost and serves what it saw.

use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::http::{self, Response};
use crate::responder::Answer;
use crate::signals::Signals;

const TIMEOUT: Duration = Duration::from_secs(1);

/// What the sidecar is told on its command line.
#[derive(Debug, Clone, clap::Args)]
pub struct Settings {
    /// The neighbour, on the pod's loopback.
    #[arg(long, default_value = "127.0.0.1:8080")]
    pub neighbour: SocketAddr,
    /// The address on which to tell what was seen.
    #[arg(long, default_value = "0.0.0.0:8081")]
    pub listen: SocketAddr,
    /// Milliseconds between two looks.
    #[arg(long, default_value_t = 500)]
    pub every_ms: u64,
}

/// Looks and serves until SIGTERM or SIGINT.
pub fn run(settings: &Settings) -> io::Result<()> {
    let signals = Signals::block(&[Signal::SIGTERM, Signal::SIGINT])?;
    let seen = Arc::new(Mutex::new("nothing yet".to_owned()));
    let listener = TcpListener::bind(settings.listen)?;
    let serving = Arc::clone(&seen);
    std::thread::Builder::new().name("serve".to_owned()).spawn(move || serve(&listener, &serving))?;
    let (neighbour, every) = (settings.neighbour, Duration::from_millis(settings.every_ms));
    std::thread::Builder::new().name("look".to_owned()).spawn(move || look_forever(neighbour, every, &seen))?;
    signals.wait()?;
    Ok(())
}

fn look_forever(neighbour: SocketAddr, every: Duration, seen: &Mutex<String>) {
    loop {
        let now = match look(neighbour) {
            Ok(answer) => format!("{}: {} ({})", answer.pod, answer.greeting, answer.mode),
            Err(error) => format!("no answer: {error}"),
        };
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        if *seen != now {
            // A log that cannot be written must not stop the looking.
            let _ = writeln!(io::stdout(), "{now}");
            *seen = now;
        }
        drop(seen);
        std::thread::sleep(every);
    }
}

/// Asks the path that leaves no record.
fn look(neighbour: SocketAddr) -> io::Result<Answer> {
    let mut stream = TcpStream::connect_timeout(&neighbour, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    let response = http::send(&mut stream, "GET", "localhost", "/whoami", &[])?;
    Answer::parse(&response.body).ok_or_else(|| io::Error::other(format!("status {}", response.status)))
}

fn serve(listener: &TcpListener, seen: &Mutex<String>) {
    for stream in listener.incoming().flatten() {
        // One caller's trouble is its own; the next one is served.
        let _ = answer(&stream, seen);
    }
}

fn answer(mut stream: &TcpStream, seen: &Mutex<String>) -> io::Result<()> {
    stream.set_read_timeout(Some(TIMEOUT))?;
    let Some(request) = http::read_request(stream)? else { return Ok(()) };
    let response = match request.path.as_str() {
        "/" | "/healthz" => Response::ok(format!("{}\n", seen.lock().unwrap_or_else(PoisonError::into_inner))),
        _ => Response::status(404, "no such path\n"),
    };
    response.write(&mut stream)
}
