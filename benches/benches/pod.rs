//! Criterion over the lines of `pod`.

fn main() {
    benches::statistics::run("pod");
}
