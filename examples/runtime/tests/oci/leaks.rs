//! Many lives of a container leave nothing behind.

use trial::{Test, need};

use crate::bundle::runtime;
use crate::sandbox::Sandbox;

pub(crate) fn tests() -> Vec<Test> {
    vec![
        Test::new("many_cycles_leak_nothing", many_cycles).needs(need::root),
        Test::new("many_execs_leak_nothing", many_execs).needs(need::root),
    ]
}

/// Lives in one run of the tests; `WINDLASS_CYCLES` asks for another number.
fn cycles() -> u32 {
    std::env::var("WINDLASS_CYCLES").map_or(40, |text| text.parse().expect("WINDLASS_CYCLES is a number"))
}

/// What there is, one number a line: nobody else is in the corner.
const COUNT: &str = r#"
count() {
    # Not through a pipe: whether its other end is there already when the folder is read is a matter of luck.
    local stats=$(cat /proc/[0-9]*/stat 2>/dev/null)
    # A dead one waits for the first process here to notice.
    echo "processes $(grep -cv ') Z ' <<<"$stats")"
    echo "descriptors $(ls /proc/1/fd | wc -l)"
    echo "mounts $(wc -l </proc/1/mountinfo)"
    echo "groups $(find /sys/fs/cgroup -type d | wc -l)"
    echo "namespaces $(readlink /proc/[0-9]*/ns/* | sort -u | wc -l)"
    echo "sockets $(cat /proc/net/unix | wc -l)"
    echo "shared $(ls /dev/shm | wc -l) $(wc -l </proc/sysvipc/shm)"
    echo "files $(find . /run /tmp | wc -l)"
}
"#;

fn counted(sandbox: &Sandbox, body: &str) {
    crate::bundle::fill(&sandbox.path("rootfs"));
    let mut spec: serde_json::Value =
        serde_json::from_str(include_str!("default.json")).expect("the default specification is JSON");
    spec["process"]["args"] = serde_json::json!(["sleep", "600"]);
    std::fs::write(sandbox.path("config.json"), spec.to_string()).expect("the folder is ours");
    let script = format!(
        "{COUNT}\nset -e\noci() {{ '{}' --root \"$PWD/state\" \"$@\"; }}\nonce() {{\n{body}\n}}\n\
         # The first life makes folders that stay; what it started is gone once two counts agree.\nonce first >/dev/null\n\
         tries=0; count >after; while count >before; ! cmp -s before after && [ $tries -lt 150 ]; do\n\
         mv before after; tries=$((tries + 1)); sleep 0.2; done\n\
         i=0; while [ $i -lt {} ]; do once c$i; i=$((i + 1)); done >/dev/null\n\
         tries=0; while count >after; ! cmp -s before after && [ $tries -lt 150 ]; do tries=$((tries + 1)); sleep 0.2; done\n\
         diff before after && echo same",
        runtime().display(),
        cycles(),
    );
    std::fs::write(sandbox.path("before"), "").expect("the folder is ours");
    std::fs::write(sandbox.path("after"), "").expect("the folder is ours");
    let said = sandbox.within(300 + 4 * cycles(), &["bash", "-c", &script]).output().expect("timeout starts");
    let said = crate::bundle::Said::new(&said);
    assert!(said.out.ends_with("same\n"), "{said:?}");
}

fn many_cycles() {
    counted(
        &Sandbox::new(),
        "oci create $1 </dev/null >/dev/null 2>&1\noci start $1\noci kill $1 KILL\n\
         while oci state $1 | grep -q running; do :; done\noci delete $1",
    );
}

fn many_execs() {
    counted(
        &Sandbox::new(),
        "oci run --detach $1 </dev/null >/dev/null 2>&1\nfor n in 1 2 3; do oci exec $1 true </dev/null; done\n\
         oci pause $1; oci resume $1; oci update --pids-limit 50 $1; oci ps $1 >/dev/null\noci delete --force $1",
    );
}
