//! The class of service of a container: what it may use of caches and of the memory's bandwidth.

use serde_json::{Map, Value, json};
use windlass_namespaces::resctrl::{Class, Group, Resctrl, Schemata};

use super::cli::Parsed;
use super::failure::{Failure, Result};
use super::id::ContainerId;
use super::state::{ClassState, State};
use super::store::Place;

/// What is being done, for a failure.
const DOING: &str = "linux.intelRdt";

/// The class, as the library knows it.
pub(super) fn group(class: &ClassState) -> Group {
    Group::known(class.directory.clone(), class.own, class.monitor.clone())
}

/// Makes the class that a configuration asks for, once it is written down that it may be there.
pub(super) fn make(place: &Place, state: &mut State, class: &Class) -> Result<Group> {
    let resctrl = Resctrl::find().map_err(Failure::during(DOING))?;
    let group = resctrl.group(class);
    if group.is_own && group.directory.exists() {
        return Err(Failure::new(format!("{DOING}: the class {} is somebody else's", group.directory.display())));
    }
    let kept = ClassState { directory: group.directory, own: group.is_own, monitor: group.monitor };
    state.class = Some(kept);
    place.write(state)?;
    resctrl.prepare(class).map_err(|error| {
        let failure = Failure::during(DOING)(error);
        // What was there before is not to go with the container.
        state.class = None;
        failure.and(place.write(state))
    })
}

/// The schemata that the command line of `update` asks for.
pub(super) fn wanted(given: &Parsed) -> Result<Option<Schemata>> {
    let mut wanted = Schemata::default();
    for flag in ["l3-cache-schema", "mem-bw-schema"] {
        if let Some(text) = given.text(flag)? {
            let schemata = text.parse().map_err(Failure::during(format_args!("--{flag}")))?;
            wanted = wanted.changed_by(schemata);
        }
    }
    Ok((!wanted.is_empty()).then_some(wanted))
}

/// Gives a container's class other schemata.
pub(super) fn change(id: &ContainerId, state: &State, schemata: &Schemata) -> Result<()> {
    let Some(class) = &state.class else {
        return Err(Failure::new(format!(
            "container {id} has no class of service to change: its configuration asks for none in {DOING}"
        )));
    };
    let resctrl = Resctrl::find().map_err(Failure::during(DOING))?;
    resctrl.write(&group(class), schemata).map_err(Failure::during(DOING))
}

/// What a container's class is and what was used in it, as the document of `events` says it.
pub(super) fn usage(state: &State) -> Result<Value> {
    let Some(class) = &state.class else { return Ok(json!({})) };
    let resctrl = Resctrl::find().map_err(Failure::during(DOING))?;
    document(&resctrl, &group(class)).map_err(Failure::during(DOING))
}

fn document(resctrl: &Resctrl, group: &Group) -> windlass_namespaces::Result<Value> {
    let (all, own) = (resctrl.schemata()?, group.schemata()?);
    let mut document = Map::new();
    for (key, schemata, resource) in [
        ("l3_cache_schema_root", &all, "L3"),
        ("l3_cache_schema", &own, "L3"),
        ("mem_bw_schema_root", &all, "MB"),
        ("mem_bw_schema", &own, "MB"),
    ] {
        if let Some(line) = schemata.line_of(resource) {
            document.insert(key.to_owned(), line.into());
        }
    }
    let used = group.used()?;
    let bandwidth = used.iter().map(|domain| {
        let counters = [("mbm_total_bytes", domain.total), ("mbm_local_bytes", domain.local)];
        counters.into_iter().filter_map(|(key, bytes)| Some((key.to_owned(), bytes?.into()))).collect()
    });
    // What the processor does not count is left out, not zero.
    let bandwidth = bandwidth.filter(|counters: &Map<String, Value>| !counters.is_empty()).map(Value::Object);
    let occupied = used.iter().filter_map(|domain| Some(json!({ "llc_occupancy": domain.occupancy? })));
    for (key, list) in [("mbm_stats", bandwidth.collect::<Vec<_>>()), ("cmt_stats", occupied.collect())] {
        if !list.is_empty() {
            document.insert(key.to_owned(), list.into());
        }
    }
    Ok(Value::Object(document))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::cli::VERBS;

    #[test]
    fn the_document_has_what_the_processor_counts() {
        let folder = tempfile::tempdir().unwrap();
        let class = folder.path().join("box");
        std::fs::create_dir_all(class.join("mon_data/mon_L3_00")).unwrap();
        std::fs::write(folder.path().join("schemata"), "MB:0=100\nL3:0=ff\n").unwrap();
        std::fs::write(class.join("schemata"), "    L3:0=f\n").unwrap();
        let resctrl = Resctrl::at(folder.path());
        let state = ClassState { directory: class.clone(), own: true, monitor: None };
        let schemata =
            json!({ "l3_cache_schema_root": "L3:0=ff", "l3_cache_schema": "L3:0=f", "mem_bw_schema_root": "MB:0=100" });
        assert_eq!(document(&resctrl, &group(&state)).unwrap(), schemata);
        std::fs::write(class.join("mon_data/mon_L3_00/llc_occupancy"), "4096\n").unwrap();
        std::fs::write(class.join("mon_data/mon_L3_00/mbm_local_bytes"), "7\n").unwrap();
        let counted = document(&resctrl, &group(&state)).unwrap();
        assert_eq!(counted["cmt_stats"], json!([{ "llc_occupancy": 4096 }]));
        assert_eq!(counted["mbm_stats"], json!([{ "mbm_local_bytes": 7 }]));
    }

    #[test]
    fn flags_are_schemata() {
        let update = VERBS.iter().find(|verb| verb.name == "update").unwrap();
        let wanted =
            |line: &str| wanted(&Parsed::parse(update.flags, line.split_whitespace().map(Into::into)).unwrap());
        let both = wanted("--l3-cache-schema L3:0=f --mem-bw-schema MB:0=20 id").unwrap().unwrap();
        assert_eq!(both.to_string(), "L3:0=f\nMB:0=20");
        assert_eq!(wanted("--memory 1m id").unwrap(), None);
        assert!(wanted("--l3-cache-schema f id").is_err());
    }
}
