//! Boards: for a class that is asked about again and again, every node's fitness kept up to date.
//!
//! A board holds the feasible nodes of one pod class in groups. The nodes of a group have everything in common that
//! depends on other nodes: their topology domains, the counts of pods there, the taints and terms that scores compare
//! over all nodes. What is left depends on the node alone, and orders it within its group. A decision then looks at
//! the groups, not at the nodes, and takes the first of the best group; a change on a node moves that node only.
//!
//! What a board answers is exactly what the loop over all nodes would; that loop decides where there is no board.

mod counter;
mod group;
mod rank;
mod scan;

use std::collections::HashMap;
use std::sync::Arc;

use crate::class::ClassId;
use crate::cluster::Cluster;
use crate::filter::{node, ports, resources};
use crate::request::PodClass;
use crate::resources::{CPU, MEMORY};
use crate::score::scoring::Scoring;
use crate::score::{images, node as node_score, resources as resource_score};
use crate::slot::NodeId;
use counter::Counters;
use group::Groups;
pub(crate) use rank::Best;
pub(crate) use scan::Scan;

/// Rows of all boards together.
const ROWS_MAX: usize = 1 << 21;
/// A board that is not asked for so many decisions gives way to another.
const IDLE_MAX: u64 = 1 << 10;

/// The boards that are kept.
#[derive(Clone, Debug, Default)]
pub(crate) struct Boards {
    boards: HashMap<(Kind, ClassId), Board>,
    /// Counts the questions.
    clock: u64,
}

/// One class's view of the nodes.
#[derive(Clone, Debug)]
pub(crate) struct Board {
    class: Arc<PodClass>,
    last_used: u64,
    /// How much of the log has been taken in.
    position: u64,
    epoch: u64,
    fixed: Vec<Fixed>,
    counters: Counters,
    groups: Groups,
    kind: Kind,
    /// What is added to the bound of a row's points: minus infinity for nodes that are not eligible.
    extra: Vec<f32>,
}

/// What a board is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// One class: the groups have the nodes on which it fits, the best first.
    Class,
    /// All classes that differ in requests, ports and priority only: the groups have all eligible nodes.
    Shape,
}

/// Above every bound, for nodes that bounds do not describe.
const UNBOUNDED: f32 = 1e30;

/// What a node is to the class whatever runs on it.
#[derive(Clone, Copy, Debug, Default)]
struct Fixed {
    eligible: bool,
    intolerable: i64,
    preferred: i64,
    /// Weighted.
    image_points: i64,
}

impl Boards {
    /// The up-to-date board of a class, made when there is room for it.
    pub(crate) fn of(
        &mut self,
        cluster: &Cluster,
        scoring: &Scoring,
        id: ClassId,
        class: &Arc<PodClass>,
        kind: Kind,
    ) -> Option<&Board> {
        self.clock += 1;
        let id = (kind, id);
        let known = self.boards.get(&id).is_some_and(|board| Arc::ptr_eq(&board.class, class));
        if !known {
            self.boards.remove(&id);
            self.make_room(cluster)?;
            let board = Board::new(cluster, scoring, class, kind)?;
            self.boards.insert(id, board);
        }
        let board = self.boards.get_mut(&id).expect("it was there, or has just been made");
        board.last_used = self.clock;
        board.refresh(cluster, scoring)?;
        Some(board)
    }

    /// `None` when the boards that are there are all in use.
    fn make_room(&mut self, cluster: &Cluster) -> Option<()> {
        let rows = cluster.nodes.rows().max(1);
        while (self.boards.len() + 1) * rows > ROWS_MAX {
            let (id, board) = self.boards.iter().min_by_key(|(_, board)| board.last_used)?;
            if self.clock - board.last_used < IDLE_MAX {
                return None;
            }
            let id = *id;
            self.boards.remove(&id);
        }
        Some(())
    }
}

/// The parts of the scores that depend on a node alone, for one pod.
struct Own<'a> {
    fit: resource_score::Fit<'a>,
    fit_weight: i64,
    balance: Option<resource_score::Balance>,
    balance_weight: i64,
}

impl<'a> Own<'a> {
    fn new(scoring: &'a Scoring, class: &PodClass) -> Self {
        use crate::profile::ScorePlugin::{NodeResourcesBalancedAllocation, NodeResourcesFit};
        let balance = resource_score::Balance::new(scoring, class);
        Self {
            fit: resource_score::Fit::new(scoring, class),
            fit_weight: scoring.weight(NodeResourcesFit),
            balance,
            balance_weight: scoring.weight(NodeResourcesBalancedAllocation),
        }
    }

    fn points(&self, cluster: &Cluster, node: NodeId) -> i64 {
        let balance = self.balance.as_ref().map_or(0, |balance| self.balance_weight * balance.points(cluster, node));
        self.fit_weight * self.fit.points(cluster, node) + balance
    }
}

impl Fixed {
    #[expect(clippy::cast_precision_loss, reason = "for a bound")]
    fn extra(&self, cluster: &Cluster, node: NodeId) -> f32 {
        let bounded = [CPU, MEMORY].into_iter().all(|resource| cluster.nodes.allocatable(node, resource) > 0);
        match (self.eligible, bounded) {
            (false, _) => f32::NEG_INFINITY,
            (true, false) => UNBOUNDED,
            (true, true) => self.image_points as f32,
        }
    }
}

impl Board {
    /// `None` for a class that groups of nodes cannot express.
    fn new(cluster: &Cluster, scoring: &Scoring, class: &Arc<PodClass>, kind: Kind) -> Option<Self> {
        let mut board = Self {
            class: Arc::clone(class),
            last_used: 0,
            position: cluster.log.end(),
            epoch: cluster.epoch(),
            fixed: vec![Fixed::default(); cluster.nodes.rows()],
            counters: Counters::new(cluster, scoring, class)?,
            groups: Groups::new(cluster.nodes.rows()),
            kind,
            extra: vec![f32::NEG_INFINITY; cluster.nodes.rows()],
        };
        let image_weight = scoring.weight(crate::profile::ScorePlugin::ImageLocality);
        for node in cluster.nodes.ids() {
            board.fixed[node.row()] = Fixed {
                eligible: node::unschedulable(cluster, class, node).is_none()
                    && node::taints(cluster, class, node).is_none()
                    && node::affinity(cluster, class, node).is_none(),
                intolerable: node_score::intolerable(cluster, class, node),
                preferred: node_score::preferred(cluster, class, node),
                image_points: image_weight * images::points(cluster, class, node),
            };
            board.extra[node.row()] = board.fixed[node.row()].extra(cluster, node);
            for pod in cluster.nodes.pods(node) {
                let staying = i64::from(cluster.stays(*pod));
                board.counters.count(cluster, node, cluster.pods.get(*pod).class, cluster.class(*pod), 1, staying);
            }
        }
        board.place_all(cluster, scoring);
        Some(board)
    }

    /// Takes in what changed; `None` when the class can no longer be expressed.
    fn refresh(&mut self, cluster: &Cluster, scoring: &Scoring) -> Option<()> {
        let entries = cluster.log.since(self.position).filter(|_| self.epoch == cluster.epoch());
        let Some(entries) = entries else {
            let last_used = self.last_used;
            *self = Self::new(cluster, scoring, &Arc::clone(&self.class), self.kind)?;
            self.last_used = last_used;
            return Some(());
        };
        let mut changed: Vec<NodeId> = Vec::new();
        for entry in entries {
            self.counters.count(cluster, entry.node, entry.id, &entry.class, entry.change, entry.staying);
            if !changed.contains(&entry.node) {
                changed.push(entry.node);
            }
        }
        self.position = cluster.log.end();
        if self.counters.layout_changed() {
            self.place_all(cluster, scoring);
            return Some(());
        }
        let class = Arc::clone(&self.class);
        let own = Own::new(scoring, &class);
        for node in changed {
            self.place(cluster, &own, node);
        }
        Some(())
    }

    fn place_all(&mut self, cluster: &Cluster, scoring: &Scoring) {
        self.counters.lay_out();
        self.groups = Groups::new(cluster.nodes.rows());
        let class = Arc::clone(&self.class);
        let own = Own::new(scoring, &class);
        for node in cluster.nodes.ids() {
            self.place(cluster, &own, node);
        }
    }

    /// Puts a node into the group where it belongs now.
    fn place(&mut self, cluster: &Cluster, own: &Own<'_>, node: NodeId) {
        let fixed = self.fixed[node.row()];
        let usage = cluster.nodes.actual(node);
        let fits = fixed.eligible
            && (self.kind == Kind::Shape
                || ports::check(&self.class, &usage).is_none()
                    && resources::check(cluster, &self.class, node, &usage).is_none());
        if !fits {
            self.groups.take_out(node);
            return;
        }
        let points = match self.kind {
            Kind::Class => own.points(cluster, node) + fixed.image_points,
            Kind::Shape => 0,
        };
        let counters = &self.counters;
        self.groups.put(node, points, |key| {
            key.extend([fixed.intolerable, fixed.preferred]);
            counters.write_key(cluster, node, key);
        });
    }
}
