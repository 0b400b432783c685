"""The service's connection by itself: what it does when the service behind it stalls."""

import time
from collections.abc import Callable

import pytest

from schedy.settings import Settings
from schedy_broker_setup.declaring import setup
from schedy_store.service.broker import ticker
from schedy_store.service.broker.link import Link
from tests.support import wait_until


def _gets_reports(link: Link) -> Callable[[], bool]:
    """Take what has come and acknowledge it; each link's ticks come as reports."""

    def _take() -> bool:
        arrivals = link.take(wait_seconds=0.1, most=100, most_bytes=1_000_000)
        link.subscribe(arrivals.connection)
        if arrivals.deliveries:
            link.ack(arrivals.deliveries[-1])
        return bool(arrivals.deliveries)

    return _take


def test_an_instance_that_stalls_gives_way_to_another(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(ticker, "_STALLED_SECONDS", 1.0)
    setup(settings.broker_url)
    one, other = (Link(settings, instance=name, on_request=lambda _request: None) for name in ("one", "other"))
    try:
        one.start()
        wait_until(_gets_reports(one), what="the first instance to be active")
        other.start()
        wait_until(_gets_reports(other), what="the second instance to be active")
        assert "has been busy with one batch for 1 s" in caplog.text
        wait_until(lambda: not _gets_reports(one)(), what="the end of what it had got before it was cut off")
        for _ in range(20):  # awake again, it stands by
            assert not _gets_reports(one)()
            _gets_reports(other)()
        assert caplog.text.count("has been busy with one batch") == 1
    finally:
        one.end()
        other.end()


def test_an_instance_that_stalls_and_is_alone_goes_on_when_it_wakes(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(ticker, "_STALLED_SECONDS", 1.0)
    setup(settings.broker_url)
    link = Link(settings, instance="alone", on_request=lambda _request: None)
    try:
        link.start()
        wait_until(_gets_reports(link), what="the first report")
        before = time.monotonic()
        wait_until(lambda: "has been busy with one batch" in caplog.text, what="the stall to be noticed")
        assert time.monotonic() - before > 0.9
        wait_until(_gets_reports(link), what="reports again")
    finally:
        link.end()
