//! The program `criu`, which writes the processes of a container to files and makes them again.
//!
//! It is an own program that this one only calls: what it can do depends on its version and on the kernel, and what it
//! says when it cannot is what the caller is told.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::Value;

use super::cli::Parsed;
use super::failure::{Failure, Result};

/// What it is called by where the command line names no other.
const PROGRAM: &str = "criu";
/// A file of an image that says where the standard descriptors of the first process led.
pub(super) const DESCRIPTORS: &str = "descriptors.json";
/// How much of a log is told.
const LINES: usize = 3;

/// A flag of `checkpoint` and `restore`, and criu's word for it; a value follows.
const FLAGS: [(&str, &str); 10] = [
    ("tcp-established", "--tcp-established"),
    ("tcp-skip-in-flight", "--skip-in-flight"),
    ("tcp-close", "--tcp-close"),
    ("link-remap", "--link-remap"),
    ("ext-unix-sk", "--ext-unix-sk"),
    ("shell-job", "--shell-job"),
    ("lazy-pages", "--lazy-pages"),
    ("file-locks", "--file-locks"),
    ("auto-dedup", "--auto-dedup"),
    ("leave-running", "--leave-running"),
];
const VALUES: [(&str, &str); 4] = [
    ("status-fd", "--status-fd"),
    ("parent-path", "--prev-images-dir"),
    ("lsm-profile", "--lsm-profile"),
    ("lsm-mount-context", "--lsm-mount-context"),
];

/// A call of criu.
#[derive(Debug)]
pub(super) struct Criu {
    pub(super) program: OsString,
    pub(super) arguments: Vec<OsString>,
    verb: &'static str,
    log: PathBuf,
}

impl Criu {
    /// A call with all that the command line says of images and of what is taken along.
    pub(super) fn new(global: &Parsed, given: &Parsed, verb: &'static str) -> Result<Self> {
        let images = images(given)?;
        let work = given.path("work-path").map_or_else(|| Ok(images.clone()), |path| absolute(&path))?;
        let log = format!("{verb}.log");
        let mut criu = Self {
            program: global.value("criu").filter(|program| !program.is_empty()).map_or(PROGRAM.into(), Clone::clone),
            arguments: vec![verb.into()],
            verb,
            log: work.join(&log),
        };
        criu.pair("--images-dir", images).pair("--work-dir", work).pair("--log-file", log).word("-v4");
        for (flag, word) in FLAGS.iter().filter(|(flag, _)| given.has(flag)) {
            if (*flag, verb) != ("leave-running", "pre-dump") {
                criu.word(word);
            }
        }
        for (flag, word) in VALUES {
            if let Some(value) = given.text(flag)? {
                criu.pair(word, value);
            }
        }
        match given.text("manage-cgroups-mode")?.unwrap_or("soft") {
            mode @ ("soft" | "full" | "strict" | "ignore") => criu.word(&format!("--manage-cgroups={mode}")),
            other => return Err(Failure::new(format!("invalid manage-cgroups-mode {other:?}"))),
        };
        for kind in given.texts("empty-ns") {
            match kind? {
                "network" | "net" => criu.pair("--empty-ns", "net"),
                other => return Err(Failure::new(format!("namespace {other:?} cannot be left empty"))),
            };
        }
        if let Some(server) = given.text("page-server")? {
            let (address, port) =
                server.rsplit_once(':').ok_or_else(|| Failure::new("page-server is ADDRESS:PORT".to_owned()))?;
            criu.word("--page-server").pair("--address", address).pair("--port", port);
        }
        Ok(criu)
    }

    pub(super) fn word(&mut self, word: &str) -> &mut Self {
        self.arguments.push(word.into());
        self
    }

    pub(super) fn pair(&mut self, word: &str, value: impl AsRef<OsStr>) -> &mut Self {
        self.arguments.push(word.into());
        self.arguments.push(value.as_ref().to_owned());
        self
    }

    /// Tells which mounts are not part of the image: with `source`, where they come from.
    pub(super) fn externals<'a>(&mut self, mounts: impl Iterator<Item = (&'a str, &'a str)>) -> &mut Self {
        for (target, name) in mounts {
            self.pair("--external", format!("mnt[{target}]:{name}"));
        }
        self
    }

    /// Runs it to its end.
    pub(super) fn run(&self) -> Result<()> {
        let output = std::process::Command::new(&self.program).args(&self.arguments).output();
        let output = output.map_err(|error| self.absent(&error))?;
        if output.status.success() { Ok(()) } else { Err(self.failed(&said(&output), output.status)) }
    }

    /// Why it could not be called.
    pub(super) fn absent(&self, error: &dyn std::error::Error) -> Failure {
        let (verb, program) = (self.verb, self.program.display());
        Failure::new(format!("{verb} takes the program criu: {program}: {}", crate::cause::chain(error)))
    }

    /// Why it failed, by the last errors of its log or, where it wrote none, by what it said.
    pub(super) fn failed(&self, said: &str, status: std::process::ExitStatus) -> Failure {
        let log = std::fs::read(&self.log).unwrap_or_default();
        let log = String::from_utf8_lossy(&log).into_owned();
        let errors: Vec<&str> = log.lines().filter(|line| line.contains("Error")).collect();
        let mut lines = if errors.is_empty() { said.lines().collect() } else { errors };
        lines.drain(..lines.len().saturating_sub(LINES));
        let reason = lines.iter().map(|line| line.trim()).collect::<Vec<_>>().join("; ");
        Failure::new(format!("criu {} failed, {status}: {reason} (log {})", self.verb, self.log.display()))
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned()
}

/// The folder of the image.
pub(super) fn images(given: &Parsed) -> Result<PathBuf> {
    absolute(&given.path("image-path").unwrap_or_else(|| "checkpoint".into()))
}

fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).map_err(Failure::during(path.display()))
}

/// The mounts of a configuration whose content is not the container's: what is bound from outside, and the null device
/// over masked files. Each by where it is, and where it comes from.
pub(super) fn outside(config: &Value, root: &Path) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let is_bind = |mount: &&Value| {
        let options = mount["options"].as_array().into_iter().flatten();
        mount["type"] == "bind" || options.into_iter().any(|option| option == "bind" || option == "rbind")
    };
    let mounts = config["mounts"].as_array().into_iter().flatten();
    let binds = mounts.filter(is_bind).map(|mount| (text(&mount["destination"]), text(&mount["source"])));
    let masked = config["linux"]["maskedPaths"].as_array().into_iter().flatten().map(text);
    // A folder is masked by an empty file system, which is part of the image.
    let is_file =
        |path: &String| std::fs::metadata(root.join(path.trim_start_matches('/'))).is_ok_and(|it| !it.is_dir());
    let masked = masked.filter(is_file).map(|path| (path, "/dev/null".to_owned()));
    binds.chain(masked).collect()
}

/// Where the standard descriptors of a process lead, as `/proc/PID/fd` shows it.
pub(super) fn descriptors(pid: u32) -> Result<Vec<String>> {
    let link = |number: u32| {
        let path = format!("/proc/{pid}/fd/{number}");
        match std::fs::read_link(&path) {
            Ok(target) => Ok(String::from_utf8_lossy(target.as_os_str().as_bytes()).into_owned()),
            // One that the program closed.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
            Err(error) => Err(Failure::during(path)(error)),
        }
    };
    (0..3).map(link).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::oci::cli::{GLOBAL, VERBS};

    fn call(verb: &str, line: &str, of: &'static str) -> Result<String> {
        let verb = VERBS.iter().find(|known| known.name == verb).unwrap();
        let given = Parsed::parse(verb.flags, line.split_whitespace().map(Into::into))?;
        let criu = Criu::new(&Parsed::parse(GLOBAL, ["--criu=/x/criu".into()])?, &given, of)?;
        assert_eq!(criu.program, "/x/criu");
        Ok(criu.arguments.join(OsStr::new(" ")).into_string().unwrap())
    }

    #[test]
    fn flags_are_passed_on_in_crius_words() {
        let line = "--image-path /i --work-path /w --parent-path ../p --leave-running --tcp-established --file-locks \
                    --ext-unix-sk --shell-job --link-remap --lazy-pages --auto-dedup --tcp-skip-in-flight \
                    --status-fd 5 --page-server 10.0.0.1:77 --manage-cgroups-mode strict --empty-ns network id";
        let expected = "dump --images-dir /i --work-dir /w --log-file dump.log -v4 --tcp-established --skip-in-flight \
                        --link-remap --ext-unix-sk --shell-job --lazy-pages --file-locks --auto-dedup --leave-running \
                        --status-fd 5 --prev-images-dir ../p --manage-cgroups=strict --empty-ns net --page-server \
                        --address 10.0.0.1 --port 77";
        assert_eq!(call("checkpoint", line, "dump").unwrap(), expected);
        let line = "--image-path /i --tcp-close --lsm-profile apparmor:x --lsm-mount-context c id";
        let expected = "restore --images-dir /i --work-dir /i --log-file restore.log -v4 --tcp-close --lsm-profile \
                        apparmor:x --lsm-mount-context c --manage-cgroups=soft";
        assert_eq!(call("restore", line, "restore").unwrap(), expected);
        for wrong in ["--manage-cgroups-mode hard id", "--empty-ns mount id", "--page-server 77 id"] {
            assert!(call("checkpoint", wrong, "dump").is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_comes_from_outside_is_found() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("proc/scsi")).unwrap();
        std::fs::write(folder.path().join("proc/keys"), "").unwrap();
        let config = json!({
            "mounts": [
                {"destination": "/a", "type": "bind", "source": "/x"},
                {"destination": "/b", "source": "/y", "options": ["rbind", "ro"]},
                {"destination": "/proc", "type": "proc", "source": "proc"},
            ],
            "linux": {"maskedPaths": ["/proc/keys", "/proc/scsi", "/proc/absent"]},
        });
        let found = outside(&config, folder.path());
        let found: Vec<(&str, &str)> =
            found.iter().map(|(target, source)| (target.as_str(), source.as_str())).collect();
        assert_eq!(found, [("/a", "/x"), ("/b", "/y"), ("/proc/keys", "/dev/null")]);
    }
}
