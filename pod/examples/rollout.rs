//! Draws a rolling update of twenty pods over time, as SVG on its output: each bar is a pod, grey while it starts, in
//! the colour of its version while it is ready.
#![expect(clippy::print_stdout, reason = "a program for people")]
#![expect(clippy::unwrap_used, reason = "an example may fail where it stands")]

use std::collections::BTreeMap;
use std::fmt::Write as _;

use windlass_pod::kinds::{Deployment, Pod, PodCondition, ReplicaSet};
use windlass_pod::replication::{self, Decision, Wanted};
use windlass_pod::rollout::{self, DeploymentAction};
use windlass_pod::{Kind, Time, decode_yaml_as};

const END: i64 = 120;
/// When the second version comes.
const CHANGE: i64 = 20;
const DEPLOYMENT: &[u8] = b"
metadata: {name: web, uid: d}
spec:
  replicas: 20
  selector: {matchLabels: {app: web}}
  strategy: {rollingUpdate: {maxSurge: 4, maxUnavailable: 2}}
  template: {metadata: {labels: {app: web}}, spec: {containers: [{name: web, image: 'web:1'}]}}
";

/// A pod's life, for the drawing.
struct Life {
    version: usize,
    created: i64,
    ready: Option<i64>,
    ended: Option<i64>,
}

#[derive(Default)]
struct World {
    sets: Vec<ReplicaSet>,
    pods: BTreeMap<String, Vec<Pod>>,
    lives: Vec<Life>,
}

impl World {
    /// Pods become ready five to fourteen seconds after they were created.
    fn age(&mut self, now: i64) {
        for pod in self.pods.values_mut().flatten().filter(|pod| !pod.is_ready()) {
            let id: usize = pod.metadata.uid.as_ref().unwrap().parse().unwrap();
            let delay = 5 + i64::try_from(id * 7 % 10).unwrap();
            if self.lives[id].created + delay <= now {
                self.lives[id].ready = Some(now);
                pod.status.phase = Some("Running".to_owned());
                pod.status.conditions = vec![PodCondition {
                    type_: Some("Ready".to_owned()),
                    status: Some("True".to_owned()),
                    last_transition_time: Some(Time::from_unix_seconds(now)),
                    ..PodCondition::default()
                }];
            }
        }
    }

    fn replicate(&mut self, now: i64) {
        let time = Time::from_unix_seconds(now);
        for (version, set) in self.sets.iter_mut().enumerate() {
            let pods = self.pods.entry(set.name().to_owned()).or_default();
            let wanted = usize::try_from(set.spec.replicas.unwrap()).unwrap();
            match replication::decide(wanted, pods, &[], time) {
                Decision::Keep => {}
                Decision::Create(count) => {
                    for _ in 0..count {
                        let mut pod = Pod { spec: set.spec.template.spec.clone(), ..Pod::default() };
                        pod.metadata.uid = Some(self.lives.len().to_string());
                        pod.metadata.creation_timestamp = Some(time);
                        pods.push(pod);
                        self.lives.push(Life { version, created: now, ready: None, ended: None });
                    }
                }
                Decision::Delete(surplus) => {
                    let gone: Vec<String> = surplus.iter().filter_map(|pod| pod.metadata.uid.clone()).collect();
                    pods.retain(|pod| !gone.contains(pod.metadata.uid.as_ref().unwrap()));
                    for uid in gone {
                        self.lives[uid.parse::<usize>().unwrap()].ended = Some(now);
                    }
                }
            }
            let counts = replication::count(&Wanted::of_replica_set(set).unwrap(), pods, time);
            let number = |count: usize| Some(i32::try_from(count).unwrap());
            set.status.replicas = number(counts.replicas);
            set.status.ready_replicas = number(counts.ready);
            set.status.available_replicas = number(counts.available);
        }
    }

    fn act(&mut self, actions: Vec<DeploymentAction>, now: i64) {
        for action in actions {
            match action {
                DeploymentAction::Create(mut set) => {
                    set.metadata.creation_timestamp = Some(Time::from_unix_seconds(now));
                    self.sets.push(*set);
                }
                DeploymentAction::Scale { set, replicas } => {
                    self.sets.iter_mut().find(|own| own.name() == set).unwrap().spec.replicas = Some(replicas);
                }
                DeploymentAction::Annotate { set, annotations } => {
                    let own = self.sets.iter_mut().find(|own| own.name() == set).unwrap();
                    own.metadata.annotations.extend(annotations);
                }
                DeploymentAction::Delete { set } => self.sets.retain(|own| own.name() != set),
            }
        }
    }
}

fn main() {
    let mut deployment: Deployment = decode_yaml_as(DEPLOYMENT).unwrap();
    let mut world = World::default();
    for now in 0..END {
        if now == CHANGE {
            deployment.spec.template.spec.containers[0].image = Some("web:2".to_owned());
        }
        world.age(now);
        world.replicate(now);
        let step = rollout::deployment(&deployment, &world.sets, Time::from_unix_seconds(now));
        deployment.status = step.status;
        world.act(step.actions, now);
    }
    print!("{}", drawing(&world.lives));
}

fn drawing(lives: &[Life]) -> String {
    const SECOND: i64 = 6;
    const ROW: i64 = 9;
    let height = i64::try_from(lives.len()).unwrap() * ROW + 20;
    let mut svg =
        format!("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{}\" height=\"{height}\">\n", END * SECOND);
    for second in (0..END).step_by(20) {
        let x = second * SECOND;
        // Writing to a string cannot fail.
        let _ = writeln!(svg, "<text x=\"{x}\" y=\"12\" font-size=\"10\">{second} s</text>");
    }
    for (row, life) in lives.iter().enumerate() {
        let y = i64::try_from(row).unwrap() * ROW + 18;
        let end = life.ended.unwrap_or(END);
        let colour = ["#4878a8", "#c8782d"][life.version.min(1)];
        let ready = life.ready.unwrap_or(end);
        for (from, to, colour) in [(life.created, ready, "#bbbbbb"), (ready, end, colour)] {
            let (x, width) = (from * SECOND, (to - from) * SECOND);
            let height = ROW - 2;
            let _ =
                writeln!(svg, "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" fill=\"{colour}\"/>");
        }
    }
    svg.push_str("</svg>\n");
    svg
}
