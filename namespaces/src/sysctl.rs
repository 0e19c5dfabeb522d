//! Names of kernel settings, and the namespace that each belongs to.

use crate::kind::Namespace;

/// Settings of the ipc namespace directly below `kernel`.
const IPC: [&str; 12] = [
    "auto_msgmni",
    "msg_next_id",
    "msgmax",
    "msgmnb",
    "msgmni",
    "sem",
    "sem_next_id",
    "shm_next_id",
    "shm_rmid_forced",
    "shmall",
    "shmmax",
    "shmmni",
];

/// The path below `/proc/sys` of a setting: what comes first of dot and slash separates, and the other one belongs to
/// names, as in `net/ipv4/conf/eth0.5/forwarding` or `net.ipv4.conf.eth0/5.forwarding`.
///
/// `None` for a name that is empty, or has an empty part or one that leads elsewhere.
pub(crate) fn path(name: &str) -> Option<String> {
    let separator = name.chars().find(|character| matches!(character, '.' | '/'))?;
    let path: String = match separator {
        '/' => name.to_owned(),
        _ => name
            .chars()
            .map(|character| match character {
                '.' => '/',
                '/' => '.',
                other => other,
            })
            .collect(),
    };
    let is_name = |part: &str| !matches!(part, "" | "." | "..") && !part.contains('\0');
    path.split('/').all(is_name).then_some(path)
}

/// The namespace that keeps the setting at this path for itself; `None` for one of the whole machine.
pub(crate) fn owner(path: &str) -> Option<Namespace> {
    let (folder, rest) = path.split_once('/')?;
    match (folder, rest) {
        ("net", _) => Some(Namespace::Net),
        ("user", _) => Some(Namespace::User),
        ("fs", rest) if rest.starts_with("mqueue/") => Some(Namespace::Ipc),
        ("kernel", "hostname" | "domainname") => Some(Namespace::Uts),
        ("kernel", "ns_last_pid") => Some(Namespace::Pid),
        ("kernel", rest) if IPC.contains(&rest) => Some(Namespace::Ipc),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn either_separator_comes_first() {
        for (name, expected) in [
            ("net.ipv4.ip_forward", "net/ipv4/ip_forward"),
            ("net/ipv4/conf/eth0.5/forwarding", "net/ipv4/conf/eth0.5/forwarding"),
            ("net.ipv4.conf.eth0/5.forwarding", "net/ipv4/conf/eth0.5/forwarding"),
        ] {
            assert_eq!(path(name).as_deref(), Some(expected));
        }
        for name in ["", "net", "net..x", "net/../kernel/core_pattern", "/net/x", "net/./x", "net.ipv4./", "a.b\0"] {
            assert_eq!(path(name), None, "{name:?}");
        }
        // Dots turned into slashes make no way up either.
        assert_eq!(path("net.//.kernel.core_pattern"), None);
    }

    #[test]
    fn settings_of_the_machine_have_no_owner() {
        for (path, expected) in [
            ("net/core/somaxconn", Some(Namespace::Net)),
            ("kernel/shmmax", Some(Namespace::Ipc)),
            ("fs/mqueue/msg_max", Some(Namespace::Ipc)),
            ("kernel/domainname", Some(Namespace::Uts)),
            ("kernel/core_pattern", None),
            ("kernel/shmmax/x", None),
            ("fs/file-max", None),
            ("vm/swappiness", None),
            ("network/x", None),
        ] {
            assert_eq!(owner(path), expected, "{path}");
        }
    }
}
