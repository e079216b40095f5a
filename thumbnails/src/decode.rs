//! What runs in a worker: one picture, from its file to its thumbnail.

use std::{
    fs::{self, File},
    hint,
    io::{self, BufReader},
    net::UdpSocket,
    process::{self, Command},
    thread,
    time::Duration,
};

use clap::ValueEnum;
use image::{DynamicImage, ImageDecoder, ImageReader, RgbImage, Rgba, RgbaImage, imageops};
use serde::{Deserialize, Serialize};

/// The longer side of a thumbnail.
pub(crate) const SIDE: u32 = 160;

/// A small picture, and the size of the one that it was made from.
///
/// The pixels travel as they are. Were they a PNG, the program would have to
/// decode what comes out of a process that it has no reason to trust; a number
/// of bytes is all that there is to check here.
#[derive(Serialize, Deserialize)]
pub(crate) struct Decoded {
    pub(crate) original: (u32, u32),
    pub(crate) size: (u32, u32),
    pub(crate) rgb: Vec<u8>,
}

/// What can be injected.
#[derive(Clone, Copy, Serialize, Deserialize, ValueEnum)]
pub(crate) enum Fault {
    /// The decoder panics.
    Panic,
    /// A signal kills the worker.
    Crash,
    /// The decoder never returns.
    Hang,
    /// The decoder allocates without end.
    Bomb,
    /// The picture has taken the decoder over.
    Intrude,
}

/// Decodes a picture of whatever format and makes a thumbnail.
///
/// The worker is given an open file, not a path: it has no use for others.
#[zygote::entry]
pub(crate) fn thumbnail(picture: File, fault: Option<Fault>) -> Result<Decoded, String> {
    if let Some(fault) = fault {
        fault.happen()?;
    }
    decode(picture).map_err(|error| error.to_string())
}

fn decode(picture: File) -> image::ImageResult<Decoded> {
    let mut reader = ImageReader::new(BufReader::new(picture)).with_guessed_format()?;
    // No limits inside: not every decoder has some, and the program's hold for all.
    reader.no_limits();
    let mut decoder = reader.into_decoder()?;
    let orientation = decoder.orientation()?;
    let mut image = DynamicImage::from_decoder(decoder)?;
    image.apply_orientation(orientation);
    let original = (image.width(), image.height());
    if original.0.max(original.1) > SIDE {
        image = image.thumbnail(SIDE, SIDE);
    }
    let rgb = on_grey(&image);
    Ok(Decoded {
        original,
        size: rgb.dimensions(),
        rgb: rgb.into_raw(),
    })
}

/// What is transparent shows a medium grey.
fn on_grey(image: &DynamicImage) -> RgbImage {
    if !image.color().has_alpha() {
        return image.to_rgb8();
    }
    let grey = Rgba([128, 128, 128, u8::MAX]);
    let mut under = RgbaImage::from_pixel(image.width(), image.height(), grey);
    imageops::overlay(&mut under, &image.to_rgba8(), 0, 0);
    DynamicImage::from(under).to_rgb8()
}

impl Fault {
    fn happen(self) -> Result<(), String> {
        match self {
            Self::Panic => panic!("this panic was injected"),
            Self::Crash => process::abort(),
            Self::Hang => loop {
                thread::sleep(Duration::from_secs(1));
            },
            Self::Bomb => {
                let mut hoard = Vec::new();
                loop {
                    hoard.push(hint::black_box(vec![1_u8; 1 << 20]));
                }
            }
            Self::Intrude => Err(intrude()),
        }
    }
}

/// What a hostile picture's code would do, and what came of it.
fn intrude() -> String {
    let tries: [(&str, io::Result<()>); 3] = [
        ("/etc/passwd", fs::read("/etc/passwd").map(drop)),
        ("a socket", UdpSocket::bind("127.0.0.1:0").map(drop)),
        ("a program", Command::new("/bin/true").status().map(drop)),
    ];
    let outcome = |(what, result): (&str, io::Result<()>)| match result {
        Ok(()) => format!("got {what}"),
        Err(error) => format!("no {what}: {error}"),
    };
    format!("the picture took over: {}", tries.map(outcome).join("; "))
}
