//! Who may do what: roles, bindings, and the rule that decides.
//!
//! ```
//! use windlass_pod::kinds::{ClusterRole, ClusterRoleBinding};
//! use windlass_pod::rbac::{Action, Authorizer, Policy, Request};
//! use windlass_pod::decode_yaml_as;
//!
//! let role: ClusterRole =
//!     decode_yaml_as(b"{metadata: {name: view}, rules: [{apiGroups: [''], resources: [pods], verbs: [get]}]}").unwrap();
//! let binding: ClusterRoleBinding = decode_yaml_as(
//!     b"{metadata: {name: b}, roleRef: {kind: ClusterRole, name: view}, subjects: [{kind: User, name: ann}]}",
//! )
//! .unwrap();
//! let policy = Policy { cluster_roles: vec![role], cluster_role_bindings: vec![binding], ..Policy::default() };
//! let authorizer = Authorizer::new(&policy);
//! let action = Action::Resource { namespace: "a", api_group: "", resource: "pods", subresource: "", name: "x" };
//! let answer = authorizer.decide(&Request { user: "ann", groups: &[], verb: "get", action });
//! assert!(answer.is_allowed());
//! assert_eq!(answer.reason(), r#"RBAC: allowed by ClusterRoleBinding "b" of ClusterRole "view" to User "ann""#);
//! ```

use std::collections::{BTreeSet, HashMap};

use crate::kinds::{ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, RoleRef, Subject};
use crate::selector::Selector;
use crate::violation::quoted;
use crate::wire::text::Text as _;

/// Roles and bindings, in the order in which they are looked at.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    /// Roles of namespaces.
    pub roles: Vec<Role>,
    /// Bindings in namespaces.
    pub role_bindings: Vec<RoleBinding>,
    /// Roles of the cluster.
    pub cluster_roles: Vec<ClusterRole>,
    /// Bindings in the cluster.
    pub cluster_role_bindings: Vec<ClusterRoleBinding>,
}

/// What somebody wants to do it to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action<'a> {
    /// An object, or all of a kind.
    Resource {
        /// Empty for what is in no namespace, and for all namespaces.
        namespace: &'a str,
        /// Empty for the core.
        api_group: &'a str,
        /// In the plural: `pods`.
        resource: &'a str,
        /// `log`, `status`; empty for the object itself.
        subresource: &'a str,
        /// Empty for all objects.
        name: &'a str,
    },
    /// A path that is no object.
    Path(&'a str),
}

/// A question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request<'a> {
    /// Who asks.
    pub user: &'a str,
    /// What else who asks is.
    pub groups: &'a [&'a str],
    /// `get`, `list`, `create` ...
    pub verb: &'a str,
    /// To what.
    pub action: Action<'a>,
}

/// The binding and the rule that allow something.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Grant<'a> {
    /// The binding's name.
    pub binding: &'a str,
    /// The namespace of the binding; `None` for one of the cluster.
    pub namespace: Option<&'a str>,
    /// The role that it binds.
    pub role: &'a RoleRef,
    /// Who of its subjects asked.
    pub subject: &'a Subject,
    /// The rule.
    pub rule: &'a PolicyRule,
}

/// The answer to a [`Request`].
#[derive(Debug, Clone, PartialEq)]
pub enum Answer<'a> {
    /// Yes, and this is why.
    Allowed(Grant<'a>),
    /// No rule allows it.
    NotAllowed {
        /// Bindings of who asks that name roles which are not there.
        faults: Vec<&'static str>,
    },
}

impl Answer<'_> {
    /// The answer is yes.
    pub fn is_allowed(&self) -> bool {
        matches!(self, Self::Allowed(_))
    }

    /// Why, as Kubernetes says it; empty where there is nothing to say.
    pub fn reason(&self) -> String {
        match self {
            Self::Allowed(grant) => format!("RBAC: allowed by {}", grant.describe()),
            Self::NotAllowed { faults } => {
                let mut seen = BTreeSet::new();
                let once: Vec<&str> = faults.iter().copied().filter(|fault| seen.insert(*fault)).collect();
                match once[..] {
                    [] => String::new(),
                    [one] => format!("RBAC: {one}"),
                    _ => format!("RBAC: [{}]", once.join(", ")),
                }
            }
        }
    }
}

impl Grant<'_> {
    fn describe(&self) -> String {
        let subject = match self.subject.kind.text() {
            "ServiceAccount" => {
                let own = self.subject.namespace.text();
                let namespace = if own.is_empty() { self.namespace.unwrap_or_default() } else { own };
                format!("ServiceAccount {}", quoted(&format!("{}/{namespace}", self.subject.name.text())))
            }
            kind => format!("{kind} {}", quoted(self.subject.name.text())),
        };
        let (kind, name) = match self.namespace {
            Some(namespace) => ("RoleBinding", format!("{}/{namespace}", self.binding)),
            None => ("ClusterRoleBinding", self.binding.to_owned()),
        };
        format!("{kind} {} of {} {} to {subject}", quoted(&name), self.role.kind.text(), quoted(self.role.name.text()))
    }
}

/// A binding with the rules of its role.
#[derive(Debug)]
struct Bound<'a> {
    name: &'a str,
    /// `None` for one of the cluster.
    namespace: Option<&'a str>,
    role: &'a RoleRef,
    subjects: &'a [Subject],
    rules: Result<&'a [PolicyRule], &'static str>,
}

/// Answers questions about a [`Policy`]; it finds the bindings of who asks, where they ask, by an index.
#[derive(Debug)]
pub struct Authorizer<'a> {
    /// Those of the cluster first.
    bindings: Vec<Bound<'a>>,
    users: HashMap<String, Held<'a>>,
    groups: HashMap<&'a str, Held<'a>>,
}

/// The bindings of somebody, in the order in which they are looked at.
#[derive(Debug, Default)]
struct Held<'a> {
    cluster: Vec<usize>,
    namespaces: HashMap<&'a str, Vec<usize>>,
}

impl Held<'_> {
    fn within(&self, namespace: &str) -> impl Iterator<Item = usize> {
        let local = if namespace.is_empty() { None } else { self.namespaces.get(namespace) };
        self.cluster.iter().chain(local.into_iter().flatten()).copied()
    }
}

impl<'a> Authorizer<'a> {
    /// Looks up each binding's role and subjects once.
    pub fn new(policy: &'a Policy) -> Self {
        let cluster_roles: HashMap<&str, &ClusterRole> =
            policy.cluster_roles.iter().map(|role| (role.metadata.name.text(), role)).collect();
        let roles: HashMap<(&str, &str), &Role> = policy
            .roles
            .iter()
            .map(|role| ((role.metadata.namespace.text(), role.metadata.name.text()), role))
            .collect();
        let rules = |role: &RoleRef, namespace: Option<&str>| match (role.kind.text(), namespace) {
            ("ClusterRole", _) => {
                cluster_roles.get(role.name.text()).map(|role| role.rules.as_slice()).ok_or("clusterrole not found")
            }
            ("Role", Some(namespace)) => {
                roles.get(&(namespace, role.name.text())).map(|role| role.rules.as_slice()).ok_or("role not found")
            }
            ("Role", None) => Err("role not found"),
            _ => Err("unsupported role reference kind"),
        };
        let mut authorizer = Self { bindings: Vec::new(), users: HashMap::new(), groups: HashMap::new() };
        for binding in &policy.cluster_role_bindings {
            let rules = rules(&binding.role_ref, None);
            let name = binding.metadata.name.text();
            authorizer.add(Bound {
                name,
                namespace: None,
                role: &binding.role_ref,
                subjects: &binding.subjects,
                rules,
            });
        }
        for binding in &policy.role_bindings {
            let namespace = Some(binding.metadata.namespace.text());
            let rules = rules(&binding.role_ref, namespace);
            let name = binding.metadata.name.text();
            authorizer.add(Bound { name, namespace, role: &binding.role_ref, subjects: &binding.subjects, rules });
        }
        authorizer
    }

    fn add(&mut self, bound: Bound<'a>) {
        let index = self.bindings.len();
        for subject in bound.subjects {
            let held = match subject.kind.text() {
                "User" => self.users.entry(subject.name.text().to_owned()).or_default(),
                "Group" => self.groups.entry(subject.name.text()).or_default(),
                "ServiceAccount" => match account(subject, bound.namespace) {
                    Some(user) => self.users.entry(user).or_default(),
                    None => continue,
                },
                _ => continue,
            };
            let list = match bound.namespace {
                None => &mut held.cluster,
                Some(namespace) => held.namespaces.entry(namespace).or_default(),
            };
            if list.last() != Some(&index) {
                list.push(index);
            }
        }
        self.bindings.push(bound);
    }

    /// Whether somebody may do something, and by which rule.
    pub fn decide(&self, request: &Request<'_>) -> Answer<'_> {
        let asked = match request.action {
            Action::Resource { namespace, .. } => namespace,
            Action::Path(_) => "",
        };
        let groups = request.groups.iter().filter_map(|group| self.groups.get(group));
        let mut candidates: Vec<usize> =
            self.users.get(request.user).into_iter().chain(groups).flat_map(|held| held.within(asked)).collect();
        candidates.sort_unstable();
        candidates.dedup();
        let mut faults = Vec::new();
        for bound in candidates.into_iter().map(|index| &self.bindings[index]) {
            let rule = match bound.rules {
                Ok(rules) => rules.iter().find(|rule| allows(rule, request)),
                Err(fault) => {
                    faults.push(fault);
                    None
                }
            };
            if let Some(rule) = rule
                && let Some(subject) = bound.subjects.iter().find(|subject| is(subject, bound.namespace, request))
            {
                let Bound { name: binding, namespace, role, .. } = *bound;
                return Answer::Allowed(Grant { binding, namespace, role, subject, rule });
            }
        }
        Answer::NotAllowed { faults }
    }
}

/// The user that a service account is.
fn account(subject: &Subject, namespace: Option<&str>) -> Option<String> {
    let own = Some(subject.namespace.text()).filter(|own| !own.is_empty());
    let namespace = own.or(namespace).filter(|namespace| !namespace.is_empty())?;
    Some(format!("system:serviceaccount:{namespace}:{}", subject.name.text()))
}

fn is(subject: &Subject, namespace: Option<&str>, request: &Request<'_>) -> bool {
    match subject.kind.text() {
        "User" => subject.name.text() == request.user,
        "Group" => request.groups.contains(&subject.name.text()),
        "ServiceAccount" => account(subject, namespace).as_deref() == Some(request.user),
        _ => false,
    }
}

/// Whether a rule allows what is asked for.
pub fn allows(rule: &PolicyRule, request: &Request<'_>) -> bool {
    let has = |list: &[String], wanted: &str| list.iter().any(|own| own == "*" || own == wanted);
    if !has(&rule.verbs, request.verb) {
        return false;
    }
    match request.action {
        Action::Path(path) => rule.non_resource_urls.iter().any(|own| {
            own == "*" || own == path || (own.ends_with('*') && path.starts_with(own.trim_end_matches('*')))
        }),
        Action::Resource { api_group, resource, subresource, name, .. } => {
            has(&rule.api_groups, api_group)
                && rule.resources.iter().any(|own| names_resource(own, resource, subresource))
                && (rule.resource_names.is_empty() || rule.resource_names.iter().any(|own| own == name))
        }
    }
}

fn names_resource(own: &str, resource: &str, subresource: &str) -> bool {
    if own == "*" {
        return true;
    }
    match own.split_once('/') {
        None => subresource.is_empty() && own == resource,
        Some((parent, child)) => {
            !subresource.is_empty() && child == subresource && (parent == "*" || parent == resource)
        }
    }
}

/// Gives each cluster role that is put together from others the rules of those that its selectors name.
pub fn aggregate(roles: &mut [ClusterRole]) {
    let rules: Vec<Vec<PolicyRule>> = roles.iter().map(|role| collect(role, roles)).collect();
    for (role, rules) in roles.iter_mut().zip(rules) {
        if role.aggregation_rule.is_some() {
            role.rules = rules;
        }
    }
}

fn collect(role: &ClusterRole, all: &[ClusterRole]) -> Vec<PolicyRule> {
    let Some(own) = &role.aggregation_rule else { return Vec::new() };
    let mut rules: Vec<PolicyRule> = Vec::new();
    for selector in &own.cluster_role_selectors {
        let Ok(selector) = Selector::from_label_selector(Some(selector)) else { continue };
        let mut chosen: Vec<&ClusterRole> = all
            .iter()
            .filter(|other| other.metadata.name != role.metadata.name && selector.matches(&other.metadata.labels))
            .collect();
        chosen.sort_by_key(|other| other.metadata.name.text());
        for rule in chosen.into_iter().flat_map(|other| &other.rules) {
            if !rules.contains(rule) {
                rules.push(rule.clone());
            }
        }
    }
    rules
}

#[cfg(test)]
mod tests {
    use super::{aggregate, names_resource};
    use crate::kinds::ClusterRole;
    use crate::object::decode::decode_yaml_as;

    #[test]
    fn subresources_are_named() {
        for (own, resource, subresource, matches) in [
            ("*", "pods", "log", true),
            ("pods", "pods", "", true),
            ("pods", "pods", "log", false),
            ("pods/log", "pods", "log", true),
            ("*/log", "pods", "log", true),
            ("*/log", "pods", "", false),
            ("pods/*", "pods", "log", false),
        ] {
            assert_eq!(names_resource(own, resource, subresource), matches, "{own} {resource} {subresource}");
        }
    }

    #[test]
    fn roles_are_put_together_by_labels() {
        let role = |text: &str| -> ClusterRole { decode_yaml_as(text.as_bytes()).unwrap() };
        let mut roles = [
            role("{metadata: {name: all}, aggregationRule: {clusterRoleSelectors: [{matchLabels: {to: all}}]}}"),
            role("{metadata: {name: b, labels: {to: all}}, rules: [{verbs: [get]}, {verbs: [list]}]}"),
            role("{metadata: {name: a, labels: {to: all}}, rules: [{verbs: [list]}]}"),
            role("{metadata: {name: c}, rules: [{verbs: [watch]}]}"),
        ];
        aggregate(&mut roles);
        let verbs: Vec<&str> = roles[0].rules.iter().map(|rule| rule.verbs[0].as_str()).collect();
        assert_eq!(verbs, ["list", "get"]);
        assert_eq!(roles[3].rules.len(), 1);
    }
}
