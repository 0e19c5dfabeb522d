//! Criterion over the lines of `scheduler-core`.

fn main() {
    benches::statistics::run("scheduler-core");
}
