//! Security contexts.

use std::collections::BTreeSet;

use super::at::At;
use super::meta::{each, one_of_word};
use super::volume::descending_path;
use crate::kinds::{
    AppArmorProfile, PodSecurityContext, PodSpec, SeccompProfile, SecurityContext, Sysctl,
    WindowsSecurityContextOptions,
};
use crate::names;
use crate::violation::{Violations, quoted};
use crate::wire::text::Text as _;

const PROFILE_TYPES: [&str; 3] = ["Localhost", "RuntimeDefault", "Unconfined"];
const SYSCTL_FORM: &str = r"^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$";

fn identity(id: Option<i64>, at: &At<'_>, out: &mut Violations) {
    if let Some(id) = id.filter(|id| !(0..=i64::from(i32::MAX)).contains(id)) {
        out.invalid_literal(at, id, "must be between 0 and 2147483647, inclusive");
    }
}

/// The identities that processes have on the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Users {
    Host,
    Own,
}

pub(super) fn container(context: &SecurityContext, users: Users, at: &At<'_>, out: &mut Violations) {
    identity(context.run_as_user, &at.field("runAsUser"), out);
    identity(context.run_as_group, &at.field("runAsGroup"), out);
    if let Some(mount) = &context.proc_mount {
        one_of_word(mount, &["Default", "Unmasked"], &at.field("procMount"), out);
        if users == Users::Host && mount == "Unmasked" {
            out.invalid(at.field("procMount"), mount, "`hostUsers` must be false to use `Unmasked`");
        }
    }
    seccomp(context.seccomp_profile.as_deref(), &at.field("seccompProfile"), out);
    if context.allow_privilege_escalation == Some(false) {
        if context.privileged == Some(true) {
            let detail = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true";
            out.invalid_literal(at, context_text(context), detail);
        }
        for _ in context.capabilities.iter().flat_map(|set| &set.add).filter(|name| *name == "CAP_SYS_ADMIN") {
            let detail = "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN";
            out.invalid_literal(at, context_text(context), detail);
        }
    }
    windows(context.windows_options.as_deref(), &at.field("windowsOptions"), out);
    app_armor(context.app_armor_profile.as_deref(), &at.field("appArmorProfile"), out);
}

/// A context as it is printed: JSON of the original's own type.
fn context_text(context: &SecurityContext) -> String {
    let se_linux = context.se_linux_options.as_deref().map(|options| {
        let text = |text: &Option<String>| quoted(text.text());
        let (user, role) = (text(&options.user), text(&options.role));
        let (kind, level) = (text(&options.type_), text(&options.level));
        format!("{{\"User\":{user},\"Role\":{role},\"Type\":{kind},\"Level\":{level}}}")
    });
    let windows = context.windows_options.as_deref().map(|options| {
        format!(
            "{{\"GMSACredentialSpecName\":{},\"GMSACredentialSpec\":{},\"RunAsUserName\":{},\"HostProcess\":{}}}",
            text_or_null(options.gmsa_credential_spec_name.as_deref()),
            text_or_null(options.gmsa_credential_spec.as_deref()),
            text_or_null(options.run_as_user_name.as_deref()),
            or_null(options.host_process),
        )
    });
    let capabilities = context
        .capabilities
        .as_deref()
        .map(|set| format!("{{\"Add\":{},\"Drop\":{}}}", super::meta::texts(&set.add), super::meta::texts(&set.drop)));
    let seccomp =
        context.seccomp_profile.as_deref().map(|one| profile_text(one.type_.text(), one.localhost_profile.as_deref()));
    let app_armor = context
        .app_armor_profile
        .as_deref()
        .map(|one| profile_text(one.type_.text(), one.localhost_profile.as_deref()));
    let fields = [
        ("Capabilities", or_null(capabilities)),
        ("Privileged", or_null(context.privileged)),
        ("SELinuxOptions", or_null(se_linux)),
        ("WindowsOptions", or_null(windows)),
        ("RunAsUser", or_null(context.run_as_user)),
        ("RunAsGroup", or_null(context.run_as_group)),
        ("RunAsNonRoot", or_null(context.run_as_non_root)),
        ("ReadOnlyRootFilesystem", or_null(context.read_only_root_filesystem)),
        ("AllowPrivilegeEscalation", or_null(context.allow_privilege_escalation)),
        ("ProcMount", text_or_null(context.proc_mount.as_deref())),
        ("SeccompProfile", or_null(seccomp)),
        ("AppArmorProfile", or_null(app_armor)),
    ];
    let fields: Vec<String> = fields.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
    format!("{{{}}}", fields.join(","))
}

fn or_null(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "null".to_owned(), |value| value.to_string())
}

fn text_or_null(text: Option<&str>) -> String {
    or_null(text.map(quoted))
}

fn profile_text(kind: &str, path: Option<&str>) -> String {
    format!("{{\"Type\":{},\"LocalhostProfile\":{}}}", quoted(kind), text_or_null(path))
}

fn seccomp(profile: Option<&SeccompProfile>, at: &At<'_>, out: &mut Violations) {
    let Some(profile) = profile else { return };
    match profile.type_.text() {
        "" => out.required(at.field("type"), "type is required when seccompProfile is set"),
        kind => one_of_word(kind, &PROFILE_TYPES, &at.field("type"), out),
    }
    let path_at = at.field("localhostProfile");
    match (profile.type_.text(), &profile.localhost_profile) {
        ("Localhost", None) => out.required(path_at, "must be set when seccomp type is Localhost"),
        ("Localhost", Some(path)) => descending_path(path, &path_at, out),
        (kind, Some(path)) => {
            let value = profile_text(kind, Some(path));
            out.invalid_literal(path_at, value, "can only be set when seccomp type is Localhost");
        }
        (_, None) => {}
    }
}

fn app_armor(profile: Option<&AppArmorProfile>, at: &At<'_>, out: &mut Violations) {
    const LENGTH_MAX: usize = 4095;
    let Some(profile) = profile else { return };
    let path_at = at.field("localhostProfile");
    match (profile.type_.text(), &profile.localhost_profile) {
        ("Localhost", path) => {
            let path = path.as_deref().unwrap_or_default();
            if path.trim().is_empty() {
                out.required(path_at, "must be set when AppArmor type is Localhost");
            } else if path.trim() != path {
                out.invalid(path_at, path, "must not be padded with whitespace");
            }
            if path.len() > LENGTH_MAX {
                out.too_long(path_at, LENGTH_MAX);
            }
        }
        ("RuntimeDefault" | "Unconfined", Some(path)) => {
            out.invalid(path_at, path, "can only be set when AppArmor type is Localhost");
        }
        ("RuntimeDefault" | "Unconfined", None) => {}
        ("", _) => out.required(at.field("type"), "type is required when appArmorProfile is set"),
        (other, _) => out.not_supported(at.field("type"), other, &PROFILE_TYPES),
    }
}

fn windows(options: Option<&WindowsSecurityContextOptions>, at: &At<'_>, out: &mut Violations) {
    const SPEC_MAX: usize = 64 << 10;
    let Some(options) = options else { return };
    if let Some(name) = &options.gmsa_credential_spec_name {
        each(&at.field("gmsaCredentialSpecName"), name, names::dns1123_subdomain(name), out);
    }
    if let Some(spec) = &options.gmsa_credential_spec {
        let spec_at = at.field("gmsaCredentialSpec");
        if spec.is_empty() {
            out.invalid(spec_at, spec, "gmsaCredentialSpec cannot be an empty string");
        } else if spec.len() > SPEC_MAX {
            out.invalid(spec_at, spec, "gmsaCredentialSpec size must be under 64 KiB");
        }
    }
    if let Some(user) = &options.run_as_user_name {
        windows_user(user, &at.field("runAsUserName"), out);
    }
}

fn windows_user(name: &str, at: &At<'_>, out: &mut Violations) {
    const USER_MAX: usize = 104;
    if name.is_empty() {
        return out.invalid(at, name, "runAsUserName cannot be an empty string");
    }
    if name.contains(|c: char| c.is_ascii_control()) {
        return out.invalid(at, name, "runAsUserName cannot contain control characters");
    }
    let parts: Vec<&str> = name.split('\\').collect();
    let (domain, user) = match parts[..] {
        [user] => (None, user),
        [domain, user] => (Some(domain), user),
        _ => return out.invalid(at, name, "runAsUserName cannot contain more than one backslash"),
    };
    if let Some(domain) = domain {
        let net_bios = (1..16).contains(&domain.len())
            && !domain.contains(|c| r#"\/:*?"<>|"#.contains(c))
            && !domain.starts_with('.');
        let dns = domain.len() < 256
            && domain.split('.').all(|label| {
                !label.is_empty()
                    && !label.starts_with('-')
                    && !label.ends_with('-')
                    && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            });
        if !net_bios && !dns {
            out.invalid(at, name, "runAsUserName's Domain doesn't match the NetBios nor the DNS format");
        }
    }
    if user.is_empty() {
        out.invalid(at, name, "runAsUserName's User cannot be empty");
    } else if user.len() > USER_MAX {
        let detail = format!("runAsUserName's User length must not be longer than {USER_MAX} characters");
        out.invalid(at, name, detail);
    }
    if !user.is_empty() && user.chars().all(|c| matches!(c, '.' | ' ')) {
        out.invalid(at, name, "runAsUserName's User cannot contain only periods or spaces");
    }
    if user.contains(|c| r#""/\[]:;|=,+*?<>@"#.contains(c)) {
        let detail = r#"runAsUserName's User cannot contain the following characters: "/\:;|=,+*?<>@[]"#;
        out.invalid(at, name, detail);
    }
}

pub(super) fn pod(context: &PodSecurityContext, spec: &PodSpec, at: &At<'_>, out: &mut Violations) {
    for (field, id) in
        [("fsGroup", context.fs_group), ("runAsUser", context.run_as_user), ("runAsGroup", context.run_as_group)]
    {
        identity(id, &at.field(field), out);
    }
    for (index, group) in context.supplemental_groups.iter().enumerate() {
        identity(Some(*group), &at.field("supplementalGroups").index(index), out);
    }
    for (field, policy, supported) in [
        ("supplementalGroupsPolicy", &context.supplemental_groups_policy, ["Merge", "Strict"].as_slice()),
        ("fsGroupChangePolicy", &context.fs_group_change_policy, &["Always", "OnRootMismatch"]),
        ("seLinuxChangePolicy", &context.se_linux_change_policy, &["Recursive"]),
    ] {
        if let Some(policy) = policy {
            one_of_word(policy, supported, &at.field(field), out);
        }
    }
    sysctls(&context.sysctls, spec, &at.field("sysctls"), out);
    seccomp(context.seccomp_profile.as_deref(), &at.field("seccompProfile"), out);
    windows(context.windows_options.as_deref(), &at.field("windowsOptions"), out);
    app_armor(context.app_armor_profile.as_deref(), &at.field("appArmorProfile"), out);
}

fn is_sysctl(name: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let part = |part: &str| {
        let bytes = part.as_bytes();
        bytes.first().copied().is_some_and(word)
            && bytes.last().copied().is_some_and(word)
            && bytes.iter().all(|byte| word(*byte) || b"-_".contains(byte))
    };
    name.len() <= 253 && name.split(['.', '/']).all(part)
}

fn sysctls(list: &[Sysctl], spec: &PodSpec, at: &At<'_>, out: &mut Violations) {
    let mut seen = BTreeSet::new();
    for (index, sysctl) in list.iter().enumerate() {
        let at = at.index(index);
        let at = at.field("name");
        let name = sysctl.name.text();
        if name.is_empty() {
            out.required(at, "");
        } else if !is_sysctl(name) {
            let detail = format!("must have at most 253 characters and match regex {SYSCTL_FORM}");
            out.invalid(at, name, detail);
        } else if seen.contains(name) {
            out.duplicate(at, name);
        }
        let dotted = name.replace('/', ".");
        let of_ipc = ["kernel.shm", "kernel.msg", "fs.mqueue."].iter().any(|prefix| dotted.starts_with(prefix))
            || dotted == "kernel.sem";
        if spec.host_network == Some(true) && dotted.starts_with("net.") {
            out.invalid(at, name, "may not be specified when 'hostNetwork' is true");
        }
        if spec.host_ipc == Some(true) && of_ipc {
            out.invalid(at, name, "may not be specified when 'hostIPC' is true");
        }
        seen.insert(name);
    }
}
