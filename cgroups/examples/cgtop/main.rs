//! What the groups of this machine use, live.
//!
//! Usage: `cgtop [--once | --json] [--interval-ms N] [--below GROUP] [--depth N]`. Keys: `q` ends, `c`, `m`, `p`, `i` and
//! `n` sort by CPU, memory, processes, io and name, the arrows scroll. `--once` prints a table, `--json` a line for each
//! reading; with both it is one line.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "printing is what this program is for")]

mod arguments;
mod sample;
mod view;

use std::error::Error;
use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::time::Instant;

use arguments::{Arguments, Output};
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind};
use sample::Sampler;
use view::{Screen, Sort};

fn main() -> ExitCode {
    match arguments::parse(std::env::args().skip(1)).map_err(Into::into).and_then(|arguments| run(&arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cgtop: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let mut sampler = Sampler::new(arguments.below.clone(), arguments.depth)?;
    // Rates need two readings.
    sampler.sample()?;
    match arguments.output {
        Output::Live if !std::io::stdout().is_terminal() => Err("this is no terminal; use --once or --json".into()),
        Output::Live => live(arguments, sampler),
        Output::Once => {
            std::thread::sleep(arguments.interval);
            print!("{}", view::table(&sampler.sample()?));
            Ok(())
        }
        Output::Json { readings } => {
            for _ in 0..readings.unwrap_or(usize::MAX) {
                std::thread::sleep(arguments.interval);
                println!("{}", view::json(&sampler.sample()?));
            }
            Ok(())
        }
    }
}

fn live(arguments: &Arguments, mut sampler: Sampler) -> Result<(), Box<dyn Error>> {
    let mut screen = Screen::default();
    ratatui::run(|terminal| {
        loop {
            screen.show(sampler.sample()?);
            let next = Instant::now() + arguments.interval;
            loop {
                terminal.draw(|frame| screen.draw(frame))?;
                let left = next.saturating_duration_since(Instant::now());
                if left.is_zero() || !event::poll(left)? {
                    break;
                }
                // A change of the size is drawn without more ado.
                let Event::Key(key) = event::read()? else { continue };
                if key.kind != KeyEventKind::Press {
                    continue;
                }
                match key.code {
                    KeyCode::Char('q') | KeyCode::Esc => return Ok(()),
                    KeyCode::Char('c') => screen.sort_by(Sort::Cpu),
                    KeyCode::Char('m') => screen.sort_by(Sort::Memory),
                    KeyCode::Char('p') => screen.sort_by(Sort::Tasks),
                    KeyCode::Char('i') => screen.sort_by(Sort::Io),
                    KeyCode::Char('n') => screen.sort_by(Sort::Name),
                    KeyCode::Down => screen.scroll(1),
                    KeyCode::Up => screen.scroll(-1),
                    KeyCode::PageDown => screen.scroll(20),
                    KeyCode::PageUp => screen.scroll(-20),
                    _ => {}
                }
            }
        }
    })
}
