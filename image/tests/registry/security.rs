//! Registries that want to be harmful.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::time::Duration;

use trial::Test;
use windlass_image::client::{Client, Credentials, Push};
use windlass_image::{Digest, Error};

use crate::server::{self, Answer, Asked, Server};
use crate::{noise, options, scene, scene_with};

pub(crate) fn tests() -> Vec<Test> {
    vec![
        Test::new("wrong_short_and_long_blobs_are_refused", blobs),
        Test::new("cve_2021_41190_manifest_confusion", confusion),
        Test::new("cve_2020_15157_credentials_stay_with_their_registry", credentials),
        Test::new("link_local_realms_are_not_dialled", link_local),
        Test::new("foreign_layers_are_off_by_default", foreign),
        Test::new("an_upload_on_another_host_is_refused", upload_elsewhere),
        Test::new("cve_2024_3727_digests_that_are_paths", digests),
        Test::new("endless_documents_end", endless),
        Test::new("hostile_configurations_are_refused", configuration),
        Test::new("https_never_falls_back_to_http", fallback),
        Test::new("credential_helpers_are_run_by_name", helpers),
        Test::new("a_login_is_only_its_owners", login),
    ]
}

fn blobs() {
    let layer = noise(50_000);
    let mut flipped = layer.clone();
    flipped[25_000] ^= 1;
    let mut long = layer.clone();
    long.push(0);
    for (content, chunked) in [(flipped, false), (layer[..49_999].to_vec(), false), (long.clone(), false), (long, true)]
    {
        let scene = scene(Server::start(move |asked, store| {
            let answer = store.answer(asked);
            if answer.content.len() != 50_000 && answer.status != 206 || !asked.path().contains("/blobs/") {
                return Some(answer);
            }
            if chunked {
                let mut body = format!("{:x}\r\n", content.len()).into_bytes();
                body.write_all(&content).unwrap();
                body.extend_from_slice(b"\r\n0\r\n\r\n");
                return Some(Answer::new(200).with("transfer-encoding", "chunked").content(body));
            }
            Some(Answer::new(200).content(content.clone()))
        }));
        let (_, digest) = scene.server.image("1", &layer);
        let error = scene.pull("a:1").unwrap_err();
        assert!(matches!(error, Error::DigestMismatch { .. } | Error::SizeMismatch { .. }), "{error:?}");
        assert!(scene.layout.images().unwrap().is_empty());
        assert!(!scene.layout.blob_path(&digest.parse().unwrap()).exists());
    }
}

fn confusion() {
    let layer = b"layer";
    let raw = |change: fn(&str) -> String, kind: &'static str| {
        let scene = scene(Server::plain());
        let (digest, _) = scene.server.image("1", layer);
        let raw = String::from_utf8(scene.server.store().manifests[&digest].1.clone()).unwrap();
        scene.server.store().manifests.insert("2".into(), (kind.into(), change(&raw).into_bytes()));
        scene.pull("a:2").map(drop)
    };
    raw(str::to_owned, server::MANIFEST).unwrap();
    let both = |raw: &str| raw.replacen('{', r#"{"manifests":[],"#, 1);
    let twice = |raw: &str| raw.replacen('{', r#"{"schemaVersion":2,"#, 1);
    for (what, outcome) in [
        ("an index by its header", raw(str::to_owned, server::INDEX)),
        ("both kinds at once", raw(both, server::MANIFEST)),
        ("a key twice", raw(twice, server::MANIFEST)),
        ("no manifest at all", raw(str::to_owned, "text/html")),
    ] {
        assert!(matches!(outcome, Err(Error::Document { .. })), "{what}: {outcome:?}");
    }
    // By digest, another document than the one that was asked for.
    let scene = scene(Server::plain());
    let (digest, _) = scene.server.image("1", layer);
    let (other, _) = scene.server.image("2", b"another");
    let other = scene.server.store().manifests[&other].clone();
    scene.server.store().manifests.insert(digest.clone(), other);
    let error = scene.pull(&format!("a@{digest}")).unwrap_err();
    assert!(matches!(error, Error::DigestMismatch { .. }), "{error:?}");
}

/// Credentials for a server, in a file of Docker's.
fn config(registry: &str) -> (tempfile::TempDir, Credentials) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("config.json");
    // "user:secret"
    std::fs::write(&path, format!(r#"{{"auths":{{"{registry}":{{"auth":"dXNlcjpzZWNyZXQ="}}}}}}"#)).unwrap();
    (directory, Credentials::file(path))
}

fn shown(server: &Server) -> Vec<Asked> {
    server.asked().into_iter().filter(|asked| asked.headers.contains_key("authorization")).collect()
}

fn credentials() {
    let evil = Arc::new(Server::start(|asked, _| {
        let host = &asked.headers["host"];
        (asked.path() != "/token")
            .then(|| Answer::new(401).with("www-authenticate", format!(r#"Bearer realm="http://{host}/token""#)))
            .or_else(|| Some(Answer::new(200).content(r#"{"token":"t"}"#)))
    }));
    // A realm elsewhere.
    let realm = format!("http://{}/token", evil.address);
    let asks = realm.clone();
    let server = Server::start(move |_, _| {
        Some(Answer::new(401).with("www-authenticate", format!(r#"Bearer realm="{asks}",service="s""#)))
    });
    let (_kept, credentials) = config(&server.address);
    let elsewhere = evil.address.clone();
    let scene = scene_with(server, |options| {
        options.plain_hosts.push(elsewhere);
        options.credentials = credentials;
    });
    let error = scene.pull("a:1").unwrap_err();
    assert!(matches!(error, Error::Refused { .. }), "{error:?}");
    assert!(evil.asked().is_empty());

    // A blob elsewhere, which asks for a proof; the registry itself wants one, too.
    let layer = noise(1000);
    let digest = Digest::of(&layer).to_string();
    let target = evil.address.clone();
    let server = Server::start(move |asked, store| {
        if asked.headers.get("authorization").map(String::as_str) != Some("Basic dXNlcjpzZWNyZXQ=") {
            return Some(Answer::new(401).with("www-authenticate", "Basic realm=\"r\""));
        }
        if asked.path().ends_with(&digest) {
            return Some(Answer::new(307).with("location", format!("http://{target}/blob?signature=1")));
        }
        Some(store.answer(asked))
    });
    let (_kept, credentials) = config(&server.address);
    let elsewhere = evil.address.clone();
    let scene = scene_with(server, |options| {
        options.plain_hosts.push(elsewhere);
        options.credentials = credentials;
    });
    scene.server.image("1", &layer);
    let error = scene.pull("a:1").unwrap_err();
    assert!(matches!(error, Error::Unauthorized { .. }), "{error:?}");
    assert!(!shown(&scene.server).is_empty());
    assert_eq!(evil.asked().len(), 1);
    assert!(shown(&evil).is_empty(), "{:?}", shown(&evil));
}

fn link_local() {
    for realm in ["http://169.254.169.254/token", "http://[fe80::1]/token", "http://[::ffff:169.254.169.254]/token"] {
        let server = Server::start(move |_, _| {
            Some(Answer::new(401).with("www-authenticate", format!(r#"Bearer realm="{realm}""#)))
        });
        let scene = scene_with(server, |options| {
            options.plain_hosts.extend(["169.254.169.254", "[fe80::1]", "[::ffff:169.254.169.254]"].map(str::to_owned));
        });
        let error = scene.pull("a:1").unwrap_err();
        assert!(error.to_string().contains("link-local"), "{realm}: {error}");
    }
}

fn foreign() {
    let layer = noise(2000);
    for allowed in [false, true] {
        let elsewhere = Server::plain();
        elsewhere.image("1", &layer);
        let scene = scene_with(Server::plain(), |options| {
            options.foreign_layers = allowed;
            options.plain_hosts.push(elsewhere.address.clone());
        });
        let (digest, blob) = scene.server.image("1", &layer);
        {
            let mut store = scene.server.store();
            let raw = String::from_utf8(store.manifests[&digest].1.clone()).unwrap();
            let urls = format!(r#""urls":["http://{}/v2/a/blobs/{blob}"],"size":2000"#, elsewhere.address);
            let raw = raw.replace(r#""size":2000"#, &urls);
            store.manifests.insert("2".into(), (server::MANIFEST.into(), raw.into_bytes()));
            store.blobs.remove(&blob);
        }
        assert_eq!(scene.pull("a:2").is_ok(), allowed);
        assert_eq!(elsewhere.asked().len(), usize::from(allowed));
    }
}

fn upload_elsewhere() {
    let evil = Server::plain();
    let target = evil.address.clone();
    let server = Server::start(move |asked, _| {
        (asked.method() == "POST").then(|| Answer::new(202).with("location", format!("http://{target}/upload")))
    });
    let elsewhere = evil.address.clone();
    let scene = scene_with(server, |options| options.plain_hosts.push(elsewhere));
    scene.server.image("1", b"layer");
    let pulled = scene.pull("a:1").unwrap();
    scene.server.store().blobs.clear();
    let error = scene.client.push(&scene.layout, &Push::new(&scene.reference("b:1"), &pulled)).unwrap_err();
    assert!(matches!(error, Error::Refused { .. }), "{error:?}");
    assert!(evil.asked().is_empty());
}

fn digests() {
    let upper = Digest::of(b"layer").to_string().to_uppercase().replace("SHA", "sha");
    for digest in ["sha256:../../../../etc/passwd", "", "sha256:", "../x", &upper] {
        let scene = scene(Server::plain());
        let (manifest, blob) = scene.server.image("1", b"layer");
        let raw = String::from_utf8(scene.server.store().manifests[&manifest].1.clone()).unwrap();
        let raw = raw.replace(&blob, digest);
        scene.server.store().manifests.insert("2".into(), (server::MANIFEST.into(), raw.into_bytes()));
        let error = scene.pull("a:2").unwrap_err();
        assert!(matches!(error, Error::Document { .. }), "{digest}: {error:?}");
        assert!(scene.server.asked().iter().all(|asked| !asked.path().contains("/blobs/")));
    }
}

fn endless() {
    const TIMES: usize = 64;
    for (content, limit) in [(vec![b' '; (4 << 20) + 1], "document"), (b"[".repeat(100_000), "depth")] {
        let scene = scene(Server::plain());
        scene.server.store().manifests.insert("1".into(), (server::MANIFEST.into(), content));
        let error = scene.pull("a:1").unwrap_err().to_string();
        assert!(error.contains("exceeds the limit") && error.contains(limit), "{error}");
    }
    // What does not say its length is read no further than its bound: what the sockets hold comes on top.
    for (kind, status, bound) in [("a manifest", 200, 4 << 20), ("a token", 200, 1 << 20), ("a failure", 403, 1 << 20)]
    {
        let scene = scene(Server::start(move |asked, _| {
            let host = &asked.headers["host"];
            if kind == "a token" && asked.path() != "/token" {
                let realm = format!(r#"Bearer realm="http://{host}/token""#);
                return Some(Answer::new(401).with("www-authenticate", realm));
            }
            let answer = Answer::new(status).with("content-type", server::MANIFEST).content(vec![b' '; 1 << 20]);
            Some(Answer { times: Some(TIMES), ..answer })
        }));
        let error = scene.pull("a:1").unwrap_err();
        assert!(matches!(error, Error::LimitExceeded { max, .. } if max == bound), "{kind}: {error:?}");
        let taken = scene.server.store().taken;
        assert!(taken < TIMES << 19, "{kind}: {taken} bytes were taken");
    }
}

fn configuration() {
    use std::fmt::Write as _;
    let sample = r#"{"os":"linux","architecture":"amd64","rootfs":{"type":"layers","diff_ids":[]},"config":"#;
    let labels = |count: usize, text: &str| {
        let mut config = format!("{sample}{{\"Labels\":{{");
        for number in 0..count {
            write!(config, "\"{number}\":\"{text}\",").unwrap();
        }
        config + "\"\":\"\"}}}"
    };
    for (config, words) in [
        (labels(1_000_000, ""), "document"),
        (labels(200_000, ""), "number of values"),
        (format!(r#"{sample}{{"User":"{}"}}}}"#, "0".repeat(5 << 20)), "document"),
        (format!(r#"{sample}{{"User":["0"]}}}}"#), "config.User: must be a string"),
        (format!(r#"{sample}{{"Env":[["A=1"]]}}}}"#), "config.Env[0]: must be a string"),
    ] {
        let scene = scene(Server::plain());
        let manifest = server::manifest(&config, &[]).into_bytes();
        let mut store = scene.server.store();
        store.blobs.insert(Digest::of(config.as_bytes()).to_string(), config.into_bytes());
        store.manifests.insert("1".into(), (server::MANIFEST.into(), manifest));
        drop(store);
        let error = scene.pull("a:1").unwrap_err().to_string();
        assert!(error.contains(words), "{words}: {error}");
        assert!(scene.layout.images().unwrap().is_empty());
    }
}

fn fallback() {
    let server = Server::plain();
    server.image("1", b"layer");
    let scene = scene_with(server, |options| {
        options.plain_hosts.clear();
        options.roots = windlass_image::client::Roots::Pem(Vec::new());
        options.connect = Duration::from_secs(30);
    });
    let error = scene.pull("a:1").unwrap_err();
    assert!(matches!(error, Error::Unsupported { .. }), "{error:?}");
    assert!(scene.server.asked().is_empty());

    // One host may be talked to in the clear; another that it points to may not.
    let other = Server::plain();
    let target = other.address.clone();
    let server = Server::start(move |asked, _| {
        let elsewhere = format!("http://{target}/blob");
        asked.path().contains("/blobs/").then(|| Answer::new(307).with("location", elsewhere))
    });
    let scene = crate::scene(server);
    scene.server.image("1", b"layer");
    let error = scene.pull("a:1").unwrap_err();
    assert!(matches!(error, Error::Refused { .. }), "{error:?}");
    assert!(other.asked().is_empty());
}

fn helpers() {
    let directory = tempfile::tempdir().unwrap();
    let ran = directory.path().join("ran");
    let script = directory.path().join("x");
    std::fs::write(&script, format!("#!/bin/sh\ntouch {}\n", ran.display())).unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    for name in ["../x", "x;id", "/../../x", &format!("/../..{}", script.display()), "a b", ""] {
        let path = directory.path().join("config.json");
        let file = serde_json::json!({"credHelpers": {"127.0.0.1:1": name}}).to_string();
        std::fs::write(&path, file).unwrap();
        let mut options = options(&[]);
        options.plain_hosts.push("127.0.0.1:1".into());
        options.credentials = Credentials::file(&path);
        let client = Client::new(options).unwrap();
        let error = client.manifest(&"127.0.0.1:1/a".parse().unwrap()).unwrap_err();
        assert!(matches!(error, Error::Invalid { field: "credential helper", .. }), "{name}: {error:?}");
        assert!(!ran.exists());
    }
}

fn login() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("folder/config.json");
    let credentials = Credentials::file(&path);
    assert!(credentials.find("r.example").unwrap().is_none());
    credentials.store("r.example", "user", "secret").unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(credentials.find("r.example").unwrap().is_some());
    assert!(credentials.find("other.example").unwrap().is_none());
    assert!(credentials.erase("r.example").unwrap());
    assert!(!credentials.erase("r.example").unwrap());
    assert!(credentials.find("r.example").unwrap().is_none());
}
