//! Lists of different lengths, one per image, laid end to end.
use crate::error::Error;

/// Where the items of each image are: those of image i lie in `offsets[i]..offsets[i + 1]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offsets(Vec<usize>);

impl Default for Offsets {
    fn default() -> Self {
        Self(vec![0])
    }
}

impl Offsets {
    /// Adds an image whose items end here.
    pub fn push(&mut self, end: usize) {
        self.0.push(end.max(self.items()));
    }

    /// Number of images.
    pub fn images(&self) -> usize {
        self.0.len() - 1
    }

    /// Number of items of all images.
    pub fn items(&self) -> usize {
        self.0.last().copied().unwrap_or_default()
    }

    /// The items of an image.
    pub fn of(&self, image: usize) -> std::ops::Range<usize> {
        self.0[image]..self.0[image + 1]
    }

    /// The numbers themselves, one more than there are images.
    pub fn as_slice(&self) -> &[usize] {
        &self.0
    }

    /// Where an item is, in words.
    pub fn place(&self, item: usize) -> String {
        let image = self.0.partition_point(|&start| start <= item) - 1;
        format!("index {} of image {image}", item - self.0[image])
    }

    /// Passes when a list of so many items is laid out by these offsets.
    ///
    /// # Errors
    /// [`Error::Argument`].
    pub fn check(&self, name: &'static str, len: usize, other: &str) -> Result<(), Error> {
        if len == self.items() {
            return Ok(());
        }
        Err(Error::length(name, len, other, self.items()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_found_by_image_and_images_by_item() {
        let mut offsets = Offsets::default();
        for end in [2, 2, 5] {
            offsets.push(end);
        }
        assert_eq!((offsets.images(), offsets.items()), (3, 5));
        assert_eq!((offsets.of(1), offsets.of(2)), (2..2, 2..5));
        assert_eq!(offsets.place(1), "index 1 of image 0");
        assert_eq!(offsets.place(2), "index 0 of image 2");
        assert!(offsets.check("labels", 4, "boxes").is_err());
    }
}
