//! Three layers as large as those of a real image, made here and kept beside the build: always the same bytes.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::measure::Skipped;

/// Entries and directories of each layer, bottom first: 80,000 entries and 1 GB of archives together.
const LAYERS: [(usize, usize); 3] = [(40_000, 3000), (26_000, 2000), (14_000, 1000)];
/// Mean bytes of a file.
const MEAN: u64 = 20_500;

/// How a layer is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    /// `application/vnd.oci.image.layer.v1.tar+gzip`.
    Gzip,
    /// `application/vnd.oci.image.layer.v1.tar+zstd`.
    Zstd,
}

/// One layer in both compressions.
#[derive(Debug, Clone)]
pub struct Layer {
    /// The gzip file.
    pub gzip: PathBuf,
    /// The zstd file.
    pub zstd: PathBuf,
    /// SHA-256 of the archive, in hexadecimal.
    pub diff_id: String,
}

impl Layer {
    /// The file in a compression.
    pub fn path(&self, codec: Codec) -> &Path {
        match codec {
            Codec::Gzip => &self.gzip,
            Codec::Zstd => &self.zstd,
        }
    }
}

/// The layers, bottom first; made when they are not there.
///
/// # Errors
/// Why they cannot be made.
pub fn layers() -> Result<Vec<Layer>, Skipped> {
    let because = Skipped::because::<io::Error>("make the sample layers");
    let folder = std::env::current_exe().map_err(&because)?;
    let folder = folder.parent().unwrap_or(Path::new(".")).join("bench-layers-1");
    std::fs::create_dir_all(&folder).map_err(&because)?;
    std::thread::scope(|scope| {
        let makers: Vec<_> = (0..LAYERS.len())
            .map(|number| {
                let folder = &folder;
                scope.spawn(move || layer(folder, number))
            })
            .collect();
        let made = makers.into_iter().map(|maker| match maker.join() {
            Ok(made) => made,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        made.collect::<io::Result<_>>()
    })
    .map_err(because)
}

fn layer(folder: &Path, number: usize) -> io::Result<Layer> {
    let [gzip, zstd, id] = ["gz", "zst", "id"].map(|kind| folder.join(format!("{number}.{kind}")));
    // Written last.
    if let Ok(diff_id) = std::fs::read_to_string(&id) {
        return Ok(Layer { gzip, zstd, diff_id });
    }
    let out = Both {
        hash: Sha256::new(),
        gzip: flate2::write::GzEncoder::new(BufWriter::new(File::create(&gzip)?), flate2::Compression::new(4)),
        zstd: zstd::Encoder::new(BufWriter::new(File::create(&zstd)?), 3)?,
    };
    let Both { hash, gzip: gzip_out, zstd: zstd_out } = archive(number, out)?;
    gzip_out.finish()?.into_inner()?;
    zstd_out.finish()?.into_inner()?;
    let diff_id = hex(&hash.finalize());
    for path in [&gzip, &zstd] {
        let hash = Sha256::new_with_prefix(std::fs::read(path)?);
        std::fs::write(path.with_added_extension("sha256"), hex(&hash.finalize()))?;
    }
    std::fs::write(&id, &diff_id)?;
    Ok(Layer { gzip, zstd, diff_id })
}

fn hex(digest: &[u8]) -> String {
    digest.iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"))
}

/// Compresses and hashes what is written.
struct Both {
    hash: Sha256,
    gzip: flate2::write::GzEncoder<BufWriter<File>>,
    zstd: zstd::Encoder<'static, BufWriter<File>>,
}

impl Write for Both {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.hash.update(bytes);
        self.gzip.write_all(bytes)?;
        self.zstd.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Small numbers that look random and are the same in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

/// Files of all sizes, of text and of noise, with links and directories between them.
fn archive<W: Write>(number: usize, out: W) -> io::Result<W> {
    let (entries, directories) = LAYERS[number];
    let mut random = Random(0x9e37_79b9_7f4a_7c15 ^ number as u64);
    let words: Vec<Vec<u8>> = (0..4096)
        .map(|_| {
            (0..4 + random.below(20))
                .map(|_| b"etaoinshrdlucmfwyp_. \n"[usize::try_from(random.below(22)).unwrap_or(0)])
                .collect()
        })
        .collect();
    let mut builder = tar::Builder::new(out);
    for directory in 0..directories {
        builder.append_data(&mut header(tar::EntryType::Directory, 0o755, 0), place(number, directory), io::empty())?;
    }
    let mut content = Vec::new();
    for entry in directories..entries {
        let path = format!("{}/file-{entry}", place(number, entry % directories));
        if entry % 13 == 0 {
            let target = format!("../file-{}", entry - 1);
            builder.append_link(&mut header(tar::EntryType::Symlink, 0o777, 0), path, target)?;
            continue;
        }
        // Most files are small and most bytes are in large ones.
        let size = match random.below(100) {
            0..60 => random.below(MEAN / 4),
            60..97 => random.below(MEAN * 2 / 3),
            _ => random.below(MEAN * 32),
        };
        fill(&mut content, usize::try_from(size).unwrap_or(0), &words, &mut random);
        let mode = if entry % 5 == 0 { 0o755 } else { 0o644 };
        builder.append_data(&mut header(tar::EntryType::Regular, mode, content.len() as u64), path, &content[..])?;
    }
    builder.into_inner()
}

fn place(layer: usize, directory: usize) -> String {
    format!("usr/share/layer-{layer}/{}/package-{directory}", directory % 50)
}

fn header(kind: tar::EntryType, mode: u32, size: u64) -> tar::Header {
    let mut header = tar::Header::new_ustar();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size);
    header.set_mtime(1_700_000_000);
    header.set_uid(0);
    header.set_gid(0);
    header
}

fn fill(content: &mut Vec<u8>, size: usize, words: &[Vec<u8>], random: &mut Random) {
    content.clear();
    while content.len() < size {
        let drawn = random.next();
        if drawn.is_multiple_of(8) {
            content.extend(drawn.to_le_bytes());
        } else {
            content.extend(&words[usize::try_from(drawn >> 8).unwrap_or(0) % words.len()]);
        }
    }
    content.truncate(size);
}
