//! The class of service of a configuration.

use oci_spec::runtime::LinuxIntelRdt;

use super::config::Config;
use crate::error::{Error, Result};
use crate::resctrl::{Class, Schemata};

/// The class that `linux.intelRdt` asks for, of the container of this name.
pub(super) fn class(config: &Config, id: &str) -> Result<Option<Class>> {
    let Some(entry) = config.spec().linux().as_ref().and_then(|linux| linux.intel_rdt().as_ref()) else {
        return Ok(None);
    };
    let named = entry.clos_id().as_deref().filter(|name| !name.is_empty());
    let mut class = named.map_or_else(|| Class::own(id), Class::named)?;
    class.schemata = schemata(entry)?;
    if entry.enable_monitoring() == &Some(true) || config.counts_use() {
        class.monitor(id)?;
    }
    Ok(Some(class))
}

fn schemata(entry: &LinuxIntelRdt) -> Result<Schemata> {
    let cache = parse("linux.intelRdt.l3CacheSchema", entry.l3_cache_schema().as_deref().unwrap_or_default())?;
    let bandwidth = entry.mem_bw_schema().as_deref().unwrap_or_default();
    if !bandwidth.is_empty() && (!bandwidth.starts_with("MB:") || bandwidth.contains('\n')) {
        return Err(Error::invalid("linux.intelRdt.memBwSchema", bandwidth, "is not one line that begins with MB:"));
    }
    let bandwidth = parse("linux.intelRdt.memBwSchema", bandwidth)?;
    // Bandwidth that is said in both is what its own field says.
    let both = if bandwidth.is_empty() { cache } else { cache.without("MB").changed_by(bandwidth) };
    let lines = entry.schemata().iter().flatten();
    lines.map(|line| parse("linux.intelRdt.schemata", line)).try_fold(both, |both, line| Ok(both.changed_by(line?)))
}

fn parse(field: &'static str, text: &str) -> Result<Schemata> {
    text.parse().map_err(|_| Error::invalid(field, text, "is not of the form RESOURCE:DOMAIN=VALUE;..."))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(value: &serde_json::Value) -> Result<Class> {
        let config = json!({ "ociVersion": "1.3.0", "linux": { "intelRdt": value } });
        let config = Config::parse(config.to_string().as_bytes()).unwrap();
        class(&config, "box").map(|class| class.expect("there is one"))
    }

    #[test]
    fn the_later_field_counts() {
        for (value, expected) in [
            (json!({ "l3CacheSchema": "L3:0=f" }), "L3:0=f"),
            (json!({ "l3CacheSchema": "L3:0=f\nMB:0=10;1=10", "memBwSchema": "MB:0=20" }), "L3:0=f\nMB:0=20"),
            (json!({ "l3CacheSchema": "L3:0=f\nMB:0=10" }), "L3:0=f\nMB:0=10"),
            (json!({ "memBwSchema": "MB:0=20", "schemata": ["L2:0=1", "MB:1=30"] }), "L2:0=1\nMB:0=20;1=30"),
            (json!({ "closID": "x" }), ""),
        ] {
            assert_eq!(of(&value).unwrap().schemata.to_string(), expected);
        }
    }

    #[test]
    fn who_names_a_class_makes_it() {
        assert_eq!(of(&json!({})).unwrap(), Class::own("box").unwrap());
        assert_eq!(of(&json!({ "closID": "x" })).unwrap(), Class::named("x").unwrap());
        for field in ["enableMonitoring", "enableCMT", "enableMBM"] {
            let mut expected = Class::named("/").unwrap();
            expected.monitor("box").unwrap();
            assert_eq!(of(&json!({ "closID": "/", field: true })).unwrap(), expected);
            assert_ne!(of(&json!({ "closID": "/", field: false })).unwrap(), expected);
        }
    }

    #[test]
    fn what_is_no_class_is_an_error() {
        for value in [
            json!({ "closID": "a/b" }),
            json!({ "closID": ".." }),
            json!({ "l3CacheSchema": "f" }),
            json!({ "memBwSchema": "L3:0=f" }),
            json!({ "memBwSchema": "MB:0=10\nL3:0=f" }),
            json!({ "schemata": ["x"] }),
        ] {
            assert!(of(&value).is_err(), "{value}");
        }
    }
}
