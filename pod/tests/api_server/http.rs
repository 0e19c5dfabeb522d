//! One request and its answer on a connection.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;

use serde_json::{Value, json};

/// What was asked.
pub(super) struct Request {
    pub(super) method: String,
    /// Without what follows the question mark.
    pub(super) path: String,
    query: String,
    pub(super) accept: String,
    pub(super) content_type: String,
    pub(super) body: Vec<u8>,
}

impl Request {
    /// A parameter behind the question mark. `kubectl` sends none that would have to be unescaped here.
    pub(super) fn query(&self, name: &str) -> Option<String> {
        let value = self.query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))?;
        assert!(!value.contains(['%', '+']), "{value}");
        Some(value.to_owned())
    }
}

/// What is answered.
pub(super) struct Reply {
    status: u16,
    body: String,
}

impl Reply {
    pub(super) fn text(status: u16, body: String) -> Self {
        Self { status, body }
    }

    pub(super) fn ok(value: &Value) -> Self {
        Self::text(200, value.to_string())
    }

    pub(super) fn failure(status: u16, reason: &str, message: &str, details: &Value) -> Self {
        let body = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": status, "reason": reason,
            "message": message, "details": details});
        Self::text(status, body.to_string())
    }
}

/// The request on a connection; none when the other end closed it without one.
pub(super) fn read(stream: &TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    if reader.read_line(&mut line).ok()? == 0 {
        return None;
    }
    let [method, target, _] = line.split_whitespace().collect::<Vec<_>>()[..] else { panic!("{line}") };
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut request = Request {
        method: method.to_owned(),
        path: path.to_owned(),
        query: query.to_owned(),
        accept: String::new(),
        content_type: String::new(),
        body: Vec::new(),
    };
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        match name.to_ascii_lowercase().as_str() {
            "accept" => value.clone_into(&mut request.accept),
            "content-type" => value.clone_into(&mut request.content_type),
            "content-length" => length = value.parse().unwrap(),
            "transfer-encoding" => panic!("kubectl sends bodies with their length"),
            _ => {}
        }
    }
    request.body = vec![0; length];
    reader.read_exact(&mut request.body).unwrap();
    Some(request)
}

/// Answers it.
pub(super) fn write(stream: &mut TcpStream, reply: &Reply) {
    let head = format!(
        "HTTP/1.1 {} -\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        reply.status,
        reply.body.len()
    );
    // A kubectl that has gone needs no answer.
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(reply.body.as_bytes()));
}
