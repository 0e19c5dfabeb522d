//! From the command line and the image to a container's configuration.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use windlass_image::Image;
use windlass_namespaces::Signal;

use super::cli::Options;
use super::clock::Time;
use super::containers::Containers;
use super::failure::Failure;
use super::mounts::{self, Mounted, Source};
use super::option::{LogOption, Network, SecurityOption};
use super::record::{Config, Limits, LogLimits, NetworkMode, Security};
use super::restart_policy::RestartPolicy;
use super::{launch, limits, seccomp};

const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What was typed of limits.
pub(super) fn recorded_limits(typed: &super::cli::Limits) -> Limits {
    Limits {
        millicores: typed.cpus,
        cpu_shares: typed.cpu_shares,
        cpuset_cpus: typed.cpuset_cpus.clone(),
        memory: typed.memory,
        memory_reservation: typed.memory_reservation,
        memory_swap: typed.memory_swap,
        pids: typed.pids_limit,
        device_read_bps: typed.device_read_bps.clone(),
        device_write_bps: typed.device_write_bps.clone(),
    }
}

/// The configuration of a new container.
pub(super) fn config(options: &Options, image: &Image, id: &str, containers: &Containers) -> Result<Config, Failure> {
    let execution = image.config.execution();
    if options.rm && options.restart != RestartPolicy::No {
        return Err(Failure::new(format!(
            "--rm and --restart {}: a container that is started again is not removed",
            options.restart
        )));
    }
    let name = match &options.name {
        Some(name) => mounts::volume_name(name).map_err(|reason| Failure::new(format!("--name: {reason}")))?,
        None => id.to_owned(),
    };
    let hostname = options.hostname.clone().unwrap_or_else(|| id.to_owned());
    let network = match &options.network {
        Network::Mode(mode) => mode.clone(),
        Network::OfContainer(name) => NetworkMode::Container(containers.find(name)?.0.id),
    };
    let stop_signal = match (options.stop_signal, &execution.stop_signal) {
        (Some(signal), _) => signal,
        (None, Some(signal)) => {
            signal.parse().map_err(Failure::during(format_args!("the image's stop signal {signal}")))?
        }
        (None, None) => Signal::TERM,
    };
    let mut log = LogLimits::default();
    for option in &options.log_opt {
        match option {
            LogOption::MaxSize(bytes) => log.bytes_max = *bytes,
            LogOption::MaxFile(files) => log.files_max = *files,
        }
    }
    let config = Config {
        id: id.to_owned(),
        name,
        created: Time::now(),
        image: options.image.clone(),
        image_digest: image.digest().to_string(),
        command: command(options, image)?,
        env: environment(options, &execution.env, &hostname)?,
        user: options.user.clone().or_else(|| execution.user.clone()),
        working_dir: working_dir(options, execution.working_dir.as_deref())?,
        hostname,
        terminal: options.tty,
        stdin: options.interactive,
        mounts: mounted(options, &execution.volumes)?,
        read_only: options.read_only,
        network,
        ports: options.publish.clone(),
        limits: recorded_limits(&options.limits),
        devices: options.device.clone(),
        security: security(options)?,
        ulimits: options.ulimit.clone(),
        init: options.init,
        restart: options.restart,
        stop_signal: stop_signal.to_string(),
        stop_timeout_seconds: options.stop_timeout,
        labels: labels(options, &execution.labels),
        remove: options.rm,
        log,
        baseline: Vec::new(),
    };
    check(&config)?;
    Ok(config)
}

/// What can be known to be wrong before anything is made.
fn check(config: &Config) -> Result<(), Failure> {
    super::network::check(config)?;
    let capabilities = launch::capabilities(&config.security)?;
    launch::policy(&config.security, capabilities)?;
    limits::resources(&config.limits)?;
    limits::device_filter(&config.devices).map(drop)
}

fn command(options: &Options, image: &Image) -> Result<Vec<String>, Failure> {
    let execution = image.config.execution();
    let command: Vec<String> = match &options.entrypoint {
        Some(program) if !program.is_empty() => [program].into_iter().chain(&options.command).cloned().collect(),
        // Empty takes the image's away.
        Some(_) => options.command.clone(),
        None if options.command.is_empty() => execution.command_line().map(str::to_owned).collect(),
        None => execution.entrypoint.iter().chain(&options.command).cloned().collect(),
    };
    if command.is_empty() {
        return Err(Failure::new(format!("the image {} names no command: give one after it", options.image)));
    }
    Ok(command)
}

fn working_dir(options: &Options, of_image: Option<&str>) -> Result<Option<PathBuf>, Failure> {
    match options.workdir.clone().or_else(|| of_image.map(PathBuf::from)) {
        Some(path) if !path.is_absolute() => {
            Err(Failure::new(format!("--workdir {}: it must begin with a slash", path.display())))
        }
        path => Ok(path),
    }
}

/// The image's variables, those of files, then those given one by one; a later value counts.
fn environment(options: &Options, of_image: &[String], hostname: &str) -> Result<Vec<(String, String)>, Failure> {
    let mut found: Vec<(String, String)> =
        vec![("PATH".to_owned(), DEFAULT_PATH.to_owned()), ("HOSTNAME".to_owned(), hostname.to_owned())];
    if options.tty {
        found.push(("TERM".to_owned(), "xterm".to_owned()));
    }
    let mut given: Vec<String> = of_image.to_vec();
    for file in &options.env_file {
        given.extend(env_file(file)?);
    }
    given.extend(options.env.iter().cloned());
    for variable in &given {
        set_variable(&mut found, variable)?;
    }
    Ok(found)
}

/// `NAME=VALUE`, or `NAME` for this process's own value, and nothing where it has none.
pub(super) fn set_variable(found: &mut Vec<(String, String)>, variable: &str) -> Result<(), Failure> {
    let (name, value) = match variable.split_once('=') {
        Some((name, value)) => (name, Some(value.to_owned())),
        None => (variable, std::env::var(variable).ok()),
    };
    if name.is_empty() {
        return Err(Failure::new(format!("--env {variable}: it has no name")));
    }
    let Some(value) = value else { return Ok(()) };
    match found.iter_mut().find(|(known, _)| known == name) {
        Some((_, known)) => *known = value,
        None => found.push((name.to_owned(), value)),
    }
    Ok(())
}

fn env_file(path: &Path) -> Result<Vec<String>, Failure> {
    let text = std::fs::read_to_string(path).map_err(Failure::during(format_args!("--env-file {}", path.display())))?;
    let lines = text.lines().map(str::trim_start).filter(|line| !line.is_empty() && !line.starts_with('#'));
    Ok(lines.map(str::to_owned).collect())
}

/// What was given, and a volume for each of the image's that nothing was given for.
fn mounted(options: &Options, of_image: &[String]) -> Result<Vec<Mounted>, Failure> {
    let given = options.volume.iter().chain(&options.mount).chain(&options.tmpfs);
    let mut found: Vec<Mounted> = given.cloned().collect();
    for volume in of_image {
        let volume = mounts::volume(volume).map_err(|reason| Failure::new(format!("the image's volume: {reason}")))?;
        if !found.iter().any(|mounted| mounted.target == volume.target) {
            found.push(volume);
        }
    }
    for (at, mounted) in found.iter().enumerate() {
        if found[..at].iter().any(|other| other.target == mounted.target) {
            return Err(Failure::new(format!("two mounts at {}", mounted.target.display())));
        }
    }
    // What is mounted on another mount comes after it.
    found.sort_by_key(|mounted| mounted.target.components().count());
    debug_assert!(found.iter().all(|mounted| !matches!(&mounted.source, Source::Volume(name) if name.is_empty())));
    Ok(found)
}

fn security(options: &Options) -> Result<Security, Failure> {
    let file = options.security_opt.iter().rev().find_map(|option| match option {
        SecurityOption::Seccomp(path) => Some(path),
        SecurityOption::SeccompUnconfined | SecurityOption::NoNewPrivileges => None,
    });
    Ok(Security {
        privileged: options.privileged,
        cap_add: options.cap_add.clone(),
        cap_drop: options.cap_drop.clone(),
        no_new_privileges: options.security_opt.contains(&SecurityOption::NoNewPrivileges),
        seccomp_unconfined: options.security_opt.contains(&SecurityOption::SeccompUnconfined),
        seccomp: file.map(|path| seccomp::read(path)).transpose()?,
        landlock: options.landlock.clone(),
    })
}

fn labels(options: &Options, of_image: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut labels = of_image.clone();
    for label in &options.label {
        let (name, value) = label.split_once('=').unwrap_or((label, ""));
        labels.insert(name.to_owned(), value.to_owned());
    }
    labels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_variable_counts() {
        let mut found = vec![("A".to_owned(), "1".to_owned())];
        set_variable(&mut found, "A=2=3").unwrap();
        set_variable(&mut found, "WINDLASS_TEST_ABSENT").unwrap();
        assert_eq!(found, [("A".to_owned(), "2=3".to_owned())]);
        assert!(set_variable(&mut found, "=x").is_err());
    }
}
