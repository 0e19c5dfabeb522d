//! What a cached layer is known by.

use super::executor::Run;
use crate::digest::{Algorithm, Digest, Hasher};
use crate::media_type::Codec;
use crate::platform::Platform;

/// Changed when what a step does with the same inputs changes.
const VERSION: &str = "windlass build 1";

/// What makes one layer: equal keys mean a layer that can stand for the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key(Digest);

impl Key {
    /// Of a command: all that it can see but time, chance and the network.
    pub(super) fn of_run(run: &Run, platform: &Platform, codec: Codec) -> Self {
        let mut fields = Fields::new("run", codec);
        fields.list(run.layers.iter().map(|(_, diff_id)| diff_id.to_string()));
        fields.list(run.command.iter().cloned());
        fields.list(run.env.iter().cloned());
        fields.list(run.user.iter().cloned());
        fields.text(&run.working_dir);
        fields.list(run.epoch.iter().map(ToString::to_string));
        fields.text(&platform.to_string());
        Self(fields.hasher.finish())
    }

    /// Of files: the digest of the uncompressed layer says all.
    pub(super) fn of_files(diff_id: &Digest, codec: Codec) -> Self {
        let mut fields = Fields::new("files", codec);
        fields.text(&diff_id.to_string());
        Self(fields.hasher.finish())
    }

    pub(super) fn hex(&self) -> String {
        self.0.hex()
    }
}

/// Texts with their lengths before them, so that no two lists of texts give the same bytes.
struct Fields {
    hasher: Hasher,
}

impl Fields {
    fn new(kind: &str, codec: Codec) -> Self {
        let mut fields = Self { hasher: Hasher::new(Algorithm::Sha256) };
        for text in [VERSION, kind, &codec.to_string()] {
            fields.text(text);
        }
        fields
    }

    fn text(&mut self, text: &str) {
        self.number(text.len());
        self.hasher.update(text.as_bytes());
    }

    fn list(&mut self, texts: impl ExactSizeIterator<Item = String>) {
        self.number(texts.len());
        for text in texts {
            self.text(&text);
        }
    }

    fn number(&mut self, number: usize) {
        self.hasher.update(&(number as u64).to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::descriptor::Descriptor;
    use crate::media_type::MediaType;

    fn run() -> Run {
        let blob = Descriptor::of(MediaType::LAYER_GZIP, b"compressed so");
        Run {
            layers: vec![(blob, Digest::of(b"layer"))],
            command: vec!["a".into(), "b".into()],
            env: vec!["A=1".into()],
            user: None,
            working_dir: "/".into(),
            epoch: None,
        }
    }

    fn key(run: &Run) -> Key {
        Key::of_run(run, &Platform::linux("amd64"), Codec::Gzip)
    }

    #[test]
    fn everything_that_a_command_sees_counts() {
        type Change = fn(&mut Run);
        let changes: [Change; 8] = [
            |run| run.layers[0].1 = Digest::of(b"other"),
            |run| run.layers.clear(),
            |run| run.command = vec!["ab".into()],
            |run| run.command = vec!["a".into(), String::new(), "b".into()],
            |run| run.env.clear(),
            |run| run.user = Some("0".into()),
            |run| run.working_dir = "/tmp".into(),
            |run| run.epoch = Some(0),
        ];
        let mut keys = vec![key(&run())];
        for change in changes {
            let mut changed = run();
            change(&mut changed);
            keys.push(key(&changed));
        }
        keys.push(Key::of_run(&run(), &Platform::linux("arm64"), Codec::Gzip));
        keys.push(Key::of_run(&run(), &Platform::linux("amd64"), Codec::None));
        keys.push(Key::of_files(&Digest::of(b"layer"), Codec::Gzip));
        for (at, one) in keys.iter().enumerate() {
            assert!(!keys[..at].contains(one), "change {at}");
        }
        // How a layer below is compressed cannot be seen.
        let mut other = run();
        other.layers[0].0 = Descriptor::of(MediaType::LAYER, b"layer");
        assert_eq!(key(&other), keys[0]);
    }
}
