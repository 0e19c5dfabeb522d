//! What the `kubectl` of this machine prints is read strictly and without loss.
#![expect(clippy::unwrap_used, reason = "a test's shared code may fail where it stands")]

use std::process::{Command, ExitCode};

use trial::{Test, need};
use windlass_pod::{Decoder, Strictness, decode_yaml, defaults, validate};

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

fn print(command: &str, format: &str) -> String {
    let words = command.split(' ').map(|word| word.replace('_', " "));
    let output = Command::new("kubectl")
        .args(words)
        .args(["--dry-run=client", "-o", format])
        .env("KUBECONFIG", "/dev/null")
        .output()
        .unwrap();
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn reads_what_kubectl_prints() {
    for (kind, command) in COMMANDS {
        let (yaml, json) = (print(command, "yaml"), print(command, "json"));
        let from_yaml = Decoder::new(Strictness::Strict).yaml(yaml.as_bytes()).unwrap().remove(0).object;
        let from_json = Decoder::new(Strictness::Strict).json(json.as_bytes()).unwrap().object;
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

fn main() -> ExitCode {
    trial::main(vec![Test::new("reads_what_kubectl_prints", reads_what_kubectl_prints).needs(need::program("kubectl"))])
}
