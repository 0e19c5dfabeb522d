//! How lists and maps are read and written, whatever they hold.

use std::collections::BTreeMap;

use crate::error::{ProblemKind, Result};
use crate::wire::path::Segment;
use crate::wire::reader::Reader;
use crate::wire::writer::Writer;

/// Each element is read where it stays: some are large.
pub(super) fn read_list<T: Default>(
    list: &mut Vec<T>,
    reader: &mut Reader<'_>,
    mut take: impl FnMut(&mut T, &mut Reader<'_>) -> Result<()>,
) -> Result<()> {
    list.clear();
    if reader.take_null()? {
        return Ok(());
    }
    reader.enter_list()?;
    while reader.next_item()? {
        reader.element(list.len(), size_of::<T>())?;
        reader.push(Segment::Index(list.len()))?;
        list.push(T::default());
        if let Some(value) = list.last_mut() {
            take(value, reader)?;
        }
        reader.pop();
    }
    Ok(())
}

pub(super) fn write_list<T>(list: &[T], writer: &mut Writer, put: impl Fn(&T, &mut Writer)) {
    if list.is_empty() {
        // What Kubernetes writes for a list that was never set.
        writer.literal("null");
        return;
    }
    writer.begin_list();
    for value in list {
        writer.item();
        put(value, writer);
    }
    writer.end_list();
}

pub(super) fn read_map<T: Default>(
    map: &mut BTreeMap<String, T>,
    reader: &mut Reader<'_>,
    mut take: impl FnMut(&mut T, &mut Reader<'_>) -> Result<()>,
) -> Result<()> {
    map.clear();
    if reader.take_null()? {
        return Ok(());
    }
    reader.enter_map()?;
    while let Some(key) = reader.next_key()? {
        if map.contains_key(&*key) {
            reader.problem(&key, ProblemKind::DuplicateField);
        }
        reader.entry(map.len(), size_of::<(String, T)>())?;
        let mut value = T::default();
        reader.push(Segment::Key(key.as_ref().into()))?;
        take(&mut value, reader)?;
        reader.pop();
        map.insert(key.into_owned(), value);
    }
    Ok(())
}

pub(super) fn write_map<T>(map: &BTreeMap<String, T>, writer: &mut Writer, put: impl Fn(&T, &mut Writer)) {
    if map.is_empty() {
        writer.literal("null");
        return;
    }
    writer.begin_map();
    for (key, value) in map {
        writer.key(key);
        put(value, writer);
    }
    writer.end_map();
}
