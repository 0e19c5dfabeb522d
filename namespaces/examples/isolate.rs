//! Runs a program in fresh namespaces, or shows what a program sees there.
//!
//! `cargo run -p windlass-namespaces --example isolate -- [PROGRAM [ARGUMENT...]]`

use std::process::ExitCode;

use windlass_namespaces::{CapabilitySets, Command, Mount, Namespace, Source};

/// What a shell can tell of its surroundings with nothing but its own words and the files of the kernel.
const LOOK_AROUND: &str = r#"
echo "my number is $$, my host is $(cat /proc/sys/kernel/hostname)"
echo "my users map as:$(cat /proc/self/uid_map)"
echo "my capabilities are$(grep CapEff /proc/self/status | cut -d: -f2)"
echo "my processes are:"; for process in /proc/[0-9]*; do echo "  $(tr '\0' ' ' < $process/cmdline | cut -c1-20)"; done
echo "my network devices are:"; tail -n +3 /proc/net/dev | cut -d: -f1
echo "I can write /sys: $(test -w /sys && echo yes || echo no)"
"#;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let program = arguments.next();
    let mut command = if let Some(program) = program {
        Command::new(program)
    } else {
        let mut shell = Command::new("/bin/sh");
        shell.arg("-c").arg(LOOK_AROUND);
        shell
    };
    command.args(arguments);
    // A new user namespace makes this work for every user: who starts it is root inside.
    for kind in Namespace::ALL {
        command.namespace(kind, Source::New);
    }
    command
        .mount(Mount::proc("/proc").no_suid().no_dev().no_exec())
        .mount(Mount::sysfs("/sys").no_suid().no_dev().no_exec().read_only())
        .hostname("isolated")
        .capabilities(CapabilitySets::docker())
        .no_new_privileges();
    match command.spawn().and_then(|mut child| child.wait()) {
        Ok(status) => ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1)),
        Err(error) => {
            report(&error);
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stderr, reason = "a program tells its user what went wrong")]
fn report(error: &dyn std::error::Error) {
    eprintln!("isolate: {error}");
    let mut source = error.source();
    while let Some(cause) = source {
        eprintln!("  because: {cause}");
        source = cause.source();
    }
}
