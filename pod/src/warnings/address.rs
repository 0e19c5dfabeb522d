//! Addresses in forms that not all programs agree on.

use std::net::IpAddr;

use crate::names::parse_ip;
use crate::violation::quoted;

const BAD: &str = "will be considered invalid in a future Kubernetes release: use";

/// Mapped addresses print as the IPv4 addresses that they are.
fn plain(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(mapped) => mapped.to_ipv4_mapped().map_or(address, IpAddr::V4),
        IpAddr::V4(_) => address,
    }
}

pub(super) fn ip(text: &str, at: &str, out: &mut Vec<String>) {
    let Some(address) = parse_ip(text) else { return };
    let strict = text.parse::<IpAddr>().ok().filter(|address| plain(*address) == *address);
    match strict {
        None => out.push(format!(
            "{at}: non-standard IP address {} {BAD} {}",
            quoted(text),
            quoted(&plain(address).to_string())
        )),
        Some(address) if address.is_ipv6() && address.to_string() != text => out.push(format!(
            "{at}: IPv6 address {} should be in RFC 5952 canonical format ({})",
            quoted(text),
            quoted(&address.to_string())
        )),
        Some(_) => {}
    }
}

pub(super) fn range(text: &str, at: &str, out: &mut Vec<String>) {
    let Some((address_text, prefix)) = text.split_once('/') else { return };
    let (Some(address), Ok(length)) = (parse_ip(address_text), prefix.parse::<u32>()) else { return };
    let bits = if address.is_ipv4() { 32 } else { 128 };
    if length > bits {
        return;
    }
    let network = masked(address, bits - length);
    let whole = format!("{}/{length}", plain(network));
    if network != address {
        let single = format!("{}/{bits}", plain(address));
        out.push(format!(
            "{at}: CIDR value {} is ambiguous in this context (should be {} or {}?)",
            quoted(text),
            quoted(&whole),
            quoted(&single)
        ));
    }
    let strict = address_text.parse::<IpAddr>().ok().filter(|address| plain(*address) == *address);
    let canonical = format!("{address}/{length}");
    if strict.is_none() || (prefix.len() > 1 && prefix.starts_with('0')) {
        out.push(format!("{at}: non-standard CIDR value {} {BAD} {}", quoted(text), quoted(&whole)));
    } else if address.is_ipv6() && canonical != text {
        out.push(format!(
            "{at}: IPv6 CIDR value {} should be in RFC 5952 canonical format ({})",
            quoted(text),
            quoted(&canonical)
        ));
    }
}

/// The address without its last bits.
fn masked(address: IpAddr, bits: u32) -> IpAddr {
    match address {
        IpAddr::V4(address) => IpAddr::from(
            (u32::from(address).checked_shr(bits).unwrap_or(0).checked_shl(bits).unwrap_or(0)).to_be_bytes(),
        ),
        IpAddr::V6(address) => IpAddr::from(
            (u128::from(address).checked_shr(bits).unwrap_or(0).checked_shl(bits).unwrap_or(0)).to_be_bytes(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::{ip, range};

    #[test]
    fn odd_forms_are_named() {
        let ip = |text: &str| {
            let mut out = Vec::new();
            ip(text, "x", &mut out);
            out.join("; ")
        };
        let bad = "will be considered invalid in a future Kubernetes release: use";
        for (text, warning) in [
            ("10.0.0.1", String::new()),
            ("010.0.0.1", format!("x: non-standard IP address \"010.0.0.1\" {bad} \"10.0.0.1\"")),
            ("::ffff:1.2.3.4", format!("x: non-standard IP address \"::ffff:1.2.3.4\" {bad} \"1.2.3.4\"")),
            ("FD00::1", "x: IPv6 address \"FD00::1\" should be in RFC 5952 canonical format (\"fd00::1\")".to_owned()),
            ("none", String::new()),
        ] {
            assert_eq!(ip(text), warning);
        }
        let mut out = Vec::new();
        range("10.1.2.3/8", "x", &mut out);
        assert_eq!(
            out,
            [
                "x: CIDR value \"10.1.2.3/8\" is ambiguous in this context (should be \"10.0.0.0/8\" or \"10.1.2.3/32\"?)"
            ]
        );
    }
}
