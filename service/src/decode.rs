//! What runs in a worker: one picture, from its bytes to its thumbnail.

use std::io::Cursor;

use image::{ImageFormat, ImageReader};

/// The longer side of a thumbnail.
const SIDE: u32 = 160;

/// Decodes a picture of whatever format and makes a PNG.
///
/// The error is what the decoder says of a picture that it cannot read. There are no
/// limits in here: those of the pool hold for every decoder, whatever it does.
#[zygote::entry]
pub(crate) fn thumbnail(picture: Vec<u8>) -> Result<Vec<u8>, String> {
    decode(&picture).map_err(|error| error.to_string())
}

fn decode(picture: &[u8]) -> image::ImageResult<Vec<u8>> {
    let mut reader = ImageReader::new(Cursor::new(picture)).with_guessed_format()?;
    reader.no_limits();
    let picture = reader.decode()?;
    let side = SIDE.min(picture.width().max(picture.height()));
    let mut png = Cursor::new(Vec::new());
    let small = picture.thumbnail(side, side);
    small.write_to(&mut png, ImageFormat::Png)?;
    Ok(png.into_inner())
}
