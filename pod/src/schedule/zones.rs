//! The names of time zones.

/// The zones of the IANA database, one a line, sorted.
static NAMES: &str = include_str!("zones.txt");

/// Whether the IANA database has a zone of this name.
pub fn is_known(name: &str) -> bool {
    NAMES.lines().any(|line| line == name)
}

#[cfg(test)]
mod tests {
    use super::is_known;

    #[test]
    fn names_are_whole_lines() {
        for name in ["UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires", "Etc/GMT+5"] {
            assert!(is_known(name), "{name}");
        }
        for name in ["", "Europe", "europe/berlin", "Mars/Base"] {
            assert!(!is_known(name), "{name}");
        }
    }
}
