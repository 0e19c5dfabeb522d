//! Hostile images and callers that want the runtime to take another file for the kernel's: `/proc`, `/sys`, the console,
//! the null device.
//!
//! Each test is named after what was once published, and each was seen to fail with the defence taken out.

use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::process::Command;

use serde_json::json;
use trial::{Test, need};

use crate::bundle::{Bundle, Said, strict};

pub(crate) fn tests() -> Vec<Test> {
    let test = |name, body: fn()| Test::new(name, body).needs(need::root);
    vec![
        test("cve_2019_16884_proc_is_not_shadowed", shadowed_proc),
        test("cve_2019_19921_proc_is_no_link", linked_proc),
        test("cve_2023_28642_proc_is_no_link_to_another_mount", proc_on_a_mount).needs(strict),
        test("cve_2025_31133_a_mask_is_a_real_null", swapped_null).needs(strict),
        test("cve_2025_52565_the_console_is_no_link", linked_console).needs(strict),
        // Debian's runc writes to what covers the file.
        test("cve_2025_52881_settings_reach_the_kernel_alone", redirected_settings).needs(strict),
    ]
}

fn shadowed_proc() {
    // An image that says /proc is its own volume: attributes of security modules would be written to a file.
    let mut bundle = Bundle::script("stat -f -c %T /proc; cat /proc/self/attr/exec 2>/dev/null; echo over");
    let fake = bundle.path("fake");
    std::fs::create_dir_all(fake.join("self/attr")).expect("the folder is ours");
    std::fs::write(fake.join("self/attr/exec"), "untouched").expect("the folder is ours");
    bundle.bind(&fake, "/proc", &[]);
    let said = bundle.run();
    assert_ne!(said.code, Some(0), "{said:?}");
    assert_eq!(std::fs::read_to_string(fake.join("self/attr/exec")).expect("written above"), "untouched");
}

fn linked_proc() {
    for name in ["proc", "sys"] {
        let mut bundle = Bundle::script("echo ran");
        let fake = bundle.rootfs("fake");
        std::fs::create_dir(&fake).expect("the folder is ours");
        std::fs::remove_dir(bundle.rootfs(name)).expect("the folder is ours");
        symlink("/fake", bundle.rootfs(name)).expect("the folder is ours");
        bundle.spec["root"]["readonly"] = json!(false);
        let said = bundle.run();
        assert_eq!((said.code == Some(0), said.out.as_str()), (false, ""), "{name}: {said:?}");
        assert_eq!(std::fs::read_dir(&fake).expect("it is there").count(), 0);
    }
}

fn proc_on_a_mount() {
    // The link leads to a mount of the container's own, which lies there by the time: masks would be of that.
    for name in ["proc", "sys"] {
        let mut bundle = Bundle::script("echo ran");
        std::fs::remove_dir(bundle.rootfs(name)).expect("the folder is ours");
        std::fs::create_dir(bundle.rootfs("fake")).expect("the folder is ours");
        symlink("fake", bundle.rootfs(name)).expect("the folder is ours");
        let mounts = bundle.spec["mounts"].as_array_mut().expect("mounts are a list");
        mounts.insert(0, json!({"destination": "/fake", "type": "tmpfs", "source": "t"}));
        let said = bundle.run();
        assert_eq!((said.code == Some(0), said.out.as_str()), (false, ""), "{name}: {said:?}");
    }
}

fn swapped_null() {
    // A volume takes the place of /dev/null, or of all of /dev: what masks files would then show its content.
    for place in ["/dev/null", "/dev"] {
        let mut bundle = Bundle::script("cat /proc/keys; stat -c '%F %t,%T' /proc/keys; echo over");
        let volume = bundle.path("volume");
        for folder in ["pts", "shm", "mqueue"] {
            std::fs::create_dir_all(volume.join(folder)).expect("the folder is ours");
        }
        let fake = volume.join("null");
        std::fs::write(&fake, "shown\n").expect("the folder is ours");
        let mounts = bundle.spec["mounts"].as_array_mut().expect("mounts are a list");
        if place == "/dev" {
            let dev = mounts.iter_mut().find(|mount| mount["destination"] == "/dev").expect("it is there");
            *dev = json!({"destination": "/dev", "type": "bind", "source": volume, "options": ["bind"]});
        } else {
            mounts.push(json!({"destination": place, "type": "bind", "source": fake, "options": ["bind"]}));
        }
        let said = bundle.run();
        assert!(!said.out.contains("shown"), "{place}: {said:?}");
        let is_masked = said.out == "character special file 1,3\nover\n";
        // A device that is none may be refused; as a volume it is not asked at all.
        assert!(is_masked || place == "/dev/null" && said.code != Some(0), "{place}: {said:?}");
        assert_eq!(std::fs::read_to_string(&fake).expect("written above"), "shown\n");
    }
}

fn linked_console() {
    // The image's own /dev, in which the console is a link to what the container must not cover.
    let mut bundle = Bundle::script("exec sleep 600");
    bundle.spec["process"]["terminal"] = json!(true);
    bundle.spec["root"]["readonly"] = json!(false);
    bundle.spec["mounts"].as_array_mut().expect("a list").retain(|mount| mount["destination"] != "/dev");
    std::fs::write(bundle.rootfs("mnt/lure"), "untouched").expect("the folder is ours");
    symlink("/mnt/lure", bundle.rootfs("dev/console")).expect("the folder is ours");
    let socket = bundle.path("console");
    let _listener = UnixListener::bind(&socket).expect("the folder is ours");
    let create = |bundle: &Bundle| bundle.create_with(&["--console-socket", socket.to_str().expect("UTF-8")]);
    let refused = create(&bundle).refused();
    assert!(refused.contains("terminal"), "{refused}");
    assert_eq!(std::fs::read_to_string(bundle.rootfs("mnt/lure")).expect("written above"), "untouched");
    // It is the link that is refused.
    std::fs::remove_file(bundle.rootfs("dev/console")).expect("the folder is ours");
    create(&bundle).fine();
}

fn redirected_settings() {
    let mut bundle = Bundle::script("cat /proc/sys/kernel/domainname");
    bundle.spec["linux"]["sysctl"] = json!({"kernel.domainname": "hidden"});
    bundle.write();
    let lure = bundle.path("lure");
    std::fs::write(&lure, "untouched\n").expect("the folder is ours");
    let run = bundle.command(&["run", "--bundle", ".", &bundle.id]);
    // As a container that shares mounts with the runtime would arrange it.
    let mut covered = Command::new("unshare");
    let script = "mount --bind lure /proc/sys/kernel/domainname && exec \"$@\"";
    covered.args(["--mount", "--propagation", "private", "sh", "-c", script, "sh"]);
    covered.arg(run.get_program()).args(run.get_args()).current_dir(bundle.path(""));
    let said = Said::new(&covered.output().expect("unshare starts"));
    assert_eq!(std::fs::read_to_string(&lure).expect("written above"), "untouched\n", "{said:?}");
    assert_eq!(said.fine(), "hidden\n");
}
