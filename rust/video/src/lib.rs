//! Frame-exact video reading and writing for pybench, over FFmpeg's C libraries.
