//! Jobs, cron jobs, stateful sets and daemon sets step by step, until nothing is left to do.
#![expect(clippy::unwrap_used, reason = "a test's shared code may fail where it stands")]

use windlass_pod::batch::{CronAction, JobAction, cron_job, job};
use windlass_pod::kinds::{CronJob, DaemonSet, Job, Node, Pod, StatefulSet};
use windlass_pod::rollout::{DaemonAction, StatefulAction, daemon_set, stateful_set};
use windlass_pod::{Kind, Time, decode_yaml_as};

fn read<K: Kind>(text: &str) -> K {
    decode_yaml_as(text.as_bytes()).unwrap()
}

fn at(seconds: i64) -> Time {
    Time::from_unix_seconds(seconds)
}

const INDEX: &str = "batch.kubernetes.io/job-completion-index";

/// Runs a job to its end; `fails` says which tries of which index fail. Returns the end, and how many pods there were.
fn run(mut own: Job, fails: impl Fn(Option<i32>, usize) -> bool) -> (String, usize, i64) {
    let mut pods: Vec<Pod> = Vec::new();
    let mut now = 0;
    for _ in 0..200 {
        let step = job(&own, &pods, at(now));
        own.status = step.status;
        if let Some(end) =
            own.status.conditions.iter().find(|one| matches!(one.type_.as_deref(), Some("Complete" | "Failed")))
        {
            return (end.reason.clone().unwrap(), pods.len(), now);
        }
        let parallelism = usize::try_from(own.spec.parallelism.unwrap_or(1)).unwrap();
        for action in &step.actions {
            match action {
                JobAction::Create { index } => {
                    let mut pod = Pod::default();
                    pod.metadata.name = Some(format!("p{}", pods.len()));
                    pod.metadata.creation_timestamp = Some(at(now));
                    if let Some(index) = index {
                        pod.metadata.annotations.insert(INDEX.to_owned(), index.to_string());
                    }
                    let tries =
                        pods.iter().filter(|other| other.metadata.annotations == pod.metadata.annotations).count();
                    let phase = if fails(*index, tries) { "Failed" } else { "Succeeded" };
                    pod.status.message = Some(phase.to_owned());
                    pods.push(pod);
                }
                JobAction::Delete { pod } => pods.retain(|own| own.name() != pod),
                JobAction::DeleteJob => panic!("a job that runs is not deleted"),
            }
        }
        assert!(pods.iter().filter(|pod| pod.is_active()).count() <= parallelism, "too many at once");
        // What runs ends before the next step.
        for pod in pods.iter_mut().filter(|pod| pod.status.phase.is_none()) {
            pod.status.phase = pod.status.message.take();
        }
        now = step.again.filter(|_| step.actions.is_empty()).map_or(now + 1, Time::unix_seconds);
    }
    panic!("the job never ends: {:?}", own.status);
}

#[test]
fn jobs_come_to_their_end() {
    let never = |_: Option<i32>, _: usize| false;
    let (reason, pods, _) = run(read("spec: {completions: 5, parallelism: 2}"), never);
    assert_eq!((reason.as_str(), pods), ("CompletionsReached", 5));
    let (reason, pods, seconds) = run(read("spec: {completions: 1, backoffLimit: 3}"), |_, _| true);
    assert_eq!((reason.as_str(), pods), ("BackoffLimitExceeded", 4));
    assert!(seconds >= 10 + 20 + 40, "failures wait longer each time: {seconds} s");
    let indexed =
        "spec: {completionMode: Indexed, completions: 4, parallelism: 4, backoffLimit: 100, backoffLimitPerIndex: 1}";
    let (reason, pods, _) = run(read(indexed), |index, _| index == Some(2));
    assert_eq!((reason.as_str(), pods), ("FailedIndexes", 5));
    let (reason, pods, _) = run(read(indexed), |index, tries| index == Some(2) && tries == 0);
    assert_eq!((reason.as_str(), pods), ("CompletionsReached", 5));
    let early = "spec: {completionMode: Indexed, completions: 9, parallelism: 1, successPolicy: {rules: [{succeededIndexes: 0-1}]}}";
    assert_eq!(run(read(early), never), ("SuccessPolicy".to_owned(), 2, 2));
}

#[test]
fn policies_tell_failures_apart() {
    let text = "{metadata: {name: j}, spec: {podFailurePolicy: {rules: [{action: Ignore, onPodConditions: [{type: DisruptionTarget, status: 'True'}]}, {action: FailJob, onExitCodes: {operator: In, values: [42]}}]}}}";
    let own: Job = read(text);
    let failed = |status: &str| -> Pod {
        read(&format!("{{metadata: {{name: p, namespace: ns}}, status: {{phase: Failed, {status}}}}}"))
    };
    let disrupted = failed("conditions: [{type: DisruptionTarget, status: 'True'}]");
    assert_eq!(job(&own, &[disrupted], at(0)).status.failed, Some(0));
    let fatal = failed("containerStatuses: [{name: c, state: {terminated: {exitCode: 42}}}]");
    let status = job(&own, &[fatal], at(0)).status;
    let end = &status.conditions[0];
    assert_eq!(end.reason.as_deref(), Some("PodFailurePolicy"));
    assert_eq!(
        end.message.as_deref(),
        Some("Container c for pod ns/p failed with exit code 42 matching FailJob rule at index 1")
    );
}

#[test]
fn suspended_and_finished_jobs_do_nothing() {
    let own: Job = read("spec: {suspend: true, parallelism: 1}");
    let pods = [read::<Pod>("{metadata: {name: a}, status: {phase: Running}}")];
    assert_eq!(job(&own, &pods, at(9)).actions, [JobAction::Delete { pod: "a".to_owned() }]);
    let mut own: Job = read(
        "{spec: {ttlSecondsAfterFinished: 100}, status: {completionTime: '1970-01-01T00:00:10Z', conditions: [{type: Complete, status: 'True'}]}}",
    );
    assert_eq!(job(&own, &[], at(50)).again, Some(at(110)));
    assert_eq!(job(&own, &[], at(110)).actions, [JobAction::DeleteJob]);
    own.spec.ttl_seconds_after_finished = None;
    assert_eq!(job(&own, &[], at(9999)).actions, []);
}

#[test]
fn cron_jobs_keep_to_their_policy() {
    let own = |policy: &str| -> CronJob {
        read(&format!(
            "{{metadata: {{name: c, creationTimestamp: '1970-01-01T00:00:00Z'}}, spec: {{schedule: '*/5 * * * *', concurrencyPolicy: {policy}, successfulJobsHistoryLimit: 1}}}}"
        ))
    };
    let running = [read::<Job>("{metadata: {name: c-5}}")];
    let create = CronAction::Create { name: "c-10".to_owned(), scheduled: at(600) };
    let replace = CronAction::Delete { job: "c-5".to_owned() };
    for (policy, expected) in [("Allow", vec![create.clone()]), ("Forbid", vec![]), ("Replace", vec![replace, create])]
    {
        assert_eq!(cron_job(&own(policy), &running, at(610), 0).unwrap().actions, expected, "{policy}");
    }
    let done = |name: &str, start: i64| -> Job {
        let start = at(start);
        read(&format!(
            "{{metadata: {{name: {name}}}, status: {{startTime: '{start}', completionTime: '{start}', conditions: [{{type: Complete, status: 'True'}}]}}}}"
        ))
    };
    let step = cron_job(&own("Allow"), &[done("old", 1), done("new", 2)], at(10), 0).unwrap();
    assert_eq!(step.actions, [CronAction::Delete { job: "old".to_owned() }]);
    assert_eq!(step.status.last_successful_time, Some(at(2)));
}

fn member(name: &str, node: &str, hash: &str, ready: bool) -> Pod {
    let ready = if ready { "True" } else { "False" };
    read(&format!(
        "{{metadata: {{name: {name}, labels: {{controller-revision-hash: {hash}}}}}, spec: {{nodeName: {node}}}, status: {{phase: Running, conditions: [{{type: Ready, status: '{ready}'}}]}}}}"
    ))
}

/// Runs a set until it rests; every pod is ready at the next step.
fn settle(own: &mut StatefulSet, pods: &mut Vec<Pod>) -> Vec<String> {
    let mut log = Vec::new();
    for _ in 0..100 {
        let step = stateful_set(own, pods, at(0));
        own.status = step.status;
        if step.actions.is_empty() {
            return log;
        }
        for action in step.actions {
            match action {
                StatefulAction::Create { pod, revision, .. } => {
                    log.push(format!("+{pod}"));
                    pods.push(member(&pod, "node", &revision, true));
                }
                StatefulAction::Delete { pod } => {
                    log.push(format!("-{pod}"));
                    pods.retain(|own| own.name() != pod);
                }
                StatefulAction::DeleteClaim { claim } => log.push(format!("x{claim}")),
            }
        }
    }
    panic!("the set never rests");
}

#[test]
fn stateful_sets_go_in_order() {
    let mut own: StatefulSet = read("{metadata: {name: db}, spec: {replicas: 3}}");
    let mut pods = Vec::new();
    assert_eq!(settle(&mut own, &mut pods), ["+db-0", "+db-1", "+db-2"]);
    own.spec.replicas = Some(1);
    assert_eq!(settle(&mut own, &mut pods), ["-db-2", "-db-1"]);
    own.spec.replicas = Some(2);
    settle(&mut own, &mut pods);
    own.spec.template.spec.hostname = Some("new".to_owned());
    assert_eq!(settle(&mut own, &mut pods), ["-db-1", "+db-1", "-db-0", "+db-0"]);
    assert_eq!(own.status.current_revision, own.status.update_revision);
    // One that is not ready holds the others up.
    pods[0] = member("db-1", "node", own.status.update_revision.as_deref().unwrap(), false);
    own.spec.replicas = Some(5);
    assert!(stateful_set(&own, &pods, at(0)).actions.is_empty());
    own.spec.pod_management_policy = Some("Parallel".to_owned());
    assert_eq!(stateful_set(&own, &pods, at(0)).actions.len(), 3);
}

#[test]
fn a_partition_keeps_low_numbers_as_they_are() {
    let mut own: StatefulSet = read(
        "{metadata: {name: db}, spec: {replicas: 3, updateStrategy: {type: RollingUpdate, rollingUpdate: {partition: 2}}}}",
    );
    let mut pods = Vec::new();
    settle(&mut own, &mut pods);
    own.spec.template.spec.hostname = Some("new".to_owned());
    assert_eq!(settle(&mut own, &mut pods), ["-db-2", "+db-2"]);
}

#[test]
fn daemon_sets_are_on_every_node_that_takes_them() {
    let own: DaemonSet = read("{metadata: {name: log}, spec: {template: {spec: {nodeSelector: {disk: ssd}}}}}");
    let nodes: Vec<Node> = [
        "metadata: {name: a, labels: {disk: ssd}}",
        "metadata: {name: b}",
        "{metadata: {name: c, labels: {disk: ssd}}, spec: {taints: [{key: k, effect: NoSchedule}]}}",
        "{metadata: {name: d, labels: {disk: ssd}}, spec: {taints: [{key: node.kubernetes.io/not-ready, effect: NoExecute}]}}",
    ]
    .map(read)
    .into();
    let step = daemon_set(&own, &[], &nodes, at(0));
    let chosen: Vec<&str> = step
        .actions
        .iter()
        .map(|action| match action {
            DaemonAction::Create { node, .. } => node.as_str(),
            DaemonAction::Delete { .. } => "none",
        })
        .collect();
    assert_eq!(chosen, ["a", "d"]);
    let old: Vec<Pod> = ["a", "b", "d", "gone"].map(|node| member(&format!("on-{node}"), node, "old", true)).into();
    let step = daemon_set(&own, &old, &nodes, at(0));
    let gone: Vec<&DaemonAction> = step.actions.iter().collect();
    let delete = |pod: &str| DaemonAction::Delete { pod: pod.to_owned() };
    // What is in the wrong place goes at once, of the others one at a time.
    assert_eq!(gone, [&delete("on-b"), &delete("on-gone"), &delete("on-a")]);
    assert_eq!(step.status.number_misscheduled, Some(1));
}
