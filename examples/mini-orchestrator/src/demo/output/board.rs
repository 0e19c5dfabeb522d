//! What the terminal shows, as data, and the lines that show it.

use std::fmt::Write as _;
use std::time::Duration;

/// How far a step is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Progress {
    /// It runs since this moment of the demo.
    Running(Duration),
    /// It took so long.
    Done(Duration),
    /// It cannot be shown here.
    Skipped,
    /// It stopped the demo.
    Failed(Duration),
}

/// A step of the demo, or a part of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StepRow {
    /// For example `5.b`.
    pub label: String,
    /// What it shows.
    pub title: String,
    /// How far it is.
    pub progress: Progress,
    /// What came of it.
    pub detail: String,
}

/// A pod in a few words.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct PodRow {
    /// Its name.
    pub name: String,
    /// Its node.
    pub node: String,
    /// Its address.
    pub address: String,
    /// Ready containers and all of them.
    pub ready: (usize, usize),
    /// How often its containers were restarted.
    pub restarts: u32,
    /// What it is doing.
    pub state: String,
}

/// Everything on the screen.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Board {
    /// The first line.
    pub title: String,
    /// The steps begun so far.
    pub steps: Vec<StepRow>,
    /// The pods that exist.
    pub pods: Vec<PodRow>,
    /// The service and its endpoints.
    pub service: String,
    /// How many requests of the client were answered.
    pub answers: usize,
}

impl Board {
    /// The lines of a screen of this size at this moment; older steps go first when they do not fit.
    pub(crate) fn render(&self, now: Duration, width: usize, height: usize) -> Vec<String> {
        let mut lines: Vec<String> = self.steps.iter().map(|step| step_line(step, now, width)).collect();
        let pods = pod_lines(&self.pods);
        let below = pods.len() + usize::from(!self.service.is_empty()) + 1;
        let room = height.saturating_sub(below + 2).max(1);
        if lines.len() > room {
            lines.drain(..lines.len() - room);
        }
        lines.insert(0, format!("{}  {}", self.title, seconds(now)));
        lines.push(String::new());
        lines.extend(pods);
        if !self.service.is_empty() {
            lines.push(format!("{}; {} requests of the client answered", self.service, self.answers));
        }
        lines.into_iter().map(|line| cut(&line, width)).collect()
    }
}

fn step_line(step: &StepRow, now: Duration, width: usize) -> String {
    let (sign, time) = match step.progress {
        Progress::Running(since) => ('>', seconds(now.saturating_sub(since))),
        Progress::Done(took) => ('+', seconds(took)),
        Progress::Skipped => ('-', "skipped".to_owned()),
        Progress::Failed(took) => ('!', seconds(took)),
    };
    let head = format!("{sign} {:<10}{:<32} {time:>8}  ", step.label, step.title);
    let room = width.saturating_sub(head.chars().count());
    head + &cut(&step.detail, room)
}

fn pod_lines(pods: &[PodRow]) -> Vec<String> {
    if pods.is_empty() {
        return Vec::new();
    }
    let mut rows = vec![["POD", "NODE", "ADDRESS", "READY", "RESTARTS", "STATE"].map(str::to_owned)];
    rows.extend(pods.iter().map(|pod| {
        [
            pod.name.clone(),
            pod.node.clone(),
            pod.address.clone(),
            format!("{}/{}", pod.ready.0, pod.ready.1),
            pod.restarts.to_string(),
            pod.state.clone(),
        ]
    }));
    columns(&rows)
}

/// Rows with every column as wide as its widest cell.
pub(crate) fn columns<const N: usize>(rows: &[[String; N]]) -> Vec<String> {
    let widths: [usize; N] =
        std::array::from_fn(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0));
    let line = |row: &[String; N]| {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(widths) {
            write!(line, "{cell:<width$}  ").expect("writing to a String does not fail");
        }
        line.trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

/// A duration as people read it.
pub(crate) fn seconds(duration: Duration) -> String {
    format!("{:.2} s", duration.as_secs_f64())
}

fn cut(line: &str, width: usize) -> String {
    if line.chars().count() <= width {
        return line.to_owned();
    }
    line.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn board() -> Board {
        let step = |label: &str, progress| StepRow {
            label: label.to_owned(),
            title: "pack the image".to_owned(),
            progress,
            detail: "code 3.1 MB".to_owned(),
        };
        let pod = PodRow {
            name: "responder-x".to_owned(),
            node: "node-1".to_owned(),
            address: "10.244.1.2".to_owned(),
            ready: (1, 2),
            restarts: 3,
            state: "Running".to_owned(),
        };
        Board {
            title: "windlass demo 1-2".to_owned(),
            steps: vec![
                step("1", Progress::Done(Duration::from_millis(1500))),
                step("2", Progress::Running(Duration::from_secs(2))),
            ],
            pods: vec![pod],
            service: "service 10.96.0.10:80 -> 1 endpoint".to_owned(),
            answers: 17,
        }
    }

    #[test]
    fn all_fits_on_a_large_screen() {
        let lines = board().render(Duration::from_secs(3), 80, 40);
        assert_eq!(
            lines,
            [
                "windlass demo 1-2  3.00 s",
                "+ 1         pack the image                     1.50 s  code 3.1 MB",
                "> 2         pack the image                     1.00 s  code 3.1 MB",
                "",
                "POD          NODE    ADDRESS     READY  RESTARTS  STATE",
                "responder-x  node-1  10.244.1.2  1/2    3         Running",
                "service 10.96.0.10:80 -> 1 endpoint; 17 requests of the client answered",
            ]
        );
    }

    #[test]
    fn a_small_screen_keeps_the_newest_step_and_never_overflows() {
        for (width, height) in [(20, 7), (5, 7), (80, 7)] {
            let lines = board().render(Duration::from_secs(3), width, height);
            assert!(lines.len() < height, "{lines:?}");
            assert!(lines.iter().all(|line| line.chars().count() <= width), "{lines:?}");
            assert_eq!(lines.iter().filter(|line| line.starts_with('>')).count(), 1);
        }
    }
}
