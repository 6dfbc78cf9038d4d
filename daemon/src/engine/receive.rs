//! Receiver threads: media sockets into slots.
//!
//! Every call sends all the time, and nobody listens to the result, so a receiver does not wait for packets: it goes
//! round its calls every [`ROUND`] and takes what has come. That is one system call for all packets of a stream,
//! no wake-up and no event queue. A round that takes longer is followed by the next at once; what comes meanwhile lies in
//! the sockets' queues, which hold seconds of audio.

use super::pool::Pool;
use crate::sys::media_socket::Batch;
use std::time::{Duration, Instant};

/// Time from the start of one round to that of the next: two packets of the usual 20 ms. An answer comes half of it
/// later than it could.
const ROUND: Duration = Duration::from_millis(40);
/// In one of so many rounds, once a second, a call's RTCP and the streams that nobody hears are looked at too.
const ROUNDS_TO_ALL: u32 = 25;

/// Runs receiver `number` until the engine stops; `batch` is its memory.
pub(super) fn run(pool: &Pool, number: u32, mut batch: Batch) {
    let is_mine = |index: &u32| index % pool.receivers == number;
    for round in 0_u32.. {
        pool.occupied
            .sleep_until(|| pool.queue.is_stopping() || pool.occupied.iter().any(|index| is_mine(&index)));
        if pool.queue.is_stopping() {
            return;
        }
        let now = Instant::now();
        for index in pool.occupied.iter().filter(is_mine) {
            let all = (index / pool.receivers).wrapping_add(round) % ROUNDS_TO_ALL == 0;
            serve(pool, index, &mut batch, all);
        }
        std::thread::sleep((now + ROUND).saturating_duration_since(Instant::now()));
    }
}

/// Takes what came for a call. A slot in use by somebody else is served in the next round: a worker may hold it, and
/// receiving waits for no worker.
fn serve(pool: &Pool, index: u32, batch: &mut Batch, all: bool) {
    let Some(mut call) = pool.slots[index as usize].try_lock() else { return };
    if !call.open || call.is_tapped() {
        return;
    }
    let now = Instant::now();
    call.receive(batch, all, now);
    if call.is_waiting() {
        call.tick(now);
    }
    if call.reached_mark() {
        pool.changes.tell(index);
    }
}
