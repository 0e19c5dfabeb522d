//! What the API server sends, as changes.

use std::collections::BTreeSet;
use std::fmt;

use futures::stream::{self, BoxStream, SelectAll};
use futures::{FutureExt as _, Stream, StreamExt as _, future};
use kube::runtime::watcher::{self, Config, Event};
use kube::runtime::{WatchStreamExt as _, watcher as watch_of};
use kube::{Api, Client, ResourceExt as _};
use windlass_pod::Object;
use windlass_pod::kinds::{Namespace, Node, Pod, PodDisruptionBudget, PriorityClass};

use crate::seen::{Seen, Watched};

/// Changes that are taken together at most.
const BATCH_MAX: usize = 4096;

/// The code of "410 Gone".
const GONE: u16 = 410;

/// A namespaced name; the namespace of what is in none is empty.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// The namespace.
    pub namespace: String,
    /// The name.
    pub name: String,
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() { f.write_str(&self.name) } else { write!(f, "{}/{}", self.namespace, self.name) }
    }
}

/// A watched kind, in the order in which a scheduler wants to be told of them at first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Topic {
    /// Namespaces.
    Namespaces,
    /// Priority classes.
    PriorityClasses,
    /// Disruption budgets.
    DisruptionBudgets,
    /// Nodes.
    Nodes,
    /// Pods.
    Pods,
}

impl Topic {
    /// All of them, in order.
    pub const ALL: [Self; 5] =
        [Self::Namespaces, Self::PriorityClasses, Self::DisruptionBudgets, Self::Nodes, Self::Pods];

    /// The name in the server's paths.
    pub fn plural(self) -> &'static str {
        match self {
            Self::Namespaces => Namespace::PLURAL,
            Self::PriorityClasses => PriorityClass::PLURAL,
            Self::DisruptionBudgets => PodDisruptionBudget::PLURAL,
            Self::Nodes => Node::PLURAL,
            Self::Pods => Pod::PLURAL,
        }
    }
}

/// Something that changed in the cluster, or in what is known of it.
#[derive(Debug)]
pub enum Change {
    /// The object is there as given.
    Applied(Object),
    /// The object is gone.
    Removed(Topic, Key),
    /// The object cannot be read.
    Odd(Topic, Key, String),
    /// Every object of the kind has been told.
    Listed(Topic),
    /// The server did not answer as it should; it is asked again after a while.
    Trouble(Topic, watcher::Error),
}

impl Change {
    /// The kind that it is about.
    pub fn topic(&self) -> Topic {
        match self {
            Self::Applied(Object::Namespace(_)) => Topic::Namespaces,
            Self::Applied(Object::PriorityClass(_)) => Topic::PriorityClasses,
            Self::Applied(Object::PodDisruptionBudget(_)) => Topic::DisruptionBudgets,
            Self::Applied(Object::Node(_)) => Topic::Nodes,
            // Nothing else is watched.
            Self::Applied(_) => Topic::Pods,
            Self::Removed(topic, _) | Self::Odd(topic, ..) | Self::Listed(topic) | Self::Trouble(topic, _) => *topic,
        }
    }
}

/// The watches of all kinds as one.
pub struct Watch(SelectAll<BoxStream<'static, Vec<Change>>>);

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Watch").field(&self.0.len()).finish()
    }
}

impl Watch {
    /// Watches the whole cluster.
    pub fn open(client: &Client) -> Self {
        let all = Config::default;
        // What has ended takes no room; the server tells its end as a deletion.
        let running = all().fields("status.phase!=Succeeded,status.phase!=Failed");
        Self(SelectAll::from_iter([
            changes::<Namespace>(client, Topic::Namespaces, all()),
            changes::<PriorityClass>(client, Topic::PriorityClasses, all()),
            changes::<PodDisruptionBudget>(client, Topic::DisruptionBudgets, all()),
            changes::<Node>(client, Topic::Nodes, all()),
            changes::<Pod>(client, Topic::Pods, running),
        ]))
    }

    /// Waits for changes and returns those that are there. Dropping the future before it is ready loses none.
    pub async fn changed(&mut self) -> Vec<Change> {
        // The streams have no end: after every error they ask again.
        let mut changes = self.0.next().await.unwrap_or_default();
        while changes.len() < BATCH_MAX
            && let Some(Some(more)) = self.0.next().now_or_never()
        {
            changes.extend(more);
        }
        changes
    }
}

fn changes<K>(client: &Client, topic: Topic, config: Config) -> BoxStream<'static, Vec<Change>>
where
    K: Watched,
    Object: From<K>,
{
    let mut listing = Listing::new(topic);
    let api: Api<Seen<K>> = Api::all(client.clone());
    let watches = stream::repeat_with(move || until_expired(watch_of(api.clone(), config.clone()))).flatten();
    watches.default_backoff().map(move |event| listing.take(event)).boxed()
}

/// Ends a watch that the server will not take up again where it stopped, so that a new one begins with a list. `kube`
/// does so by itself where the server says it within the watch, but not where it refuses the request.
fn until_expired<K>(
    watch: impl Stream<Item = watcher::Result<Event<K>>>,
) -> impl Stream<Item = watcher::Result<Event<K>>> {
    watch.scan(false, |has_expired, event| {
        let next = (!*has_expired).then_some(event);
        *has_expired |= matches!(
            &next,
            Some(Err(watcher::Error::WatchStartFailed(kube::Error::Api(status)))) if status.code == GONE
        );
        future::ready(next)
    })
}

/// What the server has told of one kind: a list that comes again may lack what was there before.
#[derive(Debug)]
struct Listing {
    topic: Topic,
    known: BTreeSet<Key>,
    /// The names in a list that has not ended yet.
    listed: BTreeSet<Key>,
}

impl Listing {
    fn new(topic: Topic) -> Self {
        Self { topic, known: BTreeSet::new(), listed: BTreeSet::new() }
    }

    fn take<K>(&mut self, event: watcher::Result<Event<Seen<K>>>) -> Vec<Change>
    where
        K: Watched,
        Object: From<K>,
    {
        match event {
            Err(error) => vec![Change::Trouble(self.topic, error)],
            Ok(Event::Init) => {
                self.listed.clear();
                Vec::new()
            }
            Ok(Event::InitApply(seen)) => {
                self.listed.insert(key(&seen));
                vec![self.applied(&seen)]
            }
            Ok(Event::InitDone) => {
                let listed = std::mem::take(&mut self.listed);
                let known = std::mem::replace(&mut self.known, listed);
                let gone = known.into_iter().filter(|key| !self.known.contains(key));
                let gone = gone.map(|key| Change::Removed(self.topic, key));
                gone.chain([Change::Listed(self.topic)]).collect()
            }
            Ok(Event::Apply(seen)) => vec![self.applied(&seen)],
            Ok(Event::Delete(seen)) => {
                let key = key(&seen);
                self.known.remove(&key);
                vec![Change::Removed(self.topic, key)]
            }
        }
    }

    fn applied<K>(&mut self, seen: &Seen<K>) -> Change
    where
        K: Watched,
        Object: From<K>,
    {
        let key = key(seen);
        self.known.insert(key.clone());
        match seen.object() {
            Ok(object) => Change::Applied(object.clone().into()),
            Err(error) => Change::Odd(self.topic, key, error.to_string()),
        }
    }
}

fn key<K: Watched>(seen: &Seen<K>) -> Key {
    Key { namespace: seen.namespace().unwrap_or_default(), name: seen.name_any() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(name: &str) -> Seen<Pod> {
        let text = format!(r#"{{"metadata":{{"namespace":"d","name":"{name}"}}}}"#);
        serde_json::from_str(&text).expect("a pod")
    }

    fn told(changes: &[Change]) -> Vec<String> {
        let word = |change: &Change| match change {
            Change::Applied(object) => format!("+{}", object.metadata().name.clone().unwrap_or_default()),
            Change::Removed(_, key) => format!("-{key}"),
            Change::Odd(_, key, _) => format!("?{key}"),
            Change::Listed(_) => "listed".to_owned(),
            Change::Trouble(..) => "trouble".to_owned(),
        };
        changes.iter().map(word).collect()
    }

    #[test]
    fn what_a_new_list_lacks_is_gone() {
        let mut listing = Listing::new(Topic::Pods);
        let mut run = |events: Vec<Event<Seen<Pod>>>| {
            let changes: Vec<Change> = events.into_iter().flat_map(|event| listing.take(Ok(event))).collect();
            told(&changes)
        };
        let first = vec![Event::Init, Event::InitApply(pod("a")), Event::InitApply(pod("b")), Event::InitDone];
        assert_eq!(run(first), ["+a", "+b", "listed"]);
        assert_eq!(run(vec![Event::Apply(pod("c")), Event::Delete(pod("a"))]), ["+c", "-d/a"]);
        // A list that broke off and began again.
        let again = vec![Event::Init, Event::InitApply(pod("b")), Event::Init, Event::InitApply(pod("c"))];
        assert_eq!(run(again), ["+b", "+c"]);
        assert_eq!(run(vec![Event::InitDone]), ["-d/b", "listed"]);
    }
}
