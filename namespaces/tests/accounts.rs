//! Users and groups of root file systems that mean harm.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::ExitCode;

use tempfile::TempDir;
use trial::{Test, need::program, need::root};
use windlass_namespaces::account::Accounts;
use windlass_namespaces::{Error, subid};

fn main() -> ExitCode {
    trial::main(vec![
        Test::new("accounts_are_read_inside_the_root", inside),
        Test::new("a_link_out_of_the_root_leads_nowhere", links),
        Test::new("what_is_no_file_is_not_opened", no_file),
        Test::new("a_file_without_end_is_refused", endless),
        Test::new("the_hosts_accounts_are_as_getent_tells_them", host).needs(program("getent")),
        Test::new("a_device_in_place_of_the_file_is_not_opened", device).needs(root),
        trial::as_user(&[]),
    ])
}

fn rootfs() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("etc")).unwrap();
    folder
}

fn read(root: &Path) -> Result<Accounts, Error> {
    Accounts::read(File::open(root).unwrap())
}

fn inside() {
    let folder = rootfs();
    assert!(read(folder.path()).unwrap().resolve("web").is_err());
    fs::write(folder.path().join("etc/passwd"), "web:x:33:34::/srv:\n").unwrap();
    fs::write(folder.path().join("etc/group"), "logs:x:40:web\n").unwrap();
    let identity = read(folder.path()).unwrap().resolve("web").unwrap();
    assert_eq!((identity.uid.as_raw(), identity.groups[0].as_raw()), (33, 40));
}

fn links() {
    let (folder, outside) = (rootfs(), tempfile::tempdir().unwrap());
    fs::write(outside.path().join("passwd"), "canary:x:0:0::/:\n").unwrap();
    let passwd = folder.path().join("etc/passwd");
    let up = format!("../../../../../../..{}/passwd", outside.path().display());
    for contents in [outside.path().join("passwd"), up.into(), "/proc/self/root/etc/passwd".into()] {
        symlink(&contents, &passwd).unwrap();
        let accounts = read(folder.path()).unwrap();
        assert!(accounts.resolve("canary").is_err() && accounts.resolve("root").is_err(), "{}", contents.display());
        fs::remove_file(&passwd).unwrap();
    }
    // One that stays inside is followed there.
    fs::write(folder.path().join("users"), "web:x:33:34::/srv:\n").unwrap();
    symlink("/users", &passwd).unwrap();
    assert_eq!(read(folder.path()).unwrap().resolve("web").unwrap().uid.as_raw(), 33);
}

fn refused(root: &Path) -> bool {
    matches!(read(root), Err(Error::Invalid { field: "rootfs", .. }))
}

fn no_file() {
    let folder = rootfs();
    let passwd = folder.path().join("etc/passwd");
    // Opening it would wait for a writer for ever.
    rustix::fs::mknodat(rustix::fs::CWD, &passwd, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0).unwrap();
    assert!(refused(folder.path()));
    fs::remove_file(&passwd).unwrap();
    fs::create_dir(&passwd).unwrap();
    assert!(refused(folder.path()));
}

fn device() {
    let folder = rootfs();
    let passwd = folder.path().join("etc/passwd");
    let zero = rustix::fs::makedev(1, 5);
    rustix::fs::mknodat(rustix::fs::CWD, &passwd, rustix::fs::FileType::CharacterDevice, rustix::fs::Mode::RUSR, zero)
        .unwrap();
    assert!(refused(folder.path()));
}

fn endless() {
    let folder = rootfs();
    File::create(folder.path().join("etc/passwd")).unwrap().set_len(1 << 40).unwrap();
    assert!(refused(folder.path()));
}

/// What `getent` says of an entry, its fields.
fn getent(database: &str, key: &str) -> Vec<String> {
    let output = std::process::Command::new("getent").args(["-s", "files", database, key]).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().split(':').map(str::to_owned).collect()
}

fn host() {
    let accounts = read(Path::new("/")).unwrap();
    for name in ["root", "daemon", "www-data", "nobody"] {
        let told = getent("passwd", name);
        let identity = accounts.resolve(name).unwrap();
        assert_eq!([identity.uid.to_string(), identity.gid.to_string()], told[2..4], "{name}");
        assert_eq!(accounts.resolve(&told[2]).unwrap(), identity);
        assert_eq!(accounts.name_of(identity.uid), Some(name));
    }
    for name in ["root", "tty", "adm"] {
        assert_eq!(accounts.group(name).unwrap().to_string(), getent("group", name)[2], "{name}");
    }
    // The real files of this machine, whatever they grant.
    let granted = subid::parse(&fs::read_to_string("/etc/subuid").unwrap_or_default());
    assert!(granted.iter().all(|range| range.count > 0));
}
