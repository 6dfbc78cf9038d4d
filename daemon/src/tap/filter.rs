//! What the kernel passes on to the tap: a classic BPF program, so that other traffic of a busy span port costs nothing.
//!
//! UDP, for SIP is known by its content and RTP by the calls; TCP of the configured ports; fragments of IPv6; and
//! tunnels, tags included, whatever they carry.

use crate::sys::packet_ring::Instruction;

/// Most ports of SIP over TCP: jumps in the program reach 255 instructions.
pub const MAX_PORTS: usize = 32;

// Operations of linux/bpf_common.h.
const LOAD_HALF: u16 = 0x28;
const LOAD_BYTE: u16 = 0x30;
const LOAD_HALF_INDEXED: u16 = 0x48;
const INDEX_IP_HEADER: u16 = 0xb1;
const JUMP_EQUAL: u16 = 0x15;
const JUMP_ANY_BIT: u16 = 0x45;
const RETURN: u16 = 0x06;

/// The whole frame.
const ALL: u32 = 0x0004_0000;
const ETHER_TYPE: u32 = 12;
const IP: u32 = 14;

/// Where a program goes on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Ipv4,
    Ipv4Tcp,
    Ipv6,
    Ipv6Tcp,
    Accept,
    Refuse,
}

enum Line {
    Mark(Place),
    Plain(u16, u32),
    JumpIf(u16, u32, Place),
    Return(u32),
}

/// The program for Ethernet frames, with these ports for SIP over TCP.
pub(super) fn ethernet(sip_ports: &[u16]) -> Vec<Instruction> {
    let mut lines = vec![Line::Plain(LOAD_HALF, ETHER_TYPE)];
    go(&mut lines, Place::Ipv4, &[0x0800]);
    go(&mut lines, Place::Ipv6, &[0x86dd]);
    go(&mut lines, Place::Accept, &[0x8100, 0x88a8, 0x9100, 0x9200]);
    lines.push(Line::Return(0));

    lines.extend([Line::Mark(Place::Ipv4), Line::Plain(LOAD_BYTE, IP + 9)]);
    go(&mut lines, Place::Accept, &[17, 4, 41, 47]);
    go(&mut lines, Place::Ipv4Tcp, &[6]);
    lines.push(Line::Return(0));

    // The later fragments of TCP have no ports; nobody fragments it.
    let fragment = Line::JumpIf(JUMP_ANY_BIT, 0x1fff, Place::Refuse);
    lines.extend([Line::Mark(Place::Ipv4Tcp), Line::Plain(LOAD_HALF, IP + 6), fragment]);
    lines.push(Line::Plain(INDEX_IP_HEADER, IP));
    for port in [0, 2] {
        lines.push(Line::Plain(LOAD_HALF_INDEXED, IP + port));
        sip_ports.iter().for_each(|&port| go(&mut lines, Place::Accept, &[port.into()]));
    }
    lines.push(Line::Return(0));

    // Extension headers hide what follows; they are rare.
    lines.extend([Line::Mark(Place::Ipv6), Line::Plain(LOAD_BYTE, IP + 6)]);
    go(&mut lines, Place::Accept, &[17, 44, 0, 43, 60, 4, 41, 47]);
    go(&mut lines, Place::Ipv6Tcp, &[6]);
    lines.push(Line::Return(0));

    lines.push(Line::Mark(Place::Ipv6Tcp));
    for port in [40, 42] {
        lines.push(Line::Plain(LOAD_HALF, IP + port));
        sip_ports.iter().for_each(|&port| go(&mut lines, Place::Accept, &[port.into()]));
    }
    lines.extend([Line::Mark(Place::Refuse), Line::Return(0), Line::Mark(Place::Accept), Line::Return(ALL)]);
    assemble(&lines)
}

/// Goes to `place` if what was loaded is one of `values`.
fn go(lines: &mut Vec<Line>, place: Place, values: &[u32]) {
    lines.extend(values.iter().map(|&value| Line::JumpIf(JUMP_EQUAL, value, place)));
}

fn assemble(lines: &[Line]) -> Vec<Instruction> {
    let is_code = |line: &&Line| !matches!(line, Line::Mark(_));
    // Instructions before a mark, and so the number of the one behind it.
    let number_of = |place: Place| {
        let marked = |line: &Line| matches!(line, Line::Mark(here) if *here == place);
        lines.iter().take_while(|line| !marked(line)).filter(is_code).count()
    };
    let step = |(number, line): (usize, &Line)| {
        let (code, operand, jump) = match *line {
            Line::Plain(code, operand) => (code, operand, None),
            Line::JumpIf(code, operand, place) => (code, operand, Some(place)),
            Line::Return(length) => (RETURN, length, None),
            Line::Mark(_) => unreachable!("marks are filtered out"),
        };
        // At most some 170 instructions lie between: see MAX_PORTS.
        let jump_true = jump.map_or(0, |place| (number_of(place) - number - 1) as u8);
        Instruction { code, jump_true, jump_false: 0, operand }
    };
    lines.iter().filter(is_code).enumerate().map(step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use etherparse::PacketBuilder;

    /// Runs a program on a frame, as the kernel does; reading past the end refuses.
    fn passes(program: &[Instruction], frame: &[u8]) -> bool {
        let half = |at: usize| Some(u32::from(u16::from_be_bytes([*frame.get(at)?, *frame.get(at + 1)?])));
        let (mut a, mut x, mut next) = (0, 0, 0);
        loop {
            let Instruction { code, jump_true, jump_false, operand } = program[next];
            next += 1;
            let loaded = match code {
                LOAD_HALF => half(operand as usize),
                LOAD_HALF_INDEXED => half(operand as usize + x),
                LOAD_BYTE => frame.get(operand as usize).map(|byte| u32::from(*byte)),
                INDEX_IP_HEADER => {
                    let Some(byte) = frame.get(operand as usize) else { return false };
                    x = usize::from(byte & 15) * 4;
                    continue;
                }
                JUMP_EQUAL | JUMP_ANY_BIT => {
                    let holds = if code == JUMP_EQUAL { a == operand } else { a & operand != 0 };
                    next += usize::from(if holds { jump_true } else { jump_false });
                    continue;
                }
                RETURN => return operand != 0,
                other => panic!("operation {other:#x}"),
            };
            let Some(loaded) = loaded else { return false };
            a = loaded;
        }
    }

    #[test]
    fn telephone_traffic_passes_and_nothing_else() {
        let program = ethernet(&[5060, 5080]);
        let mut full = vec![0_u16; MAX_PORTS];
        (0..).zip(&mut full).for_each(|(number, port)| *port = 6000 + number);
        let longest = ethernet(&full);
        let v4 = || PacketBuilder::ethernet2([2; 6], [4; 6]).ipv4([192, 0, 2, 1], [192, 0, 2, 2], 64);
        let v6 = || PacketBuilder::ethernet2([2; 6], [4; 6]).ipv6([1; 16], [2; 16], 64);
        let frame = |write: &dyn Fn(&mut Vec<u8>)| {
            let mut frame = Vec::new();
            write(&mut frame);
            frame
        };
        let tcp = |from: u16, to: u16, is_v6: bool| {
            frame(&|frame| {
                let builder = if is_v6 { v6() } else { v4() };
                builder.tcp(from, to, 1, 100).write(frame, b"x").unwrap();
            })
        };
        let udp = frame(&|frame| v4().udp(4000, 4002).write(frame, b"x").unwrap());
        let udp6 = frame(&|frame| v6().udp(4000, 4002).write(frame, b"x").unwrap());
        let gre = frame(&|frame| v4().write(frame, etherparse::IpNumber::GRE, b"1234").unwrap());
        let icmp = frame(&|frame| v4().icmpv4_echo_request(1, 2).write(frame, b"x").unwrap());
        let tagged = [&[2; 12][..], &[0x81, 0, 0, 7, 8, 0]].concat();
        let arp = [&[2; 12][..], &[8, 6], &[0; 28]].concat();
        for passing in
            [&udp, &udp6, &gre, &tagged, &tcp(5060, 1, false), &tcp(1, 5080, false), &tcp(1, 5080, true)]
        {
            assert!(passes(&program, passing), "{passing:?}");
        }
        for refused in [&icmp, &arp, &tcp(443, 1, false), &tcp(1, 443, true), &vec![0; 3]] {
            assert!(!passes(&program, refused), "{refused:?}");
        }
        assert!(passes(&longest, &tcp(1, 6031, true)) && passes(&longest, &tcp(6000, 1, false)));
        assert!(!passes(&longest, &tcp(5060, 5060, false)));
    }
}
