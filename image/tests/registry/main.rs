//! The client against a registry that can be told to misbehave.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails by panicking and tells what it counted")]

mod security;
mod server;

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use server::{Answer, Server};
use tempfile::TempDir;
use trial::Test;
use windlass_image::client::{Client, LayerSink, Options, Platforms, Progress, Pull, Push};
use windlass_image::registry::{Pieces, RetryPolicy};
use windlass_image::{Descriptor, Digest, Error, Layout, MediaType, Platform, Reference};

fn main() -> ExitCode {
    let mut tests = vec![
        Test::new("pull_and_push_there_and_back", there_and_back),
        Test::new("a_broken_connection_costs_at_most_a_mebibyte", broken),
        Test::new("a_killed_pull_goes_on", killed),
        Test::new("too_many_requests_are_waited_for", too_many),
        Test::new("a_token_is_asked_for_once_a_repository", token),
        Test::new("a_stalled_connection_is_given_up", stalled),
        Test::new("cancelling_ends_a_pull", cancelled),
        Test::new("tags_come_page_by_page", tags),
        Test::new("referrers_by_the_call_and_by_the_tag", referrers),
        Test::new("mirrors_come_first", mirrors),
        Test::new("sha512_is_a_digest_like_any_other", sha512),
        Test::new("pieces_go_on_where_they_broke", pieces),
        Test::new("a_platform_is_never_guessed", platforms),
        Test::new("a_proxy_is_gone_through", proxy),
        Test::new("a_sink_gets_each_layer_once_verified", sink),
    ];
    tests.extend(security::tests());
    trial::main(tests)
}

/// A client that may talk to these servers, and waits for nothing.
pub(crate) fn options(servers: &[&Server]) -> Options {
    let mut options = Options::default();
    options.plain_hosts = servers.iter().map(|server| server.address.clone()).collect();
    options.retry = RetryPolicy::DEFAULT;
    options.retry.base = Duration::from_millis(1);
    options
}

pub(crate) struct Scene {
    pub(crate) server: Server,
    pub(crate) layout: Layout,
    pub(crate) client: Client,
    _directory: TempDir,
}

pub(crate) fn scene_with(server: Server, change: impl FnOnce(&mut Options)) -> Scene {
    let directory = tempfile::Builder::new().prefix("windlass-registry-").tempdir().unwrap();
    let layout = Layout::create(directory.path().join("layout")).unwrap();
    let mut options = options(&[&server]);
    change(&mut options);
    Scene { client: Client::new(options).unwrap(), server, layout, _directory: directory }
}

pub(crate) fn scene(server: Server) -> Scene {
    scene_with(server, |_| {})
}

impl Scene {
    pub(crate) fn reference(&self, rest: &str) -> Reference {
        Reference::parse(&format!("{}/{rest}", self.server.address)).unwrap()
    }

    pub(crate) fn pull(&self, rest: &str) -> Result<Descriptor, Error> {
        self.client.pull(&self.layout, &Pull::new(&self.reference(rest)))
    }
}

/// Content that no compression and no accident makes.
pub(crate) fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

fn there_and_back() {
    let scene = scene(Server::plain());
    let layer = noise(300_000);
    let (manifest, _) = scene.server.image("1", &layer);
    let told = Mutex::new(Vec::new());
    let progress = |progress: Progress<'_>| told.lock().unwrap().push(format!("{progress:?}"));
    let reference = scene.reference("a:1");
    let pulled = scene.client.pull(&scene.layout, &Pull::new(&reference).progress(&progress)).unwrap();
    assert_eq!(pulled.digest.to_string(), manifest);
    assert_eq!(scene.layout.resolve(reference.canonical()).unwrap().digest(), pulled.digest);
    assert!(told.lock().unwrap().iter().any(|line| line.starts_with("Done")));
    assert_eq!(scene.client.resolve(&reference).unwrap().digest, pulled.digest);
    // Again: nothing but documents.
    let before = scene.server.asked().len();
    scene.pull("a:1").unwrap();
    let again = scene.server.asked().split_off(before);
    assert!(again.iter().all(|asked| !asked.path().contains("/blobs/")), "{again:?}");

    scene.server.store().blobs.clear();
    let target = scene.reference("b:2");
    let pushed = scene.client.push(&scene.layout, &Push::new(&target, &pulled)).unwrap();
    assert_eq!((pushed.sent, pushed.existed, pushed.mounted), (2, 0, 0));
    assert_eq!(scene.server.store().manifests["2"].1, scene.layout.get(&pulled).unwrap());
    assert_eq!(scene.server.store().blobs[&Digest::of(&layer).to_string()], layer);
    let pushed = scene.client.push(&scene.layout, &Push::new(&target, &pulled)).unwrap();
    assert_eq!((pushed.sent, pushed.existed), (0, 2));
    assert!(
        scene
            .client
            .manifest(&scene.reference("a:none"))
            .is_err_and(|error| matches!(error, Error::Http { status: 404, .. }))
    );
}

fn broken() {
    let layer = noise(5 << 20);
    let cuts = AtomicUsize::new(0);
    let server = Server::start(move |asked, store| {
        let mut answer = store.answer(asked);
        // Ten times somewhere in the middle, not at a boundary of anything.
        if asked.path().contains("/blobs/")
            && answer.content.len() > 100_000
            && cuts.fetch_add(1, Ordering::Relaxed) < 10
        {
            answer.cut = Some(444_443);
        }
        Some(answer)
    });
    let scene = scene(server);
    let (_, digest) = scene.server.image("1", &layer);
    scene.pull("a:1").unwrap();
    let asked: Vec<_> = scene.server.asked().into_iter().filter(|asked| asked.path().ends_with(&digest)).collect();
    let starts: Vec<u64> = asked
        .iter()
        .map(|asked| {
            asked.headers.get("range").map_or(0, |range| range["bytes=".len()..range.len() - 1].parse().unwrap())
        })
        .collect();
    // What the server had sent when it cut, against where the client went on: the difference came twice or was lost.
    let mut again = 0;
    for pair in starts.windows(2) {
        let lost = (pair[0] + 444_443).checked_sub(pair[1]).expect("nothing is left out");
        assert!(lost <= 1 << 20, "{lost} bytes came again");
        again += lost;
    }
    assert!(starts.len() > 5, "{starts:?}");
    println!("{} connections, {again} bytes of {} came again", starts.len(), layer.len());
}

fn killed() {
    let layer = noise(3 << 20);
    let calls = AtomicUsize::new(0);
    let server = Server::start(move |asked, store| {
        let mut answer = store.answer(asked);
        if asked.path().contains("/blobs/") && answer.content.len() > 100_000 {
            match calls.fetch_add(1, Ordering::Relaxed) {
                0 => answer.cut = Some(2 << 20),
                1 => return Some(Answer::new(403)),
                _ => {}
            }
        }
        Some(answer)
    });
    let scene = scene(server);
    let (_, digest) = scene.server.image("1", &layer);
    assert!(matches!(scene.pull("a:1"), Err(Error::Http { status: 403, .. })));
    assert!(scene.layout.images().unwrap().is_empty());
    let before = scene.server.asked().len();
    scene.pull("a:1").unwrap();
    let asked = scene.server.asked().split_off(before);
    let range = asked.iter().find(|asked| asked.path().ends_with(&digest)).unwrap().headers.get("range").cloned();
    let start: u64 = range.expect("the second pull goes on")["bytes=".len()..].trim_end_matches('-').parse().unwrap();
    assert!(start >= 1 << 20, "{start}");

    // A beginning that is not the blob's own costs one more attempt, and is not believed.
    let other = noise(200_001);
    let (_, digest) = scene.server.image("2", &other);
    let name = format!(".windlass-unfinished-{}", digest.replace(':', "-"));
    std::fs::write(scene.layout.path().join(name), vec![7; 1000]).unwrap();
    let pulled = scene.pull("a:2").unwrap();
    assert!(scene.layout.image(&pulled, &Platform::host()).is_ok());
    let names = std::fs::read_dir(scene.layout.path()).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(names.into_iter().all(|name| !name.to_string_lossy().contains("unfinished")));
}

fn too_many() {
    let refusals = AtomicUsize::new(0);
    let server = Server::start(move |asked, _| {
        let refused = asked.path().contains("/manifests/") && refusals.fetch_add(1, Ordering::Relaxed) < 2;
        refused.then(|| Answer::new(429).with("retry-after", "1"))
    });
    let scene = scene(server);
    scene.server.image("1", b"layer");
    let start = std::time::Instant::now();
    scene.pull("a:1").unwrap();
    assert!(start.elapsed() >= Duration::from_secs(2), "{:?}", start.elapsed());
}

/// A registry that wants a token of its own realm.
fn guarded() -> Server {
    Server::start(|asked, store| {
        if asked.path() == "/token" {
            let scope = server::parameter(asked, "scope").unwrap_or_default();
            return Some(
                Answer::new(200).content(format!(r#"{{"token":"for-{}"}}"#, scope.replace([':', ',', '/'], "."))),
            );
        }
        let repository = asked.path().split('/').nth(2).unwrap_or_default();
        let wanted = if asked.method() == "GET" || asked.method() == "HEAD" { "pull" } else { "push" };
        let has = asked.headers.get("authorization").is_some_and(|header| {
            header.starts_with(&format!("Bearer for-repository.{repository}.")) && header.contains(wanted)
        });
        if has {
            return Some(store.answer(asked));
        }
        let host = &asked.headers["host"];
        Some(Answer::new(401).with("www-authenticate", format!(r#"Bearer realm="http://{host}/token",service="s""#)))
    })
}

fn token() {
    let scene = scene(guarded());
    scene.server.image("1", &noise(1000));
    let pulled = scene.pull("a:1").unwrap();
    let tokens = |scene: &Scene| scene.server.asked().iter().filter(|asked| asked.path() == "/token").count();
    assert_eq!(tokens(&scene), 1);
    // Another repository, and another access: another token each.
    scene.pull("b:1").unwrap();
    assert_eq!(tokens(&scene), 2);
    scene.client.push(&scene.layout, &Push::new(&scene.reference("a:2"), &pulled)).unwrap();
    assert_eq!(tokens(&scene), 3);
}

fn stalled() {
    let stalls = AtomicUsize::new(0);
    let server = Server::start(move |asked, store| {
        let mut answer = store.answer(asked);
        if asked.path().contains("/blobs/")
            && answer.content.len() > 100_000
            && stalls.fetch_add(1, Ordering::Relaxed) == 0
        {
            answer.stalls = Some(150_000);
        }
        Some(answer)
    });
    let scene = scene_with(server, |options| options.stall = Duration::from_secs(2));
    let (_, digest) = scene.server.image("1", &noise(400_000));
    scene.pull("a:1").unwrap();
    let times = scene.server.asked().iter().filter(|asked| asked.path().ends_with(&digest)).count();
    assert!(times >= 2, "{times}");
}

fn cancelled() {
    let server = Server::start(|asked, store| {
        let mut answer = store.answer(asked);
        if asked.path().contains("/blobs/") && answer.content.len() > 100_000 {
            answer.stalls = Some(150_000);
        }
        Some(answer)
    });
    // Only cancelling ends it: the connection may stand still for ten minutes.
    let scene = scene_with(server, |options| options.stall = Duration::from_mins(10));
    scene.server.image("1", &noise(400_000));
    let reference = scene.reference("a:1");
    let moved = AtomicUsize::new(0);
    let progress = |progress: Progress<'_>| {
        if let Progress::Moved { bytes, .. } = progress {
            moved.fetch_add(usize::try_from(bytes).unwrap(), Ordering::Release);
        }
    };
    std::thread::scope(|scope| {
        let pull = scope.spawn(|| scene.client.pull(&scene.layout, &Pull::new(&reference).progress(&progress)));
        let begin = std::time::Instant::now();
        // The configuration is a few hundred bytes: more than that is of the layer.
        while moved.load(Ordering::Acquire) < 10_000 {
            assert!(begin.elapsed() < Duration::from_mins(1), "the layer never began");
            std::thread::sleep(Duration::from_millis(5));
        }
        scene.client.cancel();
        assert!(matches!(pull.join().unwrap(), Err(Error::Cancelled)));
    });
    assert!(matches!(scene.pull("a:1"), Err(Error::Cancelled)));
}

fn tags() {
    let scene = scene(Server::plain());
    for tag in ["a", "b", "c", "d", "e"] {
        scene.server.image(tag, tag.as_bytes());
    }
    assert_eq!(scene.client.tags(&scene.reference("a")).unwrap(), ["a", "b", "c", "d", "e"]);
    assert_eq!(scene.server.asked().len(), 3);
}

fn referrers() {
    let scene = scene(Server::plain());
    scene.server.image("1", b"layer");
    let subject = scene.pull("a:1").unwrap();
    let empty = scene.layout.put_blob(MediaType::EMPTY, &b"{}"[..]).unwrap();
    let signature = format!(
        r#"{{"schemaVersion":2,"mediaType":"{}","artifactType":"x/signature","config":{{"mediaType":"{}","digest":"{}","size":2}},"layers":[],"subject":{{"mediaType":"{}","digest":"{}","size":{}}}}}"#,
        server::MANIFEST,
        empty.media_type,
        empty.digest,
        subject.media_type,
        subject.digest,
        subject.size
    );
    let signature = scene.layout.put_blob(MediaType::MANIFEST, signature.as_bytes()).unwrap();
    scene.client.push(&scene.layout, &Push::new(&scene.reference("a:sig"), &signature)).unwrap();
    // The registry does not know of subjects, so the client keeps the tag.
    let tag = subject.digest.to_string().replace(':', "-");
    assert!(scene.server.store().manifests.contains_key(&tag));
    for call in [false, true] {
        scene.server.store().referrers = call;
        let find = |kind: Option<&str>| {
            let kind = kind.map(MediaType::new);
            scene.client.referrers(&scene.reference("a"), &subject.digest, kind.as_ref()).unwrap()
        };
        assert_eq!(find(None).iter().map(|entry| entry.digest).collect::<Vec<_>>(), [signature.digest], "{call}");
        assert_eq!(find(Some("x/signature")).len(), 1);
        assert!(find(Some("x/other")).is_empty());
    }
    let nobody = Digest::of(b"nobody");
    assert!(scene.client.referrers(&scene.reference("a"), &nobody, None).unwrap().is_empty());
}

fn mirrors() {
    let (mirror, origin) = (Server::plain(), Server::plain());
    let (manifest, _) = mirror.image("1", b"layer");
    origin.image("1", b"another");
    origin.image("2", b"only here");
    let text = format!(
        "[[registry]]\nlocation = \"{origin}\"\ninsecure = true\n[[registry.mirror]]\nlocation = \"127.0.0.1:1\"\ninsecure = true\n\
         [[registry.mirror]]\nlocation = \"{mirror}/copy\"\ninsecure = true\n",
        origin = origin.address,
        mirror = mirror.address
    );
    let mirrors = windlass_image::registry::Mirrors::parse(&text).unwrap();
    let scene = scene_with(origin, |options| {
        options.plain_hosts.clear();
        options.mirrors = mirrors;
    });
    assert_eq!(scene.pull("a:1").unwrap().digest.to_string(), manifest);
    assert!(mirror.asked().iter().all(|asked| asked.path().starts_with("/v2/copy/a/")));
    scene.pull("a:2").unwrap();
    // What is written goes to the registry itself.
    let image = scene.layout.images().unwrap()[0].clone();
    let before = mirror.asked().len();
    scene.client.push(&scene.layout, &Push::new(&scene.reference("a:3"), &image)).unwrap();
    assert_eq!(mirror.asked().len(), before);
}

fn sha512() {
    let scene = scene(Server::plain());
    let layer = noise(10_000);
    let mut hasher = windlass_image::Hasher::new(windlass_image::Algorithm::Sha512);
    hasher.update(&layer);
    let digest = hasher.finish();
    let (manifest, plain) = scene.server.image("1", &layer);
    {
        let mut store = scene.server.store();
        let raw = String::from_utf8(store.manifests[&manifest].1.clone()).unwrap();
        let raw = raw.replace(&plain, &digest.to_string());
        store.manifests.insert("512".into(), (server::MANIFEST.into(), raw.into_bytes()));
        store.blobs.remove(&plain);
        store.blobs.insert(digest.to_string(), layer);
    }
    let pulled = scene.pull("a:512").unwrap();
    let blob = scene.layout.image(&pulled, &Platform::host()).unwrap().manifest.layers()[0].clone();
    assert_eq!(blob.digest, digest);
    scene.server.store().blobs.remove(&digest.to_string());
    scene.client.push(&scene.layout, &Push::new(&scene.reference("b:1"), &pulled)).unwrap();
    assert!(scene.server.store().blobs.contains_key(&digest.to_string()));
}

fn pieces() {
    let layer = noise(250_000);
    let breaks = AtomicUsize::new(0);
    let server = Server::start(move |asked, store| {
        // The third piece arrives, and its answer does not.
        if asked.method() == "PATCH" && breaks.fetch_add(1, Ordering::Relaxed) == 2 {
            store.answer(asked);
            return Some(Answer::default());
        }
        if asked.method() == "GET" && asked.path().contains("/uploads/") {
            return Some(Answer::new(204).with("location", asked.path()).with("range", "0-149999"));
        }
        None
    });
    let scene = scene_with(server, |options| {
        options.pieces = Pieces::Of(50_000);
        options.streams = 1;
    });
    scene.server.image("1", &layer);
    let pulled = scene.pull("a:1").unwrap();
    scene.server.store().blobs.clear();
    scene.client.push(&scene.layout, &Push::new(&scene.reference("b:1"), &pulled)).unwrap();
    assert_eq!(scene.server.store().blobs[&Digest::of(&layer).to_string()], layer);
    let sent: usize = scene.server.asked().iter().filter(|a| a.method() == "PATCH").map(|a| a.content.len()).sum();
    assert!(sent < layer.len() + 60_000, "{sent} bytes for {}", layer.len());
}

fn platforms() {
    let scene = scene(Server::plain());
    let (host, _) = scene.server.image("host", b"for the host");
    let size = scene.server.store().manifests["host"].1.len();
    let entry = |digest: &str, size: usize, architecture: &str| {
        format!(
            r#"{{"mediaType":"{}","digest":"{digest}","size":{size},"platform":{{"os":"linux","architecture":"{architecture}"}}}}"#,
            server::MANIFEST
        )
    };
    let own = Platform::host().architecture;
    let index =
        format!(r#"{{"schemaVersion":2,"mediaType":"{}","manifests":[{}]}}"#, server::INDEX, entry(&host, size, &own));
    scene.server.store().manifests.insert("index".into(), (server::INDEX.into(), index.into_bytes()));
    assert_eq!(scene.pull("a:index").unwrap().digest.to_string(), host);
    let reference = scene.reference("a:index");
    let all = scene.client.pull(&scene.layout, &Pull::new(&reference).platforms(Platforms::All)).unwrap();
    assert!(all.media_type.is_index());
    assert_eq!(scene.layout.resolve(reference.canonical()).unwrap().digest().to_string(), host);
    for tag in ["a:index", "a:host"] {
        let reference = scene.reference(tag);
        let other = Pull::new(&reference).platforms(Platforms::One(Platform::linux("s390x")));
        assert!(matches!(scene.client.pull(&scene.layout, &other), Err(Error::NotFound { .. })), "{tag}");
    }
}

fn proxy() {
    use std::io::{BufRead as _, Write as _};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, told) = std::sync::mpsc::channel();
    // It ends with the process; nothing waits for it.
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let tell = tell.clone();
            std::thread::spawn(move || {
                let mut client = stream.unwrap();
                let mut reader = std::io::BufReader::new(client.try_clone().unwrap());
                let mut lines = Vec::new();
                loop {
                    let mut line = String::new();
                    reader.read_line(&mut line).unwrap();
                    if line.trim_end().is_empty() {
                        break;
                    }
                    lines.push(line);
                }
                let target = lines[0].split(' ').nth(1).unwrap().to_owned();
                tell.send(lines[0].clone()).unwrap();
                let mut server = std::net::TcpStream::connect(target).unwrap();
                client.write_all(b"HTTP/1.1 200 Connected\r\n\r\n").unwrap();
                let (mut up, mut down) = (server.try_clone().unwrap(), client.try_clone().unwrap());
                std::thread::spawn(move || std::io::copy(&mut reader, &mut up));
                // Whoever closes first ends it.
                let _ = std::io::copy(&mut server, &mut down);
            });
        }
    });
    let scene = scene_with(Server::plain(), |options| {
        options.proxy = windlass_image::client::Proxy::Url(format!("http://{address}"));
    });
    scene.server.image("1", &noise(1000));
    scene.pull("a:1").unwrap();
    let asked = told.recv_timeout(Duration::from_mins(1)).unwrap();
    assert!(asked.starts_with(&format!("CONNECT {} ", scene.server.address)), "{asked}");
}

#[derive(Default)]
struct Sunk(Mutex<Vec<(Digest, Vec<u8>)>>);

impl LayerSink for Sunk {
    fn wants(&self, _: &Digest) -> bool {
        true
    }

    fn take(&self, diff_id: &Digest, tar: &mut dyn std::io::Read) -> std::io::Result<()> {
        let mut content = Vec::new();
        tar.read_to_end(&mut content)?;
        self.0.lock().unwrap().push((*diff_id, content));
        Ok(())
    }
}

fn sink() {
    let cut = AtomicUsize::new(0);
    let layer = noise(1 << 20);
    let server = Server::start(move |asked, store| {
        let mut answer = store.answer(asked);
        if asked.path().contains("/blobs/") && answer.content.len() > 100_000 {
            match cut.fetch_add(1, Ordering::Relaxed) {
                0 => answer.cut = Some(500_000),
                1 => return Some(Answer::new(403)),
                _ => {}
            }
        }
        Some(answer)
    });
    let scene = scene(server);
    scene.server.image("1", &layer);
    let sunk = Sunk::default();
    let reference = scene.reference("a:1");
    let pull = || scene.client.pull(&scene.layout, &Pull::new(&reference).sink(&sunk));
    assert!(pull().is_err());
    assert!(sunk.0.lock().unwrap().is_empty());
    // The second goes on in the middle of the blob, and the sink gets all of it.
    pull().unwrap();
    assert_eq!(*sunk.0.lock().unwrap(), [(Digest::of(&layer), layer.clone())]);
    pull().unwrap();
    assert_eq!(sunk.0.lock().unwrap().len(), 2, "also from the layout");
}
