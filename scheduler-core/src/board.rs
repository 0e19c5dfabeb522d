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

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::bounds::{ANYTHING, BLOCK, NOWHERE};
use crate::class::ClassId;
use crate::cluster::Cluster;
use crate::filter::{devices, node, ports, resources};
use crate::plugin::{Filters as _, Plugins, Scores as _, Volumes as _};
use crate::request::PodClass;
use crate::resources::{CPU, MEMORY};
use crate::scale::POINTS_MAX;
use crate::score::scoring::Scoring;
use crate::score::{gpu, images, node as node_score, resources as resource_score};
use crate::shared::Shared;
use crate::slot::NodeId;
use crate::view::{NodeView, PodView};
use counter::Counters;
use group::Groups;
use rank::Admitted;
pub(crate) use rank::Best;
pub(crate) use scan::Scan;

/// Rows of all boards together.
const ROWS_MAX: usize = 1 << 21;
/// A board that is not asked for so many decisions gives way to another.
const IDLE_MAX: u64 = 1 << 10;

/// The boards that are kept.
#[derive(Clone, Debug, Default)]
pub(crate) struct Boards {
    boards: BTreeMap<(Kind, ClassId), Kept>,
    /// Counts the questions.
    clock: u64,
}

#[derive(Clone, Debug)]
struct Kept {
    board: Shared<Board>,
    last_used: u64,
}

/// One class's view of the nodes.
#[derive(Clone, Debug)]
pub(crate) struct Board {
    class: Arc<PodClass>,
    /// How much of the log has been taken in.
    position: u64,
    epoch: u64,
    own: Own,
    fixed: Shared<Vec<Fixed>>,
    counters: Counters,
    groups: Groups,
    admitted: Admitted,
    kind: Kind,
    /// What is added to the bound of a row's points.
    extra: Shared<Vec<[i16; BLOCK]>>,
}

/// What a board is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// One class: the groups have the nodes on which it fits, the best first.
    Class,
    /// All classes that differ in requests, ports and priority only: the groups have all eligible nodes.
    Shape,
}

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
    pub(crate) fn of<P: Plugins>(
        &mut self,
        ground: &Ground<'_, P>,
        id: ClassId,
        class: &Arc<PodClass>,
        kind: Kind,
    ) -> Option<&Board> {
        self.clock += 1;
        let id = (kind, id);
        let known = self.boards.get(&id).is_some_and(|kept| Arc::ptr_eq(&kept.board.class, class));
        if !known {
            self.boards.remove(&id);
            self.make_room(ground.cluster)?;
            let board = Board::new(ground, class, kind)?;
            self.boards.insert(id, Kept { board: Shared::new(board), last_used: 0 });
        }
        let Kept { board, last_used } = self.boards.get_mut(&id).expect("it was there, or has just been made");
        *last_used = self.clock;
        // What forks share is copied only where there is something to take in.
        if board.is_behind(ground.cluster) {
            board.refresh(ground)?;
        }
        if kind == Kind::Class && !board.is_admitted() {
            board.admit(ground.scoring);
        }
        Some(board)
    }

    /// `None` when the boards that are there are all in use.
    fn make_room(&mut self, cluster: &Cluster) -> Option<()> {
        let rows = cluster.nodes.rows().max(1);
        while (self.boards.len() + 1) * rows > ROWS_MAX {
            let (id, kept) = self.boards.iter().min_by_key(|(_, kept)| kept.last_used)?;
            if self.clock - kept.last_used < IDLE_MAX {
                return None;
            }
            let id = *id;
            self.boards.remove(&id);
        }
        Some(())
    }
}

/// What boards are made from.
#[derive(Debug)]
pub(crate) struct Ground<'a, P> {
    pub(crate) cluster: &'a Cluster,
    pub(crate) scoring: &'a Scoring,
    pub(crate) plugins: &'a P,
}

impl<P: Plugins> Ground<'_, P> {
    /// Whether the caller's own filters let a class onto a node.
    fn lets(&self, class: &PodClass, node: NodeId) -> bool {
        let (pod, node) = self.views(class, node);
        let volumes = class.claims.is_empty() || self.plugins.volumes().check(&pod, &node).is_ok();
        volumes && self.plugins.filters().check(&pod, &node).is_ok()
    }

    /// What the caller's own scores give a node.
    fn points(&self, class: &PodClass, node: NodeId) -> i64 {
        let (pod, node) = self.views(class, node);
        self.plugins.scores().points(&pod, &node)
    }

    fn views<'v>(&'v self, class: &'v PodClass, node: NodeId) -> (PodView<'v>, NodeView<'v>) {
        let cluster = self.cluster;
        (PodView { cluster, class, pod: None }, NodeView { cluster, node, supposed: None })
    }
}

/// The parts of the scores that depend on a node alone, for one pod.
#[derive(Clone, Debug)]
struct Own {
    fit: resource_score::Fit,
    fit_weight: i64,
    balance: Option<resource_score::Balance>,
    balance_weight: i64,
    gpu: Option<(i64, Arc<gpu::Strategy>)>,
}

impl Own {
    fn new(scoring: &Scoring, class: &PodClass) -> Self {
        use crate::profile::ScorePlugin::{GpuShare, NodeResourcesBalancedAllocation, NodeResourcesFit};
        let gpu_weight = scoring.weight(GpuShare);
        let balance = resource_score::Balance::new(scoring, class);
        Self {
            fit: resource_score::Fit::new(scoring, class),
            fit_weight: scoring.weight(NodeResourcesFit),
            balance,
            balance_weight: scoring.weight(NodeResourcesBalancedAllocation),
            gpu: (gpu_weight != 0).then(|| (gpu_weight, Arc::clone(&scoring.gpu))),
        }
    }

    /// The most points that a node can get.
    fn most(&self) -> i64 {
        let gpu = self.gpu.as_ref().map_or(0, |(weight, _)| weight * gpu::MOST);
        POINTS_MAX * (self.fit_weight + self.balance_weight) + gpu
    }

    fn points(&self, cluster: &Cluster, class: &PodClass, node: NodeId) -> i64 {
        let balance = self.balance.as_ref().map_or(0, |balance| self.balance_weight * balance.points(cluster, node));
        let gpu = self.gpu.as_ref().map_or(0, |(weight, gpu)| weight * gpu.points(cluster, class, node));
        self.fit_weight * self.fit.points(cluster, node) + balance + gpu
    }
}

impl Fixed {
    /// What is added to the bound of a node's points: as much as can be where bounds do not describe it.
    fn extra<P: Plugins>(&self, ground: &Ground<'_, P>, node: NodeId) -> i16 {
        let bounded = [CPU, MEMORY].into_iter().all(|resource| ground.cluster.nodes.allocatable(node, resource) > 0);
        match self.eligible {
            false => NOWHERE,
            true if !bounded => ANYTHING,
            true => i16::try_from(self.image_points + ground.plugins.scores().most()).unwrap_or(ANYTHING),
        }
    }
}

impl Board {
    /// `None` for a class that groups of nodes cannot express.
    fn new<P: Plugins>(ground: &Ground<'_, P>, class: &Arc<PodClass>, kind: Kind) -> Option<Self> {
        let Ground { cluster, scoring, plugins } = *ground;
        let mut board = Self {
            class: Arc::clone(class),
            position: cluster.log.end(),
            epoch: cluster.epoch(),
            own: Own::new(scoring, class),
            fixed: Shared::new(vec![Fixed::default(); cluster.nodes.rows()]),
            counters: Counters::new(cluster, scoring, class)?,
            groups: Groups::new(cluster.nodes.rows()),
            admitted: Admitted::default(),
            kind,
            extra: Shared::new(vec![[NOWHERE; BLOCK]; cluster.nodes.rows().div_ceil(BLOCK)]),
        };
        let image_weight = scoring.weight(crate::profile::ScorePlugin::ImageLocality);
        if board.own.most() + plugins.scores().most() + POINTS_MAX * image_weight > group::POINTS_MAX {
            return None;
        }
        for node in cluster.nodes.ids() {
            board.fixed[node.row()] = Fixed {
                eligible: node::unschedulable(cluster, class, node).is_none()
                    && node::taints(cluster, class, node).is_none()
                    && node::affinity(cluster, class, node).is_none(),
                intolerable: node_score::intolerable(cluster, class, node),
                preferred: node_score::preferred(cluster, class, node),
                image_points: image_weight * images::points(cluster, class, node),
            };
            board.extra[node.row() / BLOCK][node.row() % BLOCK] = board.fixed[node.row()].extra(ground, node);
            for pod in cluster.nodes.pods(node) {
                let staying = i64::from(cluster.stays(*pod));
                board.counters.count(cluster, node, cluster.shape(*pod), 1, staying);
            }
        }
        board.place_all(ground);
        Some(board)
    }

    fn is_behind(&self, cluster: &Cluster) -> bool {
        (self.position, self.epoch) != (cluster.log.end(), cluster.epoch())
    }

    /// Takes in what changed; `None` when the class can no longer be expressed.
    fn refresh<P: Plugins>(&mut self, ground: &Ground<'_, P>) -> Option<()> {
        let cluster = ground.cluster;
        let entries = cluster.log.since(self.position).filter(|_| self.epoch == cluster.epoch());
        let Some(entries) = entries else {
            *self = Self::new(ground, &Arc::clone(&self.class), self.kind)?;
            return Some(());
        };
        let mut changed: Vec<NodeId> = Vec::new();
        for entry in entries {
            self.counters.count(cluster, entry.node, (entry.id, &entry.shape), entry.change, entry.staying);
            if changed.last() != Some(&entry.node) {
                changed.push(entry.node);
            }
        }
        changed.sort_unstable();
        changed.dedup();
        self.position = cluster.log.end();
        if self.counters.layout_changed() {
            self.place_all(ground);
            return Some(());
        }
        for node in changed {
            self.place(ground, node);
        }
        Some(())
    }

    fn place_all<P: Plugins>(&mut self, ground: &Ground<'_, P>) {
        self.counters.lay_out();
        self.groups.clear();
        for node in ground.cluster.nodes.ids() {
            self.place(ground, node);
        }
    }

    /// Puts a node into the group where it belongs now.
    fn place<P: Plugins>(&mut self, ground: &Ground<'_, P>, node: NodeId) {
        let cluster = ground.cluster;
        let fixed = self.fixed[node.row()];
        let usage = cluster.nodes.actual(node);
        let fits = fixed.eligible
            && devices::check(&self.class, &usage).is_none()
            && (self.kind == Kind::Shape
                || ports::check(&self.class, &usage).is_none()
                    && resources::check(cluster, &self.class, node, &usage).is_none()
                    && ground.lets(&self.class, node));
        if !fits {
            self.groups.take_out(node);
            return;
        }
        let points = match self.kind {
            Kind::Class => {
                self.own.points(cluster, &self.class, node) + fixed.image_points + ground.points(&self.class, node)
            }
            Kind::Shape => 0,
        };
        let counters = &self.counters;
        self.groups.put(node, points, |key| {
            key.extend([fixed.intolerable, fixed.preferred]);
            counters.write_key(cluster, node, key);
        });
    }
}
