//! Whether a container is well: the question is the pod's, asked from its node's network or inside the container.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use windlass_namespaces::{Namespace, enter};
use windlass_pod::IntOrString;
use windlass_pod::kinds::Container;
use windlass_pod::probe::Handler;

use crate::http;

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Question {
    /// `GET` that must answer 200 to 399.
    Http { address: SocketAddr, host: String, path: String, headers: Vec<(String, String)> },
    /// A connection that must be accepted.
    Tcp(SocketAddr),
    /// A program in the container that must end with 0.
    Exec(Vec<String>),
}

/// Turns the pod's words into a question; the error is what the probe then answers.
pub(super) fn question(handler: &Handler, container: &Container, pod: IpAddr) -> Result<Question, String> {
    match handler {
        Handler::Exec { command } => Ok(Question::Exec(command.clone())),
        Handler::TcpSocket { host, port } => Ok(Question::Tcp(address(host.as_deref(), port, container, pod)?)),
        Handler::HttpGet { scheme, .. } if !scheme.eq_ignore_ascii_case("http") => {
            Err("this node probes by plain HTTP only".to_owned())
        }
        Handler::HttpGet { host, port, path, headers, .. } => {
            let address = address(host.as_deref(), port, container, pod)?;
            let (hosts, headers): (Vec<_>, Vec<_>) =
                headers.iter().cloned().partition(|(name, _)| name.eq_ignore_ascii_case("host"));
            let host = hosts.into_iter().next().map_or_else(|| address.to_string(), |(_, value)| value);
            Ok(Question::Http { address, host, path: path.clone(), headers })
        }
        _ => Err("the probe asks by a way that this node does not have".to_owned()),
    }
}

fn address(host: Option<&str>, port: &IntOrString, container: &Container, pod: IpAddr) -> Result<SocketAddr, String> {
    let ip = match host {
        Some(host) => host.parse().map_err(|_| format!("the probe's host {host:?} is not an address"))?,
        None => pod,
    };
    let number = match port {
        IntOrString::Int(number) => Some(*number),
        IntOrString::String(name) => container
            .ports
            .iter()
            .find(|port| port.name.as_deref() == Some(name))
            .and_then(|port| port.container_port)
            .or_else(|| name.parse().ok()),
    };
    let number = number.and_then(|number| u16::try_from(number).ok()).filter(|number| *number != 0);
    number
        .map(|number| SocketAddr::new(ip, number))
        .ok_or_else(|| "the probe's port is none of the container's".to_owned())
}

/// Asks over the network of the node; blocks for `timeout` at most.
pub(super) fn ask_network(question: &Question, node: BorrowedFd<'_>, timeout: Duration) -> Result<(), String> {
    let deadline = Instant::now() + timeout;
    // Only the socket is made inside; it stays there wherever it is used.
    let connect = |address: SocketAddr| {
        enter::within(&[(Namespace::Net, node)], move || TcpStream::connect_timeout(&address, timeout))
            .map_err(|error| error.to_string())?
            .map_err(|error| format!("cannot connect to {address}: {error}"))
    };
    match question {
        Question::Tcp(address) => connect(*address).map(drop),
        Question::Http { address, host, path, headers } => {
            let mut stream = connect(*address)?;
            let headers: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            let answer =
                within_deadline(&mut stream, deadline, |stream| http::send(stream, "GET", host, path, &headers));
            match answer {
                Ok(response) if (200..400).contains(&response.status) => Ok(()),
                Ok(response) => Err(format!("HTTP probe failed with statuscode: {}", response.status)),
                Err(error) => Err(format!("no answer: {error}")),
            }
        }
        Question::Exec(_) => Err("a program is not asked over the network".to_owned()),
    }
}

/// Limits the whole exchange: each single read may take what is left at its start.
fn within_deadline<T>(
    stream: &mut TcpStream,
    deadline: Instant,
    exchange: impl FnOnce(&mut TcpStream) -> io::Result<T>,
) -> io::Result<T> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(io::ErrorKind::TimedOut.into());
    }
    stream.set_read_timeout(Some(left))?;
    stream.set_write_timeout(Some(left))?;
    let answer = exchange(stream)?;
    if Instant::now() > deadline { Err(io::ErrorKind::TimedOut.into()) } else { Ok(answer) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container(yaml: &str) -> Container {
        let text = format!("{{apiVersion: v1, kind: Pod, metadata: {{name: x}}, spec: {{containers: [{yaml}]}}}}");
        match windlass_pod::decode_yaml(text.as_bytes()).unwrap().remove(0) {
            windlass_pod::Object::Pod(pod) => pod.spec.containers[0].clone(),
            other => panic!("{other:?}"),
        }
    }

    fn handler(yaml: &str) -> Handler {
        let container = container(&format!("{{name: c, livenessProbe: {yaml}}}"));
        Handler::of(&container.liveness_probe.unwrap()).unwrap()
    }

    #[test]
    fn a_named_port_is_the_containers() {
        let ip: IpAddr = "10.244.1.2".parse().unwrap();
        let container = container("{name: c, ports: [{name: http, containerPort: 8080}]}");
        let ask = |yaml: &str| question(&handler(yaml), &container, ip);
        assert_eq!(
            ask("{httpGet: {port: http}}"),
            Ok(Question::Http {
                address: "10.244.1.2:8080".parse().unwrap(),
                host: "10.244.1.2:8080".into(),
                path: "/".into(),
                headers: vec![]
            })
        );
        assert_eq!(ask("{tcpSocket: {port: 9, host: 10.0.0.1}}"), Ok(Question::Tcp("10.0.0.1:9".parse().unwrap())));
        assert_eq!(ask("{exec: {command: [a, b]}}"), Ok(Question::Exec(vec!["a".into(), "b".into()])));
        for bad in [
            "{httpGet: {port: other}}",
            "{httpGet: {port: http, scheme: HTTPS}}",
            "{tcpSocket: {port: 0}}",
            "{tcpSocket: {port: 70000}}",
            "{grpc: {port: 1}}",
        ] {
            ask(bad).unwrap_err();
        }
    }
}
