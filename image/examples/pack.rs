//! Packs a program into an image layout and prints the image's layers.
//!
//! `cargo run -p windlass-image --example pack -- /usr/bin/env /tmp/layout env:latest [INCLUDE]...`

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use windlass_image::Layout;
use windlass_image::pack::{PackRequest, Program, pack};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let causes = std::iter::successors(error.source(), |cause| cause.source());
            let message: Vec<_> = std::iter::once(error.to_string()).chain(causes.map(ToString::to_string)).collect();
            writeln!(io::stderr(), "pack: {}", message.join(": ")).map_or(ExitCode::from(2), |()| ExitCode::FAILURE)
        }
    }
}

fn run() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(program), Some(directory), Some(tag)) = (arguments.next(), arguments.next(), arguments.next()) else {
        return Err("usage: pack PROGRAM LAYOUT NAME [INCLUDE]...".into());
    };
    let mut request = PackRequest::new(Program::Path { path: program, name: None });
    request.includes = arguments.collect();
    let layout = Layout::create(directory)?;
    let packed = pack(&request, &layout, tag.to_string_lossy())?;

    let mut out = io::stdout().lock();
    writeln!(out, "{}", packed.image.digest)?;
    for layer in &packed.layers {
        let size = layer.descriptor.size;
        writeln!(out, "layer {} {:?}: {size} bytes, {} unpacked", layer.descriptor.digest, layer.role, layer.bytes)?;
    }
    for library in &packed.libraries {
        writeln!(out, "loads {}: {}", library.name.display(), library.image_path.display())?;
    }
    for hint in &packed.hints {
        writeln!(out, "cannot see {hint:?}")?;
    }
    Ok(())
}
