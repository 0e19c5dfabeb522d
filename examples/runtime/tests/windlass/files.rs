//! Volumes, copies, and what a container changed.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};

use windlass_image::config::Execution;

use crate::home::{Home, stderr, stdout};

pub(crate) fn binds_carry_data() {
    let home = Home::new();
    let data = home.folder().join("data");
    std::fs::create_dir(&data).expect("a folder");
    let volume = format!("{}:/data", data.display());
    home.prints(&["-v", &volume], "echo kept > /data/file");
    assert_eq!(std::fs::read_to_string(data.join("file")).expect("the file is outside"), "kept\n");
    let read_only = home.sh(&["-v", &format!("{volume}:ro")], "cat /data/file; echo x > /data/other");
    assert_eq!(stdout(&read_only), "kept\n");
    assert!(!read_only.status.success() && !data.join("other").exists());
    let mount = format!("type=bind,source={},target=/one,readonly", data.join("file").display());
    let one = home.sh(&["--mount", &mount], "cat /one; echo x > /one");
    assert!(stdout(&one) == "kept\n" && !one.status.success(), "{}", stderr(&one));
}

pub(crate) fn named_volumes_outlive_their_containers() {
    let home = Home::new();
    home.prints(&["-v", "data:/data"], "echo kept > /data/file");
    assert_eq!(home.prints(&["--mount", "source=data,target=/other"], "cat /other/file"), "kept\n");
    assert!(!home.sh(&["-v", "data:/data:ro"], "echo x > /data/file").status.success());
    let listed: serde_json::Value = serde_json::from_str(&home.ok(&["volume", "ls", "--json"])).expect("JSON");
    assert_eq!((listed["name"].as_str(), listed["anonymous"].as_bool()), (Some("data"), Some(false)));
    home.ok(&["create", "--name", "user", "-v", "data:/data", "box"]);
    assert!(home.fails(&["volume", "rm", "data"]).1.contains("container"));
    home.ok(&["rm", "-v", "user"]);
    assert!(home.inspect("data")["path"].is_string());
    home.ok(&["volume", "rm", "data"]);
    assert_eq!(home.ok(&["volume", "ls", "-q"]), "");
    assert!(home.fails(&["volume", "rm", "data"]).1.contains("data"));
}

pub(crate) fn the_images_volumes_begin_with_its_content() {
    let home = Home::new();
    let execution = Execution { volumes: vec!["/data".to_owned()], ..Execution::default() };
    home.add_image("seeded", execution, &[("data/seed", "from the image")]);
    home.ok(&["run", "--name", "one", "seeded", "sh", "-c", "echo more > /data/more; cat /data/seed"]);
    assert_eq!(home.ok(&["volume", "ls", "-q"]).lines().count(), 1);
    // It is no part of the container's layer, and stays over its starts.
    assert!(!home.ok(&["diff", "one"]).contains("more"));
    assert_eq!(home.ok(&["cp", "one:/data/more", "-"]).matches("more").count(), 2);
    home.ok(&["rm", "-v", "one"]);
    assert_eq!(home.ok(&["volume", "ls", "-q"]), "");
    home.ok(&["run", "--rm", "-v", "named:/data", "seeded", "true"]);
    assert_eq!(home.prints(&["-v", "named:/x"], "cat /x/seed"), "from the image");
}

pub(crate) fn tmpfs_is_memory() {
    let home = Home::new();
    let script = "grep ' /mem ' /proc/mounts; dd if=/dev/zero of=/mem/x bs=1k count=2000";
    let output = home.sh(&["--tmpfs", "/mem:size=1m"], script);
    assert!(stdout(&output).contains("tmpfs") && stdout(&output).contains("noexec"), "{}", stdout(&output));
    assert!(!output.status.success(), "more was written than it may hold");
    home.prints(&["--mount", "type=tmpfs,target=/mem"], "echo x > /mem/x");
}

pub(crate) fn copies_go_both_ways() {
    let home = Home::new();
    let (from, to) = (home.folder().join("from"), home.folder().join("to"));
    std::fs::create_dir_all(from.join("deep")).expect("a folder");
    std::fs::write(from.join("deep/file"), "there and back").expect("a file");
    symlink("deep/file", from.join("link")).expect("a link");
    let (from, to) = (from.display().to_string(), to.display().to_string());
    home.detach("one", &[], "sleep 600");
    let note = |path: &str| {
        let mut value = [0; 16];
        let length = rustix::fs::getxattr(path, "user.note", &mut value[..]).expect("it has a note");
        value[..length].to_vec()
    };
    let flags = rustix::fs::XattrFlags::empty();
    rustix::fs::setxattr(format!("{from}/deep/file"), "user.note", b"kept", flags).expect("a file system with them");
    home.ok(&["cp", &from, "one:/new"]);
    home.ok(&["cp", &from, "one:/tmp"]);
    assert_eq!(home.ok(&["exec", "one", "cat", "/new/link", "/tmp/from/deep/file"]), "there and backthere and back");
    assert_eq!(home.ok(&["exec", "one", "stat", "-c", "%u:%g", "/new/deep/file"]), "0:0\n");
    home.ok(&["cp", "one:/new/.", &to]);
    assert_eq!(std::fs::read_to_string(format!("{to}/link")).expect("it came back"), "there and back");
    assert_eq!(note(&format!("{to}/deep/file")), b"kept");
    // The same with one that does not run.
    home.ok(&["stop", "-t", "0", "one"]);
    home.ok(&["cp", &format!("{from}/deep/file"), "one:/new/deep/other"]);
    home.ok(&["cp", "one:/new/deep/other", &format!("{to}/back")]);
    assert_eq!(std::fs::read_to_string(format!("{to}/back")).expect("it came back"), "there and back");
    assert!(home.fails(&["cp", "one:/absent", &to]).1.contains("/absent"));
    assert!(home.fails(&["cp", &from, "one:/absent/deeper"]).1.contains("/absent/deeper"));
}

pub(crate) fn copies_are_tar_streams() {
    let home = Home::new();
    home.ok(&["create", "--name", "one", "box"]);
    let folder = home.folder().join("tree");
    std::fs::create_dir(&folder).expect("a folder");
    std::fs::write(folder.join("file"), "by tar").expect("a file");
    // GNU tar is who reads and writes the other side.
    let tar = Command::new("tar").args(["-C", &home.folder().display().to_string(), "-cf", "-", "tree"]).output();
    let mut command = home.command(&["cp", "-", "one:/tmp"]);
    let mut child = command.stdin(Stdio::piped()).spawn().expect("windlass starts");
    child.stdin.take().expect("piped").write_all(&tar.expect("tar starts").stdout).expect("it is written");
    assert!(child.wait().expect("it ends").success());
    let stream = home.windlass(&["cp", "one:/tmp/tree", "-"]).stdout;
    let mut tar =
        Command::new("tar").args(["-xOf", "-", "tree/file"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let tar = tar.as_mut().expect("tar starts");
    tar.stdin.take().expect("piped").write_all(&stream).expect("it is written");
    let mut text = String::new();
    std::io::Read::read_to_string(&mut tar.stdout.take().expect("piped"), &mut text).expect("it is read");
    assert!(tar.wait().expect("it ends").success());
    assert_eq!(text, "by tar");
}

pub(crate) fn copies_follow_no_link_out() {
    let home = Home::new();
    let canary = home.folder().join("canary");
    std::fs::write(&canary, "outside").expect("a file");
    let outside = home.folder().display().to_string();
    let given = home.folder().join("given");
    std::fs::write(&given, "given").expect("a file");
    home.ok(&["run", "--name", "one", "box", "ln", "-s", &outside, "/way"]);
    // Inside, the link leads to a path that is not there.
    let into = home.windlass(&["cp", &given.display().to_string(), "one:/way/canary"]);
    assert_eq!(std::fs::read_to_string(&canary).expect("it is there"), "outside", "{}", stderr(&into));
    let out = home.windlass(&["cp", "one:/way/canary", "-"]);
    assert!(!out.status.success() && !stdout(&out).contains("outside"));
    // A link that is copied comes out as a link, and what is written to it later replaces it.
    let target = home.folder().join("target");
    home.ok(&["cp", "one:/way", &target.display().to_string()]);
    assert!(target.symlink_metadata().expect("it is there").is_symlink());
}

pub(crate) fn diff_lists_what_the_program_changed() {
    let home = Home::new();
    home.ok(&["run", "--name", "one", "-v", "data:/mnt/deep", "box", "true"]);
    assert_eq!(home.ok(&["diff", "one"]), "", "mount points are nobody's change");
    home.ok(&["run", "--name", "two", "box", "sh", "-c", "echo x > /new; echo y >> /etc/group; rm /etc/passwd"]);
    let found = home.ok(&["diff", "two"]);
    let lines: BTreeSet<&str> = found.lines().collect();
    assert_eq!(lines, BTreeSet::from(["A /new", "C /etc", "C /etc/group", "D /etc/passwd"]));
    let json = home.ok(&["diff", "--json", "two"]);
    assert!(
        json.lines()
            .all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok_and(|line| line["path"].is_string()))
    );
}

pub(crate) fn commit_makes_an_image() {
    let home = Home::new();
    home.ok(&["run", "--name", "one", "-e", "A=b", "box", "sh", "-c", "echo kept > /new; rm /etc/passwd"]);
    let digest = home.ok(&["commit", "-a", "somebody", "-m", "a change", "one", "changed"]);
    assert!(digest.starts_with("sha256:"), "{digest}");
    home.ok(&["rm", "one"]);
    assert_eq!(home.ok(&["run", "--rm", "changed", "sh", "-c", "cat /new; ls /etc"]).lines().next(), Some("kept"));
    assert!(!home.windlass(&["run", "--rm", "changed", "cat", "/etc/passwd"]).status.success());
    let image = home.inspect("changed");
    assert_eq!(image["config"]["author"], "somebody");
    // The mount points are not in it: the layer has three entries.
    let last =
        image["layers"].as_array().and_then(|layers| layers.last()).and_then(|layer| layer.as_str()).expect("a layer");
    let blob = home.root().join("images/blobs/sha256").join(last.trim_start_matches("sha256:"));
    let listed = Command::new("tar").arg("-tzf").arg(blob).output().expect("tar starts");
    let names: BTreeSet<String> = stdout(&listed).lines().map(str::to_owned).collect();
    assert_eq!(names, ["etc/", "etc/.wh.passwd", "new"].map(str::to_owned).into());
}

pub(crate) fn commit_of_a_running_one_is_whole() {
    let home = Home::new();
    home.detach("one", &[], "echo kept > /new; echo ready; sleep 600");
    home.await_log("one", "ready");
    home.ok(&["commit", "one", "running"]);
    assert_eq!(home.status("one"), "running");
    assert_eq!(home.ok(&["run", "--rm", "running", "cat", "/new"]), "kept\n");
}
