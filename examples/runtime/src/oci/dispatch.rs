//! From the command line to a verb, and from its outcome to an exit code.

use std::ffi::OsString;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use super::bundle::SPECIFICATION;
use super::cli::{self, GLOBAL, Parsed, VERBS, Verb};
use super::console::Stay;
use super::create::{Doorman, Keyring, Request, Root, create};
use super::delete::Force;
use super::events::Print;
use super::failure::{Failure, Result};
use super::group::{Maker, Rights};
use super::kill::Whom;
use super::log::{Level, Log};
use super::query::Form;
use super::run::After;
use super::spec::For;
use super::store::Store;
use super::{
    checkpoint, delete, events, exec, features, kill, pause, ps, query, restore, run, sealed, spec, start, update,
};
use crate::sys;

/// What a verb works with.
struct Context<'a> {
    words: &'a [OsString],
    global: &'a Parsed,
    verb: Parsed,
    log: &'a Log,
    store: Store,
    rights: Rights,
}

/// Runs the command line of this process; gives its exit code.
///
/// For a program that the standard library does not start: what that would do and this program needs is done here.
pub fn main() -> u8 {
    let mut log = Log::standard_error();
    if let Err(error) = sys::begin() {
        let failure = Failure::during("prepare the standard descriptors")(error);
        log.error(&failure);
        return failure.code();
    }
    let words: Vec<OsString> = std::env::args_os().collect();
    match execute(&words, &mut log) {
        Ok(code) => code,
        Err(failure) => {
            log.error(&failure);
            failure.code()
        }
    }
}

fn execute(words: &[OsString], log: &mut Log) -> Result<u8> {
    let global = Parsed::parse(GLOBAL, words.iter().skip(1).cloned())?;
    let least = if global.has("debug") { Level::Debug } else { Level::Info };
    *log = Log::open(global.path("log").as_deref(), global.text("log-format")?, least)?;
    if global.has("version") {
        return print(&version());
    }
    let Some((name, rest)) = global.arguments.split_first().filter(|_| !global.has("help")) else {
        return print(&cli::help(None));
    };
    if name == "help" || name == "h" {
        return print(&cli::help(rest.first().and_then(|name| find(name))));
    }
    let verb = find(name).ok_or_else(|| Failure::usage(format!("no verb {:?}", name.display())))?;
    let parsed = Parsed::parse(verb.flags, rest.iter().cloned())?;
    if parsed.has("help") {
        return print(&cli::help(Some(verb)));
    }
    let rights = rights(&global)?;
    let store = Store::new(root(&global, rights));
    let context = Context { words, global: &global, verb: parsed, log, store, rights };
    log.debug(format_args!("{} {:?}", verb.name, context.verb));
    perform(verb.name, &context)
}

fn find(name: &OsString) -> Option<&'static Verb> {
    VERBS.iter().find(|verb| name == verb.name)
}

fn perform(verb: &str, context: &Context<'_>) -> Result<u8> {
    let Context { verb: given, log, store, .. } = context;
    match verb {
        "create" => {
            sealed::seal(context.words)?;
            create(store, log, &request(context, Stay::Detached)?, Doorman::Anybody).map(drop)?;
        }
        "run" => {
            sealed::seal(context.words)?;
            let stay = stay(given)?;
            let after = if given.has("keep") { After::Keep } else { After::Remove };
            return run::run(store, log, &request(context, stay)?, after);
        }
        "start" => start::start(store, log, given.id()?)?,
        "state" => return print(&query::state(store, given.id()?)?),
        "list" => {
            let form = if given.has("quiet") { Form::Ids } else { Form::parse(given.text("format")?)? };
            return print(&query::list(store, log, form)?);
        }
        "kill" => {
            let (id, rest) = given.id_and_rest()?;
            let signal = match rest {
                [] => "TERM",
                [signal] => cli::utf8("signal", signal)?,
                _ => return Err(Failure::usage("kill takes a container id and a signal")),
            };
            let whom = if given.has("all") { Whom::All } else { Whom::First };
            kill::kill(store, id, signal, whom)?;
        }
        "delete" => {
            let force = if given.has("force") { Force::Yes } else { Force::No };
            delete::delete(store, log, given.id()?, force)?;
        }
        "exec" => {
            sealed::seal(context.words)?;
            return exec::exec(store, log, given);
        }
        "ps" => {
            let (id, options) = given.id_and_rest()?;
            // As `ps ID -- OPTIONS`, too.
            let options = options.strip_prefix(&["--".into()]).unwrap_or(options);
            return print(&ps::ps(store, id, Form::parse(given.text("format")?)?, options)?);
        }
        "events" => {
            let interval = given.text("interval")?.map_or(Ok(INTERVAL), events::duration)?;
            let print = if given.has("stats") { Print::Once } else { Print::Every(interval) };
            events::events(store, given.id()?, print)?;
        }
        "update" => update::update(store, log, given)?,
        "spec" => {
            let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
            let whom = if given.has("rootless") { For::User(uid, gid) } else { For::Root };
            spec::spec(given.path("bundle").as_deref(), whom)?;
        }
        "features" => return print(&features::features()?),
        "pause" => pause::pause(store, given.id()?)?,
        "resume" => pause::resume(store, given.id()?)?,
        "checkpoint" => checkpoint::checkpoint(store, log, context.global, given)?,
        "restore" => {
            sealed::seal(context.words)?;
            return restore::restore(store, log, context.global, &request(context, stay(given)?)?);
        }
        other => unreachable!("a verb of the table: {other}"),
    }
    Ok(0)
}

/// Whether this process stays with the container; then what the container leaves behind is its own to bury.
fn stay(given: &Parsed) -> Result<Stay> {
    if given.has("detach") {
        return Ok(Stay::Detached);
    }
    if !given.has("no-subreaper") {
        run::adopt_orphans()?;
    }
    Ok(Stay::Attached)
}

fn request<'a>(context: &'a Context<'_>, stay: Stay) -> Result<Request<'a>> {
    let given = &context.verb;
    Ok(Request {
        given,
        id: given.id()?.parse()?,
        bundle: given.path("bundle"),
        pid_file: given.path("pid-file"),
        preserve: given.parsed("preserve-fds")?.unwrap_or(0),
        keyring: if given.has("no-new-keyring") { Keyring::Callers } else { Keyring::New },
        root: if given.has("no-pivot") { Root::Moved } else { Root::Pivoted },
        maker: if context.global.has("systemd-cgroup") { Maker::Systemd } else { Maker::Runtime },
        rights: context.rights,
        stay,
    })
}

/// Whether the caller may be refused control groups: `--rootless`, or by who the caller is.
fn rights(global: &Parsed) -> Result<Rights> {
    match global.text("rootless")? {
        Some("false") => Ok(Rights::Root),
        None | Some("auto") if rustix::process::geteuid().is_root() => Ok(Rights::Root),
        None | Some("auto" | "true") => Ok(Rights::Rootless),
        Some(other) => Err(Failure::new(format!("invalid value {other:?} for flag -rootless"))),
    }
}

fn root(global: &Parsed, rights: Rights) -> PathBuf {
    const NAME: &str = "windlass-oci";
    if let Some(root) = global.path("root") {
        return root;
    }
    let own = std::env::var_os("XDG_RUNTIME_DIR").filter(|_| rights == Rights::Rootless);
    PathBuf::from(own.unwrap_or_else(|| "/run".into())).join(NAME)
}

fn version() -> String {
    format!("windlass-oci version {}\nspec: {}\n", env!("CARGO_PKG_VERSION"), SPECIFICATION)
}

/// How often `events` prints when it is not told.
const INTERVAL: Duration = Duration::from_secs(5);

fn print(text: &str) -> Result<u8> {
    std::io::stdout().write_all(text.as_bytes()).map_err(Failure::during("write to the standard output"))?;
    Ok(0)
}
