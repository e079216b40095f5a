//! Lines in an SVG. Horizontally the scale is logarithmic.

use std::path::Path;

use anyhow::{Result, anyhow};
use plotters::{
    coord::ranged1d::{AsRangedCoord, ValueFormatter},
    prelude::*,
};

/// One line.
#[derive(Clone, Debug)]
pub struct Line {
    /// What it is called.
    pub name: String,
    /// Of what it is made.
    pub points: Vec<(f64, f64)>,
    /// Lines of one colour belong together.
    pub colour: usize,
    /// Every other of such is drawn in dashes.
    pub dashed: bool,
}

/// What the plot says besides its lines.
#[derive(Clone, Copy, Debug)]
pub struct Words<'a> {
    /// Above it.
    pub title: &'a str,
    /// Below it.
    pub x: &'a str,
    /// At its left.
    pub y: &'a str,
}

const WIDTH: u32 = 960;
const HEIGHT: u32 = 520;
const LEGEND: u32 = 250;

/// Colours that can be told apart, this crate's first.
const COLOURS: [RGBColor; 12] = [
    RGBColor(0xd6, 0x27, 0x28),
    RGBColor(0xff, 0x98, 0x96),
    RGBColor(0x1f, 0x77, 0xb4),
    RGBColor(0x2c, 0xa0, 0x2c),
    RGBColor(0x94, 0x67, 0xbd),
    RGBColor(0xff, 0x7f, 0x0e),
    RGBColor(0x8c, 0x56, 0x4b),
    RGBColor(0xe3, 0x77, 0xc2),
    RGBColor(0x17, 0xbe, 0xcf),
    RGBColor(0x7f, 0x7f, 0x7f),
    RGBColor(0xbc, 0xbd, 0x22),
    RGBColor(0x00, 0x00, 0x00),
];

/// How the vertical scale runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vertical {
    /// Every step is a factor.
    Logarithmic,
    /// From 0 to 1.
    Share,
}

/// Writes the lines to a file.
///
/// # Errors
///
/// The file cannot be written; there is no point.
pub fn write(path: &Path, words: Words<'_>, vertical: Vertical, lines: &[Line]) -> Result<()> {
    let points = || lines.iter().flat_map(|line| &line.points);
    let x = range(points().map(|point| point.0))?;
    match vertical {
        Vertical::Logarithmic => {
            let y = range(points().map(|point| point.1))?;
            draw(path, words, x, (y.0 / 1.5..y.1 * 1.5).log_scale(), lines)
        }
        Vertical::Share => draw(path, words, x, 0.0..1.0, lines),
    }
    .map_err(|error| anyhow!("{}: {error}", path.display()))
}

/// With decimals where there are no others.
fn label(value: &f64) -> String {
    if *value < 1.5 && value.fract() != 0.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.0}")
    }
}

fn range(values: impl Iterator<Item = f64> + Clone) -> Result<(f64, f64)> {
    let least = values.clone().fold(f64::INFINITY, f64::min);
    let most = values.fold(0.0, f64::max);
    if least > 0.0 && least.is_finite() {
        Ok((least, most))
    } else {
        Err(anyhow!("nothing to plot"))
    }
}

fn draw<Y>(
    path: &Path,
    words: Words<'_>,
    x: (f64, f64),
    y: Y,
    lines: &[Line],
) -> Result<(), Box<dyn std::error::Error + Send + Sync>>
where
    Y: AsRangedCoord<Value = f64>,
    Y::CoordDescType: ValueFormatter<f64>,
{
    let root = SVGBackend::new(path, (WIDTH, HEIGHT)).into_drawing_area();
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&root)
        .caption(words.title, ("sans-serif", 18))
        .margin(12)
        .margin_right(LEGEND)
        .x_label_area_size(44)
        .y_label_area_size(72)
        .build_cartesian_2d((x.0..x.1).log_scale(), y)?;
    chart
        .configure_mesh()
        .light_line_style(RGBColor(0xf2, 0xf2, 0xf2))
        .bold_line_style(RGBColor(0xdd, 0xdd, 0xdd))
        .axis_desc_style(("sans-serif", 14))
        .label_style(("sans-serif", 12))
        .x_label_formatter(&label)
        .y_label_formatter(&label)
        .x_desc(words.x)
        .y_desc(words.y)
        .draw()?;
    let right = i32::try_from(WIDTH - LEGEND)? + 8;
    for (at, line) in lines.iter().enumerate() {
        let style = COLOURS[line.colour % COLOURS.len()].stroke_width(2);
        let points = line.points.iter().copied();
        let y = 52 + 20 * i32::try_from(at)?;
        let sample = [(right, y), (right + 22, y)];
        if line.dashed {
            chart.draw_series(DashedLineSeries::new(points, 5, 4, style))?;
            root.draw(&PathElement::new([(right, y), (right + 8, y)], style))?;
            root.draw(&PathElement::new([(right + 14, y), (right + 22, y)], style))?;
        } else {
            chart.draw_series(LineSeries::new(points, style))?;
            root.draw(&PathElement::new(sample, style))?;
        }
        let place = (right + 28, y - 7);
        root.draw(&Text::new(line.name.clone(), place, ("sans-serif", 13)))?;
    }
    root.present()?;
    Ok(())
}
