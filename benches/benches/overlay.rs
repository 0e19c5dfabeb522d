//! Criterion over the lines of `overlay`.

fn main() {
    benches::statistics::run("overlay");
}
