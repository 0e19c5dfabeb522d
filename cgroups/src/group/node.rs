//! Memory by the node of the machine that it is on.

use crate::controller::Version;
use crate::error::{Error, Result};
use crate::format::{self, FormatError};
use crate::group::Group;
use crate::stats::HugetlbNodes;
use crate::v2;
use crate::value::Bytes;

/// Memory of a group on one node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct MemoryNode {
    /// The node's number.
    pub node: u32,
    /// Memory that belongs to no file.
    pub anon: Bytes,
    /// Page cache, shared memory included.
    pub file: Bytes,
    /// Memory that cannot be reclaimed.
    pub unevictable: Bytes,
}

impl Group {
    /// Memory of the group and those below it on each node; empty where the group does not have the controller.
    ///
    /// Kernel: `memory.numa_stat`, v2 since 5.10; v1 counts whole pages.
    ///
    /// Errors: [`Error::Gone`] if the group was removed.
    pub fn memory_by_node(&self) -> Result<Vec<MemoryNode>> {
        let mut nodes = Vec::new();
        let page = Bytes::new(rustix::param::page_size() as u64);
        for (version, prefix, unit) in [(Version::V1, "hierarchical_", page), (Version::V2, "", Bytes::new(1))] {
            let file = "memory.numa_stat";
            let Some(directory) = self.directory_of(version, file) else { continue };
            let Some(content) = directory.read(file)? else { continue };
            nodes = parse(content.as_bytes(), prefix.as_bytes(), unit)
                .map_err(|FormatError(reason)| Error::Malformed { file: directory.file(file), reason })?;
        }
        self.check_there()?;
        Ok(nodes)
    }

    /// Huge pages in use on each memory node; empty where the group does not have the controller.
    ///
    /// Kernel: `hugetlb.SIZE.numa_stat`, since 5.17.
    ///
    /// Errors: [`Error::Gone`] if the group was removed.
    pub fn hugetlb_by_node(&self) -> Result<Vec<HugetlbNodes>> {
        let mut sizes = Vec::new();
        for version in [Version::V1, Version::V2] {
            let Some(directory) = self.directory_of(version, "hugetlb") else { continue };
            for file in directory.files()? {
                let Some((page_size, "numa_stat")) = v2::hugetlb::size_of_file(&file) else { continue };
                let Some(content) = directory.read(&file)? else { continue };
                match v2::hugetlb::by_node(content.as_bytes()) {
                    Ok(nodes) => sizes.push(HugetlbNodes { page_size, nodes }),
                    Err(FormatError(reason)) => return Err(Error::Malformed { file: directory.file(&file), reason }),
                }
            }
        }
        self.check_there()?;
        sizes.sort_by_key(|size| size.page_size);
        Ok(sizes)
    }
}

/// Reads lines `KIND N0=AMOUNT N1=AMOUNT`, of which v1 has the sum in the first word: `KIND=SUM`.
fn parse(content: &[u8], prefix: &[u8], unit: Bytes) -> format::Result<Vec<MemoryNode>> {
    let mut nodes: Vec<MemoryNode> = Vec::new();
    for line in format::lines(content) {
        let mut words = format::words(line);
        let first = words.next().unwrap_or_default();
        let kind = format::pair(first).map_or(first, |(kind, _)| kind);
        let field: fn(&mut MemoryNode) -> &mut Bytes = match kind.strip_prefix(prefix) {
            Some(b"anon") => |node| &mut node.anon,
            Some(b"file") => |node| &mut node.file,
            Some(b"unevictable") => |node| &mut node.unevictable,
            _ => continue,
        };
        for word in words {
            let (node, amount) = v2::hugetlb::node(word)?;
            let amount = amount.get().checked_mul(unit.get()).ok_or(FormatError("a number is too great"))?;
            let place = nodes.iter().position(|found| found.node == node).unwrap_or_else(|| {
                nodes.push(MemoryNode { node, ..MemoryNode::default() });
                nodes.len() - 1
            });
            *field(&mut nodes[place]) = Bytes::new(amount);
        }
    }
    Ok(nodes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_versions_count_bytes() {
        let v2 = b"anon N0=8192 N1=4096\nfile N0=0 N1=0\nkernel_stack N0=1 N1=1\nunevictable N0=4096 N1=0\n";
        let v1 = b"total=9 N0=9 N1=0\nanon=7 N0=7\nhierarchical_total=3 N0=2 N1=1\nhierarchical_file=0 N0=0 N1=0\n\
                   hierarchical_anon=3 N0=2 N1=1\nhierarchical_unevictable=1 N0=1 N1=0\n";
        let node = |node, anon, unevictable| MemoryNode {
            node,
            anon: Bytes::new(anon),
            file: Bytes::new(0),
            unevictable: Bytes::new(unevictable),
        };
        let expected = vec![node(0, 8192, 4096), node(1, 4096, 0)];
        assert_eq!(parse(v2, b"", Bytes::new(1)), Ok(expected.clone()));
        assert_eq!(parse(v1, b"hierarchical_", Bytes::new(4096)), Ok(expected));
        assert!(parse(b"anon N0\n", b"", Bytes::new(1)).is_err());
    }
}
