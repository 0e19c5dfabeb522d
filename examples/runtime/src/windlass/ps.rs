//! `ps` and `port`: which containers there are, and how they are reached.

use serde_json::{Value, json};

use super::cli::Ps;
use super::clock::rough;
use super::containers::{Container, Containers};
use super::failure::Failure;
use super::out;
use super::record::{Config, State};
use super::status::{self, Status};

struct Row {
    container: Container,
    config: Config,
    status: Status,
    state: State,
}

pub(super) fn ps(containers: &Containers, request: &Ps) -> Result<u8, Failure> {
    let filters: Vec<Filter> = request.filter.iter().map(|text| Filter::parse(text)).collect::<Result<_, _>>()?;
    let by_status = filters.iter().any(|filter| matches!(filter, Filter::Status(_)));
    let mut rows = Vec::new();
    for (container, config) in containers.list()? {
        let (status, state) = status::of(&container)?;
        let row = Row { container, config, status, state };
        if (request.all || by_status || row.status.is_live()) && filters.iter().all(|filter| filter.takes(&row)) {
            rows.push(row);
        }
    }
    // The newest first, as people look for it.
    rows.reverse();
    if request.quiet {
        rows.iter().try_for_each(|row| out::line(&row.container.id))?;
    } else if request.json || request.format == super::cli::Format::Json {
        rows.iter().try_for_each(|row| out::line(&as_json(row).to_string()))?;
    } else {
        let cells: Vec<Vec<String>> = rows.iter().map(cells).collect();
        out::table(&["CONTAINER ID", "IMAGE", "COMMAND", "CREATED", "STATUS", "PORTS", "NAMES"], &cells)?;
    }
    Ok(0)
}

enum Filter {
    Name(String),
    Status(String),
    Label(String, Option<String>),
}

impl Filter {
    fn parse(text: &str) -> Result<Self, Failure> {
        match text.split_once('=') {
            Some(("name", name)) => Ok(Self::Name(name.to_owned())),
            Some(("status", status)) => Ok(Self::Status(status.to_owned())),
            Some(("label", label)) => {
                let (name, value) = label.split_once('=').map_or((label, None), |(name, value)| (name, Some(value)));
                Ok(Self::Label(name.to_owned(), value.map(str::to_owned)))
            }
            _ => Err(Failure::new(format!("--filter {text}: it is none of name=, status=, label="))),
        }
    }

    fn takes(&self, row: &Row) -> bool {
        match self {
            Self::Name(name) => row.config.name.contains(name.as_str()),
            Self::Status(status) => row.status.to_string() == *status,
            Self::Label(name, None) => row.config.labels.contains_key(name),
            Self::Label(name, Some(value)) => row.config.labels.get(name) == Some(value),
        }
    }
}

fn cells(row: &Row) -> Vec<String> {
    let mut command = row.config.command.join(" ");
    if command.chars().count() > 30 {
        command = command.chars().take(29).chain(['…']).collect();
    }
    vec![
        row.container.id.clone(),
        row.config.image.clone(),
        command.escape_debug().to_string(),
        format!("{} ago", rough(row.config.created.elapsed())),
        describe(row),
        ports(&row.state),
        row.config.name.clone(),
    ]
}

fn describe(row: &Row) -> String {
    let since = |time: Option<super::clock::Time>| time.map_or_else(String::new, |time| rough(time.elapsed()));
    let up = since(row.state.started);
    let code = row.state.exit_code.map_or_else(|| "unknown".to_owned(), |code| code.to_string());
    match row.status {
        Status::Created => "Created".to_owned(),
        Status::Running => format!("Up {up}"),
        Status::Paused => format!("Up {up} (paused)"),
        Status::Unattended => format!("Up {up} (unattended: its monitor was killed)"),
        Status::Restarting => format!("Restarting ({code}) {} ago", since(row.state.finished)),
        Status::Exited => format!("Exited ({code}) {} ago", since(row.state.finished)),
    }
}

fn ports(state: &State) -> String {
    let shown: Vec<String> = state.ports.iter().map(ToString::to_string).collect();
    shown.join(", ")
}

fn as_json(row: &Row) -> Value {
    json!({
        "id": row.container.id,
        "name": row.config.name,
        "image": row.config.image,
        "command": row.config.command,
        "created": row.config.created,
        "status": row.status.to_string(),
        "exit_code": row.state.exit_code,
        "started": row.state.started,
        "finished": row.state.finished,
        "pid": row.state.process.as_ref().map(|process| process.pid),
        "address": row.state.address,
        "ports": row.state.ports,
        "labels": row.config.labels,
    })
}

/// Lists the published ports of a container that runs.
pub(super) fn port(containers: &Containers, name: &str, json: bool) -> Result<u8, Failure> {
    let (container, _) = containers.find(name)?;
    let (found, state) = status::of(&container)?;
    if !found.is_live() {
        return Ok(0);
    }
    for port in &state.ports {
        if json {
            out::line(&json!(port).to_string())?;
        } else {
            let host = std::net::SocketAddr::new(port.host_address, port.host_port);
            out::line(&format!("{}/{} -> {host}", port.container_port, port.protocol))?;
        }
    }
    Ok(0)
}
