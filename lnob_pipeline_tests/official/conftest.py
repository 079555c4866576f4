"""A running replay of the UN SDG API, and the bundled figures, for the tests of stage 5."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from lnob_pipeline.official.client import HttpSettings, SdgApiClient
from lnob_pipeline.settings import Settings
from lnob_pipeline_tests.official.replay_server import ReplayData, ReplayServer

ROOT = Path(__file__).resolve().parents[2]
ISO3_BY_M49 = {
    "050": "BGD",
    "356": "IND",
    "404": "KEN",
    "454": "MWI",
    "524": "NPL",
    "566": "NGA",
    "704": "VNM",
}


@pytest.fixture(scope="session")
def bundled_folder() -> Path:
    return ROOT / "data" / "official"


@pytest.fixture(scope="session")
def iso3_by_m49() -> dict[str, str]:
    return ISO3_BY_M49


@pytest.fixture(scope="session")
def bundled_data(bundled_folder: Path) -> ReplayData:
    return ReplayData.bundled(bundled_folder)


@pytest.fixture
def serve(bundled_data: ReplayData, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., ReplayServer]]:
    """Start replay servers; they stop with the test."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with ExitStack() as running:

        def start(data: ReplayData = bundled_data, **how: Any) -> ReplayServer:
            return running.enter_context(ReplayServer(data, **how))

        yield start


@pytest.fixture
def server(serve: Callable[..., ReplayServer]) -> ReplayServer:
    return serve()


@pytest.fixture(scope="session")
def impatient() -> HttpSettings:
    """The usual behaviour with short pauses, and small pages so that series have several."""
    return HttpSettings(connect_timeout=2, read_timeout=2, attempts=3, backoff=0.001, longest_pause=2, page_size=20)


@pytest.fixture
def client(server: ReplayServer, impatient: HttpSettings) -> Iterator[SdgApiClient]:
    with SdgApiClient(server.url, impatient) as client:
        yield client


@pytest.fixture
def settings(tmp_path: Path, bundled_folder: Path) -> Settings:
    """Settings with an empty lake of their own and the bundled figures."""
    return Settings.load(home=tmp_path, official=bundled_folder)
