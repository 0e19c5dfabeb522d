//! Images of three large layers between a registry on loopback and this machine: every side is a process, and what counts
//! is the processor's time that it took, or its memory.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use windlass_image::client::{Client, Options, Push};
use windlass_image::{Layout, Reference};

use super::layers::{needs, succeed, write_layout};
use crate::corpus::{self, Codec};
use crate::measure::{Baseline, Contest, Sample, Skipped};

/// Rounds of which the median counts, after one that fills caches.
const ROUNDS: usize = 3;
/// The promises are of an image of so many compressed bytes.
const PROMISED_BYTES: f64 = 700e6;

/// A registry with the image, and a folder in memory for what is fetched.
struct Scene {
    folder: tempfile::TempDir,
    registry: Registry,
    layout: PathBuf,
    /// Of the layers, compressed.
    bytes: f64,
}

struct Registry {
    address: String,
    process: Child,
}

impl Drop for Registry {
    fn drop(&mut self) {
        // It may have ended on its own.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

impl Registry {
    fn start(folder: &Path) -> Result<Self, Skipped> {
        let because = Skipped::because::<std::io::Error>("start docker-registry");
        let port =
            TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).map_err(&because)?.port();
        let address = format!("127.0.0.1:{port}");
        let config = folder.join("registry.yml");
        let store = folder.join("registry");
        let text = format!(
            "version: 0.1\nlog:\n  level: error\n  accesslog:\n    disabled: true\nstorage:\n  filesystem:\n    rootdirectory: {}\nhttp:\n  addr: {address}\n",
            store.display()
        );
        fs::write(&config, text).map_err(&because)?;
        let mut command = Command::new("docker-registry");
        command.arg("serve").arg(&config).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let registry = Self { address, process: command.spawn().map_err(&because)? };
        let begin = Instant::now();
        while TcpStream::connect(&registry.address).is_err() {
            if begin.elapsed() > Duration::from_mins(1) {
                return Err(Skipped("docker-registry does not answer".into()));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(registry)
    }
}

impl Scene {
    fn new(codec: Codec) -> Result<Self, Skipped> {
        needs("docker-registry")?;
        let layers = corpus::layers()?;
        let folder = tempfile::tempdir_in("/dev/shm").map_err(Skipped::because("a temporary folder"))?;
        let layout = folder.path().join("layout");
        write_layout(&layout, &layers, codec)?;
        let registry = Registry::start(folder.path())?;
        let scene = Self { registry, bytes: 0.0, layout, folder };
        let (mut options, own) = (Options::default(), Layout::open(&scene.layout));
        options.plain_hosts = vec![scene.registry.address.clone()];
        let own = own.map_err(Skipped::because("open the layout"))?;
        let image = own.resolve("bench").map_err(Skipped::because("open the image"))?;
        let reference: Reference = scene.name().parse().map_err(Skipped::because("name the image"))?;
        let client = Client::new(options).map_err(Skipped::because("prepare a client"))?;
        client.push(&own, &Push::new(&reference, &image.descriptor)).map_err(Skipped::because("push the image"))?;
        let sizes = image.manifest.layers().iter().map(|layer| layer.size);
        #[expect(clippy::cast_precision_loss, reason = "a few hundred million are exact")]
        let bytes = sizes.sum::<u64>() as f64;
        Ok(Self { bytes, ..scene })
    }

    fn name(&self) -> String {
        format!("{}/bench:1", self.registry.address)
    }

    fn fresh(&self) -> Result<PathBuf, Skipped> {
        let path = self.folder.path().join("pulled");
        match fs::remove_dir_all(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Skipped(format!("remove: {error}"))),
            _ => Ok(path),
        }
    }

    /// Runs this program's own pull; its processor time, and its peak of memory in KiB.
    fn pull(&self, options: &[&str]) -> Result<(f64, f64), Skipped> {
        let to = self.fresh()?;
        let mut command = Command::new("/proc/self/exe");
        command.arg("pull").args(options).arg(self.name()).arg(&to);
        let before = children()?;
        let output = command.output().map_err(Skipped::because("pull"))?;
        if !output.status.success() {
            return Err(Skipped(format!("pull: {}", String::from_utf8_lossy(&output.stderr))));
        }
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let peak = said.split_whitespace().nth(1).and_then(|peak| peak.parse().ok());
        Ok((children()? - before, peak.ok_or_else(|| Skipped(format!("pull said {said:?}")))?))
    }
}

fn copy(from: &str, to: &str) -> Result<f64, Skipped> {
    let arguments = ["copy", "-q", "--insecure-policy", "--src-tls-verify=false", from, to];
    cost(Command::new("skopeo").args(arguments))
}

/// The processor's time that a program takes.
fn cost(command: &mut Command) -> Result<f64, Skipped> {
    let before = children()?;
    succeed(command)?;
    Ok(children()? - before)
}

/// Processor time of all processes that have ended and were waited for, in seconds.
fn children() -> Result<f64, Skipped> {
    let stat = fs::read_to_string("/proc/self/stat").map_err(Skipped::because("read /proc/self/stat"))?;
    let fields = stat.rsplit_once(") ").map_or("", |(_, fields)| fields).split(' ');
    let ticks: Vec<f64> = fields.skip(13).take(2).filter_map(|ticks| ticks.parse().ok()).collect();
    // The kernel's unit towards programs.
    Ok(ticks.iter().sum::<f64>() / 100.0)
}

/// Both sides in turns; the median of each.
fn contest(
    mut ours: impl FnMut() -> Result<f64, Skipped>,
    mut theirs: impl FnMut() -> Result<f64, Skipped>,
) -> Result<Contest, Skipped> {
    let mut values = (Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let (own, other) = (ours()?, theirs()?);
        if round > 0 {
            values.0.push(own);
            values.1.push(other);
        }
    }
    Ok(held(median(values.0), median(values.1)))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn held(value: f64, baseline: f64) -> Contest {
    Contest { calls: 1, rounds: 1, subject: Box::new(|| Ok(())), baseline: Baseline::Held(Sample { value, baseline }) }
}

/// To a layout, against `curl` of the same blobs to files, which verifies nothing.
pub(super) fn curl() -> Result<Contest, Skipped> {
    needs("curl")?;
    let scene = Scene::new(Codec::Gzip)?;
    let own = Layout::open(&scene.layout).map_err(Skipped::because("open the layout"))?;
    let image = own.resolve("bench").map_err(Skipped::because("open the image"))?;
    let blobs: Vec<String> = image.manifest.layers().iter().map(|layer| layer.digest.to_string()).collect();
    contest(
        || scene.pull(&[]).map(|(cost, _)| cost),
        || {
            let to = scene.fresh()?;
            fs::create_dir(&to).map_err(Skipped::because("create a folder"))?;
            let mut command = Command::new("curl");
            command.args(["-s", "-f", "--parallel"]);
            for blob in &blobs {
                command.arg("-o").arg(to.join(blob));
                command.arg(format!("http://{}/v2/bench/blobs/{blob}", scene.registry.address));
            }
            cost(&mut command)
        },
    )
}

/// To a layout, against `skopeo copy`.
pub(super) fn skopeo() -> Result<Contest, Skipped> {
    needs("skopeo")?;
    let scene = Scene::new(Codec::Gzip)?;
    contest(
        || scene.pull(&[]).map(|(cost, _)| cost),
        || {
            let to = format!("oci:{}:bench", scene.fresh()?.display());
            copy(&format!("docker://{}", scene.name()), &to)
        },
    )
}

/// Peak memory with eight streams, against what is promised: 16 MB.
pub(super) fn memory() -> Result<Contest, Skipped> {
    const PROMISED_KIB: f64 = 16_000.0;
    let scene = Scene::new(Codec::Gzip)?;
    Ok(held(scene.pull(&["--streams", "8"])?.1, PROMISED_KIB))
}

/// Fetched, verified, decompressed, and the archive's digest checked in the same pass; against what is promised.
pub(super) fn gzip() -> Result<Contest, Skipped> {
    unpacked(Codec::Gzip, 6.0)
}

/// The same, zstd.
pub(super) fn zstd() -> Result<Contest, Skipped> {
    unpacked(Codec::Zstd, 4.0)
}

fn unpacked(codec: Codec, promised: f64) -> Result<Contest, Skipped> {
    let scene = Scene::new(codec)?;
    let costs = (0..ROUNDS).map(|_| scene.pull(&["--verify"]).map(|(cost, _)| cost)).collect::<Result<Vec<_>, _>>()?;
    Ok(held(median(costs), promised * scene.bytes / PROMISED_BYTES))
}

/// From a layout to the archive of `docker load`, against `skopeo copy`.
pub(super) fn archive() -> Result<Contest, Skipped> {
    needs("skopeo")?;
    let scene = Scene::new(Codec::Gzip)?;
    let to = scene.folder.path().join("image.tar");
    let fresh = || match fs::remove_file(&to) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Skipped(format!("remove: {error}"))),
        _ => Ok(()),
    };
    let from = format!("oci:{}:bench", scene.layout.display());
    contest(
        || {
            fresh()?;
            cost(Command::new("/proc/self/exe").arg("save").arg(&scene.layout).arg(&to))
        },
        || {
            fresh()?;
            copy(&from, &format!("docker-archive:{}:bench:1", to.display()))
        },
    )
}
