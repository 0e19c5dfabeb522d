//! Readings of all groups, and what they come to in a second.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use windlass_cgroups::{Error, Group, GroupPath, Hierarchies, Limit, Result, StatReader, StatSelection, Stats};

/// What one group uses; `None` where nobody counts it.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Row {
    pub(crate) path: String,
    /// CPU time a second of time: 1 is a whole CPU.
    pub(crate) cpus: Option<f64>,
    pub(crate) memory: Option<u64>,
    /// `Max` is no limit.
    pub(crate) memory_max: Option<Limit<u64>>,
    pub(crate) tasks: Option<u64>,
    /// Bytes a second.
    pub(crate) read: Option<f64>,
    /// Bytes a second.
    pub(crate) written: Option<f64>,
    /// The share of the last 10 seconds in which some task waited for a CPU, for memory, for a device: the greatest.
    pub(crate) pressure: Option<f32>,
    pub(crate) oom_kills: Option<u64>,
}

/// The groups that are read, with their files open.
pub(crate) struct Sampler {
    all: Hierarchies,
    below: Option<GroupPath>,
    depth: usize,
    open: BTreeMap<String, Open>,
}

struct Open {
    group: Group,
    reader: StatReader,
    stats: Stats,
    last: Option<Counters>,
}

/// What grows.
#[derive(Clone, Copy)]
struct Counters {
    at: Instant,
    cpu: Option<Duration>,
    read: Option<u64>,
    written: Option<u64>,
}

impl Sampler {
    pub(crate) fn new(below: Option<GroupPath>, depth: usize) -> Result<Self> {
        Ok(Self { all: Hierarchies::discover()?, below, depth, open: BTreeMap::new() })
    }

    /// Reads every group once, in the order of their paths.
    pub(crate) fn sample(&mut self) -> Result<Vec<Row>> {
        let mut found = Vec::new();
        match &self.below {
            Some(path) => self.walk(&path.clone(), self.depth, &mut found)?,
            None => {
                for path in paths(&self.all.groups()?, None) {
                    self.walk(&path, self.depth, &mut found)?;
                }
            }
        }
        self.open.retain(|path, _| found.contains(path));
        let mut rows = Vec::new();
        for (path, open) in &mut self.open {
            match open.reader.read_into(&mut open.stats) {
                Ok(()) => rows.push(row(path, &open.stats, &mut open.last)),
                // Removed since it was found.
                Err(Error::Gone { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(rows)
    }

    /// Opens a group and those below it, if they are not open yet.
    fn walk(&mut self, path: &GroupPath, depth: usize, found: &mut Vec<String>) -> Result<()> {
        let name = path.to_string();
        if self.open.get(&name).is_some_and(|open| open.group.is_gone()) {
            self.open.remove(&name);
        }
        if !self.open.contains_key(&name) {
            let Some(group) = gone_is_none(self.all.find(path))?.flatten() else { return Ok(()) };
            let Some(reader) = gone_is_none(group.reader(StatSelection::ALL))? else { return Ok(()) };
            self.open.insert(name.clone(), Open { group, reader, stats: Stats::default(), last: None });
        }
        let below = match self.open.get(&name) {
            Some(open) if depth > 1 => gone_is_none(open.group.groups())?.unwrap_or_default(),
            _ => Vec::new(),
        };
        found.push(name);
        for path in paths(&below, Some(path)) {
            self.walk(&path, depth - 1, found)?;
        }
        Ok(())
    }
}

/// The paths of names that are such; the kernel allows others.
fn paths(names: &[String], above: Option<&GroupPath>) -> Vec<GroupPath> {
    let path = |name: &String| match above {
        Some(above) => above.join(name),
        None => GroupPath::new(name),
    };
    names.iter().filter_map(|name| path(name).ok()).collect()
}

fn gone_is_none<T>(result: Result<T>) -> Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(Error::Gone { .. } | Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

fn row(path: &str, stats: &Stats, last: &mut Option<Counters>) -> Row {
    let now = Counters {
        at: Instant::now(),
        cpu: stats.cpu.as_ref().map(|cpu| cpu.usage),
        read: stats.io.as_ref().map(|io| io.read_bytes().get()),
        written: stats.io.as_ref().map(|io| io.write_bytes().get()),
    };
    let before = last.replace(now).unwrap_or(now);
    let seconds = now.at.duration_since(before.at).as_secs_f64();
    let rate = |now: Option<f64>, before: Option<f64>| {
        // A group that is read for the first time has no rate yet.
        now.zip(before).filter(|_| seconds > 0.0).map(|(now, before)| (now - before).max(0.0) / seconds)
    };
    let precise = |count: Option<u64>| count.map(approximate);
    let memory = stats.memory.as_ref();
    let pressures = [stats.pressure.cpu, stats.pressure.memory, stats.pressure.io];
    Row {
        path: path.to_owned(),
        cpus: rate(now.cpu.map(|cpu| cpu.as_secs_f64()), before.cpu.map(|cpu| cpu.as_secs_f64())),
        memory: memory.map(|memory| memory.current.get()),
        memory_max: memory.and_then(|memory| memory.max).map(|max| max.map(windlass_cgroups::Bytes::get)),
        tasks: stats.pids.as_ref().map(|pids| pids.current),
        read: rate(precise(now.read), precise(before.read)),
        written: rate(precise(now.written), precise(before.written)),
        pressure: pressures.into_iter().flatten().map(|it| it.some.average_10s).reduce(f32::max),
        oom_kills: memory.and_then(|memory| memory.oom_kills),
    }
}

/// A count as a number to divide; what is lost of great ones is less than a byte in a terabyte.
#[expect(clippy::cast_precision_loss, reason = "a rate is shown with three digits")]
fn approximate(count: u64) -> f64 {
    count as f64
}
