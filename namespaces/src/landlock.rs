//! Rules of Landlock: what files, ports and processes a program may reach, whatever its user and capabilities allow.
//!
//! Every access is a bit of the kernel's number; the names here stand for bits, and a kernel that knows more of them can
//! be told by number.
//!
//! ```
//! use windlass_namespaces::landlock::{FilesystemAccess, Ruleset};
//!
//! let mut rules = Ruleset::new();
//! rules.handle_filesystem(FilesystemAccess::ALL).allow_path("/usr", FilesystemAccess::READ | FilesystemAccess::EXECUTE);
//! let same: Ruleset = "read+execute:/usr".parse()?;
//! assert_eq!(rules, same);
//! # Ok::<(), windlass_namespaces::landlock::ParseLandlockError>(())
//! ```
//!
//! Source: `landlock(7)`.

use std::fmt;
use std::ops::BitOr;
use std::path::PathBuf;
use std::str::FromStr;

/// Why a text is no access or rule of Landlock.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not {what}")]
pub struct ParseLandlockError {
    text: String,
    what: &'static str,
}

fn refuse(text: &str, what: &'static str) -> ParseLandlockError {
    ParseLandlockError { text: text.to_owned(), what }
}

macro_rules! mask {
    (
        $(#[$doc:meta])* $name:ident, $what:literal,
        bits { $($(#[$bit_doc:meta])* $bit:ident = $shift:literal $text:literal since $abi:literal),* $(,)? }
        groups { $($(#[$group_doc:meta])* $group:ident = $group_text:literal [$($member:ident)*]),* $(,)? }
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        pub struct $name(u64);

        impl $name {
            $($(#[$bit_doc])* pub const $bit: Self = Self(1 << $shift);)*
            $($(#[$group_doc])* pub const $group: Self = Self(0 $(| Self::$member.0)*);)*
            /// Every one that has a name here.
            pub const ALL: Self = Self(0 $(| Self::$bit.0)*);
            const NAMES: &'static [(&'static str, Self)] = &[$(($text, Self::$bit)),*];
            const GROUPS: &'static [(&'static str, Self)] = &[$(($group_text, Self::$group),)* ("all", Self::ALL)];

            /// By the kernel's number, which may hold more than has a name here.
            pub const fn from_bits(bits: u64) -> Self {
                Self(bits)
            }

            /// The kernel's number.
            pub const fn bits(self) -> u64 {
                self.0
            }

            /// Whether it holds none.
            pub const fn is_empty(self) -> bool {
                self.0 == 0
            }

            /// What the kernel knows with this version of the interface. A bit without a name here is left to the kernel.
            pub(crate) const fn known_to(abi: u32) -> u64 {
                let newest = $crate::landlock::newest(&[$($abi),*]);
                (0 $(| if abi >= $abi { Self::$bit.0 } else { 0 })*) | if abi > newest { !Self::ALL.0 } else { 0 }
            }
        }

        impl BitOr for $name {
            type Output = Self;

            fn bitor(self, other: Self) -> Self {
                Self(self.0 | other.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let unnamed = self.0 & !Self::ALL.0;
                let named = Self::NAMES.iter().filter(|(_, bit)| self.0 & bit.0 != 0).map(|(name, _)| (*name).to_owned());
                let rest = (unnamed != 0 || self.0 == 0).then(|| format!("{unnamed:#x}"));
                f.write_str(&named.chain(rest).collect::<Vec<_>>().join("+"))
            }
        }

        impl FromStr for $name {
            type Err = ParseLandlockError;

            /// Names and numbers joined by `+`.
            fn from_str(text: &str) -> Result<Self, ParseLandlockError> {
                text.split('+').try_fold(Self(0), |sum, part| {
                    let named = Self::NAMES.iter().chain(Self::GROUPS).find(|(name, _)| *name == part);
                    let access = named.map(|(_, access)| *access).or_else(|| number(part).map(Self));
                    access.map(|access| sum | access).ok_or_else(|| refuse(part, $what))
                })
            }
        }
    };
}

/// A decimal or hexadecimal number.
fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_hexdigit()) => u64::from_str_radix(digits, 16).ok(),
        None if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().ok(),
        _ => None,
    }
}

const fn newest(versions: &[u32]) -> u32 {
    let mut newest = 0;
    let mut at = 0;
    while at < versions.len() {
        if versions[at] > newest {
            newest = versions[at];
        }
        at += 1;
    }
    newest
}

mask!(
    /// What can be done with files.
    FilesystemAccess, "an access to files",
    bits {
        /// Execute a file.
        EXECUTE = 0 "execute" since 1,
        /// Open a file for writing.
        WRITE_FILE = 1 "write_file" since 1,
        /// Open a file for reading.
        READ_FILE = 2 "read_file" since 1,
        /// List a directory.
        READ_DIR = 3 "read_dir" since 1,
        /// Remove an empty directory, or rename one.
        REMOVE_DIR = 4 "remove_dir" since 1,
        /// Unlink or rename a file.
        REMOVE_FILE = 5 "remove_file" since 1,
        /// Make a character device.
        MAKE_CHAR = 6 "make_char" since 1,
        /// Make a directory.
        MAKE_DIR = 7 "make_dir" since 1,
        /// Make a regular file.
        MAKE_REG = 8 "make_reg" since 1,
        /// Make a socket.
        MAKE_SOCK = 9 "make_sock" since 1,
        /// Make a named pipe.
        MAKE_FIFO = 10 "make_fifo" since 1,
        /// Make a block device.
        MAKE_BLOCK = 11 "make_block" since 1,
        /// Make a symbolic link.
        MAKE_SYM = 12 "make_sym" since 1,
        /// Link or rename from one directory to another.
        REFER = 13 "refer" since 2,
        /// Truncate a file.
        TRUNCATE = 14 "truncate" since 3,
        /// Control an opened device.
        IOCTL_DEV = 15 "ioctl_dev" since 5,
    }
    groups {
        /// Read files and list directories.
        READ = "read" [READ_FILE READ_DIR],
        /// Write, make, remove and rename everything but devices.
        WRITE = "write" [WRITE_FILE REMOVE_DIR REMOVE_FILE MAKE_DIR MAKE_REG MAKE_SOCK MAKE_FIFO MAKE_SYM REFER TRUNCATE],
    }
);

impl FilesystemAccess {
    /// What a rule for a single file can allow.
    pub(crate) const OF_FILES: u64 =
        Self::EXECUTE.0 | Self::WRITE_FILE.0 | Self::READ_FILE.0 | Self::TRUNCATE.0 | Self::IOCTL_DEV.0 | !Self::ALL.0;
}

mask!(
    /// What can be done with ports.
    NetworkAccess, "an access to ports",
    bits {
        /// Bind a TCP socket to a port.
        BIND_TCP = 0 "bind_tcp" since 4,
        /// Connect a TCP socket to a port.
        CONNECT_TCP = 1 "connect_tcp" since 4,
    }
    groups {}
);

mask!(
    /// What ends at the program and its descendants.
    Scope, "a scope",
    bits {
        /// Connections to abstract unix sockets.
        ABSTRACT_UNIX_SOCKET = 0 "abstract_unix_socket" since 6,
        /// Signals.
        SIGNAL = 1 "signal" since 6,
    }
    groups {}
);

/// What to do where the kernel knows less than is asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Enforcement {
    /// Confine as far as the kernel can, and tell the rest as [`Notice::Landlock`](crate::Notice::Landlock).
    #[default]
    BestEffort,
    /// Fail.
    Strict,
}

/// What becomes of a rule whose path does not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missing {
    Fail,
    Skip,
}

/// One allowance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Rule {
    Path { path: PathBuf, access: FilesystemAccess, missing: Missing },
    Port { port: u16, access: NetworkAccess },
}

/// What a program is denied, and the rules that allow parts of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ruleset {
    pub(crate) filesystem: FilesystemAccess,
    pub(crate) network: NetworkAccess,
    pub(crate) scope: Scope,
    pub(crate) rules: Vec<Rule>,
    pub(crate) enforcement: Enforcement,
}

impl Ruleset {
    /// One that denies nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Denies these accesses to files, but for what rules allow.
    pub fn handle_filesystem(&mut self, access: FilesystemAccess) -> &mut Self {
        self.filesystem = self.filesystem | access;
        self
    }

    /// Denies these accesses to ports, but for what rules allow.
    pub fn handle_network(&mut self, access: NetworkAccess) -> &mut Self {
        self.network = self.network | access;
        self
    }

    /// Lets these end at the program and its descendants.
    pub fn scope(&mut self, scope: Scope) -> &mut Self {
        self.scope = self.scope | scope;
        self
    }

    /// Allows these accesses to a file, or to all below a directory; the path is one inside the root file system.
    ///
    /// For a file that is no directory, what only directories have is left out.
    pub fn allow_path(&mut self, path: impl Into<PathBuf>, access: FilesystemAccess) -> &mut Self {
        self.rules.push(Rule::Path { path: path.into(), access, missing: Missing::Fail });
        self
    }

    /// The same where the path exists.
    pub fn allow_path_if_present(&mut self, path: impl Into<PathBuf>, access: FilesystemAccess) -> &mut Self {
        self.rules.push(Rule::Path { path: path.into(), access, missing: Missing::Skip });
        self
    }

    /// Allows these accesses to a TCP port.
    pub fn allow_port(&mut self, port: u16, access: NetworkAccess) -> &mut Self {
        self.rules.push(Rule::Port { port, access });
        self
    }

    /// What to do where the kernel knows less than is asked for.
    pub fn enforcement(&mut self, enforcement: Enforcement) -> &mut Self {
        self.enforcement = enforcement;
        self
    }
}

impl FromStr for Ruleset {
    type Err = ParseLandlockError;

    /// Parts joined by commas:
    ///
    /// - `ACCESS:/PATH` allows accesses by names or numbers joined by `+` (`read+execute:/usr`, `0xc:/srv`); with `?`
    ///   before the path, where it exists. The first denies all others to files.
    /// - `bind:PORT` and `connect:PORT` allow a port, and deny all others.
    /// - `handle:ACCESS` denies these accesses to files and no others, `network:ACCESS` to ports.
    /// - `scope:SCOPE`, as in `scope:signal`.
    /// - `strict`: see [`Enforcement::Strict`].
    fn from_str(text: &str) -> Result<Self, ParseLandlockError> {
        let mut rules = Self::new();
        let mut handled: Option<FilesystemAccess> = None;
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let Some((what, object)) = part.split_once(':') else {
                match part {
                    "strict" => rules.enforcement(Enforcement::Strict),
                    _ => return Err(refuse(part, "a rule of Landlock")),
                };
                continue;
            };
            let port = || object.parse::<u16>().map_err(|_| refuse(object, "a port"));
            match what {
                "bind" => rules.handle_network(NetworkAccess::BIND_TCP).allow_port(port()?, NetworkAccess::BIND_TCP),
                "connect" => {
                    rules.handle_network(NetworkAccess::CONNECT_TCP).allow_port(port()?, NetworkAccess::CONNECT_TCP)
                }
                "handle" => {
                    handled = Some(handled.unwrap_or_default() | object.parse()?);
                    &mut rules
                }
                "network" => rules.handle_network(object.parse()?),
                "scope" => rules.scope(object.parse()?),
                access => rules.allow_text(access.parse()?, object)?,
            };
        }
        let has_paths = rules.rules.iter().any(|rule| matches!(rule, Rule::Path { .. }));
        let default = if has_paths { FilesystemAccess::ALL } else { FilesystemAccess::default() };
        rules.handle_filesystem(handled.unwrap_or(default));
        Ok(rules)
    }
}

impl Ruleset {
    fn allow_text(&mut self, access: FilesystemAccess, object: &str) -> Result<&mut Self, ParseLandlockError> {
        let (path, optional) = match object.strip_prefix('?') {
            Some(path) => (path, true),
            None => (object, false),
        };
        if !path.starts_with('/') {
            return Err(refuse(object, "an absolute path"));
        }
        Ok(if optional { self.allow_path_if_present(path, access) } else { self.allow_path(path, access) })
    }
}

/// Accesses that were asked for and that the kernel does not know.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unsupported {
    /// The version of the kernel's interface; 0 where there is none.
    pub abi: u32,
    /// To files.
    pub filesystem: FilesystemAccess,
    /// To ports.
    pub network: NetworkAccess,
    /// Scopes.
    pub scope: Scope,
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Landlock version {} of this kernel does not know:", self.abi)?;
        let parts = [
            (!self.filesystem.is_empty()).then(|| self.filesystem.to_string()),
            (!self.network.is_empty()).then(|| self.network.to_string()),
            (!self.scope.is_empty()).then(|| self.scope.to_string()),
        ];
        parts.into_iter().flatten().try_for_each(|part| write!(f, " {part}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_are_names_and_numbers() {
        for (text, bits, printed) in [
            ("read", 0xc, "read_file+read_dir"),
            ("execute+0x4", 0x5, "execute+read_file"),
            ("all", 0xffff, FilesystemAccess::ALL.to_string().as_str()),
            ("65536+execute", 0x1_0001, "execute+0x10000"),
            ("0", 0, "0x0"),
        ] {
            let access: FilesystemAccess = text.parse().unwrap();
            assert_eq!((access.bits(), access.to_string().as_str()), (bits, printed));
            assert_eq!(access.to_string().parse::<FilesystemAccess>().unwrap(), access);
        }
        for text in ["", "reading", "read+", "-1", "0x", "+1", "0x1g", "99999999999999999999"] {
            assert!(text.parse::<FilesystemAccess>().is_err() || text == "0x", "{text:?}");
        }
    }

    #[test]
    fn an_older_kernel_knows_less() {
        for (abi, bits) in [(0, 0), (1, 0x1fff), (2, 0x3fff), (3, 0x7fff), (4, 0x7fff), (5, 0xffff)] {
            assert_eq!(FilesystemAccess::known_to(abi), bits, "{abi}");
        }
        // What a newer one added is for it to judge.
        assert_eq!(FilesystemAccess::known_to(6), u64::MAX);
        assert_eq!((NetworkAccess::known_to(3), NetworkAccess::known_to(4)), (0, 3));
        assert_eq!((Scope::known_to(5), Scope::known_to(6)), (0, 3));
    }

    #[test]
    fn rules_are_text() {
        let rules: Ruleset = "read+execute:/usr, write+read:?/srv/x:y,connect:443,scope:signal,strict".parse().unwrap();
        assert_eq!(rules.filesystem, FilesystemAccess::ALL);
        assert_eq!((rules.network, rules.scope), (NetworkAccess::CONNECT_TCP, Scope::SIGNAL));
        assert_eq!(rules.enforcement, Enforcement::Strict);
        let [_, Rule::Path { path, missing: Missing::Skip, .. }, Rule::Port { port: 443, .. }] = &rules.rules[..]
        else {
            panic!("{rules:?}");
        };
        assert_eq!(path.to_str(), Some("/srv/x:y"));
        let rules: Ruleset = "handle:0x2,network:bind_tcp".parse().unwrap();
        assert_eq!((rules.filesystem.bits(), rules.network.bits()), (2, 1));
        assert_eq!("".parse(), Ok(Ruleset::new()));
        for text in ["loose", "read:usr", "read:", "bind:70000", "bind:x", "scope:x", "nothing:/x", "connect:-1"] {
            assert!(text.parse::<Ruleset>().is_err(), "{text:?}");
        }
    }
}
