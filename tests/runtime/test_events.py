import asyncio
from collections import deque
from collections.abc import Iterable
from typing import Any

import pytest

from prompt_objects.runtime.events import Event, EventBus, Notice, TextDelta


def delta(text: str, run: str = "r", root: str = "r") -> TextDelta:
    return TextDelta(run=run, root=root, path=("po",), session_id="s", text=text)


def notice(text: str, root: str = "r") -> Notice:
    return Notice(run=root, root=root, path=("boss", "po"), session_id="s", text=text)


def texts(events: Iterable[Any]) -> list[str]:
    return [event.text for event in events]


def test_queued_text_deltas_are_joined() -> None:
    bus = EventBus()
    with bus.subscribe() as news:
        for piece in ["a", "b", "c"]:
            bus.publish(delta(piece))
        bus.publish(notice("!"))
        bus.publish(delta("d"))
        assert texts(news.drain()) == ["abc", "!", "d"]


def test_text_of_two_runs_is_never_joined() -> None:
    bus = EventBus()
    with bus.subscribe() as news:
        for run in ["x", "y", "x"]:
            bus.publish(delta(run, run=run))
        assert texts(news.drain()) == ["x", "y", "x"]


def test_subscriber_to_a_root_run_gets_only_its_events() -> None:
    bus = EventBus()
    with bus.subscribe("a") as news:
        bus.publish(notice("mine", root="a"))
        bus.publish(notice("other", root="b"))
        assert texts(news.drain()) == ["mine"]


def test_no_events_after_the_end_of_a_subscription() -> None:
    bus = EventBus()
    with bus.subscribe() as news:
        pass
    bus.publish(notice("late"))
    assert list(news.drain()) == []


async def test_iteration_waits_for_events_and_ends_when_closed_and_empty() -> None:
    bus = EventBus()
    with bus.subscribe() as news:
        asyncio.get_running_loop().call_later(0.01, bus.publish, notice("first"))
        asyncio.get_running_loop().call_later(0.02, bus.publish, notice("second"))
        asyncio.get_running_loop().call_later(0.02, news.close)
        assert texts([event async for event in news]) == ["first", "second"]


async def test_subscriber_that_never_fetches_delays_nothing() -> None:
    bus = EventBus()
    with bus.subscribe() as idle, bus.subscribe() as news:
        for _ in range(10_000):
            bus.publish(delta("x"))
        assert texts(news.drain()) == ["x" * 10_000]
        assert len(list(idle.drain())) == 1


def test_event_has_prompt_object_and_depth() -> None:
    assert (notice("").po_name, notice("").depth) == ("po", 1)


async def test_failing_reader_affects_neither_publisher_nor_other_subscribers() -> None:
    bus = EventBus()

    async def fail() -> None:
        with bus.subscribe() as news:
            async for _ in news:
                raise ZeroDivisionError

    failing = asyncio.create_task(fail())
    await asyncio.sleep(0)
    with bus.subscribe() as news:
        for text in ("a", "b"):
            bus.publish(notice(text))
            await asyncio.sleep(0)
        bus.publish(notice("c"))
        assert texts(news.drain()) == ["a", "b", "c"]
    with pytest.raises(ZeroDivisionError):
        await failing
    bus.publish(notice("d"))


async def test_slow_subscriber_delays_nothing_and_loses_nothing() -> None:
    bus = EventBus()
    received: list[Event] = []

    async def dawdle() -> None:
        with bus.subscribe() as news:
            async for event in news:
                received.append(event)
                if len(received) == 100:
                    return
                await asyncio.sleep(0.001)

    slow = asyncio.create_task(dawdle())
    await asyncio.sleep(0)
    for number in range(100):
        bus.publish(notice(str(number)))
    assert not received
    await asyncio.wait_for(slow, 10)
    assert texts(received) == [str(number) for number in range(100)]


def test_added_subscriber_gets_all_events_in_order() -> None:
    bus, received = EventBus(), deque[Event]()

    class Listener:
        put = received.append

    bus.add_subscriber(Listener())
    for event in (delta("a"), notice("b", root="other"), delta("c")):
        bus.publish(event)
    assert texts(received) == ["a", "b", "c"]


def test_subscriber_that_raises_is_removed() -> None:
    class Broken:
        received = 0

        def put(self, event: Event) -> None:
            self.received += 1
            raise RuntimeError("broken")

    bus, broken = EventBus(), Broken()
    bus.add_subscriber(broken)
    with bus.subscribe() as news:
        bus.publish(delta("one"))
        bus.publish(delta("two"))
        assert broken.received == 1
        assert texts(news.drain()) == ["onetwo"]
