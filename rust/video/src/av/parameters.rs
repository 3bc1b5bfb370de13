//! What a decoder must know before the first packet.
use super::{Code, sys};
use std::ptr::{self, NonNull};

/// The compressions whose tables and packets are read here; all others are FFmpeg's alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Codec {
    H264,
    Hevc,
    Mpeg4,
    Mpeg2,
}

impl Codec {
    fn id(self) -> sys::AVCodecID {
        match self {
            Self::H264 => sys::AVCodecID::H264,
            Self::Hevc => sys::AVCodecID::HEVC,
            Self::Mpeg4 => sys::AVCodecID::MPEG4,
            Self::Mpeg2 => sys::AVCodecID::MPEG2VIDEO,
        }
    }
}

/// Colours as a container tags them, in the numbers of ISO 23091-2; `None` is untagged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Colours {
    pub primaries: Option<u16>,
    pub transfer: Option<u16>,
    pub matrix: Option<u16>,
    pub full_range: Option<bool>,
}

/// A stream as a container describes it, without FFmpeg's help.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Described {
    pub codec: Codec,
    pub extradata: Vec<u8>,
    pub width: u16,
    pub height: u16,
    pub colours: Colours,
    /// Pictures that wait in the decoder for their turn.
    pub delay: u16,
}

/// Parameters of a decoder, independent of the file they came from.
pub(crate) struct Parameters {
    raw: NonNull<sys::AVCodecParameters>,
    tick: sys::AVRational,
}

// SAFETY: the parameters are written before the value is handed out and only read from then on.
unsafe impl Send for Parameters {}
// SAFETY: as above: shared access is read-only.
unsafe impl Sync for Parameters {}

impl Drop for Parameters {
    fn drop(&mut self) {
        let mut raw = self.raw.as_ptr();
        // SAFETY: owned by self and not used afterwards.
        unsafe { sys::avcodec_parameters_free(&raw mut raw) };
    }
}

impl std::fmt::Debug for Parameters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parameters")
            .field("codec", &self.codec())
            .finish_non_exhaustive()
    }
}

impl Parameters {
    fn empty(tick: sys::AVRational) -> Result<Self, Code> {
        // SAFETY: allocates and fills in defaults; null means no memory.
        let raw = NonNull::new(unsafe { sys::avcodec_parameters_alloc() });
        Ok(Self {
            raw: raw.ok_or(Code::NO_MEMORY)?,
            tick,
        })
    }

    /// A copy of the demuxer's.
    pub(super) fn copy(
        from: *const sys::AVCodecParameters,
        tick: sys::AVRational,
    ) -> Result<Self, Code> {
        let parameters = Self::empty(tick)?;
        // SAFETY: both are valid; everything that `from` owns is copied.
        Code::check(unsafe { sys::avcodec_parameters_copy(parameters.raw.as_ptr(), from) })?;
        Ok(parameters)
    }

    /// Those of a stream that a container of ours describes; a tick lasts 1 / `timescale` s.
    pub(crate) fn new(stream: &Described, timescale: u32) -> Result<Self, Code> {
        let den = i32::try_from(timescale).map_err(|_| Code::INVALID)?;
        let mut parameters = Self::empty(sys::AVRational { num: 1, den })?;
        let size = stream.extradata.len();
        // SAFETY: a zeroed block with the padding that decoders read beyond the end; null is no memory.
        let extradata = unsafe {
            sys::av_mallocz(size + sys::AV_INPUT_BUFFER_PADDING_SIZE as usize).cast::<u8>()
        };
        if extradata.is_null() {
            return Err(Code::NO_MEMORY);
        }
        // SAFETY: the block was just made with room for `size` bytes.
        unsafe { ptr::copy_nonoverlapping(stream.extradata.as_ptr(), extradata, size) };
        // SAFETY: owned by `parameters`, to which nobody else has access yet.
        let raw = unsafe { parameters.raw.as_mut() };
        raw.codec_type = sys::AVMediaType::VIDEO;
        raw.codec_id = stream.codec.id();
        // From here on avcodec_parameters_free frees the block.
        raw.extradata = extradata;
        raw.extradata_size = i32::try_from(size).map_err(|_| Code::INVALID)?;
        raw.width = i32::from(stream.width);
        raw.height = i32::from(stream.height);
        raw.video_delay = i32::from(stream.delay);
        let colours = stream.colours;
        if let Some(primaries) = colours.primaries {
            raw.color_primaries = sys::AVColorPrimaries(primaries.into());
        }
        if let Some(transfer) = colours.transfer {
            raw.color_trc = sys::AVColorTransferCharacteristic(transfer.into());
        }
        if let Some(matrix) = colours.matrix {
            raw.color_space = sys::AVColorSpace(matrix.into());
        }
        raw.color_range = match colours.full_range {
            None => sys::AVColorRange::UNSPECIFIED,
            Some(true) => sys::AVColorRange::JPEG,
            Some(false) => sys::AVColorRange::MPEG,
        };
        Ok(parameters)
    }

    pub(super) fn as_ptr(&self) -> *const sys::AVCodecParameters {
        self.raw.as_ptr()
    }

    pub(super) fn tick(&self) -> sys::AVRational {
        self.tick
    }

    fn get(&self) -> &sys::AVCodecParameters {
        // SAFETY: owned by self and valid until drop.
        unsafe { self.raw.as_ref() }
    }

    pub(crate) fn codec(&self) -> Option<Codec> {
        [Codec::H264, Codec::Hevc, Codec::Mpeg4, Codec::Mpeg2]
            .into_iter()
            .find(|codec| codec.id() == self.get().codec_id)
    }

    /// Columns times rows of a picture.
    pub(crate) fn pixels(&self) -> usize {
        let side = |length| usize::try_from(length).unwrap_or(0);
        side(self.get().width).saturating_mul(side(self.get().height))
    }

    pub(crate) fn extradata(&self) -> &[u8] {
        let raw = self.get();
        if raw.extradata.is_null() {
            return &[];
        }
        // SAFETY: the block holds `extradata_size` bytes and lives as long as self.
        unsafe { std::slice::from_raw_parts(raw.extradata, raw.extradata_size.max(0) as usize) }
    }

    /// Columns and rows that the stream itself announces in its first packet; `None` when that is
    /// interlaced: its fields may be packets of their own.
    pub(crate) fn announced(&self, packet: &[u8]) -> Option<(usize, usize)> {
        let size = i32::try_from(packet.len()).ok()?;
        let mut padded = packet.to_vec();
        padded.resize(packet.len() + sys::AV_INPUT_BUFFER_PADDING_SIZE as usize, 0);
        let announced = super::decode::unopened(self).ok()?;
        // SAFETY: finds a parser by the id; null when there is none.
        let parser = unsafe { sys::av_parser_init(self.get().codec_id.0 as _) };
        if parser.is_null() {
            return None;
        }
        let (mut out, mut out_size) = (ptr::null_mut(), 0);
        // SAFETY: parser and context are valid; the padded buffer outlives the call, and what `out`
        // may point to is not used. The parser is closed and not used afterwards.
        let (width, height, interlaced) = unsafe {
            let context = announced.as_ptr();
            ((*context).width, (*context).height) = (0, 0);
            // Whole pictures: nothing is to be searched for.
            (*parser).flags |= 1;
            sys::av_parser_parse2(
                parser,
                context,
                &raw mut out,
                &raw mut out_size,
                padded.as_ptr(),
                size,
                0,
                0,
                0,
            );
            let (width, height) = if (*parser).width > 0 {
                ((*parser).width, (*parser).height)
            } else {
                ((*context).width, (*context).height)
            };
            let fields = [
                sys::AVPictureStructure::TOP_FIELD,
                sys::AVPictureStructure::BOTTOM_FIELD,
            ];
            let interlaced = fields.contains(&(*parser).picture_structure)
                || (*parser).field_order.0 > sys::AVFieldOrder::PROGRESSIVE.0;
            sys::av_parser_close(parser);
            (width, height, interlaced)
        };
        let size = (usize::try_from(width).ok()?, usize::try_from(height).ok()?);
        (size.0 > 0 && size.1 > 0 && !interlaced).then_some(size)
    }
}
