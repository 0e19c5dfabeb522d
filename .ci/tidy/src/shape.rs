//! Length, names, front pages, `unsafe` and unfinished code.

use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use crate::source::{Source, Violation};

/// Lines of a module without its tests.
const MODULE_LINES_MAX: usize = 600;
/// Lines of a function, signature included.
const FUNCTION_LINES_MAX: usize = 70;
/// Names that say nothing of what is inside.
const EMPTY_NAMES: [&str; 6] = ["utils", "common", "helpers", "types", "manager", "misc"];

/// Violations of shape in one file.
pub fn shape(source: &Source) -> Vec<Violation> {
    let mut found = Vec::new();
    if source.lines > MODULE_LINES_MAX {
        found.push(source.violation(0, format!("{} lines without tests, at most {MODULE_LINES_MAX}", source.lines)));
    }
    for name in &source.module {
        if EMPTY_NAMES.contains(&name.as_str()) {
            found.push(source.violation(0, format!("a module named `{name}` says nothing")));
        }
    }
    if source.path.ends_with("src/lib.rs") {
        found.extend(front_page(source));
    }
    let in_sys = source.module.iter().any(|part| part == "sys");
    let mut visitor = Visitor { source, in_sys, found: Vec::new() };
    visitor.visit_file(&source.file);
    found.extend(visitor.found);
    found
}

fn front_page(source: &Source) -> Vec<Violation> {
    let mut found = Vec::new();
    if !source.file.attrs.iter().any(|attribute| attribute.path().is_ident("doc")) {
        found.push(source.violation(1, "lib.rs has no documentation"));
    }
    for item in &source.file.items {
        let allowed = match item {
            syn::Item::Use(_) | syn::Item::ExternCrate(_) | syn::Item::Macro(_) => true,
            syn::Item::Mod(module) => module.content.is_none(),
            _ => false,
        };
        if !allowed {
            found.push(source.violation(line(item), "lib.rs holds documentation and re-exports only"));
        }
    }
    found
}

fn line(node: &impl Spanned) -> usize {
    node.span().start().line
}

struct Visitor<'a> {
    source: &'a Source,
    in_sys: bool,
    found: Vec<Violation>,
}

impl Visitor<'_> {
    fn function(&mut self, name: &syn::Ident, start: usize, block: &syn::Block) {
        let lines = block.span().end().line + 1 - start;
        if lines > FUNCTION_LINES_MAX {
            self.found.push(
                self.source.violation(start, format!("`{name}` has {lines} lines, at most {FUNCTION_LINES_MAX}")),
            );
        }
    }

    fn unsafety(&mut self, line: usize) {
        if !self.in_sys {
            self.found.push(self.source.violation(line, "`unsafe` outside `sys`"));
        }
    }
}

impl<'ast> Visit<'ast> for Visitor<'_> {
    fn visit_item_fn(&mut self, node: &'ast syn::ItemFn) {
        self.function(&node.sig.ident, line(&node.sig), &node.block);
        if matches!(node.sig.safety, syn::Safety::Unsafe(_)) {
            self.unsafety(line(node));
        }
        visit::visit_item_fn(self, node);
    }

    fn visit_impl_item_fn(&mut self, node: &'ast syn::ImplItemFn) {
        self.function(&node.sig.ident, line(&node.sig), &node.block);
        if matches!(node.sig.safety, syn::Safety::Unsafe(_)) {
            self.unsafety(line(node));
        }
        visit::visit_impl_item_fn(self, node);
    }

    fn visit_item_impl(&mut self, node: &'ast syn::ItemImpl) {
        if node.unsafety.is_some() {
            self.unsafety(line(node));
        }
        visit::visit_item_impl(self, node);
    }

    fn visit_expr_unsafe(&mut self, node: &'ast syn::ExprUnsafe) {
        self.unsafety(line(node));
        visit::visit_expr_unsafe(self, node);
    }

    fn visit_macro(&mut self, node: &'ast syn::Macro) {
        if node.path.is_ident("todo") || node.path.is_ident("unimplemented") || node.path.is_ident("dbg") {
            self.found.push(self.source.violation(line(node), "unfinished code"));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn messages(path: &str, text: &str) -> Vec<String> {
        let source = Source::parse(Path::new(path), Path::new("x/src"), text).unwrap();
        shape(&source).into_iter().map(|violation| violation.message).collect()
    }

    #[test]
    fn a_planted_violation_of_each_kind_is_found() {
        let long = format!("fn long() {{\n{}}}\n", "    a();\n".repeat(70));
        assert_eq!(messages("x/src/a.rs", &long), ["`long` has 72 lines, at most 70"]);
        let module = "const A: u8 = 1;\n".repeat(601);
        assert_eq!(messages("x/src/a.rs", &module), ["601 lines without tests, at most 600"]);
        assert_eq!(messages("x/src/utils.rs", ""), ["a module named `utils` says nothing"]);
        assert_eq!(messages("x/src/a.rs", "fn f() { unsafe { g() } }"), ["`unsafe` outside `sys`"]);
        assert_eq!(messages("x/src/a.rs", "unsafe impl Send for A {}"), ["`unsafe` outside `sys`"]);
        assert_eq!(messages("x/src/a.rs", "fn f() { todo!() }"), ["unfinished code"]);
        assert_eq!(
            messages("x/src/lib.rs", "fn f() {}"),
            ["lib.rs has no documentation", "lib.rs holds documentation and re-exports only"]
        );
    }

    #[test]
    fn good_files_pass() {
        assert!(messages("x/src/sys/mount.rs", "fn f() { unsafe { g() } }").is_empty());
        assert!(messages("x/src/lib.rs", "//! What it is.\nmod a;\npub use a::B;").is_empty());
    }
}
