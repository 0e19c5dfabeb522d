//! The command line.

use std::time::Duration;

use windlass_cgroups::GroupPath;

/// What was asked for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Arguments {
    pub(crate) output: Output,
    pub(crate) interval: Duration,
    pub(crate) below: Option<GroupPath>,
    pub(crate) depth: usize,
}

/// How it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Output {
    /// On the whole terminal, until a key ends it.
    Live,
    /// As a table, once.
    Once,
    /// As lines of JSON: so many, or without end.
    Json { readings: Option<usize> },
}

const USAGE: &str = "usage: cgtop [--once | --json] [--interval-ms N] [--below GROUP] [--depth N]";

pub(crate) fn parse(mut words: impl Iterator<Item = String>) -> Result<Arguments, String> {
    let (mut once, mut json, mut below) = (false, false, None);
    let (mut interval, mut depth) = (1000, usize::MAX);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} needs a value\n{USAGE}"));
        match word.as_str() {
            "--once" => once = true,
            "--json" => json = true,
            "--interval-ms" => interval = number(&value()?)?,
            "--depth" => depth = usize::try_from(number(&value()?)?).map_err(|error| error.to_string())?,
            "--below" => below = Some(GroupPath::new(&value()?).map_err(|error| error.to_string())?),
            _ => return Err(USAGE.to_owned()),
        }
    }
    let output = match (json, once) {
        (true, once) => Output::Json { readings: once.then_some(1) },
        (false, true) => Output::Once,
        (false, false) => Output::Live,
    };
    Ok(Arguments { output, interval: Duration::from_millis(interval.max(10)), below, depth: depth.max(1) })
}

fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("{text} is no number\n{USAGE}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read() {
        let parse = |text: &str| parse(text.split_whitespace().map(str::to_owned));
        assert_eq!(parse("").unwrap().output, Output::Live);
        assert_eq!(parse("--once").unwrap().output, Output::Once);
        assert_eq!(parse("--json").unwrap().output, Output::Json { readings: None });
        let all = parse("--json --once --interval-ms 50 --below a/b --depth 2").unwrap();
        assert_eq!(all.output, Output::Json { readings: Some(1) });
        assert_eq!((all.interval, all.depth), (Duration::from_millis(50), 2));
        assert_eq!(all.below, Some(GroupPath::new("a/b").unwrap()));
        for wrong in ["--what", "--depth", "--depth x", "--below ../a"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
