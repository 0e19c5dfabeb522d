//! `spec`: a configuration to start from.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;

use super::bundle::CONFIG;
use super::failure::{Failure, Result};

const DEFAULT: &str = include_str!("spec/default.json");

/// For whom a configuration is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum For {
    Root,
    /// An ordinary user and group of these numbers.
    User(u32, u32),
}

pub(super) fn spec(bundle: Option<&Path>, whom: For) -> Result<()> {
    let file = bundle.unwrap_or(Path::new(".")).join(CONFIG);
    let opened = OpenOptions::new().write(true).create_new(true).open(&file);
    let mut opened = match opened {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            return Err(Failure::new(format!("file {} exists, remove it first", file.display())));
        }
        opened => opened.map_err(Failure::during(file.display()))?,
    };
    opened.write_all(text(whom).as_bytes()).map_err(Failure::during(file.display()))
}

fn text(whom: For) -> String {
    let For::User(uid, gid) = whom else { return DEFAULT.to_owned() };
    let mapping = |field: &str, id: u32| {
        format!(
            "\t\t\"{field}\": [\n\t\t\t{{\n\t\t\t\t\"containerID\": 0,\n\t\t\t\t\"hostID\": {id},\n\t\t\t\t\"size\": \
             1\n\t\t\t}}\n\t\t],\n"
        )
    };
    let mappings = mapping("uidMappings", uid) + &mapping("gidMappings", gid);
    // The group of terminals is not mapped, a network without the user's own namespace shows no other sysfs, and limits
    // are not the user's to set.
    DEFAULT
        .replace(", \"gid=5\"", "")
        .replace(
            "\"type\": \"sysfs\",\n\t\t\t\"source\": \"sysfs\",\n\t\t\t\"options\": [\"nosuid\", ",
            "\"type\": \"none\",\n\t\t\t\"source\": \"/sys\",\n\t\t\t\"options\": [\"rbind\", \"nosuid\", ",
        )
        .replace("\t\t\t{\n\t\t\t\t\"type\": \"network\"\n\t\t\t},\n", "")
        .replace(
            "\t\t\t{\n\t\t\t\t\"type\": \"cgroup\"\n\t\t\t}\n",
            "\t\t\t{\n\t\t\t\t\"type\": \"cgroup\"\n\t\t\t},\n\t\t\t{\n\t\t\t\t\"type\": \"user\"\n\t\t\t}\n",
        )
        .replace(
            "\t\t\"resources\": {\n\t\t\t\"devices\": [\n\t\t\t\t{\n\t\t\t\t\t\"allow\": false,\n\t\t\t\t\t\"access\": \
             \"rwm\"\n\t\t\t\t}\n\t\t\t]\n\t\t},\n",
            &mappings,
        )
}

#[cfg(test)]
mod tests {
    use oci_spec::runtime::{LinuxNamespace, LinuxNamespaceType, Spec};

    use super::*;

    #[test]
    fn both_are_configurations() {
        let root: Spec = serde_json::from_str(DEFAULT).unwrap();
        let user: Spec = serde_json::from_str(&text(For::User(1000, 100))).unwrap();
        let kinds = |spec: &Spec| -> Vec<LinuxNamespaceType> {
            let namespaces = spec.linux().as_ref().unwrap().namespaces().as_ref().unwrap();
            namespaces.iter().map(LinuxNamespace::typ).collect()
        };
        assert!(
            kinds(&root).contains(&LinuxNamespaceType::Network) && !kinds(&root).contains(&LinuxNamespaceType::User)
        );
        assert!(
            kinds(&user).contains(&LinuxNamespaceType::User) && !kinds(&user).contains(&LinuxNamespaceType::Network)
        );
        let linux = user.linux().as_ref().unwrap();
        assert!(linux.resources().is_none());
        let mapped =
            |mappings: &Option<Vec<oci_spec::runtime::LinuxIdMapping>>| mappings.as_ref().unwrap()[0].host_id();
        assert_eq!((mapped(linux.uid_mappings()), mapped(linux.gid_mappings())), (1000, 100));
        assert!(!text(For::User(1, 1)).contains("gid=5") && text(For::User(1, 1)).contains("\"rbind\""));
    }
}
