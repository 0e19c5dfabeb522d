//! Quantities, selectors and names against the answers of Kubernetes.
#![expect(clippy::unwrap_used, reason = "a test's shared code may fail where it stands")]

mod judge;

use std::collections::BTreeMap;

use judge::{differs, judge, records};
use serde_json::{Value, json};
use windlass_pod::quantity::Format;
use windlass_pod::{FieldSelector, LabelSelector, PersistentVolumeClaim, Quantity, Selector, decode_json_as, names};

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn parsed(text: &str) -> Quantity {
    text.parse().unwrap()
}

fn parse_case(record: &Value) -> Option<String> {
    let quantity = match text(&record["in"]).parse::<Quantity>() {
        Ok(quantity) => quantity,
        Err(error) => return differs("error", json!(error.to_string()), record["error"].clone()),
    };
    if record["ok"] != json!(true) {
        return Some(format!("parsed, but: {}", record["error"]));
    }
    let format = match quantity.format() {
        Format::DecimalExponent => "DecimalExponent",
        Format::DecimalSi => "DecimalSI",
        Format::BinarySi => "BinarySI",
    };
    let odd = |field: &str| record.get(field).is_some_and(|odd| *odd == json!(true));
    let number = |odd: bool, ours: Option<i64>, theirs: &Value| {
        if odd { None } else { differs("number", json!(ours), theirs.clone()) }
    };
    differs("canonical", quantity.to_string().as_str(), text(&record["canonical"]))
        .or_else(|| differs("normal", quantity.canonical().as_str(), text(&record["normal"])))
        .or_else(|| if quantity.to_string() == "0" { None } else { differs("format", format, text(&record["format"])) })
        .or_else(|| differs("sign", json!(quantity.signum()), record["sign"].clone()))
        .or_else(|| number(odd("value_odd"), quantity.value(), &record["value"]))
        .or_else(|| number(odd("milli_odd"), quantity.milli_value(), &record["milli_value"]))
        .or_else(|| {
            let (ours, theirs) = (quantity.to_f64(), record["float"].as_f64().unwrap());
            ((ours - theirs).abs() > theirs.abs() * 1e-15).then(|| format!("float: {ours} {theirs}"))
        })
}

fn pair_case(record: &Value) -> Option<String> {
    let (a, b) = (parsed(text(&record["in"][0])), parsed(text(&record["in"][1])));
    differs("cmp", json!(a.cmp(&b) as i32), record["cmp"].clone())
        .or_else(|| differs("equal", json!(a == b), record["equal"].clone()))
        .or_else(|| differs("add", a.plus(&b).to_string().as_str(), text(&record["add"])))
        .or_else(|| differs("sub", a.minus(&b).to_string().as_str(), text(&record["sub"])))
        .or_else(|| differs("neg", a.negated().to_string().as_str(), text(&record["neg"])))
}

/// A quantity as it stands in the JSON of an object.
fn json_case(record: &Value) -> Option<String> {
    let document = format!(r#"{{"spec":{{"resources":{{"requests":{{"x":{}}}}}}}}}"#, text(&record["in"]));
    match decode_json_as::<PersistentVolumeClaim>(document.as_bytes()) {
        Ok(claim) => {
            let quantity = &claim.spec.resources.requests["x"];
            differs("canonical", json!(quantity.to_string()), record["canonical"].clone()).or_else(|| {
                differs("marshalled", json!(json!(quantity.to_string()).to_string()), record["marshalled"].clone())
            })
        }
        Err(windlass_pod::Error::Field { reason, .. }) => differs("error", json!(reason), record["error"].clone()),
        Err(error) => Some(error.to_string()),
    }
}

#[test]
fn quantity() {
    judge("quantity", &records("quantity"), |record| match text(&record["op"]) {
        "parse" => parse_case(record),
        "pair" => pair_case(record),
        "json" => json_case(record),
        other => Some(format!("unknown op {other}")),
    });
}

fn labels(value: &Value) -> BTreeMap<String, String> {
    value.as_object().into_iter().flatten().map(|(key, value)| (key.clone(), text(value).to_owned())).collect()
}

fn matches(selector: &Selector, record: &Value) -> Option<String> {
    let ours: Vec<bool> =
        record["in"]["labels"].as_array().unwrap().iter().map(|one| selector.matches(&labels(one))).collect();
    differs("matches", json!(ours), record["matches"].clone())
}

fn selector_case(record: &Value) -> Option<String> {
    match text(&record["in"]["selector"]).parse::<Selector>() {
        Ok(selector) => differs("canonical", json!(selector.to_string()), record["canonical"].clone())
            .or_else(|| differs("empty", json!(selector.is_everything()), record["empty"].clone()))
            .or_else(|| matches(&selector, record)),
        Err(error) => differs("error", json!(error.to_string()), record["error"].clone()),
    }
}

fn label_selector_case(record: &Value) -> Option<String> {
    let document = json!({"spec": {"selector": record["in"]["labelSelector"]}}).to_string();
    let claim: PersistentVolumeClaim = decode_json_as(document.as_bytes()).unwrap();
    let wire: Option<&LabelSelector> = claim.spec.selector.as_deref();
    let mut violations: Vec<Value> = wire
        .map(|selector| Selector::violations(selector, "selector"))
        .unwrap_or_default()
        .iter()
        .map(|one| json!({"body": one.body(), "detail": one.detail, "field": one.path, "type": one.kind.reason()}))
        .collect();
    let mut theirs = record["errors"].as_array().unwrap().clone();
    let key = |one: &Value| (one["field"].to_string(), one["type"].to_string(), one["detail"].to_string());
    violations.sort_by_key(key);
    theirs.sort_by_key(key);
    differs("errors", violations, theirs).or_else(|| match Selector::from_label_selector(wire) {
        Ok(selector) => {
            let formatted = if selector.is_everything() { "<none>".to_owned() } else { selector.to_string() };
            differs("canonical", json!(selector.to_string()), record["canonical"].clone())
                .or_else(|| differs("formatted", json!(formatted), record["formatted"].clone()))
                .or_else(|| matches(&selector, record))
        }
        Err(error) => differs("error", json!(error.to_string()), record["error"].clone()),
    })
}

fn names_case(record: &Value) -> Option<String> {
    let name = text(&record["in"]);
    let ours = json!({
        "cIdentifier": names::c_identifier(name),
        "configMapKey": names::config_map_key(name),
        "dns1035Label": names::dns1035_label(name),
        "dns1123Label": names::dns1123_label(name),
        "dns1123Subdomain": names::dns1123_subdomain(name),
        "envVarName": names::env_var_name(name),
        "httpHeaderName": names::http_header_name(name),
        "ip": names::ip(name),
        "labelValue": names::label_value(name),
        "percent": names::percent(name),
        "portName": names::port_name(name),
        "qualifiedName": names::qualified_name(name),
        "relaxedEnvVarName": names::relaxed_env_var_name(name),
        "wildcardDNS1123Subdomain": names::wildcard_dns1123_subdomain(name),
    });
    let theirs = record["result"].as_object().unwrap();
    assert_eq!(ours.as_object().unwrap().len(), theirs.len(), "every check is compared");
    theirs.iter().find_map(|(check, theirs)| differs(check, &ours[check], theirs))
}

fn field_selector_case(record: &Value) -> Option<String> {
    match text(&record["in"]).parse::<FieldSelector>() {
        Ok(selector) => {
            let fields = record["fields"].as_object().unwrap();
            let matches = selector.matches(|field| fields.get(field).and_then(Value::as_str));
            differs("canonical", json!(selector.to_string()), record["canonical"].clone())
                .or_else(|| differs("matches", json!(matches), record["matches"].clone()))
        }
        Err(error) => differs("error", json!(error.to_string()), record["error"].clone()),
    }
}

#[test]
fn selectors_and_names() {
    judge("labels", &records("labels"), |record| match text(&record["op"]) {
        "selector" => selector_case(record),
        "labelSelector" => label_selector_case(record),
        "names" => names_case(record),
        "fieldSelector" => field_selector_case(record),
        other => Some(format!("unknown op {other}")),
    });
}
