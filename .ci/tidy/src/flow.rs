//! The one way that data flows: pure rooms do not reach the world, and do not import the shell.

use crate::cycle::imports;
use crate::source::{Source, Violation};

/// What one crate's modules may do.
#[derive(Debug, Clone, Copy)]
pub struct Rooms<'a> {
    /// Modules (`a` or `a/b`) that may reach the world, every other one is pure; `None` for an application.
    pub shell: Option<&'a [&'a str]>,
    /// Rooms of which none may import another.
    pub apart: &'a [&'a str],
}

/// Parts of `std` through which a module reaches the world.
const WORLD: [&[&str]; 14] = [
    &["std", "fs"],
    &["std", "env"],
    &["std", "net", "TcpListener"],
    &["std", "net", "TcpStream"],
    &["std", "net", "ToSocketAddrs"],
    &["std", "net", "UdpSocket"],
    &["std", "os", "unix", "net"],
    &["std", "process", "Command"],
    &["std", "process", "exit"],
    &["std", "process", "id"],
    &["std", "thread"],
    &["std", "time", "Instant"],
    &["std", "time", "SystemTime"],
    &["std", "collections", "hash_map", "RandomState"],
];

/// Violations of the flow in one crate.
pub fn flows(sources: &[Source], rooms: Rooms<'_>) -> Vec<Violation> {
    let mut found = Vec::new();
    for source in sources {
        let room = source.module.join("/");
        let shell = rooms.shell.unwrap_or_default();
        let is_pure = rooms.shell.is_some() && !room.is_empty() && !shell.iter().any(|shell| within(&room, shell));
        if is_pure {
            for path in world(source) {
                found.push(source.violation(0, format!("a pure module uses {path}")));
            }
        }
        for target in imports(source) {
            let target = target.join("/");
            if is_pure && shell.iter().any(|shell| within(&target, shell)) {
                found.push(source.violation(0, format!("a pure module imports the shell: {target}")));
            }
            let from = rooms.apart.iter().find(|apart| within(&room, apart));
            let to = rooms.apart.iter().find(|apart| within(&target, apart));
            if let (Some(from), Some(to)) = (from, to)
                && from != to
            {
                found.push(source.violation(0, format!("`{from}` imports `{to}`: they know only the registry")));
            }
        }
    }
    found
}

fn within(module: &str, room: &str) -> bool {
    module == room || module.strip_prefix(room).is_some_and(|rest| rest.starts_with('/'))
}

fn world(source: &Source) -> Vec<String> {
    let reaches = |path: &Vec<String>| {
        WORLD.iter().any(|world| path.iter().zip(*world).filter(|(a, b)| a == b).count() == world.len())
    };
    source.paths().iter().filter(|path| reaches(path)).map(|path| path.join("::")).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn judge(path: &str, text: &str) -> Vec<String> {
        let source = Source::parse(&Path::new("x/src").join(path), Path::new("x/src"), text).unwrap();
        let rooms = Rooms { shell: Some(&["spawn", "build/run"]), apart: &["store", "agent"] };
        flows(&[source], rooms).into_iter().map(|violation| violation.message).collect()
    }

    #[test]
    fn a_pure_module_does_not_reach_the_world() {
        assert_eq!(judge("plan.rs", "use std::{fmt, fs::File};"), ["a pure module uses std::fs::File"]);
        assert_eq!(
            judge("plan.rs", "fn f() { std::time::Instant::now(); }"),
            ["a pure module uses std::time::Instant::now"]
        );
        assert_eq!(judge("plan.rs", "use crate::spawn::Child;"), ["a pure module imports the shell: spawn/Child"]);
        assert!(judge("spawn.rs", "use std::fs::File;").is_empty());
        assert!(judge("build/run.rs", "use std::fs::File;").is_empty());
        assert!(judge("plan.rs", "use std::time::Duration;").is_empty());
    }

    #[test]
    fn rooms_stay_apart() {
        assert_eq!(
            judge("agent/sync.rs", "use crate::store::Store;"),
            ["`agent` imports `store`: they know only the registry"]
        );
        assert!(judge("agent/sync.rs", "use crate::registry::Registry;").is_empty());
    }
}
