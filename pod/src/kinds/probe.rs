//! Probes and life cycle hooks.

use crate::wire::scalar::IntOrString;
use crate::wire::table::records;

records! {
    /// Kubernetes `ExecAction` of `v1`.
    ExecAction {
        command: Vec<String> = "command" [1] OmitZero,
    }
    /// Kubernetes `GRPCAction` of `v1`.
    GRPCAction {
        port: Option<i32> = "port" [1] Always,
        service: Option<String> = "service" [2] Pointer,
    }
    /// Kubernetes `HTTPHeader` of `v1`.
    HTTPHeader {
        name: Option<String> = "name" [1] Always,
        value: Option<String> = "value" [2] Always,
    }
    /// Kubernetes `HTTPGetAction` of `v1`.
    HTTPGetAction {
        host: Option<String> = "host" [3] OmitZero,
        http_headers: Vec<HTTPHeader> = "httpHeaders" [5] OmitZero,
        path: Option<String> = "path" [1] OmitZero,
        port: Option<IntOrString> = "port" [2] Always,
        scheme: Option<String> = "scheme" [4] OmitZero,
    }
    /// Kubernetes `TCPSocketAction` of `v1`.
    TCPSocketAction {
        host: Option<String> = "host" [2] OmitZero,
        port: Option<IntOrString> = "port" [1] Always,
    }
    /// Kubernetes `Probe` of `v1`.
    Probe {
        exec: Option<Box<ExecAction>> = "exec" [1, 1] Pointer,
        failure_threshold: Option<i32> = "failureThreshold" [6] OmitZero,
        grpc: Option<Box<GRPCAction>> = "grpc" [1, 4] Pointer,
        http_get: Option<Box<HTTPGetAction>> = "httpGet" [1, 2] Pointer,
        initial_delay_seconds: Option<i32> = "initialDelaySeconds" [2] OmitZero,
        period_seconds: Option<i32> = "periodSeconds" [4] OmitZero,
        success_threshold: Option<i32> = "successThreshold" [5] OmitZero,
        tcp_socket: Option<Box<TCPSocketAction>> = "tcpSocket" [1, 3] Pointer,
        termination_grace_period_seconds: Option<i64> = "terminationGracePeriodSeconds" [7] Pointer,
        timeout_seconds: Option<i32> = "timeoutSeconds" [3] OmitZero,
    }
    /// Kubernetes `SleepAction` of `v1`.
    SleepAction {
        seconds: Option<i64> = "seconds" [1] Always,
    }
    /// Kubernetes `LifecycleHandler` of `v1`.
    LifecycleHandler {
        exec: Option<Box<ExecAction>> = "exec" [1] Pointer,
        http_get: Option<Box<HTTPGetAction>> = "httpGet" [2] Pointer,
        sleep: Option<Box<SleepAction>> = "sleep" [4] Pointer,
        tcp_socket: Option<Box<TCPSocketAction>> = "tcpSocket" [3] Pointer,
    }
    /// Kubernetes `Lifecycle` of `v1`.
    Lifecycle {
        post_start: Option<Box<LifecycleHandler>> = "postStart" [1] Pointer,
        pre_stop: Option<Box<LifecycleHandler>> = "preStop" [2] Pointer,
        stop_signal: Option<String> = "stopSignal" [3] Pointer,
    }
}
