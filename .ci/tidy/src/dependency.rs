//! Edges between the crates, and the reason that every dependency from outside has.

use std::path::Path;

use crate::source::{Source, Violation};

/// The libraries of the family and the siblings that each may use.
const LIBRARIES: [(&str, &[&str]); 6] = [
    ("windlass-namespaces", &[]),
    ("windlass-cgroups", &[]),
    ("windlass-overlay", &[]),
    ("windlass-image", &[]),
    ("windlass-pod", &[]),
    ("windlass-scheduler-core", &["windlass-pod"]),
];

/// Siblings that a library's manifest must not name, and imports of `windlass_pod` outside `compile`.
pub fn edges(manifest_path: &Path, manifest: &toml::Table, sources: &[Source]) -> Vec<Violation> {
    let name = manifest.get("package").and_then(|package| package.get("name")).and_then(toml::Value::as_str);
    let Some((library, allowed)) = LIBRARIES.iter().find(|(library, _)| Some(*library) == name) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for dependency in dependencies(manifest) {
        let sibling = LIBRARIES.iter().any(|(other, _)| *other == dependency);
        if sibling && !allowed.contains(&dependency.as_str()) {
            found.push(Violation {
                path: manifest_path.to_owned(),
                line: 0,
                message: format!("{library} depends on its sibling {dependency}"),
            });
        }
    }
    for source in sources {
        let compiles = source.module.first().is_some_and(|first| first == "compile");
        if !compiles && uses_crate(source, "windlass_pod") {
            found.push(source.violation(0, "`windlass_pod` is imported outside `compile`"));
        }
    }
    found
}

/// Dependencies from outside that `docs/dependencies.md` does not explain.
pub fn unexplained(manifest_path: &Path, manifest: &toml::Table, explained: &str) -> Vec<Violation> {
    dependencies(manifest)
        .into_iter()
        .filter(|name| !explained.contains(&format!("| `{name}` |")))
        .map(|name| Violation {
            path: manifest_path.to_owned(),
            line: 0,
            message: format!("`{name}` has no line in docs/dependencies.md"),
        })
        .collect()
}

/// Names in every dependency table of a manifest, target tables included; a path alone is no dependency from outside.
fn dependencies(manifest: &toml::Table) -> Vec<String> {
    let mut names = Vec::new();
    let targets = manifest.get("target").and_then(toml::Value::as_table);
    let tables = std::iter::once(manifest)
        .chain(targets.into_iter().flat_map(toml::Table::values).filter_map(toml::Value::as_table));
    for table in tables {
        for kind in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let Some(entries) = table.get(kind).and_then(toml::Value::as_table) else { continue };
            names.extend(entries.iter().filter(|(_, value)| value.get("path").is_none()).map(|(name, _)| name.clone()));
        }
    }
    names.sort();
    names.dedup();
    names
}

fn uses_crate(source: &Source, name: &str) -> bool {
    source.paths().iter().any(|path| path.first().is_some_and(|first| first == name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(text: &str) -> toml::Table {
        text.parse().unwrap()
    }

    #[test]
    fn a_sibling_is_found_in_any_table() {
        let overlay =
            manifest("[package]\nname='windlass-overlay'\n[target.x.dev-dependencies]\nwindlass-image.workspace=true");
        assert_eq!(edges(Path::new("overlay/Cargo.toml"), &overlay, &[]).len(), 1);
        let scheduler =
            manifest("[package]\nname='windlass-scheduler-core'\n[dependencies]\nwindlass-pod.workspace=true");
        assert!(edges(Path::new("s/Cargo.toml"), &scheduler, &[]).is_empty());
    }

    #[test]
    fn pod_is_imported_in_compile_alone() {
        let scheduler = manifest("[package]\nname='windlass-scheduler-core'");
        let at = |path: &str| Source::parse(Path::new(path), Path::new("s/src"), "use windlass_pod::Pod;").unwrap();
        assert_eq!(edges(Path::new("s/Cargo.toml"), &scheduler, &[at("s/src/node.rs")]).len(), 1);
        assert!(edges(Path::new("s/Cargo.toml"), &scheduler, &[at("s/src/compile.rs")]).is_empty());
    }

    #[test]
    fn every_dependency_is_explained() {
        let manifest = manifest("[dependencies]\nlibc='1'\ntar='1'\ntrial={path='x'}");
        let found = unexplained(Path::new("Cargo.toml"), &manifest, "| `libc` | raw calls |\n");
        assert_eq!(found.len(), 1);
        assert!(found[0].message.contains("`tar`"));
    }
}
