//! As much of HTTP/1.1 as pods, probes and the demo speak: one request a connection, bodies with a length.
//!
//! Both ends are here: [`read_request`] with [`Response::write`] for a server, [`send`] for a caller that already holds
//! the connected socket (which may have been opened in another network namespace).

use std::io::{self, BufRead, BufReader, Read, Write};

/// The longest request line or header line that is read.
const LINE_BYTES_MAX: u64 = 8 * 1024;
/// The most header lines of one message.
const HEADERS_MAX: usize = 64;
/// The longest body that is read.
const BODY_BYTES_MAX: u64 = 1024 * 1024;
/// The header by which a caller names its request.
pub const REQUEST_ID: &str = "X-Request-Id";

/// A request as a server sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The method, for example `GET`.
    pub method: String,
    /// The target without its query.
    pub path: String,
    /// What the caller calls this request, from the `X-Request-Id` header.
    pub id: Option<String>,
}

/// An answer with its whole body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The body, text by agreement.
    pub body: String,
}

impl Response {
    /// An answer `200 OK`.
    pub fn ok(body: impl Into<String>) -> Self {
        Self { status: 200, body: body.into() }
    }

    /// An answer with this status.
    pub fn status(status: u16, body: impl Into<String>) -> Self {
        Self { status, body: body.into() }
    }

    /// Writes status line, headers and body in one call.
    pub fn write(&self, stream: &mut impl Write) -> io::Result<()> {
        let message = format!(
            "HTTP/1.1 {} {}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{}",
            self.status,
            reason(self.status),
            self.body.len(),
            self.body
        );
        stream.write_all(message.as_bytes())?;
        stream.flush()
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        404 => "Not Found",
        405 => "Method Not Allowed",
        503 => "Service Unavailable",
        _ => "Status",
    }
}

/// Reads the head of one request; `None` when the peer closed without sending anything.
///
/// # Errors
/// `InvalidData` for what is not HTTP/1.x or passes a limit, otherwise what the stream answers.
pub fn read_request(stream: impl Read) -> io::Result<Option<Request>> {
    let mut reader = BufReader::new(stream);
    let Some(line) = read_line(&mut reader)? else { return Ok(None) };
    let mut words = line.split(' ');
    let (Some(method), Some(target), Some(version), None) = (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(invalid("the request line does not have three words"));
    };
    if !version.starts_with("HTTP/1.") {
        return Err(invalid("the request is not HTTP/1.x"));
    }
    let headers = read_headers(&mut reader)?;
    let id = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(REQUEST_ID)).map(|(_, value)| value.clone());
    let path = target.split('?').next().unwrap_or(target).to_owned();
    Ok(Some(Request { method: method.to_owned(), path, id }))
}

/// Sends one request without a body over a connected stream, and reads the whole answer.
pub fn send(
    stream: &mut (impl Read + Write),
    method: &str,
    host: &str,
    path: &str,
    headers: &[(&str, &str)],
) -> io::Result<Response> {
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n");
    for (name, value) in headers {
        if [name, value].iter().any(|text| text.contains(['\r', '\n'])) {
            return Err(invalid("a header to send holds a line break"));
        }
        head.extend([name, ": ", value, "\r\n"]);
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes())?;
    stream.flush()?;
    read_response(stream)
}

fn read_response(stream: impl Read) -> io::Result<Response> {
    let mut reader = BufReader::new(stream);
    let line = read_line(&mut reader)?.ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))?;
    let status = line
        .strip_prefix("HTTP/1.")
        .and_then(|rest| rest.split(' ').nth(1))
        .and_then(|code| code.parse().ok())
        .ok_or_else(|| invalid("the answer does not begin with an HTTP/1.x status line"))?;
    let headers = read_headers(&mut reader)?;
    let length = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let mut body = Vec::new();
    match length.map(|(_, value)| value.parse::<u64>()) {
        Some(Ok(length)) if length <= BODY_BYTES_MAX => {
            reader.take(length).read_to_end(&mut body)?;
            if body.len() as u64 != length {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Some(_) => return Err(invalid("the answer's Content-Length is not a number below a mebibyte")),
        None => {
            reader.take(BODY_BYTES_MAX).read_to_end(&mut body)?;
        }
    }
    let body = String::from_utf8(body).map_err(|_| invalid("the answer's body is not UTF-8"))?;
    Ok(Response { status, body })
}

fn read_headers(reader: &mut impl BufRead) -> io::Result<Vec<(String, String)>> {
    let mut headers = Vec::new();
    loop {
        let line = read_line(reader)?.ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))?;
        if line.is_empty() {
            return Ok(headers);
        }
        if headers.len() == HEADERS_MAX {
            return Err(invalid("the message has more than 64 headers"));
        }
        let (name, value) = line.split_once(':').ok_or_else(|| invalid("a header has no colon"))?;
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
}

/// One line without its ending; `None` at the end of the stream.
fn read_line(reader: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    if reader.take(LINE_BYTES_MAX).read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    if line.pop() != Some(b'\n') {
        return Err(invalid("a line is not ended or is longer than 8 KiB"));
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    String::from_utf8(line).map(Some).map_err(|_| invalid("a line is not UTF-8"))
}

fn invalid(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read_with_its_name() {
        let head = b"GET /a?b=c HTTP/1.1\r\nhost: x\r\nx-request-id: 17\r\n\r\n";
        let expected = Request { method: "GET".into(), path: "/a".into(), id: Some("17".into()) };
        assert_eq!(read_request(&head[..]).unwrap(), Some(expected));
        assert_eq!(read_request(&b""[..]).unwrap(), None);
    }

    #[test]
    fn what_is_not_http_is_refused() {
        for head in [
            &b"GET /\r\n\r\n"[..],
            b"GET / HTTP/2\r\n\r\n",
            b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
            b"GET / HTTP/1.1\r\nhost: x\r\n",
            b"\xff\xfe / HTTP/1.1\r\n\r\n",
        ] {
            assert!(read_request(head).is_err(), "{:?}", String::from_utf8_lossy(head));
        }
        let long = [b"GET /".to_vec(), vec![b'a'; 9000], b" HTTP/1.1\r\n\r\n".to_vec()].concat();
        assert!(read_request(&long[..]).is_err());
    }

    #[test]
    fn a_written_answer_reads_back() {
        let mut wire = Vec::new();
        let response = Response::status(503, "not ready\n");
        response.write(&mut wire).unwrap();
        assert_eq!(read_response(&wire[..]).unwrap(), response);
        assert!(read_response(&wire[..wire.len() - 1]).is_err(), "a cut body must not pass for an answer");
    }
}
