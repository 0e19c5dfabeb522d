//! Ports of containers that get in each other's way.

use std::collections::BTreeMap;

use crate::kinds::{Container, ContainerPort, PodSpec};
use crate::violation::quoted;
use crate::wire::text::Text as _;

/// The containers of a pod, those that run once included, each with its path.
pub(super) fn containers<'a>(spec: &'a PodSpec, at: &str) -> Vec<(String, &'a Container)> {
    let named = |field: &str, list: &'a [Container]| {
        list.iter()
            .enumerate()
            .map(|(index, container)| (format!("{at}{field}[{index}]"), container))
            .collect::<Vec<_>>()
    };
    [named("initContainers", &spec.init_containers), named("containers", &spec.containers)].concat()
}

pub(super) fn ports(spec: &PodSpec, at: &str, out: &mut Vec<String>) {
    let mut names: BTreeMap<&str, String> = BTreeMap::new();
    let mut numbers: BTreeMap<(i32, &str), Vec<(String, &ContainerPort)>> = BTreeMap::new();
    for (at, container) in containers(spec, at) {
        for (index, port) in container.ports.iter().enumerate() {
            let at = format!("{at}.ports[{index}]");
            let (host_ip, host_port) = (port.host_ip.text(), port.host_port.unwrap_or(0));
            if !host_ip.is_empty() && host_port == 0 {
                out.push(format!("{at}: hostIP set without hostPort: {}", printed(port)));
            }
            let same = numbers.entry((port.container_port.unwrap_or(0), port.protocol.text())).or_default();
            for (other_at, other) in same.iter() {
                let (other_ip, other_port) = (other.host_ip.text(), other.host_port.unwrap_or(0));
                let what = if host_ip == other_ip && host_port == other_port {
                    "duplicate"
                } else if host_port == 0 || other_port == 0 {
                    "overlapping"
                } else if host_port == other_port && host_ip.is_empty() != other_ip.is_empty() {
                    "dangerously ambiguous"
                } else {
                    continue;
                };
                out.push(format!("{at}: {what} port definition with {other_at}"));
            }
            same.push((at.clone(), port));
            let name = port.name.text();
            if name.is_empty() {
                continue;
            }
            if let Some(first) = names.get(name) {
                out.push(format!(
                    "{at}: duplicate port name {} with {first}, services and probes that select ports by name will use {first}",
                    quoted(name)
                ));
            } else {
                names.insert(name, at);
            }
        }
    }
}

/// A port as Go prints the fields of one.
fn printed(port: &ContainerPort) -> String {
    format!(
        "{{Name:{} HostPort:{} ContainerPort:{} Protocol:{} HostIP:{}}}",
        port.name.text(),
        port.host_port.unwrap_or(0),
        port.container_port.unwrap_or(0),
        port.protocol.text(),
        port.host_ip.text()
    )
}
