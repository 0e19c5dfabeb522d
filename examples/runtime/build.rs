//! Links `windlass-oci` statically, where the C library is there as an archive.
//!
//! The program is executed twice for each container, since it replaces itself by a sealed view of itself: without a
//! dynamic linker that costs half. `rustc` can link the C library statically only for a whole build at once, macros of
//! the compiler included, which it then cannot load; so the archives are put where the linker looks first.

use std::path::{Path, PathBuf};
use std::process::Command;

/// What the standard library is linked with.
const LIBRARIES: [&str; 6] = ["c", "m", "rt", "pthread", "dl", "util"];

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let is_gnu = std::env::var("CARGO_CFG_TARGET_ENV").is_ok_and(|env| env == "gnu");
    let (Ok(host), Ok(target)) = (std::env::var("HOST"), std::env::var("TARGET")) else { return };
    if !is_gnu || host != target {
        return;
    }
    let out = std::env::var_os("OUT_DIR").map(PathBuf::from).expect("cargo says where to put what is built");
    let archives: Option<Vec<PathBuf>> = LIBRARIES.iter().map(|name| archive(name)).collect();
    let Some(archives) = archives else { return };
    for (name, path) in LIBRARIES.iter().zip(archives) {
        // A path in a script of the linker.
        write(&out.join(format!("lib{name}.a")), &format!("INPUT(\"{}\")\n", path.display()));
    }
    write(&out.join("libgcc_s.a"), "INPUT(-lgcc_eh)\n");
    for argument in [format!("-L{}", out.display()), "-static".to_owned(), "-no-pie".to_owned()] {
        println!("cargo:rustc-link-arg-bin=windlass-oci={argument}");
    }
    if std::env::var("CARGO_CFG_TARGET_ARCH").is_ok_and(|architecture| architecture == "x86_64") {
        // Where the kernel begins: see `src/sys/seal.rs`.
        println!("cargo:rustc-link-arg-bin=windlass-oci=-Wl,-e,windlass_oci_begin");
    }
}

/// The archive of a library, if the C compiler knows of one.
fn archive(name: &str) -> Option<PathBuf> {
    let output = Command::new("cc").arg(format!("-print-file-name=lib{name}.a")).output().ok()?;
    let path = PathBuf::from(String::from_utf8(output.stdout).ok()?.trim());
    (path.is_absolute() && path.exists()).then_some(path)
}

fn write(path: &Path, text: &str) {
    std::fs::write(path, text).expect("the folder of the build can be written");
}
