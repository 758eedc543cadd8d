"""Where the frames of a schedule's rings lie for the kernel that stays on the GPU, and which in shared memory too."""

from typing import NamedTuple

from sequnet_pl.sampling.engines.schedule import Ring, Schedule


class Place(NamedTuple):
    """Where the frames of a ring lie."""

    packets: int
    slots: int
    """Among the packets."""
    shared: int | None = None
    """Where they are kept in shared memory, if they are."""
    kept: int = 1
    """Slots there."""


def _power_of_two(least: int) -> int:
    return 1 << (least - 1).bit_length()


def place_packets(schedule: Schedule) -> dict[Ring, Place]:
    """Places in memory for all rings of a schedule, none of them in shared memory yet."""
    places: dict[Ring, Place] = {}
    begin = 0
    given = (output.ring for op in schedule.operations for output in op.outputs)
    for ring in (schedule.input, *given, *(ring for op in schedule.operations for ring, _ in op.reads)):
        if ring not in places:
            # a block may be a step ahead of another, and have written a frame ahead of that
            places[ring] = Place(begin, _power_of_two(ring.reach + 3))
            begin += places[ring].slots * schedule.width
    return places


def keep_frames(schedule: Schedule, places: dict[Ring, Place], room: int) -> int:
    """Keep rings in shared memory, those that tick often first; gives where the frames of the others begin.

    Raises ValueError where there is no room for the input's.
    """
    first = schedule.input
    fresh = {ring for operation in schedule.operations for ring, back in operation.reads if not back}
    # the input's frames are computed where they are kept
    order = sorted(fresh | {first}, key=lambda ring: (ring is not first, ring.shift, ring.reach))
    used = 0
    for ring in order:
        place, slots = places[ring], _power_of_two(ring.reach + 1)
        places[ring] = place._replace(shared=used, kept=slots)
        if used + slots * schedule.width + frames_not_kept(schedule, places) * schedule.width <= room:
            used += slots * schedule.width
        elif ring is first:
            raise ValueError("the GPU has too little shared memory for this network")
        else:
            places[ring] = place
    return used


def frames_not_kept(schedule: Schedule, places: dict[Ring, Place]) -> int:
    """Frames that an operation reads at most that are not kept."""
    lost = [[places[ring].shared is None for ring, _ in op.reads] for op in schedule.operations]
    return max(map(sum, lost))
