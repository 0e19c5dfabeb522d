//! Why a field has the value that it has: the default that set it.

use super::apply;
use crate::object::Object;
use crate::wire::semantic::difference;

/// Rules by the ends of the paths that they set; the first that fits counts.
const RULES: [(&str, &str); 42] = [
    ("imagePullPolicy", "Always for the tag latest, said or implied, IfNotPresent for any other"),
    ("terminationMessagePath", "the file in which a container leaves its last words"),
    ("terminationMessagePolicy", "the last words come from the file alone"),
    ("restartPolicy", "containers are restarted whenever they end"),
    ("dnsPolicy", "names are looked up in the cluster first"),
    ("schedulerName", "the scheduler that every cluster has"),
    ("securityContext", "a pod has a security context, if an empty one"),
    (
        "terminationGracePeriodSeconds",
        "containers have half a minute to end; a pod that gives them less than none gives one second",
    ),
    ("enableServiceLinks", "services are named in the environment of containers"),
    ("serviceAccountName", "the account has two names: the field that was first, and the one that counts"),
    ("serviceAccount", "the account has two names: the field that was first, and the one that counts"),
    ("hostPort", "on the network of the node a port is that of the node"),
    ("requests", "a request that is not made is as large as the limit"),
    ("limits", "a limit for huge pages is that of the containers together"),
    ("timeoutSeconds", "a probe has a second; a client stays with its endpoint for three hours"),
    ("periodSeconds", "a probe is made every ten seconds"),
    ("successThreshold", "one good answer is enough"),
    ("failureThreshold", "three bad answers in a row are too many"),
    ("scheme", "a request is made without encryption"),
    ("path", "a request is for the root"),
    ("protocol", "a port speaks TCP"),
    ("targetPort", "a service's port is that of its pods"),
    ("emptyDir", "a volume without a source is an empty folder"),
    ("defaultMode", "files may be read by everybody and written by their owner"),
    ("apiVersion", "fields are read as version v1 has them"),
    ("expirationSeconds", "a token is good for an hour"),
    ("volumeMode", "a volume has a file system"),
    ("sessionAffinity", "a client has no endpoint of its own"),
    ("sessionAffinityConfig", "a client stays with its endpoint for three hours"),
    ("internalTrafficPolicy", "endpoints on all nodes serve connections from inside"),
    ("externalTrafficPolicy", "endpoints on all nodes serve connections from outside"),
    ("allocateLoadBalancerNodePorts", "a load balancer reaches nodes at their ports"),
    ("replicas", "one pod"),
    ("maxUnavailable", "a quarter of a deployment's pods may be missing, one of a daemon set's"),
    ("maxSurge", "a deployment may have a quarter of its pods more, a daemon set none"),
    ("revisionHistoryLimit", "ten old versions are kept"),
    ("progressDeadlineSeconds", "a rollout may stand still for ten minutes"),
    ("completions", "one pod has to succeed"),
    ("parallelism", "one pod at a time"),
    ("backoffLimit", "six failures, or as many as the indexes may have"),
    ("selector", "a controller takes the pods of its template"),
    ("labels", "a controller has the labels of its template, a namespace one with its name"),
];

/// A value that was set because nobody else did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explained {
    /// The path of the field.
    pub path: String,
    /// The value, as JSON.
    pub value: String,
    /// What was there before, as JSON; empty for nothing.
    pub before: String,
    /// The rule, in words.
    pub rule: &'static str,
}

/// Everything that [`apply`] sets in an object, and by which rule.
pub fn explain(object: &Object) -> Vec<Explained> {
    let mut defaulted = object.clone();
    apply(&mut defaulted);
    difference(object.record(), defaulted.record())
        .into_iter()
        .map(|change| Explained { rule: rule(&change.path), path: change.path, value: change.new, before: change.old })
        .collect()
}

/// The default that set the field of this path, or a field around it; `None` when the object says itself.
///
/// ```
/// use windlass_pod::{decode_yaml, defaults};
///
/// let text = b"{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {containers: [{name: web, image: 'web:1'}]}}";
/// let pod = decode_yaml(text).unwrap().remove(0);
/// let default = defaults::explain_default(&pod, "spec.containers[0].imagePullPolicy").unwrap();
/// assert_eq!(default.value, r#""IfNotPresent""#);
/// assert_eq!(default.rule, "Always for the tag latest, said or implied, IfNotPresent for any other");
/// assert_eq!(defaults::explain_default(&pod, "spec.containers[0].image"), None);
/// ```
pub fn explain_default(object: &Object, path: &str) -> Option<Explained> {
    let around = |own: &str| path.strip_prefix(own).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']));
    explain(object).into_iter().find(|default| around(&default.path))
}

fn rule(path: &str) -> &'static str {
    let fields = || path.split(['.', '[']).filter(|part| !part.ends_with(']')).rev();
    fields()
        .find_map(|field| RULES.iter().find(|(name, _)| *name == field))
        .map_or("the value that Kubernetes has for this field when nobody sets it", |(_, rule)| rule)
}
