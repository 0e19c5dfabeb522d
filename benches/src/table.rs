//! The table: every promise with what was measured now.

use serde::Serialize;

use crate::budget::Promise;
use crate::measure::{Sample, Skipped};

/// One line of the table.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// Folder of the crate.
    #[serde(rename = "crate")]
    pub subject: String,
    /// Name of the line.
    pub line: String,
    /// What is measured.
    pub what: String,
    /// The measured value.
    pub value: Option<f64>,
    /// Its unit.
    pub unit: String,
    /// What the value is compared with.
    pub against: String,
    /// The baseline's value in the same run.
    pub baseline: Option<f64>,
    /// Value over baseline.
    pub ratio: Option<f64>,
    /// The promised ratio.
    pub promise: String,
    /// `holds`, `falls short` or `skipped: reason`.
    pub verdict: String,
}

impl Row {
    /// Judges what was measured by what is promised.
    pub fn new(promise: &Promise, measured: &Result<Sample, Skipped>) -> Self {
        let sample = measured.as_ref().ok();
        let ratio = sample.map(|sample| sample.value / sample.baseline);
        let verdict = match (measured, ratio) {
            (Err(skipped), _) => format!("skipped: {}", skipped.0),
            (Ok(_), Some(ratio)) if promise.bound.holds(ratio) => "holds".to_owned(),
            (Ok(_), _) => "falls short".to_owned(),
        };
        Self {
            subject: promise.subject.clone(),
            line: promise.line.clone(),
            what: promise.what.clone(),
            value: sample.map(|sample| sample.value),
            unit: promise.unit.clone(),
            against: promise.baseline.clone(),
            baseline: sample.map(|sample| sample.baseline),
            ratio,
            promise: promise.bound.to_string(),
            verdict,
        }
    }

    /// The line for a person; [`header`] names the columns.
    pub fn text(&self) -> String {
        let number = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), significant);
        format!(
            "{:<15} {:<46} {:>10} {:>10} {:<4} {:>7} {:>9}  {:<11}  {}",
            self.subject,
            self.what,
            number(self.value),
            number(self.baseline),
            self.unit,
            number(self.ratio),
            self.promise,
            self.verdict,
            self.against,
        )
    }
}

/// The rows as a table of a page, between the lines that mark its place there; `None` if the page has no place for it.
pub fn placed(page: &str, subject: &str, rows: &[Row]) -> Option<String> {
    let begin = format!("<!-- table {subject} -->\n");
    let (before, rest) = page.split_once(&begin)?;
    let (_, after) = rest.split_once(END)?;
    let rows: String = rows.iter().map(Row::of_page).collect();
    Some(format!("{before}{begin}{PAGE_HEADER}{rows}{END}{after}"))
}

const END: &str = "<!-- end -->";
const PAGE_HEADER: &str = "\
| line | what | value | baseline | unit | ratio | promise | verdict | against |
|---|---|--:|--:|---|--:|--:|---|---|
";

impl Row {
    fn of_page(&self) -> String {
        let number = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), significant);
        let (value, baseline, ratio) = (number(self.value), number(self.baseline), number(self.ratio));
        let Self { line, what, unit, promise, verdict, against, .. } = self;
        format!("| {line} | {what} | {value} | {baseline} | {unit} | {ratio} | {promise} | {verdict} | {against} |\n")
    }
}

/// The header above [`Row::text`].
pub fn header() -> String {
    format!(
        "{:<15} {:<46} {:>10} {:>10} {:<4} {:>7} {:>9}  {:<11}  {}",
        "crate", "what", "value", "baseline", "unit", "ratio", "promise", "verdict", "against"
    )
}

/// Three significant digits.
fn significant(value: f64) -> String {
    match value.abs() {
        v if v >= 100.0 => format!("{value:.0}"),
        v if v >= 10.0 => format!("{value:.1}"),
        v if v >= 1.0 => format!("{value:.2}"),
        v if v >= 0.01 || v == 0.0 => format!("{value:.3}"),
        _ => format!("{value:.1e}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::Bound;

    fn promise(bound: Bound) -> Promise {
        let text = String::new;
        Promise { subject: text(), line: text(), what: text(), baseline: text(), unit: "us".into(), bound }
    }

    #[test]
    fn the_verdict_follows_the_ratio() {
        let sample = Sample { value: 3.0, baseline: 2.0 };
        let verdict = |bound, measured: &Result<Sample, Skipped>| Row::new(&promise(bound), measured).verdict;
        assert_eq!(verdict(Bound::AtMost(1.5), &Ok(sample)), "holds");
        assert_eq!(verdict(Bound::AtMost(1.4), &Ok(sample)), "falls short");
        assert_eq!(verdict(Bound::AtMost(1.4), &Err(Skipped("needs root".into()))), "skipped: needs root");
    }

    #[test]
    fn a_page_keeps_all_but_its_table() {
        let row = Row::new(&promise(Bound::AtMost(1.5)), &Ok(Sample { value: 3.0, baseline: 2.0 }));
        let page = "a\n<!-- table x -->\nstale\n<!-- end -->\nb\n<!-- table y -->\nkept\n<!-- end -->\n";
        let placed_once = placed(page, "x", std::slice::from_ref(&row)).unwrap();
        assert!(placed_once.starts_with("a\n<!-- table x -->\n| line |") && !placed_once.contains("stale"));
        assert!(placed_once.contains("| 3.00 | 2.00 | us | 1.50 |"), "{placed_once}");
        assert!(placed_once.ends_with("<!-- end -->\nb\n<!-- table y -->\nkept\n<!-- end -->\n"));
        assert_eq!(placed(&placed_once, "x", &[row]), Some(placed_once));
        assert_eq!(placed(page, "z", &[]), None);
    }

    #[test]
    fn numbers_keep_three_digits() {
        assert_eq!([1234.5, 12.345, 1.2345, 0.12345].map(significant), ["1234", "12.3", "1.23", "0.123"]);
    }
}
