"""What was chosen."""

from __future__ import annotations

from dataclasses import dataclass, replace

__all__ = ["Choice"]


@dataclass(frozen=True)
class Choice:
    """What was chosen, and how many times as fast it was as what it replaces.

    Attributes
    ----------
    skin : float or None
        Angstrom; None: that of the run stays.
    threads : int or None
        None: all stay.
    skin_gain, threads_gain : float
        How many times as fast.
    from_skin : float
        What it was compared with.
    """

    skin: float | None = None
    threads: int | None = None
    skin_gain: float = 1.0
    threads_gain: float = 1.0
    from_skin: float = 0.3

    @property
    def gain(self) -> float:
        """How many times as fast both are together."""
        return self.skin_gain * self.threads_gain

    def __str__(self) -> str:
        parts = []
        if self.skin is not None:
            parts.append(
                f"skin {self.skin:g} A, {self.skin_gain:.2f} times as fast as with {self.from_skin:g} A"
            )
        if self.threads is not None:
            many = f"{self.threads} thread{'s' if self.threads > 1 else ''}"
            parts.append(f"{many}, {self.threads_gain:.2f} times as fast as all")
        return "; ".join(parts) or "as it was: nothing to gain"

    def only(self, *, skin: bool, threads: bool) -> Choice:
        """The part that a run may take over."""
        part = self
        if not skin:
            part = replace(part, skin=None, skin_gain=1.0)
        if not threads:
            part = replace(part, threads=None, threads_gain=1.0)
        return part
