//! One node and its agent on the real kernel: what pods ask for is what their programs find.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mini_orchestrator::agent::{Agent, Place, Settings};
use mini_orchestrator::images::Images;
use mini_orchestrator::net::Fabric;
use mini_orchestrator::registry::{Grace, Key, Registry};
use mini_orchestrator::store::{Options, Store};
use trial::{Test, need};
use windlass_cgroups::{Controller, GroupPath, Hierarchies};
use windlass_image::pack::{PackRequest, Program};
use windlass_image::{Codec, Layout};
use windlass_pod::kinds::{ConfigMap, Pod};
use windlass_pod::quantity::Format;
use windlass_pod::{Object, Quantity};

const PATIENCE: Duration = Duration::from_mins(2);

fn main() -> ExitCode {
    trial::main(vec![
        Test::new("init_containers_come_first_and_share_an_empty_folder", init_containers).needs(need::root),
        Test::new("probes_and_hooks_run_programs_inside", probes_and_hooks).needs(need::root),
        Test::new("a_program_runs_as_whom_the_pod_says", users).needs(need::root),
        Test::new("containers_share_processes_only_when_asked", shared_processes).needs(need::root),
        Test::new("a_link_in_a_volume_does_not_lead_out_of_the_node", hostile_link).needs(need::root),
        Test::new("a_field_that_is_not_carried_out_fails_the_pod", unsupported).needs(need::root),
        Test::new("a_pod_waits_for_its_config_map", missing_config_map).needs(need::root),
    ])
}

/// A node with an image of a shell, `cat` and `sleep`.
struct World {
    registry: Registry,
    store: Store,
    agent: Agent,
    folder: tempfile::TempDir,
    group: GroupGuard,
    _fabric: Fabric,
}

/// Removes the test's group also when the test fails.
struct GroupGuard(String);

impl Drop for GroupGuard {
    fn drop(&mut self) {
        let removed = Hierarchies::discover().and_then(|all| match all.find(&GroupPath::new(&self.0).unwrap())? {
            Some(group) => group.kill_and_wait(PATIENCE).and_then(|()| group.remove_tree()),
            None => Ok(()),
        });
        assert!(removed.is_ok() || std::thread::panicking(), "{removed:?}");
    }
}

fn with_world(test: impl AsyncFnOnce(&World)) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let world = World::start().await;
        test(&world).await;
        world.stop().await;
    });
}

impl World {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let name = format!("windlass-agent-{}-{}", std::process::id(), folder.path().file_name().unwrap().len());
        let group = GroupGuard(name.clone());
        let all = Hierarchies::discover().unwrap();
        let groups = all.create(&GroupPath::new(&name).unwrap(), &[Controller::Memory, Controller::Pids]).unwrap();
        let store = Store::open(&folder.path().join("store"), Options::default()).await.unwrap();
        let registry = Registry::new(store.clone());
        let (fabric, nodes) = Fabric::create(1).unwrap();
        let layout = Layout::create(folder.path().join("image")).unwrap();
        let mut request = PackRequest::new(Program::Path { path: "/bin/sh".into(), name: Some("/bin/sh".into()) });
        request.includes = vec!["/bin/cat".into(), "/bin/sleep".into()];
        windlass_image::pack::pack(&request, &layout, "test.example/sh:1").unwrap();
        // The pods' first process is the orchestrator's own program.
        let program = Program::Path { path: env!("CARGO_BIN_EXE_mini-orchestrator").into(), name: None };
        let mut request = PackRequest::new(program);
        // Large in this profile, and read once.
        request.codec = Codec::None;
        windlass_image::pack::pack(&request, &layout, "test.example/pause:1").unwrap();
        let place = Place {
            node: "node".to_owned(),
            network: Arc::new(nodes.into_iter().next().unwrap()),
            images: Arc::new(Images::open(layout, &folder.path().join("layers")).unwrap()),
            pause_image: "test.example/pause:1".to_owned(),
            pods: folder.path().join("pods"),
            host: folder.path().join("host"),
            group: Some(groups),
            disk: None,
        };
        std::fs::create_dir(&place.host).unwrap();
        let settings = Settings {
            labels: BTreeMap::new(),
            taints: Vec::new(),
            capacity: BTreeMap::from([("memory".to_owned(), Quantity::from_units(1 << 30, Format::BinarySi))]),
            backoff_base: Duration::from_millis(200),
            backoff_max: Duration::from_secs(1),
        };
        let agent = Agent::start(registry.clone(), place, settings).await.unwrap();
        Self { registry, store, agent, folder, group, _fabric: fabric }
    }

    async fn stop(self) {
        self.agent.stop().await.unwrap();
        self.store.close().await.unwrap();
        let left: Vec<_> = std::fs::read_dir(self.folder.path().join("pods")).into_iter().flatten().flatten().collect();
        assert!(left.is_empty(), "{left:?}");
        drop(self.group);
    }

    fn host(&self, path: &str) -> PathBuf {
        self.folder.path().join("host").join(path)
    }

    /// Creates a pod on the node; `spec` is YAML in one line.
    async fn create(&self, name: &str, spec: &str) -> Key {
        let text =
            format!("{{apiVersion: v1, kind: Pod, metadata: {{name: {name}}}, spec: {{nodeName: node, {spec}}}}}");
        let Object::Pod(pod) = windlass_pod::decode_yaml(text.as_bytes()).unwrap().remove(0) else { panic!("{text}") };
        Key::of(&self.registry.create(*pod).await.unwrap())
    }

    /// Waits until the pod is as wanted.
    async fn until(&self, key: &Key, wanted: impl Fn(&Pod) -> bool) -> Pod {
        let start = Instant::now();
        loop {
            let pod = self.registry.get::<Pod>(key).await.unwrap();
            match pod {
                Some(pod) if wanted(&pod) => return pod,
                pod => assert!(start.elapsed() < PATIENCE, "{:#?}", pod.map(|pod| pod.status)),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Runs a script to its end and returns its exit code; `rest` is more of the container and the pod.
    async fn run(&self, name: &str, script: &str, container: &str, spec: &str) -> i32 {
        let spec = format!("restartPolicy: Never, {spec} containers: [{{{}, {container}}}]", sh("main", script));
        let key = self.create(name, &spec).await;
        let pod = self.until(&key, Pod::is_terminal).await;
        let code = |pod: &Pod| pod.status.container_statuses[0].state.terminated.as_ref()?.exit_code;
        code(&pod).unwrap_or_else(|| panic!("{:#?}", pod.status))
    }
}

/// The start of a container that runs a script.
fn sh(name: &str, script: &str) -> String {
    format!(
        "name: {name}, image: 'test.example/sh:1', imagePullPolicy: Never, command: [/bin/sh, -c, '{}']",
        script.replace('\'', "''")
    )
}

fn init_containers() {
    with_world(async |world| {
        let mount = "volumeMounts: [{name: shared, mountPath: /shared}]";
        let spec = format!(
            "restartPolicy: Never, volumes: [{{name: shared, emptyDir: {{}}}}],
             initContainers: [{{{}, {mount}}}, {{{}, {mount}}}], containers: [{{{}, {mount}}}]",
            sh("one", "echo one > /shared/order"),
            sh("two", "read first < /shared/order; echo \"$first two\" > /shared/order"),
            sh("main", "read all < /shared/order; [ \"$all\" = \"one two\" ]"),
        );
        let key = world.create("ordered", &spec).await;
        let pod = world.until(&key, Pod::is_terminal).await;
        assert_eq!(pod.status.phase.as_deref(), Some("Succeeded"), "{:#?}", pod.status);
    });
}

fn probes_and_hooks() {
    with_world(async |world| {
        let spec = format!(
            "terminationGracePeriodSeconds: 5, volumes: [{{name: out, hostPath: {{path: /out, type: DirectoryOrCreate}}}}],
             containers: [{{{}, volumeMounts: [{{name: out, mountPath: /out}}],
               readinessProbe: {{exec: {{command: [/bin/cat, /out/ready]}}, periodSeconds: 1}},
               lifecycle: {{postStart: {{exec: {{command: [/bin/sh, -c, 'echo started > /out/hooks']}}}},
                 preStop: {{exec: {{command: [/bin/sh, -c, 'echo stopping >> /out/hooks']}}}}}}}}]",
            sh("main", "trap 'echo ended >> /out/hooks; exit 0' TERM; while :; do sleep 0.1; done"),
        );
        let key = world.create("probed", &spec).await;
        let pod =
            world.until(&key, |pod| pod.status.container_statuses.iter().any(|one| one.state.running.is_some())).await;
        assert!(!pod.is_ready(), "the probe's program fails until there is a file");
        std::fs::write(world.host("out/ready"), "").unwrap();
        world.until(&key, Pod::is_ready).await;
        world.registry.delete_pod(&key, Grace::Default, None).await.unwrap();
        let start = Instant::now();
        while world.registry.get::<Pod>(&key).await.unwrap().is_some() {
            assert!(start.elapsed() < PATIENCE, "the pod is still there");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(std::fs::read_to_string(world.host("out/hooks")).unwrap(), "started\nstopping\nended\n");
    });
}

fn users() {
    with_world(async |world| {
        let script = "while read key real rest; do case $key in
              Uid:) uid=$real;; Gid:) gid=$real;; CapEff:) caps=$real;; esac; done < /proc/self/status;
            [ $uid = 1234 ] && [ $gid = 77 ] && [ $caps = 0000000000000000 ] && ! echo x 2>&- > /file";
        let context = "securityContext: {runAsUser: 1234, runAsGroup: 77, readOnlyRootFilesystem: true}";
        assert_eq!(world.run("user", script, context, "").await, 0);
        let root = "read -r one two three < /proc/self/uid_map; echo x > /file && [ $one = 0 ]";
        // Mode 2 is a filter; Kubernetes calls its absence `Unconfined`.
        let mode = |wanted: u8| {
            format!(
                "while read key value rest; do case $key in Seccomp:) mode=$value;; esac; done < /proc/self/status; [ $mode = {wanted} ]"
            )
        };
        assert_eq!(world.run("filtered", &mode(2), "workingDir: /", "").await, 0);
        let unconfined = "securityContext: {seccompProfile: {type: Unconfined}}";
        assert_eq!(world.run("unfiltered", &mode(0), unconfined, "").await, 0);
        assert_eq!(world.run("root", root, "securityContext: {capabilities: {drop: [ALL]}}", "").await, 0);
    });
}

fn shared_processes() {
    with_world(async |world| {
        assert_eq!(world.run("alone", "[ $$$$ = 1 ]", "workingDir: /", "").await, 0);
        // Kubernetes reads two dollars as one. The first process is the sandbox's.
        let script = "[ $$$$ != 1 ] && read name < /proc/1/comm && [ \"$name\" = mini-orchestrat ]";
        assert_eq!(world.run("shared", script, "workingDir: /", "shareProcessNamespace: true,").await, 0);
    });
}

fn hostile_link() {
    with_world(async |world| {
        std::fs::create_dir_all(world.host("srv/etc")).unwrap();
        std::fs::write(world.host("srv/etc/canary"), "inside").unwrap();
        std::fs::create_dir_all(world.host("etc")).unwrap();
        std::os::unix::fs::symlink("../../../../../../etc", world.host("srv/link")).unwrap();
        // On this machine /etc has a passwd; beneath the node's root it has nothing.
        let container = "volumeMounts: [{name: data, mountPath: /data, subPath: link}]";
        let spec = "volumes: [{name: data, hostPath: {path: /srv}}],";
        let code = world.run("hostile", "[ ! -e /data/passwd ] && [ ! -e /data/hostname ]", container, spec).await;
        assert_eq!(code, 0);
    });
}

fn unsupported() {
    with_world(async |world| {
        let spec = format!("hostNetwork: true, containers: [{{{}, tty: true}}]", sh("main", "exit 0"));
        let key = world.create("unsupported", &spec).await;
        let pod = world.until(&key, Pod::is_terminal).await;
        let message = pod.status.message.unwrap();
        for field in ["spec.hostNetwork", "spec.containers[0].tty"] {
            assert!(message.contains(field), "{message}");
        }
    });
}

fn missing_config_map() {
    with_world(async |world| {
        let spec = format!(
            "restartPolicy: Never, containers: [{{{}, env: [{{name: MODE, valueFrom: {{configMapKeyRef: {{name: late, key: mode}}}}}}]}}]",
            sh("main", "[ \"$MODE\" = here ]"),
        );
        let key = world.create("waiting", &spec).await;
        // It is tried again and again, with a wait in between.
        let waits = |pod: &Pod| {
            let waiting = pod.status.container_statuses.first().and_then(|status| status.state.waiting.as_ref());
            let reason = waiting.and_then(|waiting| waiting.reason.as_deref());
            matches!(reason, Some("CreateContainerConfigError" | "CrashLoopBackOff"))
        };
        world.until(&key, waits).await;
        let map = b"{apiVersion: v1, kind: ConfigMap, metadata: {name: late, namespace: default}, data: {mode: here}}";
        let map: ConfigMap = windlass_pod::decode_yaml_as(map).unwrap();
        world.registry.create(map).await.unwrap();
        let pod = world.until(&key, Pod::is_terminal).await;
        assert_eq!(pod.status.phase.as_deref(), Some("Succeeded"), "{:#?}", pod.status);
    });
}
