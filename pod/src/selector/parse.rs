//! The string form of selectors: `app=web, tier in (a, b), !old`.

use std::collections::BTreeSet;

use super::{Operator, Requirement, Selector, SelectorError, label_key};
use crate::violation::Violations;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token<'a> {
    Identifier(&'a str),
    /// `in` or `notin`, which are identifiers where a key or a value stands.
    Word(&'a str),
    Symbol(&'a str),
    End,
}

impl Token<'_> {
    fn literal(&self) -> String {
        match self {
            Token::Identifier(text) | Token::Word(text) | Token::Symbol(text) => (*text).to_owned(),
            Token::End => String::new(),
        }
    }

    fn identifier(&self) -> Option<&str> {
        match self {
            Token::Identifier(text) | Token::Word(text) => Some(text),
            _ => None,
        }
    }
}

fn is_symbol(byte: u8) -> bool {
    b"=!(),><".contains(&byte)
}

fn is_space(byte: u8) -> bool {
    b" \t\r\n".contains(&byte)
}

fn scan(text: &str) -> Vec<Token<'_>> {
    let bytes = text.as_bytes();
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(byte) = bytes.get(at).copied() {
        let start = at;
        if is_space(byte) {
            at += 1;
        } else if is_symbol(byte) {
            let two = text.get(at..at + 2).filter(|two| matches!(*two, "==" | "!="));
            at += two.map_or(1, str::len);
            tokens.push(Token::Symbol(&text[start..at]));
        } else {
            while bytes.get(at).is_some_and(|byte| !is_symbol(*byte) && !is_space(*byte)) {
                at += 1;
            }
            let word = &text[start..at];
            tokens.push(if matches!(word, "in" | "notin") { Token::Word(word) } else { Token::Identifier(word) });
        }
    }
    tokens.push(Token::End);
    tokens
}

struct Parser<'a> {
    tokens: Vec<Token<'a>>,
    at: usize,
}

type Result<T> = std::result::Result<T, SelectorError>;

fn found<T>(token: Token<'_>, expected: &str) -> Result<T> {
    Err(SelectorError::new(format!("found '{}'{expected}", token.literal())))
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Token<'a> {
        self.tokens.get(self.at).copied().unwrap_or(Token::End)
    }

    fn next(&mut self) -> Token<'a> {
        let token = self.peek();
        self.at += 1;
        token
    }

    fn starts_requirement(&self) -> bool {
        self.peek().identifier().is_some() || self.peek() == Token::Symbol("!")
    }

    fn selector(&mut self) -> Result<Vec<Requirement>> {
        let mut requirements = Vec::new();
        if self.peek() == Token::End {
            return Ok(requirements);
        }
        if !self.starts_requirement() {
            return found(self.peek(), ", expected: !, identifier, or 'end of string'");
        }
        loop {
            let requirement = self.requirement();
            requirements.push(
                requirement.map_err(|error| SelectorError::new(format!("unable to parse requirement: {error}")))?,
            );
            match self.next() {
                Token::End => return Ok(requirements),
                Token::Symbol(",") if self.starts_requirement() => {}
                Token::Symbol(",") => return found(self.peek(), ", expected: identifier after ','"),
                other => return found(other, ", expected: ',' or 'end of string'"),
            }
        }
    }

    fn requirement(&mut self) -> Result<Requirement> {
        let absent = self.peek() == Token::Symbol("!");
        if absent {
            self.at += 1;
        }
        let token = self.next();
        let Some(key) = token.identifier() else { return found(token, ", expected: identifier") };
        let mut violations = Violations::default();
        label_key(key, "<nil>", &mut violations);
        if !violations.is_empty() {
            return Err(SelectorError::from_violations(&violations.into_vec()));
        }
        let (operator, values) = if absent {
            (Operator::DoesNotExist, BTreeSet::new())
        } else if matches!(self.peek(), Token::End | Token::Symbol(",")) {
            (Operator::Exists, BTreeSet::new())
        } else {
            self.comparison()?
        };
        Requirement::new(key.to_owned(), operator, values.into_iter().collect())
            .map_err(|violations| SelectorError::from_violations(&violations))
    }

    fn comparison(&mut self) -> Result<(Operator, BTreeSet<String>)> {
        let operator = match self.next() {
            Token::Word("in") => Operator::In,
            Token::Word("notin") => Operator::NotIn,
            Token::Symbol("=") => Operator::Equals,
            Token::Symbol("==") => Operator::DoubleEquals,
            Token::Symbol("!=") => Operator::NotEquals,
            Token::Symbol(">") => Operator::GreaterThan,
            Token::Symbol("<") => Operator::LessThan,
            other => return found(other, ", expected: in, notin, =, ==, !=, gt, lt"),
        };
        let values = if matches!(operator, Operator::In | Operator::NotIn) { self.values() } else { self.value() };
        Ok((operator, values?))
    }

    /// One value, which may be empty.
    fn value(&mut self) -> Result<BTreeSet<String>> {
        if matches!(self.peek(), Token::End | Token::Symbol(",")) {
            return Ok(BTreeSet::from([String::new()]));
        }
        let token = self.next();
        match token.identifier() {
            Some(value) => Ok(BTreeSet::from([value.to_owned()])),
            None => found(token, ", expected: identifier"),
        }
    }

    /// Values in parentheses.
    fn values(&mut self) -> Result<BTreeSet<String>> {
        let token = self.next();
        if token != Token::Symbol("(") {
            return found(token, " expected: '('");
        }
        let first = self.peek();
        if first == Token::Symbol(")") {
            self.at += 1;
            return Ok(BTreeSet::from([String::new()]));
        }
        if first.identifier().is_none() && first != Token::Symbol(",") {
            return found(first, ", expected: ',', ')' or identifier");
        }
        let values = self.list()?;
        // The original names the first token after the parenthesis here.
        if self.next() == Token::Symbol(")") { Ok(values) } else { found(first, ", expected: ')'") }
    }

    fn list(&mut self) -> Result<BTreeSet<String>> {
        let mut values = BTreeSet::new();
        loop {
            let token = self.next();
            if let Some(value) = token.identifier() {
                values.insert(value.to_owned());
                match self.peek() {
                    Token::Symbol(",") => {}
                    Token::Symbol(")") => return Ok(values),
                    other => return found(other, ", expected: ',' or ')'"),
                }
                continue;
            }
            if token != Token::Symbol(",") {
                return found(token, ", expected: ',', or identifier");
            }
            if values.is_empty() {
                values.insert(String::new());
            }
            match self.peek() {
                Token::Symbol(")") => {
                    values.insert(String::new());
                    return Ok(values);
                }
                Token::Symbol(",") => {
                    self.at += 1;
                    values.insert(String::new());
                }
                _ => {}
            }
        }
    }
}

pub(super) fn parse(text: &str) -> Result<Selector> {
    let mut parser = Parser { tokens: scan(text), at: 0 };
    parser.selector().map(Selector::new)
}
