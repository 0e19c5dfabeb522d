//! Words of a command line become flags and arguments.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

use super::{Failure, Flag, Parsed, Result};

pub(super) fn parse(flags: &'static [Flag], words: impl IntoIterator<Item = OsString>) -> Result<Parsed> {
    let mut parsed = Parsed::default();
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        let Some((name, value)) = split(&word) else {
            if word != "--" {
                parsed.arguments.push(word);
            }
            parsed.arguments.extend(words);
            break;
        };
        match find(flags, name) {
            Some(flag) => parsed.flags.push((flag.long, value_of(flag, value, &mut words)?)),
            None => match switches(flags, name).filter(|_| value.is_none()) {
                Some(several) => parsed.flags.extend(several.into_iter().map(|name| (name, "true".into()))),
                None => return Err(Failure::usage(format!("flag provided but not defined: {}", word.display()))),
            },
        }
    }
    Ok(parsed)
}

/// The name and the value after an equals sign; `None` for what is no flag.
fn split(word: &OsStr) -> Option<(&str, Option<OsString>)> {
    let bytes = word.as_bytes();
    let rest = bytes.strip_prefix(b"--").or_else(|| bytes.strip_prefix(b"-")).filter(|rest| !rest.is_empty())?;
    let (name, value) = match rest.iter().position(|byte| *byte == b'=') {
        Some(place) => (&rest[..place], Some(OsString::from_vec(rest[place + 1..].to_vec()))),
        None => (rest, None),
    };
    // A name that is not UTF-8 is none that is known.
    Some((std::str::from_utf8(name).unwrap_or("?"), value))
}

fn find(flags: &'static [Flag], name: &str) -> Option<&'static Flag> {
    let is_short = |flag: &Flag| flag.short.is_some_and(|short| name.len() == 1 && name.starts_with(short));
    flags.iter().find(|flag| flag.long == name || is_short(flag))
}

/// Several switches behind one dash, as in `-it`.
fn switches(flags: &'static [Flag], name: &str) -> Option<Vec<&'static str>> {
    let switch = |letter: char| flags.iter().find(|flag| flag.short == Some(letter) && flag.value.is_none());
    name.chars().map(|letter| switch(letter).map(|flag| flag.long)).collect()
}

fn value_of(flag: &Flag, value: Option<OsString>, words: &mut impl Iterator<Item = OsString>) -> Result<OsString> {
    if flag.value.is_some() {
        return value
            .or_else(|| words.next())
            .ok_or_else(|| Failure::usage(format!("flag needs an argument: -{}", flag.long)));
    }
    match value.as_deref().map(OsStr::as_bytes) {
        None | Some(b"true" | b"1" | b"t" | b"T" | b"TRUE" | b"True") => Ok("true".into()),
        Some(b"false" | b"0" | b"f" | b"F" | b"FALSE" | b"False") => Ok("false".into()),
        Some(other) => {
            let text = String::from_utf8_lossy(other);
            Err(Failure::usage(format!("invalid boolean value {text:?} for -{}", flag.long)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::GLOBAL;
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split_whitespace().map(OsString::from).collect()
    }

    fn global(line: &str) -> Parsed {
        parse(GLOBAL, words(line)).unwrap()
    }

    #[test]
    fn flags_end_at_the_first_argument() {
        let parsed = global("--root /r --log-format=json -debug --systemd-cgroup=false run --root /other");
        assert_eq!(parsed.value("root").unwrap(), "/r");
        assert_eq!(parsed.text("log-format").unwrap(), Some("json"));
        assert!(parsed.has("debug") && !parsed.has("systemd-cgroup") && !parsed.has("help"));
        assert_eq!(parsed.arguments, words("run --root /other"));
        assert_eq!(global("-- --debug").arguments, words("--debug"));
        assert_eq!(global("- --debug").arguments, words("- --debug"));
    }

    #[test]
    fn short_names_stand_for_long_ones() {
        let exec = super::super::VERBS.iter().find(|verb| verb.name == "exec").unwrap();
        let parsed = parse(exec.flags, words("-td -e A=1 -e B=2 -u 1:2 id sh -c true")).unwrap();
        assert!(parsed.has("tty") && parsed.has("detach"));
        assert_eq!(parsed.texts("env").collect::<Result<Vec<_>>>().unwrap(), ["A=1", "B=2"]);
        assert_eq!(parsed.value("user").unwrap(), "1:2");
        assert_eq!(parsed.arguments, words("id sh -c true"));
    }

    #[test]
    fn what_is_not_known_is_refused() {
        for line in ["--absent", "-x", "--root", "--debug=maybe", "--=x"] {
            assert!(parse(GLOBAL, words(line)).is_err(), "{line}");
        }
    }

    #[test]
    fn names_are_given_once() {
        for verb in super::super::VERBS {
            let mut names: Vec<&str> = verb.flags.iter().map(|flag| flag.long).collect();
            let mut letters: Vec<char> = verb.flags.iter().filter_map(|flag| flag.short).collect();
            let (all_names, all_letters) = (names.len(), letters.len());
            names.sort_unstable();
            names.dedup();
            letters.sort_unstable();
            letters.dedup();
            assert_eq!((names.len(), letters.len()), (all_names, all_letters), "{}", verb.name);
        }
    }
}
