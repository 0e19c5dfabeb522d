//! Jobs, which run pods to their end, and cron jobs, which make jobs.

mod cron;
mod indexes;
mod job;
mod verdict;

pub use cron::{CronAction, CronStep, cron_job};
pub use indexes::{format_indexes, parse_indexes};
pub use job::{JobAction, JobStep, job};
