//! Criterion over the lines of `cgroups`.

fn main() {
    benches::statistics::run("cgroups");
}
