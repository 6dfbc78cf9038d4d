"""The degraded conditions, one row each."""

import dataclasses

MU_LAW, WIDE = "mu-law", "wide"


@dataclasses.dataclass(frozen=True)
class Condition:
    """What happens to a recording on its way, in the order of the fields."""

    name: str
    title: str
    room: bool = False  # a room impulse response between mouth and microphone
    narrow: bool = True  # 8 kHz and 300-3400 Hz; otherwise 16 kHz and all of it
    noise: str = ""  # kind of noise, and its distance below the active speech within the line's band, in dB
    snr: float = 0.0
    gain: tuple = ()  # lowest and highest change of level, drawn for each recording, in dB
    clipped: float = 0.0  # share of the active speech's samples that reach full scale
    codec: str = ""  # of the far leg
    last: str = "ULAW"  # how the near leg's samples are stored: "ULAW", "ALAW" or "PCM_16"
    lost: float = 0.0  # share of packets
    test_from: str = ""  # the condition whose tests are used, when it is another one
    enroll_from: str = MU_LAW  # the same for the enrollments
    test_speech: float = 10.0  # net speech of a test, in seconds

    @property
    def wideband(self):
        """Whether it makes no sense for recordings below 16 kHz."""
        return WIDE in (self.name, self.enroll_from)

    def definition(self):
        """Everything that decides how its files sound."""
        return {**dataclasses.asdict(self), "title": ""}


def _noisy(kind, title):
    return [
        Condition(f"{kind}-{snr}", f"{title}, {snr} dB", noise=kind, snr=float(snr)) for snr in (15, 10, 5)
    ]


CONDITIONS = [
    Condition(MU_LAW, "clean mu-law"),
    Condition("a-law", "A-law", last="ALAW"),
    Condition("gsm", "GSM full rate", codec="gsm"),
    Condition("g722", "G.722 leg", codec="g722", last="PCM_16"),
    Condition("opus-12", "Opus 12 kbit/s", codec="opus"),
    Condition("amr-12.2", "AMR-NB 12.2 kbit/s", codec="amr-12.2"),
    Condition("amr-4.75", "AMR-NB 4.75 kbit/s", codec="amr-4.75"),
    *_noisy("babble", "babble"),
    *_noisy("car", "car"),
    *_noisy("street", "street"),
    Condition("room", "room", room=True),
    Condition("loss-5", "5 % loss in bursts", lost=0.05),
    Condition("loss-10", "10 % loss in bursts", lost=0.10),
    Condition("clipped", "clipping, 5 % of the samples", clipped=0.05),
    Condition("quiet", "20 to 30 dB too low", gain=(-30.0, -20.0)),
    Condition("speech-5", "5 s of speech", test_from=MU_LAW, test_speech=5.0),
    Condition("speech-3", "3 s of speech", test_from=MU_LAW, test_speech=3.0),
    Condition("gsm-both", "GSM, enrolled so too", test_from="gsm", enroll_from="gsm"),
    Condition("babble-10-both", "babble 10 dB, enrolled so too", test_from="babble-10", enroll_from="babble-10"),
    Condition(WIDE, "wideband", narrow=False, last="PCM_16", enroll_from=WIDE),
    Condition("wide-mu-law", "wideband, then mu-law", test_from=MU_LAW, enroll_from=WIDE),
    Condition("wide-gsm", "wideband, then GSM", test_from="gsm", enroll_from=WIDE),
    Condition("wide-babble-10", "wideband, then babble 10 dB", test_from="babble-10", enroll_from=WIDE),
    Condition("wide-g722", "wideband, then G.722", narrow=False, codec="g722", last="PCM_16", enroll_from=WIDE),
    Condition("wide-opus-12", "wideband, then Opus", narrow=False, codec="opus", last="PCM_16", enroll_from=WIDE),
]
BY_NAME = {condition.name: condition for condition in CONDITIONS}


def chosen(names, rate):
    """The named conditions, or all, as far as recordings of this rate allow them."""
    unknown = [name for name in names if name not in BY_NAME]
    if unknown:
        raise SystemExit(f"there is no condition {', '.join(unknown)}; there are {', '.join(BY_NAME)}")
    wanted = [BY_NAME[name] for name in names] if names else CONDITIONS
    return [condition for condition in wanted if rate >= 16000 or not condition.wideband]
