//! Criterion over the lines of `namespaces`.

fn main() {
    benches::statistics::run("namespaces");
}
