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
    official_source: bundled, api (else the last good snapshot, else bundled) or last_good. Years are calendar years,
    shares are between 0 and 1.
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
        return cls(**values)
