//! The floor as a program of its own: `floor ROOTFS PROGRAM NAME`.

use std::process::ExitCode;

use benches::floor::Floor;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [rootfs, program, name] = words.as_slice() else { return ExitCode::from(2) };
    match Floor::new(rootfs.as_ref(), program, name).and_then(|floor| floor.run()) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(status) => ExitCode::from(u8::try_from((status >> 8) & 0xff).unwrap_or(1)),
        Err(_) => ExitCode::from(3),
    }
}
