//! What `kubectl` prints and sends is read strictly and without loss, and it takes what this library answers.
#![expect(clippy::unwrap_used, reason = "a test's shared code may fail where it stands")]

mod api_server;

use std::collections::BTreeMap;
use std::io::Read as _;
use std::process::{Command, ExitCode, Output};

use api_server::Server;
use trial::{Test, need};
use windlass_pod::table::{self, Width};
use windlass_pod::{
    Decoder, Object, Strictness, Time, decode_json, decode_protobuf, decode_yaml, defaults, encode_protobuf, validate,
};

/// The first minor version of `kubectl` that writes the versions of objects that this library has.
const WRITES_TODAYS_OBJECTS: u32 = 21;
/// The first one that sends protobuf.
const SENDS_PROTOBUF: u32 = 32;

/// Commands that make an object without a server, and its kind; `_` stands for a space in a word.
const COMMANDS: [(&str, &str); 11] = [
    ("Deployment", "create deployment web --image=nginx:1.25 --replicas=3 --port=80"),
    ("ConfigMap", "create configmap conf --from-literal=a=1 --from-literal=b=yes"),
    ("Secret", "create secret generic key --from-literal=password=x"),
    ("Namespace", "create namespace team"),
    ("Service", "create service clusterip web --tcp=80:8080"),
    ("Service", "create service nodeport web --tcp=80:8080"),
    ("ServiceAccount", "create serviceaccount robot"),
    ("CronJob", "create cronjob tick --image=busybox --schedule=*/1_*_*_*_*"),
    ("ResourceQuota", "create quota small --hard=cpu=1,memory=1G,pods=2"),
    ("PodDisruptionBudget", "create poddisruptionbudget budget --selector=app=web --min-available=50%"),
    ("PriorityClass", "create priorityclass high --value=1000"),
];

/// A `kubectl` of its own: no configuration of this machine, and nothing kept in anybody's home.
struct Kubectl {
    home: tempfile::TempDir,
    server: Option<String>,
}

impl Kubectl {
    fn alone() -> Self {
        Self { home: tempfile::tempdir().unwrap(), server: None }
    }

    fn of(server: &Server) -> Self {
        Self { server: Some(format!("--server=http://{}", server.address)), ..Self::alone() }
    }

    /// The outcome of a command; `_` stands for a space in a word.
    fn run(&self, command: &str) -> Output {
        let words = command.split(' ').map(|word| word.replace('_', " "));
        let mut kubectl = Command::new("kubectl");
        kubectl.args(&self.server).args(words).env("KUBECONFIG", "/dev/null").env("HOME", self.home.path());
        kubectl.current_dir(self.home.path()).output().unwrap()
    }

    fn prints(&self, command: &str) -> String {
        let output = self.run(command);
        assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn complains(&self, command: &str) -> String {
        let output = self.run(command);
        assert!(!output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stdout));
        String::from_utf8(output.stderr).unwrap()
    }

    /// The name of a file, where `kubectl` runs, that holds the object.
    fn file(&self, object: &Object) -> &'static str {
        std::fs::write(self.home.path().join("object.yaml"), object.encode_yaml()).unwrap();
        "object.yaml"
    }
}

/// The minor version of `kubectl`: 32 for v1.32.4.
fn version() -> u32 {
    let text = Kubectl::alone().prints("version --client -o json");
    let version: serde_json::Value = serde_json::from_str(&text).unwrap();
    version["clientVersion"]["minor"].as_str().unwrap().trim_end_matches('+').parse().unwrap()
}

fn todays() -> Result<(), String> {
    need::program("kubectl")()?;
    match version() {
        minor if minor < WRITES_TODAYS_OBJECTS => {
            Err(format!("needs kubectl 1.{WRITES_TODAYS_OBJECTS} or later, there is 1.{minor}"))
        }
        _ => Ok(()),
    }
}

fn strictly(json: &str) -> Object {
    Decoder::new(Strictness::Strict).json(json.as_bytes()).unwrap().object
}

fn strictly_yaml(yaml: &str) -> Object {
    Decoder::new(Strictness::Strict).yaml(yaml.as_bytes()).unwrap().remove(0).object
}

fn reads_what_kubectl_prints() {
    let kubectl = Kubectl::alone();
    for (kind, command) in COMMANDS {
        let [yaml, json] =
            ["yaml", "json"].map(|format| kubectl.prints(&format!("{command} --dry-run=client -o {format}")));
        let (from_yaml, from_json) = (strictly_yaml(&yaml), strictly(&json));
        assert_eq!(from_yaml.kind(), kind, "{command}");
        assert_eq!(from_yaml, from_json, "{command}");
        assert_eq!(decode_yaml(from_yaml.encode_yaml().as_bytes()).unwrap().remove(0), from_yaml, "{command}");
        let mut object = from_yaml;
        if windlass_pod::is_namespaced(kind) {
            object.metadata_mut().namespace = Some("default".to_owned());
        }
        defaults::apply(&mut object);
        assert_eq!(validate(&object), [], "{command}");
    }
}

/// The objects of the judged tables, by their kinds, each with a name of its own.
fn objects() -> BTreeMap<&'static str, Vec<Object>> {
    let mut kinds: BTreeMap<&'static str, Vec<Object>> = BTreeMap::new();
    let mut lines = String::new();
    flate2::read::GzDecoder::new(&include_bytes!("data/table.jsonl.gz")[..]).read_to_string(&mut lines).unwrap();
    for line in lines.lines() {
        let record: serde_json::Value = serde_json::from_str(line).unwrap();
        let mut object = decode_json(record["in"]["object"].to_string().as_bytes()).unwrap();
        defaults::apply(&mut object);
        let same = kinds.entry(object.kind()).or_default();
        let name = format!("{}-{:03}", object.kind().to_lowercase(), same.len());
        object.metadata_mut().name = Some(name);
        let namespace = windlass_pod::is_namespaced(object.kind()).then(|| "default".to_owned());
        object.metadata_mut().namespace = namespace;
        same.push(object);
    }
    kinds
}

fn now() -> Time {
    Time::from_unix_seconds(1_750_000_000)
}

/// What a server made of this library answers, `kubectl` understands; what `kubectl` makes of it, this library does.
fn gets_what_was_put() {
    let server = Server::start(now());
    let kubectl = Kubectl::of(&server);
    let kinds = objects();
    assert!(kinds.len() >= 5, "{:?}", kinds.keys());
    for (kind, objects) in kinds {
        for object in &objects {
            server.put(object.clone());
        }
        let file = kubectl.file(&objects[0]);
        assert_eq!(strictly(&kubectl.prints(&format!("get -f {file} -o json"))), objects[0], "{kind}");
        assert_eq!(strictly_yaml(&kubectl.prints(&format!("get -f {file} -o yaml"))), objects[0], "{kind}");
        let all = kubectl.prints(&format!("get {kind} -o yaml"));
        assert_eq!(decode_yaml(all.as_bytes()).unwrap(), objects, "{kind}");
        let printed = kubectl.prints(&format!("get {kind}"));
        assert_same_lines(&printed, &table::print(&objects, now(), Width::Narrow));
        let printed = kubectl.prints(&format!("get {kind} -o wide"));
        assert_same_lines(&printed, &table::print(&objects, now(), Width::Wide));
    }
}

/// Equal line by line; the first that is not is shown.
fn assert_same_lines(printed: &str, expected: &str) {
    for (printed, expected) in printed.lines().zip(expected.lines()) {
        assert_eq!(printed, expected);
    }
    assert_eq!(printed, expected);
}

fn image(server: &Server) -> Option<String> {
    let Some(Object::Deployment(deployment)) = server.object("Deployment", "web") else { panic!("no deployment") };
    deployment.spec.template.spec.containers[0].image.clone()
}

/// Every body that `kubectl` sends is decoded and carried out: creations, the four kinds of patches, deletions.
fn carries_out_what_kubectl_sends() {
    let server = Server::start(now());
    let kubectl = Kubectl::of(&server);
    let protobuf = version() >= SENDS_PROTOBUF;
    let creatable = |kind: &str| !["CronJob", "PodDisruptionBudget", "PriorityClass"].contains(&kind);
    for (kind, command) in COMMANDS.iter().filter(|(kind, _)| creatable(kind)) {
        kubectl.prints(command);
        let mut dry = strictly(&kubectl.prints(&format!("{command} --dry-run=client -o json")));
        let (sent, content) = server.created().pop().unwrap();
        if content.ends_with("protobuf") {
            // It carries zeros where JSON leaves a field out.
            dry = decode_protobuf(&encode_protobuf(&dry)).unwrap();
        }
        assert_eq!(windlass_pod::difference(dry.record(), sent.record()), [], "{command}");
        let sends_protobuf = ["ConfigMap", "Deployment", "Namespace", "ResourceQuota"].contains(kind) && protobuf;
        assert!(content.ends_with("protobuf") || !sends_protobuf, "{command}: {content}");
        if *kind == "Service" {
            kubectl.prints("delete service web --wait=false");
        }
    }

    kubectl.prints("set image deployment/web nginx=nginx:1.26");
    assert_eq!(image(&server).as_deref(), Some("nginx:1.26"), "strategic");
    kubectl.prints("label deployment web tier=front");
    kubectl.prints(r#"patch deployment web --type=merge -p {"metadata":{"labels":{"app":"net","tier":null}}}"#);
    let labels = server.object("Deployment", "web").unwrap().metadata().labels.clone();
    assert_eq!(labels.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>(), ["app=net"]);
    let patch = r#"[{"op":"replace","path":"/spec/template/spec/containers/0/image","value":"nginx:1.27"}]"#;
    kubectl.prints(&format!("patch deployment web --type=json -p {patch}"));
    assert_eq!(image(&server).as_deref(), Some("nginx:1.27"), "JSON patch");
    let refused = kubectl.complains(r#"patch deployment web --type=merge -p {"spec":{"replicas":-1}}"#);
    assert!(refused.contains("spec.replicas: Invalid value: -1: must be greater than or equal to 0"), "{refused}");

    applies_on_the_server(&server, &kubectl);
    kubectl.prints("delete deployment web --wait=false");
    assert_eq!(server.object("Deployment", "web"), None);
}

/// Server-side apply, with a conflict that names the owner, and without.
fn applies_on_the_server(server: &Server, kubectl: &Kubectl) {
    let Some(Object::Deployment(mut deployment)) = server.object("Deployment", "web") else { panic!("no deployment") };
    deployment.metadata.managed_fields.clear();
    deployment.spec.template.spec.containers[0].image = Some("nginx:1.28".to_owned());
    let file = kubectl.file(&Object::Deployment(deployment));
    let apply = format!("apply --server-side --validate=false --field-manager=team -f {file}");
    let conflict = kubectl.complains(&apply);
    assert!(conflict.contains("Apply failed with 1 conflict: conflict with \"kubectl-patch\""), "{conflict}");
    assert!(conflict.contains(r#".spec.template.spec.containers[name="nginx"].image"#), "{conflict}");
    assert_eq!(image(server).as_deref(), Some("nginx:1.27"), "a conflict changes nothing");
    kubectl.prints(&format!("{apply} --force-conflicts"));
    assert_eq!(image(server).as_deref(), Some("nginx:1.28"), "forced");
}

fn main() -> ExitCode {
    trial::main(vec![
        Test::new("reads_what_kubectl_prints", reads_what_kubectl_prints).needs(todays),
        Test::new("gets_what_was_put", gets_what_was_put).needs(need::program("kubectl")),
        Test::new("carries_out_what_kubectl_sends", carries_out_what_kubectl_sends).needs(need::program("kubectl")),
    ])
}
