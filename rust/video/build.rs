//! Passes on what `ffmpeg-sys-the-third` found out about the FFmpeg it linked.

fn main() {
    println!("cargo::rustc-check-cfg=cfg(ffmpeg_6_0, ffmpeg_6_1)");
    // FFmpeg 6 takes for granted that several threads may ask for memory at once.
    println!("cargo::rerun-if-env-changed=DEP_FFMPEG_FFMPEG_6_0");
    if std::env::var_os("DEP_FFMPEG_FFMPEG_6_0").is_some() {
        println!("cargo::rustc-cfg=ffmpeg_6_0");
    }
    // FFmpeg 6.1 moved side data from the stream to its codec parameters and the mark of interlaced
    // pictures to their flags; 8 removed the old places.
    println!("cargo::rerun-if-env-changed=DEP_FFMPEG_FFMPEG_6_1");
    if std::env::var_os("DEP_FFMPEG_FFMPEG_6_1").is_some() {
        println!("cargo::rustc-cfg=ffmpeg_6_1");
    }
}
