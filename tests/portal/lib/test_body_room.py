import pytest

from portal.lib.body_room import BodyRoom, RoomTaken


@pytest.fixture
def room() -> BodyRoom:
    return BodyRoom(total_bytes=100, share_bytes=40, free_bytes=0)


def test_one_sender_holds_a_share_and_all_together_the_room(room: BodyRoom) -> None:
    with (
        room.entrance("a") as first,
        room.entrance("a") as second,
        room.entrance("b") as third,
        room.entrance("c") as fourth,
    ):
        first.take(30)
        second.take(10)
        for entrance in (first, second):
            with pytest.raises(RoomTaken):
                entrance.take(1)
        third.take(40)
        with pytest.raises(RoomTaken):
            fourth.take(21)
        fourth.take(20)


def test_what_was_held_is_given_back_however_the_body_ended(room: BodyRoom) -> None:
    for _ in range(5):
        with pytest.raises(RoomTaken), room.entrance("a") as entrance:
            entrance.take(40)
            entrance.take(1)
        with pytest.raises(ValueError, match="broken"), room.entrance("b") as entrance:
            entrance.take(40)
            raise ValueError("broken")
    with room.entrance("a") as one, room.entrance("b") as two:
        one.take(40)
        two.take(40)


def test_what_did_not_fit_was_not_taken(room: BodyRoom) -> None:
    with room.entrance("a") as entrance:
        with pytest.raises(RoomTaken):
            entrance.take(41)
        entrance.take(40)


def test_nobody_who_has_left_is_remembered(room: BodyRoom) -> None:
    for sender in range(1000):
        with room.entrance(sender) as entrance:
            entrance.take(1)
    assert not room._held_by


def test_small_bodies_have_room_beside_whoever_fills_it() -> None:
    room = BodyRoom(total_bytes=100, share_bytes=40, free_bytes=5)
    with room.entrance("a") as large, room.entrance("a") as small:
        large.take(3)
        large.take(42)
        small.take(2)
        small.take(3)
        with pytest.raises(RoomTaken):
            small.take(1)
