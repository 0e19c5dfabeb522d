//! Layouts exchanged with skopeo and umoci.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails by panicking and tells what it counted")]

mod support;

use std::fs;
use std::process::{Command, ExitCode};

use support::{directory, image_with_codec, run, small_layer, store_image, text};
use trial::{Test, need};
use windlass_image::codec::verify_diff_id;
use windlass_image::pack::{PackRequest, Program, pack};
use windlass_image::{Codec, Layout};

fn main() -> ExitCode {
    let skopeo = || need::program("skopeo");
    let umoci = || need::program("umoci");
    trial::main(vec![
        Test::new("skopeo_inspects_what_was_written", inspect).needs(skopeo()),
        Test::new("skopeo_copies_there_and_back", copy).needs(skopeo()),
        Test::new("umoci_unpacks_what_was_written", unpack).needs(umoci()).needs(need::root),
        Test::new("what_umoci_writes_is_read", from_umoci).needs(umoci()).needs(need::root),
        Test::new("umoci_collects_nothing_that_is_named", umoci_gc).needs(umoci()),
    ])
}

fn inspect() {
    let directory = directory();
    let layout = Layout::create(directory.path()).unwrap();
    let mut inspected = 0;
    for codec in [Codec::None, Codec::Gzip, Codec::Zstd] {
        let name = format!("{codec}");
        let descriptor = image_with_codec(&layout, &name, codec);
        let place = format!("oci:{}:{name}", directory.path().display());
        let raw = run(Command::new("skopeo").args(["inspect", "--raw", &place])).stdout;
        assert_eq!(raw, layout.get(&descriptor).unwrap());
        let said: serde_json::Value =
            serde_json::from_slice(&run(Command::new("skopeo").args(["inspect", &place])).stdout).unwrap();
        let image = layout.resolve(&name).unwrap();
        assert_eq!(said["Digest"], image.digest().to_string());
        assert_eq!(said["Architecture"], image.config.platform().architecture);
        assert_eq!(said["Layers"][0], image.manifest.layers()[0].digest.to_string());
        assert_eq!(said["Env"][0], "A=1");
        inspected += 1;
    }
    println!("skopeo inspected {inspected}");
}

fn copy() {
    let directory = directory();
    let path = |name: &str| directory.path().join(name);
    let layout = Layout::create(path("ours")).unwrap();
    let request = PackRequest::new(Program::Path { path: "/usr/bin/env".into(), name: None });
    let packed = pack(&request, &layout, "env:1").unwrap();
    let ours = format!("oci:{}:env:1", path("ours").display());
    let theirs = format!("oci:{}:copied", path("theirs").display());
    run(Command::new("skopeo").args(["copy", "--insecure-policy", "--preserve-digests", &ours, &theirs]));
    let copied = Layout::open(path("theirs")).unwrap();
    let image = copied.resolve("copied").unwrap();
    assert_eq!(image.digest(), packed.image.digest);
    for (blob, diff_id) in image.layers() {
        verify_diff_id(copied.layer(blob).unwrap(), diff_id).unwrap();
    }
    // Into a layout that this crate wrote, beside an image that is there already.
    let back = format!("oci:{}:back", path("ours").display());
    run(Command::new("skopeo").args(["copy", "--insecure-policy", &theirs, &back]));
    assert_eq!(layout.resolve("back").unwrap().digest(), packed.image.digest);
    assert_eq!(layout.resolve("env:1").unwrap().digest(), packed.image.digest);
    layout.tag("third", &packed.image).unwrap();
    assert_eq!(layout.resolve("back").unwrap().digest(), packed.image.digest);
}

fn unpack() {
    let directory = directory();
    let layout = Layout::create(directory.path().join("layout")).unwrap();
    let lower = layout.put_layer(&small_layer("lower"), Codec::Gzip).unwrap();
    let upper = layout.put_layer(&small_layer("upper"), Codec::Gzip).unwrap();
    store_image(&layout, "two", &[lower, upper]);
    let bundle = directory.path().join("bundle");
    let image = format!("{}:two", layout.path().display());
    run(Command::new("umoci").args(["unpack", "--image", &image]).arg(&bundle));
    assert_eq!(fs::read_to_string(bundle.join("rootfs/etc/motd")).unwrap(), "upper");
    assert_eq!(fs::read_link(bundle.join("rootfs/motd")).unwrap().to_str(), Some("etc/motd"));
    let config: serde_json::Value = serde_json::from_slice(&fs::read(bundle.join("config.json")).unwrap()).unwrap();
    assert_eq!(config["process"]["args"][0], "/bin/true");
    let env = config["process"]["env"].as_array().unwrap();
    assert!(env.iter().any(|entry| entry == "A=1"), "{env:?}");
}

fn from_umoci() {
    let directory = directory();
    let path = directory.path().join("layout");
    let image = format!("{}:made", path.display());
    let umoci = |arguments: &[&str]| run(Command::new("umoci").args(arguments));
    umoci(&["init", "--layout", path.to_str().unwrap()]);
    umoci(&["new", "--image", &image]);
    let bundle = directory.path().join("bundle");
    umoci(&["unpack", "--image", &image, bundle.to_str().unwrap()]);
    fs::write(bundle.join("rootfs/hello"), "from umoci").unwrap();
    umoci(&["repack", "--image", &image, bundle.to_str().unwrap()]);
    umoci(&["config", "--image", &image, "--config.env", "B=2", "--config.label", "k=v"]);

    let layout = Layout::open(&path).unwrap();
    let read = layout.resolve("made").unwrap();
    assert!(read.config.execution().env.contains(&"B=2".to_owned()), "{:?}", read.config.execution());
    assert_eq!(read.config.execution().labels["k"], "v");
    let (blob, diff_id) = read.layers().last().expect("a layer");
    verify_diff_id(layout.layer(blob).unwrap(), diff_id).unwrap();
    let mut archive = tar::Archive::new(layout.layer(blob).unwrap());
    let paths: Vec<_> =
        archive.entries().unwrap().map(|entry| entry.unwrap().path().unwrap().display().to_string()).collect();
    assert!(paths.iter().any(|path| path.ends_with("hello")), "{paths:?}");
    // A name given here is one that umoci sees.
    layout.tag("again", &read.descriptor).unwrap();
    let listed = text(&umoci(&["list", "--layout", path.to_str().unwrap()]));
    assert!(listed.contains("made") && listed.contains("again"), "{listed}");
}

fn umoci_gc() {
    let directory = directory();
    let layout = Layout::create(directory.path()).unwrap();
    let image = image_with_codec(&layout, "kept", Codec::Gzip);
    let orphan = layout.put_layer(&small_layer("orphan"), Codec::Gzip).unwrap().descriptor;
    run(Command::new("umoci").args(["gc", "--layout"]).arg(directory.path()));
    assert!(!layout.contains(&orphan).unwrap());
    let read = layout.resolve("kept").unwrap();
    assert_eq!(read.digest(), image.digest);
    for (blob, diff_id) in read.layers() {
        verify_diff_id(layout.layer(blob).unwrap(), diff_id).unwrap();
    }
}
