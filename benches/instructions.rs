//! Instructions of the hot paths, counted by valgrind: the same on a busy machine and on an idle one.
//!
//! `cargo bench -p vouch-benches --bench instructions`, with Debian's `valgrind` and
//! `cargo install --version ^0.20 gungraun-runner`; without them it says so and measures nothing.

use std::process::ExitCode;

/// What is counted.
mod counted {
    #![allow(missing_docs, reason = "the macros make public items that only gungraun calls")]

    use gungraun::{library_benchmark, library_benchmark_group, main};
    use std::hint::black_box;
    use std::time::Instant;
    use vouch::engine::PacketPath;
    use vouch::engine::codec::PayloadMap;
    use vouch::wire::rtp::RtpPacket;
    use vouch_benches::rtp::Talk;
    use vouch_benches::second_of_sound;
    use vouch_dsp::features::{Band, log_mel};

    /// A path in the middle of a talk of packets of `payload_type`, boxed so that to hand it on costs nothing, and the
    /// packet that comes next.
    fn talking(payload_type: u8) -> (Box<PacketPath>, Vec<u8>, Instant) {
        let mut talk = Talk::new(payload_type);
        let mut path = Box::new(PacketPath::new(PayloadMap::default()));
        let now = Instant::now();
        (0..100).for_each(|_| path.take(talk.next_packet(), now));
        (path, talk.next_packet().to_vec(), now)
    }

    #[library_benchmark]
    #[bench::mu_law(args = (0,), setup = talking)]
    fn packet_to_features((mut path, packet, now): (Box<PacketPath>, Vec<u8>, Instant)) -> Box<PacketPath> {
        path.take(black_box(&packet), now);
        path
    }

    #[library_benchmark]
    #[bench::comfort_noise(args = (13,), setup = talking)]
    fn packet_through_jitter_buffer(
        (mut path, packet, now): (Box<PacketPath>, Vec<u8>, Instant),
    ) -> Box<PacketPath> {
        path.take(black_box(&packet), now);
        path
    }

    #[library_benchmark]
    #[bench::mu_law(args = (0,), setup = talking)]
    fn rtp_header((path, packet, _): (Box<PacketPath>, Vec<u8>, Instant)) -> Box<PacketPath> {
        black_box(RtpPacket::parse(black_box(&packet)).is_ok());
        path
    }

    #[library_benchmark]
    #[bench::narrow(args = (), setup = second_of_sound)]
    fn features_of_a_frame(sound: Vec<i16>) -> Vec<i16> {
        black_box(log_mel(Band::Narrow, black_box(&sound[..Band::Narrow.frame_samples()])));
        sound
    }

    library_benchmark_group!(
        name = hot_paths,
        benchmarks = [packet_to_features, packet_through_jitter_buffer, rtp_header, features_of_a_frame]
    );
    main!(library_benchmark_groups = hot_paths);

    /// Counts and prints.
    pub(super) fn run() {
        main();
    }
}

fn main() -> ExitCode {
    // The runner calls this program again under valgrind, with an empty environment.
    let counting = std::env::args().any(|argument| argument == "--gungraun-run");
    let missing = ["valgrind", "gungraun-runner"].into_iter().find(|program| !counting && !is_there(program));
    match missing {
        Some(program) => eprintln!("skipped: {program} is not installed, so instructions are not counted"),
        None => counted::run(),
    }
    ExitCode::SUCCESS
}

/// Whether a program is found where the shell would look.
fn is_there(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}
