//! Replays a trace of pods that share devices, and tells how much of the devices each strategy could give away.
//!
//! `openb NODES PODS [--policies NAME,NAME] [--seeds COUNT] [--demand PERCENT] [--svg FILE]`: two tables of the openb trace
//! as comma-separated values. Pods arrive in a random order, each once, and then again at random until they ask for
//! so many percent of all devices; who fits nowhere is turned away. The table shows the mean over the seeds of what was
//! given away in the end, the drawing how it grew with what was asked for.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for people")]

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use plotters::prelude::{BLACK, ChartBuilder, IntoDrawingArea, LineSeries, PathElement, SVGBackend, WHITE};
use plotters::style::{Color as _, Palette as _, Palette99};
use windlass_pod::{Node, Pod, Quantity};
use windlass_scheduler_core::{Decision, Event, GpuStrategy, GpuTask, GpuWorkload, Profile, Scheduler};

const USAGE: &str = "usage: openb NODES PODS [--policies NAME,NAME] [--seeds COUNT] [--demand PERCENT] [--svg FILE]
policies: random dot-product clustering packing best-fit fragmentation";
const POLICIES: [&str; 6] = ["random", "dot-product", "clustering", "packing", "best-fit", "fragmentation"];

type Failure = Box<dyn Error>;

struct Arguments {
    nodes: String,
    pods: String,
    policies: Vec<String>,
    seeds: u64,
    demand: u64,
    svg: Option<String>,
}

/// A pod of the trace: what it asks for, and itself.
struct Arrival {
    task: GpuTask,
    pod: Pod,
}

impl Arrival {
    fn milli(&self) -> u64 {
        u64::from(self.task.devices) * u64::from(self.task.milli)
    }
}

/// How much was asked for and given away so far, in percent of all devices.
type Curve = Vec<(f64, f64)>;

fn main() -> ExitCode {
    let Some(arguments) = arguments() else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("openb: {error}");
            ExitCode::FAILURE
        }
    }
}

fn arguments() -> Option<Arguments> {
    let mut words = std::env::args().skip(1);
    let (nodes, pods) = (words.next()?, words.next()?);
    let policies = POLICIES.map(str::to_owned).to_vec();
    let mut arguments = Arguments { nodes, pods, policies, seeds: 5, demand: 130, svg: None };
    while let Some(word) = words.next() {
        let value = words.next()?;
        match word.as_str() {
            "--policies" => arguments.policies = value.split(',').map(str::to_owned).collect(),
            "--seeds" => arguments.seeds = value.parse().ok()?,
            "--demand" => arguments.demand = value.parse().ok()?,
            "--svg" => arguments.svg = Some(value),
            _ => return None,
        }
    }
    let known = arguments.policies.iter().all(|policy| POLICIES.contains(&policy.as_str()));
    (known && arguments.seeds > 0).then_some(arguments)
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    let nodes = table(&arguments.nodes, node)?;
    let arrivals = table(&arguments.pods, arrival)?;
    let devices: u64 = nodes.iter().map(|(_, count)| count).sum();
    let nodes: Vec<Node> = nodes.into_iter().map(|(node, _)| node).collect();
    println!("{} nodes, {devices} devices, {} pods, {} % asked for", nodes.len(), arrivals.len(), arguments.demand);
    let mut curves: Vec<(&str, Curve)> = Vec::new();
    for policy in &arguments.policies {
        let mut ends = Vec::new();
        for seed in 1..=arguments.seeds {
            let curve = replay(&nodes, &arrivals, policy, seed, devices * 10 * arguments.demand)?;
            ends.push(curve.last().map_or(0.0, |(_, given)| *given));
            if seed == 1 {
                curves.push((policy, curve));
            }
        }
        #[expect(clippy::cast_precision_loss, reason = "few seeds")]
        let mean = ends.iter().sum::<f64>() / ends.len() as f64;
        let ends: Vec<String> = ends.iter().map(|end| format!("{end:.2}")).collect();
        println!("{policy:<14} {mean:>6.2} %   {}", ends.join(" "));
    }
    match &arguments.svg {
        Some(path) => draw(path, &curves, arguments.demand),
        None => Ok(()),
    }
}

/// The rows of a table behind its heading.
fn table<T>(path: &str, row: impl Fn(&[&str]) -> Option<T>) -> Result<Vec<T>, Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?;
    let rows = text.lines().enumerate().skip(1).filter(|(_, line)| !line.trim().is_empty());
    rows.map(|(number, line)| {
        let fields: Vec<&str> = line.split(',').map(str::trim).collect();
        row(&fields).ok_or_else(|| format!("{path}:{}: not a row of the trace: {line}", number + 1).into())
    })
    .collect()
}

/// `sn,cpu_milli,memory_mib,gpu,model`.
fn node(fields: &[&str]) -> Option<(Node, u64)> {
    let [name, millicores, mebibytes, devices, model, ..] = fields else { return None };
    let mut node = Node::default();
    node.metadata.name = Some((*name).to_owned());
    node.metadata.labels.insert("alibabacloud.com/gpu-card-model".to_owned(), (*model).to_owned());
    let amounts = [
        ("cpu", format!("{millicores}m")),
        ("memory", format!("{mebibytes}Mi")),
        ("pods", "1000".to_owned()),
        ("alibabacloud.com/gpu-count", (*devices).to_owned()),
    ];
    for (resource, amount) in amounts {
        node.status.allocatable.insert(resource.to_owned(), amount.parse::<Quantity>().ok()?);
    }
    Some((node, devices.parse().ok()?))
}

/// `name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec`.
fn arrival(fields: &[&str]) -> Option<Arrival> {
    let [name, millicores, mebibytes, devices, milli, models, ..] = fields else { return None };
    let mut pod = Pod::default();
    pod.metadata.name = Some((*name).to_owned());
    let mut container = windlass_pod::Container::default();
    for (resource, amount) in [("cpu", format!("{millicores}m")), ("memory", format!("{mebibytes}Mi"))] {
        container.resources.requests.insert(resource.to_owned(), amount.parse::<Quantity>().ok()?);
    }
    pod.spec.containers.push(container);
    let devices: u16 = devices.parse().ok()?;
    let milli: u16 = if milli.is_empty() { 1000 } else { milli.parse().ok()? };
    for (key, value) in
        [("count", devices.to_string()), ("milli", milli.to_string()), ("card-model", (*models).to_owned())]
    {
        pod.metadata.annotations.insert(format!("alibabacloud.com/gpu-{key}"), value);
    }
    let models = models.split('|').filter(|model| !model.is_empty()).map(str::to_owned).collect();
    let task = GpuTask { millicores: millicores.parse().ok()?, devices, milli, models };
    Some(Arrival { task, pod })
}

/// Offers pods until they ask for `limit` thousandths of devices together.
fn replay(nodes: &[Node], arrivals: &[Arrival], policy: &str, seed: u64, limit: u64) -> Result<Curve, Failure> {
    let mut random = Random(seed);
    let mut order: Vec<usize> = (0..arrivals.len()).collect();
    random.shuffle(&mut order);
    let mut asked: u64 = arrivals.iter().map(Arrival::milli).sum();
    loop {
        let again = random.below(arrivals.len());
        if asked + arrivals[again].milli() > limit {
            break;
        }
        asked += arrivals[again].milli();
        order.push(again);
    }
    let workload = || GpuWorkload::typical(arrivals.iter().map(|arrival| arrival.task.clone()));
    let mut scheduler = Scheduler::new(Profile::gpu_sharing(match policy {
        "random" => GpuStrategy::Random(seed),
        "dot-product" => GpuStrategy::DotProduct,
        "clustering" => GpuStrategy::Clustering,
        "packing" => GpuStrategy::Packing,
        "best-fit" => GpuStrategy::BestFit,
        _ => GpuStrategy::Fragmentation(workload()),
    }))?;
    let mut rows: Vec<&Node> = nodes.iter().collect();
    random.shuffle(&mut rows);
    for node in rows {
        scheduler.apply(Event::NodeApplied(node))?;
    }
    let all: u64 = nodes
        .iter()
        .filter_map(|node| node.status.allocatable.get("alibabacloud.com/gpu-count")?.value())
        .filter_map(|count| u64::try_from(count).ok())
        .sum();
    #[expect(clippy::cast_precision_loss, reason = "percent")]
    let percent = |milli: u64| milli as f64 / (all * 10) as f64;
    let (mut asked, mut given, mut curve) = (0, 0, Vec::new());
    for (number, index) in order.into_iter().enumerate() {
        let arrival = &arrivals[index];
        let mut pod = arrival.pod.clone();
        let name = format!("{}-{number}", pod.metadata.name.as_deref().unwrap_or_default());
        pod.metadata.name = Some(name.clone());
        asked += arrival.milli();
        scheduler.apply(Event::PodApplied(&pod))?;
        if let Decision::Bind { pod, .. } = scheduler.next(Duration::ZERO) {
            scheduler.commit(&pod)?;
            given += arrival.milli();
        } else {
            scheduler.apply(Event::PodRemoved { namespace: "default", name: &name })?;
        }
        curve.push((percent(asked), percent(given)));
    }
    Ok(curve)
}

fn draw(path: &str, curves: &[(&str, Curve)], demand: u64) -> Result<(), Failure> {
    #[expect(clippy::cast_precision_loss, reason = "percent")]
    let demand = demand as f64;
    let area = SVGBackend::new(path, (900, 600)).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area);
    chart.margin(20).x_label_area_size(40).y_label_area_size(50);
    let mut chart = chart.build_cartesian_2d(0.0..demand, 0.0..100.0)?;
    chart.configure_mesh().x_desc("asked for, % of all devices").y_desc("given away, %").draw()?;
    for (index, (policy, curve)) in curves.iter().enumerate() {
        let color = Palette99::pick(index).to_rgba();
        let line = LineSeries::new(curve.iter().step_by(20).chain(curve.last()).copied(), color);
        chart.draw_series(line)?.label(*policy).legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], color));
    }
    chart.configure_series_labels().border_style(BLACK).draw()?;
    area.present()?;
    println!("{path} shows the first seed");
    Ok(())
}

/// Splitmix: the same numbers for the same seed everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    #[expect(clippy::cast_possible_truncation, reason = "smaller than a length")]
    fn below(&mut self, count: usize) -> usize {
        (self.next() % count.max(1) as u64) as usize
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}
