//! Options that are more than a word or a number, as they are typed.

use std::path::PathBuf;

use windlass_namespaces::landlock::Ruleset;

use super::record::{NetworkMode, Ulimit};
use super::{launch, limits};

/// `--network` as it was typed: a container is looked up later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Network {
    Mode(NetworkMode),
    OfContainer(String),
}

/// Reads `--network`.
pub(super) fn network(text: &str) -> Result<Network, String> {
    Ok(match text.split_once(':') {
        Some(("container", name)) if !name.is_empty() => Network::OfContainer(name.to_owned()),
        _ => Network::Mode(match text {
            "none" => NetworkMode::None,
            "host" => NetworkMode::Host,
            "bridge" => NetworkMode::Bridge,
            _ => return Err(format!("{text:?} is none of none, host, bridge, container:NAME")),
        }),
    })
}

/// Reads `--network` of `build`.
pub(super) fn network_of_build(text: &str) -> Result<NetworkMode, String> {
    match network(text)? {
        Network::Mode(mode) => Ok(mode),
        Network::OfContainer(_) => Err(format!("{text:?} is none of none, host, bridge")),
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SecurityOption {
    SeccompUnconfined,
    /// The policy of a file.
    Seccomp(PathBuf),
    NoNewPrivileges,
}

/// Reads `--security-opt`.
pub(super) fn security_option(text: &str) -> Result<SecurityOption, String> {
    match text {
        "seccomp=unconfined" | "seccomp:unconfined" => Ok(SecurityOption::SeccompUnconfined),
        "no-new-privileges" | "no-new-privileges=true" | "no-new-privileges:true" => {
            Ok(SecurityOption::NoNewPrivileges)
        }
        _ => match text.strip_prefix("seccomp=").or_else(|| text.strip_prefix("seccomp:")) {
            Some(path) if !path.is_empty() => Ok(SecurityOption::Seccomp(path.into())),
            _ => Err(format!("{text:?} is none of seccomp=unconfined, seccomp=FILE, no-new-privileges")),
        },
    }
}

/// Reads `--landlock`, which is kept as text.
pub(super) fn landlock(text: &str) -> Result<String, String> {
    text.parse::<Ruleset>().map(|_| text.to_owned()).map_err(|error| error.to_string())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LogOption {
    MaxSize(u64),
    MaxFile(u32),
}

/// Reads `--log-opt`.
pub(super) fn log_option(text: &str) -> Result<LogOption, String> {
    match text.split_once('=') {
        Some(("max-size", size)) => match limits::bytes(size)? {
            0..1024 => Err(format!("max-size={size}: less than 1k holds no line")),
            size => Ok(LogOption::MaxSize(size)),
        },
        Some(("max-file", number)) => match number.parse() {
            Ok(number @ 1..=1000) => Ok(LogOption::MaxFile(number)),
            _ => Err(format!("max-file={number} is not from 1 to 1000")),
        },
        _ => Err(format!("{text:?} is neither max-size=BYTES nor max-file=NUMBER")),
    }
}

/// Reads `--ulimit`.
pub(super) fn ulimit(text: &str) -> Result<Ulimit, String> {
    let (name, values) = text.split_once('=').ok_or_else(|| format!("{text:?} is not NAME=SOFT[:HARD]"))?;
    launch::resource(name).map_err(|failure| failure.to_string())?;
    let (soft, hard) = values.split_once(':').unwrap_or((values, values));
    let value = |text: &str| match text {
        "-1" | "unlimited" => Ok(None),
        number => number.parse().map(Some).map_err(|_| format!("{number:?} is no limit: a number, or -1 for none")),
    };
    let ulimit = Ulimit { name: name.to_owned(), soft: value(soft)?, hard: value(hard)? };
    match (ulimit.soft, ulimit.hard) {
        (soft, Some(hard)) if soft.is_none_or(|soft| soft > hard) => {
            Err(format!("{text:?}: the soft limit is above the hard one"))
        }
        _ => Ok(ulimit),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_have_names() {
        assert_eq!(network("container:web"), Ok(Network::OfContainer("web".to_owned())));
        for wrong in ["", "nat", "container:", "bridge:x"] {
            assert!(network(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn ulimits_have_two_sides() {
        assert_eq!(ulimit("nofile=10:20"), Ok(Ulimit { name: "nofile".to_owned(), soft: Some(10), hard: Some(20) }));
        assert_eq!(ulimit("core=-1"), Ok(Ulimit { name: "core".to_owned(), soft: None, hard: None }));
        for wrong in ["nofile", "nofile=", "files=1", "nofile=20:10", "nofile=-1:10"] {
            assert!(ulimit(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn logs_have_limits() {
        assert_eq!(log_option("max-size=1m"), Ok(LogOption::MaxSize(1 << 20)));
        for wrong in ["max-size=1", "max-file=0", "max-file=x", "driver=x"] {
            assert!(log_option(wrong).is_err(), "{wrong:?}");
        }
    }
}
