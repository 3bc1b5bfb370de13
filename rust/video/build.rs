//! Passes on what `ffmpeg-sys-the-third` found out about the FFmpeg it linked.

fn main() {
    println!("cargo::rustc-check-cfg=cfg(coded_side_data)");
    // FFmpeg 6.1 moved side data from the stream to its codec parameters; 8 removed the old place.
    println!("cargo::rerun-if-env-changed=DEP_FFMPEG_FFMPEG_6_1");
    if std::env::var_os("DEP_FFMPEG_FFMPEG_6_1").is_some() {
        println!("cargo::rustc-cfg=coded_side_data");
    }
}
