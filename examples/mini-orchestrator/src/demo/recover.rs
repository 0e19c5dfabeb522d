//! What dead runs left, and what this run can limit and count.

use std::path::Path;

use windlass_cgroups::{Anchor, Controller, Group, Hierarchies, Home};

use super::Place;
use super::cluster;
use super::error::{Error, Result};
use super::output::Reporter;
use super::show::Missing;
use super::state_dir::RunDir;

/// Where groups can be made: anywhere for root, below its own group for anybody else.
pub(super) fn hierarchies(place: Place) -> windlass_cgroups::Result<Hierarchies> {
    match place {
        Place::Host => Hierarchies::discover(),
        Place::Inside => Hierarchies::discover_at(Anchor::OwnGroup),
    }
}

/// Removes what runs left that were killed: their processes are found by their groups, all else by their folder.
pub(super) fn recover(base: &Path, hierarchies: Option<&Hierarchies>, reporter: &Reporter) -> Result<()> {
    for dead in RunDir::dead(base)? {
        if let Some(hierarchies) = hierarchies {
            cluster::remove_groups(hierarchies, dead.id())?;
        }
        let id = dead.id().to_owned();
        dead.remove()?;
        reporter.notice(&format!("removed what the killed run {id} left"));
    }
    Ok(())
}

/// The group of this run. Root must have one; for anybody else its absence is said, and what needs it is skipped.
pub(super) fn groups(
    place: Place,
    hierarchies: std::result::Result<&Hierarchies, &windlass_cgroups::Error>,
    id: &str,
    reporter: &Reporter,
) -> Result<(Option<Group>, Missing)> {
    let made = hierarchies
        .map_err(|error| Error::NoGroups { reason: super::chain(error) })
        .and_then(|found| Ok((cluster::make_groups(found, id)?, found)));
    match made {
        Ok(((group, missing), found)) => {
            if !missing.is_empty() {
                let text =
                    format!("this kernel offers no {} in control groups: not limited, not counted", missing.join(", "));
                reporter.notice(&text);
            }
            let without = matches!(found.home(Controller::Memory), Home::Absent(_));
            let memory = without.then(|| "no control group limits memory here".to_owned());
            Ok((Some(group), Missing { memory, accounting: None }))
        }
        Err(error) if place == Place::Inside => {
            let reason = super::chain(&error);
            reporter.notice("not root: this is the root of a user namespace of its own, with one user in it");
            reporter.notice(&format!("no limits and no accounting: {reason}"));
            Ok((None, Missing { memory: Some(reason.clone()), accounting: Some(reason) }))
        }
        Err(error) => Err(error),
    }
}
