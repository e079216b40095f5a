//! The contact sheet: all thumbnails on one page, with their names, and in
//! place of a thumbnail that failed, the reason.

use image::{Rgb, RgbImage, imageops};

use crate::{
    decode::SIDE,
    font::{self, text},
    watch::Thumbnail,
};

const MARGIN: u32 = 24;
const GAP: u32 = 16;
/// Room for the name and the size below a thumbnail.
const CAPTION: u32 = 30;
const TITLE: u32 = 40;
/// A page beyond this is of no use to anybody.
const MOST: u32 = 1000;

const PAGE: Rgb<u8> = Rgb([22, 23, 27]);
const TILE: Rgb<u8> = Rgb([32, 33, 39]);
const INK: Rgb<u8> = Rgb([222, 222, 226]);
const FAINT: Rgb<u8> = Rgb([132, 134, 144]);
const FAILED_TILE: Rgb<u8> = Rgb([58, 22, 27]);
const FAILED: Rgb<u8> = Rgb([226, 72, 72]);
const FAILED_INK: Rgb<u8> = Rgb([255, 190, 182]);

/// A page that is being filled.
pub(crate) struct Sheet {
    page: RgbImage,
    pictures: u32,
    columns: u32,
}

impl Sheet {
    /// A page for so many pictures, a little wider than high.
    pub(crate) fn new(pictures: usize) -> Self {
        let pictures = u32::try_from(pictures).unwrap_or(u32::MAX);
        let places = pictures.min(MOST);
        let columns = (places * 3 / 2).isqrt().max(4);
        let rows = places.div_ceil(columns);
        let width = 2 * MARGIN + columns * (SIDE + GAP) - GAP;
        let height = 2 * MARGIN + TITLE + rows * (SIDE + CAPTION + GAP) - GAP;
        Self {
            page: RgbImage::from_pixel(width, height, PAGE),
            pictures,
            columns,
        }
    }

    /// Puts a thumbnail in its place.
    pub(crate) fn thumbnail(&mut self, index: usize, name: &str, thumbnail: &Thumbnail) {
        let Some((x, y)) = self.place(index) else {
            return;
        };
        fill(&mut self.page, (x, y), (SIDE, SIDE), TILE);
        let (width, height) = thumbnail.pixels.dimensions();
        let left = x + (SIDE - width) / 2;
        let top = y + (SIDE - height) / 2;
        imageops::replace(&mut self.page, &thumbnail.pixels, left.into(), top.into());
        let (width, height) = thumbnail.original;
        let size = format!("{width} x {height}");
        self.caption((x, y), (name, INK), (&size, FAINT));
    }

    /// Marks a place as failed.
    pub(crate) fn failure(&mut self, index: usize, name: &str, reason: &str) {
        let Some((x, y)) = self.place(index) else {
            return;
        };
        fill(&mut self.page, (x, y), (SIDE, SIDE), FAILED);
        fill(
            &mut self.page,
            (x + 2, y + 2),
            (SIDE - 4, SIDE - 4),
            FAILED_TILE,
        );
        for step in 0..32 {
            let stroke = (3, 2);
            fill(
                &mut self.page,
                (x + 64 + step, y + 18 + step),
                stroke,
                FAILED,
            );
            fill(
                &mut self.page,
                (x + 95 - step, y + 18 + step),
                stroke,
                FAILED,
            );
        }
        for (line, top) in font::wrap(reason, (SIDE - 20) / font::WIDTH)
            .iter()
            .zip((66..145).step_by(12))
        {
            text(&mut self.page, (x + 10, y + top), 1, FAILED_INK, line);
        }
        self.caption((x, y), (name, FAILED_INK), ("failed", FAILED));
    }

    /// The page, with its title.
    pub(crate) fn finish(mut self, failures: usize) -> RgbImage {
        let done = self.pictures as usize - failures;
        let title = match failures {
            0 => format!("{done} thumbnails"),
            _ => format!("{done} thumbnails, {failures} pictures failed"),
        };
        text(&mut self.page, (MARGIN, MARGIN), 2, INK, &title);
        if self.pictures > MOST {
            let note = format!("the first {MOST} of {} pictures", self.pictures);
            text(&mut self.page, (MARGIN, MARGIN + 20), 1, FAINT, &note);
        }
        self.page
    }

    /// The corner of a picture's place.
    fn place(&self, index: usize) -> Option<(u32, u32)> {
        let index = u32::try_from(index).ok().filter(|&index| index < MOST)?;
        Some((
            MARGIN + index % self.columns * (SIDE + GAP),
            MARGIN + TITLE + index / self.columns * (SIDE + CAPTION + GAP),
        ))
    }

    fn caption(&mut self, at: (u32, u32), name: (&str, Rgb<u8>), note: (&str, Rgb<u8>)) {
        let (x, y) = (at.0, at.1 + SIDE + 6);
        let name_text = font::shorten(name.0, SIDE / font::WIDTH);
        text(&mut self.page, (x, y), 1, name.1, &name_text);
        text(&mut self.page, (x, y + 12), 1, note.1, note.0);
    }
}

fn fill(page: &mut RgbImage, at: (u32, u32), size: (u32, u32), color: Rgb<u8>) {
    for y in at.1..at.1 + size.1 {
        for x in at.0..at.0 + size.0 {
            page.put_pixel(x, y, color);
        }
    }
}
