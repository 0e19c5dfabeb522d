//! Rows as a table, as JSON, and on the terminal.

use std::cmp::Ordering;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout};
use ratatui::style::{Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::{Row as Cells, Table};
use serde_json::json;
use windlass_cgroups::Limit;

use crate::sample::Row;

/// By what rows are sorted: the greatest first, names in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Sort {
    #[default]
    Cpu,
    Memory,
    Tasks,
    Io,
    Name,
}

/// What is on the terminal.
#[derive(Debug, Default)]
pub(crate) struct Screen {
    rows: Vec<Row>,
    sort: Sort,
    first: usize,
}

const TITLES: [&str; 9] = ["GROUP", "CPU%", "MEMORY", "MAX", "TASKS", "READ/S", "WRITE/S", "PRESSURE", "OOM"];

impl Screen {
    /// Takes a new reading.
    pub(crate) fn show(&mut self, rows: Vec<Row>) {
        self.rows = rows;
        self.sort_by(self.sort);
        self.scroll(0);
    }

    /// Changes the order.
    pub(crate) fn sort_by(&mut self, sort: Sort) {
        self.sort = sort;
        let descending = |a: Option<f64>, b: Option<f64>| b.partial_cmp(&a).unwrap_or(Ordering::Equal);
        self.rows.sort_by(|a, b| {
            let order = match sort {
                Sort::Cpu => descending(a.cpus, b.cpus),
                Sort::Memory => b.memory.cmp(&a.memory),
                Sort::Tasks => b.tasks.cmp(&a.tasks),
                Sort::Io => descending(io(a), io(b)),
                Sort::Name => Ordering::Equal,
            };
            order.then_with(|| a.path.cmp(&b.path))
        });
    }

    /// Moves the first line that is shown.
    pub(crate) fn scroll(&mut self, lines: isize) {
        self.first = self.first.saturating_add_signed(lines).min(self.rows.len().saturating_sub(1));
    }

    pub(crate) fn draw(&self, frame: &mut Frame<'_>) {
        let [above, middle, below] =
            Layout::vertical([Constraint::Length(1), Constraint::Min(1), Constraint::Length(1)]).areas(frame.area());
        let busy: f64 = self.rows.iter().filter(|row| !row.path.contains('/')).filter_map(|row| row.cpus).sum();
        frame.render_widget(Line::from(format!("{} groups, {busy:.2} CPUs", self.rows.len())), above);
        let bold = Style::new().add_modifier(Modifier::BOLD);
        let widths = [Constraint::Fill(1)].into_iter().chain(TITLES[1..].iter().map(|_| Constraint::Length(9)));
        let rows = self.rows.iter().skip(self.first).map(|row| Cells::new(cells(row)));
        frame.render_widget(Table::new(rows, widths).header(Cells::new(TITLES).style(bold)), middle);
        let keys = format!("q quit  sort: c cpu  m memory  p tasks  i io  n name  (now: {:?})", self.sort);
        frame.render_widget(Line::from(keys).style(bold), below);
    }
}

fn io(row: &Row) -> Option<f64> {
    match (row.read, row.written) {
        (None, None) => None,
        (read, written) => Some(read.unwrap_or(0.0) + written.unwrap_or(0.0)),
    }
}

/// What the columns say; a dash is what nobody counts.
fn cells(row: &Row) -> [String; 9] {
    let dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    [
        row.path.clone(),
        dash(row.cpus.map(|cpus| format!("{:.1}", cpus * 100.0))),
        dash(row.memory.map(|bytes| amount(approximate(bytes)))),
        dash(row.memory_max.map(|max| match max {
            Limit::Max => "max".to_owned(),
            Limit::At(bytes) => amount(approximate(bytes)),
        })),
        dash(row.tasks.map(|tasks| tasks.to_string())),
        dash(row.read.map(amount)),
        dash(row.written.map(amount)),
        dash(row.pressure.map(|share| format!("{share:.1}"))),
        dash(row.oom_kills.map(|kills| kills.to_string())),
    ]
}

#[expect(clippy::cast_precision_loss, reason = "an amount is shown with three digits")]
fn approximate(count: u64) -> f64 {
    count as f64
}

/// An amount of bytes in the greatest unit that leaves a digit before the point.
fn amount(bytes: f64) -> String {
    let units = ["B", "K", "M", "G", "T"];
    let (mut rest, mut unit) = (bytes, 0);
    while rest >= 1024.0 && unit + 1 < units.len() {
        rest /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{rest:.0}{}", units[unit]) } else { format!("{rest:.1}{}", units[unit]) }
}

/// The rows as text.
pub(crate) fn table(rows: &[Row]) -> String {
    let lines: Vec<[String; 9]> = [TITLES.map(str::to_owned)].into_iter().chain(rows.iter().map(cells)).collect();
    let name = lines.iter().map(|cells| cells[0].chars().count()).max().unwrap_or(0);
    let line = |cells: &[String; 9]| {
        let [path, rest @ ..] = cells;
        let rest: String = rest.iter().map(|cell| format!(" {cell:>9}")).collect::<Vec<_>>().concat();
        format!("{path:<name$}{rest}\n")
    };
    lines.iter().map(line).collect::<Vec<_>>().concat()
}

/// The rows as a line of JSON; what nobody counts is `null`, and no limit is the text `max`.
pub(crate) fn json(rows: &[Row]) -> String {
    let groups: Vec<serde_json::Value> = rows
        .iter()
        .map(|row| {
            json!({
                "group": row.path,
                "cpus": row.cpus,
                "memory_bytes": row.memory,
                "memory_max_bytes": row.memory_max.map(|max| match max {
                    Limit::Max => json!("max"),
                    Limit::At(bytes) => json!(bytes),
                }),
                "tasks": row.tasks,
                "read_bytes_per_second": row.read,
                "written_bytes_per_second": row.written,
                "pressure_percent": row.pressure,
                "oom_kills": row.oom_kills,
            })
        })
        .collect();
    json!({ "groups": groups }).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    fn rows() -> Vec<Row> {
        let web = Row {
            path: "web".to_owned(),
            cpus: Some(0.25),
            memory: Some(3 << 20),
            memory_max: Some(Limit::At(64 << 20)),
            tasks: Some(3),
            ..Row::default()
        };
        let batch = Row { path: "batch".to_owned(), cpus: Some(1.5), memory_max: Some(Limit::Max), ..Row::default() };
        vec![web, batch]
    }

    fn drawn(screen: &Screen) -> Vec<String> {
        let mut terminal = Terminal::new(TestBackend::new(100, 5)).unwrap();
        terminal.draw(|frame| screen.draw(frame)).unwrap();
        let text = format!("{}", terminal.backend());
        text.lines().map(|line| line.trim_matches('"').split_whitespace().collect::<Vec<_>>().join(" ")).collect()
    }

    #[test]
    fn the_screen_is_sorted() {
        let mut screen = Screen::default();
        screen.show(rows());
        let lines = drawn(&screen);
        assert_eq!(lines[0], "2 groups, 1.75 CPUs");
        assert_eq!(lines[1], TITLES.join(" "));
        assert_eq!(lines[2], "batch 150.0 - max - - - - -");
        assert_eq!(lines[3], "web 25.0 3.0M 64.0M 3 - - - -");
        screen.sort_by(Sort::Memory);
        assert!(drawn(&screen)[2].starts_with("web "));
        screen.scroll(1);
        assert!(drawn(&screen)[2].starts_with("batch "));
        screen.scroll(-9);
        screen.scroll(9);
        assert!(drawn(&screen)[2].starts_with("batch "), "the last line stays");
    }

    #[test]
    fn what_nobody_counts_is_no_zero() {
        let text = table(&rows());
        assert_eq!(
            text.lines().nth(2).unwrap().split_whitespace().collect::<Vec<_>>().join(" "),
            "batch 150.0 - max - - - - -"
        );
        let json: serde_json::Value = serde_json::from_str(&json(&rows())).unwrap();
        assert_eq!(json["groups"][1]["memory_bytes"], serde_json::Value::Null);
        assert_eq!(json["groups"][1]["memory_max_bytes"], "max");
        assert_eq!(json["groups"][0]["memory_max_bytes"], 64 << 20);
    }

    #[test]
    fn amounts_are_short() {
        assert_eq!([0.0, 1023.0, 1024.0, 1.5e9, 1e15].map(amount), ["0B", "1023B", "1.0K", "1.4G", "909.5T"]);
    }
}
