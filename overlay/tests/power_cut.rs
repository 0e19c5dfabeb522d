//! Power cuts: every acknowledged commit is whole afterwards, and no half layer is seen.
//!
//! QEMU's storage daemon logs all writes and flushes of a disk while layers are committed to a file system on it. For
//! each of many points of that log the disk is made as a power cut at that point may leave it: what was flushed, and
//! none, all or a part of what was not. Mounted again, the store is opened and every layer compared.
//!
//! `cargo test` tries a few points; `WINDLASS_POWER_CUTS=200 cargo test -p windlass-overlay --test power_cut` many.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

use support::{Layer, Listing, archive, delete, file, layer_listing};
use trial::{Test, need};
use windlass_overlay::{ApplyOptions, Durability, LayerId, LayerStore, StoreOptions};

const ROLE: &str = "WINDLASS_OVERLAY_POWER_CUT";
/// What a campaign's process gets: the file system, what is planted, how many points.
const CAMPAIGN: [&str; 3] = ["WINDLASS_CUT_FS", "WINDLASS_CUT_PLANTED", "WINDLASS_CUT_POINTS"];

fn main() -> ExitCode {
    match std::env::var(ROLE).as_deref() {
        Ok("campaign") => {
            campaign();
            return ExitCode::SUCCESS;
        }
        Ok("write") => {
            write();
            return ExitCode::SUCCESS;
        }
        _ => {}
    }
    let test = |name: &'static str, system: &'static str, planted: &'static str| {
        Test::new(name, move || judge(system, planted))
            .needs(need::root)
            .needs(need::program("qemu-storage-daemon"))
            .needs(need::program("unshare"))
            .needs(need::program("strace"))
            .needs(need::program(if system == "ext4" { "mkfs.ext4" } else { "mkfs.xfs" }))
            .needs(need::path("/dev/fuse"))
            .needs(need::path("/dev/loop-control"))
    };
    trial::main(vec![
        test("power cuts on ext4", "ext4", ""),
        test("power cuts on XFS", "xfs", ""),
        // The judge must see what is wrong: these are the calls that the promise rests on.
        test("files that are not synced are seen", "ext4", "inject=syncfs:retval=0"),
        test("directories that are not synced are seen", "ext4", "inject=fsync:retval=0"),
        test("directories that are not synced are seen on XFS", "xfs", "inject=fsync:retval=0"),
    ])
}

/// Runs a campaign in a mount namespace of its own and reads its verdict.
fn judge(system: &str, planted: &str) {
    let points = std::env::var("WINDLASS_POWER_CUTS").unwrap_or_else(|_| "6".to_owned());
    let output = Command::new("unshare")
        .args(["--mount", "--propagation", "private"])
        .arg(std::env::current_exe().unwrap())
        .env(ROLE, "campaign")
        .envs(CAMPAIGN.into_iter().zip([system, planted, &points]))
        .output()
        .unwrap();
    let (out, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}\n{out}\n{errors}", output.status);
    std::io::Write::write_all(&mut std::io::stdout(), out.as_bytes()).unwrap();
    let violations: usize = out.trim().rsplit(' ').next().unwrap().parse().expect("the campaign counts");
    if planted.is_empty() {
        assert_eq!(violations, 0, "{out}\n{errors}");
    } else {
        assert!(violations > 0, "the judge saw nothing wrong without {planted}\n{out}");
    }
}

/// Small numbers that look random and are the same in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

/// Layers `0..LAYERS`, each with files that no other has.
const LAYERS: usize = 30;

fn layer(number: usize, entries: u64) -> Layer {
    let mut random = Random(number as u64);
    let mut layer = vec![delete(&format!("gone-{number}"))];
    for entry in 0..entries {
        let text = format!("{number}/{entry} ").repeat(usize::try_from(random.below(600)).unwrap());
        layer.push(file(&format!("d{}/l{number}-{entry}", entry % 5), &text));
    }
    layer
}

/// Enough entries that a layer is flushed with the whole file system, or so few that each file is.
fn size(number: usize) -> u64 {
    if number.is_multiple_of(3) { 12 } else { 80 }
}

fn options() -> ApplyOptions {
    ApplyOptions::default()
}

/// Commits layers in every way, and says how long the log was when each was acknowledged.
fn write() {
    let directory = std::env::temp_dir();
    let log = PathBuf::from(std::env::var_os("WINDLASS_CUT_LOG").unwrap());
    let only_large = std::env::var("WINDLASS_CUT_PLANTED").is_ok_and(|planted| !planted.is_empty());
    let store = LayerStore::open(&directory.join("store")).unwrap();
    let stage = |number: usize| {
        let entries = if only_large { 80 } else { size(number) };
        store.stage(&archive(&layer(number, entries))[..], &options()).unwrap()
    };
    let say = |what: &str, ids: &[LayerId]| {
        let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
        let line = format!("{what} {} {}\n", std::fs::metadata(&log).unwrap().len(), ids.join(" "));
        std::io::Write::write_all(&mut std::io::stdout(), line.as_bytes()).unwrap();
    };
    for number in (0..LAYERS).step_by(5) {
        for single in number..number + 2 {
            let ids = store.commit(vec![stage(single)], Durability::Layer).unwrap();
            say("whole", &ids);
        }
        let group = vec![stage(number + 2), stage(number + 3)];
        let ids = store.commit(group, Durability::Group).unwrap();
        say("whole", &ids);
        // Nothing is promised of this one but that half of it is never seen.
        store.commit(vec![stage(number + 4)], Durability::None).unwrap();
        if number == 10 {
            assert!(store.sync().unwrap() > 0);
            let all = store.layers().unwrap();
            say("whole", &all);
        }
        if number == 15 {
            say("gone", &ids[..1]);
            store.remove_layer(ids[0]).unwrap();
        }
    }
}

/// What ends with the campaign, and where it is mounted.
struct Daemon(Child, PathBuf);

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.0.kill());
        drop(self.0.wait());
        // Its file cannot be removed while the dead mount is on it.
        drop(Command::new("umount").arg("--lazy").arg(&self.1).output());
    }
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {message}");
}

fn make(system: &str, at: &Path) {
    let mut command = match system {
        "ext4" => Command::new("mkfs.ext4"),
        _ => Command::new("mkfs.xfs"),
    };
    match system {
        // Journaled as everywhere, and with nothing that a kernel thread would still initialise later.
        "ext4" => command.args(["-q", "-F", "-E", "nodiscard,lazy_itable_init=0,lazy_journal_init=0"]),
        _ => command.args(["-q", "-f", "-K"]),
    };
    run(command.arg(at));
}

fn mount(system: &str, image: &Path, at: &Path) {
    let options = if system == "xfs" { "loop,nouuid" } else { "loop" };
    run(Command::new("mount").args(["-t", system, "-o", options]).arg(image).arg(at));
}

fn unmount(at: &Path) {
    run(Command::new("umount").arg(at));
}

/// One event of the log: writes with their place, or a flush of all writes before.
enum Event {
    Write { offset: u64, data: Vec<u8>, is_durable: bool },
    Flush,
}

/// The events with the length that the log had after each; the format is that of the kernel's dm-log-writes.
fn events(log: &Path) -> Vec<(u64, Event)> {
    const SECTOR: usize = 512;
    let (flush, durable, discard) = (1, 2, 4);
    let log = std::fs::read(log).unwrap();
    let number = |at: usize| u64::from_le_bytes(log[at..at + 8].try_into().unwrap());
    assert_eq!(number(0), 0x6a_7366_7773_6872, "the log has the magic of dm-log-writes");
    let mut events = Vec::new();
    let mut at = SECTOR;
    while at + SECTOR <= log.len() {
        let (sector, sectors, flags) = (number(at), number(at + 8), number(at + 16));
        at += SECTOR;
        let length = if flags & discard != 0 { 0 } else { usize::try_from(sectors).unwrap() * SECTOR };
        if at + length > log.len() {
            break;
        }
        let data = log[at..at + length].to_vec();
        at += length;
        if flags & flush != 0 {
            events.push((at as u64, Event::Flush));
        }
        if length > 0 {
            let offset = sector * SECTOR as u64;
            events.push((at as u64, Event::Write { offset, data, is_durable: flags & durable != 0 }));
        }
    }
    events
}

/// A disk, by blocks.
#[derive(Default)]
struct Disk(BTreeMap<u64, Box<[u8]>>);

const BLOCK: u64 = 4096;

impl Disk {
    fn write(&mut self, offset: u64, data: &[u8]) {
        let mut done = 0;
        while done < data.len() {
            let at = offset + done as u64;
            let within = usize::try_from(at % BLOCK).unwrap();
            let step = (usize::try_from(BLOCK).unwrap() - within).min(data.len() - done);
            let block = self.0.entry(at / BLOCK).or_insert_with(|| vec![0; usize::try_from(BLOCK).unwrap()].into());
            block[within..within + step].copy_from_slice(&data[done..done + step]);
            done += step;
        }
    }

    fn save(&self, to: &Path, size: u64) -> std::fs::File {
        let file = std::fs::File::create(to).unwrap();
        file.set_len(size).unwrap();
        for (number, block) in &self.0 {
            file.write_all_at(block, number * BLOCK).unwrap();
        }
        file
    }
}

/// Writes a part of what was not flushed: nothing, all, or about half of its blocks in any order of time.
fn pending(file: &std::fs::File, events: &[&Event], random: &mut Random) {
    let part = random.below(3);
    for event in events {
        let Event::Write { offset, data, .. } = event else { continue };
        for (number, block) in data.chunks(usize::try_from(BLOCK).unwrap()).enumerate() {
            if part == 1 || (part == 2 && random.below(2) == 0) {
                file.write_all_at(block, offset + number as u64 * BLOCK).unwrap();
            }
        }
    }
}

/// What the writer said: which layers must be there from which length of the log on, and which may be gone.
struct Promises {
    whole: Vec<(u64, LayerId)>,
    gone: Vec<(u64, LayerId)>,
}

impl Promises {
    fn read(text: &str) -> Self {
        let mut promises = Self { whole: Vec::new(), gone: Vec::new() };
        for line in text.lines() {
            let mut words = line.split(' ');
            let list = if words.next() == Some("gone") { &mut promises.gone } else { &mut promises.whole };
            let length = words.next().unwrap().parse().unwrap();
            list.extend(words.map(|id| (length, id.parse::<LayerId>().unwrap())));
        }
        promises
    }

    fn at(&self, length: u64) -> BTreeSet<LayerId> {
        let gone = |id: &LayerId| self.gone.iter().any(|(since, gone)| gone == id && *since <= length);
        let whole = self.whole.iter().filter(|(since, id)| *since <= length && !gone(id));
        whole.map(|(_, id)| *id).collect()
    }
}

/// Every layer as it is on a disk that is never cut off.
fn expected(directory: &Path, only_large: bool) -> BTreeMap<LayerId, Listing> {
    let store = LayerStore::open_with(
        &directory.join("expected"),
        StoreOptions { durability: Durability::None, ..StoreOptions::default() },
    )
    .unwrap();
    let layers = (0..LAYERS).map(|number| layer(number, if only_large { 80 } else { size(number) }));
    layers
        .map(|layer| {
            let id = store.ingest(&archive(&layer)[..], &options()).unwrap();
            (id, layer_listing(&store, id))
        })
        .collect()
}

/// Records the writer's disk: the log, and what was promised when.
fn record(directory: &Path, system: &str, planted: &str) -> (PathBuf, u64, Promises) {
    let [disk, log, export, at] = ["disk", "log", "export", "mounted"].map(|name| directory.join(name));
    std::fs::File::create(&disk).unwrap().set_len(size_of(system)).unwrap();
    for path in [&log, &export] {
        std::fs::File::create(path).unwrap();
    }
    std::fs::create_dir(&at).unwrap();
    let shown = |path: &Path| path.display().to_string();
    let daemon = Command::new("qemu-storage-daemon")
        .args(["--blockdev", &format!("driver=file,node-name=f,filename={}", shown(&disk))])
        .args(["--blockdev", &format!("driver=file,node-name=l,filename={}", shown(&log))])
        .args(["--blockdev", "driver=blklogwrites,node-name=lw,file=f,log=l,log-sector-size=512"])
        .args(["--export", &format!("type=fuse,id=e,node-name=lw,mountpoint={},writable=on", shown(&export))])
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let _daemon = Daemon(daemon, export.clone());
    for _ in 0..6000 {
        if std::fs::metadata(&export).unwrap().len() > 0 {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    make(system, &export);
    mount(system, &export, &at);
    // An empty store that is there for good, so that what is planted is about layers.
    LayerStore::open(&at.join("store")).unwrap();
    run(Command::new("sync").arg("--file-system").arg(&at));
    let start = std::fs::metadata(&log).unwrap().len();
    let program = std::env::current_exe().unwrap();
    let mut writer = if planted.is_empty() {
        Command::new(program)
    } else {
        let mut strace = Command::new("strace");
        strace.args(["-f", "--seccomp-bpf", "-o", "/dev/null", "-e", planted]).arg(program);
        strace
    };
    let output = writer.env(ROLE, "write").env("TMPDIR", &at).env("WINDLASS_CUT_LOG", &log).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    unmount(&at);
    (log, start, Promises::read(&String::from_utf8_lossy(&output.stdout)))
}

fn size_of(system: &str) -> u64 {
    // The smallest XFS that its tools make.
    if system == "xfs" { 300 << 20 } else { 64 << 20 }
}

/// Everything about one file system; the number of violations is the last word that it prints.
fn campaign() {
    let [system, planted, points] = CAMPAIGN.map(|name| std::env::var(name).unwrap());
    let points: u64 = points.parse().unwrap();
    let memory = tempfile::Builder::new().prefix("windlass-cut-").tempdir_in("/dev/shm").unwrap();
    let directory = memory.path();
    let (log, start, promises) = record(directory, &system, &planted);
    let expected = expected(directory, !planted.is_empty());
    // After a power cut it is another boot.
    let boot = directory.join("boot-id");
    std::fs::write(&boot, "00000000-0000-4000-8000-000000000001\n").unwrap();
    run(Command::new("mount").arg("--bind").arg(&boot).arg("/proc/sys/kernel/random/boot_id"));
    let events = events(&log);
    let first = events.iter().position(|(length, _)| *length > start).unwrap();
    let mut random = Random(points);
    let mut cuts: Vec<usize> =
        (0..points).map(|_| first + usize::try_from(random.below((events.len() - first) as u64)).unwrap()).collect();
    cuts.sort_unstable();
    let (mut disk, mut done, mut violations, mut promised) = (Disk::default(), 0, 0, 0);
    for cut in cuts {
        let flushed = events[..=cut].iter().rposition(|(_, event)| matches!(event, Event::Flush)).unwrap_or(0);
        for (_, event) in &events[done.min(flushed)..flushed] {
            if let Event::Write { offset, data, .. } = event {
                disk.write(*offset, data);
            }
        }
        done = done.max(flushed);
        let image = directory.join("image");
        let file = disk.save(&image, size_of(&system));
        let unflushed: Vec<&Event> = events[flushed..=cut].iter().map(|(_, event)| event).collect();
        pending(&file, &unflushed, &mut random);
        for event in &unflushed {
            if let Event::Write { offset, data, is_durable: true } = event {
                file.write_all_at(data, *offset).unwrap();
            }
        }
        drop(file);
        let at = directory.join("mounted");
        mount(&system, &image, &at);
        let must = promises.at(events[cut].0);
        promised += must.len();
        violations += check(&at, &must, &expected);
        unmount(&at);
        std::fs::remove_file(&image).unwrap();
    }
    memory.close().unwrap();
    let line = format!("{system}: {points} cuts, {promised} layers promised, violations {violations}\n");
    std::io::Write::write_all(&mut std::io::stdout(), line.as_bytes()).unwrap();
}

/// Opens the store as after any start and counts what is not as it was promised.
fn check(at: &Path, must: &BTreeSet<LayerId>, expected: &BTreeMap<LayerId, Listing>) -> usize {
    let store = match LayerStore::open(&at.join("store")) {
        Ok(store) => store,
        Err(error) => {
            eprintln(&format!("the store does not open: {error}"));
            return must.len().max(1);
        }
    };
    let found: BTreeSet<LayerId> = store.layers().unwrap().into_iter().collect();
    let missing = must.difference(&found).inspect(|id| eprintln(&format!("{id} was acknowledged and is not there")));
    let missing = missing.count();
    let broken = found.iter().filter(|id| {
        let is_whole = expected.get(id).is_some_and(|whole| *whole == layer_listing(&store, **id));
        if !is_whole {
            eprintln(&format!("{id} is there and not whole"));
        }
        !is_whole
    });
    let left = ["ingest", "trash"].map(|room| std::fs::read_dir(at.join("store").join(room)).unwrap().count());
    missing + broken.count() + left.iter().sum::<usize>()
}

/// For the report of a campaign that fails.
fn eprintln(line: &str) {
    std::io::Write::write_all(&mut std::io::stderr(), format!("{line}\n").as_bytes()).unwrap();
}
