//! `*.pressure` of v2.

use crate::format::{self, FormatError, micros, percent};
use crate::stats::{Pressure, PressureShare, Stats};

/// Reads `cpu.pressure`.
pub(crate) fn cpu(content: &[u8], stats: &mut Stats) -> format::Result<()> {
    stats.pressure.cpu = Some(pressure(content)?);
    Ok(())
}

/// Reads `memory.pressure`.
pub(crate) fn memory(content: &[u8], stats: &mut Stats) -> format::Result<()> {
    stats.pressure.memory = Some(pressure(content)?);
    Ok(())
}

/// Reads `io.pressure`.
pub(crate) fn io(content: &[u8], stats: &mut Stats) -> format::Result<()> {
    stats.pressure.io = Some(pressure(content)?);
    Ok(())
}

/// Reads `irq.pressure`.
pub(crate) fn irq(content: &[u8], stats: &mut Stats) -> format::Result<()> {
    stats.pressure.irq = Some(pressure(content)?);
    Ok(())
}

fn pressure(content: &[u8]) -> format::Result<Pressure> {
    let mut pressure = Pressure::default();
    for (key, value) in format::keyed(content) {
        match key {
            b"some" => pressure.some = share(value)?,
            b"full" => pressure.full = share(value)?,
            _ => {}
        }
    }
    Ok(pressure)
}

fn share(line: &[u8]) -> format::Result<PressureShare> {
    let mut share = PressureShare::default();
    for word in format::words(line) {
        let (key, value) = format::pair(word).ok_or(FormatError("a pair key=value is expected"))?;
        match key {
            b"avg10" => share.average_10s = percent(value)?,
            b"avg60" => share.average_60s = percent(value)?,
            b"avg300" => share.average_300s = percent(value)?,
            b"total" => share.total = micros(value)?,
            _ => {}
        }
    }
    Ok(share)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn reads_both_lines() {
        let content =
            b"some avg10=0.24 avg60=0.28 avg300=0.75 total=13163257\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=3\n";
        let pressure = pressure(content).unwrap();
        assert!((pressure.some.average_300s - 0.75).abs() < f32::EPSILON);
        assert_eq!(pressure.some.total, Duration::from_micros(13_163_257));
        assert_eq!(pressure.full.total, Duration::from_micros(3));
    }
}
