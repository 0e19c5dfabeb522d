//! Filters, scores and answers about volume claims that the caller brings along.
#![expect(clippy::unwrap_used, reason = "the objects are written here")]

use std::collections::BTreeMap;
use std::time::Duration;

use windlass_pod::{Node, Object, Pod, decode_yaml, decode_yaml_as};
use windlass_scheduler_core::{
    Code, Decision, Dependence, Error, Event, Filter, FilterPlugin, NodeView, Own, Plugins, PodRef, PodView, Profile,
    Refusal, Scale, Scheduler, Score, ScorePlugin, Verdict, Volumes,
};

const NONE_LEFT: Refusal =
    Refusal { plugin: "Licensed", code: Code::Unschedulable, reason: "node(s) had no licence left" };

/// So many pods with the label `licensed` on a node.
#[derive(Clone, Debug)]
struct Licensed {
    licences: usize,
    dependence: Dependence,
}

impl Filter for Licensed {
    fn dependence(&self) -> Dependence {
        self.dependence
    }

    fn check(&self, pod: &PodView<'_>, node: &NodeView<'_>) -> Result<(), &'static Refusal> {
        let used = node.pods().filter(|pod| pod.label("licensed").is_some()).count();
        if pod.label("licensed").is_none() || used < self.licences { Ok(()) } else { Err(&NONE_LEFT) }
    }
}

/// Keeps a pod of this name from everywhere; says that it depends on what it is told.
#[derive(Clone, Debug)]
struct NotThis(&'static str, Dependence);

impl Filter for NotThis {
    fn dependence(&self) -> Dependence {
        self.1
    }

    fn check(&self, pod: &PodView<'_>, _: &NodeView<'_>) -> Result<(), &'static Refusal> {
        const UNWANTED: Refusal =
            Refusal { plugin: "NotThis", code: Code::UnschedulableAndUnresolvable, reason: "node(s) did not want it" };
        if pod.identity().is_some_and(|pod| pod.name() == self.0) { Err(&UNWANTED) } else { Ok(()) }
    }
}

/// The price that a node's label tells.
#[derive(Clone, Debug)]
struct Price(Scale, u32);

impl Score for Price {
    fn name(&self) -> &'static str {
        "Price"
    }

    fn weight(&self) -> u32 {
        self.1
    }

    fn scale(&self) -> Scale {
        self.0
    }

    fn dependence(&self) -> Dependence {
        Dependence::Node
    }

    fn points(&self, _: &PodView<'_>, node: &NodeView<'_>) -> i64 {
        node.label("price").and_then(|price| price.parse().ok()).unwrap_or(0)
    }
}

/// Claims whose volumes are on one node each, and how many a node can have.
#[derive(Clone, Debug, Default)]
struct Disks {
    home: BTreeMap<String, String>,
    most: usize,
}

impl Volumes for Disks {
    fn dependence(&self) -> Dependence {
        Dependence::Node
    }

    fn check(&self, pod: &PodView<'_>, node: &NodeView<'_>) -> Result<(), &'static Refusal> {
        let homes = pod.claims().map(|claim| self.home.get(&format!("{}/{}", pod.namespace(), claim.name)));
        for home in homes {
            match home {
                None => return Err(&Refusal::VOLUME_UNBOUND),
                Some(home) if home != node.name() => return Err(&Refusal::VOLUME_NODE_AFFINITY),
                Some(_) => {}
            }
        }
        let attached = node.pods().chain([*pod]).flat_map(|pod| pod.claims()).count();
        if attached <= self.most { Ok(()) } else { Err(&Refusal::VOLUME_LIMIT) }
    }
}

fn node<P: Plugins>(scheduler: &mut Scheduler<P>, name: &str, price: u32) {
    let node = format!(
        "{{apiVersion: v1, kind: Node, metadata: {{name: {name}, labels: {{price: '{price}'}}}}, \
         status: {{allocatable: {{cpu: '8', memory: 64Gi, pods: '100'}}}}}}"
    );
    let node: Node = decode_yaml_as(node.as_bytes()).unwrap();
    scheduler.apply(Event::NodeApplied(&node)).unwrap();
}

fn object(name: &str, labels: &str, spec: &str) -> Pod {
    let pod = format!(
        "{{apiVersion: v1, kind: Pod, metadata: {{name: {name}, uid: uid-{name}, labels: {{{labels}}}}}, spec: \
         {{containers: [{{name: c, image: i, resources: {{requests: {{cpu: 100m}}}}}}]{spec}}}}}"
    );
    match decode_yaml(pod.as_bytes()).unwrap().remove(0) {
        Object::Pod(pod) => *pod,
        other => panic!("a pod was written: {}", other.kind()),
    }
}

fn pod<P: Plugins>(scheduler: &mut Scheduler<P>, name: &str, labels: &str, spec: &str) {
    scheduler.apply(Event::PodApplied(&object(name, labels, spec))).unwrap();
}

/// What comes next, in a few words; a binding is committed.
fn next<P: Plugins>(scheduler: &mut Scheduler<P>, now: Duration) -> String {
    match scheduler.next(now) {
        Decision::Bind { pod, node, .. } => {
            scheduler.commit(&pod).unwrap();
            format!("{} on {node}", pod.name())
        }
        Decision::Preempt { pod, node, victims } => {
            let victims: Vec<&str> = victims.iter().map(PodRef::name).collect();
            format!("{} on {node} without {}", pod.name(), victims.join(" "))
        }
        Decision::Unschedulable { pod, report } => format!("{}: {report}", pod.name()),
        Decision::Idle { .. } => "idle".to_owned(),
        other => panic!("nothing else is expected: {other:?}"),
    }
}

fn licensed(licences: usize, dependence: Dependence) -> Scheduler<Own<(Licensed,)>> {
    let plugins = Own { filters: (Licensed { licences, dependence },), scores: (), volumes: () };
    let mut scheduler = Scheduler::with_plugins(Profile::default(), plugins).unwrap();
    node(&mut scheduler, "n1", 0);
    node(&mut scheduler, "n2", 0);
    scheduler
}

#[test]
fn a_filters_reason_reaches_the_message() {
    for dependence in [Dependence::Node, Dependence::Everything] {
        let mut scheduler = licensed(1, dependence);
        for name in ["a", "b", "c"] {
            pod(&mut scheduler, name, "licensed: 'yes'", "");
        }
        pod(&mut scheduler, "free", "", "");
        let told: Vec<String> = (0..5).map(|_| next(&mut scheduler, Duration::ZERO)).collect();
        let report = "c: 0/2 nodes are available: 2 node(s) had no licence left. preemption: 0/2 nodes are available: \
                      2 No preemption victims found for incoming pod.";
        assert_eq!(told, ["a on n1", "b on n2", report, "free on n1", "idle"], "{dependence:?}");
        let explanation = scheduler.explain("default", "c").unwrap();
        let Verdict::Rejected { plugin, code, reasons } = &explanation.nodes[0].verdict else {
            panic!("{explanation}")
        };
        assert_eq!((*plugin, *code), (FilterPlugin::Own("Licensed"), Code::Unschedulable));
        assert_eq!(reasons, &["node(s) had no licence left"]);
        assert_eq!(explanation.report.reasons[0].plugin.name(), "Licensed");
    }
}

#[test]
fn what_a_filter_refused_is_tried_again_when_something_changes() {
    let mut scheduler = licensed(1, Dependence::Node);
    for name in ["a", "b", "c"] {
        pod(&mut scheduler, name, "licensed: 'yes'", "");
    }
    let told: Vec<String> = (0..4).map(|_| next(&mut scheduler, Duration::ZERO)).collect();
    assert_eq!(told[3], "idle");
    scheduler.apply(Event::PodRemoved { namespace: "default", name: "b" }).unwrap();
    assert_eq!(next(&mut scheduler, Duration::from_secs(2)), "c on n2");
    // The plugin itself changes: what was kept of its answers no longer counts.
    pod(&mut scheduler, "d", "licensed: 'yes'", "");
    assert!(next(&mut scheduler, Duration::from_secs(2)).starts_with("d: 0/2"));
    assert_eq!(scheduler.plugins().filters.0.licences, 1);
    scheduler.plugins_mut().filters.0.licences = 2;
    assert_eq!(next(&mut scheduler, Duration::from_secs(4)), "d on n1");
}

#[test]
fn pods_that_a_filter_counts_are_preempted() {
    for dependence in [Dependence::Node, Dependence::Everything] {
        let mut scheduler = licensed(1, dependence);
        pod(&mut scheduler, "a", "licensed: 'yes'", ", priority: 5");
        pod(&mut scheduler, "b", "licensed: 'yes'", ", priority: 1");
        pod(&mut scheduler, "free", "", ", priority: 1");
        for _ in 0..3 {
            next(&mut scheduler, Duration::ZERO);
        }
        pod(&mut scheduler, "high", "licensed: 'yes'", ", priority: 9");
        assert_eq!(next(&mut scheduler, Duration::ZERO), "high on n2 without b", "{dependence:?}");
        // An impasse is kept where the filter lets it, and says the same.
        pod(&mut scheduler, "high-2", "licensed: 'yes'", ", priority: 9");
        assert_eq!(next(&mut scheduler, Duration::ZERO), "high-2 on n1 without a", "{dependence:?}");
    }
}

#[test]
fn the_pod_is_known_to_those_only_who_depend_on_it() {
    for (dependence, last) in [(Dependence::Node, "p4 on n1"), (Dependence::Everything, "p4: 0/1 nodes are")] {
        let plugins = Own { filters: (NotThis("p4", dependence),), scores: (), volumes: () };
        let mut scheduler = Scheduler::with_plugins(Profile::default(), plugins).unwrap();
        node(&mut scheduler, "n1", 0);
        for number in 0..5 {
            pod(&mut scheduler, &format!("p{number}"), "", "");
        }
        let told: Vec<String> = (0..5).map(|_| next(&mut scheduler, Duration::ZERO)).collect();
        assert_eq!(told[3], "p3 on n1");
        assert!(told[4].starts_with(last), "{dependence:?}: {}", told[4]);
    }
}

#[test]
fn a_score_decides_by_its_scale_and_weight() {
    // The others see two equal nodes, but for what is requested there.
    let table = [
        (Scale::Given, 9, "n2", [9 * 30, 9 * 60]),
        (Scale::MostIsBest, 9, "n2", [9 * 50, 9 * 100]),
        (Scale::FewestIsBest, 9, "n1", [9 * 50, 0]),
    ];
    for (scale, weight, best, points) in table {
        let plugins = Own { filters: (), scores: (Price(scale, weight),), volumes: () };
        let mut scheduler = Scheduler::with_plugins(Profile::default(), plugins).unwrap();
        node(&mut scheduler, "n1", 30);
        node(&mut scheduler, "n2", 60);
        pod(&mut scheduler, "first", "", "");
        let explanation = scheduler.explain("default", "first").unwrap();
        let given = explanation.nodes.iter().map(|node| match &node.verdict {
            Verdict::Fits { scores, total } => {
                assert_eq!(scores.iter().map(|(_, points)| points).sum::<i64>(), *total);
                scores.iter().find(|(plugin, _)| *plugin == ScorePlugin::Own("Price")).unwrap().1
            }
            other => panic!("{other:?}"),
        });
        assert_eq!(given.collect::<Vec<_>>(), points, "{scale:?}");
        // The same once the class has a board.
        for number in 0..12 {
            pod(&mut scheduler, &format!("p{number}"), "", "");
        }
        for _ in 0..13 {
            assert!(next(&mut scheduler, Duration::ZERO).ends_with(best), "{scale:?}");
        }
    }
}

#[test]
fn points_beyond_the_scale_count_as_its_end() {
    let plugins = Own { filters: (), scores: (Price(Scale::Given, 1),), volumes: () };
    let mut scheduler = Scheduler::with_plugins(Profile::default(), plugins).unwrap();
    node(&mut scheduler, "n1", 4_000_000_000);
    node(&mut scheduler, "n2", 100);
    pod(&mut scheduler, "p", "", "");
    assert_eq!(scheduler.explain("default", "p").unwrap().best.len(), 2);
}

fn with_disks(most: usize) -> Scheduler<Own<(), (), Disks>> {
    let home = [("default/one", "n1"), ("default/two", "n2"), ("default/p-scratch", "n2")];
    let home = home.map(|(claim, node)| (claim.to_owned(), node.to_owned())).into();
    let plugins = Own { filters: (), scores: (), volumes: Disks { home, most } };
    let mut scheduler = Scheduler::with_plugins(Profile::default(), plugins).unwrap();
    node(&mut scheduler, "n1", 0);
    node(&mut scheduler, "n2", 0);
    scheduler
}

fn claiming(claim: &str) -> String {
    format!(", volumes: [{{name: data, persistentVolumeClaim: {{claimName: {claim}}}}}]")
}

#[test]
fn claims_say_where_a_pod_may_go() {
    let mut scheduler = with_disks(1);
    pod(&mut scheduler, "a", "", &claiming("two"));
    pod(&mut scheduler, "p", "", ", volumes: [{name: scratch, ephemeral: {volumeClaimTemplate: {spec: {}}}}]");
    pod(&mut scheduler, "b", "", &claiming("one"));
    pod(&mut scheduler, "c", "", &claiming("three"));
    let told: Vec<String> = (0..4).map(|_| next(&mut scheduler, Duration::ZERO)).collect();
    assert_eq!(told[0], "a on n2");
    assert_eq!(
        told[1],
        "p: 0/2 nodes are available: 1 node(s) exceed max volume count, 1 node(s) had volume node affinity conflict. \
         preemption: 0/2 nodes are available: 1 No preemption victims found for incoming pod, 1 Preemption is not \
         helpful for scheduling."
    );
    assert_eq!(told[2], "b on n1");
    assert_eq!(
        told[3],
        "c: 0/2 nodes are available: 2 pod has unbound immediate PersistentVolumeClaims. preemption: 0/2 nodes are \
         available: 2 Preemption is not helpful for scheduling."
    );
    scheduler.plugins_mut().volumes.home.insert("default/three".to_owned(), "n1".to_owned());
    scheduler.plugins_mut().volumes.most = 2;
    let mut told = [next(&mut scheduler, Duration::from_secs(2)), next(&mut scheduler, Duration::from_secs(2))];
    told.sort_unstable();
    assert_eq!(told, ["c on n1", "p on n2"]);
}

#[test]
fn a_pod_whose_disk_is_in_the_way_is_preempted() {
    let mut scheduler = with_disks(1);
    pod(&mut scheduler, "a", "", &claiming("two"));
    assert_eq!(next(&mut scheduler, Duration::ZERO), "a on n2");
    pod(&mut scheduler, "high", "", &(claiming("two") + ", priority: 9"));
    assert_eq!(next(&mut scheduler, Duration::ZERO), "high on n2 without a");
}

#[test]
fn without_volumes_a_claim_is_an_error() {
    let mut scheduler = Scheduler::new(Profile::default()).unwrap();
    let before = format!("{scheduler:?}");
    let result = scheduler.apply(Event::PodApplied(&object("a", "", &claiming("one"))));
    let field = "spec.volumes[0].persistentVolumeClaim".to_owned();
    assert_eq!(result, Err(Error::Unsupported { field, feature: "placement by volume claims" }));
    assert_eq!(format!("{scheduler:?}"), before);
}

#[test]
fn a_profile_names_no_plugin_of_the_callers_own() {
    let filters = [FilterPlugin::Own("Licensed")].into();
    let profile = Profile { filters, ..Profile::default() };
    assert!(matches!(Scheduler::new(profile), Err(Error::Invalid { .. })));
    let scores = [(ScorePlugin::Own("Price"), 1)].into();
    let profile = Profile { scores, ..Profile::default() };
    assert!(matches!(Scheduler::new(profile), Err(Error::Invalid { .. })));
}
