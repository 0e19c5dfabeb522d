//! Certificates and keys that are none.

use crate::kinds::Secret;

/// The types of the blocks between `-----BEGIN` and `-----END` lines.
fn blocks(text: &str) -> Vec<String> {
    let mut types = Vec::new();
    let mut open: Option<&str> = None;
    for line in text.lines().map(str::trim_end) {
        if let Some(kind) = line.strip_prefix("-----BEGIN ").and_then(|rest| rest.strip_suffix("-----")) {
            open = Some(kind);
        } else if let Some(kind) = line.strip_prefix("-----END ").and_then(|rest| rest.strip_suffix("-----"))
            && open == Some(kind)
        {
            types.push(kind.to_owned());
            open = None;
        }
    }
    types
}

/// Looks at the pair as far as its encoding goes; whether the key is that of the certificate is not looked at.
pub(super) fn pair(secret: &Secret, out: &mut Vec<String>) {
    let read = |key: &str| {
        let bytes = secret.data.get(key).map(|bytes| bytes.0.clone()).unwrap_or_default();
        let bytes = secret.string_data.get(key).map_or(bytes, |text| text.clone().into_bytes());
        blocks(&String::from_utf8_lossy(&bytes))
    };
    let (certificate, key) = (read("tls.crt"), read("tls.key"));
    let is_key = |kind: &String| kind == "PRIVATE KEY" || kind.ends_with(" PRIVATE KEY");
    let is_certificate = |kind: &String| kind == "CERTIFICATE";
    if !certificate.iter().any(is_certificate) {
        out.push(match certificate.as_slice() {
            [] => "tls: failed to find any PEM data in certificate input".to_owned(),
            [one] if is_key(one) => "tls: failed to find certificate PEM data in certificate input, but did find a private key; PEM inputs may have been switched".to_owned(),
            kinds => format!("tls: failed to find \"CERTIFICATE\" PEM block in certificate input after skipping PEM blocks of the following types: [{}]", kinds.join(" ")),
        });
    } else if !key.iter().any(is_key) {
        out.push(match key.as_slice() {
            [] => "tls: failed to find any PEM data in key input".to_owned(),
            [one] if is_certificate(one) => {
                "tls: found a certificate rather than a key in the PEM for the private key".to_owned()
            }
            kinds => format!("tls: failed to find PEM block with type ending in \"PRIVATE KEY\" in key input after skipping PEM blocks of the following types: [{}]", kinds.join(" ")),
        });
    }
}
