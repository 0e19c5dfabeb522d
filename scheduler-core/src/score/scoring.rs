//! What all scores share: the profile's settings with resource names resolved.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::intern::Interner;
use crate::profile::{FitStrategy, Profile, ScorePlugin};
use crate::resources::{Catalog, ResourceId};
use crate::score::gpu::Strategy;

/// The scores of a profile with its resource names resolved to columns.
#[derive(Clone, Debug)]
pub(crate) struct Scoring {
    pub(crate) plugins: Vec<(ScorePlugin, i64)>,
    pub(crate) fit: FitStrategy,
    pub(crate) fit_resources: Vec<(ResourceId, i64)>,
    pub(crate) balanced: Vec<ResourceId>,
    pub(crate) hard_pod_affinity_weight: i64,
    pub(crate) gpu: Arc<Strategy>,
}

impl Scoring {
    /// The weight of a plugin, 0 for one that does not run.
    pub(crate) fn weight(&self, plugin: ScorePlugin) -> i64 {
        self.plugins.iter().find(|known| known.0 == plugin).map_or(0, |known| known.1)
    }

    pub(crate) fn new(profile: &Profile, catalog: &mut Catalog, interner: &mut Interner) -> Result<Self> {
        let mut resolve = |name: &String| {
            let limit = usize::from(u16::MAX);
            catalog.intern(name).ok_or(Error::LimitExceeded { field: "resource names".to_owned(), limit })
        };
        let fit_resources = profile.fit_resources.iter().map(|(name, weight)| Ok((resolve(name)?, i64::from(*weight))));
        Ok(Self {
            fit_resources: fit_resources.collect::<Result<_>>()?,
            balanced: profile.balanced_resources.iter().map(resolve).collect::<Result<_>>()?,
            plugins: profile.scores.iter().map(|(plugin, weight)| (*plugin, i64::from(*weight))).collect(),
            fit: profile.fit.clone(),
            hard_pod_affinity_weight: i64::from(profile.hard_pod_affinity_weight),
            gpu: Arc::new(Strategy::new(&profile.gpu, interner)),
        })
    }
}
