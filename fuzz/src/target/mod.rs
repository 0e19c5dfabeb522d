//! The targets, by name.

mod cgroups;
mod image;
mod namespaces;
mod overlay;
mod pod;

/// What a target does with any bytes.
pub type Body = fn(&[u8]);

/// Every target with its name, which is also the name of its corpus folder and of its wrapper.
pub const TARGETS: [(&str, Body); 26] = [
    ("cgroups_cpuset", cgroups::cpuset),
    ("cgroups_stats", cgroups::stats),
    ("image_reference", image::reference),
    ("image_manifest", image::manifest),
    ("image_index", image::index),
    ("image_config", image::config),
    ("image_gzip", image::gzip),
    ("image_zstd", image::zstd),
    ("image_challenge", image::challenge),
    ("image_docker_config", image::docker_config),
    ("image_table", image::table),
    ("image_chunked", image::chunked),
    ("image_archive", image::archive),
    ("namespaces_oci", namespaces::oci),
    ("overlay_apply", overlay::apply),
    ("overlay_tar", overlay::tar),
    ("overlay_pax", overlay::pax),
    ("overlay_whiteouts", overlay::whiteouts),
    ("pod_admission", pod::admission),
    ("pod_apply", pod::apply),
    ("pod_json", pod::json),
    ("pod_patch", pod::patch),
    ("pod_protobuf", pod::protobuf),
    ("pod_yaml", pod::yaml),
    ("pod_quantity", pod::quantity),
    ("pod_selector", pod::selector),
];

/// The target of that name.
pub fn find(name: &str) -> Option<Body> {
    TARGETS.iter().find(|(known, _)| *known == name).map(|(_, body)| *body)
}
