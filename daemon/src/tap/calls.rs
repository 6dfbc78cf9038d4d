//! All calls that the tap follows: messages and packets in, events out.

use super::Sink;
use super::bindings::{Binding, Bindings};
use super::dialog::{self, Change, Dialog, Side};
use super::event::{CallId, Event};
use crate::sip::message::{Message, Method, Request};
use crate::wire::rtp;
use crate::wire::sdp::{Description, Media};
use std::collections::hash_map::RandomState;
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::hash::BuildHasher;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// Most calls of one Call-ID: forked on the way, or sent in a circle.
const MAX_SAME_CALL_ID: usize = 8;

/// What the calls counted.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct CallCounts {
    pub(super) unknown: u64,
    pub(super) refused: u64,
    pub(super) media: u64,
    pub(super) other_hops: u64,
    pub(super) unmatched: u64,
}

/// Addresses of a call on other hops that are remembered.
const MAX_ELSEWHERE: usize = 16;
/// Ended calls that are remembered, so that their last messages on other hops are none of unknown calls.
const REMEMBERED: usize = 1024;

/// The calls.
pub(super) struct Calls {
    places: Vec<Place>,
    free: Vec<u32>,
    by_call_id: HashMap<String, Vec<u32>>,
    bindings: Bindings,
    /// Addresses that calls have on hops which are not followed: what is sent there is a copy.
    elsewhere: HashMap<SocketAddr, CallId>,
    /// Hashes of the Call-IDs of calls that ended, the oldest first.
    ended: VecDeque<u64>,
    hash: RandomState,
    counts: CallCounts,
    max_calls: usize,
    idle: Duration,
}

/// A place for a call, and how often it was used.
#[derive(Default)]
struct Place {
    generation: u32,
    call: Option<Call>,
}

struct Call {
    call_id: String,
    dialog: Dialog,
    began: Duration,
    /// When it was confirmed.
    confirmed: Option<Duration>,
    /// When anything of it was seen last.
    seen: Duration,
    bound: Vec<SocketAddr>,
    elsewhere: Vec<SocketAddr>,
    /// Call-ID of the call that this one takes the place of (RFC 3891).
    replaces: Option<String>,
}

/// Only how many: they hold names of people.
impl fmt::Debug for Calls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Calls").field("calls", &self.by_call_id.len()).finish_non_exhaustive()
    }
}

impl Calls {
    pub(super) fn new(max_calls: usize, idle: Duration) -> Self {
        Self {
            places: Vec::new(),
            free: Vec::new(),
            by_call_id: HashMap::new(),
            bindings: Bindings::default(),
            elsewhere: HashMap::new(),
            ended: VecDeque::new(),
            hash: RandomState::new(),
            counts: CallCounts::default(),
            max_calls,
            idle,
        }
    }

    pub(super) fn counts(&self) -> CallCounts {
        self.counts
    }

    /// Calls that are followed, and the addresses that are remembered for them.
    pub(super) fn held(&self) -> (usize, usize) {
        (self.places.len() - self.free.len(), self.bindings.len() + self.elsewhere.len())
    }

    /// Takes a SIP message that went `way`, from and to; false where it cannot be read.
    pub(super) fn message(
        &mut self,
        bytes: &[u8],
        way: (SocketAddr, SocketAddr),
        at: Duration,
        out: &mut Sink<'_>,
    ) -> bool {
        match Message::parse(bytes) {
            Ok(Message::Request(request)) => self.request(&request, way, at, out),
            Ok(Message::Response(response)) => {
                let essentials = &response.essentials;
                let tags = (essentials.from.tag(), essentials.to.tag());
                let Some((index, side)) = self.find(essentials.call_id.reveal(), tags) else { return true };
                if let Some(call) = self.call_mut(index) {
                    call.seen = at;
                    let near = call.dialog.is_near(way);
                    let change = call.dialog.response(&response, side, at);
                    if !near {
                        self.note_elsewhere(
                            index,
                            dialog::sdp(response.headers.get("Content-Type"), &response.body),
                        );
                    }
                    self.apply(index, change, None, at, out);
                }
            }
            Err(_) => return false,
        }
        true
    }

    /// Takes a datagram that is no SIP: RTP, RTCP, or nothing of ours.
    pub(super) fn packet(
        &mut self,
        bytes: &[u8],
        way: (SocketAddr, SocketAddr),
        at: Duration,
        out: &mut Sink<'_>,
    ) {
        if bytes.len() < 8 || bytes[0] >> 6 != 2 {
            return;
        }
        let streams = self.bindings.find(way);
        if streams.is_empty() && !rtp::is_rtcp(bytes) {
            let is_copy = self.elsewhere.contains_key(&way.0) || self.elsewhere.contains_key(&way.1);
            *if is_copy { &mut self.counts.other_hops } else { &mut self.counts.unmatched } += 1;
        }
        for stream in streams {
            self.counts.media += 1;
            if let Some(call) = self.call_mut(stream.call.index) {
                call.seen = at;
            }
            out(Event::Packet { stream, bytes });
        }
    }

    /// Ends what has been silent, or has rung, for too long.
    pub(super) fn tick(&mut self, at: Duration, out: &mut Sink<'_>) {
        for index in 0..self.places.len() as u32 {
            let idle = self.idle;
            let over = self
                .call_mut(index)
                .is_some_and(|call| at.saturating_sub(call.seen) > idle || call.dialog.is_given_up(at));
            if over {
                self.end(index, out);
            }
        }
    }

    /// Ends all calls.
    pub(super) fn finish(&mut self, out: &mut Sink<'_>) {
        for index in 0..self.places.len() as u32 {
            self.end(index, out);
        }
    }

    fn request(
        &mut self,
        request: &Request,
        way: (SocketAddr, SocketAddr),
        at: Duration,
        out: &mut Sink<'_>,
    ) {
        let essentials = &request.essentials;
        let tags = (essentials.from.tag(), essentials.to.tag());
        match self.find(request.call_id(), tags) {
            Some((index, side)) => {
                let Some(call) = self.call_mut(index) else { return };
                call.seen = at;
                let near = call.dialog.is_near(way);
                let change = call.dialog.request(request, way, side, at);
                if !near {
                    self.note_elsewhere(index, dialog::sdp(request.content_type(), &request.body));
                }
                self.apply(index, change, (side == Side::Caller).then_some(request), at, out);
            }
            None if request.method == Method::Invite && tags.1.is_none() => self.begin(request, way, at, out),
            None => {
                let of_a_call = matches!(request.method, Method::Invite | Method::Bye | Method::Update);
                let ended = self.hash.hash_one(request.call_id());
                self.counts.unknown += u64::from(of_a_call && !self.ended.contains(&ended));
            }
        }
    }

    fn begin(&mut self, invite: &Request, way: (SocketAddr, SocketAddr), at: Duration, out: &mut Sink<'_>) {
        let in_use = self.places.len() - self.free.len();
        let same = self.by_call_id.get(invite.call_id()).map_or(0, Vec::len);
        if in_use >= self.max_calls || same >= MAX_SAME_CALL_ID {
            self.counts.refused += 1;
            return;
        }
        let index = self.free.pop().unwrap_or_else(|| {
            self.places.push(Place::default());
            self.places.len() as u32 - 1
        });
        let call = Call {
            call_id: invite.call_id().to_owned(),
            dialog: Dialog::new(invite, way, at),
            began: at,
            confirmed: None,
            seen: at,
            bound: Vec::new(),
            elsewhere: Vec::new(),
            replaces: replaced(invite).map(str::to_owned),
        };
        self.by_call_id.entry(call.call_id.clone()).or_default().push(index);
        let place = &mut self.places[index as usize];
        place.call = Some(call);
        let id = CallId { index, generation: place.generation };
        out(Event::Began { call: id, invite, from: way.0 });
        self.apply(index, Change::Media, Some(invite), at, out);
    }

    fn apply(
        &mut self,
        index: u32,
        change: Change,
        request: Option<&Request>,
        at: Duration,
        out: &mut Sink<'_>,
    ) {
        match change {
            Change::Nothing => {}
            Change::Over => self.end(index, out),
            Change::Media => {
                self.bind(index);
                let Some(id) = self.id(index) else { return };
                let Some(call) = self.call_mut(index) else { return };
                let mut replaced = None;
                if call.dialog.is_confirmed() && call.confirmed.is_none() {
                    call.confirmed = Some(at);
                    replaced = call.replaces.take();
                }
                out(Event::Media { call: id, lines: &call.dialog.lines(), request });
                if let Some(replaced) = replaced {
                    self.end_replaced(&replaced, index, out);
                }
            }
        }
    }

    /// Binds the addresses that the descriptions of a call name.
    fn bind(&mut self, index: u32) {
        let Self { places, bindings, .. } = self;
        let Some(place) = places.get(index as usize) else { return };
        let Some(call) = &place.call else { return };
        let id = CallId { index, generation: place.generation };
        let mut addresses = Vec::new();
        for side in [Side::Caller, Side::Callee] {
            let peer = call.dialog.signalling(side);
            for description in call.dialog.descriptions(side) {
                let bound = media_addresses(description, peer);
                addresses.extend(
                    bound.map(|(address, line, named)| (address, Binding { call: id, line, side, named })),
                );
            }
        }
        // Two legs of one call are set up together; a call that stood before this one began only left its address.
        let outlives = |other: CallId| {
            let other = places.get(other.index as usize).filter(|place| place.generation == other.generation);
            let other = other.and_then(|place| place.call.as_ref());
            other.is_some_and(|other| other.confirmed.is_none_or(|confirmed| confirmed >= call.began))
        };
        let gone = call.bound.iter().filter(|bound| !addresses.iter().any(|(address, _)| address == *bound));
        gone.for_each(|address| bindings.release(*address, id));
        for (address, binding) in &addresses {
            bindings.bind(*address, *binding, outlives);
        }
        if let Some(call) = self.call_mut(index) {
            call.bound = addresses.into_iter().map(|(address, _)| address).collect();
        }
    }

    /// Remembers the addresses of a call on a hop that is not followed.
    fn note_elsewhere(&mut self, index: u32, description: Option<Description>) {
        let (Some(description), Some(id)) = (description, self.id(index)) else { return };
        let Self { places, elsewhere, .. } = self;
        let Some(call) = places.get_mut(index as usize).and_then(|place| place.call.as_mut()) else { return };
        for address in description.media.iter().filter_map(Media::rtp_address) {
            if call.elsewhere.len() < MAX_ELSEWHERE && elsewhere.insert(address, id) != Some(id) {
                call.elsewhere.push(address);
            }
        }
    }

    fn end_replaced(&mut self, call_id: &str, by: u32, out: &mut Sink<'_>) {
        let replaced = self.by_call_id.get(call_id).cloned().unwrap_or_default();
        replaced.into_iter().filter(|&index| index != by).for_each(|index| self.end(index, out));
    }

    fn end(&mut self, index: u32, out: &mut Sink<'_>) {
        let Some(id) = self.id(index) else { return };
        let Some(place) = self.places.get_mut(index as usize) else { return };
        let Some(call) = place.call.take() else { return };
        place.generation = place.generation.wrapping_add(1);
        call.bound.iter().for_each(|address| self.bindings.release(*address, id));
        for address in &call.elsewhere {
            if self.elsewhere.get(address) == Some(&id) {
                self.elsewhere.remove(address);
            }
        }
        if self.ended.len() == REMEMBERED {
            self.ended.pop_front();
        }
        self.ended.push_back(self.hash.hash_one(&call.call_id));
        if let Some(same) = self.by_call_id.get_mut(&call.call_id) {
            same.retain(|other| *other != index);
            if same.is_empty() {
                self.by_call_id.remove(&call.call_id);
            }
        }
        self.free.push(index);
        out(Event::Ended(id));
    }

    /// The call of these tags, and the side that a request with them comes from.
    fn find(&self, call_id: &str, (from, to): (Option<&str>, Option<&str>)) -> Option<(u32, Side)> {
        self.by_call_id.get(call_id)?.iter().find_map(|&index| {
            let call = self.places.get(index as usize)?.call.as_ref()?;
            Some((index, call.dialog.side_of(from, to)?))
        })
    }

    fn call_mut(&mut self, index: u32) -> Option<&mut Call> {
        self.places.get_mut(index as usize)?.call.as_mut()
    }

    fn id(&self, index: u32) -> Option<CallId> {
        self.places.get(index as usize).map(|place| CallId { index, generation: place.generation })
    }
}

/// Addresses of RTP in a description whose sender signals from `peer`, with the line, and whether it is named. Where the address is not the peer's, it may be
/// one behind address translation that no packet shows; the port often passes it unchanged.
fn media_addresses(
    description: &Description,
    peer: SocketAddr,
) -> impl Iterator<Item = (SocketAddr, u8, bool)> {
    let lines = (0_u8..).zip(&description.media).filter(|(_, media)| media.is_active_audio());
    lines.flat_map(move |(line, media)| {
        let signalled = media.rtp_address();
        let hidden = signalled.is_none_or(|address| is_private(address) && address.ip() != peer.ip());
        let translated = hidden.then(|| SocketAddr::new(peer.ip(), media.port));
        let named = signalled.map(|address| (address, line, true));
        named.into_iter().chain(translated.map(|address| (address, line, false)))
    })
}

fn is_private(address: SocketAddr) -> bool {
    match address.ip().to_canonical() {
        // 100.64.0.0/10 is what providers translate (RFC 6598).
        IpAddr::V4(ip) => ip.is_private() || ip.is_link_local() || matches!(ip.octets(), [100, 64..128, ..]),
        IpAddr::V6(ip) => ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

/// Call-ID of the call that an INVITE takes the place of.
pub(crate) fn replaced(invite: &Request) -> Option<&str> {
    let value = invite.headers.get("Replaces")?;
    value.split(';').next().map(str::trim).filter(|call_id| !call_id.is_empty())
}
