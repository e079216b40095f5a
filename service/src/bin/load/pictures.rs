//! The pictures that are sent: good ones, and some that no decoder likes.

use std::io::{Cursor, Write};

use flate2::{Compression, write::ZlibEncoder};
use image::{ImageFormat, RgbImage};

/// What a picture is, and so what may come of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Good,
    Corrupt,
    Crash,
    Hang,
}

/// How many of a hundred are of each kind.
const MIX: [(Kind, u32); 4] = [
    (Kind::Good, 90),
    (Kind::Corrupt, 6),
    (Kind::Crash, 2),
    (Kind::Hang, 2),
];

pub(crate) struct Pictures {
    good: Vec<u8>,
    corrupt: Vec<u8>,
    hang: Vec<u8>,
}

impl Pictures {
    pub(crate) fn make() -> anyhow::Result<Self> {
        let mut corrupt = picture(ImageFormat::Png)?;
        let quarter = corrupt.len() / 4;
        corrupt[quarter..]
            .iter_mut()
            .for_each(|byte| *byte = !*byte);
        Ok(Self {
            good: picture(ImageFormat::Jpeg)?,
            corrupt,
            hang: hang()?,
        })
    }

    pub(crate) fn get(&self, kind: Kind) -> &[u8] {
        match kind {
            Kind::Good => &self.good,
            Kind::Corrupt => &self.corrupt,
            // Asks for more memory than any machine has: the decoder aborts.
            Kind::Crash => b"P6\n1000000000 1000000000\n255\n",
            Kind::Hang => &self.hang,
        }
    }
}

/// The kind of the next picture.
pub(crate) fn draw() -> Kind {
    let mut dice = fastrand::u32(..100);
    for (kind, share) in MIX {
        match dice.checked_sub(share) {
            Some(rest) => dice = rest,
            None => return kind,
        }
    }
    Kind::Good
}

fn picture(format: ImageFormat) -> image::ImageResult<Vec<u8>> {
    let picture = RgbImage::from_fn(640, 480, |x, y| {
        let [x8, y8] = [x * y / 64, x + y].map(|n| u8::try_from(n % 256).unwrap_or_default());
        image::Rgb([x8, y8, x8 ^ y8])
    });
    let mut file = Cursor::new(Vec::new());
    picture.write_to(&mut file, format)?;
    Ok(file.into_inner())
}

/// A PNG of some kilobytes with 961 million pixels. It is interlaced, which means that
/// each of them is moved by itself.
fn hang() -> anyhow::Result<Vec<u8>> {
    const SIDE: u32 = 31_000;
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    // One bit for each pixel, which is black or white; interlaced.
    let header = [
        &SIDE.to_be_bytes()[..],
        &SIDE.to_be_bytes(),
        &[1, 0, 0, 0, 1],
    ]
    .concat();
    chunk(&mut png, b"IHDR", &header)?;
    let mut data = ZlibEncoder::new(Vec::new(), Compression::best());
    // The seven passes: where they begin, and how far their pixels lie apart.
    for (x, y, right, down) in [
        (0, 0, 8, 8),
        (4, 0, 8, 8),
        (0, 4, 4, 8),
        (2, 0, 4, 4),
        (0, 2, 2, 4),
        (1, 0, 2, 2),
        (0, 1, 1, 2),
    ] {
        let width: u32 = (SIDE - x).div_ceil(right);
        let line = vec![0; 1 + usize::try_from(width.div_ceil(8))?];
        for _ in 0..(SIDE - y).div_ceil(down) {
            data.write_all(&line)?;
        }
    }
    chunk(&mut png, b"IDAT", &data.finish()?)?;
    chunk(&mut png, b"IEND", b"")?;
    Ok(png)
}

fn chunk(png: &mut Vec<u8>, name: &[u8; 4], body: &[u8]) -> anyhow::Result<()> {
    png.extend(u32::try_from(body.len())?.to_be_bytes());
    png.extend(name);
    png.extend(body);
    png.extend(crc32fast::hash(&[&name[..], body].concat()).to_be_bytes());
    Ok(())
}
