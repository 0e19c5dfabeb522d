//! Selectors over labels: their string form, and the structured one of `matchLabels` and `matchExpressions`.
//!
//! ```
//! use std::collections::BTreeMap;
//! use windlass_pod::Selector;
//!
//! let selector: Selector = "app=web,tier in (a, b),!old".parse().unwrap();
//! let labels = BTreeMap::from([("app".to_owned(), "web".to_owned()), ("tier".to_owned(), "b".to_owned())]);
//! assert!(selector.matches(&labels));
//! ```

mod field;
mod parse;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

pub use field::{FieldSelector, FieldTerm, ParseFieldSelectorError};

use crate::kinds::LabelSelector;
use crate::names;
use crate::violation::{Violation, Violations, quoted};

/// What a requirement asks of a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Operator {
    /// `key=value`
    Equals,
    /// `key==value`
    DoubleEquals,
    /// `key!=value`
    NotEquals,
    /// `key in (a,b)`
    In,
    /// `key notin (a,b)`
    NotIn,
    /// `key`
    Exists,
    /// `!key`
    DoesNotExist,
    /// `key>1`
    GreaterThan,
    /// `key<1`
    LessThan,
}

/// One condition on the labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirement {
    key: String,
    operator: Operator,
    values: Vec<String>,
}

impl Requirement {
    /// Checks a condition.
    ///
    /// # Errors
    /// Every rule that it breaks.
    pub fn new(key: String, operator: Operator, values: Vec<String>) -> Result<Self, Vec<Violation>> {
        let mut violations = Violations::default();
        label_key(&key, "key", &mut violations);
        let list = || match values.as_slice() {
            [] => "null".to_owned(),
            values => format!("[{}]", values.iter().map(|value| quoted(value)).collect::<Vec<_>>().join(",")),
        };
        match operator {
            Operator::In | Operator::NotIn if values.is_empty() => {
                violations.invalid_literal("values", list(), "for 'in', 'notin' operators, values set can't be empty");
            }
            Operator::Equals | Operator::DoubleEquals | Operator::NotEquals if values.len() != 1 => {
                violations.invalid_literal("values", list(), "exact-match compatibility requires one single value");
            }
            Operator::Exists | Operator::DoesNotExist if !values.is_empty() => {
                violations.invalid_literal("values", list(), "values set must be empty for exists and does not exist");
            }
            Operator::GreaterThan | Operator::LessThan => {
                if values.len() != 1 {
                    violations.invalid_literal(
                        "values",
                        list(),
                        "for 'Gt', 'Lt' operators, exactly one value is required",
                    );
                }
                for (index, value) in values.iter().enumerate() {
                    if value.parse::<i64>().is_err() {
                        let detail = "for 'Gt', 'Lt' operators, the value must be an integer";
                        violations.invalid(format!("values[{index}]"), value, detail);
                    }
                }
            }
            _ => {}
        }
        for (index, value) in values.iter().enumerate() {
            let messages = names::label_value(value);
            if !messages.is_empty() {
                violations.invalid(format!("values[{index}][{key}]"), value, messages.join("; "));
            }
        }
        if violations.is_empty() { Ok(Self { key, operator, values }) } else { Err(violations.into_vec()) }
    }

    /// The label that it looks at.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// What it asks of the label.
    pub fn operator(&self) -> Operator {
        self.operator
    }

    /// What it compares the label with.
    pub fn values(&self) -> &[String] {
        &self.values
    }

    /// The labels meet it.
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        let label = labels.get(&self.key);
        let among = |label: &String| self.values.contains(label);
        match self.operator {
            Operator::In | Operator::Equals | Operator::DoubleEquals => label.is_some_and(among),
            Operator::NotIn | Operator::NotEquals => !label.is_some_and(among),
            Operator::Exists => label.is_some(),
            Operator::DoesNotExist => label.is_none(),
            Operator::GreaterThan => self.compare(label, |label, value| label > value),
            Operator::LessThan => self.compare(label, |label, value| label < value),
        }
    }

    fn compare(&self, label: Option<&String>, holds: impl Fn(i64, i64) -> bool) -> bool {
        let number = |text: &String| text.parse::<i64>().ok();
        match (label.and_then(number), self.values.first().and_then(number)) {
            (Some(label), Some(value)) => holds(label, value),
            _ => false,
        }
    }
}

/// Checks the keys and values of labels.
pub(crate) fn labels(labels: &BTreeMap<String, String>, path: &str, violations: &mut Violations) {
    for (key, value) in labels {
        violations.invalid_each(path, key, names::qualified_name(key));
        violations.invalid_each(path, value, names::label_value(value));
    }
}

/// Checks the key of a label; all messages make one violation.
fn label_key(key: &str, path: &str, violations: &mut Violations) {
    let messages = names::qualified_name(key);
    if !messages.is_empty() {
        violations.invalid(path, key, messages.join("; "));
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut values = self.values.clone();
        values.sort();
        let values = values.join(",");
        let key = &self.key;
        match self.operator {
            Operator::Exists => f.write_str(key),
            Operator::DoesNotExist => write!(f, "!{key}"),
            Operator::Equals => write!(f, "{key}={values}"),
            Operator::DoubleEquals => write!(f, "{key}=={values}"),
            Operator::NotEquals => write!(f, "{key}!={values}"),
            Operator::GreaterThan => write!(f, "{key}>{values}"),
            Operator::LessThan => write!(f, "{key}<{values}"),
            Operator::In => write!(f, "{key} in ({values})"),
            Operator::NotIn => write!(f, "{key} notin ({values})"),
        }
    }
}

/// Conditions on labels, all of which must hold; without any it matches everything.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selector {
    /// `None` matches nothing.
    requirements: Option<Vec<Requirement>>,
}

/// Why a selector cannot be used, in the words of Kubernetes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SelectorError {
    message: String,
}

impl SelectorError {
    fn new(message: impl Into<String>) -> Self {
        Self { message: message.into() }
    }

    /// Several violations print as a list in brackets, each text once.
    fn from_violations(violations: &[Violation]) -> Self {
        let mut texts: Vec<String> = Vec::new();
        for violation in violations {
            let text = violation.to_string();
            if !texts.contains(&text) {
                texts.push(text);
            }
        }
        Self::new(if texts.len() == 1 { texts.remove(0) } else { format!("[{}]", texts.join(", ")) })
    }
}

impl Selector {
    /// Matches everything.
    pub fn everything() -> Self {
        Self { requirements: Some(Vec::new()) }
    }

    /// Matches nothing.
    pub fn nothing() -> Self {
        Self { requirements: None }
    }

    /// Conditions that must all hold.
    pub fn new(mut requirements: Vec<Requirement>) -> Self {
        requirements.sort_by(|a, b| a.key.cmp(&b.key));
        Self { requirements: Some(requirements) }
    }

    /// Labels that must all be there with these values, as the selectors of services and replication controllers.
    ///
    /// The values are taken as they are: an object that holds them has been validated.
    pub fn from_labels(labels: &BTreeMap<String, String>) -> Self {
        let equals = |(key, value): (&String, &String)| Requirement {
            key: key.clone(),
            operator: Operator::Equals,
            values: vec![value.clone()],
        };
        Self { requirements: Some(labels.iter().map(equals).collect()) }
    }

    /// The structured form; `None` matches nothing and an empty one everything.
    ///
    /// # Errors
    /// The first requirement that cannot be used.
    pub fn from_label_selector(selector: Option<&LabelSelector>) -> Result<Self, SelectorError> {
        let Some(selector) = selector else { return Ok(Self::nothing()) };
        let mut requirements = Vec::new();
        let mut add = |key: &str, operator, values| match Requirement::new(key.to_owned(), operator, values) {
            Ok(requirement) => {
                requirements.push(requirement);
                Ok(())
            }
            Err(violations) => Err(SelectorError::from_violations(&violations)),
        };
        for (key, value) in &selector.match_labels {
            add(key, Operator::Equals, vec![value.clone()])?;
        }
        for expression in &selector.match_expressions {
            let operator = match expression.operator.as_deref().unwrap_or_default() {
                "In" => Operator::In,
                "NotIn" => Operator::NotIn,
                "Exists" => Operator::Exists,
                "DoesNotExist" => Operator::DoesNotExist,
                other => {
                    return Err(SelectorError::new(format!(
                        "{} is not a valid label selector operator",
                        quoted(other)
                    )));
                }
            };
            add(expression.key.as_deref().unwrap_or_default(), operator, expression.values.clone())?;
        }
        Ok(Self::new(requirements))
    }

    /// Every rule that a structured selector at this path breaks.
    pub fn violations(selector: &LabelSelector, path: &str) -> Vec<Violation> {
        let mut violations = Violations::default();
        labels(&selector.match_labels, &format!("{path}.matchLabels"), &mut violations);
        for (index, expression) in selector.match_expressions.iter().enumerate() {
            let path = format!("{path}.matchExpressions[{index}]");
            let operator = expression.operator.as_deref().unwrap_or_default();
            match operator {
                "In" | "NotIn" if expression.values.is_empty() => {
                    let detail = "must be specified when `operator` is 'In' or 'NotIn'";
                    violations.required(format!("{path}.values"), detail);
                }
                "Exists" | "DoesNotExist" if !expression.values.is_empty() => {
                    let detail = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
                    violations.forbidden(format!("{path}.values"), detail);
                }
                "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
                other => violations.invalid(format!("{path}.operator"), other, "not a valid selector operator"),
            }
            let key = expression.key.as_deref().unwrap_or_default();
            violations.invalid_each(&format!("{path}.key"), key, names::qualified_name(key));
            for (index, value) in expression.values.iter().enumerate() {
                violations.invalid_each(&format!("{path}.values[{index}]"), value, names::label_value(value));
            }
        }
        violations.into_vec()
    }

    /// The conditions; `None` for a selector that matches nothing.
    pub fn requirements(&self) -> Option<&[Requirement]> {
        self.requirements.as_deref()
    }

    /// It has no condition.
    pub fn is_everything(&self) -> bool {
        self.requirements.as_ref().is_some_and(Vec::is_empty)
    }

    /// The labels meet all conditions.
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.requirements.as_ref().is_some_and(|requirements| requirements.iter().all(|one| one.matches(labels)))
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, requirement) in self.requirements.iter().flatten().enumerate() {
            let separator = if index == 0 { "" } else { "," };
            write!(f, "{separator}{requirement}")?;
        }
        Ok(())
    }
}

impl FromStr for Selector {
    type Err = SelectorError;

    fn from_str(text: &str) -> Result<Self, SelectorError> {
        parse::parse(text)
    }
}
