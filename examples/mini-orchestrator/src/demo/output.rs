//! What the demo says while it runs: one table that updates on a terminal, plain lines elsewhere, JSON for scripts.

pub(super) mod board;

use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use self::board::{Board, PodRow, Progress, StepRow, seconds};
use super::interrupt::Interrupt;

/// The way of saying it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    Table,
    Lines,
    Json,
}

/// Says what happens; clones speak to the same screen.
#[derive(Debug, Clone)]
pub(super) struct Reporter {
    screen: Arc<Mutex<Screen>>,
    interrupt: Interrupt,
    start: Instant,
}

#[derive(Debug)]
struct Screen {
    style: Style,
    board: Board,
    /// How many lines of the table are above the cursor.
    painted: usize,
}

/// A step that has begun; dropped without an end it counts as failed.
#[derive(Debug)]
pub(super) struct Step {
    reporter: Reporter,
    number: u32,
    part: Option<&'static str>,
    title: String,
    begun: Duration,
    paused: Option<Duration>,
    ended: bool,
}

impl Reporter {
    /// Speaks to standard output; when that is closed, `interrupt` is raised.
    pub(super) fn new(json: bool, interrupt: Interrupt) -> Self {
        let style = match (json, io::stdout().is_terminal()) {
            (true, _) => Style::Json,
            (false, true) => Style::Table,
            (false, false) => Style::Lines,
        };
        let screen = Screen { style, board: Board::default(), painted: 0 };
        Self { screen: Arc::new(Mutex::new(screen)), interrupt, start: Instant::now() }
    }

    /// The time since the demo began.
    pub(super) fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// Says which run this is.
    pub(super) fn begin(&self, id: &str, folder: &std::path::Path) {
        let title = format!("windlass demo {id} in {}", folder.display());
        self.say(&title, &json!({ "event": "begin", "run": id, "state_dir": folder.display().to_string() }));
        self.screen().board.title = title;
    }

    /// Says something that belongs to no step, for example what degrades.
    pub(super) fn notice(&self, text: &str) {
        self.say(text, &json!({ "event": "notice", "text": text }));
    }

    /// Says one thing in two ways: a line for people, an object for scripts.
    pub(super) fn say(&self, line: &str, object: &Value) {
        let mut screen = self.screen();
        let written = match screen.style {
            Style::Json => write_line(&object.to_string()),
            Style::Lines => write_line(line),
            Style::Table => screen.above_table(line, self.elapsed()),
        };
        self.check(&written);
    }

    /// Says the last thing of all, below what is on the screen; the pods are gone then.
    pub(super) fn end(&self, line: &str, object: &Value) {
        let mut screen = self.screen();
        screen.board.pods.clear();
        screen.board.service.clear();
        let written = match screen.style {
            Style::Json => write_line(&object.to_string()),
            Style::Lines => write_line(line),
            Style::Table => screen.paint(self.elapsed()).and_then(|()| write_line(line)),
        };
        screen.painted = 0;
        self.check(&written);
    }

    /// Only for scripts: a fact that the table shows in its own way.
    pub(super) fn object(&self, object: &Value) {
        let screen = self.screen();
        if screen.style == Style::Json {
            let written = write_line(&object.to_string());
            drop(screen);
            self.check(&written);
        }
    }

    /// Only where no table moves and no script reads.
    pub(super) fn line(&self, line: &str) {
        let screen = self.screen();
        if screen.style == Style::Lines {
            let written = write_line(line);
            drop(screen);
            self.check(&written);
        }
    }

    /// Begins step `number`.
    pub(super) fn step(&self, number: u32, title: &str) -> Step {
        self.begin_step(number, None, title)
    }

    /// Begins a part of step `number`.
    pub(super) fn part(&self, number: u32, part: &'static str, title: &str) -> Step {
        self.begin_step(number, Some(part), title)
    }

    /// A part that cannot be shown here, and why.
    pub(super) fn skip(&self, number: u32, part: &'static str, title: &str, reason: &str) {
        let mut step = self.part(number, part, title);
        step.end(&Progress::Skipped, "skipped", reason, Map::new());
    }

    /// A line for people that belongs to what is shown and no script needs.
    pub(super) fn text(&self, line: &str) {
        let mut screen = self.screen();
        let written = match screen.style {
            Style::Json => Ok(()),
            Style::Lines => write_line(line),
            Style::Table => screen.above_table(line, self.elapsed()),
        };
        drop(screen);
        self.check(&written);
    }

    fn begin_step(&self, number: u32, part: Option<&'static str>, title: &str) -> Step {
        let begun = self.elapsed();
        self.screen().board.steps.push(StepRow {
            label: label(number, part),
            title: title.to_owned(),
            progress: Progress::Running(begun),
            detail: String::new(),
        });
        self.paint();
        Step { reporter: self.clone(), number, part, title: title.to_owned(), begun, paused: None, ended: false }
    }

    /// Replaces the pods of the table.
    pub(super) fn pods(&self, pods: Vec<PodRow>) {
        self.screen().board.pods = pods;
        self.paint();
    }

    /// Replaces how many requests of the client were answered.
    pub(super) fn answers(&self, count: usize) {
        self.screen().board.answers = count;
    }

    /// Replaces the line about the service.
    pub(super) fn service(&self, line: String) {
        self.screen().board.service = line;
    }

    /// Draws the table again, where there is one.
    pub(super) fn paint(&self) {
        let mut screen = self.screen();
        if screen.style == Style::Table {
            let painted = screen.paint(self.elapsed());
            drop(screen);
            self.check(&painted);
        }
    }

    fn screen(&self) -> MutexGuard<'_, Screen> {
        self.screen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nobody listens any more: that ends the demo as Ctrl-C does.
    fn check(&self, written: &io::Result<()>) {
        if written.is_err() {
            self.interrupt.raise();
        }
    }
}

impl Step {
    /// What is being waited for, shown while it lasts.
    pub(super) fn detail(&self, detail: &str) {
        if let Some(row) = self.row(&mut self.reporter.screen()) {
            detail.clone_into(&mut row.detail);
        }
        self.reporter.paint();
    }

    /// Stops the step's clock.
    pub(super) fn pause(&mut self) {
        self.paused = Some(self.reporter.elapsed());
    }

    /// Lets it run on.
    pub(super) fn resume(&mut self) {
        if let Some(paused) = self.paused.take() {
            self.begun += self.reporter.elapsed().saturating_sub(paused);
        }
    }

    /// The step is over: `detail` for people, `facts` (an object) for scripts.
    pub(super) fn done(mut self, detail: &str, facts: Value) {
        let facts = match facts {
            Value::Object(facts) => facts,
            other => Map::from_iter([("fact".to_owned(), other)]),
        };
        let took = self.reporter.elapsed().saturating_sub(self.begun);
        self.end(&Progress::Done(took), "done", detail, facts);
    }

    fn end(&mut self, progress: &Progress, status: &str, detail: &str, facts: Map<String, Value>) {
        self.ended = true;
        let took = self.reporter.elapsed().saturating_sub(self.begun);
        let skipped = *progress == Progress::Skipped;
        if let Some(row) = self.row(&mut self.reporter.screen()) {
            row.progress = progress.clone();
            detail.clone_into(&mut row.detail);
        }
        let mut object = Map::new();
        object.insert("event".to_owned(), json!(if self.part.is_some() { "part" } else { "step" }));
        object.insert("step".to_owned(), json!(self.number));
        if let Some(part) = self.part {
            object.insert("part".to_owned(), json!(part));
        }
        object.insert("title".to_owned(), json!(self.title));
        object.insert("status".to_owned(), json!(status));
        object.insert("seconds".to_owned(), json!(took.as_secs_f64()));
        object.insert(if skipped { "reason" } else { "detail" }.to_owned(), json!(detail));
        object.extend(facts);
        self.reporter.object(&Value::Object(object));
        let time = if skipped { "skipped".to_owned() } else { seconds(took) };
        let label = label(self.number, self.part);
        self.reporter.line(&format!("{label:<10}{:<32} {time:>8}  {detail}", self.title));
        self.reporter.paint();
    }

    fn row<'a>(&self, screen: &'a mut Screen) -> Option<&'a mut StepRow> {
        let label = label(self.number, self.part);
        screen.board.steps.iter_mut().find(|row| row.label == label)
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        if !self.ended {
            let took = self.reporter.elapsed().saturating_sub(self.begun);
            self.end(&Progress::Failed(took), "failed", "", Map::new());
        }
    }
}

impl Screen {
    /// Draws the table over the one before.
    fn paint(&mut self, now: Duration) -> io::Result<()> {
        let size = rustix::termios::tcgetwinsize(io::stdout())
            .map_or((80, 24), |size| (usize::from(size.ws_col), usize::from(size.ws_row)));
        let lines = self.board.render(now, size.0.max(20), size.1.max(8));
        let mut text = self.back_to_top();
        for line in &lines {
            text.push_str(line);
            text.push('\n');
        }
        self.painted = lines.len();
        write_all(&text)
    }

    /// Writes a line that stays, above the table.
    fn above_table(&mut self, line: &str, now: Duration) -> io::Result<()> {
        write_all(&format!("{}{line}\n", self.back_to_top()))?;
        self.painted = 0;
        if self.board.title.is_empty() { Ok(()) } else { self.paint(now) }
    }

    /// Moves to the table's first line and clears from there to the end of the screen.
    fn back_to_top(&self) -> String {
        if self.painted == 0 { String::new() } else { format!("\x1b[{}A\x1b[J", self.painted) }
    }
}

fn label(number: u32, part: Option<&str>) -> String {
    part.map_or_else(|| number.to_string(), |part| format!("{number}.{part}"))
}

fn write_line(line: &str) -> io::Result<()> {
    write_all(&format!("{line}\n"))
}

fn write_all(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}
