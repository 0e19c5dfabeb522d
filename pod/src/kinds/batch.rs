//! Jobs and cron jobs.

use crate::kinds::meta::{LabelSelector, ObjectMeta, ObjectReference};
use crate::kinds::pod::PodTemplateSpec;
use crate::wire::table::records;
use crate::wire::time::Time;

records! {
    /// Kubernetes `PodFailurePolicyOnExitCodesRequirement` of `batch/v1`.
    PodFailurePolicyOnExitCodesRequirement {
        container_name: Option<String> = "containerName" [1] Pointer,
        operator: Option<String> = "operator" [2] Always,
        values: Vec<i32> = "values" [3] Always,
    }
    /// Kubernetes `PodFailurePolicyOnPodConditionsPattern` of `batch/v1`.
    PodFailurePolicyOnPodConditionsPattern {
        status: Option<String> = "status" [2] Always,
        type_: Option<String> = "type" [1] Always,
    }
    /// Kubernetes `PodFailurePolicyRule` of `batch/v1`.
    PodFailurePolicyRule {
        action: Option<String> = "action" [1] Always,
        on_exit_codes: Option<Box<PodFailurePolicyOnExitCodesRequirement>> = "onExitCodes" [2] Pointer,
        on_pod_conditions: Vec<PodFailurePolicyOnPodConditionsPattern> = "onPodConditions" [3] OmitZero,
    }
    /// Kubernetes `PodFailurePolicy` of `batch/v1`.
    PodFailurePolicy {
        rules: Vec<PodFailurePolicyRule> = "rules" [1] Always,
    }
    /// Kubernetes `SuccessPolicyRule` of `batch/v1`.
    SuccessPolicyRule {
        succeeded_count: Option<i32> = "succeededCount" [2] Pointer,
        succeeded_indexes: Option<String> = "succeededIndexes" [1] Pointer,
    }
    /// Kubernetes `SuccessPolicy` of `batch/v1`.
    SuccessPolicy {
        rules: Vec<SuccessPolicyRule> = "rules" [1] Always,
    }
    /// Kubernetes `JobSpec` of `batch/v1`.
    JobSpec {
        active_deadline_seconds: Option<i64> = "activeDeadlineSeconds" [3] Pointer,
        backoff_limit: Option<i32> = "backoffLimit" [7] Pointer,
        backoff_limit_per_index: Option<i32> = "backoffLimitPerIndex" [12] Pointer,
        completion_mode: Option<String> = "completionMode" [9] Pointer,
        completions: Option<i32> = "completions" [2] Pointer,
        managed_by: Option<String> = "managedBy" [15] Pointer,
        manual_selector: Option<bool> = "manualSelector" [5] Pointer,
        max_failed_indexes: Option<i32> = "maxFailedIndexes" [13] Pointer,
        parallelism: Option<i32> = "parallelism" [1] Pointer,
        pod_failure_policy: Option<Box<PodFailurePolicy>> = "podFailurePolicy" [11] Pointer,
        pod_replacement_policy: Option<String> = "podReplacementPolicy" [14] Pointer,
        selector: Option<Box<LabelSelector>> = "selector" [4] Pointer,
        success_policy: Option<Box<SuccessPolicy>> = "successPolicy" [16] Pointer,
        suspend: Option<bool> = "suspend" [10] Pointer,
        template: PodTemplateSpec = "template" [6] Always,
        ttl_seconds_after_finished: Option<i32> = "ttlSecondsAfterFinished" [8] Pointer,
    }
    /// Kubernetes `JobCondition` of `batch/v1`.
    JobCondition {
        last_probe_time: Option<Time> = "lastProbeTime" [3] Always,
        last_transition_time: Option<Time> = "lastTransitionTime" [4] Always,
        message: Option<String> = "message" [6] OmitZero,
        reason: Option<String> = "reason" [5] OmitZero,
        status: Option<String> = "status" [2] Always,
        type_: Option<String> = "type" [1] Always,
    }
    /// Kubernetes `UncountedTerminatedPods` of `batch/v1`.
    UncountedTerminatedPods {
        failed: Vec<String> = "failed" [2] OmitZero,
        succeeded: Vec<String> = "succeeded" [1] OmitZero,
    }
    /// Kubernetes `JobStatus` of `batch/v1`.
    JobStatus {
        active: Option<i32> = "active" [4] OmitZero,
        completed_indexes: Option<String> = "completedIndexes" [7] OmitZero,
        completion_time: Option<Time> = "completionTime" [3] OmitZero,
        conditions: Vec<JobCondition> = "conditions" [1] OmitZero,
        failed: Option<i32> = "failed" [6] OmitZero,
        failed_indexes: Option<String> = "failedIndexes" [10] OmitZero,
        ready: Option<i32> = "ready" [9] Pointer,
        start_time: Option<Time> = "startTime" [2] OmitZero,
        succeeded: Option<i32> = "succeeded" [5] OmitZero,
        terminating: Option<i32> = "terminating" [11] Pointer,
        uncounted_terminated_pods: Option<Box<UncountedTerminatedPods>> = "uncountedTerminatedPods" [8] Pointer,
    }
    /// Kubernetes `Job` of `batch/v1`.
    Job = "batch/v1" {
        api_version: Option<String> = "apiVersion" [0] OmitZero,
        kind: Option<String> = "kind" [0] OmitZero,
        metadata: ObjectMeta = "metadata" [1] Always,
        spec: JobSpec = "spec" [2] Always,
        status: JobStatus = "status" [3] Always,
    }
    /// Kubernetes `JobTemplateSpec` of `batch/v1`.
    JobTemplateSpec {
        metadata: ObjectMeta = "metadata" [1] Always,
        spec: JobSpec = "spec" [2] Always,
    }
    /// Kubernetes `CronJobSpec` of `batch/v1`.
    CronJobSpec {
        concurrency_policy: Option<String> = "concurrencyPolicy" [3] OmitZero,
        failed_jobs_history_limit: Option<i32> = "failedJobsHistoryLimit" [7] Pointer,
        job_template: JobTemplateSpec = "jobTemplate" [5] Always,
        schedule: Option<String> = "schedule" [1] Always,
        starting_deadline_seconds: Option<i64> = "startingDeadlineSeconds" [2] Pointer,
        successful_jobs_history_limit: Option<i32> = "successfulJobsHistoryLimit" [6] Pointer,
        suspend: Option<bool> = "suspend" [4] Pointer,
        time_zone: Option<String> = "timeZone" [8] Pointer,
    }
    /// Kubernetes `CronJobStatus` of `batch/v1`.
    CronJobStatus {
        active: Vec<ObjectReference> = "active" [1] OmitZero,
        last_schedule_time: Option<Time> = "lastScheduleTime" [4] OmitZero,
        last_successful_time: Option<Time> = "lastSuccessfulTime" [5] OmitZero,
    }
    /// Kubernetes `CronJob` of `batch/v1`.
    CronJob = "batch/v1" {
        api_version: Option<String> = "apiVersion" [0] OmitZero,
        kind: Option<String> = "kind" [0] OmitZero,
        metadata: ObjectMeta = "metadata" [1] Always,
        spec: CronJobSpec = "spec" [2] Always,
        status: CronJobStatus = "status" [3] Always,
    }
}
