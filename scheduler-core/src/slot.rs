//! The numbers by which nodes and pods are stored.

/// A row of the node table. Rows of removed nodes are used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct NodeId(pub(crate) u32);

impl NodeId {
    /// The node of a row.
    pub(crate) fn at(row: usize) -> Self {
        Self(u32::try_from(row).expect("rows are counted in 32 bits"))
    }

    pub(crate) fn row(self) -> usize {
        self.0 as usize
    }
}

/// A slot of the pod table. Slots of removed pods are used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct PodSlot(pub(crate) u32);
