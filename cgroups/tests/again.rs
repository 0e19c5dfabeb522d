//! Settings that are written again, lowered and raised: the kernel's files say the last, and the report is the same.
#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "a failed expectation is a failed test")]

mod support;

use std::process::ExitCode;

use support::{Scratch, has, memory, mib, only, v1_swap_accounting};
use trial::{Test, need};
use windlass_cgroups::{Controller, Limit, Memory, Outcome, Version};

fn main() -> ExitCode {
    let memory: &[Controller] = &[Controller::Memory];
    support::main(vec![
        Test::new("v1_memory_settings_are_written_again", || again(Version::V1, &v1_rows()))
            .needs(need::root)
            .needs(has(Version::V1, memory))
            .needs(v1_swap_accounting),
        Test::new("v2_memory_settings_are_written_again", || again(Version::V2, &v2_rows()))
            .needs(need::root)
            .needs(has(Version::V2, memory)),
    ])
}

/// A request and what it makes of the kernel's files.
type Row = (Memory, Vec<(&'static str, String)>);

fn bytes(mib: u64) -> String {
    (mib << 20).to_string()
}

/// Limits as a caller gives them; the sum with swap is what v1 keeps.
fn v1_rows() -> Vec<Row> {
    let row = |max: u64, swap: u64, high: u64, swappiness: u8, kill: bool| {
        let request = Memory {
            max: Some(mib(max)),
            swap: Some(mib(swap)),
            high: Some(mib(high)),
            swappiness: Some(swappiness),
            oom_kill_disable: Some(!kill),
            ..Memory::default()
        };
        let files = vec![
            ("memory.limit_in_bytes", bytes(max)),
            ("memory.memsw.limit_in_bytes", bytes(max + swap)),
            ("memory.soft_limit_in_bytes", bytes(high)),
            ("memory.swappiness", swappiness.to_string()),
        ];
        (request, files)
    };
    // Each order in which the limit and the sum can move: together, apart, and across each other.
    vec![
        row(64, 64, 48, 10, true),
        row(32, 16, 24, 20, false),
        row(128, 0, 96, 0, true),
        row(48, 200, 40, 100, true),
        row(200, 8, 150, 60, false),
        row(16, 0, 8, 60, true),
    ]
}

fn v2_rows() -> Vec<Row> {
    let row = |max: u64, swap: u64, low: u64, together: bool| {
        let request = Memory {
            max: Some(mib(max)),
            high: Some(mib(max / 2)),
            low: Some(mib(low)),
            min: Some(mib(low / 2)),
            swap: Some(mib(swap)),
            swap_high: Some(Limit::Max),
            oom_group: Some(together),
            ..Memory::default()
        };
        let files = vec![
            ("memory.max", bytes(max)),
            ("memory.high", bytes(max / 2)),
            ("memory.low", bytes(low)),
            ("memory.min", bytes(low / 2)),
            ("memory.swap.max", bytes(swap)),
            ("memory.swap.high", "max".to_owned()),
            ("memory.oom.group", u8::from(together).to_string()),
        ];
        (request, files)
    };
    vec![row(64, 64, 8, true), row(32, 16, 4, false), row(128, 0, 64, true), row(16, 200, 2, false)]
}

fn again(version: Version, rows: &[Row]) {
    let scratch = Scratch::new(&only(version), &[Controller::Memory]);
    // Up and down again, and each twice.
    for (request, files) in rows.iter().chain(rows.iter().rev()) {
        let reports = [(); 2].map(|()| {
            let report = scratch.apply(&memory(request.clone())).unwrap();
            for (file, expected) in files {
                assert_eq!(&scratch.file(Controller::Memory, file), expected, "{file} of {request:?}");
            }
            // In what order they are written depends on what was there.
            let mut items = report.items;
            items.sort_by(|one, other| one.setting.cmp(&other.setting));
            items
        });
        assert_eq!(reports[0], reports[1], "{request:?}");
        let is_done = |outcome: &Outcome| matches!(outcome, Outcome::Applied | Outcome::Converted { .. });
        assert!(reports[0].iter().all(|item| is_done(&item.outcome)), "{:?}", reports[0]);
    }
    // What is not asked for stays as the last request left it.
    let (last, files) = &rows[0];
    scratch.apply(&memory(Memory { max: last.max, ..Memory::default() })).unwrap();
    for (file, expected) in files {
        assert_eq!(&scratch.file(Controller::Memory, file), expected, "{file}");
    }
}
