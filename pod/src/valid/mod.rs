//! Objects in which nothing is wrong, and the types that their fields are by that.
//!
//! An object becomes [`Valid`] by its defaults and its validation, and by nothing else; a [`Valid`] one cannot be
//! changed. So what reads it needs no case for what cannot be: a restart policy is one of three, a port is a port.
//!
//! ```
//! use windlass_pod::valid::{RestartPolicy, Valid};
//! use windlass_pod::{Kind as _, decode_yaml_as, kinds::Pod};
//!
//! let read = |name: &str| -> Pod {
//!     let text = format!("metadata: {{name: web, namespace: a}}\nspec: {{containers: [{{name: {name}, image: nginx}}]}}");
//!     decode_yaml_as(text.as_bytes()).unwrap()
//! };
//! let pod = Valid::new(read("web")).unwrap();
//! assert_eq!(pod.view().restart_policy(), RestartPolicy::Always);
//! let names: Vec<String> = pod.view().containers().map(|container| container.name().to_string()).collect();
//! assert_eq!(names, ["web"]);
//! let refused = Valid::new(read("web")).unwrap().update(read("other")).unwrap_err();
//! assert!(refused.to_string().starts_with("Pod \"web\" is invalid: "));
//! assert_eq!(refused.object.name(), "web");
//! ```

mod pod;
mod service;
mod toleration;
mod word;
mod workload;

use std::fmt;
use std::ops::Deref;

pub use pod::{ContainerName, ContainerPort, ContainerView, PodView};
pub use service::{ServicePort, TargetPort};
pub use toleration::Toleration;
pub use word::{Port, Protocol, PullPolicy, RestartPolicy, ServiceType, TaintEffect};

use crate::defaults;
use crate::error::Error;
use crate::kinds::Kind;
use crate::object::Object;
use crate::strategy;
pub use crate::validate::Covered;
use crate::validate::{validate, validate_update};
use crate::violation::Violation;

/// An object that has its defaults and breaks no rule.
#[derive(Debug, Clone, PartialEq)]
pub struct Valid<K>(K);

/// An object that breaks rules.
#[derive(Debug, Clone, PartialEq)]
pub struct Invalid<K> {
    /// The object, with its defaults.
    pub object: Box<K>,
    /// Every rule that it breaks; there is at least one.
    pub violations: Vec<Violation>,
}

impl<K: Covered> Valid<K> {
    /// Gives an object that is to be created its defaults, and looks for everything that is wrong with it.
    ///
    /// # Errors
    /// Every rule that it breaks, see [`validate`].
    pub fn new(object: K) -> Result<Self, Invalid<K>> {
        Self::unless(object, |object| validate(object))
    }

    /// The same for an object that takes the place of this one; what only the server may change stays as it was, see
    /// [`strategy::prepare_for_update`].
    ///
    /// # Errors
    /// Every rule that it or the change breaks, see [`validate_update`].
    pub fn update(self, new: K) -> Result<Self, Invalid<K>> {
        let old: Object = self.0.into();
        Self::unless(new, |new| {
            strategy::prepare_for_update(new, &old);
            validate_update(new, &old)
        })
    }

    fn unless(object: K, check: impl FnOnce(&mut Object) -> Vec<Violation>) -> Result<Self, Invalid<K>> {
        let mut object: Object = object.into();
        defaults::apply(&mut object);
        let violations = check(&mut object);
        let object: Result<K, Error> = object.try_into();
        let object = object.expect("defaults leave an object the kind that it is");
        if violations.is_empty() { Ok(Self(object)) } else { Err(Invalid { object: Box::new(object), violations }) }
    }

    /// The object, which may be changed and is then no longer known to be valid.
    pub fn into_inner(self) -> K {
        self.0
    }
}

impl<K> Deref for Valid<K> {
    type Target = K;

    fn deref(&self) -> &K {
        &self.0
    }
}

/// In the words of a server: `Deployment.apps "web" is invalid: spec.replicas: Invalid value: -1: ...`
impl<K: Kind> fmt::Display for Invalid<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let group = K::API_VERSION.split_once('/').map_or(String::new(), |(group, _)| format!(".{group}"));
        write!(f, "{}{group} {:?} is invalid: ", K::KIND, self.object.name())?;
        if let [one] = &self.violations[..] {
            return write!(f, "{one}");
        }
        for (index, violation) in self.violations.iter().enumerate() {
            write!(f, "{}{violation}", if index == 0 { "[" } else { ", " })?;
        }
        f.write_str("]")
    }
}

impl<K: Kind> std::error::Error for Invalid<K> {}
