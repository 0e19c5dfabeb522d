//! Packed programs: what they load is what the dynamic linker says, and they run where nothing else is.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails by panicking and tells what it counted")]

mod support;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use support::{directory, run, text};
use trial::{Test, need};
use windlass_image::pack::{Hint, PackRequest, Packed, Program, Role, pack};
use windlass_image::{Codec, Error, Layout, Platform};

fn main() -> ExitCode {
    let cc = || need::program("cc");
    trial::main(vec![
        Test::new("libraries_are_those_that_the_linker_lists", against_ldd).needs(need::program("ldd")),
        Test::new("a_dynamic_program_runs_alone", runs_alone).needs(need::root),
        Test::new("this_program_packs_itself_from_proc", own_program).needs(need::root),
        Test::new("python_runs_with_its_library_included", python)
            .needs(need::root)
            .needs(need::path("/usr/lib/python3.11")),
        Test::new("origin_is_the_programs_place_in_the_image", origin).needs(need::root).needs(cc()),
        Test::new("a_library_of_the_cache_alone_is_found", cache_only)
            .needs(need::root)
            .needs(cc())
            .needs(|| library_of_the_cache_alone().map(drop)),
        Test::new("a_static_program_has_no_dependencies", static_program).needs(need::root).needs(cc()),
        Test::new("a_rebuilt_program_ships_only_its_code", rebuild).needs(cc()),
        Test::new("the_same_input_gives_the_same_digest", reproducible),
        Test::new("a_merged_usr_stays_merged", merged_usr).needs(need::path("/lib64/ld-linux-x86-64.so.2")),
        Test::new("what_is_no_program_is_refused", refused),
        Test::new("a_missing_library_is_named", missing_library).needs(cc()),
        Test::new("a_filter_is_told", filter).needs(cc()),
    ])
}

fn request(path: &str) -> PackRequest {
    PackRequest::new(Program::Path { path: path.into(), name: None })
}

fn pack_fresh(directory: &Path, request: &PackRequest) -> (Layout, Packed) {
    let layout = Layout::create(directory.join("layout")).unwrap();
    let packed = pack(request, &layout, "test").unwrap();
    (layout, packed)
}

/// Unpacks the image with GNU tar, layer over layer.
fn unpack(layout: &Layout, target: &Path) {
    fs::create_dir(target).unwrap();
    for (blob, _) in layout.resolve("test").unwrap().layers() {
        let mut tar = Command::new("tar")
            .args(["--extract", "--keep-directory-symlink", "--directory"])
            .arg(target)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = tar.stdin.take().expect("standard input is a pipe");
        std::io::copy(&mut layout.layer(blob).unwrap(), &mut input).unwrap();
        drop(input);
        assert!(tar.wait().unwrap().success());
    }
}

/// Runs the image's program with nothing but the image's files.
fn run_alone(layout: &Layout, directory: &Path, arguments: &[&str]) -> String {
    let root = directory.join("root");
    unpack(layout, &root);
    let image = layout.resolve("test").unwrap();
    let program = image.config.execution().command_line().next().expect("a packed image has an entrypoint");
    // The dynamic linker reads /proc/self/exe to learn what $ORIGIN is; the mount ends with its namespace.
    fs::create_dir(root.join("proc")).unwrap();
    let script = r#"mount -t proc proc "$0/proc" && exec chroot "$0" "$@""#;
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", script]).arg(&root).arg(program).args(arguments);
    text(&run(command.env_clear().env("PATH", path())))
}

/// The tools must be found with the little environment that the program gets.
fn path() -> &'static str {
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
}

fn cc(directory: &Path, name: &str, source: &str, arguments: &[&str]) -> PathBuf {
    let (input, output) = (directory.join(format!("{name}.c")), directory.join(name));
    fs::create_dir_all(output.parent().unwrap()).unwrap();
    fs::write(&input, source).unwrap();
    run(Command::new("cc").arg("-o").arg(&output).arg(&input).args(arguments).current_dir(directory));
    output
}

const HELLO: &str = "#include <stdio.h>\nint main(void) { puts(\"hello\"); return 0; }\n";

fn against_ldd() {
    let mut compared = 0;
    for program in ["/usr/bin/env", "/usr/bin/python3", "/usr/bin/git", "/usr/bin/skopeo"] {
        if !Path::new(program).exists() {
            continue;
        }
        let output = text(&run(Command::new("ldd").arg(program)));
        let path_in = |line: &str| {
            let after = line.split("=> ").nth(1).unwrap_or(line);
            after.split_whitespace().next().filter(|path| path.starts_with('/')).map(PathBuf::from)
        };
        let real = |path: PathBuf| fs::canonicalize(path).unwrap();
        let expected: BTreeSet<_> = output.lines().filter_map(path_in).map(real).collect();
        let directory = directory();
        let (_, packed) = pack_fresh(directory.path(), &request(program));
        let found: BTreeSet<_> = packed.libraries.iter().map(|library| real(library.host_path.clone())).collect();
        assert_eq!(found, expected, "{program}");
        compared += 1;
    }
    println!("programs compared with ldd {compared}");
    assert!(compared > 0);
}

fn runs_alone() {
    let directory = directory();
    let mut request = request("/usr/bin/env");
    request.args = vec!["ignored".into()];
    request.env = vec!["A=1".into()];
    request.labels.insert("k".into(), "v".into());
    let (layout, packed) = pack_fresh(directory.path(), &request);
    let roles: Vec<_> = packed.layers.iter().map(|layer| layer.role.clone()).collect();
    assert_eq!(roles, [Role::Dependencies, Role::Code]);
    let image = layout.resolve("test").unwrap();
    assert_eq!(image.digest(), packed.image.digest);
    assert_eq!(*image.config.platform(), Platform::host());
    assert_eq!(image.config.execution().command_line().collect::<Vec<_>>(), ["/usr/bin/env", "ignored"]);
    assert_eq!(image.config.execution().env, ["A=1"]);
    let said = run_alone(&layout, directory.path(), &["-i", "X=works"]);
    assert_eq!(said, "X=works\n");
}

fn own_program() {
    let directory = directory();
    let mut file = File::open("/proc/self/exe").unwrap();
    file.seek(SeekFrom::Start(5)).unwrap();
    let request = PackRequest::new(Program::File { file: file.try_clone().unwrap(), name: "/app/responder".into() });
    let (layout, packed) = pack_fresh(directory.path(), &request);
    assert_eq!(file.stream_position().unwrap(), 5, "the position is the caller's");
    assert!(packed.libraries.iter().any(|library| library.name == "libc.so.6"), "{packed:?}");
    let listed = run_alone(&layout, directory.path(), &["--list"]);
    assert!(listed.contains("this_program_packs_itself_from_proc"), "{listed}");
    let inside = fs::read(directory.path().join("root/app/responder")).unwrap();
    assert!(inside == fs::read("/proc/self/exe").unwrap());
}

fn python() {
    let directory = directory();
    let mut request = request("/usr/bin/python3");
    request.includes = vec!["/usr/lib/python3.11".into()];
    let (layout, packed) = pack_fresh(directory.path(), &request);
    let roles: Vec<_> = packed.layers.iter().map(|layer| layer.role.clone()).collect();
    assert_eq!(roles, [Role::Dependencies, Role::Include("/usr/lib/python3.11".into()), Role::Code]);
    assert!(packed.hints.iter().any(|hint| matches!(hint, Hint::LoadsAtRunTime { symbol: "dlopen", .. })));
    // The modules load libraries of their own, which the program itself does not name.
    let said = run_alone(&layout, directory.path(), &["-c", "import ssl, sqlite3, bz2; print(ssl.OPENSSL_VERSION)"]);
    assert!(said.starts_with("OpenSSL"), "{said}");
}

fn origin() {
    let directory = directory();
    let path = directory.path();
    let inner = "int inner(void) { return 7; }\n";
    cc(path, "build/lib/libinner.so", inner, &["-shared", "-fPIC", "-Wl,-soname,libinner.so"]);
    let outer = "int inner(void); int outer(void) { return inner() * 6; }\n";
    let own_directory = "-Wl,--enable-new-dtags,-rpath,$ORIGIN";
    let names = ["-Wl,-soname,libouter.so", own_directory];
    let arguments = [&["-shared", "-fPIC", "-Lbuild/lib", "-linner"][..], &names].concat();
    cc(path, "build/lib/libouter.so", outer, &arguments);
    let source = "#include <stdio.h>\nint outer(void); int main(void) { printf(\"%d\\n\", outer()); return 0; }\n";
    let arguments = ["-Lbuild/lib", "-louter", "-Wl,--allow-shlib-undefined", "-Wl,-rpath,$ORIGIN/../lib"];
    let program = cc(path, "build/bin/program", source, &arguments);
    let request = PackRequest::new(Program::Path { path: program, name: Some("/srv/app/bin/program".into()) });
    let layout = Layout::create(path.join("layout")).unwrap();
    let packed = pack(&request, &layout, "test").unwrap();
    let places: Vec<_> = packed.libraries.iter().map(|library| library.image_path.display().to_string()).collect();
    assert!(places.contains(&"/srv/app/lib/libouter.so".into()), "{places:?}");
    assert!(places.contains(&"/srv/app/lib/libinner.so".into()), "{places:?}");
    assert_eq!(run_alone(&layout, path, &[]), "42\n");
}

/// A library in a directory that only `ld.so.cache` knows.
fn library_of_the_cache_alone() -> Result<PathBuf, String> {
    let output =
        Command::new("/sbin/ldconfig").arg("-p").output().map_err(|error| format!("needs ldconfig: {error}"))?;
    let listed = String::from_utf8_lossy(&output.stdout).into_owned();
    let multiarch = format!("/{}-linux-gnu", std::env::consts::ARCH);
    let is_default = |path: &Path| {
        let parent = path.parent().unwrap_or(path).display().to_string();
        ["/lib", "/usr/lib", "/lib64", "/usr/lib64"].contains(&parent.trim_end_matches(&multiarch))
    };
    let paths = listed.lines().filter_map(|line| line.split("=> ").nth(1)).map(|path| PathBuf::from(path.trim()));
    let mut others = paths.filter(|path| !is_default(path) && !path.display().to_string().contains("hwcaps"));
    others.next().ok_or_else(|| "needs a library that only ld.so.cache knows".into())
}

fn cache_only() {
    let directory = directory();
    let library = library_of_the_cache_alone().unwrap().display().to_string();
    let arguments = ["-Wl,--no-as-needed", "-Wl,--allow-shlib-undefined", &library];
    let program = cc(directory.path(), "program", HELLO, &arguments);
    let (layout, packed) = pack_fresh(directory.path(), &request(&program.display().to_string()));
    assert!(packed.libraries.iter().any(|other| other.host_path == Path::new(&library)), "{library}: {packed:?}");
    assert_eq!(run_alone(&layout, directory.path(), &[]), "hello\n");
}

fn static_program() {
    for kind in ["-static", "-static-pie"] {
        let directory = directory();
        let program = cc(directory.path(), "program", HELLO, &[kind]);
        let request = PackRequest::new(Program::Path { path: program, name: Some("/hello".into()) });
        let (layout, packed) = pack_fresh(directory.path(), &request);
        assert_eq!(packed.layers.len(), 1, "{packed:?}");
        assert_eq!(packed.layers[0].role, Role::Code);
        assert!(packed.libraries.is_empty());
        assert_eq!(run_alone(&layout, directory.path(), &[]), "hello\n");
    }
}

fn rebuild() {
    let directory = directory();
    let layout = Layout::create(directory.path().join("layout")).unwrap();
    let build = |version: &str| {
        let program = cc(directory.path(), "program", &HELLO.replace("hello", version), &[]);
        let request = PackRequest::new(Program::Path { path: program, name: Some("/bin/program".into()) });
        pack(&request, &layout, version).unwrap()
    };
    let (one, two) = (build("1"), build("2"));
    assert_eq!(one.layers[0], two.layers[0], "the dependencies are the same blob");
    assert_ne!(one.layers[1].descriptor.digest, two.layers[1].descriptor.digest);
    assert_eq!(layout.images().unwrap().len(), 2);
}

fn reproducible() {
    for codec in [Codec::Gzip, Codec::None] {
        let packed: Vec<_> = [None, None, Some(1_700_000_000)]
            .into_iter()
            .map(|epoch| {
                let directory = directory();
                let mut request = request("/usr/bin/env");
                request.epoch = epoch;
                request.codec = codec;
                pack_fresh(directory.path(), &request).1.image.digest
            })
            .collect();
        assert_eq!(packed[0], packed[1]);
        assert_ne!(packed[0], packed[2]);
    }
}

fn merged_usr() {
    let directory = directory();
    let program = PackRequest::new(Program::Path { path: "/usr/bin/env".into(), name: Some("/bin/env".into()) });
    let (layout, _) = pack_fresh(directory.path(), &program);
    let root = directory.path().join("root");
    unpack(&layout, &root);
    for name in ["bin", "lib", "lib64"] {
        let expected = fs::read_link(Path::new("/").join(name)).ok();
        assert_eq!(fs::read_link(root.join(name)).ok(), expected, "{name}");
    }
    // Each layer alone keeps the links, so that none turns another's link into a directory.
    for (blob, _) in layout.resolve("test").unwrap().layers() {
        let mut archive = tar::Archive::new(layout.layer(blob).unwrap());
        for entry in archive.entries().unwrap() {
            let entry = entry.unwrap();
            let path = entry.path().unwrap().into_owned();
            if ["bin", "lib", "lib64"].iter().any(|name| path == Path::new(name)) {
                assert!(entry.header().entry_type().is_symlink(), "{}", path.display());
            }
        }
    }
}

fn refused() {
    let directory = directory();
    let layout = Layout::create(directory.path().join("layout")).unwrap();
    let script = directory.path().join("script");
    let refusal = |content: &[u8]| {
        fs::write(&script, content).unwrap();
        pack(&request(&script.display().to_string()), &layout, "test").unwrap_err()
    };
    let error = refusal(b"#!/usr/bin/env python3 -u\nprint()\n").to_string();
    assert!(error.ends_with("it is a script that starts with #!/usr/bin/env python3 -u"), "{error}");
    let program = fs::read("/usr/bin/env").unwrap();
    for content in [&b""[..], b"text", b"\x7fELF", &program[..100], &program[..4096]] {
        let error = refusal(content);
        assert!(matches!(error, Error::NotElf { .. }), "{error:?}");
    }
    let error = pack(&request("/nonexistent"), &layout, "test").unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }), "{error:?}");
    let error = pack(&request("/usr/bin"), &layout, "test").unwrap_err();
    assert!(matches!(error, Error::NotRegularFile { .. }), "{error:?}");
    let relative = PackRequest::new(Program::Path { path: "/usr/bin/env".into(), name: Some("env".into()) });
    assert!(matches!(pack(&relative, &layout, "test"), Err(Error::Invalid { .. })));
    let mut included = request("/usr/bin/env");
    included.includes = vec!["etc/hostname".into()];
    assert!(matches!(pack(&included, &layout, "test"), Err(Error::Invalid { field: "included path", .. })));
    assert!(layout.images().unwrap().is_empty());
}

fn filter() {
    let directory = directory();
    let shared = ["-shared", "-fPIC", "-Wl,-soname,libfront.so", "-Wl,--auxiliary=libback.so"];
    cc(directory.path(), "libfront.so", "int front(void) { return 0; }\n", &shared);
    let source = "int front(void); int main(void) { return front(); }\n";
    let program = cc(directory.path(), "program", source, &["-L.", "-lfront", "-Wl,-rpath,$ORIGIN"]);
    let (_, packed) = pack_fresh(directory.path(), &request(&program.display().to_string()));
    let object = directory.path().join("libfront.so");
    assert!(packed.hints.contains(&Hint::Filter { object, library: "libback.so".into() }), "{:?}", packed.hints);
}

fn missing_library() {
    let directory = directory();
    cc(
        directory.path(),
        "libgone.so",
        "int gone(void) { return 1; }\n",
        &["-shared", "-fPIC", "-Wl,-soname,libgone.so"],
    );
    let program =
        cc(directory.path(), "program", "int gone(void); int main(void) { return gone(); }\n", &["-L.", "-lgone"]);
    fs::remove_file(directory.path().join("libgone.so")).unwrap();
    let layout = Layout::create(directory.path().join("layout")).unwrap();
    let error = pack(&request(&program.display().to_string()), &layout, "test").unwrap_err();
    assert_eq!(error.to_string(), format!("library libgone.so needed by {} not found", program.display()));
}
