//! Groups that systemd makes: transient scopes, which are the caller's to divide.
//!
//! On a machine with systemd each group has one writer. [`Systemd::start_scope`] asks it for a scope with
//! `Delegate=yes` that holds given processes, and waits until it is there. The group is then opened and limited like
//! any other; what systemd has properties for was told to it too, so that a `daemon-reload` changes nothing.
//!
//! ```no_run
//! use windlass_cgroups::systemd::{Bus, ScopeName, Systemd};
//! use windlass_cgroups::{Hierarchies, Resources};
//!
//! let all = Hierarchies::discover()?;
//! let resources = Resources::default();
//! let mut systemd = Systemd::connect(&Bus::System)?;
//! let name: ScopeName = "machine.slice:windlass:blog".parse()?;
//! let path = systemd.start_scope(&name, &[4321], &resources, &all)?;
//! if let Some(group) = all.find(&path)? {
//!     group.apply(&resources)?;
//! }
//! # Ok::<(), windlass_cgroups::Error>(())
//! ```
//!
//! A filter of devices is told as a list of what is allowed. systemd then attaches a program of its own, beside that of
//! this crate: the kernel asks both, and a device must pass both. A filter that allows by default cannot be told, and
//! systemd attaches none.
//!
//! It is a client of the few messages that this takes, over a plain socket, and blocks: no call takes longer than the
//! timeout, which is 30 s by default.

mod bus;
mod name;
mod properties;
mod wire;

use std::time::{Duration, Instant};

pub use bus::Bus;
pub use name::ScopeName;

use crate::error::{Error, Result};
use crate::hierarchy::Hierarchies;
use crate::path::GroupPath;
use crate::resources::Resources;
use bus::{BUS, Connection, Refusal};
use name::object_path;
use properties::{Drivers, Property, properties};
use wire::Value;

const SYSTEMD: &str = "org.freedesktop.systemd1";
const OBJECT: &str = "/org/freedesktop/systemd1";
const MANAGER: &str = "org.freedesktop.systemd1.Manager";
const SCOPE: &str = "org.freedesktop.systemd1.Scope";
const PROPERTIES: &str = "org.freedesktop.DBus.Properties";
const UNIT_EXISTS: &str = "org.freedesktop.systemd1.UnitExists";
const NO_SUCH_UNIT: &str = "org.freedesktop.systemd1.NoSuchUnit";

/// A connection to systemd.
#[derive(Debug)]
pub struct Systemd {
    connection: Connection,
    timeout: Duration,
}

impl Systemd {
    /// How long a call and the job that it starts may take.
    pub const TIMEOUT: Duration = Duration::from_secs(30);

    /// Connects to the systemd on a bus.
    ///
    /// Errors: [`Error::Sys`] where there is no such bus, [`Error::TimedOut`] if it does not answer.
    pub fn connect(bus: &Bus) -> Result<Self> {
        Self::connect_within(bus, Self::TIMEOUT)
    }

    /// Connects as [`connect`](Self::connect) does, with another limit on waiting for calls and jobs.
    pub fn connect_within(bus: &Bus, timeout: Duration) -> Result<Self> {
        let mut systemd = Self { connection: Connection::open(bus, timeout)?, timeout };
        let rule = format!("type='signal',sender='{SYSTEMD}',interface='{MANAGER}',member='JobRemoved'");
        let matched =
            systemd.connection.call(BUS, "/org/freedesktop/DBus", BUS, "AddMatch", vec![Value::Text(rule)])?;
        matched.map_err(|refusal| refused("listen to", "jobs", refusal))?;
        systemd.manage("listen to", "jobs", "Subscribe", vec![])?;
        Ok(systemd)
    }

    /// Starts a scope with these processes and waits until it is there; answers where its group is.
    ///
    /// The settings that systemd has properties for are told to it; the rest, and all of them again, are for
    /// [`Group::apply`](crate::Group::apply). A failed scope of the same name that systemd still remembers is
    /// forgotten first.
    ///
    /// Errors: [`Error::Exists`] for a unit of this name, [`Error::Systemd`] for what systemd refuses or what failed,
    /// [`Error::TimedOut`] for a job that does not end.
    pub fn start_scope(
        &mut self,
        name: &ScopeName,
        pids: &[u32],
        resources: &Resources,
        all: &Hierarchies,
    ) -> Result<GroupPath> {
        let mut list = vec![
            ("Description", Value::text(format!("group {name}"))),
            ("Slice", Value::text(name.slice())),
            ("Delegate", Value::Bool(true)),
            ("DefaultDependencies", Value::Bool(false)),
            ("PIDs", Value::Array("u", pids.iter().map(|pid| Value::U32(*pid)).collect())),
        ];
        let accounting = ["CPUAccounting", "MemoryAccounting", "IOAccounting", "TasksAccounting"];
        list.extend(accounting.map(|name| (name, Value::Bool(true))));
        list.extend(told(resources, all)?);
        let body = vec![
            Value::text(name.unit()),
            // A job that is in the way is another's.
            Value::text("fail"),
            array(list),
            Value::Array("(sa(sv))", vec![]),
        ];
        let (op, unit) = ("start", name.unit());
        match self.job(op, unit, "StartTransientUnit", body.clone()) {
            Err(Error::Systemd { answer, .. }) if *answer == *UNIT_EXISTS => {
                let forgotten = self.manage("forget", unit, "ResetFailedUnit", vec![Value::text(unit)]);
                let exists = || Error::Exists { group: unit.to_owned() };
                forgotten.map_err(|_| exists())?;
                match self.job(op, unit, "StartTransientUnit", body) {
                    Err(Error::Systemd { answer, .. }) if *answer == *UNIT_EXISTS => return Err(exists()),
                    started => started?,
                }
            }
            started => started?,
        }
        self.group_of(unit)
    }

    /// Tells systemd of changed settings of a scope, as after an update by [`Group::apply`](crate::Group::apply).
    ///
    /// Errors: [`Error::NotFound`] if there is no such unit, [`Error::Systemd`] for what systemd refuses.
    pub fn update_scope(&mut self, name: &ScopeName, resources: &Resources, all: &Hierarchies) -> Result<()> {
        let list = told(resources, all)?;
        if list.is_empty() {
            return Ok(());
        }
        // Until the next boot only: a scope does not outlive it.
        let body = vec![Value::text(name.unit()), Value::Bool(true), array(list)];
        self.manage("update", name.unit(), "SetUnitProperties", body).map(drop)
    }

    /// Ends a scope and waits until it is gone; systemd ends what is in it. Does nothing if it is gone already.
    ///
    /// Errors: [`Error::Systemd`] for what systemd refuses or what failed, [`Error::TimedOut`] for a job that does not
    /// end.
    pub fn stop_scope(&mut self, name: &ScopeName) -> Result<()> {
        let body = vec![Value::text(name.unit()), Value::text("replace")];
        match self.job("stop", name.unit(), "StopUnit", body) {
            Err(Error::NotFound { .. }) => Ok(()),
            stopped => stopped,
        }
    }

    /// Where systemd has the group of a unit.
    fn group_of(&mut self, unit: &str) -> Result<GroupPath> {
        let body = vec![Value::text(SCOPE), Value::text("ControlGroup")];
        let answer = self.connection.call(SYSTEMD, &object_path(unit), PROPERTIES, "Get", body)?;
        let answer = answer.map_err(|refusal| refused("find the group of", unit, refusal))?;
        match answer.into_iter().next() {
            Some(Value::Variant(value)) => match *value {
                Value::Text(path) if !path.is_empty() => Ok(GroupPath::new(path.trim_start_matches('/'))?),
                _ => Err(Error::NotFound { group: unit.to_owned() }),
            },
            _ => Err(Error::Malformed { file: unit.to_owned(), reason: "systemd answers with no group" }),
        }
    }

    /// Calls the manager.
    fn manage(&mut self, op: &'static str, unit: &str, member: &str, body: Vec<Value>) -> Result<Vec<Value>> {
        let answer = self.connection.call(SYSTEMD, OBJECT, MANAGER, member, body)?;
        answer.map_err(|refusal| match refusal.name.as_str() {
            NO_SUCH_UNIT => Error::NotFound { group: unit.to_owned() },
            _ => refused(op, unit, refusal),
        })
    }

    /// Starts a job and waits for its end.
    fn job(&mut self, op: &'static str, unit: &str, member: &str, body: Vec<Value>) -> Result<()> {
        let deadline = Instant::now() + self.timeout;
        self.connection.forget_signals();
        let answer = self.manage(op, unit, member, body)?;
        let Some(Value::Path(job)) = answer.into_iter().next() else {
            return Err(Error::Malformed { file: unit.to_owned(), reason: "systemd answers with no job" });
        };
        loop {
            let signal = self.connection.signal("JobRemoved", deadline).map_err(|error| match error {
                Error::TimedOut { .. } => Error::TimedOut { op, object: unit.to_owned(), after: self.timeout },
                error => error,
            })?;
            // The job's number, the job, the unit and the result.
            let [_, Value::Path(removed), _, Value::Text(result)] = &signal.body[..] else { continue };
            if *removed != job {
                continue;
            }
            return match result.as_str() {
                "done" => Ok(()),
                result => Err(Error::Systemd {
                    op,
                    unit: unit.into(),
                    answer: result.into(),
                    message: "the job did not succeed".into(),
                }),
            };
        }
    }
}

fn told(resources: &Resources, all: &Hierarchies) -> Result<Vec<Property>> {
    // Without it only whole drivers cannot be named.
    let drivers =
        std::fs::read_to_string("/proc/devices").map_err(|error| Error::sys("read", "/proc/devices", error))?;
    properties(resources, |controller| all.home(controller), &Drivers::parse(&drivers))
}

fn array(list: Vec<Property>) -> Value {
    let pair = |(name, value)| Value::Struct(vec![Value::text(name), Value::Variant(Box::new(value))]);
    Value::Array("(sv)", list.into_iter().map(pair).collect())
}

fn refused(op: &'static str, unit: &str, refusal: Refusal) -> Error {
    Error::Systemd { op, unit: unit.into(), answer: refusal.name.into(), message: refusal.message.into() }
}
