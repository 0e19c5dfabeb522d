//! Whole layers of an image's size onto a disk: every side is a process, on the same new ext4 with a journal.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::rc::Rc;

use crate::corpus::{self, Codec, Layer};
use crate::measure::{Baseline, Contest, Run, Sample, Skipped};

/// One round counts, after one that fills the page cache: these take seconds, not microseconds.
const ROUNDS: usize = 1;

/// Three gzip layers to directories, against `tar -xzf` of each, which computes no digest.
pub(super) fn gzip() -> Result<Contest, Skipped> {
    contest(Codec::Gzip, &[], |disk, layers| Ok(untar(disk, layers, Codec::Gzip)))
}

/// The same, zstd.
pub(super) fn zstd() -> Result<Contest, Skipped> {
    contest(Codec::Zstd, &[], |disk, layers| Ok(untar(disk, layers, Codec::Zstd)))
}

/// Against `umoci unpack` of an image of the same layers.
pub(super) fn umoci() -> Result<Contest, Skipped> {
    needs("umoci")?;
    contest(Codec::Gzip, &[], |disk, layers| {
        let layout = disk.join("layout");
        write_layout(&layout, layers, Codec::Gzip)?;
        let (image, to) = (format!("{}:bench", layout.display()), disk.join("bundle"));
        Ok(Box::new(move || {
            succeed(Command::new("umoci").args(["unpack", "--image", &image]).arg(&to))?;
            remove(&to)
        }))
    })
}

/// Against `podman load` of an archive of the same layers.
pub(super) fn podman() -> Result<Contest, Skipped> {
    needs("podman")?;
    contest(Codec::Gzip, &[], |disk, layers| {
        let (layout, archive) = (disk.join("layout"), disk.join("image.tar"));
        write_layout(&layout, layers, Codec::Gzip)?;
        succeed(Command::new("tar").arg("-cf").arg(&archive).arg("-C").arg(&layout).arg("."))?;
        let (root, run) = (disk.join("podman"), disk.join("podman-run"));
        Ok(Box::new(move || {
            let mut podman = Command::new("podman");
            podman.arg("--root").arg(&root).arg("--runroot").arg(&run);
            podman.args(["--storage-driver=overlay", "--events-backend=none", "load", "-q", "-i"]).arg(&archive);
            succeed(&mut podman)?;
            // It keeps a bind mount of its own folder.
            drop(Command::new("umount").arg(root.join("overlay")).stderr(Stdio::null()).status());
            remove(&root)?;
            remove(&run)
        }))
    })
}

/// EROFS images over the archives of three gzip layers, against `tar -xzf`.
pub(super) fn erofs_gzip() -> Result<Contest, Skipped> {
    contest(Codec::Gzip, &["--format", "erofs"], |disk, layers| Ok(untar(disk, layers, Codec::Gzip)))
}

/// The same, zstd.
pub(super) fn erofs_zstd() -> Result<Contest, Skipped> {
    contest(Codec::Zstd, &["--format", "erofs"], |disk, layers| Ok(untar(disk, layers, Codec::Zstd)))
}

/// Images on disk before the call returns, against `tar` and `sync` of the file system.
pub(super) fn durable() -> Result<Contest, Skipped> {
    contest(Codec::Zstd, &["--format", "erofs", "--durable"], |disk, layers| {
        let mut untar = untar(disk, layers, Codec::Zstd);
        let disk = disk.to_owned();
        Ok(Box::new(move || {
            untar()?;
            succeed(Command::new("sync").arg("--file-system").arg(&disk))
        }))
    })
}

/// Peak memory of taking three gzip layers in, as directories and as images, against what is promised: 40 MB.
pub(super) fn memory() -> Result<Contest, Skipped> {
    const PROMISED_KIB: f64 = 40_000.0;
    let disk = Disk::new()?;
    let layers = corpus::layers()?;
    let peaks = [Codec::Gzip, Codec::Zstd].into_iter().flat_map(|codec| {
        let (disk, layers) = (&disk, &layers);
        ["dir", "erofs"].map(|format| unpack(&disk.path(), layers, codec, &["--format", format]))
    });
    let peak = peaks.collect::<Result<Vec<f64>, _>>()?.into_iter().fold(0.0, f64::max);
    Ok(Contest {
        calls: 1,
        rounds: ROUNDS,
        subject: Box::new(|| Ok(())),
        baseline: Baseline::Held(Sample { value: peak, baseline: PROMISED_KIB }),
    })
}

/// This program's own way against another side that is prepared on the same disk.
fn contest(
    codec: Codec,
    options: &'static [&'static str],
    baseline: impl FnOnce(&Path, &[Layer]) -> Result<Run, Skipped>,
) -> Result<Contest, Skipped> {
    let disk = Rc::new(Disk::new()?);
    let layers = corpus::layers()?;
    let mut baseline = baseline(&disk.path(), &layers)?;
    let ours = Rc::clone(&disk);
    Ok(Contest {
        calls: 1,
        rounds: ROUNDS,
        subject: Box::new(move || unpack(&ours.path(), &layers, codec, options).map(drop)),
        baseline: Baseline::Run(Box::new(move || {
            let _kept = &disk; // both sides need it to the end
            baseline()
        })),
    })
}

/// Runs this program's `unpack`, removes what it made, and gives the peak of its memory in KiB.
fn unpack(disk: &Path, layers: &[Layer], codec: Codec, options: &[&str]) -> Result<f64, Skipped> {
    let store = disk.join("store");
    // By the kernel's link: other lines build the programs anew, and the name of this one is gone then.
    let mut command = Command::new("/proc/self/exe");
    command.arg("unpack").args(options).arg("--store").arg(&store);
    for layer in layers {
        command.arg(format!("{}={}", layer.path(codec).display(), layer.diff_id));
    }
    let output = command.output().map_err(Skipped::because("unpack"))?;
    if !output.status.success() {
        return Err(Skipped(format!("unpack: {}", String::from_utf8_lossy(&output.stderr))));
    }
    remove(&store)?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let peak = said.split_whitespace().nth(1).and_then(|peak| peak.parse().ok());
    peak.ok_or_else(|| Skipped(format!("unpack said {said:?}")))
}

fn untar(disk: &Path, layers: &[Layer], codec: Codec) -> Run {
    let to = disk.join("untar");
    let layers: Vec<PathBuf> = layers.iter().map(|layer| layer.path(codec).to_owned()).collect();
    Box::new(move || {
        for (number, layer) in layers.iter().enumerate() {
            let to = to.join(number.to_string());
            fs::create_dir_all(&to).map_err(Skipped::because("create the target"))?;
            let filter = if codec == Codec::Gzip { "-xzf" } else { "-xf" };
            let mut tar = Command::new("tar");
            if codec == Codec::Zstd {
                tar.arg("--zstd");
            }
            succeed(tar.arg(filter).arg(layer).arg("-C").arg(&to))?;
        }
        remove(&to)
    })
}

/// An OCI image layout of the layers, with the image `bench`.
pub(super) fn write_layout(at: &Path, layers: &[Layer], codec: Codec) -> Result<(), Skipped> {
    let because = Skipped::because::<std::io::Error>("write an image layout");
    let blobs = at.join("blobs/sha256");
    fs::create_dir_all(&blobs).map_err(&because)?;
    let media_type = match codec {
        Codec::Gzip => "application/vnd.oci.image.layer.v1.tar+gzip",
        Codec::Zstd => "application/vnd.oci.image.layer.v1.tar+zstd",
    };
    let mut descriptors = Vec::new();
    for layer in layers {
        let path = layer.path(codec);
        let digest = fs::read_to_string(path.with_added_extension("sha256")).map_err(&because)?;
        let size = fs::copy(path, blobs.join(&digest)).map_err(&because)?;
        descriptors.push(descriptor(media_type, &digest, size));
    }
    let put = |media_type: &str, content: &serde_json::Value| -> Result<serde_json::Value, Skipped> {
        let bytes = content.to_string();
        let digest = windlass_image::Digest::of(bytes.as_bytes()).to_string();
        let digest = digest.trim_start_matches("sha256:");
        fs::write(blobs.join(digest), &bytes).map_err(&because)?;
        Ok(descriptor(media_type, digest, bytes.len() as u64))
    };
    let ids: Vec<String> = layers.iter().map(|layer| format!("sha256:{}", layer.diff_id)).collect();
    let config = serde_json::json!({
        "architecture": "amd64", "os": "linux", "config": {}, "rootfs": { "type": "layers", "diff_ids": ids },
    });
    let config = put("application/vnd.oci.image.config.v1+json", &config)?;
    let manifest = "application/vnd.oci.image.manifest.v1+json";
    let document = serde_json::json!({
        "schemaVersion": 2, "mediaType": manifest, "config": config, "layers": descriptors,
    });
    let mut entry = put(manifest, &document)?;
    entry["annotations"] = serde_json::json!({ "org.opencontainers.image.ref.name": "bench" });
    let index = serde_json::json!({ "schemaVersion": 2, "manifests": [entry] });
    fs::write(at.join("index.json"), index.to_string()).map_err(&because)?;
    fs::write(at.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).map_err(because)
}

fn descriptor(media_type: &str, digest: &str, size: u64) -> serde_json::Value {
    serde_json::json!({ "mediaType": media_type, "digest": format!("sha256:{digest}"), "size": size })
}

pub(super) fn needs(program: &str) -> Result<(), Skipped> {
    let found = Command::new(program).arg("--version").output();
    found.map(drop).map_err(Skipped::because(&format!("needs the program {program}")))
}

pub(super) fn succeed(command: &mut Command) -> Result<(), Skipped> {
    let program = command.get_program().display().to_string();
    let output = command.stdin(Stdio::null()).output().map_err(Skipped::because(&program))?;
    if output.status.success() {
        return Ok(());
    }
    Err(Skipped(format!("{program}: {}", String::from_utf8_lossy(&output.stderr).trim())))
}

fn remove(path: &Path) -> Result<(), Skipped> {
    fs::remove_dir_all(path).map_err(Skipped::because("remove what was made"))
}

/// A new ext4 with a journal, in a file: the machine's own disk may have none, which flatters everyone. The file is in
/// memory, so that what is measured is the work of both sides and not who else uses the disk.
#[derive(Debug)]
pub(super) struct Disk {
    folder: tempfile::TempDir,
}

impl Disk {
    pub(super) fn new() -> Result<Self, Skipped> {
        let folder = tempfile::tempdir_in("/dev/shm").map_err(Skipped::because("a temporary folder"))?;
        let image = folder.path().join("image");
        let file = fs::File::create(&image).map_err(Skipped::because("create a disk"))?;
        file.set_len(8 << 30).map_err(Skipped::because("create a disk"))?;
        let at = folder.path().join("disk");
        fs::create_dir(&at).map_err(Skipped::because("create a folder"))?;
        let options = "lazy_itable_init=1,lazy_journal_init=1,nodiscard";
        succeed(Command::new("mkfs.ext4").args(["-q", "-F", "-E", options]).arg(&image))?;
        succeed(Command::new("mount").args(["-o", "loop"]).arg(&image).arg(&at))?;
        Ok(Self { folder })
    }

    pub(super) fn path(&self) -> PathBuf {
        self.folder.path().join("disk")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Without it the folder cannot be removed, which the next user of the machine sees.
        drop(Command::new("umount").arg(self.path()).status());
    }
}
