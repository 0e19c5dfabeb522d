//! Archives exchanged with skopeo, and archives that nobody should write.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::fs::{self, File};
use std::io::Cursor;
use std::path::Path;
use std::process::{Command, ExitCode};

use support::{directory, image_with_codec, names, run, small_layer, store_image};
use trial::{Test, need};
use windlass_image::archive::{Saved, load, save};
use windlass_image::codec::verify_diff_id;
use windlass_image::{Codec, Descriptor, Digest, Error, Layout, Reference};

fn main() -> ExitCode {
    let skopeo = || need::program("skopeo");
    trial::main(vec![
        Test::new("what_is_saved_is_loaded", round_trip),
        Test::new("the_same_images_give_the_same_archive", reproducible),
        Test::new("skopeo_reads_what_is_saved", to_skopeo).needs(skopeo()),
        Test::new("what_skopeo_writes_is_loaded", from_skopeo).needs(skopeo()),
        Test::new("the_old_format_with_links_is_loaded", old_format),
        Test::new("app_container_images_are_loaded", app_container),
        Test::new("wrong_archives_name_nothing", wrong_archives),
        Test::new("a_corrupt_blob_is_not_saved", corrupt),
    ])
}

fn reference(text: &str) -> Reference {
    text.parse().unwrap()
}

/// A layout with an image of two layers and one that shares a layer with it.
fn two_images(path: &Path) -> Layout {
    let layout = Layout::create(path).unwrap();
    let shared = layout.put_layer(&small_layer("shared"), Codec::Gzip).unwrap();
    let own = layout.put_layer(&small_layer("own"), Codec::Zstd).unwrap();
    store_image(&layout, "one", &[shared.clone(), own]);
    store_image(&layout, "two", &[shared]);
    layout
}

fn save_two(layout: &Layout) -> Vec<u8> {
    let (one, two) = (layout.resolve("one").unwrap(), layout.resolve("two").unwrap());
    let mut archive = Vec::new();
    let images = [
        Saved { image: &one, references: &[reference("example.com/one:1"), reference("one:latest")] },
        Saved { image: &two, references: &[reference("two:2")] },
    ];
    save(layout, &images, &mut archive).unwrap();
    archive
}

fn verify(layout: &Layout, name: &str) -> Vec<Digest> {
    let image = layout.resolve(name).unwrap();
    image
        .layers()
        .map(|(blob, diff_id)| {
            verify_diff_id(layout.layer(blob).unwrap(), diff_id).unwrap();
            *diff_id
        })
        .collect()
}

fn round_trip() {
    let directory = directory();
    let layout = two_images(&directory.path().join("from"));
    let archive = save_two(&layout);
    let loaded_into = Layout::create(directory.path().join("to")).unwrap();
    let loaded = load(&loaded_into, &archive[..]).unwrap();
    assert_eq!(loaded.len(), 2);
    assert_eq!(loaded[0].references, [reference("example.com/one:1"), reference("one")]);
    // These manifests were in the canonical form already.
    assert_eq!(loaded[0].descriptor.digest, layout.resolve("one").unwrap().digest());
    for (name, from) in
        [("example.com/one:1", "one"), ("docker.io/library/one:latest", "one"), ("docker.io/library/two:2", "two")]
    {
        assert_eq!(verify(&loaded_into, name), verify(&layout, from));
    }
    let shared = names(&directory.path().join("to/blobs/sha256"));
    assert_eq!(shared, names(&directory.path().join("from/blobs/sha256")));
}

fn reproducible() {
    let directory = directory();
    let archives: Vec<_> = ["a", "b"].map(|name| save_two(&two_images(&directory.path().join(name)))).into();
    assert!(archives[0] == archives[1]);
}

fn to_skopeo() {
    let directory = directory();
    let path = |name: &str| directory.path().join(name).display().to_string();
    let layout = Layout::create(path("from")).unwrap();
    image_with_codec(&layout, "plain", Codec::Gzip);
    let image = layout.resolve("plain").unwrap();
    let names = [reference("plain:1")];
    save(&layout, &[Saved { image: &image, references: &names }], File::create(path("archive")).unwrap()).unwrap();
    for (format, name) in [("docker-archive", "plain:1"), ("oci-archive", "1")] {
        let (from, to) = (format!("{format}:{}:{name}", path("archive")), format!("oci:{}:copied", path(format)));
        run(Command::new("skopeo").args(["copy", "--insecure-policy", &from, &to]));
        let copied = Layout::open(path(format)).unwrap();
        assert_eq!(verify(&copied, "copied"), verify(&layout, "plain"), "{format}");
        assert_eq!(copied.resolve("copied").unwrap().config.execution(), image.config.execution(), "{format}");
    }
}

fn from_skopeo() {
    let directory = directory();
    let path = |name: &str| directory.path().join(name).display().to_string();
    let layout = Layout::create(path("from")).unwrap();
    let put = |text: &str| layout.put_layer(&small_layer(text), Codec::Gzip).unwrap();
    // The same layer twice: the older format has a link for the second.
    store_image(&layout, "one", &[put("a"), put("b"), put("a")]);
    let archive = path("archive");
    let (from, to) = (format!("oci:{}:one", path("from")), format!("docker-archive:{archive}:example.com/x:9"));
    run(Command::new("skopeo").args(["copy", "--insecure-policy", &from, &to]));
    let loaded_into = Layout::create(path("to")).unwrap();
    let loaded = load(&loaded_into, File::open(&archive).unwrap()).unwrap();
    assert_eq!(loaded[0].references, [reference("example.com/x:9")]);
    assert_eq!(verify(&loaded_into, "example.com/x:9"), verify(&layout, "one"));
}

/// An archive of these files and links.
fn archive(entries: &[(&str, Result<&[u8], &str>)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, content) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(0);
        match content {
            Ok(content) => {
                header.set_size(content.len() as u64);
                header.set_entry_type(tar::EntryType::Regular);
                // Written past the checks of the writer, which refuses names that climb out.
                header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
                header.set_cksum();
                builder.append(&header, *content).unwrap();
            }
            Err(target) => {
                header.set_entry_type(tar::EntryType::Symlink);
                builder.append_link(&mut header, name, target).unwrap();
            }
        }
    }
    builder.into_inner().unwrap()
}

/// An uncompressed layer, and a configuration that has it `times` times.
fn layer_and_config(times: usize) -> (Vec<u8>, String) {
    let mut layer = Vec::new();
    let diff_id = small_layer("old").write(&mut layer, Codec::None).unwrap().diff_id;
    let diff_ids = vec![format!("\"{diff_id}\""); times].join(",");
    let config = format!(
        r#"{{"os":"linux","architecture":"amd64","x-new":1,"rootfs":{{"type":"layers","diff_ids":[{diff_ids}]}}}}"#
    );
    (layer, config)
}

fn old_format() {
    let directory = directory();
    let layout = Layout::create(directory.path()).unwrap();
    let (layer, config) = layer_and_config(2);
    let manifest = br#"[{"Config":"c.json","RepoTags":null,"Layers":["./a/layer.tar","b/layer.tar"]}]"#;
    let archive = archive(&[
        ("manifest.json", Ok(manifest)),
        ("a/VERSION", Ok(b"1.0")),
        ("a/layer.tar", Ok(&layer)),
        ("b/layer.tar", Err("../a/layer.tar")),
        ("c.json", Ok(config.as_bytes())),
    ]);
    let loaded = load(&layout, &archive[..]).unwrap();
    assert!(loaded[0].references.is_empty());
    let id = Digest::of(config.as_bytes());
    let image = layout.resolve(id.to_string()).unwrap();
    assert_eq!(image.config.raw(), config.as_bytes(), "fields that are not known stay");
    assert_eq!(image.layers().len(), 2);
    verify(&layout, &id.to_string());
}

fn wrong_archives() {
    let directory = directory();
    let layout = Layout::create(directory.path().join("layout")).unwrap();
    let (layer, config) = layer_and_config(1);
    let manifest = br#"[{"Config":"c.json","RepoTags":["x:1"],"Layers":["l"]}]"#;
    let attempt = |entries: &[(&str, Result<&[u8], &str>)]| load(&layout, &archive(entries)[..]).unwrap_err();

    let whole = [("c.json", Ok(config.as_bytes())), ("l", Ok(&layer[..])), ("manifest.json", Ok(&manifest[..]))];
    assert!(matches!(attempt(&whole[..2]), Error::NotFound { .. }));
    assert!(matches!(attempt(&whole[1..]), Error::NotFound { .. }));
    let missing = [("c.json", whole[0].1), ("manifest.json", whole[2].1)];
    assert!(matches!(attempt(&missing), Error::NotFound { .. }));
    let circle = [("c.json", whole[0].1), ("l", Err("l")), ("manifest.json", whole[2].1)];
    assert!(matches!(attempt(&circle), Error::NotFound { .. }));
    let mut other = layer.clone();
    other[600] ^= 1;
    let wrong = [("c.json", whole[0].1), ("l", Ok(&other[..])), ("manifest.json", whole[2].1)];
    assert!(matches!(attempt(&wrong), Error::DigestMismatch { .. }));
    let twice = br#"[{"Config":"c.json","Config":"d.json","Layers":[]}]"#;
    assert!(matches!(attempt(&[("manifest.json", Ok(twice))]), Error::Document { .. }));
    let outside = br#"[{"Config":"../../../../etc/passwd","RepoTags":["x:1"],"Layers":[]}]"#;
    assert!(matches!(attempt(&[("manifest.json", Ok(outside))]), Error::NotFound { .. }));
    assert!(load(&layout, &b"not a tar archive"[..]).is_err());
    let cut = archive(&whole);
    assert!(load(&layout, &cut[..cut.len() / 2]).is_err());
    // A record that promises a name of a gigabyte.
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::GNULongName);
    header.set_size(1 << 30);
    header.set_cksum();
    let bomb = std::io::Read::chain(Cursor::new(header.as_bytes().to_vec()), std::io::repeat(b'a'));
    assert!(matches!(load(&layout, bomb), Err(Error::LimitExceeded { .. })));

    assert!(layout.images().unwrap().is_empty());
    assert_eq!(names(layout.path()), ["blobs", "index.json", "oci-layout"]);
    load(&layout, &archive(&whole)[..]).unwrap();
    verify(&layout, "docker.io/library/x:1");
}

fn corrupt() {
    let directory = directory();
    let layout = two_images(directory.path());
    let image = layout.resolve("two").unwrap();
    let blob: &Descriptor = &image.manifest.layers()[0];
    let path = layout.blob_path(&blob.digest);
    let mut content = fs::read(&path).unwrap();
    content[20] ^= 1;
    fs::write(&path, content).unwrap();
    let error = save(&layout, &[Saved { image: &image, references: &[] }], std::io::sink()).unwrap_err();
    assert!(matches!(error, Error::DigestMismatch { .. }), "{error:?}");
}

/// An App Container Image as `actool` writes it: the manifest last.
fn aci(manifest: &str, compressed: bool) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    let header = |kind, size| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(0o750);
        header.set_uid(7);
        header.set_size(size);
        header
    };
    for (kind, name, content) in [
        (tar::EntryType::Directory, "rootfs", ""),
        (tar::EntryType::Directory, "rootfs/bin", ""),
        (tar::EntryType::Regular, "rootfs/bin/app", "program"),
        (tar::EntryType::Regular, "rootfs/left", "out"),
        (tar::EntryType::Regular, "manifest", manifest),
    ] {
        archive.append_data(&mut header(kind, content.len() as u64), name, content.as_bytes()).unwrap();
        if name == "rootfs/bin/app" {
            archive.append_link(&mut header(tar::EntryType::Link, 0), "rootfs/bin/hard", "rootfs/bin/app").unwrap();
            archive.append_link(&mut header(tar::EntryType::Symlink, 0), "rootfs/bin/soft", "app").unwrap();
        }
    }
    let archive = archive.into_inner().unwrap();
    if !compressed {
        return archive;
    }
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut encoder, &archive).unwrap();
    encoder.finish().unwrap()
}

const ACI: &str = r#"{"acKind":"ImageManifest","acVersion":"0.8.11","name":"example.com/team/app",
"labels":[{"name":"version","value":"1.2"},{"name":"os","value":"linux"},{"name":"arch","value":"aarch64"}],
"annotations":[{"name":"authors","value":"somebody"}],
"app":{"exec":["/bin/app","-v"],"user":"7","group":"0","workingDirectory":"/bin",
"environment":[{"name":"A","value":"b=c"}],"mountPoints":[{"name":"data","path":"/data"}],
"ports":[{"name":"web","protocol":"tcp","port":80,"count":2}]}}"#;

fn app_container() {
    let lines = |layout: &Layout, name: &str| -> Vec<String> {
        let platform =
            windlass_image::Platform { variant: Some("v8".into()), ..windlass_image::Platform::linux("arm64") };
        let image = layout.resolve_for(name, &platform).unwrap();
        let (blob, diff_id) = image.layers().next().unwrap();
        verify_diff_id(layout.layer(blob).unwrap(), diff_id).unwrap();
        let mut archive = tar::Archive::new(layout.layer(blob).unwrap());
        let entries = archive.entries().unwrap().map(|entry| {
            let entry = entry.unwrap();
            let link = entry.link_name().unwrap().map(|link| format!(" -> {}", link.display())).unwrap_or_default();
            format!("{}{link}", entry.path().unwrap().display())
        });
        entries.collect()
    };
    for compressed in [false, true] {
        let directory = directory();
        let layout = Layout::create(directory.path()).unwrap();
        let loaded = load(&layout, &aci(ACI, compressed)[..]).unwrap();
        let name = "example.com/team/app:1.2";
        assert_eq!(loaded[0].references, [reference(name)]);
        let expected = ["./", "bin/", "bin/app", "bin/hard -> bin/app", "bin/soft -> app", "left"];
        assert_eq!(lines(&layout, name), expected);
        let image = layout.image(&loaded[0].descriptor, loaded[0].descriptor.platform.as_ref().unwrap()).unwrap();
        let run = image.config.execution();
        assert_eq!(run.entrypoint, ["/bin/app", "-v"]);
        assert_eq!((run.user.as_deref(), run.working_dir.as_deref()), (Some("7:0"), Some("/bin")));
        assert_eq!((&run.env[..], &run.volumes[..]), (&["A=b=c".to_owned()][..], &["/data".to_owned()][..]));
        assert_eq!(run.exposed_ports, ["80/tcp", "81/tcp"]);
        assert_eq!(run.labels["version"], "1.2");
        assert_eq!(image.config.contents().author.as_deref(), Some("somebody"));
    }
    // Of a list of paths, only those and what is above them.
    let directory = directory();
    let layout = Layout::create(directory.path()).unwrap();
    let listed = ACI.replacen('{', r#"{"pathWhitelist":["/bin/app","/bin/hard"],"#, 1);
    load(&layout, &aci(&listed, true)[..]).unwrap();
    assert_eq!(lines(&layout, "example.com/team/app:1.2"), ["./", "bin/", "bin/app", "bin/hard -> bin/app"]);
    for (from, to, words) in [
        ("\"annotations\"", r#""dependencies":[{"imageName":"x"}],"annotations""#, "dependencies of an App Container"),
        ("\"exec\"", r#""isolators":[{"name":"x","value":{}}],"exec""#, "isolators of an App Container"),
        ("\"user\":\"7\"", r#""user":"/bin/app""#, "owner of a file"),
        ("ImageManifest", "PodManifest", "must be ImageManifest"),
        ("aarch64", "vax", "unknown architecture"),
    ] {
        let error = load(&layout, &aci(&ACI.replacen(from, to, 1), false)[..]).unwrap_err().to_string();
        assert!(error.contains(words), "{from}: {error}");
    }
}
