//! The scheduler as a machine: what wakes pods, what nominations keep free, what errors leave untouched.
#![expect(clippy::unwrap_used, reason = "the objects are written here")]

use std::time::Duration;

use windlass_pod::{Namespace, Node, Object, Pod, PodDisruptionBudget, PriorityClass, decode_yaml, decode_yaml_as};
use windlass_scheduler_core::{
    Decision, Error, Event, FilterPlugin, FitStrategy, PodRef, Preemption, Profile, Scheduler, ScorePlugin, Ties,
    Verdict,
};

const SECOND: Duration = Duration::from_secs(1);

fn scheduler(objects: &str) -> Scheduler {
    let mut scheduler = Scheduler::new(Profile::default()).unwrap();
    apply(&mut scheduler, objects);
    scheduler
}

/// Applies documents, each a flow mapping with its kind first.
fn apply(scheduler: &mut Scheduler, objects: &str) {
    for object in decode_yaml(objects.as_bytes()).unwrap() {
        match &object {
            Object::Node(node) => scheduler.apply(Event::NodeApplied(node)).unwrap(),
            Object::Pod(pod) => scheduler.apply(Event::PodApplied(pod)).unwrap(),
            Object::Namespace(namespace) => scheduler.apply(Event::NamespaceApplied(namespace)).unwrap(),
            other => panic!("{} is applied by the test itself", other.kind()),
        }
    }
}

/// A node with so many cores.
fn node(name: &str, cpu: u32) -> String {
    node_with(name, cpu, "")
}

fn node_with(name: &str, cpu: u32, spec: &str) -> String {
    format!(
        "---\n{{apiVersion: v1, kind: Node, metadata: {{name: {name}, labels: {{zone: z-{name}}}}}, spec: {{{spec}}}, \
         status: {{allocatable: {{cpu: '{cpu}', memory: 64Gi, pods: '100'}}}}}}\n"
    )
}

/// A pod that requests so many cores, with more of a spec.
fn pod(name: &str, cpu: u32, spec: &str) -> String {
    let comma = if spec.is_empty() { "" } else { ", " };
    format!(
        "---\n{{apiVersion: v1, kind: Pod, metadata: {{name: {name}, uid: uid-{name}, labels: {{app: {name}}}}}, spec: \
         {{containers: [{{name: c, image: i, resources: {{requests: {{cpu: '{cpu}'}}}}}}]{comma}{spec}}}}}\n"
    )
}

fn bind(scheduler: &mut Scheduler, now: Duration) -> (PodRef, String) {
    match scheduler.next(now) {
        Decision::Bind { pod, node, .. } => (pod, node.to_string()),
        other => panic!("a pod should be bound: {other:?}"),
    }
}

fn unschedulable(scheduler: &mut Scheduler, now: Duration) -> String {
    match scheduler.next(now) {
        Decision::Unschedulable { report, .. } => report.to_string(),
        other => panic!("a pod should fit nowhere: {other:?}"),
    }
}

fn is_idle(scheduler: &mut Scheduler, now: Duration) -> bool {
    matches!(scheduler.next(now), Decision::Idle { .. })
}

fn remove(scheduler: &mut Scheduler, name: &str) {
    scheduler.apply(Event::PodRemoved { namespace: "default", name }).unwrap();
}

#[test]
fn an_assumed_pod_counts_until_it_is_rolled_back() {
    let mut scheduler = scheduler(&(node("n1", 1) + &pod("a", 1, "") + &pod("b", 1, "")));
    let (first, _) = bind(&mut scheduler, Duration::ZERO);
    assert_eq!(
        unschedulable(&mut scheduler, Duration::ZERO),
        "0/1 nodes are available: 1 Insufficient cpu. \
         preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod."
    );
    scheduler.rollback(&first).unwrap();
    assert_eq!(scheduler.next(Duration::ZERO), Decision::Idle { until: Some(SECOND) });
    // Both have waited a second; the one that came first is tried first.
    let (again, _) = bind(&mut scheduler, SECOND);
    assert_eq!(again, first);
    scheduler.commit(&again).unwrap();
    scheduler.commit(&again).unwrap();
    assert!(matches!(scheduler.rollback(&again), Err(Error::WrongState { .. })));
}

#[test]
fn an_event_wakes_only_the_pods_that_it_can_help() {
    let mut scheduler = scheduler(
        &(node("n1", 1)
            + &pod("large", 2, "")
            + &pod("labelled", 0, "nodeSelector: {disk: ssd}")
            + &pod("first", 1, "")),
    );
    unschedulable(&mut scheduler, Duration::ZERO);
    unschedulable(&mut scheduler, Duration::ZERO);
    let (first, _) = bind(&mut scheduler, Duration::ZERO);
    scheduler.commit(&first).unwrap();
    assert_eq!((scheduler.counts().unschedulable, scheduler.counts().backoff), (2, 0));
    // A node without the label and with too little cpu helps neither.
    apply(&mut scheduler, &node("small", 1));
    assert_eq!(scheduler.counts().unschedulable, 2);
    apply(&mut scheduler, &node("big", 4));
    assert_eq!((scheduler.counts().unschedulable, scheduler.counts().backoff), (1, 1));
    let (large, on) = bind(&mut scheduler, SECOND);
    assert_eq!((large.name(), on.as_str()), ("large", "big"));
    // After five minutes a pod is tried whatever happened.
    assert!(is_idle(&mut scheduler, SECOND * 299));
    unschedulable(&mut scheduler, SECOND * 300);
}

#[test]
fn a_nomination_keeps_the_room_for_the_pod_it_was_made_for() {
    let mut scheduler = scheduler(&(node("n1", 2) + &pod("weak", 2, "nodeName: n1, priority: 1")));
    apply(&mut scheduler, &pod("strong", 2, "priority: 10"));
    let Decision::Preempt { pod: strong, node: on, victims } = scheduler.next(Duration::ZERO) else {
        panic!("the weak pod should be preempted")
    };
    assert_eq!((strong.name(), &*on, victims[0].name()), ("strong", "n1", "weak"));
    // While the victim is going, nothing else is evicted.
    remove(&mut scheduler, "weak");
    apply(&mut scheduler, &pod("thief", 1, "priority: 5"));
    assert!(unschedulable(&mut scheduler, Duration::ZERO).starts_with("0/1 nodes are available: 1 Insufficient cpu."));
    let (bound, _) = bind(&mut scheduler, SECOND);
    assert_eq!(bound, strong);
}

#[test]
fn a_preemptor_waits_for_its_victims_and_may_be_rolled_back() {
    let mut scheduler =
        scheduler(&(node("n1", 2) + &pod("weak", 2, "nodeName: n1") + &pod("strong", 2, "priority: 10")));
    let Decision::Preempt { pod: strong, .. } = scheduler.next(Duration::ZERO) else { panic!("it preempts") };
    // The five minutes are over and the victim is still there.
    let report = unschedulable(&mut scheduler, SECOND * 300);
    assert!(report.ends_with("preemption: not eligible due to a terminating pod on the nominated node."), "{report}");
    scheduler.rollback(&strong).unwrap();
    assert!(matches!(scheduler.next(SECOND * 400), Decision::Preempt { .. }));
    assert!(matches!(scheduler.rollback(&strong), Ok(())));
    assert!(matches!(scheduler.rollback(&strong), Err(Error::WrongState { .. })));
}

/// A pod that differs from its twins by its name alone.
fn twin(name: &str, spec: &str, status: &str) -> String {
    format!(
        "---\n{{apiVersion: v1, kind: Pod, metadata: {{name: {name}, uid: uid-{name}}}, spec: {{containers: [{{name: c, \
         image: i, resources: {{requests: {{cpu: '1'}}}}}}], {spec}}}, status: {{{status}}}}}\n"
    )
}

fn preempt(scheduler: &mut Scheduler) -> (PodRef, String) {
    match scheduler.next(Duration::ZERO) {
        Decision::Preempt { pod, node, victims } => (pod, format!("{node} without {victims:?}")),
        other => panic!("somebody should have to go: {other:?}"),
    }
}

#[test]
fn twins_that_fit_nowhere_see_what_changed_since_the_first() {
    let low = |name: &str, node: &str, started: u32| {
        let status = format!("phase: Running, startTime: '2024-01-01T00:00:{started:02}Z'");
        twin(name, &format!("priority: 1, nodeName: {node}"), &status)
    };
    let mut scheduler = scheduler(
        &(node("n1", 1)
            + &node("n2", 1)
            + &node("n3", 1)
            + &low("a", "n1", 30)
            + &low("b", "n2", 20)
            + &low("c", "n3", 10)),
    );
    for name in ["t1", "t2", "t3", "t4", "t5"] {
        apply(&mut scheduler, &twin(name, "priority: 9", ""));
    }
    // The victim that ran for the shortest time goes first; a node that somebody waits for is no choice.
    let (first, choice) = preempt(&mut scheduler);
    assert!(choice.starts_with("n1 without"), "{choice}");
    let (_, choice) = preempt(&mut scheduler);
    assert!(choice.starts_with("n2 without"), "{choice}");
    scheduler.rollback(&first).unwrap();
    let (third, choice) = preempt(&mut scheduler);
    assert!(choice.starts_with("n1 without"), "{choice}");
    scheduler.rollback(&third).unwrap();
    apply(&mut scheduler, &low("c", "n3", 40));
    let (_, choice) = preempt(&mut scheduler);
    assert!(choice.starts_with("n3 without"), "{choice}");
    remove(&mut scheduler, "a");
    assert_eq!(bind(&mut scheduler, Duration::ZERO).1, "n1");
}

#[test]
fn a_disruption_budget_moves_the_choice() {
    let two = node("a", 2) + &node("b", 2);
    let pods = pod("kept", 2, "nodeName: a") + &pod("spared", 2, "nodeName: b, priority: 1");
    let mut scheduler = scheduler(&(two + &pods));
    apply(&mut scheduler, &pod("strong", 2, "priority: 10"));
    let victims = |scheduler: &Scheduler| {
        let explanation = scheduler.explain("default", "strong").unwrap();
        let names = explanation.evictions.iter().map(|eviction| eviction.victims[0].name().to_owned());
        (names.collect::<Vec<_>>(), explanation.evictions[0].budget_violations)
    };
    // Without a budget, the less important pod goes.
    assert_eq!(victims(&scheduler), (vec!["kept".to_owned()], 0));
    let budget = |allowed: u32| -> PodDisruptionBudget {
        let text = format!(
            "{{apiVersion: policy/v1, kind: PodDisruptionBudget, metadata: {{name: keep, namespace: default}}, \
             spec: {{selector: {{matchLabels: {{app: kept}}}}}}, status: {{disruptionsAllowed: {allowed}}}}}"
        );
        decode_yaml_as(text.as_bytes()).unwrap()
    };
    scheduler.apply(Event::DisruptionBudgetApplied(&budget(0))).unwrap();
    assert_eq!(victims(&scheduler), (vec!["spared".to_owned()], 0));
    scheduler.apply(Event::DisruptionBudgetApplied(&budget(1))).unwrap();
    assert_eq!(victims(&scheduler), (vec!["kept".to_owned()], 0));
    scheduler.apply(Event::DisruptionBudgetApplied(&budget(0))).unwrap();
    scheduler.apply(Event::DisruptionBudgetRemoved { namespace: "default", name: "keep" }).unwrap();
    assert_eq!(victims(&scheduler), (vec!["kept".to_owned()], 0));
}

#[test]
fn who_may_not_preempt_waits() {
    let cluster = node("n1", 1) + &pod("weak", 1, "nodeName: n1");
    let mut polite = scheduler(&(cluster.clone() + &pod("polite", 1, "priority: 9, preemptionPolicy: Never")));
    let report = unschedulable(&mut polite, Duration::ZERO);
    assert!(report.ends_with(" preemption: not eligible due to preemptionPolicy=Never."), "{report}");
    let mut scheduler = Scheduler::new(Profile { preemption: Preemption::Disabled, ..Profile::default() }).unwrap();
    apply(&mut scheduler, &(cluster + &pod("strong", 1, "priority: 9")));
    assert_eq!(unschedulable(&mut scheduler, Duration::ZERO), "0/1 nodes are available: 1 Insufficient cpu.");
}

#[test]
fn gates_and_other_schedulers_hold_a_pod_back() {
    let mut scheduler = scheduler(&node("n1", 4));
    apply(&mut scheduler, &pod("gated", 1, "schedulingGates: [{name: example.com/quota}]"));
    apply(&mut scheduler, &pod("foreign", 1, "schedulerName: another"));
    assert_eq!(scheduler.next(Duration::ZERO), Decision::Idle { until: None });
    assert_eq!(scheduler.counts().gated, 1);
    apply(&mut scheduler, &pod("gated", 1, ""));
    assert_eq!(bind(&mut scheduler, Duration::ZERO).0.name(), "gated");
    assert!(is_idle(&mut scheduler, Duration::ZERO));
}

#[test]
fn an_older_object_does_not_take_a_pod_off_its_node() {
    let mut scheduler = scheduler(&(node("n1", 1) + &pod("a", 1, "")));
    let (a, _) = bind(&mut scheduler, Duration::ZERO);
    apply(&mut scheduler, &pod("a", 1, ""));
    scheduler.commit(&a).unwrap();
    apply(&mut scheduler, &pod("a", 1, ""));
    apply(&mut scheduler, &pod("b", 1, ""));
    unschedulable(&mut scheduler, Duration::ZERO);
    // The pod has ended: its room is free.
    let mut ended: Pod = decode_yaml_as(pod("a", 1, "nodeName: n1").as_bytes()).unwrap();
    ended.status.phase = Some("Succeeded".to_owned());
    scheduler.apply(Event::PodApplied(&ended)).unwrap();
    remove(&mut scheduler, "a");
    assert_eq!(bind(&mut scheduler, SECOND).0.name(), "b");
    assert!(matches!(scheduler.commit(&a), Err(Error::NotFound { .. })));
}

#[test]
fn pods_of_a_removed_node_count_again_when_it_returns() {
    let mut scheduler = scheduler(&(node("n1", 2) + &pod("bound", 1, "nodeName: n1") + &pod("assumed", 1, "")));
    let (assumed, _) = bind(&mut scheduler, Duration::ZERO);
    scheduler.apply(Event::NodeRemoved("n1")).unwrap();
    apply(&mut scheduler, &pod("late", 1, ""));
    assert_eq!(unschedulable(&mut scheduler, Duration::ZERO), "no nodes available to schedule pods");
    apply(&mut scheduler, &node("n1", 2));
    let report = unschedulable(&mut scheduler, SECOND);
    assert!(report.starts_with("0/1 nodes are available: 1 Insufficient cpu."), "{report}");
    scheduler.rollback(&assumed).unwrap();
    assert_eq!(bind(&mut scheduler, SECOND * 4).1, "n1");
    assert!(matches!(scheduler.apply(Event::NodeRemoved("other")), Err(Error::NotFound { kind: "node", .. })));
}

#[test]
fn a_pod_that_was_made_anew_is_another_pod() {
    let mut scheduler = scheduler(&(node("n1", 1) + &pod("a", 1, "")));
    let (old, _) = bind(&mut scheduler, Duration::ZERO);
    apply(&mut scheduler, &pod("a", 1, "").replace("uid-a", "uid-new"));
    let (new, _) = bind(&mut scheduler, Duration::ZERO);
    assert_eq!((new.uid(), new.to_string().as_str()), ("uid-new", "default/a"));
    assert!(matches!(scheduler.commit(&old), Err(Error::NotFound { .. })));
}

#[test]
fn priority_classes_count_where_a_pod_names_no_number() {
    let class = |name: &str, rest: &str| -> PriorityClass {
        let text =
            format!("{{apiVersion: scheduling.k8s.io/v1, kind: PriorityClass, metadata: {{name: {name}}}, {rest}}}");
        decode_yaml_as(text.as_bytes()).unwrap()
    };
    let mut scheduler = scheduler(&node("n1", 9));
    let named: Pod = decode_yaml_as(pod("named", 1, "priorityClassName: high").as_bytes()).unwrap();
    let missing = Err(Error::NotFound { kind: "priority class", name: "high".to_owned() });
    assert_eq!(scheduler.apply(Event::PodApplied(&named)), missing);
    scheduler.apply(Event::PriorityClassApplied(&class("high", "value: 7"))).unwrap();
    scheduler.apply(Event::PriorityClassApplied(&class("usual", "value: 5, globalDefault: true"))).unwrap();
    apply(&mut scheduler, &(pod("plain", 1, "") + &pod("numbered", 1, "priority: 6")));
    scheduler.apply(Event::PodApplied(&named)).unwrap();
    let order: Vec<String> = (0..3).map(|_| bind(&mut scheduler, Duration::ZERO).0.name().to_owned()).collect();
    assert_eq!(order, ["named", "numbered", "plain"]);
    scheduler.apply(Event::PriorityClassRemoved("high")).unwrap();
    let again: Pod = decode_yaml_as(pod("again", 1, "priorityClassName: high").as_bytes()).unwrap();
    assert_eq!(scheduler.apply(Event::PodApplied(&again)), missing);
}

#[test]
fn namespaces_decide_whom_a_selector_by_label_means() {
    let affinity = "affinity: {podAffinity: {requiredDuringSchedulingIgnoredDuringExecution: \
        [{topologyKey: zone, labelSelector: {}, namespaceSelector: {matchLabels: {team: x}}}]}}";
    let other = pod("there", 1, "nodeName: n1").replace("uid: uid-there", "uid: uid-there, namespace: side");
    let mut scheduler = scheduler(&(node("n1", 9) + &node("m", 9) + &other + &pod("joins", 1, affinity)));
    unschedulable(&mut scheduler, Duration::ZERO);
    apply(&mut scheduler, "{apiVersion: v1, kind: Namespace, metadata: {name: side, labels: {team: x}}}");
    assert_eq!(bind(&mut scheduler, SECOND).1, "n1");
    scheduler.apply(Event::NamespaceRemoved("side")).unwrap();
    apply(&mut scheduler, &pod("late", 1, affinity));
    unschedulable(&mut scheduler, SECOND);
}

#[test]
fn ties_fall_to_the_first_node_or_to_a_seed() {
    let nodes: String = (0..8).map(|index| node(&format!("n{index}"), 4)).collect();
    let placed = |ties: Ties| {
        let mut scheduler = Scheduler::new(Profile { ties, ..Profile::default() }).unwrap();
        apply(&mut scheduler, &nodes);
        (0..8)
            .map(|index| {
                apply(&mut scheduler, &pod(&format!("p{index}"), 0, ""));
                bind(&mut scheduler, Duration::ZERO).1
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(placed(Ties::LowestIndex)[0], "n0");
    assert_eq!(placed(Ties::Seeded(7)), placed(Ties::Seeded(7)));
    assert_ne!(placed(Ties::Seeded(7)), placed(Ties::Seeded(8)));
}

#[test]
fn the_fit_strategy_spreads_or_packs() {
    let placed = |fit: FitStrategy| {
        let scores = [(ScorePlugin::NodeResourcesFit, 1)].into();
        let mut scheduler = Scheduler::new(Profile { fit, scores, ..Profile::default() }).unwrap();
        apply(&mut scheduler, &(node("empty", 8) + &node("used", 8) + &pod("there", 4, "nodeName: used")));
        scheduler.apply(Event::PodApplied(&decode_yaml_as(pod("new", 1, "").as_bytes()).unwrap())).unwrap();
        bind(&mut scheduler, Duration::ZERO).1
    };
    assert_eq!(placed(FitStrategy::LeastAllocated), "empty");
    assert_eq!(placed(FitStrategy::MostAllocated), "used");
}

#[test]
fn what_if_asks_about_a_pod_that_is_not_there() {
    let mut scheduler = scheduler(&(node("n1", 1) + &node("m", 2)));
    let asked: Pod = decode_yaml_as(pod("asked", 2, "nodeName: n1").as_bytes()).unwrap();
    let before = scheduler.counts();
    let explanation = scheduler.what_if(&asked).unwrap();
    let reasons = explanation.nodes.iter().map(|node| match &node.verdict {
        Verdict::Rejected { plugin, reasons, .. } => format!("{} {}", plugin.name(), reasons[0]),
        other => panic!("no node fits: {other:?}"),
    });
    assert_eq!(
        reasons.collect::<Vec<_>>(),
        ["NodeResourcesFit Insufficient cpu", "NodeName node(s) didn't match the requested node name"]
    );
    assert_eq!(explanation.nearest.unwrap().remedies[0].to_string(), "1000m more free cpu");
    assert_eq!(scheduler.counts(), before);
    assert!(matches!(scheduler.explain("default", "asked"), Err(Error::NotFound { .. })));
}

#[test]
fn node_fields_select_by_name() {
    let affinity = |operator: &str| {
        format!(
            "affinity: {{nodeAffinity: {{requiredDuringSchedulingIgnoredDuringExecution: {{nodeSelectorTerms: \
             [{{matchFields: [{{key: metadata.name, operator: {operator}, values: [b]}}]}}]}}}}}}"
        )
    };
    let mut scheduler = scheduler(&(node("a", 4) + &node("b", 4)));
    apply(&mut scheduler, &(pod("on-b", 1, &affinity("In")) + &pod("off-b", 1, &affinity("NotIn"))));
    assert_eq!([bind(&mut scheduler, SECOND).1, bind(&mut scheduler, SECOND).1], ["b", "a"]);
}

#[test]
fn bad_input_is_named_and_changes_nothing() {
    let mut scheduler = scheduler(&(node("n1", 4) + &pod("there", 1, "nodeName: n1") + &pod("waits", 9, "")));
    unschedulable(&mut scheduler, Duration::ZERO);
    let before = scheduler.counts();
    let spread = |rest: &str| format!("topologySpreadConstraints: [{{topologyKey: zone, {rest}}}]");
    let table = [
        (pod("x", 1, "nodeName: gone"), "no such node: gone"),
        (pod("x", 1, "").replace("uid-x", "uid-there"), "pod default/x has the uid uid-there of pod default/there"),
        (
            pod("x", 1, "").replace("cpu: '1'", "cpu: '-1'"),
            "spec.resources.requests[cpu]: \"-1\": not an amount from 0 to 2^55",
        ),
        (
            pod("x", 1, "").replace("cpu: '1'", "memory: '9e30'"),
            "spec.resources.requests[memory]: \"9e30\": not an amount from 0 to 2^55",
        ),
        (
            pod("x", 1, "overhead: {memory: 64Pi}"),
            "spec.resources.requests[memory]: \"64Pi\": not an amount from 0 to 2^55",
        ),
        (
            pod("x", 1, "tolerations: [{operator: Like}]"),
            "spec.tolerations[0].operator: \"Like\": Equal or Exists is meant",
        ),
        (
            pod("x", 1, &spread("maxSkew: 0")),
            "spec.topologySpreadConstraints[0].maxSkew: \"0\": a positive number is meant",
        ),
        (
            pod("x", 1, &spread("maxSkew: 1, whenUnsatisfiable: Maybe")),
            "spec.topologySpreadConstraints[0].whenUnsatisfiable: \"Maybe\": DoNotSchedule or ScheduleAnyway is meant",
        ),
        (
            pod("x", 1, "volumes: [{name: v, persistentVolumeClaim: {claimName: c}}]"),
            "spec.volumes[0].persistentVolumeClaim: placement by volume claims is not supported",
        ),
        (
            pod("x", 1, "preemptionPolicy: Sometimes"),
            "spec.preemptionPolicy: \"Sometimes\": PreemptLowerPriority or Never is meant",
        ),
    ];
    for (text, message) in table {
        let pod: Pod = decode_yaml_as(text.as_bytes()).unwrap();
        let error = scheduler.apply(Event::PodApplied(&pod)).unwrap_err();
        assert_eq!(error.to_string(), message);
        assert_eq!(scheduler.counts(), before, "{message}");
    }
    let node: Node = decode_yaml_as(node_with("bad", 1, "taints: [{key: k, effect: Never}]").as_bytes()).unwrap();
    let error = scheduler.apply(Event::NodeApplied(&node)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "spec.taints[0].effect: \"Never\": NoSchedule, PreferNoSchedule or NoExecute is meant"
    );
    let nameless = Namespace::default();
    assert!(scheduler.apply(Event::NamespaceApplied(&nameless)).is_err());
    assert_eq!(scheduler.counts(), before);
}

#[test]
fn without_the_fit_filter_a_node_takes_what_can_be_counted() {
    let mut profile = Profile { preemption: Preemption::Disabled, ..Profile::default() };
    profile.filters.remove(&FilterPlugin::NodeResourcesFit);
    let mut scheduler = Scheduler::new(profile).unwrap();
    apply(&mut scheduler, &node("n1", 1));
    let mut bound = 0;
    for index in 0..100 {
        let text = pod(&format!("p{index}"), 9, "").replace("cpu: '9'", "memory: 30Pi");
        apply(&mut scheduler, &text);
        match scheduler.next(Duration::ZERO) {
            Decision::Bind { .. } => bound += 1,
            Decision::Unschedulable { report, .. } => {
                assert_eq!(report.to_string(), "0/1 nodes are available: 1 Insufficient memory.");
            }
            other => panic!("{other:?}"),
        }
    }
    assert!((2..100).contains(&bound), "{bound}");
}

#[test]
fn a_sum_of_requests_beyond_count_is_refused() {
    let mut scheduler = scheduler(&node("n1", 1));
    let huge = |index: usize| -> Pod {
        let text = pod(&format!("p{index}"), 1, "nodeName: n1").replace("cpu: '1'", "memory: 30Pi");
        decode_yaml_as(text.as_bytes()).unwrap()
    };
    let refused = (0..100).find_map(|index| scheduler.apply(Event::PodApplied(&huge(index))).err().map(|e| (index, e)));
    let (index, error) = refused.expect("a hundred times 30 PiB is more than is counted");
    assert_eq!(scheduler.counts().pods, index);
    assert!(error.to_string().contains("the node's sum of requests would leave the range that is counted"), "{error}");
}
