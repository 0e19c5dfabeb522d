//! Numbers given out from a range.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;

/// Why a number cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PoolError {
    /// Somebody has the address.
    #[error("provided IP is already allocated")]
    AddressTaken,
    /// Somebody has the port.
    #[error("provided port is already allocated")]
    PortTaken,
    /// The address is none of the pool's.
    #[error("the provided IP ({address}) is not in the valid range. The range of valid IPs is {range}")]
    AddressOutside {
        /// The address that was asked for.
        address: IpAddr,
        /// The pool's range.
        range: String,
    },
    /// The port is none of the pool's.
    #[error("provided port is not in the valid range. The range of valid ports is {first}-{last}")]
    PortOutside {
        /// The pool's first port.
        first: u16,
        /// The pool's last port.
        last: u16,
    },
    /// All are given out.
    #[error("range is full")]
    Full,
}

/// The text is not a range of addresses such as `10.96.0.0/12`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a range of addresses")]
pub struct RangeError {
    text: String,
}

/// Numbers of a range, of which the lowest are left to who asks for them by name as long as there are others.
#[derive(Debug, Clone)]
struct Numbers {
    range: RangeInclusive<u128>,
    taken: BTreeSet<u128>,
    /// Where the search for the next free one starts.
    cursor: u128,
    /// The first that is given to who asks for any.
    dynamic: u128,
}

impl Numbers {
    fn new(range: RangeInclusive<u128>, reserved: u128) -> Self {
        let dynamic = (*range.start()).saturating_add(reserved).min(*range.end());
        Self { cursor: dynamic, dynamic, range, taken: BTreeSet::new() }
    }

    fn take(&mut self, number: u128) -> bool {
        self.taken.insert(number)
    }

    /// Goes round the upper part, then through the lower one.
    fn next(&mut self) -> Option<u128> {
        let (start, end) = (*self.range.start(), *self.range.end());
        let found = self
            .free(self.cursor, end)
            .or_else(|| self.free(self.dynamic, self.cursor))
            .or_else(|| self.free(start, self.dynamic))?;
        self.taken.insert(found);
        if found >= self.dynamic {
            self.cursor = if found == end { self.dynamic } else { found + 1 };
        }
        Some(found)
    }

    /// The first free number between two, both included.
    fn free(&self, from: u128, to: u128) -> Option<u128> {
        let mut wanted = from;
        for taken in self.taken.range(from..=to.max(from)) {
            if *taken != wanted {
                break;
            }
            wanted = taken.checked_add(1)?;
        }
        (wanted <= to).then_some(wanted)
    }
}

/// Addresses of one family.
#[derive(Debug, Clone)]
pub struct AddressPool {
    text: String,
    family: &'static str,
    numbers: Numbers,
}

impl AddressPool {
    /// The addresses of a range; its first is kept back, and with IPv4 its last.
    ///
    /// # Errors
    /// [`RangeError`] when the text is no range, or one with no address to give.
    pub fn new(range: &str) -> Result<Self, RangeError> {
        let bad = || RangeError { text: range.to_owned() };
        let (address, prefix) = range.split_once('/').ok_or_else(bad)?;
        let address: IpAddr = address.parse().map_err(|_| bad())?;
        let prefix: u32 = prefix.parse().map_err(|_| bad())?;
        let (family, bits) = if address.is_ipv4() { ("IPv4", 32) } else { ("IPv6", 128) };
        let size = u32::checked_sub(bits, prefix).ok_or_else(bad)?;
        let mask = 1u128.checked_shl(size).map_or(u128::MAX, |count| count - 1);
        let base = number(address) & !mask;
        let last = (base | mask) - u128::from(family == "IPv4");
        if base + 1 > last {
            return Err(bad());
        }
        // A sixteenth of the range, but between 16 and 256 addresses, is for those that are asked for.
        let reserved = if mask < 16 { 0 } else { (mask / 16).clamp(16, 256) };
        Ok(Self { text: range.to_owned(), family, numbers: Numbers::new(base + 1..=last, reserved) })
    }

    /// `IPv4` or `IPv6`.
    pub fn family(&self) -> &'static str {
        self.family
    }

    /// How many are given out.
    pub fn taken(&self) -> usize {
        self.numbers.taken.len()
    }

    /// Takes this address.
    ///
    /// # Errors
    /// [`PoolError::AddressOutside`] and [`PoolError::AddressTaken`].
    pub fn take(&mut self, address: IpAddr) -> Result<(), PoolError> {
        let own_family = (self.family == "IPv4") == address.is_ipv4();
        if !own_family || !self.numbers.range.contains(&number(address)) {
            return Err(PoolError::AddressOutside { address, range: self.text.clone() });
        }
        if self.numbers.take(number(address)) { Ok(()) } else { Err(PoolError::AddressTaken) }
    }

    /// Takes any free address.
    ///
    /// # Errors
    /// [`PoolError::Full`] when there is none.
    pub fn take_any(&mut self) -> Result<IpAddr, PoolError> {
        let number = self.numbers.next().ok_or(PoolError::Full)?;
        Ok(if self.family == "IPv4" {
            Ipv4Addr::from(u32::try_from(number).map_err(|_| PoolError::Full)?).into()
        } else {
            Ipv6Addr::from(number).into()
        })
    }

    /// Gives an address back; whether it was taken.
    pub fn give_back(&mut self, address: IpAddr) -> bool {
        self.numbers.taken.remove(&number(address))
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u32::from(address).into(),
        IpAddr::V6(address) => address.into(),
    }
}

/// Ports that are the same on every node.
#[derive(Debug, Clone)]
pub struct PortPool {
    range: RangeInclusive<u16>,
    numbers: Numbers,
}

impl PortPool {
    /// The ports of a range.
    pub fn new(range: RangeInclusive<u16>) -> Self {
        let size = u128::from(range.end().saturating_sub(*range.start())) + 1;
        // A thirty-second of the range, but between 16 and 128 ports, is for those that are asked for.
        let reserved = if size <= 16 { 0 } else { (size / 32).clamp(16, 128) };
        let numbers = Numbers::new(u128::from(*range.start())..=u128::from(*range.end()), reserved);
        Self { range, numbers }
    }

    /// The ports 30000 to 32767, as Kubernetes has them unless it is told otherwise.
    pub fn node_ports() -> Self {
        Self::new(30_000..=32_767)
    }

    /// How many are given out.
    pub fn taken(&self) -> usize {
        self.numbers.taken.len()
    }

    /// Takes this port.
    ///
    /// # Errors
    /// [`PoolError::PortOutside`] and [`PoolError::PortTaken`].
    pub fn take(&mut self, port: i32) -> Result<(), PoolError> {
        match u16::try_from(port) {
            Ok(port) if self.range.contains(&port) => {
                if self.numbers.take(port.into()) {
                    Ok(())
                } else {
                    Err(PoolError::PortTaken)
                }
            }
            _ => Err(PoolError::PortOutside { first: *self.range.start(), last: *self.range.end() }),
        }
    }

    /// Takes any free port.
    ///
    /// # Errors
    /// [`PoolError::Full`] when there is none.
    pub fn take_any(&mut self) -> Result<i32, PoolError> {
        let port = self.numbers.next().ok_or(PoolError::Full)?;
        i32::try_from(port).map_err(|_| PoolError::Full)
    }

    /// Gives a port back; whether it was taken.
    pub fn give_back(&mut self, port: i32) -> bool {
        u128::try_from(port).is_ok_and(|port| self.numbers.taken.remove(&port))
    }
}

#[cfg(test)]
mod tests {
    use super::{AddressPool, PoolError, PortPool};

    #[test]
    fn a_small_range_gives_all_it_has() {
        let mut pool = AddressPool::new("10.0.0.0/29").unwrap();
        let mut given: Vec<String> = (0..6).map(|_| pool.take_any().unwrap().to_string()).collect();
        given.sort();
        assert_eq!(given, ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.6"]);
        assert_eq!(pool.take_any(), Err(PoolError::Full));
        assert!(pool.give_back("10.0.0.4".parse().unwrap()));
        assert_eq!(pool.take_any().unwrap().to_string(), "10.0.0.4");
    }

    #[test]
    fn ranges_without_addresses_are_refused() {
        for text in ["", "10.0.0.0", "10.0.0.0/33", "10.0.0.0/32", "10.0.0.0/31", "x/8", "fd00::/129"] {
            assert!(AddressPool::new(text).is_err(), "{text}");
        }
        assert_eq!(AddressPool::new("fd00::/108").unwrap().take_any().unwrap().to_string(), "fd00::101");
    }

    #[test]
    fn low_ports_are_left_for_those_who_ask() {
        let mut ports = PortPool::node_ports();
        assert_eq!(ports.take_any(), Ok(30_086));
        assert_eq!(ports.take(30_087), Ok(()));
        assert_eq!(ports.take_any(), Ok(30_088));
        assert_eq!(ports.take(30_088), Err(PoolError::PortTaken));
        for port in [-1, 0, 29_999, 32_768, 70_000] {
            assert!(matches!(ports.take(port), Err(PoolError::PortOutside { .. })), "{port}");
        }
        let rest = std::iter::from_fn(|| ports.take_any().ok()).count();
        assert_eq!((rest, ports.taken()), (2768 - 3, 2768));
    }
}
