//! Amounts of resources, in the units that the scheduler counts: millicores, bytes, and whole units of everything else.

use std::sync::Arc;

/// The largest amount accepted for one resource of one object. It keeps every sum and every `amount * 100` in an `i64`.
pub(crate) const AMOUNT_MAX: i64 = 1 << 55;

/// What one pod asks for in the scores when it names nothing: a tenth of a core.
pub(crate) const DEFAULT_MILLICORES: i64 = 100;
/// What one container asks for in the scores when it names nothing: 200 MiB.
pub(crate) const DEFAULT_MEMORY_BYTES: i64 = 200 * 1024 * 1024;

/// The column of one resource in the node table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ResourceId(u16);

pub(crate) const CPU: ResourceId = ResourceId(0);
pub(crate) const MEMORY: ResourceId = ResourceId(1);
pub(crate) const EPHEMERAL_STORAGE: ResourceId = ResourceId(2);

impl ResourceId {
    pub(crate) fn column(self) -> usize {
        usize::from(self.0)
    }

    /// Whether the resource is neither cpu, memory nor ephemeral storage.
    pub(crate) fn is_scalar(self) -> bool {
        self > EPHEMERAL_STORAGE
    }
}

/// The names of the resources, by column.
#[derive(Clone, Debug)]
pub(crate) struct Catalog(Vec<Arc<str>>);

impl Default for Catalog {
    fn default() -> Self {
        Self(vec!["cpu".into(), "memory".into(), "ephemeral-storage".into()])
    }
}

impl Catalog {
    /// The column of a resource, `None` when there are more distinct resources than columns.
    pub(crate) fn intern(&mut self, name: &str) -> Option<ResourceId> {
        if let Some(found) = self.get(name) {
            return Some(found);
        }
        let id = ResourceId(u16::try_from(self.0.len()).ok()?);
        self.0.push(name.into());
        Some(id)
    }

    pub(crate) fn get(&self, name: &str) -> Option<ResourceId> {
        let index = self.0.iter().position(|known| &**known == name)?;
        u16::try_from(index).ok().map(ResourceId)
    }

    pub(crate) fn name(&self, id: ResourceId) -> &Arc<str> {
        &self.0[id.column()]
    }
}

/// What a pod requests, after containers, init containers, sidecars and overhead were added up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Requests {
    /// cpu in millicores, memory and ephemeral storage in bytes.
    pub(crate) base: [i64; 3],
    /// Everything else, ordered by name.
    pub(crate) scalars: Box<[(ResourceId, i64)]>,
    /// cpu and memory as the scores count them: a container that names none counts with a default.
    pub(crate) scored: [i64; 2],
}

impl Requests {
    pub(crate) fn amount(&self, id: ResourceId) -> i64 {
        match self.base.get(id.column()) {
            Some(amount) => *amount,
            None => self.scalars.iter().find(|scalar| scalar.0 == id).map_or(0, |scalar| scalar.1),
        }
    }

    /// Every requested resource with its amount, zero amounts included.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (ResourceId, i64)> + '_ {
        let base = [CPU, MEMORY, EPHEMERAL_STORAGE].into_iter().zip(self.base);
        base.chain(self.scalars.iter().copied())
    }
}

/// Whether a resource name is one that nodes count as plain integers (extended, hugepages, prefixed native, volumes).
pub(crate) fn is_scalar_name(name: &str) -> bool {
    let extended = name.contains('/') && !name.contains("kubernetes.io/") && !name.starts_with("requests.");
    extended
        || name.contains("kubernetes.io/")
        || name.starts_with("hugepages-")
        || name.starts_with("attachable-volumes-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_table() {
        for (name, scalar) in [
            ("cpu", false),
            ("memory", false),
            ("pods", false),
            ("storage", false),
            ("example.com/gpu", true),
            ("requests.example.com/gpu", false),
            ("hugepages-2Mi", true),
            ("attachable-volumes-aws-ebs", true),
            ("kubernetes.io/thing", true),
        ] {
            assert_eq!(is_scalar_name(name), scalar, "{name}");
        }
    }

    #[test]
    fn the_catalog_keeps_columns() {
        let mut catalog = Catalog::default();
        let gpu = catalog.intern("example.com/gpu").unwrap();
        assert_eq!(catalog.intern("example.com/gpu"), Some(gpu));
        assert_eq!(catalog.get("cpu"), Some(CPU));
        assert_eq!((gpu.column(), &**catalog.name(gpu)), (3, "example.com/gpu"));
        assert!(gpu.is_scalar() && !EPHEMERAL_STORAGE.is_scalar());
    }
}
