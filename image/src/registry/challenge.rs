//! `WWW-Authenticate`: how a registry wants to be asked.

use std::fmt;

use crate::error::{Error, Fault, Result};

const HEADER_MAX: usize = 8 << 10;
const CHALLENGES_MAX: usize = 16;
const PARAMETERS_MAX: usize = 32;

/// One way to prove who asks.
///
/// # Source
/// RFC 9110, section 11.6.1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    scheme: String,
    parameters: Vec<(String, String)>,
}

impl Challenge {
    /// Reads the value of a header, which may hold several challenges.
    ///
    /// # Errors
    /// [`Error::Document`] for what is not the header's grammar, and for a parameter that occurs twice: two programs
    /// could ask two different realms.
    pub fn parse(header: &str) -> Result<Vec<Self>> {
        if header.len() > HEADER_MAX {
            return Err(Error::LimitExceeded { limit: "header of challenges", max: HEADER_MAX as u64 });
        }
        Reader { text: header, position: 0 }.challenges().map_err(|fault| fault.of("challenge"))
    }

    /// The scheme in lower case, like `bearer`.
    pub fn scheme(&self) -> &str {
        &self.scheme
    }

    /// The value of a parameter, whose name is in lower case.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

impl fmt::Display for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.scheme)?;
        for (position, (name, value)) in self.parameters.iter().enumerate() {
            let value = value.replace('\\', "\\\\").replace('"', "\\\"");
            write!(f, "{}{name}=\"{value}\"", if position == 0 { " " } else { "," })?;
        }
        Ok(())
    }
}

struct Reader<'t> {
    text: &'t str,
    position: usize,
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn is_token68(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte)
}

impl<'t> Reader<'t> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.position).copied()
    }

    fn fault(&self, what: &str) -> Fault {
        Fault::new(format!("{what} at byte {}", self.position))
    }

    fn take_while(&mut self, wanted: impl Fn(u8) -> bool) -> &'t str {
        let start = self.position;
        while self.peek().is_some_and(&wanted) {
            self.position += 1;
        }
        // The classes are of ASCII, so both ends are between characters.
        &self.text[start..self.position]
    }

    fn blanks(&mut self) {
        self.take_while(|byte| byte == b' ' || byte == b'\t');
    }

    fn take(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        self.position += usize::from(there);
        there
    }

    fn challenges(&mut self) -> std::result::Result<Vec<Challenge>, Fault> {
        let mut challenges = Vec::new();
        loop {
            self.blanks();
            while self.take(b',') {
                self.blanks();
            }
            if self.peek().is_none() {
                return Ok(challenges);
            }
            if challenges.len() == CHALLENGES_MAX {
                return Err(self.fault("more than 16 challenges"));
            }
            challenges.push(self.challenge()?);
        }
    }

    fn challenge(&mut self) -> std::result::Result<Challenge, Fault> {
        let scheme = self.take_while(is_token).to_ascii_lowercase();
        if scheme.is_empty() {
            return Err(self.fault("no scheme"));
        }
        let mut parameters: Vec<(String, String)> = Vec::new();
        if !matches!(self.peek(), None | Some(b' ' | b'\t' | b',')) {
            return Err(self.fault("unexpected character"));
        }
        self.blanks();
        if self.token68() {
            return Ok(Challenge { scheme, parameters });
        }
        loop {
            let before = self.position;
            let Some((name, value)) = self.parameter()? else {
                self.position = before;
                return Ok(Challenge { scheme, parameters });
            };
            if parameters.iter().any(|(known, _)| *known == name) {
                return Err(self.fault("a parameter occurs twice"));
            }
            if parameters.len() == PARAMETERS_MAX {
                return Err(self.fault("more than 32 parameters"));
            }
            parameters.push((name, value));
            self.blanks();
            match self.peek() {
                None => return Ok(Challenge { scheme, parameters }),
                Some(b',') => {}
                Some(_) => return Err(self.fault("unexpected character")),
            }
            // What follows the comma is a parameter, or the next challenge.
            let comma = self.position;
            while self.take(b',') {
                self.blanks();
            }
            if !self.is_parameter() {
                self.position = comma;
                return Ok(Challenge { scheme, parameters });
            }
        }
    }

    /// Steps over credentials in one piece, such as those of `Negotiate`; they mean nothing here.
    fn token68(&mut self) -> bool {
        let start = self.position;
        let digits = self.take_while(is_token68);
        self.take_while(|byte| byte == b'=');
        let end = self.position;
        self.blanks();
        let complete = !digits.is_empty() && matches!(self.peek(), None | Some(b','));
        // `realm=` without a value looks alike, and is no parameter either.
        if complete && end > start {
            return true;
        }
        self.position = start;
        false
    }

    fn is_parameter(&self) -> bool {
        let mut ahead = Reader { text: self.text, position: self.position };
        let name = ahead.take_while(is_token);
        ahead.blanks();
        !name.is_empty() && ahead.peek() == Some(b'=')
    }

    fn parameter(&mut self) -> std::result::Result<Option<(String, String)>, Fault> {
        if !self.is_parameter() {
            return match self.peek() {
                None | Some(b',') => Ok(None),
                Some(_) => Err(self.fault("no parameter")),
            };
        }
        let name = self.take_while(is_token).to_ascii_lowercase();
        self.blanks();
        self.take(b'=');
        self.blanks();
        let value = if self.take(b'"') { self.quoted()? } else { self.take_while(is_token).to_owned() };
        Ok(Some((name, value)))
    }

    fn quoted(&mut self) -> std::result::Result<String, Fault> {
        let mut value = String::new();
        let mut characters = self.text[self.position..].char_indices();
        while let Some((offset, character)) = characters.next() {
            match character {
                '"' => {
                    self.position += offset + 1;
                    return Ok(value);
                }
                '\\' => match characters.next() {
                    Some((_, escaped)) if !escaped.is_control() => value.push(escaped),
                    _ => return Err(self.fault("an escape of nothing in the quoted text")),
                },
                control if control.is_control() && control != '\t' => {
                    return Err(self.fault("a control character in the quoted text"));
                }
                other => value.push(other),
            }
        }
        Err(self.fault("no end of the quoted text"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(header: &str) -> Vec<String> {
        Challenge::parse(header).unwrap().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_registries_send() {
        let header = r#"Bearer realm="https://a.example/token",service="a.example",scope="repository:x/y:pull,push""#;
        let challenges = Challenge::parse(header).unwrap();
        assert_eq!(challenges[0].scheme(), "bearer");
        assert_eq!(challenges[0].parameter("scope"), Some("repository:x/y:pull,push"));
        assert_eq!(challenges[0].parameter("error"), None);
        for (header, read_as) in [
            ("Basic realm=\"a, b\"", vec!["basic realm=\"a, b\""]),
            ("Basic realm=x, Bearer realm=\"y\"", vec!["basic realm=\"x\"", "bearer realm=\"y\""]),
            ("Negotiate", vec!["negotiate"]),
            ("Negotiate a87421000000000==, Basic realm=\"\\\"q\\\"\"", vec!["negotiate", "basic realm=\"\\\"q\\\"\""]),
            ("  ,, BEARER Realm = \"y\" ,, service=z , ", vec!["bearer realm=\"y\",service=\"z\""]),
            ("", vec![]),
        ] {
            assert_eq!(read(header), read_as, "{header}");
        }
    }

    #[test]
    fn what_two_readers_would_see_differently_is_an_error() {
        for (header, reason) in [
            ("Bearer realm=\"a\",realm=\"b\"", "a parameter occurs twice at byte 26"),
            ("Bearer realm=\"a", "no end of the quoted text at byte 14"),
            ("Bearer realm=\"a\" x", "unexpected character at byte 17"),
            ("=", "no scheme at byte 0"),
            ("Bearer \"a\"", "no parameter at byte 7"),
            ("Bearer realm=\"a\u{1}\"", "a control character in the quoted text at byte 14"),
        ] {
            let error = Challenge::parse(header).unwrap_err().to_string();
            assert_eq!(error, format!("invalid challenge: {reason}"), "{header}");
        }
        assert!(Challenge::parse(&"a,".repeat(17)).is_err());
        assert!(Challenge::parse(&"a".repeat(9000)).is_err());
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_as_the_same(
            schemes in prop::collection::vec(("[a-z]{1,8}", prop::collection::btree_map("[a-z]{1,5}", "[ -~é]{0,9}", 1..4)), 1..4),
        ) {
            let challenges: Vec<Challenge> = schemes.into_iter()
                .map(|(scheme, parameters)| Challenge { scheme, parameters: parameters.into_iter().collect() }).collect();
            let printed: Vec<String> = challenges.iter().map(ToString::to_string).collect();
            prop_assert_eq!(Challenge::parse(&printed.join(", ")).unwrap(), challenges);
        }

        #[test]
        fn any_text_is_read_or_refused(header in r"[ -~\t]{0,60}") {
            if let Ok(challenges) = Challenge::parse(&header) {
                let printed: Vec<String> = challenges.iter().map(ToString::to_string).collect();
                prop_assert_eq!(Challenge::parse(&printed.join(", ")).unwrap(), challenges);
            }
        }
    }
}
