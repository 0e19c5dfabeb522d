//! Source files as parsed text, and what a check says of them.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

use syn::spanned::Spanned as _;
use syn::visit::{self, Visit};

/// One Rust file of the workspace.
pub struct Source {
    /// Path relative to the workspace.
    pub path: PathBuf,
    /// Module path inside its crate: `net/link.rs` is `["net", "link"]`, `lib.rs` is empty.
    pub module: Vec<String>,
    /// Lines outside `#[cfg(test)]` items.
    pub lines: usize,
    /// The syntax tree without `#[cfg(test)]` items.
    pub file: syn::File,
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").field("path", &self.path).finish_non_exhaustive()
    }
}

/// One thing that is out of shape.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Violation {
    /// Where, relative to the workspace.
    pub path: PathBuf,
    /// First line concerned, 0 for the file as a whole.
    pub line: usize,
    /// What is wrong and what is allowed.
    pub message: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path.display(), self.line, self.message)
    }
}

impl Source {
    /// Parses `text` as the file `path`, whose crate's sources lie below `src`.
    ///
    /// # Errors
    /// A violation that holds the parser's message.
    pub fn parse(path: &Path, src: &Path, text: &str) -> Result<Self, Violation> {
        let mut file = syn::parse_file(text).map_err(|error| Violation {
            path: path.to_owned(),
            line: error.span().start().line,
            message: format!("does not parse: {error}"),
        })?;
        let mut test_lines = 0;
        file.items.retain(|item| {
            let test = is_test(item);
            if test {
                test_lines += item.span().end().line - item.span().start().line + 1;
            }
            !test
        });
        Ok(Self {
            path: path.to_owned(),
            module: module_path(path, src),
            lines: text.lines().count().saturating_sub(test_lines),
            file,
        })
    }

    /// Every path that the file names, as it is written, in `use` items (a line each) and elsewhere.
    pub fn paths(&self) -> BTreeSet<Vec<String>> {
        let mut paths = Paths(BTreeSet::new());
        paths.visit_file(&self.file);
        paths.0
    }

    /// A violation at `line` of this file.
    pub fn violation(&self, line: usize, message: impl Into<String>) -> Violation {
        Violation { path: self.path.clone(), line, message: message.into() }
    }
}

struct Paths(BTreeSet<Vec<String>>);

impl Paths {
    fn tree(&mut self, prefix: &[String], tree: &syn::UseTree) {
        let with = |ident: &syn::Ident| prefix.iter().cloned().chain([ident.to_string()]).collect::<Vec<_>>();
        match tree {
            syn::UseTree::Path(path) => self.tree(&with(&path.ident), &path.tree),
            syn::UseTree::Name(name) => _ = self.0.insert(with(&name.ident)),
            syn::UseTree::Rename(rename) => _ = self.0.insert(with(&rename.ident)),
            syn::UseTree::Glob(_) => _ = self.0.insert(prefix.to_vec()),
            syn::UseTree::Group(group) => group.items.iter().for_each(|item| self.tree(prefix, item)),
        }
    }
}

impl<'ast> Visit<'ast> for Paths {
    fn visit_item_use(&mut self, node: &'ast syn::ItemUse) {
        self.tree(&[], &node.tree);
    }

    fn visit_path(&mut self, node: &'ast syn::Path) {
        self.0.insert(node.segments.iter().map(|segment| segment.ident.to_string()).collect());
        visit::visit_path(self, node);
    }
}

/// Parses every Rust file below `root/src_folder`; violations are files that do not parse.
///
/// # Errors
/// A folder or file that cannot be read.
pub fn read_tree(root: &Path, src_folder: &Path) -> std::io::Result<Result<Vec<Source>, Violation>> {
    let mut files = Vec::new();
    collect(&root.join(src_folder), &mut files)?;
    files.sort();
    let mut sources = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file)?;
        let relative = file.strip_prefix(root).expect("collected below the root");
        match Source::parse(relative, src_folder, &text) {
            Ok(source) => sources.push(source),
            Err(violation) => return Ok(Err(violation)),
        }
    }
    Ok(Ok(sources))
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(())
}

fn module_path(path: &Path, src: &Path) -> Vec<String> {
    let inside = path.strip_prefix(src).unwrap_or(path).with_extension("");
    let mut module: Vec<String> = inside.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    if module.last().is_some_and(|last| matches!(last.as_str(), "mod" | "lib" | "main")) {
        module.pop();
    }
    module
}

fn is_test(item: &syn::Item) -> bool {
    let attributes = match item {
        syn::Item::Mod(item) => &item.attrs,
        syn::Item::Fn(item) => &item.attrs,
        syn::Item::Impl(item) => &item.attrs,
        syn::Item::Use(item) => &item.attrs,
        _ => return false,
    };
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute.meta.require_list().is_ok_and(|list| list.tokens.to_string().starts_with("test"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_items_do_not_count() {
        let text = "fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\n";
        let source = Source::parse(Path::new("x/src/net/link.rs"), Path::new("x/src"), text).unwrap();
        assert_eq!(source.lines, 1);
        assert_eq!(source.file.items.len(), 1);
        assert_eq!(source.module, ["net", "link"]);
    }

    #[test]
    fn the_folder_is_the_module() {
        assert_eq!(module_path(Path::new("x/src/tar/mod.rs"), Path::new("x/src")), ["tar"]);
        assert!(module_path(Path::new("x/src/lib.rs"), Path::new("x/src")).is_empty());
    }
}
