//! Random runs of events and decisions: nothing is overcommitted, a plain scheduler agrees, a replay is identical.
#![expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_possible_wrap, reason = "small")]

mod boards;
mod plain;
mod wire;
mod world;

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::Value;
use windlass_scheduler_core::{
    Code, Decision, Dependence, Filter, NodeView, Own, PodRef, PodView, Profile, Refusal, Scale, Score, Ties,
};
use world::{Outcome, Step, World};

/// Runs in which pods differ, runs in which the same few come again and again, and runs in which they differ in what
/// they request alone.
fn steps() -> impl Strategy<Value = Vec<Step>> {
    let few = (any::<u32>(), any::<u32>(), 1..5_u32).prop_flat_map(|(shape, first, count)| {
        let seeds = (0..count).prop_map(move |number| (shape.wrapping_add(number % 2), first.wrapping_add(number)));
        run_of(seeds.prop_map(|(shape, amounts)| u64::from(shape) << 32 | u64::from(amounts)).boxed())
    });
    let shaped = (any::<u32>(), 1..3_u32).prop_flat_map(|(first, count)| {
        let seeds = (0..count, any::<u32>()).prop_map(move |(number, amounts)| (first.wrapping_add(number), amounts));
        run_of(seeds.prop_map(|(shape, amounts)| u64::from(shape) << 32 | u64::from(amounts)).boxed())
    });
    prop_oneof![run_of(any::<u64>().boxed()), few, shaped]
}

fn run_of(pods: BoxedStrategy<u64>) -> impl Strategy<Value = Vec<Step>> {
    let outcome = prop_oneof![
        4 => Just(Outcome::Commit),
        4 => Just(Outcome::Confirm),
        1 => Just(Outcome::Rollback),
    ];
    let step = prop_oneof![
        4 => any::<u64>().prop_map(Step::ApplyNode),
        1 => any::<usize>().prop_map(Step::RemoveNode),
        8 => pods.prop_map(Step::ApplyPod),
        1 => (any::<usize>(), any::<u64>()).prop_map(|(index, seed)| Step::ChangePod(index, seed)),
        2 => any::<usize>().prop_map(Step::RemovePod),
        10 => outcome.prop_map(Step::Decide),
        2 => any::<u16>().prop_map(Step::Wait),
    ];
    prop::collection::vec(step, 1..120)
}

fn run(profile: Profile, steps: &[Step], mut check: impl FnMut(&World, &Decision)) -> World {
    let mut world = World::new(profile, ());
    for step in steps {
        world.step(*step, &mut check);
    }
    world
}

/// Whether every node has what the pods on it request together.
fn assert_no_overcommitment(world: &World, decision: &Decision) {
    let Decision::Bind { pod, node, .. } = decision else { return };
    let (placed, node) = (&world.pods[pod.name()], &world.nodes[&**node]);
    let beside = world.pods.values().filter(|other| other["spec"]["nodeName"].as_str() == Some(plain::name(node)));
    let all: Vec<&Value> = beside.chain([placed]).collect();
    let has = |name: &str| plain::millis_or_zero(&node["status"]["allocatable"][name]);
    assert!(all.len() as i64 * 1000 <= has("pods"), "{decision:?}: too many pods");
    for name in ["cpu", "memory", "example.com/gpu"] {
        let sum: i64 = all.iter().filter_map(|pod| plain::requests(pod, &[]).get(name).copied()).sum();
        assert!(sum <= has(name), "{decision:?}: {sum} of {} {name}", has(name));
    }
}

/// What a decision is about, and whether the plain scheduler would have made it.
fn assert_plain(world: &World, decision: &Decision) {
    let names = |value: &Value| -> BTreeSet<String> {
        plain::items(value).filter_map(Value::as_str).map(str::to_owned).collect()
    };
    match decision {
        Decision::Bind { pod, node, score, .. } => {
            let result = plain::result(&world.record(pod.name()));
            assert!(names(&result["best"]).contains(&**node), "{decision:?}: {result:#}");
            assert_eq!(result["scores"][&**node]["="], *score, "{decision:?}: {result:#}");
        }
        Decision::Preempt { pod, node, victims } => {
            let result = plain::result(&world.record(pod.name()));
            let victims: BTreeSet<String> = victims.iter().map(PodRef::name).map(str::to_owned).collect();
            assert_eq!(names(&result["evictions"][&**node]), victims, "{decision:?}: {result:#}");
        }
        Decision::Unschedulable { pod, .. } => {
            let result = plain::result(&world.record(pod.name()));
            assert_eq!(result["postFilter"], "Unschedulable", "{decision:?}: {result:#}");
        }
        _ => {}
    }
}

/// What a plugin says that it depends on; its answer never depends on more than the node.
#[derive(Clone, Copy, Debug)]
struct Apart(Dependence);

impl Filter for Apart {
    fn dependence(&self) -> Dependence {
        self.0
    }

    /// At most two pods of the same application on a node.
    fn check(&self, pod: &PodView<'_>, node: &NodeView<'_>) -> Result<(), &'static Refusal> {
        const CROWDED: Refusal = Refusal { plugin: "Apart", code: Code::Unschedulable, reason: "node(s) were crowded" };
        let same = node.pods().filter(|other| other.label("app") == pod.label("app"));
        if same.count() < 2 { Ok(()) } else { Err(&CROWDED) }
    }
}

/// Nodes with little memory left for large pods.
#[derive(Clone, Copy, Debug)]
struct Tight(Dependence);

impl Score for Tight {
    fn name(&self) -> &'static str {
        "Tight"
    }

    fn weight(&self) -> u32 {
        2
    }

    fn scale(&self) -> Scale {
        Scale::Given
    }

    fn dependence(&self) -> Dependence {
        self.0
    }

    fn points(&self, pod: &PodView<'_>, node: &NodeView<'_>) -> i64 {
        let left = node.allocatable("memory") - node.requested("memory") - pod.requests("memory");
        100 - (left >> 27)
    }
}

/// The world as plugins see it whose answers are kept, or that are asked anew about every node.
fn with_own(dependence: Dependence) -> World<Own<(Apart,), (Tight,)>> {
    let plugins = Own { filters: (Apart(dependence),), scores: (Tight(dependence),), volumes: () };
    World::new(Profile::default(), plugins)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn never_overcommits(steps in steps()) {
        run(Profile::default(), &steps, assert_no_overcommitment);
    }

    #[test]
    fn a_plain_scheduler_agrees(steps in steps()) {
        // It knows no nominations: what preempts takes it back.
        let steps: Vec<Step> = steps
            .into_iter()
            .filter(|step| !matches!(step, Step::RemoveNode(_)))
            .collect();
        let mut world = World::new(Profile::default(), ());
        for step in steps {
            let preempts = matches!(step, Step::Decide(_)) && matches!(world.peek(), Decision::Preempt { .. });
            let step = if preempts { Step::Decide(Outcome::Rollback) } else { step };
            world.step(step, &mut assert_plain);
        }
    }

    #[test]
    fn a_replay_is_identical(steps in steps(), seed in any::<u64>()) {
        let told = || {
            let mut told = Vec::new();
            let profile = Profile { ties: Ties::Seeded(seed), ..Profile::default() };
            let world = run(profile, &steps, |world, decision| {
                if let Decision::Unschedulable { pod, .. } = decision {
                    let explanation = world.scheduler.explain(pod.namespace(), pod.name());
                    told.push(explanation.expect("the pod is pending").to_string());
                }
                told.push(format!("{decision:?}"));
            });
            (told, world.scheduler.counts())
        };
        prop_assert_eq!(told(), told());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_fork_and_its_original_do_not_see_each_other(steps in steps(), at in any::<prop::sample::Index>()) {
        // The original takes all steps; so does one that is forked half-way, and whose fork goes another way meanwhile.
        let (mut alone, mut forked) = (World::new(Profile::default(), ()), World::new(Profile::default(), ()));
        let at = at.index(steps.len());
        let mut fork = None;
        for (index, step) in steps.iter().enumerate() {
            if index == at {
                fork = Some(forked.fork());
            }
            let (mut one, mut other) = (None, None);
            alone.step(*step, &mut |_, decision| one = Some(decision.clone()));
            forked.step(*step, &mut |_, decision| other = Some(decision.clone()));
            prop_assert_eq!(one, other);
            if let Some(fork) = &mut fork {
                fork.step(steps[steps.len() - 1 - (index - at)], &mut assert_no_overcommitment);
            }
        }
        prop_assert_eq!(alone.scheduler.counts(), forked.scheduler.counts());
        // And the fork goes the way that one would have gone that was never shared.
        let mut copy = World::new(Profile::default(), ());
        steps[..at].iter().for_each(|step| copy.step(*step, &mut |_, _| {}));
        for index in at..steps.len() {
            copy.step(steps[steps.len() - 1 - (index - at)], &mut |_, _| {});
        }
        prop_assert_eq!(fork.map(|fork| fork.scheduler.counts()), Some(copy.scheduler.counts()));
    }

    #[test]
    fn what_is_kept_of_own_plugins_is_what_they_would_say(steps in steps()) {
        let (mut kept, mut asked) = (with_own(Dependence::Node), with_own(Dependence::Everything));
        for step in steps {
            let (mut one, mut other) = (None, None);
            kept.step(step, &mut |_, decision| one = Some(decision.clone()));
            asked.step(step, &mut |_, decision| other = Some(decision.clone()));
            prop_assert_eq!(one, other);
        }
    }
}
