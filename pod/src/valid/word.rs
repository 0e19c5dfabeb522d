//! Fields that are one of a few words, and numbers of ports.

use std::fmt;
use std::num::NonZeroU16;

/// Enumerations of the words that Kubernetes takes.
macro_rules! words {
    ($($(#[$doc:meta])* $name:ident { $($(#[$word_doc:meta])* $word:ident = $text:literal,)* })*) => { $(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$word_doc])* $word,)*
        }

        impl $name {
            /// The word.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$word => $text,)*
                }
            }

            pub(super) fn of(word: &str) -> Option<Self> {
                match word {
                    $($text => Some(Self::$word),)*
                    _ => None,
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    )* };
}

words! {
    /// Whether containers that ended are started again.
    RestartPolicy {
        /// However they ended.
        Always = "Always",
        /// When they failed.
        OnFailure = "OnFailure",
        /// Not at all.
        Never = "Never",
    }
    /// When an image is fetched.
    PullPolicy {
        /// Before each start.
        Always = "Always",
        /// When it is not there.
        IfNotPresent = "IfNotPresent",
        /// Not at all: it has to be there.
        Never = "Never",
    }
    /// What is spoken at a port.
    Protocol {
        /// TCP
        Tcp = "TCP",
        /// UDP
        Udp = "UDP",
        /// SCTP
        Sctp = "SCTP",
    }
    /// What a taint does to pods that do not tolerate it.
    TaintEffect {
        /// No new ones come.
        NoSchedule = "NoSchedule",
        /// New ones come if there is no better node.
        PreferNoSchedule = "PreferNoSchedule",
        /// No new ones come, and those that are there go.
        NoExecute = "NoExecute",
    }
    /// How a service is reached.
    ServiceType {
        /// At an address within the cluster.
        ClusterIp = "ClusterIP",
        /// Also at a port of each node.
        NodePort = "NodePort",
        /// Also by a load balancer outside.
        LoadBalancer = "LoadBalancer",
        /// It is another name for a host outside.
        ExternalName = "ExternalName",
    }
}

/// The number of a port, 1 to 65535.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Port(NonZeroU16);

impl Port {
    pub(super) fn of(number: i32) -> Option<Self> {
        u16::try_from(number).ok().and_then(NonZeroU16::new).map(Self)
    }

    /// The number.
    pub fn get(self) -> u16 {
        self.0.get()
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<Port> for u16 {
    fn from(port: Port) -> Self {
        port.get()
    }
}
