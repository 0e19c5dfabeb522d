//! Image locality: bytes that the node need not pull, less so the more nodes have them.

use crate::cluster::Cluster;
use crate::request::PodClass;
use crate::scale::POINTS_MAX;
use crate::slot::NodeId;

const MEBIBYTE: i64 = 1024 * 1024;
const BYTES_MIN: i64 = 23 * MEBIBYTE;
const BYTES_MAX_PER_CONTAINER: i64 = 1000 * MEBIBYTE;

pub(crate) fn score(cluster: &Cluster, class: &PodClass, nodes: &[NodeId]) -> Vec<i64> {
    nodes.iter().map(|node| points(cluster, class, *node)).collect()
}

pub(crate) fn points(cluster: &Cluster, class: &PodClass, node: NodeId) -> i64 {
    let containers = i64::try_from(class.images.len()).expect("a pod's containers fit in memory");
    let most = BYTES_MAX_PER_CONTAINER * containers.max(1);
    let present = class.images.iter().filter(|name| cluster.nodes.has_image(node, **name));
    let known = present.filter_map(|name| cluster.nodes.image(*name));
    let bytes: i64 = known.map(|image| spread(image.bytes, image.nodes, cluster.nodes.len())).sum();
    POINTS_MAX * (bytes.clamp(BYTES_MIN, most) - BYTES_MIN) / (most - BYTES_MIN)
}

#[expect(clippy::cast_precision_loss, reason = "kube-scheduler multiplies the same integers as 64-bit floats")]
#[expect(clippy::cast_possible_truncation, reason = "not above the size itself, and the fraction is cut off")]
fn spread(bytes: i64, having: i64, all: usize) -> i64 {
    (bytes as f64 * (having as f64 / all as f64)) as i64
}
