//! Decisions into requests.

use std::time::{SystemTime, UNIX_EPOCH};

use k8s_openapi::api::core::v1::ObjectReference;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::core::Status;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::{Api, Client};
use serde_json::{Value, json};
use windlass_pod::Time;
use windlass_pod::kinds::{Kind as _, Node, Pod, PodCondition, PodDisruptionBudget, PriorityClass};
use windlass_scheduler_core::{Decision, PodRef};

use crate::cluster::{Complaint, POD_SCHEDULED};
use crate::seen::Seen;
use crate::watch::{Key, Topic};

/// The longest note that the server takes of an event, in bytes.
const NOTE_MAX: usize = 1024;

/// What became of a decision.
#[derive(Debug)]
pub struct Carried {
    /// What the scheduler is to be told.
    pub answer: Answer,
    /// What the operator is to be told.
    pub troubles: Vec<Trouble>,
}

/// What the scheduler is told of its decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The server took the binding.
    Bound(PodRef),
    /// The decision could not be carried out.
    Refused(PodRef),
    /// It needs no answer.
    None,
}

/// A request that failed.
#[derive(Debug, thiserror::Error)]
#[error("{doing} {about}")]
pub struct Trouble {
    doing: &'static str,
    about: String,
    source: kube::Error,
}

/// Writes what has been decided.
#[derive(Clone)]
pub struct Writer {
    client: Client,
    recorder: Recorder,
    scheduler_name: String,
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer").field("scheduler_name", &self.scheduler_name).finish_non_exhaustive()
    }
}

impl Writer {
    /// A writer that calls itself by this name in events.
    pub fn new(client: Client, scheduler_name: &str) -> Self {
        let reporter = Reporter { controller: scheduler_name.to_owned(), instance: None };
        let recorder = Recorder::new(client.clone(), reporter);
        Self { client, recorder, scheduler_name: scheduler_name.to_owned() }
    }

    /// Carries out a decision. `condition` is what the pod says of having no node, by now.
    pub async fn carry_out(self, decision: Decision, condition: Option<PodCondition>) -> Carried {
        let mut troubles = Vec::new();
        let answer = match decision {
            Decision::Bind { pod, node, .. } => match self.bind(&pod, &node, &mut troubles).await {
                Ok(()) => Answer::Bound(pod),
                Err(trouble) => {
                    troubles.push(trouble);
                    Answer::Refused(pod)
                }
            },
            Decision::Preempt { pod, node, victims } => {
                match self.preempt(&pod, &node, &victims, &mut troubles).await {
                    Ok(()) => Answer::None,
                    Err(trouble) => {
                        troubles.push(trouble);
                        Answer::Refused(pod)
                    }
                }
            }
            Decision::Unschedulable { pod, report } => {
                let message = report.to_string();
                let told = self.unscheduled(&pod, condition.as_ref(), "Unschedulable", &message).await;
                troubles.extend(told.err());
                let about = reference_of(&pod);
                troubles.extend(self.record(&about, WARNING, "FailedScheduling", "Scheduling", message).await.err());
                Answer::None
            }
            _ => Answer::None,
        };
        Carried { answer, troubles }
    }

    /// Says at an object why the scheduler cannot take it.
    pub async fn complain(self, complaint: Complaint) -> Carried {
        let Complaint { topic, key, uid, keeps_pending, message } = complaint;
        let mut troubles = Vec::new();
        if keeps_pending {
            let told = self.patch_condition(&key, uid.as_deref(), None, "SchedulerError", &message).await;
            troubles.extend(told.err());
        }
        let about = reference(topic, &key, uid);
        troubles.extend(self.record(&about, WARNING, "SchedulerError", "Scheduling", message).await.err());
        Carried { answer: Answer::None, troubles }
    }

    async fn bind(&self, pod: &PodRef, node: &str, troubles: &mut Vec<Trouble>) -> Result<(), Trouble> {
        // With the uid the server refuses a pod that has been replaced by another of its name.
        let binding = json!({
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"namespace": pod.namespace(), "name": pod.name(), "uid": pod.uid()},
            "target": {"apiVersion": "v1", "kind": "Node", "name": node},
        });
        let parameters = PostParams::default();
        let result = self.pods(pod.namespace()).create_subresource("binding", pod.name(), &parameters, &binding).await;
        let _: Status = result.map_err(trouble("cannot bind", pod))?;
        let note = format!("Successfully assigned {pod} to {node}");
        troubles.extend(self.record(&reference_of(pod), NORMAL, "Scheduled", "Binding", note).await.err());
        Ok(())
    }

    async fn preempt(
        &self,
        pod: &PodRef,
        node: &str,
        victims: &[PodRef],
        troubles: &mut Vec<Trouble>,
    ) -> Result<(), Trouble> {
        let nominated = json!({"metadata": {"uid": pod.uid()}, "status": {"nominatedNodeName": node}});
        self.patch_status(pod, nominated).await.map_err(trouble("cannot nominate", pod))?;
        for victim in victims {
            match self.evict(pod, node, victim, troubles).await {
                // Gone, also by way of another of its name, is what was wanted.
                Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => {}
                result => result.map_err(trouble("cannot evict", victim))?,
            }
        }
        Ok(())
    }

    async fn evict(
        &self,
        pod: &PodRef,
        node: &str,
        victim: &PodRef,
        troubles: &mut Vec<Trouble>,
    ) -> Result<(), kube::Error> {
        let message = format!("{}: preempting to accommodate a higher priority pod", self.scheduler_name);
        let target = condition("DisruptionTarget", "True", Some("PreemptionByScheduler"), Some(&message), now());
        let patch = json!({"metadata": {"uid": victim.uid()}, "status": {"conditions": [target]}});
        self.patch_status(victim, patch).await?;
        let preconditions = Preconditions { uid: Some(victim.uid().to_owned()), ..Preconditions::default() };
        let parameters = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
        self.pods(victim.namespace()).delete(victim.name(), &parameters).await?;
        let note = format!("Preempted by pod {} on node {node}", pod.uid());
        troubles.extend(self.record(&reference_of(victim), NORMAL, "Preempted", "Preempting", note).await.err());
        Ok(())
    }

    async fn unscheduled(
        &self,
        pod: &PodRef,
        before: Option<&PodCondition>,
        reason: &str,
        message: &str,
    ) -> Result<(), Trouble> {
        let key = Key { namespace: pod.namespace().to_owned(), name: pod.name().to_owned() };
        self.patch_condition(&key, Some(pod.uid()), before, reason, message).await
    }

    /// Sends nothing when the pod says so already; the time tells when the answer changed, not its words.
    async fn patch_condition(
        &self,
        key: &Key,
        uid: Option<&str>,
        before: Option<&PodCondition>,
        reason: &str,
        message: &str,
    ) -> Result<(), Trouble> {
        let denied = before.filter(|before| before.status.as_deref() == Some("False"));
        let says = |before: &PodCondition| {
            before.reason.as_deref() == Some(reason) && before.message.as_deref() == Some(message)
        };
        if denied.is_some_and(says) {
            return Ok(());
        }
        let since = denied.and_then(|before| before.last_transition_time).unwrap_or_else(now);
        let told = condition(POD_SCHEDULED, "False", Some(reason), Some(message), since);
        let mut patch = json!({"status": {"conditions": [told]}});
        if let Some(uid) = uid {
            patch["metadata"] = json!({"uid": uid});
        }
        let result = self.patch(&key.namespace, &key.name, patch).await;
        match result {
            // Nobody is left to be told.
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(()),
            result => result.map_err(trouble("cannot write the condition of pod", key)),
        }
    }

    async fn patch_status(&self, pod: &PodRef, patch: Value) -> Result<(), kube::Error> {
        self.patch(pod.namespace(), pod.name(), patch).await
    }

    async fn patch(&self, namespace: &str, name: &str, patch: Value) -> Result<(), kube::Error> {
        let parameters = PatchParams::default();
        self.pods(namespace).patch_status(name, &parameters, &Patch::Strategic(patch)).await.map(drop)
    }

    async fn record(
        &self,
        about: &ObjectReference,
        type_: EventType,
        reason: &str,
        action: &str,
        mut note: String,
    ) -> Result<(), Trouble> {
        note.truncate(note.floor_char_boundary(NOTE_MAX));
        let (reason, action) = (reason.to_owned(), action.to_owned());
        let event = Event { type_, reason, note: Some(note), action, secondary: None };
        let name = about.name.as_deref().unwrap_or_default();
        self.recorder.publish(&event, about).await.map_err(trouble("cannot record an event of", name))
    }

    fn pods(&self, namespace: &str) -> Api<Seen<Pod>> {
        Api::namespaced(self.client.clone(), namespace)
    }
}

const NORMAL: EventType = EventType::Normal;
const WARNING: EventType = EventType::Warning;

fn trouble(doing: &'static str, about: impl ToString) -> impl FnOnce(kube::Error) -> Trouble {
    move |source| Trouble { doing, about: about.to_string(), source }
}

fn now() -> Time {
    // A clock before 1970 says no time of use; the server would refuse it.
    Time::since_epoch(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}

fn condition(type_: &str, status: &str, reason: Option<&str>, message: Option<&str>, since: Time) -> Value {
    json!({
        "type": type_,
        "status": status,
        "reason": reason,
        "message": message,
        "lastTransitionTime": since.to_string(),
    })
}

fn reference_of(pod: &PodRef) -> ObjectReference {
    let key = Key { namespace: pod.namespace().to_owned(), name: pod.name().to_owned() };
    reference(Topic::Pods, &key, Some(pod.uid().to_owned()))
}

fn reference(topic: Topic, key: &Key, uid: Option<String>) -> ObjectReference {
    use windlass_pod::kinds::Namespace;
    let (api_version, kind) = match topic {
        Topic::Namespaces => (Namespace::API_VERSION, Namespace::KIND),
        Topic::PriorityClasses => (PriorityClass::API_VERSION, PriorityClass::KIND),
        Topic::DisruptionBudgets => (PodDisruptionBudget::API_VERSION, PodDisruptionBudget::KIND),
        Topic::Nodes => (Node::API_VERSION, Node::KIND),
        Topic::Pods => (Pod::API_VERSION, Pod::KIND),
    };
    ObjectReference {
        api_version: Some(api_version.to_owned()),
        kind: Some(kind.to_owned()),
        namespace: (!key.namespace.is_empty()).then(|| key.namespace.clone()),
        name: Some(key.name.clone()),
        uid,
        ..ObjectReference::default()
    }
}
