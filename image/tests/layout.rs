//! The layout against hostile content, hostile files and other writers.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::thread;

use support::{directory, image_with_codec, names, run, small_layer, store_image};
use trial::{Test, need};
use windlass_image::codec::verify_diff_id;
use windlass_image::{Codec, Descriptor, Digest, Error, Index, Layout, Limits, Manifest, MediaType, Platform};

/// Set in the process that this test starts on a small file system.
const SMALL: &str = "WINDLASS_IMAGE_TEST_SMALL";

fn main() -> ExitCode {
    if let Some(path) = std::env::var_os(SMALL) {
        on_a_full_disk(Path::new(&path));
        return ExitCode::SUCCESS;
    }
    trial::main(vec![
        Test::new("an_image_comes_back_as_it_was_stored", round_trip),
        Test::new("blobs_with_one_bit_more_or_less_are_refused", corrupt_blobs),
        Test::new("ingest_keeps_nothing_that_is_wrong", ingest),
        Test::new("an_unfinished_blob_leaves_nothing", unfinished),
        Test::new("only_regular_files_are_read", special_files),
        Test::new("nothing_is_opened_outside_of_the_layout", links_out),
        Test::new("several_members_and_frames_are_one_stream", members),
        Test::new("bombs_end_at_the_limits", bombs),
        Test::new("what_follows_a_stream_is_an_error", trailing),
        Test::new("concurrent_writers_lose_no_name", concurrent),
        Test::new("an_index_leads_to_the_image_of_the_platform", platforms),
        Test::new("indexes_that_contain_themselves_end", endless_index),
        Test::new("confusing_manifests_are_refused", confusion),
        Test::new("other_directories_are_no_layouts", other_directories),
        Test::new("a_name_that_is_there_twice_is_no_name", twice),
        Test::new("a_full_disk_is_an_error_and_leaves_nothing", full_disk)
            .needs(need::root)
            .needs(need::program("unshare")),
    ])
}

fn round_trip() {
    let directory = directory();
    let path = directory.path().join("layout");
    assert!(matches!(Layout::open(&path), Err(Error::NotFound { .. })));
    let layout = Layout::create(&path).unwrap();
    for codec in [Codec::None, Codec::Gzip, Codec::Zstd] {
        let name = format!("example.com/a/{codec}:1");
        let descriptor = image_with_codec(&layout, &name, codec);
        // A second handle sees what the first wrote.
        let image = Layout::open(&path).unwrap().resolve(&name).unwrap();
        assert_eq!(image.digest(), descriptor.digest);
        assert_eq!(image, layout.resolve(descriptor.digest.to_string()).unwrap());
        assert_eq!(image.layers().len(), 1);
        for (blob, diff_id) in image.layers() {
            assert!(verify_diff_id(layout.layer(blob).unwrap(), diff_id).unwrap() > 0);
            assert!(layout.contains(blob).unwrap());
        }
    }
    assert_eq!(layout.images().unwrap().len(), 3);
    layout.untag("example.com/a/zstd:1").unwrap();
    assert!(matches!(layout.resolve("example.com/a/zstd:1"), Err(Error::NotFound { .. })));
    assert_eq!(names(&path), ["blobs", "index.json", "oci-layout"]);
}

fn read_layer(layout: &Layout, blob: &Descriptor) -> Result<u64, Error> {
    let mut reader = layout.layer(blob)?;
    io::copy(&mut reader, &mut io::sink()).map_err(|error| Error::unwrap_io(error).expect("an error of this crate"))
}

fn corrupt_blobs() {
    for codec in [Codec::None, Codec::Gzip, Codec::Zstd] {
        let directory = directory();
        let layout = Layout::create(directory.path()).unwrap();
        let layer = layout.put_layer(&small_layer("content"), codec).unwrap();
        let blob = layer.descriptor;
        let path = layout.blob_path(&blob.digest);
        let good = fs::read(&path).unwrap();
        assert_eq!(read_layer(&layout, &blob).unwrap(), layer.bytes);

        for position in [0, 3, good.len() / 2, good.len() - 1] {
            let mut bytes = good.clone();
            bytes[position] ^= 1;
            fs::write(&path, &bytes).unwrap();
            let error = read_layer(&layout, &blob).unwrap_err();
            assert!(matches!(error, Error::DigestMismatch { .. }), "{codec}, byte {position}: {error:?}");
            assert!(matches!(layout.get(&blob), Err(Error::DigestMismatch { .. })), "{codec}, byte {position}");
        }
        for bytes in [&good[..good.len() - 1], &[&good[..], b"x"].concat()] {
            fs::write(&path, bytes).unwrap();
            assert!(matches!(read_layer(&layout, &blob), Err(Error::SizeMismatch { .. })), "{codec}");
            assert!(matches!(layout.get(&blob), Err(Error::SizeMismatch { .. })), "{codec}");
            assert!(!layout.contains(&blob).unwrap());
        }
        // Writing the blob again heals it.
        layout.put_blob(blob.media_type.clone(), &good[..]).unwrap();
        assert_eq!(read_layer(&layout, &blob).unwrap(), layer.bytes);
    }
}

fn ingest() {
    let directory = directory();
    let layout = Layout::create(directory.path()).unwrap();
    let blob = Descriptor::of(MediaType::LAYER, b"content");
    for (content, is_size) in [(&b"contenT"[..], false), (b"conten", true), (b"content!", true), (b"", true)] {
        let error = layout.ingest(&blob, content).unwrap_err();
        assert_eq!(matches!(error, Error::SizeMismatch { .. }), is_size, "{error}");
        assert!(names(&directory.path().join("blobs/sha256")).is_empty());
        assert_eq!(names(directory.path()), ["blobs", "index.json", "oci-layout"]);
    }
    // An endless source is read no further than the descriptor says.
    assert!(matches!(layout.ingest(&blob, io::repeat(0)), Err(Error::SizeMismatch { .. })));
    layout.ingest(&blob, &b"content"[..]).unwrap();
    assert_eq!(layout.get(&blob).unwrap(), b"content");

    let mut hasher = windlass_image::Hasher::new(windlass_image::Algorithm::Sha512);
    hasher.update(b"content");
    let wide = Descriptor::new(MediaType::LAYER, hasher.finish(), 7);
    layout.ingest(&wide, &b"content"[..]).unwrap();
    assert_eq!(layout.get(&wide).unwrap(), b"content");
}

fn unfinished() {
    struct Fails;
    impl Read for Fails {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("the source failed"))
        }
    }
    let directory = directory();
    let layout = Layout::create(directory.path()).unwrap();
    let mut writer = layout.blob_writer().unwrap();
    writer.write_all(&vec![7; 1 << 20]).unwrap();
    assert_eq!(names(directory.path()).len(), 4);
    drop(writer);
    let error = layout.put_blob(MediaType::LAYER, (&b"begin"[..]).chain(Fails)).unwrap_err();
    assert!(matches!(&error, Error::Sys { source, .. } if source.to_string() == "the source failed"), "{error:?}");
    assert_eq!(names(directory.path()), ["blobs", "index.json", "oci-layout"]);
    assert!(names(&directory.path().join("blobs/sha256")).is_empty());
}

fn special_files() {
    let directory = directory();
    let layout = Layout::create(directory.path()).unwrap();
    let blob = layout.put_blob(MediaType::LAYER, &b"content"[..]).unwrap();
    let path = layout.blob_path(&blob.digest);
    let elsewhere = directory.path().join("content");
    fs::rename(&path, &elsewhere).unwrap();

    symlink(&elsewhere, &path).unwrap();
    assert!(matches!(layout.get(&blob), Err(Error::NotRegularFile { .. })));
    fs::remove_file(&path).unwrap();
    // Opening a FIFO for reading would wait for a writer.
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert!(matches!(layout.get(&blob), Err(Error::NotRegularFile { .. })));
    assert!(matches!(layout.layer(&blob), Err(Error::NotRegularFile { .. })));
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert!(matches!(layout.get(&blob), Err(Error::NotRegularFile { .. })));
    fs::remove_dir(&path).unwrap();
    assert!(matches!(layout.get(&blob), Err(Error::NotFound { .. })));

    for name in ["index.json", "oci-layout"] {
        let other = opened_through_a_link(name);
        assert!(matches!(other, Err(Error::NotRegularFile { .. })), "{name}: {other:?}");
    }
}

/// What opening a layout and reading its index says when one of its documents is a symbolic link to a good one.
fn opened_through_a_link(name: &str) -> Result<usize, Error> {
    let directory = directory();
    Layout::create(directory.path()).unwrap();
    let (path, moved) = (directory.path().join(name), directory.path().join("moved"));
    fs::rename(&path, &moved).unwrap();
    symlink("moved", &path).unwrap();
    Ok(Layout::open(directory.path())?.images()?.len())
}

fn links_out() {
    let (inside, outside) = (directory(), directory());
    let layout = Layout::create(inside.path()).unwrap();
    let other = Layout::create(outside.path()).unwrap();
    let blob = other.put_blob(MediaType::LAYER, &b"content"[..]).unwrap();
    fs::remove_dir_all(inside.path().join("blobs")).unwrap();
    symlink(outside.path().join("blobs"), inside.path().join("blobs")).unwrap();
    assert!(matches!(layout.get(&blob), Err(Error::NotRegularFile { .. })));
}

fn layer_of(layout: &Layout, media_type: MediaType, content: &[u8]) -> Descriptor {
    layout.put_blob(media_type, content).unwrap()
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

fn members() {
    let directory = directory();
    let layout = Layout::create(directory.path()).unwrap();
    let compress_zstd = |content: &[u8]| zstd::encode_all(content, 3).unwrap();
    let skippable = [&0x184D_2A50_u32.to_le_bytes()[..], &4_u32.to_le_bytes(), b"skip"].concat();
    for (media_type, content) in [
        (MediaType::LAYER_GZIP, [gzip(b"one "), gzip(b""), gzip(b"two "), gzip(b"three")].concat()),
        (
            MediaType::LAYER_ZSTD,
            [compress_zstd(b"one "), compress_zstd(b""), skippable, compress_zstd(b"two "), compress_zstd(b"three")]
                .concat(),
        ),
        (MediaType::DOCKER_LAYER_GZIP, gzip(b"one two three")),
    ] {
        let blob = layer_of(&layout, media_type.clone(), &content);
        let mut text = String::new();
        layout.layer(&blob).unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "one two three", "{media_type}");
    }
}

fn bombs() {
    let directory = directory();
    let layout = Layout::create(directory.path()).unwrap();
    // Sixteen MiB of zeros, sixty-four times: the members are one stream.
    let member = gzip(&vec![0; 16 << 20]);
    let bomb = layer_of(&layout, MediaType::LAYER_GZIP, &member.repeat(64));
    let zeros = zstd::encode_all(io::repeat(0).take(1 << 28), 3).unwrap();
    let tight = layer_of(&layout, MediaType::LAYER_ZSTD, &zeros);

    let mut limits = Limits::DEFAULT;
    limits.layer_bytes = 100 << 20;
    limits.layer_expansion = u64::MAX;
    let small = Layout::open(directory.path()).unwrap().with_limits(limits);
    for blob in [&bomb, &tight] {
        assert_limit(&read_layer(&small, blob), "uncompressed layer");
    }
    // zstd makes much more of a few bytes than gzip can.
    assert!((1 << 28) / tight.size > 10_000);
    assert_limit(&read_layer(&layout, &tight), "expansion of a layer");
    let large = layer_of(&layout, MediaType::LAYER_GZIP, &member.repeat(8));
    assert_eq!(read_layer(&layout, &large).unwrap(), 1 << 27, "within the default limits");

    // A frame that asks for a window of 2 GiB: magic number, descriptor without content size, window descriptor.
    let frame = [&0xFD2F_B528_u32.to_le_bytes()[..], &[0, 21 << 3], &[1, 0, 0]].concat();
    let window = layer_of(&layout, MediaType::LAYER_ZSTD, &frame);
    let error = read_layer(&layout, &window).unwrap_err();
    assert!(matches!(&error, Error::Decode { codec: Codec::Zstd, .. }), "{error:?}");
    // The library itself refuses that; what it would take, 8 MiB, is refused where the caller allows less.
    let frame = [&0xFD2F_B528_u32.to_le_bytes()[..], &[0, 13 << 3], &[1, 0, 0]].concat();
    let window = layer_of(&layout, MediaType::LAYER_ZSTD, &frame);
    assert_eq!(read_layer(&layout, &window).unwrap(), 0);
    let mut narrow = Limits::DEFAULT;
    narrow.zstd_window_log = 22;
    let narrow = Layout::open(directory.path()).unwrap().with_limits(narrow);
    let error = read_layer(&narrow, &window).unwrap_err();
    assert!(matches!(&error, Error::Decode { codec: Codec::Zstd, .. }), "{error:?}");
    let smaller = [&0xFD2F_B528_u32.to_le_bytes()[..], &[0, 10 << 3], &[1, 0, 0]].concat();
    assert_eq!(read_layer(&layout, &layer_of(&layout, MediaType::LAYER_ZSTD, &smaller)).unwrap(), 0);
}

fn assert_limit<T: std::fmt::Debug>(result: &Result<T, Error>, name: &str) {
    assert!(matches!(result, Err(Error::LimitExceeded { limit, .. }) if *limit == name), "{name}: {result:?}");
}

fn trailing() {
    let directory = directory();
    let layout = Layout::create(directory.path()).unwrap();
    let zstd_frame = zstd::encode_all(&b"layer"[..], 3).unwrap();
    for (media_type, content) in [
        (MediaType::LAYER_GZIP, [&gzip(b"layer")[..], b"garbage"].concat()),
        (MediaType::LAYER_ZSTD, [&zstd_frame[..], b"garbage"].concat()),
        (MediaType::LAYER_GZIP, gzip(b"layer")[..15].to_vec()),
        (MediaType::LAYER_ZSTD, zstd_frame[..zstd_frame.len() - 2].to_vec()),
        (MediaType::LAYER_GZIP, b"layer".to_vec()),
    ] {
        let blob = layer_of(&layout, media_type, &content);
        let error = read_layer(&layout, &blob).unwrap_err();
        assert!(matches!(error, Error::Decode { .. }), "{error:?}");
    }
    let blob = layer_of(&layout, MediaType::new("text/plain"), b"layer");
    assert!(matches!(layout.layer(&blob), Err(Error::Unsupported { .. })));
}

fn concurrent() {
    const WRITERS: usize = 8;
    const NAMES: usize = 10;
    let directory = directory();
    thread::scope(|scope| {
        for writer in 0..WRITERS {
            let path = directory.path().join("layout");
            scope.spawn(move || {
                // Each has a handle of its own, whose locks exclude each other as those of processes do.
                let layout = Layout::create(path).unwrap();
                for number in 0..NAMES {
                    image_with_codec(&layout, &format!("w{writer}:{number}"), Codec::None);
                }
            });
        }
    });
    let layout = Layout::open(directory.path().join("layout")).unwrap();
    assert_eq!(layout.images().unwrap().len(), WRITERS * NAMES);
    for writer in 0..WRITERS {
        for number in 0..NAMES {
            let image = layout.resolve(format!("w{writer}:{number}")).unwrap();
            for (blob, diff_id) in image.layers() {
                verify_diff_id(layout.layer(blob).unwrap(), diff_id).unwrap();
            }
        }
    }
    assert_eq!(names(layout.path()), ["blobs", "index.json", "oci-layout"]);
}

fn platforms() {
    let directory = directory();
    let layout = Layout::create(directory.path()).unwrap();
    let host = Platform::host();
    let other = Platform { architecture: "pdp11".into(), ..host.clone() };
    let mut own = image_with_codec(&layout, "own", Codec::Gzip);
    own.platform = Some(host.clone());
    let mut foreign = image_with_codec(&layout, "foreign", Codec::Gzip);
    foreign.platform = Some(other.clone());
    let index = Index::build(&[foreign.clone(), own.clone()], &std::collections::BTreeMap::new()).unwrap();
    let index = layout.put_blob(MediaType::INDEX, index.raw()).unwrap();
    layout.tag("both", &index).unwrap();
    assert_eq!(layout.resolve("both").unwrap().digest(), own.digest);
    assert_eq!(layout.resolve_for("both", &other).unwrap().digest(), foreign.digest);
    let neither = Platform { os: "plan9".into(), ..host };
    assert!(matches!(layout.resolve_for("both", &neither), Err(Error::NotFound { .. })));
}

fn endless_index() {
    let directory = directory();
    let layout = Layout::create(directory.path()).unwrap();
    // A digest cannot be inside of what it covers, so a chain is as near as one comes to a circle.
    let mut inner = image_with_codec(&layout, "own", Codec::Gzip);
    for _ in 0..20 {
        let index = Index::build(&[inner], &std::collections::BTreeMap::new()).unwrap();
        inner = layout.put_blob(MediaType::INDEX, index.raw()).unwrap();
    }
    layout.tag("deep", &inner).unwrap();
    assert_limit(&layout.resolve("deep"), "nesting of indexes");
}

fn confusion() {
    let directory = directory();
    let layout = Layout::create(directory.path()).unwrap();
    let layer = layout.put_layer(&small_layer("content"), Codec::Gzip).unwrap();
    let good = store_image(&layout, "good", std::slice::from_ref(&layer));
    let text = String::from_utf8(layout.get(&good).unwrap()).unwrap();
    for (name, changed) in [
        ("both kinds", text.replacen('{', r#"{"manifests":[],"#, 1)),
        ("a second list", text.replacen('{', r#"{"layers":[],"#, 1)),
        ("another type", text.replace("image.manifest.v1", "image.index.v1")),
        ("no layer", text.replace(&layer.descriptor.digest.to_string(), "sha256:../../../etc/passwd")),
        ("an empty digest", text.replace(&layer.descriptor.digest.to_string(), "")),
    ] {
        assert_ne!(changed, text, "{name}");
        let blob = layout.put_blob(MediaType::MANIFEST, changed.as_bytes()).unwrap();
        layout.tag("bad", &blob).unwrap();
        assert!(matches!(layout.resolve("bad"), Err(Error::Document { .. })), "{name}");
    }
    // The document is a manifest, but whoever points to it says index.
    let mut lying = good.clone();
    lying.media_type = MediaType::INDEX;
    layout.tag("bad", &lying).unwrap();
    assert!(matches!(layout.resolve("bad"), Err(Error::Document { document: "index", .. })));
    // One layer, but two digests of layers in the configuration.
    let two = layout.put_layer(&small_layer("other"), Codec::Gzip).unwrap();
    let image = store_image(&layout, "two", &[layer.clone(), two]);
    let manifest = Manifest::parse(layout.get(&image).unwrap()).unwrap();
    let short = Manifest::build(manifest.config(), &[layer.descriptor], manifest.annotations()).unwrap();
    let blob = layout.put_blob(MediaType::MANIFEST, short.raw()).unwrap();
    layout.tag("bad", &blob).unwrap();
    assert!(matches!(layout.resolve("bad"), Err(Error::Document { document: "manifest", .. })));
    // A descriptor larger than a document may be is not even read.
    let huge = Descriptor::new(MediaType::MANIFEST, Digest::of(b""), 5 << 20);
    assert_limit(&layout.get(&huge), "document");
    assert!(matches!(layout.tag("x", &layer_of(&layout, MediaType::LAYER, b"")), Err(Error::Unsupported { .. })));
}

fn other_directories() {
    let directory = directory();
    let file = directory.path().join("file");
    File::create(&file).unwrap();
    assert!(matches!(Layout::create(&file), Err(Error::Sys { .. })));
    let marker = directory.path().join("oci-layout");
    fs::write(&marker, r#"{"imageLayoutVersion":"2.0.0"}"#).unwrap();
    assert!(matches!(Layout::open(directory.path()), Err(Error::Document { document: "oci-layout", .. })));
    fs::remove_file(&marker).unwrap();
    fs::write(directory.path().join("index.json"), "precious").unwrap();
    assert!(matches!(Layout::create(directory.path()), Err(Error::Invalid { .. })));
    assert_eq!(fs::read_to_string(directory.path().join("index.json")).unwrap(), "precious");
    // What a killed creator leaves is completed.
    let path = directory.path().join("half");
    Layout::create(&path).unwrap();
    fs::remove_file(path.join("oci-layout")).unwrap();
    assert!(matches!(Layout::open(&path), Err(Error::NotFound { .. })));
    image_with_codec(&Layout::create(&path).unwrap(), "a", Codec::None);
}

fn twice() {
    let directory = directory();
    let layout = Layout::create(directory.path()).unwrap();
    image_with_codec(&layout, "a", Codec::Gzip);
    image_with_codec(&layout, "b", Codec::Zstd);
    let path = directory.path().join("index.json");
    let index = fs::read_to_string(&path).unwrap();
    fs::write(&path, index.replace(r#"name":"b""#, r#"name":"a""#)).unwrap();
    assert_eq!(layout.images().unwrap().len(), 2);
    assert!(matches!(layout.resolve("a"), Err(Error::Invalid { .. })));
    // Naming it anew settles which one it is.
    let image = image_with_codec(&layout, "a", Codec::None);
    assert_eq!(layout.resolve("a").unwrap().digest(), image.digest);
}

fn full_disk() {
    let directory = directory();
    let program = std::env::current_exe().unwrap();
    // The file system ends with the namespace it is mounted in.
    let script = r#"mount -t tmpfs -o size=256k tmpfs "$0" && exec "$1""#;
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", script]).arg(directory.path()).arg(program);
    run(command.env(SMALL, directory.path().join("layout")));
}

fn on_a_full_disk(path: &Path) {
    let layout = Layout::create(path).unwrap();
    let image = image_with_codec(&layout, "before", Codec::Gzip);
    let error = layout.put_blob(MediaType::LAYER, io::repeat(7).take(1 << 20)).unwrap_err();
    assert!(matches!(&error, Error::Sys { source, .. } if source.kind() == io::ErrorKind::StorageFull), "{error:?}");
    assert_eq!(names(path), ["blobs", "index.json", "oci-layout"]);
    assert_eq!(layout.resolve("before").unwrap().digest(), image.digest);
    image_with_codec(&layout, "after", Codec::Gzip);
    assert_eq!(layout.images().unwrap().len(), 2);
}
