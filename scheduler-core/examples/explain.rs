//! Explains where a pod could go: `cargo run -p windlass-scheduler-core --example explain`.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use windlass_pod::{Object, decode_yaml};
use windlass_scheduler_core::{Event, Profile, Scheduler};

const CLUSTER: &str = "
apiVersion: v1
kind: Node
metadata: {name: n1, labels: {zone: a}}
spec: {taints: [{key: dedicated, value: database, effect: NoSchedule}]}
status: {allocatable: {cpu: '8', memory: 16Gi, pods: '10'}}
---
apiVersion: v1
kind: Node
metadata: {name: n2, labels: {zone: b}}
status: {allocatable: {cpu: '1', memory: 16Gi, pods: '10'}}
---
apiVersion: v1
kind: Pod
metadata: {name: running, uid: u1}
spec:
  nodeName: n2
  containers: [{name: main, image: main, resources: {requests: {cpu: 600m}}}]
---
apiVersion: v1
kind: Pod
metadata: {name: urgent, uid: u2}
spec:
  priority: 100
  containers: [{name: main, image: main, resources: {requests: {cpu: 500m}}}]
---
apiVersion: v1
kind: Pod
metadata: {name: huge, uid: u3}
spec:
  containers: [{name: main, image: main, resources: {requests: {cpu: '4', memory: 20Gi}}}]
";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut scheduler = Scheduler::new(Profile::default())?;
    for object in decode_yaml(CLUSTER.as_bytes())? {
        match &object {
            Object::Node(node) => scheduler.apply(Event::NodeApplied(node))?,
            Object::Pod(pod) => scheduler.apply(Event::PodApplied(pod))?,
            other => println!("{} is not shown here", other.kind()),
        }
    }
    for pod in ["urgent", "huge"] {
        println!("{pod}\n{}", scheduler.explain("default", pod)?);
    }
    Ok(())
}
