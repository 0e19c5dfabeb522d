//! `devices.*` of v1.

use crate::controller::{Controller, Version};
use crate::device::{DeviceAction, DeviceFilter};
use crate::error::Result;
use crate::setting::{Setting, Undo, Write};

pub(crate) const LIST: &str = "devices.list";
pub(crate) const ALLOW: &str = "devices.allow";
pub(crate) const DENY: &str = "devices.deny";

/// Plans the filter: the default for everything, then the exceptions to it.
pub(crate) fn plan(filter: &DeviceFilter, plan: &mut Vec<Setting>) -> Result<()> {
    let exceptions = filter.exceptions()?;
    let (default, exception) = match filter.default {
        DeviceAction::Allow => (ALLOW, DENY),
        DeviceAction::Deny => (DENY, ALLOW),
    };
    let mut writes = vec![Write::new(Version::V1, default, "a").undone_by(Undo::DeviceList)];
    writes.extend(exceptions.iter().map(|rule| Write::new(Version::V1, exception, rule).undone_by(Undo::WithEarlier)));
    plan.push(Setting::writes("devices", Controller::Devices, writes));
    Ok(())
}

/// The writes that make a group's list what `content` of `devices.list` says; `None` if the file does not tell.
///
/// The kernel shows a filter that allows by default as "everything", whatever its exceptions.
pub(crate) fn restore(content: &str) -> Option<Vec<(&'static str, String)>> {
    if content.lines().any(|line| line.trim() == "a *:* rwm") {
        return None;
    }
    let mut writes = vec![(DENY, "a".to_owned())];
    writes.extend(content.lines().filter(|line| !line.is_empty()).map(|line| (ALLOW, line.to_owned())));
    Some(writes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::{DeviceAccess, DeviceKind, DeviceRule};
    use crate::setting::Action;

    #[test]
    fn deny_all_comes_first() {
        let rule = DeviceRule {
            action: DeviceAction::Allow,
            kind: DeviceKind::All,
            major: Some(1),
            minor: None,
            access: DeviceAccess::READ_WRITE,
        };
        let mut settings = Vec::new();
        plan(&DeviceFilter { default: DeviceAction::Deny, rules: vec![rule] }, &mut settings).unwrap();
        let Action::Write { writes, .. } = &settings[0].action else { panic!("writes are planned") };
        let written: Vec<String> = writes.iter().map(|write| format!("{} {}", write.file, write.value())).collect();
        // `a` with a number would mean every device to v1, so both kinds are named.
        assert_eq!(written, ["devices.deny a", "devices.allow c 1:* rw", "devices.allow b 1:* rw"]);
    }

    #[test]
    fn a_list_is_rebuilt() {
        assert_eq!(restore("a *:* rwm\n"), None);
        assert_eq!(restore("c 1:3 rw\n"), Some(vec![(DENY, "a".to_owned()), (ALLOW, "c 1:3 rw".to_owned())]));
        assert_eq!(restore(""), Some(vec![(DENY, "a".to_owned())]));
    }
}
