//! Schedules three pods onto two nodes: `cargo run -p windlass-scheduler-core --example embed`.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::time::Duration;

use windlass_pod::{Node, Pod, decode_yaml_as};
use windlass_scheduler_core::{Decision, Event, Profile, Scheduler};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut scheduler = Scheduler::new(Profile::default())?;
    for (name, cpu) in [("small", "1"), ("large", "4")] {
        let node = format!(
            "{{apiVersion: v1, kind: Node, metadata: {{name: {name}}},
               status: {{allocatable: {{cpu: '{cpu}', memory: 8Gi, pods: '10'}}}}}}"
        );
        scheduler.apply(Event::NodeApplied(&decode_yaml_as::<Node>(node.as_bytes())?))?;
    }
    for (name, cpu) in [("a", "500m"), ("b", "3"), ("c", "8")] {
        let pod = format!(
            "{{apiVersion: v1, kind: Pod, metadata: {{name: {name}, uid: {name}}},
               spec: {{containers: [{{name: main, image: main, resources: {{requests: {{cpu: '{cpu}'}}}}}}]}}}}"
        );
        scheduler.apply(Event::PodApplied(&decode_yaml_as::<Pod>(pod.as_bytes())?))?;
    }
    loop {
        match scheduler.next(Duration::ZERO) {
            Decision::Bind { pod, node, score, .. } => {
                println!("{pod} goes to {node} with {score} points");
                scheduler.commit(&pod)?;
            }
            Decision::Unschedulable { pod, report } => println!("{pod} waits: {report}"),
            Decision::Idle { .. } => return Ok(()),
            other => println!("{other:?}"),
        }
    }
}
