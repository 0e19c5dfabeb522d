//! Probes and hooks.

use super::at::At;
use super::meta::{each, non_negative, one_of_word, port_number, port_number_or_name};
use crate::kinds::{
    ExecAction, GRPCAction, HTTPGetAction, Lifecycle, LifecycleHandler, Probe, SleepAction, TCPSocketAction,
};
use crate::names;
use crate::violation::Violations;
use crate::wire::text::Text as _;

/// The ways to do something to a container, of which there must be one.
#[derive(Default)]
struct Handlers<'a> {
    exec: Option<&'a ExecAction>,
    http_get: Option<&'a HTTPGetAction>,
    tcp_socket: Option<&'a TCPSocketAction>,
    grpc: Option<&'a GRPCAction>,
    sleep: Option<&'a SleepAction>,
}

fn handlers(of: &Handlers<'_>, grace: i64, at: &At<'_>, out: &mut Violations) {
    let mut found = false;
    let mut first = |name: &'static str, out: &mut Violations| {
        if found {
            out.forbidden(at.field(name), "may not specify more than 1 handler type");
        }
        !std::mem::replace(&mut found, true)
    };
    if let Some(exec) = of.exec
        && first("exec", out)
        && exec.command.is_empty()
    {
        out.required(at.field("exec").field("command"), "");
    }
    if let Some(get) = of.http_get
        && first("httpGet", out)
    {
        http_get(get, &at.field("httpGet"), out);
    }
    if let Some(tcp) = of.tcp_socket
        && first("tcpSocket", out)
    {
        port_number_or_name(&tcp.port.clone().unwrap_or_default(), &at.field("tcpSocket").field("port"), out);
    }
    if let Some(grpc) = of.grpc
        && first("grpc", out)
    {
        port_number(grpc.port.unwrap_or(0), &at.field("grpc").field("port"), out);
    }
    if let Some(sleep) = of.sleep
        && first("sleep", out)
    {
        let seconds = sleep.seconds.unwrap_or(0);
        if seconds < 0 || seconds > grace {
            let detail = format!("must be non-negative and less than terminationGracePeriodSeconds ({grace})");
            out.invalid_literal(at.field("sleep"), seconds, detail);
        }
    }
    if !found {
        out.required(at, "must specify a handler type");
    }
}

fn http_get(get: &HTTPGetAction, at: &At<'_>, out: &mut Violations) {
    if get.path.text().is_empty() {
        out.required(at.field("path"), "");
    }
    port_number_or_name(&get.port.clone().unwrap_or_default(), &at.field("port"), out);
    one_of_word(get.scheme.text(), &["HTTP", "HTTPS"], &at.field("scheme"), out);
    for header in &get.http_headers {
        let name = header.name.text();
        each(&at.field("httpHeaders"), name, names::http_header_name(name), out);
    }
}

fn probe(probe: &Probe, grace: i64, at: &At<'_>, out: &mut Violations) {
    let of = Handlers {
        exec: probe.exec.as_deref(),
        http_get: probe.http_get.as_deref(),
        tcp_socket: probe.tcp_socket.as_deref(),
        grpc: probe.grpc.as_deref(),
        sleep: None,
    };
    handlers(&of, grace, at, out);
    for (field, number) in [
        ("initialDelaySeconds", probe.initial_delay_seconds),
        ("timeoutSeconds", probe.timeout_seconds),
        ("periodSeconds", probe.period_seconds),
        ("successThreshold", probe.success_threshold),
        ("failureThreshold", probe.failure_threshold),
    ] {
        non_negative(number.unwrap_or(0).into(), &at.field(field), out);
    }
    if let Some(seconds) = probe.termination_grace_period_seconds.filter(|seconds| *seconds <= 0) {
        out.invalid_literal(at.field("terminationGracePeriodSeconds"), seconds, "must be greater than 0");
    }
}

/// Liveness and startup.
fn once(one: Option<&Probe>, grace: i64, at: &At<'_>, out: &mut Violations) {
    let Some(one) = one else { return };
    probe(one, grace, at, out);
    let threshold = one.success_threshold.unwrap_or(0);
    if threshold != 1 {
        out.invalid_literal(at.field("successThreshold"), threshold, "must be 1");
    }
}

/// All probes of a container.
pub(super) fn probes(
    liveness: Option<&Probe>,
    readiness: Option<&Probe>,
    startup: Option<&Probe>,
    grace: i64,
    at: &At<'_>,
    out: &mut Violations,
) {
    once(liveness, grace, &at.field("livenessProbe"), out);
    once(startup, grace, &at.field("startupProbe"), out);
    if let Some(one) = readiness {
        let at = at.field("readinessProbe");
        probe(one, grace, &at, out);
        if let Some(seconds) = one.termination_grace_period_seconds {
            out.invalid_literal(
                at.field("terminationGracePeriodSeconds"),
                seconds,
                "must not be set for readinessProbes",
            );
        }
    }
}

pub(super) fn lifecycle(hooks: &Lifecycle, grace: i64, at: &At<'_>, out: &mut Violations) {
    for (field, hook) in [("postStart", &hooks.post_start), ("preStop", &hooks.pre_stop)] {
        if let Some(hook) = hook {
            handlers(&of_hook(hook), grace, &at.field(field), out);
        }
    }
}

fn of_hook(hook: &LifecycleHandler) -> Handlers<'_> {
    Handlers {
        exec: hook.exec.as_deref(),
        http_get: hook.http_get.as_deref(),
        tcp_socket: hook.tcp_socket.as_deref(),
        grpc: None,
        sleep: hook.sleep.as_deref(),
    }
}
