//! Validation against the answers of Kubernetes.
#![expect(clippy::unwrap_used, reason = "a test's shared code may fail where it stands")]

mod judge;

use judge::errors::{allocation, cluster, lists, messages};
use judge::{differs, judge, records};
use serde_json::{Value, json};
use windlass_pod::warnings::warnings;
use windlass_pod::{Object, decode_json, defaults, strategy, validate};

fn case(record: &Value) -> Option<String> {
    let mut object = match decode_json(record["in"].to_string().as_bytes()) {
        Ok(object) => object,
        Err(error) => return Some(error.to_string()),
    };
    object.metadata_mut().uid = Some("aaaaaaaa-0000-4000-8000-000000000001".to_owned());
    defaults::apply(&mut object);
    let mut theirs = record["errors"].as_array().unwrap().clone();
    if let Object::Service(service) = &mut object
        && let Err(error) = cluster().create(service)
    {
        return differs("stage", "allocate", record["stage"].as_str().unwrap())
            .or_else(|| lists("allocate", &allocation(&error), &theirs));
    }
    if record["stage"] == json!("allocate") {
        return Some("given what the original refuses".to_owned());
    }
    strategy::prepare_for_create(&mut object);
    // What the server's own random choices lead to is no property of the object.
    let mut ours = messages(&validate(&object));
    for random in theirs.iter().filter(|error| error.get("body").is_none()) {
        ours.retain(|error| error["field"] != random["field"] || error["type"] != random["type"]);
    }
    theirs.retain(|error| error.get("body").is_some());
    let own = |list: Vec<String>| list.into_iter().map(Value::from).collect::<Vec<_>>();
    lists("errors", &ours, &theirs).or_else(|| {
        let theirs = record.get("warnings").and_then(Value::as_array)?;
        lists("warnings", &own(warnings(&object)), theirs)
    })
}

#[test]
fn validation() {
    judge("validation", &records("validation"), case);
}
