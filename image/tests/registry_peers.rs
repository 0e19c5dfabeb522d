//! Images exchanged with others through a real registry.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails by panicking and tells what it counted")]

mod support;

use std::fs::File;
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use support::{directory, image_with_codec, run, small_layer, store_image, text};
use tempfile::TempDir;
use trial::{Test, need};
use windlass_image::chunked::{Format, Lazy};
use windlass_image::client::{Client, ClientCertificate, Key, Options, Platforms, Pull, Push, Roots};
use windlass_image::codec::verify_diff_id;
use windlass_image::registry::Pieces;
use windlass_image::{Codec, Descriptor, Error, Layout, Manifest, Reference};

fn main() -> ExitCode {
    let registry = || need::program("docker-registry");
    let with = |name, body: fn(), peer| Test::new(name, body).needs(registry()).needs(need::program(peer));
    trial::main(vec![
        with("skopeo_copies_what_was_pushed", to_skopeo, "skopeo"),
        with("what_skopeo_pushes_is_pulled", from_skopeo, "skopeo"),
        with("umoci_unpacks_what_was_pulled", umoci, "umoci").needs(need::program("skopeo")).needs(need::root),
        with("podman_pulls_and_pushes", podman, "podman").needs(need::root),
        with("buildah_pushes_what_is_pulled", buildah, "buildah").needs(need::root),
        with("tls_is_verified_on_both_sides", tls, "openssl"),
        with("podman_takes_and_makes_tables_of_contents", tables, "podman").needs(need::root),
        Test::new("blobs_are_mounted_in_a_real_registry", mounted).needs(registry()),
        Test::new("pieces_are_put_together_by_a_real_registry", pieces).needs(registry()),
    ])
}

/// Debian's registry with a store of its own.
struct Registry {
    address: String,
    process: Child,
    folder: TempDir,
}

impl Registry {
    fn start() -> Self {
        // Another program may take the port between the two: then the registry ends, and another port is tried.
        Self::start_with("")
    }

    fn start_with(more: &str) -> Self {
        (0..5).find_map(|_| Self::try_start(more)).expect("a registry starts")
    }

    fn try_start(more: &str) -> Option<Self> {
        let folder = directory();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let address = format!("127.0.0.1:{port}");
        let config = folder.path().join("config.yml");
        let store = folder.path().join("store");
        let text = format!(
            "version: 0.1\nlog:\n  level: error\nstorage:\n  filesystem:\n    rootdirectory: {}\n  delete:\n    enabled: true\nhttp:\n  addr: {address}\n{more}",
            store.display()
        );
        std::fs::write(&config, text).unwrap();
        let log = File::create(folder.path().join("log")).unwrap();
        let process = Command::new("docker-registry")
            .arg("serve")
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut registry = Self { address, process, folder };
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_mins(1) {
            if registry.process.try_wait().unwrap().is_some() {
                return None;
            }
            if TcpStream::connect(&registry.address).is_ok() {
                return Some(registry);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        None
    }

    fn client(&self, pieces: Pieces) -> Client {
        let mut options = Options::default();
        options.plain_hosts = vec![self.address.clone()];
        options.pieces = pieces;
        Client::new(options).unwrap()
    }

    fn reference(&self, rest: &str) -> Reference {
        Reference::parse(&format!("{}/{rest}", self.address)).unwrap()
    }

    fn docker(&self, rest: &str) -> String {
        format!("docker://{}/{rest}", self.address)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        // It may have ended on its own.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn layout() -> (TempDir, Layout) {
    let directory = directory();
    let layout = Layout::create(directory.path().join("layout")).unwrap();
    (directory, layout)
}

/// Pulls, and checks every layer down to its uncompressed content.
fn pull(registry: &Registry, rest: &str) -> (TempDir, Layout) {
    let (directory, layout) = layout();
    let reference = registry.reference(rest);
    registry.client(Pieces::Whole).pull(&layout, &Pull::new(&reference)).unwrap();
    let image = layout.resolve(reference.canonical()).unwrap();
    for (blob, diff_id) in image.layers() {
        verify_diff_id(layout.layer(blob).unwrap(), diff_id).unwrap();
    }
    (directory, layout)
}

fn to_skopeo() {
    let registry = Registry::start();
    let (directory, layout) = layout();
    let mut copied = 0;
    for codec in [Codec::None, Codec::Gzip, Codec::Zstd] {
        let name = format!("{codec}");
        let descriptor = image_with_codec(&layout, &name, codec);
        let rest = format!("team/app:{name}");
        registry.client(Pieces::Whole).push(&layout, &Push::new(&registry.reference(&rest), &descriptor)).unwrap();
        let docker = registry.docker(&rest);
        let raw = run(Command::new("skopeo").args(["inspect", "--tls-verify=false", "--raw", &docker])).stdout;
        assert_eq!(raw, layout.get(&descriptor).unwrap());
        // The same image, inspected from both sides.
        let inspect = |place: &str| {
            let said = run(Command::new("skopeo").args(["inspect", "--tls-verify=false", place])).stdout;
            let mut said: serde_json::Value = serde_json::from_slice(&said).unwrap();
            for own_of_a_registry in ["Name", "RepoTags"] {
                said.as_object_mut().unwrap().remove(own_of_a_registry);
            }
            said
        };
        assert_eq!(inspect(&docker), inspect(&format!("oci:{}:{name}", layout.path().display())));
        let theirs = directory.path().join(&name);
        let place = format!("oci:{}:x", theirs.display());
        let arguments = ["copy", "--insecure-policy", "--src-tls-verify=false", "--preserve-digests", &docker, &place];
        run(Command::new("skopeo").args(arguments));
        assert_eq!(Layout::open(&theirs).unwrap().resolve("x").unwrap().digest(), descriptor.digest);
        copied += 1;
    }
    let tags = registry.client(Pieces::Whole).tags(&registry.reference("team/app")).unwrap();
    assert_eq!(tags.len(), copied);
    println!("skopeo copied and inspected {copied}");
}

fn from_skopeo() {
    let registry = Registry::start();
    let (_directory, layout) = layout();
    let descriptor = image_with_codec(&layout, "made", Codec::Gzip);
    let oci = format!("oci:{}:made", layout.path().display());
    for (tag, format) in [("oci", "oci"), ("docker", "v2s2")] {
        let docker = registry.docker(&format!("a:{tag}"));
        let arguments = ["copy", "--insecure-policy", "--dest-tls-verify=false", "--format", format, &oci, &docker];
        run(Command::new("skopeo").args(arguments));
        let (_kept, pulled) = pull(&registry, &format!("a:{tag}"));
        let image = pulled.resolve(registry.reference(&format!("a:{tag}")).canonical()).unwrap();
        assert_eq!(image.digest() == descriptor.digest, format == "oci", "{format}");
    }
    println!("pulled 2 that skopeo pushed");
}

fn umoci() {
    let registry = Registry::start();
    let (_directory, layout) = layout();
    let layers = ["lower", "upper"].map(|text| layout.put_layer(&small_layer(text), Codec::Gzip).unwrap());
    let descriptor = store_image(&layout, "two", &layers);
    let reference = registry.reference("two:1");
    registry.client(Pieces::Whole).push(&layout, &Push::new(&reference, &descriptor)).unwrap();
    let (kept, pulled) = pull(&registry, "two:1");
    pulled.tag("plain", &descriptor).unwrap();
    let bundle = kept.path().join("bundle");
    run(Command::new("umoci").args(["unpack", "--image", &format!("{}:plain", pulled.path().display())]).arg(&bundle));
    assert_eq!(std::fs::read_to_string(bundle.join("rootfs/etc/motd")).unwrap(), "upper");
}

/// A program that keeps images, with a store of its own below a folder.
struct Keeper {
    program: &'static str,
    folder: PathBuf,
}

impl Keeper {
    fn new(program: &'static str, registry: &Registry) -> Self {
        let folder = registry.folder.path().join("keeper");
        std::fs::create_dir(&folder).unwrap();
        // Its locks would be one file of the whole machine otherwise.
        std::fs::write(folder.join("containers.conf"), "[engine]\nlock_type = \"file\"\n").unwrap();
        std::fs::write(folder.join("policy.json"), r#"{"default":[{"type":"insecureAcceptAnything"}]}"#).unwrap();
        std::fs::write(folder.join("registries.conf"), "").unwrap();
        Self { program, folder }
    }

    fn run(&self, arguments: &[&str]) -> String {
        let place = |name: &str| self.folder.join(name);
        let mut command = Command::new(self.program);
        command.env("CONTAINERS_CONF", place("containers.conf")).env("TMPDIR", &self.folder).stdin(Stdio::null());
        command.env("CONTAINERS_REGISTRIES_CONF", place("registries.conf"));
        command.arg("--root").arg(place("root")).arg("--runroot").arg(place("run")).args(["--storage-driver", "vfs"]);
        if self.program == "podman" {
            command.args(["--cgroup-manager", "cgroupfs", "--events-backend", "none"]);
            command.arg("--tmpdir").arg(place("tmp"));
        }
        command.arg(arguments[0]);
        if matches!(arguments[0], "pull" | "push") {
            command.arg("--tls-verify=false").arg("--signature-policy").arg(place("policy.json"));
        }
        text(&run(command.args(&arguments[1..])))
    }
}

fn exchange(program: &'static str) {
    let registry = Registry::start();
    let (_directory, layout) = layout();
    let descriptor = image_with_codec(&layout, "made", Codec::Gzip);
    let reference = registry.reference("ours:1");
    registry.client(Pieces::Whole).push(&layout, &Push::new(&reference, &descriptor)).unwrap();
    let keeper = Keeper::new(program, &registry);
    keeper.run(&["pull", reference.canonical()]);
    let theirs = registry.reference("theirs:1");
    keeper.run(&["tag", reference.canonical(), theirs.canonical()]);
    keeper.run(&["push", theirs.canonical()]);
    let (_kept, pulled) = pull(&registry, "theirs:1");
    let ours = layout.resolve("made").unwrap();
    let image = pulled.resolve(theirs.canonical()).unwrap();
    assert_eq!(image.config.diff_ids(), ours.config.diff_ids());
    assert_eq!(image.config.execution().env, ours.config.execution().env);
}

/// Layers with tables of contents: podman unpacks ours, and one file of what it makes is fetched.
fn tables() {
    let registry = Registry::start();
    let (_directory, layout) = layout();
    let keeper = Keeper::new("podman", &registry);
    let client = registry.client(Pieces::Whole);
    let mut tar = Vec::new();
    small_layer("chunked").write(&mut tar, Codec::None).unwrap();
    let lazily = |registry: &Registry, descriptor: &Descriptor, rest: &str| {
        let client = registry.client(Pieces::Whole);
        let found = client.manifest(&registry.reference(rest)).unwrap();
        assert_eq!(found.descriptor.digest, descriptor.digest);
        let manifest = Manifest::parse(found.raw).unwrap();
        let ranges = client.blob_ranges(&found.repository, &manifest.layers()[0]);
        let lazy = Lazy::open(ranges, &manifest.layers()[0], layout.limits()).unwrap();
        std::io::read_to_string(lazy.file("etc/motd").unwrap()).unwrap()
    };
    for (tag, format) in [("estargz", Format::Estargz), ("zstd", Format::ZstdChunked)] {
        let layer = layout.put_chunked_layer(&tar[..], format).unwrap();
        let descriptor = store_image(&layout, tag, &[layer]);
        let reference = registry.reference(&format!("ours:{tag}"));
        client.push(&layout, &Push::new(&reference, &descriptor)).unwrap();
        assert_eq!(lazily(&registry, &descriptor, &format!("ours:{tag}")), "chunked");
        keeper.run(&["pull", reference.canonical()]);
        let mounted = keeper.run(&["image", "mount", reference.canonical()]);
        let motd = PathBuf::from(mounted.trim()).join("etc/motd");
        assert_eq!(std::fs::read_to_string(motd).unwrap(), "chunked");
        keeper.run(&["image", "unmount", reference.canonical()]);
    }
    // In a registry that has the layer, it would not compress it again.
    let other = Registry::start();
    let theirs = other.reference("theirs:zstd");
    keeper.run(&["tag", registry.reference("ours:estargz").canonical(), theirs.canonical()]);
    keeper.run(&["push", "--compression-format", "zstd:chunked", theirs.canonical()]);
    let (_kept, pulled) = pull(&other, "theirs:zstd");
    let image = pulled.resolve(theirs.canonical()).unwrap();
    assert_eq!(lazily(&other, &image.descriptor, "theirs:zstd"), "chunked");
}

fn podman() {
    exchange("podman");
}

fn buildah() {
    exchange("buildah");
}

fn tls() {
    let keys = directory();
    let file = |name: &str| keys.path().join(name).to_str().unwrap().to_owned();
    let openssl = |line: &str| {
        let mut command = Command::new("openssl");
        command.current_dir(keys.path()).args(line.split_whitespace());
        run(&mut command)
    };
    let curve = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2";
    std::fs::write(file("ext"), "subjectAltName=IP:127.0.0.1\nbasicConstraints=CA:FALSE\n").unwrap();
    std::fs::write(file("client-ext"), "basicConstraints=CA:FALSE\n").unwrap();
    openssl(&format!("req -x509 {curve} -subj /CN=authority -keyout ca.key -out ca.pem"));
    for (name, extensions) in [("server", "ext"), ("client", "client-ext")] {
        openssl(&format!("req {curve} -subj /CN={name} -keyout {name}.key -out {name}.csr"));
        openssl(&format!(
            "x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile {extensions} -out {name}.pem"
        ));
    }
    let registry = Registry::start_with(&format!(
        "  tls:\n    certificate: {}\n    key: {}\n    clientcas:\n      - {}\n",
        file("server.pem"),
        file("server.key"),
        file("ca.pem")
    ));
    let (_directory, layout) = layout();
    let descriptor = image_with_codec(&layout, "made", Codec::Gzip);
    let reference = registry.reference("a:1");
    let read = |name: &str| std::fs::read(file(name)).unwrap();
    let push = |roots: &str, proves: bool| {
        let mut options = Options::default();
        options.provider = Some(std::sync::Arc::new(rustls::crypto::ring::default_provider()));
        options.roots = Roots::Pem(read(roots));
        options.retry.base = Duration::from_millis(1);
        if proves {
            let (host, chain, key) = (registry.address.clone(), read("client.pem"), Key(read("client.key")));
            options.certificates = vec![ClientCertificate { host, chain, key }];
        }
        Client::new(options).unwrap().push(&layout, &Push::new(&reference, &descriptor))
    };
    assert_eq!(push("ca.pem", true).unwrap().sent, 2);
    for (roots, proves) in [("server.pem", true), ("ca.pem", false)] {
        assert!(matches!(push(roots, proves), Err(Error::Network { .. })), "{roots} {proves}");
    }
}

fn mounted() {
    let registry = Registry::start();
    let (_directory, layout) = layout();
    let descriptor = image_with_codec(&layout, "made", Codec::Gzip);
    let client = registry.client(Pieces::Whole);
    let first = registry.reference("first:1");
    let pushed = client.push(&layout, &Push::new(&first, &descriptor)).unwrap();
    assert_eq!((pushed.sent, pushed.mounted, pushed.existed), (2, 0, 0));
    // Known from the layout's names.
    layout.tag(first.canonical(), &descriptor).unwrap();
    let second = registry.reference("second:1");
    let pushed = client.push(&layout, &Push::new(&second, &descriptor)).unwrap();
    assert_eq!((pushed.sent, pushed.mounted, pushed.existed), (0, 2, 0));
    let pushed = client.push(&layout, &Push::new(&second, &descriptor)).unwrap();
    assert_eq!((pushed.sent, pushed.mounted, pushed.existed), (0, 0, 2));
    pull(&registry, "second:1");
    let (_kept, pulled) = self::layout();
    let all = client.pull(&pulled, &Pull::new(&second).platforms(Platforms::All)).unwrap();
    assert_eq!(all.digest, descriptor.digest);
}

fn pieces() {
    let registry = Registry::start();
    let (_directory, layout) = layout();
    let descriptor = image_with_codec(&layout, "made", Codec::None);
    let pushed =
        registry.client(Pieces::Of(700)).push(&layout, &Push::new(&registry.reference("cut:1"), &descriptor)).unwrap();
    assert_eq!(pushed.sent, 2);
    pull(&registry, "cut:1");
}
