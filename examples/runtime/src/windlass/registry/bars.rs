//! A bar for each blob that moves.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use windlass_image::client::Progress;
use windlass_image::{Descriptor, Digest};

const SHAPE: &str = "{prefix} {bar:32} {bytes:>11} / {total_bytes:<11} {bytes_per_sec:>13}  {msg}";

/// What is shown on a terminal, and nowhere else; and what was counted.
pub(super) struct Bars {
    screen: MultiProgress,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    bars: BTreeMap<Digest, ProgressBar>,
    count: Counts,
}

/// What has moved.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counts {
    pub(super) moved: u64,
    pub(super) existed: u64,
    pub(super) bytes: u64,
}

impl Bars {
    pub(super) fn new(quiet: bool) -> Self {
        // The standard error is drawn on only if it is a terminal.
        let target = if quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        Self { screen: MultiProgress::with_draw_target(target), state: Mutex::default() }
    }

    pub(super) fn show(&self, progress: Progress<'_>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match progress {
            Progress::Begin { blob, offset } => self.bar(&mut state, blob).set_position(offset),
            Progress::Moved { digest, bytes } => {
                state.count.bytes += bytes;
                if let Some(bar) = state.bars.get(digest) {
                    bar.inc(bytes);
                }
            }
            Progress::Done { digest } => {
                state.count.moved += 1;
                if let Some(bar) = state.bars.get(digest) {
                    bar.finish_with_message("done");
                }
            }
            Progress::Exists { blob } => {
                state.count.existed += 1;
                let bar = self.bar(&mut state, blob);
                bar.set_position(blob.size);
                bar.finish_with_message("is there");
            }
            _ => {}
        }
    }

    pub(super) fn counts(&self) -> Counts {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).count
    }

    fn bar(&self, state: &mut State, blob: &Descriptor) -> ProgressBar {
        let make = || {
            let bar = self.screen.add(ProgressBar::new(blob.size));
            // The shape is a constant of this file; a bar without it is still a bar.
            if let Ok(style) = ProgressStyle::with_template(SHAPE) {
                bar.set_style(style.progress_chars("=> "));
            }
            bar.set_prefix(blob.digest.hex()[..12].to_owned());
            bar
        };
        state.bars.entry(blob.digest).or_insert_with(make).clone()
    }
}
