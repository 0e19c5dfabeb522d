//! `checkpoint`: the processes of a container are written to files.

use serde_json::Value;

use super::bundle::CONFIG;
use super::cli::Parsed;
use super::criu::{self, Criu, DESCRIPTORS};
use super::failure::{Failure, Result};
use super::group::Site;
use super::log::Log;
use super::state::Status;
use super::store::Store;
use super::{container, delete};

/// The kinds of namespaces that criu leaves to others, by what the configuration calls them and `/proc/PID/ns` does.
pub(super) const SHARED: [(&str, &str, &str); 2] = [("network", "net", "extRootNetNS"), ("pid", "pid", "extRootPidNS")];

pub(super) fn checkpoint(store: &Store, log: &Log, global: &Parsed, given: &Parsed) -> Result<()> {
    let place = store.open(given.id()?)?;
    place.lock()?;
    let state = container::read(&place)?;
    let id = place.id().as_str();
    let init = match (container::status(&place, &state)?, state.init) {
        (Status::Running | Status::Paused, Some(init)) => init,
        (status, _) => return Err(Failure::new(format!("cannot checkpoint container {id} in the {status} state"))),
    };
    let text = place.content(CONFIG)?.ok_or_else(|| Failure::new(format!("container {id:?} has no configuration")))?;
    let config: Value = serde_json::from_slice(&text).map_err(Failure::during("the kept configuration"))?;
    let images = criu::images(given)?;
    std::fs::create_dir_all(&images).map_err(Failure::during(images.display()))?;

    let before = given.has("pre-dump");
    let mut criu = Criu::new(global, given, if before { "pre-dump" } else { "dump" })?;
    criu.pair("--tree", init.pid.to_string()).pair("--root", &state.rootfs);
    if before || given.text("parent-path")?.is_some() {
        criu.word("--track-mem");
    }
    let inside = std::path::PathBuf::from(format!("/proc/{}/root", init.pid));
    let outside = criu::outside(&config, &inside);
    criu.externals(outside.iter().map(|(target, _)| (target.as_str(), target.as_str())));
    for (kind, file, name) in SHARED {
        if joined(&config, kind).is_some() {
            let path = format!("/proc/{}/ns/{file}", init.pid);
            let number = std::fs::metadata(&path).map(|it| std::os::unix::fs::MetadataExt::ino(&it));
            criu.pair("--external", format!("{file}[{}]:{name}", number.map_err(Failure::during(path))?));
        }
    }
    if let Some(freezer) = state.group.as_ref().and_then(|group| group.freezer.as_ref()?.parent()) {
        criu.pair("--freeze-cgroup", freezer);
    }
    if !before {
        let descriptors = serde_json::to_vec(&criu::descriptors(init.pid)?).map_err(Failure::during(DESCRIPTORS))?;
        let path = images.join(DESCRIPTORS);
        std::fs::write(&path, descriptors).map_err(Failure::during(path.display()))?;
    }
    criu.run()?;
    if before || given.has("leave-running") {
        return Ok(());
    }
    let site = Site::of(state.group.as_ref())?;
    delete::remove(&place, &state, site.as_ref(), log)
}

/// The path of a namespace that a container shares.
pub(super) fn joined<'a>(config: &'a Value, kind: &str) -> Option<&'a str> {
    let mut namespaces = config["linux"]["namespaces"].as_array().into_iter().flatten();
    let found = namespaces.find(|namespace| namespace["type"] == kind)?;
    found["path"].as_str().filter(|path| !path.is_empty())
}
