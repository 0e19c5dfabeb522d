//! Platforms: what a program needs to run.

use std::fmt;

use crate::error::Fault;
use crate::json::{Object, Value};

/// Go's name for the architecture that this was compiled for.
const HOST_ARCHITECTURE: &str = {
    let little_endian = cfg!(target_endian = "little");
    if cfg!(target_arch = "x86_64") {
        "amd64"
    } else if cfg!(target_arch = "x86") {
        "386"
    } else if cfg!(target_arch = "aarch64") {
        "arm64"
    } else if cfg!(target_arch = "arm") {
        "arm"
    } else if cfg!(target_arch = "riscv64") {
        "riscv64"
    } else if cfg!(target_arch = "powerpc64") {
        if little_endian { "ppc64le" } else { "ppc64" }
    } else if cfg!(target_arch = "s390x") {
        "s390x"
    } else if cfg!(target_arch = "loongarch64") {
        "loong64"
    } else {
        // No image names it, so none is selected.
        "unknown"
    }
};

/// An operating system and a processor, in Go's words for both.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Platform {
    /// `GOOS`, like `linux`.
    pub os: String,
    /// `GOARCH`, like `amd64` or `arm64`.
    pub architecture: String,
    /// The processor's variant, like `v8`.
    pub variant: Option<String>,
    /// The version of the operating system, for those whose images are bound to it.
    pub os_version: Option<String>,
    /// What the operating system must offer.
    pub os_features: Vec<String>,
}

impl Platform {
    /// Linux on a processor of this architecture.
    pub fn linux(architecture: impl Into<String>) -> Self {
        Self { os: "linux".into(), architecture: architecture.into(), ..Self::default() }
    }

    /// The platform that this program was compiled for.
    pub fn host() -> Self {
        let variant = if cfg!(target_arch = "arm") { Some("v7".into()) } else { None };
        Self { variant, ..Self::linux(HOST_ARCHITECTURE) }
    }

    /// How well an image for `self` runs on `host`: `None` if not at all, else a smaller number is better.
    ///
    /// A host of 64-bit ARM without a variant is `v8`; an ARM host runs the older variants, an x86-64 one the lower
    /// levels. A 64-bit host's 32-bit mode does not count: whether it exists is the kernel's to say.
    pub fn rank_on(&self, host: &Self) -> Option<u32> {
        let same = self.os == host.os && self.architecture == host.architecture;
        let version_fits = match (&self.os_version, &host.os_version) {
            (Some(wanted), Some(there)) => wanted == there,
            _ => true,
        };
        // An empty list of the host's features means that the caller did not ask about features.
        let features_fit =
            host.os_features.is_empty() || self.os_features.iter().all(|name| host.os_features.contains(name));
        if !same || !version_fits || !features_fit {
            return None;
        }
        let (own, there) = (self.level(), host.level());
        match (own, there) {
            (Some(own), Some(there)) => there.checked_sub(own),
            _ => (self.variant == host.variant).then_some(0),
        }
    }

    /// The variant as a number of which higher ones include lower ones, for the architectures that have such.
    fn level(&self) -> Option<u32> {
        let default = match self.architecture.as_str() {
            "amd64" => "v1",
            "arm64" => "v8",
            "arm" => "v7",
            _ => return None,
        };
        self.variant.as_deref().unwrap_or(default).strip_prefix('v')?.parse().ok()
    }

    pub(crate) fn read(value: &Value<'_>) -> Result<Self, Fault> {
        Self::read_members(value.object()?)
    }

    /// The members that an image's configuration and a descriptor's platform have in common.
    pub(crate) fn read_members(object: &Object<'_>) -> Result<Self, Fault> {
        Ok(Self {
            os: object.required("os", Value::owned)?,
            architecture: object.required("architecture", Value::owned)?,
            variant: object.optional("variant", Value::owned)?.filter(|text| !text.is_empty()),
            os_version: object.optional("os.version", Value::owned)?.filter(|text| !text.is_empty()),
            os_features: object.or_default("os.features", |value| value.list(Value::owned))?,
        })
    }

    pub(crate) fn write(&self, object: &mut Object<'_>) {
        object.set("os", Value::text(self.os.clone()));
        object.set("architecture", Value::text(self.architecture.clone()));
        if let Some(variant) = &self.variant {
            object.set("variant", Value::text(variant.clone()));
        }
        if let Some(version) = &self.os_version {
            object.set("os.version", Value::text(version.clone()));
        }
        if !self.os_features.is_empty() {
            object.set("os.features", Value::strings(&self.os_features));
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        match &self.variant {
            Some(variant) => write!(f, "/{variant}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn platform(text: &str) -> Platform {
        let mut parts = text.split('/').map(str::to_owned);
        Platform {
            os: parts.next().unwrap(),
            architecture: parts.next().unwrap(),
            variant: parts.next(),
            ..Platform::default()
        }
    }

    #[test]
    fn variants_fall_back_to_what_they_include() {
        for (image, host, rank) in [
            ("linux/amd64", "linux/amd64", Some(0)),
            ("linux/amd64", "linux/arm64", None),
            ("linux/386", "linux/amd64", None),
            ("linux/amd64", "windows/amd64", None),
            ("linux/arm64/v8", "linux/arm64", Some(0)),
            ("linux/arm64", "linux/arm64/v8", Some(0)),
            ("linux/arm64/v9", "linux/arm64", None),
            ("linux/arm64", "linux/arm64/v9", Some(1)),
            ("linux/arm/v5", "linux/arm/v7", Some(2)),
            ("linux/arm/v7", "linux/arm/v6", None),
            ("linux/amd64/v3", "linux/amd64", None),
            ("linux/amd64", "linux/amd64/v3", Some(2)),
            ("linux/ppc64le/power9", "linux/ppc64le", None),
        ] {
            assert_eq!(platform(image).rank_on(&platform(host)), rank, "{image} on {host}");
        }
    }

    #[test]
    fn the_host_has_gos_names() {
        assert_eq!(Platform::host().os, "linux");
        let rusts_own = ["x86_64", "aarch64", "powerpc64", "unknown"];
        assert!(!rusts_own.contains(&HOST_ARCHITECTURE), "{HOST_ARCHITECTURE}");
    }
}
