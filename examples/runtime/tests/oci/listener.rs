//! Filters that leave calls to an agent.

use std::io::{IoSliceMut, Read as _};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::thread::JoinHandle;

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use serde_json::{Value, json};
use trial::{Test, need};

use crate::bundle::Bundle;

pub(crate) fn tests() -> Vec<Test> {
    vec![
        Test::new("an_agent_gets_the_filter_and_the_state", agent).needs(need::root),
        Test::new("an_agent_gets_the_filter_of_an_additional_process", agent_of_exec).needs(need::root),
        Test::new("an_agent_that_is_not_there_is_an_error", no_agent).needs(need::root),
    ]
}

/// A bundle whose program makes a folder, about which an agent is asked at the socket `agent`.
fn asking(script: &str) -> Bundle {
    let mut bundle = Bundle::script(script);
    bundle.spec["annotations"] = json!({"org.example.key": "value"});
    bundle.spec["linux"]["seccomp"] = json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "architectures": ["SCMP_ARCH_X86_64"],
        "listenerPath": bundle.path("agent"),
        "listenerMetadata": "whatever is agreed",
        "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_NOTIFY"}],
    });
    bundle
}

/// What came over one connection: the message and the descriptors.
fn receive(stream: &UnixStream) -> (Value, Vec<OwnedFd>) {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut text = vec![0; 65536];
    let received = recvmsg(stream, &mut [IoSliceMut::new(&mut text)], &mut control, RecvFlags::CMSG_CLOEXEC);
    text.truncate(received.expect("the runtime sends").bytes);
    let descriptors = control.drain().flat_map(|message| match message {
        RecvAncillaryMessage::ScmRights(descriptors) => descriptors.collect::<Vec<_>>(),
        _ => Vec::new(),
    });
    let descriptors = descriptors.collect();
    let mut stream = stream;
    stream.read_to_end(&mut text).expect("the runtime closes");
    (serde_json::from_slice(&text).expect("the message is JSON"), descriptors)
}

/// Takes one message and lets go of the filter: what it asks about then meets `ENOSYS`.
fn agent_once(bundle: &Bundle) -> JoinHandle<(Value, usize)> {
    let socket = UnixListener::bind(bundle.path("agent")).expect("the folder is ours");
    std::thread::spawn(move || {
        let (stream, _) = socket.accept().expect("the runtime connects");
        let (told, descriptors) = receive(&stream);
        (told, descriptors.len())
    })
}

fn agent() {
    let bundle = asking("mkdir /tmp/x 2>&1; exec sleep 600");
    let agent = agent_once(&bundle);
    bundle.create().fine();
    let (told, count) = agent.join().expect("the agent is told");
    assert_eq!((count, &told["fds"], &told["metadata"]), (1, &json!(["seccompFd"]), &json!("whatever is agreed")));
    let state = bundle.state();
    assert_eq!(told["pid"], state["pid"], "{told}");
    for (key, value) in [("id", json!(bundle.id)), ("status", json!("creating")), ("pid", state["pid"].clone())] {
        assert_eq!(told["state"][key], value, "{told}");
    }
    assert_eq!(told["state"]["annotations"]["org.example.key"], "value", "{told}");
    assert_eq!(told["ociVersion"], state["ociVersion"]);
    bundle.verb("start").fine();
    crate::until::until("the call is refused", || bundle.out().contains("Function not implemented").then_some(()));
}

fn agent_of_exec() {
    let bundle = asking("exec sleep 600");
    let first = agent_once(&bundle);
    bundle.start();
    first.join().expect("the agent is told");
    std::fs::remove_file(bundle.path("agent")).expect("the agent bound it");
    let second = agent_once(&bundle);
    let said = bundle.exec(&["sh", "-c", "mkdir /tmp/x 2>&1; echo $?"]);
    let (told, count) = second.join().expect("the agent is told");
    assert_eq!(said.fine(), "mkdir: can't create directory '/tmp/x': Function not implemented\n1\n");
    assert_eq!((count, &told["state"]["id"], &told["state"]["status"]), (1, &json!(bundle.id), &json!("running")));
    assert_eq!(told["state"]["pid"], bundle.state()["pid"], "{told}");
    assert_ne!(told["pid"], told["state"]["pid"], "{told}");
}

fn no_agent() {
    let bundle = asking("true");
    bundle.create().refused();
    bundle.verb("state").refused();
}
