//! Criterion over the lines of `image`.

fn main() {
    benches::statistics::run("image");
}
