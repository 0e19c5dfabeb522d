//! Shared devices: what annotations ask for, and what a node has.

use super::wire;
use crate::device::{DEVICES_MAX, DeviceAsk, Installed, WHOLE};
use crate::error::{Error, Result};
use crate::intern::Interner;

const COUNT: &str = "alibabacloud.com/gpu-count";
const MILLI: &str = "alibabacloud.com/gpu-milli";
const MODEL: &str = "alibabacloud.com/gpu-card-model";
const INDEX: &str = "alibabacloud.com/gpu-index";

/// What a pod asks for; `None` without an amount, or with an amount of 0.
pub(super) fn ask(interner: &mut Interner, metadata: &wire::ObjectMeta) -> Result<Option<DeviceAsk>> {
    let number = |key: &str, most: usize| match metadata.annotations.get(key).map(String::as_str) {
        None | Some("") => Ok(None),
        Some(text) => text
            .parse::<u16>()
            .ok()
            .filter(|number| usize::from(*number) <= most)
            .map(Some)
            .ok_or_else(|| invalid(key, text, format!("not a number from 0 to {most}"))),
    };
    let (count, milli) = (number(COUNT, DEVICES_MAX)?, number(MILLI, usize::try_from(WHOLE).unwrap_or(0))?);
    let (count, milli) = match (count, milli) {
        (None | Some(0), None) | (Some(0), _) | (_, Some(0)) => return Ok(None),
        (Some(count), None) => (count, 1000),
        (count, Some(milli)) => (count.unwrap_or(1), milli),
    };
    if count > 1 && i64::from(milli) < WHOLE {
        return Err(invalid(MILLI, &milli.to_string(), "parts of several devices cannot be asked for".to_owned()));
    }
    let models = metadata.annotations.get(MODEL).map_or("", String::as_str);
    let models = models.split('|').filter(|model| !model.is_empty()).map(|model| interner.intern(model)).collect();
    Ok(Some(DeviceAsk { count, milli, models }))
}

/// The devices that a pod on a node was given; `None` where nothing tells.
pub(super) fn given(metadata: &wire::ObjectMeta, ask: Option<&DeviceAsk>) -> Result<Option<Box<[u16]>>> {
    let Some(text) = metadata.annotations.get(INDEX).filter(|text| !text.is_empty()) else { return Ok(None) };
    let Some(ask) = ask else { return Ok(None) };
    let devices: Option<Vec<u16>> = text.split('-').map(|index| index.parse().ok()).collect();
    let devices = devices.filter(|devices| {
        let distinct = devices.iter().enumerate().all(|(position, device)| !devices[..position].contains(device));
        distinct && devices.len() == usize::from(ask.count) && devices.iter().all(|one| usize::from(*one) < DEVICES_MAX)
    });
    let reason = || format!("not {} different devices below {DEVICES_MAX}", ask.count);
    devices.map(|devices| Some(devices.into())).ok_or_else(|| invalid(INDEX, text, reason()))
}

/// What a node has.
pub(super) fn installed(interner: &mut Interner, node: &wire::Node) -> Result<Option<Installed>> {
    let Some(quantity) = node.status.allocatable.get(COUNT) else { return Ok(None) };
    let count = quantity.value().and_then(|count| u16::try_from(count).ok());
    let count = count.filter(|count| usize::from(*count) <= DEVICES_MAX).ok_or_else(|| {
        let reason = format!("a node has at most {DEVICES_MAX} devices");
        Error::invalid(format!("status.allocatable[{COUNT}]"), quantity.to_string(), reason)
    })?;
    let model = node.metadata.labels.get(MODEL).filter(|model| !model.is_empty());
    Ok((count > 0).then(|| Installed { model: model.map(|model| interner.intern(model)), count }))
}

fn invalid(key: &str, value: &str, reason: String) -> Error {
    Error::invalid(format!("metadata.annotations[{key}]"), value, reason)
}
