//! `top`: the processes of a container, found by their pid namespace.

use std::fs;
use std::os::unix::fs::MetadataExt as _;

use super::containers::Containers;
use super::failure::Failure;
use super::out;
use super::status;

pub(super) fn top(containers: &Containers, name: &str) -> Result<u8, Failure> {
    let (container, config) = containers.find(name)?;
    let (found, state) = status::of(&container)?;
    let process = state.process.filter(super::identity::Identity::is_alive);
    let process =
        process.ok_or_else(|| Failure::new(format!("container {} has no processes: it is {found}", config.name)))?;
    let doing = || format!("find the processes of {}", config.name);
    let namespace = fs::read_link(format!("/proc/{}/ns/pid", process.pid)).map_err(Failure::during(doing()))?;
    let mut pids: Vec<u32> = Vec::new();
    for entry in fs::read_dir("/proc").map_err(Failure::during(doing()))? {
        let entry = entry.map_err(Failure::during(doing()))?;
        pids.extend(entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()));
    }
    pids.sort_unstable();
    let is_inside = |pid: &u32| fs::read_link(format!("/proc/{pid}/ns/pid")).is_ok_and(|found| found == namespace);
    let rows: Vec<Vec<String>> = pids.into_iter().filter(is_inside).filter_map(row).collect();
    out::table(&["PID", "INSIDE", "PPID", "UID", "STATE", "TIME", "COMMAND"], &rows)?;
    Ok(0)
}

/// One process; `None` when it has just ended.
fn row(pid: u32) -> Option<Vec<String>> {
    let folder = format!("/proc/{pid}");
    let stat = fs::read_to_string(format!("{folder}/stat")).ok()?;
    let (head, fields) = (stat.find('(')?, &stat[stat.rfind(')')? + 1..]);
    let name = &stat[head + 1..stat.rfind(')')?];
    let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<u64>().ok());
    // The kernel counts in hundredths of a second for everyone.
    let seconds = (ticks(11)? + ticks(12)?) / 100;
    let command = fs::read(format!("{folder}/cmdline")).unwrap_or_default();
    let command = String::from_utf8_lossy(&command).trim_end_matches('\0').replace('\0', " ");
    let status = fs::read_to_string(format!("{folder}/status")).ok()?;
    let inside =
        status.lines().find_map(|line| line.strip_prefix("NSpid:")?.split_whitespace().last().map(str::to_owned));
    Some(vec![
        pid.to_string(),
        inside.unwrap_or_default(),
        (*fields.get(1)?).to_owned(),
        fs::metadata(&folder).ok()?.uid().to_string(),
        (*fields.first()?).to_owned(),
        format!("{}:{:02}", seconds / 60, seconds % 60),
        if command.is_empty() { format!("[{name}]") } else { command.escape_debug().to_string() },
    ])
}
