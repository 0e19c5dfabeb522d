//! Answers a question about access from manifests of roles and bindings, with the rule that decides.
//!
//! `who-can VERB RESOURCE[/SUBRESOURCE] [-n NAMESPACE] [--as USER] [--group GROUP]... [--name NAME] FILE...`; without
//! `--as` it tells everybody whom a binding names.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for people")]

use std::collections::BTreeSet;
use std::process::ExitCode;

use windlass_pod::rbac::{Action, Answer, Authorizer, Policy, Request};
use windlass_pod::{Object, decode_yaml};

#[derive(Default)]
struct Question {
    verb: String,
    resource: String,
    namespace: String,
    user: Option<String>,
    groups: Vec<String>,
    name: String,
    files: Vec<String>,
}

fn question() -> Option<Question> {
    let mut arguments = std::env::args().skip(1);
    let mut question = Question { verb: arguments.next()?, resource: arguments.next()?, ..Question::default() };
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "-n" => question.namespace = arguments.next()?,
            "--as" => question.user = Some(arguments.next()?),
            "--group" => question.groups.push(arguments.next()?),
            "--name" => question.name = arguments.next()?,
            _ => question.files.push(argument),
        }
    }
    (!question.files.is_empty()).then_some(question)
}

fn policy(files: &[String]) -> Result<Policy, String> {
    let mut policy = Policy::default();
    for file in files {
        let text = std::fs::read(file).map_err(|error| format!("{file}: {error}"))?;
        for object in decode_yaml(&text).map_err(|error| format!("{file}:{error}"))? {
            match object {
                Object::Role(role) => policy.roles.push(*role),
                Object::RoleBinding(binding) => policy.role_bindings.push(*binding),
                Object::ClusterRole(role) => policy.cluster_roles.push(*role),
                Object::ClusterRoleBinding(binding) => policy.cluster_role_bindings.push(*binding),
                _ => {}
            }
        }
    }
    windlass_pod::rbac::aggregate(&mut policy.cluster_roles);
    Ok(policy)
}

/// Everybody whom a binding names: users and groups, service accounts as the users that they are.
fn everybody(policy: &Policy) -> BTreeSet<(String, String)> {
    let cluster = policy.cluster_role_bindings.iter().map(|binding| (&binding.subjects, None));
    let spaced = policy.role_bindings.iter().map(|binding| (&binding.subjects, binding.metadata.namespace.as_deref()));
    let mut names = BTreeSet::new();
    for (subjects, namespace) in cluster.chain(spaced) {
        for subject in subjects {
            let name = subject.name.clone().unwrap_or_default();
            let kind = subject.kind.clone().unwrap_or_default();
            let namespace = subject.namespace.as_deref().or(namespace).unwrap_or_default();
            match kind.as_str() {
                "ServiceAccount" => {
                    names.insert(("User".to_owned(), format!("system:serviceaccount:{namespace}:{name}")))
                }
                _ => names.insert((kind, name)),
            };
        }
    }
    names
}

fn ask<'a>(authorizer: &'a Authorizer<'_>, question: &Question, user: &str, groups: &[&str]) -> Answer<'a> {
    let (resource, subresource) = question.resource.split_once('/').unwrap_or((&question.resource, ""));
    let action = if question.resource.starts_with('/') {
        Action::Path(&question.resource)
    } else {
        let (resource, api_group) = resource.split_once('.').unwrap_or((resource, ""));
        Action::Resource { namespace: &question.namespace, api_group, resource, subresource, name: &question.name }
    };
    authorizer.decide(&Request { user, groups, verb: &question.verb, action })
}

fn rule(answer: &Answer<'_>) -> String {
    match answer {
        Answer::Allowed(grant) => format!("{}\n  by {:?}", answer.reason(), grant.rule),
        Answer::NotAllowed { .. } => answer.reason(),
    }
}

fn main() -> ExitCode {
    let Some(question) = question() else {
        eprintln!(
            "usage: who-can VERB RESOURCE[/SUBRESOURCE] [-n NAMESPACE] [--as USER] [--group GROUP]... [--name NAME] FILE..."
        );
        return ExitCode::from(2);
    };
    let policy = match policy(&question.files) {
        Ok(policy) => policy,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(2);
        }
    };
    let authorizer = Authorizer::new(&policy);
    if let Some(user) = &question.user {
        let groups: Vec<&str> = question.groups.iter().map(String::as_str).collect();
        let answer = ask(&authorizer, &question, user, &groups);
        println!("{}", if answer.is_allowed() { "yes" } else { "no" });
        println!("{}", rule(&answer));
        return if answer.is_allowed() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    for (kind, name) in everybody(&policy) {
        let answer = match kind.as_str() {
            "Group" => ask(&authorizer, &question, "", &[&name]),
            _ => ask(&authorizer, &question, &name, &[]),
        };
        if answer.is_allowed() {
            println!("{kind} {name}\n  {}", rule(&answer));
        }
    }
    ExitCode::SUCCESS
}
