//! From a decoded picture to its place in the output: size, colours, rotation.
use crate::av::{Canvas, Code, Frame, Planes, Scaler, planes};
use crate::resample::Resampler;

/// How a stored picture is turned to be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Orientation {
    /// Rows become columns.
    pub swap: bool,
    /// Then left and right are exchanged.
    pub mirror: bool,
    /// Then top and bottom are exchanged.
    pub flip: bool,
}

impl Orientation {
    const UPRIGHT: Self = Self {
        swap: false,
        mirror: false,
        flip: false,
    };

    /// From the signs of x' = ax + cy, y' = bx + dy; without them a picture stays as it is stored.
    pub(crate) fn of(matrix: Option<[i8; 4]>) -> Self {
        let Some([a, b, c, d]) = matrix else {
            return Self::UPRIGHT;
        };
        let swap = a == 0 && d == 0;
        Self {
            swap,
            mirror: a + c < 0,
            flip: b + d < 0,
        }
    }

    /// Clockwise degrees, a reflection aside.
    pub(crate) fn degrees(self) -> u16 {
        match (self.swap, self.mirror, self.flip) {
            (false, _, false) => 0,
            (false, _, true) => 180,
            (true, _, false) => 90,
            (true, _, true) => 270,
        }
    }
}

/// Draws pictures of one clip, all of the same size. One per thread.
pub(crate) struct Painter {
    orientation: Orientation,
    height: usize,
    width: usize,
    resampler: Resampler,
    /// For pictures that the resampler does not understand.
    scaler: Scaler,
    canvas: Canvas,
    /// A picture that has yet to be turned.
    unturned: Vec<u8>,
}

impl Painter {
    /// Height and width are those of the output, after the rotation.
    pub(crate) fn new(orientation: Orientation, (height, width): (usize, usize)) -> Self {
        Self {
            orientation,
            height,
            width,
            resampler: Resampler::default(),
            scaler: Scaler::default(),
            canvas: Canvas::default(),
            unturned: Vec::new(),
        }
    }

    /// Fills a slot of `height * width * 3` bytes.
    pub(crate) fn draw(&mut self, frame: &Frame, slot: &mut [u8]) -> Result<(), Code> {
        let (height, width) = if self.orientation.swap {
            (self.width, self.height)
        } else {
            (self.height, self.width)
        };
        let suited = Resampler::suits(frame.size(), (width, height));
        let Some(planes) = planes(frame).filter(|_| suited) else {
            self.scaler.draw(frame, width, height, &mut self.canvas)?;
            let rows: Vec<&[u8]> = self.canvas.rows().collect();
            place(self.orientation, &rows, slot);
            return Ok(());
        };
        let upright = self.orientation == Orientation::UPRIGHT;
        let picture = if upright {
            &mut *slot
        } else {
            self.unturned.resize(slot.len(), 0);
            &mut self.unturned
        };
        match planes {
            Planes::Bytes(yuv) => self.resampler.draw(&yuv, width, picture),
            Planes::Words(yuv) => self.resampler.draw(&yuv, width, picture),
        }
        if !upright {
            let rows: Vec<&[u8]> = self.unturned.chunks_exact(width * 3).collect();
            place(self.orientation, &rows, slot);
        }
        Ok(())
    }
}

/// Copies packed RGB rows in the given orientation.
fn place(orientation: Orientation, rows: &[&[u8]], slot: &mut [u8]) {
    let height = rows.len();
    let width = rows.first().map_or(0, |row| row.len() / 3);
    if !orientation.swap && !orientation.mirror {
        for (y, to) in slot.chunks_exact_mut(width * 3).enumerate() {
            to.copy_from_slice(rows[if orientation.flip { height - 1 - y } else { y }]);
        }
        return;
    }
    let (out_width, out_height) = if orientation.swap {
        (height, width)
    } else {
        (width, height)
    };
    for (y, to) in slot.chunks_exact_mut(out_width * 3).enumerate() {
        let y = if orientation.flip {
            out_height - 1 - y
        } else {
            y
        };
        for (x, pixel) in to.chunks_exact_mut(3).enumerate() {
            let x = if orientation.mirror {
                out_width - 1 - x
            } else {
                x
            };
            let (from_y, from_x) = if orientation.swap { (x, y) } else { (y, x) };
            pixel.copy_from_slice(&rows[from_y][from_x * 3..from_x * 3 + 3]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Turns the picture 0 1 2 / 3 4 5.
    fn turned(matrix: [i8; 4]) -> (u16, Vec<u8>) {
        let row = |from: u8| (from..from + 3).flat_map(|v| [v; 3]).collect::<Vec<u8>>();
        let (top, bottom) = (row(0), row(3));
        let mut slot = [0; 18];
        let orientation = Orientation::of(Some(matrix));
        place(orientation, &[&top, &bottom], &mut slot);
        (
            orientation.degrees(),
            slot.iter().step_by(3).copied().collect(),
        )
    }

    #[test]
    fn quarter_turns_are_clockwise() {
        assert_eq!(turned([1, 0, 0, 1]), (0, vec![0, 1, 2, 3, 4, 5]));
        assert_eq!(turned([0, 1, -1, 0]), (90, vec![3, 0, 4, 1, 5, 2]));
        assert_eq!(turned([-1, 0, 0, -1]), (180, vec![5, 4, 3, 2, 1, 0]));
        assert_eq!(turned([0, -1, 1, 0]), (270, vec![2, 5, 1, 4, 0, 3]));
    }

    #[test]
    fn reflections_are_applied() {
        assert_eq!(turned([-1, 0, 0, 1]).1, [2, 1, 0, 5, 4, 3]);
        assert_eq!(turned([1, 0, 0, -1]).1, [3, 4, 5, 0, 1, 2]);
        assert_eq!(turned([0, 1, 1, 0]).1, [0, 3, 1, 4, 2, 5]);
    }
}
