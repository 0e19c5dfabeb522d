//! `stats`: what containers use, read from their control groups.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use windlass_cgroups::{Group, Limit, Stats};

use super::cli;
use super::containers::Containers;
use super::failure::Failure;
use super::identity::Identity;
use super::status;
use super::{group, out};

/// Between the two readings of which a share of CPU time is made.
const INTERVAL: Duration = Duration::from_millis(500);

struct Watched {
    id: String,
    name: String,
    group: Group,
    process: Option<Identity>,
    last: Option<(Instant, Duration)>,
}

/// One reading.
struct Reading {
    cpu_percent: f64,
    stats: Stats,
    network: (u64, u64),
}

pub(super) fn stats(containers: &Containers, request: &cli::Stats) -> Result<u8, Failure> {
    let mut watched = watch(containers, &request.containers)?;
    // The first reading only says where counting begins.
    read_all(&mut watched)?;
    loop {
        std::thread::sleep(INTERVAL);
        let readings = read_all(&mut watched)?;
        if request.json {
            for (of, reading) in watched.iter().zip(&readings) {
                out::line(&as_json(of, reading).to_string())?;
            }
        } else {
            if !request.no_stream && rustix::termios::isatty(rustix::stdio::stdout()) {
                // Home, and clear what is below.
                out::line("\x1b[H\x1b[2J")?;
            }
            let rows: Vec<Vec<String>> =
                watched.iter().zip(&readings).map(|(of, reading)| cells(of, reading)).collect();
            let head = ["CONTAINER ID", "NAME", "CPU %", "MEM USAGE / LIMIT", "NET I/O", "BLOCK I/O", "PIDS"];
            out::table(&head, &rows)?;
        }
        if request.no_stream || watched.is_empty() {
            return Ok(0);
        }
    }
}

fn watch(containers: &Containers, names: &[String]) -> Result<Vec<Watched>, Failure> {
    let mut watched = Vec::new();
    let all = if names.is_empty() {
        containers.list()?
    } else {
        names.iter().map(|name| containers.find(name)).collect::<Result<Vec<_>, _>>()?
    };
    for (container, config) in all {
        let (found, state) = status::of(&container)?;
        if !found.is_live() {
            if names.is_empty() {
                continue;
            }
            return Err(Failure::new(format!("container {} uses nothing: it is {found}", config.name)));
        }
        let group = match group::find(&state)? {
            Some(group) => group,
            // Among all, one that cannot be counted is passed over.
            None if names.is_empty() => continue,
            None => group::require(&config.name, &state, "stats")?,
        };
        watched.push(Watched { id: container.id, name: config.name, group, process: state.process, last: None });
    }
    Ok(watched)
}

/// Reads each; those that have ended meanwhile are dropped.
fn read_all(watched: &mut Vec<Watched>) -> Result<Vec<Reading>, Failure> {
    let mut readings = Vec::new();
    let mut failure = None;
    watched.retain_mut(|of| match read(of) {
        Ok(reading) => {
            readings.push(reading);
            true
        }
        Err(windlass_cgroups::Error::Gone { .. }) => false,
        Err(error) => {
            failure = Some(Failure::during(format_args!("read what {} uses", of.name))(error));
            false
        }
    });
    failure.map_or(Ok(readings), Err)
}

fn read(of: &mut Watched) -> windlass_cgroups::Result<Reading> {
    let stats = of.group.stats()?;
    let now = Instant::now();
    let used = stats.cpu.as_ref().map(|cpu| cpu.usage).unwrap_or_default();
    let share = |(since, before): (Instant, Duration)| {
        let passed = (now - since).as_secs_f64();
        if passed > 0.0 { used.saturating_sub(before).as_secs_f64() / passed * 100.0 } else { 0.0 }
    };
    let cpu_percent = of.last.map_or(0.0, share);
    of.last = Some((now, used));
    Ok(Reading { cpu_percent, stats, network: network(of.process.as_ref()) })
}

/// Bytes received and sent by the devices of the container's network, without its loopback.
fn network(process: Option<&Identity>) -> (u64, u64) {
    let Some(process) = process else { return (0, 0) };
    let table = fs::read_to_string(format!("/proc/{}/net/dev", process.pid)).unwrap_or_default();
    let devices = table.lines().skip(2).filter_map(|line| line.split_once(':'));
    devices.filter(|(name, _)| name.trim() != "lo").fold((0, 0), |(received, sent), (_, counts)| {
        let mut counts = counts.split_whitespace().map(|count| count.parse::<u64>().unwrap_or(0));
        (received + counts.next().unwrap_or(0), sent + counts.nth(7).unwrap_or(0))
    })
}

fn memory_limit(stats: &Stats) -> Option<u64> {
    match stats.memory.as_ref()?.max? {
        // v1 writes no limit as the largest number of pages.
        Limit::At(bytes) if bytes.get() < u64::MAX >> 2 => Some(bytes.get()),
        _ => None,
    }
}

fn cells(of: &Watched, reading: &Reading) -> Vec<String> {
    let stats = &reading.stats;
    let memory = stats.memory.as_ref().map_or_else(|| "-".to_owned(), |memory| short(memory.current.get()));
    let limit = memory_limit(stats).map_or_else(|| "-".to_owned(), short);
    let block = stats.io.as_ref().map_or_else(
        || "-".to_owned(),
        |io| format!("{} / {}", short(io.read_bytes().get()), short(io.write_bytes().get())),
    );
    vec![
        of.id.clone(),
        of.name.clone(),
        format!("{:.2}%", reading.cpu_percent),
        format!("{memory} / {limit}"),
        format!("{} / {}", short(reading.network.0), short(reading.network.1)),
        block,
        stats.pids.as_ref().map_or_else(|| "-".to_owned(), |pids| pids.current.to_string()),
    ]
}

fn as_json(of: &Watched, reading: &Reading) -> Value {
    let stats = &reading.stats;
    let memory = stats.memory.as_ref();
    json!({
        "id": of.id,
        "name": of.name,
        "cpu_percent": reading.cpu_percent,
        "cpu_usage_ns": stats.cpu.as_ref().map(|cpu| u64::try_from(cpu.usage.as_nanos()).unwrap_or(u64::MAX)),
        "memory_bytes": memory.map(|memory| memory.current.get()),
        "memory_limit_bytes": memory_limit(stats),
        "memory_peak_bytes": memory.and_then(|memory| memory.peak).map(windlass_cgroups::Bytes::get),
        "network_received_bytes": reading.network.0,
        "network_sent_bytes": reading.network.1,
        "block_read_bytes": stats.io.as_ref().map(|io| io.read_bytes().get()),
        "block_written_bytes": stats.io.as_ref().map(|io| io.write_bytes().get()),
        "pids": stats.pids.as_ref().map(|pids| pids.current),
    })
}

/// Bytes in the largest unit of 1024 that fits.
fn short(bytes: u64) -> String {
    let (shift, unit) = match bytes {
        0..1024 => return format!("{bytes}B"),
        1024..0x10_0000 => (0, "KiB"),
        0x10_0000..0x4000_0000 => (10, "MiB"),
        _ => (20, "GiB"),
    };
    let tenths = (bytes >> shift) * 10 / 1024;
    format!("{}.{}{unit}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_short() {
        assert_eq!([0, 1023, 1536, 64 << 20, 3 << 30].map(short), ["0B", "1023B", "1.5KiB", "64.0MiB", "3.0GiB"]);
    }
}
