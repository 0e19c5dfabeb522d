//! Device filters, checked by what processes can open.
#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "a failed expectation is a failed test")]

mod support;

use std::process::ExitCode;

use support::{Actor, Scratch, has, only};
use trial::{Test, need};
use windlass_cgroups::{
    Controller, DeviceAccess, DeviceAction, DeviceFilter, DeviceKind, DeviceRule, Error, Resources, Version,
};

fn main() -> ExitCode {
    type Body = fn();
    let v1 = Version::V1;
    let v2 = Version::V2;
    let tests: [(&'static str, Version, &'static [Controller], Body); 5] = [
        ("v1_device_filter", v1, &[Controller::Devices], v1_device_filter),
        ("v1_a_refused_device_filter_is_put_back", v1, &[Controller::Devices], v1_devices_put_back),
        ("v2_a_refused_setting_leaves_the_device_filter", v2, &[Controller::Hugetlb], v2_devices_stay),
        ("v2_device_filter", v2, &[Controller::Devices], v2_device_filter),
        ("v2_an_unprivileged_device_filter_is_an_error", v2, &[], v2_unprivileged_filter),
    ];
    let tests = tests.into_iter().map(|(name, version, controllers, body)| {
        Test::new(name, body).needs(need::root).needs(has(version, controllers))
    });
    support::main(tests.collect())
}

fn v1_device_filter() {
    let scratch = Scratch::new(&only(Version::V1), &[Controller::Devices]);
    filter_devices(&scratch);
    assert_eq!(scratch.file(Controller::Devices, "devices.list"), "c 1:3 rw");
}

fn character(minor: u32, access: DeviceAccess) -> DeviceRule {
    DeviceRule { action: DeviceAction::Allow, kind: DeviceKind::Character, major: Some(1), minor: Some(minor), access }
}

fn device_filter(default: DeviceAction, rules: Vec<DeviceRule>) -> Resources {
    Resources { devices: Some(DeviceFilter { default, rules }), ..Resources::default() }
}

fn v1_devices_put_back() {
    let read = DeviceAccess { read: true, ..DeviceAccess::default() };
    let list = |scratch: &Scratch| scratch.file(Controller::Devices, "child/devices.list");
    // A group cannot allow what the one above does not.
    let wanted = device_filter(DeviceAction::Deny, vec![character(3, read), character(5, read)]);
    let refused = |child: &windlass_cgroups::Group| match child.apply(&wanted).unwrap_err() {
        error @ Error::Refused { .. } if error.errno() == Some(1) => error.to_string(),
        error => panic!("{error:?}"),
    };

    let scratch = Scratch::new(&only(Version::V1), &[Controller::Devices]);
    let null = character(3, DeviceAccess::READ_WRITE);
    scratch.apply(&device_filter(DeviceAction::Deny, vec![null])).unwrap();
    let child = scratch.child("child").unwrap();
    assert_eq!(list(&scratch), "c 1:3 rw");
    assert!(refused(&child).ends_with("put back: devices.deny"));
    assert_eq!(list(&scratch), "c 1:3 rw");

    let scratch = Scratch::new(&only(Version::V1), &[Controller::Devices]);
    let no_zero = DeviceRule { action: DeviceAction::Deny, ..character(5, DeviceAccess::READ_WRITE) };
    scratch.apply(&device_filter(DeviceAction::Allow, vec![no_zero])).unwrap();
    let child = scratch.child("child").unwrap();
    assert_eq!(list(&scratch), "a *:* rwm");
    assert!(refused(&child).contains("could not put back devices.deny: the kernel does not show what it denied"));
    assert_eq!(list(&scratch), "", "closed, not open");
}

fn v2_devices_stay() {
    let scratch = Scratch::new(&only(Version::V2), &[Controller::Hugetlb]);
    scratch.apply(&device_filter(DeviceAction::Deny, vec![])).unwrap();
    let unified = [("hugetlb.2MB.max".to_owned(), "many".to_owned())].into();
    let error = scratch.apply(&Resources { unified, ..device_filter(DeviceAction::Allow, vec![]) }).unwrap_err();
    assert!(matches!(error, Error::Refused { .. }), "{error}");
    assert_eq!(Actor::within(&scratch, "open /dev/null").news().map(char::from), Some('n'));
}

fn v2_device_filter() {
    let scratch = Scratch::new(&only(Version::V2), &[Controller::Devices]);
    // More often than one group may hold programs: each replaces the last.
    for _ in 0..70 {
        let devices = Some(DeviceFilter { default: DeviceAction::Allow, rules: vec![] });
        scratch.apply(&Resources { devices, ..Resources::default() }).unwrap();
    }
    let descriptors = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let before = descriptors();
    filter_devices(&scratch);
    assert_eq!(descriptors(), before, "no program is left open");
}

fn filter_devices(scratch: &Scratch) {
    let can_open = |path: &str| {
        let mut actor = Actor::within(scratch, &format!("open {path}"));
        actor.news().map(char::from)
    };
    assert_eq!(can_open("/dev/null"), Some('y'));
    let null = DeviceRule {
        action: DeviceAction::Allow,
        kind: DeviceKind::Character,
        major: Some(1),
        minor: Some(3),
        access: DeviceAccess::READ_WRITE,
    };
    let filter = |rules| Resources {
        devices: Some(DeviceFilter { default: DeviceAction::Deny, rules }),
        ..Resources::default()
    };
    scratch.apply(&filter(vec![])).unwrap();
    assert_eq!((can_open("/dev/null"), can_open("/dev/zero")), (Some('n'), Some('n')));
    scratch.apply(&filter(vec![null])).unwrap();
    assert_eq!((can_open("/dev/null"), can_open("/dev/zero")), (Some('y'), Some('n')));
    let no_writing = DeviceRule {
        action: DeviceAction::Deny,
        access: DeviceAccess { write: true, ..DeviceAccess::default() },
        ..null
    };
    let devices = Some(DeviceFilter { default: DeviceAction::Allow, rules: vec![no_writing] });
    scratch.apply(&Resources { devices, ..Resources::default() }).unwrap();
    assert_eq!((can_open("/dev/null"), can_open("/dev/zero")), (Some('n'), Some('y')), "opened to read and write");
    scratch.apply(&filter(vec![null])).unwrap();
}

fn v2_unprivileged_filter() {
    const NOBODY: u32 = 65534;
    let scratch = Scratch::new(&only(Version::V2), &[]);
    scratch.delegate(NOBODY, NOBODY).unwrap();
    let mut actor = Actor::new_as(NOBODY, "filter");
    scratch.add(actor.pid()).unwrap();
    actor.go();
    assert_eq!(actor.news(), Some(b'y'));
}
