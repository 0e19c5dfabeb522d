//! `login` and `logout`.

use std::io::{BufRead as _, IsTerminal as _, Read as _, Write as _};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use super::connect;
use crate::windlass::cli;
use crate::windlass::failure::Failure;
use crate::windlass::out;

/// Longer than any password or token that a registry gives.
const PASSWORD_MAX: u64 = 64 << 10;

pub(in crate::windlass) fn login(request: &cli::Login) -> Result<u8, Failure> {
    let user = match &request.username {
        Some(user) => user.clone(),
        None => ask("Username: ")?,
    };
    let password = if request.password_stdin { all_input()? } else { hidden(|| ask("Password: "))? };
    if user.is_empty() || user.contains(':') || password.is_empty() {
        return Err(Failure::new("a name without a colon and a password are needed"));
    }
    let client = connect::client(connect::options(&request.connection, &request.registry)?)?;
    let doing = format!("log in to {}", request.registry);
    client.check(&request.registry, &user, &password).map_err(Failure::during(&doing))?;
    let credentials = connect::credentials(request.connection.authfile.as_ref());
    credentials.store(&request.registry, &user, &password).map_err(Failure::during(&doing))?;
    out::line(&format!("logged in to {}", request.registry))?;
    Ok(0)
}

pub(in crate::windlass) fn logout(request: &cli::Logout) -> Result<u8, Failure> {
    let credentials = connect::credentials(request.authfile.as_ref());
    let there = credentials
        .erase(&request.registry)
        .map_err(Failure::during(format_args!("log out of {}", request.registry)))?;
    let said = if there { "logged out of" } else { "was not logged in to" };
    out::line(&format!("{said} {}", request.registry))?;
    Ok(0)
}

fn all_input() -> Result<String, Failure> {
    let mut text = String::new();
    let read = std::io::stdin().lock().take(PASSWORD_MAX).read_to_string(&mut text);
    read.map_err(Failure::during("read the password"))?;
    Ok(text.trim_end_matches(['\n', '\r']).to_owned())
}

fn ask(question: &str) -> Result<String, Failure> {
    let input = std::io::stdin();
    if !input.is_terminal() {
        return Err(Failure::new("there is no terminal to ask on: give --username and --password-stdin"));
    }
    write!(std::io::stderr(), "{question}").map_err(Failure::during("ask"))?;
    let mut line = String::new();
    input.lock().read_line(&mut line).map_err(Failure::during("read an answer"))?;
    Ok(line.trim_end_matches(['\n', '\r']).to_owned())
}

/// The terminal's modes as they were, again.
struct Restore(Termios);

impl Drop for Restore {
    fn drop(&mut self) {
        // Nobody is left to tell that this failed.
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, &self.0);
    }
}

/// Does something while the terminal shows nothing of what is typed.
fn hidden<T>(ask: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    let Ok(modes) = tcgetattr(std::io::stdin()) else { return ask() };
    let _restore = Restore(modes.clone());
    let mut silent = modes;
    silent.local_modes.remove(LocalModes::ECHO);
    silent.local_modes.insert(LocalModes::ECHONL);
    tcsetattr(std::io::stdin(), OptionalActions::Flush, &silent).map_err(Failure::during("hide what is typed"))?;
    ask()
}
