//! The cost model of block devices, by which `io.weight` is kept where no scheduler does it.

use std::time::Duration;

use crate::controller::Controller;
use crate::device::DeviceNumber;
use crate::error::{Error, Result};
use crate::format::{self, FormatError, number};

/// What one device's io costs, and when it counts as saturated; `None` leaves a part alone.
///
/// It holds for the whole machine: [`Hierarchies::set_io_cost`](crate::Hierarchies::set_io_cost).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IoCost {
    /// The whole disk.
    pub device: DeviceNumber,
    /// When it counts as saturated.
    ///
    /// Kernel: `io.cost.qos` of the root, since 5.4 with `CONFIG_BLK_CGROUP_IOCOST`.
    pub qos: Option<IoCostQos>,
    /// What its io costs.
    ///
    /// Kernel: `io.cost.model` of the root, since 5.4 with `CONFIG_BLK_CGROUP_IOCOST`.
    pub model: Option<IoCostModel>,
}

/// Whether the kernel chooses the numbers by the kind of device, or the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CostControl {
    /// The kernel.
    Auto,
    /// The caller.
    User,
}

/// When a device counts as saturated; `None` leaves a number alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct IoCostQos {
    /// Whether weights are kept at all.
    pub enable: Option<bool>,
    /// Who chooses the numbers; to set one chooses [`CostControl::User`].
    pub control: Option<CostControl>,
    /// The percentile of reads that has to be done in `read_latency`, in hundredths of a percent up to 10,000.
    pub read_percentile: Option<u32>,
    /// The latency of reads.
    pub read_latency: Option<Duration>,
    /// The percentile of writes that has to be done in `write_latency`, in hundredths of a percent up to 10,000.
    pub write_percentile: Option<u32>,
    /// The latency of writes.
    pub write_latency: Option<Duration>,
    /// How far the rate of io is slowed down at most, in hundredths of a percent from 100 to 1,000,000.
    pub scale_min: Option<u32>,
    /// How far the rate of io is raised at most, in hundredths of a percent from 100 to 1,000,000.
    pub scale_max: Option<u32>,
}

/// What a device does in a second, from which the cost of each io follows; `None` leaves a number alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct IoCostModel {
    /// Who chooses the numbers; to set one chooses [`CostControl::User`].
    pub control: Option<CostControl>,
    /// Bytes read one after the other.
    pub read_bytes: Option<u64>,
    /// Small reads one after the other.
    pub read_sequential: Option<u64>,
    /// Small reads anywhere.
    pub read_random: Option<u64>,
    /// Bytes written one after the other.
    pub write_bytes: Option<u64>,
    /// Small writes one after the other.
    pub write_sequential: Option<u64>,
    /// Small writes anywhere.
    pub write_random: Option<u64>,
}

pub(crate) const QOS: &str = "io.cost.qos";
pub(crate) const MODEL: &str = "io.cost.model";

/// Whose files these are.
pub(crate) const CONTROLLER: Controller = Controller::Io;

impl IoCost {
    /// The lines to write: the model first, because the other starts to use it.
    pub(crate) fn lines(&self) -> Result<Vec<(&'static str, String)>> {
        let device = self.device;
        let mut lines = Vec::new();
        if let Some(model) = &self.model {
            lines.push((MODEL, format!("{device}{}", model.pairs())));
        }
        if let Some(qos) = &self.qos {
            lines.push((QOS, format!("{device}{}", qos.pairs(device)?)));
        }
        lines.retain(|(_, line)| line.contains(' '));
        Ok(lines)
    }

    /// Reads what both files say.
    pub(crate) fn parse(qos: &[u8], model: &[u8]) -> format::Result<Vec<Self>> {
        let mut costs: Vec<Self> = Vec::new();
        let mut each = |content: &[u8], set: &dyn Fn(&mut Self, &[u8]) -> format::Result<()>| {
            for (device, pairs) in format::keyed(content) {
                let device = format::device(device)?;
                let place = costs.iter().position(|cost| cost.device == device).unwrap_or_else(|| {
                    costs.push(Self { device, qos: None, model: None });
                    costs.len() - 1
                });
                set(&mut costs[place], pairs)?;
            }
            Ok(())
        };
        each(qos, &|cost, pairs| IoCostQos::parse(pairs).map(|qos| cost.qos = Some(qos)))?;
        each(model, &|cost, pairs| IoCostModel::parse(pairs).map(|model| cost.model = Some(model)))?;
        Ok(costs)
    }
}

fn control_pair(control: Option<CostControl>) -> String {
    match control {
        None => String::new(),
        Some(CostControl::Auto) => " ctrl=auto".to_owned(),
        Some(CostControl::User) => " ctrl=user".to_owned(),
    }
}

fn parse_control(text: &[u8]) -> format::Result<CostControl> {
    match text {
        b"auto" => Ok(CostControl::Auto),
        b"user" => Ok(CostControl::User),
        _ => Err(FormatError("auto or user is expected")),
    }
}

fn each_pair<'a>(pairs: &'a [u8], mut set: impl FnMut(&'a [u8], &'a [u8]) -> format::Result<()>) -> format::Result<()> {
    for word in format::words(pairs) {
        let (key, value) = format::pair(word).ok_or(FormatError("a pair key=value is expected"))?;
        set(key, value)?;
    }
    Ok(())
}

/// A percentage of two decimals, as hundredths.
fn hundredths(text: &[u8]) -> format::Result<u32> {
    let (whole, part) = match text.iter().position(|byte| *byte == b'.') {
        Some(dot) => (&text[..dot], &text[dot + 1..]),
        None => (text, &b"00"[..]),
    };
    let wrong = FormatError("a percentage of two decimals is expected");
    if part.len() != 2 {
        return Err(wrong);
    }
    let hundredths = number(whole)?.checked_mul(100).and_then(|whole| whole.checked_add(number(part).ok()?));
    hundredths.and_then(|number| u32::try_from(number).ok()).ok_or(wrong)
}

impl IoCostQos {
    fn pairs(&self, device: DeviceNumber) -> Result<String> {
        let mut text = self.enable.map(|enable| format!(" enable={}", u8::from(enable))).unwrap_or_default();
        text.push_str(&control_pair(self.control));
        let percent = |key: &str, value: Option<u32>, range: std::ops::RangeInclusive<u32>| match value {
            None => Ok(String::new()),
            Some(value) if range.contains(&value) => Ok(format!(" {key}={}.{:02}", value / 100, value % 100)),
            Some(value) => Err(Error::invalid(
                format!("io_cost[{device}].{key}"),
                value,
                format!("the range is {} to {} hundredths of a percent", range.start(), range.end()),
            )),
        };
        let micros = |key, latency: Option<Duration>| {
            latency.map(|latency| format!(" {key}={}", latency.as_micros())).unwrap_or_default()
        };
        text.push_str(&percent("rpct", self.read_percentile, 0..=10_000)?);
        text.push_str(&micros("rlat", self.read_latency));
        text.push_str(&percent("wpct", self.write_percentile, 0..=10_000)?);
        text.push_str(&micros("wlat", self.write_latency));
        text.push_str(&percent("min", self.scale_min, 100..=1_000_000)?);
        text.push_str(&percent("max", self.scale_max, 100..=1_000_000)?);
        Ok(text)
    }

    fn parse(pairs: &[u8]) -> format::Result<Self> {
        let mut qos = Self::default();
        each_pair(pairs, |key, value| {
            match key {
                b"enable" => qos.enable = Some(number(value)? != 0),
                b"ctrl" => qos.control = Some(parse_control(value)?),
                b"rpct" => qos.read_percentile = Some(hundredths(value)?),
                b"rlat" => qos.read_latency = Some(format::micros(value)?),
                b"wpct" => qos.write_percentile = Some(hundredths(value)?),
                b"wlat" => qos.write_latency = Some(format::micros(value)?),
                b"min" => qos.scale_min = Some(hundredths(value)?),
                b"max" => qos.scale_max = Some(hundredths(value)?),
                _ => {}
            }
            Ok(())
        })?;
        Ok(qos)
    }
}

impl IoCostModel {
    fn pairs(&self) -> String {
        let numbers = [
            ("rbps", self.read_bytes),
            ("rseqiops", self.read_sequential),
            ("rrandiops", self.read_random),
            ("wbps", self.write_bytes),
            ("wseqiops", self.write_sequential),
            ("wrandiops", self.write_random),
        ];
        let mut text = control_pair(self.control);
        let set = numbers.iter().filter_map(|(key, number)| number.map(|number| format!(" {key}={number}")));
        text.extend(set);
        text
    }

    fn parse(pairs: &[u8]) -> format::Result<Self> {
        let mut model = Self::default();
        each_pair(pairs, |key, value| {
            let field = match key {
                b"ctrl" => {
                    model.control = Some(parse_control(value)?);
                    return Ok(());
                }
                b"rbps" => &mut model.read_bytes,
                b"rseqiops" => &mut model.read_sequential,
                b"rrandiops" => &mut model.read_random,
                b"wbps" => &mut model.write_bytes,
                b"wseqiops" => &mut model.write_sequential,
                b"wrandiops" => &mut model.write_random,
                _ => return Ok(()),
            };
            *field = Some(number(value)?);
            Ok(())
        })?;
        Ok(model)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEVICE: DeviceNumber = DeviceNumber { major: 8, minor: 16 };
    const QOS_LINE: &str = "8:16 enable=1 ctrl=auto rpct=95.00 rlat=75000 wpct=95.00 wlat=150000 min=50.00 max=150.00";
    const MODEL_LINE: &str = "8:16 ctrl=user model=linear rbps=174019176 rseqiops=41708 rrandiops=370 wbps=178075866 \
                              wseqiops=42705 wrandiops=378";

    #[test]
    fn what_the_kernel_prints_is_what_is_written() {
        let costs = IoCost::parse(QOS_LINE.as_bytes(), MODEL_LINE.as_bytes()).unwrap();
        let [cost] = &costs[..] else { panic!("{costs:?}") };
        assert_eq!(cost.qos.unwrap().read_percentile, Some(9500));
        assert_eq!(cost.model.unwrap().write_random, Some(378));
        // The only model has no need to be named.
        let model = MODEL_LINE.replace(" model=linear", "");
        assert_eq!(cost.lines().unwrap(), [(MODEL, model), (QOS, QOS_LINE.to_owned())]);
    }

    #[test]
    fn what_is_not_set_is_not_written() {
        let cost = |qos| IoCost { device: DEVICE, qos: Some(qos), model: Some(IoCostModel::default()) };
        assert_eq!(cost(IoCostQos::default()).lines().unwrap(), []);
        let enable = IoCostQos { enable: Some(false), ..IoCostQos::default() };
        assert_eq!(cost(enable).lines().unwrap(), [(QOS, "8:16 enable=0".to_owned())]);
        let wrong = IoCostQos { read_percentile: Some(10_001), ..IoCostQos::default() };
        let error = cost(wrong).lines().unwrap_err().to_string();
        assert_eq!(error, "io_cost[8:16].rpct cannot be 10001: the range is 0 to 10000 hundredths of a percent");
    }

    #[test]
    fn what_is_no_percentage_is_refused() {
        assert_eq!(hundredths(b"100"), Ok(10_000));
        for text in [&b"1.5"[..], b".50", b"1.555", b"1.xx", b"99999999999.00"] {
            assert!(hundredths(text).is_err(), "{text:?}");
        }
    }
}
