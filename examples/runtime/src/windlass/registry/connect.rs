//! A client as the command line wants it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use windlass_image::client::{Client, ClientCertificate, Credentials, Key, Options, Proxy, Roots};
use windlass_image::registry::Mirrors;

use crate::windlass::cli::{Connection, Places};
use crate::windlass::failure::Failure;

/// The options that a connection to `registry` has.
pub(super) fn options(connection: &Connection, registry: &str) -> Result<Options, Failure> {
    let mut options = Options::default();
    options.provider = Some(Arc::new(rustls::crypto::ring::default_provider()));
    options.proxy = Proxy::Environment;
    options.credentials = credentials(connection.authfile.as_ref());
    if let Some(path) = &connection.ca_file {
        options.roots = Roots::File(path.clone());
    }
    if connection.plain_http {
        options.plain_hosts.push(registry.to_owned());
    }
    if let (Some(chain), Some(key)) = (&connection.cert_file, &connection.key_file) {
        let (chain, key) = (read(chain)?, Key(read(key)?));
        options.certificates.push(ClientCertificate { host: registry.to_owned(), chain, key });
    }
    options.trusted_realms.extend(connection.trust_realm.iter().map(|host| (registry.to_owned(), host.clone())));
    Ok(options)
}

/// Adds the mirrors of a file.
pub(super) fn mirrors(options: &mut Options, places: &Places) -> Result<(), Failure> {
    if let Some(path) = &places.registries_conf {
        let text = std::fs::read_to_string(path).map_err(Failure::during(path.display()))?;
        options.mirrors = Mirrors::parse(&text).map_err(Failure::during(path.display()))?;
    }
    Ok(())
}

pub(super) fn client(options: Options) -> Result<Client, Failure> {
    Client::new(options).map_err(Failure::during("prepare the connection"))
}

pub(super) fn credentials(file: Option<&PathBuf>) -> Credentials {
    file.map_or_else(Credentials::of_user, Credentials::file)
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(Failure::during(path.display()))
}
