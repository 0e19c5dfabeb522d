//! The endpoints of a service, kept in slices while its pods change.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::endpoint::{PortKey, endpoint, has_address, port_key, ports};
use super::family::{Family, families};
use super::{Skipped, Wanted, template};
use crate::kinds::{Endpoint, EndpointSlice, EndpointSlicePort, Node, Pod, Service};
use crate::selector::Selector;
use crate::wire::text::Text as _;
use crate::wire::time::Time;

/// One slice of an [`Index`]; the caller keeps the name of the object that it was written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SliceId(u64);

/// What became of a slice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It is new.
    Create(SliceId),
    /// It tells something else.
    Update(SliceId),
    /// It is gone.
    Delete(SliceId),
}

/// The slices of one service, told pod by pod (known by `metadata.uid`) what there is.
///
/// A pod that changes concerns the slice that it is in, and no other; a new one goes into the slice that has the most
/// endpoints and room for one more, so slices are filled before there are new ones.
///
/// ```
/// use windlass_pod::endpoints::{Change, Index};
/// use windlass_pod::{Node, Pod, Service, decode_yaml_as};
///
/// let service: Service = decode_yaml_as(
///     b"{metadata: {name: web, namespace: a}, spec: {clusterIP: 10.96.0.9, selector: {app: web}, ports: [{port: 80}]}}",
/// )
/// .unwrap();
/// let pod: Pod = decode_yaml_as(
///     b"{metadata: {name: p, namespace: a, uid: '1', labels: {app: web}}, spec: {nodeName: one}, status: {podIP: 10.1.0.2, \
///       podIPs: [{ip: 10.1.0.2}]}}",
/// )
/// .unwrap();
/// let mut index = Index::new(&service, 100);
/// index.set(&pod, Some(&Node::default())).unwrap();
/// let changes = index.changes(None);
/// let [Change::Create(id)] = changes[..] else { panic!("{changes:?}") };
/// assert_eq!(index.slice(id).unwrap().endpoints[0].addresses, ["10.1.0.2"]);
/// ```
#[derive(Debug, Clone)]
pub struct Index {
    service: Service,
    /// `None` where somebody else keeps the slices.
    selector: Option<Selector>,
    per_slice_max: usize,
    families: Vec<Shelf>,
    slices: BTreeMap<SliceId, Kept>,
    numbers: HashMap<String, u64>,
    seats: HashMap<u64, Vec<Seat>>,
    skipped: BTreeMap<u64, Skipped>,
    next: u64,
    changed: BTreeSet<SliceId>,
    /// Slices that are gone and were told of.
    deleted: Vec<SliceId>,
}

/// The slices of a family: pods with the same ports share them.
#[derive(Debug, Clone)]
struct Shelf {
    family: Family,
    groups: BTreeMap<PortKey, Group>,
    /// Says that the service is known while it has no endpoint.
    placeholder: Option<SliceId>,
}

#[derive(Debug, Clone, Default)]
struct Group {
    slices: BTreeSet<SliceId>,
    /// Those with room, by how many endpoints they have.
    open: BTreeSet<(usize, Reverse<SliceId>)>,
}

#[derive(Debug, Clone)]
struct Kept {
    slice: EndpointSlice,
    /// Whose the endpoints are, in their order.
    numbers: Vec<u64>,
    told: bool,
}

/// Where a pod is in a family.
#[derive(Debug, Clone, PartialEq)]
struct Seat {
    shelf: usize,
    key: PortKey,
    slice: SliceId,
}

impl Index {
    /// No pods yet. A service without a selector has no slices: somebody else keeps them.
    pub fn new(service: &Service, per_slice_max: usize) -> Self {
        let external = service.spec.selector.is_empty() || service.spec.type_.text() == "ExternalName";
        let shelf = |family| Shelf { family, groups: BTreeMap::new(), placeholder: None };
        let mut index = Self {
            service: service.clone(),
            selector: (!external).then(|| Selector::from_labels(&service.spec.selector)),
            per_slice_max: per_slice_max.max(1),
            families: families(service).into_iter().map(shelf).collect(),
            slices: BTreeMap::new(),
            numbers: HashMap::new(),
            seats: HashMap::new(),
            skipped: BTreeMap::new(),
            next: 0,
            changed: BTreeSet::new(),
            deleted: Vec::new(),
        };
        for shelf in 0..index.families.len() {
            index.hold_place(shelf);
        }
        index
    }

    /// Takes in a pod, or what became of it or of its node, and says whether it is an endpoint or why not.
    ///
    /// Pods that the selector does not match, of other namespaces, or that cannot be reached are no endpoints, and that
    /// is no error.
    ///
    /// # Errors
    /// Its node is not known, and the service publishes only what is ready.
    pub fn set(&mut self, pod: &Pod, node: Option<&Node>) -> Result<(), Skipped> {
        let uid = pod.metadata.uid.text();
        let number = if let Some(number) = self.numbers.get(uid) {
            *number
        } else {
            let number = self.number();
            self.numbers.insert(uid.to_owned(), number);
            number
        };
        self.put(number, pod, node);
        if !self.seats.contains_key(&number) {
            self.numbers.remove(uid);
        }
        self.skipped.remove(&number).map_or(Ok(()), Err)
    }

    /// Forgets a pod.
    pub fn remove(&mut self, uid: &str) {
        if let Some(number) = self.numbers.remove(uid) {
            self.seat(number, Vec::new());
        }
    }

    /// What became of slices since the last call; those that are there are stamped with the time, if it is known.
    pub fn changes(&mut self, changed: Option<Time>) -> Vec<Change> {
        let mut changes: Vec<Change> = std::mem::take(&mut self.deleted).into_iter().map(Change::Delete).collect();
        for id in std::mem::take(&mut self.changed) {
            let Some(kept) = self.slices.get_mut(&id) else { continue };
            template::stamp(&mut kept.slice, changed);
            let told = std::mem::replace(&mut kept.told, true);
            changes.push(if told { Change::Update(id) } else { Change::Create(id) });
        }
        changes
    }

    /// A slice as it is now.
    pub fn slice(&self, id: SliceId) -> Option<&EndpointSlice> {
        self.slices.get(&id).map(|kept| &kept.slice)
    }

    /// All slices: family by family, those with the same ports together.
    pub fn slices(&self) -> impl Iterator<Item = (SliceId, &EndpointSlice)> {
        let of_shelf = |shelf: &Shelf| -> Vec<SliceId> {
            let slices = shelf.groups.values().flat_map(|group| &group.slices);
            slices.chain(&shelf.placeholder).copied().collect()
        };
        let ids = self.families.iter().flat_map(of_shelf);
        ids.map(|id| (id, &self.slices[&id].slice))
    }

    /// Takes in a pod that is known to be new.
    pub(super) fn append(&mut self, pod: &Pod, node: Option<&Node>) {
        let number = self.number();
        self.put(number, pod, node);
    }

    pub(super) fn into_wanted(mut self, changed: Option<Time>) -> Wanted {
        self.changes(changed);
        let mut skipped: Vec<Skipped> = self.skipped.values().cloned().collect();
        skipped.sort();
        let ids: Vec<SliceId> = self.slices().map(|(id, _)| id).collect();
        let slices = ids.into_iter().filter_map(|id| self.slices.remove(&id)).map(|kept| kept.slice).collect();
        Wanted { slices, skipped }
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn put(&mut self, number: u64, pod: &Pod, node: Option<&Node>) {
        let matches = pod.metadata.namespace == self.service.metadata.namespace
            && self.selector.as_ref().is_some_and(|selector| selector.matches(&pod.metadata.labels))
            && has_address(pod);
        if !matches {
            return self.seat(number, Vec::new());
        }
        if node.is_none() && self.service.spec.publish_not_ready_addresses != Some(true) {
            let skipped = Skipped {
                pod: pod.metadata.name.text().to_owned(),
                namespace: self.service.metadata.namespace.text().to_owned(),
                service: self.service.metadata.name.text().to_owned(),
                node: pod.spec.node_name.text().to_owned(),
            };
            self.skipped.insert(number, skipped);
            return self.seat(number, Vec::new());
        }
        let ports = ports(&self.service, pod);
        let endpoints = self.families.iter().map(|shelf| endpoint(&self.service, pod, node, shelf.family));
        let wanted = endpoints.enumerate().filter(|(_, endpoint)| !endpoint.addresses.is_empty());
        let wanted = wanted.map(|(shelf, endpoint)| (shelf, ports.clone(), endpoint)).collect();
        self.seat(number, wanted);
    }

    /// Makes these, one a family, all the endpoints that a pod is.
    fn seat(&mut self, number: u64, wanted: Vec<(usize, Vec<EndpointSlicePort>, Endpoint)>) {
        let mut before = self.seats.remove(&number).unwrap_or_default();
        let mut after = Vec::with_capacity(wanted.len());
        for (shelf, ports, endpoint) in wanted {
            let key = port_key(&ports);
            let kept = before.iter().position(|seat| seat.shelf == shelf && seat.key == key);
            let slice = match kept.map(|at| before.swap_remove(at)) {
                Some(seat) => {
                    self.replace(seat.slice, number, endpoint);
                    seat.slice
                }
                None => self.add(shelf, &key, ports, number, endpoint),
            };
            after.push(Seat { shelf, key, slice });
        }
        for seat in before {
            self.leave(&seat, number);
        }
        if !after.is_empty() {
            self.seats.insert(number, after);
        }
    }

    fn replace(&mut self, id: SliceId, number: u64, endpoint: Endpoint) {
        let kept = self.slices.get_mut(&id).expect("a seat is in a slice that is there");
        let at = kept.numbers.iter().position(|own| *own == number).expect("a pod is where its seat says");
        if kept.slice.endpoints[at] != endpoint {
            kept.slice.endpoints[at] = endpoint;
            self.changed.insert(id);
        }
    }

    fn add(
        &mut self,
        shelf: usize,
        key: &PortKey,
        ports: Vec<EndpointSlicePort>,
        number: u64,
        endpoint: Endpoint,
    ) -> SliceId {
        let fullest = self.families[shelf].groups.get_mut(key).and_then(|group| group.open.pop_last());
        let id = if let Some((_, Reverse(id))) = fullest {
            id
        } else {
            if let Some(placeholder) = self.families[shelf].placeholder.take() {
                self.discard(placeholder);
            }
            let id = self.create(shelf, ports);
            self.families[shelf].groups.entry(key.clone()).or_default().slices.insert(id);
            id
        };
        let kept = self.slices.get_mut(&id).expect("a slice of a group is there");
        kept.slice.endpoints.push(endpoint);
        kept.numbers.push(number);
        self.note_room(shelf, key, id);
        self.changed.insert(id);
        id
    }

    fn leave(&mut self, seat: &Seat, number: u64) {
        let kept = self.slices.get_mut(&seat.slice).expect("a seat is in a slice that is there");
        let count = kept.numbers.len();
        let at = kept.numbers.iter().position(|own| *own == number).expect("a pod is where its seat says");
        kept.numbers.remove(at);
        kept.slice.endpoints.remove(at);
        let groups = &mut self.families[seat.shelf].groups;
        let group = groups.get_mut(&seat.key).expect("a slice is in its group");
        group.open.remove(&(count, Reverse(seat.slice)));
        if count > 1 {
            self.changed.insert(seat.slice);
            return self.note_room(seat.shelf, &seat.key, seat.slice);
        }
        group.slices.remove(&seat.slice);
        if group.slices.is_empty() {
            groups.remove(&seat.key);
        }
        self.discard(seat.slice);
        if self.families[seat.shelf].groups.is_empty() {
            self.hold_place(seat.shelf);
        }
    }

    fn note_room(&mut self, shelf: usize, key: &PortKey, id: SliceId) {
        let count = self.slices[&id].numbers.len();
        if count < self.per_slice_max
            && let Some(group) = self.families[shelf].groups.get_mut(key)
        {
            group.open.insert((count, Reverse(id)));
        }
    }

    fn create(&mut self, shelf: usize, ports: Vec<EndpointSlicePort>) -> SliceId {
        let id = SliceId(self.number());
        let slice = template::slice(&self.service, self.families[shelf].family, ports);
        self.slices.insert(id, Kept { slice, numbers: Vec::new(), told: false });
        self.changed.insert(id);
        id
    }

    fn discard(&mut self, id: SliceId) {
        self.changed.remove(&id);
        if self.slices.remove(&id).is_some_and(|kept| kept.told) {
            self.deleted.push(id);
        }
    }

    fn hold_place(&mut self, shelf: usize) {
        if self.selector.is_some() {
            self.families[shelf].placeholder = Some(self.create(shelf, Vec::new()));
        }
    }
}
