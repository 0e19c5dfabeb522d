//! Garbage, leases, and writers that die.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails by panicking and tells what it counted")]

mod support;

use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

use support::{directory, image_with_codec, names, small_layer};
use trial::{Test, need};
use windlass_image::codec::verify_diff_id;
use windlass_image::layout::Durability;
use windlass_image::{Codec, Descriptor, Error, Index, Layout, MediaType};

/// Set in the processes that this test starts to write one image while system calls fail.
const ONE_IMAGE: &str = "WINDLASS_IMAGE_TEST_ONE_IMAGE";

/// Set in the processes that this test starts to write and to be killed.
const WRITER: &str = "WINDLASS_IMAGE_TEST_WRITER";

fn main() -> ExitCode {
    if let Some(layout) = std::env::var_os(WRITER) {
        write_without_end(Path::new(&layout));
    }
    if let Some(layout) = std::env::var_os(ONE_IMAGE) {
        image_with_codec(&Layout::create(layout).unwrap(), "second", Codec::Gzip);
        return ExitCode::SUCCESS;
    }
    trial::main(vec![
        Test::new("what_nothing_leads_to_is_removed", collected),
        Test::new("roots_of_the_caller_count", roots),
        Test::new("a_lease_keeps_everything", leases),
        Test::new("what_is_not_understood_is_not_collected", unknown),
        Test::new("killed_writers_leave_a_layout_that_verifies", killed),
        Test::new("each_failing_call_is_an_error_and_leaves_nothing", failing_calls).needs(need::program("strace")),
    ])
}

fn collected() {
    let directory = directory();
    let layout = Layout::create(directory.path()).unwrap();
    let kept = image_with_codec(&layout, "kept", Codec::Gzip);
    let inside = image_with_codec(&layout, "inside", Codec::Gzip);
    let index = Index::build(std::slice::from_ref(&inside), &std::collections::BTreeMap::new()).unwrap();
    let index = layout.put_blob(MediaType::INDEX, index.raw()).unwrap();
    layout.tag("index", &index).unwrap();
    layout.untag("inside").unwrap();
    image_with_codec(&layout, "gone", Codec::Gzip);
    layout.untag("gone").unwrap();
    let unrelated = directory.path().join("blobs/sha256/notes");
    std::fs::write(&unrelated, "not a blob").unwrap();

    let before = names(&directory.path().join("blobs/sha256")).len();
    let done = layout.collect_garbage(&[]).unwrap();
    assert_eq!(done.blobs, 3, "a manifest, a configuration, a layer: {done:?}");
    assert!(done.bytes > 0);
    assert_eq!(names(&directory.path().join("blobs/sha256")).len(), before - 3);
    assert!(unrelated.exists());
    assert_eq!(layout.resolve("kept").unwrap().digest(), kept.digest);
    assert_eq!(layout.resolve("index").unwrap().digest(), inside.digest);
    assert_eq!(layout.collect_garbage(&[]).unwrap().blobs, 0);
}

fn roots() {
    let directory = directory();
    let layout = Layout::create(directory.path()).unwrap();
    let image = image_with_codec(&layout, "image", Codec::Gzip);
    layout.untag("image").unwrap();
    assert_eq!(layout.collect_garbage(std::slice::from_ref(&image)).unwrap().blobs, 0);
    layout.tag("again", &image).unwrap();
    assert_eq!(layout.resolve("again").unwrap().layers().len(), 1);
    layout.untag("again").unwrap();
    assert_eq!(layout.collect_garbage(&[]).unwrap().blobs, 3);
}

fn leases() {
    let directory = directory();
    let layout = Layout::create(directory.path()).unwrap();
    let lease = layout.lease().unwrap();
    let second = layout.lease().unwrap();
    let layer = layout.put_layer(&small_layer("leased"), Codec::Gzip).unwrap().descriptor;
    let other = Layout::open(directory.path()).unwrap();
    for held in [lease, second] {
        assert!(matches!(other.collect_garbage(&[]), Err(Error::Busy { .. })));
        assert!(layout.contains(&layer).unwrap());
        drop(held);
    }
    // A writer that is not done keeps its own file, but no lease.
    let mut writer = layout.blob_writer().unwrap();
    writer.write_all(b"unfinished").unwrap();
    let done = other.collect_garbage(&[]).unwrap();
    assert_eq!((done.blobs, done.unfinished), (1, 0));
    let blob = writer.finish(MediaType::LAYER).unwrap();
    assert_eq!(layout.get(&blob).unwrap(), b"unfinished");
}

fn unknown() {
    let directory = directory();
    let layout = Layout::create(directory.path()).unwrap();
    let orphan = layout.put_layer(&small_layer("orphan"), Codec::Gzip).unwrap().descriptor;
    let strange = layout.put_blob(MediaType::new("application/x-tree"), &b"{}"[..]).unwrap();
    assert!(matches!(layout.collect_garbage(&[strange]), Err(Error::Unsupported { .. })));
    let broken = layout.put_blob(MediaType::MANIFEST, &b"{}"[..]).unwrap();
    layout.tag("broken", &broken).unwrap();
    assert!(matches!(layout.collect_garbage(&[]), Err(Error::Document { .. })));
    assert!(layout.contains(&orphan).unwrap());
    layout.untag("broken").unwrap();
    // An index of which only a part was copied keeps what is there.
    let image = image_with_codec(&layout, "image", Codec::Gzip);
    let absent = Descriptor::of(MediaType::MANIFEST, b"elsewhere");
    let index = Index::build(&[absent, image], &std::collections::BTreeMap::new()).unwrap();
    let index = layout.put_blob(MediaType::INDEX, index.raw()).unwrap();
    layout.tag("image", &index).unwrap();
    layout.collect_garbage(&[]).unwrap();
    assert!(!layout.contains(&orphan).unwrap());
    assert_eq!(names(&directory.path().join("blobs/sha256")).len(), 4);
}

fn write_without_end(path: &Path) -> ! {
    let layout = Layout::create(path).unwrap().with_durability(Durability::Lazy);
    let process = std::process::id();
    for number in 0.. {
        let _lease = layout.lease().unwrap();
        image_with_codec(&layout, &format!("p{process}:{}", number % 5), Codec::Gzip);
    }
    unreachable!("numbers do not end before the process is killed");
}

/// Ends with the test, also when it fails.
struct Writer(Child);

impl Writer {
    fn start(layout: &Path) -> Self {
        let program = std::env::current_exe().unwrap();
        Self(Command::new(program).env(WRITER, layout).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

fn killed() {
    const KILLS: u64 = 20;
    let directory = directory();
    let path = directory.path().join("layout");
    let (mut images, mut unfinished) = (0, 0);
    let mut kill = 0;
    // A slow machine may need more of them until an image is whole.
    while kill < KILLS || images == 0 && kill < 10 * KILLS {
        kill += 1;
        let writers = [Writer::start(&path), Writer::start(&path)];
        // Different from one kill to the next, the same in each run.
        std::thread::sleep(Duration::from_micros(12_000 * kill.div_ceil(KILLS) + kill * 7_919 % 30_000));
        drop(writers);
        let layout = Layout::create(&path).unwrap();
        let named = layout.images().unwrap();
        for entry in &named {
            let image = layout.resolve(entry.ref_name().unwrap()).unwrap();
            for (blob, diff_id) in image.layers() {
                verify_diff_id(layout.layer(blob).unwrap(), diff_id).unwrap();
            }
        }
        images = named.len();
        unfinished += layout.collect_garbage(&[]).unwrap().unfinished;
        assert_eq!(names(&path), ["blobs", "index.json", "oci-layout"]);
    }
    println!("kills {kill}, images at the end {images}, files of dead writers {unfinished}");
    assert!(images > 0, "the writers got nowhere");
}

/// Makes each call fail once and kills the writer before each call once, one run for each.
fn failing_calls() {
    const CALLS: [&str; 6] = ["openat2", "renameat", "write", "fsync", "flock", "mkdirat"];
    let (mut runs, mut failures) = (0, 0);
    for call in CALLS {
        for fault in ["error=ENOSPC", "signal=KILL"] {
            for number in 1.. {
                let directory = directory();
                let path = directory.path().join("layout");
                let layout = Layout::create(&path).unwrap().with_durability(Durability::Lazy);
                image_with_codec(&layout, "first", Codec::Gzip);
                let said = directory.path().join("said");
                let mut command = Command::new("strace");
                command.args(["-f", "-qq", "-e", "signal=none", "-e", &format!("trace={call}"), "-o"]).arg(&said);
                command.args(["-e", &format!("inject={call}:{fault}:when={number}")]);
                command.arg(std::env::current_exe().unwrap()).env(ONE_IMAGE, &path);
                let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
                // strace ends by the signal that ended the program.
                let happened = std::fs::read_to_string(&said).unwrap();
                let hit = happened.contains("(INJECTED)") || status.signal() == Some(nix::libc::SIGKILL);
                if !hit {
                    assert!(status.success(), "{call} {fault} {number}: {happened}");
                    break;
                }
                runs += 1;
                failures += u32::from(!status.success());
                if fault != "signal=KILL" {
                    assert_eq!(names(&path), ["blobs", "index.json", "oci-layout"], "{call} {number}: {happened}");
                }
                check_after_fault(&path, &format!("{call} {fault} {number}"));
            }
        }
    }
    println!("faults {runs}, of which the writer failed {failures}");
    assert_eq!(runs, failures, "a call that failed was passed over");
}

fn check_after_fault(path: &Path, fault: &str) {
    let layout = Layout::create(path).unwrap().with_durability(Durability::Lazy);
    let second = layout.resolve("second");
    for image in [Some(layout.resolve("first").unwrap()), second.ok()].into_iter().flatten() {
        for (blob, diff_id) in image.layers() {
            verify_diff_id(layout.layer(blob).unwrap(), diff_id).unwrap_or_else(|error| panic!("{fault}: {error}"));
        }
    }
    layout.collect_garbage(&[]).unwrap_or_else(|error| panic!("{fault}: {error}"));
    assert_eq!(names(path), ["blobs", "index.json", "oci-layout"], "{fault}");
    image_with_codec(&layout, "second", Codec::Gzip);
    assert_eq!(layout.images().unwrap().len(), 2, "{fault}");
}
