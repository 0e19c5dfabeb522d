//! What a failed pod means to its job.

use crate::kinds::{JobSpec, Pod, PodFailurePolicyRule};
use crate::wire::text::Text as _;

/// What to make of a failed pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is one more failure.
    Count,
    /// It is none.
    Ignore,
    /// The index is lost.
    FailIndex,
    /// The job is lost, and this is why.
    FailJob(String),
}

pub(super) fn of(spec: &JobSpec, pod: &Pod) -> Verdict {
    let Some(policy) = &spec.pod_failure_policy else { return Verdict::Count };
    for (index, rule) in policy.rules.iter().enumerate() {
        let Some(reason) = matches(rule, pod) else { continue };
        return match rule.action.text() {
            "Ignore" => Verdict::Ignore,
            "FailIndex" => Verdict::FailIndex,
            "FailJob" => Verdict::FailJob(format!("{reason} matching FailJob rule at index {index}")),
            _ => Verdict::Count,
        };
    }
    Verdict::Count
}

/// What of the pod a rule speaks of.
fn matches(rule: &PodFailurePolicyRule, pod: &Pod) -> Option<String> {
    let name = format!("{}/{}", pod.metadata.namespace.text(), pod.metadata.name.text());
    if let Some(codes) = &rule.on_exit_codes {
        let statuses = pod.status.init_container_statuses.iter().chain(&pod.status.container_statuses);
        for status in statuses {
            let Some(end) = &status.state.terminated else { continue };
            let code = end.exit_code.unwrap_or(0);
            let named = codes.container_name.as_deref().is_none_or(|name| name == status.name.text());
            let listed = codes.values.contains(&code);
            let hit = if codes.operator.text() == "NotIn" { code != 0 && !listed } else { listed };
            if named && hit {
                let container = status.name.text();
                return Some(format!("Container {container} for pod {name} failed with exit code {code}"));
            }
        }
        return None;
    }
    let pattern = rule.on_pod_conditions.iter().find(|pattern| {
        pod.status.conditions.iter().any(|own| own.type_ == pattern.type_ && own.status == pattern.status)
    })?;
    Some(format!("Pod {name} has condition {}", pattern.type_.text()))
}
