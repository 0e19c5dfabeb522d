//! Scores of nodes with shared devices, and the choice of devices on one.

use std::collections::BTreeMap;

use crate::cluster::Cluster;
use crate::device::{DEVICES_MAX, DeviceAsk, Rack, WHOLE};
use crate::gpu::{GpuStrategy, GpuWorkload};
use crate::intern::{Interner, Symbol};
use crate::node::Usage;
use crate::request::PodClass;
use crate::resources::CPU;
use crate::score::logarithm::ln;
use crate::slot::NodeId;

/// What one point of a strategy counts: less decides only among nodes with equal points.
const POINT: i64 = 10_000_000;
/// The most that a node gets.
pub(crate) const MOST: i64 = 101 * POINT;
/// The node against which rooms are measured: the cores of the largest that the published simulator knows.
const MILLICORES: i64 = 128_000;
/// And its devices.
const MILLI: i64 = 8 * WHOLE;

/// A strategy with its names resolved.
#[derive(Clone, Debug)]
pub(crate) enum Strategy {
    Fragmentation(Tasks),
    BestFit,
    DotProduct,
    Packing,
    Clustering,
    Random(u64),
}

/// The expected tasks, by the model of the node that may take them.
#[derive(Clone, Debug)]
pub(crate) struct Tasks {
    named: BTreeMap<Symbol, Box<[Task]>>,
    unnamed: Box<[Task]>,
    /// How many tasks there are in all, those without devices included.
    all: i64,
    /// From which decrease on, in devices, a node gets 1 point, 2 points, ...
    steps: Box<[f64]>,
}

#[derive(Clone, Copy, Debug)]
struct Task {
    millicores: i64,
    devices: usize,
    milli: i64,
    count: i64,
}

impl Strategy {
    pub(crate) fn new(strategy: &GpuStrategy, interner: &mut Interner) -> Self {
        match strategy {
            GpuStrategy::Fragmentation(workload) => Self::Fragmentation(Tasks::new(workload, interner)),
            GpuStrategy::BestFit => Self::BestFit,
            GpuStrategy::DotProduct => Self::DotProduct,
            GpuStrategy::Packing => Self::Packing,
            GpuStrategy::Clustering => Self::Clustering,
            GpuStrategy::Random(seed) => Self::Random(*seed),
        }
    }

    /// The points of a node on which the pod fits.
    pub(crate) fn points(&self, cluster: &Cluster, class: &PodClass, node: NodeId) -> i64 {
        let none = Rack::default();
        let actual = cluster.nodes.actual(node);
        let room = Room {
            millicores: cluster.nodes.allocatable(node, CPU) - actual.requested(CPU),
            rack: actual.rack().unwrap_or(&none),
            wanted: class.requests.base[0],
            ask: class.devices.as_ref(),
        };
        match self {
            Self::Fragmentation(tasks) => tasks.best(&room).0,
            Self::BestFit => POINT * (100 * (2 * ROOM - room.left_over()) / (2 * ROOM)),
            Self::DotProduct => POINT * room.unlikeness(),
            Self::Packing => POINT * room.packing(),
            Self::Clustering => POINT * room.clustering(),
            Self::Random(_) => 0,
        }
    }

    /// The devices that a pod takes on a node; `lot` is drawn for the pod.
    pub(crate) fn choose(
        &self,
        cluster: &Cluster,
        class: &PodClass,
        node: NodeId,
        lot: impl Fn(u64) -> u64,
    ) -> Vec<u16> {
        let actual = cluster.nodes.actual(node);
        let (Some(ask), Some(rack)) = (&class.devices, actual.rack()) else { return Vec::new() };
        match self {
            Self::Fragmentation(tasks) if ask.is_shared() => {
                let millicores = cluster.nodes.allocatable(node, CPU) - actual.requested(CPU);
                let room = Room { millicores, rack, wanted: class.requests.base[0], ask: Some(ask) };
                tasks.best(&room).1.map_or_else(|| rack.choose(ask), |device| vec![device])
            }
            Self::Random(seed) if ask.is_shared() => {
                let fitting: Vec<u16> =
                    (0..).zip(rack.free()).filter(|(_, free)| **free >= ask.amount()).map(|one| one.0).collect();
                let drawn = lot(*seed).checked_rem(fitting.len() as u64).and_then(|drawn| usize::try_from(drawn).ok());
                drawn.map_or_else(|| rack.choose(ask), |drawn| vec![fitting[drawn]])
            }
            _ => rack.choose(ask),
        }
    }
}

/// The largest room of one kind.
const ROOM: i64 = 1 << 20;

/// What is free on a node, and what a pod wants of it.
struct Room<'a> {
    millicores: i64,
    rack: &'a Rack,
    wanted: i64,
    ask: Option<&'a DeviceAsk>,
}

impl Room<'_> {
    fn milli(&self) -> i64 {
        self.ask.map_or(0, DeviceAsk::total)
    }

    /// What is left of cores and devices once the pod is there: 0 to twice [`ROOM`].
    fn left_over(&self) -> i64 {
        let share = |left: i64, whole: i64| left.clamp(0, whole) * ROOM / whole;
        share(self.millicores - self.wanted, MILLICORES) + share(self.rack.left() - self.milli(), MILLI)
    }

    fn unlikeness(&self) -> i64 {
        let product =
            |free: i64, wanted: i64, whole: i64| free.clamp(0, whole) * ROOM / whole * wanted.clamp(0, whole) / whole;
        let products =
            product(self.millicores, self.wanted, MILLICORES) + product(self.rack.left(), self.milli(), MILLI);
        100 * (2 * ROOM - products) / (2 * ROOM)
    }

    fn packing(&self) -> i64 {
        let Some(ask) = self.ask else { return 0 };
        let free = |device: &&i64| **device == WHOLE;
        let idle = self.rack.free().iter().filter(free).count();
        if idle == usize::from(self.rack.count()) {
            let idle = i64::from(self.rack.count());
            return (33 - idle).max(idle);
        }
        let chosen = ask.tightest(self.rack.free());
        let left = chosen.iter().map(|device| self.rack.free()[usize::from(*device)]);
        let opened = left.clone().filter(|left| *left == WHOLE).count();
        match i64::try_from(opened) {
            Ok(0) => (100 - left.map(|left| left * 100 / WHOLE).sum::<i64>() / 10).max(50),
            opened => (50 - opened.unwrap_or(50)).max(33),
        }
    }

    fn clustering(&self) -> i64 {
        let Some(ask) = self.ask else { return 0 };
        let base = 25 * (MILLI - self.rack.left()).max(0) / MILLI;
        base + match self.rack.company(ask) {
            (true, 1) => 75,
            (true, _) => 50,
            (false, 0) => 25,
            (false, _) => 0,
        }
    }
}

impl Tasks {
    fn new(workload: &GpuWorkload, interner: &mut Interner) -> Self {
        let mut resolved: Vec<(Task, Vec<Symbol>)> = Vec::new();
        let all = workload.tasks.iter().map(|(_, count)| i64::from(*count)).sum();
        for (task, count) in workload.tasks.iter().filter(|(task, _)| task.devices > 0) {
            let models = task.models.iter().map(|model| interner.intern(model)).collect();
            let (devices, milli) = (usize::from(task.devices), i64::from(task.milli));
            let millicores = i64::from(task.millicores);
            resolved.push((Task { millicores, devices, milli, count: i64::from(*count) }, models));
        }
        let of = |model: Option<Symbol>| -> Box<[Task]> {
            let takes = |models: &[Symbol]| models.is_empty() || model.is_some_and(|model| models.contains(&model));
            resolved.iter().filter(|(_, models)| takes(models)).map(|(task, _)| *task).collect()
        };
        let models = resolved.iter().flat_map(|(_, models)| models.iter().copied());
        let steps = (1..100).map(|points| ln(f64::from(points)) - ln(f64::from(100 - points)));
        Self {
            named: models.map(|model| (model, of(Some(model)))).collect(),
            unnamed: of(None),
            all,
            steps: steps.collect(),
        }
    }

    /// The points of a node, and the device that a pod takes that asks for a part of one.
    fn best(&self, room: &Room<'_>) -> (i64, Option<u16>) {
        let tasks = room.rack.model.and_then(|model| self.named.get(&model)).unwrap_or(&self.unnamed);
        let millicores = room.millicores - room.wanted;
        let free = room.rack.free();
        let before = Free::new(free).useful(tasks, room.millicores);
        // What is lost beside the pod's own share: less than 0 where the rest becomes more useful.
        let lost = |after: i64| before - after - room.milli() * self.all;
        let rest = i64::from(ROOM_POINTS) - room.left_over() * i64::from(ROOM_POINTS) / (2 * ROOM);
        match room.ask {
            Some(ask) if ask.is_shared() => {
                let fitting = (0..).zip(free).filter(|(_, left)| **left >= ask.amount());
                let points = fitting.map(|(device, left)| {
                    let changed = Free::with(free, usize::from(device), left - ask.amount());
                    let points = self.points(lost(changed.useful(tasks, millicores)));
                    (points, -left, std::cmp::Reverse(device))
                });
                let Some((points, left, device)) = points.max() else { return (0, None) };
                let tight = WHOLE - 1 - (-left - ask.amount()).min(WHOLE - 1);
                (points * POINT + tight * i64::from(ROOM_POINTS + 1) + rest, Some(device.0))
            }
            ask => {
                let mut after = Free::new(free);
                after.drop_whole(ask.map_or(0, |ask| usize::from(ask.count)));
                let points = self.points(lost(after.useful(tasks, millicores)));
                (points * POINT + (WHOLE - 1) * i64::from(ROOM_POINTS + 1) + rest, None)
            }
        }
    }

    /// A logistic curve from 0 to 100 over the devices that are gained: 50 where nothing is.
    #[expect(clippy::cast_precision_loss, reason = "thousandths of a cluster's devices, times tasks")]
    fn points(&self, lost: i64) -> i64 {
        let gained = -(lost as f64) / (self.all.max(1) * WHOLE) as f64;
        i64::try_from(self.steps.partition_point(|step| *step <= gained)).unwrap_or(0)
    }
}

/// Among equal points and equally tight devices, the room that is left decides in so many steps.
const ROOM_POINTS: u16 = 9_999;

/// Devices by what is left of them, the most first, with sums from the front.
struct Free {
    left: [i64; DEVICES_MAX],
    count: usize,
}

impl Free {
    fn new(free: &[i64]) -> Self {
        let mut this = Self { left: [0; DEVICES_MAX], count: 0 };
        for left in free.iter().copied().filter(|left| *left > 0).take(DEVICES_MAX) {
            this.left[this.count] = left;
            this.count += 1;
        }
        this.left[..this.count].sort_unstable_by(|one, two| two.cmp(one));
        this
    }

    /// The same with one of the devices changed.
    fn with(free: &[i64], device: usize, left: i64) -> Self {
        let mut this = Self { left: [0; DEVICES_MAX], count: 0 };
        let changed = free.iter().enumerate().map(|(index, free)| if index == device { left } else { *free });
        for left in changed.filter(|left| *left > 0).take(DEVICES_MAX) {
            this.left[this.count] = left;
            this.count += 1;
        }
        this.left[..this.count].sort_unstable_by(|one, two| two.cmp(one));
        this
    }

    /// Takes whole devices away, which are in front.
    fn drop_whole(&mut self, count: usize) {
        let count = count.min(self.count);
        self.left.copy_within(count..self.count, 0);
        self.count -= count;
    }

    /// How much of the devices the tasks could use, each task as often as it is expected.
    fn useful(&self, tasks: &[Task], millicores: i64) -> i64 {
        let left = &self.left[..self.count];
        let mut sums = [0; DEVICES_MAX + 1];
        for (index, left) in left.iter().enumerate() {
            sums[index + 1] = sums[index] + left;
        }
        let fitting = tasks.iter().filter(|task| {
            task.millicores <= millicores && left.get(task.devices - 1).is_some_and(|least| *least >= task.milli)
        });
        fitting.map(|task| task.count * sums[left.partition_point(|left| *left >= task.milli)]).sum()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What the paper calls fragmentation: everything where the task does not fit, else the devices that are too small.
    fn fragments(free: &[i64], millicores: i64, task: &Task) -> i64 {
        let all: i64 = free.iter().sum();
        let enough = free.iter().filter(|left| **left >= task.milli).count() >= task.devices;
        if task.millicores > millicores || !enough {
            return all;
        }
        free.iter().filter(|left| **left < task.milli).sum()
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_is_useful_is_what_is_no_fragment(
            free in prop::collection::vec(0..11_i64, 1..9),
            tasks in prop::collection::vec((0..5_i64, 1..4_usize, 1..11_i64, 1..9_i64), 1..9),
            millicores in 0..5_i64,
        ) {
            let free: Vec<i64> = free.into_iter().map(|tenths| tenths * 100).collect();
            let tasks: Vec<Task> = tasks
                .into_iter()
                .map(|(millicores, devices, tenths, count)| Task { millicores, devices, milli: tenths * 100, count })
                .collect();
            let all: i64 = free.iter().sum();
            let plain: i64 = tasks.iter().map(|task| task.count * (all - fragments(&free, millicores, task))).sum();
            prop_assert_eq!(Free::new(&free).useful(&tasks, millicores), plain);
            let mut changed = free.clone();
            changed[0] /= 2;
            let (with, new) = (Free::with(&free, 0, free[0] / 2), Free::new(&changed));
            prop_assert_eq!(with.useful(&tasks, millicores), new.useful(&tasks, millicores));
        }
    }
}
