//! The thin part: one request over a connection, and its answer.

use std::collections::BTreeSet;
use std::io::{self, Read};
use std::net::{IpAddr, Ipv6Addr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ureq::config::Config;
use ureq::http::Uri;
use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig, TlsProvider, parse_pem};
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};
use ureq::{Agent, SendBody};

use super::options::{ClientCertificate, Options, Proxy, Roots};
use crate::error::{Error, Result};
use crate::registry::{Content, Dial, Head, Method, Origin, Request, Scheme};

const BUFFER: usize = 64 << 10;
const IDLE_MAX: usize = 16;
const HEADERS_MAX: usize = 64 << 10;
const USER_AGENT: &str = concat!("windlass/", env!("CARGO_PKG_VERSION"));
/// Where distributions keep the certificates that they believe.
const BUNDLES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// An answer whose content has not been read.
pub(super) struct Answer {
    pub(super) head: Head,
    pub(super) content: Box<dyn Read + Send>,
}

/// Gives a part of the blob that a request sends: from an offset, so many bytes.
pub(super) type Source<'s> = dyn FnMut(u64, u64) -> io::Result<Box<dyn Read + 's>> + 's;

pub(super) struct Transport {
    plain: BTreeSet<String>,
    has_tls: bool,
    agents: Agents,
    // For hosts to which a certificate is shown.
    certified: Vec<(String, Agents)>,
    cancelled: Arc<AtomicBool>,
}

struct Agents {
    named: Agent,
    pointed: Agent,
}

impl Transport {
    pub(super) fn new(options: &Options) -> Result<Self> {
        let plain = options.plain_hosts.iter().map(String::as_str).chain(options.mirrors.plain_hosts());
        let plain = plain.map(|host| Ok(Origin::new(Scheme::Http, host)?.authority())).collect::<Result<_>>()?;
        let roots = if options.provider.is_some() { roots(&options.roots)? } else { Vec::new() };
        let agents = |certificate| agents(options, &roots, certificate);
        let certified = options.certificates.iter().map(|certificate| {
            let host = Origin::new(Scheme::Https, &certificate.host)?.authority();
            Ok((host, agents(Some(certificate))?))
        });
        Ok(Self {
            plain,
            has_tls: options.provider.is_some(),
            certified: certified.collect::<Result<_>>()?,
            agents: agents(None)?,
            cancelled: Arc::new(AtomicBool::new(false)),
        })
    }

    pub(super) fn is_plain(&self, host: &str) -> bool {
        Origin::new(Scheme::Http, host).is_ok_and(|origin| self.plain.contains(&origin.authority()))
    }

    pub(super) fn cancel(&self) {
        self.cancelled.store(true, Ordering::Release);
        let certified = self.certified.iter().map(|(_, agents)| agents);
        for agents in certified.chain([&self.agents]) {
            agents.named.clone().shutdown();
            agents.pointed.clone().shutdown();
        }
    }

    pub(super) fn check_cancelled(&self) -> Result<()> {
        if self.cancelled.load(Ordering::Acquire) { Err(Error::Cancelled) } else { Ok(()) }
    }

    /// Sends a request and waits for the head of its answer.
    pub(super) fn send(&self, request: &Request, source: &mut Source<'_>) -> Result<Answer> {
        self.check_cancelled()?;
        let origin = request.url.origin();
        let agent = self.agent(request)?;
        let failed = |error| self.failed(origin, error);
        let mut builder = ureq::http::Request::builder().method(request.method.as_str()).uri(request.url.to_string());
        for (name, value) in &request.headers {
            builder = builder.header(*name, value);
        }
        let unsendable = |_| Error::protocol("gave an address that cannot be sent");
        let answer = match &request.content {
            // A server waits for the content of these unless it is told that there is none.
            Content::Empty if !matches!(request.method, Method::Get | Method::Head) => {
                agent.run(builder.body([].as_slice()).map_err(unsendable)?)
            }
            Content::Empty => agent.run(builder.body(SendBody::none()).map_err(unsendable)?),
            Content::Bytes(bytes) => agent.run(builder.body(bytes.as_slice()).map_err(unsendable)?),
            Content::Blob { offset, length } => {
                let mut reader = source(*offset, *length).map_err(Error::sys("read", "a blob"))?;
                let body = SendBody::from_reader(&mut reader);
                agent.run(builder.header("content-length", length.to_string()).body(body).map_err(unsendable)?)
            }
        };
        let (parts, body) = answer.map_err(failed)?.into_parts();
        let text = |value: &ureq::http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let headers = parts.headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value)));
        Ok(Answer { head: Head::new(parts.status.as_u16(), headers), content: Box::new(body.into_reader()) })
    }

    fn agent(&self, request: &Request) -> Result<&Agent> {
        let origin = request.url.origin();
        match origin.scheme() {
            Scheme::Http if !self.plain.contains(&origin.authority()) => {
                return Err(Error::refused(
                    request.url.without_query(),
                    "it is in the clear, and the host was not named",
                ));
            }
            Scheme::Https if !self.has_tls => {
                return Err(Error::Unsupported { feature: "TLS without a provider of cryptography".into() });
            }
            _ => {}
        }
        let certified = self.certified.iter().find(|(host, _)| *host == origin.authority());
        let agents = certified.filter(|_| origin.scheme() == Scheme::Https).map_or(&self.agents, |(_, agents)| agents);
        Ok(match request.dial {
            Dial::Named => &agents.named,
            Dial::Pointed => {
                // A proxy would dial it for us.
                let literal = origin.host().trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
                if literal.is_ok_and(is_link_local) {
                    return Err(Error::refused(request.url.without_query(), LINK_LOCAL));
                }
                &agents.pointed
            }
        })
    }

    fn failed(&self, origin: &Origin, error: ureq::Error) -> Error {
        if self.cancelled.load(Ordering::Acquire) {
            return Error::Cancelled;
        }
        let source = match error {
            ureq::Error::Io(error) => error,
            ureq::Error::Timeout(_) => io::Error::new(io::ErrorKind::TimedOut, "nothing came for too long"),
            ureq::Error::HostNotFound => io::Error::new(io::ErrorKind::NotFound, "there is no such host"),
            ureq::Error::LargeResponseHeader(..) => {
                return Error::LimitExceeded { limit: "head of an answer", max: HEADERS_MAX as u64 };
            }
            other => io::Error::new(io::ErrorKind::InvalidData, other),
        };
        match Error::unwrap_io(source) {
            Ok(own) => own,
            Err(source) => Error::Network { host: origin.authority(), source },
        }
    }
}

const LINK_LOCAL: &str = "it is a link-local address, where clouds keep their metadata services";

fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => {
            // Clouds have theirs at fd00:ec2::254, too.
            let metadata = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);
            address.is_unicast_link_local()
                || address == metadata
                || address.to_ipv4().is_some_and(|address| address.is_link_local())
        }
    }
}

/// Finds addresses, and none where someone else pointed to that is link-local.
#[derive(Debug)]
struct Guarded<R>(R);

impl<R: Resolver> Resolver for Guarded<R> {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> std::result::Result<ResolvedSocketAddrs, ureq::Error> {
        let addresses = self.0.resolve(uri, config, timeout)?;
        // One is enough: a name that has both kinds is not to be trusted.
        if addresses.iter().any(|address| is_link_local(address.ip())) {
            let host = uri.host().unwrap_or_default();
            return Err(ureq::Error::Io(io::Error::other(Error::refused(host, LINK_LOCAL))));
        }
        Ok(addresses)
    }
}

fn agents(
    options: &Options,
    roots: &[Certificate<'static>],
    certificate: Option<&ClientCertificate>,
) -> Result<Agents> {
    let config = config(options, roots, certificate)?;
    let pointed = Guarded(DefaultResolver::default());
    Ok(Agents {
        named: Agent::with_parts(config.clone(), DefaultConnector::new(), DefaultResolver::default()),
        pointed: Agent::with_parts(config, DefaultConnector::new(), pointed),
    })
}

fn config(
    options: &Options,
    roots: &[Certificate<'static>],
    certificate: Option<&ClientCertificate>,
) -> Result<Config> {
    let mut tls = TlsConfig::builder().provider(TlsProvider::Rustls).root_certs(RootCerts::new_with_certs(roots));
    if let Some(provider) = &options.provider {
        tls = tls.unversioned_rustls_crypto_provider(Arc::clone(provider));
    }
    if let Some(certificate) = certificate {
        let key = PrivateKey::from_pem(&certificate.key.0)
            .map_err(|_| invalid("key of the client", &certificate.host, "is no PEM private key"))?;
        let chain = certificates(&certificate.chain, "certificate of the client", &certificate.host)?;
        tls = tls.client_cert(Some(ClientCert::new_with_certs(&chain, key)));
    }
    let proxy = match &options.proxy {
        Proxy::None => None,
        Proxy::Environment => ureq::Proxy::try_from_env(),
        Proxy::Url(url) => {
            Some(ureq::Proxy::new(url).map_err(|_| invalid("proxy", url, "is no address of an HTTP proxy"))?)
        }
    };
    Ok(Config::builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .user_agent(USER_AGENT)
        .accept("*/*")
        .max_response_header_size(HEADERS_MAX)
        .input_buffer_size(BUFFER)
        .output_buffer_size(BUFFER)
        .max_idle_connections(IDLE_MAX)
        .max_idle_connections_per_host(IDLE_MAX)
        .timeout_resolve(Some(options.connect))
        .timeout_connect(Some(options.connect))
        .timeout_per_read(Some(options.stall))
        .timeout_per_write(Some(options.stall))
        .tls_config(tls.build())
        .proxy(proxy)
        .build())
}

fn invalid(field: &'static str, value: &str, reason: &'static str) -> Error {
    Error::Invalid { field, value: value.to_owned(), reason }
}

fn roots(roots: &Roots) -> Result<Vec<Certificate<'static>>> {
    let read = |path: &Path| std::fs::read(path).map_err(Error::sys("read", path));
    let (pem, name) = match roots {
        Roots::Pem(pem) => (pem.clone(), "given".to_owned()),
        Roots::File(path) => (read(path)?, path.display().to_string()),
        Roots::System => {
            let named = std::env::var_os("SSL_CERT_FILE").map(std::path::PathBuf::from);
            let found = named.or_else(|| BUNDLES.iter().map(std::path::PathBuf::from).find(|path| path.is_file()));
            let path = found.ok_or_else(|| Error::NotFound { object: "this machine's file of certificates".into() })?;
            (read(&path)?, path.display().to_string())
        }
    };
    certificates(&pem, "certificates", &name)
}

fn certificates(pem: &[u8], field: &'static str, name: &str) -> Result<Vec<Certificate<'static>>> {
    let mut found = Vec::new();
    for item in parse_pem(pem) {
        match item {
            Ok(PemItem::Certificate(certificate)) => found.push(certificate),
            Ok(_) => {}
            Err(_) => return Err(invalid(field, name, "are no PEM")),
        }
    }
    if found.is_empty() { Err(invalid(field, name, "hold no certificate")) } else { Ok(found) }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    #[test]
    fn metadata_services_are_recognised() {
        for (address, refused) in [
            ("169.254.169.254", true),
            ("169.254.0.1", true),
            ("fe80::1", true),
            ("::ffff:169.254.169.254", true),
            ("::169.254.169.254", true),
            ("fd00:ec2::254", true),
            ("127.0.0.1", false),
            ("10.0.0.1", false),
            ("::1", false),
            ("fd00::1", false),
        ] {
            assert_eq!(is_link_local(address.parse().unwrap()), refused, "{address}");
        }
    }

    #[derive(Debug)]
    struct Says(&'static str);

    impl Resolver for Says {
        fn resolve(
            &self,
            _: &Uri,
            _: &Config,
            _: NextTimeout,
        ) -> std::result::Result<ResolvedSocketAddrs, ureq::Error> {
            let mut found = self.empty();
            for address in self.0.split(',') {
                found.push(address.parse::<SocketAddr>().unwrap());
            }
            Ok(found)
        }
    }

    #[test]
    fn a_name_that_leads_to_a_metadata_service_is_not_dialled() {
        let uri: Uri = "https://realm.example/token".parse().unwrap();
        for (addresses, dialled) in
            [("10.0.0.1:443", true), ("169.254.169.254:443", false), ("10.0.0.1:443,[fe80::1]:443", false)]
        {
            let found = Guarded(Says(addresses)).resolve(&uri, &Config::default(), NextTimeout::default());
            assert_eq!(found.is_ok(), dialled, "{addresses}");
        }
    }
}
