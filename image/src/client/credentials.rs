//! Where credentials are kept: Docker's file, and the programs that it names.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::error::{Error, Result};
use crate::registry::docker_config::{DockerConfig, HelperName, Source, for_helper, from_helper, key, with_credential};
use crate::registry::{Credential, SMALL_BODY_MAX};

/// The credentials of registries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Credentials {
    file: Option<PathBuf>,
}

impl Credentials {
    /// Those of a `config.json`; the file may be missing.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self { file: Some(path.into()) }
    }

    /// Those of this user: `$DOCKER_CONFIG/config.json`, or `~/.docker/config.json`; none without a home.
    pub fn of_user() -> Self {
        let folder =
            |name: &str| std::env::var_os(name).filter(|value: &OsString| !value.is_empty()).map(PathBuf::from);
        let folder = folder("DOCKER_CONFIG").or_else(|| Some(folder("HOME")?.join(".docker")));
        Self { file: folder.map(|folder| folder.join("config.json")) }
    }

    /// The credential of a registry, as [`Reference::registry`](crate::Reference::registry) calls it.
    ///
    /// # Errors
    /// A file that cannot be read, and a helper that failed for another reason than having none.
    pub fn find(&self, registry: &str) -> Result<Option<Credential>> {
        Ok(match self.config()?.source(registry) {
            Source::Here(credential) => Some(credential),
            Source::Helper(helper) => get(&helper, registry)?,
            Source::Nowhere => None,
        })
    }

    /// Keeps a name and a password: in the helper that the file names for the registry, else in the file, which only
    /// its owner can read.
    ///
    /// # Errors
    /// [`Error::NotFound`] without a file to write.
    pub fn store(&self, registry: &str, user: &str, password: &str) -> Result<()> {
        if let Source::Helper(helper) = self.config()?.source(registry) {
            return run(&helper, "store", &for_helper(registry, user, password)).map(drop);
        }
        let credential = Credential::Basic { user: user.to_owned(), password: password.to_owned() };
        self.rewrite(registry, Some(&credential))
    }

    /// Forgets the credential of a registry; whether there was one.
    pub fn erase(&self, registry: &str) -> Result<bool> {
        let there = match self.config()?.source(registry) {
            Source::Nowhere => false,
            Source::Helper(helper) => {
                let there = get(&helper, registry)?.is_some();
                if there {
                    run(&helper, "erase", key(registry).as_bytes())?;
                }
                there
            }
            Source::Here(_) => true,
        };
        if self.path()?.exists() {
            self.rewrite(registry, None)?;
        }
        Ok(there)
    }

    fn path(&self) -> Result<&Path> {
        self.file.as_deref().ok_or_else(|| Error::NotFound { object: "a file for credentials".into() })
    }

    fn read(&self) -> Result<Option<Vec<u8>>> {
        let Some(path) = &self.file else { return Ok(None) };
        let file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file.map_err(Error::sys("open", path))?,
        };
        // One byte more than the parser takes, so that it refuses what is larger.
        let mut raw = Vec::new();
        file.take((4 << 20) + 1).read_to_end(&mut raw).map_err(Error::sys("read", path))?;
        // An empty file is what some programs leave.
        Ok(Some(raw).filter(|raw| !raw.trim_ascii().is_empty()))
    }

    fn config(&self) -> Result<DockerConfig> {
        self.read()?.map_or_else(|| Ok(DockerConfig::default()), |raw| DockerConfig::parse(&raw))
    }

    /// Replaces the file by a rename, so that nobody ever reads half of it.
    fn rewrite(&self, registry: &str, credential: Option<&Credential>) -> Result<()> {
        // The file may be a link into a folder that is kept elsewhere.
        let path = self.path()?;
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let raw = self.read()?.unwrap_or_else(|| b"{}".to_vec());
        let changed = with_credential(&raw, registry, credential)?;
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(Error::sys("create", folder))?;
        }
        let unfinished = path.with_extension(format!("windlass-{}", std::process::id()));
        // A dead process of this number may have left one, with another mode.
        match fs::remove_file(&unfinished) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(Error::sys("remove", &unfinished)(error));
            }
            _ => {}
        }
        let written = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&unfinished)
            .and_then(|mut file| file.write_all(&changed).and_then(|()| file.sync_all()))
            .and_then(|()| fs::rename(&unfinished, &path));
        written.map_err(|error| {
            // The first failure is the one to report.
            let _ = fs::remove_file(&unfinished);
            Error::sys("write", &path)(error)
        })
    }
}

fn get(helper: &HelperName, registry: &str) -> Result<Option<Credential>> {
    run(helper, "get", key(registry).as_bytes())?.map(|raw| from_helper(&raw)).transpose()
}

/// Runs a helper as its protocol has it; `None` when it says that it has no such credential.
fn run(helper: &HelperName, verb: &str, input: &[u8]) -> Result<Option<Vec<u8>>> {
    let program = helper.program();
    let failed = |op: &'static str| Error::sys(op, program.clone());
    let mut child = Command::new(&program)
        .arg(verb)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(failed("run"))?;
    let mut stdin = child.stdin.take().expect("it was piped above");
    // A helper that reads nothing closes its end; what it prints tells more than that.
    let _ = stdin.write_all(input);
    drop(stdin);
    let mut said = Vec::new();
    let stdout = child.stdout.take().expect("it was piped above");
    let read = stdout.take(SMALL_BODY_MAX).read_to_end(&mut said);
    let status = child.wait().map_err(failed("wait for"))?;
    read.map_err(failed("read from"))?;
    if status.success() {
        return Ok(Some(said));
    }
    let text = String::from_utf8_lossy(&said);
    if verb == "get" && text.contains("credentials not found") {
        return Ok(None);
    }
    let line = text.lines().next().unwrap_or_default().chars().take(200).collect::<String>();
    Err(failed("run")(io::Error::other(format!("{status}: {line}"))))
}
