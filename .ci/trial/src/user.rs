//! The same tests once more, for an ordinary user.

use std::fs::{self, Permissions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::{Test, need};

/// An id that no account of a distribution has, and ids that it is granted.
const USER: u32 = 3_456_788;
const FIRST: u32 = 7_100_000;

/// The variable that tells the second run the first of the ids that are granted.
pub const GRANTED: &str = "WINDLASS_GRANTED";

/// Where a user may pass, however root's own temporary folder is closed.
const PLACE: &str = "/var/tmp";

/// A test of root's that runs this program again as a user whom nobody else is, in a mount namespace that has
/// the user in its accounts and grants it ids, and prints the counts: what needs no root must hold there.
///
/// The programs that the tests call are copied to where the user reaches them; each is named by its variable.
pub fn as_user(programs: &'static [(&'static str, &'static str)]) -> Test {
    Test::new("what_needs_no_root_holds_for_a_user", move || again(programs))
        .needs(need::root)
        .needs(need::program("unshare"))
        .needs(need::program("setpriv"))
        .needs(need::program("newuidmap"))
}

/// A folder that the user reaches, wherever this program is.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let names = (0..).map(|count| format!("{PLACE}/windlass-user-{}-{count}", std::process::id()));
        for path in names.map(PathBuf::from) {
            match fs::create_dir(&path) {
                Ok(()) => {
                    allow(&path);
                    return Self(path);
                }
                // Of a run that was killed and had this process's number.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => panic!("{}: {error}", path.display()),
            }
        }
        unreachable!("there is a name for each number")
    }

    /// Copies a program under its own name.
    fn copy(&self, program: &Path) -> PathBuf {
        let copy = self.0.join(program.file_name().expect("a program is a file"));
        fs::copy(program, &copy).unwrap_or_else(|error| panic!("{}: {error}", program.display()));
        allow(&copy);
        copy
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.0.join(name), text).expect("the folder is ours");
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // A leftover of a failing test is in the temporary folder, where leftovers are looked for.
        _ = fs::remove_dir_all(&self.0);
    }
}

fn allow(path: &Path) {
    fs::set_permissions(path, Permissions::from_mode(0o755)).expect("it is ours");
}

fn again(programs: &[(&str, &str)]) {
    let folder = Folder::new();
    let output = run(&folder, programs);
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let counts = out.lines().find(|line| line.starts_with("test result:")).unwrap_or_default();
    let passed = counts.split(' ').nth(3).and_then(|count| count.parse::<u32>().ok());
    assert!(output.status.success() && passed > Some(0), "{out}{err}");
    writeln!(std::io::stdout(), "as uid {USER}: {counts}").expect("somebody reads it");
}

fn run(folder: &Folder, programs: &[(&str, &str)]) -> Output {
    let tests = folder.copy(&std::env::current_exe().expect("procfs"));
    let accounts = fs::read_to_string("/etc/passwd").expect("there are accounts");
    folder.write("passwd", &format!("{accounts}tester:x:{USER}:{USER}::/:/bin/sh\n"));
    for name in ["subuid", "subgid"] {
        folder.write(name, &format!("tester:{FIRST}:65536\n"));
    }
    let script = "for file in passwd subuid subgid; do mount --bind \"$0/$file\" /etc/$file || exit; done; exec \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-c", script]).arg(&folder.0);
    let user = [format!("--reuid={USER}"), format!("--regid={USER}")];
    command.arg("setpriv").args(user).arg("--clear-groups").arg(&tests);
    for (variable, program) in programs {
        command.env(variable, folder.copy(Path::new(program)));
    }
    // What the user cannot run is no skip of this machine's, and root's folders are closed to it.
    for own in ["WINDLASS_SKIPS", "TMPDIR", "XDG_RUNTIME_DIR"] {
        command.env_remove(own);
    }
    command.env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin").env("HOME", "/").env(GRANTED, FIRST.to_string());
    command.current_dir("/").stdin(Stdio::null()).output().expect("unshare starts")
}
