//! YAML documents as flat token lists: no tree, no recursion, aliases replayed within a budget.
//!
//! Plain scalars are resolved as the YAML 1.1 reader of Kubernetes resolves them: `yes` is true, `0644` is octal.

use std::borrow::Cow;
use std::collections::BTreeMap;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput, Tag};

use crate::error::{Error, Position, Result};
use crate::wire::limits::{Limits, at_most};
use crate::wire::scalar_yaml::{Plain, resolve};
use crate::wire::token::Kind;

#[derive(Debug, Clone)]
enum Item<'a> {
    Null,
    Bool(bool),
    Number(Cow<'a, str>),
    String(Cow<'a, str>),
    MapStart,
    MapEnd,
    ListStart,
    ListEnd,
    Alias(usize),
}

#[derive(Debug, Clone)]
struct Token<'a> {
    line: u32,
    column: u32,
    item: Item<'a>,
}

impl Token<'_> {
    fn position(&self) -> Position {
        Position { line: self.line as usize, column: self.column as usize }
    }
}

/// The documents of one YAML stream.
pub(crate) struct Documents<'a> {
    parser: Parser<'a, StrInput<'a>>,
    limits: Limits,
    values: usize,
    anchors: usize,
    ended: bool,
}

impl<'a> Documents<'a> {
    pub(crate) fn new(text: &'a str, limits: Limits) -> Self {
        Self { parser: Parser::new_from_str(text), limits, values: 0, anchors: 0, ended: false }
    }

    /// The next document that is not empty.
    pub(crate) fn next_document(&mut self) -> Option<Result<Cursor<'a>>> {
        while !self.ended {
            match self.load() {
                Ok(document) if document.is_empty() => {}
                Ok(document) => return Some(Ok(document)),
                Err(error) => {
                    self.ended = true;
                    return Some(Err(error));
                }
            }
        }
        None
    }

    fn load(&mut self) -> Result<Cursor<'a>> {
        let mut document = Loader::new(self.limits);
        loop {
            let Some(event) = self.parser.next_event() else {
                self.ended = true;
                break;
            };
            let (event, span) = event.map_err(|error| syntax(&error))?;
            match event {
                Event::StreamEnd => {
                    self.ended = true;
                    break;
                }
                Event::DocumentEnd => break,
                Event::Nothing | Event::StreamStart | Event::DocumentStart(_) => {}
                event => {
                    self.values += 1;
                    at_most("number of values", self.values, self.limits.values)?;
                    self.anchors += usize::from(anchor(&event) > 0);
                    at_most("number of anchors", self.anchors, self.limits.anchors)?;
                    document.take(event, span)?;
                }
            }
        }
        Ok(Cursor::new(document, self.limits.values))
    }
}

/// What a value is named by; 0 for nothing.
fn anchor(event: &Event<'_>) -> usize {
    match event {
        Event::Scalar(_, _, anchor, _) | Event::MappingStart(anchor, _) | Event::SequenceStart(anchor, _) => *anchor,
        _ => 0,
    }
}

fn syntax(error: &ScanError) -> Error {
    let marker = error.marker();
    Error::Syntax {
        position: Position { line: marker.line(), column: marker.col() + 1 },
        reason: error.info().to_owned(),
    }
}

/// Builds the token list of one document.
struct Loader<'a> {
    tokens: Vec<Token<'a>>,
    /// The tokens that an anchor names, set when its value is complete.
    anchors: BTreeMap<usize, (usize, usize)>,
    /// Where the open maps and lists began, with their anchors.
    open: Vec<(usize, usize)>,
    depth_max: usize,
}

impl<'a> Loader<'a> {
    fn new(limits: Limits) -> Self {
        Self { tokens: Vec::new(), anchors: BTreeMap::new(), open: Vec::new(), depth_max: limits.depth }
    }

    fn push(&mut self, span: Span, item: Item<'a>) -> Result<()> {
        let number = |value: usize| {
            u32::try_from(value)
                .map_err(|_| Error::LimitExceeded { limit: "line or column", maximum: u32::MAX as usize })
        };
        let (line, column) = (number(span.start.line())?, number(span.start.col() + 1)?);
        self.tokens.push(Token { line, column, item });
        Ok(())
    }

    fn take(&mut self, event: Event<'a>, span: Span) -> Result<()> {
        match event {
            Event::Scalar(value, style, anchor, tag) => {
                let item = scalar(compact(value), style, tag.as_deref(), span)?;
                if anchor > 0 {
                    self.anchors.insert(anchor, (self.tokens.len(), self.tokens.len() + 1));
                }
                self.push(span, item)
            }
            Event::MappingStart(anchor, _) => self.begin(span, Item::MapStart, anchor),
            Event::SequenceStart(anchor, _) => self.begin(span, Item::ListStart, anchor),
            Event::MappingEnd => self.end(span, Item::MapEnd),
            Event::SequenceEnd => self.end(span, Item::ListEnd),
            Event::Alias(anchor) => {
                if !self.anchors.contains_key(&anchor) {
                    let position = Position { line: span.start.line(), column: span.start.col() + 1 };
                    return Err(Error::Syntax { position, reason: "alias inside the value that it names".to_owned() });
                }
                self.push(span, Item::Alias(anchor))
            }
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentStart(_) | Event::DocumentEnd => {
                Ok(())
            }
        }
    }

    fn begin(&mut self, span: Span, item: Item<'a>, anchor: usize) -> Result<()> {
        at_most("depth of the text", self.open.len() + 1, self.depth_max)?;
        self.open.push((self.tokens.len(), anchor));
        self.push(span, item)
    }

    fn end(&mut self, span: Span, item: Item<'a>) -> Result<()> {
        self.push(span, item)?;
        if let Some((start, anchor)) = self.open.pop()
            && anchor > 0
        {
            self.anchors.insert(anchor, (start, self.tokens.len()));
        }
        Ok(())
    }
}

/// The parser leaves room for more in each text.
fn compact(value: Cow<'_, str>) -> Cow<'_, str> {
    match value {
        Cow::Owned(mut value) => {
            value.shrink_to_fit();
            Cow::Owned(value)
        }
        Cow::Borrowed(value) => Cow::Borrowed(value),
    }
}

fn scalar<'a>(value: Cow<'a, str>, style: ScalarStyle, tag: Option<&Tag>, span: Span) -> Result<Item<'a>> {
    let core = tag.filter(|tag| tag.is_yaml_core_schema()).map(|tag| tag.suffix.as_str());
    match core {
        Some("str") => return Ok(Item::String(value)),
        Some("int" | "float" | "bool" | "null") | None => {}
        Some(other) => {
            let position = Position { line: span.start.line(), column: span.start.col() + 1 };
            return Err(Error::Syntax { position, reason: format!("the tag !!{other} is not supported") });
        }
    }
    if style != ScalarStyle::Plain && core.is_none() {
        return Ok(Item::String(value));
    }
    Ok(match resolve(&value) {
        Plain::Null => Item::Null,
        Plain::Bool(value) => Item::Bool(value),
        Plain::Number(None) => Item::Number(value),
        Plain::Number(Some(number)) => Item::Number(Cow::Owned(number)),
        Plain::String => Item::String(value),
    })
}

/// Reads one document from the front.
#[derive(Debug)]
pub(crate) struct Cursor<'a> {
    tokens: Vec<Token<'a>>,
    anchors: BTreeMap<usize, (usize, usize)>,
    at: usize,
    /// The aliases being replayed: where each one's value ends, and where to go on after it.
    replays: Vec<(usize, usize)>,
    reads_left: usize,
    reads_max: usize,
}

impl<'a> Cursor<'a> {
    fn new(loader: Loader<'a>, reads_max: usize) -> Self {
        let Loader { tokens, anchors, .. } = loader;
        Self { tokens, anchors, at: 0, replays: Vec::new(), reads_left: reads_max, reads_max }
    }

    /// Whether the document holds nothing, or only null.
    fn is_empty(&self) -> bool {
        match self.tokens.as_slice() {
            [] => true,
            [token] => matches!(token.item, Item::Null),
            _ => false,
        }
    }

    pub(crate) fn mark(&self) -> (usize, Vec<(usize, usize)>) {
        (self.at, self.replays.clone())
    }

    pub(crate) fn reset(&mut self, (at, replays): (usize, Vec<(usize, usize)>)) {
        (self.at, self.replays) = (at, replays);
    }

    /// Follows aliases into their values and returns from them.
    fn settle(&mut self) {
        loop {
            if let Some((end, resume)) = self.replays.last().copied()
                && self.at == end
            {
                self.replays.pop();
                self.at = resume;
            } else if let Some(Token { item: Item::Alias(anchor), .. }) = self.tokens.get(self.at) {
                let (start, end) = self.anchors[anchor];
                self.replays.push((end, self.at + 1));
                self.at = start;
            } else {
                return;
            }
        }
    }

    fn token(&mut self) -> Result<&Token<'a>> {
        let position = self.position();
        self.tokens
            .get(self.at)
            .ok_or_else(|| Error::Syntax { position, reason: "unexpected end of the document".to_owned() })
    }

    fn take(&mut self) -> Result<Item<'a>> {
        let item = self.token()?.item.clone();
        self.at += 1;
        match self.reads_left.checked_sub(1) {
            Some(left) => self.reads_left = left,
            None => return Err(Error::LimitExceeded { limit: "number of values", maximum: self.reads_max }),
        }
        Ok(item)
    }

    pub(crate) fn position(&mut self) -> Position {
        self.settle();
        self.tokens.get(self.at).or_else(|| self.tokens.last()).map(Token::position).unwrap_or_default()
    }

    pub(crate) fn peek(&mut self) -> Result<Kind> {
        Ok(match self.token()?.item {
            Item::Null => Kind::Null,
            Item::Bool(_) => Kind::Bool,
            Item::Number(_) => Kind::Number,
            Item::String(_) => Kind::String,
            Item::ListStart => Kind::List,
            Item::MapStart | Item::MapEnd | Item::ListEnd | Item::Alias(_) => Kind::Map,
        })
    }

    pub(crate) fn enter(&mut self) -> Result<()> {
        self.take().map(|_| ())
    }

    pub(crate) fn next_item(&mut self) -> Result<bool> {
        let more = !matches!(self.token()?.item, Item::ListEnd);
        if !more {
            self.take()?;
        }
        Ok(more)
    }

    pub(crate) fn next_key(&mut self) -> Result<Option<Cow<'a, str>>> {
        let position = self.position();
        match self.take()? {
            Item::MapEnd => Ok(None),
            Item::String(key) if key == "<<" => {
                Err(Error::Syntax { position, reason: "merge keys are not supported".to_owned() })
            }
            Item::String(key) | Item::Number(key) => Ok(Some(key)),
            Item::Bool(key) => Ok(Some(Cow::Borrowed(if key { "true" } else { "false" }))),
            _ => Err(Error::Syntax { position, reason: "a map's key must be a scalar".to_owned() }),
        }
    }

    pub(crate) fn null(&mut self) -> Result<()> {
        self.take().map(|_| ())
    }

    pub(crate) fn bool(&mut self) -> Result<bool> {
        self.take().map(|item| matches!(item, Item::Bool(true)))
    }

    /// The text of a number or a string; the caller has peeked.
    pub(crate) fn text(&mut self) -> Result<Cow<'a, str>> {
        let position = self.position();
        match self.take()? {
            Item::Number(text) | Item::String(text) => Ok(text),
            _ => Err(Error::Syntax { position, reason: "expected a scalar".to_owned() }),
        }
    }
}
