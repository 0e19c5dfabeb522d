//! What cannot work is refused with a clear error and a failing exit code, and leaves nothing.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Output, Stdio};

use trial::{Test, need};
use windlass_namespaces::{IdMapping, Namespace, Source};

const DEMO: &str = env!("CARGO_BIN_EXE_mini-orchestrator");

fn main() -> ExitCode {
    trial::main(vec![
        Test::new("a_wrong_field_is_named_by_its_path", wrong_field).needs(need::root),
        Test::new("a_taken_port_is_refused_before_anything_is_made", taken_port).needs(need::root),
        Test::new("a_corrupt_blob_is_refused", corrupt_blob).needs(need::root),
        Test::new("a_full_disk_is_said", full_disk).needs(need::root).needs(need::program("unshare")),
        Test::new("a_file_system_that_cannot_hold_a_writable_layer_is_said", no_overlay)
            .needs(need::root)
            .needs(need::program("unshare")),
        Test::new("root_without_control_groups_is_told", no_control_group)
            .needs(need::root)
            .needs(need::program("unshare")),
        Test::new("neither_root_nor_a_user_namespace_is_told", no_user_namespace)
            .needs(need::root)
            .needs(need::program("setpriv")),
    ])
}

/// A folder for one test, and the demo with its state there.
struct Bench {
    folder: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn demo(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(DEMO);
        command.arg("demo").arg("--state-dir").arg(self.path("state")).args(arguments);
        command.stdin(Stdio::null()).output().unwrap()
    }

    /// Runs a shell script in a mount namespace of its own; `$STATE` and `$DEMO` are set.
    fn script(&self, text: &str) -> Output {
        fs::create_dir(self.path("state")).unwrap();
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation=private", "sh", "-ec", text]);
        command.env("STATE", self.path("state")).env("DEMO", DEMO);
        command.stdin(Stdio::null()).output().unwrap()
    }

    /// The demo must have failed with an error that has all of these words, and left its folder empty or unmade.
    fn refused(&self, output: &Output, words: &[&str]) {
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{errors}");
        let error = errors.lines().find(|line| line.starts_with("error: ")).unwrap_or_default();
        for word in words {
            assert!(error.contains(word), "{word:?} is not in {errors:?}");
        }
        let left: Vec<_> = fs::read_dir(self.path("state")).into_iter().flatten().flatten().collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

fn own_manifest() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests/demo.yaml")).unwrap()
}

fn wrong_field() {
    for (right, wrong, path) in [
        ("replicas: 3", "replicaz: 3", "spec.replicaz"),
        ("containerPort: 8080", "containerPort: 80800", "spec.template.spec.containers[0].ports[0].containerPort"),
        ("memory: 48Mi", "memory: much", "spec.template.spec.containers[0].resources.limits"),
    ] {
        let bench = Bench::new();
        let manifest = bench.path("manifest.yaml");
        fs::write(&manifest, own_manifest().replacen(right, wrong, 1)).unwrap();
        let output = bench.demo(&["--manifest", manifest.to_str().unwrap()]);
        bench.refused(&output, &["manifest.yaml", path]);
        assert!(!bench.path("state").exists(), "nothing was made");
    }
}

fn taken_port() {
    let bench = Bench::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let output = bench.demo(&["--keep", "--port", &port]);
    bench.refused(&output, &[&format!("127.0.0.1:{port}"), "--keep", "in use"]);
    assert!(!bench.path("state").exists(), "nothing was made");
}

/// The largest blob of a real image, with one byte changed.
fn corrupt_blob() {
    let bench = Bench::new();
    let layout = windlass_image::Layout::create(bench.path("image")).unwrap();
    let program =
        windlass_image::pack::Program::Path { path: DEMO.into(), name: Some("/bin/mini-orchestrator".into()) };
    let request = windlass_image::pack::PackRequest::new(program);
    windlass_image::pack::pack(&request, &layout, "windlass.example/responder:demo").unwrap();
    let blobs = fs::read_dir(bench.path("image/blobs/sha256")).unwrap().map(|entry| entry.unwrap().path());
    let blob = blobs.max_by_key(|path| fs::metadata(path).unwrap().len()).unwrap();
    let mut bytes = fs::read(&blob).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    // A layout's blobs are read-only files.
    fs::remove_file(&blob).unwrap();
    fs::write(&blob, bytes).unwrap();
    let digest = blob.file_name().unwrap().to_str().unwrap().to_owned();
    let output = bench.demo(&["--image", bench.path("image").to_str().unwrap()]);
    bench.refused(&output, &[&digest[..12]]);
}

fn full_disk() {
    let bench = Bench::new();
    let script = "mount -t tmpfs -o size=3m tmpfs $STATE; code=0; $DEMO demo --state-dir $STATE || code=$?;
        test -z \"$(ls -A $STATE)\" || { ls -lR $STATE >&2; exit 99; }; exit $code";
    bench.refused(&bench.script(script), &["No space left on device"]);
}

fn no_overlay() {
    let bench = Bench::new();
    // An overlay cannot be the upper layer of another one.
    let script = "mount -t tmpfs tmpfs $STATE; mkdir $STATE/l $STATE/u $STATE/w $STATE/m;
        mount -t overlay -o lowerdir=$STATE/l,upperdir=$STATE/u,workdir=$STATE/w overlay $STATE/m; code=0;
        $DEMO demo --state-dir $STATE/m || code=$?;
        test -z \"$(ls -A $STATE/m)\" || { ls -lR $STATE/m >&2; exit 99; }; exit $code";
    bench.refused(&bench.script(script), &["overlay"]);
}

fn no_control_group() {
    let bench = Bench::new();
    let script = "awk '$0 ~ / - cgroup2? / { print $5 }' /proc/self/mountinfo | sort -r | xargs -r umount;
        exec $DEMO demo --state-dir $STATE";
    bench.refused(&bench.script(script), &["control groups"]);
}

fn no_user_namespace() {
    let bench = Bench::new();
    // The limit belongs to the user namespace in which it is written, so a new one is made to set it in.
    let script = "echo 0 > /proc/sys/user/max_user_namespaces;
        exec setpriv --reuid=47111 --regid=47111 --clear-groups \"$DEMO\" demo --state-dir \"$STATE\"";
    let errors = fs::File::create(bench.path("errors")).unwrap();
    let ids = || vec![IdMapping::new(0, 0, 1).unwrap(), IdMapping::new(47_111, 47_111, 1).unwrap()];
    let mut command = windlass_namespaces::Command::new("sh");
    command.args(["-ec", script]).env("STATE", bench.path("state")).env("DEMO", DEMO).current_dir("/");
    command.namespace(Namespace::User, Source::New).id_mappings(ids(), ids());
    command.stdin(windlass_namespaces::Stdio::Null).stdout(windlass_namespaces::Stdio::Null).stderr(errors);
    let status = command.spawn().unwrap().wait().unwrap();
    let stderr = fs::read(bench.path("errors")).unwrap();
    bench.refused(&Output { status, stdout: Vec::new(), stderr }, &["not root", "user namespace"]);
}
