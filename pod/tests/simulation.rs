//! A deployment of a thousand pods (a hundred without optimization) through random failures, on a clock of its own.
//!
//! Every seed runs ten thousand simulated seconds: pods crash, answer their probes late or badly, get no sandbox, are
//! deleted; the template changes and the number of replicas too. `POD_SEEDS` says how many seeds run, `POD_SEED` which
//! one alone; CI runs two hundred.
#![expect(clippy::unwrap_used, reason = "a test's shared code may fail where it stands")]

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::time::Duration;

use windlass_pod::kinds::{Deployment, Node, Pod, ReplicaSet, Service};
use windlass_pod::lifecycle::{Action, Event, Exit, PodMachine, Settings};
use windlass_pod::probe::Outcome;
use windlass_pod::replication::{self, Decision, Wanted};
use windlass_pod::rollout::{self, Bounds, DeploymentAction};
use windlass_pod::{Kind, Time, decode_yaml_as, endpoints};

/// Without optimization a tenth of the pods is enough waiting.
const PODS: i32 = if cfg!(debug_assertions) { 100 } else { 1000 };
const END: u64 = 10_000;
/// From here on nothing fails any more.
const QUIET: u64 = 6_000;
/// When the last rollout begins, which must never leave too few.
const LAST: u64 = 8_000;

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn one_in(&mut self, chance: u64) -> bool {
        self.below(chance) == 0
    }
}

/// What comes to pass at some time.
#[derive(Debug)]
enum Due {
    /// The machine of this pod is told something.
    Pod(u64, Event),
    /// The machine of this pod asked to be called.
    Tick(u64),
    /// A container of some pod ends.
    Crash,
    /// Somebody deletes some pod.
    Evict,
    Image(u32),
    Scale(i32),
    Check,
}

struct Member {
    machine: PodMachine,
    set: String,
    /// Where it is among the pods of its set.
    index: usize,
    /// When it was last asked to be called.
    tick: Option<Duration>,
}

struct World {
    random: Random,
    now: u64,
    queue: BinaryHeap<Reverse<(u64, u64)>>,
    due: HashMap<u64, Due>,
    next: u64,
    own: Deployment,
    sets: Vec<ReplicaSet>,
    /// The pods of each set, as the API server has them.
    pods: HashMap<String, Vec<Pod>>,
    members: HashMap<u64, Member>,
    dirty: bool,
    created: u64,
    /// All wanted pods worked since then.
    stable: bool,
}

const DEPLOYMENT: &str = "
metadata: {name: web, namespace: default, uid: d, generation: 1}
spec:
  replicas: 100
  selector: {matchLabels: {app: web}}
  strategy: {type: RollingUpdate, rollingUpdate: {maxSurge: 10%, maxUnavailable: 5%}}
  revisionHistoryLimit: 2
  progressDeadlineSeconds: 600
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: web
        image: web:1
        readinessProbe: {tcpSocket: {port: 80}, periodSeconds: 120, timeoutSeconds: 10, failureThreshold: 2}
        livenessProbe: {tcpSocket: {port: 80}, periodSeconds: 300, timeoutSeconds: 10, failureThreshold: 2}
";

const SERVICE: &str = "
metadata: {name: web, namespace: default}
spec: {type: ClusterIP, clusterIP: 10.96.0.9, selector: {app: web}, ports: [{port: 80, targetPort: 80}]}
";

/// What a pod is called by here: its uid.
fn number(pod: &Pod) -> u64 {
    pod.metadata.uid.as_ref().unwrap().parse().unwrap()
}

impl World {
    fn new(seed: u64) -> Self {
        let mut own: Deployment = decode_yaml_as(DEPLOYMENT.as_bytes()).unwrap();
        own.spec.replicas = Some(PODS);
        let mut world = Self {
            random: Random(seed),
            now: 0,
            queue: BinaryHeap::new(),
            due: HashMap::new(),
            next: 0,
            own,
            sets: Vec::new(),
            pods: HashMap::new(),
            members: HashMap::new(),
            dirty: true,
            created: 0,
            stable: false,
        };
        for _ in 0..world.random.below(120) {
            let at = world.random.below(QUIET);
            world.at(at, Due::Crash);
        }
        for _ in 0..world.random.below(40) {
            let at = world.random.below(QUIET);
            world.at(at, Due::Evict);
        }
        for version in 2..4 {
            let at = 500 + world.random.below(QUIET - 1000);
            world.at(at, Due::Image(version));
        }
        let (at, tenths) = (1000 + world.random.below(3000), 7 + world.random.below(3));
        world.at(at, Due::Scale(PODS / 10 * i32::try_from(tenths).unwrap()));
        world.at(at + 1000, Due::Scale(PODS));
        world.at(LAST, Due::Image(9));
        for at in (100..END).step_by(400) {
            world.at(at, Due::Check);
        }
        world
    }

    fn at(&mut self, time: u64, due: Due) {
        self.next += 1;
        self.due.insert(self.next, due);
        self.queue.push(Reverse((time.max(self.now), self.next)));
    }

    fn soon(&mut self, most: u64) -> u64 {
        self.now + 1 + self.random.below(most)
    }

    fn clock(&self) -> Duration {
        Duration::from_secs(self.now)
    }

    fn time(&self) -> Time {
        Time::since_epoch(self.clock())
    }

    fn fails(&mut self, chance: u64) -> bool {
        self.now < QUIET && self.random.one_in(chance)
    }

    /// Does what a machine asks for, each in its time.
    fn perform(&mut self, id: u64, actions: Vec<Action>) {
        for action in actions {
            let event = match action {
                Action::CreateSandbox if self.fails(200) => Event::SandboxFailed { message: "no address".to_owned() },
                Action::CreateSandbox => {
                    let ip = format!("10.{}.{}.{}", id >> 16 & 255, id >> 8 & 255, id & 255);
                    Event::SandboxReady { ips: vec![ip] }
                }
                Action::RemoveSandbox => Event::SandboxRemoved,
                Action::Start { container, .. } if self.fails(300) => Event::StartFailed {
                    container,
                    reason: "CreateContainerError".to_owned(),
                    message: "no image".to_owned(),
                },
                Action::Start { container, attempt } => Event::Started { container, id: format!("{id}-{attempt}") },
                Action::Terminate { container, id: identity } | Action::Kill { container, id: identity } => {
                    let exit = Exit { code: 143, signal: Some(15), ..Exit::default() };
                    Event::Exited { container, id: identity, exit }
                }
                Action::Probe { container, kind, .. } => {
                    let outcome = if self.fails(60) { Outcome::Failure } else { Outcome::Success };
                    Event::ProbeFinished { container, kind, outcome }
                }
                Action::Run { .. } | Action::CancelProbe { .. } | Action::Note { .. } => continue,
            };
            let time = self.soon(3);
            self.at(time, Due::Pod(id, event));
        }
    }

    /// Tells a pod's machine something, and copies what it reports.
    fn tell(&mut self, id: u64, event: Event) {
        let now = self.clock();
        let Some(member) = self.members.get_mut(&id) else { return };
        let actions = member.machine.handle(event, now);
        let gone = member.machine.is_gone();
        let pods = self.pods.get_mut(&member.set).unwrap();
        let pod = &mut pods[member.index];
        if pod.status != *member.machine.status() {
            let was = (pod.is_ready(), pod.is_terminal());
            pod.status = member.machine.status().clone();
            self.dirty |= was != (pod.is_ready(), pod.is_terminal());
        }
        // What is due at once is due with the next second here.
        let timeout = member.machine.next_timeout().map(|timeout| timeout.max(now + Duration::from_secs(1)));
        let call = timeout.filter(|timeout| member.tick.is_none_or(|tick| tick <= now || *timeout < tick));
        member.tick = call.or(member.tick);
        if gone && pod.metadata.deletion_timestamp.is_some() {
            self.remove(id);
        }
        self.perform(id, actions);
        if let Some(timeout) = call {
            let seconds = timeout.as_secs() + u64::from(timeout.subsec_nanos() > 0);
            self.at(seconds, Due::Tick(id));
        }
    }

    /// The API server has this pod no more; the last of its set takes its place.
    fn remove(&mut self, id: u64) {
        let Member { set, index, .. } = self.members.remove(&id).unwrap();
        let pods = self.pods.get_mut(&set).unwrap();
        pods.swap_remove(index);
        if let Some(moved) = pods.get(index) {
            self.members.get_mut(&number(moved)).unwrap().index = index;
        }
        self.dirty = true;
    }

    fn delete(&mut self, set: &str, name: &str) {
        let now = self.time();
        let pods = self.pods.get_mut(set).unwrap();
        let Some(pod) = pods.iter_mut().find(|pod| pod.name() == name) else { return };
        if pod.metadata.deletion_timestamp.is_some() {
            return;
        }
        pod.metadata.deletion_timestamp = Some(now);
        let id = number(pod);
        self.dirty = true;
        self.tell(id, Event::Delete { grace: None });
    }

    fn create(&mut self, set: &ReplicaSet) {
        self.created += 1;
        let id = self.created;
        let mut pod = Pod { metadata: set.spec.template.metadata.clone(), ..Pod::default() };
        pod.metadata.name = Some(format!("{}-{id}", set.name()));
        pod.metadata.namespace = Some("default".to_owned());
        pod.metadata.uid = Some(id.to_string());
        pod.metadata.creation_timestamp = Some(self.time());
        pod.spec = set.spec.template.spec.clone();
        pod.spec.node_name = Some(format!("node-{}", id % 50));
        let machine = PodMachine::new(pod.clone(), Settings::default());
        let pods = self.pods.get_mut(set.name()).unwrap();
        self.members.insert(id, Member { machine, set: set.name().to_owned(), index: pods.len(), tick: None });
        pods.push(pod);
        let time = self.soon(4);
        self.at(time, Due::Tick(id));
    }

    /// The controllers, until none of them has anything to do; what was promised is looked at when something changed.
    fn control(&mut self) {
        if !self.dirty {
            return;
        }
        while std::mem::take(&mut self.dirty) {
            let now = self.time();
            let sets = self.sets.clone();
            for (index, set) in sets.iter().enumerate() {
                let pods = &self.pods[set.name()];
                let wanted = usize::try_from(set.spec.replicas.unwrap()).unwrap();
                match replication::decide(wanted, pods, &[], now) {
                    Decision::Keep => {}
                    Decision::Create(count) => (0..count).for_each(|_| self.create(set)),
                    Decision::Delete(surplus) => {
                        let names: Vec<String> = surplus.iter().map(|pod| pod.name().to_owned()).collect();
                        for name in &names {
                            self.delete(set.name(), name);
                        }
                    }
                }
                // A pod that has ended is cleared away.
                let ended: Vec<String> = self.pods[set.name()]
                    .iter()
                    .filter(|pod| pod.is_terminal() && pod.metadata.deletion_timestamp.is_none())
                    .map(|pod| pod.name().to_owned())
                    .collect();
                for name in &ended {
                    self.delete(set.name(), name);
                }
                let counts = replication::count(&Wanted::of_replica_set(set).unwrap(), &self.pods[set.name()], now);
                let told = |count: usize| Some(i32::try_from(count).unwrap());
                let status = &mut self.sets[index].status;
                let before = status.clone();
                status.replicas = told(counts.replicas);
                status.ready_replicas = told(counts.ready);
                status.available_replicas = told(counts.available);
                self.dirty |= *status != before;
            }
            self.roll(now);
        }
        self.invariants();
    }

    fn roll(&mut self, now: Time) {
        let step = rollout::deployment(&self.own, &self.sets, now);
        self.own.status = step.status;
        for action in step.actions {
            self.dirty = true;
            match action {
                DeploymentAction::Create(mut set) => {
                    set.metadata.creation_timestamp = Some(now);
                    self.pods.insert(set.name().to_owned(), Vec::new());
                    self.sets.push(*set);
                }
                DeploymentAction::Scale { set, replicas } => self.set(&set).spec.replicas = Some(replicas),
                DeploymentAction::Annotate { set, annotations } => {
                    self.set(&set).metadata.annotations.extend(annotations);
                }
                DeploymentAction::Delete { set } => {
                    assert!(self.pods[&set].iter().all(|pod| !pod.is_active()), "a set with pods is deleted");
                    self.sets.retain(|own| own.name() != set);
                }
            }
        }
    }

    fn set(&mut self, name: &str) -> &mut ReplicaSet {
        self.sets.iter_mut().find(|set| set.name() == name).unwrap()
    }

    fn live(&self) -> impl Iterator<Item = &Pod> {
        self.pods.values().flatten().filter(|pod| pod.is_active())
    }

    fn invariants(&mut self) {
        let bounds = Bounds::of(&self.own);
        let live = self.live().count();
        let most = usize::try_from(bounds.total()).unwrap();
        assert!(live <= most, "at {}: {live} pods, at most {most} allowed", self.now);
        let ready = self.live().filter(|pod| pod.is_ready()).count();
        let enough = usize::try_from(bounds.available()).unwrap();
        self.stable |= self.now >= QUIET && ready >= enough;
        assert!(!self.stable || ready >= enough, "at {}: {ready} ready, at least {enough} promised", self.now);
    }

    /// What the service publishes.
    fn published(&self) {
        let service: Service = decode_yaml_as(SERVICE.as_bytes()).unwrap();
        let node = Node::default();
        let pods: Vec<&Pod> = self.pods.values().flatten().collect();
        let wanted = endpoints::slices(&service, pods.iter().copied(), |_| Some(&node), &endpoints::Options::default());
        let by_name: HashMap<&str, &Pod> = pods.iter().map(|pod| (pod.name(), *pod)).collect();
        let mut count = 0;
        for endpoint in wanted.slices.iter().flat_map(|slice| &slice.endpoints) {
            let pod = by_name[endpoint.target_ref.as_ref().unwrap().name.as_deref().unwrap()];
            let ready = endpoint.conditions.ready == Some(true);
            count += usize::from(ready);
            assert!(
                !ready || (pod.is_ready() && pod.is_active()),
                "an endpoint for {}, which is not ready",
                pod.name()
            );
        }
        assert_eq!(count, self.live().filter(|pod| pod.is_ready()).count(), "a ready pod has no endpoint");
    }

    fn happen(&mut self, due: Due) {
        match due {
            Due::Pod(id, event) => self.tell(id, event),
            Due::Tick(id) => self.tell(id, Event::Tick),
            Due::Crash => {
                let id = 1 + self.random.below(self.created.max(1));
                let running = self.members.get(&id).and_then(|member| {
                    let status = member.machine.status().container_statuses.first()?;
                    status.state.running.as_ref()?;
                    Some(status.container_id.clone().unwrap_or_default())
                });
                if let Some(identity) = running {
                    let identity = identity.rsplit('/').next().unwrap_or_default().to_owned();
                    let exit = Exit { code: 1, ..Exit::default() };
                    self.tell(id, Event::Exited { container: "web".to_owned(), id: identity, exit });
                }
            }
            Due::Evict => {
                let id = 1 + self.random.below(self.created.max(1));
                if let Some(member) = self.members.get(&id) {
                    let (set, name) = (member.set.clone(), member.machine.pod().name().to_owned());
                    self.delete(&set, &name);
                }
            }
            Due::Image(version) => {
                self.own.spec.template.spec.containers[0].image = Some(format!("web:{version}"));
                self.own.metadata.generation = self.own.metadata.generation.map(|generation| generation + 1);
                self.dirty = true;
            }
            Due::Scale(replicas) => {
                self.own.spec.replicas = Some(replicas);
                self.own.metadata.generation = self.own.metadata.generation.map(|generation| generation + 1);
                self.dirty = true;
            }
            Due::Check => {
                self.invariants();
                self.published();
            }
        }
    }

    fn run(mut self) {
        self.control();
        while let Some(Reverse((time, _))) = self.queue.peek().copied() {
            if time > END {
                break;
            }
            self.now = time;
            while let Some(Reverse((at, key))) = self.queue.peek().copied().filter(|Reverse((at, _))| *at == time) {
                debug_assert_eq!(at, time);
                self.queue.pop();
                if let Some(due) = self.due.remove(&key) {
                    self.happen(due);
                }
            }
            self.control();
        }
        self.published();
        let status = &self.own.status;
        let newest = |pod: &&Pod| pod.spec.containers[0].image.as_deref() == Some("web:9");
        let wanted = usize::try_from(PODS).unwrap();
        assert_eq!(self.live().filter(newest).count(), wanted, "pods of the last version: {status:?}");
        assert_eq!(self.live().count(), wanted);
        assert_eq!(
            (status.replicas, status.available_replicas, status.updated_replicas),
            (Some(PODS), Some(PODS), Some(PODS))
        );
        let progress = status.conditions.iter().find(|one| one.type_.as_deref() == Some("Progressing")).unwrap();
        assert_eq!(progress.reason.as_deref(), Some("NewReplicaSetAvailable"));
        assert!(self.sets.len() <= 3, "{} versions are kept", self.sets.len());
    }
}

#[test]
fn a_thousand_pods_come_through() {
    let given = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seeds: Vec<u64> = match given("POD_SEED") {
        Some(seed) => vec![seed],
        None => (0..given("POD_SEEDS").unwrap_or(4)).collect(),
    };
    let workers = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let run = |seeds: &[u64]| {
        for seed in seeds {
            let result = std::panic::catch_unwind(|| World::new(*seed).run());
            assert!(result.is_ok(), "seed {seed} fails: run again with POD_SEED={seed}");
        }
    };
    std::thread::scope(|scope| {
        for share in seeds.chunks(seeds.len().div_ceil(workers).max(1)) {
            scope.spawn(move || run(share));
        }
    });
    println!("simulation: seeds {}, each {END} seconds of {PODS} pods", seeds.len());
}
