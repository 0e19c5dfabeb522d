//! The example `layers`, run with what it makes itself and with archives of GNU tar.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../examples/layers.rs"]
#[expect(dead_code, reason = "its main only passes the arguments on")]
mod layers;
mod support;

use std::ffi::OsString;
use std::process::{Command, ExitCode};

use support::{gnu_tar, scratch};
use trial::{Test, need};

fn main() -> ExitCode {
    trial::main(vec![
        Test::new("its own layers are shown by origin and drawn", own).needs(need::root),
        Test::new("archives that are named are shown", named).needs(need::root).needs(gnu_tar),
        Test::new("an option without its file is refused", refused),
    ])
}

fn run(arguments: &[&std::path::Path]) -> Result<String, String> {
    let directory = scratch();
    let mut out = Vec::new();
    let arguments = arguments.iter().map(|argument| OsString::from(argument.as_os_str()));
    layers::run(&directory.path().join("store"), arguments, &mut out).map_err(|error| error.to_string())?;
    Ok(String::from_utf8(out).unwrap())
}

/// The numbers of an attribute in a drawing.
fn numbers(svg: &str, attribute: &str) -> Vec<f64> {
    let starts = svg.split("<rect ").skip(1);
    let value = |rect: &str| {
        let text = rect.split_once(&format!(" {attribute}='"))?.1;
        text.split_once('\'')?.0.parse().ok()
    };
    starts.map(|rect| value(rect).unwrap()).collect()
}

fn own() {
    let directory = scratch();
    let svg = directory.path().join("layers.svg");
    let said = run(&["--svg".as_ref(), &svg]).unwrap();
    // Bottom first: what the second layer replaced, what the third deleted, what the snapshot wrote.
    for line in ["    1  etc/greeting", "    1  etc/more", "    w  written-here"] {
        assert!(said.lines().any(|said| said == line), "{line:?} in {said}");
    }
    assert!(!said.contains("etc/old"), "{said}");
    let drawn = std::fs::read_to_string(&svg).unwrap();
    assert!(drawn.starts_with("<svg ") && drawn.ends_with("</svg>\n"), "{drawn}");
    for (tag, end) in [("<g>", "</g>"), ("<title>", "</title>"), ("<text ", "</text>")] {
        assert_eq!(drawn.matches(tag).count(), drawn.matches(end).count(), "{tag}");
    }
    // Greeting and more of one layer, and what was written: areas as their bytes, which together fill the drawing.
    assert!(drawn.contains("<title>etc/greeting: 9 bytes</title>"), "{drawn}");
    let (widths, heights) = (numbers(&drawn, "width"), numbers(&drawn, "height"));
    let areas: Vec<f64> = widths.iter().zip(&heights).map(|(width, height)| width * height).collect();
    let whole: f64 = areas.iter().sum();
    assert!((whole - 1000.0 * 580.0).abs() < 2000.0, "{whole} of {areas:?}");
    let bytes: Vec<f64> = drawn
        .split("<title>")
        .skip(1)
        .map(|title| title.split_once(": ").unwrap().1.split_once(' ').unwrap().0.parse().unwrap())
        .collect();
    let all: f64 = bytes.iter().sum();
    for (area, bytes) in areas.iter().zip(&bytes) {
        assert!((area / whole - bytes / all).abs() < 0.01, "{area} of {whole} for {bytes} of {all}");
    }
}

fn named() {
    let directory = scratch();
    let root = directory.path().join("root");
    std::fs::create_dir_all(root.join("usr/bin")).unwrap();
    std::fs::write(root.join("usr/bin/tool"), vec![b'x'; 5000]).unwrap();
    let archive = directory.path().join("layer.tar");
    let tar = Command::new("tar").arg("-cf").arg(&archive).arg("-C").arg(&root).arg(".").status();
    assert!(tar.unwrap().success());
    let said = run(&[&archive]).unwrap();
    assert!(said.lines().any(|line| line == "    0  usr/bin/tool"), "{said}");
    assert!(said.lines().any(|line| line.trim() == "0          5000 bytes"), "{said}");
}

fn refused() {
    assert_eq!(run(&["--svg".as_ref()]).unwrap_err(), "--svg takes a file");
}
