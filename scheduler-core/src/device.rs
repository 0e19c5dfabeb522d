//! Devices that pods share: what is free of each on a node, and what a pod asks for.

use crate::intern::Symbol;
use crate::shared::Pages;

/// A whole device, in thousandths.
pub(crate) const WHOLE: i64 = 1000;
/// Devices that one node may have.
pub(crate) const DEVICES_MAX: usize = 64;

/// The devices of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Installed {
    pub(crate) model: Option<Symbol>,
    pub(crate) count: u16,
}

/// What a pod asks for: whole devices, or a part of one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct DeviceAsk {
    pub(crate) count: u16,
    /// Thousandths of each.
    pub(crate) milli: u16,
    /// The models that will do; none is any.
    pub(crate) models: Box<[Symbol]>,
}

impl DeviceAsk {
    pub(crate) fn takes(&self, model: Option<Symbol>) -> bool {
        self.models.is_empty() || model.is_some_and(|model| self.models.contains(&model))
    }

    pub(crate) fn is_shared(&self) -> bool {
        self.amount() < WHOLE
    }

    pub(crate) fn amount(&self) -> i64 {
        i64::from(self.milli)
    }

    pub(crate) fn total(&self) -> i64 {
        i64::from(self.count) * self.amount()
    }

    /// The devices with the least left that is enough, the first of equals; fewer than asked for where it does not fit.
    pub(crate) fn tightest(&self, free: &[i64]) -> Vec<u16> {
        let mut fitting: Vec<u16> =
            (0..).zip(free).filter(|(_, free)| **free >= self.amount()).map(|one| one.0).collect();
        fitting.sort_by_key(|device| free[usize::from(*device)]);
        fitting.truncate(usize::from(self.count));
        fitting
    }
}

/// The devices of a node, and what is left of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rack {
    pub(crate) model: Option<Symbol>,
    count: u16,
    /// Below 0 where more was taken than is there.
    free: Vec<i64>,
    /// How many pods there ask for a part of a device (0), or for so many whole ones.
    kinds: Vec<(u16, u32)>,
}

impl Rack {
    /// Takes note of what the node has; what is taken stays so.
    fn install(&mut self, installed: Option<Installed>) {
        let (model, count) = installed.map_or((None, 0), |installed| (installed.model, installed.count));
        self.model = model;
        self.free.resize(self.free.len().max(count.into()), 0);
        for (device, free) in (0..).zip(&mut self.free) {
            *free += WHOLE * (i64::from(device < count) - i64::from(device < self.count));
        }
        self.count = count;
    }

    /// What is left of each device.
    pub(crate) fn free(&self) -> &[i64] {
        &self.free
    }

    pub(crate) fn count(&self) -> u16 {
        self.count
    }

    /// What is left of all devices.
    pub(crate) fn left(&self) -> i64 {
        self.free.iter().map(|free| (*free).max(0)).sum()
    }

    pub(crate) fn fits(&self, ask: &DeviceAsk) -> bool {
        ask.takes(self.model)
            && self.free.iter().filter(|free| **free >= ask.amount()).count() >= usize::from(ask.count)
    }

    /// Whether pods of the ask's kind are there, and whether they are all that are there.
    pub(crate) fn company(&self, ask: &DeviceAsk) -> (bool, usize) {
        (self.kinds.iter().any(|(kind, _)| *kind == kind_of(ask)), self.kinds.len())
    }

    /// The devices for an ask whatever is left of them: as many as fit best, then the first.
    pub(crate) fn choose(&self, ask: &DeviceAsk) -> Vec<u16> {
        let mut chosen = ask.tightest(&self.free);
        let rest = (0..ask.count.max(self.count)).filter(|device| !chosen.contains(device));
        let rest: Vec<u16> = rest.take(usize::from(ask.count) - chosen.len()).collect();
        chosen.extend(rest);
        chosen
    }

    pub(crate) fn take(&mut self, ask: &DeviceAsk, devices: &[u16]) {
        for device in devices.iter().copied().map(usize::from) {
            if self.free.len() <= device {
                self.free.resize(device + 1, 0);
            }
            self.free[device] -= ask.amount();
        }
        match self.kinds.iter_mut().find(|(kind, _)| *kind == kind_of(ask)) {
            Some((_, pods)) => *pods += 1,
            None => self.kinds.push((kind_of(ask), 1)),
        }
    }

    pub(crate) fn give_back(&mut self, ask: &DeviceAsk, devices: &[u16]) {
        for device in devices.iter().copied().map(usize::from) {
            self.free[device] += ask.amount();
        }
        for (_, pods) in self.kinds.iter_mut().filter(|(kind, _)| *kind == kind_of(ask)) {
            *pods -= 1;
        }
        self.kinds.retain(|(_, pods)| *pods > 0);
    }
}

fn kind_of(ask: &DeviceAsk) -> u16 {
    if ask.is_shared() { 0 } else { ask.count }
}

/// The racks of all node rows; no row has one before some node has devices or some pod takes one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Racks(Pages<Rack>);

impl Racks {
    pub(crate) fn of(&self, row: usize) -> Option<&Rack> {
        self.0.get(row)
    }

    pub(crate) fn install(&mut self, row: usize, installed: Option<Installed>) {
        if installed.is_some() || row < self.0.len() {
            self.open(row).install(installed);
        }
    }

    pub(crate) fn open(&mut self, row: usize) -> &mut Rack {
        self.0.grow(row + 1);
        &mut self.0[row]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(count: u16, milli: u16) -> DeviceAsk {
        DeviceAsk { count, milli, models: Box::default() }
    }

    #[test]
    fn what_is_taken_stays_taken_when_devices_come_and_go() {
        let mut racks = Racks::default();
        racks.install(0, None);
        assert!(racks.of(0).is_none());
        racks.install(2, Some(Installed { model: None, count: 2 }));
        let rack = racks.open(2);
        rack.take(&ask(1, 300), &[1]);
        assert_eq!((rack.free(), rack.left(), rack.fits(&ask(2, 1000))), (&[1000, 700][..], 1700, false));
        assert_eq!((rack.choose(&ask(1, 500)), rack.choose(&ask(2, 1000))), (vec![1], vec![0, 1]));
        racks.install(2, Some(Installed { model: None, count: 1 }));
        let rack = racks.open(2);
        assert_eq!((rack.free(), rack.left()), (&[1000, -300][..], 1000));
        racks.install(2, Some(Installed { model: None, count: 3 }));
        let rack = racks.open(2);
        rack.give_back(&ask(1, 300), &[1]);
        assert_eq!((rack.free(), rack.company(&ask(1, 1))), (&[1000; 3][..], (false, 0)));
    }
}
