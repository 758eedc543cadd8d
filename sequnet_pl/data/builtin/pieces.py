"""Public-domain melodies for the built-in recordings, as short scores: a melody and chords, simplified.

Melody: notes with an octave (`c4` is middle C) and a duration in beats (`:1.5`), both of which hold until another is
given; `r` is a rest, `|` ends a bar. Chords: one or several a bar, which share it evenly: a name (`Am`, `G7`), a spelt
chord (`a2.e3.a3`) or `-` for none. `figure` lists which of a chord's notes sound together at each `step` beats; it
starts again with each chord.
"""

from dataclasses import dataclass
from typing import Literal

Split = Literal["train", "val", "test"]
Figure = tuple[tuple[int, ...], ...]

ALBERTI: Figure = ((0,), (2,), (1,), (2,))
ARPEGGIO: Figure = ((0,), (2,), (3,))
BLOCK: Figure = ((0, 1, 2),)
OCTAVE: Figure = ((0, 3),)
WALTZ: Figure = ((0,), (1, 2), (1, 2))


@dataclass(frozen=True)
class Piece:
    """A score for two hands; `tempo` in beats a minute."""

    name: str
    split: Split
    tempo: float
    beats_per_bar: int
    melody: str
    chords: str
    figure: Figure
    step: float


_JESU = """r:1 g4 a b d5 c c e d | d g f# g d b4 g a b | c5 d e d c b4 a b g | f# g a d f# a c5 b4 a |
b g a b d5 c c e d | d g f# g d b4 g a b | e5 d c b4 a g d g f# | g:9"""
_JESU_CHORDS = "G G C | G Em Em | C G Em | D D D7 | G G C | G Em Em | C G D | G G G"

PIECES = (
    Piece(
        "beethoven_ode_to_joy", "train", 126, 4,
        """e5:1 e f g | g f e d | c c d e | e:1.5 d:.5 d:2 | e:1 e f g | g f e d | c c d e | d:1.5 c:.5 c:2 |
        d:1 d e c | d e:.5 f e:1 c | d e:.5 f e:1 d | c d g4:2 | e5:1 e f g | g f e d | c c d e | d:1.5 c:.5 c:2""",
        "C | G | C | G | C | G | C | G C | G | G | G | G | C | G | C | G C",
        ALBERTI, 0.5,
    ),
    Piece(
        "beethoven_fuer_elise", "train", 140, 3,
        """r:2 e5:.5 d# | e d# e b4 d5 c | a4:1 r:.5 c e a | b:1 r:.5 e g# b | c5:1 r:.5 e4 e5 d# |
        e d# e b4 d5 c | a4:1 r:.5 c e a | b:1 r:.5 e c5 b4 | a:1 r:.5 b c5 d | e:1.5 g4:.5 f5 e |
        d:1.5 f4:.5 e5 d | c:1.5 e4:.5 d5 c | b4:1 e:.5 e5 e d# | e d# e b4 d5 c | a4:1 r:.5 c e a |
        b:1 r:.5 e c5 b4 | a:3""",
        """- | - | a2.e3.a3 | e2.e3.g#3 | a2.e3.a3 | - | a2.e3.a3 | e2.e3.g#3 | a2.e3.a3 | c3.g3.c4 |
        g2.g3.b3 | a2.e3.a3 | e2.e3.e4 | - | a2.e3.a3 | e2.e3.g#3 | a2.e3.a3""",
        ((0,), (1,), (2,), (), (), ()), 0.5,
    ),
    Piece(
        "petzold_minuet_in_g", "train", 132, 3,
        """d5:1 g4:.5 a b c5 | d:1 g4 g | e5 c:.5 d e f# | g:1 g4 g | c5 d:.5 c b4 a | b:1 c5:.5 b4 a g |
        f#:1 g:.5 a b g | a:3 | d5:1 g4:.5 a b c5 | d:1 g4 g | e5 c:.5 d e f# | g:1 g4 g |
        c5 d:.5 c b4 a | b:1 c5:.5 b4 a g | a:1 b:.5 a g f# | g:3 | b5:1 g:.5 a b g | a:1 d:.5 e f# d |
        g:1 e:.5 f# g d | c#:1 b4:.5 c#5 a4:1 | a:.5 b c#5 d e f# | g:1 f# e | f# a4 c#5 | d:3""",
        """G | G | C | G | Am | G | D7 | D | G | G | C | G | Am | G | D7 | G | G | D | Em | A | A | Em | A | D""",
        WALTZ, 1,
    ),
    Piece(
        "mozart_ah_vous_dirai_je", "train", 100, 2,
        """c5:1 c | g g | a a | g:2 | f:1 f | e e | d d:.5 e | c:2 | g:1 g | f f | e e | d:2 | g:1 g | f f |
        e e | d:2 | c:1 c | g g | a a | g:2 | f:1 f | e e | d d:.5 e | c:2""",
        "C | C | F | C | F | C | G7 | C | C | F | C | G | C | F | C | G | C | C | F | C | F | C | G7 | C",
        ALBERTI, 0.5,
    ),
    Piece(
        "folk_frere_jacques", "train", 112, 4,
        """c5:1 d e c | c d e c | e f g:2 | e:1 f g:2 | g:.5 a g f e:1 c | g:.5 a g f e:1 c | c g4 c5:2 |
        c:1 g4 c5:2""",
        "C | C | C | C | C | C | C G7 C C | C G7 C C",
        ARPEGGIO, 0.5,
    ),
    Piece(
        "folk_greensleeves", "train", 180, 6,
        """r:5 a4:1 | c5:2 d:1 e:1.5 f#:.5 e:1 | d:2 b4:1 g:1.5 a:.5 b:1 | c5:2 a4:1 a:1.5 g#:.5 a:1 |
        b:2 g#:1 e:2 a:1 | c5:2 d:1 e:1.5 f#:.5 e:1 | d:2 b4:1 g:1.5 a:.5 b:1 |
        c5:1.5 b4:.5 a:1 g#:1.5 f#:.5 g#:1 | a:6 | g5:3 g:1.5 f#:.5 e:1 | d:2 b4:1 g:1.5 a:.5 b:1 |
        c5:2 a4:1 a:1.5 g#:.5 a:1 | b:2 g#:1 e:3 | g5:3 g:1.5 f#:.5 e:1 | d:2 b4:1 g:1.5 a:.5 b:1 |
        c5:1.5 b4:.5 a:1 g#:1.5 f#:.5 g#:1 | a:6""",
        "- | Am | G | Am | E | Am | G | Am E | Am | C | G | Am | E | C | G | Am E | Am",
        ARPEGGIO, 1,
    ),
    Piece(
        "mozart_sonata_in_a", "train", 140, 6,
        """c#5:1.5 d:.5 c#:1 e:2 e:1 | b4:1.5 c#5:.5 b4:1 d5:2 d:1 | a4:2 a:1 b:2 b:1 | c#5:1 e d c#:2 b4:1 |
        c#5:1.5 d:.5 c#:1 e:2 e:1 | b4:1.5 c#5:.5 b4:1 d5:2 d:1 | a4:2 b:1 c#5:2 d:1 | c#:2 b4:1 a:3""",
        "A | E | F#m E | A E | A | E | A D | E A",
        ALBERTI, 1,
    ),
    Piece(
        "bach_prelude_in_c", "train", 112, 4,
        "",
        """c4.e4.g4.c5.e5 | c4.d4.a4.d5.f5 | b3.d4.g4.d5.f5 | c4.e4.g4.c5.e5 | c4.e4.a4.e5.a5 | c4.d4.f#4.a4.d5 |
        b3.d4.g4.d5.g5 | b3.c4.e4.g4.c5 | a3.c4.e4.g4.c5 | d3.a3.d4.f#4.c5 | g3.b3.d4.g4.b4 | g3.bb3.e4.g4.c#5 |
        f3.a3.d4.a4.d5 | f3.ab3.d4.f4.b4 | e3.g3.c4.g4.c5 | e3.f3.a3.c4.f4 | d3.f3.a3.c4.f4 | g2.d3.g3.b3.f4 |
        c3.e3.g3.c4.e4""",
        ((0,), (1,), (2,), (3,), (4,), (2,), (3,), (4,)), 0.25,
    ),
    Piece(
        "brahms_lullaby", "train", 88, 3,
        """r:2 e4:.5 e | g:2 e:.5 e | g:2 e:.5 g | c5:1 b4:1.5 a:.5 | a:1 g d:.5 e | f:1 d d:.5 e |
        f:2 d:.5 f | b a g:1 b | c5:2 c4:.5 c | c5:2 a4:.5 f | g:2 e:.5 c | f:1 g a | g:2 c:.5 c |
        c5:2 a4:.5 f | g:2 e:.5 c | f:1 e d | c:3""",
        "- | C | C | C | C | G7 | G7 | G7 | C | F | C | G7 | C | F | C | G7 | C",
        WALTZ, 1,
    ),
    Piece(
        "bach_jesu_joy", "train", 240, 9,
        f"{_JESU} | {_JESU}", f"{_JESU_CHORDS} | {_JESU_CHORDS}",
        OCTAVE, 3,
    ),
    Piece(
        "folk_scarborough_fair", "train", 108, 3,
        """d4:2 d:1 | a:2 a:1 | e:1.5 f:.5 e:1 | d:3 | r:1 a c5 | d:2 c:1 | a4 b g | a:3 | r:2 d5:1 | d:2 d:1 |
        c:2 a4:1 | a g f | e c:2 | d:2 a:1 | g:2 f:1 | e d c | d:3""",
        "Dm | Dm | C | Dm | Dm | F | G | Dm | Dm | Dm | F | C | C | Dm | C | C | Dm",
        ARPEGGIO, 0.5,
    ),
    Piece(
        "folk_auld_lang_syne", "train", 126, 4,
        """r:3 g4:1 | c5:1.5 c:.5 c:1 e | d:1.5 c:.5 d:1 e | c:1.5 c:.5 e:1 g | a:3 a:1 | g:1.5 e:.5 e:1 c |
        d:1.5 c:.5 d:1 e | c:1.5 a4:.5 a:1 g | c5:3 a:1 | g:1.5 e:.5 e:1 c | d:1.5 c:.5 d:1 a |
        g:1.5 e:.5 e:1 g | a:3 a:1 | g:1.5 e:.5 e:1 c | d:1.5 c:.5 d:1 e | c:1.5 a4:.5 a:1 g | c5:4""",
        "- | C | G | C | F | C | G | F G | C | C | G | C | F | C | G | F G | C",
        BLOCK, 2,
    ),
    Piece(
        "gruber_silent_night", "val", 132, 6,
        """g4:1.5 a:.5 g:1 e:3 | g:1.5 a:.5 g:1 e:3 | d5:2 d:1 b4:3 | c5:2 c:1 g4:3 | a:2 a:1 c5:1.5 b4:.5 a:1 |
        g:1.5 a:.5 g:1 e:3 | a:2 a:1 c5:1.5 b4:.5 a:1 | g:1.5 a:.5 g:1 e:3 | d5:2 d:1 f:1.5 d:.5 b4:1 |
        c5:3 e:3 | c:1.5 g4:.5 e:1 g:1.5 f:.5 d:1 | c:6""",
        "C | C | G | C | F | C | F | C | G7 | C | C G | C",
        ARPEGGIO, 1,
    ),
    Piece(
        "mozart_sonata_facile", "val", 126, 4,
        """c5:2 e:1 g | b4:1.5 c5:.25 d c:1 r | a:2 g:1 c6 | g5 f e r | a4:.5 b:.25 c5 d e f g a g f e d c b4 a |
        g:.5 a:.25 b c5 d e f g f e d c b4 a g | f:.5 g:.25 a b c5 d e f e d c b4 a g f |
        e:.5 f:.25 g a b c5 d e d c b4 a g f e | d:.5 e:.25 f g a b c#5 d a4 b c#5 d e f g |
        a:.25 b c6 b5 a g f e f g a g f e d c | b4:1 g5 e c | d g e c | d:4""",
        "C | G C | F C | G C | F | C | Dm | Am | Dm | F | G C | G C | G",
        ALBERTI, 0.5,
    ),
    Piece(
        "folk_amazing_grace", "test", 90, 3,
        """r:2 d4:1 | g:2 b:.5 g | b:2 a:1 | g:2 e:1 | d:2 d:1 | g:2 b:.5 g | b:2 a:1 | d5:3 | r:2 b4:1 |
        d5:2 b4:.5 g | b:2 a:1 | g:2 e:1 | d:2 d:1 | g:2 b:.5 g | b:2 a:1 | g:3""",
        "- | G | G | C | G | G | G | D | D | G | G | C | G | Em | D7 | G",
        WALTZ, 1,
    ),
    Piece(
        "dvorak_largo", "test", 112, 4,
        """e5:1.5 g:.5 g:2 | e:1.5 d:.5 c:2 | d:1 e g e | d:4 | e:1.5 g:.5 g:2 | e:1.5 d:.5 c:2 | d:1 e d c | c:4 |
        a:1.5 c6:.5 c:2 | b5:1 g a:2 | a:1 c6 b5 g | a:4 | e:1.5 g:.5 g:2 | e:1.5 d:.5 c:2 | d:1 e d c | c:4""",
        "C | C | G | G | C | C | G | C | F | Em F | Am Em | F | C | C | G7 | C",
        ARPEGGIO, 0.5,
    ),
    Piece(
        "pachelbel_canon", "test", 104, 4,
        """f#5:2 e | d c# | b4 a | b c#5 | d c# | b4 a | g f# | g e | d5:1 f# a g | f# d f# e | d b4 d5 a |
        g b a g | f#:4""",
        "D A | Bm F#m | G D | G A | D A | Bm F#m | G D | G A | D A | Bm F#m | G D | G A | D",
        ALBERTI, 0.5,
    ),
)  # fmt: skip
"""Val and test are other pieces than train, so that a good score cannot come from having learnt a piece by heart."""
