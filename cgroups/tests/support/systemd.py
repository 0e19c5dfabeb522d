#!/usr/bin/python3
"""Stands in for systemd on a message bus: makes groups for scopes, and puts devices back to what it was told.

Arguments: the bus, a file for what it was asked, and a directory of cgroup v2 and one of v1's devices below which its
groups are; an empty one is none. Units that begin with "slow-" have a job that never ends, those with "bad-" one that
fails and leaves the unit failed.
"""
import json
import os
import sys

import dbus
import dbus.mainloop.glib
import dbus.service
from gi.repository import GLib

ADDRESS, LOG, UNIFIED, DEVICES = sys.argv[1:]
NAME = "org.freedesktop.systemd1"
MANAGER = NAME + ".Manager"


class Refused(dbus.DBusException):
    def __init__(self, name, message):
        super().__init__(message, name=NAME + "." + name)


def slice_path(name):
    if name == "-.slice":
        return ""
    parts = name[: -len(".slice")].split("-")
    return "/".join("-".join(parts[: n + 1]) + ".slice" for n in range(len(parts)))


def object_path(unit):
    plain = lambda n, c: c.isascii() and (c.isalpha() or (c.isdigit() and n > 0))
    return "/org/freedesktop/systemd1/unit/" + "".join(
        c if plain(n, c) else "_%02x" % ord(c) for n, c in enumerate(unit)
    )


class Unit(dbus.service.Object):
    def __init__(self, bus, unit, group):
        super().__init__(bus, object_path(unit))
        self.group = group

    @dbus.service.method("org.freedesktop.DBus.Properties", in_signature="ss", out_signature="v")
    def Get(self, interface, name):
        assert (interface, name) == (NAME + ".Scope", "ControlGroup"), (interface, name)
        return dbus.String(self.group, variant_level=1)


class Manager(dbus.service.Object):
    def __init__(self, bus):
        super().__init__(bus, "/org/freedesktop/systemd1")
        self.bus, self.units, self.failed, self.jobs, self.subscribed = bus, {}, set(), 0, False

    def log(self, what, *details):
        with open(LOG, "a") as log:
            log.write(json.dumps([what, *details]) + "\n")

    def job(self, unit, result, delay=50):
        self.jobs += 1
        number, path = self.jobs, "/org/freedesktop/systemd1/job/%d" % self.jobs
        # Somebody else's job ends first.
        GLib.timeout_add(delay // 2, lambda: self.JobRemoved(0, "/org/freedesktop/systemd1/job/0", "other.service", "failed"))
        if result:
            GLib.timeout_add(delay, lambda: self.JobRemoved(number, path, unit, result))
        return path

    @dbus.service.signal(MANAGER, signature="uoss")
    def JobRemoved(self, number, job, unit, result):
        assert self.subscribed
        # The timer runs once: a signal answers with nothing.

    @dbus.service.method(MANAGER)
    def Subscribe(self):
        self.subscribed = True

    @dbus.service.method(MANAGER, in_signature="ssa(sv)a(sa(sv))", out_signature="o")
    def StartTransientUnit(self, unit, mode, properties, auxiliary):
        if unit in self.units or unit in self.failed:
            raise Refused("UnitExists", "Unit %s was already loaded or has a fragment file." % unit)
        told = self.merge({}, properties)
        self.log("start", unit, mode, told, len(auxiliary))
        if unit.startswith("slow-"):
            return self.job(unit, None)
        if unit.startswith("bad-"):
            self.failed.add(unit)
            return self.job(unit, "failed")
        group = "/".join(part for part in (slice_path(told["Slice"]), unit) if part)
        for base in (UNIFIED, DEVICES):
            if base:
                os.makedirs(os.path.join(base, group))
                for pid in told["PIDs"]:
                    with open(os.path.join(base, group, "cgroup.procs"), "w") as procs:
                        procs.write(str(pid))
        self.units[unit] = (Unit(self.bus, unit, "/%s/%s" % (os.path.basename(UNIFIED or DEVICES), group)), group, told)
        return self.job(unit, "done")

    def merge(self, told, properties):
        for name, value in properties:
            plain = json.loads(json.dumps(value))
            # An empty list starts a list anew, another adds to it, as with settings in a file.
            if isinstance(plain, list) and plain:
                plain = told.get(name, []) + plain
            told[str(name)] = plain
        return told

    @dbus.service.method(MANAGER, in_signature="sba(sv)")
    def SetUnitProperties(self, unit, runtime, properties):
        if unit not in self.units:
            raise Refused("NoSuchUnit", "Unit %s not loaded." % unit)
        self.merge(self.units[unit][2], properties)
        self.log("update", unit, bool(runtime), self.units[unit][2])

    @dbus.service.method(MANAGER, in_signature="s")
    def ResetFailedUnit(self, unit):
        if unit not in self.failed:
            raise Refused("NoSuchUnit", "Unit %s not loaded." % unit)
        self.failed.discard(unit)
        self.log("forget", unit)

    @dbus.service.method(MANAGER, in_signature="ss", out_signature="o")
    def StopUnit(self, unit, mode):
        if unit not in self.units:
            raise Refused("NoSuchUnit", "Unit %s not loaded." % unit)
        self.log("stop", unit, mode)
        self.units.pop(unit)[0].remove_from_connection()
        return self.job(unit, "done")

    @dbus.service.method(MANAGER)
    def Reload(self):
        for _, group, told in self.units.values():
            if not DEVICES:
                continue
            write = lambda file, line: open(os.path.join(DEVICES, group, file), "w").write(line)
            if told.get("DevicePolicy", "auto") == "strict":
                write("devices.deny", "a")
                for device, access in told.get("DeviceAllow", []):
                    kind, _, number = device[len("/dev/"):].partition("/")
                    write("devices.allow", "%s %s %s" % (kind[0], number, access))
            else:
                write("devices.allow", "a")
        self.log("reload")


dbus.mainloop.glib.DBusGMainLoop(set_as_default=True)
bus = dbus.bus.BusConnection(ADDRESS)
manager = Manager(bus)
name = dbus.service.BusName(NAME, bus, do_not_queue=True)
print("ready", flush=True)
GLib.MainLoop().run()
