//! Modules that import each other in a circle.

use std::collections::{BTreeMap, BTreeSet};

use crate::source::{Source, Violation};

/// Circles among sibling modules of one crate, at every level of its tree.
///
/// A parent and its own children may know each other; two siblings, each with all that lies below it, may not.
pub fn cycles(sources: &[Source]) -> Vec<Violation> {
    let modules: BTreeSet<&[String]> = sources.iter().map(|source| source.module.as_slice()).collect();
    // (parent, sibling) -> siblings it imports, with a file as the witness.
    let mut graph: BTreeMap<(Vec<String>, String), BTreeMap<String, &Source>> = BTreeMap::new();
    for source in sources {
        for target in imports(source) {
            let target = longest_module(&modules, &target);
            let shared = source.module.iter().zip(target).take_while(|(a, b)| a == b).count();
            let (Some(from), Some(to)) = (source.module.get(shared), target.get(shared)) else { continue };
            let parent = source.module[..shared].to_vec();
            graph.entry((parent, from.clone())).or_default().insert(to.clone(), source);
        }
    }
    let mut found = Vec::new();
    for ((parent, from), targets) in &graph {
        for (to, witness) in targets {
            // Each circle is told once, at its first member.
            let way = path(&graph, parent, to, from).filter(|way| way.iter().all(|node| node >= from));
            if let Some(way) = way {
                found.push(witness.violation(0, format!("modules in a circle: {from} -> {}", way.join(" -> "))));
            }
        }
    }
    found
}

/// The way from `start` to `goal` among the siblings below `parent`.
fn path(
    graph: &BTreeMap<(Vec<String>, String), BTreeMap<String, &Source>>,
    parent: &[String],
    start: &str,
    goal: &str,
) -> Option<Vec<String>> {
    let mut ways = vec![vec![start.to_owned()]];
    let mut seen = BTreeSet::from([start.to_owned()]);
    while let Some(way) = ways.pop() {
        let last = way.last().expect("a way has a start");
        if last == goal {
            return Some(way);
        }
        let next = graph.get(&(parent.to_vec(), last.clone())).into_iter().flat_map(BTreeMap::keys);
        for node in next {
            if seen.insert(node.clone()) {
                ways.push(way.iter().cloned().chain([node.clone()]).collect());
            }
        }
    }
    None
}

fn longest_module<'a>(modules: &BTreeSet<&'a [String]>, path: &[String]) -> &'a [String] {
    (0..=path.len()).rev().find_map(|length| modules.get(&path[..length]).copied()).unwrap_or_default()
}

/// Paths from the crate's root that a file names.
pub(crate) fn imports(source: &Source) -> BTreeSet<Vec<String>> {
    source.paths().iter().filter_map(|path| from_root(&source.module, path)).collect()
}

/// `path`, written inside `module`, from the crate's root; `None` if it starts elsewhere.
fn from_root(module: &[String], path: &[String]) -> Option<Vec<String>> {
    let is_anchor = |part: &&String| matches!(part.as_str(), "crate" | "self" | "super");
    let anchors: Vec<&String> = path.iter().take_while(is_anchor).collect();
    let mut base = if *anchors.first()? == "crate" { Vec::new() } else { module.to_vec() };
    for _ in anchors.iter().filter(|anchor| **anchor == "super") {
        base.pop();
    }
    base.extend_from_slice(&path[anchors.len()..]);
    Some(base)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn circles(files: &[(&str, &str)]) -> Vec<String> {
        let sources: Vec<Source> = files
            .iter()
            .map(|(path, text)| Source::parse(&Path::new("x/src").join(path), Path::new("x/src"), text).unwrap())
            .collect();
        cycles(&sources).into_iter().map(|violation| violation.message).collect()
    }

    #[test]
    fn a_circle_of_three_is_found_once() {
        let files = [
            ("a.rs", "use crate::b::B;"),
            ("b.rs", "fn f() { crate::c::g() }"),
            ("c.rs", "use super::a::{A, other::X};"),
        ];
        assert_eq!(circles(&files), ["modules in a circle: a -> b -> c -> a"]);
    }

    #[test]
    fn siblings_below_a_parent_count_and_parents_do_not() {
        let nested = [("n/a.rs", "use super::b::B;"), ("n/b.rs", "use crate::n::a::A;"), ("n/mod.rs", "")];
        assert_eq!(circles(&nested), ["modules in a circle: a -> b -> a"]);
        assert!(circles(&[("n/mod.rs", "pub use self::a::A;"), ("n/a.rs", "use super::Error;")]).is_empty());
    }

    #[test]
    fn a_line_passes() {
        assert!(circles(&[("a.rs", "use crate::b::B;"), ("b.rs", "use crate::c::C;"), ("c.rs", "")]).is_empty());
    }
}
