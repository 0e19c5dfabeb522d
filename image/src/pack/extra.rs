//! What many programs want beside their libraries: certificates, and names of users.

use std::fs;
use std::io;
use std::path::Path;

use crate::error::{Error, Result};
use crate::layer::{Builder, Metadata, Source};

/// Where distributions keep the certificates of all authorities in one file: Debian, Fedora, Alpine.
const BUNDLES: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];
/// Where libraries look for it, built for one distribution or another.
const NAMES: [&str; 4] = [
    "etc/ssl/certs/ca-certificates.crt",
    "etc/pki/tls/certs/ca-bundle.crt",
    "etc/ssl/cert.pem",
    "usr/lib/ssl/cert.pem",
];

const ROOT: &str = "root:x:0:0:root:/root:/sbin/nologin\n";
const NOBODY: &str = "nobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin\n";
const ROOT_GROUP: &str = "root:x:0:\n";
const NOBODY_GROUP: &str = "nogroup:x:65534:\n";
/// Names come from the files above and from name servers, as nothing else is there.
const SWITCH: &str = "passwd: files\ngroup: files\nhosts: files dns\n";

/// Something that a program does not load and yet often needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Extra {
    /// This machine's certificates of authorities, under every name by which TLS libraries look for them.
    CaCertificates,
    /// `/etc/passwd`, `/etc/group` and `/etc/nsswitch.conf` with root, nobody, and the image's user where this machine
    /// knows it by name.
    Accounts,
}

pub(super) fn add(layer: &mut Builder, extra: Extra, user: Option<&str>) -> Result<()> {
    match extra {
        Extra::CaCertificates => certificates(layer),
        Extra::Accounts => accounts(layer, user),
    }
}

fn certificates(layer: &mut Builder) -> Result<()> {
    let content = BUNDLES.iter().find_map(|path| match fs::read(path) {
        Ok(content) => Some(Ok(content)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => Some(Err(Error::sys("read", path)(error))),
    });
    let missing = || Error::NotFound { object: format!("a file of CA certificates ({})", BUNDLES.join(", ")) };
    let content = content.ok_or_else(missing)??;
    let (first, others) = NAMES.split_first().expect("there are names");
    layer.file(first, Metadata::root(0o644), Source::Bytes(content))?;
    for name in others {
        layer.symlink(name, Path::new("/").join(first))?;
    }
    Ok(())
}

fn accounts(layer: &mut Builder, user: Option<&str>) -> Result<()> {
    let (user, group) = user.unwrap_or_default().split_once(':').unwrap_or((user.unwrap_or_default(), ""));
    let (mut passwd, mut groups) = (format!("{ROOT}{NOBODY}"), format!("{ROOT_GROUP}{NOBODY_GROUP}"));
    let known = line("/etc/passwd", |fields| fields[0] == user)?.filter(|_| !["", "root", "nobody"].contains(&user));
    let mut wanted = vec![group.to_owned()];
    if let Some(fields) = known.filter(|fields| fields.len() >= 7) {
        // What people write of themselves is nothing for an image.
        let own = [&fields[0], "x", &fields[2], &fields[3], "", &fields[5], &fields[6]].join(":");
        passwd.push_str(&own);
        passwd.push('\n');
        wanted.push(fields[3].clone());
    }
    for group in wanted.iter().filter(|group| !["", "root", "nogroup", "0", "65534"].contains(&group.as_str())) {
        let found = line("/etc/group", |fields| fields[0] == *group || fields.get(2) == Some(group))?;
        if let Some(fields) = found.filter(|fields| fields.len() >= 3) {
            let text = format!("{}:x:{}:\n", fields[0], fields[2]);
            if !groups.contains(&text) {
                groups.push_str(&text);
            }
        }
    }
    for (name, text) in [("etc/passwd", passwd), ("etc/group", groups), ("etc/nsswitch.conf", SWITCH.to_owned())] {
        layer.file(name, Metadata::root(0o644), Source::Bytes(text.into_bytes()))?;
    }
    Ok(())
}

fn line(path: &str, is_wanted: impl Fn(&[String]) -> bool) -> Result<Option<Vec<String>>> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::sys("read", path)(error)),
    };
    let mut lines = text.lines().map(|line| line.split(':').map(str::to_owned).collect::<Vec<_>>());
    Ok(lines.find(|fields| is_wanted(fields)))
}
