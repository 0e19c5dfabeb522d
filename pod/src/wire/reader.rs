//! One pull reader for JSON and YAML, which knows the path it is at.

use std::borrow::Cow;

use crate::error::{Error, Position, Problem, ProblemKind, Result};
use crate::wire::json::Lexer;
use crate::wire::limits::{Budget, Limits, at_most};
use crate::wire::path::{self, KeyStyle, Segment};
use crate::wire::places::Places;
use crate::wire::raw::Raw;
use crate::wire::token::Kind;
use crate::wire::writer::push_json_string;
use crate::wire::yaml::Cursor;

/// How many problems of one text are noted; a text with more is not worth the memory.
const PROBLEMS_MAX: usize = 1000;
/// What the places of an object take in memory before there are many, in bytes.
const PLACES: usize = 600;
/// What the place of a field takes in memory beside its path, in bytes.
const PLACE: usize = 48;

/// Where the values come from.
#[derive(Debug)]
pub(crate) enum Source<'a> {
    Json(Lexer<'a>),
    Yaml(Cursor<'a>),
}

/// Where a value starts, cheap to take and turned into a [`Position`] when it is needed.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Place {
    Offset(usize),
    Known(Position),
}

/// A place to come back to.
#[derive(Debug)]
pub(crate) struct Mark {
    place: MarkedPlace,
    depth: usize,
    values: usize,
}

#[derive(Debug)]
enum MarkedPlace {
    Json((usize, bool)),
    Yaml((usize, Vec<(usize, usize)>)),
}

/// Reads values one after the other from JSON or YAML.
#[derive(Debug)]
pub struct Reader<'a> {
    source: Source<'a>,
    path: Vec<Segment>,
    depth: usize,
    budget: Budget,
    problems: Vec<Problem>,
    places: Option<Places>,
}

macro_rules! either {
    ($source:expr, $inner:ident => $call:expr) => {
        match $source {
            Source::Json($inner) => $call,
            Source::Yaml($inner) => $call,
        }
    };
}

impl<'a> Reader<'a> {
    /// Reads a text of this many bytes.
    pub(crate) fn new(source: Source<'a>, limits: Limits, size: usize) -> Self {
        let budget = Budget::new(limits, size);
        Self { source, path: Vec::new(), depth: 0, budget, problems: Vec::new(), places: None }
    }

    /// Notes where each field starts.
    pub(crate) fn with_places(mut self) -> Self {
        self.places = Some(Places::default());
        self
    }

    /// Notes that an object starts here.
    pub(crate) fn note_start(&mut self) -> Result<()> {
        if self.places.is_some() {
            let position = self.position();
            self.budget.charge(PLACES)?;
            if let Some(places) = &mut self.places {
                places.insert(String::new(), position);
            }
        }
        Ok(())
    }

    /// What was noted besides the object.
    pub(crate) fn finish(self) -> (Vec<Problem>, Places) {
        (self.problems, self.places.unwrap_or_default())
    }

    /// What was noted since the last call.
    pub(crate) fn take_notes(&mut self) -> (Vec<Problem>, Places) {
        (std::mem::take(&mut self.problems), self.places.as_mut().map(std::mem::take).unwrap_or_default())
    }

    /// Where the reader is, to come back to after looking ahead.
    pub(crate) fn mark(&self) -> Mark {
        let place = match &self.source {
            Source::Json(lexer) => MarkedPlace::Json(lexer.mark()),
            Source::Yaml(cursor) => MarkedPlace::Yaml(cursor.mark()),
        };
        Mark { place, depth: self.depth, values: self.budget.values() }
    }

    /// Goes back to a mark of this reader.
    pub(crate) fn reset(&mut self, mark: Mark) {
        match (mark.place, &mut self.source) {
            (MarkedPlace::Json(mark), Source::Json(lexer)) => lexer.reset(mark),
            (MarkedPlace::Yaml(mark), Source::Yaml(cursor)) => cursor.reset(mark),
            (MarkedPlace::Json(_), Source::Yaml(_)) | (MarkedPlace::Yaml(_), Source::Json(_)) => {
                unreachable!("a mark belongs to the reader that gave it")
            }
        }
        self.depth = mark.depth;
        self.budget.set_values(mark.values);
    }

    pub(crate) fn push(&mut self, segment: Segment) -> Result<()> {
        self.path.push(segment);
        if self.places.is_some() {
            let position = self.position();
            let path = path::print(&self.path, KeyStyle::Bracket);
            self.budget.charge(path.len() + PLACE)?;
            if let Some(places) = &mut self.places {
                places.insert(path, position);
            }
        }
        Ok(())
    }

    pub(crate) fn pop(&mut self) {
        self.path.pop();
    }

    pub(crate) fn place(&mut self) -> Place {
        match &mut self.source {
            Source::Json(lexer) => Place::Offset(lexer.offset()),
            Source::Yaml(cursor) => Place::Known(cursor.position()),
        }
    }

    pub(crate) fn resolve(&self, place: Place) -> Position {
        match (place, &self.source) {
            (Place::Offset(offset), Source::Json(lexer)) => lexer.position(offset),
            (Place::Known(position), _) => position,
            (Place::Offset(_), Source::Yaml(_)) => Position::default(),
        }
    }

    /// Where the next value starts.
    pub(crate) fn position(&mut self) -> Position {
        let place = self.place();
        self.resolve(place)
    }

    /// An error about the value that starts at `place`.
    pub(crate) fn field_error(&self, place: Place, reason: impl Into<String>) -> Error {
        Error::Field {
            path: path::print(&self.path, KeyStyle::Bracket),
            position: self.resolve(place),
            reason: reason.into(),
        }
    }

    /// Notes that a field of the current map is unknown or stands twice.
    pub(crate) fn problem(&mut self, key: &str, kind: ProblemKind) {
        if self.problems.len() >= PROBLEMS_MAX {
            return;
        }
        let mut path = path::print(&self.path, KeyStyle::Dot);
        path::push_key(&mut path, key, KeyStyle::Dot);
        let position = self.position();
        self.problems.push(Problem { path, position, kind });
    }

    pub(crate) fn peek(&mut self) -> Result<Kind> {
        either!(&mut self.source, inner => inner.peek())
    }

    fn expect(&mut self, expected: Kind) -> Result<()> {
        let found = self.peek()?;
        if found == expected {
            return Ok(());
        }
        let place = self.place();
        Err(self.field_error(place, format!("expected {expected}, found {found}")))
    }

    /// Checks a list that is about to have one more element of this size.
    pub(crate) fn element(&mut self, length: usize, size: usize) -> Result<()> {
        self.budget.element(length, size)
    }

    /// Checks a map that is about to have one more entry of this size.
    pub(crate) fn entry(&mut self, length: usize, size: usize) -> Result<()> {
        self.budget.entry(length, size)
    }

    /// Counts memory that is about to be taken.
    pub(crate) fn charge(&mut self, bytes: usize) -> Result<()> {
        self.budget.charge(bytes)
    }

    /// How much memory was counted.
    pub(crate) fn memory(&self) -> usize {
        self.budget.memory()
    }

    /// Takes a null if the next value is one.
    pub(crate) fn take_null(&mut self) -> Result<bool> {
        let null = self.peek()? == Kind::Null;
        if null {
            either!(&mut self.source, inner => inner.null())?;
        }
        Ok(null)
    }

    pub(crate) fn bool(&mut self) -> Result<bool> {
        self.expect(Kind::Bool)?;
        either!(&mut self.source, inner => inner.bool())
    }

    /// The text of a number.
    pub(crate) fn number(&mut self) -> Result<Cow<'a, str>> {
        self.expect(Kind::Number)?;
        let text = match &mut self.source {
            Source::Json(lexer) => Cow::Borrowed(lexer.number()?),
            Source::Yaml(cursor) => cursor.text()?,
        };
        self.budget.scalar(text.len())?;
        Ok(text)
    }

    pub(crate) fn string(&mut self) -> Result<Cow<'a, str>> {
        self.expect(Kind::String)?;
        let text = either!(&mut self.source, inner => inner.text())?;
        self.budget.scalar(text.len())?;
        Ok(text)
    }

    fn enter(&mut self) -> Result<()> {
        at_most("depth of the text", self.depth + 1, self.budget.limits().depth)?;
        self.depth += 1;
        match &mut self.source {
            Source::Json(lexer) => {
                lexer.enter();
                Ok(())
            }
            Source::Yaml(cursor) => cursor.enter(),
        }
    }

    /// Begins a map; [`Reader::next_key`] follows until it returns `None`.
    pub(crate) fn enter_map(&mut self) -> Result<()> {
        self.expect(Kind::Map)?;
        self.enter()
    }

    /// Begins a list; [`Reader::next_item`] follows until it returns `false`.
    pub(crate) fn enter_list(&mut self) -> Result<()> {
        self.expect(Kind::List)?;
        self.enter()
    }

    pub(crate) fn next_key(&mut self) -> Result<Option<Cow<'a, str>>> {
        let key = either!(&mut self.source, inner => inner.next_key())?;
        match &key {
            None => self.depth -= 1,
            Some(key) => {
                self.budget.count()?;
                self.budget.scalar(key.len())?;
            }
        }
        Ok(key)
    }

    pub(crate) fn next_item(&mut self) -> Result<bool> {
        let more = either!(&mut self.source, inner => inner.next_item())?;
        if more {
            self.budget.count()?;
        } else {
            self.depth -= 1;
        }
        Ok(more)
    }

    /// Takes the next value, whatever it is, as compact JSON.
    pub(crate) fn raw(&mut self) -> Result<Raw> {
        let mut json = String::new();
        // The open maps (true) and lists (false).
        let mut open: Vec<bool> = Vec::new();
        loop {
            self.raw_value(&mut json, &mut open)?;
            // Goes on to the next entry, closing what has ended.
            loop {
                let Some(map) = open.last().copied() else { return Ok(Raw::from_compact(json)) };
                let first = json.ends_with(['{', '[']);
                if map {
                    if let Some(key) = self.next_key()? {
                        if !first {
                            json.push(',');
                        }
                        push_json_string(&mut json, &key);
                        json.push(':');
                        break;
                    }
                    json.push('}');
                } else {
                    if self.next_item()? {
                        if !first {
                            json.push(',');
                        }
                        break;
                    }
                    json.push(']');
                }
                open.pop();
            }
        }
    }

    fn raw_value(&mut self, json: &mut String, open: &mut Vec<bool>) -> Result<()> {
        match self.peek()? {
            Kind::Null => {
                self.take_null()?;
                json.push_str("null");
            }
            Kind::Bool => json.push_str(if self.bool()? { "true" } else { "false" }),
            Kind::Number => json.push_str(&self.number()?),
            Kind::String => push_json_string(json, &self.string()?),
            Kind::Map => {
                self.enter_map()?;
                json.push('{');
                open.push(true);
            }
            Kind::List => {
                self.enter_list()?;
                json.push('[');
                open.push(false);
            }
        }
        Ok(())
    }

    /// Passes over the next value.
    pub(crate) fn skip(&mut self) -> Result<()> {
        let depth = self.depth;
        let mut open: Vec<bool> = Vec::new();
        loop {
            match self.peek()? {
                Kind::Null => self.take_null().map(|_| ())?,
                Kind::Bool => self.bool().map(|_| ())?,
                Kind::Number => self.number().map(|_| ())?,
                Kind::String => self.string().map(|_| ())?,
                Kind::Map => {
                    self.enter_map()?;
                    open.push(true);
                }
                Kind::List => {
                    self.enter_list()?;
                    open.push(false);
                }
            }
            while let Some(map) = open.last().copied() {
                let more = if map { self.next_key()?.is_some() } else { self.next_item()? };
                if more {
                    break;
                }
                open.pop();
            }
            if open.is_empty() {
                debug_assert_eq!(self.depth, depth, "maps and lists are balanced");
                return Ok(());
            }
        }
    }

    /// Passes over the next value, which is a map.
    pub(crate) fn object(&mut self) -> Result<()> {
        self.expect(Kind::Map)?;
        self.skip()
    }

    /// Nothing may follow the value.
    pub(crate) fn end(&mut self) -> Result<()> {
        match &mut self.source {
            Source::Json(lexer) => lexer.end(),
            // The document ended with its only value.
            Source::Yaml(_) => Ok(()),
        }
    }
}
