//! The sample directory: pictures of several formats and sizes, and some that
//! are no pictures any more.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::Path,
};

use anyhow::ensure;
use zygote::Process;

use crate::paint::{Kind, Scene, paint};

const PICTURES: [(&str, Kind, u32, u32); 26] = [
    ("agate-1.jpg", Kind::Agate, 900, 900),
    ("agate-2.png", Kind::Agate, 800, 600),
    ("agate-3.qoi", Kind::Agate, 640, 640),
    ("clouds-1.jpg", Kind::Clouds, 1280, 720),
    ("clouds-2.jpg", Kind::Clouds, 720, 960),
    ("clouds-3.bmp", Kind::Clouds, 800, 533),
    ("dunes-1.jpg", Kind::Dunes, 1080, 720),
    ("dunes-2.ppm", Kind::Dunes, 960, 640),
    ("dunes-3.jpg", Kind::Dunes, 600, 900),
    ("icon.png", Kind::Planet, 48, 48),
    ("lights-1.jpg", Kind::Lights, 900, 600),
    ("lights-2.gif", Kind::Lights, 320, 320),
    ("lights-3.png", Kind::Lights, 600, 800),
    ("nebula-1.png", Kind::Nebula, 800, 800),
    ("nebula-2.jpg", Kind::Nebula, 1280, 720),
    ("nebula-3.qoi", Kind::Nebula, 720, 900),
    ("panorama.jpg", Kind::Ridges, 1600, 320),
    ("planet-1.png", Kind::Planet, 700, 700),
    ("planet-2.bmp", Kind::Planet, 960, 640),
    ("planet-3.jpg", Kind::Planet, 640, 800),
    ("ridges-1.jpg", Kind::Ridges, 960, 640),
    ("ridges-2.png", Kind::Ridges, 720, 540),
    ("ridges-3.gif", Kind::Ridges, 400, 300),
    ("sea-1.jpg", Kind::Sea, 1200, 800),
    ("sea-2.ppm", Kind::Sea, 900, 600),
    ("sea-3.jpg", Kind::Sea, 720, 960),
];

/// Makes the directory and everything in it, the same every time.
pub(crate) fn make(dir: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(dir)?;
    let tasks = (1..)
        .zip(PICTURES)
        .map(|(seed, (name, kind, width, height))| {
            let size = (width, height);
            paint::task(Scene { kind, seed, size }, dir.join(name))
        });
    for worker in Process::new()?.spawn_all(tasks) {
        worker?.join()??;
    }
    spoil(dir)
}

/// Adds what a directory of pictures collects over the years.
fn spoil(dir: &Path) -> anyhow::Result<()> {
    let half = |name: &str| -> io::Result<Vec<u8>> {
        let bytes = fs::read(dir.join(name))?;
        Ok(bytes[..bytes.len() / 2].to_vec())
    };
    fs::write(dir.join("clouds-truncated.bmp"), half("clouds-3.bmp")?)?;
    fs::write(dir.join("nebula-truncated.png"), half("nebula-1.png")?)?;
    fs::write(
        dir.join("planet-truncated.jpg"),
        &half("planet-3.jpg")?[..200],
    )?;

    fs::write(dir.join("agate-corrupt.png"), corrupt(dir, "agate-2.png")?)?;
    fs::write(
        dir.join("lights-corrupt.gif"),
        corrupt(dir, "lights-2.gif")?,
    )?;

    fs::write(dir.join("ridges-empty.jpg"), "")?;
    fs::write(
        dir.join("sea-renamed.jpg"),
        "This is a text, whatever its name says.\n",
    )?;
    hostile(dir)?;
    Ok(())
}

/// Adds pictures that are more than their decoder can bear.
fn hostile(dir: &Path) -> io::Result<()> {
    // Asks for more memory than any machine has: the decoder aborts.
    let header = "P6\n1000000000 1000000000\n255\n";
    fs::write(dir.join("clouds-crash.ppm"), header)?;
    // A picture of 2.7 GB, all of it black.
    let header = "P6\n30000 30000\n255\n";
    sparse(&dir.join("dunes-bomb.ppm"), header, 2_700_000_100)?;
    // A comment in the header that goes on and on.
    sparse(&dir.join("sea-hang.ppm"), "P6\n#", 32 << 30)
}

/// A file that begins like this; the zeros that follow take no room on the disk.
fn sparse(path: &Path, begin: &str, length: u64) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(begin.as_bytes())?;
    file.set_len(length)
}

/// The file with all bytes of its second quarter inverted.
fn corrupt(dir: &Path, name: &str) -> anyhow::Result<Vec<u8>> {
    let mut bytes = fs::read(dir.join(name))?;
    let quarter = bytes.len() / 4;
    ensure!(quarter > 0, "{name} is empty");
    for byte in &mut bytes[quarter..2 * quarter] {
        *byte = !*byte;
    }
    Ok(bytes)
}
