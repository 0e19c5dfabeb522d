//! A registry over loopback that can be told to misbehave.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use windlass_image::{Digest, Hasher};

/// What a client sent.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) line: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) content: Vec<u8>,
}

impl Asked {
    pub(crate) fn method(&self) -> &str {
        self.line.split(' ').next().unwrap()
    }

    pub(crate) fn target(&self) -> &str {
        self.line.split(' ').nth(1).unwrap()
    }

    pub(crate) fn path(&self) -> &str {
        self.target().split('?').next().unwrap()
    }
}

/// What it is told.
#[derive(Debug, Clone, Default)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) content: Vec<u8>,
    /// Bytes of the content that are sent before the connection is cut.
    pub(crate) cut: Option<usize>,
    /// How many times the content comes; each is a piece of what has no length, and is counted.
    pub(crate) times: Option<usize>,
    /// After so many bytes nothing comes any more, and the connection stays.
    pub(crate) stalls: Option<usize>,
}

impl Answer {
    pub(crate) fn new(status: u16) -> Self {
        Self { status, ..Self::default() }
    }

    pub(crate) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    pub(crate) fn content(mut self, content: impl Into<Vec<u8>>) -> Self {
        self.content = content.into();
        self
    }
}

#[derive(Default)]
pub(crate) struct Store {
    pub(crate) blobs: BTreeMap<String, Vec<u8>>,
    pub(crate) manifests: BTreeMap<String, (String, Vec<u8>)>,
    uploads: BTreeMap<String, Vec<u8>>,
    /// Bytes that were taken of what came many times.
    pub(crate) taken: usize,
    /// Whether there is the call for referrers.
    pub(crate) referrers: bool,
    asked: Vec<Asked>,
}

type Twist = dyn Fn(&Asked, &mut Store) -> Option<Answer> + Send + Sync;

/// A server that ends with the test.
pub(crate) struct Server {
    pub(crate) address: String,
    store: Arc<Mutex<Store>>,
    stopped: Arc<AtomicBool>,
}

impl Server {
    /// Serves a registry; `twist` answers first where it likes.
    pub(crate) fn start(twist: impl Fn(&Asked, &mut Store) -> Option<Answer> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let store = Arc::new(Mutex::new(Store::default()));
        let stopped = Arc::new(AtomicBool::new(false));
        let twist: Arc<Twist> = Arc::new(twist);
        let (shared, stop) = (store.clone(), stopped.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stop.load(Ordering::Acquire) {
                    return;
                }
                let (shared, twist, stop) = (shared.clone(), twist.clone(), stop.clone());
                std::thread::spawn(move || serve(stream.unwrap(), &shared, &*twist, &stop));
            }
        });
        Self { address, store, stopped }
    }

    pub(crate) fn plain() -> Self {
        Self::start(|_, _| None)
    }

    pub(crate) fn store(&self) -> std::sync::MutexGuard<'_, Store> {
        self.store.lock().unwrap()
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.store().asked.clone()
    }

    /// Puts an image of one layer there, and gives the digests of its manifest and layer.
    pub(crate) fn image(&self, tag: &str, layer: &[u8]) -> (String, String) {
        let platform = windlass_image::Platform::host();
        let config = format!(
            r#"{{"os":"linux","architecture":"{}","rootfs":{{"type":"layers","diff_ids":["{}"]}}}}"#,
            platform.architecture,
            Digest::of(layer)
        );
        let manifest = manifest(&config, &[layer]);
        let mut store = self.store();
        for content in [config.as_bytes(), layer] {
            store.blobs.insert(Digest::of(content).to_string(), content.to_vec());
        }
        let digest = Digest::of(manifest.as_bytes()).to_string();
        let entry = (MANIFEST.to_owned(), manifest.into_bytes());
        store.manifests.insert(tag.to_owned(), entry.clone());
        store.manifests.insert(digest.clone(), entry);
        (digest, Digest::of(layer).to_string())
    }
}

pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";

pub(crate) fn manifest(config: &str, layers: &[&[u8]]) -> String {
    let describe = |kind: &str, content: &[u8]| {
        format!(r#"{{"mediaType":"{kind}","digest":"{}","size":{}}}"#, Digest::of(content), content.len())
    };
    let layers: Vec<String> =
        layers.iter().map(|layer| describe("application/vnd.oci.image.layer.v1.tar", layer)).collect();
    let config = describe("application/vnd.oci.image.config.v1+json", config.as_bytes());
    format!(r#"{{"schemaVersion":2,"mediaType":"{MANIFEST}","config":{config},"layers":[{}]}}"#, layers.join(","))
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Release);
        // Wakes the thread that accepts.
        drop(TcpStream::connect(&self.address));
    }
}

fn read(reader: &mut BufReader<TcpStream>) -> Option<Asked> {
    let mut line = String::new();
    if reader.read_line(&mut line).ok()? == 0 {
        return None;
    }
    let mut headers = BTreeMap::new();
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let header = header.trim_end();
        if header.is_empty() {
            break;
        }
        let (name, value) = header.split_once(':')?;
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    let mut content = vec![0; length];
    reader.read_exact(&mut content).ok()?;
    Some(Asked { line: line.trim_end().to_owned(), headers, content })
}

fn serve(stream: TcpStream, store: &Mutex<Store>, twist: &Twist, stopped: &AtomicBool) {
    let mut writer = stream.try_clone().unwrap();
    let mut reader = BufReader::new(stream);
    while let Some(asked) = read(&mut reader) {
        let answer = {
            let mut store = store.lock().unwrap();
            store.asked.push(asked.clone());
            twist(&asked, &mut store).unwrap_or_else(|| store.answer(&asked))
        };
        // Not even a head.
        if answer.status == 0 {
            return;
        }
        if let Some(times) = answer.times {
            repeat(&mut writer, &answer, times, store);
            return;
        }
        let mut head = format!("HTTP/1.1 {} Said\r\n", answer.status);
        let said = |name: &str| answer.headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(name));
        if !said("content-length") && !said("transfer-encoding") && answer.status != 204 {
            write!(head, "content-length: {}\r\n", answer.content.len()).unwrap();
        }
        for (name, value) in &answer.headers {
            write!(head, "{name}: {value}\r\n").unwrap();
        }
        head.push_str("\r\n");
        let content: &[u8] = if asked.method() == "HEAD" { &[] } else { &answer.content };
        let end = answer.cut.or(answer.stalls).unwrap_or(content.len()).min(content.len());
        // A client that has seen enough closes its end.
        if writer.write_all(head.as_bytes()).and_then(|()| writer.write_all(&content[..end])).is_err() {
            return;
        }
        if answer.stalls.is_some() {
            while !stopped.load(Ordering::Acquire) {
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        if answer.cut.is_some() || answer.stalls.is_some() {
            return;
        }
    }
}

/// Sends content again and again, until the client has seen enough.
fn repeat(writer: &mut TcpStream, answer: &Answer, times: usize, store: &Mutex<Store>) {
    let mut head = format!("HTTP/1.1 {} Said\r\ntransfer-encoding: chunked\r\n", answer.status);
    for (name, value) in &answer.headers {
        write!(head, "{name}: {value}\r\n").unwrap();
    }
    head.push_str("\r\n");
    let mut piece = format!("{:x}\r\n", answer.content.len()).into_bytes();
    piece.extend([&answer.content[..], b"\r\n"].concat());
    let mut sent = writer.write_all(head.as_bytes());
    for _ in 0..times {
        sent = sent.and_then(|()| writer.write_all(&piece));
        if sent.is_err() {
            return;
        }
        store.lock().unwrap().taken += answer.content.len();
    }
    // Whoever closed meanwhile wants no end, either.
    drop(writer.write_all(b"0\r\n\r\n"));
}

fn digest_as(name: &str, content: &[u8]) -> String {
    let digest = Digest::parse(name).unwrap();
    let mut hasher = Hasher::new(digest.algorithm());
    hasher.update(content);
    hasher.finish().to_string()
}

/// The value of a parameter of the query.
pub(crate) fn parameter(asked: &Asked, name: &str) -> Option<String> {
    let query = asked.target().split_once('?')?.1;
    let found = query.split('&').filter_map(|pair| pair.split_once('=')).find(|(known, _)| *known == name)?;
    Some(found.1.replace("%3A", ":").replace("%2F", "/").replace("%2C", ","))
}

impl Store {
    pub(crate) fn answer(&mut self, asked: &Asked) -> Answer {
        let path = asked.path().to_owned();
        if path == "/v2/" {
            return Answer::new(200);
        }
        let parts: Vec<&str> = path.trim_start_matches("/v2/").split('/').collect();
        match (asked.method(), parts.as_slice()) {
            ("GET" | "HEAD", [.., "manifests", name]) => match self.manifests.get(*name) {
                Some((kind, raw)) => Answer::new(200)
                    .with("content-type", kind)
                    .with("docker-content-digest", Digest::of(raw).to_string())
                    .with("content-length", raw.len().to_string())
                    .content(raw.clone()),
                None => Answer::new(404),
            },
            ("PUT", [.., "manifests", name]) => self.put_manifest(name, asked),
            ("GET" | "HEAD", [.., "blobs", digest]) => self.blob(digest, asked),
            ("POST", [.., "blobs", "uploads", ""]) => {
                if let Some(digest) = parameter(asked, "mount").filter(|digest| self.blobs.contains_key(digest)) {
                    return Answer::new(201).with("location", format!("/v2/a/blobs/{digest}"));
                }
                let id = format!("u{}", self.uploads.len());
                self.uploads.insert(id.clone(), Vec::new());
                Answer::new(202).with("location", format!("{path}{id}?state=0"))
            }
            ("PATCH", [.., "blobs", "uploads", id]) => {
                let Some(upload) = self.uploads.get_mut(*id) else { return Answer::new(404) };
                upload.extend_from_slice(&asked.content);
                let last = upload.len() - 1;
                Answer::new(202).with("location", path).with("range", format!("0-{last}"))
            }
            ("PUT", [.., "blobs", "uploads", id]) => {
                let Some(mut upload) = self.uploads.remove(*id) else { return Answer::new(404) };
                upload.extend_from_slice(&asked.content);
                let digest = parameter(asked, "digest").unwrap();
                if digest_as(&digest, &upload) != digest {
                    return Answer::new(400).content(r#"{"errors":[{"code":"DIGEST_INVALID","message":"no"}]}"#);
                }
                self.blobs.insert(digest, upload);
                Answer::new(201)
            }
            ("GET", [.., "referrers", digest]) if self.referrers => {
                let tag = digest.replace(':', "-");
                let raw = self.manifests.get(&tag).map_or_else(
                    || format!(r#"{{"schemaVersion":2,"mediaType":"{INDEX}","manifests":[]}}"#).into_bytes(),
                    |(_, raw)| raw.clone(),
                );
                Answer::new(200).with("content-type", INDEX).content(raw)
            }
            ("GET", [.., "tags", "list"]) => self.tags(asked),
            _ => Answer::new(404),
        }
    }

    fn put_manifest(&mut self, name: &str, asked: &Asked) -> Answer {
        let digest = Digest::of(&asked.content).to_string();
        let entry = (asked.headers["content-type"].clone(), asked.content.clone());
        self.manifests.insert(name.to_owned(), entry.clone());
        self.manifests.insert(digest.clone(), entry);
        Answer::new(201).with("docker-content-digest", digest)
    }

    fn blob(&self, digest: &str, asked: &Asked) -> Answer {
        let Some(content) = self.blobs.get(digest) else { return Answer::new(404) };
        let start = asked.headers.get("range").and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-'));
        match start.map(|start| start.parse::<usize>().unwrap()) {
            Some(start) => Answer::new(206)
                .with("content-range", format!("bytes {start}-{}/{}", content.len() - 1, content.len()))
                .content(&content[start..]),
            None => Answer::new(200).with("content-length", content.len().to_string()).content(content.clone()),
        }
    }

    /// Two tags a page.
    fn tags(&self, asked: &Asked) -> Answer {
        let names: BTreeSet<&String> = self.manifests.keys().filter(|name| !name.contains(':')).collect();
        let last = parameter(asked, "last");
        let left: Vec<&&String> = names.iter().filter(|name| last.as_ref().is_none_or(|last| **name > last)).collect();
        let page: Vec<String> = left.iter().take(2).map(|name| format!("\"{name}\"")).collect();
        let answer = Answer::new(200).content(format!(r#"{{"name":"a","tags":[{}]}}"#, page.join(",")));
        if left.len() <= 2 {
            return answer;
        }
        answer.with("link", format!("<{}?n=2&last={}>; rel=\"next\"", asked.path(), left[1]))
    }
}
