//! Megabytes that are made to cost much.

/// How many bytes each has.
pub(super) const SIZE: usize = 1 << 20;

/// How a text is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    /// JSON.
    Json,
    /// YAML.
    Yaml,
    /// The protobuf of Kubernetes.
    Protobuf,
}

/// What a text is made to do, and the text.
pub(super) type Hostile = (&'static str, Vec<u8>);

const POD: &str = r#"{"apiVersion":"v1","kind":"Pod","#;
const MAP: &str = r#"{"apiVersion":"v1","kind":"ConfigMap","data":{"#;
const POD_YAML: &str = "apiVersion: v1\nkind: Pod\n";

/// The start, as often the part as there is room, and the end.
fn filled(start: &str, part: &str, end: &str) -> Vec<u8> {
    let count = (SIZE - start.len() - end.len()) / part.len();
    [start, &part.repeat(count), end].concat().into_bytes()
}

/// The start, numbered parts as there is room, and the end; `{}` is the number.
fn numbered(start: &str, part: &str, end: &str) -> Vec<u8> {
    let mut text = start.to_owned();
    let mut number = 0;
    while text.len() + part.len() + end.len() + 8 < SIZE {
        // The digits the other way round, so that what is sorted comes in no order.
        let digits: String = format!("{number:06}").chars().rev().collect();
        text += &part.replace("{}", &digits);
        number += 1;
    }
    (text + end).into_bytes()
}

fn json() -> Vec<Hostile> {
    vec![
        ("open lists", filled("", "[", "")),
        ("open maps", filled("", "{\"a\":", "")),
        ("deep in an unknown field", filled(&format!("{POD}\"x\":"), "[", "")),
        ("a long name of a field", filled(&format!("{POD}\""), "k", "\":1}")),
        ("a long text of escapes", filled(&format!("{MAP}\"a\":\""), "\\u0000", "\"}}")),
        ("a long text of pairs of escapes", filled(&format!("{MAP}\"a\":\""), "\\ud83d\\ude00", "\"}}")),
        ("a field that stands often", filled(MAP, "\"a\":\"\",", "\"b\":\"\"}}")),
        ("many unknown fields", numbered(POD, "\"{}\":1,", "\"x\":1}")),
        ("many entries", numbered(MAP, "\"{}\":\"\",", "\"x\":\"\"}}")),
        ("an unknown field that stands often", filled(POD, "\"a\":1,", "\"b\":1}")),
        ("a list of numbers", filled(&format!("{POD}\"x\":["), "1,", "1]}")),
        ("empty containers", filled(&format!("{POD}\"spec\":{{\"containers\":["), "{},", "{}]}}")),
        ("null containers", filled(&format!("{POD}\"spec\":{{\"containers\":["), "null,", "null]}}")),
        ("empty volumes", filled(&format!("{POD}\"spec\":{{\"volumes\":["), "{},", "{}]}}")),
        (
            "boxes in containers",
            filled(
                &format!("{POD}\"spec\":{{\"containers\":["),
                r#"{"livenessProbe":{"exec":{}},"lifecycle":{"preStop":{"exec":{}}}},"#,
                "{}]}}",
            ),
        ),
        ("a long number", filled(&format!("{POD}\"spec\":{{\"priority\":"), "9", "}}")),
        ("a long number nobody knows", filled(&format!("{POD}\"x\":"), "9", "}")),
        ("a long quantity", filled(&format!("{POD}\"spec\":{{\"overhead\":{{\"cpu\":\""), "9", "\"}}}")),
        ("many quantities", numbered(&format!("{POD}\"spec\":{{\"overhead\":{{"), "\"{}\":\"1E999\",", "\"x\":1}}}")),
        ("blanks", filled(POD, " ", "\"x\":1}")),
        ("base64", filled(r#"{"apiVersion":"v1","kind":"Secret","data":{"a":""#, "AAAA", "\"}}")),
    ]
}

fn yaml() -> Vec<Hostile> {
    let laughs = (1..9).map(|level| {
        let alias = format!("*a{},", level - 1);
        format!("a{level}: &a{level} [{}]\n", alias.repeat(9))
    });
    let laughs: String = laughs.collect();
    vec![
        ("a billion laughs", filled(&format!("{POD_YAML}a0: &a0 [x]\n{laughs}"), "# \n", "")),
        ("a long text named often", filled(&format!("{POD_YAML}a: &a {}\nb: [", "x".repeat(SIZE / 2)), "*a,", "*a]\n")),
        (
            "a long text named ten thousand times",
            [
                format!("{POD_YAML}a: &a {}\nb: [", "x".repeat(SIZE / 2)).into_bytes(),
                b"*a,".repeat(10_000),
                b"*a]\n".to_vec(),
            ]
            .concat(),
        ),
        (
            "entries with a long text",
            numbered(
                &format!("apiVersion: v1\nkind: ConfigMap\nx: &a {}\ndata:\n", "x".repeat(SIZE / 2)),
                "  k{}: *a\n",
                "",
            ),
        ),
        ("empty objects", filled("apiVersion: v1\nkind: List\nitems:\n", "- {apiVersion: v1, kind: Pod}\n", "")),
        ("a list named often", filled(&format!("{POD_YAML}a: &a [{}1]\nb: [", "1,".repeat(2000)), "*a,", "*a]\n")),
        (
            "containers named often",
            filled(
                &format!("{POD_YAML}spec:\n  initContainers: &a [{}{{}}]\n  containers: [", "{},".repeat(9)),
                "{},",
                "{}]\n",
            ),
        ),
        ("anchors", numbered(&format!("{POD_YAML}x:\n"), "- &a{} 1\n", "")),
        ("aliases before their ends", filled("", "a: &a [*a]\n", "")),
        ("open lists", filled("", "[", "")),
        ("open maps", filled("", "{a: ", "")),
        ("lists in lists", filled("", "- ", "")),
        ("keys of keys", filled("", "? ", "")),
        ("a long name of a field", filled(POD_YAML, "k", ": 1\n")),
        ("a long quoted name of a field", filled(&format!("{POD_YAML}\""), "k", "\": 1\n")),
        ("many unknown fields", numbered(POD_YAML, "x{}: 1\n", "")),
        ("documents", filled("", "---\n", "")),
        ("documents with something", filled("", "---\na\n", "")),
        ("pods in documents", filled("", "---\n{apiVersion: v1, kind: Pod}\n", "")),
        (
            "lists in documents",
            filled("", &format!("---\n{POD_YAML}spec:\n  containers: [{}{{}}]\n", "{},".repeat(3000)), ""),
        ),
        ("comments", filled("", "#\n", "")),
        ("one long comment", filled("", "#", "")),
        ("a long number", filled("a: ", "9", "\n")),
        ("a text of escapes", filled("a: \"", "\\x41", "\"\n")),
        ("a folded text", filled("a: >\n", " x\n", "")),
        ("a plain text of many lines", filled("a: x\n", "  x\n", "")),
        ("a text that does not end", filled("a: '", "x\n ", "")),
        ("empty lines", filled("a:", "\n", "b: 1\n")),
        ("blanks", filled("a:", " ", "b\n")),
        ("colons", filled("a: {", ":", "}")),
        ("questions in a flow", filled("a: [", "? ", "]")),
        ("empty containers", filled(&format!("{POD_YAML}spec:\n  containers:\n"), "  - {}\n", "")),
        ("tags", filled("a: [", "!!str a,", "]\n")),
        ("long tags", filled("a: !<", "x", "> 1\n")),
    ]
}

/// A message with its number and length before it.
fn field(number: u8, message: &[u8]) -> Vec<u8> {
    let mut bytes = vec![number << 3 | 2];
    let mut length = message.len();
    while length >= 0x80 {
        bytes.push(u8::try_from(length & 0x7f).expect("seven bits are a byte") | 0x80);
        length >>= 7;
    }
    bytes.push(u8::try_from(length).expect("seven bits are a byte"));
    bytes.extend(message);
    bytes
}

fn object(kind: &str, message: &[u8]) -> Vec<u8> {
    let names = [field(1, b"v1"), field(2, kind.as_bytes())].concat();
    [b"k8s\0".to_vec(), field(1, &names), field(2, message)].concat()
}

fn protobuf() -> Vec<Hostile> {
    let room = SIZE - 64;
    let repeated = |part: &[u8]| part.repeat(room / part.len());
    let mut nested = vec![0; room / 2];
    for _ in 0..1000 {
        nested = field(2, &nested);
    }
    vec![
        ("empty containers", object("Pod", &field(2, &repeated(&field(2, &[]))))),
        ("empty volumes", object("Pod", &field(2, &repeated(&field(1, &[]))))),
        ("empty statuses", object("Pod", &field(3, &repeated(&field(8, &[]))))),
        ("the specification again and again", object("Pod", &repeated(&field(2, &field(2, &[]))))),
        ("boxes in containers", object("Pod", &field(2, &repeated(&field(2, &field(10, &field(1, &field(1, &[])))))))),
        ("entries", object("ConfigMap", &repeated(&field(2, &[])))),
        ("arguments", object("Pod", &field(2, &field(2, &repeated(&field(3, &[])))))),
        ("packed numbers", object("Pod", &field(2, &field(14, &field(4, &vec![1; room - 32]))))),
        ("numbers of fields nobody knows", object("Pod", &repeated(&[0x98, 0x3f, 1]))),
        ("numbers that do not end", object("Pod", &vec![0xff; room])),
        ("nested", object("Pod", &nested)),
        ("a length beyond the end", object("Pod", &[0x12, 0xff, 0xff, 0xff, 0xff, 0x0f])),
        ("a long text", object("ConfigMap", &field(1, &field(1, &vec![b'x'; room - 32])))),
        (
            "long quantities",
            object(
                "Pod",
                &field(2, &field(32, &[field(1, b"a"), field(2, &field(1, &vec![b'9'; room - 64]))].concat())),
            ),
        ),
    ]
}

/// All that are made for an encoding.
pub(super) fn texts(encoding: Encoding) -> Vec<Hostile> {
    match encoding {
        Encoding::Json => json(),
        Encoding::Yaml => yaml(),
        Encoding::Protobuf => protobuf(),
    }
}
