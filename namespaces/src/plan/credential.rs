//! The steps that give the process its users, groups and capabilities.

use super::step::{CapabilityStep, Groups, IdMap, Step};
use super::{Facts, Notice};
use crate::capability::{Capability, CapabilitySet, CapabilitySets};
use crate::command::Command;
use crate::error::{Error, Result};
use crate::id::{Gid, IdMapping, Uid};
use crate::kind::Namespace;

/// The mappings of a new user namespace, and how they are written.
pub(super) struct Mappings {
    pub(super) uid: IdMap,
    pub(super) gid: IdMap,
    /// The ids that the process has until its final ones.
    pub(super) first: (u32, u32),
}

pub(super) fn mappings(command: &Command, facts: &Facts) -> Result<Option<Mappings>> {
    let given = !command.uid_mappings.is_empty() || !command.gid_mappings.is_empty();
    if !command.is_new(Namespace::User) {
        let reason = "only a new user namespace can be given mappings";
        return if given { Err(Error::invalid("id_mappings", "", reason)) } else { Ok(None) };
    }
    let or_own = |mappings: &[IdMapping], own: u32| match mappings {
        [] if given => Err(Error::invalid("id_mappings", "", "needs users and groups, or neither")),
        [] => Ok(vec![IdMapping::new(0, own, 1)?]),
        mappings => Ok(mappings.to_vec()),
    };
    let uid = or_own(&command.uid_mappings, facts.uid)?;
    let gid = or_own(&command.gid_mappings, facts.gid)?;
    let first = (first(&uid), first(&gid));
    let uid = match &uid[..] {
        _ if facts.effective.contains(Capability::Setuid) => IdMap::Write(uid),
        [only] if only.count() == 1 && only.outside() == facts.uid => IdMap::Write(uid),
        _ => IdMap::Helper(uid),
    };
    let gid = match &gid[..] {
        _ if facts.effective.contains(Capability::Setgid) => IdMap::Write(gid),
        [only] if only.count() == 1 && only.outside() == facts.gid => IdMap::DenySetgroupsAndWrite(gid),
        _ => IdMap::Helper(gid),
    };
    Ok(Some(Mappings { uid, gid, first }))
}

fn first(mappings: &[IdMapping]) -> u32 {
    mappings.iter().map(|mapping| mapping.inside()).min().unwrap_or(0)
}

/// Groups and ids of the program.
fn identity(command: &Command, facts: &Facts, mappings: Option<&Mappings>) -> Result<Option<(u32, u32, Groups)>> {
    let joined = command.is_joined(Namespace::User);
    // A namespace inherits the denial; that of a joined one shows only there.
    let denied = matches!(mappings, Some(Mappings { gid: IdMap::DenySetgroupsAndWrite(_), .. }))
        || (facts.setgroups_is_denied && !joined);
    let (uid, gid, groups) = match (&command.user, mappings) {
        (Some((uid, gid, groups)), _) => (uid.as_raw(), gid.as_raw(), groups.as_slice()),
        (None, Some(mappings)) => (mappings.first.0, mappings.first.1, &[][..]),
        (None, None) if joined => (Uid::ROOT.as_raw(), Gid::ROOT.as_raw(), &[][..]),
        (None, None) => return Ok(None),
    };
    let groups: Vec<u32> = groups.iter().map(|group| group.as_raw()).collect();
    let groups = match (denied, groups.is_empty()) {
        (true, true) => Groups::Keep,
        (true, false) => {
            let reason = "the kernel denies setgroups in a user namespace mapped without CAP_SETGID";
            return Err(Error::invalid("user", format!("{groups:?}"), reason));
        }
        (false, true) if joined => Groups::Drop,
        (false, _) => Groups::Set(groups),
    };
    Ok(Some((uid, gid, groups)))
}

/// The user of the program, where it is not the one who prepares it.
pub(super) fn owner(command: &Command, facts: &Facts, mappings: Option<&Mappings>) -> Option<u32> {
    let (uid, ..) = command.user.as_ref()?;
    let preparing = match mappings {
        Some(mappings) => mappings.first.0,
        None if command.is_joined(Namespace::User) => Uid::ROOT.as_raw(),
        None => facts.uid,
    };
    Some(uid.as_raw()).filter(|uid| *uid != preparing)
}

pub(super) fn steps(
    command: &Command,
    facts: &Facts,
    mappings: Option<&Mappings>,
    notices: &mut Vec<Notice>,
) -> Result<Vec<Step>> {
    let identity = identity(command, facts, mappings)?;
    let sets = command.capabilities.map(|sets| give(sets, command, facts, notices)).transpose()?;
    let mut steps: Vec<Step> = command.rlimits.iter().copied().map(Step::Rlimit).collect();
    if let Some(sets) = &sets {
        steps.push(Step::DropBounding { keep: sets.bounding.bits() });
        steps.push(Step::KeepCapabilities);
    }
    if let Some((uid, gid, groups)) = identity {
        steps.push(Step::Groups(groups));
        steps.push(Step::Ids { uid, gid });
    }
    if let Some(sets) = &sets {
        let filtering = if needs_admin(command, facts)? { 1 << Capability::SysAdmin as u8 } else { 0 };
        let (effective, permitted) = (sets.effective.bits() | filtering, sets.permitted.bits() | filtering);
        let inheritable = sets.inheritable.bits();
        steps.push(Step::Capabilities(CapabilityStep { effective, permitted, inheritable }));
        steps.push(Step::Ambient(sets.ambient.bits()));
    }
    if command.no_new_privileges {
        steps.push(Step::NoNewPrivileges);
    }
    Ok(steps)
}

/// Whether the installation of a filter takes `CAP_SYS_ADMIN`. It goes with the exec, which makes the permitted and the
/// effective set anew from the others, so that no call has to pass the filter to drop it.
fn needs_admin(command: &Command, facts: &Facts) -> Result<bool> {
    let confines = command.seccomp.is_some() || command.process.landlock.is_some();
    let needed = confines && !command.no_new_privileges;
    let has = command.source(Namespace::User).is_some() || facts.held.contains(Capability::SysAdmin);
    if needed && !has {
        return Err(Error::invalid("seccomp", "", "a filter takes no_new_privileges or CAP_SYS_ADMIN"));
    }
    Ok(needed)
}

/// The sets that the process can be given.
fn give(sets: CapabilitySets, command: &Command, facts: &Facts, notices: &mut Vec<Notice>) -> Result<CapabilitySets> {
    let outside = |set: CapabilitySet, of: CapabilitySet| set.difference(of);
    let broken = [
        (outside(sets.effective, sets.permitted), "an effective capability must be permitted"),
        (outside(sets.ambient, sets.permitted), "an ambient capability must be permitted"),
        (outside(sets.ambient, sets.inheritable), "an ambient capability must be inheritable"),
        (outside(sets.inheritable, sets.bounding), "an inheritable capability must be in the bounding set"),
    ];
    if let Some((set, reason)) = broken.into_iter().find(|(set, _)| !set.is_empty()) {
        return Err(Error::invalid("capabilities", format!("{set:?}"), reason));
    }
    // The first process in a user namespace holds every capability over it, and so does one that joins it.
    if command.source(Namespace::User).is_some() {
        return Ok(sets);
    }
    let missing = sets.all().difference(facts.held);
    if !missing.is_empty() {
        notices.push(Notice::CapabilitiesDropped(missing));
    }
    Ok(sets.limited_to(facts.held))
}
