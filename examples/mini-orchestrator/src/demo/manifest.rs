//! What the demo applies, and who plays which part in it.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use windlass_pod::kinds::{ReplicationController, Service};
use windlass_pod::{Decoder, Object, Strictness};

use super::error::{Error, Result};
use crate::registry::Key;

const OWN: &str = include_str!("../../manifests/demo.yaml");
const OWN_NAME: &str = "manifests/demo.yaml";

/// The objects in the order in which they are applied, and the parts.
#[derive(Debug, Clone)]
pub(super) struct Manifest {
    pub(super) objects: Vec<Object>,
    pub(super) cast: Cast,
}

/// Who plays which part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cast {
    /// Keeps the replicas.
    pub(super) controller: Key,
    /// How many replicas it asks for.
    pub(super) replicas: i32,
    /// The labels of its pods.
    pub(super) labels: BTreeMap<String, String>,
    /// The container of its pods that the demo maltreats: the first.
    pub(super) container: String,
    /// Where that container listens.
    pub(super) port: u16,
    /// The image of all containers.
    pub(super) image: String,
    /// Has one address for all replicas.
    pub(super) service: Key,
    /// That address and its first port.
    pub(super) address: SocketAddr,
    /// The pod that calls the service all the time.
    pub(super) client: Key,
    /// What the replicas are configured with.
    pub(super) config: Key,
}

impl Manifest {
    /// Reads and judges the file at `path`, or the demo's own.
    ///
    /// # Errors
    /// [`Error::Manifest`] names the path of each field that is wrong.
    pub(super) fn read(path: Option<&Path>) -> Result<Self> {
        let (origin, text) = match path {
            Some(path) => (path.display().to_string(), std::fs::read_to_string(path).map_err(Error::io("read", path))?),
            None => (OWN_NAME.to_owned(), OWN.to_owned()),
        };
        Self::parse(&text).map_err(|reasons| Error::Manifest { origin, reasons })
    }

    fn parse(text: &str) -> std::result::Result<Self, Vec<String>> {
        let decoded =
            Decoder::new(Strictness::Strict).yaml(text.as_bytes()).map_err(|error| vec![error.to_string()])?;
        let mut objects: Vec<Object> = decoded.into_iter().map(|decoded| decoded.object).collect();
        let mut reasons = Vec::new();
        for object in &mut objects {
            object.metadata_mut().namespace.get_or_insert_with(|| "default".to_owned());
            windlass_pod::defaults::apply(object);
            let name = format!("{} {}", object.kind(), object.metadata().name.as_deref().unwrap_or("without a name"));
            reasons.extend(windlass_pod::validate(object).into_iter().map(|violation| format!("{name}: {violation}")));
        }
        if !reasons.is_empty() {
            return Err(reasons);
        }
        let cast = Cast::find(&objects).map_err(|reason| vec![reason])?;
        Ok(Self { objects, cast })
    }
}

impl Cast {
    fn find(objects: &[Object]) -> std::result::Result<Self, String> {
        let controller = only(objects, "ReplicationController", |object| match object {
            Object::ReplicationController(controller) => Some(&**controller),
            _ => None,
        })?;
        let service = only(objects, "Service", |object| match object {
            Object::Service(service) => Some(&**service),
            _ => None,
        })?;
        let client = only(objects, "Pod", |object| match object {
            Object::Pod(pod) => Some(&pod.metadata),
            _ => None,
        })?;
        let config = only(objects, "ConfigMap", |object| match object {
            Object::ConfigMap(map) => Some(&map.metadata),
            _ => None,
        })?;
        let template = controller.spec.template.as_deref().ok_or("the ReplicationController has no template")?;
        let container = template.spec.containers.first().ok_or("the template has no container")?;
        let port =
            container.ports.first().and_then(|port| port.container_port).and_then(|port| u16::try_from(port).ok());
        let key = |metadata: &windlass_pod::kinds::ObjectMeta| {
            Key::new(metadata.namespace.clone().unwrap_or_default(), metadata.name.clone().unwrap_or_default())
        };
        Ok(Self {
            controller: key(&controller.metadata),
            replicas: controller.spec.replicas.unwrap_or(1),
            labels: labels(controller),
            container: container.name.clone().unwrap_or_default(),
            port: port.ok_or("the template's first container names no port")?,
            image: container.image.clone().unwrap_or_default(),
            service: key(&service.metadata),
            address: address(service)?,
            client: key(client),
            config: key(config),
        })
    }
}

fn labels(controller: &ReplicationController) -> BTreeMap<String, String> {
    controller.spec.selector.clone()
}

fn address(service: &Service) -> std::result::Result<SocketAddr, String> {
    let ip = service.spec.cluster_ip.as_deref().and_then(|ip| ip.parse::<IpAddr>().ok());
    let port = service.spec.ports.first().and_then(|port| port.port).and_then(|port| u16::try_from(port).ok());
    match (ip, port) {
        (Some(ip), Some(port)) => Ok(SocketAddr::new(ip, port)),
        _ => Err("the demo calls its Service by spec.clusterIP and the first port: both must be there".to_owned()),
    }
}

fn only<'a, T: ?Sized>(
    objects: &'a [Object],
    kind: &str,
    choose: impl Fn(&'a Object) -> Option<&'a T>,
) -> std::result::Result<&'a T, String> {
    let mut found = objects.iter().filter_map(choose);
    match (found.next(), found.next()) {
        (Some(one), None) => Ok(one),
        (None, _) => Err(format!("the demo needs a {kind}, and there is none")),
        (Some(_), Some(_)) => Err(format!("the demo needs one {kind}, and there are several")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_demos_own_manifest_has_every_part() {
        let manifest = Manifest::read(None).unwrap();
        assert_eq!(manifest.cast.address, "10.96.0.10:80".parse().unwrap());
        assert_eq!(manifest.cast.replicas, 3);
        assert_eq!(manifest.cast.controller, Key::new("default", "responder"));
        assert_eq!(manifest.cast.port, 8080);
    }

    #[test]
    fn a_wrong_field_is_named_by_its_path() {
        let unknown = OWN.replacen("replicas: 3", "replica: 3", 1);
        let reasons = Manifest::parse(&unknown).unwrap_err();
        assert!(reasons[0].contains("spec.replica"), "{reasons:?}");
        let invalid = OWN.replacen("containerPort: 8080", "containerPort: 80800", 1);
        let reasons = Manifest::parse(&invalid).unwrap_err();
        assert!(reasons[0].contains("spec.template.spec.containers[0].ports[0].containerPort"), "{reasons:?}");
        let missing = OWN.split("---").next().unwrap();
        let reasons = Manifest::parse(missing).unwrap_err();
        assert_eq!(reasons, ["the demo needs a ReplicationController, and there is none"]);
    }
}
