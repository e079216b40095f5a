//! The sample's pictures: scenes computed from noise, which look a little like
//! photographs. Nothing of this matters to how workers are used.
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_possible_wrap,
    reason = "colours and coordinates"
)]

use std::{f32::consts::TAU, io, path::PathBuf};

use image::{Rgb, RgbImage};
use serde::{Deserialize, Serialize};

/// What to paint. The seed makes two scenes of a kind differ.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Scene {
    pub(crate) kind: Kind,
    pub(crate) seed: u32,
    pub(crate) size: (u32, u32),
}

#[derive(Clone, Copy, Serialize, Deserialize)]
pub(crate) enum Kind {
    Agate,
    Clouds,
    Dunes,
    Lights,
    Nebula,
    Planet,
    Ridges,
    Sea,
}

/// Paints a scene into a file, whose name says the format. Runs in a worker.
#[zygote::entry]
pub(crate) fn paint(scene: Scene, path: PathBuf) -> io::Result<()> {
    let (width, height) = scene.size;
    let noise = Noise(scene.seed);
    let wide = width as f32 / height as f32;
    let picture = RgbImage::from_fn(width, height, |column, row| {
        // From 0 to `wide`, and from 0 at the top to 1 at the bottom.
        let x = (column as f32 + 0.5) / height as f32;
        let y = (row as f32 + 0.5) / height as f32;
        let color = match scene.kind {
            Kind::Agate => agate(&noise, x, y),
            Kind::Clouds => clouds(&noise, x, y),
            Kind::Dunes => dunes(&noise, x, y),
            Kind::Lights => lights(&noise, x, y, wide),
            Kind::Nebula => nebula(&noise, x, y),
            Kind::Planet => planet(&noise, x, y, wide),
            Kind::Ridges => ridges(&noise, x, y, wide),
            Kind::Sea => sea(&noise, x, y, wide),
        };
        let grain = (noise.point(column as i32, row as i32) - 0.5) * 0.02;
        Rgb(color.map(|part| ((part + grain).clamp(0.0, 1.0) * 255.0) as u8))
    });
    picture.save(path).map_err(io::Error::other)
}

type Color = [f32; 3];

fn mix(from: Color, to: Color, part: f32) -> Color {
    let part = part.clamp(0.0, 1.0);
    std::array::from_fn(|i| from[i] + (to[i] - from[i]) * part)
}

fn add(color: Color, light: Color, amount: f32) -> Color {
    std::array::from_fn(|i| color[i] + light[i] * amount)
}

fn step(from: f32, to: f32, at: f32) -> f32 {
    let t = ((at - from) / (to - from)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

/// Numbers from 0 to 1 that depend on the place and the seed alone.
struct Noise(u32);

impl Noise {
    fn point(&self, x: i32, y: i32) -> f32 {
        let mut hash = (x as u32).wrapping_mul(0x9E37_79B1)
            ^ (y as u32).wrapping_mul(0x85EB_CA77).rotate_left(13)
            ^ self.0.wrapping_mul(0xC2B2_AE3D);
        for shift in [15, 13, 16] {
            hash = (hash ^ (hash >> shift)).wrapping_mul(0x2C1B_3C6D);
        }
        (hash >> 8) as f32 / (1 << 24) as f32
    }

    fn smooth(&self, x: f32, y: f32) -> f32 {
        let (left, top) = (x.floor(), y.floor());
        let (column, row) = (left as i32, top as i32);
        let (right, down) = (step(0.0, 1.0, x - left), step(0.0, 1.0, y - top));
        let between = |row| {
            let from = self.point(column, row);
            from + (self.point(column + 1, row) - from) * right
        };
        let from = between(row);
        from + (between(row + 1) - from) * down
    }

    /// Coarse noise with finer and finer noise on top.
    fn rough(&self, mut x: f32, mut y: f32, octaves: i32) -> f32 {
        let (mut sum, mut weight, mut total) = (0.0, 1.0, 0.0);
        for _ in 0..octaves {
            sum += weight * self.smooth(x, y);
            total += weight;
            weight *= 0.5;
            // Turned a little each time, so that no grid shows.
            (x, y) = (1.7 * x - 1.1 * y + 19.3, 1.1 * x + 1.7 * y + 7.7);
        }
        sum / total
    }

    /// One number for the whole picture.
    fn pick(&self, which: i32) -> f32 {
        self.point(1000 + which, -77)
    }

    /// Early, noon or late: three scenes that follow each other differ.
    fn hour(&self) -> f32 {
        (self.0 % 3) as f32 / 2.0
    }

    fn hue(&self, which: i32) -> Color {
        let turn = self.pick(which);
        std::array::from_fn(|i| 0.5 + 0.5 * (TAU * (turn + i as f32 / 3.0)).cos())
    }

    fn stars(&self, x: f32, y: f32) -> f32 {
        let (x, y) = (x * 90.0, y * 90.0);
        let (column, row) = (x.floor() as i32, y.floor() as i32);
        let bright = step(0.9, 1.0, self.point(column, row));
        let (dx, dy) = (x - x.floor() - 0.5, y - y.floor() - 0.5);
        bright * (-(dx * dx + dy * dy) * 30.0).exp()
    }
}

fn agate(noise: &Noise, x: f32, y: f32) -> Color {
    let bend = noise.rough(x * 1.5, y * 1.5, 4);
    let bands = noise.rough(x * 2.0 + bend * 2.2, y * 2.0 - bend * 1.4, 5);
    let t = 0.5 + 0.5 * (bands * 34.0).sin();
    let fine = 0.5 + 0.5 * (bands * 130.0).sin();
    let dark = mix([0.20, 0.10, 0.06], noise.hue(1).map(|part| part * 0.4), 0.4);
    let light = mix([0.93, 0.86, 0.76], noise.hue(2), 0.35);
    let color = mix(dark, light, 0.15 + 0.75 * t);
    add(color, [0.12, 0.10, 0.08], fine - 0.5)
}

fn clouds(noise: &Noise, x: f32, y: f32) -> Color {
    let evening = noise.hour();
    let high = mix([0.10, 0.32, 0.70], [0.20, 0.18, 0.42], evening);
    let low = mix([0.66, 0.82, 0.95], [0.98, 0.62, 0.42], evening);
    let sky = mix(high, low, y);
    // Nearer clouds, at the top, are larger.
    let (u, v) = (x * 2.2 + y, y * (3.0 + 2.0 * y));
    let here = noise.rough(u, v, 6);
    let towards_the_sun = noise.rough(u + 0.10, v - 0.14, 6);
    let lit = 0.62 + (here - towards_the_sun) * 3.4;
    let cloud = mix([0.42, 0.44, 0.54], mix([1.0; 3], low, evening * 0.5), lit);
    mix(sky, cloud, step(0.44, 0.68, here))
}

fn dunes(noise: &Noise, x: f32, y: f32) -> Color {
    let sun = noise.pick(1);
    let sky = mix([0.25, 0.50, 0.82], [0.96, 0.80, 0.62], y * 2.2 + sun * 0.3);
    let mut color = sky;
    for layer in 0..5 {
        let near = layer as f32 / 4.0;
        let shift = noise.pick(10 + layer) * 40.0;
        let crest = |x: f32| {
            let wave = noise.smooth(x * (2.6 - 1.8 * near) + shift, near * 9.0);
            0.34 + 0.13 * layer as f32 - 0.20 * (1.0 - (2.0 * wave - 1.0).abs())
        };
        let below = y - crest(x);
        if below < 0.0 {
            continue;
        }
        let slope = (crest(x + 0.01) - crest(x - 0.01)) * 12.0;
        let ripples =
            (below * (150.0 - 80.0 * near) + noise.rough(x * 4.0, y * 9.0, 3) * 16.0).sin();
        let light = 0.52 - slope * 0.45 + ripples * 0.035 - below * 0.25;
        let sand = mix([0.36, 0.17, 0.10], [1.0, 0.76, 0.46], light);
        color = mix(sand, sky, 0.45 * (1.0 - near));
    }
    color
}

fn lights(noise: &Noise, x: f32, y: f32, wide: f32) -> Color {
    let mut color = mix([0.02, 0.02, 0.06], noise.hue(1).map(|part| part * 0.22), y);
    for light in 0..32 {
        let at = |which: i32| noise.point(light, which);
        let radius = 0.03 + 0.09 * at(1) * at(1);
        let (dx, dy) = (x - at(2) * wide, y - (0.15 + 0.8 * at(3)));
        let distance = (dx * dx + dy * dy).sqrt() / radius;
        if distance > 2.5 {
            continue;
        }
        // A lens out of focus shows a disc with a slightly brighter edge.
        let disc = (1.0 - step(0.92, 1.04, distance)) * (0.55 + 0.45 * distance * distance);
        let glow = step(2.5, 0.0, distance) * 0.18;
        let tint = mix(noise.hue(2 + light % 3), [1.0, 0.85, 0.6], at(4));
        color = add(color, tint, (disc * 0.55 + glow) * (0.35 + 0.65 * at(5)));
    }
    color
}

fn nebula(noise: &Noise, x: f32, y: f32) -> Color {
    let bend = noise.rough(x * 1.6, y * 1.6, 5);
    let gas = noise.rough(x * 1.8 + bend * 2.6, y * 1.8 + 4.0 - bend * 1.9, 6);
    let dust = noise.rough(x * 4.0 - gas * 2.0, y * 4.0 + 9.0, 5);
    let mut color = [0.015, 0.015, 0.035];
    color = add(color, noise.hue(1), step(0.35, 0.80, gas) * 0.75);
    color = add(color, noise.hue(2), step(0.42, 0.75, bend) * 0.55);
    color = add(color, [1.0, 0.92, 0.85], step(0.58, 0.85, gas) * 0.7);
    let clear = 1.0 - step(0.50, 0.72, dust) * 0.75;
    let color = color.map(|part| part * clear);
    add(color, [0.95, 0.97, 1.0], noise.stars(x, y) * (0.3 + clear))
}

fn planet(noise: &Noise, x: f32, y: f32, wide: f32) -> Color {
    let radius = 0.33 * wide.min(1.0);
    let (right, down) = ((x - wide / 2.0) / radius, (y - 0.5) / radius);
    let square = right * right + down * down;
    let air = mix(noise.hue(1), [0.55, 0.75, 1.0], 0.6);
    let halo = (-(square.sqrt() - 1.0).abs() * 9.0).exp();
    // The light comes from the upper left.
    let side = step(0.9, -0.9, (right + down) * 0.6);
    if square > 1.0 {
        let sky = add([0.01, 0.01, 0.025], [1.0; 3], noise.stars(x, y));
        return add(sky, air, halo * side * 0.55);
    }
    let front = (1.0 - square).sqrt();
    let (u, v) = (right.atan2(front) * 1.4, down.asin());
    let swirl = noise.rough(u * 2.5, v * 5.0, 5);
    let band = noise.rough(swirl * 0.9 + u * 0.3, v * 6.5 + swirl * 1.3, 4);
    let ground = mix(
        noise.hue(2).map(|part| 0.15 + part * 0.45),
        mix(noise.hue(3), [1.0, 0.95, 0.85], 0.6),
        step(0.25, 0.75, band),
    );
    let light = (-0.55 * right - 0.50 * down + 0.67 * front).max(0.0);
    let color = ground.map(|part| part * (0.03 + 1.05 * light));
    add(color, air, (1.0 - front).powi(3) * side * 0.9)
}

fn ridges(noise: &Noise, x: f32, y: f32, wide: f32) -> Color {
    let hour = noise.hour();
    let high = mix([0.20, 0.36, 0.66], [0.28, 0.18, 0.42], hour);
    let low = mix([0.96, 0.84, 0.68], [0.99, 0.55, 0.36], hour);
    let (dx, dy) = (x - wide * (0.25 + 0.5 * noise.pick(2)), y - 0.30);
    let far = (dx * dx + dy * dy).sqrt();
    let mut color = mix(high, low, y * 2.1);
    color = add(color, [1.0, 0.85, 0.6], (-far * 7.0).exp() * 0.55);
    color = mix(color, [1.0, 0.96, 0.86], step(0.048, 0.040, far));
    for layer in 0..6 {
        let near = layer as f32 / 5.0;
        let sharp = 2.2 + near * 1.6;
        let shape = noise.rough(x * sharp + noise.pick(20 + layer) * 60.0, near * 7.0, 6);
        let crest = 0.52 + 0.11 * layer as f32 - (0.46 - 0.10 * near) * shape;
        if y > crest {
            let rock = mix(mix(low, high, 0.55), [0.03, 0.05, 0.08], 0.15 + 0.85 * near);
            // Mist collects in the valleys.
            color = mix(rock, low, (y - crest) * 2.4 * (1.0 - near));
        }
    }
    color
}

fn sea(noise: &Noise, x: f32, y: f32, wide: f32) -> Color {
    let hour = noise.hour();
    let horizon = 0.46 + 0.12 * noise.pick(2);
    let sun = wide * (0.3 + 0.4 * noise.pick(3));
    let sky = |x: f32, y: f32| {
        let high = mix([0.16, 0.30, 0.60], [0.16, 0.10, 0.32], hour);
        let low = mix([1.0, 0.80, 0.52], [0.98, 0.42, 0.28], hour);
        let (dx, dy) = (x - sun, y - horizon + 0.09);
        let far = (dx * dx + dy * dy).sqrt();
        let streaks = noise.rough(x * 1.6, y * 9.0, 5);
        let mut color = mix(high, low, (y / horizon).powi(2));
        color = mix(
            color,
            mix(low, [1.0; 3], 0.25),
            step(0.50, 0.75, streaks) * 0.55,
        );
        color = add(color, [1.0, 0.75, 0.45], (-far * 6.0).exp() * 0.6);
        mix(color, [1.0, 0.95, 0.82], step(0.058, 0.050, far))
    };
    if y < horizon {
        return sky(x, y);
    }
    // Waves are flatter and closer to each other towards the horizon.
    let depth = y - horizon + 0.012;
    let wave = noise.rough(x * 5.0 / (depth * 4.0 + 0.5), 1.1 / depth, 4) - 0.5;
    let mirrored = sky(
        x + wave * 0.10,
        (horizon - depth * 0.75 + wave * 0.16).clamp(0.0, horizon),
    );
    let water = mix(
        mirrored.map(|part| part * 0.72),
        [0.03, 0.10, 0.16],
        0.25 + depth * 0.9,
    );
    let path = (-((x - sun) / (0.05 + depth * 0.35)).powi(2)).exp();
    add(
        water,
        [1.0, 0.82, 0.55],
        path * step(0.02, 0.16, wave) * 0.75,
    )
}
