//! Steps 1 and 2: an image is made from this very program, read back, verified and stacked.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::AtFlags;
use serde_json::json;
use windlass_image::Layout;
use windlass_image::pack::{PackRequest, Program, Role};
use windlass_overlay::{ApplyOptions, LayerId, LayerStore, MountOptions};

use crate::demo::error::{Error, Result};
use crate::demo::output::Reporter;
use crate::demo::task::blocking;
use crate::images::Images;

/// Where the program is in the image.
const INSIDE: &str = "/bin/mini-orchestrator";

/// Step 1: packs `/proc/self/exe` and the libraries that it loads, unless a layout is given.
pub(in crate::demo) async fn pack(
    reporter: &Reporter,
    folder: &Path,
    given: Option<PathBuf>,
    tag: &str,
) -> Result<Layout> {
    let step = reporter.step(1, "pack an image");
    if let Some(given) = given {
        let layout = blocking({
            let given = given.clone();
            move || Layout::open(given)
        });
        let layout = layout.await??;
        step.done(&format!("taken from {}", given.display()), json!({ "layout": given }));
        return Ok(layout);
    }
    let (path, tag) = (folder.join("image"), tag.to_owned());
    let (layout, packed) = blocking(move || {
        let layout = Layout::create(&path)?;
        let program = Path::new("/proc/self/exe");
        let file = File::open(program).map_err(Error::io("open", program))?;
        let request = PackRequest::new(Program::File { file, name: INSIDE.into() });
        let packed = windlass_image::pack::pack(&request, &layout, &tag)?;
        Ok::<_, Error>((layout, packed))
    })
    .await??;
    let layers = packed.layers.iter().map(|layer| {
        json!({
            "role": role(&layer.role),
            "digest": layer.descriptor.digest.to_string(),
            "diff_id": layer.diff_id.to_string(),
            "media_type": layer.descriptor.media_type.to_string(),
            "compressed_bytes": layer.descriptor.size,
            "bytes": layer.bytes,
        })
    });
    let layers: Vec<_> = layers.collect();
    let sizes = packed.layers.iter().map(|layer| format!("{} {}", role(&layer.role), mebibytes(layer.bytes)));
    let sizes: Vec<String> = sizes.collect();
    let libraries: Vec<String> =
        packed.libraries.iter().map(|library| library.host_path.display().to_string()).collect();
    step.done(
        &format!("{}, {} libraries", sizes.join(", "), libraries.len()),
        json!({ "image": packed.image.digest.to_string(), "layers": layers, "libraries": libraries }),
    );
    Ok(layout)
}

/// Step 2: verifies every digest, applies the layers, and tries the stack: what is removed in a writable layer is gone
/// there, also once that layer has been exported and applied as a layer with a whiteout, and nowhere else.
pub(in crate::demo) async fn stack(
    reporter: &Reporter,
    folder: &Path,
    layout: Layout,
    tag: &str,
) -> Result<Arc<Images>> {
    let step = reporter.step(2, "verify and stack its layers");
    let (path, tag) = (folder.join("layers"), tag.to_owned());
    let (images, image) = blocking(move || {
        let images = Images::open(layout, &path)?;
        let image = images.prepare(&tag)?;
        try_stack(images.store(), &image.layers)?;
        Ok::<_, Error>((images, image))
    })
    .await??;
    let layers: Vec<String> = image.layers.iter().map(ToString::to_string).collect();
    step.done(
        &format!("{} layers verified, applied, mounted; a whiteout hides the program in one stack only", layers.len()),
        json!({ "image": image.digest, "layers": layers, "whiteout": "hides" }),
    );
    Ok(Arc::new(images))
}

/// The first mounts of the stack, attached nowhere: that the kernel refuses them is learnt here, before any pod.
fn try_stack(store: &LayerStore, layers: &[LayerId]) -> Result<()> {
    let program = INSIDE.trim_start_matches('/');
    let trial = store.snapshot("trial", layers)?;
    let writable: OwnedFd = trial.mount(&MountOptions::default())?.into();
    let removed = rustix::fs::unlinkat(&writable, program, AtFlags::empty());
    removed.map_err(|errno| Error::io("remove in a writable layer", Path::new(INSIDE))(errno.into()))?;
    drop(writable);
    let whiteout = store.ingest(&trial.write_diff(Vec::new())?[..], &ApplyOptions::default())?;
    trial.remove()?;
    let hidden = [layers, &[whiteout]].concat();
    for (layers, expected) in [(layers, "there"), (hidden.as_slice(), "hidden")] {
        let view = store.view("trial", layers)?;
        let mount: OwnedFd = view.mount(&MountOptions::default())?.into();
        let found = match rustix::fs::statat(&mount, program, AtFlags::empty()) {
            Ok(_) => "there",
            Err(_) => "hidden",
        };
        drop(mount);
        view.remove()?;
        if found != expected {
            let (expected, found) = (expected.to_owned(), found.to_owned());
            return Err(Error::Unexpected { what: "the program in a stack of layers", expected, found });
        }
    }
    store.remove_layer(whiteout)?;
    Ok(())
}

fn role(role: &Role) -> &'static str {
    match role {
        Role::Code => "code",
        Role::Dependencies => "dependencies",
        Role::Include(_) => "include",
        Role::Extras => "extras",
    }
}

fn mebibytes(bytes: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "a size shown with one digit after the point")]
    let mebibytes = bytes as f64 / f64::from(1 << 20);
    format!("{mebibytes:.1} MiB")
}
