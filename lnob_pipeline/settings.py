"""Where things lie and which thresholds hold: every setting, its default and its environment variable.

Here belongs what an operator may change without touching code. What a statistician may change is in
indicator_mappings/.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any


def _home() -> Path:
    """The project folder: LNOB_HOME, else the checkout that holds this package, else the current folder."""
    if "LNOB_HOME" in os.environ:
        return Path(os.environ["LNOB_HOME"]).resolve()
    checkout = Path(__file__).resolve().parent.parent
    return checkout if (checkout / "indicator_mappings").is_dir() else Path.cwd()


@dataclass(frozen=True)
class Settings:
    """All settings. Each can be set by an environment variable: LNOB_ and the name in capitals.

    home: the project folder; inbox: folder of the hand-ins, <iso3>/<submission>/; lake: what stages 1 to 6 keep
    (private); sealed: raw files as bytes (private), <lake>/sealed unless set; published: releases; mappings:
    indicator_mappings; official: bundled official figures.
    official_source: bundled, api or sdmx (else the last good snapshot, else bundled) or last_good. Years are calendar
    years, shares are between 0 and 1.
    official_areas: partnership (the countries of countries.yaml) or all; official_fall_limit: a release that holds so
    much less than the one in use waits for a person; official_revision_tolerance: a value that differs by at most this
    share of itself was rounded, not revised.
    review_respondents_below_age: where somebody younger answered, in completed years, a person decides first; surveys
    of adults of the partnership begin at 15.
    reader_memory_bytes to maximum_archive_ratio: how much reading one file may take (submissions/readers/limits.py).
    """

    home: Path
    inbox: Path
    lake: Path
    sealed: Path
    published: Path
    mappings: Path
    official: Path
    official_source: str = "bundled"
    official_api: str = "https://unstats.un.org/SDGAPI"
    official_sdmx: str = "https://data.un.org/ws/rest"
    official_areas: str = "partnership"
    official_fall_limit: float = 0.30
    official_revision_tolerance: float = 0.005
    as_of_year: int = 2020
    base_year: int = 2015
    stale_after_years: int = 5
    obsolete_after_years: int = 10
    comparison_window_years: int = 2
    discrepancy_points: float = 5.0
    quarantine_share_limit: float = 0.05
    rejection_share_limit: float = 0.5
    unmapped_share_limit: float = 0.05
    maximum_file_bytes: int = 200_000_000
    maximum_rows: int = 2_000_000
    review_respondents_below_age: int = 15
    # Limits of reading one file: memory and seconds of the reader, columns and cells of a table, letters of a cell
    # (counted as bytes of UTF-8), parts of a zip, their bytes unpacked, and how many times longer than packed one part
    # may be.
    reader_memory_bytes: int = 4_000_000_000
    reader_seconds: int = 300
    maximum_columns: int = 10_000
    maximum_cells: int = 50_000_000
    maximum_cell_letters: int = 1_000_000
    maximum_archive_parts: int = 5_000
    maximum_archive_bytes: int = 1_000_000_000
    maximum_archive_ratio: int = 200
    # Pulling submissions: hosts that a token may be sent to (commas between), submissions asked for at once, attempts
    # at one answer or one consistent reading, seconds to wait for the service.
    pull_hosts: str = "kf.kobotoolbox.org, eu.kobotoolbox.org"
    pull_page_size: int = 1_000
    pull_attempts: int = 5
    pull_timeout_seconds: int = 60
    # Disclosure risk of records: the smallest k inside the project and for the public, the highest mean risk.
    risk_k_internal: int = 3
    risk_k_public: int = 5
    risk_global_limit: float = 0.03
    # Releases that are kept: all, or how many of the newest; and whether those that hold the numbers of a submission
    # that was withdrawn since go (remove) or stay (keep).
    keep_releases: str = "all"
    withdrawn_releases: str = "remove"
    # A newer global SDG structure (SDMX-ML) whose codes the release has to be in; the folder itself stands for none.
    sdmx_structure: Path = Path()
    # Licence of the citizen figures of a release, as an SPDX identifier (CC-BY-4.0); empty: none is declared.
    data_licence: str = ""
    # Key of the linkage ids (private; 32 random bytes), made in the lake on first use unless set.
    linkage_key: Path = Path("linkage.key")

    @classmethod
    def load(cls, **overrides: Any) -> Settings:
        """Settings from the environment over the defaults; `overrides` win. `home` moves all folders at once."""
        home = Path(overrides.pop("home", _home()))
        data = home / "data"
        values: dict[str, Any] = {
            "home": home,
            "inbox": data / "submissions",
            "lake": data / "lake",
            "published": data / "published",
            "mappings": home / "indicator_mappings",
            "official": data / "official",
        }
        for field in fields(cls):
            if field.name == "home":
                continue
            text = os.environ.get(f"LNOB_{field.name.upper()}")
            if text is not None:
                kind = {"Path": Path, "int": int, "float": float}.get(str(field.type), str)
                try:
                    values[field.name] = kind(text)
                except ValueError:
                    kinds = {"int": "a whole number", "float": "a number"}
                    message = f"LNOB_{field.name.upper()} is {text!r}; it takes {kinds.get(str(field.type), 'a path')}"
                    raise ValueError(message) from None
        values |= overrides
        values.setdefault("sealed", values["lake"] / "sealed")
        values.setdefault("linkage_key", values["lake"] / "private" / "linkage.key")
        return cls(**values)
