//! Step 6, the first half: what each pod has used, and whether the data outside the pods is complete.

use std::path::Path;

use serde_json::{Value, json};

use super::PATIENCE;
use super::calls::{BACKEND_ANSWERS, CLIENT_ANSWERS};
use crate::agent::Usage;
use crate::demo::error::{Error, Result};
use crate::demo::output::Step;
use crate::demo::output::board::columns;
use crate::demo::show::{Look, Show};
use crate::demo::view;
use crate::registry::Grace;

/// The file in the data folder to which every replica appends.
const RECORDS: &str = "records";

/// Counts and compares. The step is not over: removing everything belongs to it.
pub(in crate::demo) async fn account(show: &mut Show) -> Result<Step> {
    let step = show.reporter.step(6, "account, and remove everything");
    usage(show).await?;
    balance(show).await?;
    Ok(step)
}

async fn usage(show: &Show) -> Result<()> {
    let part = show.reporter.part(6, "usage", "what the pods have used");
    let mut rows = vec![["POD", "CPU", "MEMORY", "PEAK", "IO READ", "IO WRITTEN", "PIDS"].map(str::to_owned)];
    let mut objects = Vec::new();
    for pod in show.pods().await? {
        let node = show.node(view::node(&pod))?;
        let key = view::key(&pod);
        let usage = node.agent.usage(&key).await.map_err(Error::agent(&node.name))?;
        let Some(usage) = usage else { continue };
        rows.push(row(&key.name, &usage));
        objects.push(object(&key.name, &usage));
    }
    let reasons = match &show.missing.accounting {
        Some(reason) => vec![format!("nothing is counted: {reason}")],
        None => columns(&rows),
    };
    for line in &reasons {
        show.reporter.text(line);
    }
    part.done(&format!("{} pods", objects.len()), json!({ "pods": objects, "reason": show.missing.accounting }));
    Ok(())
}

fn row(name: &str, usage: &Usage) -> [String; 7] {
    let bytes = |bytes: u64| format!("{} KiB", bytes / 1024);
    let io = |pick: fn(&(windlass_cgroups::Bytes, windlass_cgroups::Bytes)) -> u64| {
        usage.io.as_ref().map_or_else(|reason| format!("- ({reason})"), |io| bytes(pick(io)))
    };
    let or_reason =
        |counted: std::result::Result<String, &String>| counted.unwrap_or_else(|reason| format!("- ({reason})"));
    [
        name.to_owned(),
        or_reason(usage.cpu.as_ref().map(|cpu| format!("{} ms", cpu.as_millis()))),
        or_reason(usage.memory.as_ref().map(|memory| bytes(memory.get()))),
        usage.memory_peak.map_or_else(|| "-".to_owned(), |peak| bytes(peak.get())),
        io(|io| io.0.get()),
        io(|io| io.1.get()),
        or_reason(usage.pids.as_ref().map(ToString::to_string)),
    ]
}

fn object(name: &str, usage: &Usage) -> Value {
    json!({
        "pod": name,
        "cpu_seconds": usage.cpu.as_ref().ok().map(std::time::Duration::as_secs_f64),
        "memory_bytes": usage.memory.as_ref().ok().map(|bytes| bytes.get()),
        "memory_peak_bytes": usage.memory_peak.map(windlass_cgroups::Bytes::get),
        "io_read_bytes": usage.io.as_ref().ok().map(|io| io.0.get()),
        "io_written_bytes": usage.io.as_ref().ok().map(|io| io.1.get()),
        "io_reason": usage.io.as_ref().err(),
        "pids": usage.pids.as_ref().ok(),
    })
}

/// Stops the client, and compares the records with what it and the others were answered.
async fn balance(show: &mut Show) -> Result<()> {
    let part = show.reporter.part(6, "data", "records against answers");
    let client = show.cast.client.clone();
    show.registry().delete_pod(&client, Grace::Default, None).await?;
    show.until("the client to end", PATIENCE, async || {
        let there = show.registry().get::<windlass_pod::kinds::Pod>(&client).await?;
        Ok(there.map_or(Look::Found(()), |pod| Look::NotYet(view::row(&pod).state)))
    })
    .await?;
    let read = |name: &str| std::fs::read_to_string(show.data.join(name)).map_err(Error::io("read", Path::new(name)));
    let (records, client, backend) = (read(RECORDS)?, read(CLIENT_ANSWERS)?, read(BACKEND_ANSWERS)?);
    show.ledger.record_lines(&records);
    show.ledger.answer_lines(&client);
    show.ledger.answer_lines(&backend);
    let balance = show.ledger.balance();
    if !balance.holds() {
        let found = format!("unrecorded {:?}, unanswered {:?}", balance.unrecorded, balance.unanswered);
        return Err(Error::Unexpected { what: "the data", expected: "one record for each answer".to_owned(), found });
    }
    part.done(
        &format!("{} records = {} answers, through kill, restart and replacement", balance.records, balance.answers),
        json!({ "records": balance.records, "answers": balance.answers, "repeated": balance.repeated, "equal": balance.records == balance.answers }),
    );
    Ok(())
}
