//! ELF programs: what they ask the dynamic linker for.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use object::elf::{self, FileHeader32, FileHeader64};
use object::read::elf::{Dyn as _, FileHeader, ProgramHeader as _, SectionHeader as _, Sym as _};
use object::{Endianness, FileKind, ReadRef};

/// Entries of a dynamic section beyond this number are taken for an attack.
const DYNAMIC_ENTRIES_MAX: usize = 1 << 16;

/// Longer names are no paths that the kernel would take.
const NAME_BYTES_MAX: usize = 4096;

/// Functions whose use means that files are loaded which the dynamic section does not name.
const TELLING_IMPORTS: [&str; 12] = [
    "dlopen",
    "dlmopen",
    "getaddrinfo",
    "gethostbyname",
    "gethostbyname_r",
    "getpwnam",
    "getpwnam_r",
    "getpwuid",
    "getpwuid_r",
    "getgrnam",
    "getgrnam_r",
    "iconv_open",
];

/// Which processor and conventions an ELF file is for; objects of one process agree on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Machine {
    pub(crate) number: u16,
    pub(crate) is_64: bool,
    pub(crate) little_endian: bool,
}

impl Machine {
    /// Go's name for the architecture.
    pub(crate) fn architecture(self) -> Option<&'static str> {
        Some(match (elf::Machine(self.number), self.is_64, self.little_endian) {
            (elf::EM_X86_64, true, _) => "amd64",
            (elf::EM_386, ..) => "386",
            (elf::EM_AARCH64, _, true) => "arm64",
            (elf::EM_ARM, _, true) => "arm",
            (elf::EM_RISCV, true, _) => "riscv64",
            (elf::EM_PPC64, _, true) => "ppc64le",
            (elf::EM_PPC64, _, false) => "ppc64",
            (elf::EM_S390, true, _) => "s390x",
            (elf::EM_LOONGARCH, true, _) => "loong64",
            (elf::EM_MIPS, true, true) => "mips64le",
            (elf::EM_MIPS, false, true) => "mipsle",
            _ => return None,
        })
    }
}

/// What the dynamic linker would read in a program or a shared library.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Elf {
    pub(crate) machine: Machine,
    /// `PT_INTERP`.
    pub(crate) interpreter: Option<PathBuf>,
    /// `DT_SONAME`.
    pub(crate) soname: Option<OsString>,
    /// `DT_NEEDED`, in order.
    pub(crate) needed: Vec<OsString>,
    /// `DT_FILTER` and `DT_AUXILIARY`: libraries that stand in for this one's symbols.
    pub(crate) filters: Vec<OsString>,
    /// The directories of `DT_RPATH`.
    pub(crate) rpath: Vec<OsString>,
    /// The directories of `DT_RUNPATH`.
    pub(crate) runpath: Vec<OsString>,
    /// `DF_1_NODEFLIB`.
    pub(crate) no_default_libraries: bool,
    /// Those of [`TELLING_IMPORTS`] that it imports.
    pub(crate) imports: Vec<&'static str>,
}

/// Reads the headers and the dynamic section of an executable or a shared library.
///
/// # Errors
/// In words, what the file is instead.
pub(crate) fn parse<'d, R: ReadRef<'d>>(data: R) -> Result<Elf, String> {
    match FileKind::parse(data) {
        Ok(FileKind::Elf64) => read::<FileHeader64<Endianness>, R>(data),
        Ok(FileKind::Elf32) => read::<FileHeader32<Endianness>, R>(data),
        _ => Err(describe(data)),
    }
}

/// What a file is that is no ELF file.
fn describe<'d, R: ReadRef<'d>>(data: R) -> String {
    let length = data.len().unwrap_or(0).min(256);
    let start = data.read_bytes_at(0, length).unwrap_or_default();
    match start.strip_prefix(b"#!") {
        Some(line) => {
            let line = line.split(|byte| *byte == b'\n').next().unwrap_or_default();
            format!("it is a script that starts with #!{}", String::from_utf8_lossy(line).trim_end())
        }
        None if length == 0 => "it is empty".into(),
        None => "it has another magic number".into(),
    }
}

fn read<'d, Header: FileHeader<Endian = Endianness>, R: ReadRef<'d>>(data: R) -> Result<Elf, String> {
    let broken = |error: object::Error| error.to_string();
    let header = Header::parse(data).map_err(broken)?;
    let endian = header.endian().map_err(broken)?;
    if !matches!(header.e_type(endian), elf::ET_EXEC | elf::ET_DYN) {
        return Err("it is neither an executable nor a shared library".into());
    }
    let machine = Machine {
        number: header.e_machine(endian).0,
        is_64: header.is_type_64(),
        little_endian: header.is_little_endian(),
    };
    let mut result = Elf {
        machine,
        interpreter: None,
        soname: None,
        needed: Vec::new(),
        filters: Vec::new(),
        rpath: Vec::new(),
        runpath: Vec::new(),
        no_default_libraries: false,
        imports: telling_imports(header, endian, data),
    };
    let segments = header.program_headers(endian, data).map_err(broken)?;
    for segment in segments {
        if let Some(path) = segment.interpreter(endian, data).map_err(broken)? {
            result.interpreter = Some(PathBuf::from(OsStr::from_bytes(path)));
        }
        if let Some(entries) = segment.dynamic(endian, data).map_err(broken)? {
            read_dynamic::<Header, R>(&mut result, segments, entries, endian, data)?;
        }
    }
    Ok(result)
}

fn read_dynamic<'d, Header: FileHeader<Endian = Endianness>, R: ReadRef<'d>>(
    result: &mut Elf,
    segments: &[Header::ProgramHeader],
    entries: &'d [Header::Dyn],
    endian: Endianness,
    data: R,
) -> Result<(), String> {
    let entries = entries.iter().take(DYNAMIC_ENTRIES_MAX).take_while(|entry| entry.tag(endian) != elf::DT_NULL);
    let value = |tag| entries.clone().find(|entry| entry.tag(endian) == tag).map(|entry| entry.val(endian));
    let strings = match (value(elf::DT_STRTAB), value(elf::DT_STRSZ)) {
        (Some(address), Some(size)) => segments
            .iter()
            .filter(|segment| segment.p_type(endian) == elf::PT_LOAD)
            .find_map(|segment| {
                let inside = address.checked_sub(segment.p_vaddr(endian).into())?;
                let (offset, length) = segment.file_range(endian);
                let left = length.checked_sub(inside)?;
                data.read_bytes_at(offset.checked_add(inside)?, size.min(left)).ok()
            })
            .ok_or("its dynamic strings are outside of its segments")?,
        _ => &[],
    };
    let text = |offset: u64| -> Result<&OsStr, String> {
        let rest = usize::try_from(offset).ok().and_then(|offset| strings.get(offset..));
        let rest = rest.map(|rest| &rest[..rest.len().min(NAME_BYTES_MAX)]);
        let end = rest.and_then(|rest| rest.iter().position(|byte| *byte == 0));
        match (rest, end) {
            (Some(rest), Some(end)) => Ok(OsStr::from_bytes(&rest[..end])),
            _ => Err("a name in its dynamic section is outside of the strings or too long".into()),
        }
    };
    for entry in entries.clone() {
        let value = entry.val(endian);
        match entry.tag(endian) {
            elf::DT_NEEDED => result.needed.push(text(value)?.to_owned()),
            elf::DT_FILTER | elf::DT_AUXILIARY => result.filters.push(text(value)?.to_owned()),
            elf::DT_SONAME => result.soname = Some(text(value)?.to_owned()),
            elf::DT_RPATH => result.rpath = directories(text(value)?),
            elf::DT_RUNPATH => result.runpath = directories(text(value)?),
            elf::DT_FLAGS_1 => result.no_default_libraries = value & NODEFLIB != 0,
            _ => {}
        }
    }
    // The dynamic linker ignores one where there is the other.
    if !result.runpath.is_empty() {
        result.rpath.clear();
    }
    Ok(())
}

/// `DF_1_NODEFLIB` of the generic ABI's extensions.
const NODEFLIB: u64 = 0x800;

fn directories(list: &OsStr) -> Vec<OsString> {
    let parts = list.as_bytes().split(|byte| *byte == b':').filter(|part| !part.is_empty());
    parts.map(|part| OsStr::from_bytes(part).to_owned()).collect()
}

/// A file without section headers tells nothing; it only loses hints.
fn telling_imports<'d, Header: FileHeader<Endian = Endianness>, R: ReadRef<'d>>(
    header: &Header,
    endian: Endianness,
    data: R,
) -> Vec<&'static str> {
    let Ok(sections) = header.sections(endian, data) else { return Vec::new() };
    let Ok(symbols) = sections.symbols(endian, data, elf::SHT_DYNSYM) else { return Vec::new() };
    // The strings as one slice: a table whose names have no end would be read once for each symbol.
    let strings = sections.section(symbols.string_section()).and_then(|section| section.data(endian, data));
    let Ok(strings) = strings else { return Vec::new() };
    let is_named = |symbol: &Header::Sym, name: &str| {
        let rest = usize::try_from(symbol.st_name(endian)).ok().and_then(|start| strings.get(start..));
        rest.and_then(|rest| rest.strip_prefix(name.as_bytes())).is_some_and(|rest| rest.starts_with(&[0]))
    };
    let imported = symbols.iter().filter(|symbol| symbol.is_undefined(endian));
    let mut found: Vec<_> =
        imported.filter_map(|symbol| TELLING_IMPORTS.into_iter().find(|name| is_named(symbol, name))).collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// The name of a library that stands for a path: with a slash it is one.
pub(crate) fn is_path(needed: &OsStr) -> bool {
    Path::new(needed).components().count() > 1 || needed.as_bytes().contains(&b'/')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn own_start() -> Vec<u8> {
        let mut program = std::fs::read("/usr/bin/env").or_else(|_| std::fs::read("/proc/self/exe")).unwrap();
        program.truncate(1 << 20);
        program
    }

    #[test]
    fn a_program_of_this_machine_is_understood() {
        let elf = parse(&*own_start()).unwrap();
        let host = crate::platform::Platform::host();
        assert_eq!(elf.machine.architecture(), Some(host.architecture.as_str()));
        assert!(elf.needed.iter().any(|name| name.as_bytes().starts_with(b"libc.so")), "{elf:?}");
        assert!(elf.interpreter.is_some());
    }

    #[test]
    fn other_files_are_described() {
        for (content, message) in [
            (&b"#!/bin/sh -e\necho"[..], "it is a script that starts with #!/bin/sh -e"),
            (b"", "it is empty"),
            (b"MZ\x90\0", "it has another magic number"),
        ] {
            assert_eq!(parse(content), Err(message.to_owned()));
        }
    }

    proptest! {
        #[test]
        fn damage_is_an_error_or_read_without_harm(
            changes in prop::collection::vec((0..4096_usize, any::<u8>()), 1..8), cut in any::<prop::sample::Index>(),
        ) {
            let mut program = own_start();
            for (at, byte) in changes {
                program[at] = byte;
            }
            let whole = parse(&*program);
            program.truncate(cut.index(program.len()));
            let part = parse(&*program);
            for elf in [whole, part].into_iter().flatten() {
                prop_assert!(elf.needed.len() <= DYNAMIC_ENTRIES_MAX);
            }
        }
    }
}
