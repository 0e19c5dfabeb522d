//! Events.

use crate::kinds::meta::{ObjectMeta, ObjectReference};
use crate::wire::table::records;
use crate::wire::time::{MicroTime, Time};

records! {
    /// Kubernetes `EventSeries` of `v1`.
    EventSeries {
        count: Option<i32> = "count" [1] OmitZero,
        last_observed_time: Option<MicroTime> = "lastObservedTime" [2] Always,
    }
    /// Kubernetes `EventSource` of `v1`.
    EventSource {
        component: Option<String> = "component" [1] OmitZero,
        host: Option<String> = "host" [2] OmitZero,
    }
    /// Kubernetes `Event` of `v1`.
    Event = "v1" {
        action: Option<String> = "action" [12] OmitZero,
        api_version: Option<String> = "apiVersion" [0] OmitZero,
        count: Option<i32> = "count" [8] OmitZero,
        event_time: Option<MicroTime> = "eventTime" [10] Always,
        first_timestamp: Option<Time> = "firstTimestamp" [6] Always,
        involved_object: ObjectReference = "involvedObject" [2] Always,
        kind: Option<String> = "kind" [0] OmitZero,
        last_timestamp: Option<Time> = "lastTimestamp" [7] Always,
        message: Option<String> = "message" [4] OmitZero,
        metadata: ObjectMeta = "metadata" [1] Always,
        reason: Option<String> = "reason" [3] OmitZero,
        related: Option<Box<ObjectReference>> = "related" [13] Pointer,
        reporting_component: Option<String> = "reportingComponent" [14] OmitZero,
        reporting_instance: Option<String> = "reportingInstance" [15] OmitZero,
        series: Option<Box<EventSeries>> = "series" [11] Pointer,
        source: EventSource = "source" [5] Always,
        type_: Option<String> = "type" [9] OmitZero,
    }
}
