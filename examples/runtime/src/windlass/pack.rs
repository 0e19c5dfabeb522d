//! `pack`: an image from a program.

use std::io::Write as _;

use serde_json::json;
use windlass_image::pack::{Extra, PackRequest, Packed, PackedLayer, Program, Role};

use super::cli;
use super::failure::Failure;
use super::home::{self, Home};

pub(super) fn pack(home: &Home, arguments: cli::Pack) -> Result<u8, Failure> {
    let name = home::name(&arguments.tag)?;
    let program = arguments.program.display().to_string();
    let mut request = PackRequest::new(Program::Path { path: arguments.program, name: None });
    request.args = arguments.args;
    request.env = arguments.env;
    request.includes = arguments.include;
    request.user = arguments.user;
    request.working_dir = arguments.workdir;
    request.epoch = arguments.source_date_epoch;
    if arguments.ca_certificates {
        request.extras.push(Extra::CaCertificates);
    }
    if arguments.passwd {
        request.extras.push(Extra::Accounts);
    }
    let packed = windlass_image::pack::pack(&request, &home.layout, &name).map_err(Failure::during(program))?;
    let text = if arguments.json { as_json(&name, &packed) } else { as_text(&arguments.tag, &packed) };
    std::io::stdout().write_all(text.as_bytes()).map_err(Failure::during("print"))?;
    Ok(0)
}

fn role(layer: &PackedLayer) -> String {
    match &layer.role {
        Role::Dependencies => "dependencies".to_owned(),
        Role::Extras => "extras".to_owned(),
        Role::Code => "code".to_owned(),
        Role::Include(path) => path.display().to_string(),
    }
}

fn as_json(name: &str, packed: &Packed) -> String {
    let layers: Vec<_> = packed
        .layers
        .iter()
        .map(|layer| {
            json!({"role": role(layer), "digest": layer.descriptor.digest.to_string(),
                "diff_id": layer.diff_id.to_string(), "bytes": layer.bytes, "compressed": layer.descriptor.size})
        })
        .collect();
    let libraries: Vec<_> = packed.libraries.iter().map(|library| library.host_path.display().to_string()).collect();
    let hints: Vec<_> = packed.hints.iter().map(ToString::to_string).collect();
    let image = packed.image.digest.to_string();
    format!("{}\n", json!({"name": name, "image": image, "layers": layers, "libraries": libraries, "hints": hints}))
}

fn as_text(name: &str, packed: &Packed) -> String {
    let mut lines = vec![format!("{name}  {}", packed.image.digest)];
    let line = |layer: &PackedLayer| {
        format!("{:<40} {:>12} bytes {:>12} compressed", role(layer), layer.bytes, layer.descriptor.size)
    };
    lines.extend(packed.layers.iter().map(line));
    lines.extend(packed.hints.iter().map(|hint| format!("not in the image: {hint}")));
    lines.join("\n") + "\n"
}
