//! Where a container's control group is, from what a configuration or an operator says.

use windlass_cgroups::{GroupPath, ParseGroupPathError};

/// A path below the mounted root of each hierarchy, absolute or not: it is made clean first, and cannot lead above.
pub(crate) fn below_root(text: &str) -> Result<GroupPath, ParseGroupPathError> {
    let mut names: Vec<&str> = Vec::new();
    for name in text.split('/') {
        match name {
            "" | "." => {}
            ".." => drop(names.pop()),
            name => names.push(name),
        }
    }
    GroupPath::new(&names.join("/"))
}

#[cfg(test)]
mod tests {
    use super::below_root;

    #[test]
    fn a_path_stays_below_the_root() {
        for (text, path) in [("/a", "a"), ("a/b", "a/b"), ("//a/./b/", "a/b"), ("/../../a/../b", "b")] {
            assert_eq!(below_root(text).unwrap().as_str(), path, "{text}");
        }
        for text in ["", "/", "a/..", "a\nb"] {
            assert!(below_root(text).is_err(), "{text:?}");
        }
    }
}
